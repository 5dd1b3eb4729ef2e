//! Running a command with an environment: in our place, or as a child that is watched over.
//!
//! A child gets a process group of its own, in the foreground of the terminal, so that a server with a
//! reloader ends as a whole. Orphans are reaped, which makes it safe to be PID 1. What the variables
//! mean, and why the child is restarted, is not known here.

mod terminal;

use std::ffi::OsString;
use std::io;
use std::os::unix::process::CommandExt as _;
use std::process::{ChildStderr, ChildStdout, Command, Stdio};
use std::time::Duration;

use rustix::process::{Pid, Signal, WaitOptions, WaitStatus};
use tokio::signal::unix::{SignalKind, signal};

use terminal::Terminal;

/// What to run, and its whole environment.
pub struct Task {
    /// The program and its arguments; not empty.
    pub command: Vec<OsString>,
    /// Every variable of the child. It holds secrets, so this type has no `Debug`.
    pub environment: Vec<(OsString, OsString)>,
    /// Whether the child writes into pipes of ours instead of our own streams.
    pub piped: bool,
}

/// Why a command could not be started.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// No such program.
    #[error("command not found: {0}")]
    NotFound(String),
    /// It is there, and cannot be run.
    #[error("cannot execute {program}: {why}")]
    NotExecutable {
        /// The program.
        program: String,
        /// What the system said.
        why: String,
    },
    /// Signals or the terminal could not be prepared.
    #[error("cannot watch over a child: {0}")]
    Supervision(#[from] io::Error),
}

/// How a child ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum End {
    /// With this status.
    Exited(u8),
    /// By this signal.
    Killed(u8),
}

impl End {
    /// The status that a shell would show: 128 and the number of the signal.
    #[must_use]
    pub fn code(self) -> u8 {
        match self {
            Self::Exited(status) => status,
            Self::Killed(number) => number.saturating_add(128),
        }
    }
}

/// Replaces this process by `task`. Returns only when that fails.
#[must_use]
pub fn replace(task: &Task) -> RunError {
    start_error(task, &prepare(task).exec())
}

/// Runs `task` in the foreground to its end, in this process group.
///
/// # Errors
///
/// When it cannot be started.
pub fn run_to_end(task: &Task) -> Result<End, RunError> {
    let status = prepare(task)
        .status()
        .map_err(|error| start_error(task, &error))?;
    use std::os::unix::process::ExitStatusExt as _;
    Ok(match (status.code(), status.signal()) {
        (Some(code), _) => End::Exited(u8::try_from(code).unwrap_or(1)),
        (None, number) => End::Killed(number.and_then(|n| u8::try_from(n).ok()).unwrap_or(9)),
    })
}

fn prepare(task: &Task) -> Command {
    let (program, arguments) = match task.command.split_first() {
        Some((program, arguments)) => (program.clone(), arguments),
        None => (OsString::new(), &[][..]),
    };
    let mut command = Command::new(program);
    command.args(arguments).env_clear();
    command.envs(task.environment.iter().map(|(name, value)| (name, value)));
    command
}

fn start_error(task: &Task, error: &io::Error) -> RunError {
    let program = task
        .command
        .first()
        .map(|name| name.to_string_lossy().into_owned());
    let program = program.unwrap_or_default();
    match error.kind() {
        io::ErrorKind::NotFound => RunError::NotFound(program),
        kind => RunError::NotExecutable {
            program,
            why: kind.to_string(),
        },
    }
}

/// Watches over one child after the other. Only one may exist in a process, and nothing else in that
/// process may wait for children while [`Supervisor::next`] runs.
pub struct Supervisor {
    terminal: Option<Terminal>,
    child: Option<Pid>,
    children_changed: tokio::signal::unix::Signal,
    forwarded: Vec<(Signal, tokio::signal::unix::Signal)>,
}

/// What the supervisor noticed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Notice {
    /// The child ended.
    Ended(End),
    /// Somebody asked this process to end; the child has been told already.
    AskedToEnd(Signal),
}

impl Supervisor {
    /// Takes over signals and terminal. Must be called inside a tokio runtime of one thread.
    ///
    /// # Errors
    ///
    /// When the signals cannot be taken over.
    pub fn new() -> Result<Self, RunError> {
        // Grandchildren that lose their parent come to us, and no zombie stays.
        let _ = rustix::process::set_child_subreaper(Some(rustix::process::getpid()));
        let forwarded = [
            (Signal::INT, SignalKind::interrupt()),
            (Signal::TERM, SignalKind::terminate()),
            (Signal::HUP, SignalKind::hangup()),
            (Signal::QUIT, SignalKind::quit()),
            (Signal::USR1, SignalKind::user_defined1()),
            (Signal::USR2, SignalKind::user_defined2()),
            (Signal::WINCH, SignalKind::window_change()),
        ];
        let forwarded = forwarded
            .into_iter()
            .map(|(number, kind)| Ok((number, signal(kind)?)))
            .collect::<io::Result<Vec<_>>>()?;
        Ok(Self {
            terminal: Terminal::open(),
            child: None,
            children_changed: signal(SignalKind::child())?,
            forwarded,
        })
    }

    /// Starts `task` in a process group of its own, in the foreground. Returns its pipes, when it was
    /// to have some.
    ///
    /// # Errors
    ///
    /// When the command cannot be started.
    pub fn start(
        &mut self,
        task: &Task,
    ) -> Result<(Option<ChildStdout>, Option<ChildStderr>), RunError> {
        let mut command = prepare(task);
        command.process_group(0);
        if task.piped {
            command.stdout(Stdio::piped()).stderr(Stdio::piped());
        }
        let mut child = command.spawn().map_err(|error| start_error(task, &error))?;
        let pid = i32::try_from(child.id()).ok().and_then(Pid::from_raw);
        let pipes = (child.stdout.take(), child.stderr.take());
        self.child = pid;
        if let (Some(terminal), Some(pid)) = (&self.terminal, pid) {
            terminal.give_to(pid);
            // It may have touched the terminal before it was allowed to, and been stopped for that.
            let _ = rustix::process::kill_process_group(pid, Signal::CONT);
        }
        Ok(pipes)
    }

    /// Waits until the child ends or this process is asked to end. Signals go on to the child's group.
    pub async fn next(&mut self) -> Notice {
        loop {
            if let Some(end) = self.reap() {
                self.child = None;
                return Notice::Ended(end);
            }
            let received = tokio::select! {
                _ = self.children_changed.recv() => None,
                number = any(&mut self.forwarded) => Some(number),
            };
            if let Some(number) = received {
                self.tell(number);
                if matches!(
                    number,
                    Signal::INT | Signal::TERM | Signal::HUP | Signal::QUIT
                ) {
                    return Notice::AskedToEnd(number);
                }
            }
        }
    }

    /// Ends the child's whole group: SIGTERM, and SIGKILL for what is left after `grace`.
    pub async fn stop(&mut self, grace: Duration) -> Option<End> {
        let group = self.child?;
        self.tell(Signal::TERM);
        let mut end = None;
        let gone = async {
            loop {
                end = self.reap().or(end);
                if end.is_some() && rustix::process::test_kill_process_group(group).is_err() {
                    return;
                }
                // The last of a group may be no child of ours, whose end nobody announces.
                let pause = Duration::from_millis(20);
                let _ = tokio::time::timeout(pause, self.children_changed.recv()).await;
            }
        };
        if tokio::time::timeout(grace, gone).await.is_err() {
            let _ = rustix::process::kill_process_group(group, Signal::KILL);
        }
        while end.is_none() {
            end = self.reap();
            if end.is_none() {
                let _ = self.children_changed.recv().await;
            }
        }
        self.child = None;
        if let Some(terminal) = &self.terminal {
            terminal.take_back();
        }
        end
    }

    fn tell(&self, number: Signal) {
        if let Some(group) = self.child {
            let _ = rustix::process::kill_process_group(group, number);
        }
    }

    /// Collects everything that has ended; `Some` when the child itself is among it.
    fn reap(&mut self) -> Option<End> {
        let mut end = None;
        let options = WaitOptions::NOHANG | WaitOptions::UNTRACED;
        while let Ok(Some((pid, status))) = rustix::process::wait(options) {
            if Some(pid) != self.child {
                continue;
            }
            if status.stopped() {
                self.stop_along(pid);
            } else {
                end = Some(ended(status));
            }
        }
        end
    }

    /// The child was stopped (Ctrl-Z): stop as well, and go on together.
    fn stop_along(&self, group: Pid) {
        let Some(terminal) = &self.terminal else {
            return;
        };
        terminal.take_back();
        let _ = rustix::process::kill_process(rustix::process::getpid(), Signal::STOP);
        terminal.give_to(group);
        let _ = rustix::process::kill_process_group(group, Signal::CONT);
    }
}

impl Drop for Supervisor {
    fn drop(&mut self) {
        if let Some(terminal) = &self.terminal {
            terminal.take_back();
        }
    }
}

fn ended(status: WaitStatus) -> End {
    let small = |number: i32| u8::try_from(number).unwrap_or(u8::MAX);
    match (status.exit_status(), status.terminating_signal()) {
        (Some(code), _) => End::Exited(small(code)),
        (None, Some(number)) => End::Killed(small(number)),
        (None, None) => End::Exited(1),
    }
}

/// Waits for the first of several signals.
async fn any(signals: &mut [(Signal, tokio::signal::unix::Signal)]) -> Signal {
    std::future::poll_fn(|context| {
        for (number, stream) in signals.iter_mut() {
            if stream.poll_recv(context).is_ready() {
                return std::task::Poll::Ready(*number);
            }
        }
        std::task::Poll::Pending
    })
    .await
}
