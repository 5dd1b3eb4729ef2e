//! What the check of a document has to say: one finding per fault, never with a value.
//!
//! Names of fields, keys and objects are shown, cut short; the text of a value never is.

use crate::tree::Position;

/// One fault or warning in a document.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// Stable code, `E0210` or `W0221`.
    pub code: &'static str,
    /// Whether the document can be used all the same.
    pub severity: Severity,
    /// What is wrong, in one phrase without a full stop.
    pub message: String,
    /// Path of the field, such as `deliver[1].keys.db_url`; empty for the whole document.
    pub path: String,
    /// Line and column in the file; 0 where the tree was not read from a file.
    pub position: Position,
    /// What to write instead, where that can be said.
    pub hint: Option<String>,
}

/// Whether a document with the finding can be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    /// It is refused.
    Error,
    /// It can be used.
    Warning,
}

/// A place in the document: path for people, position for editors.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct At {
    pub(super) path: String,
    pub(super) position: Position,
}

impl At {
    /// The place of the field `key` of this place.
    pub(super) fn field(&self, key: &str, position: Position) -> Self {
        let key = cut(key);
        let path = if self.path.is_empty() {
            key
        } else {
            format!("{}.{key}", self.path)
        };
        Self { path, position }
    }

    /// The place of item `index`, counted from 0.
    pub(super) fn item(&self, index: usize, position: Position) -> Self {
        Self {
            path: format!("{}[{index}]", self.path),
            position,
        }
    }
}

impl Finding {
    /// An error at `at`.
    pub(super) fn error(code: &'static str, at: &At, message: impl Into<String>) -> Self {
        Self::new(code, Severity::Error, at, message.into())
    }

    /// A warning at `at`.
    pub(super) fn warning(code: &'static str, at: &At, message: impl Into<String>) -> Self {
        Self::new(code, Severity::Warning, at, message.into())
    }

    /// The same with a hint, if there is one.
    pub(super) fn hinted(mut self, hint: Option<String>) -> Self {
        self.hint = hint;
        self
    }

    fn new(code: &'static str, severity: Severity, at: &At, message: String) -> Self {
        Self {
            code,
            severity,
            message,
            path: at.path.clone(),
            position: at.position,
            hint: None,
        }
    }
}

/// A name as it may be shown: at most 80 characters, none of them a control character.
pub(super) fn cut(name: &str) -> String {
    let mut shown: String = name
        .chars()
        .take(80)
        .map(|letter| {
            if letter.is_control() {
                '\u{fffd}'
            } else {
                letter
            }
        })
        .collect();
    if name.chars().nth(80).is_some() {
        shown.push('…');
    }
    shown
}

/// The candidate that `word` was probably meant to be, as a hint: `did you mean secrets?`.
#[must_use]
pub fn did_you_mean<'a>(
    word: &str,
    candidates: impl IntoIterator<Item = &'a str>,
) -> Option<String> {
    // Long names are no slips of the pen, and would cost time.
    if word.len() > 64 {
        return None;
    }
    let allowed = (word.len() / 3).clamp(1, 3);
    candidates
        .into_iter()
        .map(|candidate| (distance(word, candidate), candidate))
        .filter(|(distance, _)| *distance <= allowed)
        .min()
        .map(|(_, candidate)| format!("did you mean {candidate}?"))
}

/// Levenshtein distance without regard to case.
fn distance(left: &str, right: &str) -> usize {
    let right: Vec<char> = right.to_lowercase().chars().collect();
    let mut row: Vec<usize> = (0..=right.len()).collect();
    for (above, letter) in left.to_lowercase().chars().enumerate() {
        let mut diagonal = above;
        let mut last = above + 1;
        for (cell, other) in row.iter_mut().skip(1).zip(&right) {
            last = (diagonal + usize::from(letter != *other))
                .min(last + 1)
                .min(*cell + 1);
            diagonal = std::mem::replace(cell, last);
        }
        if let Some(first) = row.first_mut() {
            *first = above + 1;
        }
    }
    row.last().copied().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn distances_are_those_of_levenshtein() {
        assert_eq!(distance("kitten", "sitting"), 3);
        assert_eq!(distance("", "abc"), 3);
        assert_eq!(distance("abc", ""), 3);
        assert_eq!(distance("Deliver", "deliver"), 0);
    }

    #[test]
    fn near_misses_are_suggested_and_far_ones_are_not() {
        let fields = ["config", "secrets", "deliver"];
        assert_eq!(
            did_you_mean("secret", fields),
            Some("did you mean secrets?".into())
        );
        assert_eq!(did_you_mean("volumes", fields), None);
    }

    #[test]
    fn shown_names_are_short_and_printable() {
        assert_eq!(cut("a\u{1b}[31m"), "a\u{fffd}[31m");
        assert_eq!(cut(&"x".repeat(200)).chars().count(), 81);
    }
}
