//! Questions to the person at the terminal: passphrases of keys, and what the plugins of age ask.
//!
//! Whoever has a terminal implements [`Asker`]; this room only asks through it, and never without need.

use std::fmt;
use std::sync::Arc;

use crate::secret::Secret;

/// Why a question was not answered, in words that follow a colon.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct NotAnswered(pub String);

/// Asks a person. Every question is one line without control characters, and without a colon at its end.
pub trait Asker: Send + Sync {
    /// Asks for text that must not be shown while it is typed.
    ///
    /// # Errors
    /// When nobody can be asked, or nobody answers.
    fn secret(&self, question: &str) -> Result<Secret, NotAnswered>;

    /// Asks for text that may be shown.
    ///
    /// # Errors
    /// As [`Self::secret`].
    fn line(&self, question: &str) -> Result<String, NotAnswered>;

    /// Asks for a choice between `yes` and `no`; without `no`, to go on or not.
    ///
    /// # Errors
    /// As [`Self::secret`].
    fn confirm(&self, question: &str, yes: &str, no: Option<&str>) -> Result<bool, NotAnswered>;

    /// Shows a message, such as a request to touch a device.
    fn tell(&self, message: &str);
}

/// Nobody to ask: every question fails at once.
#[derive(Debug, Clone, Copy)]
pub struct Nobody;

impl Nobody {
    fn refuse<T>() -> Result<T, NotAnswered> {
        Err(NotAnswered("there is nobody to ask".to_owned()))
    }
}

impl Asker for Nobody {
    fn secret(&self, _question: &str) -> Result<Secret, NotAnswered> {
        Self::refuse()
    }

    fn line(&self, _question: &str) -> Result<String, NotAnswered> {
        Self::refuse()
    }

    fn confirm(&self, _question: &str, _yes: &str, _no: Option<&str>) -> Result<bool, NotAnswered> {
        Self::refuse()
    }

    fn tell(&self, _message: &str) {}
}

/// An [`Asker`] that several keys share.
#[derive(Clone)]
pub struct Asking(Arc<dyn Asker>);

impl Asking {
    /// Shares `asker`.
    pub fn new(asker: impl Asker + 'static) -> Self {
        Self(Arc::new(asker))
    }

    /// Nobody to ask.
    #[must_use]
    pub fn nobody() -> Self {
        Self::new(Nobody)
    }
}

impl std::ops::Deref for Asking {
    type Target = dyn Asker;

    fn deref(&self) -> &Self::Target {
        self.0.as_ref()
    }
}

impl fmt::Debug for Asking {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Asking")
    }
}

/// `text` of a foreign program or file as one line that cannot steer a terminal: control characters
/// become blanks, and what is longer than a screenful is cut.
#[must_use]
pub(super) fn tame(text: &str) -> String {
    const LONGEST: usize = 2000;
    let tamed: String = text
        .chars()
        .take(LONGEST)
        .map(|letter| if is_tame(letter) { letter } else { ' ' })
        .collect();
    tamed.trim().to_owned()
}

/// Neither a control character nor one that turns the direction of writing.
fn is_tame(letter: char) -> bool {
    !letter.is_control()
        && !matches!(letter, '\u{200e}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn without_a_person_every_question_fails_at_once() {
        let asking = Asking::nobody();
        assert!(asking.secret("passphrase").is_err());
        assert!(asking.line("name").is_err());
        assert!(asking.confirm("sure", "yes", None).is_err());
    }

    #[test]
    fn foreign_text_cannot_steer_the_terminal() {
        assert_eq!(
            tame("touch\n\u{1b}[31m the \u{202e}key\r\n"),
            "touch  [31m the  key"
        );
        assert_eq!(tame(&"x".repeat(1 << 20)).len(), 2000);
    }
}
