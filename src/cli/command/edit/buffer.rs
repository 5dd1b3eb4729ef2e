//! The buffer of `edit`: a file in memory, and the editor that works on it.

use std::ffi::{OsStr, OsString};
use std::path::PathBuf;
use std::process::Command;

use crate::cli::document::Source;
use crate::cli::editor::{self, NoEditor};
use crate::cli::error::{CommandError, Exit};
use crate::cli::{Session, git};
use crate::digest::Digest;
use crate::file::{self, Scratch};
use crate::secret::Secret;

/// A private copy that an editor may write. It stays behind unless it is discarded.
pub(super) struct Buffer {
    scratch: Scratch,
    path: PathBuf,
    /// The longest text that is taken back.
    limit: u64,
    /// What opens it again.
    resume: String,
}

impl Buffer {
    /// A buffer with `text`, or the one that an earlier `edit` of the same document left behind, if the
    /// person wants it.
    ///
    /// # Errors
    ///
    /// When a question stays unanswered, or there is no place for a buffer. What was left behind is
    /// still there then.
    pub(super) fn open(
        session: &Session,
        source: &Source,
        key: Option<&str>,
        text: &Secret,
    ) -> Result<Self, CommandError> {
        let places = session.environ.scratch_places();
        let label = Label::new(source, key);
        if places.is_in_use(&label.of_document) {
            let what = format!("{} is being edited elsewhere too", source.shown);
            session.ui.warn(&what);
            let why = "whoever saves second is told so; what was typed is kept then";
            session.ui.detail("note", why);
        }
        // It tells the editor which format it is.
        let name = match (key, &source.name) {
            (Some(_), _) => OsStr::new("value.txt"),
            (None, Some(name)) if !source.is_document() => name.file_name().unwrap_or_default(),
            (None, _) => OsStr::new("document.yaml"),
        };
        let found = |label: &str| Some(Self::of(places.find(label)?, name, source, key));
        let earlier = match found(&label.of_base) {
            Some(buffer) => buffer.go_on(session, source)?,
            None => match found(&label.of_document) {
                Some(buffer) => buffer.go_on_with_another_base(session, source)?,
                None => None,
            },
        };
        match earlier {
            Some(buffer) => Ok(buffer),
            None => Self::create(session, &label, name, source, key, text),
        }
    }

    fn of(scratch: Scratch, name: &OsStr, source: &Source, key: Option<&str>) -> Self {
        let file = git::quoted(&source.shown);
        let resume = match key {
            None => format!("sealctl edit {file}"),
            Some(key) => format!("sealctl edit {file} --key {}", git::quoted(key)),
        };
        Self {
            path: scratch.path().join(name),
            scratch,
            limit: source.limit(),
            resume,
        }
    }

    fn create(
        session: &Session,
        label: &Label,
        name: &OsStr,
        source: &Source,
        key: Option<&str>,
        text: &Secret,
    ) -> Result<Self, CommandError> {
        let scratch = session.environ.scratch_places().create(&label.of_base)?;
        if !scratch.is_in_memory() {
            session
                .ui
                .warn("no memory file system was found; the buffer lies on a disk");
        }
        let mut made = Self::of(scratch, name, source, key);
        file::create(&made.path, text, file::PRIVATE)?;
        made.scratch.keep();
        Ok(made)
    }

    /// Itself, if the person wants to go on with it; thrown away otherwise.
    fn go_on(mut self, session: &Session, source: &Source) -> Result<Option<Self>, CommandError> {
        let question = format!(
            "An earlier edit of {} was not saved. Go on with it?",
            source.shown
        );
        if self.holds_text() && session.ui.confirm(&question, "--yes")? {
            return Ok(Some(self));
        }
        self.discard();
        Ok(None)
    }

    /// As [`Self::go_on`], for a buffer made from another version of the file. Saving it would bring back
    /// what that version said, so only a person can want that, and only once told.
    fn go_on_with_another_base(
        mut self,
        session: &Session,
        source: &Source,
    ) -> Result<Option<Self>, CommandError> {
        if !self.holds_text() {
            self.discard();
            return Ok(None);
        }
        let what = format!(
            "an earlier edit of {} was not saved, and the file has changed since",
            source.shown
        );
        let why = "going on with it would bring back what the file said then";
        if !session.ui.can_ask() {
            return Err(CommandError::new("E0544", Exit::Failure, what)
                .why(why)
                .fact("kept", self.shown())
                .fix(format!(
                    "{}   on a terminal asks what to do with it",
                    self.resume
                ))
                .fix(format!(
                    "rm -r {}   throws it away",
                    self.scratch.path().display()
                )));
        }
        session.ui.warn(&what);
        session.ui.detail("why", why);
        session.ui.detail("kept", &self.shown());
        let question = "  [n]ew edit, keep the earlier text  [g]o on with it  [d]iscard it ? ";
        match session
            .ui
            .choose(question, &['n', 'g', 'd'], "a terminal")?
        {
            'g' => return Ok(Some(self)),
            'd' => self.discard(),
            _ => {}
        }
        Ok(None)
    }

    fn holds_text(&self) -> bool {
        file::kind(&self.path).is_some()
    }

    /// Runs the editor to its end.
    pub(super) fn edit(&self, session: &Session) -> Result<(), CommandError> {
        let words = editor(session)?;
        let (program, arguments) = words.split_first().ok_or_else(|| {
            CommandError::usage("the editor is an empty command").fix("export EDITOR=vim")
        })?;
        let mut command = Command::new(program);
        self.scratch.lend();
        command
            .args(arguments)
            .args(editor::quiet_flags(program))
            .arg(&self.path);
        command.env_remove("SOPS_AGE_KEY");
        let status = command.status().map_err(|error| {
            let what = format!("cannot run the editor {}", program.display());
            CommandError::new("E0543", Exit::Failure, what)
                .why(error.kind().to_string())
                .fix("export EDITOR=vim")
        })?;
        if status.success() {
            return Ok(());
        }
        let what = format!("the editor ended with {status}");
        Err(self.kept(CommandError::new("E0543", Exit::Failure, what)))
    }

    /// `error`, with where what was typed is and how to go on with it.
    pub(super) fn kept(&self, error: CommandError) -> CommandError {
        error
            .fact("kept", self.shown())
            .fix(format!("{}   offers what was typed again", self.resume))
    }

    /// The command that opens it again.
    pub(super) fn resume(&self) -> String {
        self.resume.clone()
    }

    /// What stands in it.
    pub(super) fn read(&self) -> Result<Secret, CommandError> {
        Ok(file::read(&self.path, self.limit)?)
    }

    /// Where it lies, for messages.
    pub(super) fn shown(&self) -> String {
        self.path.display().to_string()
    }

    /// Removes it when dropped.
    pub(super) fn discard(&mut self) {
        self.scratch.release();
    }
}

/// How the buffers of a document, or of one key of it, are called, without path and key in the name.
struct Label {
    /// Of any version of the file.
    of_document: String,
    /// Of the file as it is now: a buffer carries a digest of what it was made from in its name.
    of_base: String,
}

impl Label {
    fn new(source: &Source, key: Option<&str>) -> Self {
        let path = source.path().unwrap_or_default();
        let mut parts = vec![path.as_os_str().as_encoded_bytes()];
        parts.extend(key.map(str::as_bytes));
        let of_document = format!("edit-{}", Digest::combine(parts).short(16));
        let base = Digest::combine([source.text.expose()]);
        let of_base = format!("{of_document}-{}", base.short(16));
        Self {
            of_document,
            of_base,
        }
    }
}

/// The editor's command line.
fn editor(session: &Session) -> Result<Vec<OsString>, CommandError> {
    let variables = ["SOPS_EDITOR", "VISUAL", "EDITOR"];
    editor::command_line(&session.environ, &variables).map_err(|error| {
        let what = CommandError::usage(error.to_string());
        match error {
            NoEditor::NotFound => what.fix("export EDITOR=\"code --wait\""),
            NoEditor::Quote(_) => what,
        }
    })
}
