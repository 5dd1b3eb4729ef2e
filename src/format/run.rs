//! The search for the next byte that needs a look, and counting, many bytes at once.

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

/// How many bytes of `text` are `wanted`.
pub(super) fn count(text: &[u8], wanted: impl Fn(u8) -> bool) -> usize {
    // Sums of one byte, which cannot overflow in a block: then as many bytes as can be are compared at once.
    let (blocks, rest) = text.as_chunks::<128>();
    let in_block = |block: &[u8; 128]| {
        let sum = |sum: u8, &byte: &u8| sum + u8::from(wanted(byte));
        usize::from(block.iter().fold(0, sum))
    };
    let in_blocks: usize = blocks.iter().map(in_block).sum();
    in_blocks + rest.iter().filter(|&&byte| wanted(byte)).count()
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

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn blocks_and_what_is_left_are_counted_alike(text in prop::collection::vec(0..3u8, 0..1_000)) {
            let expected = text.iter().filter(|&&byte| byte == 1).count();
            prop_assert_eq!(count(&text, |byte| byte == 1), expected);
        }
    }
}
