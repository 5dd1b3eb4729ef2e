//! The programs as a person uses them, in an empty home, without a cluster.
#![allow(
    clippy::disallowed_methods,
    clippy::disallowed_types,
    clippy::format_collect,
    clippy::format_push_string,
    clippy::unwrap_in_result,
    reason = "tests work with files and clocks, are read more than run, and an unwrap that fails is a failed test"
)]

#[cfg(test)]
mod any_file;
#[cfg(test)]
mod bad_input;
#[cfg(test)]
mod contended;
#[cfg(test)]
mod docs;
#[cfg(test)]
mod edit;
#[cfg(test)]
mod encrypt;
#[cfg(test)]
mod git;
#[cfg(test)]
mod hangup;
#[cfg(test)]
mod help;
#[cfg(test)]
mod hostile;
#[cfg(test)]
mod key;
#[cfg(test)]
#[path = "../core/key_file.rs"]
mod key_file;
#[cfg(test)]
mod killed;
#[cfg(test)]
mod merge;
#[cfg(test)]
mod rekey;
#[cfg(test)]
mod run;
#[cfg(test)]
mod sandbox;
#[cfg(test)]
mod side_by_side;
#[cfg(test)]
mod sops;
#[cfg(test)]
mod start;
#[cfg(test)]
mod terminal;
#[cfg(test)]
mod values;
#[cfg(test)]
mod vectors;
