//! The only holder of plaintext.
//!
//! Everything that was ever decrypted, typed by a person as a secret, or is about to be encrypted
//! lives in a [`Secret`]. It is wiped when dropped, has no `Display` and no `Serialize`, and its
//! `Debug` shows nothing, not even a length. The only way out is [`Secret::expose`].

use std::fmt;
use std::sync::Arc;

use secrecy::{ExposeSecret as _, SecretSlice};
use subtle::ConstantTimeEq as _;
use zeroize::Zeroize as _;

/// Bytes that must never be shown: a value, a data key, an identity, a password.
#[derive(Clone)]
pub struct Secret(Held);

/// Who owns the bytes.
#[derive(Clone)]
enum Held {
    Alone(SecretSlice<u8>),
    /// A part of what several hold; wiped when the last of them is dropped. Half-sized numbers, since a
    /// file has very many parts.
    Together {
        whole: Arc<SecretSlice<u8>>,
        start: u32,
        end: u32,
    },
}

impl Secret {
    /// Takes over `bytes`; the buffer is wiped when the secret is dropped.
    ///
    /// A buffer with spare capacity is copied into one that fits, and the old one is wiped.
    #[must_use]
    pub fn new(mut bytes: Vec<u8>) -> Self {
        if bytes.capacity() == bytes.len() {
            return Self(Held::Alone(bytes.into()));
        }
        let fitting: Box<[u8]> = bytes.as_slice().into();
        bytes.zeroize();
        Self(Held::Alone(SecretSlice::from(fitting)))
    }

    /// The same bytes, of which a clone or a [part](Self::part) is no copy. More than 4 GiB stay as they
    /// are.
    #[must_use]
    pub fn shared(self) -> Self {
        let end = u32::try_from(self.len());
        match (self.0, end) {
            (Held::Alone(bytes), Ok(end)) => {
                let (whole, start) = (Arc::new(bytes), 0);
                Self(Held::Together { whole, start, end })
            }
            (held, _) => Self(held),
        }
    }

    /// `piece` as a secret: a part of this one where it is [shared](Self::shared) and `piece` was taken
    /// from it, else a copy.
    #[must_use]
    pub fn part(&self, piece: &[u8]) -> Self {
        let copy = || Self::new(piece.to_vec());
        let Held::Together { whole, .. } = &self.0 else {
            return copy();
        };
        let bytes = whole.expose_secret();
        // Where `piece` lies is told by its address; what is then taken are bytes of `whole` all the same.
        let start = piece.as_ptr().addr().wrapping_sub(bytes.as_ptr().addr());
        let end = start.wrapping_add(piece.len());
        match (u32::try_from(start), u32::try_from(end)) {
            (Ok(first), Ok(last)) if !piece.is_empty() && end <= bytes.len() => {
                let (whole, start, end) = (Arc::clone(whole), first, last);
                Self(Held::Together { whole, start, end })
            }
            _ => copy(),
        }
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
        match &self.0 {
            Held::Alone(bytes) => bytes.expose_secret(),
            Held::Together { whole, start, end } => {
                let range = *start as usize..*end as usize;
                whole.expose_secret().get(range).unwrap_or_default()
            }
        }
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
        // The same bytes in the same place need no look at them.
        if std::ptr::eq(self.expose(), other.expose()) {
            return true;
        }
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

    #[test]
    fn a_part_is_what_was_taken_and_no_copy_where_it_can_be() {
        let whole = Secret::from_text("one two").shared();
        let word = &whole.expose()[4..];
        let part = whole.part(word);
        assert_eq!(part.expose(), b"two");
        assert!(std::ptr::eq(part.expose(), word));
        assert!(std::ptr::eq(
            part.clone().part(&word[1..]).expose(),
            &raw const word[1..]
        ));
        for other in [&b"two"[..], b""] {
            let copy = whole.part(other);
            assert_eq!(copy.expose(), other);
            assert!(other.is_empty() || !std::ptr::eq(copy.expose(), other));
        }
        let alone = Secret::from_text("one two");
        assert_eq!(alone.part(&alone.expose()[..3]).expose(), b"one");
    }
}
