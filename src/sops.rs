//! A SOPS library: reads, opens, changes and writes sealed files of every format.
//!
//! The crate is in no registry: `sealctl = { git = "…" }` or `sealctl = { path = "…" }` in `Cargo.toml`.
//!
//! A file is YAML, JSON, dotenv, INI, or binary ([`crate::format::Format`]). Types say how far it was
//! opened:
//!
//! ```text
//! Sealed::read(format, text)  ─ documents(), metadata(), recipients() ─ no key needed
//!   .data_key(&identities)    → DataKey          one of each key group where there are several
//!   .unlock(&keyring)         → DataKey          keys of every kind, asked one after the other
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
//! - [`Terms`]: which values of a new file are encrypted, what the MAC covers, how the text is indented.
//! - [`Draft`]: a new sealed text and its data key. It was opened again and compared with what it was made
//!   from before anybody sees it.
//! - [`Partly`]: an opened file in which somebody typed plaintext; it lists the paths and says whether the
//!   MAC fits the rest.
//!
//! Pure: time is handed in, randomness comes from [`crate::crypto`]. Files are read by
//! [`crate::file::read_original`] and replaced by [`crate::file::replace`], which keeps mode and owner,
//! never leaves half a file, and refuses one that was changed in between. `.sops.yaml` is read by
//! [`config::Config::parse`]; its `rule_for` gives the creation rule of a path.
//!
//! Each step has an error of its own ([`ReadError`], [`KeyError`], [`UnlockError`], [`OpenError`],
//! [`ChangeError`], [`SealError`]). No error shows a value; each names the path. Plaintext is held in
//! [`crate::secret::Secret`] only.
//!
//! # Seal
//!
//! ```
//! use sealctl::clock::{Clock, SystemClock};
//! use sealctl::crypto::Recipient;
//! use sealctl::format::Format;
//! use sealctl::secret::Secret;
//! use sealctl::sops::{self, Readers, SealError, Terms};
//!
//! /// The sealed text of a YAML file.
//! fn seal(plain: &Secret, recipients: &[Recipient]) -> Result<Secret, SealError> {
//!     let readers = Readers::one_group(recipients);
//!     // Every value is encrypted, unless its key ends in `_unencrypted`.
//!     let terms = Terms::default();
//!     let now = SystemClock.now().wall;
//!     let draft = sops::seal_for(Format::Yaml, plain, &readers, &terms, now)?;
//!     Ok(draft.sealed.text().clone())
//! }
//!
//! let alice: Recipient = "age1ql3z7hjy54pw3hyww5ayyfg7zqgvc7w3j2elw8zmrj2kg5sfn9aqmcac8p".parse()?;
//! let sealed = seal(&Secret::from_text("user: polls\n"), &[alice])?;
//! assert!(sealed.expose_text().is_some_and(|text| text.starts_with("user: ENC[AES256_GCM,")));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! A [`Recipient`](crate::crypto::Recipient) is parsed from its text, `ssh-ed25519 …` and `age1pq1…` as well.
//! [`Readers`] has several groups where keys of several groups are needed to open; [`Terms`] says which
//! values are encrypted ([`Rule::named`] has the names of SOPS) and what the MAC covers.
//!
//! Bytes that are no text are [`Secret::new`](crate::secret::Secret::new). With a `.sops.yaml`, the first rule
//! that fits the path says both:
//!
//! ```
//! use sealctl::clock::{Clock, SystemClock};
//! use sealctl::format::{Format, Layout};
//! use sealctl::secret::Secret;
//! use sealctl::sops::config::Config;
//! use sealctl::sops::{self, Draft};
//!
//! /// Seals the file at `path` by the configuration; `None` where no rule fits.
//! fn seal_by(
//!     configuration: &str,
//!     path: &str,
//!     plain: &Secret,
//! ) -> Result<Option<Draft>, Box<dyn std::error::Error>> {
//!     let configuration = Config::parse(configuration)?;
//!     let Some(rule) = configuration.rule_for(path)? else {
//!         return Ok(None);
//!     };
//!     let terms = rule.terms(Layout { indent: configuration.stores.yaml })?;
//!     let format = Format::of_file_name(path);
//!     let now = SystemClock.now().wall;
//!     Ok(Some(sops::seal_for(format, plain, &rule.readers()?, &terms, now)?))
//! }
//!
//! let configuration = "creation_rules:\n  - path_regex: ^prod/\n    encrypted_regex: ^password$\n    \
//!     age: age1ql3z7hjy54pw3hyww5ayyfg7zqgvc7w3j2elw8zmrj2kg5sfn9aqmcac8p\n";
//! let plain = Secret::from_text("user: polls\npassword: hunter2\n");
//! let draft = seal_by(configuration, "prod/db.yaml", &plain)?.ok_or("a rule fits")?;
//! let text = draft.sealed.text().expose_text().ok_or("text")?;
//! assert!(text.starts_with("user: polls\npassword: ENC["));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # Open, extract
//!
//! ```
//! # use sealctl::crypto::Identity;
//! # use sealctl::clock::{Clock, SystemClock};
//! # use sealctl::sops::{self, Readers, Terms};
//! use sealctl::format::Format;
//! use sealctl::secret::Secret;
//! use sealctl::sops::Sealed;
//! use sealctl::tree::{Node, Path};
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # let me = Identity::generate();
//! # let me = me.text();
//! # let plain = Secret::from_text("db:\n  password: hunter2   # changed in May\n");
//! # let readers = Readers::one_group(&[Identity::parse(&me)?.recipient()]);
//! # let (terms, now) = (Terms::default(), SystemClock.now().wall);
//! # let text = sops::seal_for(Format::Yaml, &plain, &readers, &terms, now)?.sealed.text().clone();
//!
//! // What can be told without a key: who can open it, its keys, what is in clear.
//! let sealed = Sealed::read(Format::of_file_name("prod.yaml"), &text)?;
//! assert_eq!(sealed.recipients().count(), 1);
//!
//! // `me` is the text of an identity, AGE-SECRET-KEY-1….
//! let identity = Identity::parse(&me)?;
//! let key = sealed.data_key(&[identity])?;
//! let opened = sealed.open(&key)?;
//! // The whole file with its formatting and comments, or one value.
//! assert_eq!(opened.text(), plain);
//! let Some(Node::Leaf(password)) = opened.tree().at(&Path::of(["db", "password"])) else {
//!     return Err("no password".into());
//! };
//! assert_eq!(password.text.expose_text(), Some("hunter2"));
//! # Ok(())
//! # }
//! ```
//!
//! Who wants all the identities that the program `sops` would find, SSH keys, plugins and passphrases
//! among them, takes `sealed.unlock(&keyring)` in place of `data_key`, with
//! `Keyring::new(Sources::of_process(), Asking::nobody())` of [`crate::keyring`] and
//! [`crate::crypto::Asking`].
//!
//! # Edit
//!
//! ```
//! # use sealctl::crypto::Identity;
//! # use sealctl::clock::{Clock, SystemClock};
//! # use sealctl::format::Format;
//! # use sealctl::sops::{self, Readers, Terms};
//! use sealctl::secret::Secret;
//! use sealctl::sops::{Edit, Opened};
//! use sealctl::tree::Path;
//!
//! /// The sealed file with a new password in it; other values keep their ciphertext.
//! fn change(opened: &Opened) -> Result<Secret, sops::ChangeError> {
//!     let edit = Edit::Set {
//!         path: Path::of(["db", "password"]),
//!         text: Secret::from_text("correct horse"),
//!     };
//!     let draft = opened.change(&[edit], SystemClock.now().wall)?;
//!     Ok(draft.sealed.text().clone())
//! }
//!
//! /// The same for a plaintext that was changed as a whole, as in an editor.
//! fn reseal(opened: &Opened, typed: &Secret) -> Result<Secret, sops::SealError> {
//!     let draft = opened.reseal(typed, SystemClock.now().wall)?;
//!     Ok(draft.sealed.text().clone())
//! }
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # let plain = Secret::from_text("db:\n  user: polls\n  password: hunter2\n");
//! # let readers = Readers::one_group(&[Identity::generate().recipient()]);
//! # let (terms, now) = (Terms::default(), SystemClock.now().wall);
//! # let draft = sops::seal_for(Format::Yaml, &plain, &readers, &terms, now)?;
//! # let line = |text: &Secret| text.expose_text().unwrap().lines().nth(1).map(str::to_owned);
//! # let before = line(draft.sealed.text());
//! # let opened = draft.sealed.open(&draft.key)?;
//! # let after = change(&opened)?;
//! # assert_eq!(line(&after), before);
//! # let typed = Secret::from_text("db:\n  user: polls\n  password: correct horse\n  port: 5432\n");
//! # assert_eq!(line(&reseal(&opened, &typed)?), before);
//! # Ok(())
//! # }
//! ```
//!
//! [`Edit::Unset`] takes a key out, [`Edit::Put`] puts a value of any type and shape. A path leads through maps by
//! [`Step::Key`](crate::tree::Step::Key) and through lists by [`Step::Index`](crate::tree::Step::Index).
//! On the disk, with the file left as it was where anything fails:
//!
//! ```no_run
//! use std::path::Path;
//! use sealctl::secret::Secret;
//! use sealctl::sops::{ChangeError, Draft};
//!
//! /// Replaces the file at `path` by what `change` makes of it.
//! fn replace(
//!     path: &Path,
//!     change: impl Fn(&Secret) -> Result<Draft, ChangeError>,
//! ) -> Result<(), Box<dyn std::error::Error>> {
//!     // Never more than so many bytes are read.
//!     let original = sealctl::file::read_original(path, 64 << 20)?;
//!     let draft = change(original.content())?;
//!     // Refused when somebody else has changed the file since it was read.
//!     sealctl::file::replace(&original, draft.sealed.text())?;
//!     Ok(())
//! }
//! ```
//!
//! # Change readers, rotate
//!
//! ```
//! # use sealctl::clock::{Clock, SystemClock};
//! # use sealctl::format::Format;
//! # use sealctl::secret::Secret;
//! # use sealctl::sops::{self, Terms};
//! use sealctl::crypto::Identity;
//! use sealctl::sops::Readers;
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # let (me, colleague) = (Identity::generate(), Identity::generate());
//! # let (plain, now) = (Secret::from_text("A=b\n"), SystemClock.now().wall);
//! # let alone = Readers::one_group(&[me.recipient()]);
//! # let draft = sops::seal_for(Format::Dotenv, &plain, &alone, &Terms::default(), now)?;
//! # let (sealed, key) = (draft.sealed, draft.key);
//!
//! // A second reader: only the wrapped keys change, so the same data key opens both files.
//! let both = Readers::one_group(&[me.recipient(), colleague.recipient()]);
//! let shared = sealed.rewrap(&key, &both)?;
//! assert!(shared.sealed.data_key(&[colleague.clone()]).is_ok());
//!
//! // Whoever goes still knows the data key, so it has to be a new one.
//! let opened = shared.sealed.open(&shared.key)?;
//! let alone = Readers::one_group(&[me.recipient()]);
//! let rotated = opened.rotate(&alone, now)?;
//! assert!(rotated.sealed.data_key(&[colleague]).is_err());
//! # assert_ne!(rotated.key, shared.key);
//! # Ok(())
//! # }
//! ```
//!
//! Who reads a file now is in `sealed.metadata().groups`, or as one list in `sealed.recipients()`: parse each,
//! and add to them. [`Readers`] with several groups and a `threshold` needs one key of each of so many groups.
//! `open` takes the file, `opened.sealed()` and `opened.key()` give it back.
//!
//! As a dependency the crate can do without the programs' key kinds: `default-features = false` leaves
//! X25519, the features `ssh`, `plugins` and `postquantum` add the others.
//!
//! Who writes environment documents calls `trust::write`, which does all this and adds the seal.

mod block;
pub mod config;
mod decrypt;
mod edit;
mod encrypt;
mod faithful;
mod metadata;
mod open;
mod opened;
mod placed;
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
pub use seal::{Draft, SealError, Terms, seal, seal_as_json, seal_for};
pub use unlock::{GroupOutcome, KeyOutcome, UnlockError};

pub(crate) use block::{int_node, map_of, text_node};

/// The key under which SOPS keeps its own fields in a file.
pub const METADATA_KEY: &str = "sops";
