//! Sealed documents of the simulation: values by object, and what the shell makes of them.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::digest::{Digest, DigestKey};
use crate::env::{After, ObjectKind, WorkloadKind, WorkloadRef, Workloads};
use crate::plan::desired::{Desired, DesiredObject, DesiredSuperuser, value_digest};
use crate::plan::effect::{DocumentSeen, Life, Outcome, Refused, Resolution};
use crate::plan::snapshot::ObjectId;
use crate::reason::Reason;
use crate::secret::Secret;

/// Content of one object.
pub(super) type Data = BTreeMap<String, String>;

/// A SealedEnv as it lies in the API server.
#[derive(Debug, Clone)]
pub(super) struct Doc {
    pub(super) generation: i64,
    pub(super) revision: Option<u64>,
    pub(super) objects: Vec<(ObjectId, Data)>,
    pub(super) workloads: Workloads,
    pub(super) superuser: Option<(String, After)>,
    pub(super) suspend: bool,
    pub(super) life: Life,
    pub(super) requested_at: Option<String>,
    pub(super) bootstrap_id: Option<String>,
    pub(super) refused: Option<Refused>,
    pub(super) contested: BTreeMap<ObjectId, String>,
    pub(super) keep: bool,
    pub(super) secret_type: String,
}

impl Doc {
    /// One Secret `polls` with `values`, settled at once.
    pub(super) fn new(values: &[(&str, &str)]) -> Self {
        Self {
            generation: 1,
            revision: Some(1),
            objects: vec![(secret("polls"), data(values))],
            workloads: Workloads {
                settle: Duration::ZERO,
                ..Workloads::default()
            },
            superuser: None,
            suspend: false,
            life: Life::default(),
            requested_at: None,
            bootstrap_id: None,
            refused: None,
            contested: BTreeMap::new(),
            keep: false,
            secret_type: "Opaque".into(),
        }
    }

    pub(super) fn and(mut self, id: ObjectId, values: &[(&str, &str)]) -> Self {
        self.objects.push((id, data(values)));
        self
    }

    pub(super) fn with_superuser(mut self, id: &str) -> Self {
        self.superuser = Some((id.into(), After::Rollout));
        self
    }

    /// Sets one value of the first object, as the next revision.
    pub(super) fn set(&mut self, key: &str, value: &str) {
        self.objects[0].1.insert(key.into(), value.into());
        self.touch();
        self.revision = self.revision.map(|revision| revision + 1);
    }

    pub(super) fn touch(&mut self) {
        self.generation += 1;
    }

    pub(super) fn seen(&self) -> DocumentSeen {
        let resolved = match &self.refused {
            Some(refused) => Err(refused.clone()),
            None => Ok(Resolution {
                desired: self.desired().into(),
                verified: Outcome::new(Reason::Verified, "verified"),
                forward_only: true,
            }),
        };
        DocumentSeen {
            generation: self.generation,
            suspend: self.suspend,
            life: self.life,
            commit: None,
            requested_at: self.requested_at.clone(),
            bootstrap_id: self.bootstrap_id.clone(),
            source: Outcome::new(Reason::External, "applied"),
            resolved,
        }
    }

    pub(super) fn desired(&self) -> Desired {
        let objects: Vec<_> = self
            .objects
            .iter()
            .map(|(id, data)| self.object(id, data))
            .collect();
        let parts = objects
            .iter()
            .flat_map(|object| [object.id.name.as_bytes(), object.content.as_bytes()]);
        let content = Digest::combine(parts);
        let superuser = self.superuser.as_ref().map(|(id, after)| DesiredSuperuser {
            id: id.clone(),
            credentials: Digest::combine([id.as_bytes()]),
            from: web(),
            after: after.clone(),
        });
        Desired {
            revision: self.revision,
            content,
            keys: objects.iter().map(|object| object.keys.len()).sum(),
            objects,
            workloads: self.workloads.clone(),
            superuser,
            contested: self.contested.clone(),
        }
    }

    fn object(&self, id: &ObjectId, data: &Data) -> DesiredObject {
        let keys = digests(data);
        let secret_type = match id.kind {
            ObjectKind::Secret => self.secret_type.clone(),
            ObjectKind::ConfigMap => String::new(),
        };
        let mut parts = vec![secret_type.as_bytes()];
        for (key, digest) in &keys {
            parts.extend([key.as_bytes(), digest.as_bytes()]);
        }
        let content = Digest::combine(parts);
        DesiredObject {
            id: id.clone(),
            secret_type,
            keys,
            content,
            prune: !self.keep,
        }
    }
}

pub(super) fn digests(data: &Data) -> BTreeMap<String, Digest> {
    let key = DigestKey::new(Secret::new(vec![7; 32])).unwrap();
    let digest =
        |(name, value): (&String, &String)| (name.clone(), value_digest(&key, value.as_bytes()));
    data.iter().map(digest).collect()
}

pub(super) fn data(values: &[(&str, &str)]) -> Data {
    values
        .iter()
        .map(|(key, value)| ((*key).into(), (*value).into()))
        .collect()
}

pub(super) fn secret(name: &str) -> ObjectId {
    ObjectId {
        kind: ObjectKind::Secret,
        name: name.into(),
    }
}

pub(super) fn text(name: &str) -> ObjectId {
    ObjectId {
        kind: ObjectKind::ConfigMap,
        name: name.into(),
    }
}

pub(super) fn deployment(name: &str) -> WorkloadRef {
    WorkloadRef {
        kind: WorkloadKind::Deployment,
        name: name.parse().unwrap(),
    }
}

pub(super) fn web() -> WorkloadRef {
    deployment("web")
}
