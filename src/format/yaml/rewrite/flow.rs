//! Changes within braces and brackets.

use super::part::Part;
use super::{Change, Rewriter};
use crate::format::yaml::write::{self, Room, Wiped, joined, quoted_where_needed};
use crate::tree::{Layout, Leaf, Node, Span};

pub(super) const FLOW: Room<'static> = Room {
    layout: Layout::Flow,
    block: None,
    line_break: "\n",
};

/// A scalar within brackets.
pub(super) fn leaf_text(leaf: &Leaf) -> Wiped {
    write::write_leaf(leaf, FLOW).inline
}

/// A value within brackets, on one line. Comments cannot stand there.
pub(super) fn node_text(node: &Node) -> Wiped {
    let mut text = Wiped::default();
    push_node(&mut text, node);
    text
}

fn push_node(text: &mut Wiped, node: &Node) {
    match node {
        Node::Leaf(leaf) => text.push_str(&leaf_text(leaf)),
        Node::Map(map) => {
            text.push('{');
            for (place, entry) in map.entries().enumerate() {
                text.push_str(if place > 0 { ", " } else { "" });
                text.push_str(&quoted_where_needed(&entry.key, Layout::Flow));
                text.push_str(": ");
                push_node(text, &entry.value);
            }
            text.push('}');
        }
        Node::List(list) => {
            text.push('[');
            for (place, node) in list.nodes().enumerate() {
                text.push_str(if place > 0 { ", " } else { "" });
                push_node(text, node);
            }
            text.push(']');
        }
    }
}

fn part_text(part: &Part<'_>) -> Wiped {
    match part {
        Part::Comment(_) => Wiped::default(),
        Part::Item(node) => node_text(node),
        Part::Entry(entry) => {
            let key = quoted_where_needed(&entry.key, Layout::Flow);
            joined(&[&key, ": ", &node_text(&entry.value)])
        }
    }
}

fn between_brackets(parts: &[Part<'_>], list: bool) -> Wiped {
    let (open, close) = if list { ("[", "]") } else { ("{", "}") };
    let mut text = joined(&[open]);
    let parts = parts.iter().filter(|part| !part.is_comment());
    for (place, part) in parts.enumerate() {
        text.push_str(if place > 0 { ", " } else { "" });
        text.push_str(&part_text(part));
    }
    text.push_str(close);
    text
}

impl<'a> Rewriter<'a> {
    /// Puts a value where one stands, or, for a key alone, a colon and the value.
    pub(super) fn put_flow(&mut self, span: Span, text: &str) {
        let before = self.source[..span.start].trim_end();
        let colon = span.is_empty() && !before.ends_with(':');
        let blank = span.is_empty() && !colon && before.len() == span.start;
        let gap = if colon {
            ": "
        } else if blank {
            " "
        } else {
            ""
        };
        self.edit.put(span, &[gap, text]);
    }

    /// A map or list in which something came or went.
    pub(super) fn flow(&mut self, change: &Change<'a>) {
        // Between brackets there is no room for comments that stay.
        self.stuck |= change.after.iter().any(Part::is_comment);
        if change.before.is_empty() || change.before.iter().any(Part::is_comment) {
            self.flow_whole(change);
            return;
        }
        self.flow_removed(change);
        let mut previous: Option<usize> = None;
        for (at, part) in change.after.iter().enumerate() {
            if let Some(place) = change.origin[at] {
                self.part(change, at);
                previous = Some(place);
                continue;
            }
            if part.is_comment() {
                continue;
            }
            let text = part_text(part);
            match previous {
                Some(place) => {
                    let end = change.before[place].span().end;
                    // `{a:,` would have the key `a:`.
                    let bare = self.source[..end].ends_with(':');
                    let gap = if bare { " , " } else { ", " };
                    self.edit.put_at(end, &[gap, &text]);
                }
                None => {
                    let first = change.kept.iter().position(|kept| *kept);
                    let start =
                        first.map_or(change.span.end, |place| change.before[place].span().start);
                    self.edit.put_at(start, &[&text, ", "]);
                }
            }
        }
    }

    /// Writes everything between the brackets anew. Comments behind the bracket stay.
    pub(super) fn flow_whole(&mut self, change: &Change<'a>) {
        let text = between_brackets(&change.after, change.list);
        self.edit.put(change.span, &[&text]);
        let inside = |span: Span| change.span.start <= span.start && span.end <= change.span.end;
        for (place, origin) in change.origin.iter().enumerate() {
            let old = origin.map(|old| &change.before[old]);
            if old.is_some_and(|old| old.is_comment() && !inside(old.span())) {
                self.part(change, place);
            }
        }
        self.outer_comments(change, inside);
    }

    fn flow_removed(&mut self, change: &Change<'a>) {
        let starts = |place: usize| change.before[place].span().start;
        let ends = |place: usize| change.before[place].span().end;
        let mut place = 0;
        while place < change.kept.len() {
            let run = change.kept[place..].iter().take_while(|kept| !**kept);
            let next = place + run.count();
            if next > place {
                let (start, end) = if next < change.kept.len() {
                    (starts(place), starts(next))
                } else {
                    (ends(place.saturating_sub(1)), ends(next - 1))
                };
                // `{a:}` would have the key `a:`.
                let bare = self.source[..start].ends_with(':');
                self.edit
                    .put(Span { start, end }, &[if bare { " " } else { "" }]);
            }
            place = next + 1;
        }
    }
}
