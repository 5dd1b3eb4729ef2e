//! The terminal of `sops edit` goes away while the editor is open: the file is the old one, unless the editor goes
//! on and ends well; nothing in clear stays but what was typed, in memory.

use std::fs::{self, File};
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt as _;
use std::path::PathBuf;
use std::process::{Child, Command};
use std::time::{Duration, Instant};

use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};

use crate::killed::{beside, in_clear, in_memory, mark};
use crate::sandbox::{CANARY, Sandbox};

/// Longest wait for something that is to happen at once.
const LONGEST: Duration = Duration::from_secs(20);

fn sealed() -> Sandbox {
    let sandbox = Sandbox::empty();
    let text = format!("token: {CANARY}\nplace: {}\nword: one\n", mark(&sandbox));
    sandbox.write("a.yaml", text);
    sandbox.seal_for("alice", "a.yaml");
    sandbox
}

/// `edit` on a terminal of its own.
struct Editing {
    terminal: OwnedFd,
    child: Child,
}

impl Editing {
    /// Comes back when the editor, a script with the text in `$f`, has called `ready`. The program runs below
    /// `leader`.
    fn start(sandbox: &Sandbox, leader: &[&str], editor: &str) -> Self {
        let ready = sandbox.path("../ready");
        let _ = fs::remove_file(&ready);
        let body = format!(
            "for f; do :; done\nready() {{ : >{}; }}\n{editor}",
            ready.display()
        );
        let editor = sandbox.script("editor", &body);
        let terminal =
            openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC).unwrap();
        grantpt(&terminal).unwrap();
        unlockpt(&terminal).unwrap();
        let name = ptsname(&terminal, Vec::new()).unwrap();
        let name = PathBuf::from(std::ffi::OsStr::from_bytes(name.as_bytes()));
        let inner = File::options().read(true).write(true).open(name).unwrap();
        // Under nohup, the signal would be ignored by everything below.
        let mut command = Command::new("env");
        sandbox.enter(&mut command);
        command
            .args(["--default-signal=HUP", "setsid", "--ctty"])
            .args(leader)
            .args([env!("CARGO_BIN_EXE_sealctl"), "sops", "edit", "a.yaml"])
            .env("EDITOR", editor)
            .stdin(inner.try_clone().unwrap())
            .stdout(inner.try_clone().unwrap())
            .stderr(inner);
        let child = command.spawn().unwrap();
        until("the editor is open", || ready.exists());
        Self { terminal, child }
    }

    /// Waits until the terminal has shown `word`.
    fn shows(&self, word: &str) {
        let (mut seen, mut buffer) = (String::new(), [0; 1024]);
        while !seen.contains(word) {
            let length = rustix::io::read(&self.terminal, &mut buffer).unwrap();
            seen.push_str(&String::from_utf8_lossy(&buffer[..length]));
        }
    }

    /// Closes the terminal.
    fn hang_up(self) -> Child {
        drop(self.terminal);
        self.child
    }
}

fn until(what: &str, mut is_so: impl FnMut() -> bool) {
    let begin = Instant::now();
    while !is_so() {
        assert!(begin.elapsed() < LONGEST, "never: {what}");
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// Waits for the end of the leader and of every process that works in the sandbox.
fn ended(sandbox: &Sandbox, mut child: Child) {
    until("the leader ends", || child.try_wait().unwrap().is_some());
    let root = sandbox.root();
    let works_there =
        |path: PathBuf| fs::read_link(path.join("cwd")).is_ok_and(|place| place == root);
    until("all programs end", || {
        let processes = fs::read_dir("/proc").unwrap();
        !processes.flatten().any(|entry| works_there(entry.path()))
    });
}

/// What stands in clear on disk.
fn on_disk(sandbox: &Sandbox) -> Vec<PathBuf> {
    let mut clear = Vec::new();
    in_clear(&sandbox.path(".."), &mut clear);
    clear
}

/// The program itself has the terminal, as with `xterm -e`; a shell has it, as when one works in it.
const LEADERS: [&[&str]; 2] = [&[], &["sh", "-c", "\"$@\"; true", "sh"]];

#[test]
fn an_editor_that_ends_with_the_terminal_leaves_the_old_file_and_nothing_in_clear() {
    for leader in LEADERS {
        let sandbox = sealed();
        let (before, names) = (sandbox.files(), beside(&sandbox.path("a.yaml")));
        let editing = Editing::start(&sandbox, leader, "ready; exec sleep 60");
        assert_eq!(in_memory(&sandbox).len(), 1, "the text that is edited");
        ended(&sandbox, editing.hang_up());
        assert_eq!(sandbox.files(), before);
        assert_eq!(beside(&sandbox.path("a.yaml")), names);
        assert_eq!((on_disk(&sandbox), in_memory(&sandbox)), (vec![], vec![]));
    }
}

/// The old file, and in memory alone the one text that has `word`, which is thrown away.
fn keeps_what_was_typed(sandbox: &Sandbox, child: Child, word: &str) {
    let before = sandbox.files();
    ended(sandbox, child);
    assert_eq!(sandbox.files(), before);
    assert!(on_disk(sandbox).is_empty());
    let kept = in_memory(sandbox);
    let [kept] = kept.as_slice() else {
        panic!("one text, not {kept:?}");
    };
    assert!(fs::read_to_string(kept).unwrap().contains(word));
    fs::remove_dir_all(kept.parent().unwrap()).unwrap();
}

#[test]
fn what_was_typed_before_the_terminal_went_is_kept_in_memory_alone() {
    for leader in LEADERS {
        let sandbox = sealed();
        let body = "sed -i 's/: one/: two/' \"$f\"; ready; exec sleep 60";
        let editing = Editing::start(&sandbox, leader, body);
        keeps_what_was_typed(&sandbox, editing.hang_up(), "word: two");
        let body = "sed -i 's/: one/: [broken/' \"$f\"; ready";
        let editing = Editing::start(&sandbox, leader, body);
        editing.shows("Press Enter");
        keeps_what_was_typed(&sandbox, editing.hang_up(), "word: [broken");
    }
}

#[test]
fn what_an_editor_saves_that_outlives_the_terminal_is_sealed() {
    for leader in LEADERS {
        let sandbox = sealed();
        let body = "trap '' HUP; ready\nuntil [ -e go ]; do sleep 0.05; done\nsed -i 's/: one/: two/' \"$f\"";
        let editing = Editing::start(&sandbox, leader, body);
        let child = editing.hang_up();
        sandbox.write("go", "");
        ended(&sandbox, child);
        let opened = sandbox.run(&["sops", "decrypt", "a.yaml"]).ok();
        assert!(opened.stdout.contains("word: two"));
        assert_eq!((on_disk(&sandbox), in_memory(&sandbox)), (vec![], vec![]));
    }
}
