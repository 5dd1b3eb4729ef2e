//! One call of a program: started as cheaply as a shell starts it, and timed from there to its end.
//!
//! Nothing of the bench counts: its memory is not copied for the start (`posix_spawn`, which the standard library
//! leaves as soon as a folder is to be changed for the child alone), and nobody reads along, so that output goes to
//! nowhere, as with `hyperfine`.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Instant;

/// Makes a folder for the files of the calls, and goes there.
pub(crate) fn enter() -> PathBuf {
    let folder = std::env::temp_dir().join(format!("sealctl-bench-{}", std::process::id()));
    std::fs::create_dir_all(&folder).expect("a writable folder");
    std::env::set_current_dir(&folder).expect("the folder is there");
    folder
}

/// Leaves the folder and takes it away.
pub(crate) fn leave(folder: &Path) {
    std::env::set_current_dir(env!("CARGO_MANIFEST_DIR")).expect("the project is there");
    std::fs::remove_dir_all(folder).expect("our own folder");
}

/// A call of `program` with the identity that lies in `folder`, and with no other settings of this machine.
pub(crate) fn command(program: &Path, folder: &Path) -> Command {
    let mut command = Command::new(program);
    command
        .env_clear()
        .env("HOME", folder)
        .env("PATH", "/usr/bin:/bin")
        .env("SOPS_AGE_KEY_FILE", folder.join("identity"))
        .env("SOPS_DISABLE_VERSION_CHECK", "1")
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    command
}

/// Runs it to its end, which must be a good one, and gives milliseconds.
pub(crate) fn time(command: &mut Command) -> f64 {
    let begin = Instant::now();
    let child = command.spawn().expect("the program runs");
    end(command, child, begin)
}

/// Waits for `child`, which `command` started at `begin`, and gives milliseconds.
pub(crate) fn end(command: &Command, mut child: Child, begin: Instant) -> f64 {
    let status = child.wait().expect("it is our child");
    let time = begin.elapsed().as_secs_f64() * 1000.0;
    assert!(status.success(), "{command:?}: {status}");
    time
}

/// Runs it, and gives what it printed.
pub(crate) fn output(command: &mut Command) -> Vec<u8> {
    let result = command
        .stdout(Stdio::piped())
        .output()
        .expect("the program runs");
    assert!(result.status.success(), "{command:?}: {}", result.status);
    result.stdout
}
