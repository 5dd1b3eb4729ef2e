//! Key files that a passphrase opens: age files, armored or binary, with identities in them.
//!
//! The passphrase is asked for at the first header that is tried, and once: the answer, be it that it was
//! wrong, holds for as long as the identity lives.

use std::io::Read as _;
use std::sync::{Arc, Mutex, PoisonError};

use age::armor::ArmoredReader;
use age::secrecy::SecretString;
use age::{DecryptError, Decryptor};
use age_core::format::Stanza;

use super::any::{AnyIdentity, Effort};
use super::identity::InvalidKey;
use super::wrap::{Attempt, Fault, Unlock, Unusable};
use super::{Asking, ask};
use crate::secret::Secret;

/// Said of a key file whose passphrase was typed wrongly.
pub const WRONG_PASSPHRASE: &str = "the passphrase is wrong";
/// Said of a key file whose passphrase nobody could be asked for.
pub const CANNOT_ASK: &str = "its passphrase cannot be asked for";
/// Most bytes of identities in one file.
const LIMIT: u64 = 1 << 24;
/// Most work that a file may ask for, as a power of 2, which is what age itself accepts: some seconds.
const MOST_WORK: u8 = 22;
/// What a binary and an armored age file begin with.
const BEGINNINGS: [&[u8]; 2] = [b"age-encryption", b"-----BEGIN AGE"];

/// A key file, open or not.
#[derive(Clone)]
pub(super) struct Locked(Arc<File>);

struct File {
    source: String,
    content: Secret,
    asking: Asking,
    state: Mutex<State>,
}

enum State {
    Closed,
    Open(Vec<AnyIdentity>),
    Refused(String),
}

impl Locked {
    /// Whether `content` looks like an age file at all.
    pub(super) fn is_age_file(content: &Secret) -> bool {
        BEGINNINGS
            .iter()
            .any(|beginning| content.expose().starts_with(beginning))
    }

    /// Takes a key file, without opening it.
    ///
    /// # Errors
    /// When it is no valid age file, or one for keys and not for a passphrase.
    pub(super) fn new(source: &str, content: &Secret, asking: &Asking) -> Result<Self, InvalidKey> {
        let decryptor = Decryptor::new_buffered(ArmoredReader::new(content.expose()));
        if !decryptor.is_ok_and(|decryptor| decryptor.is_scrypt()) {
            return Err(InvalidKey::Locked);
        }
        Ok(Self(Arc::new(File {
            source: ask::tame(source),
            content: content.clone(),
            asking: asking.clone(),
            state: Mutex::new(State::Closed),
        })))
    }

    /// What trying it costs now.
    pub(super) fn effort(&self) -> Effort {
        match &*self.0.state() {
            State::Closed => Effort::Passphrase,
            State::Open(identities) => {
                let efforts = identities.iter().map(AnyIdentity::effort);
                efforts.max().unwrap_or(Effort::None)
            }
            State::Refused(_) => Effort::None,
        }
    }
}

impl File {
    fn state(&self) -> std::sync::MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn open(&self) -> State {
        let question = format!("passphrase of the key file {}", self.source);
        let identities = match self.asking.secret(&question) {
            Ok(passphrase) => self.decrypt(&passphrase),
            Err(error) => Err(format!("{CANNOT_ASK}: {error}")),
        };
        match identities {
            Ok(identities) => State::Open(identities),
            Err(why) => State::Refused(why),
        }
    }

    fn decrypt(&self, passphrase: &Secret) -> Result<Vec<AnyIdentity>, String> {
        let damaged = || "is damaged".to_owned();
        let text = passphrase
            .expose_text()
            .ok_or("the passphrase is not UTF-8")?;
        let mut identity = age::scrypt::Identity::new(SecretString::from(text));
        identity.set_max_work_factor(MOST_WORK);
        let decryptor = Decryptor::new_buffered(ArmoredReader::new(self.content.expose()));
        let decryptor = decryptor.map_err(|_| damaged())?;
        let opened = decryptor.decrypt(std::iter::once(&identity as &dyn age::Identity));
        let payload = opened.map_err(|error| match error {
            DecryptError::DecryptionFailed
            | DecryptError::KeyDecryptionFailed
            | DecryptError::NoMatchingKeys => WRONG_PASSPHRASE.to_owned(),
            DecryptError::ExcessiveWork { .. } => "asks for too much work".to_owned(),
            _ => damaged(),
        })?;
        // Reserved at once: a file in clear is never longer than it was encrypted.
        let mut bytes = Vec::with_capacity(self.content.len());
        let read = payload.take(LIMIT).read_to_end(&mut bytes);
        let content = Secret::new(bytes);
        read.map_err(|_| damaged())?;
        AnyIdentity::parse_lines(&self.source, &content, &self.asking)
            .map_err(|error| error.to_string())
    }
}

impl Unlock for Locked {
    fn attempt(&self, lines: &[Stanza]) -> Attempt {
        let mut state = self.0.state();
        if matches!(*state, State::Closed) {
            *state = self.0.open();
        }
        match &*state {
            State::Closed => None,
            State::Open(identities) => first_open(identities, lines),
            State::Refused(why) => Some(Err(Fault::Unusable(Unusable {
                source_name: self.0.source.clone(),
                why: why.clone(),
            }))),
        }
    }
}

/// The attempt of the first identity that opens, else the first fault.
fn first_open(identities: &[AnyIdentity], lines: &[Stanza]) -> Attempt {
    let mut fault = None;
    for attempt in identities.iter().filter_map(|one| one.attempt(lines)) {
        match attempt {
            Ok(key) => return Some(Ok(key)),
            Err(error) => fault = fault.or(Some(error)),
        }
    }
    fault.map(Err)
}

#[cfg(test)]
mod tests;
