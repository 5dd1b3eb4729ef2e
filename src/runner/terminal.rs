//! Who may read from the terminal: the process group in its foreground.

use std::os::fd::OwnedFd;

use nix::sys::signal::{SigSet, Signal};
use rustix::fs::{Mode, OFlags};
use rustix::process::Pid;

/// The controlling terminal, while this process is in its foreground.
pub(super) struct Terminal {
    file: OwnedFd,
    own_group: Pid,
}

impl Terminal {
    /// Opens the controlling terminal; `None` when there is none, or somebody else is in front.
    pub(super) fn open() -> Option<Self> {
        let flags = OFlags::RDWR | OFlags::CLOEXEC;
        let file = rustix::fs::open("/dev/tty", flags, Mode::empty()).ok()?;
        let own_group = rustix::process::getpgrp();
        if rustix::termios::tcgetpgrp(&file).ok()? != own_group {
            return None;
        }
        // From the background one is stopped for handing the terminal on, unless this is blocked.
        // Children start with an empty mask.
        let mut blocked = SigSet::empty();
        blocked.add(Signal::SIGTTOU);
        blocked.thread_block().ok()?;
        Some(Self { file, own_group })
    }

    /// Puts `group` in the foreground.
    pub(super) fn give_to(&self, group: Pid) {
        let _ = rustix::termios::tcsetpgrp(&self.file, group);
    }

    /// Puts this process in the foreground again.
    pub(super) fn take_back(&self) {
        let _ = rustix::termios::tcsetpgrp(&self.file, self.own_group);
    }
}
