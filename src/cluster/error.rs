//! Failures of the API server in our own words.
//!
//! What the server says in prose can quote a value (a refused Job template comes back whole), so
//! nothing of it is kept: verb, object, code, and a class that is found by code and causes. The text
//! is looked at in three cases for which the server gives no cause, and then dropped.

use std::fmt;
use std::time::Duration;

use serde::Deserialize;

use super::kind::{Kind, Place};
use super::scope::Scope;
use crate::plan::effect::{Failure, FailureKind, Outcome};
use crate::reason::Reason;

/// What a call asks for, as roles and metrics name it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Verb {
    /// Read one.
    Get,
    /// Read a collection.
    List,
    /// Follow a collection.
    Watch,
    /// Make one by POST.
    Create,
    /// Server-side apply, or a merge patch.
    Patch,
    /// Replace one.
    Update,
    /// Delete one.
    Delete,
}

impl Verb {
    /// The word in a Role.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Get => "get",
            Self::List => "list",
            Self::Watch => "watch",
            Self::Create => "create",
            Self::Patch => "patch",
            Self::Update => "update",
            Self::Delete => "delete",
        }
    }

    /// Whether it changes something.
    #[must_use]
    pub fn is_write(self) -> bool {
        match self {
            Self::Get | Self::List | Self::Watch => false,
            Self::Create | Self::Patch | Self::Update | Self::Delete => true,
        }
    }
}

impl fmt::Display for Verb {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.as_str())
    }
}

/// A call that did not succeed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{verb} {place}: {class}")]
pub struct ApiError {
    /// What was asked for.
    pub verb: Verb,
    /// Of which object; the name is empty for a collection.
    pub place: Place,
    /// HTTP status, 0 where none came.
    pub code: u16,
    /// What it means.
    pub class: Class,
    /// Path of the field that the server names as the first cause, such as `data`. Never a value.
    pub field: Option<String>,
    /// How long the server wants to be left alone.
    pub retry_after: Option<Duration>,
}

/// What a failure means.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, thiserror::Error)]
pub enum Class {
    /// No such object.
    #[error("not found")]
    NotFound,
    /// No such namespace.
    #[error("the namespace does not exist")]
    NamespaceMissing,
    /// The server does not know the kind: the definition is not installed.
    #[error("the server does not know this kind")]
    KindMissing,
    /// An object of that name exists.
    #[error("it exists already")]
    AlreadyExists,
    /// The object changed, or is another one than the guard says.
    #[error("it changed meanwhile")]
    Conflict,
    /// Another field manager owns the field, and the apply was not forced.
    #[error("another field manager owns a field")]
    FieldConflict,
    /// An object of that name has another UID.
    #[error("it is another object of the same name")]
    UidMismatch,
    /// Rights are missing.
    #[error("forbidden: rights are missing")]
    Forbidden,
    /// Somebody else made it.
    #[error("it is not ours; delete it to let seald begin anew")]
    NotOurs,
    /// Its content is not what seald writes.
    #[error("it does not hold what seald writes; delete it to let seald begin anew")]
    Malformed,
    /// A quota is used up.
    #[error("a quota is exceeded")]
    QuotaExceeded,
    /// The namespace is being deleted.
    #[error("the namespace is terminating")]
    NamespaceTerminating,
    /// A webhook or policy said no.
    #[error("denied by admission")]
    AdmissionDenied,
    /// A field or object that cannot be changed.
    #[error("it cannot be changed")]
    Immutable,
    /// Over a limit of the server.
    #[error("it is too large")]
    TooLarge,
    /// Refused by validation.
    #[error("refused as invalid")]
    Invalid,
    /// Too many requests.
    #[error("the server asks for fewer requests")]
    Throttled,
    /// No connection, 5xx, or an admission webhook that cannot be reached.
    #[error("the server is not available")]
    Unavailable,
    /// No answer in time: a write may have happened.
    #[error("no answer in time")]
    Timeout,
    /// The token or certificate was refused.
    #[error("the credentials were refused")]
    Unauthorized,
    /// A resourceVersion or continue token that is too old.
    #[error("the view is too old")]
    Expired,
    /// An answer that cannot be read: a write may have happened.
    #[error("the answer cannot be read")]
    Unreadable,
    /// Anything else.
    #[error("unexpected answer")]
    Unexpected,
}

impl ApiError {
    /// A failure without an answer of the server.
    pub(super) fn new(verb: Verb, place: &Place, class: Class) -> Self {
        Self {
            verb,
            place: place.clone(),
            code: 0,
            class,
            field: None,
            retry_after: None,
        }
    }

    /// Reads a failure of kube's client, as watches give it.
    pub(super) fn from_client(verb: Verb, place: &Place, error: &kube::Error) -> Self {
        let kube::Error::Api(status) = error else {
            return Self::new(verb, place, Class::Unavailable);
        };
        // A body that is no JSON becomes the message of such a status.
        let body = match status.reason.as_str() {
            "Failed to parse error data" => Vec::new(),
            _ => serde_json::to_vec(status).unwrap_or_default(),
        };
        let refusal = Refusal {
            code: status.code,
            body: &body,
            retry_after: None,
        };
        refusal.classify(verb, place)
    }

    /// Whether a write may have been performed although it failed: read back, then decide.
    #[must_use]
    pub fn is_outcome_unknown(&self) -> bool {
        let silent = self.code == 0 || self.code >= 500;
        self.verb.is_write()
            && (matches!(self.class, Class::Timeout | Class::Unreadable)
                || (self.class == Class::Unavailable && silent))
    }

    /// What follows from it for the planner, with a sentence that names verb and object; where rights
    /// are missing, with the command that grants them.
    #[must_use]
    pub fn failure(&self, scope: &Scope) -> Failure {
        let message = match self.class {
            Class::Forbidden => {
                // Rights to delete are printed only on request.
                let prune = if self.verb == Verb::Delete {
                    " --prune"
                } else {
                    ""
                };
                format!(
                    "{self}; grant them by: sealctl rbac{prune} -e {} -a {} | kubectl apply -f -",
                    scope.environment, scope.name
                )
            }
            _ => match &self.field {
                Some(field) => format!("{self} ({field})"),
                None => self.to_string(),
            },
        };
        Failure {
            kind: self.failure_kind(),
            outcome: Outcome::new(self.reason(), message),
            retry_after: self.retry_after,
        }
    }

    fn failure_kind(&self) -> FailureKind {
        match self.class {
            Class::NotFound | Class::AlreadyExists | Class::Conflict | Class::UidMismatch => {
                FailureKind::Stale
            }
            Class::NamespaceMissing
            | Class::NamespaceTerminating
            | Class::Throttled
            | Class::Unavailable
            | Class::Timeout
            | Class::Unauthorized
            | Class::Expired
            | Class::Unreadable
            | Class::Unexpected => FailureKind::Transient,
            Class::KindMissing
            | Class::FieldConflict
            | Class::NotOurs
            | Class::Malformed
            | Class::Forbidden
            | Class::QuotaExceeded
            | Class::AdmissionDenied
            | Class::Immutable
            | Class::TooLarge
            | Class::Invalid => FailureKind::Refused,
        }
    }

    /// The reason that status and metrics show for it.
    #[must_use]
    pub fn reason(&self) -> Reason {
        match self.class {
            Class::NamespaceMissing => Reason::NamespaceMissing,
            Class::NamespaceTerminating => Reason::NamespaceTerminating,
            Class::Forbidden => Reason::Forbidden,
            Class::QuotaExceeded => Reason::QuotaExceeded,
            Class::AdmissionDenied => Reason::AdmissionDenied,
            Class::Immutable => Reason::ImmutableObject,
            Class::TooLarge | Class::Invalid => Reason::InvalidDocument,
            Class::Conflict | Class::AlreadyExists | Class::UidMismatch => Reason::Conflict,
            Class::FieldConflict | Class::NotOurs | Class::Malformed => Reason::ObjectNotOwned,
            Class::Throttled => Reason::Throttled,
            Class::Timeout => Reason::ApiSlow,
            Class::Unavailable => Reason::ApiUnavailable,
            Class::Unauthorized => Reason::Unauthorized,
            Class::KindMissing => Reason::CrdMissing,
            Class::NotFound | Class::Expired | Class::Unreadable | Class::Unexpected => {
                Reason::ApiError
            }
        }
    }
}

/// An answer with an error code, before it is classified.
pub(super) struct Refusal<'a> {
    /// HTTP status.
    pub(super) code: u16,
    /// The body, which may be anything.
    pub(super) body: &'a [u8],
    /// Header `Retry-After` in seconds.
    pub(super) retry_after: Option<u64>,
}

impl Refusal<'_> {
    /// What it means for `verb` on `place`.
    pub(super) fn classify(&self, verb: Verb, place: &Place) -> ApiError {
        let status = serde_json::from_slice::<Status>(self.body).ok();
        let cause = status
            .as_ref()
            .and_then(|status| status.details.causes.first());
        let asked = status
            .as_ref()
            .and_then(|status| status.details.retry_after_seconds);
        ApiError {
            verb,
            place: place.clone(),
            code: self.code,
            class: class(self.code, status.as_ref(), place.kind),
            field: cause
                .map(|cause| cause.field.clone())
                .filter(|field| !field.is_empty()),
            retry_after: self.retry_after.or(asked).map(Duration::from_secs),
        }
    }
}

/// The parts of a `metav1.Status` that decide.
#[derive(Deserialize)]
struct Status {
    #[serde(default)]
    message: String,
    #[serde(default)]
    reason: String,
    #[serde(default)]
    details: Details,
}

#[derive(Deserialize, Default)]
#[serde(rename_all = "camelCase")]
struct Details {
    #[serde(default)]
    kind: String,
    #[serde(default)]
    causes: Vec<Cause>,
    #[serde(default)]
    retry_after_seconds: Option<u64>,
}

#[derive(Deserialize)]
struct Cause {
    #[serde(default)]
    reason: String,
    #[serde(default)]
    field: String,
}

fn class(code: u16, status: Option<&Status>, kind: Kind) -> Class {
    let reason = status.map_or("", |status| status.reason.as_str());
    match code {
        401 => Class::Unauthorized,
        403 => forbidden(status),
        404 => match status {
            None => Class::KindMissing,
            Some(status) if status.details.kind == "namespaces" && kind != Kind::Namespace => {
                Class::NamespaceMissing
            }
            Some(_) => Class::NotFound,
        },
        409 if reason == "AlreadyExists" => Class::AlreadyExists,
        409 if has_cause(status, "FieldManagerConflict") => Class::FieldConflict,
        409 => Class::Conflict,
        410 => Class::Expired,
        413 => Class::TooLarge,
        422 => invalid(status),
        429 => Class::Throttled,
        500 if mentions(status, "failed calling webhook") => Class::Unavailable,
        502 | 503 => Class::Unavailable,
        504 => Class::Timeout,
        _ => Class::Unexpected,
    }
}

/// Rights, a quota, a policy or a dying namespace: only the last has a cause.
fn forbidden(status: Option<&Status>) -> Class {
    if has_cause(status, "NamespaceTerminating") {
        Class::NamespaceTerminating
    } else if mentions(status, "exceeded quota") {
        Class::QuotaExceeded
    } else if is_denied_by_admission(status) {
        Class::AdmissionDenied
    } else {
        Class::Forbidden
    }
}

fn invalid(status: Option<&Status>) -> Class {
    let causes = status.map_or(&[][..], |status| status.details.causes.as_slice());
    let Some(first) = causes.first() else {
        return if is_denied_by_admission(status) {
            Class::AdmissionDenied
        } else {
            Class::Invalid
        };
    };
    match (first.reason.as_str(), first.field.as_str()) {
        ("FieldValueTooLong", _) => Class::TooLarge,
        ("FieldValueInvalid", "metadata.uid") => Class::UidMismatch,
        ("FieldValueForbidden", _) | ("FieldValueInvalid", "type" | "spec.template") => {
            Class::Immutable
        }
        _ => Class::Invalid,
    }
}

fn is_denied_by_admission(status: Option<&Status>) -> bool {
    [
        "admission webhook",
        "ValidatingAdmissionPolicy",
        "violates PodSecurity",
    ]
    .iter()
    .any(|text| mentions(status, text))
}

fn has_cause(status: Option<&Status>, reason: &str) -> bool {
    status.is_some_and(|status| {
        status
            .details
            .causes
            .iter()
            .any(|cause| cause.reason == reason)
    })
}

fn mentions(status: Option<&Status>, text: &str) -> bool {
    status.is_some_and(|status| status.message.contains(text))
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn classified(code: u16, body: &Value) -> ApiError {
        let place = Place::new(Kind::Secret, "web", "web-secrets");
        let body = body.to_string();
        let refusal = Refusal {
            code,
            body: body.as_bytes(),
            retry_after: None,
        };
        refusal.classify(Verb::Patch, &place)
    }

    #[test]
    fn each_answer_of_a_real_server_has_its_class() {
        let cause = |reason: &str, field: &str| json!({"details": {"causes": [{"reason": reason, "field": field}]}});
        for (code, body, class) in [
            (401, json!({}), Class::Unauthorized),
            (
                403,
                json!({"message": "secrets is forbidden: User cannot patch"}),
                Class::Forbidden,
            ),
            (
                403,
                json!({"message": "exceeded quota: q, requested: secrets=1"}),
                Class::QuotaExceeded,
            ),
            (
                403,
                cause("NamespaceTerminating", ""),
                Class::NamespaceTerminating,
            ),
            (
                403,
                json!({"message": "admission webhook \"x\" denied the request"}),
                Class::AdmissionDenied,
            ),
            (
                404,
                json!({"details": {"kind": "secrets"}}),
                Class::NotFound,
            ),
            (
                404,
                json!({"details": {"kind": "namespaces"}}),
                Class::NamespaceMissing,
            ),
            (404, json!("404 page not found"), Class::KindMissing),
            (
                409,
                json!({"reason": "AlreadyExists"}),
                Class::AlreadyExists,
            ),
            (409, json!({"reason": "Conflict"}), Class::Conflict),
            (
                409,
                cause("FieldManagerConflict", ".data.A"),
                Class::FieldConflict,
            ),
            (410, json!({}), Class::Expired),
            (413, json!("<html>"), Class::TooLarge),
            (422, cause("FieldValueForbidden", "data"), Class::Immutable),
            (422, cause("FieldValueInvalid", "type"), Class::Immutable),
            (
                422,
                cause("FieldValueInvalid", "metadata.uid"),
                Class::UidMismatch,
            ),
            (422, cause("FieldValueTooLong", "data"), Class::TooLarge),
            (422, cause("FieldValueInvalid", "spec"), Class::Invalid),
            (429, json!("Too many requests"), Class::Throttled),
            (
                500,
                json!({"message": "Internal error: failed calling webhook \"x\""}),
                Class::Unavailable,
            ),
            (500, json!({}), Class::Unexpected),
            (502, json!("<html>"), Class::Unavailable),
            (504, json!({}), Class::Timeout),
        ] {
            assert_eq!(classified(code, &body).class, class, "{code} {body}");
        }
    }

    #[test]
    fn nothing_of_the_servers_text_is_kept() {
        let body = json!({
            "message": "Job is invalid: spec.template: Invalid value: canary-5e1f",
            "details": {"causes": [{"reason": "FieldValueInvalid", "message": "canary-5e1f", "field": "spec.template"}]}
        });
        let error = classified(422, &body);
        assert_eq!(error.class, Class::Immutable);
        assert!(!format!("{error} {error:?}").contains("canary"));
        assert_eq!(
            error.to_string(),
            "patch Secret web/web-secrets: it cannot be changed"
        );
    }

    #[test]
    fn missing_rights_come_with_the_command_that_grants_them() {
        let scope = Scope {
            namespace: "web".into(),
            name: "shop".into(),
            uid: "u".into(),
            environment: "prod".into(),
        };
        let failure = classified(403, &json!({})).failure(&scope);
        assert_eq!(failure.kind, FailureKind::Refused);
        assert_eq!(failure.outcome.reason, Reason::Forbidden);
        let command = "sealctl rbac -e prod -a shop | kubectl apply -f -";
        assert!(
            failure
                .outcome
                .message
                .contains("patch Secret web/web-secrets")
        );
        assert!(failure.outcome.message.ends_with(command));
    }

    #[test]
    fn a_write_without_an_answer_may_have_happened() {
        for (code, unknown) in [
            (504, true),
            (503, true),
            (429, false),
            (409, false),
            (422, false),
        ] {
            assert_eq!(
                classified(code, &json!({})).is_outcome_unknown(),
                unknown,
                "{code}"
            );
        }
    }
}
