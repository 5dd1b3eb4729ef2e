//! SSH private keys as identities: `ssh-ed25519` and `ssh-rsa`.
//!
//! A header line names the key by four bytes of a hash, so that the passphrase of a key is asked for only
//! when the line is for it, and once. The cryptography is that of the age library.

use std::io::BufReader;
use std::sync::{Arc, Mutex, PoisonError};

use age::secrecy::SecretString;
use age::ssh::{self, EncryptedKey};
use age_core::format::Stanza;
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD};
use sha2::{Digest as _, Sha256};

use super::identity::InvalidKey;
use super::wrap::{Attempt, Fault, Unlock, Unusable, by_age};
use super::{Asking, ask};
use crate::secret::Secret;

/// Most bytes of a private key; one of 16384 bits has 13000.
const LONGEST: usize = 1 << 16;
/// Bytes of the hash that names a key.
const TAG: usize = 4;

/// A private key, open or not.
#[derive(Clone)]
pub(super) struct Identity(Arc<Guarded>);

struct Guarded {
    source: String,
    /// First word and argument of the header lines that are for this key.
    line: (String, String),
    asking: Asking,
    state: Mutex<State>,
}

enum State {
    Closed(Box<EncryptedKey>),
    Open(Box<ssh::Identity>),
    Refused(String),
}

impl Identity {
    /// Reads a private key, without opening it.
    ///
    /// # Errors
    /// When it is none, or of a type that age does not use.
    pub(super) fn parse(
        source: &str,
        content: &Secret,
        asking: &Asking,
    ) -> Result<Self, InvalidKey> {
        if content.len() > LONGEST {
            return Err(InvalidKey::Ssh);
        }
        let reader = BufReader::new(content.expose());
        let key = ssh::Identity::from_buffer(reader, None).map_err(|_| InvalidKey::Ssh)?;
        let public = ssh::Recipient::try_from(key.clone()).map_err(|_| InvalidKey::Ssh)?;
        let line = name_of(&public.to_string()).ok_or(InvalidKey::Ssh)?;
        let state = match key {
            ssh::Identity::Unsupported(_) => return Err(InvalidKey::Ssh),
            ssh::Identity::Encrypted(key) => State::Closed(Box::new(key)),
            open @ ssh::Identity::Unencrypted(_) => State::Open(Box::new(open)),
        };
        Ok(Self(Arc::new(Guarded {
            source: ask::tame(source),
            line,
            asking: asking.clone(),
            state: Mutex::new(state),
        })))
    }

    /// Whether no passphrase is needed, or no more.
    pub(super) fn is_open(&self) -> bool {
        !matches!(*self.0.state(), State::Closed(_))
    }
}

impl Guarded {
    fn state(&self) -> std::sync::MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn open(&self, key: &EncryptedKey) -> State {
        let question = format!("passphrase of the SSH key {}", self.source);
        let passphrase = match self.asking.secret(&question) {
            Ok(passphrase) => passphrase,
            Err(error) => {
                return State::Refused(format!("its passphrase cannot be asked for: {error}"));
            }
        };
        let text = passphrase.expose_text().unwrap_or_default();
        match key.decrypt(SecretString::from(text)) {
            Ok(key) => State::Open(Box::new(key.into())),
            Err(_) => State::Refused("the passphrase is wrong".to_owned()),
        }
    }
}

impl Unlock for Identity {
    fn attempt(&self, lines: &[Stanza]) -> Attempt {
        let (word, name) = &self.0.line;
        let is_mine = |line: &Stanza| line.tag == *word && line.args.first() == Some(name);
        if !lines.iter().any(is_mine) {
            return None;
        }
        let mut state = self.0.state();
        if let State::Closed(key) = &*state {
            *state = self.0.open(key);
        }
        match &*state {
            State::Closed(_) => None,
            State::Open(key) => by_age(key.as_ref(), lines),
            State::Refused(why) => Some(Err(Fault::Unusable(Unusable {
                source_name: self.0.source.clone(),
                why: why.clone(),
            }))),
        }
    }
}

/// How a header line names the public key `text`: its type, and the beginning of its SHA-256.
fn name_of(text: &str) -> Option<(String, String)> {
    let mut words = text.split(' ');
    let (kind, key) = (words.next()?, words.next()?);
    let hash = Sha256::digest(STANDARD.decode(key).ok()?);
    Some((kind.to_owned(), STANDARD_NO_PAD.encode(&hash[..TAG])))
}

#[cfg(test)]
mod tests;
