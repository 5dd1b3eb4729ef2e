//! Time as a value, and the door to the real clock for the edges.
//!
//! The pure rooms get a [`Now`] handed in and never look at a clock. Wall time is for people and for
//! stored timestamps; every waiting is done with [`Now::monotonic`], which no clock change moves.

#![expect(
    clippy::disallowed_methods,
    reason = "this is the one door to the system's clocks"
)]

use std::sync::OnceLock;
use std::time::{Duration, Instant};

use jiff::Timestamp;

/// A moment, read once per step.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Now {
    /// Time since an arbitrary start of this process; only differences mean anything.
    pub monotonic: Duration,
    /// Wall time in UTC.
    pub wall: Timestamp,
}

/// Where a [`Now`] comes from.
pub trait Clock: Send + Sync {
    /// Reads both clocks.
    fn now(&self) -> Now;
}

/// The clocks of the operating system.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    fn now(&self) -> Now {
        static START: OnceLock<Instant> = OnceLock::new();
        let start = *START.get_or_init(Instant::now);
        Now {
            monotonic: start.elapsed(),
            wall: Timestamp::now(),
        }
    }
}

/// `moment` as RFC 3339 in UTC with whole seconds, such as `2026-11-21T09:30:00Z`: the form of SOPS
/// and of Kubernetes.
#[must_use]
pub fn rfc3339(moment: Timestamp) -> String {
    moment.strftime("%Y-%m-%dT%H:%M:%SZ").to_string()
}
