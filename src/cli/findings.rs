//! Findings of a document as lines and as errors: `E0212 FILE:LINE  text`.

use crate::cli::error::{CommandError, Exit};
use crate::cli::ui::Ui;
use crate::env::{Finding, Severity};

/// One line for `finding` in the file `shown`.
pub(crate) fn line(shown: &str, finding: &Finding) -> String {
    let place = match finding.position.line {
        0 => shown.to_owned(),
        line => format!("{shown}:{line}"),
    };
    format!("{} {place}  {}", finding.code, finding.message)
}

/// Prints `finding` with its hint.
pub(crate) fn print(ui: &Ui, shown: &str, finding: &Finding) {
    let line = line(shown, finding);
    match finding.severity {
        Severity::Error => ui.finding(&line),
        Severity::Warning => ui.warn(&line),
    }
    if let Some(hint) = &finding.hint {
        ui.detail("fix", hint);
    }
}

/// The error that stops a command because of `errors`: the first one, then the others below it.
pub(crate) fn error<'a>(
    shown: &str,
    errors: impl IntoIterator<Item = &'a Finding>,
) -> CommandError {
    let mut errors = errors.into_iter();
    let Some(first) = errors.next() else {
        return CommandError::new("E0294", Exit::Failure, format!("{shown} is not valid"));
    };
    let place = match first.position.line {
        0 => shown.to_owned(),
        line => format!("{shown}:{line}"),
    };
    let exit = if first.code == "E0140" {
        Exit::Plaintext
    } else {
        Exit::Failure
    };
    let mut error = CommandError::new(first.code, exit, format!("{place}  {}", first.message));
    if let Some(hint) = &first.hint {
        error = error.fix(hint);
    }
    for other in errors {
        error = error.fact("also", line(shown, other));
    }
    error
}
