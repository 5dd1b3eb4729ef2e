//! Values among lines that become something of another shape.

use super::part::Part;
use super::{Change, Rewriter};
use crate::format::yaml::write::{self, Wiped};
use crate::tree::{Layout, MapItem, Node, Position, Span};

impl<'a> Rewriter<'a> {
    /// Puts `new`, a value of another shape, where `old` stands behind a colon or dash.
    pub(super) fn replace_node(
        &mut self,
        change: &Change<'a>,
        part: &Part<'a>,
        old: &'a Node,
        new: &'a Node,
    ) {
        let head = match part {
            Part::Entry(entry) => after_key(self.source, entry.span, old.span().start),
            _ => self.dash(part, change).map(|dash| dash + 1),
        };
        let Some(head) = head else {
            self.stuck = true;
            return;
        };
        let block = match old {
            Node::Map(map) => map.layout == Layout::Block,
            Node::List(list) => list.layout == Layout::Block,
            Node::Leaf(_) => false,
        };
        let old_end = old.span().end.max(head);
        let end = if block {
            self.edit.line_end(part.end().max(old_end))
        } else {
            old_end
        };
        let line_end = self.edit.line_end(end);
        let between = &self.source[head..old.span().start.max(head)];
        let alone = between.trim().is_empty();
        let lines = if alone {
            Span { start: head, end }
        } else {
            let start = self.edit.line_end(head);
            let end = line_end.max(start);
            Span { start, end }
        };
        let text = match without_comments_around(lines, new) {
            Some(new) => self.value_text(change, &new),
            None => self.value_text(change, new),
        };
        let (inline, body) = text.split_at(text.find(['\r', '\n']).unwrap_or(text.len()));
        if alone {
            self.replace_lines(lines, old, inline);
            self.edit.put_at(line_end, &[body]);
        } else {
            self.edit.put_at(head, &[inline]);
            self.edit.put(lines, &[body]);
        }
    }

    /// Puts `inline` in the place of `span`. Of a block text the comment behind its header stays.
    fn replace_lines(&mut self, span: Span, old: &Node, inline: &str) {
        let header_end = self.edit.line_end(old.span().start.max(span.start));
        let header = &self.source[old.span().start.max(span.start)..header_end];
        match header.find('#') {
            Some(comment) if header.starts_with(['|', '>']) && header_end < span.end => {
                let end = old.span().start + comment;
                self.edit.put(
                    Span {
                        start: span.start,
                        end,
                    },
                    &[inline, " "],
                );
                let (start, end) = (header_end, span.end);
                self.edit.splice.remove(Span { start, end });
            }
            _ => self.edit.put(span, &[inline]),
        }
    }

    /// What follows a colon or dash for the value `node`, with the blank before it.
    fn value_text(&self, change: &Change<'a>, node: &Node) -> Wiped {
        let (column, step) = (change.site.column, self.edit.step());
        let text = write::part(step, |printer| {
            if change.list {
                printer.item_node(node, column);
            } else {
                printer.value(node, column, column + step);
            }
        });
        let text = if change.list {
            write::joined(&[text.strip_prefix('-').unwrap_or(&text)])
        } else {
            text
        };
        self.with_breaks(text)
    }
}

/// `new` without those of its comments that stand outside of `replaced`, and so stay; `None` when there are none.
fn without_comments_around(replaced: Span, new: &Node) -> Option<Node> {
    let Node::Map(new) = new else {
        return None;
    };
    let stays = |item: &MapItem| {
        matches!(item, MapItem::Comment(comment) if comment.position != Position::default()
            && (comment.span.end <= replaced.start || replaced.end <= comment.span.start))
    };
    new.items.iter().any(stays).then(|| {
        let mut new = new.clone();
        new.items.retain(|item| !stays(item));
        Node::Map(new)
    })
}

/// Behind the colon of the key that begins `entry`; `None` when there is none before `value`.
fn after_key(source: &str, entry: Span, value: usize) -> Option<usize> {
    let text = &source[entry.start..value.max(entry.start)];
    let quote = text.chars().next()?;
    let from = match quote {
        '"' | '\'' => {
            let mut escaped = false;
            let closes = |(_, each): &(usize, char)| {
                let end = *each == quote && !escaped;
                escaped = quote == '"' && *each == '\\' && !escaped;
                end
            };
            let mut at = 1 + text[1..].char_indices().find(closes)?.0 + 1;
            while quote == '\'' && text[at..].starts_with('\'') {
                at += 1 + text[at + 1..].find('\'')? + 1;
            }
            at
        }
        '?' if text[1..].starts_with([' ', '\n', '\r', '\t']) => return None,
        _ => 0,
    };
    let mut rest = text[from..].match_indices(':');
    let colon = rest.find(|(at, _)| {
        let behind = text[from + at + 1..].chars().next();
        behind.is_none_or(|each| matches!(each, ' ' | '\t' | '\n' | '\r'))
    })?;
    Some(entry.start + from + colon.0 + 1)
}
