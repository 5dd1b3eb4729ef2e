//! Environment documents: what a person writes, and what it asks for.
//!
//! Works on the opened tree of a document and knows nothing of SOPS, files or the cluster.

mod delivery;

pub use delivery::{
    After, Content, Delivery, Object, ObjectKind, OnFailure, Origin, Policy, Restart, SecretType,
    Superuser, Value, WorkloadKind, WorkloadRef, Workloads,
};
