//! Recipients: whom a data key can be wrapped for.
//!
//! Environment documents know one kind, X25519 ([`Recipient::x25519`]). Files of SOPS may name others,
//! which are read by [`FromStr`], as far as they are built in.

use std::fmt;
use std::str::FromStr;

#[cfg(feature = "postquantum")]
use super::hybrid;
use super::identity::InvalidKey;
#[cfg(feature = "plugins")]
use super::plugin;
use super::{Asking, identity};

/// What a key is made of, and so which lines of an age header it writes and reads.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum KeyKind {
    /// `age1…`: the classic key of age, and the only kind of environment documents.
    X25519,
    /// `age1pq1…`: ML-KEM-768 and X25519 together.
    PostQuantum,
    /// `ssh-ed25519 …` and `ssh-rsa …`.
    Ssh,
    /// `age1NAME1…`: a program `age-plugin-NAME` does the work.
    Plugin,
}

impl KeyKind {
    /// The kind that a recipient's text claims to be, after its beginning; `None` for no recipient.
    fn of(text: &str) -> Option<Self> {
        if text.starts_with("age1pq1") {
            return Some(Self::PostQuantum);
        }
        if text.starts_with("ssh-") {
            return Some(Self::Ssh);
        }
        let data = text
            .strip_prefix("age1")
            .or_else(|| text.strip_prefix("AGE1"))?;
        // `1` is no digit of Bech32: a second one ends a longer name.
        Some(if data.contains('1') {
            Self::Plugin
        } else {
            Self::X25519
        })
    }
}

impl fmt::Display for KeyKind {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::X25519 => "X25519",
            Self::PostQuantum => "post-quantum",
            Self::Ssh => "SSH",
            Self::Plugin => "plugin",
        })
    }
}

/// Whom a data key can be wrapped for.
#[derive(Clone)]
pub struct Recipient {
    key: Key,
    text: String,
}

/// The key in the form of what wraps for it.
#[derive(Clone)]
pub(super) enum Key {
    X25519(age::x25519::Recipient),
    #[cfg(feature = "postquantum")]
    PostQuantum(hybrid::Recipient),
    #[cfg(feature = "ssh")]
    Ssh(age::ssh::Recipient),
    #[cfg(feature = "plugins")]
    Plugin(plugin::Recipient),
}

impl Recipient {
    /// Reads an X25519 recipient, `age1…`; blanks around it do not matter.
    ///
    /// # Errors
    /// When it is none, be it another kind of recipient.
    pub fn x25519(text: &str) -> Result<Self, InvalidKey> {
        let text = text.trim();
        refuse_private_key(text)?;
        match text.parse() {
            Ok(key) => Ok(Self::of_x25519(key)),
            Err(_) => Err(InvalidKey::Recipient),
        }
    }

    /// The recipient with its key in the form of the age library.
    pub(super) fn of_x25519(key: age::x25519::Recipient) -> Self {
        let text = key.to_string();
        Self {
            key: Key::X25519(key),
            text,
        }
    }

    /// The same recipient, whose plugin may ask `asking` while it wraps. Other kinds never ask.
    #[must_use]
    pub fn asking(mut self, asking: &Asking) -> Self {
        match &mut self.key {
            #[cfg(feature = "plugins")]
            Key::Plugin(key) => key.ask(asking),
            _ => {
                let _ = asking;
            }
        }
        self
    }

    /// The whole key as text: X25519 in the canonical form, others as they were given.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// Its first seven and last two characters, for people: `age1ql3…8p`.
    #[must_use]
    pub fn short(&self) -> String {
        identity::short(&self.text)
    }

    /// What the key is made of.
    #[must_use]
    pub fn kind(&self) -> KeyKind {
        match &self.key {
            Key::X25519(_) => KeyKind::X25519,
            #[cfg(feature = "postquantum")]
            Key::PostQuantum(_) => KeyKind::PostQuantum,
            #[cfg(feature = "ssh")]
            Key::Ssh(_) => KeyKind::Ssh,
            #[cfg(feature = "plugins")]
            Key::Plugin(_) => KeyKind::Plugin,
        }
    }

    /// The key itself.
    pub(super) fn key(&self) -> &Key {
        &self.key
    }
}

impl FromStr for Recipient {
    type Err = InvalidKey;

    /// Reads a recipient of any kind that is built in; blanks around it do not matter.
    fn from_str(text: &str) -> Result<Self, InvalidKey> {
        let text = text.trim();
        refuse_private_key(text)?;
        let kind = KeyKind::of(text).ok_or(InvalidKey::Recipient)?;
        if kind == KeyKind::X25519 {
            return Self::x25519(text);
        }
        let key = Key::parse(kind, text)?;
        let text = text.to_owned();
        Ok(Self { key, text })
    }
}

impl Key {
    /// Reads a key of another `kind` than X25519.
    fn parse(kind: KeyKind, text: &str) -> Result<Self, InvalidKey> {
        // Unused where nothing is built in.
        let _ = text;
        match kind {
            #[cfg(feature = "postquantum")]
            KeyKind::PostQuantum => Ok(Self::PostQuantum(text.parse()?)),
            #[cfg(feature = "ssh")]
            KeyKind::Ssh => text.parse().map(Self::Ssh).map_err(|_| InvalidKey::Ssh),
            #[cfg(feature = "plugins")]
            KeyKind::Plugin => Ok(Self::Plugin(text.parse()?)),
            kind => Err(InvalidKey::NotBuiltIn { kind }),
        }
    }
}

fn refuse_private_key(text: &str) -> Result<(), InvalidKey> {
    let upper = text.to_ascii_uppercase();
    let signs = ["AGE-SECRET-KEY-", "AGE-PLUGIN-", "-----BEGIN"];
    if signs.iter().any(|sign| upper.starts_with(sign)) {
        return Err(InvalidKey::PrivateKey);
    }
    Ok(())
}

impl fmt::Display for Recipient {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.text)
    }
}

impl fmt::Debug for Recipient {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.text)
    }
}

impl PartialEq for Recipient {
    fn eq(&self, other: &Self) -> bool {
        self.text == other.text
    }
}

impl Eq for Recipient {}

impl PartialOrd for Recipient {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Recipient {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.text.cmp(&other.text)
    }
}
