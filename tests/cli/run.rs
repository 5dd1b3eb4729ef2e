//! `run`: what a command gets, how it ends, and when it is restarted.
#![expect(clippy::disallowed_methods, reason = "looks whether a file is gone")]

use std::cell::RefCell;
use std::io::{BufRead as _, BufReader};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::time::Duration;

use crate::sandbox::{CANARY, Sandbox};

const DEV: &str = "envs/dev/web.yaml";
/// Generous, since the machine may be busy; nothing waits this long when all is well.
const LONG: Duration = Duration::from_secs(30);

#[test]
fn a_command_gets_the_values_and_nothing_of_ours_beside_them() {
    let sandbox = Sandbox::project();
    let variables = [("PORT", "1".as_ref()), ("SEALCTL_APP", "web".as_ref())];
    let ran = sandbox.run_as(&["run", "--", "env"], "", &variables).ok();
    let has = |line: &str| ran.stdout.lines().any(|one| one == line);
    assert!(
        has("HOST=db") && has(&format!("TOKEN={CANARY}")),
        "{}",
        ran.stdout
    );
    assert!(has("PORT=1") && has("SEALCTL_RUN=1") && has("SEALCTL_ENV=dev"));
    assert!(!ran.stdout.contains("SEALCTL_APP"));
    assert!(
        ran.stderr
            .contains("2 variables from dev (1 kept from your shell: PORT)")
    );
    let ran = sandbox
        .run_as(&["run", "--override", "--", "env"], "", &variables)
        .ok();
    assert!(ran.stdout.contains("PORT=5432"));
}

#[test]
fn the_private_key_is_not_handed_on() {
    let sandbox = Sandbox::project();
    let keys = sandbox.home().join(".config/sops/age/keys.txt");
    let text = Command::new("cat").arg(&keys).output().unwrap().stdout;
    let text = String::from_utf8(text).unwrap();
    let key = text.lines().find(|line| line.starts_with("AGE")).unwrap();
    Command::new("rm").arg(&keys).status().unwrap();
    let variables = [("SOPS_AGE_KEY", key.as_ref())];
    let ran = sandbox.run_as(&["run", "--", "env"], "", &variables).ok();
    assert!(!ran.stdout.contains("AGE-SECRET-KEY"));
}

#[test]
fn only_some_pristine_and_as_files() {
    let sandbox = Sandbox::project();
    let only = sandbox
        .run(&["run", "--only", "HOST", "--", "env"])
        .ok()
        .stdout;
    assert!(only.contains("HOST=db") && !only.contains("TOKEN="));
    sandbox.refuses(
        &["run", "--only", "HOSTS", "--", "env"],
        125,
        &["did you mean HOST?"],
    );
    let pristine = ["run", "--pristine", "--", "env"];
    let pristine = sandbox
        .run_as(&pristine, "", &[("STRAY", "1".as_ref())])
        .ok()
        .stdout;
    assert!(!pristine.contains("STRAY") && pristine.contains("PATH="));
    let file = [
        "run",
        "--file",
        "TOKEN",
        "--",
        "sh",
        "-c",
        "cat $TOKEN_FILE; echo; echo $TOKEN_FILE; stat -c %a $TOKEN_FILE; echo [$TOKEN]",
    ];
    let ran = sandbox.run(&file).ok().stdout;
    let lines: Vec<&str> = ran.lines().collect();
    assert_eq!((lines[0], lines[2], lines[3]), (CANARY, "600", "[]"));
    assert!(
        !std::path::Path::new(lines[1]).try_exists().unwrap(),
        "{} is still there",
        lines[1]
    );
}

#[test]
fn statuses_are_passed_on() {
    let sandbox = Sandbox::project();
    let status = |arguments: &[&str]| sandbox.run(arguments).code;
    assert_eq!(status(&["run", "--", "sh", "-c", "exit 7"]), 7);
    assert_eq!(status(&["run", "--", "no-such-command"]), 127);
    sandbox.write("not-executable", "x");
    assert_eq!(status(&["run", "--", "./not-executable"]), 126);
    // As parent, and not replaced by the child.
    assert_eq!(
        status(&["run", "--redact=always", "--", "sh", "-c", "exit 7"]),
        7
    );
    assert_eq!(
        status(&["run", "--redact=always", "--", "sh", "-c", "kill -TERM $$"]),
        143
    );
    assert_eq!(status(&["run", "--watch", "--", "no-such-command"]), 127);
}

#[test]
fn a_document_that_cannot_be_opened_can_be_done_without() {
    let sandbox = Sandbox::project();
    sandbox.become_reader("bob");
    let ran = sandbox
        .run(&["run", "--allow-missing=warn", "--", "echo", "ran"])
        .ok();
    assert!(ran.stdout == "ran\n" && ran.stderr.contains("running without"));
    assert_eq!(sandbox.run(&["run", "--", "echo", "ran"]).code, 125);
}

#[test]
fn output_is_masked_when_asked_for_and_in_ci() {
    let sandbox = Sandbox::project();
    let script = "echo value $TOKEN end; echo $TOKEN >&2; echo short $HOST";
    let ran = sandbox
        .run(&["run", "--redact=always", "--", "sh", "-c", script])
        .ok();
    assert_eq!(ran.stdout, "value *** end\nshort db\n");
    assert!(ran.stderr.ends_with("***\n"), "{}", ran.stderr);
    let ci = [("CI", "1".as_ref())];
    let ran = sandbox
        .run_as(&["run", "--", "sh", "-c", script], "", &ci)
        .ok();
    crate::sandbox::assert_hides(&ran, CANARY);
    let ran = sandbox.run(&["run", "--", "sh", "-c", script]).ok();
    assert!(ran.stdout.contains(CANARY));
}

#[test]
fn once_runs_before_the_command_and_once_for_each_content() {
    let sandbox = Sandbox::project();
    sandbox.replace(
        DEV,
        "secrets:",
        "superuser:\n  from: deployment/web\n  username: admin\n  password: pw-of-admin\n\nsecrets:",
    );
    sandbox.run(&["encrypt", "--yes", DEV]).ok();
    let once = "echo once $DJANGO_SUPERUSER_USERNAME $DJANGO_SUPERUSER_PASSWORD";
    let arguments = [
        "run",
        "--once",
        once,
        "--",
        "sh",
        "-c",
        "echo main [$DJANGO_SUPERUSER_PASSWORD]",
    ];
    assert_eq!(
        sandbox.run(&arguments).ok().stdout,
        "once admin pw-of-admin\nmain []\n"
    );
    assert_eq!(sandbox.run(&arguments).ok().stdout, "main []\n");
    sandbox.run(&["set", "HOST=other", "-e", "dev"]).ok();
    assert!(sandbox.run(&arguments).ok().stdout.starts_with("once"));
    assert_eq!(
        sandbox
            .run(&["run", "--once", "exit 9", "--", "echo", "main"])
            .code,
        9
    );
}

/// A watched command whose output comes line by line.
struct Watched {
    child: Child,
    lines: Receiver<String>,
    /// Lines that came while others were waited for: of two pipes none is always read first.
    passed: RefCell<Vec<String>>,
}

impl Watched {
    fn start(sandbox: &Sandbox, script: &str) -> Self {
        let mut command = sandbox.command();
        command.args([
            "run", "-e", "dev", "--watch", "--grace", "5s", "--", "sh", "-c", script,
        ]);
        let mut child = command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let (sender, lines) = channel();
        let out = BufReader::new(child.stdout.take().unwrap());
        let err = BufReader::new(child.stderr.take().unwrap());
        let copy = sender.clone();
        std::thread::spawn(move || {
            out.lines()
                .map_while(Result::ok)
                .try_for_each(|line| copy.send(line))
        });
        std::thread::spawn(move || {
            err.lines()
                .map_while(Result::ok)
                .try_for_each(|line| sender.send(line))
        });
        let passed = RefCell::default();
        Self {
            child,
            lines,
            passed,
        }
    }

    /// Waits for a line with `text` in it, which may have come while another was waited for.
    fn await_line(&self, text: &str) -> String {
        let mut passed = self.passed.borrow_mut();
        if let Some(place) = passed.iter().position(|line| line.contains(text)) {
            return passed.remove(place);
        }
        loop {
            match self.lines.recv_timeout(LONG) {
                Ok(line) if line.contains(text) => return line,
                Ok(line) => passed.push(line),
                Err(_) => panic!("no {text:?}, only {passed:#?}"),
            }
        }
    }

    /// Nothing is said for a while.
    fn is_silent(&self, time: Duration) {
        let line = self.lines.recv_timeout(time);
        assert_eq!(line, Err(RecvTimeoutError::Timeout));
    }

    fn signal(&self, name: &str) {
        let id = self.child.id().to_string();
        Command::new("kill").args([name, &id]).status().unwrap();
    }

    fn end(mut self) -> Option<i32> {
        self.child.wait().unwrap().code()
    }
}

impl Drop for Watched {
    fn drop(&mut self) {
        let _ = self.child.kill();
    }
}

/// Without what the shell says of its `sleep` that was ended with it: that would come by the other pipe, at any time.
const SERVE: &str = "exec 2>/dev/null; trap 'echo stopping; exit 0' TERM; echo \"serving $HOST\"; \
                     while :; do sleep 0.1; done";

#[test]
fn a_watched_command_is_restarted_by_content_and_by_nothing_else() {
    let sandbox = Sandbox::project();
    let watched = Watched::start(&sandbox, SERVE);
    let _ = watched.await_line("serving db");

    sandbox.run(&["set", "HOST=second", "-e", "dev"]).ok();
    let line = watched.await_line("changed:");
    assert!(
        line.contains("~ HOST") && line.contains("restarting"),
        "{line}"
    );
    let _ = watched.await_line("stopping");
    let _ = watched.await_line("serving second");

    Command::new("touch")
        .arg(sandbox.path(DEV))
        .status()
        .unwrap();
    watched.is_silent(Duration::from_secs(3));

    let good = sandbox.read(DEV);
    sandbox.write(DEV, &good[..good.len() / 2]);
    let _ = watched.await_line("the command keeps running");
    sandbox.write(DEV, &good);
    let _ = watched.await_line("same values");

    watched.signal("-TERM");
    let _ = watched.await_line("stopping");
    assert_eq!(watched.end(), Some(0));
}

#[test]
fn signals_reach_the_whole_group_and_a_deaf_command_is_killed() {
    let sandbox = Sandbox::project();
    let mut deaf = Watched::start(
        &sandbox,
        "trap '' TERM; (trap 'echo grandchild; exit' USR1; echo ready; while :; do sleep 0.1; done) & \
         trap 'echo child' USR1; echo ready; while :; do sleep 0.1; done",
    );
    // Both have to listen before they are called.
    let _ = (deaf.await_line("ready"), deaf.await_line("ready"));
    deaf.signal("-USR1");
    let (first, second) = (deaf.await_line("child"), deaf.await_line("child"));
    assert_ne!(first, second);
    deaf.signal("-TERM");
    assert_eq!(deaf.child.wait().unwrap().code(), Some(137));
}

#[test]
fn the_end_of_a_watched_command_is_the_end_of_run() {
    let sandbox = Sandbox::project();
    let watched = Watched::start(&sandbox, "echo bye; exit 5");
    let _ = watched.await_line("bye");
    assert_eq!(watched.end(), Some(5));
}

/// On a terminal the command is in the foreground: it reads what is typed and gets Ctrl-C.
#[test]
fn on_a_terminal_the_command_is_in_the_foreground_also_after_a_restart() {
    let sandbox = Sandbox::project();
    let program = env!("CARGO_BIN_EXE_sealctl");
    let server = sandbox.script(
        "server",
        "trap 'echo interrupted; exit 3' INT\necho \"up $HOST\"\nread line\necho \"read $line\"\n\
         if [ $HOST = db ]; then sealctl=$1; $sealctl set HOST=second -e dev -q; fi\n\
         while :; do sleep 0.1; done",
    );
    let line = format!(
        "{program} run -e dev --watch -- {} {program}",
        server.display()
    );
    let typed = [
        ("up db", "first\n"),
        ("read first", ""),
        ("up second", "again\n"),
        ("read again", "\u{3}"),
        ("interrupted", ""),
    ];
    let (code, said) = crate::terminal::on_terminal(&sandbox, &line, "false".as_ref(), &typed);
    assert_eq!(code, 3, "{said}");
}
