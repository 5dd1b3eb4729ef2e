//! A document on its way from a file to an opened or checked one, with errors that name the file.
//!
//! Everything that reads or writes documents goes through here, so that every verb refuses the same
//! things in the same words.

mod refusal;

use std::path::{Path, PathBuf};

use crate::cli::configuration::LONGEST as LONGEST_OTHER;
use crate::cli::error::{CommandError, Exit};
use crate::cli::keys::{Keys, Known};
use crate::cli::mask::Mask;
use crate::cli::project::{DocumentRef, Project};
use crate::cli::{Session, findings};
use crate::crypto::DataKey;
use crate::env::{Delivery, Finding, Form, Place, Severity, check};
use crate::file::{self, Original};
use crate::format::Format;
use crate::name::of_path;
use crate::secret::Secret;
use crate::sops::{METADATA_KEY, Opened, ReadError, Sealed};
use crate::trust::{self, Verdict};

/// Longest environment document: it must fit into a custom resource.
pub(crate) const LONGEST: u64 = 1_048_576;

/// Where a document comes from.
#[derive(Debug)]
pub(crate) struct Source {
    /// How messages call it.
    pub(crate) shown: String,
    /// The file; `None` for standard input.
    pub(crate) original: Option<Original>,
    /// What it holds.
    pub(crate) text: Secret,
    /// Its project and which document of it, when it is one.
    pub(crate) home: Option<(Project, DocumentRef)>,
    /// What it was called on the command line; `None` for standard input.
    pub(crate) name: Option<PathBuf>,
    /// Its format, where that was said.
    pub(crate) declared: Option<Format>,
}

/// A document that was opened.
pub(crate) struct OpenedDocument {
    /// What SOPS makes of it.
    pub(crate) opened: Opened,
    /// How its secrets are shown.
    pub(crate) mask: Mask,
}

impl Source {
    /// The document that `file` or else the options mean.
    ///
    /// # Errors
    ///
    /// When it cannot be told or read.
    pub(crate) fn find(session: &Session, file: Option<&Path>) -> Result<Self, CommandError> {
        match file {
            Some(path) => Self::at(session, path),
            None => {
                let project = Project::find(&session.globals)?;
                let document = project.document(&session.globals)?;
                Self::of(&project, &document)
            }
        }
    }

    /// The file at `path`, `-` for standard input. A file at the place of a document is that document.
    ///
    /// # Errors
    ///
    /// When it cannot be read.
    pub(crate) fn at(session: &Session, path: &Path) -> Result<Self, CommandError> {
        if path == Path::new("-") {
            let text = file::read_from(
                std::io::stdin().lock(),
                LONGEST_OTHER,
                Path::new("standard input"),
            )?;
            return Ok(Self {
                shown: "standard input".to_owned(),
                original: None,
                text,
                home: None,
                name: None,
                declared: None,
            });
        }
        let home = Project::of_file(&session.globals, path).and_then(|project| {
            let document = project.document_at(path)?;
            Some((project, document))
        });
        match home {
            Some((project, document)) => Self::of(&project, &document),
            None => Self::load(path, of_path(path), LONGEST_OTHER, None),
        }
    }

    /// A document of a project.
    ///
    /// # Errors
    ///
    /// When it cannot be read.
    pub(crate) fn of(project: &Project, document: &DocumentRef) -> Result<Self, CommandError> {
        let home = Some((project.clone(), document.clone()));
        Self::load(&project.path(document), document.to_string(), LONGEST, home)
    }

    /// A document that is about to be made from the plaintext `text`.
    pub(crate) fn planned(project: &Project, document: &DocumentRef, text: Secret) -> Self {
        let home = Some((project.clone(), document.clone()));
        Self {
            shown: document.to_string(),
            original: None,
            text,
            home,
            name: None,
            declared: None,
        }
    }

    fn load(
        path: &Path,
        shown: String,
        limit: u64,
        home: Option<(Project, DocumentRef)>,
    ) -> Result<Self, CommandError> {
        let original = file::read_original(path, limit).map_err(|error| {
            let is_missing = error.is_missing();
            let error = CommandError::from(error);
            match is_missing {
                true => error.fix("sealctl check   lists the documents"),
                false => error,
            }
        })?;
        let text = original.content().clone();
        Ok(Self {
            shown,
            original: Some(original),
            text,
            home,
            name: Some(path.to_owned()),
            declared: None,
        })
    }

    /// The same, of this format if one was said.
    pub(crate) fn declared_as(self, format: Option<Format>) -> Self {
        Self {
            declared: format,
            ..self
        }
    }

    /// Whether it is an environment document: by its place, or by the field that all of them begin with.
    pub(crate) fn is_document(&self) -> bool {
        let is_sign = |line: &str| line.starts_with("sealctl:") || line.starts_with("\"sealctl\":");
        let has_sign = || {
            let text = self.text.expose_text().unwrap_or_default();
            text.lines().any(is_sign)
        };
        self.home.is_some() || self.any_format() == Format::Yaml && has_sign()
    }

    /// The longest text that it may have.
    pub(crate) fn limit(&self) -> u64 {
        if self.is_document() {
            LONGEST
        } else {
            LONGEST_OTHER
        }
    }

    /// Its format as SOPS tells it, by its name. Standard input is taken for YAML.
    pub(crate) fn any_format(&self) -> Format {
        match (&self.home, self.declared, &self.name) {
            (None, Some(declared), _) => declared,
            (None, None, Some(name)) => Format::of_file_name(&name.to_string_lossy()),
            (Some(_), ..) | (None, None, None) => Format::Yaml,
        }
    }

    /// Its format, by its name, for what only documents have. Standard input is taken for YAML.
    ///
    /// # Errors
    ///
    /// For a format that is not read.
    pub(crate) fn format(&self) -> Result<Format, CommandError> {
        let Some(original) = &self.original else {
            return Ok(Format::Yaml);
        };
        let name = original
            .path()
            .file_name()
            .unwrap_or_default()
            .to_string_lossy();
        Format::of_document_name(&name).ok_or_else(|| {
            CommandError::new(
                "E0126",
                Exit::Failure,
                format!("{} has a format that is not read yet", self.shown),
            )
            .why("YAML files (.yaml, .yml) are sealed and opened")
        })
    }

    /// What must stand in it because of where it lies.
    pub(crate) fn place(&self) -> Place {
        match &self.home {
            None => Place::default(),
            Some((_, document)) => Place {
                file: Some(format!("{}.yaml", document.app)),
                directory: Some(format!("envs/{}", document.environment)),
            },
        }
    }

    /// Whether it has a `sops` block, as far as that can be told without reading it properly.
    pub(crate) fn looks_sealed(&self) -> bool {
        let sign = format!("{METADATA_KEY}:");
        let text = self.text.expose_text().unwrap_or_default();
        text.lines().any(|line| line.trim_end() == sign)
    }

    /// Reads it as a sealed file of any format: a document strictly, any other file as SOPS does.
    ///
    /// # Errors
    ///
    /// As [`Self::parse`].
    pub(crate) fn read(&self) -> Result<Sealed, CommandError> {
        if self.is_document() {
            return self.parse();
        }
        let format = self.any_format();
        Sealed::read(format, &self.text).map_err(|error| match error {
            // The sealed form of a binary file is JSON; whatever else it holds, it is not sealed.
            ReadError::Syntax(_) | ReadError::NotText
                if format == Format::Binary && !self.text.expose().starts_with(b"{") =>
            {
                self.read_error(&ReadError::NotSealed)
            }
            error => self.read_error(&error),
        })
    }

    /// Reads it as a sealed document.
    ///
    /// # Errors
    ///
    /// With the place of the fault; exit code 14 when it is not sealed at all.
    pub(crate) fn parse(&self) -> Result<Sealed, CommandError> {
        Sealed::parse(self.format()?, &self.text).map_err(|error| self.read_error(&error))
    }

    /// Opens the document: data key, values, MAC.
    ///
    /// # Errors
    ///
    /// Exit codes 11 to 14 as the fault asks for.
    pub(crate) fn open(&self, session: &Session) -> Result<OpenedDocument, CommandError> {
        let sealed = self.parse()?;
        let key = self.unlock(session, &sealed)?;
        let opened = self.opened(session, sealed, &key)?;
        let mask = Mask::new(&key, session.ui.symbols());
        Ok(OpenedDocument { opened, mask })
    }

    /// Opens a file of any format, with one of `keys`.
    ///
    /// # Errors
    ///
    /// As [`Self::open`].
    pub(crate) fn open_any(&self, session: &Session, keys: &Keys) -> Result<Opened, CommandError> {
        let sealed = self.read()?;
        let key = keys.unlock(session, self, &sealed)?;
        let opened = self.opened(session, sealed, &key)?;
        if let Some(place) = opened.plain_comments().first() {
            let (shown, line) = (&self.shown, place.line);
            let others = match opened.plain_comments().len() {
                1 => String::new(),
                count => format!(" ({} more below)", count - 1),
            };
            session.ui.warn(&format!(
                "{shown}:{line}  a comment was typed in or altered after sealing{others}; sops does not authenticate comments"
            ));
        }
        Ok(opened)
    }

    fn opened(
        &self,
        session: &Session,
        sealed: Sealed,
        key: &DataKey,
    ) -> Result<Opened, CommandError> {
        let opened = sealed.open(key).map_err(|error| self.open_error(&error))?;
        if trust::verify(opened.sealed(), key) == Verdict::Invalid {
            session.ui.warn(&format!(
                "W0150 the seal of {} does not fit its content",
                self.shown
            ));
            session.ui.detail(
                "why",
                "its readers, order or sops block were changed by another program",
            );
            session
                .ui
                .detail("fix", &format!("sealctl encrypt {}", self.shown));
        }
        Ok(opened)
    }

    /// Checks what was opened against the grammar.
    ///
    /// # Errors
    ///
    /// The findings, when one of them is an error.
    pub(crate) fn deliver(&self, document: &OpenedDocument) -> Result<Delivery, CommandError> {
        let checked = check(document.opened.tree(), Form::Opened, &self.place());
        checked
            .delivery
            .ok_or_else(|| self.refused(&checked.findings))
    }

    /// The error of a document that breaks the grammar: all findings, the first one in front.
    pub(crate) fn refused(&self, found: &[Finding]) -> CommandError {
        findings::error(
            &self.shown,
            found.iter().filter(|one| one.severity == Severity::Error),
        )
    }

    /// The path of the file, for those that write it.
    pub(crate) fn path(&self) -> Option<PathBuf> {
        Some(self.original.as_ref()?.path().to_path_buf())
    }
}

impl Source {
    /// The data key, by whichever identity opens it.
    ///
    /// # Errors
    ///
    /// Exit code 11 without any identity, 12 when none is a reader, 13 for a damaged key.
    pub(crate) fn unlock(
        &self,
        session: &Session,
        sealed: &Sealed,
    ) -> Result<DataKey, CommandError> {
        let recipients: Vec<String> = sealed.recipients().map(ToOwned::to_owned).collect();
        self.unlock_with(session, sealed, &Known::collect(session, &recipients))
    }

    /// The data key, by one of the identities that were collected before.
    ///
    /// # Errors
    ///
    /// As [`Self::unlock`].
    pub(crate) fn unlock_with(
        &self,
        session: &Session,
        sealed: &Sealed,
        known: &Known,
    ) -> Result<DataKey, CommandError> {
        sealed
            .data_key(&known.identities)
            .map_err(|error| self.key_error(session, known, &error))
    }

    /// The readers that the file itself names.
    pub(crate) fn readers_of_file(&self, sealed: &Sealed) -> String {
        let recipients: Vec<String> = sealed.recipients().map(ToOwned::to_owned).collect();
        self.reader_names(&recipients)
    }
}
