//! OpenPGP through the program `gpg`, which finds its keys and asks for passphrases by itself.

use std::ffi::OsStr;
use std::io::Write as _;
use std::process::{Command, Stdio};

use crate::secret::Secret;

/// Most characters that are shown of what gpg says.
const LONGEST: usize = 500;

/// The content of an armored message, decrypted by `program`.
///
/// # Errors
/// In words: when the program is not there, or what it says when it refuses.
pub(super) fn decrypt(program: &OsStr, armored: &str) -> Result<Secret, String> {
    let mut command = Command::new(program);
    command.arg("-d").stdin(Stdio::piped());
    command.stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().map_err(|error| super::not_run(&error))?;
    let input = child.stdin.take();
    // Written beside the reading: a program that prints before it has read all would block otherwise.
    let output = std::thread::scope(|scope| {
        scope.spawn(move || {
            // Whoever does not read to the end says so by its exit code.
            let _ = input.map(|mut input| input.write_all(armored.as_bytes()));
        });
        child.wait_with_output()
    });
    let output = output.map_err(|error| super::not_run(&error))?;
    let key = Secret::new(output.stdout);
    if !output.status.success() {
        return Err(spoken(&output.stderr, &output.status.to_string()));
    }
    // Old versions give nothing, and no error, for a cipher that they do not know.
    if key.is_empty() {
        return Err("gave nothing".to_owned());
    }
    Ok(key)
}

/// What a program said on standard error, in one line; else `otherwise`.
fn spoken(bytes: &[u8], otherwise: &str) -> String {
    let text = String::from_utf8_lossy(bytes);
    let lines = text.lines().map(str::trim).filter(|line| !line.is_empty());
    let joined = lines.collect::<Vec<_>>().join("; ");
    let tame = joined.chars().filter(|letter| !letter.is_control());
    let tame: String = tame.take(LONGEST).collect();
    if tame.is_empty() {
        otherwise.to_owned()
    } else {
        tame
    }
}
