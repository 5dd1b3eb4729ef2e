//! Lines at the end of every document of a text.

use crate::format::Splice;
use crate::secret::Secret;
use crate::tree::Span;

/// See [`super::append_lines`].
pub(super) fn append_lines(text: &Secret, lines: &Secret) -> Secret {
    let source = text.expose_text().unwrap_or_default();
    let first = source.split('\n').next().unwrap_or_default();
    let line_break = if first.ends_with('\r') { "\r\n" } else { "\n" };
    let lines = lines.expose_text().unwrap_or_default();
    let lines = if line_break == "\r\n" {
        lines.replace('\n', line_break)
    } else {
        lines.to_owned()
    };
    let mut splice = Splice::default();
    for end in ends(source) {
        // Blanks on a last line without a line break: with one, a block text would count the line.
        let bare = source[..end].trim_end_matches([' ', '\t']).len();
        let start = if source[..bare].ends_with('\n') {
            bare
        } else {
            end
        };
        let missing = start > 0 && !source[..start].ends_with('\n');
        let gap = if missing { line_break } else { "" };
        splice.replace(Span { start, end }, format!("{gap}{lines}"));
    }
    splice.apply(source)
}

/// Where the documents end: at each line `---` or `...` with something in front of it that is no end
/// itself, and at the end of the text. Nothing inside a document can look like such a line.
fn ends(source: &str) -> Vec<usize> {
    let mut ends = Vec::new();
    let mut at = 0;
    let mut is_open = false;
    let mut begun = false;
    for line in source.split_inclusive('\n') {
        let marker = |sign: &str| {
            line.strip_prefix(sign)
                .is_some_and(|rest| rest.is_empty() || rest.starts_with([' ', '\t', '\r', '\n']))
        };
        if marker("---") {
            if is_open {
                ends.push(at);
            }
            (is_open, begun) = (true, true);
        } else if marker("...") {
            if is_open {
                ends.push(at);
            }
            is_open = false;
        } else if !begun && !line.trim().is_empty() && !line.starts_with(['#', '%']) {
            (is_open, begun) = (true, true);
        }
        at += line.len();
    }
    // A text of comments only is a document, too.
    if is_open || ends.is_empty() {
        ends.push(at);
    }
    ends
}

#[cfg(test)]
mod tests {
    use super::*;

    fn appended(text: &str) -> String {
        let text = append_lines(&Secret::from_text(text), &Secret::from_text("s: 1\n"));
        text.expose_text().unwrap().to_owned()
    }

    #[test]
    fn every_document_gets_the_lines_at_its_end() {
        for (text, expected) in [
            ("", "s: 1\n"),
            ("a: 1", "a: 1\ns: 1\n"),
            ("a: 1\n", "a: 1\ns: 1\n"),
            ("---\na: 1\n", "---\na: 1\ns: 1\n"),
            ("a: |+\n  ", "a: |+\ns: 1\n"),
            ("a: 1\r\n", "a: 1\r\ns: 1\r\n"),
            ("a: 1\n---\nb: 1\n", "a: 1\ns: 1\n---\nb: 1\ns: 1\n"),
            (
                "# c\n---\n---\nb: 1\n...\n",
                "# c\n---\ns: 1\n---\nb: 1\ns: 1\n...\n",
            ),
            ("# c\n", "# c\ns: 1\n"),
        ] {
            assert_eq!(appended(text), expected, "{text:?}");
        }
    }
}
