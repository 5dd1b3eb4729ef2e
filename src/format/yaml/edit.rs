//! Edits of a text that was read: values, comments and entries, gathered and made in one pass.

use std::collections::BTreeMap;

use super::write::{self, Room, Scalar, Written};
use crate::format::Splice;
use crate::secret::Secret;
use crate::tree::{Comment, Entry, Layout, Leaf, Map, Node, Span};

/// Where a value stands: what surrounds it decides how it may be written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Site {
    /// Style of the map or list that holds the value.
    pub layout: Layout,
    /// Blanks before the keys or dashes of that map or list.
    pub column: usize,
}

impl Site {
    /// The site of the values in `map`.
    #[must_use]
    pub fn in_map(map: &Map) -> Self {
        Self {
            layout: map.layout,
            column: column(map.position.column),
        }
    }

    /// The site of the items in `list`.
    #[must_use]
    pub fn in_list(list: &crate::tree::List) -> Self {
        Self {
            layout: list.layout,
            column: column(list.position.column),
        }
    }
}

fn column(counted_from_one: u32) -> usize {
    counted_from_one.saturating_sub(1) as usize
}

/// Gathers edits of one text.
#[derive(Debug)]
pub struct Editor<'a> {
    pub(super) source: &'a str,
    step: usize,
    pub(super) line_break: &'static str,
    pub(super) splice: Splice<'a>,
    /// Whether lines were put behind a last line that does not end.
    longer: bool,
    /// Ends of edits, and how many blanks empty lines right behind each may keep; where there are tabs, none.
    blanks_behind: Vec<(usize, usize)>,
    /// The lines that were taken out last.
    removed: Span,
}

impl<'a> Editor<'a> {
    /// Begins to edit `source`, which was read as `tree`.
    #[must_use]
    pub fn new(source: &'a str, tree: &Map) -> Self {
        let line_break = if source
            .split('\n')
            .next()
            .is_some_and(|line| line.ends_with('\r'))
        {
            "\r\n"
        } else {
            "\n"
        };
        Self {
            source,
            step: step(tree),
            line_break,
            splice: Splice::default(),
            longer: false,
            blanks_behind: Vec::new(),
            removed: Span::default(),
        }
    }

    /// Blanks per level of this text: those of its first nested map, else four.
    #[must_use]
    pub fn step(&self) -> usize {
        self.step
    }

    /// Whether the text ends at the byte `at`.
    #[must_use]
    pub fn ends_at(&self, at: usize) -> bool {
        at == self.source.len()
    }

    /// Puts `word`, which needs no escape, between two `quote`s in the place of the plain or quoted scalar at
    /// `span`. Nothing is done, and `false` comes back, where it would touch what stands before.
    pub(super) fn put_word(&mut self, span: Span, quote: &'static str, word: &'a str) -> bool {
        let written = &self.source[span.start..span.end];
        let fits = !written.is_empty() && !written.starts_with(['|', '>']);
        if fits {
            self.blanks_behind.push((span.end, usize::MAX));
            self.splice.replace_with_word(span, quote, word);
        }
        fits
    }

    /// Puts `new` in the place of `leaf`, which stands at `site`.
    pub fn replace_leaf(&mut self, leaf: &Leaf, site: Site, new: &Scalar<'_>) {
        let Written { inline, body } = write::write(new, self.room(leaf.span, site));
        self.put_leaf(leaf, &inline, &body.unwrap_or_default());
    }

    /// Puts `inline` in the place of `leaf`, and `body` below its line.
    pub(super) fn put_leaf(&mut self, leaf: &Leaf, inline: &str, body: &str) {
        let before = self.source.as_bytes().get(leaf.span.start.wrapping_sub(1));
        let apart = leaf.span.is_empty() && !matches!(before, Some(b' ' | b'\t' | b'\n'));
        let block = self.source[leaf.span.start..leaf.span.end].starts_with(['|', '>']);
        let apart = if apart { " " } else { "" };
        if !block && body.is_empty() {
            self.put(leaf.span, &[apart, inline]);
            return;
        }
        let (head, below) = self.parts(leaf);
        let touches = self.source[head.end..].starts_with('#');
        let behind = if touches { " " } else { "" };
        self.put(head, &[apart, inline, behind]);
        if !below.is_empty() || !body.is_empty() {
            self.put(below, &[body]);
        }
    }

    /// Puts `parts` in the place of `span`.
    pub(super) fn put(&mut self, span: Span, parts: &[&str]) {
        let text = parts.concat();
        // What begins with a line break may be the lines of a block text, whose header stands elsewhere.
        let most = match text.starts_with(['\r', '\n']) {
            true => least_indent(&text),
            false => indent_of_block(&text),
        };
        self.blanks_behind.push((span.end, most));
        self.splice.replace(span, Secret::from(text));
    }

    /// Takes out the lines in `span`, below which empty lines may keep `most` blanks.
    pub(super) fn remove(&mut self, span: Span, most: usize) {
        self.blanks_behind.push((span.end, most));
        self.splice.remove(span);
        self.removed = span;
    }

    /// Puts `parts` in front of the byte `at`.
    pub(super) fn put_at(&mut self, at: usize, parts: &[&str]) {
        self.put(Span { start: at, end: at }, parts);
    }

    /// Puts `parts` on a line of its own behind the line that ends at the byte `at`.
    pub(super) fn put_line(&mut self, at: usize, parts: &[&str]) {
        let Span { start, end } = self.removed;
        if start <= at && at < end {
            // The line is gone; what follows it is not.
            let text = [parts, &[self.line_break]].concat();
            self.put_at(end, &text);
            return;
        }
        self.longer |= self.ends_at(at);
        let text = [&[self.line_break], parts].concat().concat();
        self.blanks_behind.push((at, indent_of_block(&text)));
        self.splice.insert(at, text);
    }

    /// The part of `leaf` on the line of its key, and the part below (for a block scalar: its lines; else
    /// nothing, at the end of the line).
    fn parts(&self, leaf: &Leaf) -> (Span, Span) {
        let text = &self.source[leaf.span.start..leaf.span.end];
        if !text.starts_with(['|', '>']) {
            let end = self.line_end(leaf.span.end);
            return (leaf.span, Span { start: end, end });
        }
        let header = text
            .bytes()
            .take_while(|byte| b"|>+-123456789".contains(byte))
            .count();
        let head = Span {
            start: leaf.span.start,
            end: leaf.span.start + header,
        };
        let line_end = self.line_end(head.end);
        (
            head,
            Span {
                start: line_end,
                end: leaf.span.end.max(line_end),
            },
        )
    }

    pub(super) fn room(&self, span: Span, site: Site) -> Room<'static> {
        let indent = site.column + self.step.max(2);
        // Within brackets nothing is looked up: a line with a million values would cost its square.
        let fits = || self.next_indent(span.end).is_none_or(|next| next < indent);
        let block = site.layout == Layout::Block && fits();
        Room {
            layout: site.layout,
            block: block.then_some(indent),
            line_break: self.line_break,
        }
    }

    /// Indentation of the next line with anything on it behind the byte `at`.
    pub(super) fn next_indent(&self, at: usize) -> Option<usize> {
        let rest = self.source.get(self.line_end(at)..)?;
        let line = rest.lines().skip(1).find(|line| !line.trim().is_empty())?;
        Some(line.len() - line.trim_start_matches(' ').len())
    }

    /// The line break (or end of text) at or behind the byte `at`.
    pub(super) fn line_end(&self, at: usize) -> usize {
        let line = self.source[at..]
            .find('\n')
            .map_or(self.source.len(), |length| at + length);
        if line > at && self.source.as_bytes().get(line - 1) == Some(&b'\r') {
            line - 1
        } else {
            line
        }
    }

    /// Behind the line break of the line that the byte `at` lies in.
    pub(super) fn next_line(&self, at: usize) -> usize {
        self.source[at..]
            .find('\n')
            .map_or(self.source.len(), |length| at + length + 1)
    }

    pub(super) fn line_start(&self, at: usize) -> usize {
        self.source[..at].rfind('\n').map_or(0, |place| place + 1)
    }

    pub(super) fn begins_line(&self, at: usize) -> bool {
        let prefix = &self.source[self.line_start(at)..at];
        prefix
            .trim_start_matches('\u{FEFF}')
            .bytes()
            .all(|byte| byte == b' ')
    }

    /// Puts `text` in the place of what follows the `#` of `comment`.
    pub fn replace_comment(&mut self, comment: &Comment, text: &str) {
        self.put(comment.span, &["#", text]);
    }

    /// Turns `comment`, which stands where a dash could, into a list item.
    pub fn comment_to_item(&mut self, comment: &Comment, text: &str) {
        self.put(comment.span, &["- ", text]);
    }

    /// Turns the list item at `item`, a scalar, with its dash into a comment. In flow style it is taken out, since a
    /// comment would hide what follows it.
    pub fn item_to_comment(&mut self, item: Span, site: Site, text: &str) {
        let before = self.source[..item.start].trim_end_matches([' ', '\t']);
        if site.layout == Layout::Block && before.ends_with('-') {
            let span = Span {
                start: before.len() - 1,
                end: item.end,
            };
            self.put(span, &["#", text]);
            return;
        }
        let rest = &self.source[item.end..];
        let comma = rest.len() - rest.trim_start().strip_prefix(',').unwrap_or(rest).len();
        self.splice.remove(Span {
            start: item.start,
            end: item.end + comma,
        });
    }

    /// Takes out the lines of `entry`, which begins one.
    pub fn remove_lines(&mut self, entry: &Entry) {
        let Span { start, end } = entry.span;
        let lines = Span {
            start: self.line_start(start),
            end: self.next_line(end),
        };
        self.splice.remove(lines);
    }

    /// Puts `lines` (each with its line break) at the end of the text.
    pub fn append_lines(&mut self, lines: &Secret) {
        let missing = !self.source.is_empty() && !self.source.ends_with('\n');
        let lines = self.with_line_breaks(lines);
        let gap = if missing { self.line_break } else { "" };
        self.splice
            .insert(self.source.len(), format!("{gap}{lines}"));
    }

    /// `lines` with the line breaks of this text.
    pub(super) fn with_line_breaks(&self, lines: &Secret) -> String {
        let lines = lines.expose_text().unwrap_or_default();
        if self.line_break == "\r\n" {
            lines.replace('\n', "\r\n")
        } else {
            lines.to_owned()
        }
    }

    /// Whether two edits contradict each other.
    pub(super) fn overlaps(&mut self) -> bool {
        self.splice.overlaps()
    }

    /// The text with all edits made.
    #[must_use]
    pub fn finish(mut self) -> Secret {
        if self.longer {
            // The last line of a block text has to end.
            self.put_at(self.source.len(), &[self.line_break]);
        }
        self.clear_blanks();
        self.splice.apply(self.source)
    }

    /// Takes the blanks from empty lines below what was put or taken out: a block text that now stands above them
    /// would count those beyond its indentation as its own, and some values cannot have tabs behind them.
    fn clear_blanks(&mut self) {
        let mut ends = std::mem::take(&mut self.blanks_behind);
        // Many edits may be made at one place.
        ends.sort_unstable();
        ends.dedup();
        let mut lines = BTreeMap::new();
        for (end, most) in ends {
            if let Some(line) = self.empty_line_behind(end) {
                let kept = lines.entry(line).or_insert(most);
                *kept = most.min(*kept);
            }
        }
        for (line, most) in lines {
            let mut start = line;
            for line in self.source[start..].split_inclusive('\n') {
                let (blanks, rest) =
                    line.split_at(line.len() - line.trim_start_matches([' ', '\t']).len());
                if !matches!(rest, "" | "\n" | "\r\n") {
                    break;
                }
                if blanks.len() > most || blanks.contains('\t') {
                    let end = start + blanks.len();
                    self.splice.remove(Span { start, end });
                }
                start += line.len();
            }
        }
    }

    /// Where the line begins that follows the byte `at`, if nothing stands between, nor on that line.
    fn empty_line_behind(&self, at: usize) -> Option<usize> {
        let mut rest = &self.source[at..];
        if at > 0 && !self.source[..at].ends_with('\n') {
            rest = rest.strip_prefix('\r').unwrap_or(rest).strip_prefix('\n')?;
        }
        let end = rest.trim_start_matches([' ', '\t']);
        let is_empty = end.is_empty() || end.starts_with(['\r', '\n']);
        is_empty.then_some(self.source.len() - rest.len())
    }
}

/// Blanks in front of the line of `text` behind the first that has the fewest: what a block text at its end is
/// indented by, or less.
pub(super) fn least_indent(text: &str) -> usize {
    let lines = text
        .split('\n')
        .skip(1)
        .filter(|line| !line.trim().is_empty());
    let blanks = lines.map(|line| line.len() - line.trim_start_matches(' ').len());
    blanks.min().unwrap_or(usize::MAX)
}

/// As [`least_indent`], for the lines of the last block text in `text`.
pub(super) fn indent_of_block(text: &str) -> usize {
    let is_header = |line: &str| {
        let signs = |each: char| each.is_ascii_digit() || matches!(each, '+' | '-' | '\r' | '\n');
        line.trim_end_matches(signs).ends_with(['|', '>'])
    };
    let mut start = text.len();
    let mut at = 0;
    for line in text.split_inclusive('\n') {
        if is_header(line) {
            start = at;
        }
        at += line.len();
    }
    least_indent(&text[start..])
}

/// Blanks per level: those of the first nested block map at the root, else four.
pub(super) fn step(tree: &Map) -> usize {
    tree.entries()
        .find_map(|entry| match &entry.value {
            Node::Map(map) if map.layout == Layout::Block => Some(column(map.position.column)),
            _ => None,
        })
        .filter(|step| (1..=9).contains(step))
        .unwrap_or(4)
}
