//! Why a document is refused: condition, reason, code and one sentence, never a value.

use crate::env::{Finding, Severity};
use crate::reason::Reason;
use crate::resolve::Verification;
use crate::sops::{KeyError, OpenError, ReadError};

/// A document that must not be applied; whatever was applied before stays.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    /// The condition that it fails.
    pub stage: Stage,
    /// Why.
    pub reason: Reason,
    /// The code of the error, such as `E0112`; that of the first finding for an invalid document.
    pub code: &'static str,
    /// One sentence with names and lines, never a value; says how many further errors there are.
    pub message: String,
    /// All findings of an invalid document, warnings included.
    pub findings: Vec<Finding>,
    /// The counter of its seal as far as it could be read. Not proven unless `verified` says so.
    pub revision: Option<u64>,
    /// What the verification said, when the document failed after it.
    pub verified: Option<Verification>,
}

/// The condition that a refused document fails.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Stage {
    /// Target, revision, seal.
    Verified,
    /// Reading, data key, values, grammar.
    Decrypted,
}

impl Refusal {
    /// Number of errors beside the one in the message.
    #[must_use]
    pub fn further(&self) -> usize {
        let is_error = |finding: &&Finding| finding.severity == Severity::Error;
        self.findings
            .iter()
            .filter(is_error)
            .count()
            .saturating_sub(1)
    }

    /// A document whose target, revision or seal is not as the policy asks.
    pub(super) fn unverified(reason: Reason, message: impl Into<String>) -> Self {
        let code = if reason == Reason::Pending {
            "E0151"
        } else {
            "E0150"
        };
        Self::new(Stage::Verified, reason, code, message.into())
    }

    /// A text that cannot be read as a document at all.
    pub(super) fn unreadable(code: &'static str, message: impl Into<String>) -> Self {
        Self::new(
            Stage::Decrypted,
            Reason::InvalidDocument,
            code,
            message.into(),
        )
    }

    /// A document that breaks the grammar. `findings` hold at least one error.
    pub(super) fn invalid(findings: Vec<Finding>) -> Self {
        let mut errors = findings
            .iter()
            .filter(|finding| finding.severity == Severity::Error);
        let (code, mut message) =
            errors
                .next()
                .map_or(("E0208", "the document is not valid".to_owned()), |first| {
                    let line = first.position.line;
                    let place = if line == 0 {
                        String::new()
                    } else {
                        format!("line {line}: ")
                    };
                    let hint = first.hint.iter().map(|hint| format!("; {hint}"));
                    let hint: String = hint.collect();
                    (first.code, format!("{place}{}{hint}", first.message))
                });
        let further = errors.count();
        if further > 0 {
            message = format!("{message}; and {further} more");
        }
        Self {
            findings,
            ..Self::new(Stage::Decrypted, Reason::InvalidDocument, code, message)
        }
    }

    /// The same with what is known of the seal.
    pub(super) fn sealed(mut self, revision: Option<u64>, verified: Option<Verification>) -> Self {
        self.revision = revision;
        self.verified = verified;
        self
    }

    fn new(stage: Stage, reason: Reason, code: &'static str, message: String) -> Self {
        Self {
            stage,
            reason,
            code,
            message,
            findings: Vec::new(),
            revision: None,
            verified: None,
        }
    }
}

impl From<ReadError> for Refusal {
    fn from(error: ReadError) -> Self {
        let code = match error {
            ReadError::NotSealed => "E0140",
            _ => "E0208",
        };
        Self::unreadable(code, error.to_string())
    }
}

impl From<KeyError> for Refusal {
    fn from(error: KeyError) -> Self {
        let (reason, code) = match error {
            KeyError::NoIdentity { .. } => (Reason::NoIdentity, "E0112"),
            KeyError::NotARecipient { .. } => (Reason::NotRecipient, "E0112"),
            KeyError::Damaged { .. } => (Reason::IntegrityFailed, "E0130"),
            KeyError::Split => (Reason::InvalidDocument, "E0208"),
        };
        Self::new(Stage::Decrypted, reason, code, error.to_string())
    }
}

impl From<OpenError> for Refusal {
    fn from(error: OpenError) -> Self {
        match error {
            OpenError::PlainLeaf { .. } => Self::unreadable("E0140", error.to_string()),
            // One message for every cause: what exactly did not fit is of use to an attacker only.
            OpenError::Value { .. } | OpenError::Mac(_) => Self::new(
                Stage::Decrypted,
                Reason::IntegrityFailed,
                "E0130",
                "the content is not what was sealed: a value or the MAC does not fit".to_owned(),
            ),
        }
    }
}
