//! Questions of keys to the person at the terminal. Without a terminal each fails at once.

use std::io::{self, Write as _};
use std::sync::{Mutex, MutexGuard, PoisonError};

use super::ask;
use crate::crypto::{Asker, NotAnswered};
use crate::secret::Secret;

/// Files may be opened on several threads; a person is asked one thing at a time.
static ASKED: Mutex<()> = Mutex::new(());

/// The controlling terminal.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Terminal;

impl Asker for Terminal {
    fn secret(&self, question: &str) -> Result<Secret, NotAnswered> {
        let _one = one_at_a_time();
        ask::hidden(&format!("{question}: ")).map_err(|error| unanswered(&error))
    }

    fn line(&self, question: &str) -> Result<String, NotAnswered> {
        let _one = one_at_a_time();
        ask::line(&format!("{question}: ")).map_err(|error| unanswered(&error))
    }

    fn confirm(&self, question: &str, yes: &str, no: Option<&str>) -> Result<bool, NotAnswered> {
        let _one = one_at_a_time();
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

fn one_at_a_time() -> MutexGuard<'static, ()> {
    ASKED.lock().unwrap_or_else(PoisonError::into_inner)
}

fn unanswered(error: &io::Error) -> NotAnswered {
    NotAnswered(match error.kind() {
        io::ErrorKind::Interrupted => "interrupted".to_owned(),
        _ => "there is no terminal to ask on".to_owned(),
    })
}
