//! Cryptography: what is encrypted and authenticated, by what, and with which keys.
//!
//! A [`DataKey`] encrypts the values of one file ([`value`]) and is wrapped for each [`Recipient`] as
//! an age file of its own ([`wrap`]). The MAC over all values is in [`mac`]. This room knows neither
//! files nor formats; it gets bytes and gives bytes. Randomness comes from [`random`] only.

pub mod identity;
pub mod mac;
pub mod random;
pub mod value;
pub mod wrap;

pub use identity::{Identity, InvalidKey, Recipient, parse_identities};
pub use wrap::{UnwrapError, WrapError, unwrap, wrap};

use crate::secret::Secret;

/// The key of one file: 32 random bytes that encrypt its values and its MAC.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DataKey(Secret);

impl DataKey {
    /// Length in bytes: AES-256.
    pub const LENGTH: usize = 32;

    /// Draws a new key.
    ///
    /// # Errors
    /// When the operating system has no randomness to give.
    pub fn generate() -> Result<Self, random::NoRandomness> {
        random::bytes::<{ Self::LENGTH }>().map(|bytes| Self(Secret::new(bytes.to_vec())))
    }

    /// Takes a key of exactly [`Self::LENGTH`] bytes; `None` for any other length.
    #[must_use]
    pub fn new(key: Secret) -> Option<Self> {
        (key.len() == Self::LENGTH).then_some(Self(key))
    }

    /// The key itself, for wrapping and for deriving further keys.
    #[must_use]
    pub fn secret(&self) -> &Secret {
        &self.0
    }
}
