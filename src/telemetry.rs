//! Logs, metrics and probes.

pub mod health;
pub mod log;
pub mod metrics;
