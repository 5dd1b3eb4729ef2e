//! The only source of randomness: the operating system's generator.

use crate::secret::Secret;

/// The operating system gave no random bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the operating system gives no random bytes")]
pub struct NoRandomness;

/// `N` random bytes.
///
/// # Errors
/// When the operating system's generator fails.
pub fn bytes<const N: usize>() -> Result<[u8; N], NoRandomness> {
    let mut bytes = [0; N];
    getrandom::fill(&mut bytes).map_err(|_| NoRandomness)?;
    Ok(bytes)
}

/// `N` random bytes in each of `pools`.
///
/// # Errors
/// When the operating system's generator fails.
pub fn fill<const N: usize>(pools: &mut [[u8; N]]) -> Result<(), NoRandomness> {
    getrandom::fill(pools.as_flattened_mut()).map_err(|_| NoRandomness)
}

/// As many random bytes as asked for, to be kept secret.
///
/// # Errors
/// When the operating system's generator fails.
pub fn secret(length: usize) -> Result<Secret, NoRandomness> {
    let mut bytes = vec![0; length];
    getrandom::fill(&mut bytes).map_err(|_| NoRandomness)?;
    Ok(Secret::new(bytes))
}
