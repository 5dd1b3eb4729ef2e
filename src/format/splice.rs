//! Edits of one text, gathered and made in one pass. Knows no format.

use super::run::run_without;
use crate::secret::Secret;
use crate::tree::Span;

/// Edits of one text, in any order. They must not overlap, but what is taken out may.
#[derive(Debug, Default)]
pub struct Splice<'a> {
    edits: Vec<Edit<'a>>,
}

#[derive(Debug)]
struct Edit<'a> {
    span: Span,
    text: Text<'a>,
}

#[derive(Debug)]
enum Text<'a> {
    Made(Secret),
    /// What lies elsewhere, with a quote on both sides, which may be empty.
    Word(&'static str, &'a str),
}

impl Text<'_> {
    fn parts(&self) -> [&[u8]; 3] {
        match self {
            Self::Made(text) => [b"", text.expose(), b""],
            Self::Word(quote, word) => [quote, word, quote].map(|part| part.as_bytes()),
        }
    }

    fn len(&self) -> usize {
        self.parts().iter().map(|part| part.len()).sum()
    }
}

impl<'a> Splice<'a> {
    /// Replaces what lies in `span`.
    pub fn replace(&mut self, span: Span, text: impl Into<Secret>) {
        let text = Text::Made(text.into());
        self.edits.push(Edit { span, text });
    }

    /// Replaces what lies in `span` by `word` between two `quote`s, without a copy of it.
    pub fn replace_with_word(&mut self, span: Span, quote: &'static str, word: &'a str) {
        let text = Text::Word(quote, word);
        self.edits.push(Edit { span, text });
    }

    /// Puts `text` in front of the byte `at`.
    pub fn insert(&mut self, at: usize, text: impl Into<Secret>) {
        self.replace(Span { start: at, end: at }, text);
    }

    /// Takes out what lies in `span`.
    pub fn remove(&mut self, span: Span) {
        self.replace_with_word(span, "", "");
    }

    /// Whether an edit lies within what another one replaces, so that one of them could not be made.
    pub fn overlaps(&mut self) -> bool {
        self.sort();
        let (mut at, mut was_removal) = (0, true);
        self.edits.iter().any(|Edit { span, text }| {
            let is_removal = text.len() == 0;
            let is_apart = at <= span.start || is_removal || was_removal;
            (at, was_removal) = (at.max(span.end), is_removal);
            !is_apart
        })
    }

    fn sort(&mut self) {
        self.edits
            .sort_by_key(|edit| (edit.span.start, edit.span.end));
    }

    /// The text with all edits made. Edits at one place keep their order. Linear in text and edits.
    #[must_use]
    pub fn apply(mut self, text: &(impl AsRef<[u8]> + ?Sized)) -> Secret {
        let text = text.as_ref();
        self.sort();
        self.clip();
        let added: usize = self.edits.iter().map(|edit| edit.text.len()).sum();
        let length = |span: Span| span.end.saturating_sub(span.start);
        let removed: usize = self.edits.iter().map(|edit| length(edit.span)).sum();
        // Reserved at once and exactly, so that no copy is made, let alone left behind unwiped.
        let mut result = Vec::with_capacity((text.len() + added).saturating_sub(removed));
        let mut at = 0;
        for Edit { span, text: new } in &self.edits {
            result.extend_from_slice(text.get(at..span.start).unwrap_or_default());
            for part in new.parts() {
                result.extend_from_slice(part);
            }
            at = span.end;
        }
        result.extend_from_slice(text.get(at..).unwrap_or_default());
        Secret::new(result)
    }

    /// Leaves to each of the sorted edits only what no edit before it covers.
    fn clip(&mut self) {
        let (mut at, mut was_removal) = (0, true);
        for Edit { span, text } in &mut self.edits {
            let is_removal = text.len() == 0;
            let is_apart = at <= span.start;
            debug_assert!(is_apart || is_removal || was_removal, "edits overlap");
            span.start = span.start.max(at);
            span.end = span.end.max(span.start);
            (at, was_removal) = (span.end, is_removal);
        }
    }
}

/// Whether `text` is one long word without anything that some format would escape or take for more than
/// text, as ciphertexts are.
pub(super) fn is_long_word(text: &str) -> bool {
    let special = |byte: u8| {
        let is_letter = byte.is_ascii_lowercase() | byte.is_ascii_uppercase();
        let is_sign =
            (byte == b'=') | (byte == b',') | (byte == b'_') | (byte == b'[') | (byte == b']');
        // From the slash to the colon there are but digits.
        !(is_letter | is_sign | (byte == b'+') | (b'/'..=b':').contains(&byte))
    };
    text.len() >= 32
        && text.starts_with(|first: char| first.is_ascii_alphabetic())
        && !text.ends_with(':')
        && run_without(text.as_bytes(), special) == text.len()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_taken_out_may_overlap() {
        let mut splice = Splice::default();
        splice.remove(Span { start: 2, end: 4 });
        splice.replace(Span { start: 2, end: 6 }, Secret::from_text("new"));
        splice.remove(Span { start: 7, end: 9 });
        splice.remove(Span { start: 8, end: 10 });
        assert_eq!(splice.apply("0123456789").expose_text(), Some("01new6"));
    }

    #[test]
    fn edits_in_any_order_leave_the_rest_alone() {
        let mut splice = Splice::default();
        splice.replace(Span { start: 6, end: 7 }, Secret::from_text("ZZ"));
        splice.insert(0, Secret::from_text(">"));
        splice.replace_with_word(Span { start: 8, end: 8 }, "\"", "w");
        splice.remove(Span { start: 2, end: 4 });
        assert_eq!(
            splice.apply("0123456789").expose_text(),
            Some(">0145ZZ7\"w\"89")
        );
    }
}
