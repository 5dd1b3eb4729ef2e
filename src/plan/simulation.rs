//! A simulated cluster in which the core has to prove itself: deterministic, without a client.
//!
//! The [`World`] answers effects as a real API server would and lets workloads and Jobs progress in
//! small steps; a [`Seald`] is one process, which can be killed at every write. Scenarios say in English
//! what must hold; the walk and the schedules look for what nobody thought of.

#![allow(
    clippy::wildcard_enum_match_arm,
    clippy::semicolon_if_nothing_returned,
    reason = "a test rig: what it does not know it does not need"
)]

mod answers;
mod cluster;
mod deletion;
mod document;
mod objects;
mod places;
mod process;
mod restarts;
mod schedules;
mod superuser;
mod walk;

use self::cluster::World;
use self::document::{Doc, secret, text};
use self::process::{Boundary, Seald, run};
