//! The real SOPS, which the tests of several crates compare with.

use std::path::{Path, PathBuf};
use std::process::Command;

/// The program `sops`, built once per version from its Go module.
pub(crate) fn sops() -> PathBuf {
    let build = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/cluster/tools/build.sh");
    let output = Command::new(build).arg("sops").output().unwrap();
    assert!(
        output.status.success(),
        "the real sops cannot be built (is Go installed?): {}",
        String::from_utf8_lossy(&output.stderr)
    );
    PathBuf::from(String::from_utf8(output.stdout).unwrap().trim()).join("sops")
}
