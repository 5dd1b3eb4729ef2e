//! A SOPS library: reads, opens, changes and writes sealed files of every format.
//!
//! A file is YAML, JSON, dotenv, INI, or binary ([`crate::format::Format`]). Types say how far it was
//! opened:
//!
//! ```text
//! Sealed::read(format, text)  ─ documents(), metadata(), recipients() ─ no key needed
//!   .data_key(&identities)    → DataKey          one of each key group where there are several
//!   .unlock(&mut keys)        → DataKey          keys of every kind, asked one after the other
//!   .open(&key)               → Opened           every value decrypted, the MAC right
//!   .open_partly(&key)        → Partly           also where plaintext stands among ciphertext
//!   .rewrap(&key, &readers)   → Draft            other readers, nothing else changes
//! Opened: documents() · text() the plaintext file · emit(format, layout) as another format
//!   .change(&edits, now)      → Draft            single values; the rest keeps its bytes
//!   .reseal(&plaintext, now)  → Draft            any changed text; the same
//!   .rotate(&readers, now)    → Draft            a new data key
//! seal_for(format, plaintext, &readers, &terms, now) → Draft { sealed, key }
//! ```
//!
//! A [`Draft`] was opened again and compared with what it was made from before anybody sees it. Pure:
//! time is handed in, randomness comes from [`crate::crypto`], files are read and written elsewhere. No
//! error shows a value; each names the path. Plaintext is held in [`crate::secret::Secret`] only.
//!
//! # Seal, open, extract
//!
//! ```
//! use sealctl::crypto::{Identity, mac::Coverage};
//! use sealctl::format::{Format, Layout};
//! use sealctl::secret::Secret;
//! use sealctl::sops::{self, Readers, Rule, Sealed, Terms};
//! use sealctl::tree::{Node, Path};
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let me = Identity::generate();
//! let plain = Secret::from_text("db:\n    user: polls\n    password: hunter2\n");
//! let terms = Terms {
//!     rule: Rule::named("encrypted_regex", "^password$").ok_or("a rule")??,
//!     coverage: Coverage::All,
//!     layout: Layout::default(),
//! };
//! let now = "2026-01-31T12:00:00Z".parse()?;
//! let readers = Readers::one_group(&[me.recipient()]);
//! let draft = sops::seal_for(Format::Yaml, &plain, &readers, &terms, now)?;
//! let text = draft.sealed.text().expose_text().unwrap_or_default();
//! assert!(text.contains("user: polls") && !text.contains("hunter2"));
//!
//! // Somebody else has the file and an identity.
//! let sealed = Sealed::read(Format::Yaml, draft.sealed.text())?;
//! assert_eq!(sealed.recipients().collect::<Vec<_>>(), [me.recipient().as_str()]);
//! let key = sealed.data_key(&[me])?;
//! let opened = sealed.open(&key)?;
//! assert_eq!(opened.text(), plain);
//! let Some(Node::Leaf(password)) = opened.tree().at(&Path::of(["db", "password"])) else {
//!     return Err("no password".into());
//! };
//! assert_eq!(password.text.expose(), b"hunter2");
//! # Ok(())
//! # }
//! ```
//!
//! # Edit, rotate, change readers
//!
//! ```
//! # use sealctl::crypto::{Identity, mac::Coverage};
//! # use sealctl::format::{Format, Layout};
//! # use sealctl::secret::Secret;
//! # use sealctl::sops::{self, Edit, Readers, Rule, Terms};
//! # use sealctl::tree::Path;
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # let (me, colleague) = (Identity::generate(), Identity::generate());
//! # let terms = Terms {
//! #     rule: Rule::fallback(),
//! #     coverage: Coverage::All,
//! #     layout: Layout::default(),
//! # };
//! # let now = "2026-01-31T12:00:00Z".parse()?;
//! let plain = Secret::from_text("{\n  \"user\": \"polls\",\n  \"password\": \"hunter2\"\n}\n");
//! let alone = Readers::one_group(&[me.recipient()]);
//! let draft = sops::seal_for(Format::Json, &plain, &alone, &terms, now)?;
//!
//! // One value: its line changes, and the MAC and the date.
//! let opened = draft.sealed.clone().open(&draft.key)?;
//! let set = Edit::Set {
//!     path: Path::of(["password"]),
//!     text: Secret::from_text("correct horse"),
//! };
//! let changed = opened.change(&[set], now)?;
//!
//! // A second reader: only the wrapped keys change.
//! let both = Readers::one_group(&[me.recipient(), colleague.recipient()]);
//! let shared = changed.sealed.rewrap(&changed.key, &both)?;
//! assert!(shared.sealed.data_key(&[colleague.clone()]).is_ok());
//!
//! // Who goes still knows the data key, so it has to be a new one.
//! let opened = shared.sealed.clone().open(&shared.key)?;
//! let rotated = opened.rotate(&alone, now)?;
//! assert!(rotated.sealed.data_key(&[colleague]).is_err());
//! assert_ne!(rotated.key, shared.key);
//! # Ok(())
//! # }
//! ```
//!
//! Who writes environment documents calls `trust::write`, which does all this and adds the seal.

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
pub use open::{KeyError, MacFault, OpenError, ReadError, Sealed};
pub use opened::{Opened, Partly};
pub use readers::Readers;
pub use rule::{InvalidRule, Rule};
pub use seal::{Draft, SealError, Terms, seal, seal_for};
pub use unlock::{GroupOutcome, KeyOutcome, UnlockError};

pub(crate) use block::{int_node, map_of, text_node};

/// The key under which SOPS keeps its own fields in a file.
pub const METADATA_KEY: &str = "sops";
