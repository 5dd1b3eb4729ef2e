//! `edit`: nothing typed is lost, nothing wrong is saved, nothing untouched changes.
#![expect(
    clippy::disallowed_methods,
    clippy::disallowed_types,
    reason = "looks at the buffer"
)]

use std::ffi::OsStr;
use std::process::Command;

use crate::sandbox::{CANARY, Ran, Sandbox, assert_hides};
use crate::terminal::on_terminal;

const DEV: &str = "envs/dev/web.yaml";

/// Runs `edit` with a script as editor; the buffer is its last argument.
fn edit(sandbox: &Sandbox, body: &str) -> Ran {
    let editor = sandbox.script("editor", &format!("for f; do :; done\n{body}"));
    sandbox.run_as(
        &["edit", "-e", "dev"],
        "",
        &[("EDITOR", editor.as_os_str())],
    )
}

/// Folders of `edit` that are left in memory, of this test only.
fn left(ran: &Ran) -> Option<String> {
    let line = ran
        .stderr
        .lines()
        .find(|line| line.trim_start().starts_with("kept"))?;
    Some(
        line.trim_start()
            .trim_start_matches("kept")
            .trim()
            .to_owned(),
    )
}

#[test]
fn a_change_is_sealed_and_the_rest_keeps_its_bytes() {
    let sandbox = Sandbox::project();
    let before = sandbox.read(DEV);
    edit(
        &sandbox,
        "sed -i 's/^secrets:/secrets:\\n  NEW: typed/; s/HOST: db/HOST: db9/' \"$f\"",
    )
    .ok()
    .says(&["1 changed, 1 added, 2 untouched", "revision 4"]);
    let after = sandbox.read(DEV);
    let token = before.lines().find(|line| line.contains("TOKEN")).unwrap();
    assert!(after.contains(token) && !after.contains("typed"));
    assert_eq!(sandbox.run(&["get", "NEW"]).ok().stdout, "typed");
}

#[test]
fn a_buffer_saved_without_changes_leaves_the_file_byte_for_byte() {
    let sandbox = Sandbox::project();
    let before = sandbox.files();
    edit(
        &sandbox,
        "cp \"$f\" \"$f.2\"; cat \"$f.2\" > \"$f\"; rm \"$f.2\"",
    )
    .ok()
    .says(&["unchanged"]);
    assert_eq!(sandbox.files(), before);
}

#[test]
fn the_buffer_lies_in_memory_and_is_private() {
    let sandbox = Sandbox::project();
    let report = sandbox.path("report");
    let body = format!(
        "stat -f -c %T \"$f\" > {0}; stat -c %a \"$f\" >> {0}",
        report.display()
    );
    let ran = edit(&sandbox, &body).ok();
    let text = sandbox.read("report");
    assert!(text.ends_with("600\n"), "{text}");
    assert!(
        text.starts_with("tmpfs") || ran.stderr.contains("no memory file system"),
        "{text}"
    );
}

#[test]
fn what_breaks_the_grammar_is_not_saved_and_not_lost() {
    let sandbox = Sandbox::project();
    let before = sandbox.files();
    let ran = edit(
        &sandbox,
        "sed -i 's/^secrets:/secrets:\\n  A=B: typed-by-hand/' \"$f\"",
    );
    assert_eq!(ran.code, 1);
    assert!(
        ran.stderr.contains("E0210 envs/dev/web.yaml:10"),
        "{}",
        ran.stderr
    );
    assert_eq!(sandbox.files(), before);
    assert_hides(&ran, CANARY);
    assert_hides(&ran, "typed-by-hand");
    let kept = left(&ran).expect("the place of the buffer is named");
    assert!(std::fs::File::open(&kept).is_ok(), "{kept}");
    // The next edit offers it; here the answer is given beforehand.
    let editor = sandbox.script("editor", "for f; do :; done\nsed -i 's/A=B/AB/' \"$f\"");
    let again = ["edit", "-e", "dev", "--yes"];
    sandbox
        .run_as(&again, "", &[("EDITOR", editor.as_os_str())])
        .ok()
        .says(&["1 added"]);
    assert_eq!(sandbox.run(&["get", "AB"]).ok().stdout, "typed-by-hand");
    assert!(
        std::fs::File::open(&kept).is_err(),
        "the buffer is gone once it is saved"
    );
}

/// Leaves a buffer behind that says `HOST: mine` and does not fit, then changes the file.
fn leave_a_buffer_of_an_older_file(sandbox: &Sandbox) -> String {
    let ran = edit(sandbox, "sed -i 's/HOST: .*/HOST: mine\\n  A=B: x/' \"$f\"");
    assert_eq!(ran.code, 1, "{}", ran.stderr);
    let kept = left(&ran).expect("the place of the buffer is named");
    sandbox.run_with(&["set", "TOKEN", "-"], "newer").ok();
    kept
}

fn throw_away(kept: &str) {
    std::fs::remove_dir_all(std::path::Path::new(kept).parent().unwrap()).unwrap();
}

#[test]
fn what_was_typed_over_an_older_file_is_not_resumed_by_yes_and_not_lost() {
    let sandbox = Sandbox::project();
    let kept = leave_a_buffer_of_an_older_file(&sandbox);
    let before = (sandbox.files(), std::fs::read(&kept).unwrap());
    for arguments in [&["edit", "-e", "dev"][..], &["edit", "-e", "dev", "--yes"]] {
        let ran = sandbox.run_as(arguments, "", &[("EDITOR", OsStr::new("sed -i s/A=B/AB/"))]);
        assert_eq!(ran.code, 1, "{}", ran.stderr);
        let words = ["E0544", "the file has changed since", &kept];
        assert_hides(&ran.says(&words), "newer");
        assert_eq!((sandbox.files(), std::fs::read(&kept).unwrap()), before);
    }
    throw_away(&kept);
    edit(&sandbox, "sed -i 's/HOST: db/HOST: anew/' \"$f\"").ok();
}

#[test]
fn on_a_terminal_what_was_typed_over_an_older_file_can_be_kept_resumed_and_thrown_away() {
    let sandbox = Sandbox::project();
    let kept = leave_a_buffer_of_an_older_file(&sandbox);
    let line = format!("{} edit -e dev", env!("CARGO_BIN_EXE_sealctl"));
    let answer = |letter, editor| {
        let typed = [("[d]iscard it ?", letter)];
        let (code, said) = on_terminal(&sandbox, &line, OsStr::new(editor), &typed);
        assert_eq!(code, 0, "{said}");
    };
    answer("n\n", "sed -i 's/HOST: db/HOST: anew/'");
    assert_eq!(sandbox.run(&["get", "HOST"]).ok().stdout, "anew");
    assert_eq!(sandbox.run(&["get", "TOKEN"]).ok().stdout, "newer");
    assert!(std::fs::read_to_string(&kept).unwrap().contains("mine"));
    answer("g\n", "sed -i /A=B/d");
    assert_eq!(sandbox.run(&["get", "HOST"]).ok().stdout, "mine");
    assert!(std::fs::read(&kept).is_err(), "saved, so it is gone");
    let kept = leave_a_buffer_of_an_older_file(&sandbox);
    answer("d\n", "true");
    assert!(std::fs::read(&kept).is_err());
}

#[test]
fn an_editor_that_fails_saves_nothing_and_keeps_the_text() {
    let sandbox = Sandbox::project();
    let before = sandbox.files();
    let ran = edit(&sandbox, "echo '# more' >> \"$f\"; exit 3");
    assert_eq!(ran.code, 1);
    assert!(ran.stderr.contains("E0543"));
    assert_eq!(sandbox.files(), before);
    let folder = left(&ran).unwrap();
    Command::new("rm")
        .args(["-rf"])
        .arg(std::path::Path::new(&folder).parent().unwrap())
        .status()
        .unwrap();
}

#[test]
fn a_file_that_changed_meanwhile_is_not_overwritten() {
    let sandbox = Sandbox::project();
    let body = format!(
        "sed -i 's/HOST: db/HOST: mine/' \"$f\"; echo '# theirs' >> {}",
        sandbox.path(DEV).display()
    );
    let ran = edit(&sandbox, &body);
    assert_eq!(ran.code, 1);
    assert!(ran.stderr.contains("E0531") && sandbox.read(DEV).ends_with("# theirs\n"));
    let kept = left(&ran).expect("the place of the buffer is named");
    Command::new("rm")
        .args(["-rf"])
        .arg(std::path::Path::new(&kept).parent().unwrap())
        .status()
        .unwrap();
}

#[test]
fn one_value_can_be_edited_alone() {
    let sandbox = Sandbox::project();
    let editor = sandbox.script(
        "editor",
        "for f; do :; done\nprintf 'one\\ntwo\\n' > \"$f\"",
    );
    let arguments = ["edit", "-e", "dev", "--key", "TOKEN"];
    sandbox
        .run_as(&arguments, "", &[("EDITOR", editor.as_os_str())])
        .ok();
    assert_eq!(sandbox.run(&["get", "TOKEN"]).ok().stdout, "one\ntwo\n");
}

#[test]
fn the_new_text_can_come_from_standard_input() {
    let sandbox = Sandbox::project();
    let plain = sandbox.run(&["decrypt", DEV]).ok().stdout;
    let arguments = ["edit", "-e", "dev", "--stdio"];
    sandbox
        .run_with(&arguments, &plain)
        .ok()
        .says(&["unchanged"]);
    sandbox
        .run_with(&arguments, &plain.replace("HOST: db", "HOST: db9"))
        .ok();
    assert_eq!(sandbox.run(&["get", "HOST"]).ok().stdout, "db9");
}

#[test]
fn variables_are_split_like_a_shell_does_and_tried_in_order() {
    let sandbox = Sandbox::project();
    let editor = sandbox.script(
        "my editor",
        "test \"$1\" = --wait && sed -i 's/HOST: db/HOST: x/' \"$2\"",
    );
    let line = format!("'{}' --wait", editor.display());
    let variables = [
        ("SOPS_EDITOR", OsStr::new(&line)),
        ("EDITOR", OsStr::new("false")),
    ];
    sandbox.run_as(&["edit", "-e", "dev"], "", &variables).ok();
    assert_eq!(sandbox.run(&["get", "HOST"]).ok().stdout, "x");
}

#[test]
fn on_a_terminal_a_wrong_buffer_is_opened_again_until_it_is_right() {
    let sandbox = Sandbox::project();
    let flag = sandbox.path("second");
    let editor = sandbox.script(
        "editor",
        &format!(
            "for f; do :; done\nif [ -e {0} ]; then sed -i 's/HOST: \\[/HOST: right #/' \"$f\"; \
             else touch {0}; sed -i 's/HOST: db/HOST: [/' \"$f\"; fi",
            flag.display()
        ),
    );
    let program = env!("CARGO_BIN_EXE_sealctl");
    let line = format!("{program} edit -e dev");
    let (code, said) = on_terminal(
        &sandbox,
        &line,
        editor.as_os_str(),
        &[("[d]iscard ?", "r\n")],
    );
    assert_eq!(code, 0, "{said}");
    assert_eq!(sandbox.run(&["get", "HOST"]).ok().stdout, "right");
}

#[test]
fn on_a_terminal_what_was_typed_can_be_thrown_away() {
    let sandbox = Sandbox::project();
    let before = sandbox.files();
    let editor = sandbox.script(
        "editor",
        "for f; do :; done\nsed -i 's/HOST: db/HOST: [/' \"$f\"",
    );
    let line = format!("{} edit -e dev", env!("CARGO_BIN_EXE_sealctl"));
    let (code, _) = on_terminal(
        &sandbox,
        &line,
        editor.as_os_str(),
        &[("[d]iscard ?", "d\n")],
    );
    assert_eq!(code, 0);
    assert_eq!(sandbox.files(), before);
}

#[test]
fn on_a_terminal_a_value_is_asked_for_and_never_shown() {
    let sandbox = Sandbox::project();
    let line = format!("{} set ASKED -e dev", env!("CARGO_BIN_EXE_sealctl"));
    let typed = [("(hidden):", "never-to-be-seen\n")];
    let (code, said) = on_terminal(&sandbox, &line, OsStr::new("false"), &typed);
    assert_eq!(code, 0, "{said}");
    assert!(!said.contains("never-to-be-seen"), "{said}");
    assert_eq!(
        sandbox.run(&["get", "ASKED"]).ok().stdout,
        "never-to-be-seen"
    );
}

#[test]
fn on_a_terminal_a_private_text_is_shown_only_when_asked_for() {
    let sandbox = Sandbox::project();
    let line = format!("{} decrypt {DEV}", env!("CARGO_BIN_EXE_sealctl"));
    let (code, said) = on_terminal(&sandbox, &line, OsStr::new("false"), &[]);
    assert!(
        code == 1 && said.contains("--reveal") && !said.contains(CANARY),
        "{said}"
    );
}

#[test]
fn vim_leaves_no_swap_file_behind() {
    let sandbox = Sandbox::project();
    if Command::new("vim").arg("--version").output().is_err() {
        return;
    }
    let line = format!("{} edit -e dev", env!("CARGO_BIN_EXE_sealctl"));
    let editor = "vim -es -c 'redir! > options' -c 'set swapfile? undofile? viminfo?' -c 'redir END' -c 'wq'";
    let (code, said) = on_terminal(&sandbox, &line, OsStr::new(editor), &[]);
    assert_eq!(code, 0, "{said}");
    let options = sandbox.read("options");
    assert!(
        options.contains("noswapfile") && options.contains("noundofile"),
        "{options}"
    );
    assert!(!sandbox.home().join(".viminfo").try_exists().unwrap());
}

#[test]
fn a_second_edit_of_the_same_file_leaves_the_first_its_buffer_and_the_later_to_save_is_told() {
    let sandbox = Sandbox::project();
    let second = sandbox.script(
        "second",
        "for f; do :; done\nsed -i 's/^secrets:/secrets:\\n  SECOND: typed/' \"$f\"",
    );
    let body = format!(
        "EDITOR={} {} edit -e dev --yes || exit 9\nsed -i 's/^secrets:/secrets:\\n  FIRST: typed/' \"$f\"",
        second.display(),
        env!("CARGO_BIN_EXE_sealctl"),
    );
    let ran = edit(&sandbox, &body).says(&["is being edited elsewhere too"]);
    assert_eq!(sandbox.run(&["get", "SECOND"]).ok().stdout, "typed");
    assert_ne!(ran.code, 0);
    let kept = left(&ran).expect("the place of the buffer is named");
    assert!(
        std::fs::read_to_string(&kept)
            .unwrap()
            .contains("FIRST: typed")
    );
    throw_away(&kept);
}

/// Files of every format, and what `sed` makes of each.
const OTHERS: [(&str, &str, &str); 4] = [
    (
        "certs/api.json",
        "{\n\t\"token\": \"one\",\n\t\"host\": \"h\"\n}\n",
        "1 changed, 1 untouched",
    ),
    ("prod.env", "TOKEN=one\nHOST=h\n", "1 changed, 1 untouched"),
    (
        "old.ini",
        "[a]\ntoken = one\nhost = h\n",
        "1 changed, 1 untouched",
    ),
    ("tls.key", "token one\n", "1 changed, 0 untouched"),
];

#[test]
fn any_sealed_file_can_be_edited_and_what_is_untouched_keeps_its_bytes() {
    let sandbox = Sandbox::empty();
    let editor = sandbox.script(
        "editor",
        "for f; do :; done\ncase $f in *.yaml) exit 1;; esac\nsed -i 's/one/two/' \"$f\"",
    );
    let variables = [("EDITOR", editor.as_os_str())];
    for (name, text, summary) in OTHERS {
        sandbox.write(name, text);
        sandbox.seal_for("alice", name);
        let before = sandbox.read(name);
        let ran = sandbox.run_as(&["edit", name], "", &variables).ok();
        ran.says(&[summary, "git add"]);
        let opened = sandbox.run(&["sops", "decrypt", name]).ok().stdout;
        let words = |text: &str| text.split_whitespace().collect::<String>();
        assert_eq!(words(&opened), words(&text.replace("one", "two")), "{name}");
        let sealed = sandbox.read(name);
        let host = before
            .lines()
            .find(|line| line.to_lowercase().contains("host"));
        assert!(host.is_none_or(|line| sealed.contains(line)), "{name}");
        let again = sandbox.run_as(&["edit", name], "", &variables).ok();
        again.says(&["unchanged"]);
        assert_eq!(sandbox.read(name), sealed);
    }
    let refused = sandbox.run_as(
        &["edit", "--key", "token", "certs/api.json"],
        "",
        &variables,
    );
    assert_eq!(refused.code, 2, "{}", refused.stderr);
}

#[test]
fn what_was_typed_into_any_sealed_file_is_kept_and_offered_again_by_the_command_that_is_said() {
    let sandbox = Sandbox::empty();
    sandbox.write("my certs/api.json", "{\"token\": \"one\"}\n");
    sandbox.seal_for("alice", "my certs/api.json");
    let before = sandbox.files();
    let with = |arguments: &[&str], editor: &str| {
        sandbox.run_as(arguments, "", &[("EDITOR", OsStr::new(editor))])
    };
    let ran = with(
        &["edit", "my certs/api.json"],
        "sed -i s/one\\\"}/typed-by-hand\\\"/",
    );
    let kept = left(&ran).expect("the place of the buffer is named");
    assert_eq!(ran.code, 1, "{}", ran.stderr);
    assert!(!ran.stderr.contains("typed-by-hand"), "{}", ran.stderr);
    assert_eq!(sandbox.files(), before);
    ran.says(&[
        "E0292 my certs/api.json:",
        "sealctl edit 'my certs/api.json'   offers",
    ]);
    with(
        &["edit", "my certs/api.json", "--yes"],
        "sed -i s/hand\\\"/hand\\\"}/",
    )
    .ok()
    .says(&["1 changed"]);
    assert!(std::fs::File::open(&kept).is_err(), "the buffer is gone");
    // The drop-in does not offer it again, but says what seals it.
    let ran = with(
        &["sops", "edit", "my certs/api.json"],
        "sed -i s/typed-by-hand\\\"/x/",
    );
    let line = ran
        .stderr
        .lines()
        .find_map(|line| line.split_once("seal it with: sealctl "));
    let (_, line) = line.unwrap_or_else(|| panic!("{}", ran.stderr));
    let kept = line.rsplit_once('<').unwrap().1;
    std::fs::write(kept, "{\"token\": \"mended\"}\n").unwrap();
    let mut shell = Command::new("sh");
    sandbox.enter(&mut shell);
    let line = format!("{} {line}", env!("CARGO_BIN_EXE_sealctl"));
    assert!(shell.args(["-c", &line]).status().unwrap().success());
    let opened = sandbox.run(&["decrypt", "my certs/api.json"]).ok().stdout;
    assert!(opened.contains("mended"), "{opened}");
    throw_away(kept);
}
