//! Words of the outside world, each spelled once: API group, labels, annotations, finalizers, field
//! managers, names of objects, environment variables.
//!
//! No other file spells `sealctl.dev` (but the derive attribute of the custom resource, which takes
//! only a literal and is compared with [`API_GROUP`] by a test).

/// Group of the custom resource and prefix of every label and annotation.
pub const API_GROUP: &str = "sealctl.dev";
/// Version of the custom resource.
pub const API_VERSION: &str = "v1alpha1";
/// Kind of the custom resource.
pub const KIND: &str = "SealedEnv";
/// Plural of the custom resource.
pub const PLURAL: &str = "sealedenvs";
/// `apiVersion` of JSON that sealctl prints.
pub const CLI_API_VERSION: &str = "cli.sealctl.dev/v1";
/// `reportingController` of Events.
pub const REPORTING_CONTROLLER: &str = "sealctl.dev/seald";
/// Where everything is explained; the last line of `sealctl --help`.
pub const PAGES: &str = "More: https://sealctl.dev";
/// Where error codes are explained; the code follows.
pub const ERROR_PAGES: &str = "https://sealctl.dev/e/";

// === labels ===

/// Label on SealedEnv and generated objects: the environment, for `kubectl get -l`.
pub const LABEL_ENV: &str = "sealctl.dev/env";
/// Label on generated objects and Jobs: name of the SealedEnv.
pub const LABEL_OWNER: &str = "sealctl.dev/owner";
/// Label on generated objects: the program that writes them.
pub const LABEL_MANAGED_BY: &str = "app.kubernetes.io/managed-by";
/// Label on generated objects: the app of the document.
pub const LABEL_PART_OF: &str = "app.kubernetes.io/part-of";

// === annotations ===

/// On generated objects and Jobs: UID of the SealedEnv that wrote them.
pub const OWNER_UID: &str = "sealctl.dev/owner-uid";
/// On generated objects: keyed digest of the content. On pod templates with a dot and the name of
/// the SealedEnv behind it: the same over what the workload reads of it ([`marker`]).
pub const CONTENT_HASH: &str = "sealctl.dev/content-hash";
/// On a SealedEnv: the last git commit that changed the document's file.
pub const COMMIT: &str = "sealctl.dev/commit";
/// On a SealedEnv: path in the source that it mirrors.
pub const SOURCE_PATH: &str = "sealctl.dev/source-path";
/// On a SealedEnv: RFC 3339 time; asks for a pass now.
pub const REQUESTED_AT: &str = "sealctl.dev/requested-at";
/// On a SealedEnv: free text, shown while suspended.
pub const SUSPEND_REASON: &str = "sealctl.dev/suspend-reason";
/// On a SealedEnv: revision for which the guard against mass deletion is lifted.
pub const CONFIRM_DELETION: &str = "sealctl.dev/confirm-deletion";
/// On a SealedEnv and a Job: id of a superuser run.
pub const BOOTSTRAP_ID: &str = "sealctl.dev/bootstrap-id";
/// On a foreign object: name of the SealedEnv that may take it over.
pub const ADOPT: &str = "sealctl.dev/adopt";
/// On generated objects: `"false"` means that seald never deletes them (`prune: false`). It stands on
/// the object, since a document that no longer names it cannot say so.
pub const PRUNE: &str = "sealctl.dev/prune";
/// On a workload: `"false"` means that seald never restarts it.
pub const RESTART: &str = "sealctl.dev/restart";

// === readiness gates ===

/// On the pod of a superuser Job: nobody ever sets it, so no Service sends requests to that pod.
pub const GATE_NEVER: &str = "sealctl.dev/never";

// === finalizers ===

/// On a SealedEnv, only under `deletionPolicy: Delete`.
pub const FINALIZER_CLEANUP: &str = "sealctl.dev/cleanup";
/// On a superuser Job, until its end is recorded.
pub const FINALIZER_BOOTSTRAP: &str = "sealctl.dev/bootstrap";

// === field managers and names in the cluster ===

/// Field manager of generated objects and mirrored SealedEnvs, and value of [`LABEL_MANAGED_BY`].
pub const MANAGER: &str = "seald";
/// Field manager of the status.
pub const STATUS_MANAGER: &str = "seald-status";
/// Field manager of `sealctl cluster …`.
pub const CLI_MANAGER: &str = "sealctl";
/// Lease in seald's own namespace.
pub const LEASE: &str = "seald-controller";
/// Secret in seald's own namespace: one key per environment, age identities, one per line.
pub const IDENTITY_SECRET: &str = "seald-identity";
/// Namespace and service account of seald, unless said otherwise.
pub const SERVICE_ACCOUNT: &str = "seald/seald";
/// Where the identity Secret is mounted.
pub const IDENTITY_PATH: &str = "/etc/seald/identity";

/// Annotation on a pod template for what a workload reads of the SealedEnv `app`.
#[must_use]
pub fn marker(app: &str) -> String {
    format!("{CONTENT_HASH}.{app}")
}

/// Field manager of [`marker`]: one for each SealedEnv, since server-side apply removes what the same
/// manager no longer sends.
#[must_use]
pub fn marker_manager(prefix: &str, app: &str) -> String {
    format!("{prefix}-{app}")
}

/// Name of the state Secret of the SealedEnv `app`.
#[must_use]
pub fn state_secret(app: &str) -> String {
    format!("seald-state-{app}")
}

/// Name of the Secret with the superuser's credentials, and prefix of its Job, of the SealedEnv `app`.
#[must_use]
pub fn bootstrap_secret(app: &str) -> String {
    format!("seald-bootstrap-{app}")
}

/// Name of the superuser Job for the run `id` (8 hexadecimal digits).
#[must_use]
pub fn bootstrap_job(app: &str, id: &str) -> String {
    format!("seald-bootstrap-{app}-{id}")
}
