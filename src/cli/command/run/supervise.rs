//! The parent that stays: watches the document, restarts the child, masks its output.
//!
//! A document that is broken for a moment, or for good, never ends the child: the last content that
//! was right stays.

use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt as _};
use tokio::task::JoinHandle;

use super::redact::Redactor;
use super::{Loaded, RunArgs, redacts, task};
use crate::cli::document::Source;
use crate::cli::error::{CommandError, Exit};
use crate::cli::{Outcome, Session};
use crate::runner::{End, Notice, RunError, Supervisor};
use crate::secret::Secret;
use crate::source::changes::Changes;

/// After the first event of a change, what follows within this time is gathered.
const QUIET: Duration = Duration::from_millis(250);
/// How often the file is looked at although nothing was heard of it.
const POLL: Duration = Duration::from_secs(2);
/// Masking holds nothing back for longer than this.
const HOLD_BACK: Duration = Duration::from_millis(100);

/// Runs the command to its end.
pub(super) fn run(
    session: &mut Session,
    args: &RunArgs,
    source: &Source,
    loaded: Option<Loaded>,
    grace: Duration,
) -> Result<Outcome, CommandError> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| CommandError::from(RunError::from(error)))?;
    let end = runtime.block_on(async {
        let mut parent = Parent {
            supervisor: Supervisor::new()?,
            seen: source.text.clone(),
            masking: Vec::new(),
            session,
            args,
            source,
            loaded,
            grace,
        };
        parent.start()?;
        parent.serve().await
    })?;
    // A task may still wait for a pipe that a grandchild keeps open.
    runtime.shutdown_background();
    Ok(Outcome::Status(end.code()))
}

struct Parent<'a> {
    supervisor: Supervisor,
    session: &'a mut Session,
    args: &'a RunArgs,
    source: &'a Source,
    loaded: Option<Loaded>,
    grace: Duration,
    /// The file as it was last looked at, right or wrong.
    seen: Secret,
    masking: Vec<JoinHandle<()>>,
}

impl Parent<'_> {
    fn start(&mut self) -> Result<(), CommandError> {
        let masked = redacts(self.session, self.args);
        let task = task(self.session, self.args, self.loaded.as_ref(), masked);
        let (out, err) = self.supervisor.start(&task)?;
        let redactor = || Redactor::new(self.loaded.iter().flat_map(Loaded::secrets));
        if let Some(out) = out.and_then(|pipe| tokio::process::ChildStdout::from_std(pipe).ok()) {
            self.masking
                .push(tokio::spawn(mask(out, redactor(), Stream::Out)));
        }
        if let Some(err) = err.and_then(|pipe| tokio::process::ChildStderr::from_std(pipe).ok()) {
            self.masking
                .push(tokio::spawn(mask(err, redactor(), Stream::Err)));
        }
        Ok(())
    }

    /// Until the child ends by itself or because it was told to.
    async fn serve(&mut self) -> Result<End, CommandError> {
        let folder = self
            .source
            .path()
            .and_then(|path| path.parent().map(ToOwned::to_owned));
        let mut changes = folder
            .filter(|_| self.args.watch)
            .map(|folder| Changes::in_folder(&folder, POLL));
        loop {
            let hint = async {
                match &mut changes {
                    Some(changes) => changes.next(QUIET).await,
                    None => std::future::pending().await,
                }
            };
            let notice = tokio::select! {
                notice = self.supervisor.next() => Some(notice),
                () = hint => None,
            };
            match notice {
                Some(Notice::Ended(end)) => {
                    self.drain().await;
                    return Ok(end);
                }
                Some(Notice::AskedToEnd(rustix::process::Signal::TERM)) => {
                    let end = self.supervisor.stop(self.grace).await;
                    self.drain().await;
                    return end.ok_or_else(|| {
                        CommandError::new("E0540", Exit::RunFailed, "the child was lost")
                    });
                }
                // Ctrl-C and the like are the child's business; a shell in it may go on.
                Some(Notice::AskedToEnd(_)) => {}
                None => self.look_again().await?,
            }
        }
    }

    /// Reads the document again and restarts the child if its content is another one.
    async fn look_again(&mut self) -> Result<(), CommandError> {
        let Some((project, document)) = &self.source.home else {
            return Ok(());
        };
        let read = Source::of(project, document).and_then(|source| {
            if source.text == self.seen {
                return Ok(None);
            }
            self.seen = source.text.clone();
            Loaded::read(self.session, &source, self.args).map(Some)
        });
        let shown = &self.source.shown;
        match read {
            Ok(None) => {}
            Ok(Some(loaded)) => match self.difference(&loaded) {
                None => self
                    .session
                    .ui
                    .status(&format!("sealctl: {shown} sealed again, same values")),
                Some(changes) => {
                    let grace = &self.args.grace;
                    self.session.ui.status(&format!(
                        "sealctl: {shown} changed: {changes}; restarting (SIGTERM, {grace} grace)"
                    ));
                    self.loaded = Some(loaded);
                    self.supervisor.stop(self.grace).await;
                    self.drain().await;
                    self.start()?;
                }
            },
            Err(error) => {
                self.session.ui.error(&error);
                self.session.ui.warn(&format!(
                    "{shown} cannot be used; the command keeps running as it is"
                ));
            }
        }
        Ok(())
    }

    fn difference(&self, loaded: &Loaded) -> Option<String> {
        match &self.loaded {
            Some(former) => loaded.changes(former),
            None => Some("it can be opened now".to_owned()),
        }
    }

    /// Lets the last output through. A grandchild may keep the pipes open, so not for ever.
    async fn drain(&mut self) {
        for handle in self.masking.drain(..) {
            let _ = tokio::time::timeout(Duration::from_millis(500), handle).await;
        }
    }
}

#[derive(Clone, Copy)]
enum Stream {
    Out,
    Err,
}

/// Copies `pipe` to one of our streams, masked.
async fn mask(mut pipe: impl AsyncRead + Unpin, mut redactor: Redactor, stream: Stream) {
    let mut buffer = vec![0; 16 * 1024];
    loop {
        let read = tokio::time::timeout(HOLD_BACK, pipe.read(&mut buffer)).await;
        let shown = match read {
            Err(_) if redactor.holds() => redactor.flush(),
            Err(_) => continue,
            Ok(Ok(0) | Err(_)) => break,
            Ok(Ok(length)) => redactor.feed(&buffer[..length]),
        };
        write(stream, &shown);
    }
    write(stream, &redactor.flush());
}

fn write(stream: Stream, bytes: &[u8]) {
    use std::io::Write as _;
    // Where nobody listens any more, the child notices by itself.
    let _ = match stream {
        Stream::Out => {
            let mut out = std::io::stdout().lock();
            out.write_all(bytes).and_then(|()| out.flush())
        }
        Stream::Err => std::io::stderr().lock().write_all(bytes),
    };
}
