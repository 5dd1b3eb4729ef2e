//! The document of one SealedEnv on its way through the stage *resolve*, and its plaintext for as long
//! as somebody needs it.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::shell::Shell;
use crate::cluster::apply::Content;
use crate::cluster::scope::Scope;
use crate::cluster::sealed_env::{SealedEnvSeen, read_sealed_env};
use crate::cluster::state::StateKeys;
use crate::crypto;
use crate::digest::DigestKey;
use crate::env::Delivery;
use crate::plan::conditions::Status;
use crate::plan::desired::Desired;
use crate::plan::effect::{
    DocumentSeen, Failure, FailureKind, Outcome, Refused, Resolution, Stage,
};
use crate::plan::snapshot::ObjectId;
use crate::reason::Reason;
use crate::secret::Secret;
use crate::telemetry::metrics::ByOutcome;

/// A document that was read, and whether the lack of an identity is all that is wrong with it.
pub(super) struct Reading {
    pub(super) document: DocumentSeen,
    pub(super) unopened: bool,
}

/// Reads the document of one SealedEnv.
pub(super) struct Documents {
    shell: Arc<Shell>,
    scope: Scope,
    /// Keys for digests: made up until the state Secret says what they are.
    keys: Option<StateKeys>,
    /// What was read last, without its text.
    facts: Option<Facts>,
    last: Option<DocumentSeen>,
    status: Status,
    /// Plaintext, while it is needed.
    opened: Option<Opened>,
    /// The same document, refused when its plaintext was needed again.
    refused: Option<Reading>,
}

/// What tells one version of a SealedEnv from another, its status apart.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Facts {
    generation: i64,
    deleting: bool,
    commit: Option<String>,
    source_path: Option<String>,
    requested_at: Option<String>,
    bootstrap_id: Option<String>,
}

struct Opened {
    delivery: Arc<Delivery>,
    desired: Arc<Desired>,
}

impl Documents {
    pub(super) fn new(shell: Arc<Shell>, scope: Scope) -> Self {
        Self {
            shell,
            scope,
            keys: fresh_keys(),
            facts: None,
            last: None,
            status: Status::default(),
            opened: None,
            refused: None,
        }
    }

    /// Whether `seen` differs from what was read last in more than its status.
    pub(super) fn is_news(&self, seen: &SealedEnvSeen) -> bool {
        self.facts.as_ref() != Some(&Facts::of(seen))
    }

    /// Resolves the document of `seen`.
    pub(super) async fn read(&mut self, seen: SealedEnvSeen) -> Reading {
        self.facts = Some(Facts::of(&seen));
        self.status = seen.status.clone();
        let source = self
            .shell
            .sources
            .outcome(&self.scope, seen.source_path.as_deref());
        let resolved = self.resolve(seen.document.clone()).await;
        let unopened = matches!(&resolved, Err(refused)
            if matches!(refused.outcome.reason, Reason::NoIdentity | Reason::NotRecipient));
        let document = DocumentSeen {
            generation: seen.generation,
            suspend: seen.suspend,
            life: seen.life(),
            commit: seen.commit,
            requested_at: seen.requested_at,
            bootstrap_id: seen.bootstrap_id,
            source,
            resolved,
        };
        self.last = Some(document.clone());
        Reading { document, unopened }
    }

    /// Reads the SealedEnv from the API server and resolves it again. `None` when it is gone or cannot
    /// be read now.
    pub(super) async fn read_again(&mut self) -> Option<Reading> {
        self.try_to_read().await.ok()?
    }

    async fn try_to_read(&mut self) -> Result<Option<Reading>, Failure> {
        let Scope {
            namespace, name, ..
        } = &self.scope;
        let seen = read_sealed_env(&self.shell.requests, namespace, name)
            .await
            .map_err(|error| error.failure(&self.scope))?;
        match seen.filter(|seen| seen.scope.uid == self.scope.uid) {
            Some(seen) => Ok(Some(self.read(seen).await)),
            None => Ok(None),
        }
    }

    /// Tries again to claim objects that another SealedEnv had claimed.
    pub(super) async fn reclaim(&mut self) -> Option<Reading> {
        let contested = self
            .last
            .as_ref()?
            .resolved
            .as_ref()
            .is_ok_and(|resolution| !resolution.desired.contested.is_empty());
        if contested {
            self.read_again().await
        } else {
            None
        }
    }

    /// The document again, when how it reached the cluster has changed.
    pub(super) fn source_changed(&mut self) -> Option<DocumentSeen> {
        let path = self.facts.as_ref()?.source_path.as_deref();
        let source = self.shell.sources.outcome(&self.scope, path);
        let last = self.last.as_mut().filter(|last| last.source != source)?;
        last.source = source;
        Some(last.clone())
    }

    /// The key under which values are digested.
    pub(super) fn digest_key(&self) -> Option<DigestKey> {
        self.keys.as_ref().map(|keys| keys.current.clone())
    }

    /// Takes the keys of the state Secret. When they are other ones, and `wanted` says that the document
    /// counts, gives it digested under them; a document that cannot be read now leaves the former keys in
    /// force, so that the next look tries again.
    pub(super) async fn take_keys(
        &mut self,
        keys: StateKeys,
        wanted: bool,
    ) -> Result<Option<Arc<Desired>>, Failure> {
        let changed = self.digest_key().as_ref() != Some(&keys.current);
        let former = self.keys.replace(keys);
        if !changed || !wanted {
            return Ok(None);
        }
        let desired = self.digest_again().await;
        if desired.is_err() {
            self.keys = former;
            self.opened = None;
        }
        desired.map(Some)
    }

    async fn digest_again(&mut self) -> Result<Arc<Desired>, Failure> {
        self.open_again().await?;
        let opened = self.opened.as_ref().ok_or_else(out_of_date)?;
        let (delivery, revision) = (opened.delivery.clone(), opened.desired.revision);
        let desired = self.keep(delivery, revision).ok_or_else(out_of_date)?;
        // What is told again later must not bring back the digests under the former key.
        if let Some(Ok(resolution)) = self.last.as_mut().map(|last| last.resolved.as_mut()) {
            resolution.desired = desired.clone();
        }
        Ok(desired)
    }

    /// The plaintext for an effect that writes it. Read again where it was forgotten; a document that
    /// has changed meanwhile is out of date.
    pub(super) async fn content(
        &mut self,
        desired: Option<&Desired>,
    ) -> Result<Content<'_>, Failure> {
        self.open_again().await?;
        let wanted = desired.map(|desired| desired.content);
        match (&self.opened, &self.keys) {
            (Some(opened), Some(keys)) if Some(opened.desired.content) == wanted => Ok(Content {
                delivery: &opened.delivery,
                desired: &opened.desired,
                keys,
            }),
            _ => Err(out_of_date()),
        }
    }

    /// Gets the plaintext of the document that was read last, where it was forgotten.
    async fn open_again(&mut self) -> Result<(), Failure> {
        if self.opened.is_some() {
            return Ok(());
        }
        let (facts, last) = (self.facts.clone(), self.last.clone());
        let read = self.try_to_read().await;
        if self.facts != facts {
            // The watch brings the new version; until then the former one counts.
            self.facts = facts;
            self.last = last;
            self.opened = None;
            return Err(out_of_date());
        }
        let reading = read?.ok_or_else(out_of_date)?;
        match &reading.document.resolved {
            Ok(_) => Ok(()),
            Err(refused) => {
                let outcome = refused.outcome.clone();
                self.refused = Some(reading);
                Err(Failure {
                    kind: FailureKind::Transient,
                    outcome,
                    retry_after: None,
                })
            }
        }
    }

    /// The document that was read last, when it has been refused since: its identity may be gone.
    pub(super) fn take_refused(&mut self) -> Option<Reading> {
        self.refused.take()
    }

    /// Wipes the plaintext.
    pub(super) fn forget_content(&mut self) {
        self.opened = None;
    }

    /// The status that the SealedEnv carried when it was read last.
    pub(super) fn last_status(&self) -> Status {
        self.status.clone()
    }

    async fn resolve(&mut self, text: String) -> Result<Resolution, Refused> {
        let shell = self.shell.clone();
        let scope = self.scope.clone();
        let permit = self.shell.resolving.acquire().await;
        let outcome = tokio::task::spawn_blocking(move || {
            super::resolving::resolve(&shell.config, &scope, &text)
        })
        .await;
        drop(permit);
        let outcome = outcome.unwrap_or_else(|_| Err(super::resolving::panicked()));
        self.count(&outcome);
        let resolved = outcome.inspect_err(|_| self.opened = None)?;
        let desired = self.keep(Arc::new(resolved.delivery), resolved.revision);
        let desired = desired.ok_or_else(super::resolving::panicked)?;
        Ok(Resolution {
            desired,
            verified: resolved.verified,
            forward_only: self.shell.config.forward_only(),
        })
    }

    /// Keeps the plaintext and digests it under the present key.
    fn keep(&mut self, delivery: Arc<Delivery>, revision: Option<u64>) -> Option<Arc<Desired>> {
        let key = &self.keys.as_ref()?.current;
        let mut desired = Desired::of(&delivery, revision, key, BTreeMap::new());
        let written = |id: &ObjectId| {
            self.status
                .targets
                .iter()
                .any(|target| target.id == *id && !target.uid.is_empty())
        };
        let key = (self.scope.namespace.clone(), self.scope.name.clone());
        let objects = desired.objects.iter().map(|object| &object.id);
        desired.contested = self.shell.claims.claim(&key, objects, written);
        let desired = Arc::new(desired);
        self.opened = Some(Opened {
            delivery,
            desired: desired.clone(),
        });
        Some(desired)
    }

    fn count(&self, outcome: &Result<super::resolving::Resolved, Refused>) {
        let (result, reason) = match outcome {
            Ok(_) => ("success", Reason::Decrypted),
            Err(refused) if refused.stage == Stage::Verified => return,
            Err(refused) => ("failure", refused.outcome.reason),
        };
        let label = ByOutcome::new(result, reason.as_str());
        self.shell.metrics.decrypts.get_or_create(&label).inc();
    }
}

impl Facts {
    fn of(seen: &SealedEnvSeen) -> Self {
        Self {
            generation: seen.generation,
            deleting: seen.deleting,
            commit: seen.commit.clone(),
            source_path: seen.source_path.clone(),
            requested_at: seen.requested_at.clone(),
            bootstrap_id: seen.bootstrap_id.clone(),
        }
    }
}

/// The SealedEnv is another one than the core knows.
fn out_of_date() -> Failure {
    Failure {
        kind: FailureKind::Transient,
        outcome: Outcome::new(Reason::Progressing, "the document has changed meanwhile"),
        retry_after: None,
    }
}

/// New random keys, for a SealedEnv without a state Secret. `None` without randomness.
fn fresh_keys() -> Option<StateKeys> {
    let bytes = crypto::random::bytes::<{ DigestKey::LENGTH }>().ok()?;
    let current = DigestKey::new(Secret::new(bytes.to_vec()))?;
    Some(StateKeys {
        current,
        previous: None,
    })
}

#[cfg(test)]
mod tests;
