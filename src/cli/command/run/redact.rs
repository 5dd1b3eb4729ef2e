//! Masking of secret values in what a child prints.
//!
//! A stream is cut anywhere, so the end of what has come may be the beginning of a value: that much is
//! held back until more comes or the caller flushes. Pure.

use crate::secret::Secret;

/// Shorter values are left alone: masking `1` or `true` would make any output useless.
const SHORTEST: usize = 8;
const MASK: &[u8] = b"***";

/// Masks one stream.
pub(super) struct Redactor {
    patterns: Vec<Secret>,
    pending: Vec<u8>,
}

impl Redactor {
    /// Masks `values`; of those with several lines each line, too.
    pub(super) fn new<'a>(values: impl IntoIterator<Item = &'a Secret>) -> Self {
        let mut patterns = Vec::new();
        for value in values {
            let bytes = value.expose();
            let lines = bytes
                .split(|byte| *byte == b'\n')
                .map(<[u8]>::trim_ascii_end);
            for pattern in std::iter::once(bytes).chain(lines) {
                if pattern.len() >= SHORTEST {
                    patterns.push(Secret::new(pattern.to_vec()));
                }
            }
        }
        // The longest first, so that a value that contains another one is masked as a whole.
        patterns.sort_by_key(|pattern| std::cmp::Reverse(pattern.len()));
        Self {
            patterns,
            pending: Vec::new(),
        }
    }

    /// Takes what has come and gives what can be shown.
    pub(super) fn feed(&mut self, bytes: &[u8]) -> Vec<u8> {
        self.pending.extend_from_slice(bytes);
        let mut shown = Vec::with_capacity(self.pending.len());
        let mut at = 0;
        while at < self.pending.len() {
            let rest = &self.pending[at..];
            if let Some(length) = self.match_at(rest) {
                shown.extend_from_slice(MASK);
                at += length;
            } else if self.may_begin(rest) {
                break;
            } else {
                shown.push(rest[0]);
                at += 1;
            }
        }
        self.pending.drain(..at);
        shown
    }

    /// Gives what is held back.
    pub(super) fn flush(&mut self) -> Vec<u8> {
        std::mem::take(&mut self.pending)
    }

    /// Whether something is held back.
    pub(super) fn holds(&self) -> bool {
        !self.pending.is_empty()
    }

    fn match_at(&self, rest: &[u8]) -> Option<usize> {
        let found = self
            .patterns
            .iter()
            .find(|pattern| rest.starts_with(pattern.expose()));
        found.map(Secret::len)
    }

    /// Whether `rest`, which is all that has come, is the beginning of a value.
    fn may_begin(&self, rest: &[u8]) -> bool {
        self.patterns
            .iter()
            .any(|pattern| pattern.expose().starts_with(rest))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn redact(values: &[&str], chunks: &[&[u8]]) -> String {
        let values: Vec<Secret> = values.iter().map(|text| Secret::from_text(text)).collect();
        let mut redactor = Redactor::new(&values);
        let mut shown: Vec<u8> = chunks
            .iter()
            .flat_map(|chunk| redactor.feed(chunk))
            .collect();
        shown.extend(redactor.flush());
        String::from_utf8(shown).unwrap()
    }

    #[test]
    fn long_values_are_masked_and_short_ones_are_not() {
        assert_eq!(
            redact(&["correct-horse", "true"], &[b"x correct-horse true\n"]),
            "x *** true\n"
        );
    }

    #[test]
    fn lines_of_a_value_are_masked_alone() {
        let key = "-----BEGIN-----\nMIIBabcdef\n";
        assert_eq!(redact(&[key], &[b"a MIIBabcdef b"]), "a *** b");
    }

    proptest! {
        #[test]
        fn no_cut_lets_a_value_through(cut in 0usize..40, second in 0usize..40) {
            let text = b"before hunter2hunter2 and hunter2-again end";
            let (first, second) = (cut.min(second), cut.max(second));
            let chunks = [&text[..first], &text[first..second], &text[second..]];
            let shown = redact(&["hunter2hunter2", "hunter2-again"], &chunks);
            prop_assert_eq!(shown, "before *** and *** end");
        }
    }
}
