//! Lists and maps in brackets and braces.

use super::{Comments, Composer, Id, What};
use crate::format::SyntaxError;
use crate::format::yaml::read::token::Sort;
use crate::tree::{Layout, Span};

/// Longest key without a colon that still is one with a colon behind it.
const LONGEST_KEY: usize = 128;

impl Composer<'_> {
    /// Begins a list or map within brackets. Comments behind the bracket are put above it.
    fn begin_flow(&mut self, what: What, anchor: Option<&str>) -> Result<Id, SyntaxError> {
        let comments = self.comments_here();
        let id = self.begin(what, anchor, comments)?;
        self.take();
        Ok(id)
    }

    fn end_flow(&mut self, id: Id) {
        let Comments { line, foot, .. } = self.comments_here();
        let end = self.take().map_or(0, |token| token.span.end);
        self.grow(id, end);
        self.nodes[id].set_end(line, foot);
    }

    /// Steps over the comma before all but the first thing; gives what follows.
    fn comma(&mut self, first: bool, end: Sort) -> Result<Sort, SyntaxError> {
        let next = self.peek()?;
        if next == end || first {
            return Ok(next);
        }
        if next != Sort::Comma {
            return Err(self.expected("a comma or the closing bracket is missing"));
        }
        self.take();
        self.peek()
    }

    pub(super) fn flow_list(&mut self, anchor: Option<&str>) -> Result<Id, SyntaxError> {
        let layout = Layout::Flow;
        let what = What::List {
            items: Vec::new(),
            layout,
        };
        let id = self.begin_flow(what, anchor)?;
        let mut items = Vec::new();
        loop {
            match self.comma(items.is_empty(), Sort::BracketEnd)? {
                Sort::BracketEnd => break,
                Sort::Key => items.push(self.single_pair()?),
                _ => items.push(self.node(false, false)?),
            }
        }
        self.end_flow(id);
        self.nodes[id].what = What::List { items, layout };
        Ok(id)
    }

    /// A map of one pair without braces, in a list.
    fn single_pair(&mut self) -> Result<Id, SyntaxError> {
        self.special = true;
        let layout = Layout::Flow;
        let what = What::Map {
            pairs: Vec::new(),
            layout,
        };
        let id = self.begin(what, None, Comments::default())?;
        self.take();
        let pair = self.flow_pair(Sort::BracketEnd)?;
        self.grow(id, self.nodes[pair.1].span.end);
        let pairs = vec![pair];
        self.nodes[id].what = What::Map { pairs, layout };
        Ok(id)
    }

    pub(super) fn flow_map(&mut self, anchor: Option<&str>) -> Result<Id, SyntaxError> {
        let layout = Layout::Flow;
        let what = What::Map {
            pairs: Vec::new(),
            layout,
        };
        let id = self.begin_flow(what, anchor)?;
        let mut pairs = Vec::new();
        loop {
            match self.comma(pairs.is_empty(), Sort::BraceEnd)? {
                Sort::BraceEnd => break,
                Sort::Key => {
                    let mark = self.take();
                    self.special |= mark.is_some_and(|token| !token.span.is_empty());
                    pairs.push(self.flow_pair(Sort::BraceEnd)?);
                }
                _ => {
                    let key = self.node(false, false)?;
                    let Span { start, end } = self.nodes[key].span;
                    // With a colon behind it, this would be no key.
                    let text = self.scan.text.get(start..end).unwrap_or_default();
                    self.special |= text.len() > LONGEST_KEY
                        || text.ends_with(':')
                        || text.contains(['\n', '\r']);
                    let value = self.empty(self.nodes[key].position, end);
                    self.give_foot(key, value);
                    pairs.push((key, value));
                }
            }
        }
        self.end_flow(id);
        self.nodes[id].what = What::Map { pairs, layout };
        Ok(id)
    }

    /// A key, and its value if there is one; the key mark was taken.
    fn flow_pair(&mut self, end: Sort) -> Result<(Id, Id), SyntaxError> {
        let next = self.peek()?;
        let key = if matches!(next, Sort::Value | Sort::Comma) || next == end {
            self.empty_here()?
        } else {
            self.node(false, false)?
        };
        let value = if self.peek()? == Sort::Value {
            let colon = self.take();
            let next = self.peek()?;
            if next == Sort::Comma || next == end {
                self.empty_behind(colon.as_ref())
            } else {
                self.node(false, false)?
            }
        } else {
            let end = self.nodes[key].span.end;
            self.empty(self.nodes[key].position, end)
        };
        self.give_foot(key, value);
        Ok((key, value))
    }
}
