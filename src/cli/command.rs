//! The verbs, one per file.

pub(crate) mod check;
pub(crate) mod cluster;
pub(crate) mod decrypt;
pub(crate) mod edit;
pub(crate) mod encrypt;
pub(crate) mod get;
pub(crate) mod git;
pub(crate) mod init;
pub(crate) mod key;
pub(crate) mod lint;
pub(crate) mod meta;
pub(crate) mod rbac;
pub(crate) mod rekey;
pub(crate) mod render;
pub(crate) mod run;
pub(crate) mod set;
pub(crate) mod show;
pub(crate) mod unset;

use crate::format::Format;

/// Reads the word of `--input-type`.
fn format_word(word: &str) -> Result<Format, String> {
    Format::from_word(word).ok_or_else(|| "one of yaml, json, dotenv, ini, binary".to_owned())
}
