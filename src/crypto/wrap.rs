//! Wrapping a key: one complete armored age file per recipient, with the raw key as payload.
//!
//! What is wrapped is a data key, or with several key groups a share of one. Unwrapping has three
//! outcomes that callers must tell apart: opened, "not mine" (`None`) and an error. Every identity is
//! tried at every header line, whatever the file says about whom the key is for.

use std::cell::RefCell;
use std::io::{Read as _, Write as _};

use age::armor::{ArmoredReader, ArmoredWriter, Format};
use age::{DecryptError, Decryptor, Encryptor};
use age_core::format::{FileKey, Stanza};

use super::recipient::Key;
use super::{AnyIdentity, DataKey, Identity, Recipient, ask};
use crate::secret::Secret;

/// Wrapping failed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum WrapError {
    /// The age library refused, which it does only for lack of randomness.
    #[error("the data key could not be wrapped")]
    Failed,
    /// A plugin refused, or is not there.
    #[error("the data key could not be wrapped: {why}")]
    Plugin {
        /// What the plugin, or the search for it, said.
        why: String,
    },
}

/// A wrapped key could not be unwrapped.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum UnwrapError {
    /// Not an age file, or a damaged one.
    #[error("not a valid age file")]
    Broken,
    /// It opened, but what was in it is no key.
    #[error("holds {length} bytes, not a data key of 32")]
    WrongLength {
        /// Length of what was in it.
        length: usize,
    },
    /// No identity opened it, and some that might have could not be used.
    #[error("{}", reasons(.0))]
    Unusable(Vec<Unusable>),
    /// No identity opened it.
    #[error("none of the identities fits")]
    NoneFits,
}

/// An identity that could not be used, or a source of identities.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{source_name}: {why}")]
pub struct Unusable {
    /// Where it comes from, as a person would name it.
    pub source_name: String,
    /// Why, without any content.
    pub why: String,
}

fn reasons(all: &[Unusable]) -> String {
    let texts: Vec<String> = all.iter().map(ToString::to_string).collect();
    texts.join("; ")
}

/// Which system of keys wrapped a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum System {
    /// An armored age file.
    Age,
    /// An armored OpenPGP message.
    Pgp,
}

/// A wrapped key as a file has it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Wrapped<'a> {
    /// What wrapped it.
    pub system: System,
    /// Whom it is for, as the file says: a recipient or a fingerprint. Not proven.
    pub recipient: &'a str,
    /// The armored text.
    pub armored: &'a str,
}

/// Whatever can unwrap keys: identities at hand, or a keyring that knows where to look for some.
pub trait Keys {
    /// Unwraps the key that all of `wrapped` hold, by whichever of them opens. What must ask a person or
    /// run a program is left for the end.
    ///
    /// # Errors
    /// One reason for each of `wrapped`, in that order, when none opens.
    fn unwrap_one(&self, wrapped: &[Wrapped<'_>]) -> Result<Secret, Vec<UnwrapError>>;
}

/// Identities at hand open what age wrapped.
impl<T: AsRef<[Identity]> + ?Sized> Keys for T {
    fn unwrap_one(&self, wrapped: &[Wrapped<'_>]) -> Result<Secret, Vec<UnwrapError>> {
        let mut reasons = Vec::with_capacity(wrapped.len());
        for key in wrapped {
            match key.system {
                System::Age => match unwrap(key.armored, self.as_ref()) {
                    Ok(Some(secret)) => return Ok(secret),
                    Ok(None) => reasons.push(UnwrapError::NoneFits),
                    Err(error) => reasons.push(error),
                },
                System::Pgp => reasons.push(UnwrapError::NoneFits),
            }
        }
        Err(reasons)
    }
}

/// Most bytes of an armored text: a post-quantum one has 3000, and the age library takes quadratic time.
const LONGEST: usize = 1 << 14;
/// Most bytes of a payload that are read; a longer one is no key.
const LIMIT: u64 = 4096;

/// Wraps `key`, a data key or a share, for `recipient`, as an armored age file that ends with a newline.
///
/// # Errors
/// When the age library or a plugin refuses.
pub fn wrap(key: &Secret, recipient: &Recipient) -> Result<String, WrapError> {
    let wrapper: &dyn age::Recipient = match recipient.key() {
        Key::X25519(key) => key,
        #[cfg(feature = "postquantum")]
        Key::PostQuantum(key) => key,
        #[cfg(feature = "ssh")]
        Key::Ssh(key) => key,
        #[cfg(feature = "plugins")]
        Key::Plugin(key) => key,
    };
    let encryptor = Encryptor::with_recipients(std::iter::once(wrapper)).map_err(|error| {
        let why = ask::tame(&error.to_string());
        match recipient.kind() {
            super::KeyKind::Plugin => WrapError::Plugin { why },
            _ => WrapError::Failed,
        }
    })?;
    let armor = || -> std::io::Result<Vec<u8>> {
        let armor = ArmoredWriter::wrap_output(Vec::new(), Format::AsciiArmor)?;
        let mut writer = encryptor.wrap_output(armor)?;
        writer.write_all(key.expose())?;
        writer.finish()?.finish()
    };
    let bytes = armor().map_err(|_| WrapError::Failed)?;
    let mut text = String::from_utf8(bytes).map_err(|_| WrapError::Failed)?;
    if !text.ends_with('\n') {
        text.push('\n');
    }
    Ok(text)
}

/// Opens one wrapped key or share with whichever of `identities` fits; `None` when none does.
///
/// # Errors
/// When the age file is damaged, or holds something else than 32 or 33 bytes.
pub fn unwrap(armored: &str, identities: &[Identity]) -> Result<Option<Secret>, UnwrapError> {
    open(armored, identities)
}

/// As [`unwrap`], with identities of every kind, which may ask and run programs.
///
/// # Errors
/// As [`unwrap`]; moreover, when none fits, and some could not be used.
pub fn unwrap_any(
    armored: &str,
    identities: &[AnyIdentity],
) -> Result<Option<Secret>, UnwrapError> {
    open(armored, identities)
}

fn open<T: Unlock>(armored: &str, identities: &[T]) -> Result<Option<Secret>, UnwrapError> {
    if armored.len() > LONGEST {
        return Err(UnwrapError::Broken);
    }
    // The armor may stand among blanks, as after an edit by hand.
    let reader = ArmoredReader::new(armored.trim_ascii().as_bytes());
    let decryptor = Decryptor::new_buffered(reader).map_err(|_| UnwrapError::Broken)?;
    let all = All {
        identities,
        faults: RefCell::default(),
    };
    let payload = match decryptor.decrypt(std::iter::once(&all as &dyn age::Identity)) {
        Ok(payload) => payload,
        Err(DecryptError::NoMatchingKeys) => return all.refusal(),
        Err(_) => return Err(UnwrapError::Broken),
    };
    // Reserved at once, so that the buffer is never moved and left behind unwiped.
    let mut bytes = Vec::with_capacity(usize::try_from(LIMIT).unwrap_or(0));
    let read = payload.take(LIMIT).read_to_end(&mut bytes);
    let key = Secret::new(bytes);
    read.map_err(|_| UnwrapError::Broken)?;
    let length = key.len();
    // A share is one byte longer.
    if length == DataKey::LENGTH || length == DataKey::LENGTH + 1 {
        Ok(Some(key))
    } else {
        Err(UnwrapError::WrongLength { length })
    }
}

/// What an identity makes of a header: `None` when no line is for it.
pub(super) type Attempt = Option<Result<FileKey, Fault>>;

/// Why an identity gives no file key although a line of the header seems to be for it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Fault {
    /// The line is damaged.
    Header,
    /// The identity cannot be used.
    Unusable(Unusable),
}

/// An identity, as far as unwrapping is concerned.
pub(super) trait Unlock {
    /// Tries all lines of one header.
    fn attempt(&self, lines: &[Stanza]) -> Attempt;
}

impl Unlock for Identity {
    fn attempt(&self, lines: &[Stanza]) -> Attempt {
        by_age(self.key(), lines)
    }
}

/// The attempt of an identity that the age library implements.
pub(super) fn by_age(identity: &dyn age::Identity, lines: &[Stanza]) -> Attempt {
    let found = identity.unwrap_stanzas(lines)?;
    Some(found.map_err(|_| Fault::Header))
}

/// All identities as one, so that a fault of one does not keep the others from being tried.
struct All<'a, T> {
    identities: &'a [T],
    faults: RefCell<Vec<Fault>>,
}

impl<T> All<'_, T> {
    /// What it means that none of them opened the file.
    fn refusal(self) -> Result<Option<Secret>, UnwrapError> {
        let faults = self.faults.into_inner();
        if faults.is_empty() {
            return Ok(None);
        }
        let unusable: Vec<Unusable> = faults
            .into_iter()
            .filter_map(|fault| match fault {
                Fault::Header => None,
                Fault::Unusable(unusable) => Some(unusable),
            })
            .collect();
        if unusable.is_empty() {
            return Err(UnwrapError::Broken);
        }
        Err(UnwrapError::Unusable(unusable))
    }
}

impl<T: Unlock> age::Identity for All<'_, T> {
    fn unwrap_stanza(&self, line: &Stanza) -> Option<Result<FileKey, DecryptError>> {
        self.unwrap_stanzas(std::slice::from_ref(line))
    }

    fn unwrap_stanzas(&self, lines: &[Stanza]) -> Option<Result<FileKey, DecryptError>> {
        for identity in self.identities {
            match identity.attempt(lines) {
                Some(Ok(key)) => return Some(Ok(key)),
                Some(Err(fault)) => self.faults.borrow_mut().push(fault),
                None => {}
            }
        }
        None
    }
}

#[cfg(test)]
pub(in crate::crypto) mod tests;
