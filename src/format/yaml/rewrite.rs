//! A changed tree, written into the text it was read from: only what changed gets new bytes.
//!
//! `before` is what was read, `after` a changed copy of it. What kept its place in `after` is told by its
//! position and span; what has none is new. Knows nothing of SOPS. Every step looks at the lines it
//! changes only, so that the cost is linear in the text and the changes.

mod block;
mod check;
mod flow;
mod part;
mod replace;
mod spelling;

use self::part::{Part, parts_of_list, parts_of_map};
use super::edit::{Editor, Site};
use super::emit::{Indent, emit};
use super::write;
use crate::format::splice::is_long_word;
use crate::secret::Secret;
use crate::tree::{Comment, Kind, Layout, Leaf, Map, Node, Position, Span, Style};

/// `source`, which was read as `before`, with the changes that lead to `after`.
///
/// In `after`, leaves may have another text, kind and style; the value of an entry or item may be another
/// node; entries, items and comments may be gone or new; and in lists a comment may have become an item
/// or the other way round. What stays keeps position and span, what is new has `Position::default()`. Where
/// nothing changed, `source` comes back. Documents that came or went are beyond an edit: then, and where
/// the text gives no other way, everything is printed anew.
///
/// Where lines came or went, the result is read again, and printed anew when it is not what was wanted.
#[must_use]
pub fn rewrite(source: &str, before: &[Map], after: &[Map]) -> Secret {
    checked(source, before, after, false)
}

/// As [`rewrite`], but with quotes where SOPS sets them, and with its spelling of what is no text, also
/// where nothing changed (`~` becomes `null`, `0x10` becomes `16`).
#[must_use]
pub fn rewrite_as_sops(source: &str, before: &[Map], after: &[Map]) -> Secret {
    checked(source, before, after, true)
}

/// As [`rewrite`], or [`rewrite_as_sops`], without a look at the result: for who looks at it anyway, or
/// changes no more than the values of a whole file.
#[must_use]
pub(crate) fn rewrite_unchecked(
    source: &str,
    before: &[Map],
    after: &[Map],
    as_sops: bool,
) -> Secret {
    match edits(source, before, after, as_sops) {
        Some(rewriter) => rewriter.edit.finish(),
        None => print_anew(before, after, as_sops),
    }
}

fn checked(source: &str, before: &[Map], after: &[Map], as_sops: bool) -> Secret {
    let Some(rewriter) = edits(source, before, after, as_sops) else {
        return print_anew(before, after, as_sops);
    };
    let moves = rewriter.moves;
    let text = rewriter.edit.finish();
    if moves && !check::reads_as(source, &text, after) {
        return print_anew(before, after, as_sops);
    }
    text
}

/// The edits that lead to `after`; `None` when none do.
fn edits<'a>(
    source: &'a str,
    before: &'a [Map],
    after: &'a [Map],
    as_sops: bool,
) -> Option<Rewriter<'a>> {
    if before.len() != after.len() {
        return None;
    }
    let none = Map::default();
    let mut rewriter = Rewriter {
        edit: Editor::new(source, before.first().unwrap_or(&none)),
        source,
        as_sops,
        // Lines that end in these are lines to SOPS, but not to what edits. It printed such a text itself.
        stuck: as_sops && !source.is_ascii() && source.contains(['\u{85}', '\u{2028}', '\u{2029}']),
        moves: false,
    };
    for (before, after) in before.iter().zip(after) {
        rewriter.document(before, after);
    }
    let is_stuck = rewriter.stuck || rewriter.moves && rewriter.edit.overlaps();
    (!is_stuck).then_some(rewriter)
}

/// Prints everything anew, as deep as the text was indented: as SOPS does, or as every reader takes it.
#[must_use]
pub(crate) fn print_anew(before: &[Map], after: &[Map], as_sops: bool) -> Secret {
    let step = before.first().map_or(4, super::edit::step);
    if let ([document], false) = (after, as_sops) {
        return write::render(document, 0, step);
    }
    let indent = i64::try_from(step).map_or_else(|_| Ok(Indent::default()), Indent::of);
    let printed = indent.and_then(|indent| emit(after, indent));
    printed.unwrap_or_else(|_| Secret::from_text(""))
}

/// Comments that can stand behind one value, with those behind its key. More are looked at in vain.
const MOST_BEHIND: usize = 64;

struct Rewriter<'a> {
    edit: Editor<'a>,
    source: &'a str,
    as_sops: bool,
    /// Whether something was met that no edit leads to.
    stuck: bool,
    /// Whether lines come, go or become others.
    moves: bool,
}

/// A map or list: its parts before and after, and where they stand.
struct Change<'a> {
    before: Vec<Part<'a>>,
    after: Vec<Part<'a>>,
    /// Per part of `after`, which part of `before` it was.
    origin: Vec<Option<usize>>,
    /// Whether each part of `before` is still there.
    kept: Vec<bool>,
    span: Span,
    site: Site,
    list: bool,
}

impl Change<'_> {
    /// Whether a part came or went.
    fn in_structure(&self) -> bool {
        self.kept.contains(&false) || self.origin.contains(&None)
    }

    /// Whether a part came or went, or a value is another one.
    fn in_values(&self) -> bool {
        let same = |(part, origin): (&Part<'_>, &Option<usize>)| {
            let old = origin.and_then(|place| self.before.get(place));
            old.is_some_and(|old| old.node() == part.node())
        };
        self.in_structure() || !self.after.iter().zip(&self.origin).all(same)
    }

    /// The entry or item that a comment on its line belongs to: the next one.
    fn owner(&self, place: usize) -> Option<usize> {
        let next = self.before[place..].iter().take(MOST_BEHIND);
        let ahead = next.map(Part::is_comment).position(|comment| !comment)?;
        Some(place + ahead)
    }

    /// Whether nothing but comments is left of what was there, though there was more.
    fn lost_all(&self) -> bool {
        let survives = |(part, origin): (&Part<'_>, &Option<usize>)| {
            !part.is_comment() && origin.is_some_and(|place| !self.before[place].is_comment())
        };
        !self.after.iter().zip(&self.origin).any(survives)
            && self.before.iter().any(|part| !part.is_comment())
    }
}

impl<'a> Rewriter<'a> {
    fn document(&mut self, before: &'a Map, after: &'a Map) {
        let had_entries = before.entries().next().is_some();
        // SOPS takes no text without any entry, and prints `{}`.
        self.stuck |= self.as_sops && had_entries && after.entries().next().is_none();
        self.close_last_block(before, after);
        let change = self.change(
            parts_of_map(before),
            parts_of_map(after),
            before.span,
            Site::in_map(before),
            false,
        );
        self.stuck |= change.in_structure() && self.is_behind_end(&change);
        if had_entries || change.after.iter().all(Part::is_comment) {
            self.parts(&change);
            return;
        }
        // Behind the braces there is no room for entries above them.
        let is_behind = |part: &Part<'_>| part.is_comment() && part.span().start >= before.span.end;
        self.stuck |= !before.span.is_empty() && change.after.iter().any(is_behind);
        self.comments(&change);
        let lines = self.lines(&change, |part| !part.is_comment(), 0);
        let lines = lines.join(self.edit.line_break);
        let gap = self.edit.line_break;
        if before.span.is_empty() {
            let at = if before.position == Position::default() {
                self.source.len()
            } else {
                before.span.start
            };
            let missing = at > 0 && !self.source[..at].ends_with('\n');
            let first = if missing { gap } else { "" };
            self.edit.put_at(at, &[first, &lines, gap]);
        } else if self.edit.begins_line(before.span.start) {
            // The lines stand at the margin, wherever the braces stood.
            let start = self.edit.line_start(before.span.start);
            let end = before.span.end;
            self.edit.put(Span { start, end }, &[&lines]);
        } else {
            self.edit.put(before.span, &[gap, &lines]);
        }
    }

    /// Whether a comment stands behind the mark for the end of the document, where nothing else may.
    fn is_behind_end(&self, change: &Change<'_>) -> bool {
        let values = change.before.iter().filter(|part| !part.is_comment());
        let end = values.map(Part::end).max().unwrap_or_default();
        let comments = change.before.iter().filter(|part| part.is_comment());
        let last = comments.map(Part::end).max().unwrap_or_default();
        let between = self.source.get(end..last).unwrap_or_default();
        between.contains("\n...")
    }

    /// Writes a clear block text that ends with the file and without a line break so that it stays what
    /// it is when something follows.
    fn close_last_block(&mut self, before: &'a Map, after: &'a Map) {
        let Some(leaf) = last_leaf(before).filter(|leaf| leaf.span.end == self.source.len()) else {
            return;
        };
        let header = self.source[leaf.span.start..].split_ascii_whitespace();
        let header = header.take(1).collect::<String>();
        let strips = header.contains('-');
        let block = matches!(leaf.style, Style::Literal | Style::Folded);
        let bare = block && !strips && !leaf.text.expose().ends_with(b"\n");
        let kept = leaf_at(after, leaf.span.start)
            .is_some_and(|new| new.text == leaf.text && new.style == leaf.style);
        let followed = last_leaf(after).is_some_and(|last| last.span != leaf.span);
        if bare && kept && followed {
            let start = leaf.span.start + header.find('+').unwrap_or(1);
            let end = start + usize::from(header.contains('+'));
            self.edit.put(Span { start, end }, &["-"]);
        }
    }

    fn change(
        &mut self,
        before: Vec<Part<'a>>,
        after: Vec<Part<'a>>,
        span: Span,
        site: Site,
        list: bool,
    ) -> Change<'a> {
        let mut kept = vec![false; before.len()];
        let mut next = 0;
        let mut origin = Vec::with_capacity(after.len());
        for part in &after {
            if part.is_new() {
                origin.push(None);
                continue;
            }
            let found = before[next..].iter().position(|old| old.stands_like(part));
            let Some(found) = found.map(|ahead| next + ahead) else {
                self.stuck = true;
                origin.push(None);
                continue;
            };
            next = found + 1;
            kept[found] = true;
            origin.push(Some(found));
        }
        let change = Change {
            before,
            after,
            origin,
            kept,
            span,
            site,
            list,
        };
        self.moves |= change.in_structure();
        change
    }

    /// Whether a comment stands where a dash could.
    fn fits_dash(&self, comment: &Comment, site: Site) -> bool {
        let start = comment.span.start;
        let column = start - self.edit.line_start(start);
        site.layout == Layout::Block && self.edit.begins_line(start) && column == site.column
    }

    fn parts(&mut self, change: &Change<'a>) {
        let behind_tabs = change.before.iter().any(|part| self.is_behind_tabs(part));
        // In the spelling of SOPS, a value may change without being another one.
        self.stuck |= behind_tabs && (self.as_sops || change.in_values());
        if change.lost_all() {
            self.whole(change);
        } else if !change.in_structure() {
            for place in 0..change.after.len() {
                self.part(change, place);
            }
        } else if change.site.layout == Layout::Block {
            self.block(change);
        } else {
            self.flow(change);
        }
    }

    /// Whether a part is a comment on a line of its own that tabs indent, as they may only behind some values.
    fn is_behind_tabs(&self, part: &Part<'_>) -> bool {
        let start = part.span().start;
        let indent = &self.source[self.edit.line_start(start)..start];
        part.is_comment() && indent.contains('\t') && indent.trim_start().is_empty()
    }

    /// The part `place` of what is wanted, if it was there before.
    fn part(&mut self, change: &Change<'a>, place: usize) {
        let site = change.site;
        let (new, old) = (&change.after[place], change.origin[place]);
        let old = old.map(|old| &change.before[old]);
        match (old, new) {
            (Some(part @ Part::Comment(old)), Part::Comment(new)) => {
                let value = self.block_text_of(change, part, place);
                if let Some(value) = value {
                    self.raise_comment(change, value, old, new);
                } else if old.text != new.text {
                    let text = new.text.expose_text().unwrap_or_default();
                    self.edit.replace_comment(old, text);
                }
            }
            (Some(Part::Comment(old)), Part::Item(node)) => self.comment_to_item(old, node, site),
            (Some(old @ Part::Item(node)), Part::Comment(new)) => {
                let text = new.text.expose_text().unwrap_or_default();
                match (site.layout, self.dash(old, change)) {
                    (Layout::Block, Some(start)) => {
                        let end = node.span().end;
                        self.edit.put(Span { start, end }, &["#", text]);
                    }
                    _ => self.edit.item_to_comment(node.span(), site, text),
                }
            }
            (Some(old), new) => {
                if let (Part::Entry(entry), true) = (old, self.as_sops) {
                    self.quote_key(entry);
                }
                if let (Some(before), Some(after)) = (old.node(), new.node()) {
                    self.node(change, old, before, after);
                }
            }
            (None, _) => {}
        }
    }

    /// A comment becomes an item where it has a line of its own at the column of the dashes. Elsewhere it
    /// stays a comment with the text of the item.
    fn comment_to_item(&mut self, comment: &Comment, node: &Node, site: Site) {
        if self.fits_dash(comment, site) {
            let text = self.part_text(&Part::Item(node), site.column);
            self.edit.put(comment.span, &[&text]);
            return;
        }
        let text = match node {
            Node::Leaf(leaf) => leaf.text.expose_text(),
            _ => None,
        };
        match text.filter(|text| !text.contains(['\n', '\r'])) {
            Some(text) => self.edit.replace_comment(comment, text),
            None => self.stuck = true,
        }
    }

    /// The value of an entry or item.
    fn node(&mut self, change: &Change<'a>, part: &Part<'a>, old: &'a Node, new: &'a Node) {
        let same_place = old.span() == new.span() && old.position() == new.position();
        match (old, new) {
            (Node::Leaf(old), Node::Leaf(new)) => self.leaf(change.site, old, new),
            (Node::Map(old), Node::Map(new)) if same_place && has_entries(old) => {
                let (before, after) = (parts_of_map(old), parts_of_map(new));
                let inner = self.change(before, after, old.span, Site::in_map(old), false);
                self.parts(&inner);
            }
            (Node::List(old), Node::List(new)) if same_place && old.nodes().next().is_some() => {
                let (before, after) = (parts_of_list(old), parts_of_list(new));
                let inner = self.change(before, after, old.span, Site::in_list(old), true);
                self.parts(&inner);
            }
            _ if same_place && old == new => {}
            (Node::Map(old), Node::Map(new)) if same_place && !has_entries(new) => {
                let (before, after) = (parts_of_map(old), parts_of_map(new));
                let inner = self.change(before, after, old.span, Site::in_map(old), false);
                self.comments(&inner);
            }
            (Node::List(old), Node::List(new)) if same_place && new.nodes().next().is_none() => {
                let (before, after) = (parts_of_list(old), parts_of_list(new));
                let inner = self.change(before, after, old.span, Site::in_list(old), true);
                self.comments(&inner);
            }
            _ if change.site.layout == Layout::Flow => {
                self.moves = true;
                let text = flow::node_text(new);
                self.put_flow(old.span(), &text);
            }
            _ => {
                self.moves = true;
                self.replace_node(change, part, old, new);
            }
        }
    }

    fn leaf(&mut self, site: Site, old: &Leaf, new: &'a Leaf) {
        let same = old.kind == new.kind && old.style == new.style && old.text == new.text;
        // Ciphertext has one spelling.
        let settled = !self.as_sops || (old.sealed && new.sealed);
        if same && (settled || !self.is_spelled_otherwise(new)) {
            return;
        }
        if site.layout == Layout::Flow {
            let text = self.flow_leaf(new);
            self.put_flow(old.span, &text);
            return;
        }
        let word = new.text.expose_text().filter(|text| is_long_word(text));
        if let (Some(word), Some(quote)) = (word, quote_of(new.style))
            && new.kind == Kind::Text
            && self.edit.put_word(old.span, quote, word)
        {
            return;
        }
        let room = self.edit.room(old.span, site);
        let written = if self.as_sops {
            write::write_as_sops(new, room)
        } else {
            write::write_leaf(new, room)
        };
        let body = written.body.unwrap_or_default();
        self.moves |= !body.is_empty() || self.source[old.span.start..old.span.end].contains('\n');
        self.edit.put_leaf(old, &written.inline, &body);
        // A block text that ends in a line break needs one, also at the end of the file.
        let open = !body.is_empty() && !self.source.ends_with('\n');
        if open && new.text.expose().ends_with(b"\n") {
            let at = self.edit.line_end(old.span.end);
            if at == self.source.len() {
                self.edit.put_at(at, &[self.edit.line_break]);
            }
        }
    }
}

/// What stands around a text that needs no escape; `None` for a block.
fn quote_of(style: Style) -> Option<&'static str> {
    match style {
        Style::Plain => Some(""),
        Style::SingleQuoted => Some("'"),
        Style::DoubleQuoted => Some("\""),
        Style::Literal | Style::Folded => None,
    }
}

fn has_entries(map: &Map) -> bool {
    map.entries().next().is_some()
}

/// The scalar that the text of `map` ends with.
fn last_leaf(map: &Map) -> Option<&Leaf> {
    let mut node = &map.entries().last()?.value;
    loop {
        node = match node {
            Node::Leaf(leaf) => return Some(leaf),
            Node::Map(map) => &map.entries().last()?.value,
            Node::List(list) => list.nodes().last()?,
        };
    }
}

/// The scalar of the last value that begins at or before the byte `start`.
fn leaf_at(map: &Map, start: usize) -> Option<&Leaf> {
    let old =
        |position: Position, span: Span| position != Position::default() && span.start <= start;
    let mut node = old_value(map, &old)?;
    loop {
        node = match node {
            Node::Leaf(leaf) => return Some(leaf),
            Node::Map(map) => old_value(map, &old)?,
            Node::List(list) => list
                .nodes()
                .filter(|node| old(node.position(), node.span()))
                .last()?,
        };
    }
}

fn old_value<'a>(map: &'a Map, old: &impl Fn(Position, Span) -> bool) -> Option<&'a Node> {
    let entries = map.entries();
    let kept = entries.filter(|entry| old(entry.position, entry.span));
    kept.last().map(|entry| &entry.value)
}

#[cfg(test)]
pub(super) mod tests;
