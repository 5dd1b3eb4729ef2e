//! Keyed digests: equality without guessable hashes.
//!
//! A digest of a value is an HMAC under a key that never leaves the cluster (or, for masking, the
//! people who can open the document), so nothing can be guessed from it. A digest over several
//! keyed digests needs no key again: its inputs are unguessable already. That lets the pure core
//! combine digests without holding a key.

use std::fmt;
use std::str::FromStr;

use hmac::{Hmac, Mac as _};
use sha2::{Digest as _, Sha256};

use crate::secret::Secret;

/// Version prefix of a digest in text form, so that a later scheme is told from this one.
const PREFIX: &str = "v1:";

/// A key for digests: 32 random bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DigestKey(Secret);

impl DigestKey {
    /// Length of a key in bytes.
    pub const LENGTH: usize = 32;

    /// Takes a key of exactly [`Self::LENGTH`] bytes; `None` for any other length.
    #[must_use]
    pub fn new(key: Secret) -> Option<Self> {
        (key.len() == Self::LENGTH).then_some(Self(key))
    }

    /// The key itself, for the state Secret only.
    #[must_use]
    pub fn secret(&self) -> &Secret {
        &self.0
    }

    /// Digest of `bytes` for the purpose `label`: HMAC-SHA-256 over
    /// `len(label) || label || bytes`, cut to 16 bytes.
    #[must_use]
    pub fn digest(&self, label: &str, bytes: &[u8]) -> Digest {
        // HMAC takes keys of every length, so this cannot fail.
        let Ok(mut mac) = <Hmac<Sha256> as hmac::Mac>::new_from_slice(self.0.expose()) else {
            return Digest([0; 16]);
        };
        mac.update(&(label.len() as u64).to_be_bytes());
        mac.update(label.as_bytes());
        mac.update(bytes);
        Digest::cut(&mac.finalize().into_bytes())
    }
}

/// 16 bytes that are equal exactly when what was digested is equal.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Digest([u8; 16]);

impl Digest {
    /// Combines keyed digests with names that are no secrets, in the order given: SHA-256 over each
    /// part preceded by its length, cut to 16 bytes.
    #[must_use]
    pub fn combine<'a>(parts: impl IntoIterator<Item = &'a [u8]>) -> Self {
        let mut hash = Sha256::new();
        for part in parts {
            hash.update((part.len() as u64).to_be_bytes());
            hash.update(part);
        }
        Self::cut(&hash.finalize())
    }

    /// The bytes of the digest.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// The first `digits` hexadecimal digits, at most 32: a short name for people.
    #[must_use]
    pub fn short(&self, digits: usize) -> String {
        hex(&self.0).chars().take(digits).collect()
    }

    fn cut(bytes: &[u8]) -> Self {
        let mut digest = [0; 16];
        digest.copy_from_slice(&bytes[..16]);
        Self(digest)
    }
}

impl fmt::Display for Digest {
    /// `v1:` and 32 hexadecimal digits, as in annotations.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{PREFIX}{}", hex(&self.0))
    }
}

impl fmt::Debug for Digest {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{self}")
    }
}

/// A text that is not `v1:` and 32 hexadecimal digits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not a digest of version 1")]
pub struct NotADigest;

impl FromStr for Digest {
    type Err = NotADigest;

    fn from_str(text: &str) -> Result<Self, NotADigest> {
        let digits = text.strip_prefix(PREFIX).ok_or(NotADigest)?;
        if digits.len() != 32 || !digits.bytes().all(|byte| byte.is_ascii_hexdigit()) {
            return Err(NotADigest);
        }
        let mut digest = [0; 16];
        for (byte, pair) in digest.iter_mut().zip(digits.as_bytes().chunks(2)) {
            let pair = std::str::from_utf8(pair).map_err(|_| NotADigest)?;
            *byte = u8::from_str_radix(pair, 16).map_err(|_| NotADigest)?;
        }
        Ok(Self(digest))
    }
}

/// Lower-case hexadecimal digits of `bytes`.
#[must_use]
pub fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write as _;
    bytes
        .iter()
        .fold(String::with_capacity(bytes.len() * 2), |mut text, byte| {
            let _ = write!(text, "{byte:02x}");
            text
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(byte: u8) -> DigestKey {
        DigestKey::new(Secret::new(vec![byte; 32])).unwrap()
    }

    #[test]
    fn a_digest_depends_on_key_label_and_content() {
        let digest = key(1).digest("a", b"x");
        assert_eq!(digest, key(1).digest("a", b"x"));
        assert_ne!(digest, key(2).digest("a", b"x"));
        assert_ne!(digest, key(1).digest("b", b"x"));
        assert_ne!(digest, key(1).digest("a", b"y"));
        assert_ne!(key(1).digest("ab", b"c"), key(1).digest("a", b"bc"));
    }

    #[test]
    fn text_and_back_is_the_same_digest() {
        let digest = key(7).digest("a", b"x");
        assert_eq!(digest.to_string().parse(), Ok(digest));
        assert_eq!(digest.to_string().len(), 35);
        assert!("v1:zz".parse::<Digest>().is_err());
        assert!(
            "v1:+1+1+1+1+1+1+1+1+1+1+1+1+1+1+1+1"
                .parse::<Digest>()
                .is_err()
        );
    }

    #[test]
    fn parts_do_not_run_into_each_other() {
        assert_ne!(
            Digest::combine([&b"ab"[..], b"c"]),
            Digest::combine([&b"a"[..], b"bc"])
        );
    }

    #[test]
    fn a_key_of_another_length_is_refused() {
        assert!(DigestKey::new(Secret::new(vec![0; 31])).is_none());
    }
}
