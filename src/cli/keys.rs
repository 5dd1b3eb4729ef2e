//! The keys of this user, found once for all files of a call.
//!
//! Environment documents open by identities of X25519 alone, as in the cluster; any other file by
//! whatever SOPS would find. Files may be opened on several threads; nothing is asked or run twice.

mod advice;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use crate::cli::document::Source;
use crate::cli::error::{CommandError, Exit};
use crate::cli::ui::asker::Terminal;
use crate::cli::{Session, identity};
use crate::crypto::identity::short;
use crate::crypto::{Asking, DataKey, Identity, UnwrapError};
use crate::keyring::{Found, Identities, Keyring, Report, Sources};
use crate::sops::{GroupOutcome, Opened, Sealed, UnlockError};

/// The keys of this user.
pub(crate) struct Keys {
    /// For files that are no documents.
    keyring: Keyring,
    /// For documents, by the recipients that commands were run for.
    known: Mutex<BTreeMap<Vec<String>, Arc<Known>>>,
}

impl Keys {
    /// Nothing is read or asked before it is needed.
    pub(crate) fn new(session: &Session) -> Self {
        let asking = match session.globals.no_input || session.ui.is_ci() {
            true => Asking::nobody(),
            false => Asking::new(Terminal),
        };
        Self {
            keyring: Keyring::new(Sources::of_process(), asking),
            known: Mutex::default(),
        }
    }

    /// The data key of `sealed`, which was read from `source`.
    ///
    /// # Errors
    ///
    /// Exit code 11 without any identity, 12 when none is a reader, 13 for a damaged key.
    pub(crate) fn unlock(
        &self,
        session: &Session,
        source: &Source,
        sealed: &Sealed,
    ) -> Result<DataKey, CommandError> {
        if source.is_document() {
            return source.unlock_with(session, sealed, &self.known(session, sealed));
        }
        sealed
            .unlock(&self.keyring)
            .map_err(|error| self.error(session, source, &error))
    }

    /// The identities for the document `sealed`.
    pub(crate) fn known(&self, session: &Session, sealed: &Sealed) -> Arc<Known> {
        let recipients: Vec<String> = sealed.recipients().map(ToOwned::to_owned).collect();
        // Held while commands run: the next file with these recipients finds what they gave.
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        let collect = || Arc::new(Known::collect(session, &recipients));
        Arc::clone(known.entry(recipients.clone()).or_insert_with(collect))
    }

    fn error(&self, session: &Session, source: &Source, error: &UnlockError) -> CommandError {
        let shown = &source.shown;
        let UnlockError::TooFew { groups, .. } = error else {
            let what = format!("{shown}: {error}");
            return CommandError::new("E0130", Exit::Integrity, what)
                .fix(format!("git restore {shown}"));
        };
        let report = self.keyring.report();
        let mut told = match report.identities {
            0 => CommandError::new("E0101", Exit::NoIdentity, "no identity was found")
                .fact("file", shown),
            _ => {
                let what = format!("none of your identities can open {shown}");
                CommandError::new("E0112", Exit::NotReader, what)
            }
        };
        if groups.len() > 1 {
            told = told.why(error.to_string());
        }
        for (place, group) in groups.iter().enumerate() {
            let GroupOutcome::Failed(keys) = group else {
                continue;
            };
            for key in keys {
                let reader = short(&key.recipient);
                let reader = match groups.len() {
                    1 => reader,
                    _ => format!("group {place}: {reader}"),
                };
                told = told.fact("readers", format!("{reader}: {}", key.why));
            }
        }
        for problem in &report.problems {
            let place = identity::tilde(session, &problem.source);
            told = told.fact("tried", format!("{place}  {}", problem.why));
        }
        let told = match advice::give(told, &faults(session, groups, &report)) {
            Ok(told) => return told,
            Err(told) => told,
        };
        if report.identities == 0 {
            let places = identity::tilde(session, &report.unused.join(", "));
            return told.fact("nothing in", places).fix("sealctl key new");
        }
        told.fix("ask one of them to make you a reader")
    }
}

/// The sources and identities that could not be used.
fn faults(session: &Session, groups: &[GroupOutcome], report: &Report) -> Vec<advice::Fault> {
    let mut faults = Vec::new();
    for group in groups {
        let GroupOutcome::Failed(keys) = group else {
            continue;
        };
        for key in keys {
            if let UnwrapError::Unusable(unusable) = &key.why {
                let one = unusable.iter();
                faults.extend(one.map(|one| (one.source_name.clone(), one.why.clone())));
            }
        }
    }
    let problems = report.problems.iter();
    faults.extend(problems.map(|one| (one.source.clone(), one.why.clone())));
    for (source, _) in &mut faults {
        *source = identity::tilde(session, source);
    }
    faults
}

/// The identities of this user, and what was tried.
pub(crate) struct Known {
    /// Those that could be read.
    pub(crate) identities: Vec<Identity>,
    /// What every source gave.
    tried: Vec<Tried>,
}

/// What a source of identities gave.
struct Tried {
    source: String,
    given: Given,
}

enum Given {
    /// The identity of this number. Its public half takes long to compute and stands in errors only.
    Identity(usize),
    /// What was wrong with it.
    Problem(String),
}

impl Known {
    /// Whether no source gave anything, not even a problem.
    pub(super) fn is_empty(&self) -> bool {
        self.tried.is_empty()
    }

    /// Asks every source, on behalf of a file with these recipients.
    pub(crate) fn collect(session: &Session, recipients: &[String]) -> Self {
        let Identities { found, problems } = Sources::of_process().collect(recipients);
        let (mut identities, mut tried) = (Vec::new(), Vec::new());
        let mut locked: Option<String> = None;
        for (place, one) in found.iter().enumerate() {
            // Its text came in words, none of which is a key.
            if locked.as_ref() == Some(&one.source) {
                continue;
            }
            if begins_age_file(&found[place..]) {
                let given = Given::Problem(advice::LOCKED.to_owned());
                tried.push(Tried::new(session, &one.source, given));
                locked = Some(one.source.clone());
                continue;
            }
            let given = match Identity::parse(&one.text) {
                Ok(identity) => {
                    identities.push(identity);
                    Given::Identity(identities.len() - 1)
                }
                Err(invalid) => Given::Problem(invalid.to_string()),
            };
            tried.push(Tried::new(session, &one.source, given));
        }
        let problem = |one: crate::keyring::Problem| {
            Tried::new(session, &one.source, Given::Problem(one.why))
        };
        tried.extend(problems.into_iter().map(problem));
        Self { identities, tried }
    }

    /// The document `sealed`, opened by an identity that needs nobody to answer; `None` when none does.
    pub(crate) fn open(session: &Session, sealed: Sealed) -> Option<Opened> {
        let recipients: Vec<String> = sealed.recipients().map(ToOwned::to_owned).collect();
        let known = Self::collect(session, &recipients);
        let key = sealed.data_key(&known.identities).ok()?;
        sealed.open(&key).ok()
    }

    /// `error` with what to do: where a source that could not be used explains it, to mend that, and else what
    /// `otherwise` says.
    pub(super) fn advised(
        &self,
        error: CommandError,
        otherwise: impl FnOnce(CommandError) -> CommandError,
    ) -> CommandError {
        let faults = self.tried.iter().filter_map(|tried| match &tried.given {
            Given::Problem(why) => Some((tried.source.clone(), why.clone())),
            Given::Identity(_) => None,
        });
        advice::give(error, &faults.collect::<Vec<_>>()).unwrap_or_else(otherwise)
    }

    /// `error` with one line per source.
    pub(super) fn with_tried(&self, session: &Session, mut error: CommandError) -> CommandError {
        for Tried { source, given } in &self.tried {
            let gave = match given {
                Given::Problem(why) => why.clone(),
                Given::Identity(number) => {
                    let arrow = session.ui.symbols().arrow;
                    format!("{arrow} {}", self.identities[*number].recipient().short())
                }
            };
            error = error.fact("tried", format!("{source}  {gave}"));
        }
        error
    }
}

/// Whether these words begin a file that age encrypted, such as a key file under a passphrase.
fn begins_age_file(words: &[Found]) -> bool {
    match words {
        [first, second, ..] if first.text.expose() == b"-----BEGIN" => {
            second.text.expose() == b"AGE"
        }
        [first, ..] => first.text.expose().starts_with(b"age-encryption.org/"),
        [] => false,
    }
}

impl Tried {
    fn new(session: &Session, source: &str, given: Given) -> Self {
        let source = identity::tilde(session, source);
        Self { source, given }
    }
}
