//! Where sealed files come from: a directory today, git later.
//!
//! A source yields listings: every document of the environments that are served, as text, and what
//! was refused on the way. It neither opens documents nor knows a cluster.

pub mod changes;
pub mod directory;

use std::collections::BTreeMap;

use crate::name::EnvName;
use crate::reason::Reason;

/// All documents of a source at one moment.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Listing {
    /// By path in the source, with `/`.
    pub files: BTreeMap<String, SourceFile>,
    /// Files that cannot be documents: path → why, with one sentence.
    pub refused: BTreeMap<String, (Reason, String)>,
}

/// One document as it lies in the source. Its text is sealed, but config values in it are clear.
#[derive(Clone, PartialEq, Eq)]
pub struct SourceFile {
    /// Environment of the directory that it lies in; `None` in a flat folder.
    pub environment: Option<EnvName>,
    /// The text, verbatim.
    pub text: String,
}

impl std::fmt::Debug for SourceFile {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter
            .debug_struct("SourceFile")
            .field("environment", &self.environment)
            .finish_non_exhaustive()
    }
}

/// A source that cannot be read. Nothing is concluded from it about what it holds.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SourceError {
    /// The directory is missing or unreadable.
    #[error("{path} cannot be read: {cause}")]
    Unreadable {
        /// Which directory or file.
        path: String,
        /// What the operating system says.
        cause: std::io::ErrorKind,
    },
    /// It kept changing while it was read.
    #[error("{path} changed while it was read")]
    Unstable {
        /// Which directory.
        path: String,
    },
}

impl SourceError {
    /// The reason that readiness and status show.
    #[must_use]
    pub fn reason(&self) -> Reason {
        match self {
            Self::Unreadable { .. } => Reason::SourceUnavailable,
            Self::Unstable { .. } => Reason::SourceUnstable,
        }
    }
}
