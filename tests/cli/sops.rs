//! The drop-in where the vectors do not reach: what it refuses, what it warns about, and that nothing
//! is lost or left behind.
#![expect(
    clippy::disallowed_methods,
    reason = "makes links and looks at what is left"
)]

use std::ffi::OsStr;
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::process::Command;

use crate::key_file::public_key;
use crate::sandbox::{CANARY, Ran, Sandbox, assert_hides, recipient};
use crate::terminal::on_terminal;

/// A sandbox with a sealed `s.yaml`, which holds the canary.
fn sealed() -> Sandbox {
    let sandbox = Sandbox::empty();
    sandbox.write("s.yaml", format!("# note\na: 1\n\nsecret: {CANARY}\n"));
    sandbox.seal_for("alice", "s.yaml");
    assert!(!sandbox.read("s.yaml").contains(CANARY));
    sandbox
}

fn edit(sandbox: &Sandbox, body: &str) -> Ran {
    let editor = sandbox.script("editor", &format!("for f; do :; done\n{body}"));
    let variables = [("SOPS_EDITOR", editor.as_os_str())];
    sandbox.run_as(&["sops", "edit", "s.yaml"], "", &variables)
}

/// Where `edit` says that what was typed is kept.
fn kept(text: &str) -> &str {
    let line = text
        .lines()
        .find_map(|line| line.strip_prefix("What was typed is kept in "));
    line.unwrap_or_else(|| panic!("nothing is kept:\n{text}"))
        .trim()
}

/// The plaintext of `s.yaml`.
fn opened(sandbox: &Sandbox) -> String {
    sandbox.run(&["sops", "decrypt", "s.yaml"]).ok().stdout
}

#[test]
fn a_link_called_sops_is_sops() {
    let sandbox = sealed();
    let link = sandbox.path("sops");
    std::os::unix::fs::symlink(env!("CARGO_BIN_EXE_sealctl"), &link).unwrap();
    let run = |words: &[&str]| {
        let mut command = Command::new(&link);
        sandbox.enter(&mut command);
        let output = command.args(words).output().unwrap();
        assert!(output.status.success(), "{words:?}");
        String::from_utf8(output.stdout).unwrap()
    };
    assert!(run(&["--version"]).starts_with("sops 3.13.3 (sealctl "));
    assert_eq!(run(&["-d", "--extract", "[\"a\"]", "s.yaml"]), "1\n");
    assert_eq!(run(&["decrypt", "s.yaml"]), opened(&sandbox));
    assert_eq!(
        run(&["decrypt", "s.yaml"]),
        format!("# note\na: 1\n\nsecret: {CANARY}\n")
    );
}

#[test]
fn what_is_not_offered_or_mistyped_is_refused_with_one_line() {
    let sandbox = sealed();
    for verb in ["publish", "keyservice"] {
        let ran = sandbox.refuses(&["sops", verb], 1, &[verb, "not offered"]);
        assert_eq!(ran.stderr.lines().count(), 1);
    }
    sandbox.refuses(&["sops", "decrpyt"], 1, &["did you mean decrypt?"]);
    sandbox.refuses(
        &["sops", "decrypt", "--nope", "s.yaml"],
        1,
        &["-nope", "USAGE"],
    );
    sandbox.refuses(
        &["sops", "-r", "--add-age", "x", "none.yaml"],
        49,
        &["none.yaml"],
    );
    sandbox.refuses(
        &["sops", "groups", "delete", "-f", "s.yaml", "0"],
        1,
        &["nobody"],
    );
    sandbox.refuses(
        &["sops", "groups", "delete", "-f", "s.yaml", "7"],
        1,
        &["7"],
    );
    sandbox.refuses(
        &["sops", "groups", "add", "-f", "s.yaml", "--age", "age1x"],
        1,
        &["age1x"],
    );
}

#[test]
fn an_error_names_what_was_read() {
    let sandbox = sealed();
    sandbox.refuses(&["sops", "decrypt"], 1, &["standard input: line 1"]);
    sandbox.write("plain.yaml", "a: 1\n");
    let place = sandbox.path(".sops.yaml");
    let place = format!("{}: error loading config", place.display());
    for wrong in [
        "a: [\n",
        "creation_rules: 1\n",
        "creation_rules: [{path_regex: x$}]\n",
        "creation_rules: [{age: x, encrypted_regex: a, encrypted_suffix: b}]\n",
    ] {
        sandbox.write(".sops.yaml", wrong);
        sandbox.refuses(&["sops", "encrypt", "plain.yaml"], 1, &[&place]);
    }
    let nowhere = [("SOPS_AGE_KEY_FILE", OsStr::new("/nowhere/keys.txt"))];
    sandbox.write(".sops.yaml", "");
    sandbox.write("bob.yaml", "a: 1\n");
    sandbox.seal_for("bob", "bob.yaml");
    let ran = sandbox.run_as(&["sops", "decrypt", "bob.yaml"], "", &nowhere);
    assert!(
        ran.stderr
            .contains("/nowhere/keys.txt): there is no such file"),
        "{}",
        ran.stderr
    );
}

#[test]
fn an_impossible_threshold_is_refused_with_a_flag_that_helps() {
    const FLAG: &str = "--shamir-secret-sharing-threshold";
    let sandbox = sealed();
    let alice = recipient("alice");
    let add = [
        "sops", "groups", "add", "-i", "-f", "s.yaml", "--age", &alice,
    ];
    let delete = ["sops", "groups", "delete", "-i", "-f", "s.yaml", "1"];
    sandbox.refuses(
        &[&add[..], &[FLAG, "1"]].concat(),
        1,
        &[&format!("{FLAG} 2")],
    );
    sandbox.refuses(
        &[&add[..], &[FLAG, "3"]].concat(),
        1,
        &[&format!("{FLAG} 2")],
    );
    sandbox.run(&add).ok();
    sandbox.refuses(&delete, 1, &["only have 1", &format!("{FLAG} 1")]);
    sandbox.run(&[&delete[..], &[FLAG, "1"]].concat()).ok();
    assert!(opened(&sandbox).contains(CANARY));
}

#[test]
fn a_path_that_does_not_fit_is_refused_where_sops_crashes() {
    let sandbox = sealed();
    for path in ["[\"a\"][\"x\"]", "[\"a\"][-1]", "[]", "[\"a\"][0]"] {
        let ran = sandbox.run(&["sops", "decrypt", "--extract", path, "s.yaml"]);
        assert!(matches!(ran.code, 1 | 91), "{path}: {}", ran.code);
    }
    sandbox.refuses(&["sops", "set", "s.yaml", "", "1"], 7, &["index"]);
    sandbox.refuses(&["sops", "set", "s.yaml", "[-1]", "1"], 7, &["index"]);
    sandbox.refuses(
        &["sops", "set", "s.yaml", "[\"b\"]", "{\"x\":1,\"x\":2}"],
        7,
        &["twice"],
    );
}

#[test]
fn a_flag_before_the_subcommand_is_warned_about() {
    let sandbox = sealed();
    let ran = sandbox.run(&["sops", "--output-type", "json", "decrypt", "s.yaml"]);
    assert_eq!(
        ran.ok().says(&["--output-type", "no effect"]).stdout,
        opened(&sandbox)
    );
}

#[test]
fn a_closed_folder_leaves_the_file_as_it_was() {
    let sandbox = sealed();
    if fs::write("/proc/self/comm", "").is_err() || is_root() {
        return;
    }
    let before = sandbox.read("s.yaml");
    let close =
        |mode| fs::set_permissions(sandbox.root(), fs::Permissions::from_mode(mode)).unwrap();
    close(0o555);
    let ran = sandbox.run(&["sops", "set", "s.yaml", "[\"a\"]", "2"]);
    close(0o755);
    assert_eq!(ran.code, 3, "{}", ran.stderr);
    assert_eq!(sandbox.read("s.yaml"), before);
}

fn is_root() -> bool {
    rustix::process::geteuid().is_root()
}

#[test]
fn links_are_followed_and_the_mode_is_kept() {
    let sandbox = sealed();
    let (file, link) = (sandbox.path("s.yaml"), sandbox.path("link.yaml"));
    fs::set_permissions(&file, fs::Permissions::from_mode(0o640)).unwrap();
    std::os::unix::fs::symlink(&file, &link).unwrap();
    sandbox
        .run(&["sops", "set", "link.yaml", "[\"a\"]", "2"])
        .ok();
    assert!(fs::symlink_metadata(&link).unwrap().is_symlink());
    assert_eq!(
        fs::metadata(&file).unwrap().permissions().mode() & 0o777,
        0o640
    );
    assert!(opened(&sandbox).contains("a: 2"));
}

#[test]
fn a_device_is_written_to() {
    let sandbox = sealed();
    sandbox
        .run(&["sops", "decrypt", "--output", "/dev/null", "s.yaml"])
        .ok();
    let ran = sandbox.run(&["sops", "decrypt", "--output", "/dev/stdout", "s.yaml"]);
    assert_eq!(ran.ok().stdout, opened(&sandbox));
}

#[test]
fn an_edit_changes_one_line_and_leaves_no_copy() {
    let sandbox = sealed();
    let place = sandbox.path("place");
    let body = format!(
        "sed -i 's/a: 1/a: 2/' \"$f\"; echo \"$f\" > {}",
        place.display()
    );
    let ran = edit(&sandbox, &body).ok();
    assert_hides(&ran, CANARY);
    assert_eq!(
        opened(&sandbox),
        format!("# note\na: 2\n\nsecret: {CANARY}\n")
    );
    let buffer = sandbox.read("place");
    assert!(buffer.trim().ends_with("/s.yaml"));
    assert!(!fs::exists(buffer.trim()).unwrap());
}

#[test]
fn text_that_cannot_be_sealed_is_kept_and_the_file_untouched() {
    let sandbox = sealed();
    let before = sandbox.read("s.yaml");
    let ran = edit(&sandbox, "echo 'typed: [' >> \"$f\"");
    assert_eq!(ran.code, 2, "{}", ran.stderr);
    assert_hides(&ran, CANARY);
    let typed = fs::read_to_string(kept(&ran.stderr)).unwrap();
    assert!(typed.contains("typed: ["));
    fs::remove_dir_all(std::path::Path::new(kept(&ran.stderr)).parent().unwrap()).unwrap();
    assert_eq!(sandbox.read("s.yaml"), before);
}

#[test]
fn what_an_editor_that_fails_has_written_is_kept_and_an_empty_text_is_refused() {
    let sandbox = sealed();
    let before = sandbox.read("s.yaml");
    for end in ["exit 3", "kill -9 $$"] {
        let ran = edit(&sandbox, &format!("echo typed: word >> \"$f\"; {end}"));
        assert_eq!(ran.code, 201, "{}", ran.stderr);
        let kept = kept(&ran.stderr);
        assert!(fs::read_to_string(kept).unwrap().contains("typed: word"));
        fs::remove_dir_all(std::path::Path::new(kept).parent().unwrap()).unwrap();
        assert_eq!(sandbox.read("s.yaml"), before);
    }
    let ran = edit(&sandbox, "exit 3");
    assert!(
        ran.code == 201 && !ran.stderr.contains("kept"),
        "{}",
        ran.stderr
    );
    let ran = edit(&sandbox, ": > \"$f\"");
    assert!(
        ran.code != 0 && ran.stderr.contains("empty"),
        "{}",
        ran.stderr
    );
    fs::remove_dir_all(std::path::Path::new(kept(&ran.stderr)).parent().unwrap()).unwrap();
    assert_eq!(sandbox.read("s.yaml"), before);
}

#[test]
fn on_a_terminal_broken_text_returns_to_the_editor_with_nothing_lost() {
    let sandbox = sealed();
    let marker = sandbox.path("marker");
    let body = format!(
        "for f; do :; done\nif [ -e {0} ]; then sed -i 's/: \\[/: []/' \"$f\"; else touch {0}; echo 'typed: [' >> \"$f\"; fi",
        marker.display()
    );
    let editor = sandbox.script("editor", &body);
    let line = format!("{} sops edit s.yaml", env!("CARGO_BIN_EXE_sealctl"));
    let answers = [("Press Enter", "\n")];
    let (code, seen) = on_terminal(&sandbox, &line, editor.as_os_str(), &answers);
    assert_eq!(code, 0, "{seen}");
    assert!(opened(&sandbox).contains("typed: []"));
}

#[test]
fn the_second_of_two_writers_is_told_and_loses_nothing() {
    let sandbox = sealed();
    let other = format!(
        "{} sops set s.yaml '[\"other\"]' 7",
        env!("CARGO_BIN_EXE_sealctl")
    );
    let ran = edit(&sandbox, &format!("sed -i 's/a: 1/a: 2/' \"$f\"; {other}"));
    assert_eq!(ran.code, 3, "{}", ran.stderr);
    assert!(ran.stderr.contains("was changed by another program"));
    let typed = fs::read_to_string(kept(&ran.stderr)).unwrap();
    assert!(typed.contains("a: 2"));
    fs::remove_dir_all(std::path::Path::new(kept(&ran.stderr)).parent().unwrap()).unwrap();
    let text = opened(&sandbox);
    assert!(text.contains("other: 7") && text.contains("a: 1"));
}

#[test]
fn another_format_keeps_the_data_key_and_every_untouched_value() {
    let sandbox = sealed();
    let tokens = |text: &str| -> Vec<String> {
        let found = text.split("ENC[").skip(1);
        found
            .map(|part| part.split(']').next().unwrap().to_owned())
            .collect()
    };
    let before = sandbox.read("s.yaml");
    let wrapped = before
        .split("-----BEGIN AGE ENCRYPTED FILE-----")
        .nth(1)
        .unwrap();
    let wrapped = wrapped.split_whitespace().next().unwrap().to_owned();
    let set = [
        "sops",
        "set",
        "--output-type",
        "json",
        "s.yaml",
        "[\"new\"]",
        "\"word\"",
    ];
    sandbox.run(&set).ok();
    let after = sandbox.read("s.yaml");
    assert!(
        after.starts_with('{') && after.contains(&wrapped),
        "{after}"
    );
    let (old, new) = (tokens(&before), tokens(&after));
    // All but the comment, which JSON has no place for, and the MAC; and all but the MAC and what was set.
    assert_eq!(old[1..old.len() - 1], new[..new.len() - 2]);
    let open = ["sops", "decrypt", "--input-type", "json", "s.yaml"];
    assert!(sandbox.run(&open).ok().stdout.contains("new: word"));
}

#[test]
fn show_master_keys_saves_what_was_typed() {
    let sandbox = sealed();
    let editor = sandbox.script("editor", "for f; do :; done\nsed -i 's/a: 1/a: 2/' \"$f\"");
    let variables = [("EDITOR", editor.as_os_str())];
    let ran = sandbox.run_as(&["sops", "edit", "-s", "s.yaml"], "", &variables);
    ran.ok().says(&[&recipient("alice")]);
    assert!(opened(&sandbox).contains("a: 2"));
}

#[test]
fn visual_is_not_looked_at() {
    let sandbox = sealed();
    let variables = [
        ("VISUAL", OsStr::new("true")),
        ("EDITOR", OsStr::new("false")),
    ];
    let ran = sandbox.run_as(&["sops", "s.yaml"], "", &variables);
    assert_eq!(ran.code, 201, "{}", ran.stderr);
}

#[test]
fn a_command_gets_the_values_and_its_end_is_passed_on() {
    let sandbox = sealed();
    let ran = sandbox.run(&["sops", "exec-env", "s.yaml", "echo \"$a\"; exit 5"]);
    assert_eq!((ran.code, ran.stdout.as_str()), (5, "1\n"));
    let ran = sandbox.run(&["sops", "exec-env", "s.yaml", "kill -9 $$"]);
    assert_eq!(ran.code, -1, "ended by a signal");
    let ran = sandbox.run(&["sops", "exec-file", "s.yaml", "kill -9 $$"]);
    assert_eq!(ran.code, 255);
    let ran = sandbox.run(&["sops", "exec-file", "s.yaml", "cat {}; echo {} >&2"]);
    let ran = ran.ok();
    assert_eq!(ran.stdout, opened(&sandbox));
    let place = ran.stderr.trim();
    assert!(place.ends_with("/tmp-file") && !fs::exists(place).unwrap());
    sandbox.run(&["sops", "exec-file", "s.yaml", "true"]).ok();
}

#[test]
fn set_keeps_whole_numbers_and_compares_them_when_idempotent() {
    let sandbox = sealed();
    let set = [
        "sops",
        "set",
        "--idempotent",
        "s.yaml",
        "[\"big\"]",
        "1000000",
    ];
    sandbox.run(&set).ok();
    let before = sandbox.read("s.yaml");
    sandbox.run(&set).ok();
    assert_eq!(sandbox.read("s.yaml"), before);
    assert!(opened(&sandbox).contains("big: 1000000"));
}

#[test]
fn the_seal_of_an_environment_document_is_renewed() {
    let sandbox = Sandbox::project();
    let document = "envs/dev/web.yaml";
    let revision = |sandbox: &Sandbox| {
        let text = sandbox.read(document);
        let line = text.lines().find(|line| line.contains("revision:"));
        line.unwrap().trim().to_owned()
    };
    let before = revision(&sandbox);
    let path = "[\"secrets\"][\"TOKEN\"]";
    sandbox
        .run(&["sops", "set", document, path, "\"typed\""])
        .ok();
    assert_ne!(revision(&sandbox), before);
    assert_eq!(
        sandbox.run(&["get", "TOKEN", "-e", "dev"]).ok().stdout,
        "typed"
    );
    sandbox.run(&["sops", "rotate", "-i", document]).ok();
    sandbox.run(&["check", "-e", "dev"]).ok();
}

#[test]
fn keys_of_other_services_stay_as_long_as_the_configuration_names_them() {
    let sandbox = Sandbox::empty();
    let vectors = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/vectors");
    let sealed = fs::read(vectors.join("edit/foreign-keys/s.yaml")).unwrap();
    sandbox.write("s.yaml", sealed);
    let key = vectors.join("keys/alice.txt");
    let alice = public_key(&key);
    let update = |sandbox: &Sandbox, keys: &str| {
        let config = format!(
            "creation_rules:\n  - age: {alice},{}\n{keys}",
            recipient("bob")
        );
        sandbox.write(".sops.yaml", config);
        let variables = [("SOPS_AGE_KEY_FILE", key.as_os_str())];
        sandbox.run_as(&["sops", "updatekeys", "-y", "s.yaml"], "", &variables)
    };
    let kinds = |sandbox: &Sandbox| {
        let text = sandbox.read("s.yaml");
        let kinds = ["pgp", "kms", "gcp_kms", "azure_kv", "hc_vault", "hckms"];
        let is_there = |kind: &&str| text.lines().any(|line| line.trim() == format!("{kind}:"));
        kinds.into_iter().filter(is_there).collect::<Vec<_>>()
    };
    let text = sandbox.read("s.yaml");
    let print = text
        .lines()
        .find_map(|line| line.trim().strip_prefix("fp: "));
    let named = format!("    pgp: {}\n", print.unwrap());
    let ran = update(&sandbox, &named).ok();
    let added = format!("+++ {}", recipient("bob"));
    assert!(ran.stdout.contains(&added), "{}", ran.stdout);
    assert_eq!(kinds(&sandbox), ["pgp"]);
    let ran = update(&sandbox, &named.replace("pgp: ", "pgp: AB,"));
    assert_eq!(ran.code, 1, "{}", ran.stderr);
    let ran = update(&sandbox, "").ok();
    assert!(ran.stdout.contains("--- "), "{}", ran.stdout);
    assert!(kinds(&sandbox).is_empty());
    let variables = [("SOPS_AGE_KEY_FILE", key.as_os_str())];
    sandbox
        .run_as(&["sops", "decrypt", "s.yaml"], "", &variables)
        .ok();
}

#[test]
fn the_page_of_differences_is_there() {
    let page = Sandbox::empty().run(&["help", "sops-compat"]).ok().stdout;
    assert!(page.contains("edit -s") && page.contains("publish"));
}

#[test]
fn an_index_counts_comments_as_sops_does() {
    let sandbox = Sandbox::empty();
    let plain = "list:\n- one\n# in list\n- two: 2\n- three # t\n- four\n";
    let seal = || {
        sandbox.write("s.yaml", plain);
        sandbox.seal_for("alice", "s.yaml");
    };
    seal();
    let extract = |index: usize| {
        let path = format!("[\"list\"][{index}]");
        sandbox.run(&["sops", "decrypt", "--extract", &path, "s.yaml"])
    };
    for (index, value) in [(0, "one"), (2, "two: 2\n"), (4, "three"), (5, "four")] {
        assert_eq!(extract(index).ok().stdout, value, "{index}");
    }
    for (index, code, said) in [(1, 91, "comment"), (3, 91, "comment"), (6, 1, "[6]")] {
        let ran = extract(index);
        assert_eq!(ran.code, code, "{index}");
        assert!(ran.stderr.contains(said), "{}", ran.stderr);
    }
    sandbox
        .run(&["sops", "set", "s.yaml", "[\"list\"][2]", "\"S\""])
        .ok();
    let two = plain.replace("two: 2", "S");
    assert_eq!(opened(&sandbox), two);
    sandbox
        .run(&["sops", "unset", "s.yaml", "[\"list\"][5]"])
        .ok();
    assert_eq!(opened(&sandbox), two.replace("- four\n", ""));
    let below = "[\"list\"][1][\"k\"]";
    let said = "Unsupported type: sops.Comment for item 'k'";
    sandbox.refuses(&["sops", "unset", "s.yaml", below], 1, &[said]);
    for (arguments, left) in [
        (
            &["set", "s.yaml", "[\"list\"][1]", "1"][..],
            "list:\n- one\n- 1\n- two: 2\n- three # t\n- four\n",
        ),
        (
            &["set", "s.yaml", below, "1"],
            "list:\n- one\n- k: 1\n- two: 2\n- three # t\n- four\n",
        ),
        (
            &["unset", "s.yaml", "[\"list\"][1]"],
            "list:\n- one\n- two: 2\n- three # t\n- four\n",
        ),
        (
            &["set", "s.yaml", "[\"list\"][3]", "1"],
            "list:\n- one\n# in list\n- two: 2\n- 1\n- three\n- four\n",
        ),
        (
            &["unset", "s.yaml", "[\"list\"][3]"],
            "list:\n- one\n# in list\n- two: 2\n- three\n- four\n",
        ),
    ] {
        seal();
        sandbox.run(&[&["sops"], arguments].concat()).ok();
        assert_eq!(opened(&sandbox), left, "{arguments:?}");
    }
}

#[test]
fn a_comment_that_does_not_decrypt_is_warned_about_with_its_line() {
    let sandbox = sealed();
    let quiet = sandbox.run(&["sops", "decrypt", "s.yaml"]).ok();
    assert_eq!(quiet.stderr, "");
    let text = sandbox.read("s.yaml");
    let (comment, rest) = text.split_once('\n').unwrap();
    let flipped = comment.replacen("data:", "data:A", 1);
    for altered in ["# evil", &flipped] {
        sandbox.write("s.yaml", format!("{altered}\n{rest}"));
        let ran = sandbox.run(&["sops", "decrypt", "s.yaml"]).ok();
        assert!(ran.stdout.starts_with(altered));
        let said = "possibly unencrypted comment";
        assert!(ran.stderr.contains(said), "{}", ran.stderr);
        assert!(ran.stderr.contains("s.yaml, line 1:"), "{}", ran.stderr);
        assert!(!ran.stderr.contains("evil"), "{}", ran.stderr);
    }
}

#[test]
fn a_key_of_several_lines_does_not_forge_a_line_of_an_error() {
    let sandbox = Sandbox::empty();
    let key = "a\\u001b[31m\\nforged: line";
    sandbox.write("s.yaml", format!("\"{key}\": {CANARY}\n"));
    sandbox.seal_for("alice", "s.yaml");
    let text = sandbox.read("s.yaml").replacen("data:", "data:AAAA", 1);
    sandbox.write("s.yaml", text);
    let ran = sandbox.refuses(&["sops", "decrypt", "s.yaml"], 25, &["\\nforged: line"]);
    assert!(!ran.stderr.contains("\nforged"), "{}", ran.stderr);
}

#[test]
fn edit_returns_to_the_editor_at_an_enter_from_standard_input() {
    let sandbox = sealed();
    let body = "if [ -e was-here ]; then printf 'b: 2\\n' >\"$f\"; else touch was-here; printf 'a: [\\n' >\"$f\"; fi";
    let editor = sandbox.script("editor", &format!("for f; do :; done\n{body}"));
    let variables = [("SOPS_EDITOR", editor.as_os_str())];
    let words = ["sops", "edit", "s.yaml"];
    sandbox.run_as(&words, "\n", &variables).ok();
    assert_eq!(opened(&sandbox), "b: 2\n");
}

#[test]
fn updatekeys_refuses_a_recipient_that_is_none_before_it_asks() {
    let sandbox = sealed();
    sandbox.write(".sops.yaml", "creation_rules:\n  - age: [$pub1]\n");
    let ran = sandbox.run_as(&["sops", "updatekeys", "s.yaml"], "n\n", &[]);
    assert_eq!((ran.code, ran.stdout.as_str()), (1, ""));
}

#[test]
fn a_write_beyond_the_limit_of_file_sizes_fails_and_leaves_nothing_behind() {
    let sandbox = sealed();
    let before = (sandbox.read("s.yaml"), names_in(&sandbox));
    let mut shell = Command::new("sh");
    sandbox.enter(&mut shell);
    let script = "ulimit -f 1; exec \"$0\" sops set s.yaml '[\"b\"]' \"\\\"$1\\\"\"";
    let long = "x".repeat(5000);
    shell.args(["-c", script, env!("CARGO_BIN_EXE_sealctl"), &long]);
    let status = shell.output().unwrap().status;
    assert_eq!(status.code(), Some(3));
    assert_eq!((sandbox.read("s.yaml"), names_in(&sandbox)), before);
}

fn names_in(sandbox: &Sandbox) -> Vec<std::ffi::OsString> {
    let entries = fs::read_dir(sandbox.path(".")).unwrap();
    let mut names: Vec<_> = entries.map(|entry| entry.unwrap().file_name()).collect();
    names.sort();
    names
}
