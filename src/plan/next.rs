//! What a stage of the planner wants next.

use std::time::Duration;

use super::effect::{Effect, Look};

/// The next thing to happen for a SealedEnv.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Next {
    /// Read.
    Look(Look),
    /// Change something.
    Act(Effect),
    /// Nothing, until something happens or this moment of the monotonic clock has come.
    Wait(Option<Duration>),
}
