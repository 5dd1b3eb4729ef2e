//! Errors of the modules as errors of a command: the one place where hints are born.

use super::{CommandError, Exit};
use crate::cli::configuration::Unusable;
use crate::file::FileError;

impl From<FileError> for CommandError {
    fn from(error: FileError) -> Self {
        let what = error.to_string();
        match error {
            FileError::Changed { .. } => Self::new("E0531", Exit::Failure, what)
                .why("writing now would overwrite what the other one wrote")
                .fix("run the command again"),
            FileError::Irreplaceable { .. } => {
                Self::new("E0533", Exit::Failure, what).why("nothing was written")
            }
            FileError::TooLarge { .. } => Self::new("E0534", Exit::Failure, what),
            FileError::Io { .. } => Self::new("E0530", Exit::Failure, what),
        }
    }
}

impl From<Unusable> for CommandError {
    fn from(error: Unusable) -> Self {
        Self::new("E0127", Exit::Failure, error.0).why("nothing was written")
    }
}
