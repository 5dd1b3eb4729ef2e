//! The record: what seald must remember although it may be killed at any moment.
//!
//! It lies in the state Secret of a SealedEnv. The marker on a pod template triggers a rollout but
//! proves nothing, so the record says which content the pods of each workload run.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;

use super::snapshot::{ObjectId, Version};
use crate::digest::Digest;
use crate::env::WorkloadRef;

/// Content of the state Secret, apart from its keys for digests.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Record {
    /// Highest revision that was applied, or was about to be. 0 for documents without a seal.
    pub revision: u64,
    /// Superuser runs that ended well: id → how.
    pub bootstrap: BTreeMap<String, Bootstrapped>,
    /// What the pods of each workload run.
    pub workloads: BTreeMap<WorkloadRef, Entry>,
}

/// A record with the guard for its next write.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RecordSeen {
    /// Guard.
    pub version: Version,
    /// Content.
    pub record: Record,
}

/// How a superuser run ended, and in whose life.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Bootstrapped {
    /// What the Job's program said.
    pub word: Word,
    /// UID of the SealedEnv for which it ran.
    pub uid: String,
}

/// What the superuser program says about its success.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Word {
    /// It created the user.
    Created,
    /// The user was there, or it said nothing.
    Exists,
    /// The user was there and the document's password is not the one in force.
    PasswordNotApplied,
}

impl Word {
    /// The word in a termination message and in the state Secret.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Created => "created",
            Self::Exists => "exists",
            Self::PasswordNotApplied => "password-not-applied",
        }
    }

    /// Reads a termination message; anything unknown counts as [`Word::Exists`].
    #[must_use]
    pub fn read(text: &str) -> Self {
        match text.trim() {
            "created" => Self::Created,
            "password-not-applied" => Self::PasswordNotApplied,
            _ => Self::Exists,
        }
    }
}

/// What the pods of one workload run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// UID of the workload: one of the same name made anew is another one.
    pub uid: String,
    /// Text of the marker on its template when this was recorded. A marker that was there before says
    /// nothing about a later change: after `rollout undo` it names content that the pods do not run.
    pub marker: Option<String>,
    /// What they read of each object, and the digest of what they read.
    pub reads: BTreeMap<ObjectId, Read>,
}

/// What is read of one object.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Read {
    /// Which keys.
    pub keys: Keys,
    /// Digest over these keys and their values.
    pub digest: Digest,
    /// Since when the object may hold something else. A pod that has started since may run that, even
    /// when the object is what it was again.
    pub left: Option<Timestamp>,
}

/// Keys of an object.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Keys {
    /// Whatever is there.
    All,
    /// Only these.
    Some(BTreeSet<String>),
}
