//! A terminal of its own for a command, with somebody who types.

use std::ffi::OsStr;
use std::io::Write as _;
use std::process::{Command, Stdio};

use crate::sandbox::Sandbox;

/// Runs `line` in the sandbox on a terminal of its own and types `typed`, piece by piece, whenever the
/// text before it has appeared.
pub(crate) fn on_terminal(
    sandbox: &Sandbox,
    line: &str,
    editor: &OsStr,
    typed: &[(&str, &str)],
) -> (i32, String) {
    use std::io::Read as _;
    let mut script = Command::new("timeout");
    sandbox.enter(&mut script);
    let mut child = script
        .args(["--foreground", "60", "script", "-qefc", line, "/dev/null"])
        .env("TERM", "xterm")
        .env("EDITOR", editor)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let (mut input, mut output) = (child.stdin.take().unwrap(), child.stdout.take().unwrap());
    let (mut seen, mut typed) = (String::new(), typed.iter());
    let mut next = typed.next();
    let mut buffer = [0; 1024];
    loop {
        let length = output.read(&mut buffer).unwrap();
        if length == 0 {
            break;
        }
        seen.push_str(&String::from_utf8_lossy(&buffer[..length]));
        while let Some((prompt, answer)) = next.filter(|(prompt, _)| seen.contains(prompt)) {
            let at = seen.find(prompt).unwrap() + prompt.len();
            seen = seen.split_off(at);
            input.write_all(answer.as_bytes()).unwrap();
            next = typed.next();
        }
    }
    assert!(
        next.is_none(),
        "never asked {:?}; the end was {seen}",
        next.map(|(prompt, _)| prompt)
    );
    (child.wait().unwrap().code().unwrap_or(-1), seen)
}
