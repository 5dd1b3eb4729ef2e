//! Who can open a file: wrapping its data key for readers, and changing them.

use jiff::Timestamp;

use super::block::{FieldChange, Wrapped, key_fields};
use super::encrypt::{Encrypt, Former};
use super::open::Sealed;
use super::opened::Opened;
use super::seal::{Draft, SealError, or_printed};
use super::source::{self, Lines};
use crate::crypto::{DataKey, Recipient, shares, wrap};
use crate::secret::Secret;

/// Who shall be able to open a file: groups of recipients. With one group any of its recipients can;
/// with several, one of each of as many groups as `threshold` says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Readers {
    /// The recipients of each group, in the order of writing.
    pub groups: Vec<Vec<Recipient>>,
    /// How many groups are needed, at least two; `None` for all of them. Means nothing with one group.
    pub threshold: Option<usize>,
}

impl Readers {
    /// One group.
    #[must_use]
    pub fn one_group(recipients: &[Recipient]) -> Self {
        Self {
            groups: vec![recipients.to_vec()],
            threshold: None,
        }
    }

    pub(super) fn needed(&self) -> usize {
        self.threshold.unwrap_or(self.groups.len())
    }

    /// Wraps `key`, or its shares, for everybody.
    pub(super) fn wrap(&self, key: &DataKey) -> Result<Vec<Vec<Wrapped>>, SealError> {
        if self.groups.is_empty() || self.groups.iter().any(Vec::is_empty) {
            return Err(SealError::NoRecipient);
        }
        let shares = if self.groups.len() == 1 {
            vec![key.secret().clone()]
        } else {
            shares::split(key.secret(), self.groups.len(), self.needed())
                .map_err(|_| SealError::Threshold)?
        };
        let wrapped = |share: &Secret, recipient: &Recipient| {
            Ok((recipient.to_string(), wrap(share, recipient)?))
        };
        self.groups
            .iter()
            .zip(&shares)
            .map(|(group, share)| group.iter().map(|one| wrapped(share, one)).collect())
            .collect()
    }
}

impl Opened {
    /// Seals the same values with a new data key for `readers`.
    ///
    /// # Errors
    /// When the file has keys of other services, which cannot get the new data key.
    pub fn rotate(&self, readers: &Readers, now: Timestamp) -> Result<Draft, SealError> {
        self.rotate_dropping(readers, &[], now)
    }

    /// As [`Self::rotate`]; keys of other services of the kinds `dropped` are lost.
    ///
    /// # Errors
    /// When the file has keys of other kinds.
    pub fn rotate_dropping(
        &self,
        readers: &Readers,
        dropped: &[&str],
        now: Timestamp,
    ) -> Result<Draft, SealError> {
        let (kept, lost) = self.sealed.foreign(dropped);
        if !kept.is_empty() {
            return Err(SealError::Foreign { kinds: kept });
        }
        let kept = self.rotate_as(Lines::Kept, readers, &lost, now);
        or_printed(kept, || {
            self.rotate_as(Lines::Printed, readers, &lost, now).ok()
        })
    }

    fn rotate_as(
        &self,
        lines: Lines,
        readers: &Readers,
        lost: &[FieldChange],
        now: Timestamp,
    ) -> Result<Draft, SealError> {
        let key = DataKey::generate()?;
        let sealed = &self.sealed;
        let mut documents = self.documents.clone();
        let sealing = Encrypt::again(sealed, &key, Former::default());
        let rule = &sealed.metadata.rule;
        let mut intent = sealing.documents(sealed.format, &mut documents, rule, now)?;
        let groups = readers.wrap(&key)?;
        let mut changes = key_changes(&groups, readers.needed());
        changes.extend(lost.iter().cloned());
        changes.extend(intent.stamp.changes());
        intent.wrapped = Some(groups);
        let text = lines.text(sealed, documents, &changes)?;
        intent.confirm(sealed.again(&text)?, key)
    }
}

impl Sealed {
    /// The same file for other readers: only the wrapped keys change, and keys of other services stay as
    /// they are.
    ///
    /// # Errors
    /// When a group is empty, the threshold is impossible, or the file has keys of other services, and more
    /// than one group before or afterwards.
    pub fn rewrap(&self, key: &DataKey, readers: &Readers) -> Result<Draft, SealError> {
        self.rewrap_dropping(key, readers, &[])
    }

    /// As [`Self::rewrap`]; keys of other services of the kinds `dropped` are lost.
    ///
    /// # Errors
    /// As [`Self::rewrap`].
    pub fn rewrap_dropping(
        &self,
        key: &DataKey,
        readers: &Readers,
        dropped: &[&str],
    ) -> Result<Draft, SealError> {
        let (kept, lost) = self.foreign(dropped);
        let one_group = !self.metadata.is_split() && readers.groups.len() == 1;
        if !kept.is_empty() && !one_group {
            return Err(SealError::Foreign { kinds: kept });
        }
        let mut groups = readers.wrap(key)?;
        if let ([group], [former]) = (groups.as_mut_slice(), self.metadata.groups.as_slice()) {
            // Who can open it already keeps what was wrapped for him, so that nothing needless changes.
            for (recipient, armored) in group {
                let same = former.age.iter().find(|key| key.recipient == *recipient);
                if let Some(same) = same {
                    armored.clone_from(&same.armored);
                }
            }
        }
        let mut changes = key_changes(&groups, readers.needed());
        changes.extend(lost);
        let text = source::replaced(self, self.documents.clone(), &changes)?;
        let sealed = Self::of(self.again(&text)?)?;
        Ok(Draft {
            lost_comments: 0,
            sealed,
            key: key.clone(),
        })
    }

    /// The kinds of keys of other services that stay, and how those that are `dropped` go.
    fn foreign(&self, dropped: &[&str]) -> (Vec<&'static str>, Vec<FieldChange>) {
        let kinds = self.metadata.foreign();
        let (lost, kept): (Vec<_>, Vec<_>) =
            kinds.into_iter().partition(|kind| dropped.contains(kind));
        (kept, lost.into_iter().map(|kind| (kind, None)).collect())
    }
}

/// The fields that say who can open a file, new; those of the other kind go.
fn key_changes(groups: &[Vec<Wrapped>], needed: usize) -> Vec<FieldChange> {
    let names = ["age", "key_groups", "shamir_threshold"];
    let mut fields = key_fields(groups, needed);
    let value = |name: &&'static str| {
        let place = fields.iter().position(|(field, _)| field == name);
        (*name, place.map(|place| fields.swap_remove(place).1))
    };
    names.iter().map(value).collect()
}
