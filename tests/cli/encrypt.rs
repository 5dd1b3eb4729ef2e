//! `encrypt`: the verb that people type most, and who can read what it sealed.
#![expect(clippy::disallowed_methods, reason = "takes a reader away")]

use crate::sandbox::{CANARY, Sandbox, recipient};

const DEV: &str = "envs/dev/web.yaml";

#[test]
fn what_was_typed_is_sealed_and_the_rest_keeps_its_bytes() {
    let sandbox = Sandbox::project();
    let before = sandbox.read(DEV);
    sandbox.replace(
        DEV,
        "secrets:",
        "secrets:\n  # from the vault\n  API_KEY: oops   # new",
    );
    sandbox.run(&["encrypt"]).ok().says(&[
        "1 value and 2 comments sealed (API_KEY) for alice",
        "revision 4",
    ]);
    let after = sandbox.read(DEV);
    assert!(!after.contains("oops") && !after.contains("vault"));
    for line in before
        .lines()
        .filter(|line| line.contains("TOKEN") || line.contains("HOST"))
    {
        assert!(after.contains(line), "{line}");
    }
    assert_eq!(sandbox.run(&["get", "API_KEY"]).ok().stdout, "oops");
}

#[test]
fn a_comment_that_was_typed_between_secrets_is_sealed_and_one_elsewhere_stays() {
    let sandbox = Sandbox::project();
    sandbox.replace(DEV, "secrets:", "# for all\nsecrets:\n  # from the vault");
    sandbox
        .run(&["encrypt"])
        .ok()
        .says(&["1 comment sealed", "revision 4"]);
    let after = sandbox.read(DEV);
    assert!(after.contains("# for all") && !after.contains("vault"));
    sandbox
        .run(&["encrypt"])
        .ok()
        .says(&["no document holds plaintext"]);
}

#[test]
fn what_is_sealed_throughout_stays_byte_for_byte() {
    let sandbox = Sandbox::project();
    let before = sandbox.files();
    sandbox
        .run(&["encrypt", DEV])
        .ok()
        .says(&["sealed throughout"]);
    sandbox.run(&["encrypt"]).ok();
    assert_eq!(sandbox.run(&["encrypt", "--error-unchanged"]).code, 3);
    assert_eq!(sandbox.files(), before);
}

#[test]
fn a_new_document_needs_no_identity() {
    let sandbox = Sandbox::project();
    sandbox.become_reader("bob");
    sandbox.write(
        "envs/dev/jobs.yaml",
        "sealctl: v1\napp: jobs\nenvironment: dev\nsecrets:\n  A: b\n",
    );
    sandbox
        .run(&["encrypt", "envs/dev/jobs.yaml"])
        .ok()
        .says(&["revision 1"]);
    sandbox.become_reader("alice");
    assert_eq!(sandbox.run(&["get", "A", "-a", "jobs"]).ok().stdout, "b");
}

#[test]
fn a_typed_value_in_the_place_of_a_sealed_one_needs_no_question_where_git_knows_the_rest() {
    let sandbox = Sandbox::committed();
    let text = sandbox.read(DEV);
    let line = text.lines().find(|line| line.contains("TOKEN:")).unwrap();
    sandbox.replace(DEV, line, "  TOKEN: typed");
    sandbox.run(&["encrypt", DEV]).ok().says(&["(TOKEN)"]);
    assert_eq!(sandbox.run(&["get", "TOKEN"]).ok().stdout, "typed");
}

#[test]
fn a_typed_value_in_the_place_of_an_empty_one_needs_no_question() {
    let sandbox = Sandbox::project();
    sandbox.run_with(&["set", "LATER", "-"], "").ok();
    sandbox.replace(DEV, "LATER: \"\"", "LATER: typed");
    sandbox.run(&["encrypt", DEV]).ok().says(&["(LATER)"]);
}

#[test]
fn a_hand_edit_of_a_clear_value_is_shown_and_asked_for() {
    let sandbox = Sandbox::committed();
    sandbox.replace(DEV, "PORT: \"5432\"", "PORT: \"6432\"");
    let words = ["E0130", "~ config.PORT: \"5432\" to \"6432\"", "--yes"];
    sandbox.refuses(&["encrypt", DEV], 13, &words);
    sandbox
        .run(&["encrypt", DEV, "--yes"])
        .ok()
        .says(&["revision 4"]);
    assert_eq!(sandbox.run(&["get", "PORT"]).ok().stdout, "6432");
}

#[test]
fn without_git_a_hand_edit_is_asked_for_as_well() {
    let sandbox = Sandbox::project();
    sandbox.replace(DEV, "PORT: \"5432\"", "PORT: \"6432\"");
    sandbox.refuses(
        &["encrypt", DEV],
        13,
        &["no version of it whose MAC is right"],
    );
}

#[test]
fn a_seal_that_stock_sops_dropped_is_renewed_with_the_counter_of_git() {
    let sandbox = Sandbox::committed();
    sandbox.write(DEV, without_seal(&sandbox.read(DEV)));
    sandbox
        .run(&["encrypt", DEV])
        .ok()
        .says(&["sealed again", "revision 4"]);
    assert!(sandbox.read(DEV).contains("hmac:"));
}

#[test]
fn a_file_outside_a_project_is_sealed_for_given_recipients() {
    let sandbox = Sandbox::empty();
    let (alice, bob) = (recipient("alice"), recipient("bob"));
    sandbox.write("some.yaml", format!("a: {CANARY}\nb: [1, 2]\n"));
    sandbox.refuses(&["encrypt", "some.yaml"], 2, &["nobody to seal", "-r age1"]);
    let sealed = sandbox
        .run(&["encrypt", "-r", &alice, "-r", &bob, "some.yaml", "--stdout"])
        .ok();
    assert!(sealed.stdout.contains("unencrypted_suffix") && !sealed.stdout.contains(CANARY));
    assert!(sandbox.read("some.yaml").contains(CANARY));
    sandbox.run(&["encrypt", "-r", &alice, "some.yaml"]).ok();
    assert_eq!(
        sandbox.run(&["decrypt", "some.yaml"]).ok().stdout,
        format!("a: {CANARY}\nb: [1, 2]\n")
    );
}

#[test]
fn standard_input_is_sealed_to_standard_output() {
    let sandbox = Sandbox::empty();
    let document = "sealctl: v1\napp: web\nenvironment: dev\nsecrets:\n  A: hidden-value\n";
    let alice = recipient("alice");
    let sealed = sandbox
        .run_with(&["encrypt", "-r", &alice, "-"], document)
        .ok()
        .stdout;
    assert!(sealed.contains("hmac:") && !sealed.contains("hidden-value"));
    assert_eq!(
        sandbox.run_with(&["decrypt", "-"], &sealed).ok().stdout,
        document
    );
}

#[test]
fn one_wrong_file_among_several_leaves_all_as_they_were() {
    let sandbox = Sandbox::project();
    sandbox.replace(DEV, "secrets:", "secrets:\n  GOOD: typed");
    sandbox.write(
        "envs/prod/web.yaml",
        "sealctl: v1\napp: web\nenvironment: prod\nsecrets:\n  A=B: c\n",
    );
    sandbox.refuses(&["encrypt"], 1, &["E0210", "envs/prod/web.yaml:5"]);
}

#[test]
fn a_private_key_given_as_recipient_is_refused_and_not_repeated() {
    let sandbox = Sandbox::empty();
    sandbox.write("some.yaml", "a: b\n");
    let key = std::process::Command::new("grep")
        .args(["-h", "AGE-SECRET"])
        .arg(crate::sandbox::identity("bob"))
        .output()
        .unwrap();
    let key = String::from_utf8(key.stdout).unwrap().trim().to_owned();
    let ran = sandbox.refuses(&["encrypt", "-r", &key, "some.yaml"], 2, &["private key"]);
    crate::sandbox::assert_hides(&ran, &key);
}

/// The sops block with bob's key, wrapped by nobody, put in by hand.
fn add_a_stranger(sandbox: &Sandbox) {
    let text = sandbox.read(DEV);
    let start = text.find("    - enc: |").unwrap();
    let end = start + text[start..].find("  encrypted_regex").unwrap();
    let stranger = text[start..end].replace(&recipient("alice"), &recipient("bob"));
    sandbox.write(DEV, format!("{}{stranger}{}", &text[..end], &text[end..]));
}

#[test]
fn a_reader_put_in_by_hand_is_asked_for_also_beside_a_typed_value() {
    let sandbox = Sandbox::committed();
    add_a_stranger(&sandbox);
    sandbox.replace(DEV, "secrets:", "secrets:\n  NEW: typed");
    let words = ["E0130", "+ reader age1", "--yes"];
    sandbox.refuses(&["encrypt", DEV], 13, &words);
    // The same where the typed value took the place of a sealed one.
    sandbox.replace(DEV, "secrets:\n  NEW: typed", "secrets:");
    let text = sandbox.read(DEV);
    let line = text.lines().find(|line| line.contains("TOKEN:")).unwrap();
    sandbox.replace(DEV, line, "  TOKEN: typed");
    sandbox.refuses(&["encrypt", DEV], 13, &words);
    sandbox
        .run(&["encrypt", DEV, "--yes"])
        .ok()
        .says(&["(TOKEN)"]);
}

#[test]
fn a_reader_put_in_by_hand_is_asked_for_although_it_was_committed() {
    let sandbox = Sandbox::committed();
    add_a_stranger(&sandbox);
    sandbox.git(&["commit", "-qam", "tampered"]);
    sandbox.replace(DEV, "secrets:", "secrets:\n  NEW: typed");
    sandbox.refuses(&["encrypt", DEV], 13, &["E0130", "+ reader age1", "--yes"]);
}

#[test]
fn what_git_revert_brings_back_is_sealed_under_a_number_above_all_others() {
    let sandbox = Sandbox::committed();
    for value in ["1", "2"] {
        sandbox
            .run(&["set", &format!("A={value}"), "--config"])
            .ok();
        sandbox.git(&["commit", "-qam", value]);
    }
    sandbox.git(&["revert", "--no-edit", "HEAD"]);
    let highest = 5;
    assert!(sandbox.read(DEV).contains("revision: 4"));
    sandbox
        .run(&["encrypt", DEV])
        .ok()
        .says(&[&format!("revision {}", highest + 1)]);
    assert_eq!(sandbox.run(&["get", "A"]).ok().stdout, "1");
    // So it is once more, and for every verb that writes.
    sandbox.git(&["commit", "-qam", "again"]);
    sandbox.git(&["revert", "--no-edit", "HEAD"]);
    sandbox
        .run(&["set", "B=1", "--config"])
        .ok()
        .says(&[&format!("revision {}", highest + 2)]);
    sandbox.git(&["commit", "-qam", "last"]);
    sandbox
        .run(&["encrypt", DEV])
        .ok()
        .says(&["sealed throughout"]);
}

#[test]
fn a_number_in_git_that_no_seal_proves_drives_no_revision_up() {
    let sandbox = Sandbox::committed();
    let sealed = sandbox.read(DEV);
    sandbox.replace(DEV, "revision: 3", "revision: 18446744073709551614");
    sandbox.git(&["commit", "-qam", "made up"]);
    sandbox.write(DEV, sealed);
    sandbox.git(&["commit", "-qam", "and taken back"]);
    sandbox
        .run(&["encrypt", DEV])
        .ok()
        .says(&["sealed throughout"]);
    sandbox.run(&["set", "A=1", "--config"]).ok();
    assert!(
        sandbox.read(DEV).contains("revision: 4"),
        "{}",
        sandbox.read(DEV)
    );
}

#[test]
fn without_git_a_changed_sops_block_is_asked_for_also_beside_a_typed_value() {
    let sandbox = Sandbox::project();
    add_a_stranger(&sandbox);
    sandbox.replace(DEV, "secrets:", "secrets:\n  NEW: typed");
    sandbox.refuses(&["encrypt", DEV], 13, &["changed after it was sealed"]);
}

#[test]
fn whoever_reads_the_file_and_is_not_listed_is_named_and_so_is_who_is_listed_and_does_not() {
    let sandbox = Sandbox::project();
    let fix = format!("sealctl rekey {DEV}");
    sandbox.write("keys/dev/bob.pub", format!("{}\n", recipient("bob")));
    let pending = ["W0151", DEV, "bob", "keys/dev/", &fix];
    sandbox.run(&["set", "A=1", "--config"]).ok().says(&pending);
    sandbox.run(&["unset", "A"]).ok().says(&pending);
    sandbox.run(&["encrypt", DEV]).ok().says(&pending);
    let plain = sandbox.run(&["decrypt", DEV]).ok().stdout;
    let typed = plain.replace("HOST: db", "HOST: db9");
    sandbox
        .run_with(&["edit", "--stdio"], &typed)
        .ok()
        .says(&pending);
    let ran = sandbox.run(&["check"]).ok();
    assert!(ran.stdout.contains("W0151") && ran.stdout.contains(&fix));
    assert_eq!(sandbox.run(&["check", "--strict"]).code, 1);
    // What is said to do helps.
    let ran = sandbox
        .run(&["rekey", DEV, "--yes"])
        .ok()
        .says(&["alice, bob"]);
    assert!(!ran.stderr.contains("W0151"), "{}", ran.stderr);
    sandbox.run(&["check", "--strict"]).ok();

    std::fs::remove_file(sandbox.path("keys/dev/bob.pub")).unwrap();
    let words = ["W0150", "keys/dev/", &fix, &recipient("bob")[..7]];
    sandbox.run(&["set", "A=2", "--config"]).ok().says(&words);
    sandbox.refuses(&["check"], 1, &["E0150", "keys/dev/", &fix]);
}

#[test]
fn a_missing_or_wrong_seal_is_found_by_whoever_can_tell() {
    let sandbox = Sandbox::committed();
    let sealed = sandbox.read(DEV);
    sandbox.write(DEV, without_seal(&sealed));
    let fix = format!("sealctl encrypt {DEV}");
    let ran = sandbox.run(&["check"]).ok();
    assert!(ran.stdout.contains("W0150") && ran.stdout.contains(&fix));
    assert_eq!(sandbox.run(&["check", "--strict"]).code, 1);
    sandbox.write(DEV, sealed.replace("    revision: 3", "    revision: 9"));
    sandbox.refuses(&["check"], 1, &["E0150", "seal", &fix]);
    // Without the identity nothing can be said about it.
    sandbox.become_reader("bob");
    sandbox.run(&["check"]).ok();
}

/// The file as stock SOPS writes it: it drops the field.
fn without_seal(text: &str) -> String {
    let start = text.find("  sealctl:\n").unwrap();
    let end = text[start + 4..].find("\n  version").unwrap() + start + 5;
    format!("{}{}", &text[..start], &text[end..])
}

#[test]
fn recipients_without_a_file_are_asked_for_one_and_a_trial_names_no_next_step() {
    let sandbox = Sandbox::committed();
    let key = recipient("bob");
    let words = ["which file?", "sealctl encrypt -r KEY FILE"];
    sandbox.refuses(&["encrypt", "-r", &key], 2, &words);
    sandbox.write("a.json", "{\"token\": \"one\"}");
    for arguments in [
        &["encrypt", "-e", "dev", "a.json"][..],
        &["set", "NEW=1", "--config", "-e", "dev"],
    ] {
        let ran = sandbox.run(&[arguments, &["--dry-run"]].concat()).ok();
        assert!(!ran.stderr.contains("Next:"), "{}", ran.stderr);
        sandbox.run(arguments).ok().says(&["Next:"]);
    }
}

#[test]
fn a_mistyped_key_of_the_configuration_is_named_with_the_one_that_was_meant() {
    let sandbox = Sandbox::project();
    let rules = sandbox.read(".sops.yaml");
    sandbox.write(".sops.yaml", format!("{rules}creation_rule: []\n"));
    sandbox.write("a.json", "{\"token\": \"one\"}");
    let words = "\"creation_rule\" is no key of a configuration and is ignored; did you mean creation_rules?";
    let line = format!(".sops.yaml:{}  {words}", rules.lines().count() + 1);
    let key = recipient("alice");
    sandbox
        .run(&["encrypt", "-r", &key, "a.json"])
        .ok()
        .says(&[&line]);
    let check = sandbox.run(&["check"]).ok();
    assert!(check.stdout.contains(&line), "{}", check.stdout);
    let stock = sandbox.run(&["sops", "decrypt", "a.json"]).ok();
    assert!(!stock.stderr.contains("is no key"), "{}", stock.stderr);
}
