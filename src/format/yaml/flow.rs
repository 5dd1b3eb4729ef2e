//! Flow style: maps in braces, lists in brackets.

use std::collections::HashSet;

use super::parse::Parser;
use super::text::{self, Place};
use crate::format::{Fault, SyntaxError};
use crate::tree::{Comment, Entry, Layout, List, ListItem, Map, MapItem, Node, Span, Style};

impl Parser<'_> {
    /// Reads a map, list or scalar within braces or brackets, or the outermost of them.
    pub(super) fn flow(&mut self) -> Result<Node, SyntaxError> {
        match self.scan.peek() {
            Some(b'{') => self.deeper(Self::flow_map).map(Node::Map),
            Some(b'[') => self.deeper(Self::flow_list).map(Node::List),
            _ => self.flow_scalar(),
        }
    }

    fn flow_scalar(&mut self) -> Result<Node, SyntaxError> {
        let (position, start) = (self.scan.position(), self.scan.at);
        let (style, text) = match self.scan.peek() {
            Some(b'"') => (
                Style::DoubleQuoted,
                text::double_quoted(&mut self.scan, Place::Flow)?,
            ),
            Some(b'\'') => (
                Style::SingleQuoted,
                text::single_quoted(&mut self.scan, Place::Flow)?,
            ),
            _ => (Style::Plain, text::plain(&mut self.scan, Place::Flow)?),
        };
        self.leaf(style, text, position, start)
    }

    /// Passes blanks, line breaks and comments within brackets.
    fn flow_trivia(&mut self) -> Result<Vec<Comment>, SyntaxError> {
        let comments = self.scan.trivia()?;
        if self.scan.at_marker() || self.scan.peek().is_none() {
            return Err(self.scan.malformed("a bracket or brace is never closed"));
        }
        Ok(comments)
    }

    fn flow_map(&mut self) -> Result<Map, SyntaxError> {
        let (position, start) = (self.scan.position(), self.scan.at);
        self.scan.at += 1;
        let mut items = Vec::new();
        let mut keys = HashSet::new();
        loop {
            items.extend(self.flow_trivia()?.into_iter().map(MapItem::Comment));
            if self.scan.peek() == Some(b'}') {
                break;
            }
            let (comments, entry) = self.flow_entry()?;
            if !keys.insert(entry.key.clone()) {
                return Err(SyntaxError {
                    position: entry.position,
                    fault: Fault::DuplicateKey,
                });
            }
            items.extend(comments.into_iter().map(MapItem::Comment));
            items.push(MapItem::Entry(entry));
            items.extend(self.flow_trivia()?.into_iter().map(MapItem::Comment));
            if !self.comma(b'}')? {
                break;
            }
        }
        self.scan.at += 1;
        let span = self.scan.span_from(start);
        Ok(Map {
            items,
            position,
            span,
            layout: Layout::Flow,
        })
    }

    fn flow_entry(&mut self) -> Result<(Vec<Comment>, Entry), SyntaxError> {
        let (key, position, start) = self.key(Place::Flow)?;
        let quoted = self
            .scan
            .text
            .as_bytes()
            .get(start)
            .is_some_and(|first| b"\"'".contains(first));
        let mut value = self.null();
        let mut comments = self.flow_trivia()?;
        if self.scan.peek() == Some(b':') {
            // `{a:}` is the key `a:` to SOPS.
            if !quoted && !self.scan.blank_at(1) {
                return Err(self.scan.malformed("a blank is missing after the colon"));
            }
            self.scan.at += 1;
            value = self.null();
            comments.extend(self.flow_trivia()?);
            if !matches!(self.scan.peek(), Some(b',' | b'}')) {
                value = self.flow()?;
            }
        }
        let span = Span {
            start,
            end: value.span().end,
        };
        Ok((
            comments,
            Entry {
                key,
                position,
                span,
                value,
            },
        ))
    }

    fn flow_list(&mut self) -> Result<List, SyntaxError> {
        let (position, start) = (self.scan.position(), self.scan.at);
        self.scan.at += 1;
        let mut items = Vec::new();
        loop {
            items.extend(self.flow_trivia()?.into_iter().map(ListItem::Comment));
            if self.scan.peek() == Some(b']') {
                break;
            }
            items.push(ListItem::Node(self.flow()?));
            items.extend(self.flow_trivia()?.into_iter().map(ListItem::Comment));
            if self.scan.peek() == Some(b':') {
                return Err(self.scan.unsupported("a map without braces in a list is"));
            }
            if !self.comma(b']')? {
                break;
            }
        }
        self.scan.at += 1;
        let span = self.scan.span_from(start);
        Ok(List {
            items,
            position,
            span,
            layout: Layout::Flow,
        })
    }

    /// Steps over a comma; `false` when `close` stands here instead.
    fn comma(&mut self, close: u8) -> Result<bool, SyntaxError> {
        match self.scan.peek() {
            Some(b',') => {
                self.scan.at += 1;
                Ok(true)
            }
            Some(byte) if byte == close => Ok(false),
            _ => Err(self
                .scan
                .malformed("a comma or the closing bracket is missing")),
        }
    }
}
