//! What should exist, without a single value: objects and their keys as keyed digests.
//!
//! Made from a [`Delivery`] with the digest key of the SealedEnv. The bytes stay with the shell, which
//! looks them up by [`ObjectId`] when it performs an effect.

use std::collections::BTreeMap;

use super::snapshot::ObjectId;
use crate::digest::{Digest, DigestKey};
use crate::env::{
    After, Content, Delivery, Object, ObjectKind, Policy, Superuser, WorkloadRef, Workloads,
};
use crate::secret::Secret;

/// What one document asks for, as the core sees it.
#[derive(Debug, Clone, PartialEq)]
pub struct Desired {
    /// Revision of the seal; `None` for a document without one.
    pub revision: Option<u64>,
    /// The objects, in the order in which they are written.
    pub objects: Vec<DesiredObject>,
    /// Digest over all objects.
    pub content: Digest,
    /// Number of values.
    pub keys: usize,
    /// How workloads are restarted.
    pub workloads: Workloads,
    /// The superuser, when one is asked for.
    pub superuser: Option<DesiredSuperuser>,
    /// Objects that another SealedEnv claimed first, with its name.
    pub contested: BTreeMap<ObjectId, String>,
}

/// One object as it should be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DesiredObject {
    /// Kind and name.
    pub id: ObjectId,
    /// Type of a Secret; empty for a ConfigMap.
    pub secret_type: String,
    /// Keyed digest of each value.
    pub keys: BTreeMap<String, Digest>,
    /// Digest over the keys, the type, and the labels and annotations of the document.
    pub content: Digest,
    /// Whether it may be deleted when the document no longer names it.
    pub prune: bool,
}

/// The superuser run, without its values.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DesiredSuperuser {
    /// 8 hexadecimal digits: another id is another run.
    pub id: String,
    /// Digest over the credentials: content hash of the Secret that hands them to the Job.
    pub credentials: Digest,
    /// The workload whose container the Job clones.
    pub from: WorkloadRef,
    /// What the Job waits for.
    pub after: After,
}

impl Desired {
    /// Digests `delivery` under `key`. `contested` names the objects that another SealedEnv claimed first.
    #[must_use]
    pub fn of(
        delivery: &Delivery,
        revision: Option<u64>,
        key: &DigestKey,
        contested: BTreeMap<ObjectId, String>,
    ) -> Self {
        let objects: Vec<_> = delivery
            .objects
            .iter()
            .map(|object| DesiredObject::of(object, key))
            .collect();
        let mut parts: Vec<&[u8]> = Vec::new();
        for object in &objects {
            let kind: &[u8] = match object.id.kind {
                ObjectKind::ConfigMap => b"ConfigMap",
                ObjectKind::Secret => b"Secret",
            };
            parts.extend([kind, object.id.name.as_bytes(), object.content.as_bytes()]);
        }
        let content = Digest::combine(parts);
        Self {
            revision,
            objects,
            content,
            keys: delivery.values.len(),
            workloads: delivery.workloads.clone(),
            superuser: delivery
                .superuser
                .as_ref()
                .map(|user| DesiredSuperuser::of(user, key)),
            contested,
        }
    }

    /// The object `id`, when the document asks for it.
    #[must_use]
    pub fn object(&self, id: &ObjectId) -> Option<&DesiredObject> {
        self.objects.iter().find(|object| object.id == *id)
    }
}

impl DesiredObject {
    fn of(object: &Object, key: &DigestKey) -> Self {
        let keys: BTreeMap<String, Digest> = object
            .data
            .iter()
            .map(|(name, Content { bytes, binary: _ })| {
                (name.as_str().to_owned(), value_digest(key, bytes.expose()))
            })
            .collect();
        let secret_type = match object.kind {
            ObjectKind::Secret => object.secret_type.as_str().to_owned(),
            ObjectKind::ConfigMap => String::new(),
        };
        let mut parts: Vec<&[u8]> = vec![secret_type.as_bytes()];
        for (name, digest) in &keys {
            parts.extend([name.as_bytes(), digest.as_bytes()]);
        }
        for (kind, map) in [
            ("label", &object.labels),
            ("annotation", &object.annotations),
        ] {
            for (name, text) in map {
                parts.extend([kind.as_bytes(), name.as_bytes(), text.as_bytes()]);
            }
        }
        let content = Digest::combine(parts);
        let id = ObjectId {
            kind: object.kind,
            name: object.name.as_str().to_owned(),
        };
        Self {
            id,
            secret_type,
            keys,
            content,
            prune: object.prune,
        }
    }
}

impl DesiredSuperuser {
    fn of(user: &Superuser, key: &DigestKey) -> Self {
        let Superuser {
            from,
            container,
            username,
            email,
            password,
            fields,
            database,
            manage: _,
            policy,
            after,
        } = user;
        // A value that is absent digests as nothing at all, which no present one does.
        let text = |value: Option<&Secret>| {
            value.map_or_else(Vec::new, |value| {
                value_digest(key, value.expose()).as_bytes().to_vec()
            })
        };
        let mut parts: Vec<Vec<u8>> = vec![
            from.to_string().into_bytes(),
            container.clone().unwrap_or_default().into_bytes(),
            text(username.as_ref()),
            text(email.as_ref()),
            database.clone().into_bytes(),
        ];
        for (name, value) in fields {
            parts.push(name.clone().into_bytes());
            parts.push(value_digest(key, value.expose()).as_bytes().to_vec());
        }
        if *policy == Policy::ResetOnChange {
            parts.push(value_digest(key, password.expose()).as_bytes().to_vec());
        }
        let id = Digest::combine(parts.iter().map(Vec::as_slice)).short(8);
        parts.push(value_digest(key, password.expose()).as_bytes().to_vec());
        let credentials = Digest::combine(parts.iter().map(Vec::as_slice));
        Self {
            id,
            credentials,
            from: from.clone(),
            after: after.clone(),
        }
    }
}

/// Digest of one value under the digest key of its SealedEnv. The edge uses the same function for
/// what it reads from the cluster.
#[must_use]
pub fn value_digest(key: &DigestKey, bytes: &[u8]) -> Digest {
    key.digest("value", bytes)
}
