//! The rig: a real Kubernetes control plane for tests, and everything that a failing test needs to be understood.
//!
//! `Cluster::start().await` gives a client, namespaces of one's own, tokens, kubectl and fake nodes whose pods become ready,
//! hang or fail as their annotations ask (`tools/stages.yaml`). `Observer` counts rollouts and Jobs, `audit` counts writes,
//! `Proxy` stands between a client and the API server and breaks things, `Process` runs a program under test.
//! It knows nothing of sealed documents: programs under test are started by the tests.
#![expect(
    clippy::disallowed_methods,
    clippy::disallowed_types,
    reason = "the rig is an edge: files, processes, clock"
)]
#![allow(
    dead_code,
    unused_imports,
    reason = "a toolbox: not every test binary uses every tool"
)]

pub(crate) mod audit;
pub(crate) mod cluster;
pub(crate) mod control_plane;
pub(crate) mod objects;
pub(crate) mod observer;
pub(crate) mod process;
pub(crate) mod proxy;
pub(crate) mod waits;

pub(crate) use audit::{Mark, Writes};
pub(crate) use cluster::Cluster;
pub(crate) use control_plane::{ControlPlane, Tier, built};
pub(crate) use objects::{Pods, deployment, job, pods};
pub(crate) use observer::{Change, Happened, Observer};
pub(crate) use process::{Process, Program};
pub(crate) use proxy::{Boundary, Proxy, Record};
