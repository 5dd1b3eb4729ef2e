//! The printer: lines, indentation, and when a waiting comment is written.
//!
//! SOPS gives its printer three kinds of comments: those above something, those behind a scalar, and those
//! below the last thing of a map or list. Each kind waits in a place of its own until the printer comes to a
//! point where it writes it; what is still waiting then is written later, which is imitated here, too.
//! Knows how scalars look from [`super::style`].

mod comment;
mod scalar;

use super::EmitError;
use super::place::Record;
use super::style;
use crate::secret::Secret;
use crate::tree::{Comment, Entry, Kind, Leaf, List, ListItem, Map, MapItem, Node, Position, Span};

/// What a value is in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Context {
    Root,
    /// Behind a dash.
    Item,
    /// A key, or behind a colon.
    Pair,
}

/// A comment that waits, with the number of its record.
#[derive(Clone, Copy)]
struct Waiting<'a> {
    comment: &'a Comment,
    record: usize,
}

pub(super) struct Printer<'a> {
    text: String,
    records: Vec<Record>,
    /// Number of the next record.
    next: usize,
    step: usize,
    /// Blanks of the innermost map or list; -1 outside of the document.
    indent: isize,
    column: usize,
    line: u32,
    /// Whether a blank stands before what comes next.
    blank: bool,
    /// Whether nothing but indentation stands on this line.
    fresh: bool,
    /// Indentation at which comments were written below something; an empty line follows there.
    foot_indent: isize,
    documents: usize,
    head: Vec<Waiting<'a>>,
    behind: Vec<Waiting<'a>>,
    foot: Vec<Waiting<'a>>,
    tail: Vec<Waiting<'a>>,
}

impl<'a> Printer<'a> {
    pub(super) fn new(step: usize, size: usize) -> Self {
        Self {
            text: String::with_capacity(size),
            records: Vec::new(),
            next: 0,
            step,
            indent: -1,
            column: 0,
            line: 1,
            blank: true,
            fresh: true,
            foot_indent: -1,
            documents: 0,
            head: Vec::new(),
            behind: Vec::new(),
            foot: Vec::new(),
            tail: Vec::new(),
        }
    }

    /// The text, and the records in the order of the tree.
    pub(super) fn finish(self) -> (Secret, Vec<Record>) {
        (Secret::from(self.text), self.records)
    }

    pub(super) fn document(&mut self, map: &'a Map) -> Result<(), EmitError> {
        if self.documents > 0 {
            self.start_line();
            self.indicator("---", true, false, false);
            self.start_line();
        }
        self.documents += 1;
        let record = self.record();
        self.announce_map(map, record);
        self.write_head()?;
        self.map(map, record, Context::Root, &[])?;
        self.foot_indent = 0;
        self.write_foot()?;
        self.foot_indent = -1;
        self.start_line();
        Ok(())
    }

    fn record(&mut self) -> usize {
        self.next += 1;
        self.next - 1
    }

    /// The comments before the first entry of a map wait to be written above it; when there is none, all.
    fn announce_map(&mut self, map: &'a Map, record: usize) {
        let empty = map.entries().next().is_none();
        let comments = map.items.iter().map_while(|item| match item {
            MapItem::Comment(comment) => Some(comment),
            MapItem::Entry(_) => None,
        });
        self.announce(comments, record, empty);
    }

    fn announce_list(&mut self, list: &'a List, record: usize) {
        let empty = list.nodes().next().is_none();
        let comments = list.items.iter().map_while(|item| match item {
            ListItem::Comment(comment) => Some(comment),
            ListItem::Node(_) => None,
        });
        self.announce(comments, record, empty);
    }

    fn announce(&mut self, comments: impl Iterator<Item = &'a Comment>, record: usize, all: bool) {
        let waiting = comments.enumerate().map(|(place, comment)| Waiting {
            comment,
            record: record + 1 + place,
        });
        let (behind, above): (Vec<_>, Vec<_>) =
            waiting.partition(|waiting| waiting.comment.trailing);
        self.head.extend(above);
        if all {
            self.head.extend(behind);
        }
    }

    /// Prints a map that was announced. `feet` come with its end.
    fn map(
        &mut self,
        map: &'a Map,
        record: usize,
        context: Context,
        feet: &[&'a Comment],
    ) -> Result<(), EmitError> {
        if map.entries().next().is_none() {
            self.next += map.items.len();
            return self.empty_map(record, feet);
        }
        let outer = self.deeper(context);
        let mut pending = Pending::default();
        let mut first = true;
        let mut whole = Record::default();
        for item in &map.items {
            match item {
                MapItem::Comment(comment) => {
                    let record = self.record();
                    pending.add(Waiting { comment, record }, first);
                }
                MapItem::Entry(entry) => {
                    self.head.append(&mut pending.above);
                    let record = self.record();
                    let behind = std::mem::take(&mut pending.behind);
                    let behind = self.behind_or_above(&entry.value, behind);
                    let made = self.entry(entry, behind)?;
                    whole.grow(&made, first);
                    self.keep(record, made);
                    first = false;
                }
            }
        }
        self.tail.append(&mut pending.above);
        self.tail.append(&mut pending.behind);
        self.announce_feet(feet);
        self.write_head()?;
        self.indent = outer;
        self.keep(record, whole);
        Ok(())
    }

    /// Keeps what became of number `record`.
    fn keep(&mut self, record: usize, made: Record) {
        if self.records.len() <= record {
            self.records.resize(record + 1, Record::default());
        }
        self.records[record] = made;
    }

    /// Lets the comments below the last thing of a list wait; their numbers follow.
    fn announce_feet(&mut self, feet: &[&'a Comment]) {
        let number = |(place, comment): (usize, &&'a Comment)| Waiting {
            comment,
            record: self.next + place,
        };
        let mut feet: Vec<_> = feet.iter().enumerate().map(number).collect();
        feet.sort_by_key(|waiting| waiting.comment.trailing);
        self.foot.append(&mut feet);
    }

    fn empty_map(&mut self, record: usize, feet: &[&'a Comment]) -> Result<(), EmitError> {
        if !self.blank {
            self.put(' ');
            self.blank = true;
        }
        let (position, start) = (self.position(), self.text.len());
        self.indicator("{", true, true, false);
        let outer = self.indent;
        self.indent = self.rounded();
        self.announce_feet(feet);
        self.write_head()?;
        self.indent = outer;
        self.indicator("}", false, false, false);
        self.flow_record(record, position, start);
        self.write_behind()?;
        self.write_foot()
    }

    fn empty_list(&mut self, record: usize, feet: &[&'a Comment]) -> Result<(), EmitError> {
        if !self.blank {
            self.put(' ');
            self.blank = true;
        }
        let (position, start) = (self.position(), self.text.len());
        self.indicator("[", true, true, false);
        self.announce_feet(feet);
        self.indicator("]", false, false, false);
        self.flow_record(record, position, start);
        self.write_behind()?;
        self.write_foot()
    }

    fn flow_record(&mut self, record: usize, position: Position, start: usize) {
        let end = self.text.len();
        let made = Record {
            position,
            span: Span { start, end },
            flow: true,
            ..Record::default()
        };
        self.keep(record, made);
    }

    fn entry(&mut self, entry: &'a Entry, behind: Vec<Waiting<'a>>) -> Result<Record, EmitError> {
        self.write_head()?;
        self.start_line();
        let (position, start) = (self.position(), self.text.len());
        let key = style::of_key(entry);
        let tag = key.tag.map_or(0, str::len);
        let simple = !key.multiline && key.text.len() + tag <= 128;
        if simple {
            self.scalar(&key, Context::Pair)?;
            self.indicator(":", false, false, false);
        } else {
            self.indicator("?", true, false, true);
            self.scalar(&key, Context::Pair)?;
            self.start_line();
            self.indicator(":", true, false, true);
        }
        let end = self.value(&entry.value, behind)?;
        let span = Span { start, end };
        Ok(Record {
            position,
            span,
            ..Record::default()
        })
    }

    /// Prints what is behind a colon; gives where it ends.
    fn value(&mut self, node: &'a Node, behind: Vec<Waiting<'a>>) -> Result<usize, EmitError> {
        let record = self.record();
        match node {
            Node::Leaf(leaf) => {
                self.behind.extend(behind);
                self.leaf(leaf, record, Context::Pair)?;
                self.write_behind()?;
                self.write_foot()?;
            }
            Node::Map(map) => {
                self.behind.extend(behind);
                self.announce_map(map, record);
                // In front of empty braces SOPS would write these, and the braces at the margin, which it
                // cannot read again.
                if map.entries().next().is_some() {
                    self.write_foot()?;
                }
                self.map(map, record, Context::Pair, &[])?;
            }
            Node::List(list) => {
                self.behind.extend(behind);
                self.announce_list(list, record);
                if list.nodes().next().is_some() {
                    self.write_foot()?;
                }
                self.list(list, record, Context::Pair, &[])?;
            }
        }
        Ok(self.records[record].span.end)
    }

    /// Comments behind a map or list go above it, unless it is empty: behind it they would be behind its
    /// last value.
    fn behind_or_above(&mut self, node: &Node, behind: Vec<Waiting<'a>>) -> Vec<Waiting<'a>> {
        let short = match node {
            Node::Leaf(_) => true,
            Node::Map(map) => map.items.is_empty(),
            Node::List(list) => list.items.is_empty(),
        };
        if short {
            return behind;
        }
        self.head.extend(behind);
        Vec::new()
    }

    fn list(
        &mut self,
        list: &'a List,
        record: usize,
        context: Context,
        feet: &[&'a Comment],
    ) -> Result<(), EmitError> {
        let last = list
            .items
            .iter()
            .rposition(|item| matches!(item, ListItem::Node(_)));
        let Some(last) = last else {
            self.next += list.items.len();
            return self.empty_list(record, feet);
        };
        let outer = self.deeper(context);
        let mut pending = Pending::default();
        let mut first = true;
        let feet_here: Vec<&Comment> = list.items[last + 1..]
            .iter()
            .filter_map(|item| match item {
                ListItem::Comment(comment) => Some(comment),
                ListItem::Node(_) => None,
            })
            .collect();
        let mut whole = Record::default();
        for (place, item) in list.items[..=last].iter().enumerate() {
            match item {
                ListItem::Comment(comment) => {
                    let record = self.record();
                    pending.add(Waiting { comment, record }, first);
                }
                ListItem::Node(node) => {
                    self.head.append(&mut pending.above);
                    let below: &[&Comment] = if place == last { &feet_here } else { &[] };
                    let behind = std::mem::take(&mut pending.behind);
                    let made = self.item(node, behind, below)?;
                    whole.grow(&made, first);
                    first = false;
                }
            }
        }
        self.next += feet_here.len();
        self.announce_feet(feet);
        self.indent = outer;
        self.keep(record, whole);
        Ok(())
    }

    /// Prints an item with its dash; gives where the dash stands, and up to where the item reaches.
    fn item(
        &mut self,
        node: &'a Node,
        behind: Vec<Waiting<'a>>,
        feet: &[&'a Comment],
    ) -> Result<Record, EmitError> {
        let record = self.record();
        let behind = self.behind_or_above(node, behind);
        match node {
            Node::Leaf(_) => {}
            Node::Map(map) => self.announce_map(map, record),
            Node::List(list) => self.announce_list(list, record),
        }
        self.write_head()?;
        self.start_line();
        let (position, start) = (self.position(), self.text.len());
        self.indicator("-", true, false, true);
        self.behind.extend(behind);
        if let Node::Leaf(leaf) = node {
            self.announce_feet(feet);
            self.leaf(leaf, record, Context::Item)?;
            self.write_behind()?;
            self.write_foot()?;
        } else {
            self.write_foot()?;
            match node {
                Node::Map(map) => self.map(map, record, Context::Item, feet)?,
                Node::List(list) => self.list(list, record, Context::Item, feet)?,
                Node::Leaf(_) => {}
            }
        }
        let end = self.records[record].span.end;
        Ok(Record {
            position,
            span: Span { start, end },
            ..Record::default()
        })
    }

    fn leaf(&mut self, leaf: &'a Leaf, record: usize, context: Context) -> Result<(), EmitError> {
        let ready = style::of_leaf(leaf);
        let made = self.scalar(&ready, context)?;
        let text = (leaf.kind != Kind::Text).then(|| ready.text.into_owned());
        self.keep(record, Record { text, ..made });
        Ok(())
    }

    fn rounded(&self) -> isize {
        let step = isize::try_from(self.step).unwrap_or(4);
        step * ((self.indent + step) / step)
    }

    /// Goes one level deeper; gives the indentation outside.
    fn deeper(&mut self, context: Context) -> isize {
        let outer = self.indent;
        self.indent = match context {
            _ if outer < 0 => 0,
            Context::Item => outer + 2,
            Context::Root | Context::Pair => self.rounded(),
        };
        outer
    }

    /// Goes to the indentation: on a line of its own, unless nothing else stands on this one.
    fn start_line(&mut self) {
        let indent = usize::try_from(self.indent).unwrap_or(0);
        let at = self.column == indent && !self.blank;
        if !self.fresh || self.column > indent || at {
            self.put_break('\n');
        }
        if self.foot_indent == self.indent.max(0) {
            self.put_break('\n');
        }
        while self.column < indent {
            self.put(' ');
        }
        self.blank = true;
        self.foot_indent = -1;
    }

    fn indicator(&mut self, mark: &str, apart: bool, blank: bool, keeps_fresh: bool) {
        if apart && !self.blank {
            self.put(' ');
        }
        self.push(mark);
        self.blank = blank;
        self.fresh &= keeps_fresh;
    }

    fn put(&mut self, each: char) {
        self.text.push(each);
        self.column += 1;
    }

    fn push(&mut self, text: &str) {
        self.text.push_str(text);
        self.column += text.chars().count();
    }

    fn put_break(&mut self, each: char) {
        self.text.push(each);
        self.column = 0;
        self.line += u32::from(each == '\n');
        self.fresh = true;
    }

    fn position(&self) -> Position {
        let column = u32::try_from(self.column + 1).unwrap_or(u32::MAX);
        let line = self.line;
        Position { line, column }
    }
}

/// Comments between two things.
#[derive(Default)]
struct Pending<'a> {
    above: Vec<Waiting<'a>>,
    behind: Vec<Waiting<'a>>,
}

impl<'a> Pending<'a> {
    /// Those above the `first` thing were announced with what holds it.
    fn add(&mut self, waiting: Waiting<'a>, first: bool) {
        if waiting.comment.trailing {
            self.behind.push(waiting);
        } else if !first {
            self.above.push(waiting);
        }
    }
}
