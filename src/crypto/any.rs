//! Identities of every kind: for files of SOPS, never for environments.
//!
//! A text or a key file becomes identities here; where it lay is known only as a name for messages. An
//! identity that must ask a person or run a program does so when a header line seems to be for it, and
//! not before; [`AnyIdentity::effort`] says in what order to try.

use std::fmt;

use age_core::format::Stanza;

#[cfg(feature = "postquantum")]
use super::hybrid;
use super::identity::{Identity, InvalidKey};
use super::locked::Locked;
#[cfg(feature = "plugins")]
use super::plugin;
use super::recipient::KeyKind;
#[cfg(feature = "ssh")]
use super::ssh;
use super::wrap::{Attempt, Unlock};
use super::{Asking, ask};
use crate::secret::Secret;

/// What trying an identity costs the person before the terminal.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Effort {
    /// Nothing.
    None,
    /// A plugin runs, which may ask for a touch of a device.
    Plugin,
    /// A passphrase is asked for, once.
    Passphrase,
}

/// A private key of any kind, or a key file that a passphrase opens.
#[derive(Clone)]
pub struct AnyIdentity {
    source: String,
    key: Key,
}

#[derive(Clone)]
enum Key {
    X25519(Identity),
    #[cfg(feature = "postquantum")]
    PostQuantum(hybrid::Identity),
    #[cfg(feature = "ssh")]
    Ssh(ssh::Identity),
    #[cfg(feature = "plugins")]
    Plugin(plugin::Identity),
    Locked(Locked),
}

impl AnyIdentity {
    /// Reads one identity of age: `AGE-SECRET-KEY-1…`, `AGE-SECRET-KEY-PQ-1…` or `AGE-PLUGIN-…`.
    /// `source` is where it comes from, for messages.
    ///
    /// # Errors
    /// When it is none of these, or of a kind that is not built in.
    pub fn parse(source: &str, text: &Secret, asking: &Asking) -> Result<Self, InvalidKey> {
        let word = text.expose_text().ok_or(InvalidKey::Identity)?.trim();
        let kind = if word.starts_with("AGE-PLUGIN-") {
            KeyKind::Plugin
        } else if word.starts_with("AGE-SECRET-KEY-PQ-1") {
            KeyKind::PostQuantum
        } else {
            KeyKind::X25519
        };
        let key = match kind {
            KeyKind::X25519 => Key::X25519(Identity::parse(text)?),
            #[cfg(feature = "postquantum")]
            KeyKind::PostQuantum => Key::PostQuantum(hybrid::Identity::parse(word)?),
            #[cfg(feature = "plugins")]
            KeyKind::Plugin => Key::Plugin(plugin::Identity::parse(word, source, asking)?),
            kind => return Err(InvalidKey::NotBuiltIn { kind }),
        };
        let _ = asking;
        Ok(Self::new(source, key))
    }

    /// Reads a key file: identities between `#` comments and blank lines, or an age file that a
    /// passphrase opens, armored or binary, which counts as one identity until it is needed.
    ///
    /// # Errors
    /// When a word of it is no identity; no good ones are returned then. A file without any identity
    /// gives none.
    pub fn parse_file(
        source: &str,
        content: &Secret,
        asking: &Asking,
    ) -> Result<Vec<Self>, InvalidKey> {
        if Locked::is_age_file(content) {
            let key = Key::Locked(Locked::new(source, content, asking)?);
            return Ok(vec![Self::new(source, key)]);
        }
        Self::parse_lines(source, content, asking)
    }

    /// As [`Self::parse_file`], for a text that may not be encrypted.
    ///
    /// # Errors
    /// When a word of it is no identity.
    pub(super) fn parse_lines(
        source: &str,
        content: &Secret,
        asking: &Asking,
    ) -> Result<Vec<Self>, InvalidKey> {
        let mut identities = Vec::new();
        let lines = content.expose().split(|byte| *byte == b'\n');
        for (index, line) in lines.enumerate() {
            if line.trim_ascii_start().starts_with(b"#") {
                continue;
            }
            let words = line.split(u8::is_ascii_whitespace);
            for word in words.filter(|word| !word.is_empty()) {
                let identity = Self::parse(source, &Secret::new(word.to_vec()), asking);
                identities.push(identity.map_err(|error| error.in_line(index + 1))?);
            }
        }
        Ok(identities)
    }

    /// Reads an SSH private key, in OpenSSH's format or PEM. Its passphrase is asked for when a header
    /// line names it.
    ///
    /// # Errors
    /// When it is none, or of a type that age does not use; when SSH keys are not built in.
    pub fn ssh(source: &str, content: &Secret, asking: &Asking) -> Result<Self, InvalidKey> {
        #[cfg(feature = "ssh")]
        {
            let key = ssh::Identity::parse(source, content, asking)?;
            Ok(Self::new(source, Key::Ssh(key)))
        }
        #[cfg(not(feature = "ssh"))]
        {
            let _ = (source, content, asking);
            let kind = KeyKind::Ssh;
            Err(InvalidKey::NotBuiltIn { kind })
        }
    }

    fn new(source: &str, key: Key) -> Self {
        let source = ask::tame(source);
        Self { source, key }
    }

    /// Where it comes from, as it was said to [`Self::parse`].
    #[must_use]
    pub fn source(&self) -> &str {
        &self.source
    }

    /// What it costs to try this identity; nothing any more for one that was unlocked before.
    #[must_use]
    pub fn effort(&self) -> Effort {
        match &self.key {
            Key::X25519(_) => Effort::None,
            #[cfg(feature = "postquantum")]
            Key::PostQuantum(_) => Effort::None,
            #[cfg(feature = "ssh")]
            Key::Ssh(key) if key.is_open() => Effort::None,
            #[cfg(feature = "ssh")]
            Key::Ssh(_) => Effort::Passphrase,
            #[cfg(feature = "plugins")]
            Key::Plugin(_) => Effort::Plugin,
            Key::Locked(file) => file.effort(),
        }
    }
}

impl fmt::Debug for AnyIdentity {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "AnyIdentity({})", self.source)
    }
}

impl Unlock for AnyIdentity {
    fn attempt(&self, lines: &[Stanza]) -> Attempt {
        match &self.key {
            Key::X25519(key) => key.attempt(lines),
            #[cfg(feature = "postquantum")]
            Key::PostQuantum(key) => key.attempt(lines),
            #[cfg(feature = "ssh")]
            Key::Ssh(key) => key.attempt(lines),
            #[cfg(feature = "plugins")]
            Key::Plugin(key) => key.attempt(lines),
            Key::Locked(file) => file.attempt(lines),
        }
    }
}
