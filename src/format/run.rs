//! The search for the next byte that needs a look, many bytes at once.

/// How many bytes stand at the front of `text` before the first that is `special`. Conditions in `special`
/// are best joined by `|`: without a branch, the compiler compares many bytes at once.
pub(super) fn run_without(text: &[u8], special: impl Fn(u8) -> bool) -> usize {
    const BLOCK: usize = 64;
    let mut run = 0;
    for block in text.chunks_exact(BLOCK) {
        // No early exit inside of a block, for the same reason.
        let found = block
            .iter()
            .fold(false, |found, &byte| found | special(byte));
        if found {
            break;
        }
        run += BLOCK;
    }
    let rest = text.get(run..).unwrap_or_default();
    run + rest
        .iter()
        .position(|&byte| special(byte))
        .unwrap_or(rest.len())
}
