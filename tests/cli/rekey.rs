//! `rekey`: who is listed in `keys/` can open the documents and the other sealed files, and nobody else.
#![expect(clippy::disallowed_methods, reason = "takes a reader away")]

use std::fs;

use crate::sandbox::{CANARY, Sandbox, recipient};

const DEV: &str = "envs/dev/web.yaml";

/// A project whose environment `dev` lists bob, who cannot open it yet.
fn pending() -> Sandbox {
    let sandbox = Sandbox::committed();
    let line = format!("{}\n", recipient("bob"));
    sandbox.write("keys/dev/bob.pub", line);
    sandbox
}

/// The lines with ciphertext of values.
fn values(sandbox: &Sandbox) -> Vec<String> {
    let text = sandbox.read(DEV);
    let lines = text.lines().filter(|line| line.contains("ENC["));
    let lines = lines.filter(|line| !line.contains("mac:"));
    lines.map(str::to_owned).collect()
}

#[test]
fn who_is_new_can_open_the_documents_and_no_value_is_sealed_anew() {
    let sandbox = pending();
    let before = values(&sandbox);
    let ran = sandbox.run(&["rekey", "--dry-run"]).ok();
    assert!(
        ran.stdout.contains(&format!("{DEV}  + bob")),
        "{}",
        ran.stdout
    );
    ran.says(&["1 file would change, 1 file up to date"]);
    sandbox.refuses(&["rekey"], 2, &["E0521", "+ bob", "--yes"]);
    sandbox
        .run(&["rekey", "--yes"])
        .ok()
        .says(&["sealed for alice, bob", "revision 4"]);
    assert_eq!(values(&sandbox), before);
    sandbox.run(&["check"]).ok();
    sandbox.become_reader("bob");
    assert_eq!(sandbox.run(&["get", "TOKEN"]).ok().stdout, CANARY);
    sandbox.run(&["check"]).ok();
    let again = sandbox.run(&["rekey", "--error-unchanged"]);
    assert_eq!(again.code, 3, "{}", again.stderr);
}

#[test]
fn who_is_gone_cannot_open_the_new_file_with_the_key_that_was_known() {
    let sandbox = pending();
    sandbox.run(&["rekey", "-e", "dev", "--yes"]).ok();
    let before = values(&sandbox);
    fs::remove_file(sandbox.path("keys/dev/bob.pub")).unwrap();
    sandbox
        .run(&["rekey", DEV, "--yes"])
        .ok()
        .says(&["sealed for alice;", "knows the values"]);
    let after = values(&sandbox);
    assert!(before.iter().all(|line| !after.contains(line)));
    assert_eq!(sandbox.run(&["get", "TOKEN"]).ok().stdout, CANARY);
    sandbox.run(&["check", "--strict"]).ok();
    sandbox.become_reader("bob");
    sandbox.refuses(&["get", "TOKEN"], 12, &["E0112"]);
}

#[test]
fn one_document_that_does_not_open_keeps_all_as_they_were() {
    let sandbox = pending();
    sandbox.write("keys/prod/bob.pub", format!("{}\n", recipient("bob")));
    sandbox.run(&["rekey", "-e", "prod", "--yes"]).ok();
    // Now prod misses alice, and dev is tampered with.
    fs::remove_file(sandbox.path("keys/prod/bob.pub")).unwrap();
    sandbox.replace(DEV, "PORT: \"5432\"", "PORT: \"6432\"");
    let words = ["E0130", DEV, "nothing was written"];
    sandbox.refuses(&["rekey", "--yes"], 13, &words);
    sandbox.replace(DEV, "PORT: \"6432\"", "PORT: \"5432\"");
    sandbox.replace(DEV, "    revision: 3", "    revision: 9");
    sandbox.refuses(&["rekey", "--yes"], 15, &["E0150", DEV, "sealctl encrypt"]);
    sandbox.write("notes.txt", "a");
    sandbox.refuses(
        &["rekey", "notes.txt"],
        2,
        &["no sealed file", "sealctl encrypt"],
    );
    let ran = sandbox.run(&["rekey", "envs/prod", "--yes"]).ok();
    assert!(ran.stdout.contains("- age1"), "{}", ran.stdout);
}

/// Files of every format that are sealed for the readers of `dev`, some in its folder.
const OTHERS: [(&str, &str); 4] = [
    ("envs/dev/extra.json", "{\"password\": \"one\"}"),
    ("envs/dev/old.ini", "[a]\npassword = one\n"),
    ("shared/.env", "TOKEN=one\n"),
    ("certs/tls.key", "token one\n"),
];

#[test]
fn other_sealed_files_and_the_generated_rules_follow_the_listing_too() {
    let sandbox = pending();
    let theirs = format!(
        "  - path_regex: ^shared/ # ours\n    age: {}\n\n",
        recipient("alice")
    );
    let rules = sandbox.read(".sops.yaml");
    sandbox.write(".sops.yaml", format!("{rules}{theirs}"));
    sandbox
        .run(&["rekey", "--yes"])
        .ok()
        .says(&["✓ .sops.yaml: the rules of keys/"]);
    let renewed = sandbox.read(".sops.yaml");
    assert!(renewed.ends_with(&theirs) && renewed.contains(&recipient("bob")));
    for (name, text) in OTHERS {
        sandbox.write(name, text);
        let (alice, bob) = (recipient("alice"), recipient("bob"));
        sandbox
            .run(&["encrypt", "-r", &alice, "-r", &bob, name])
            .ok();
    }
    fs::remove_file(sandbox.path("keys/dev/bob.pub")).unwrap();
    let check = sandbox.run(&["check"]);
    let said = [
        "E0150 envs/dev/extra.json",
        "E0150 envs/dev/old.ini",
        "E0150 shared/.env",
        "W0152 certs/tls.key",
        "sealctl rekey -e ENV certs/tls.key",
        "W0515 .sops.yaml",
    ];
    let missing: Vec<_> = said
        .iter()
        .filter(|line| !check.stdout.contains(**line))
        .collect();
    assert!(
        check.code == 1 && missing.is_empty(),
        "{missing:?}\n{}",
        check.stdout
    );
    let words = ["certs/tls.key", "sealctl rekey -e ENV"];
    sandbox.refuses(&["rekey", "certs/tls.key"], 2, &words);
    sandbox.run(&["rekey", "--yes"]).ok().says(&[
        "envs/dev/extra.json: sealed for alice",
        "certs/tls.key is left as it is",
        "git add .sops.yaml",
    ]);
    sandbox.run(&["rekey", "-e", "dev", "certs", "--yes"]).ok();
    sandbox.run(&["check", "--strict"]).ok();
    assert_eq!(sandbox.run(&["rekey", "--error-unchanged"]).code, 3);
    let after = sandbox.read(".sops.yaml");
    assert!(after.ends_with(&theirs) && !after.contains(&recipient("bob")));
    for (name, text) in OTHERS {
        let opened = sandbox.run(&["decrypt", name]).ok().stdout;
        assert_eq!(
            opened.split_whitespace().last(),
            text.split_whitespace().last()
        );
    }
    sandbox.become_reader("bob");
    for (name, _) in OTHERS {
        sandbox.refuses(&["decrypt", name], 12, &["E0112"]);
    }
}

#[test]
fn rules_that_sealctl_did_not_write_stay_byte_for_byte() {
    let sandbox = pending();
    let theirs = format!("creation_rules:\n- age: {}\n", recipient("alice"));
    sandbox.write(".sops.yaml", &theirs);
    sandbox.run(&["rekey", "--yes"]).ok();
    sandbox.run(&["check", "--strict"]).ok();
    assert_eq!(sandbox.read(".sops.yaml"), theirs);
}
