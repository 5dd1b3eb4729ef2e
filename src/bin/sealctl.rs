//! The command line for people and CI. Everything is in `sealctl::cli`.

use std::process::ExitCode;

fn main() -> ExitCode {
    // Two providers may be compiled in; rustls wants to be told which one to use.
    let _ = rustls::crypto::ring::default_provider().install_default();
    sealctl::cli::main(std::env::args_os())
}
