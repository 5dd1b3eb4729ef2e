//! The packages, checked as cargo-deny would by `deny.toml`: licences, bans, sources, and how many there
//! are. cargo-deny is not on every machine; this test is.

use std::collections::BTreeSet;
use std::process::Command;

use serde_json::Value;

/// Packages that seald is built of (normal dependencies, ours apart), at most.
const MOST_PACKAGES: usize = 320;

fn cargo(arguments: &[&str]) -> String {
    let output = Command::new(env!("CARGO"))
        .args(arguments)
        .args(["--locked", "--offline"])
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .output()
        .unwrap();
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    String::from_utf8(output.stdout).unwrap()
}

/// The packages of the whole graph on this platform, for tests too, and who depends on whom.
fn metadata() -> Value {
    let platform = format!("{}-unknown-linux-gnu", std::env::consts::ARCH);
    let metadata = cargo(&[
        "metadata",
        "--format-version=1",
        "--filter-platform",
        &platform,
    ]);
    serde_json::from_str(&metadata).unwrap()
}

/// All packages that are compiled.
fn packages() -> Vec<Value> {
    let metadata = metadata();
    let resolved: BTreeSet<&str> = metadata["resolve"]["nodes"]
        .as_array()
        .unwrap()
        .iter()
        .map(|node| node["id"].as_str().unwrap())
        .collect();
    let packages = metadata["packages"].as_array().unwrap().iter();
    packages
        .filter(|package| resolved.contains(package["id"].as_str().unwrap()))
        .cloned()
        .collect()
}

/// The texts in quotes of `deny.toml` between a line and the bracket that closes its list.
fn listed(opening: &str) -> BTreeSet<&'static str> {
    let file = include_str!("../../deny.toml");
    let list = file
        .split_once(opening)
        .unwrap()
        .1
        .split_once("\n]")
        .unwrap()
        .0;
    let lines = list
        .lines()
        .filter(|line| !line.trim_start().starts_with('#'));
    lines.filter_map(|line| line.split('"').nth(1)).collect()
}

/// The packages that depend on `name`, by name.
fn dependents(name: &str) -> BTreeSet<String> {
    let metadata = metadata();
    let nodes = metadata["resolve"]["nodes"].as_array().unwrap().iter();
    let of_name = nodes.filter(|node| {
        let mut dependencies = node["deps"].as_array().unwrap().iter();
        dependencies.any(|dependency| dependency["name"] == name)
    });
    let id = |node: &Value| node["id"].as_str().unwrap().to_owned();
    let name = |id: String| {
        let package = id.rsplit(['/', '#']).next().unwrap_or_default().to_owned();
        package.split('@').next().unwrap_or_default().to_owned()
    };
    of_name.map(id).map(name).collect()
}

/// The packages that may depend on the banned package `name`, after `wrappers` in `deny.toml`.
fn wrappers(name: &str) -> BTreeSet<&'static str> {
    let file = include_str!("../../deny.toml");
    let start = format!("{{ crate = \"{name}\", wrappers = [");
    let list = file.split_once(&start).map_or("", |(_, rest)| rest);
    let list = list.split_once(']').map_or("", |(list, _)| list);
    list.split('"').skip(1).step_by(2).collect()
}

/// Whether an SPDX expression can be kept with these licences alone; `/` is an old spelling of OR.
fn permits(expression: &str, allowed: &BTreeSet<&str>) -> bool {
    let spaced = expression
        .replace('(', " ( ")
        .replace(')', " ) ")
        .replace('/', " OR ");
    let words: Vec<&str> = spaced.split_whitespace().collect();
    let mut at = 0;
    let verdict = any(&words, &mut at, allowed);
    verdict && at == words.len()
}

fn any(words: &[&str], at: &mut usize, allowed: &BTreeSet<&str>) -> bool {
    let mut verdict = all(words, at, allowed);
    while words.get(*at) == Some(&"OR") {
        *at += 1;
        verdict |= all(words, at, allowed);
    }
    verdict
}

fn all(words: &[&str], at: &mut usize, allowed: &BTreeSet<&str>) -> bool {
    let mut verdict = one(words, at, allowed);
    while words.get(*at) == Some(&"AND") {
        *at += 1;
        verdict &= one(words, at, allowed);
    }
    verdict
}

fn one(words: &[&str], at: &mut usize, allowed: &BTreeSet<&str>) -> bool {
    if words.get(*at) == Some(&"(") {
        *at += 1;
        let verdict = any(words, at, allowed);
        *at += 1;
        return verdict;
    }
    let mut licence = words.get(*at).copied().unwrap_or_default().to_owned();
    *at += 1;
    if words.get(*at) == Some(&"WITH") {
        licence = format!("{licence} WITH {}", words[*at + 1]);
        *at += 2;
    }
    allowed.contains(licence.as_str())
}

#[test]
fn every_licence_is_allowed() {
    let allowed = listed("[licenses]\nversion = 2\nallow = [");
    assert!(allowed.contains("MIT"));
    let refused: Vec<String> = packages()
        .iter()
        .map(|p| {
            (
                p["name"].to_string(),
                p["license"].as_str().unwrap_or("none").to_owned(),
            )
        })
        .filter(|(_, licence)| !permits(licence, &allowed))
        .map(|(name, licence)| format!("{name}: {licence}"))
        .collect();
    assert!(refused.is_empty(), "{refused:?}");
}

#[test]
fn a_licence_expression_is_read_as_spdx_means_it() {
    let allowed = BTreeSet::from(["MIT", "ISC", "Apache-2.0 WITH LLVM-exception"]);
    for good in [
        "MIT",
        "GPL-2.0 OR MIT",
        "MIT/Apache-2.0",
        "(MIT OR X) AND ISC",
        "X OR (MIT AND ISC)",
    ] {
        assert!(permits(good, &allowed), "{good}");
    }
    assert!(permits("Apache-2.0 WITH LLVM-exception", &allowed));
    for bad in [
        "GPL-3.0",
        "MIT AND X",
        "(MIT OR ISC) AND X",
        "Apache-2.0",
        "",
        "MIT MIT",
    ] {
        assert!(!permits(bad, &allowed), "{bad}");
    }
}

#[test]
fn no_banned_package_and_no_foreign_source() {
    let banned = listed("\ndeny = [");
    assert!(banned.contains("serde_yaml"));
    for package in packages() {
        let name = package["name"].as_str().unwrap();
        if banned.contains(name) {
            let allowed = wrappers(name);
            let by_others = dependents(name)
                .iter()
                .any(|by| !allowed.contains(by.as_str()));
            assert!(
                !allowed.is_empty() && !by_others,
                "{name} is banned by deny.toml"
            );
        }
        let source = package["source"].as_str();
        let registry = "registry+https://github.com/rust-lang/crates.io-index";
        assert!(
            source.is_none_or(|source| source == registry),
            "{name} comes from {source:?}"
        );
    }
}

#[test]
fn the_programs_are_built_of_few_packages() {
    let tree = cargo(&["tree", "--edges=normal", "--prefix=none", "--no-dedupe"]);
    let packages: BTreeSet<&str> = tree
        .lines()
        .filter(|line| !line.starts_with("sealctl "))
        .collect();
    assert!(
        packages.len() <= MOST_PACKAGES,
        "{} packages, {MOST_PACKAGES} at most",
        packages.len()
    );
}
