//! Runs a program under test: clean environment, log in a file, signals by pid, resources from /proc.
//!
//! The child ends with its `Process`, and with the test process even if that is killed with SIGKILL.

use std::ffi::{OsStr, OsString};
use std::fs;
use std::io;
use std::os::unix::process::{CommandExt as _, ExitStatusExt as _};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Mutex, OnceLock, PoisonError, mpsc};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

/// A program that is about to be started.
#[derive(Debug)]
pub(crate) struct Program {
    path: PathBuf,
    args: Vec<OsString>,
    variables: Vec<(OsString, OsString)>,
    folder: Option<PathBuf>,
    log: PathBuf,
}

impl Program {
    /// Output goes to the file `log`.
    pub(crate) fn new(path: &Path, log: PathBuf) -> Self {
        Self {
            path: path.to_owned(),
            args: Vec::new(),
            variables: Vec::new(),
            folder: None,
            log,
        }
    }

    pub(crate) fn arg(mut self, arg: impl AsRef<OsStr>) -> Self {
        self.args.push(arg.as_ref().to_owned());
        self
    }

    pub(crate) fn args(mut self, args: impl IntoIterator<Item = impl AsRef<OsStr>>) -> Self {
        self.args
            .extend(args.into_iter().map(|arg| arg.as_ref().to_owned()));
        self
    }

    /// The child's environment holds these variables and nothing else.
    pub(crate) fn env(mut self, name: impl AsRef<OsStr>, value: impl AsRef<OsStr>) -> Self {
        self.variables
            .push((name.as_ref().to_owned(), value.as_ref().to_owned()));
        self
    }

    pub(crate) fn current_dir(mut self, folder: impl Into<PathBuf>) -> Self {
        self.folder = Some(folder.into());
        self
    }

    /// Starts it.
    ///
    /// # Panics
    /// When it cannot be executed.
    pub(crate) fn start(self) -> Process {
        let log = self.log.clone();
        let program = self.path.display().to_string();
        let (answer, answered) = mpsc::channel();
        let spawner = spawner()
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone();
        spawner
            .send((self, answer))
            .expect("the spawner lives as long as the process");
        let child = answered
            .recv()
            .expect("the spawner answers")
            .unwrap_or_else(|error| panic!("{program}: {error}"));
        Process {
            child,
            log,
            status: None,
        }
    }

    fn spawn(self) -> io::Result<Child> {
        let output = fs::OpenOptions::new()
            .create(true)
            .append(true)
            .open(&self.log)?;
        let mut command = Command::new("setpriv");
        // Executed in place: the pid is the program's own.
        command
            .args(["--pdeathsig", "KILL", "--"])
            .arg(&self.path)
            .args(&self.args);
        command
            .env_clear()
            .envs(self.variables)
            .env("PATH", "/usr/local/bin:/usr/bin:/bin");
        if let Some(folder) = self.folder {
            command.current_dir(folder);
        }
        // A group of its own: Ctrl-C at the terminal is for the test process, which then takes its children along.
        command
            .process_group(0)
            .stdin(Stdio::null())
            .stdout(output.try_clone()?)
            .stderr(output)
            .spawn()
    }
}

type Order = (Program, mpsc::Sender<io::Result<Child>>);

/// Children are started from one thread that never ends: the kernel sends the parent-death signal when the starting *thread*
/// ends, and each test has a thread of its own.
fn spawner() -> &'static Mutex<mpsc::Sender<Order>> {
    static SPAWNER: OnceLock<Mutex<mpsc::Sender<Order>>> = OnceLock::new();
    SPAWNER.get_or_init(|| {
        let (sender, orders) = mpsc::channel::<Order>();
        std::thread::Builder::new()
            .name("spawner".to_owned())
            .spawn(move || {
                for (program, answer) in orders {
                    let _ = answer.send(program.spawn());
                }
            })
            .expect("a thread");
        Mutex::new(sender)
    })
}

/// A running program.
#[derive(Debug)]
pub(crate) struct Process {
    child: Child,
    log: PathBuf,
    status: Option<ExitStatus>,
}

/// What a process has used so far.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Usage {
    /// Resident memory now and at its peak, KiB.
    pub(crate) resident: u64,
    pub(crate) peak: u64,
    /// Processor time, user and system.
    pub(crate) processor: Duration,
}

impl Process {
    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// A handle that can kill from another thread, such as the hook of a proxy.
    pub(crate) fn killer(&self) -> impl FnOnce() + Send + 'static {
        let pid = self.pid();
        move || {
            let _ = send(pid, Signal::KILL);
        }
    }

    /// Sends a signal (TERM, STOP, CONT, ...). A process that has ended already is no error.
    pub(crate) fn signal(&mut self, signal: Signal) {
        if self.is_running() {
            let _ = send(self.pid(), signal);
        }
    }

    /// SIGKILL, and waits until it is gone.
    pub(crate) async fn kill(&mut self) -> ExitStatus {
        self.signal(Signal::KILL);
        self.ends_within(Duration::from_secs(10)).await
    }

    /// SIGTERM, and waits until it has ended orderly.
    ///
    /// # Panics
    /// After `deadline`, with the log's tail.
    pub(crate) async fn stop(&mut self, deadline: Duration) -> ExitStatus {
        self.signal(Signal::TERM);
        self.ends_within(deadline).await
    }

    pub(crate) fn is_running(&mut self) -> bool {
        if self.status.is_none() {
            self.status = self.child.try_wait().expect("our own child");
        }
        self.status.is_none()
    }

    /// Waits for the end.
    ///
    /// # Panics
    /// After `deadline`, with the log's tail.
    pub(crate) async fn ends_within(&mut self, deadline: Duration) -> ExitStatus {
        let begin = Instant::now();
        while self.is_running() {
            assert!(
                begin.elapsed() < deadline,
                "still running after {deadline:?}\n{}",
                self.log_tail()
            );
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        self.status.expect("it has ended")
    }

    /// Waits until the log holds this text.
    ///
    /// # Panics
    /// After `deadline`, or when the process ends before, with the log's tail.
    pub(crate) async fn logs(&mut self, text: &str, deadline: Duration) {
        let begin = Instant::now();
        loop {
            let running = self.is_running();
            if self.log().contains(text) {
                return;
            }
            assert!(
                running,
                "ended ({:?}) without {text:?} in its log\n{}",
                self.status,
                self.log_tail()
            );
            assert!(
                begin.elapsed() < deadline,
                "no {text:?} in the log after {deadline:?}\n{}",
                self.log_tail()
            );
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }

    /// Everything it has written, standard output and error.
    pub(crate) fn log(&self) -> String {
        String::from_utf8_lossy(&fs::read(&self.log).unwrap_or_default()).into_owned()
    }

    pub(crate) fn log_path(&self) -> &Path {
        &self.log
    }

    /// The command line as everybody on the machine can read it.
    pub(crate) fn command_line(&self) -> String {
        let line = fs::read(format!("/proc/{}/cmdline", self.pid())).unwrap_or_default();
        String::from_utf8_lossy(&line).replace('\0', " ")
    }

    /// Memory and processor time; nothing when it has ended.
    pub(crate) fn usage(&self) -> Option<Usage> {
        let status = fs::read_to_string(format!("/proc/{}/status", self.pid())).ok()?;
        let kib = |field: &str| {
            let line = status.lines().find(|line| line.starts_with(field))?;
            line.split_whitespace().nth(1)?.parse::<u64>().ok()
        };
        let stat = fs::read_to_string(format!("/proc/{}/stat", self.pid())).ok()?;
        // After the name, which may hold spaces: field 3 is the state, 14 and 15 are the times in ticks of 1/100 s.
        let fields: Vec<&str> = stat.rsplit_once(')')?.1.split_whitespace().collect();
        let ticks = fields.get(11)?.parse::<u64>().ok()? + fields.get(12)?.parse::<u64>().ok()?;
        Some(Usage {
            resident: kib("VmRSS:")?,
            peak: kib("VmHWM:")?,
            processor: Duration::from_millis(ticks * 10),
        })
    }

    fn log_tail(&self) -> String {
        let log = self.log();
        let lines: Vec<&str> = log.lines().collect();
        format!(
            "--- {}\n{}",
            self.log.display(),
            lines[lines.len().saturating_sub(40)..].join("\n")
        )
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// True when a process ended by this signal.
pub(crate) fn ended_by(status: ExitStatus, signal: Signal) -> bool {
    status.signal() == Some(signal.as_raw())
}

fn send(pid: u32, signal: Signal) -> rustix::io::Result<()> {
    let pid = i32::try_from(pid)
        .ok()
        .and_then(Pid::from_raw)
        .ok_or(rustix::io::Errno::SRCH)?;
    kill_process(pid, signal)
}
