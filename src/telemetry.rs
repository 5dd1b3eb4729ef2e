//! Logs, metrics and probes.

pub mod metrics;
