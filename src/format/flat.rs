//! Flattening of maps into names and texts. Not there yet.

use crate::secret::Secret;
use crate::tree::Map;

/// What stands in the place of a map that cannot be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not readable")]
pub struct FlatError;

/// Names and texts of `map`.
#[must_use]
pub fn flatten(_: &Map) -> Vec<(String, Secret)> {
    Vec::new()
}

/// The map that `_pairs` are of.
///
/// # Errors
/// Always.
pub fn unflatten(_pairs: impl Iterator<Item = (String, Secret)>) -> Result<Map, FlatError> {
    Err(FlatError)
}
