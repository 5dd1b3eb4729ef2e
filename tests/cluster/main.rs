//! Tests against a real Kubernetes control plane, by the rig in `rig.rs`. They are ignored by default: `make test` runs them.

#[cfg(test)]
#[path = "../cli/docs/console.rs"]
mod console;
#[cfg(test)]
mod docs;
#[cfg(test)]
mod manifests;
#[cfg(test)]
mod rig;
#[cfg(test)]
mod rig_works;
