//! Files of private keys, as `age-keygen` writes them.
#![expect(clippy::disallowed_methods, reason = "reads keys")]

use std::fs;
use std::path::Path;

/// The public half that the file names in a comment.
pub(crate) fn public_key(file: &Path) -> String {
    let text = fs::read_to_string(file).unwrap();
    let mut lines = text.lines();
    let key = lines.find_map(|line| line.strip_prefix("# public key: "));
    key.expect("a key file names its public key").to_owned()
}
