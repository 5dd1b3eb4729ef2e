//! The layers, checked: who may import whom, which package may be used where, how a file looks.
//!
//! One crate cannot make Cargo enforce its layers, so this test reads every `use` and every path of
//! `src/`. The checker is a function of a file's path and text; the tests at the end prove that it
//! bites. Code under `#[cfg(test)]` is free: Cargo, too, lets dev-dependencies point upwards.
#![expect(clippy::disallowed_methods, reason = "reads the project's own files")]

mod rules;
mod text;

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use self::rules::check;
use self::text::Code;

/// The files below `folder` with one of the endings, as (path from the project's root, text), sorted.
fn files(folder: &str, endings: &[&str]) -> Vec<(String, String)> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut found = Vec::new();
    let mut folders = vec![root.join(folder)];
    while let Some(folder) = folders.pop() {
        let Ok(entries) = fs::read_dir(&folder) else {
            continue;
        };
        for entry in entries {
            let path = entry.unwrap().path();
            let name = path.file_name().unwrap().to_string_lossy().into_owned();
            if name == "target" || name == ".git" {
                continue;
            }
            if path.is_dir() {
                folders.push(path);
            } else if endings.iter().any(|ending| name.ends_with(ending)) {
                // What is no text (a picture, an archive) breaks no rule of text.
                let Ok(text) = fs::read_to_string(&path) else {
                    continue;
                };
                found.push((
                    path.strip_prefix(root)
                        .unwrap()
                        .to_string_lossy()
                        .into_owned(),
                    text,
                ));
            }
        }
    }
    found.sort();
    found
}

/// `src/` without the files that a parent declares under `#[cfg(test)]`, and what lies below these.
fn sources() -> Vec<(String, String)> {
    let all: Vec<(String, String)> = files("src", &[".rs"])
        .into_iter()
        .map(|(path, text)| (path.trim_start_matches("src/").to_owned(), text))
        .collect();
    let tests: BTreeSet<String> = all
        .iter()
        .flat_map(|(path, text)| Code::read(path, text).test_files())
        .map(|path| path.trim_end_matches(".rs").to_owned())
        .collect();
    let is_test = |path: &str| {
        tests.iter().any(|test| {
            path.strip_prefix(test.as_str())
                .is_some_and(|rest| rest == ".rs" || rest.starts_with('/'))
        })
    };
    all.into_iter().filter(|(path, _)| !is_test(path)).collect()
}

#[test]
fn every_source_file_keeps_to_the_layers() {
    let sources = sources();
    assert!(
        sources.len() > 20,
        "found only {} files below src/",
        sources.len()
    );
    let findings: Vec<String> = sources
        .iter()
        .flat_map(|(path, text)| check(path, text))
        .map(|f| f.to_string())
        .collect();
    assert!(findings.is_empty(), "\n{}\n", findings.join("\n"));
}

#[test]
fn the_front_page_shows_every_room() {
    let (_, text) = sources()
        .into_iter()
        .find(|(path, _)| path == "lib.rs")
        .unwrap();
    for room in text
        .lines()
        .filter_map(|l| l.strip_prefix("pub mod ")?.strip_suffix(';'))
    {
        let shown = [format!("[`{room}`]"), format!("[`mod@{room}`]")];
        assert!(
            shown.iter().any(|link| text.contains(link)),
            "{room} is not in the layer table"
        );
        assert!(
            rules::layer(room).is_some(),
            "{room} has no layer in rules.rs"
        );
    }
}

#[test]
fn a_clone_alone_is_enough() {
    // Spelled in two parts, so that this file does not find itself.
    let outside = [concat!("../", "shared"), concat!("/", "work/")];
    let endings = [
        ".rs", ".md", ".sh", ".yaml", ".toml", ".py", ".go", ".mod", "Makefile", "run",
    ];
    for (path, text) in files(".", &endings) {
        for word in outside {
            assert!(!text.contains(word), "{path} refers to {word}");
        }
    }
}

#[test]
fn no_private_key_lies_beside_the_documents() {
    let key = concat!("AGE-SECRET-", "KEY-1");
    for folder in ["keys", "envs", "deploy", "src"] {
        for (path, text) in files(folder, &[""]) {
            let code = if path.ends_with(".rs") {
                Code::read(&path, &text).without_tests(&text)
            } else {
                text
            };
            let found = code.lines().any(|line| {
                line.match_indices(key).any(|(at, _)| {
                    line[at + key.len()..]
                        .chars()
                        .take_while(char::is_ascii_alphanumeric)
                        .count()
                        > 20
                })
            });
            assert!(!found, "{path} holds a private key");
        }
    }
}

// === the checker bites ===

/// What the checker says about a file at `path` with this line in it.
fn complaints(path: &str, line: &str) -> Vec<String> {
    check(path, &format!("//! Opening.\n{line}\n"))
        .iter()
        .map(|f| f.what.clone())
        .collect()
}

#[track_caller]
fn refused(path: &str, line: &str) {
    assert!(
        !complaints(path, line).is_empty(),
        "{path} may hold {line:?}, but must not"
    );
}

#[track_caller]
fn allowed(path: &str, line: &str) {
    assert_eq!(
        complaints(path, line),
        Vec::<String>::new(),
        "{path}: {line:?}"
    );
}

#[test]
fn an_import_from_a_higher_layer_is_refused() {
    refused("sops/open.rs", "use crate::plan::Plan;");
    refused("secret.rs", "use crate::crypto::mac;");
    refused("sops.rs", "use crate::trust::Verdict;");
    refused("env/check.rs", "use crate::sops::Opened;");
    refused("plan/step.rs", "use crate::sops::Opened;");
    refused("cluster/apply.rs", "use crate::daemon::Config;");
    refused("bin/sealctl.rs", "use sealctl::plan::Plan;");
    allowed("plan/step.rs", "use crate::env::Delivery;");
    allowed("trust/seal.rs", "use crate::sops::Opened;");
    allowed("bin/sealctl.rs", "fn main() { sealctl::cli::main() }");
}

#[test]
fn rooms_of_the_edge_do_not_know_each_other() {
    refused("cluster/mirror.rs", "use crate::source::Source;");
    refused("file.rs", "use crate::runner::Child;");
    allowed("keyring.rs", "use crate::file::read;");
    allowed("cluster/apply.rs", "use crate::telemetry::metrics;");
    refused("cluster/apply.rs", "use crate::telemetry::health;");
    refused("cli/command/run.rs", "use crate::daemon::Config;");
    refused("daemon/report.rs", "use crate::cli::ui::Ui;");
}

#[test]
fn a_forbidden_import_is_found_in_whatever_dress() {
    refused("plan.rs", "use crate::{name::KeyName, sops};");
    refused(
        "plan.rs",
        "use crate::{\n    env::{self, Delivery},\n    crypto::{mac::{Mac}},\n};",
    );
    refused("plan.rs", "fn f() -> crate::sops::Opened { todo!() }");
    refused("plan.rs", "fn f(x: &[crate :: sops :: Opened]) {}");
    refused("plan/step.rs", "use super::super::sops;");
    refused("plan/step.rs", "use super::super::{env, sops::Opened};");
    refused(
        "plan/step.rs",
        "mod inner { use super::super::super::sops::Opened; }",
    );
    refused("plan.rs", "use crate::*;");
    refused("plan.rs", "use crate as whole;");
    refused(
        "plan.rs",
        "macro_rules! m { () => { $crate::sops::open() } }",
    );
    refused("plan.rs", "pub use crate::sops::Opened as Other;");
    refused("plan.rs", "#[derive(crate::sops::Macro)] struct S;");
    allowed("plan/step.rs", "use super::{action::Action, Plan};");
    allowed("plan/step.rs", "mod inner { use super::super::Plan; }");
    allowed(
        "plan.rs",
        "pub(crate) fn f() {}\npub(in crate::plan) fn g() {}",
    );
}

#[test]
fn text_that_is_no_code_is_not_read_as_code() {
    allowed("plan.rs", "// use crate::sops::Opened;");
    allowed(
        "plan.rs",
        "/* outer /* use crate::sops; */ use crate::sops::x; */",
    );
    allowed("plan.rs", "/// See [`crate::sops::Opened`].\nfn f() {}");
    allowed(
        "plan.rs",
        r##"const A: &str = r#"use " crate::sops::Opened;"#;"##,
    );
    allowed(
        "plan.rs",
        r#"const A: &[u8] = b"\" use crate::sops::Opened;";"#,
    );
    refused(
        "plan.rs",
        "fn f<'a>(x: &'a str) -> char { '\"' }\nuse crate::sops::Opened; // \"",
    );
}

#[test]
fn tests_beside_the_code_are_free() {
    allowed(
        "plan.rs",
        "#[cfg(test)]\nmod tests {\n    use crate::sops::Opened;\n}",
    );
    allowed(
        "plan.rs",
        "#[cfg(all(test, unix))]\nmod tests { fn f() { std::fs::read(\"x\"); } }",
    );
    refused(
        "plan.rs",
        "#[cfg(test)]\nmod tests {}\nuse crate::sops::Opened;",
    );
    refused("plan.rs", "#[cfg(not(test))]\nuse crate::sops::Opened;");
    refused("plan.rs", "#[cfg(unix)]\nuse crate::sops::Opened;");
    let parent = Code::read("plan.rs", "#[cfg(test)]\nmod world;\nmod step;");
    assert_eq!(parent.test_files(), ["plan/world.rs"]);
}

#[test]
fn a_package_is_used_only_where_its_room_is() {
    for (package, room, elsewhere) in [
        ("kube", "cluster/apply.rs", "plan.rs"),
        ("kube", "cli/command/render.rs", "cli/command/set.rs"),
        ("k8s_openapi", "daemon/reconcile.rs", "source/directory.rs"),
        ("tokio", "source.rs", "sops/open.rs"),
        ("age", "crypto/recipient.rs", "cli/command/key.rs"),
        ("aes_gcm", "crypto/value.rs", "sops/seal.rs"),
        ("getrandom", "crypto/random.rs", "name.rs"),
        ("yaml_edit", "format/yaml.rs", "format.rs"),
        ("indicatif", "cli/ui/progress.rs", "cli/ui.rs"),
        ("clap", "daemon/args.rs", "daemon/config.rs"),
        ("notify", "source/directory.rs", "cluster.rs"),
        ("thiserror", "name.rs", ""),
        ("serde_json", "cli.rs", "vocabulary.rs"),
    ] {
        for line in [
            format!("use {package}::X;"),
            format!("fn f() {{ {package}::x(); }}"),
        ] {
            allowed(room, &line);
            if !elsewhere.is_empty() {
                refused(elsewhere, &line);
            }
        }
    }
    refused("plan.rs", "use ::kube::Api;");
    refused("plan.rs", "use {kube::Api, std::fmt};");
    refused("plan.rs", "extern crate kube;");
}

#[test]
fn files_clocks_and_environment_are_edges() {
    refused("cli/command/edit.rs", "use std::fs;");
    refused("cli/command/edit.rs", "fn f() { std::fs::read(p) }");
    refused("cluster.rs", "use std::{fs::File, io};");
    refused("daemon.rs", "fn f() { tokio::fs::read(p) }");
    allowed("file.rs", "use std::fs;");
    allowed("keyring.rs", "use std::fs;");
    refused("resolve.rs", "use std::process::Command;");
    refused("plan.rs", "use std::net::TcpStream;");
    refused("plan.rs", "use std::thread;");
}

#[test]
fn the_prefix_of_annotations_stands_in_one_file() {
    refused("plan.rs", "const A: &str = \"sealctl.dev/owner\";");
    refused("cluster.rs", "const A: &str = r\"https://sealctl.dev/e\";");
    allowed("vocabulary.rs", "const A: &str = \"sealctl.dev/owner\";");
    allowed(
        "cluster/crd.rs",
        "#[kube(group = \"sealctl.dev\", version = \"v1alpha1\")]\nstruct S;",
    );
    refused("cluster/crd.rs", "const A: &str = \"sealctl.dev/owner\";");
}

#[test]
fn a_file_opens_with_its_purpose_and_stays_short() {
    let said = |path: &str, text: &str| -> Vec<String> {
        check(path, text).iter().map(|f| f.what.clone()).collect()
    };
    assert_eq!(said("plan/step.rs", "use std::fmt;\n").len(), 1);
    assert_eq!(said("plan/step.rs", "//!\nuse std::fmt;\n").len(), 1);
    let long = format!("//! Opening.\n{}", "fn f() {}\n".repeat(500));
    assert_eq!(said("plan/step.rs", &long).len(), 1);
    let tests = "    fn f() {}\n".repeat(500);
    let tested = format!("//! Opening.\n#[cfg(test)]\nmod tests {{\n{tests}}}\n");
    assert_eq!(said("plan/step.rs", &tested).len(), 0);
    let function = format!("//! Opening.\nfn f() {{\n{}}}\n", "    g();\n".repeat(80));
    assert_eq!(said("plan/step.rs", &function).len(), 1);
    refused("plan/mod.rs", "");
    refused("plan/util.rs", "");
    refused("plan.rs", "pub struct SecretManager;");
    refused("unheard.rs", "");
}
