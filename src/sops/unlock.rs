//! The data key of any file that SOPS reads: with keys of every kind, over any number of groups.
//!
//! [`Keys`] does the unwrapping and may ask or run programs; nothing of that is known here. Where the data
//! key cannot be had, every wrapped key gets its own reason.

use super::metadata::KeyGroup;
use super::open::Sealed;
use crate::crypto::shares::{self, ShareError};
use crate::crypto::{DataKey, Keys, System, UnwrapError, Wrapped};
use crate::secret::Secret;

/// The data key could not be had.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum UnlockError {
    /// Too few groups could be opened; in a file without groups, the only one.
    #[error("{}", shortage(groups, *wanted))]
    TooFew {
        /// What became of each group, in the order of the file.
        groups: Vec<GroupOutcome>,
        /// How many of them are needed.
        wanted: usize,
    },
    /// The shares of the groups cannot be put together.
    #[error("the shares of the key groups cannot be put together: {0}")]
    Shares(#[from] ShareError),
    /// What was unwrapped or put together is no data key.
    #[error("a data key of {length} bytes instead of 32")]
    WrongLength {
        /// Its length.
        length: usize,
    },
}

/// What became of a key group.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum GroupOutcome {
    /// One of its keys opened.
    Opened,
    /// None did.
    Failed(Vec<KeyOutcome>),
}

/// Why one wrapped key did not open.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeyOutcome {
    /// What wrapped it.
    pub system: System,
    /// Whom it is for, as the file says: a recipient or a fingerprint.
    pub recipient: String,
    /// Why it stays closed.
    pub why: UnwrapError,
}

fn shortage(groups: &[GroupOutcome], wanted: usize) -> String {
    if groups.len() == 1 {
        return "none of the keys that the file names could be unwrapped".to_owned();
    }
    let (count, opened) = (groups.len(), opened(groups));
    format!("{wanted} of the {count} key groups are needed, {opened} could be opened")
}

fn opened(groups: &[GroupOutcome]) -> usize {
    let opened = groups
        .iter()
        .filter(|group| **group == GroupOutcome::Opened);
    opened.count()
}

impl Sealed {
    /// Unwraps the data key with `keys`. Of a file with several key groups every group is opened that can
    /// be, since a number that was lowered by hand must not lead to a wrong key.
    ///
    /// # Errors
    /// When too few groups can be opened, or what they give is no data key.
    pub fn unlock(&self, keys: &dyn Keys) -> Result<DataKey, UnlockError> {
        let metadata = self.metadata();
        let mut secrets = Vec::new();
        let mut outcomes = Vec::new();
        for group in &metadata.groups {
            match open(group, keys) {
                Ok(secret) => {
                    secrets.push(secret);
                    outcomes.push(GroupOutcome::Opened);
                }
                Err(reasons) => outcomes.push(GroupOutcome::Failed(reasons)),
            }
        }
        // A file that says nothing is satisfied with any shares that give a key.
        let wanted = match metadata.is_split() {
            true => metadata.threshold.unwrap_or(2),
            false => 1,
        };
        if secrets.len() < wanted {
            let groups = outcomes;
            return Err(UnlockError::TooFew { groups, wanted });
        }
        let key = match secrets.pop() {
            Some(only) if !metadata.is_split() => only,
            last => {
                secrets.extend(last);
                shares::combine(&secrets)?
            }
        };
        let length = key.len();
        DataKey::new(key).ok_or(UnlockError::WrongLength { length })
    }
}

/// What one of the keys of `group` gives, or why none does.
fn open(group: &KeyGroup, keys: &dyn Keys) -> Result<Secret, Vec<KeyOutcome>> {
    let age = group.age.iter().map(|key| Wrapped {
        system: System::Age,
        recipient: &key.recipient,
        armored: &key.armored,
    });
    let pgp = group.pgp.iter().map(|key| Wrapped {
        system: System::Pgp,
        recipient: &key.fingerprint,
        armored: &key.armored,
    });
    let wrapped: Vec<Wrapped<'_>> = age.chain(pgp).collect();
    keys.unwrap_one(&wrapped).map_err(|reasons| {
        let outcome = |(key, why): (&Wrapped<'_>, UnwrapError)| KeyOutcome {
            system: key.system,
            recipient: key.recipient.to_owned(),
            why,
        };
        wrapped.iter().zip(reasons).map(outcome).collect()
    })
}

#[cfg(test)]
mod tests;
