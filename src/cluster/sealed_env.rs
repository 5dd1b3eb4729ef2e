//! A SealedEnv as the daemon works with it.

use serde::{Deserialize as _, Deserializer};
use serde_json::value::RawValue;

use super::client::Requests;
use super::crd::{DeletionPolicy, SealedEnv};
use super::error::{ApiError, Class, Verb};
use super::kind::{Kind, Place};
use super::scope::Scope;
use super::status;
use crate::plan::conditions::Status;
use crate::plan::effect::Life;
use crate::vocabulary;

/// What is kept of a SealedEnv.
#[derive(Clone, PartialEq)]
pub struct SealedEnvSeen {
    /// Whose it is.
    pub scope: Scope,
    /// `metadata.generation`.
    pub generation: i64,
    /// `metadata.resourceVersion`.
    pub resource_version: String,
    /// The sealed document.
    pub document: String,
    /// `spec.suspend`.
    pub suspend: bool,
    /// `spec.deletionPolicy`.
    pub deletion_policy: DeletionPolicy,
    /// Whether its deletion has begun.
    pub deleting: bool,
    /// Its finalizers.
    pub finalizers: Vec<String>,
    /// Annotation: the git commit.
    pub commit: Option<String>,
    /// Annotation: path in the source that it mirrors.
    pub source_path: Option<String>,
    /// Annotation: when a pass was asked for.
    pub requested_at: Option<String>,
    /// Annotation: why it is suspended.
    pub suspend_reason: Option<String>,
    /// Annotation: the superuser run that is asked for.
    pub bootstrap_id: Option<String>,
    /// Annotation: the revision for which the guard against mass deletion is lifted.
    pub confirm_deletion: Option<String>,
    /// Its status.
    pub status: Status,
}

impl std::fmt::Debug for SealedEnvSeen {
    /// Without the document: config values in it are clear.
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter
            .debug_struct("SealedEnvSeen")
            .field("scope", &self.scope)
            .field("generation", &self.generation)
            .finish_non_exhaustive()
    }
}

impl SealedEnvSeen {
    /// How it ends.
    #[must_use]
    pub fn life(&self) -> Life {
        let ours = |finalizer: &String| finalizer == vocabulary::FINALIZER_CLEANUP;
        Life {
            takes_objects: self.deletion_policy == DeletionPolicy::Delete,
            held: self.finalizers.iter().any(ours),
            deleting: self.deleting,
        }
    }

    /// Reads the object.
    ///
    /// # Errors
    /// When it is no SealedEnv. The error may quote it and must not be shown.
    pub fn read<'de, D: Deserializer<'de>>(object: D) -> Result<Self, D::Error> {
        let SealedEnv {
            metadata,
            spec,
            status,
        } = SealedEnv::deserialize(object)?;
        let annotations = metadata.annotations.unwrap_or_default();
        let annotation = |key: &str| annotations.get(key).cloned();
        Ok(Self {
            scope: Scope {
                namespace: metadata.namespace.unwrap_or_default(),
                name: metadata.name.unwrap_or_default(),
                uid: metadata.uid.unwrap_or_default(),
                environment: spec.environment,
            },
            generation: metadata.generation.unwrap_or_default(),
            resource_version: metadata.resource_version.unwrap_or_default(),
            document: spec.document,
            suspend: spec.suspend,
            deletion_policy: spec.deletion_policy,
            deleting: metadata.deletion_timestamp.is_some(),
            finalizers: metadata.finalizers.unwrap_or_default(),
            commit: annotation(vocabulary::COMMIT),
            source_path: annotation(vocabulary::SOURCE_PATH),
            requested_at: annotation(vocabulary::REQUESTED_AT),
            suspend_reason: annotation(vocabulary::SUSPEND_REASON),
            bootstrap_id: annotation(vocabulary::BOOTSTRAP_ID),
            confirm_deletion: annotation(vocabulary::CONFIRM_DELETION),
            status: status::from_resource(&status.unwrap_or_default()),
        })
    }
}

/// Reads one SealedEnv from the API server; `None` when it does not exist.
///
/// # Errors
/// Any refusal, or when the object is unreadable.
pub async fn read_sealed_env(
    requests: &Requests,
    namespace: &str,
    name: &str,
) -> Result<Option<SealedEnvSeen>, ApiError> {
    let place = Place::new(Kind::SealedEnv, namespace, name);
    let unreadable = |_: serde_json::Error| ApiError::new(Verb::Get, &place, Class::Unreadable);
    match requests.get::<Box<RawValue>>(&place).await? {
        Some(object) => SealedEnvSeen::read(&*object).map(Some).map_err(unreadable),
        None => Ok(None),
    }
}
