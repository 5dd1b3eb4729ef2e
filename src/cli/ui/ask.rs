//! Reading an answer from the controlling terminal, hidden where it is a secret.
//!
//! Whether one may ask at all is decided above. Typed text never passes through the buffer of
//! standard input, which would keep a copy.

use std::io;
use std::os::fd::OwnedFd;

use rustix::fs::{Mode, OFlags};
use rustix::termios::{LocalModes, OptionalActions, SpecialCodeIndex};

use crate::secret::Secret;

/// A longer answer is cut; no terminal takes more in one line anyway.
const LIMIT: usize = 1 << 16;
/// What Ctrl-C sends.
const INTERRUPT: u8 = 0x03;

/// Asks on the controlling terminal and reads one line.
pub(crate) fn line(question: &str) -> io::Result<String> {
    let terminal = open()?;
    rustix::io::write(&terminal, question.as_bytes())?;
    let answer = read_line(&terminal)?;
    Ok(answer.expose_text().unwrap_or_default().to_owned())
}

/// As [`line()`], without showing what is typed. After Ctrl-C, too, the terminal is as before.
pub(crate) fn hidden(question: &str) -> io::Result<Secret> {
    let terminal = open()?;
    let before = rustix::termios::tcgetattr(&terminal)?;
    let mut silent = before.clone();
    // Without signals Ctrl-C arrives as the byte that it is and ends the line.
    silent.local_modes -= LocalModes::ECHO | LocalModes::ISIG;
    silent.special_codes[SpecialCodeIndex::VEOL] = INTERRUPT;
    rustix::termios::tcsetattr(&terminal, OptionalActions::Flush, &silent)?;
    // Asked only now: what is typed after the question is neither shown nor flushed away.
    let asked = rustix::io::write(&terminal, question.as_bytes());
    let answer = asked
        .map_err(io::Error::from)
        .and_then(|_| read_line(&terminal));
    let _ = rustix::termios::tcsetattr(&terminal, OptionalActions::Now, &before);
    let _ = rustix::io::write(&terminal, b"\n");
    answer
}

fn open() -> io::Result<OwnedFd> {
    let flags = OFlags::RDWR | OFlags::CLOEXEC;
    Ok(rustix::fs::open("/dev/tty", flags, Mode::empty())?)
}

fn read_line(terminal: &OwnedFd) -> io::Result<Secret> {
    let mut bytes = Vec::with_capacity(LIMIT);
    let mut byte = [0];
    while bytes.len() < LIMIT {
        match rustix::io::read(terminal, &mut byte) {
            Err(rustix::io::Errno::INTR) => {}
            Err(errno) => return Err(errno.into()),
            Ok(0) => break,
            Ok(_) if byte == [INTERRUPT] => return Err(io::ErrorKind::Interrupted.into()),
            Ok(_) if byte == [b'\n'] => break,
            Ok(_) => bytes.extend_from_slice(&byte),
        }
    }
    Ok(Secret::new(bytes))
}
