//! Block structure: maps and lists by indentation, and which comment belongs where.
//!
//! A comment on its own line belongs to the innermost map or list that is still open at its column, and
//! stands before the entry that follows. A comment behind a value stands before that value's entry.

use std::collections::HashSet;

use super::scan::Scanner;
use super::text::{self, Place};
use crate::format::{Fault, SyntaxError, scalar};
use crate::secret::Secret;
use crate::tree::{
    Comment, Entry, Kind, Layout, Leaf, List, ListItem, Map, MapItem, Node, Position, Span, Style,
};

/// Deepest nesting that is read.
const DEPTH: usize = 100;

/// Reads one document.
pub(super) struct Parser<'a> {
    pub(super) scan: Scanner<'a>,
    /// Comments on their own lines that were passed and belong to what comes next, or to what just
    /// ended.
    pending: Vec<Comment>,
    depth: usize,
}

/// A value and the comment behind it.
pub(super) type Commented = (Option<Comment>, Node);

impl<'a> Parser<'a> {
    pub(super) fn new(text: &'a str) -> Result<Self, SyntaxError> {
        Ok(Self {
            scan: Scanner::new(text)?,
            pending: Vec::new(),
            depth: 0,
        })
    }

    /// Reads the whole text.
    pub(super) fn document(mut self) -> Result<Map, SyntaxError> {
        self.trivia()?;
        if self.scan.indent() == 0 && self.scan.peek() == Some(b'%') {
            return Err(self.scan.unsupported("a directive (%…) is"));
        }
        if self.scan.at_marker() && self.scan.peek() == Some(b'-') {
            self.scan.at += 3;
            self.scan.blanks();
            if self.at_dash() || self.at_key() {
                return Err(self
                    .scan
                    .malformed("a map begins on the line below the ---"));
            }
            self.trivia()?;
        }
        let mut map = self.root()?;
        if self.scan.at_marker() && self.scan.peek() == Some(b'.') {
            self.scan.at += 3;
            self.trivia()?;
        }
        if self.scan.at_marker() {
            return Err(self.scan.unsupported("a second document is"));
        }
        if self.scan.peek().is_some() {
            return Err(self.scan.malformed("the indentation fits nothing above"));
        }
        map.items
            .extend(self.pending.drain(..).map(MapItem::Comment));
        Ok(map)
    }

    fn root(&mut self) -> Result<Map, SyntaxError> {
        if self.at_end() {
            return Ok(Map::default());
        }
        let column = self.scan.indent();
        let (comment, node) = self.nested(column, -1)?;
        let place = node.position();
        let Node::Map(mut map) = node else {
            let nothing = matches!(&node, Node::Leaf(leaf) if leaf.kind == Kind::Null);
            let fault = Fault::Malformed("the document must be a map of keys and values");
            return if nothing {
                Ok(Map::default())
            } else {
                Err(SyntaxError {
                    position: place,
                    fault,
                })
            };
        };
        map.items.extend(comment.map(MapItem::Comment));
        self.trivia()?;
        Ok(map)
    }

    /// Passes everything up to the next content; comments wait in `pending`.
    fn trivia(&mut self) -> Result<(), SyntaxError> {
        self.pending.extend(self.scan.trivia()?);
        Ok(())
    }

    fn at_end(&self) -> bool {
        self.scan.peek().is_none() || self.scan.at_marker()
    }

    /// Runs `read` one level deeper.
    pub(super) fn deeper<T>(
        &mut self,
        read: impl FnOnce(&mut Self) -> Result<T, SyntaxError>,
    ) -> Result<T, SyntaxError> {
        if self.depth == DEPTH {
            return Err(self.scan.unsupported("nesting deeper than 100 levels is"));
        }
        self.depth += 1;
        let result = read(self);
        self.depth -= 1;
        result
    }

    /// Reads what begins on a line of its own at `column`, below something indented by `parent`.
    fn nested(&mut self, column: usize, parent: isize) -> Result<Commented, SyntaxError> {
        if self.at_dash() {
            let list = self.deeper(|parser| parser.list(column, column))?;
            return Ok((None, Node::List(list)));
        }
        if self.at_key() {
            let map = self.deeper(|parser| parser.map(column))?;
            return Ok((None, Node::Map(map)));
        }
        self.inline(parent)
    }

    fn at_dash(&self) -> bool {
        self.scan.peek() == Some(b'-') && self.scan.blank_at(1) && !self.scan.at_marker()
    }

    /// Whether a key of a block map begins here: a text on one line with a colon and a blank behind it.
    fn at_key(&self) -> bool {
        let mut look = self.scan.clone();
        let read = match look.peek() {
            Some(b'"') => text::double_quoted(&mut look, Place::Key),
            Some(b'\'') => text::single_quoted(&mut look, Place::Key),
            Some(b'{' | b'[') => return false,
            _ => text::plain(&mut look, Place::Key),
        };
        look.blanks();
        read.is_ok() && look.peek() == Some(b':') && look.blank_at(1)
    }

    /// Reads a block map whose keys stand at `column`; the cursor is on the first.
    fn map(&mut self, column: usize) -> Result<Map, SyntaxError> {
        let position = self.scan.position();
        let start = self.scan.at;
        let mut items: Vec<MapItem> = Vec::new();
        let mut keys = HashSet::new();
        let mut end = start;
        loop {
            items.extend(self.pending.drain(..).map(MapItem::Comment));
            let (comment, entry) = self.entry(column)?;
            if !keys.insert(entry.key.clone()) {
                return Err(SyntaxError {
                    position: entry.position,
                    fault: Fault::DuplicateKey,
                });
            }
            end = end.max(entry.span.end);
            items.extend(comment.map(MapItem::Comment));
            items.push(MapItem::Entry(entry));
            self.trivia()?;
            if self.at_end() || self.scan.indent() < column {
                break;
            }
            if self.scan.indent() > column {
                return Err(self.scan.malformed("the indentation fits nothing above"));
            }
            if !self.at_key() {
                // A list may stand at the column of its key; then this map's entry is over already.
                return Err(self.key_error());
            }
        }
        items.extend(self.feet(column).into_iter().map(MapItem::Comment));
        Ok(Map {
            items,
            position,
            span: Span { start, end },
            layout: Layout::Block,
        })
    }

    /// Why what stands here is no key.
    fn key_error(&mut self) -> SyntaxError {
        let mut look = self.scan.clone();
        match text::plain(&mut look, Place::Key) {
            Err(error) if !matches!(self.scan.peek(), Some(b'"' | b'\'')) => error,
            _ => self.scan.malformed("a key and a colon are expected here"),
        }
    }

    /// Takes those of the passed comments that are indented like something in a map or list at
    /// `column`, up to the first that is not.
    fn feet(&mut self, column: usize) -> Vec<Comment> {
        let belongs = |comment: &Comment| comment.position.column as usize > column;
        let count = self
            .pending
            .iter()
            .take_while(|comment| belongs(comment))
            .count();
        self.pending.drain(..count).collect()
    }

    fn entry(&mut self, column: usize) -> Result<(Option<Comment>, Entry), SyntaxError> {
        let (key, position, start) = self.key(Place::Key)?;
        self.scan.blanks();
        if self.scan.peek() != Some(b':') || !self.scan.blank_at(1) {
            return Err(self.key_error());
        }
        self.scan.at += 1;
        let (comment, mut value) = self.value(column)?;
        let comment = comment.and_then(|comment| into_flow(comment, &mut value));
        let span = Span {
            start,
            end: value.span().end,
        };
        Ok((
            comment,
            Entry {
                key,
                position,
                span,
                value,
            },
        ))
    }

    /// Reads a key: text, quoted or plain.
    pub(super) fn key(&mut self, place: Place) -> Result<(String, Position, usize), SyntaxError> {
        let (position, start) = (self.scan.position(), self.scan.at);
        let plain = !matches!(self.scan.peek(), Some(b'"' | b'\''));
        let key = match self.scan.peek() {
            Some(b'"') => text::double_quoted(&mut self.scan, place)?,
            Some(b'\'') => text::single_quoted(&mut self.scan, place)?,
            _ => text::plain(&mut self.scan, place)?,
        };
        let key = key.expose_text().unwrap_or_default().to_owned();
        if plain && key == "<<" {
            return Err(SyntaxError {
                position,
                fault: Fault::Unsupported("a merge key (<<) is"),
            });
        }
        if plain && scalar::resolve(&key) != Some(Kind::Text) {
            let fault = Fault::Malformed("a key that is not text must be quoted");
            return Err(SyntaxError { position, fault });
        }
        Ok((key, position, start))
    }

    /// Reads what follows the colon of a key at `column`.
    fn value(&mut self, column: usize) -> Result<Commented, SyntaxError> {
        let nothing = self.null();
        self.scan.blanks();
        if !self.scan.at_line_end() && self.scan.peek() != Some(b'#') {
            return self.inline(signed(column));
        }
        let comment = self.scan.end_of_line()?;
        self.trivia()?;
        if self.at_end() || self.scan.indent() < column {
            return Ok((comment, nothing));
        }
        if self.scan.indent() > column {
            let (inner, node) = self.nested(self.scan.indent(), signed(column))?;
            return Ok((self.both(comment, inner), node));
        }
        if self.at_dash() {
            // Comments at this very column belong to the map, unless another item follows.
            let list = self.deeper(|parser| parser.list(column, column + 1))?;
            return Ok((comment, Node::List(list)));
        }
        Ok((comment, nothing))
    }

    /// Of two comments around one scalar the first stays with it; the second follows as one of its own.
    fn both(&mut self, first: Option<Comment>, second: Option<Comment>) -> Option<Comment> {
        if first.is_some() {
            self.pending.extend(second);
            return first;
        }
        second
    }

    /// Reads a block list whose dashes stand at `column`; comments after it are its own from `feet`.
    fn list(&mut self, column: usize, feet: usize) -> Result<List, SyntaxError> {
        let position = self.scan.position();
        let start = self.scan.at;
        let mut items: Vec<ListItem> = Vec::new();
        let mut end = start;
        loop {
            items.extend(self.pending.drain(..).map(ListItem::Comment));
            self.scan.at += 1;
            end = end.max(self.scan.at);
            let (comment, node) = self.item(column)?;
            end = end.max(node.span().end);
            items.extend(comment.map(ListItem::Comment));
            items.push(ListItem::Node(node));
            self.trivia()?;
            if self.at_end() || self.scan.indent() < column {
                break;
            }
            if !self.at_dash() || self.scan.indent() > column {
                if self.scan.indent() == column && feet > column {
                    break;
                }
                return Err(self.scan.malformed("the indentation fits nothing above"));
            }
        }
        let feet = self.feet(feet);
        hang(&mut items, feet);
        Ok(List {
            items,
            position,
            span: Span { start, end },
            layout: Layout::Block,
        })
    }

    /// Reads what follows a dash at `column`.
    fn item(&mut self, column: usize) -> Result<Commented, SyntaxError> {
        let nothing = self.null();
        let from = self.scan.at;
        self.scan.blanks();
        if self.scan.text[from..self.scan.at].contains('\t') && !self.scan.at_line_end() {
            return Err(self.scan.malformed("a tab cannot indent; use blanks"));
        }
        if !self.scan.at_line_end() && self.scan.peek() != Some(b'#') {
            if self.at_dash() || self.at_key() {
                return self.nested(self.scan.indent(), signed(column));
            }
            return self.inline(signed(column));
        }
        let comment = self.scan.end_of_line()?;
        self.trivia()?;
        if self.at_end() || self.scan.indent() <= column {
            return Ok((comment, nothing));
        }
        let (inner, node) = self.nested(self.scan.indent(), signed(column))?;
        Ok((self.both(comment, inner), node))
    }

    /// Reads a scalar, or a map or list in flow style, up to the end of its line.
    fn inline(&mut self, parent: isize) -> Result<Commented, SyntaxError> {
        let (position, start) = (self.scan.position(), self.scan.at);
        let place = Place::Block(parent);
        let (style, text) = match self.scan.peek() {
            Some(b'{' | b'[') => {
                let node = self.flow()?;
                return Ok((self.scan.end_of_line()?, node));
            }
            Some(b'|' | b'>') => return self.block(parent),
            Some(b'"') => (
                Style::DoubleQuoted,
                text::double_quoted(&mut self.scan, place)?,
            ),
            Some(b'\'') => (
                Style::SingleQuoted,
                text::single_quoted(&mut self.scan, place)?,
            ),
            _ => (Style::Plain, text::plain(&mut self.scan, place)?),
        };
        let node = self.leaf(style, text, position, start)?;
        Ok((self.scan.end_of_line()?, node))
    }

    fn block(&mut self, parent: isize) -> Result<Commented, SyntaxError> {
        let (position, start) = (self.scan.position(), self.scan.at);
        let block = text::block(&mut self.scan, parent)?;
        let style = if block.folded {
            Style::Folded
        } else {
            Style::Literal
        };
        let span = Span {
            start,
            end: block.end,
        };
        let leaf = Leaf {
            kind: Kind::Text,
            text: block.text,
            style,
            position,
            span,
            sealed: false,
        };
        Ok((block.comment, Node::Leaf(leaf)))
    }

    /// A leaf that ends at the cursor.
    pub(super) fn leaf(
        &mut self,
        style: Style,
        text: Secret,
        position: Position,
        start: usize,
    ) -> Result<Node, SyntaxError> {
        let kind = match (style, text.expose_text()) {
            (Style::Plain, Some(plain)) => {
                let fault = Fault::Unsupported("a number beyond 63 bits is");
                scalar::resolve(plain).ok_or(SyntaxError { position, fault })?
            }
            _ => Kind::Text,
        };
        let span = self.scan.span_from(start);
        Ok(Node::Leaf(Leaf {
            kind,
            text,
            style,
            position,
            span,
            sealed: false,
        }))
    }

    /// The value that is not written, at the cursor.
    pub(super) fn null(&mut self) -> Node {
        Node::Leaf(Leaf {
            kind: Kind::Null,
            text: Secret::from_text(""),
            style: Style::Plain,
            position: self.scan.position(),
            span: self.scan.span_from(self.scan.at),
            sealed: false,
        })
    }
}

/// A comment behind a map or list in flow style belongs to the first thing in it, as SOPS sees it.
fn into_flow(comment: Comment, node: &mut Node) -> Option<Comment> {
    match node {
        Node::Map(map) if map.layout == Layout::Flow && !map.items.is_empty() => {
            map.items.insert(0, MapItem::Comment(comment));
        }
        Node::List(list) if list.layout == Layout::Flow && !list.items.is_empty() => {
            list.items.insert(0, ListItem::Comment(comment));
        }
        _ => return Some(comment),
    }
    None
}

/// Puts the comments after a list where SOPS sees them: in its last item when that is a block map.
fn hang(items: &mut Vec<ListItem>, feet: Vec<Comment>) {
    match items.last_mut() {
        Some(ListItem::Node(Node::Map(map))) if map.layout == Layout::Block => {
            map.items.extend(feet.into_iter().map(MapItem::Comment));
        }
        _ => items.extend(feet.into_iter().map(ListItem::Comment)),
    }
}

fn signed(column: usize) -> isize {
    isize::try_from(column).unwrap_or(isize::MAX)
}
