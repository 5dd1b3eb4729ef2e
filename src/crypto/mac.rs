//! The MAC of SOPS: SHA-512 over the plaintext bytes of all values in file order.
//!
//! There is no separator and no length between two values; that weakness is part of the format, and
//! the seal makes up for it. The digest is encrypted like a value, bound to the date.

use sha2::{Digest as _, Sha512};
use zeroize::Zeroize as _;

use crate::secret::Secret;

/// Which values a file's MAC covers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Coverage {
    /// All of them.
    All,
    /// Only those that are encrypted (`mac_only_encrypted`).
    EncryptedOnly,
}

/// What the hash starts with under [`Coverage::EncryptedOnly`]: the SHA-256 of the text `sops`, so that
/// a file cannot be switched between the two modes.
const ENCRYPTED_ONLY_START: [u8; 32] = [
    0x8a, 0x3f, 0xd2, 0xad, 0x54, 0xce, 0x66, 0x52, 0x7b, 0x10, 0x34, 0xf3, 0xd1, 0x47, 0xbe, 0x0b,
    0x0b, 0x97, 0x5b, 0x3b, 0xf4, 0x4f, 0x72, 0xc6, 0xfd, 0xad, 0xec, 0x81, 0x76, 0xf2, 0x7d, 0x69,
];

/// Gathers the values of one file.
#[derive(Clone)]
pub struct Mac {
    hash: Sha512,
    coverage: Coverage,
}

impl Mac {
    /// Begins a MAC.
    #[must_use]
    pub fn new(coverage: Coverage) -> Self {
        let mut hash = Sha512::new();
        if coverage == Coverage::EncryptedOnly {
            hash.update(ENCRYPTED_ONLY_START);
        }
        Self { hash, coverage }
    }

    /// Adds the plaintext bytes of an encrypted value.
    pub fn add_encrypted(&mut self, plain: &[u8]) {
        self.hash.update(plain);
    }

    /// Adds the bytes of a value that stands in clear.
    pub fn add_clear(&mut self, plain: &[u8]) {
        if self.coverage == Coverage::All {
            self.hash.update(plain);
        }
    }

    /// The digest as 128 upper-case hexadecimal digits. It is a plain hash over secrets, and so one
    /// itself.
    #[must_use]
    pub fn finish(self) -> Secret {
        let mut digest: [u8; 64] = self.hash.finalize().into();
        let mut text = Vec::with_capacity(128);
        for byte in digest {
            text.push(digit(byte >> 4));
            text.push(digit(byte & 15));
        }
        digest.zeroize();
        Secret::new(text)
    }
}

impl std::fmt::Debug for Mac {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("Mac(..)")
    }
}

fn digit(nibble: u8) -> u8 {
    if nibble < 10 {
        b'0' + nibble
    } else {
        b'A' + nibble - 10
    }
}

#[cfg(test)]
mod tests {
    use sha2::Sha256;

    use super::*;

    #[test]
    fn the_digest_is_upper_case_sha_512() {
        let mut mac = Mac::new(Coverage::All);
        mac.add_encrypted(b"ab");
        mac.add_clear(b"c");
        let text = mac.finish();
        let text = text.expose_text().unwrap();
        assert!(
            text.starts_with("DDAF35A193617ABACC417349AE204131"),
            "{text}"
        );
        assert_eq!(text.len(), 128);
    }

    #[test]
    fn encrypted_only_begins_with_the_hash_of_the_word_and_skips_clear_values() {
        assert_eq!(Sha256::digest(b"sops").as_slice(), ENCRYPTED_ONLY_START);
        let mut mac = Mac::new(Coverage::EncryptedOnly);
        mac.add_clear(b"anything");
        assert_eq!(mac.finish(), Mac::new(Coverage::EncryptedOnly).finish());
        assert_ne!(
            Mac::new(Coverage::All).finish(),
            Mac::new(Coverage::EncryptedOnly).finish()
        );
    }
}
