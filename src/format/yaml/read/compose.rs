//! From tokens to nodes with their comments, as go-yaml 3 composes them. Knows nothing of values.

mod flow;
mod node;

use std::collections::HashMap;

pub(super) use self::node::{Comments, Document, Id, Node, What};
use super::scan::{DEPTH, Scan};
use super::token::{Mark, Side, Sort, Text, Token};
use crate::format::SyntaxError;
use crate::tree::{Layout, Position, Span, Style};

pub(super) struct Composer<'a> {
    pub(super) scan: Scan<'a>,
    pub(super) nodes: Vec<Node>,
    /// Whether something was met that only a new text can hold: anchors, aliases, tags, keys behind `?`,
    /// directives.
    pub(super) special: bool,
    anchors: HashMap<String, Id>,
    waiting: Comments,
    /// What the next token is, and how many were taken before it, when it was last looked at.
    shown: Option<(usize, Sort)>,
    /// Comments above a list or map behind a dash: they are above it as a whole.
    stem: Option<Vec<Span>>,
    depth: usize,
}

impl<'a> Composer<'a> {
    pub(super) fn new(text: &'a str) -> Self {
        Self {
            scan: Scan::new(text, 0),
            nodes: Vec::new(),
            special: false,
            anchors: HashMap::new(),
            waiting: Comments::default(),
            shown: None,
            stem: None,
            depth: 0,
        }
    }

    /// Reads all documents.
    pub(super) fn documents(&mut self) -> Result<Vec<Document>, SyntaxError> {
        self.peek()?;
        self.take();
        let mut documents = Vec::new();
        loop {
            while !documents.is_empty() && self.peek()? == Sort::DocumentEnd {
                self.take();
            }
            let sort = self.peek()?;
            let start = self.scan.ahead()?.map_or(0, |token| token.start.at);
            let root = match sort {
                Sort::StreamEnd => return Ok(documents),
                Sort::Directive | Sort::DocumentStart => self.explicit_document()?,
                _ if documents.is_empty() => self.node(true, false)?,
                _ => {
                    return Err(self
                        .scan
                        .malformed("a --- is missing between two documents"));
                }
            };
            documents.push(self.document_end(start, root)?);
        }
    }

    fn explicit_document(&mut self) -> Result<Id, SyntaxError> {
        let mut has_version = false;
        while self.peek()? == Sort::Directive {
            self.special = true;
            let start = self.take().map(|token| token.start).unwrap_or_default();
            let names_version = self.scan.text[start.at..].starts_with("%YAML");
            if has_version && names_version {
                let what = "a document has a second %YAML directive";
                return Err(self.scan.malformed_at(start, what));
            }
            has_version |= names_version;
        }
        if self.peek()? != Sort::DocumentStart {
            return Err(self.scan.malformed("a --- is missing behind a directive"));
        }
        self.take();
        match self.peek()? {
            Sort::Directive | Sort::DocumentStart | Sort::DocumentEnd | Sort::StreamEnd => {
                self.empty_here()
            }
            _ => self.node(true, false),
        }
    }

    fn document_end(&mut self, start: usize, root: Id) -> Result<Document, SyntaxError> {
        if self.peek()? == Sort::DocumentEnd {
            self.take();
        }
        let Comments { head, mut foot, .. } = self.comments_here();
        if foot.is_empty() {
            foot = head;
        }
        Ok(Document { start, root, foot })
    }

    /// What the next token is. Comments that it reaches are handed over.
    fn peek(&mut self) -> Result<Sort, SyntaxError> {
        if let Some((taken, sort)) = self.shown
            && taken == self.scan.taken
        {
            return Ok(sort);
        }
        let token = self.scan.ahead()?;
        let Some((sort, at)) = token.map(|token| (token.sort, token.start.at)) else {
            return Ok(Sort::StreamEnd);
        };
        while self.scan.remarks.front().is_some_and(|remark| {
            let waits = remark.side == Side::Head && sort == Sort::BlockEnd;
            at >= remark.token && !waits
        }) {
            let Some(mut remark) = self.scan.remarks.pop_front() else {
                break;
            };
            let side = match remark.side {
                Side::Head => &mut self.waiting.head,
                Side::Line => &mut self.waiting.line,
                Side::Foot => &mut self.waiting.foot,
            };
            side.append(&mut remark.lines);
        }
        self.shown = Some((self.scan.taken, sort));
        Ok(sort)
    }

    fn take(&mut self) -> Option<Token> {
        self.scan.take()
    }

    fn comments_here(&mut self) -> Comments {
        self.stem = None;
        std::mem::take(&mut self.waiting)
    }

    fn add(&mut self, what: What, position: Position, span: Span, comments: Comments) -> Id {
        self.nodes.push(Node::new(what, position, span, comments));
        self.nodes.len() - 1
    }

    /// A value that is not written, at the next token.
    fn empty_here(&mut self) -> Result<Id, SyntaxError> {
        let next = self.scan.ahead()?.map(|token| (token.sort, token.start));
        let (sort, mut start) = next.unwrap_or((Sort::StreamEnd, Mark::default()));
        // The end of a block lies one byte before where it was noticed, perhaps within a character.
        start.at = start.at.wrapping_add(usize::from(sort == Sort::BlockEnd));
        let position = self.scan.position(start);
        Ok(self.empty(position, start.at))
    }

    fn empty(&mut self, position: Position, at: usize) -> Id {
        let span = Span { start: at, end: at };
        let what = What::Scalar {
            style: Style::Plain,
            text: Text::As(span),
        };
        self.add(what, position, span, Comments::default())
    }

    /// A value that is not written, behind `token`.
    fn empty_behind(&mut self, token: Option<&Token>) -> Id {
        let (mut mark, end) =
            token.map_or_else(Default::default, |token| (token.start, token.span.end));
        mark.column += end - mark.at;
        mark.at = end;
        let position = self.scan.position(mark);
        self.empty(position, end)
    }

    fn expected(&mut self, what: &'static str) -> SyntaxError {
        let start = self.scan.tokens.front().map(|token| token.start);
        let start = start.unwrap_or_else(|| self.scan.mark());
        self.scan.malformed_at(start, what)
    }

    /// Reads a node. `block`: block style may begin here; `indentless`: a list may stand at the column of
    /// its key.
    fn node(&mut self, block: bool, indentless: bool) -> Result<Id, SyntaxError> {
        if self.depth > DEPTH {
            return Err(self.scan.too_deep());
        }
        self.depth += 1;
        let node = self.node_within(block, indentless);
        self.depth -= 1;
        node
    }

    fn node_within(&mut self, block: bool, indentless: bool) -> Result<Id, SyntaxError> {
        if self.peek()? == Sort::Alias {
            return self.alias();
        }
        let (anchor, tag) = self.properties()?;
        let id = match self.peek()? {
            Sort::Dash if indentless => self.list(anchor.as_deref(), Ending::Indentless),
            Sort::Scalar => self.scalar(anchor.as_deref()),
            Sort::Bracket => self.flow_list(anchor.as_deref()),
            Sort::Brace => self.flow_map(anchor.as_deref()),
            Sort::ListStart if block => self.list(anchor.as_deref(), Ending::Block),
            Sort::MapStart if block => self.map(anchor.as_deref()),
            _ if anchor.is_some() || tag.is_some() => {
                let id = self.empty_here()?;
                self.name(anchor.as_deref(), id);
                Ok(id)
            }
            _ => Err(self.expected("a value is missing here")),
        }?;
        self.nodes[id].set_tag(tag);
        Ok(id)
    }

    /// The anchor and the tag of a node, in any order.
    fn properties(&mut self) -> Result<(Option<String>, Option<String>), SyntaxError> {
        let (mut anchor, mut tag) = (None, None);
        loop {
            let sort = self.peek()?;
            let place = match sort {
                Sort::Anchor if anchor.is_none() => &mut anchor,
                Sort::Tag if tag.is_none() => &mut tag,
                _ => return Ok((anchor, tag)),
            };
            self.special = true;
            if let Some(Text::As(span)) = self.scan.take().map(|token| token.text) {
                *place = Some(self.scan.text[span.start..span.end].to_owned());
            }
        }
    }

    fn name(&mut self, anchor: Option<&str>, id: Id) {
        if let Some(anchor) = anchor {
            self.anchors.insert(anchor.to_owned(), id);
        }
    }

    fn alias(&mut self) -> Result<Id, SyntaxError> {
        self.special = true;
        let comments = self.comments_here();
        let Some(Token {
            text: Text::As(name),
            start,
            span,
            ..
        }) = self.take()
        else {
            return Err(self.expected("a value is missing here"));
        };
        let target = self.anchors.get(&self.scan.text[name.start..name.end]);
        let Some(&target) = target else {
            return Err(self
                .scan
                .malformed_at(start, "an alias names an anchor that is not there"));
        };
        let position = self.scan.position(start);
        Ok(self.add(What::Alias { target, name }, position, span, comments))
    }

    fn scalar(&mut self, anchor: Option<&str>) -> Result<Id, SyntaxError> {
        let comments = self.comments_here();
        let Some(token) = self.take() else {
            return Err(self.expected("a value is missing here"));
        };
        let position = self.scan.position(token.start);
        let what = What::Scalar {
            style: token.style,
            text: token.text,
        };
        let id = self.add(what, position, token.span, comments);
        self.name(anchor, id);
        Ok(id)
    }

    /// Begins a list or map; it is filled later, but may be named within.
    fn begin(
        &mut self,
        what: What,
        anchor: Option<&str>,
        comments: Comments,
    ) -> Result<Id, SyntaxError> {
        let start = self
            .scan
            .ahead()?
            .map(|token| token.start)
            .unwrap_or_default();
        let position = self.scan.position(start);
        let span = Span {
            start: start.at,
            end: start.at,
        };
        let id = self.add(what, position, span, comments);
        self.name(anchor, id);
        Ok(id)
    }

    fn begin_block(&mut self, what: What, anchor: Option<&str>) -> Result<Id, SyntaxError> {
        let head = self.stem.take().unwrap_or_default();
        let comments = Comments {
            head,
            ..Comments::default()
        };
        self.begin(what, anchor, comments)
    }

    fn grow(&mut self, id: Id, end: usize) {
        let span = &mut self.nodes[id].span;
        span.end = span.end.max(end);
    }

    /// Reads a list in block style.
    fn list(&mut self, anchor: Option<&str>, ending: Ending) -> Result<Id, SyntaxError> {
        let layout = Layout::Block;
        let what = What::List {
            items: Vec::new(),
            layout,
        };
        let id = if ending == Ending::Block {
            let id = self.begin_block(what, anchor)?;
            self.take();
            id
        } else {
            self.begin(what, anchor, Comments::default())?
        };
        let mut items = Vec::new();
        while self.peek()? == Sort::Dash {
            let above = self.waiting.head.len();
            let dash = self.take();
            self.split_stem(above)?;
            let next = self.peek()?;
            let ends = match ending {
                Ending::Block => matches!(next, Sort::Dash | Sort::BlockEnd),
                Ending::Indentless => {
                    matches!(next, Sort::Dash | Sort::Key | Sort::Value | Sort::BlockEnd)
                }
            };
            let item = if ends {
                self.empty_behind(dash.as_ref())
            } else {
                self.node(true, false)?
            };
            self.grow(id, self.nodes[item].span.end);
            items.push(item);
        }
        if ending == Ending::Block {
            if self.peek()? != Sort::BlockEnd {
                return Err(self.expected("the indentation fits nothing above"));
            }
            self.take();
        }
        self.nodes[id].what = What::List { items, layout };
        Ok(id)
    }

    /// Lays the comments before a dash aside when a list or map follows behind it.
    fn split_stem(&mut self, above: usize) -> Result<(), SyntaxError> {
        if above == 0 {
            return Ok(());
        }
        if matches!(self.peek()?, Sort::ListStart | Sort::MapStart) {
            let above = above.min(self.waiting.head.len());
            self.stem = Some(self.waiting.head.drain(..above).collect());
        }
        Ok(())
    }

    /// Reads a map in block style.
    fn map(&mut self, anchor: Option<&str>) -> Result<Id, SyntaxError> {
        let layout = Layout::Block;
        let what = What::Map {
            pairs: Vec::new(),
            layout,
        };
        let id = self.begin_block(what, anchor)?;
        self.take();
        let mut pairs: Vec<(Id, Id)> = Vec::new();
        loop {
            match self.peek()? {
                Sort::Key | Sort::Value => {
                    let pair = self.block_pair(&pairs)?;
                    self.grow(id, self.nodes[pair.1].span.end);
                    pairs.push(pair);
                }
                Sort::BlockEnd => break,
                _ => return Err(self.expected("a key and a colon are expected here")),
            }
        }
        let Comments { line, mut foot, .. } = self.comments_here();
        self.take();
        if let Some(&(last, _)) = pairs.last() {
            self.nodes[last].add_foot(std::mem::take(&mut foot));
        }
        let node = &mut self.nodes[id];
        node.set_end(line, foot);
        node.what = What::Map { pairs, layout };
        Ok(id)
    }

    fn block_pair(&mut self, before: &[(Id, Id)]) -> Result<(Id, Id), SyntaxError> {
        if self.peek()? == Sort::Value {
            return Err(self.expected("a key is missing before the colon"));
        }
        let mark = self.take();
        self.special |= mark.as_ref().is_some_and(|token| !token.span.is_empty());
        let ends = |sort| matches!(sort, Sort::Key | Sort::Value | Sort::BlockEnd);
        let key = if ends(self.peek()?) {
            self.empty_behind(mark.as_ref())
        } else {
            self.node(true, true)?
        };
        if let Some(&(prior, _)) = before.last() {
            let foot = self.nodes[key].take_foot();
            self.nodes[prior].add_foot(foot);
        }
        let value = if self.peek()? == Sort::Value {
            let colon = self.take();
            if ends(self.peek()?) {
                self.empty_behind(colon.as_ref())
            } else {
                self.node(true, true)?
            }
        } else {
            self.empty_here()?
        };
        self.give_foot(key, value);
        Ok((key, value))
    }

    /// Comments below a value belong to its key, unless that has some.
    fn give_foot(&mut self, key: Id, value: Id) {
        if !self.nodes[key].has_foot() {
            let foot = self.nodes[value].take_foot();
            self.nodes[key].add_foot(foot);
        }
    }
}

/// How a block list ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Ending {
    /// With a token of its own.
    Block,
    /// Where no dash follows.
    Indentless,
}
