//! Input that is meant to hurt: each is sealed and opened again, or refused with a place, in a time and with
//! memory that grow as the input does.
//!
//! `SEALCTL_TEST_HOSTILE=N` makes everything N times larger: with a program built for release, 100 gives a
//! line of 100 MB, a million keys, and ten thousand recipients and documents.

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Instant;

use crate::sandbox::{Sandbox, identity, recipient};

/// What every call may take beside its share of the input, in MiB.
const FLOOR: u64 = 48;
/// The memory that a call may take for each byte that it reads and writes: of keys more than of text, as each
/// of them has a place in a tree.
const SHARE: u64 = 24;

fn scale() -> usize {
    let text = std::env::var("SEALCTL_TEST_HOSTILE").ok();
    text.map_or(1, |text| text.parse().expect("a number"))
}

/// How a call ended.
struct Ended {
    code: Option<i32>,
    said: String,
    peak: u64,
}

/// Runs the drop-in with its output in a file, and watches its memory.
fn call(sandbox: &Sandbox, arguments: &[&str], output: &str) -> Ended {
    let mut command = Command::new("timeout");
    sandbox.enter(&mut command);
    let begin = Instant::now();
    let mut child = command
        .args(["--foreground", "300", env!("CARGO_BIN_EXE_sealctl"), "sops"])
        .args(arguments)
        .env("SOPS_AGE_KEY_FILE", identity("alice"))
        .stdin(Stdio::null())
        .stdout(fs::File::create(sandbox.path(output)).unwrap())
        .stderr(fs::File::create(sandbox.path("said")).unwrap())
        .spawn()
        .unwrap();
    let mut peak = 0;
    let status = loop {
        peak = peak.max(kib_of_child(child.id()));
        if let Some(status) = child.try_wait().unwrap() {
            break status;
        }
        std::thread::sleep(std::time::Duration::from_millis(2));
    };
    let said = sandbox.read("said");
    let peak = peak / 1024;
    println!(
        "{:5} MiB {:6} ms  {arguments:?} {}",
        peak,
        begin.elapsed().as_millis(),
        said.trim_end()
    );
    Ended {
        code: status.code(),
        said,
        peak,
    }
}

/// The most memory of the program that `timeout` runs, in KiB.
fn kib_of_child(id: u32) -> u64 {
    let children = fs::read_to_string(format!("/proc/{id}/task/{id}/children")).unwrap_or_default();
    let status = format!("/proc/{}/status", children.trim());
    let status = fs::read_to_string(status).unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    line.and_then(|line| line.trim().trim_end_matches(" kB").parse().ok())
        .unwrap_or(0)
}

fn within(ended: &Ended, paths: &[&Path]) {
    let bytes: u64 = paths
        .iter()
        .map(|path| fs::metadata(path).unwrap().len())
        .sum();
    let limit = FLOOR + SHARE * bytes / (1 << 20);
    assert!(
        ended.peak <= limit,
        "{} MiB, {limit} are allowed",
        ended.peak
    );
}

fn seal<'a>(file: &'a str, reader: &'a str) -> [&'a str; 4] {
    ["encrypt", "--age", reader, file]
}

/// Sealed and opened again, the values are the same.
fn survives(file: &str, text: &str) {
    let (sandbox, reader) = (Sandbox::empty(), recipient("alice"));
    sandbox.write(file, text);
    let sealed = format!("sealed-{file}");
    let ended = call(&sandbox, &seal(file, &reader), &sealed);
    assert_eq!(ended.code, Some(0), "{}", ended.said);
    within(&ended, &[&sandbox.path(file), &sandbox.path(&sealed)]);
    let opened = format!("opened-{file}");
    let ended = call(&sandbox, &["decrypt", &sealed], &opened);
    assert_eq!(ended.code, Some(0), "{}", ended.said);
    within(&ended, &[&sandbox.path(&sealed), &sandbox.path(&opened)]);
    let words = |text: &str| -> usize { text.matches("xx").count() };
    assert_eq!(words(&sandbox.read(&opened)), words(text));
}

/// Refused with a code of SOPS and a place, in little memory; a sealed file of that text, too.
fn is_refused(file: &str, text: &str, words: &str) {
    let (sandbox, reader) = (Sandbox::empty(), recipient("alice"));
    sandbox.write(file, text);
    for arguments in [
        &seal(file, &reader)[..],
        &["decrypt", file],
        &["filestatus", file],
    ] {
        let ended = call(&sandbox, arguments, "output");
        assert!(
            matches!(ended.code, Some(1..=4)),
            "{:?}: {}",
            ended.code,
            ended.said
        );
        let is_named = ended.said.contains("line ") || arguments[0] == "filestatus";
        assert!(is_named && ended.said.contains(words), "{}", ended.said);
        assert!(ended.said.len() < 1000, "{}", ended.said.len());
        within(&ended, &[&sandbox.path(file)]);
    }
}

#[test]
fn ten_thousand_levels_are_refused() {
    const LEVELS: usize = 10_000;
    let flow = |open: &str, close: &str| {
        format!(
            "{{\"a\": {}1{}}}\n",
            open.repeat(LEVELS),
            close.repeat(LEVELS)
        )
    };
    let block: String = (0..2000)
        .map(|level| format!("{}a:\n", " ".repeat(level)))
        .collect();
    for text in [
        flow("[", "]"),
        flow("{\"a\": ", "}"),
        flow("[", ""),
        format!("a:\n  {}x\n", "- ".repeat(LEVELS)),
        format!("{}x\n", "? ".repeat(LEVELS)),
        block,
    ] {
        is_refused("a.yaml", &text, "nest");
    }
    for text in [flow("[", "]"), flow("{\"a\": ", "}"), flow("[{\"a\": ", "")] {
        is_refused("a.json", &text, "nest");
    }
}

#[test]
fn a_bomb_of_aliases_is_refused() {
    let levels = (1..30).map(|n| {
        format!(
            "a{n}: &a{n} [{}]\n",
            vec![format!("*a{}", n - 1); 9].join(", ")
        )
    });
    let bomb = format!("a0: &a0 [x]\n{}", levels.collect::<String>());
    is_refused("a.yaml", &bomb, "aliases");
    let flat = format!(
        "a: &a [{}]\nb: [{}]\n",
        "x, ".repeat(10_000),
        "*a, ".repeat(10_000)
    );
    is_refused("a.yaml", &flat, "aliases");
    let merged = (1..40).map(|n| format!("m{n}: &m{n}\n  <<: [*m{0}, *m{0}]\n", n - 1));
    let merged = format!("m0: &m0 {{x: 1}}\n{}", merged.collect::<String>());
    is_refused("a.yaml", &merged, "aliases");
}

#[test]
fn a_long_line_survives_in_every_format() {
    let long = "xx".repeat(500_000 * scale());
    survives("a.yaml", &format!("a: {long}\n"));
    survives("a.json", &format!("{{\"a\": \"{long}\"}}\n"));
    survives("a.env", &format!("A={long}\n"));
    survives("a.ini", &format!("[s]\na = {long}\n"));
    survives("a.bin", &long);
    survives(
        "b.yaml",
        &format!("# {long}\na: \"{}\"\n", "xx ".repeat(100_000 * scale())),
    );
}

#[test]
fn many_keys_and_documents_survive() {
    let keys = |line: &dyn Fn(usize) -> String| (0..10_000 * scale()).map(line).collect::<String>();
    survives("a.yaml", &keys(&|n| format!("k{n}: xx\n")));
    survives(
        "a.json",
        &format!(
            "{{{}\"z\": 1}}\n",
            keys(&|n| format!("\"k{n}\": \"xx\",\n"))
        ),
    );
    survives("a.env", &keys(&|n| format!("K{n}=xx\n")));
    survives(
        "a.ini",
        &format!("[s]\n{}", keys(&|n| format!("k{n} = xx\n"))),
    );
    let documents = vec!["a: xx\n"; 100 * scale()];
    survives("b.yaml", &documents.join("---\n"));
}

#[test]
fn ten_thousand_recipients_are_read() {
    let sandbox = Sandbox::empty();
    sandbox.write("a.yaml", "a: xx\n");
    sandbox.seal_for("bob", "a.yaml");
    let bobs = sandbox.read("a.yaml");
    sandbox.write("a.yaml", "a: xx\n");
    sandbox.seal_for("alice", "a.yaml");
    let text = sandbox.read("a.yaml");
    let begin = bobs.find("        - ").unwrap();
    let end = bobs.find("    lastmodified").unwrap();
    let place = text.find("        - ").unwrap();
    let many = bobs[begin..end].repeat(100 * scale());
    sandbox.write(
        "a.yaml",
        format!("{}{many}{}", &text[..place], &text[place..]),
    );
    let ended = call(&sandbox, &["decrypt", "a.yaml"], "opened");
    assert_eq!(
        (ended.code, sandbox.read("opened").as_str()),
        (Some(0), "a: xx\n"),
        "{}",
        ended.said
    );
    within(&ended, &[&sandbox.path("a.yaml")]);
}
