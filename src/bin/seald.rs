//! The daemon in the cluster. Everything is in `sealctl::daemon`.

use std::process::ExitCode;

fn main() -> ExitCode {
    // Two providers may be compiled in; rustls wants to be told which one to use.
    let _ = rustls::crypto::ring::default_provider().install_default();
    sealctl::daemon::main(std::env::args_os())
}
