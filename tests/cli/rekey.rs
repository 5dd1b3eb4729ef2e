//! `rekey`: who is listed in `keys/` can open the documents, and nobody else.
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
    ran.says(&["1 document would change, 1 document up to date"]);
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
    sandbox.refuses(&["rekey", "notes.txt"], 2, &["no document", "rotate"]);
    let ran = sandbox.run(&["rekey", "envs/prod", "--yes"]).ok();
    assert!(ran.stdout.contains("- age1"), "{}", ran.stdout);
}
