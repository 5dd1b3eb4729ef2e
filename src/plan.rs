//! The pure core of seald: what should happen next, decided from what was seen.
//!
//! It sees names, versions, counts and keyed digests; never a value, never a client, never a clock.
//! [`step`] takes events in and says which effects to perform; the shell performs them and answers.
//! Everything below is total over its enums, so that a new action or state must be decided everywhere.

#![deny(clippy::wildcard_enum_match_arm)]

mod absorb;
mod answer;
pub mod conditions;
mod deletion;
pub mod desired;
pub mod effect;
mod flight;
mod next;
mod objects;
pub mod record;
mod recording;
mod report;
mod rollout;
#[cfg(test)]
mod simulation;
pub mod snapshot;
pub mod state;
mod step;
mod superuser;
mod usage;

pub use self::step::{Context, step};
