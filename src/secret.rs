//! The only holder of plaintext.
//!
//! Everything that was ever decrypted, typed by a person as a secret, or is about to be encrypted
//! lives in a [`Secret`]. It is wiped when dropped, has no `Display` and no `Serialize`, and its
//! `Debug` shows nothing, not even a length. The only way out is [`Secret::expose`].

use std::fmt;

use secrecy::{ExposeSecret as _, SecretSlice};
use subtle::ConstantTimeEq as _;
use zeroize::Zeroize as _;

/// Bytes that must never be shown: a value, a data key, an identity, a password.
#[derive(Clone)]
pub struct Secret(SecretSlice<u8>);

impl Secret {
    /// Takes over `bytes`; the buffer is wiped when the secret is dropped.
    ///
    /// A buffer with spare capacity is copied into one that fits, and the old one is wiped.
    #[must_use]
    pub fn new(mut bytes: Vec<u8>) -> Self {
        if bytes.capacity() == bytes.len() {
            return Self(bytes.into());
        }
        let fitting: Box<[u8]> = bytes.as_slice().into();
        bytes.zeroize();
        Self(SecretSlice::from(fitting))
    }

    /// Copies `text`; the caller's copy is not wiped.
    #[must_use]
    pub fn from_text(text: &str) -> Self {
        Self::new(text.as_bytes().to_vec())
    }

    /// The bytes themselves. Each call is a place to review: what comes out must not be stored,
    /// logged or formatted into an error.
    #[must_use]
    pub fn expose(&self) -> &[u8] {
        self.0.expose_secret()
    }

    /// The bytes as text, or `None` when they are not UTF-8.
    #[must_use]
    pub fn expose_text(&self) -> Option<&str> {
        std::str::from_utf8(self.expose()).ok()
    }

    /// Number of bytes. Visible in SOPS ciphertext anyway.
    #[must_use]
    pub fn len(&self) -> usize {
        self.expose().len()
    }

    /// Whether there is no byte at all.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

impl From<String> for Secret {
    fn from(text: String) -> Self {
        Self::new(text.into_bytes())
    }
}

impl PartialEq for Secret {
    /// Compares in constant time, apart from the lengths.
    fn eq(&self, other: &Self) -> bool {
        self.expose().ct_eq(other.expose()).into()
    }
}

impl Eq for Secret {}

impl fmt::Debug for Secret {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Secret(..)")
    }
}

/// Wipes what finished calls have left of their variables below the caller: ciphers and hashes work on
/// copies of keys and texts there. To be called where a secret goes for good.
#[inline(never)]
pub(crate) fn wipe_stack() {
    // As deep as they go, recursion through deep documents apart.
    let mut room = [0_u128; 2048];
    room.zeroize();
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn debug_shows_neither_content_nor_length() {
        assert_eq!(format!("{:?}", Secret::from_text("canary")), "Secret(..)");
    }

    #[test]
    fn equality_is_by_content() {
        let mut roomy = Vec::with_capacity(64);
        roomy.extend_from_slice(b"abc");
        assert_eq!(Secret::new(roomy), Secret::from_text("abc"));
        assert_ne!(Secret::from_text("abc"), Secret::from_text("abd"));
    }
}
