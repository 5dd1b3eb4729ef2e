//! Round trips with the real SOPS, both ways.

#![expect(
    clippy::disallowed_methods,
    reason = "tests read fixtures and write scratch files"
)]

use std::fs;
use std::path::PathBuf;
use std::process::{Command, Output};

use sealctl::crypto::Identity;
use sealctl::format::Format;
use sealctl::secret::Secret;
use sealctl::sops::{Edit, Opened, Rule, Sealed};
use sealctl::tree::{Node, Path as KeyPath};
use sealctl::trust::{self, Change, Stamp, Verdict, Written};

use crate::vectors;

#[path = "../cluster/tools/real_sops.rs"]
mod program;

pub(crate) use program::sops;

#[test]
#[ignore = "needs the real sops: make test"]
fn sops_opens_what_we_seal_of_the_shared_vectors() {
    vectors::run(Some(&sops()));
}

/// A project's document, the identity that opens it, and the real program.
struct Scratch {
    folder: tempfile::TempDir,
    identity: Identity,
    sops: PathBuf,
}

const PLAIN: &str = "\
sealctl: v1
app: polls
environment: prod

config:
  HOST: postgres   # where it runs
  PORT: 5432

secrets:
  # from the vault
  PASSWORD: 'canary: #1'
  TOKEN: plain   # trailing
  PIN: 4711
  ON: true
  EMPTY: \"\"
  CERT: |
    -----BEGIN-----
    abc
    -----END-----

superuser:
  from: deployment/polls
  password: \"tab\\tquote\\\"\"
";

impl Scratch {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let identity = Identity::generate();
        fs::write(folder.path().join("key.txt"), identity.text().expose()).unwrap();
        Self {
            folder,
            identity,
            sops: sops(),
        }
    }

    fn call(&self, arguments: &[&str]) -> Output {
        Command::new(&self.sops)
            .args(arguments)
            .current_dir(self.folder.path())
            .env_clear()
            .env("HOME", self.folder.path())
            .env("SOPS_AGE_KEY_FILE", self.folder.path().join("key.txt"))
            .output()
            .unwrap()
    }

    /// What the real program prints; it must be content.
    fn ask(&self, arguments: &[&str]) -> String {
        let output = self.call(arguments);
        assert!(
            output.status.success(),
            "{arguments:?}: {}",
            String::from_utf8_lossy(&output.stderr)
        );
        String::from_utf8(output.stdout).unwrap()
    }

    fn json(&self) -> serde_json::Value {
        serde_json::from_str(&self.ask(&["decrypt", "--output-type", "json", "doc.yaml"])).unwrap()
    }

    fn write(&self, text: &str) {
        fs::write(self.folder.path().join("doc.yaml"), text).unwrap();
    }

    fn read(&self) -> String {
        fs::read_to_string(self.folder.path().join("doc.yaml")).unwrap()
    }

    fn seal(&self, plain: &str) -> Written {
        let change = Change::New {
            format: Format::Yaml,
            plain: &Secret::from_text(plain),
            recipients: &[self.identity.recipient(), Identity::generate().recipient()],
            rule: &Rule::environment().unwrap(),
        };
        let written = trust::write(&change, &Stamp::after(None, now())).unwrap();
        self.write(&written.text);
        written
    }

    fn open(&self) -> Opened {
        let sealed = Sealed::parse(Format::Yaml, &Secret::from_text(&self.read())).unwrap();
        let key = sealed
            .data_key(std::slice::from_ref(&self.identity))
            .unwrap();
        sealed.open(&key).unwrap()
    }

    fn edit(&self, edits: &[Edit]) {
        let opened = self.open();
        let stamp = Stamp::after(Some(opened.sealed()), now());
        let written = trust::write(
            &Change::Edits {
                opened: &opened,
                edits,
            },
            &stamp,
        )
        .unwrap();
        self.write(&written.text);
    }

    fn value(&self, keys: &[&str]) -> String {
        let opened = self.open();
        let Some(Node::Leaf(leaf)) = opened.tree().at(&KeyPath::of(keys.iter().copied())) else {
            panic!("{keys:?} is no value");
        };
        leaf.text.expose_text().unwrap().to_owned()
    }
}

fn now() -> jiff::Timestamp {
    "2026-11-21T09:30:00Z".parse().unwrap()
}

fn set(keys: &[&str], text: &str) -> Edit {
    Edit::Set {
        path: KeyPath::of(keys.iter().copied()),
        text: Secret::from_text(text),
    }
}

#[test]
#[ignore = "needs the real sops: make test"]
fn sops_opens_our_documents_also_after_edits() {
    let scratch = Scratch::new();
    scratch.seal(PLAIN);
    let values = scratch.json();
    assert_eq!(values["secrets"]["PASSWORD"], "canary: #1");
    assert_eq!(values["secrets"]["PIN"], 4711);
    assert_eq!(values["secrets"]["ON"], true);
    assert_eq!(
        values["secrets"]["CERT"],
        "-----BEGIN-----\nabc\n-----END-----\n"
    );
    assert_eq!(values["superuser"]["password"], "tab\tquote\"");
    let printed = scratch.ask(&["decrypt", "doc.yaml"]);
    assert!(
        printed.contains("# from the vault") && printed.contains("# trailing"),
        "{printed}"
    );

    let texts = [
        "yes",
        "0123",
        "a: b",
        " blank ",
        "two\nlines",
        "\ttab",
        "ENC[AES256_GCM,data:x,iv:x,tag:x,type:str]",
    ];
    for text in texts {
        scratch.edit(&[
            set(&["secrets", "TOKEN"], text),
            set(&["config", "NEW"], text),
        ]);
        let values = scratch.json();
        assert_eq!(values["secrets"]["TOKEN"], text);
        assert_eq!(values["config"]["NEW"], text);
    }
    let unset = Edit::Unset {
        path: KeyPath::of(["secrets", "PASSWORD"]),
    };
    scratch.edit(&[unset, set(&["more", "deep", "KEY"], "x")]);
    let values = scratch.json();
    assert_eq!(values["secrets"]["PASSWORD"], serde_json::Value::Null);
    assert_eq!(values["more"]["deep"]["KEY"], "x");
}

#[test]
#[ignore = "needs the real sops: make test"]
fn sops_edits_our_documents_and_we_open_the_result() {
    let scratch = Scratch::new();
    let written = scratch.seal(PLAIN);
    scratch.ask(&["set", "doc.yaml", "[\"secrets\"][\"TOKEN\"]", "\"by sops\""]);
    scratch.ask(&["set", "doc.yaml", "[\"secrets\"][\"ADDED\"]", "\"x\""]);
    assert_eq!(scratch.value(&["secrets", "TOKEN"]), "by sops");
    assert_eq!(scratch.value(&["secrets", "ADDED"]), "x");
    assert_eq!(scratch.value(&["secrets", "PASSWORD"]), "canary: #1");
    let opened = scratch.open();
    assert_eq!(
        trust::verify(opened.sealed(), opened.key()),
        Verdict::Missing,
        "SOPS drops the field"
    );
    scratch.edit(&[set(&["secrets", "TOKEN"], "by us")]);
    let opened = scratch.open();
    assert!(matches!(
        trust::verify(opened.sealed(), &written.key),
        Verdict::Valid { .. }
    ));
    assert_eq!(scratch.json()["secrets"]["TOKEN"], "by us");
}

#[test]
#[ignore = "needs the real sops: make test"]
fn sops_seals_and_our_edit_touches_only_what_it_names() {
    let scratch = Scratch::new();
    scratch.write(PLAIN);
    let recipient = scratch.identity.recipient().to_string();
    scratch.ask(&[
        "encrypt",
        "-i",
        "--age",
        &recipient,
        "--encrypted-regex",
        "^(secrets|password)$",
        "doc.yaml",
    ]);
    let before = scratch.read();
    scratch.edit(&[set(&["secrets", "TOKEN"], "new")]);
    let after = scratch.read();
    let strays: Vec<&str> = after
        .lines()
        .filter(|line| !before.lines().any(|other| other == *line))
        .map(|line| line.trim_start().split(':').next().unwrap())
        .collect();
    let seal = ["sealctl", "created", "hmac", "revision", "v"];
    assert_eq!(
        strays,
        [&["TOKEN", "lastmodified", "mac"][..], &seal].concat()
    );
    assert_eq!(scratch.json()["secrets"]["TOKEN"], "new");
}

#[test]
#[ignore = "needs the real sops: make test"]
fn sops_and_we_refuse_the_same_tampered_documents() {
    let scratch = Scratch::new();
    let text = scratch.seal(PLAIN).text;
    let line = |key: &str| {
        text.lines()
            .find(|line| line.trim_start().starts_with(key))
            .unwrap()
    };
    let value = |key: &str| {
        line(key)
            .split_once(": ")
            .unwrap()
            .1
            .split(" #")
            .next()
            .unwrap()
            .trim()
    };
    let swapped = text
        .replace(value("TOKEN"), "@")
        .replace(value("PIN"), value("TOKEN"))
        .replace('@', value("PIN"));
    for (what, broken) in [
        ("swapped values", swapped),
        ("a truncated file", text[..text.len() * 2 / 3].to_owned()),
        ("no MAC", text.replace(&format!("{}\n", line("mac")), "")),
        (
            "a removed value",
            text.replace(&format!("{}\n", line("TOKEN")), ""),
        ),
        ("a changed clear value", text.replace("5432", "5433")),
        (
            "plaintext where ciphertext must be",
            text.replace(value("PIN"), "4711"),
        ),
    ] {
        assert_ne!(broken, text, "{what}");
        scratch.write(&broken);
        assert!(
            !scratch.call(&["decrypt", "doc.yaml"]).status.success(),
            "sops takes {what}"
        );
        let ours = Sealed::parse(Format::Yaml, &Secret::from_text(&broken))
            .ok()
            .and_then(|sealed| {
                let key = sealed
                    .data_key(std::slice::from_ref(&scratch.identity))
                    .ok()?;
                sealed.open(&key).ok()
            });
        assert!(ours.is_none(), "we take {what}");
    }
}

/// Keys that patterns of Go and of other engines tell apart differently.
const KEYS: [&str; 22] = [
    "a", "b", "k", "K", "\u{212a}", "é", "ß", "7", "\u{0663}", "_", "a b", "a\u{a0}b", "a\u{b}b",
    "&", "a&&b", "[", "~~", "--", "{,2}", "a{", "<a>", "α",
];

/// Patterns as people write them, and those in which other engines differ from Go.
const PATTERNS: [&str; 54] = [
    "^(a|b)$",
    "a",
    "^a$",
    r"^\d$",
    r"^\D$",
    r"^\w$",
    r"\W",
    r"^\W$",
    r"a\sb",
    r"a\Sb",
    r"\ba\b",
    r"\Bb",
    r"é\b",
    r"\B",
    "(?i)^k$",
    "(?i)^[k]$",
    "(?i)^[^k]$",
    r"(?i)^\w$",
    "^.$",
    "[a&&b]",
    "^[a&&b]$",
    "[[a]",
    "^[[a]$",
    "^[a[]b]$",
    "[~~]",
    "^[--a]$",
    "^[a-]$",
    "^[]a]$",
    "^[^]a]$",
    "a{",
    "{,2}",
    "^a{1,2}$",
    r"^\Qa{\E$",
    r"\Q&&\E",
    r"\<a\>",
    r"^\pL$",
    r"^\p{Greek}$",
    r"^\P{Lu}$",
    r"^\p{^L}$",
    r"^[\pN]$",
    r"^[^\d]$",
    r"^[\w&]$",
    "^[[:alpha:]]$",
    "^[[:^alpha:]]$",
    "^[[:word:]&]$",
    r"^\x61$",
    r"^\x{3b1}$",
    r"^\141$",
    r"^[\x61-\x62]$",
    "(?P<name>a)b?$",
    "(?s)^a.b$",
    "(?U)a+",
    r"\Aa\z",
    "^(?:a|(?i:K))$",
];

/// Which of [`KEYS`] `sops` encrypts.
fn selected_by_sops(scratch: &Scratch, pattern: &str) -> Vec<&'static str> {
    let recipient = scratch.identity.recipient().to_string();
    let sealed = scratch.ask(&[
        "encrypt",
        "--age",
        &recipient,
        "--encrypted-regex",
        pattern,
        "--output-type",
        "json",
        "doc.yaml",
    ]);
    let sealed: serde_json::Value = serde_json::from_str(&sealed).unwrap();
    let is_sealed = |key: &&str| sealed[*key].as_str().unwrap().starts_with("ENC[");
    KEYS.into_iter().filter(is_sealed).collect()
}

#[test]
#[ignore = "needs the real sops: make test"]
fn sops_and_we_select_the_same_keys_by_a_pattern() {
    let scratch = Scratch::new();
    let plain: String = KEYS
        .iter()
        .map(|key| format!("{}: x\n", serde_json::to_string(key).unwrap()))
        .collect();
    scratch.write(&plain);
    let plain = Secret::from_text(&plain);
    let recipients = [scratch.identity.recipient()];
    for pattern in PATTERNS {
        let rule = Rule::named("encrypted_regex", pattern).unwrap().unwrap();
        let draft = sealctl::sops::seal(Format::Yaml, &plain, &recipients, &rule, now()).unwrap();
        let is_sealed = |key: &&str| {
            let node = draft.sealed.tree().find(key).map(|entry| &entry.value);
            matches!(node, Some(Node::Leaf(leaf)) if leaf.sealed)
        };
        let ours: Vec<&str> = KEYS.into_iter().filter(is_sealed).collect();
        assert_eq!(ours, selected_by_sops(&scratch, pattern), "{pattern}");
    }
    // SOPS takes what it cannot follow for a pattern that nothing fits; we refuse it.
    for pattern in [
        "(",
        "a**",
        r"\Z",
        r"\h",
        "(?x)a",
        r"[a-\d]",
        r"\1",
        "a{1001}",
        "[[:none:]]",
        r"\p{Alphabetic}",
        "(?u)a",
    ] {
        let rule = Rule::named("encrypted_regex", pattern).unwrap();
        assert!(rule.is_err(), "{pattern}");
        assert!(selected_by_sops(&scratch, pattern).is_empty(), "{pattern}");
    }
}
