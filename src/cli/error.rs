//! What a command says when it stops: what happened, why, how to fix it, where to read more.
//!
//! The kind decides the exit code. Errors of the modules become a [`CommandError`] in
//! `error/convert.rs`, and nowhere else are hints born. No text here ever holds a value.

mod convert;

use crate::vocabulary::ERROR_PAGES;

/// Exit code of a failed command. The numbers are documented in `sealctl help exit-codes`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Exit {
    /// The answer is "no", or a failure that has no code of its own.
    Failure = 1,
    /// Wrong usage.
    Usage = 2,
    /// Nothing changed, and `--error-unchanged` was given.
    Unchanged = 3,
    /// The project was not found, or its layout is invalid.
    Project = 10,
    /// No identity was found.
    NoIdentity = 11,
    /// Identities were found, none is a reader.
    NotReader = 12,
    /// MAC mismatch or malformed ciphertext.
    Integrity = 13,
    /// Plaintext where ciphertext is required.
    Plaintext = 14,
    /// Seal, signatures, revision, recipients or target refused.
    NotVerified = 15,
    /// The cluster cannot be reached.
    Unreachable = 20,
    /// RBAC.
    Forbidden = 21,
    /// Timed out while waiting.
    TimedOut = 22,
    /// A resource reported that it failed.
    Stalled = 23,
    /// `run`: sealctl failed before the child started.
    RunFailed = 125,
    /// `run`: the command is not executable.
    NotExecutable = 126,
    /// `run`: the command was not found.
    CommandNotFound = 127,
    /// Ctrl-C.
    Interrupted = 130,
}

/// Why a command stopped.
#[derive(Debug)]
pub(crate) struct CommandError {
    code: &'static str,
    exit: Exit,
    what: String,
    facts: Vec<(&'static str, String)>,
}

impl CommandError {
    /// `code` is a stable number such as `E0112`, `what` says what happened.
    pub(crate) fn new(code: &'static str, exit: Exit, what: impl Into<String>) -> Self {
        Self {
            code,
            exit,
            what: what.into(),
            facts: Vec::new(),
        }
    }

    /// Wrong usage.
    pub(crate) fn usage(what: impl Into<String>) -> Self {
        Self::new("E0520", Exit::Usage, what)
    }

    /// Adds a line under the label `label`, such as `tried`.
    pub(crate) fn fact(mut self, label: &'static str, text: impl Into<String>) -> Self {
        self.facts.push((label, text.into()));
        self
    }

    /// Adds why it happened.
    pub(crate) fn why(self, text: impl Into<String>) -> Self {
        self.fact("why", text)
    }

    /// Adds how to fix it: a command to paste, where there is one.
    pub(crate) fn fix(self, text: impl Into<String>) -> Self {
        self.fact("fix", text)
    }

    /// Gives it another exit code, for commands with codes of their own.
    pub(crate) fn with_exit(mut self, exit: Exit) -> Self {
        self.exit = exit;
        self
    }

    /// The stable number.
    pub(crate) fn code(&self) -> &'static str {
        self.code
    }

    /// The exit code.
    pub(crate) fn exit(&self) -> Exit {
        self.exit
    }

    /// What happened, in one line.
    pub(crate) fn what(&self) -> &str {
        &self.what
    }

    /// The labelled lines, the closing one included. Several of one label in a row show it once.
    pub(crate) fn lines(&self) -> Vec<(&'static str, String)> {
        let mut lines = Vec::new();
        let mut last = "";
        for (label, text) in &self.facts {
            for part in text.lines() {
                lines.push((if *label == last { "" } else { *label }, part.to_owned()));
                last = label;
            }
        }
        let more = format!(
            "{ERROR_PAGES}{}      exit code {}",
            self.code, self.exit as u8
        );
        lines.push(("more", more));
        lines
    }
}

/// The text of `sealctl help exit-codes`.
pub(crate) const EXIT_CODES: &str = "\
Exit codes of sealctl

    0  success, or the answer is \"yes\", \"no difference\", \"clean\"
    1  the answer is \"no\": findings, key absent, not ready; elsewhere: general failure
    2  wrong usage
    3  nothing changed, only with --error-unchanged
   10  project not found or layout invalid
   11  no identity found
   12  identities found, none is a reader of this document
   13  integrity failure: MAC mismatch or malformed ciphertext
   14  plaintext where ciphertext is required
   15  not verified: seal, signatures, revision, recipients or target refused
   20  cluster unreachable
   21  forbidden (RBAC)
   22  timed out waiting
   23  a resource reported that it stalled or failed
  125  run: sealctl failed before the child started
  126  run: the command is not executable
  127  run: the command was not found
128+N  run: the child was ended by signal N; 130 is Ctrl-C in sealctl itself

Otherwise run returns the status of its child.
";
