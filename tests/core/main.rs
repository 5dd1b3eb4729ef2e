//! Tests of the whole crate from outside, without a cluster: the layers, files from elsewhere.
#![allow(
    clippy::disallowed_methods,
    clippy::disallowed_types,
    clippy::format_collect,
    clippy::format_push_string,
    clippy::unwrap_in_result,
    reason = "tests work with files and clocks, are read more than run, and an unwrap that fails is a failed test"
)]

#[cfg(test)]
mod ansible;
#[cfg(test)]
mod architecture;
#[cfg(test)]
mod differential;
#[cfg(test)]
mod django;
#[cfg(test)]
mod document;
#[cfg(test)]
mod engine;
#[cfg(test)]
mod examples;
#[cfg(test)]
mod fuzz;
#[cfg(test)]
mod key_file;
#[cfg(test)]
mod manifests;
#[cfg(test)]
mod memory;
#[cfg(test)]
mod packages;
#[cfg(test)]
mod properties;
#[cfg(test)]
mod random;
#[cfg(test)]
mod real_age;
#[cfg(test)]
mod real_sops;
#[cfg(test)]
mod sealed_files;
#[cfg(test)]
mod vectors;
