//! The stage *resolve* for seald: the identities that it may use, and the pure stage called with them.

use crate::clock::{Clock as _, SystemClock};
use crate::cluster::mirror::{Checked, File};
use crate::cluster::scope::Scope;
use crate::crypto::Identity;
use crate::env::{Delivery, Finding, Outlined, Place};
use crate::keyring;
use crate::name::EnvName;
use crate::plan::effect::{Outcome, Refused, Stage};
use crate::reason::Reason;
use crate::resolve::{self, Refusal, Request, Target, Verification};
use crate::secret::Secret;

use super::config::Config;

/// A document that may be applied.
pub(super) struct Resolved {
    pub(super) delivery: Delivery,
    pub(super) revision: Option<u64>,
    pub(super) verified: Outcome,
}

/// Resolves the document `text` of the SealedEnv `scope`, with the identities of its environment and no
/// others. The highest revision applied is checked later, against the record.
pub(super) fn resolve(config: &Config, scope: &Scope, text: &str) -> Result<Resolved, Refused> {
    let environment: EnvName = scope
        .environment
        .parse()
        .map_err(|_| invalid_spec("environment"))?;
    let (identities, problem) = match identities(config, &environment) {
        Ok(identities) => (identities, None),
        Err(problem) => (Vec::new(), Some(problem)),
    };
    let request = Request {
        identities: &identities,
        target: Target {
            app: Some(scope.name.parse().map_err(|_| invalid_spec("name"))?),
            namespace: Some(
                scope
                    .namespace
                    .parse()
                    .map_err(|_| invalid_spec("namespace"))?,
            ),
            environment: Some(environment),
        },
        place: Place::default(),
        verify: config.verify,
        highest: None,
        now: SystemClock.now().wall,
    };
    match resolve::resolve(&Secret::from_text(text), &request) {
        Ok(resolved) => Ok(Resolved {
            delivery: resolved.delivery,
            revision: resolved.revision,
            verified: outcome(resolved.verified),
        }),
        Err(refusal) => Err(refused(refusal, problem)),
    }
}

/// The identities of `environment`, or why there are none.
pub(super) fn identities(config: &Config, environment: &EnvName) -> Result<Vec<Identity>, String> {
    let found = keyring::mounted(&config.identity, environment);
    let found = found.map_err(|problem| format!("{} {}", problem.source, problem.why))?;
    let parsed: Result<Vec<_>, _> = found
        .iter()
        .map(|found| Identity::parse(&found.text))
        .collect();
    parsed.map_err(|error| format!("identity of {environment}: {error}"))
}

/// Opens a file of the source as if it were applied: the mirror passes on what resolves at once, and
/// looks twice at the rest.
pub(super) fn check(config: &Config, file: &File) -> Checked {
    let text = Secret::from_text(&file.text);
    let outlined = resolve::outline(&text, &Place::default());
    // Plaintext among the sealed values must not travel: a SealedEnv is no Secret. Without a header the
    // file is not mirrored at all. Asked first: whatever else is wrong would hide it.
    if let Some(message) = outlined.as_ref().ok().and_then(plaintext) {
        return Checked::Broken {
            header: None,
            message,
        };
    }
    let header = outlined
        .as_ref()
        .ok()
        .and_then(|outlined| outlined.header.clone());
    let named = header.as_ref().map(|header| &header.environment);
    let Some(environment) = file.environment.as_ref().or(named) else {
        let message = match outlined {
            Err(refusal) => refusal.message,
            Ok(_) => "the document does not say what it is for".to_owned(),
        };
        return Checked::Broken { header, message };
    };
    let identities = identities(config, environment).unwrap_or_default();
    let request = Request {
        identities: &identities,
        target: Target {
            environment: Some(environment.clone()),
            ..Target::default()
        },
        place: Place::default(),
        verify: config.verify,
        highest: None,
        now: SystemClock.now().wall,
    };
    match (resolve::resolve(&text, &request), header) {
        (Ok(_), Some(header)) => Checked::Resolves(header),
        (Ok(_), None) => Checked::Broken {
            header: None,
            message: "it has no header".to_owned(),
        },
        (Err(refusal), header) => Checked::Broken {
            header,
            message: refusal.message,
        },
    }
}

/// Where the first value stands that should be ciphertext and is not, if there is one.
fn plaintext(outlined: &Outlined) -> Option<String> {
    let is_plain = |finding: &&Finding| finding.code == resolve::PLAINTEXT;
    let first = outlined.findings.iter().find(is_plain)?;
    Some(format!("line {}: {}", first.position.line, first.message))
}

/// The refusal of a document whose resolving panicked.
pub(super) fn panicked() -> Refused {
    Refused {
        stage: Stage::Decrypted,
        outcome: Outcome::new(
            Reason::InternalError,
            "resolving the document failed; this is a bug",
        ),
        revision: None,
        verified: None,
    }
}

fn invalid_spec(field: &str) -> Refused {
    Refused {
        stage: Stage::Decrypted,
        outcome: Outcome::new(
            Reason::InvalidSpec,
            format!("{field} of the SealedEnv is not valid"),
        ),
        revision: None,
        verified: None,
    }
}

fn refused(refusal: Refusal, problem: Option<String>) -> Refused {
    let message = match problem.filter(|_| refusal.reason == Reason::NoIdentity) {
        Some(problem) => format!("{}; {problem}", refusal.message),
        None => refusal.message,
    };
    Refused {
        stage: match refusal.stage {
            resolve::Stage::Verified => Stage::Verified,
            resolve::Stage::Decrypted => Stage::Decrypted,
        },
        outcome: Outcome::new(refusal.reason, message),
        revision: refusal.revision,
        verified: refusal.verified.map(outcome),
    }
}

fn outcome(verification: Verification) -> Outcome {
    Outcome::new(verification.reason, verification.message)
}

#[cfg(test)]
mod tests;
