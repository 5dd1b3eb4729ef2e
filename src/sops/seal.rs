//! From plaintext to a sealed file: anew with a new data key, or against the opened one so that
//! everything untouched keeps its bytes.

use jiff::Timestamp;

use super::block::{NewBlock, is_block_key};
use super::encrypt::{Encrypt, Former};
use super::faithful::comments;
use super::open::{ReadError, Sealed};
use super::opened::Opened;
use super::readers::Readers;
use super::rule::Rule;
use super::source::{self, Dialect, Lines, NewText, Source};
use crate::crypto::mac::Coverage;
use crate::crypto::random::NoRandomness;
use crate::crypto::{DataKey, Recipient, WrapError};
use crate::format::{self, EmitError, Format};
use crate::secret::Secret;
use crate::tree::comments::says_something;
use crate::tree::{Entry, Map, Node, Position};

/// A text could not be sealed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SealError {
    /// The plaintext has a `sops` block already.
    #[error("line {}: the text has a sops block; it is sealed already", position.line)]
    SealedAlready {
        /// Where the block begins.
        position: Position,
        /// The document that has it, counted from 0.
        document: usize,
    },
    /// Nobody could open the result.
    #[error("no recipient is given")]
    NoRecipient,
    /// The threshold is one, or more than there are groups.
    #[error("the threshold is impossible: at least two, at most as many as there are key groups")]
    Threshold,
    /// The file has keys that cannot be wrapped for.
    #[error("the file has keys of other services ({}), which would be lost", kinds.join(", "))]
    Foreign {
        /// Their kinds.
        kinds: Vec<&'static str>,
    },
    /// A sealed comment would itself be one that says what is encrypted.
    #[error(
        "a sealed comment reads ENC[…,type:comment], which the pattern {pattern} hits; name the comments that are meant more closely"
    )]
    CommentsHit {
        /// The pattern of the selection rule.
        pattern: String,
    },
    /// The format of the file cannot hold the values.
    #[error(transparent)]
    Emit(#[from] EmitError),
    /// The operating system gives no random bytes.
    #[error(transparent)]
    Randomness(#[from] NoRandomness),
    /// The data key could not be wrapped.
    #[error(transparent)]
    Wrap(#[from] WrapError),
    /// The plaintext is not valid in its format.
    #[error(transparent)]
    Read(#[from] ReadError),
    /// What was to be written would read back as something else. A bug; nothing was written.
    #[error("the sealed text would open to other values than it was made from")]
    Unfaithful,
}

impl SealError {
    /// Whether the lines of the text gave no way, which another print of the same values may.
    fn is_about_lines(&self) -> bool {
        matches!(self, Self::Read(_) | Self::Unfaithful)
    }
}

/// A sealed text that was read again and found to hold what it was made from.
#[derive(Debug, Clone)]
pub struct Draft {
    /// The sealed file.
    pub sealed: Sealed,
    /// Its data key.
    pub key: DataKey,
    /// How many comments no reader of the sealed file will find: there are places in YAML, as between lines
    /// of other indentations, from which they cannot be read again. SOPS loses them there, too.
    pub lost_comments: usize,
}

/// What is encrypted in a new file, and how it is written.
#[derive(Debug, Clone)]
pub struct Terms {
    /// Which values are encrypted. A binary file has but one, which is.
    pub rule: Rule,
    /// What the MAC covers.
    pub coverage: Coverage,
    /// For what is printed anew.
    pub layout: format::Layout,
}

impl Default for Terms {
    /// What SOPS takes where nobody says anything: all values but those below a key that ends in
    /// `_unencrypted`.
    fn default() -> Self {
        Self {
            rule: Rule::fallback(),
            coverage: Coverage::All,
            layout: format::Layout::default(),
        }
    }
}

/// Seals the environment document `plain` with a new data key for `recipients`: the values that `rule`
/// selects are encrypted where they stand, and a `sops` block is put at the end.
///
/// # Errors
/// When `plain` is not valid in its format or sealed already, or there is no recipient.
pub fn seal(
    format: Format,
    plain: &Secret,
    recipients: &[Recipient],
    rule: &Rule,
    now: Timestamp,
) -> Result<Draft, SealError> {
    let source = Source::read_plain(format, Dialect::Environment, plain)?;
    let terms = Terms {
        rule: rule.clone(),
        coverage: Coverage::All,
        layout: format::Layout::default(),
    };
    seal_source(source, &Readers::one_group(recipients), &terms, now)
}

/// Seals `plain`, which is read as SOPS reads it, with a new data key for `readers`. Where its lines would
/// leave a comment behind that nobody reads again, they are printed anew, as SOPS prints them.
///
/// # Errors
/// When `plain` is not valid in its format or sealed already, a group is empty, or the threshold is
/// impossible.
pub fn seal_for(
    format: Format,
    plain: &Secret,
    readers: &Readers,
    terms: &Terms,
    now: Timestamp,
) -> Result<Draft, SealError> {
    let source = Source::read_plain(format, Dialect::Sops, plain)?;
    let kept = seal_source(source, readers, terms, now);
    if format != Format::Yaml {
        return kept;
    }
    or_printed(kept, || {
        let read = Source::read_plain(format, Dialect::Sops, plain).ok()?;
        let count = |source: &Source| comments(&source.documents, &says_something);
        let printed = format::emit(format, &read.documents, terms.layout).ok()?;
        let source = Source::read_plain(format, Dialect::Sops, &printed).ok()?;
        let lost = count(&read).saturating_sub(count(&source));
        let draft = seal_source(source, readers, terms, now).ok()?;
        Some(draft.without(lost + read.dropped_comments))
    })
}

/// Seals the YAML text `plain` as a JSON file, which keeps the types that JSON has not, such as that of a date.
///
/// # Errors
/// As [`seal_for`], and when JSON cannot hold the values.
pub fn seal_as_json(
    plain: &Secret,
    readers: &Readers,
    terms: &Terms,
    now: Timestamp,
) -> Result<Draft, SealError> {
    let mut source = Source::read_plain(Format::Yaml, Dialect::Sops, plain)?;
    for document in &mut source.documents {
        document.drop_comments();
    }
    source.format = Format::Json;
    source.dropped_comments = 0;
    seal_lines(Lines::Printed, source, readers, terms, now)
}

/// What keeps the lines of a text, or, where that fails or loses comments, what is printed anew, if it does
/// better.
pub(super) fn or_printed(
    kept: Result<Draft, SealError>,
    printed: impl FnOnce() -> Option<Draft>,
) -> Result<Draft, SealError> {
    let is_well = match &kept {
        Ok(draft) => draft.lost_comments == 0,
        Err(error) => !error.is_about_lines(),
    };
    if is_well {
        return kept;
    }
    let is_better = |again: &Draft| match &kept {
        Ok(draft) => again.lost_comments < draft.lost_comments,
        Err(_) => true,
    };
    match printed() {
        Some(again) if is_better(&again) => Ok(again),
        _ => kept,
    }
}

fn seal_source(
    source: Source,
    readers: &Readers,
    terms: &Terms,
    now: Timestamp,
) -> Result<Draft, SealError> {
    seal_lines(Lines::Kept, source, readers, terms, now)
}

fn seal_lines(
    lines: Lines,
    mut source: Source,
    readers: &Readers,
    terms: &Terms,
    now: Timestamp,
) -> Result<Draft, SealError> {
    refuse_block(&source)?;
    let key = DataKey::generate()?;
    let groups = readers.wrap(&key)?;
    let is_binary = source.format == Format::Binary;
    let fallback = Rule::fallback();
    let rule = if is_binary { &fallback } else { &terms.rule };
    let mut after = source.sealable();
    let (format, dialect) = (source.format, source.dialect);
    let former = Former::default();
    let sealing = Encrypt::new(dialect, &source.text, &key, terms.coverage, former);
    let mut intent = sealing.documents(format, &mut after, rule, now)?;
    let block = NewBlock {
        groups: &groups,
        threshold: readers.needed(),
        rule: (!is_binary).then_some(rule),
        coverage: terms.coverage,
        stamp: &intent.stamp,
    };
    let block = NewText::Fields(block.fields());
    intent.wrapped = Some(groups);
    let dropped = source.dropped_comments;
    let text = source::sealed_text(lines, source, after, &block, terms.layout)?;
    let draft = intent.confirm(Source::read(format, dialect, &text)?, key)?;
    Ok(draft.without(dropped))
}

impl Draft {
    /// With `more` comments that are lost.
    fn without(self, more: usize) -> Self {
        Self {
            lost_comments: self.lost_comments + more,
            ..self
        }
    }
}

impl Opened {
    /// Seals `plain`, a changed version of [`Self::text`], with the same data key: values that are the
    /// same at the same path keep their ciphertext, so that only what was touched differs, and the MAC
    /// and the date.
    ///
    /// # Errors
    /// When `plain` is not valid in its format or has a `sops` block.
    pub fn reseal(&self, plain: &Secret, now: Timestamp) -> Result<Draft, SealError> {
        self.reseal_after(Former::of(self), plain, now)
    }

    /// As [`Self::reseal`]; values that are those of `other`, which has the same data key, keep the ciphertext that
    /// they have there.
    ///
    /// # Errors
    /// As [`Self::reseal`].
    pub fn reseal_with(
        &self,
        other: &Self,
        plain: &Secret,
        now: Timestamp,
    ) -> Result<Draft, SealError> {
        self.reseal_after(Former::of_both(self, other), plain, now)
    }

    fn reseal_after(
        &self,
        former: Former,
        plain: &Secret,
        now: Timestamp,
    ) -> Result<Draft, SealError> {
        let Sealed {
            format, dialect, ..
        } = self.sealed;
        let source = Source::read_plain(format, dialect, plain)?;
        refuse_block(&source)?;
        let metadata = &self.sealed.metadata;
        let sealing = Encrypt::new(dialect, &source.text, &self.key, metadata.coverage, former);
        let mut after = source.documents.clone();
        let intent = sealing.documents(format, &mut after, &metadata.rule, now)?;
        let block = source::renewed_block(&self.sealed, &intent.stamp.changes())?;
        let dropped = source.dropped_comments;
        let layout = format::Layout::default();
        let text = source::sealed_text(Lines::Kept, source, after, &block, layout)?;
        let draft = intent.confirm(self.sealed.again(&text)?, self.key.clone())?;
        Ok(draft.without(dropped))
    }

    /// Seals `documents`, a changed copy of [`Self::documents`], with the same data key. The file keeps
    /// its `lines`, or is printed anew.
    ///
    /// # Errors
    /// When the format cannot hold them.
    pub(super) fn reseal_documents(
        &self,
        mut documents: Vec<Map>,
        now: Timestamp,
        lines: Lines,
    ) -> Result<Draft, SealError> {
        let sealed = &self.sealed;
        let sealing = Encrypt::again(sealed, &self.key, Former::of(self));
        let rule = &sealed.metadata.rule;
        let intent = sealing.documents(sealed.format, &mut documents, rule, now)?;
        let text = lines.text(sealed, documents, &intent.stamp.changes())?;
        intent.confirm(sealed.again(&text)?, self.key.clone())
    }
}

impl Sealed {
    /// The file with the field `name` of its `sops` block set to `value`: in the place of the former
    /// one, else where the alphabet wants it. Nothing else changes.
    ///
    /// # Errors
    /// When the result does not read back.
    pub(crate) fn with_field(&self, name: &'static str, value: Node) -> Result<Self, SealError> {
        let changes = [(name, Some(value))];
        let text = source::replaced(self, self.documents.clone(), &changes)?;
        Ok(Self::of(self.again(&text)?)?)
    }

    pub(super) fn again(&self, text: &Secret) -> Result<Source, ReadError> {
        Source::read(self.format, self.dialect, text)
    }
}

/// Refuses a plaintext that has a `sops` block.
fn refuse_block(source: &Source) -> Result<(), SealError> {
    for (document, map) in source.documents.iter().enumerate() {
        let is_block = |entry: &&Entry| is_block_key(source.format, &entry.key);
        if let Some(entry) = map.entries().find(is_block)
            && source.format != Format::Binary
        {
            let position = entry.position;
            return Err(SealError::SealedAlready { position, document });
        }
    }
    Ok(())
}
