//! A child that is waited for: an editor, or the command of `exec-env` and `exec-file`.
//!
//! Ctrl-C is for the child alone; a request to end is passed on, so that whoever started it can clean
//! up behind it.

use std::io;
use std::os::unix::process::ExitStatusExt as _;
use std::process::{Command, ExitStatus};

use rustix::process::{Pid, Signal, kill_process};
use tokio::signal::unix::{SignalKind, signal};

use super::failure::Failure;

/// Runs `command` to its end.
pub(super) fn run(command: Command) -> io::Result<ExitStatus> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_io()
        .build()?;
    runtime.block_on(async {
        let mut interrupt = signal(SignalKind::interrupt())?;
        let mut terminate = signal(SignalKind::terminate())?;
        let mut hangup = signal(SignalKind::hangup())?;
        let mut child = tokio::process::Command::from(command).spawn()?;
        let pid = child.id().and_then(|id| i32::try_from(id).ok());
        let pid = pid.and_then(Pid::from_raw);
        let pass = |number: Signal| {
            if let Some(pid) = pid {
                let _ = kill_process(pid, number);
            }
        };
        loop {
            tokio::select! {
                ended = child.wait() => return ended,
                _ = interrupt.recv() => {}
                _ = terminate.recv() => pass(Signal::TERM),
                _ = hangup.recv() => pass(Signal::HUP),
            }
        }
    })
}

/// How a child failed, in the words of Go: `exit status 1`, `signal: killed`.
pub(super) fn words(status: ExitStatus) -> String {
    match (status.code(), status.signal()) {
        (Some(code), _) => format!("exit status {code}"),
        (None, Some(number)) => {
            let name = match number {
                1 => "hangup",
                2 => "interrupt",
                3 => "quit",
                6 => "aborted",
                9 => "killed",
                11 => "segmentation fault",
                13 => "broken pipe",
                15 => "terminated",
                _ => return format!("signal: {number}"),
            };
            format!("signal: {name}")
        }
        (None, None) => "exit status unknown".to_owned(),
    }
}

/// The end of a child as the end of this program; a signal becomes 255, as in SOPS.
pub(super) fn outcome(status: ExitStatus) -> Result<(), Failure> {
    match status.code() {
        Some(0) => Ok(()),
        Some(code) => Err(Failure::of_child(
            u8::try_from(code).unwrap_or(u8::MAX),
            words(status),
        )),
        None => Err(Failure::of_child(u8::MAX, words(status))),
    }
}
