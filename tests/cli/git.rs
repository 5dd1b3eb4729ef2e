//! What git runs: differences that hide values, and a hook that keeps open secrets out of commits.

use std::ffi::OsStr;
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::Command;

use crate::sandbox::{CANARY, INIT, Ran, Sandbox, assert_hides, identity};

/// Runs git with sealctl in its `PATH`.
pub(crate) fn git(sandbox: &Sandbox, arguments: &[&str]) -> Ran {
    let program = Path::new(env!("CARGO_BIN_EXE_sealctl"));
    let folder = program.parent().unwrap().display();
    let mut command = Command::new("git");
    sandbox.enter(&mut command);
    command.env("PATH", format!("{folder}:/usr/local/bin:/usr/bin:/bin"));
    let output = command.args(arguments).output().unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8_lossy(&bytes).into_owned();
    Ran {
        code: output.status.code().unwrap_or(-1),
        stdout: text(output.stdout),
        stderr: text(output.stderr),
    }
}

/// A committed project whose clone is set up.
fn installed() -> Sandbox {
    let sandbox = Sandbox::committed();
    sandbox.run(&["git", "install"]).ok();
    git(&sandbox, &["add", "-A"]).ok();
    git(&sandbox, &["commit", "-q", "-m", "attributes"]).ok();
    sandbox
}

fn hides(ran: &Ran) {
    assert_hides(ran, CANARY);
    assert!(!ran.stdout.contains("ENC["), "{}", ran.stdout);
}

#[test]
fn a_difference_shows_that_a_value_changed_and_not_the_value() {
    let sandbox = installed();
    let longer = format!("{CANARY}{CANARY}");
    sandbox
        .run_with(&["set", "TOKEN", "-", "-e", "dev"], &longer)
        .ok();
    sandbox.run(&["set", "HOST=other", "-e", "dev"]).ok();
    let shown = git(&sandbox, &["diff"]).ok();
    hides(&shown);
    let lines: Vec<&str> = shown
        .stdout
        .lines()
        .filter(|line| {
            line.starts_with(['-', '+']) && !line.starts_with("---") && !line.starts_with("+++")
        })
        .collect();
    assert_eq!(lines.len(), 4, "{}", shown.stdout);
    assert_eq!(lines[0], "-  HOST: db");
    assert_eq!(lines[1], "+  HOST: other");
    assert!(
        lines[2].starts_with(&format!("-  TOKEN: ‹{} chars, ", CANARY.len())),
        "{lines:?}"
    );
    assert!(
        lines[3].starts_with(&format!("+  TOKEN: ‹{} chars, ", longer.len())),
        "{lines:?}"
    );
    hides(&git(&sandbox, &["log", "-p"]).ok());
}

#[test]
fn without_an_identity_a_difference_shows_that_a_ciphertext_changed() {
    let sandbox = installed();
    sandbox
        .run_with(&["set", "TOKEN", "-", "-e", "dev"], "another")
        .ok();
    fs::remove_dir_all(sandbox.home().join(".config")).unwrap();
    let shown = git(&sandbox, &["diff"]).ok();
    hides(&shown);
    assert!(
        shown.stdout.contains("\n-  TOKEN: ‹sealed, "),
        "{}",
        shown.stdout
    );
    assert!(
        shown.stdout.contains("\n+  TOKEN: ‹sealed, "),
        "{}",
        shown.stdout
    );
    assert!(!shown.stdout.contains("lastmodified"), "{}", shown.stdout);
    let history = git(&sandbox, &["log", "-p"]).ok();
    hides(&history);
    assert!(
        history.stdout.contains("TOKEN: ‹sealed, "),
        "{}",
        history.stdout
    );
}

#[test]
fn a_reader_who_comes_shows_in_a_difference() {
    let sandbox = installed();
    let bob = crate::sandbox::recipient("bob");
    sandbox.write("keys/dev/bob.pub", format!("{bob}\n"));
    sandbox.run(&["rekey", "-e", "dev", "--yes"]).ok();
    let shown = git(&sandbox, &["diff", "envs"]).ok();
    hides(&shown);
    let came = format!("+  - {}", &bob[..6]);
    assert!(shown.stdout.contains(&came), "{}", shown.stdout);
}

#[test]
fn whatever_a_file_is_a_difference_of_it_ends_well_and_hides_secrets() {
    let sandbox = Sandbox::project();
    let plain = format!(
        "sealctl: v1\napp: web\nenvironment: dev\nconfig:\n  HOST: db # clear\nsecrets:\n  # about {CANARY}\n  TOKEN: {CANARY}\n  PEM: |\n    {CANARY}\n    more\n  EMPTY: \"\"\nsuperuser:\n  username: admin\n  password: {CANARY}\n"
    );
    let sealed = sandbox.read("envs/dev/web.yaml");
    let cases = [
        plain.clone(),
        plain.replace("secrets:", "secrets: ["),
        format!("<<<<<<< ours\n{plain}=======\n{plain}>>>>>>> theirs\n"),
        sealed.replace("mac: ENC[", "mac: EN["),
        sealed.replace("sops:", "sops: {}\nothers:"),
        sealed.replacen("ENC[AES256_GCM,data:", "ENC[AES256_GCM,data:AAAA", 1),
        sealed.replacen(
            "  TOKEN: ENC",
            &format!("  OPEN: {CANARY}\n  TOKEN: ENC"),
            1,
        ),
        plain.replace('\n', "\r\n"),
    ];
    for text in cases {
        sandbox.write("some.yaml", &text);
        let ran = sandbox.run(&["git", "textconv", "some.yaml"]).ok();
        assert_hides(&ran, CANARY);
        assert!(ran.stdout.contains("TOKEN"), "{}", ran.stdout);
    }
    let shown = sandbox.run(&["git", "textconv", "some.yaml"]).stdout;
    assert!(shown.contains("  HOST: db # clear\r\n"), "{shown}");
    assert!(shown.contains("  EMPTY: \"\"\r\n"), "{shown}");
    for other in [&b"a: 1\nb: \xFF\n"[..], b"", b"plain: text\n", b"\0\x01"] {
        sandbox.write("some.yaml", other);
        let mut command = sandbox.command();
        let output = command
            .args(["git", "textconv", "some.yaml"])
            .output()
            .unwrap();
        assert!(output.status.success());
        assert_eq!(output.stdout, other);
    }
    sandbox.run(&["git", "textconv", "absent.yaml"]).ok();
}

#[test]
fn the_hook_refuses_an_open_secret_and_its_fix_makes_the_commit_pass() {
    let sandbox = installed();
    sandbox.replace(
        "envs/dev/web.yaml",
        "  TOKEN: ENC",
        "  FRESH: typed-in\n  TOKEN: ENC",
    );
    refused_and_mended(&sandbox, "E0140");
    let committed = git(&sandbox, &["show", "HEAD:envs/dev/web.yaml"]).ok();
    assert!(!committed.stdout.contains("typed-in"));
}

#[test]
fn the_hook_finds_a_change_by_hand_and_its_fix_mends_it() {
    let sandbox = installed();
    sandbox.replace("envs/dev/web.yaml", "HOST: db", "HOST: elsewhere");
    refused_and_mended(&sandbox, "E0130");
    let host = sandbox.run(&["get", "HOST", "-e", "dev"]).ok();
    assert_eq!(host.stdout.trim(), "elsewhere");
}

/// What lies there is not committed because of `code`; it is after the fix that is said.
fn refused_and_mended(sandbox: &Sandbox, code: &str) {
    git(sandbox, &["add", "-A"]).ok();
    let refused = git(sandbox, &["commit", "-q", "-m", "refused"]);
    let said = format!("{}{}", refused.stdout, refused.stderr);
    assert_eq!(refused.code, 1, "{said}");
    assert!(said.contains(code), "{said}");
    mend(sandbox, &said);
    git(sandbox, &["commit", "-q", "-m", "sealed"]).ok();
}

/// Runs the command behind the first `fix`.
fn mend(sandbox: &Sandbox, said: &str) {
    let fix = said
        .lines()
        .find_map(|line| line.trim().strip_prefix("fix "));
    let fix = fix.unwrap_or_else(|| panic!("no fix in\n{said}")).trim();
    let program = Path::new(env!("CARGO_BIN_EXE_sealctl"));
    let mut command = Command::new("sh");
    sandbox.enter(&mut command);
    let folder = program.parent().unwrap().display();
    command.env("PATH", format!("{folder}:/usr/local/bin:/usr/bin:/bin"));
    command.env("SEALCTL_NO_INPUT", "1");
    // It shows what was changed by hand, and asks.
    let fix = fix.replace("sealctl encrypt", "sealctl --yes encrypt");
    let output = command.args(["-c", &fix]).output().unwrap();
    assert!(
        output.status.success(),
        "{fix}: {}",
        String::from_utf8_lossy(&output.stderr)
    );
}

#[test]
fn the_hook_looks_at_what_is_staged_and_not_at_the_working_tree() {
    let sandbox = installed();
    let sealed = sandbox.read("envs/dev/web.yaml");
    let open = sealed.replacen("  TOKEN: ENC", "  FRESH: typed-in\n  TOKEN: ENC", 1);
    sandbox.write("envs/dev/web.yaml", &open);
    git(&sandbox, &["add", "-A"]).ok();
    sandbox.write("envs/dev/web.yaml", &sealed);
    sandbox.refuses(
        &["lint", "--staged"],
        1,
        &["E0140", "envs/dev/web.yaml", "FRESH"],
    );
    assert_eq!(git(&sandbox, &["commit", "-q", "-m", "open"]).code, 1);
    git(&sandbox, &["add", "-A"]).ok();
    sandbox.write("envs/dev/web.yaml", &open);
    sandbox.write("other.txt", "x");
    git(&sandbox, &["add", "other.txt"]).ok();
    git(&sandbox, &["commit", "-q", "-m", "something else"]).ok();
}

#[test]
fn a_project_below_the_root_of_the_repository_is_looked_at_too() {
    let sandbox = Sandbox::empty();
    sandbox.git(&["init", "-q"]);
    fs::create_dir(sandbox.path("deploy")).unwrap();
    let inside = ["-C", "deploy"];
    let run = |arguments: &[&str]| sandbox.run(&[&inside[..], arguments].concat());
    run(&INIT).ok();
    let mut command = sandbox.command();
    command
        .current_dir(sandbox.path("deploy"))
        .args(["git", "install"]);
    assert!(command.status().unwrap().success());
    git(&sandbox, &["add", "-A"]).ok();
    git(&sandbox, &["commit", "-q", "-m", "one"]).ok();
    sandbox.replace(
        "deploy/envs/dev/web.yaml",
        "secrets: {}",
        "secrets:\n  OPEN: typed-in",
    );
    git(&sandbox, &["add", "-A"]).ok();
    let mut lint = sandbox.command();
    lint.current_dir(sandbox.path("deploy/envs"))
        .args(["lint", "--staged"]);
    assert_eq!(lint.status().unwrap().code(), Some(1));
    // The hook runs at the root, and so does who reads what it says.
    refused_and_mended(&sandbox, "E0140");
    let committed = git(&sandbox, &["show", "HEAD:deploy/envs/dev/web.yaml"]).ok();
    assert!(!committed.stdout.contains("typed-in"));
}

#[test]
fn lint_finds_what_is_wrong_without_a_key() {
    let sandbox = Sandbox::committed();
    fs::remove_dir_all(sandbox.home().join(".config")).unwrap();
    sandbox.run(&["lint"]).ok();
    let sealed = sandbox.read("envs/dev/web.yaml");
    let check = |text: &str, words: &[&str]| {
        sandbox.write("envs/dev/web.yaml", text);
        sandbox.refuses(&["lint"], 1, words);
        sandbox.refuses(&["lint", "envs/dev/web.yaml"], 1, words);
        sandbox.refuses(&["lint", "-o", "json"], 1, &words[..1]);
    };
    check(
        &sealed.replacen("  TOKEN: ENC", "  OPEN: typed\n  TOKEN: ENC", 1),
        &["E0140", "OPEN"],
    );
    check(
        &format!("<<<<<<< ours\n{sealed}=======\n{sealed}>>>>>>> theirs\n"),
        &["E0297", "envs/dev/web.yaml:1"],
    );
    check(&sealed.replace("app: web", "app: other"), &["E0203"]);
    sandbox.write("envs/dev/web.yaml", &sealed);
    sandbox.write("keys/dev/mine.txt", fs::read(identity("bob")).unwrap());
    sandbox.refuses(&["lint"], 1, &["E0121", "keys/dev/mine.txt"]);
}

#[test]
fn install_keeps_a_hook_that_is_there_and_uninstall_leaves_it_as_it_was() {
    let sandbox = Sandbox::committed();
    let hook = sandbox.path(".git/hooks/pre-commit");
    let mine = "#!/bin/sh\necho mine\n";
    fs::create_dir_all(hook.parent().unwrap()).unwrap();
    fs::write(&hook, mine).unwrap();
    fs::set_permissions(&hook, fs::Permissions::from_mode(0o755)).unwrap();
    sandbox.run(&["git", "install"]).ok();
    let text = fs::read_to_string(&hook).unwrap();
    assert!(
        text.starts_with("#!/bin/sh\nsealctl git pre-commit") && text.ends_with("echo mine\n"),
        "{text}"
    );
    let before = sandbox.files();
    let again = sandbox.run(&["git", "install", "--error-unchanged"]);
    assert_eq!(again.code, 3, "{}", again.stderr);
    assert_eq!(sandbox.files(), before);
    assert_eq!(fs::read_to_string(&hook).unwrap(), text);
    sandbox.run(&["git", "uninstall"]).ok();
    assert_eq!(fs::read_to_string(&hook).unwrap(), mine);
    assert_eq!(
        git(&sandbox, &["config", "--get", "diff.sealctl.textconv"]).code,
        1
    );
    assert_eq!(
        sandbox.run(&["git", "uninstall", "--error-unchanged"]).code,
        3
    );
}

#[test]
fn a_trial_of_install_writes_nothing() {
    let sandbox = Sandbox::committed();
    let before = sandbox.files();
    sandbox.run(&["git", "install", "--dry-run"]).ok();
    assert_eq!(sandbox.files(), before);
    assert!(!sandbox.path(".git/hooks/pre-commit").exists());
    assert_eq!(
        git(&sandbox, &["config", "--get", "diff.sealctl.textconv"]).code,
        1
    );
}

#[test]
fn hooks_that_others_manage_are_left_to_them() {
    let sandbox = Sandbox::committed();
    sandbox.git(&["config", "core.hooksPath", "my-hooks"]);
    sandbox
        .run(&["git", "install"])
        .ok()
        .says(&["core.hooksPath is my-hooks", "sealctl git pre-commit"]);
    assert!(!sandbox.path("my-hooks").exists());
    sandbox.git(&["config", "--unset", "core.hooksPath"]);
    sandbox.write("lefthook.yml", "");
    sandbox
        .run(&["git", "install"])
        .ok()
        .says(&["lefthook.yml manages the hooks"]);
    for what in ["pre-commit", "lefthook", "husky", "github-action"] {
        let printed = sandbox.run(&["git", "install", "--print", what]).ok();
        assert!(printed.stdout.contains("sealctl "), "{}", printed.stdout);
    }
}

#[test]
fn install_works_in_a_worktree_and_says_where_there_is_no_repository() {
    let sandbox = Sandbox::project();
    sandbox.refuses(&["git", "install"], 10, &["E0517", "git init"]);
    sandbox.git(&["init", "-q"]);
    sandbox.git(&["add", "-A"]);
    sandbox.git(&["commit", "-q", "-m", "one"]);
    let other = sandbox.root().with_file_name("other");
    sandbox.git(&["worktree", "add", "-q", other.to_str().unwrap()]);
    let mut command = sandbox.command();
    command.current_dir(&other).args(["git", "install"]);
    assert!(command.status().unwrap().success());
    assert!(sandbox.path(".git/hooks/pre-commit").exists());
    let secret = "  TOKEN: ENC";
    let file = other.join("envs/dev/web.yaml");
    let text = fs::read_to_string(&file).unwrap();
    fs::write(
        &file,
        text.replacen(secret, "  OPEN: typed-in\n  TOKEN: ENC", 1),
    )
    .unwrap();
    let other = other.to_str().unwrap();
    git(&sandbox, &["-C", other, "add", "-A"]).ok();
    let refused = git(&sandbox, &["-C", other, "commit", "-q", "-m", "open"]);
    assert_eq!(refused.code, 1, "{}{}", refused.stdout, refused.stderr);
}

#[test]
fn a_commit_of_parts_is_looked_at_as_git_will_make_it() {
    let sandbox = installed();
    sandbox.replace(
        "envs/dev/web.yaml",
        "  TOKEN: ENC",
        "  FRESH: typed-in\n  TOKEN: ENC",
    );
    // `commit -a` and `commit FILE` have an index of their own.
    assert_eq!(git(&sandbox, &["commit", "-q", "-a", "-m", "open"]).code, 1);
    assert_eq!(
        git(
            &sandbox,
            &["commit", "-q", "-m", "open", "envs/dev/web.yaml"]
        )
        .code,
        1
    );
    let variables = [("GIT_INDEX_FILE", OsStr::new("none-such"))];
    sandbox.run_as(&["lint", "--staged"], "", &variables).ok();
}

#[test]
fn init_and_a_request_set_up_the_clone_and_init_without_hooks_leaves_git_alone() {
    let sandbox = Sandbox::empty();
    sandbox.git(&["init", "-q"]);
    sandbox.run(&INIT).ok();
    let driver = ["config", "--get", "merge.sealctl.driver"];
    let hook = sandbox.path(".git/hooks/pre-commit");
    assert!(hook.exists() && git(&sandbox, &driver).code == 0);
    assert!(sandbox.read(".gitattributes").contains("merge=sealctl"));
    git(&sandbox, &["add", "-A"]).ok();
    git(&sandbox, &["commit", "-q", "-m", "one"]).ok();
    // In a second clone nothing that is shared changes.
    sandbox.run(&["git", "uninstall"]).ok();
    let before = sandbox.files();
    sandbox.run(&["init", "--no-hooks"]).ok();
    assert!(!hook.exists() && sandbox.files() == before);
    sandbox.run(&["init"]).ok();
    assert!(hook.exists() && sandbox.files() == before);
    sandbox.run(&["git", "uninstall"]).ok();
    sandbox.become_reader("bob");
    let request = ["key", "new", "--request", "--env", "dev", "--name", "bob"];
    sandbox.run(&request).ok();
    assert!(hook.exists() && git(&sandbox, &driver).code == 0);
}
