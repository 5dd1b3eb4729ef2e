//! sealctl and seald: configuration and secrets of Kubernetes apps, sealed in git, opened only in
//! the cluster.
//!
//! # Layers
//!
//! Lower layers know nothing of higher ones; `tests/core/architecture.rs` checks every import.
//!
//! | layer | rooms |
//! |---|---|
//! | 0 words | [`secret`], [`name`], [`digest`], [`vocabulary`], [`reason`], [`clock`] |
//! | 1 crypto | [`crypto`] |
//! | 2 text | [`tree`], [`mod@format`] |
//! | 3 sops | [`sops`], [`trust`] |
//! | 4 environments | [`mod@env`], [`resolve`] |
//! | 5 plan | [`plan`] |
//! | 6 edges | [`source`], [`keyring`], [`cluster`], [`runner`], [`mod@file`], [`telemetry`] |
//! | 7 programs | [`daemon`], [`cli`] |
//!
//! # Glossary
//!
//! One word per idea:
//!
//! - A **document** (`envs/<env>/<app>.yaml`) is *sealed* or *opened*.
//! - A **data key** is *wrapped* for a recipient and *unwrapped* by an identity.
//! - A **value** is *encrypted* or *decrypted*; it is *derived* when a template composes it from others.
//! - A **reader** is a recipient listed in `keys/<env>/`.
//! - An **environment** is a directory of documents with one set of readers.
//! - The **seal** is the HMAC over everything in a document; its counter is the **revision**. The
//!   version of git is the **commit**.
//! - A **delivery** is what a validated document asks for.
//! - A **workload** is *rolled*; the **marker** is the annotation on its pod template that does it.
//! - The **record** is what seald keeps in the state Secret.
//! - An **action** is what the plan wants; an **effect** is what the core asks the shell to do next.
//! - To **apply** means server-side apply.

pub mod cli;
pub mod clock;
pub mod cluster;
pub mod crypto;
pub mod daemon;
pub mod digest;
pub mod env;
pub mod file;
pub mod format;
pub mod keyring;
pub mod name;
pub mod plan;
pub mod reason;
pub mod resolve;
pub mod runner;
pub mod secret;
pub mod sops;
pub mod source;
pub mod telemetry;
pub mod tree;
pub mod trust;
pub mod vocabulary;
