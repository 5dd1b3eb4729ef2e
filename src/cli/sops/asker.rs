//! Questions of keys to the person at the terminal. Without a terminal each fails at once.

use std::io::{self, Write as _};

use crate::cli::ui::ask;
use crate::crypto::{Asker, NotAnswered};
use crate::secret::Secret;

/// The controlling terminal.
#[derive(Debug, Clone, Copy)]
pub(super) struct Terminal;

impl Asker for Terminal {
    fn secret(&self, question: &str) -> Result<Secret, NotAnswered> {
        ask::hidden(&format!("{question}: ")).map_err(|error| unanswered(&error))
    }

    fn line(&self, question: &str) -> Result<String, NotAnswered> {
        ask::line(&format!("{question}: ")).map_err(|error| unanswered(&error))
    }

    fn confirm(&self, question: &str, yes: &str, no: Option<&str>) -> Result<bool, NotAnswered> {
        let choices = match no {
            Some(no) => format!("[y] {yes}  [n] {no}"),
            None => format!("[y] {yes}"),
        };
        let answer = ask::line(&format!("{question} {choices} ? "));
        answer
            .map(|answer| matches!(answer.trim(), "y" | "Y" | "yes"))
            .map_err(|error| unanswered(&error))
    }

    fn tell(&self, message: &str) {
        let _ = writeln!(io::stderr().lock(), "{message}");
    }
}

fn unanswered(error: &io::Error) -> NotAnswered {
    NotAnswered(match error.kind() {
        io::ErrorKind::Interrupted => "interrupted".to_owned(),
        _ => "there is no terminal to ask on".to_owned(),
    })
}
