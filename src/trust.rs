//! Who stands behind a file: the seal and, later, signatures.
//!
//! ```text
//! trust::write(&Change, &Stamp)   → Written { text, sealed, key }: the one way to write a document
//! trust::verify(&sealed, &key)    → Verdict: Valid { revision, created, expires }, Missing, Invalid
//! trust::revision(&sealed)        → the counter as the file claims it, unverified
//! ```
//!
//! The seal is the field `sealctl` of the `sops` block: an HMAC-SHA-256 over the canonical form of
//! everything ([`canonical`]), under a key derived from the data key. SOPS ignores the field and its
//! MAC does not cover it; so the file is sealed first, and the field added to the finished text.

pub mod canonical;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hkdf::Hkdf;
use hmac::digest::KeyInit;
use hmac::{Hmac, Mac as _};
use jiff::Timestamp;
use sha2::Sha256;
use zeroize::Zeroize as _;

use crate::clock::rfc3339;
use crate::crypto::{DataKey, Recipient};
use crate::format::Format;
use crate::secret::Secret;
use crate::sops::{self, Draft, Edit, EditError, Opened, Readers, Rule, SealError, Sealed};
use crate::tree::{Kind, Map, Node};
use canonical::Header;

/// Version of the canonical form.
const VERSION: &str = "1";
/// Name of the field in the `sops` block.
const FIELD: &str = "sealctl";
/// What the key of the HMAC is derived for.
const KEY_INFO: &[u8] = b"sealctl/seal/v1";

/// What is to be written.
#[derive(Debug, Clone, Copy)]
pub enum Change<'a> {
    /// A new file with a new data key.
    New {
        /// Its format.
        format: Format,
        /// The plaintext.
        plain: &'a Secret,
        /// Who shall be able to open it.
        recipients: &'a [Recipient],
        /// What is encrypted.
        rule: &'a Rule,
    },
    /// A changed version of [`Opened::text`]. What is untouched keeps its bytes.
    Text {
        /// The file as it is.
        opened: &'a Opened,
        /// The new plaintext.
        plain: &'a Secret,
    },
    /// As [`Self::Text`], with values that are those of another version, which keep their bytes, too.
    Merged {
        /// The file as it is.
        opened: &'a Opened,
        /// The other version.
        other: &'a Opened,
        /// The new plaintext.
        plain: &'a Secret,
    },
    /// Single values of an opened file.
    Edits {
        /// The file as it is.
        opened: &'a Opened,
        /// Made one after the other.
        edits: &'a [Edit],
    },
    /// Other readers of the same values.
    Readers {
        /// The file as it is.
        opened: &'a Opened,
        /// Who shall be able to open it.
        recipients: &'a [Recipient],
        /// Whether they get a new data key, as they must when somebody goes who knows the one there is.
        new_key: bool,
    },
}

/// What the seal says beside the content.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stamp {
    /// The counter: one more than that of the last version.
    pub revision: u64,
    /// Time of sealing.
    pub now: Timestamp,
    /// When the document ceases to be valid.
    pub expires: Option<Timestamp>,
}

impl Stamp {
    /// The stamp of the version after `former`, or of a first one. It never expires.
    #[must_use]
    pub fn after(former: Option<&Sealed>, now: Timestamp) -> Self {
        let revision = former.and_then(revision).unwrap_or(0).saturating_add(1);
        Self {
            revision,
            now,
            expires: None,
        }
    }
}

/// A file that is ready to be stored.
#[derive(Debug, Clone)]
pub struct Written {
    /// The whole text. Everything that the rule selects is ciphertext in it.
    pub text: String,
    /// The same, read again.
    pub sealed: Sealed,
    /// Its data key.
    pub key: DataKey,
}

/// A file could not be written.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum WriteError {
    /// An edit cannot be made.
    #[error(transparent)]
    Edit(#[from] EditError),
    /// The text cannot be sealed.
    #[error(transparent)]
    Seal(#[from] SealError),
}

/// Makes `change`, and gives the file with MAC, date and seal.
///
/// # Errors
/// When the plaintext is not valid, an edit cannot be made, or there is no recipient. Nothing has been
/// written then; storing the text is left to the caller anyway.
pub fn write(change: &Change<'_>, stamp: &Stamp) -> Result<Written, WriteError> {
    let draft = match *change {
        Change::New {
            format,
            plain,
            recipients,
            rule,
        } => sops::seal(format, plain, recipients, rule, stamp.now)?,
        Change::Text { opened, plain } => opened.reseal(plain, stamp.now)?,
        Change::Merged {
            opened,
            other,
            plain,
        } => opened.reseal_with(other, plain, stamp.now)?,
        Change::Edits { opened, edits } => opened.reseal(&opened.edit(edits)?, stamp.now)?,
        Change::Readers {
            opened,
            recipients,
            new_key,
        } => {
            let readers = Readers::one_group(recipients);
            match new_key {
                true => opened.rotate(&readers, stamp.now)?,
                false => opened.sealed().rewrap(opened.key(), &readers)?,
            }
        }
    };
    Ok(seal(&draft, stamp)?)
}

/// The file of `draft`, a changed version of `former`, with its seal renewed: the next revision and the
/// same end. A file that has none gets none.
///
/// # Errors
/// When the result does not read back.
pub fn renew(draft: Draft, former: &Sealed, now: Timestamp) -> Result<Draft, SealError> {
    let Some(seal_before) = former.seal() else {
        return Ok(draft);
    };
    let expires = match seal_before {
        Node::Map(map) => field(map, "expires", Kind::Text).and_then(|date| date.parse().ok()),
        _ => None,
    };
    let stamp = Stamp {
        expires,
        ..Stamp::after(Some(former), now)
    };
    let Written { sealed, key, .. } = seal(&draft, &stamp)?;
    Ok(Draft {
        sealed,
        key,
        ..draft
    })
}

/// Adds the seal to a file that is otherwise ready, or renews it.
fn seal(draft: &Draft, stamp: &Stamp) -> Result<Written, SealError> {
    let Draft { sealed, key, .. } = draft;
    let created = rfc3339(stamp.now);
    let expires = stamp.expires.map(rfc3339);
    let header = Header {
        revision: stamp.revision,
        created: &created,
        expires: expires.as_deref(),
    };
    let hmac = STANDARD.encode(authenticator(sealed, key, &header).finalize().into_bytes());
    let mut fields = vec![("created", sops::text_node(&created))];
    fields.extend(
        expires
            .as_deref()
            .map(|expires| ("expires", sops::text_node(expires))),
    );
    fields.push(("hmac", sops::text_node(&hmac)));
    fields.push(("revision", sops::int_node(&stamp.revision.to_string())));
    fields.push(("v", sops::int_node(VERSION)));
    let sealed = sealed.with_field(FIELD, Node::Map(sops::map_of(fields)))?;
    if !matches!(verify(&sealed, key), Verdict::Valid { .. }) {
        return Err(SealError::Unfaithful);
    }
    let text = sealed.text().expose_text().unwrap_or_default().to_owned();
    Ok(Written {
        text,
        sealed,
        key: key.clone(),
    })
}

/// What the seal of a file is worth.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// Somebody who has the data key sealed exactly this.
    Valid {
        /// The counter.
        revision: u64,
        /// Time of sealing.
        created: Timestamp,
        /// When the document ceases to be valid; comparing with the clock is left to the caller.
        expires: Option<Timestamp>,
    },
    /// There is no seal: stock SOPS wrote the file last, or it never had one.
    Missing,
    /// There is one, and it does not fit.
    Invalid,
}

/// Checks the seal of `sealed`.
#[must_use]
pub fn verify(sealed: &Sealed, key: &DataKey) -> Verdict {
    match sealed.seal() {
        None => Verdict::Missing,
        Some(Node::Map(seal)) => check(sealed, key, seal).unwrap_or(Verdict::Invalid),
        Some(_) => Verdict::Invalid,
    }
}

/// The counter as the seal of `sealed` claims it. Not verified.
#[must_use]
pub fn revision(sealed: &Sealed) -> Option<u64> {
    match sealed.seal()? {
        Node::Map(seal) => field(seal, "revision", Kind::Int)?.parse().ok(),
        _ => None,
    }
}

fn check(sealed: &Sealed, key: &DataKey, seal: &Map) -> Option<Verdict> {
    if field(seal, "v", Kind::Int)? != VERSION {
        return None;
    }
    let revision: u64 = field(seal, "revision", Kind::Int)?.parse().ok()?;
    let created = field(seal, "created", Kind::Text)?;
    let expires = match seal.find("expires") {
        Some(_) => Some(field(seal, "expires", Kind::Text)?),
        None => None,
    };
    let hmac = STANDARD.decode(field(seal, "hmac", Kind::Text)?).ok()?;
    // Compares in constant time.
    authenticator(
        sealed,
        key,
        &Header {
            revision,
            created,
            expires,
        },
    )
    .verify_slice(&hmac)
    .ok()?;
    let created = created.parse().ok()?;
    let expires = expires.map(str::parse).transpose().ok()?;
    Some(Verdict::Valid {
        revision,
        created,
        expires,
    })
}

fn field<'a>(seal: &'a Map, name: &str, kind: Kind) -> Option<&'a str> {
    match &seal.find(name)?.value {
        Node::Leaf(leaf) if leaf.kind == kind => leaf.text.expose_text(),
        _ => None,
    }
}

/// The HMAC over the canonical form, under a key of its own.
fn authenticator(sealed: &Sealed, key: &DataKey, header: &Header<'_>) -> Hmac<Sha256> {
    let mut derived = [0; 32];
    // A key of 32 bytes can always be expanded, and an HMAC takes a key of one block.
    let expanded = Hkdf::<Sha256>::new(None, key.secret().expose()).expand(KEY_INFO, &mut derived);
    debug_assert!(expanded.is_ok(), "32 bytes are within the limit of HKDF");
    let derived = Secret::new(derived.to_vec());
    let mut block = [0; 64];
    block[..derived.len()].copy_from_slice(derived.expose());
    let mut hmac = <Hmac<Sha256> as KeyInit>::new(&block.into());
    block.zeroize();
    hmac.update(canonical::form(sealed, header).expose());
    hmac
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::crypto::Identity;
    use crate::tree::Path;

    const PLAIN: &str = "sealctl: v1\napp: polls\nenvironment: prod\n\nconfig:\n  HOST: postgres   # where\n  PORT: 5432\n\nsecrets:\n  # from the vault\n  PASSWORD: 'canary'\n  TOKEN: other\n  EMPTY: \"\"\n";

    fn moment() -> Timestamp {
        "2026-11-21T09:30:00Z".parse().unwrap()
    }

    fn written(identity: &Identity) -> Written {
        let change = Change::New {
            format: Format::Yaml,
            plain: &Secret::from_text(PLAIN),
            recipients: &[identity.recipient()],
            rule: &Rule::environment().unwrap(),
        };
        write(&change, &Stamp::after(None, moment())).unwrap()
    }

    #[test]
    fn what_is_written_is_sealed_and_opens_to_the_same_text() {
        let identity = Identity::generate();
        let written = written(&identity);
        assert!(!written.text.contains("canary"), "{}", written.text);
        let sealed = Sealed::parse(Format::Yaml, &Secret::from_text(&written.text)).unwrap();
        let key = sealed.data_key(&[identity]).unwrap();
        let valid = Verdict::Valid {
            revision: 1,
            created: moment(),
            expires: None,
        };
        assert_eq!(verify(&sealed, &key), valid);
        assert_eq!(sealed.open(&key).unwrap().text().expose_text(), Some(PLAIN));
    }

    #[test]
    fn an_edit_changes_its_line_the_mac_the_date_and_the_seal() {
        let first = written(&Identity::generate());
        let opened = first.sealed.clone().open(&first.key).unwrap();
        let edits = [Edit::Set {
            path: Path::of(["secrets", "TOKEN"]),
            text: Secret::from_text("new"),
        }];
        let later: Timestamp = "2027-01-01T00:00:00Z".parse().unwrap();
        let stamp = Stamp::after(Some(&first.sealed), later);
        let second = write(
            &Change::Edits {
                opened: &opened,
                edits: &edits,
            },
            &stamp,
        )
        .unwrap();
        let changed: Vec<&str> = first
            .text
            .lines()
            .zip(second.text.lines())
            .filter(|(one, two)| one != two)
            .map(|(one, _)| one.trim_start().split(':').next().unwrap())
            .collect();
        assert_eq!(
            changed,
            [
                "TOKEN",
                "lastmodified",
                "mac",
                "created",
                "hmac",
                "revision"
            ]
        );
        assert_eq!(first.text.lines().count(), second.text.lines().count());
    }
}
