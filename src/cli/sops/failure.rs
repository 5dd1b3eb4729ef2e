//! How a command of the drop-in ends when it does not succeed: the exit code of SOPS and a text.
//!
//! The numbers are those of SOPS, not of sealctl. No text here holds a value.

use std::path::Path;

use crate::cli::configuration::Unusable;
use crate::file::FileError;

pub(super) use crate::cli::configuration::go_words;

/// Exit code of SOPS.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub(super) enum Exit {
    /// Anything without a code of its own.
    Generic = 1,
    /// The input cannot be read, or is not valid in its format.
    Read = 2,
    /// The output cannot be written.
    Write = 3,
    /// The result cannot be expressed in its format.
    Emit = 4,
    /// The path or value of `set` or `unset` is wrong.
    SetPath = 7,
    /// Parameters exclude each other.
    Conflict = 8,
    /// Values cannot be encrypted.
    Encrypt = 23,
    /// A value cannot be decrypted.
    Decrypt = 25,
    /// Keys are to be added to a file that is not there.
    KeysOfNothing = 49,
    /// The MAC is wrong or missing.
    Mac = 51,
    /// The path of `--extract` is wrong.
    ExtractPath = 91,
    /// The file is empty.
    Empty = 92,
    /// No file, or wrong arguments.
    NoFile = 100,
    /// A word stands twice in the order of decryption.
    OrderTwice = 112,
    /// The data key cannot be recovered.
    NoKey = 128,
    /// `edit` changed nothing.
    Unchanged = 200,
    /// The editor is missing or failed.
    Editor = 201,
    /// The file is sealed already.
    SealedAlready = 203,
}

/// Why a command stopped.
#[derive(Debug)]
pub(super) struct Failure {
    code: u8,
    text: String,
}

impl Failure {
    /// Ends with `exit` after saying `text`, one or several lines.
    pub(super) fn new(exit: Exit, text: impl Into<String>) -> Self {
        Self {
            code: exit as u8,
            text: text.into(),
        }
    }

    /// A failure without a code of its own.
    pub(super) fn generic(text: impl Into<String>) -> Self {
        Self::new(Exit::Generic, text)
    }

    /// Ends with the status of a child.
    pub(super) fn of_child(code: u8, text: String) -> Self {
        Self { code, text }
    }

    /// The same, with one more line.
    pub(super) fn and_said(mut self, line: &str) -> Self {
        self.text = format!("{}\n{line}", self.text);
        self
    }

    /// The exit code.
    pub(super) fn code(&self) -> u8 {
        self.code
    }

    /// What is said.
    pub(super) fn text(&self) -> &str {
        &self.text
    }

    /// The input `shown` cannot be read.
    pub(super) fn reading(shown: &Path, error: &FileError) -> Self {
        let why = go_words(shown.as_os_str(), error);
        Self::new(Exit::Read, format!("Error reading file: {why}"))
    }
}

impl From<Unusable> for Failure {
    fn from(error: Unusable) -> Self {
        Self::generic(error.0)
    }
}
