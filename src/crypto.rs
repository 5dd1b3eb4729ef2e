//! Cryptography: what is encrypted and authenticated, by what, and with which keys.
//!
//! A [`DataKey`] encrypts the values of one file ([`value`]) and is wrapped for each [`Recipient`] as
//! an age file of its own ([`wrap()`]); with several key groups it is split first ([`shares`]). The MAC
//! over all values is in [`mac`]. This room knows neither files nor formats; it gets bytes and gives
//! bytes. Randomness comes from [`random`] only, answers of a person through [`ask`].
//!
//! Environments know one kind of key, X25519: [`Identity`] and [`Recipient::x25519`]. The other kinds
//! that SOPS knows ([`AnyIdentity`], [`Recipient`] from any text) can be left out of a build.

pub mod any;
pub mod ask;
#[cfg(feature = "postquantum")]
mod hybrid;
pub mod identity;
mod locked;
pub mod mac;
#[cfg(feature = "plugins")]
mod plugin;
pub mod random;
pub mod recipient;
pub mod shares;
#[cfg(feature = "ssh")]
mod ssh;
pub mod value;
pub mod wrap;

pub use any::{AnyIdentity, Effort};
pub use ask::{Asker, Asking, NotAnswered};
pub use identity::{Identity, InvalidKey, MISTYPED, parse_identities};
pub use locked::{CANNOT_ASK, WRONG_PASSPHRASE};
pub use recipient::{KeyKind, Recipient};
pub use wrap::{Keys, System, UnwrapError, WrapError, Wrapped, unwrap, unwrap_any, wrap};

use crate::secret::Secret;

/// The key of one file: 32 random bytes that encrypt its values and its MAC.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DataKey(Secret);

impl Drop for DataKey {
    fn drop(&mut self) {
        // With its key a file is closed.
        crate::secret::wipe_stack();
    }
}

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
