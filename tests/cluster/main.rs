//! Tests against a real Kubernetes control plane, by the rig in `rig.rs`. They are ignored by default: `make test` runs them.
#![allow(
    clippy::disallowed_methods,
    clippy::disallowed_types,
    clippy::format_collect,
    clippy::format_push_string,
    clippy::unwrap_in_result,
    reason = "tests work with files and clocks, are read more than run, and an unwrap that fails is a failed test"
)]

#[cfg(test)]
mod bad_cluster;
#[cfg(test)]
mod bad_document;
#[cfg(test)]
mod canaries;
#[cfg(test)]
#[path = "../cli/docs/console.rs"]
mod console;
#[cfg(test)]
mod content;
#[cfg(test)]
mod deletion;
#[cfg(test)]
mod docs;
#[cfg(test)]
mod edge;
#[cfg(test)]
mod edge_apply;
#[cfg(test)]
mod main_job;
#[cfg(test)]
mod manifests;
#[cfg(test)]
mod operations;
#[cfg(test)]
mod ownership;
#[cfg(test)]
mod rig;
#[cfg(test)]
mod rig_works;
#[cfg(test)]
mod rollouts;
#[cfg(test)]
mod sigkill_walk;
#[cfg(test)]
mod verbs;
#[cfg(test)]
mod world;
