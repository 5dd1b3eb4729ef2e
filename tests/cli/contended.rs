//! Files that somebody else writes at the same time, and files that cannot be replaced: no value is lost
//! without a word, nothing is truncated, and what was typed stays.
#![expect(
    clippy::disallowed_methods,
    reason = "makes links, mounts and closed folders"
)]

use std::ffi::OsStr;
use std::fs;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::process::{Command, Output, Stdio};

use crate::sandbox::{CANARY, Sandbox, assert_hides, recipient};

/// A file of many keys, sealed for alice; the rules say alice and bob.
fn sealed() -> Sandbox {
    let sandbox = Sandbox::empty();
    let many: String = (0..40).map(|n| format!("k{n}: {CANARY}\n")).collect();
    sandbox.write("a.yaml", many);
    sandbox.seal_for("alice", "a.yaml");
    sandbox.rule_for(&["alice", "bob"]);
    sandbox
}

/// Starts all of these at once and waits for their ends.
fn at_once(sandbox: &Sandbox, calls: &[&[&str]]) -> Vec<Output> {
    let started: Vec<_> = calls
        .iter()
        .map(|arguments| {
            let mut command = sandbox.command();
            command
                .args(*arguments)
                .stdin(Stdio::null())
                .stdout(Stdio::piped());
            command.stderr(Stdio::piped()).spawn().unwrap()
        })
        .collect();
    started
        .into_iter()
        .map(|child| child.wait_with_output().unwrap())
        .collect()
}

/// It succeeded, or says that somebody else was faster.
fn has_won(output: &Output) -> bool {
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(!said.contains(CANARY));
    let lost = output.status.code() == Some(3) && said.contains("changed by another program");
    assert!(output.status.success() || lost, "{said}");
    output.status.success()
}

#[test]
fn each_of_several_writers_is_in_the_file_or_was_told_that_it_is_not() {
    let sandbox = sealed();
    for round in 0..8 {
        let words: Vec<[String; 5]> = (0..4)
            .map(|n| {
                let (key, value) = (format!("[\"k{n}\"]"), format!("\"round {round}\""));
                ["sops", "set", "a.yaml", &key, &value].map(ToOwned::to_owned)
            })
            .collect();
        let calls: Vec<Vec<&str>> = words
            .iter()
            .map(|call| call.iter().map(String::as_str).collect())
            .collect();
        let calls: Vec<&[&str]> = calls.iter().map(Vec::as_slice).collect();
        let ended = at_once(&sandbox, &calls);
        let won: Vec<bool> = ended.iter().map(has_won).collect();
        assert!(won.contains(&true), "nobody wrote");
        let text = sandbox.run(&["sops", "decrypt", "a.yaml"]).ok().stdout;
        for (n, won) in won.iter().enumerate() {
            let is_there = text.contains(&format!("k{n}: round {round}\n"));
            assert_eq!(*won, is_there, "k{n} in round {round}");
        }
        assert_eq!(left(&sandbox), [".sops.yaml", "a.yaml"]);
    }
}

#[test]
fn updatekeys_and_rotate_at_once_leave_a_file_that_opens() {
    let sandbox = sealed();
    let before = sandbox.read("a.yaml");
    for _ in 0..4 {
        sandbox.write("a.yaml", &before);
        let ended = at_once(
            &sandbox,
            &[
                &["sops", "updatekeys", "-y", "a.yaml"],
                &["sops", "rotate", "-i", "a.yaml"],
                &["sops", "unset", "a.yaml", "[\"k7\"]"],
            ],
        );
        let code = |output: &Output| output.status.code();
        let lost = |output: &Output| {
            String::from_utf8_lossy(&output.stderr).contains("changed by another program")
        };
        assert!(
            ended
                .iter()
                .all(|output| code(output) == Some(0) || lost(output))
        );
        let text = sandbox.run(&["sops", "decrypt", "a.yaml"]).ok().stdout;
        assert_eq!(!text.contains("k7:"), code(&ended[2]) == Some(0));
        let names_bob = sandbox.read("a.yaml").contains(&recipient("bob"));
        assert_eq!(names_bob, code(&ended[0]) == Some(0));
    }
}

#[test]
fn an_edit_that_comes_too_late_keeps_what_was_typed() {
    let sandbox = sealed();
    let program = env!("CARGO_BIN_EXE_sealctl");
    let body = format!(
        "for f; do :; done\n{program} sops set a.yaml '[\"k1\"]' '\"faster\"' || exit 9\nsed -i 's/^k2: .*/k2: typed by hand/' \"$f\""
    );
    let editor = sandbox.script("editor", &body);
    let ran = sandbox.run_as(
        &["sops", "edit", "a.yaml"],
        "",
        &[("EDITOR", editor.as_os_str())],
    );
    assert_eq!(ran.code, 3, "{}", ran.stderr);
    assert!(
        ran.stderr.contains("changed by another program"),
        "{}",
        ran.stderr
    );
    assert_hides(&ran, "typed by hand");
    let kept = ran
        .stderr
        .lines()
        .find_map(|line| line.strip_prefix("What was typed is kept in "));
    let kept = std::path::Path::new(kept.expect("a place"));
    assert!(
        fs::read_to_string(kept)
            .unwrap()
            .contains("k2: typed by hand")
    );
    assert_eq!(fs::metadata(kept).unwrap().mode() & 0o777, 0o600);
    let text = sandbox.run(&["sops", "decrypt", "a.yaml"]).ok().stdout;
    assert!(text.contains("k1: faster") && !text.contains("typed by hand"));
    // The next edit takes away only what nobody set aside.
    let editor = OsStr::new("sed -i s/faster/later/");
    sandbox
        .run_as(&["sops", "edit", "a.yaml"], "", &[("EDITOR", editor)])
        .ok();
    assert!(kept.exists());
    fs::remove_dir_all(kept.parent().unwrap()).unwrap();
}

#[test]
fn a_document_of_two_writers_is_kept_apart_too() {
    let sandbox = Sandbox::project();
    let ended = at_once(
        &sandbox,
        &[
            &["set", "A=one", "--config", "-e", "dev"],
            &["set", "B=two", "--config", "-e", "dev"],
            &["set", "HOST=other", "--config", "-e", "dev"],
        ],
    );
    for (output, word) in ended.iter().zip(["A: one", "B: two", "HOST: other"]) {
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success() || said.contains("E0531"), "{said}");
        let is_there = sandbox
            .run(&["decrypt", "envs/dev/web.yaml"])
            .ok()
            .stdout
            .contains(word);
        assert_eq!(is_there, output.status.success(), "{word}");
    }
}

/// The names in the project.
fn left(sandbox: &Sandbox) -> Vec<String> {
    let entries = fs::read_dir(sandbox.root()).unwrap();
    let mut names: Vec<String> = entries
        .map(|entry| entry.unwrap().file_name().to_string_lossy().into_owned())
        .collect();
    names.sort();
    names
}

const WRITERS: [&[&str]; 4] = [
    &["sops", "set", "a.yaml", "[\"k1\"]", "\"new\""],
    &["sops", "rotate", "-i", "a.yaml"],
    &["sops", "updatekeys", "-y", "a.yaml"],
    &["sops", "decrypt", "-i", "a.yaml"],
];

/// Each writer is refused, says `words`, and changes nothing.
fn all_refused(sandbox: &Sandbox, inside: &[&str], words: &[&str]) {
    let (before, names) = (sandbox.read("a.yaml"), left(sandbox));
    for arguments in WRITERS {
        let program = [inside, &[env!("CARGO_BIN_EXE_sealctl")], arguments].concat();
        let mut command = Command::new(program[0]);
        sandbox.enter(&mut command);
        let output = command
            .args(&program[1..])
            .stdin(Stdio::null())
            .output()
            .unwrap();
        let said = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(3), "{arguments:?}: {said}");
        for word in words {
            assert!(
                said.contains(word),
                "{arguments:?} does not say {word:?}: {said}"
            );
        }
        assert_eq!(sandbox.read("a.yaml"), before, "{arguments:?}");
        assert_eq!(left(sandbox), names, "{arguments:?}");
    }
}

/// Programs in front of which another one is who may not do everything, or none where this user may not.
fn unprivileged(sandbox: &Sandbox) -> Vec<&'static str> {
    if rustix::process::geteuid().is_root() {
        // Root may write everywhere: another user may not. He has to reach the files.
        for folder in [sandbox.root(), sandbox.home(), sandbox.path("..")] {
            fs::set_permissions(folder, fs::Permissions::from_mode(0o755)).unwrap();
        }
        let everything = ["-R", "65534:65534"];
        let ended = Command::new("chown")
            .args(everything)
            .arg(sandbox.path(".."))
            .status();
        assert!(ended.unwrap().success());
        vec![
            "setpriv",
            "--reuid=65534",
            "--regid=65534",
            "--clear-groups",
        ]
    } else {
        Vec::new()
    }
}

#[test]
fn a_file_in_a_closed_folder_is_refused() {
    let sandbox = sealed();
    let inside = unprivileged(&sandbox);
    fs::set_permissions(sandbox.root(), fs::Permissions::from_mode(0o555)).unwrap();
    all_refused(
        &sandbox,
        &inside,
        &["cannot replace", "a.yaml", "open the directory for writing"],
    );
    fs::set_permissions(sandbox.root(), fs::Permissions::from_mode(0o755)).unwrap();
    fs::set_permissions(sandbox.path("a.yaml"), fs::Permissions::from_mode(0o444)).unwrap();
    all_refused(&sandbox, &inside, &["a.yaml: permission denied"]);
}

#[test]
fn a_file_that_is_a_mount_of_its_own_is_refused() {
    let sandbox = sealed();
    let mount = "mount --bind a.yaml a.yaml && exec \"$@\"";
    let inside = [
        "unshare",
        "--mount",
        "--map-root-user",
        "sh",
        "-c",
        mount,
        "sh",
    ];
    let may = Command::new("unshare")
        .args(["--mount", "--map-root-user", "true"])
        .status();
    if !may.is_ok_and(|status| status.success()) {
        // Some systems let nobody but root make name spaces, and containers not even root.
        assert!(!rustix::process::geteuid().is_root() || fs::exists("/.dockerenv").unwrap());
        return;
    }
    all_refused(
        &sandbox,
        &inside,
        &["a mount of its own", "mount its directory instead"],
    );
}

#[test]
fn a_file_with_another_name_is_refused_and_a_link_is_followed() {
    let sandbox = sealed();
    fs::hard_link(sandbox.path("a.yaml"), sandbox.path("b.yaml")).unwrap();
    all_refused(&sandbox, &["env"], &["hard links", "cp -p FILE COPY"]);
    fs::remove_file(sandbox.path("b.yaml")).unwrap();
    fs::create_dir(sandbox.path("far")).unwrap();
    fs::rename(sandbox.path("a.yaml"), sandbox.path("far/b.yaml")).unwrap();
    std::os::unix::fs::symlink("far/b.yaml", sandbox.path("a.yaml")).unwrap();
    fs::set_permissions(sandbox.path("a.yaml"), fs::Permissions::from_mode(0o640)).unwrap();
    if rustix::process::geteuid().is_root() {
        std::os::unix::fs::chown(sandbox.path("far/b.yaml"), Some(65_534), Some(65_533)).unwrap();
    }
    for arguments in WRITERS {
        // Anew each time: a number is free again once its file has gone.
        let before = fs::metadata(sandbox.path("a.yaml")).unwrap();
        sandbox.run(arguments).ok();
        assert!(
            fs::symlink_metadata(sandbox.path("a.yaml"))
                .unwrap()
                .is_symlink()
        );
        let after = fs::metadata(sandbox.path("far/b.yaml")).unwrap();
        assert_eq!(
            (after.mode(), after.uid(), after.gid()),
            (before.mode(), before.uid(), before.gid()),
            "{arguments:?}"
        );
        assert_ne!(after.ino(), before.ino());
    }
    assert!(sandbox.read("far/b.yaml").contains("k1: new"));
}
