//! The stage *resolve*: from sealed text to a delivery, or a reason why not.
//!
//! Both programs run the same steps in the same order, and nothing is done with a document before the
//! last one: caps → strict reading of the sealed text → target and revision → data key → seal → values
//! and SOPS MAC → grammar → derived values → objects. Pure: identities, time and what was applied
//! before are handed in.

mod refusal;

use jiff::Timestamp;

use crate::crypto::Identity;
use crate::env::{
    Checked, Delivery, Finding, Form, Header, Outlined, Place, Severity, check,
    outline as outline_tree, without_values,
};
use crate::format::Format;
use crate::name::{AppName, EnvName, Namespace};
use crate::reason::Reason;
use crate::secret::Secret;
use crate::sops::{Opened, Sealed};
use crate::tree::{Map, Node};
use crate::trust::{self, Verdict};

pub use refusal::{Refusal, Stage};

/// Code of a value that stands in clear where ciphertext must be.
pub const PLAINTEXT: &str = "E0140";
/// Bytes of a sealed document (a custom resource has to hold it).
pub const MAX_DOCUMENT: usize = 1_048_576;
/// Maps and lists within each other.
const MAX_DEPTH: usize = 16;
/// Recipients of a document.
const MAX_RECIPIENTS: usize = 256;

/// How much proof a document needs.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Verify {
    /// Only the SOPS MAC and the target.
    Off,
    /// A missing or wrong seal is said, and lets the document pass; a lower revision is refused.
    #[default]
    Warn,
    /// Nothing passes without proof.
    Require,
}

/// What a document must say about itself; what is absent may be anything.
#[derive(Debug, Clone, Default)]
pub struct Target {
    /// Name of the SealedEnv.
    pub app: Option<AppName>,
    /// Its namespace.
    pub namespace: Option<Namespace>,
    /// Its environment.
    pub environment: Option<EnvName>,
}

/// Everything that resolving depends on, beside the text.
#[derive(Debug)]
pub struct Request<'a> {
    /// The identities of the document's environment, and of no other.
    pub identities: &'a [Identity],
    /// Where the document is to be applied.
    pub target: Target,
    /// Where its file lies.
    pub place: Place,
    /// How much proof it needs.
    pub verify: Verify,
    /// The highest revision that was applied there.
    pub highest: Option<u64>,
    /// The time, for seals that expire.
    pub now: Timestamp,
}

/// A document that may be applied.
#[derive(Debug)]
pub struct Resolved {
    /// What it asks for.
    pub delivery: Delivery,
    /// The counter of its seal, if it has a valid one. What a broken seal claims is not here: a made-up
    /// high number would shut out every later revision.
    pub revision: Option<u64>,
    /// What the verification said: `Verified`, `NotRequired`, or what policy *warn* lets pass.
    pub verified: Verification,
    /// Warnings of the check.
    pub warnings: Vec<Finding>,
}

/// What the verification said about a document.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Verification {
    /// `Verified`, `NotRequired`, or a reason of a condition that is False.
    pub reason: Reason,
    /// One sentence.
    pub message: String,
}

/// Resolves the sealed `text` of a document.
///
/// # Errors
/// With the first step that refuses it. A refusal never depends on what stands in a later step, and
/// never shows a value.
pub fn resolve(text: &Secret, request: &Request<'_>) -> Result<Resolved, Refusal> {
    let sealed = read(text)?;
    let revision = trust::revision(&sealed);
    let header = header(&sealed, &request.place)?;
    check_target(&header, &request.target)
        .and_then(|()| check_revision(revision, request))
        .map_err(|refusal| refusal.sealed(revision, None))?;
    let key = sealed
        .data_key(request.identities)
        .map_err(|error| Refusal::from(error).sealed(revision, None))?;
    let verdict = trust::verify(&sealed, &key);
    let verified = judge(verdict, request).map_err(|refusal| refusal.sealed(revision, None))?;
    let with_seal = |refusal: Refusal| refusal.sealed(revision, Some(verified.clone()));
    let opened = sealed.open(&key).map_err(|error| with_seal(error.into()))?;
    let (delivery, warnings) = deliver(&opened, &request.place).map_err(with_seal)?;
    Ok(Resolved {
        delivery,
        revision: match verdict {
            Verdict::Valid { revision, .. } => Some(revision),
            Verdict::Missing | Verdict::Invalid => None,
        },
        verified,
        warnings,
    })
}

/// What can be told of the sealed `text` without a key.
///
/// # Errors
/// When the text is no sealed document at all.
pub fn outline(text: &Secret, place: &Place) -> Result<Outlined, Refusal> {
    Ok(outline_of(&read(text)?, place))
}

/// What can be told of `sealed` without a key: which document it is, its objects, and the faults that
/// can be seen. Every value in clear that should be ciphertext is a finding [`PLAINTEXT`]: by the
/// grammar, or by the selection rule of the file.
#[must_use]
pub fn outline_of(sealed: &Sealed, place: &Place) -> Outlined {
    let mut outlined = outline_tree(sealed.tree(), place);
    for (path, position) in sealed.plain_paths() {
        // The grammar may have seen the same one; of a number or a map it says something else.
        let is_known = |known: &Finding| known.code == PLAINTEXT && known.position == position;
        if !outlined.findings.iter().any(is_known) {
            let path = path.to_string();
            outlined.findings.push(Finding {
                code: PLAINTEXT,
                severity: Severity::Error,
                message: format!("{path} is plaintext"),
                path,
                position,
                hint: None,
            });
        }
    }
    outlined.findings.sort_by_key(|finding| finding.position);
    outlined
}

/// Caps and strict reading.
fn read(text: &Secret) -> Result<Sealed, Refusal> {
    if text.len() > MAX_DOCUMENT {
        let message = format!(
            "the document is {} bytes; the limit is {MAX_DOCUMENT}",
            text.len()
        );
        return Err(Refusal::unreadable("E0209", message));
    }
    let sealed = Sealed::parse(Format::Yaml, text)?;
    if depth(sealed.tree()) > MAX_DEPTH {
        let message = format!("the document is nested deeper than {MAX_DEPTH} levels");
        return Err(Refusal::unreadable("E0209", message));
    }
    let recipients = sealed.recipients().count();
    if recipients > MAX_RECIPIENTS {
        let message =
            format!("the document has {recipients} recipients; the limit is {MAX_RECIPIENTS}");
        return Err(Refusal::unreadable("E0209", message));
    }
    Ok(sealed)
}

/// Levels of maps and lists within each other. The reader has its own cap, so this recursion is small.
fn depth(map: &Map) -> usize {
    fn of(node: &Node) -> usize {
        match node {
            Node::Map(map) => depth(map),
            Node::List(list) => 1 + list.nodes().map(of).max().unwrap_or(0),
            Node::Leaf(_) => 0,
        }
    }
    1 + map
        .entries()
        .map(|entry| of(&entry.value))
        .max()
        .unwrap_or(0)
}

/// Which document it says it is; without that there is nothing to compare.
fn header(sealed: &Sealed, place: &Place) -> Result<Header, Refusal> {
    let outlined = outline_tree(sealed.tree(), place);
    outlined
        .header
        .ok_or_else(|| Refusal::invalid(outlined.findings))
}

fn check_target(header: &Header, target: &Target) -> Result<(), Refusal> {
    let Header {
        app,
        environment,
        namespace,
    } = header;
    let wrong = |field: &str, own: &str, other: &str| {
        let message = format!("the document is for {field} {own}, not for {other}");
        Err(Refusal::unverified(Reason::WrongTarget, message))
    };
    if let Some(other) = target
        .environment
        .as_ref()
        .filter(|other| *other != environment)
    {
        return wrong("environment", environment.as_str(), other.as_str());
    }
    if let Some(other) = target
        .namespace
        .as_ref()
        .filter(|other| *other != namespace)
    {
        return wrong("namespace", namespace.as_str(), other.as_str());
    }
    if let Some(other) = target.app.as_ref().filter(|other| *other != app) {
        return wrong("app", app.as_str(), other.as_str());
    }
    Ok(())
}

/// A lower revision than the highest one applied is an old file put back.
fn check_revision(revision: Option<u64>, request: &Request<'_>) -> Result<(), Refusal> {
    match (revision, request.highest) {
        (Some(revision), Some(highest)) if revision < highest && request.verify != Verify::Off => {
            let message =
                format!("revision {revision} is older than {highest}, which was applied before");
            Err(Refusal::unverified(Reason::RevisionTooOld, message))
        }
        _ => Ok(()),
    }
}

/// What follows from the seal under the policy.
fn judge(verdict: Verdict, request: &Request<'_>) -> Result<Verification, Refusal> {
    if request.verify == Verify::Off {
        let message = "the policy asks for no seal";
        return Ok(Verification::new(Reason::NotRequired, message));
    }
    let fault = match verdict {
        Verdict::Valid { expires, .. } if expires.is_some_and(|expires| expires < request.now) => {
            "the seal has expired"
        }
        Verdict::Valid { revision, .. } => return signed(revision, request),
        Verdict::Missing => "the document has no seal",
        Verdict::Invalid => "the seal does not fit the document",
    };
    match request.verify {
        Verify::Require => Err(Refusal::unverified(Reason::SealInvalid, fault)),
        Verify::Warn | Verify::Off => Ok(Verification::new(Reason::SealInvalid, fault)),
    }
}

/// What follows a valid seal. Signatures are not read yet, so nothing can pass a policy that asks for
/// them.
fn signed(revision: u64, request: &Request<'_>) -> Result<Verification, Refusal> {
    if request.verify == Verify::Require {
        let message = format!(
            "revision {revision} has a valid seal and waits for signatures; there is no list of signers"
        );
        return Err(Refusal::unverified(Reason::Pending, message));
    }
    let message = format!("revision {revision} has a valid seal");
    Ok(Verification::new(Reason::Verified, message))
}

/// Grammar, derived values, objects.
fn deliver(opened: &Opened, place: &Place) -> Result<(Delivery, Vec<Finding>), Refusal> {
    let Checked {
        delivery,
        mut findings,
    } = check(opened.tree(), Form::Opened, place);
    findings.extend(without_values(opened.tree()));
    let faultless = findings
        .iter()
        .all(|finding| finding.severity == Severity::Warning);
    match delivery.filter(|_| faultless) {
        Some(delivery) => Ok((delivery, findings)),
        None => Err(Refusal::invalid(findings)),
    }
}

impl Verification {
    fn new(reason: Reason, message: impl Into<String>) -> Self {
        Self {
            reason,
            message: message.into(),
        }
    }
}

#[cfg(test)]
mod tests;
