//! Performs what the mirror planned, by guarded server-side apply.

use std::collections::BTreeMap;

use futures::StreamExt as _;
use serde_json::{Value, json};

use super::{Action, Existing, File, Key, Sources};
use crate::cluster::client::{Force, Meta, Requests};
use crate::cluster::error::{ApiError, Class};
use crate::cluster::kind::{Kind, Place};
use crate::digest::Digest;
use crate::name::EnvName;
use crate::plan::effect::Outcome;
use crate::reason::Reason;
use crate::secret::Secret;
use crate::vocabulary;

/// How often a write is tried when others change the object at the same time.
const TRIES: usize = 5;
/// Actions begun at once; the limiter decides how many are sent.
const AT_ONCE: usize = 64;

/// What writing needs beside the plan.
#[derive(Clone)]
pub struct Mirroring {
    /// Sends the requests.
    pub requests: Requests,
    /// Learns what was written.
    pub sources: Sources,
    /// Whether a missing namespace is created.
    pub create_namespaces: bool,
}

/// Performs `actions` while `leads` says so. What failed, by path; deletions fail silently, since the
/// next look plans them again.
pub async fn perform(
    mirroring: &Mirroring,
    actions: Vec<Action>,
    files: &BTreeMap<String, File>,
    existing: &BTreeMap<Key, Existing>,
    leads: impl Fn() -> bool,
) -> BTreeMap<String, Outcome> {
    let leads = &leads;
    let outcomes = futures::stream::iter(actions).map(async |action| {
        if !leads() {
            return None;
        }
        match action {
            Action::Apply {
                path,
                key,
                environment,
            } => {
                let file = files.get(&path)?;
                let write = Write {
                    mirroring,
                    path: &path,
                    key: &key,
                    environment,
                    file,
                };
                let error = write.apply(existing.get(&key)).await.err()?;
                Some((path, trouble(&error)))
            }
            Action::Delete { key, uid } => {
                let place = Place::new(Kind::SealedEnv, &key.0, &key.1);
                if let Err(error) = mirroring.requests.delete(&place, &uid).await {
                    tracing::warn!(%error, "SealedEnv was not deleted");
                }
                None
            }
        }
    });
    outcomes
        .buffer_unordered(AT_ONCE)
        .filter_map(async |failed| failed)
        .collect()
        .await
}

/// One SealedEnv to be written.
struct Write<'a> {
    mirroring: &'a Mirroring,
    path: &'a str,
    key: &'a Key,
    environment: EnvName,
    file: &'a File,
}

impl Write<'_> {
    async fn apply(&self, seen: Option<&Existing>) -> Result<(), ApiError> {
        let mut guard = seen.map(|seen| (seen.uid.clone(), seen.resource_version.clone()));
        let mut created_namespace = false;
        for _ in 1..TRIES {
            let error = match self.apply_once(guard.as_ref()).await {
                Ok(meta) => {
                    self.note(&meta);
                    return Ok(());
                }
                Err(error) => error,
            };
            match error.class {
                Class::Conflict | Class::AlreadyExists | Class::UidMismatch => {
                    guard = self.look_again(seen, error).await?;
                }
                Class::NamespaceMissing
                    if self.mirroring.create_namespaces && !created_namespace =>
                {
                    created_namespace = true;
                    self.create_namespace().await?;
                }
                _ => return Err(error),
            }
        }
        self.apply_once(guard.as_ref())
            .await
            .map(|meta| self.note(&meta))
    }

    async fn apply_once(&self, guard: Option<&(String, String)>) -> Result<Meta, ApiError> {
        let body = self.body(guard).to_string();
        let requests = &self.mirroring.requests;
        let place = self.sealed_env();
        requests
            .apply(&place, vocabulary::MANAGER, Force::Yes, Secret::from(body))
            .await
    }

    /// The guard for another try after a conflict. The status is written often, so a new version is
    /// no news; another object, or one that mirrors something else by now, is not ours to write.
    async fn look_again(
        &self,
        seen: Option<&Existing>,
        error: ApiError,
    ) -> Result<Option<(String, String)>, ApiError> {
        let found = self.mirroring.requests.get_meta(&self.sealed_env()).await?;
        let Some(found) = found else { return Ok(None) };
        let path = found.annotations.get(vocabulary::SOURCE_PATH);
        let former = seen.and_then(|seen| seen.source_path.as_ref());
        let is_same = path.is_some_and(|path| path == self.path || Some(path) == former);
        if is_same {
            Ok(Some((found.uid, found.resource_version)))
        } else {
            Err(error)
        }
    }

    async fn create_namespace(&self) -> Result<(), ApiError> {
        let place = Place::namespace(&self.key.0);
        let body = json!({
            "apiVersion": place.kind.api_version(),
            "kind": place.kind.name(),
            "metadata": { "name": place.name }
        });
        let body = Secret::from(body.to_string());
        match self
            .mirroring
            .requests
            .create(&place, vocabulary::MANAGER, body)
            .await
        {
            Err(error) if error.class != Class::AlreadyExists => Err(error),
            _ => Ok(()),
        }
    }

    fn sealed_env(&self) -> Place {
        Place::new(Kind::SealedEnv, &self.key.0, &self.key.1)
    }

    fn body(&self, guard: Option<&(String, String)>) -> Value {
        let mut annotations = json!({ vocabulary::SOURCE_PATH: self.path });
        if let Some(commit) = &self.file.commit {
            annotations[vocabulary::COMMIT] = commit.as_str().into();
        }
        let environment = self.environment.as_str();
        let mut metadata = json!({
            "namespace": self.key.0,
            "name": self.key.1,
            "labels": { vocabulary::LABEL_ENV: environment },
            "annotations": annotations,
            // Version "1" is never that of an object that exists: create, or fail.
            "resourceVersion": "1"
        });
        if let Some((uid, version)) = guard {
            metadata["uid"] = uid.as_str().into();
            metadata["resourceVersion"] = version.as_str().into();
        }
        json!({
            "apiVersion": Kind::SealedEnv.api_version(),
            "kind": Kind::SealedEnv.name(),
            "metadata": metadata,
            "spec": { "environment": environment, "document": self.file.text }
        })
    }

    fn note(&self, meta: &Meta) {
        let written = Existing {
            uid: meta.uid.clone(),
            resource_version: meta.resource_version.clone(),
            environment: self.environment.to_string(),
            source_path: Some(self.path.to_owned()),
            document: Digest::combine([self.file.text.as_bytes()]),
            commit: self.file.commit.clone(),
            deleting: false,
            revision: None,
            confirmed: None,
        };
        self.mirroring.sources.wrote(self.key, written);
    }
}

/// What a failed write means for a file.
fn trouble(error: &ApiError) -> Outcome {
    let reason = match error.reason() {
        // The definition refused the document.
        Reason::InvalidDocument => Reason::SourceInvalid,
        reason => reason,
    };
    Outcome::new(reason, error.to_string())
}
