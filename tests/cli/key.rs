//! People come and go: asked for, approved, listed, removed.

use std::fs;

use crate::git::git;
use crate::sandbox::{CANARY, Sandbox, assert_hides, recipient};

/// Whether `name` opens dev; alice is back afterwards.
fn opens(sandbox: &Sandbox, name: &str) -> bool {
    sandbox.become_reader(name);
    let code = sandbox.run(&["get", "TOKEN", "-e", "dev"]).code;
    sandbox.become_reader("alice");
    code == 0
}

/// Bob has asked for dev.
fn asked() -> Sandbox {
    let sandbox = Sandbox::committed();
    sandbox.become_reader("bob");
    sandbox
        .run(&["key", "new", "--request", "--env", "dev", "--name", "bob"])
        .ok()
        .says(&["sealctl key approve bob --env dev"]);
    sandbox.become_reader("alice");
    git(&sandbox, &["add", "-A"]).ok();
    git(&sandbox, &["commit", "-q", "-m", "bob asks"]).ok();
    sandbox
}

#[test]
fn who_asked_is_shown_in_full_with_his_commit_and_reads_after_approval() {
    let sandbox = asked();
    assert!(!opens(&sandbox, "bob"));
    let listed = sandbox.run(&["key", "list", "-e", "dev"]).ok().stdout;
    assert!(listed.contains("0 of 1, pending"), "{listed}");
    // Without a terminal nothing is guessed.
    sandbox.refuses(&["key", "approve", "bob", "--env", "dev"], 2, &["--yes"]);
    sandbox
        .run(&["key", "approve", "bob", "--env", "dev", "--yes"])
        .ok()
        .says(&[
            &recipient("bob"),
            "keys/dev/bob.pub, added in ",
            " by alice@example.com",
        ]);
    assert!(opens(&sandbox, "bob"));
    let listed = sandbox.run(&["key", "list"]).ok().stdout;
    let bob = listed
        .lines()
        .find(|line| line.starts_with("bob "))
        .unwrap();
    assert!(
        bob.contains("person") && bob.ends_with("1 of 1"),
        "{listed}"
    );
    assert!(
        listed.starts_with("dev\n") && listed.contains("\nprod\n"),
        "{listed}"
    );
    let again = ["key", "approve", "bob", "--env", "dev", "--error-unchanged"];
    assert_eq!(sandbox.run(&again).code, 3);
}

#[test]
fn a_key_of_another_environment_is_approved_by_its_name() {
    let sandbox = asked();
    sandbox
        .run(&["key", "approve", "bob", "--env", "prod", "--dry-run"])
        .ok();
    assert!(!sandbox.path("keys/prod/bob.pub").exists());
    sandbox
        .run(&["key", "approve", "bob", "--env", "prod", "--yes"])
        .ok();
    assert!(
        sandbox
            .read("keys/prod/bob.pub")
            .contains(&recipient("bob"))
    );
    sandbox.refuses(&["key", "approve", "bob"], 2, &["which environment?"]);
    sandbox.refuses(
        &["key", "approve", "nobody", "--env", "dev"],
        1,
        &["E0127", "sealctl key add nobody --env dev age1…"],
    );
}

#[test]
fn a_key_from_elsewhere_is_added_and_a_name_keeps_its_key_unless_it_is_replaced() {
    let sandbox = Sandbox::committed();
    let (bob, cluster) = (recipient("bob"), recipient("cluster-dev"));
    let add = |key: &str, more: &[&str]| {
        let words = ["key", "add", "ci", "--env", "dev", key, "--yes"];
        [&words[..], more]
            .concat()
            .iter()
            .map(ToString::to_string)
            .collect::<Vec<_>>()
    };
    let run = |words: Vec<String>| {
        let words: Vec<&str> = words.iter().map(String::as_str).collect();
        sandbox.run(&words)
    };
    run(add(&bob, &[])).ok();
    assert!(opens(&sandbox, "bob"));
    let refused = run(add(&cluster, &[]));
    assert!(
        refused.code == 1 && refused.stderr.contains("E0125"),
        "{}",
        refused.stderr
    );
    run(add(&cluster, &["--replace"])).ok();
    assert!(!opens(&sandbox, "bob"));
    sandbox.run(&["lint"]).ok();
    for wrong in ["age1nothing", "AGE-SECRET-KEY-1QQQ"] {
        let ran = run(add(wrong, &[]));
        assert_eq!(ran.code, 2, "{}", ran.stderr);
        assert!(!ran.stderr.contains("SECRET-KEY-1QQQ"), "{}", ran.stderr);
    }
}

#[test]
fn who_is_removed_reads_nothing_new_and_what_he_knew_is_named() {
    let sandbox = asked();
    sandbox
        .run(&["key", "approve", "bob", "--env", "dev", "--yes"])
        .ok();
    sandbox.refuses(&["key", "remove", "bob"], 2, &["--confirm=bob"]);
    sandbox.refuses(&["key", "remove", "bob", "--confirm=bop"], 1, &["E0135"]);
    sandbox.refuses(
        &["key", "remove", "carol", "--confirm=carol"],
        1,
        &["E0127"],
    );
    let before = sandbox.files();
    sandbox
        .run(&["key", "remove", "bob", "--dry-run"])
        .ok()
        .says(&["TOKEN"]);
    assert_eq!(sandbox.files(), before);
    let remove = [
        "key",
        "remove",
        "bob",
        "--confirm=bob",
        "--checklist",
        "todo.md",
    ];
    let ran = sandbox.run(&remove).ok();
    assert_hides(&ran, CANARY);
    let ran = ran.says(&[
        "bob could read 1 value",
        "TOKEN",
        "keys/dev/bob.pub removed",
    ]);
    assert!(ran.stderr.contains("dev"), "{}", ran.stderr);
    assert!(!opens(&sandbox, "bob"));
    assert!(!sandbox.read(".sops.yaml").contains(&recipient("bob")));
    assert_eq!(
        sandbox.read("todo.md"),
        "# What bob could read\n- [ ] dev: TOKEN\n"
    );
    sandbox.run(&["lint"]).ok();
}

#[test]
fn the_last_person_is_not_removed_and_a_failure_leaves_the_key_listed() {
    let sandbox = Sandbox::committed();
    sandbox.write(
        "keys/dev/recovery.pub",
        format!("{}\n", recipient("recovery")),
    );
    sandbox.run(&["rekey", "-e", "dev", "--yes"]).ok();
    sandbox.refuses(
        &["key", "remove", "alice", "--confirm=alice", "-e", "dev"],
        1,
        &["E0128", "sealctl key approve"],
    );
    sandbox
        .run(&[
            "key",
            "remove",
            "recovery",
            "--confirm=recovery",
            "-e",
            "dev",
        ])
        .ok();
    // Who cannot open the documents cannot seal them anew.
    sandbox.write("keys/dev/bob.pub", format!("{}\n", recipient("bob")));
    sandbox.run(&["rekey", "-e", "dev", "--yes"]).ok();
    fs::remove_dir_all(sandbox.home().join(".config")).unwrap();
    sandbox.refuses(
        &["key", "remove", "bob", "--confirm=bob", "-e", "dev"],
        11,
        &["E0101"],
    );
}

#[test]
fn the_public_half_is_printed_and_nothing_else() {
    let sandbox = Sandbox::empty();
    let printed = sandbox.run(&["key", "export"]).ok();
    assert_eq!(printed.stdout, format!("{}\n", recipient("alice")));
    sandbox.run(&["key", "export", "--out", "me.pub"]).ok();
    assert_eq!(sandbox.read("me.pub"), printed.stdout);
    fs::remove_dir_all(sandbox.home().join(".config")).unwrap();
    sandbox.refuses(&["key", "export"], 11, &["E0101", "sealctl key new"]);
}

#[test]
fn a_list_of_readers_is_data_too() {
    let sandbox = Sandbox::committed();
    let listed = sandbox
        .run(&["key", "list", "-e", "dev", "-o", "json"])
        .ok()
        .stdout;
    let listed: serde_json::Value = serde_json::from_str(&listed).unwrap();
    assert_eq!(listed["kind"], "KeyList");
    let alice = &listed["environments"][0]["readers"][0];
    assert_eq!(
        (&alice["name"], &alice["kind"], &alice["opens"]),
        (&"alice".into(), &"person".into(), &1.into())
    );
    assert_eq!(alice["recipient"], recipient("alice"));
}
