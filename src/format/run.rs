//! The search for the next byte that needs a look, many bytes at once.

/// How many bytes stand at the front of `text` before the first that is `special`. Conditions in `special`
/// are best joined by `|`: without a branch, the compiler compares many bytes at once.
pub(super) fn run_without(text: &[u8], special: impl Fn(u8) -> bool) -> usize {
    let rest = |run: usize| text.get(run..).unwrap_or_default();
    let mut run = clear_blocks::<64>(text, &special);
    // So that few are left to be looked at one by one.
    run += clear_blocks::<16>(rest(run), &special);
    let found = rest(run).iter().position(|&byte| special(byte));
    run + found.unwrap_or(rest(run).len())
}

/// How many bytes the blocks of `text` have before the first with a byte that is `special`.
fn clear_blocks<const BLOCK: usize>(text: &[u8], special: impl Fn(u8) -> bool) -> usize {
    let (blocks, _) = text.as_chunks::<BLOCK>();
    // No early exit inside of a block, for the same reason.
    let is_clear = |block: &&[u8; BLOCK]| {
        !block
            .iter()
            .fold(false, |found, &byte| found | special(byte))
    };
    BLOCK * blocks.iter().take_while(is_clear).count()
}
