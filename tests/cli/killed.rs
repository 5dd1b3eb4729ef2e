//! SIGKILL before each system call that changes something on disk: the file is the old one or the new
//! one, nothing in clear lies about, and the next call works and takes away what was left.
#![expect(clippy::disallowed_methods, reason = "looks at what is left on disk")]

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::sandbox::{CANARY, Sandbox, recipient};

/// Counts the calls of a program, and kills it before one of them.
const STEP: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/cli/killed/step.py");
/// More calls than any of these commands makes.
const MANY: usize = 400;
const DEV: &str = "envs/dev/web.yaml";

/// A command that is killed again and again.
struct Case {
    arguments: &'static [&'static str],
    input: &'static str,
    /// The file that it writes.
    file: &'static str,
    /// What the opened file says after it.
    done: &'static str,
}

/// What the command says, behind `program` if there is one.
fn said(sandbox: &Sandbox, case: &Case, program: &[&str]) -> String {
    let words = [program, &[env!("CARGO_BIN_EXE_sealctl")], case.arguments].concat();
    let mut command = Command::new(words[0]);
    sandbox.enter(&mut command);
    command
        .args(&words[1..])
        .env("PATH", std::env::var_os("PATH").unwrap())
        .env("EDITOR", sandbox.path("../editor"))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    use std::io::Write as _;
    let _ = child.stdin.take().unwrap().write_all(case.input.as_bytes());
    let output = child.wait_with_output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(!said.contains(CANARY), "a value was shown");
    assert!(!program.is_empty() || output.status.success(), "{said}");
    said
}

/// Kills the command before a call, whose name it gives; none when the command came to its end.
fn killed(sandbox: &Sandbox, case: &Case, before: usize) -> Option<String> {
    let said = said(
        sandbox,
        case,
        &["python3", "-ISE", STEP, &before.to_string()],
    );
    let last = said.lines().last().unwrap_or_default();
    let call = last.strip_prefix("killed before ").map(ToOwned::to_owned);
    assert!(call.is_some() || last == "ended 0", "{said}");
    call
}

/// Every file below `folder` that holds the canary, also packed.
pub(crate) fn in_clear(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            in_clear(&path, found);
        } else if contains(&fs::read(&path).unwrap(), CANARY.as_bytes()) {
            found.push(path);
        }
    }
}

/// Texts that are left in memory, of this sandbox.
pub(crate) fn in_memory(sandbox: &Sandbox) -> Vec<PathBuf> {
    let mark = mark(sandbox);
    let entries = fs::read_dir("/dev/shm").into_iter().flatten();
    let folders = entries.map(|entry| entry.unwrap().path());
    let ours = folders.filter(|path| path.to_string_lossy().contains("/sealctl-"));
    let files = ours.flat_map(|path| fs::read_dir(path).into_iter().flatten());
    let paths = files.filter_map(|entry| Some(entry.ok()?.path()));
    let marked = |path: &PathBuf| fs::read(path).is_ok_and(|text| contains(&text, mark.as_bytes()));
    paths.filter(marked).collect()
}

/// A word that stands in the files of this sandbox alone.
pub(crate) fn mark(sandbox: &Sandbox) -> String {
    sandbox.root().display().to_string()
}

fn contains(text: &[u8], part: &[u8]) -> bool {
    text.windows(part.len()).any(|window| window == part)
}

/// Names beside the file.
pub(crate) fn beside(path: &Path) -> Vec<String> {
    let entries = fs::read_dir(path.parent().unwrap()).unwrap();
    let names = entries.map(|entry| entry.unwrap().file_name().to_string_lossy().into_owned());
    let mut names: Vec<String> = names.collect();
    names.sort();
    names
}

/// Kills the command before every call in turn; gives how often the old and the new file were there.
fn walk(make: impl Fn() -> Sandbox, case: &Case) -> (usize, usize) {
    let sandbox = make();
    let path = sandbox.path(case.file);
    let (old, names) = (fs::read(&path).unwrap(), beside(&path));
    let opened = |sandbox: &Sandbox| sandbox.run(&["sops", "decrypt", case.file]);
    let was_clear = contains(&old, CANARY.as_bytes());
    let (mut olds, mut news) = (0, 0);
    for before in 1..MANY {
        let mode = fs::metadata(&path).unwrap().permissions();
        fs::write(&path, &old).unwrap();
        let call = killed(&sandbox, case, before);
        let now = fs::read(&path).unwrap();
        assert_eq!(fs::metadata(&path).unwrap().permissions(), mode, "{call:?}");
        if now == old {
            assert!(call.is_some(), "it ended and changed nothing");
            olds += 1;
        } else {
            let ran = opened(&sandbox).ok();
            assert!(
                ran.stdout.contains(case.done),
                "before {call:?}:\n{}",
                ran.stdout
            );
            news += 1;
        }
        // In memory alone may something be left, which the next call takes away.
        let mut clear = Vec::new();
        for folder in [sandbox.root(), sandbox.home(), sandbox.path("../tmp")] {
            in_clear(&folder, &mut clear);
        }
        clear.retain(|found| !(was_clear && now == old && *found == path));
        assert!(clear.is_empty(), "before {call:?}: {clear:?}");
        if call.is_none() {
            assert!(olds > 3 && news > 0, "{olds} old, {news} new");
            return (olds, news);
        }
        fs::write(&path, &old).unwrap();
        said(&sandbox, case, &[]);
        assert!(opened(&sandbox).ok().stdout.contains(case.done));
        assert_eq!(beside(&path), names, "before {call:?}");
        let left = in_memory(&sandbox);
        assert!(left.is_empty(), "before {call:?}: {left:?}");
    }
    panic!("more than {MANY} calls");
}

/// A file that SOPS reads, sealed for alice, with its plaintext gone.
fn sealed() -> Sandbox {
    let sandbox = plain();
    sandbox.seal_for("alice", "a.yaml");
    sandbox.rule_for(&["alice", "bob"]);
    sandbox
}

/// A file in clear, and an editor that changes one word.
fn plain() -> Sandbox {
    let sandbox = Sandbox::empty();
    sandbox.script(
        "editor",
        "for f; do :; done\nsed -i 's/: one/: two/' \"$f\"",
    );
    let text = format!("token: {CANARY}\nplace: {}\nword: one\n", mark(&sandbox));
    sandbox.write("a.yaml", text);
    sandbox.rule_for(&["alice"]);
    sandbox
}

/// A project with one more word in clear.
fn project() -> Sandbox {
    let sandbox = Sandbox::project();
    sandbox.script(
        "editor",
        "for f; do :; done\nsed -i 's/HOST: .*/HOST: two/' \"$f\"",
    );
    let place = format!("PLACE={}", mark(&sandbox));
    sandbox.run(&["set", &place, "--config", "-e", "dev"]).ok();
    sandbox
}

fn case(arguments: &'static [&'static str], file: &'static str, done: &'static str) -> Case {
    Case {
        arguments,
        input: "",
        file,
        done,
    }
}

#[test]
fn set_of_the_drop_in() {
    walk(
        sealed,
        &case(
            &["sops", "set", "a.yaml", "[\"word\"]", "\"two\""],
            "a.yaml",
            "word: two",
        ),
    );
}

#[test]
fn rotate_and_updatekeys_of_the_drop_in() {
    walk(
        sealed,
        &case(&["sops", "rotate", "-i", "a.yaml"], "a.yaml", "word: one"),
    );
    walk(
        sealed,
        &case(
            &["sops", "updatekeys", "-y", "a.yaml"],
            "a.yaml",
            "word: one",
        ),
    );
}

#[test]
fn encrypt_and_edit_of_the_drop_in() {
    walk(
        plain,
        &case(&["sops", "encrypt", "-i", "a.yaml"], "a.yaml", "word: one"),
    );
    walk(
        sealed,
        &case(&["sops", "edit", "a.yaml"], "a.yaml", "word: two"),
    );
}

#[test]
fn set_and_edit_of_a_document() {
    let mut set = case(&["set", "TOKEN", "-", "-e", "dev"], DEV, "TOKEN: two");
    set.input = "two";
    walk(project, &set);
    walk(
        project,
        &case(&["edit", "-e", "dev", "--yes"], DEV, "HOST: two"),
    );
}

#[test]
fn encrypt_of_a_document() {
    let typed = || {
        let sandbox = project();
        sandbox.replace(DEV, "secrets:", &format!("secrets:\n  NEW: {CANARY}"));
        sandbox
    };
    walk(typed, &case(&["encrypt", "--yes", DEV], DEV, "NEW: canary"));
}

#[test]
fn rekey_of_a_document() {
    let second = || {
        let sandbox = project();
        sandbox.write("keys/dev/bob.pub", format!("{}\n", recipient("bob")));
        sandbox
    };
    let rekey = case(&["rekey", "--yes", "-e", "dev"], DEV, "HOST: db");
    walk(second, &rekey);
}

#[test]
fn plaintext_that_is_not_whole_stands_nowhere() {
    let sandbox = sealed();
    let target = sandbox.path("b.yaml");
    for arguments in [
        &["sops", "decrypt", "--output", "b.yaml", "a.yaml"][..],
        &["decrypt", "a.yaml", "--out", "b.yaml"],
    ] {
        let whole = sandbox.run(&["sops", "decrypt", "a.yaml"]).ok().stdout;
        let names = beside(&target);
        let case = Case {
            arguments,
            input: "",
            file: "b.yaml",
            done: "",
        };
        let last = (1..MANY).find(|before| {
            let call = killed(&sandbox, &case, *before);
            let mut left = beside(&target);
            if let Ok(text) = fs::read_to_string(&target) {
                assert_eq!(text, whole, "before {call:?}");
                fs::remove_file(&target).unwrap();
                left.retain(|name| name != "b.yaml");
            }
            assert_eq!(left, names, "before {call:?}");
            call.is_none()
        });
        assert!(last.is_some_and(|last| last > 3), "{last:?}");
    }
}
