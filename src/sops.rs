//! A SOPS library: reads, opens and writes sealed files.
//!
//! ```text
//! Sealed::parse(format, text)  ─ tree(), metadata(), recipients() ─ no key needed
//!   .data_key(&identities)     → DataKey, for environments
//!   .unlock(&keys)             → DataKey, with keys of every kind and a reason for each that fails
//!   .open(&key)                → Opened: every value decrypted, the MAC right
//!   .open_partly(&key)         → Partly: also where plaintext stands among ciphertext
//! Opened: tree() · text() the plaintext file · edit(&edits) → new plaintext · reseal(plaintext, now)
//! seal(format, plaintext, &recipients, rule, now) → Draft { text, key }
//! ```
//!
//! Who writes environment documents calls `trust::write`, which does all this and adds the seal. Pure:
//! time is handed in, randomness comes from `crypto`. No error shows a value; each names the path.

mod block;
pub mod config;
mod decrypt;
mod edit;
mod encrypt;
mod metadata;
mod open;
mod opened;
mod readers;
mod rule;
mod seal;
mod source;
mod typed;
mod unlock;
mod walk;

pub use edit::{ChangeError, Edit, EditError, edit};
pub use metadata::{KeyGroup, Metadata, PgpKey, WrappedKey};
pub use open::{KeyError, MacFault, OpenError, ReadError, Sealed, Wrapped};
pub use opened::{Opened, Partly};
pub use readers::Readers;
pub use rule::{InvalidRule, Rule};
pub use seal::{Draft, SealError, Terms, seal, seal_for};
pub use unlock::{GroupOutcome, KeyOutcome, UnlockError};

pub(crate) use block::{int_node, map_of, text_node};

/// The key under which SOPS keeps its own fields in a file.
pub const METADATA_KEY: &str = "sops";
