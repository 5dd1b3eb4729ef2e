//! Environment documents: what a person writes, and what it asks for.
//!
//! Works on the opened tree of a document and knows nothing of SOPS, files or the cluster.

mod check;
mod compose;
mod deliver;
mod delivery;
mod derive;
mod fields;
mod finding;
mod objects;
mod scalar;
mod superuser;
#[cfg(test)]
mod tests;
mod values;
mod workloads;

pub use check::{Checked, Form, Header, Outlined, Place, Target, check, outline, without_values};
pub use delivery::{
    After, Content, Delivery, Object, ObjectKind, OnFailure, Origin, Policy, Restart, SecretType,
    Superuser, Value, WorkloadKind, WorkloadRef, Workloads,
};
pub use finding::{Finding, Severity, did_you_mean};
