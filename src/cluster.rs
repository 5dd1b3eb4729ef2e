//! The Kubernetes edge: the only place that talks to an API server.
//!
//! Everything here is small and called by the daemon (or a cluster command of sealctl). What should
//! happen is decided elsewhere; plaintext passes through only on its way into a Secret.

pub mod apply;
pub mod client;
pub mod connection;
pub mod crd;
pub mod error;
pub mod events;
pub mod extract;
pub mod job;
pub mod kind;
pub mod lease;
pub mod limiter;
pub mod manifest;
pub mod mirror;
mod objects;
pub mod observe;
pub mod roles;
pub mod scope;
pub mod sealed_env;
pub mod state;
pub mod status;
mod stored;
pub mod watch;
