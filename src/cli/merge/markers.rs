//! Both sides of a conflict in one text, between the lines that git puts there.

use crate::format::yaml;
use crate::secret::Secret;
use crate::tree::{Entry, Map, Node, Path, Span};

/// How the first of these lines begins.
pub(crate) const BEGIN: &str = "<<<<<<< ";

/// What the sides are called.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Labels<'a> {
    pub(crate) ours: &'a str,
    pub(crate) theirs: &'a str,
    /// Whether the text that is marked is that of theirs.
    is_swapped: bool,
}

impl<'a> Labels<'a> {
    /// For a text that is ours.
    pub(crate) fn new(ours: &'a str, theirs: &'a str) -> Self {
        Self {
            ours,
            theirs,
            is_swapped: false,
        }
    }

    /// For a text that is theirs.
    pub(super) fn swapped(self) -> Self {
        Self {
            is_swapped: true,
            ..self
        }
    }
}

/// A place of `start` where both sides stand: the lines there, and those of the other side.
struct Hunk {
    lines: Span,
    others: String,
}

/// `start` with the lines of `other` beside its own at each of `conflicts`.
pub(super) fn between(
    start: &Secret,
    other: &Secret,
    conflicts: &[Path],
    labels: &Labels<'_>,
) -> Secret {
    let text = start.expose_text().unwrap_or_default();
    let others = other.expose_text().unwrap_or_default();
    let (Ok(tree), Ok(other)) = (yaml::parse(text), yaml::parse(others)) else {
        return start.clone();
    };
    let mut hunks: Vec<Hunk> = conflicts
        .iter()
        .map(|path| Hunk {
            lines: match entry_at(&tree, path) {
                Some(entry) => lines_of(text, entry),
                None => behind(text, &tree, path),
            },
            others: entry_at(&other, path).map_or_else(String::new, |entry| {
                let Span { start, end } = lines_of(others, entry);
                others[start..end].to_owned()
            }),
        })
        .collect();
    hunks.sort_by_key(|hunk| hunk.lines.start);
    // Values in one line of braces are one conflict.
    hunks.dedup_by(|later, earlier| later.lines.start < earlier.lines.end);
    let mut marked = String::new();
    let mut at = 0;
    for Hunk { lines, others } in hunks {
        marked.push_str(&text[at..lines.start]);
        let own = &text[lines.start..lines.end];
        let (ours, theirs) = match labels.is_swapped {
            true => (others.as_str(), own),
            false => (own, others.as_str()),
        };
        let (first, last) = (labels.ours, labels.theirs);
        let whole = [
            BEGIN,
            first,
            "\n",
            ours,
            end(ours),
            "=======\n",
            theirs,
            end(theirs),
            ">>>>>>> ",
            last,
            "\n",
        ];
        marked.push_str(&whole.concat());
        at = lines.end;
    }
    marked.push_str(&text[at..]);
    Secret::from(marked)
}

/// The line break that lines lack at their end.
fn end(lines: &str) -> &'static str {
    match lines.is_empty() || lines.ends_with('\n') {
        true => "",
        false => "\n",
    }
}

fn entry_at<'a>(map: &'a Map, path: &Path) -> Option<&'a Entry> {
    let mut keys = path.keys();
    let mut entry = map.find(keys.next()?)?;
    for key in keys {
        let Node::Map(map) = &entry.value else {
            return None;
        };
        entry = map.find(key)?;
    }
    Some(entry)
}

fn lines_of(text: &str, entry: &Entry) -> Span {
    let Span { start, end } = entry.span;
    Span {
        start: text[..start].rfind('\n').map_or(0, |at| at + 1),
        end: next_line(text, end),
    }
}

/// Behind the last entry of the deepest map on the way to `path`, which leads to nothing.
fn behind(text: &str, tree: &Map, path: &Path) -> Span {
    let mut end = tree
        .entries()
        .last()
        .map_or(text.len(), |entry| entry.span.end);
    let mut map = tree;
    for key in path.keys() {
        let Some(Node::Map(inner)) = map.find(key).map(|entry| &entry.value) else {
            break;
        };
        map = inner;
        end = map.entries().last().map_or(end, |entry| entry.span.end);
    }
    let at = next_line(text, end);
    Span { start: at, end: at }
}

fn next_line(text: &str, at: usize) -> usize {
    text[at..]
        .find('\n')
        .map_or(text.len(), |line| at + line + 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_sides_stand_between_the_lines_of_git_ours_first() {
        let ours = Secret::from_text("c:\n  A: 1\n  B: |\n    x\n    y\nd: 1\n");
        let theirs = Secret::from_text("c:\n  A: 2\n  N: 3\nd: 1");
        let conflicts = [["c", "A"], ["c", "B"], ["c", "N"]].map(Path::of);
        let labels = Labels::new("HEAD", "side");
        let text = between(&ours, &theirs, &conflicts, &labels);
        assert_eq!(
            text.expose_text().unwrap(),
            "c:\n<<<<<<< HEAD\n  A: 1\n=======\n  A: 2\n>>>>>>> side\n<<<<<<< HEAD\n  B: |\n    x\n    y\n=======\n>>>>>>> side\n\
             <<<<<<< HEAD\n=======\n  N: 3\n>>>>>>> side\nd: 1\n"
        );
        let text = between(&theirs, &ours, &conflicts[..1], &labels.swapped());
        assert_eq!(
            text.expose_text().unwrap(),
            "c:\n<<<<<<< HEAD\n  A: 1\n=======\n  A: 2\n>>>>>>> side\n  N: 3\nd: 1"
        );
    }

    #[test]
    fn values_in_one_line_are_one_conflict() {
        let ours = Secret::from_text("c: {A: 1, B: 2}\n");
        let theirs = Secret::from_text("c: {A: 2, B: 3}\n");
        let conflicts = [["c", "A"], ["c", "B"]].map(Path::of);
        let text = between(&ours, &theirs, &conflicts, &Labels::new("a", "b"));
        assert_eq!(
            text.expose_text().unwrap(),
            "<<<<<<< a\nc: {A: 1, B: 2}\n=======\nc: {A: 2, B: 3}\n>>>>>>> b\n"
        );
    }
}
