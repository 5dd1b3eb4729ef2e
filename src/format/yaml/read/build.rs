//! From nodes to the tree that SOPS makes of them: comments in their places, aliases expanded, tags dropped,
//! scalars typed.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use foldhash::HashSet;

use super::compose::{Comments, Composer, Document, Id, Node as Composed, What};
use super::scan::DEPTH;
use super::token::Text;
use crate::format::{Fault, SyntaxError, scalar};
use crate::secret::Secret;
use crate::tree::{
    Comment, Entry, Kind, Layout, Leaf, List, ListItem, Map, MapItem, Node, Position, Span, Style,
};

/// Nodes that aliases may add before their share counts, and up to which nearly all may come from them.
const FREE_ALIASES: usize = 100;
const FREE_NODES: usize = 1_000;
const SMALL: usize = 400_000;
const LARGE: usize = 4_000_000;

pub(super) struct Builder<'a> {
    whole: &'a Secret,
    composer: Composer<'a>,
    /// The first fault that SOPS notices only when it has read everything.
    late: Option<SyntaxError>,
    /// Whether the text cannot be kept.
    pub(super) special: bool,
    /// Comments in the tree.
    comments: usize,
    /// Where the last of them begins in the text.
    last_comment: usize,
    nodes: usize,
    from_aliases: usize,
    aliases: usize,
    /// The nodes that are being built, to notice one that holds itself.
    open: Vec<Id>,
    /// Where the lines behind the first begin; counted when the first comment is met.
    lines: Vec<usize>,
}

/// Where the lines behind the first begin; a carriage return alone ends a line, too.
fn line_starts(text: &str) -> Vec<usize> {
    let bytes = text.as_bytes();
    let ends = |&at: &usize| match bytes[at] {
        b'\n' => true,
        b'\r' => bytes.get(at + 1) != Some(&b'\n'),
        _ => false,
    };
    (0..bytes.len()).filter(ends).map(|at| at + 1).collect()
}

impl<'a> Builder<'a> {
    /// Reads all documents of `text`, which lies in `whole`; gives them, whether the text holds them as
    /// they are, and how many of its comments they have not.
    pub(super) fn read(
        text: &'a str,
        whole: &'a Secret,
    ) -> Result<(Vec<Map>, bool, usize), SyntaxError> {
        let mut composer = Composer::new(text);
        let documents = composer.documents()?;
        let special = composer.special || composer.scan.outdented;
        let mut builder = Self {
            whole,
            composer,
            late: None,
            special,
            comments: 0,
            last_comment: 0,
            nodes: 0,
            from_aliases: 0,
            aliases: 0,
            open: Vec::new(),
            lines: Vec::new(),
        };
        if let Some(first) = documents.first() {
            builder.check_first(first.root)?;
        }
        let mut maps = Vec::with_capacity(documents.len());
        for document in documents {
            maps.push(builder.document(document)?);
        }
        match builder.late {
            Some(late) => Err(late),
            None => {
                let all = builder.composer.scan.comments;
                let kept = builder.comments == all && !builder.special;
                Ok((maps, kept, all.saturating_sub(builder.comments)))
            }
        }
    }

    fn node(&self, id: Id) -> &Composed {
        &self.composer.nodes[id]
    }

    fn fault(&self, id: Id, fault: Fault) -> SyntaxError {
        let position = self.node(id).position;
        SyntaxError { position, fault }
    }

    /// What is checked in the first document only: no key twice, merge keys hold maps.
    fn check_first(&self, root: Id) -> Result<(), SyntaxError> {
        let mut next = vec![root];
        let mut keys = HashSet::default();
        while let Some(id) = next.pop() {
            match &self.node(id).what {
                What::Scalar { .. } | What::Alias { .. } => {}
                What::List { items, .. } => next.extend(items),
                What::Map { pairs, .. } => {
                    keys.clear();
                    for &(key, value) in pairs {
                        if !keys.insert(self.key_identity(key)) {
                            return Err(self.fault(key, Fault::DuplicateKey));
                        }
                        if self.is_merge(key) && !self.is_mergeable(value) {
                            return Err(
                                self.fault(value, Fault::Malformed("a merge key needs a map"))
                            );
                        }
                        next.push(value);
                    }
                }
            }
        }
        Ok(())
    }

    /// What tells keys apart: their text, as written.
    fn key_identity(&self, id: Id) -> (u8, &str) {
        match &self.node(id).what {
            What::Scalar { text, .. } => (0, self.text(text)),
            What::Alias { name, .. } => (1, &self.composer.scan.text[name.start..name.end]),
            What::Map { .. } => (2, ""),
            What::List { .. } => (3, ""),
        }
    }

    fn text<'b>(&'b self, text: &'b Text) -> &'b str {
        match text {
            Text::As(span) => &self.composer.scan.text[span.start..span.end],
            Text::Made(text) => text,
        }
    }

    fn is_merge(&self, key: Id) -> bool {
        let node = self.node(key);
        let plain = node.tag().is_none_or(|tag| tag == "!!merge" || tag == "!");
        matches!(&node.what, What::Scalar { style: Style::Plain, text } if self.text(text) == "<<")
            && plain
    }

    fn is_mergeable(&self, value: Id) -> bool {
        let map = |id: Id| match &self.node(id).what {
            What::Map { .. } => true,
            What::Alias { target, .. } => matches!(self.node(*target).what, What::Map { .. }),
            _ => false,
        };
        match &self.node(value).what {
            What::List { items, .. } => items.iter().all(|item| map(*item)),
            _ => map(value),
        }
    }

    fn document(&mut self, document: Document) -> Result<Map, SyntaxError> {
        // SOPS moves a comment from below a `---` to above it; no edit could.
        self.special |= self.last_comment > document.start;
        let root = document.root;
        let mut map = Map {
            position: self.node(root).position,
            span: self.node(root).span,
            ..Map::default()
        };
        self.root(root, &mut map)?;
        self.map_comments(&document.foot, &mut map.items, false);
        Ok(map)
    }

    fn root(&mut self, root: Id, map: &mut Map) -> Result<(), SyntaxError> {
        let malformed = Fault::Malformed("the document must be a map of keys and values");
        let Comments { head, line, foot } = self.node(root).comments();
        self.map_comments(&head, &mut map.items, false);
        self.map_comments(&line, &mut map.items, false);
        match &self.node(root).what {
            What::Map { layout, .. } => {
                map.layout = *layout;
                self.count(root)?;
                self.pairs(root, &mut map.items)?;
            }
            What::Alias { target, .. } => {
                let target = *target;
                self.root(target, map)?;
            }
            What::Scalar { .. } => {
                let null = self.leaf(root)?.kind == Kind::Null;
                // A `null` that is written must go before anything can be put here.
                if !map.span.is_empty() {
                    map.layout = Layout::Flow;
                }
                if !null {
                    return Err(self.fault(root, malformed));
                }
            }
            What::List { .. } => return Err(self.fault(root, malformed)),
        }
        self.map_comments(&foot, &mut map.items, false);
        Ok(())
    }

    fn comment(&mut self, span: Span, trailing: bool) -> Comment {
        self.comments += 1;
        self.last_comment = self.last_comment.max(span.start);
        let whole = self.composer.scan.text;
        let text = &whole[span.start + 1..span.end];
        if self.lines.is_empty() {
            self.lines = line_starts(whole);
        }
        let line = self.lines.partition_point(|start| *start <= span.start);
        let start = line.checked_sub(1).map_or(0, |line| self.lines[line]);
        let counted = |count: usize| u32::try_from(count + 1).unwrap_or(u32::MAX);
        let position = Position {
            line: counted(line),
            column: counted(whole[start..span.start].chars().count()),
        };
        Comment {
            text: self.whole.part(text.as_bytes()),
            position,
            span,
            trailing,
        }
    }

    fn map_comments(&mut self, lines: &[Span], items: &mut Vec<MapItem>, trailing: bool) {
        for line in lines {
            let comment = self.comment(*line, trailing);
            items.push(MapItem::Comment(comment));
        }
    }

    fn list_comments(&mut self, lines: &[Span], items: &mut Vec<ListItem>, trailing: bool) {
        for line in lines {
            let comment = self.comment(*line, trailing);
            items.push(ListItem::Comment(comment));
        }
    }

    /// Comments of a node, taken out when it can be reached only once.
    fn comments_of(&mut self, id: Id) -> [Vec<Span>; 3] {
        let special = self.special;
        let node = &mut self.composer.nodes[id];
        let Comments { head, line, foot } = if special {
            node.comments()
        } else {
            node.take_comments()
        };
        [head, line, foot]
    }

    /// Counts a node, and refuses what grows out of proportion through aliases.
    fn count(&mut self, id: Id) -> Result<(), SyntaxError> {
        self.nodes += 1;
        self.from_aliases += usize::from(self.aliases > 0);
        if self.from_aliases > FREE_ALIASES && self.nodes > FREE_NODES && self.is_bomb() {
            return Err(self.fault(id, Fault::Malformed("the aliases unfold into too much")));
        }
        if self.open.len() > DEPTH {
            return Err(self.fault(id, Fault::Unsupported("nesting deeper than 500 levels is")));
        }
        Ok(())
    }

    /// Whether more of the nodes come from aliases than go-yaml allows for so many.
    fn is_bomb(&self) -> bool {
        let allowed = match self.nodes {
            ..=SMALL => 0.99,
            LARGE.. => 0.10,
            nodes => 0.99 - 0.89 * ((nodes - SMALL) as f64 / (LARGE - SMALL) as f64),
        };
        self.from_aliases as f64 / self.nodes as f64 > allowed
    }

    /// The pairs of a map, with the comments around them.
    fn pairs(&mut self, id: Id, items: &mut Vec<MapItem>) -> Result<(), SyntaxError> {
        let What::Map { pairs, .. } = &mut self.composer.nodes[id].what else {
            return Ok(());
        };
        let pairs = if self.special {
            pairs.clone()
        } else {
            std::mem::take(pairs)
        };
        self.open.push(id);
        items.reserve(pairs.len());
        for (key, value) in pairs {
            let [head, line, foot] = self.comments_of(key);
            self.map_comments(&head, items, false);
            self.map_comments(&line, items, false);
            let bare = matches!(
                self.node(value).what,
                What::Scalar { .. } | What::Alias { .. }
            );
            let mut below = Vec::new();
            if bare {
                let [head, line, own] = self.comments_of(value);
                self.map_comments(&head, items, false);
                self.map_comments(&line, items, true);
                below = own;
            }
            let entry = self.entry(key, value, bare)?;
            items.push(MapItem::Entry(entry));
            self.map_comments(&below, items, false);
            self.map_comments(&foot, items, false);
        }
        self.open.pop();
        Ok(())
    }

    fn entry(&mut self, key: Id, value: Id, bare: bool) -> Result<Entry, SyntaxError> {
        self.count(key)?;
        let (position, start) = (self.node(key).position, self.node(key).span.start);
        let name = self.key(key)?;
        let value = self.value(value, bare)?;
        let end = value.span().end;
        let span = Span { start, end };
        Ok(Entry {
            key: name,
            position,
            span,
            value,
        })
    }

    fn key(&mut self, id: Id) -> Result<String, SyntaxError> {
        self.special |= self.is_merge(id);
        match self.node(id).what {
            What::Scalar { .. } => {}
            What::Alias { target, .. } => return self.key(target),
            _ => return Err(self.fault(id, Fault::Malformed("a map or list cannot be a key"))),
        }
        let leaf = self.leaf(id)?;
        let text = leaf.text.expose_text().filter(|_| leaf.kind == Kind::Text);
        if let Some(text) = text {
            return Ok(text.to_owned());
        }
        let fault = self.fault(id, Fault::KeyNotText);
        self.late.get_or_insert(fault);
        Ok(String::new())
    }

    /// The value of a node. `handled`: its comments were put around it.
    fn value(&mut self, id: Id, handled: bool) -> Result<Node, SyntaxError> {
        self.count(id)?;
        match &self.node(id).what {
            What::Scalar { .. } => Ok(Node::Leaf(self.leaf(id)?)),
            What::Alias { target, .. } => {
                let target = *target;
                if self.open.contains(&target) {
                    return Err(self.fault(id, Fault::Malformed("an anchor holds itself")));
                }
                self.aliases += 1;
                let value = self.value(target, false);
                self.aliases -= 1;
                value
            }
            What::Map { layout, .. } => self.map(id, *layout, handled),
            What::List { layout, .. } => self.list(id, *layout, handled),
        }
    }

    fn map(&mut self, id: Id, layout: Layout, handled: bool) -> Result<Node, SyntaxError> {
        let (position, span) = (self.node(id).position, self.node(id).span);
        let mut items = Vec::new();
        let [head, line, foot] = if handled {
            Default::default()
        } else {
            self.comments_of(id)
        };
        self.map_comments(&head, &mut items, false);
        self.map_comments(&line, &mut items, false);
        self.pairs(id, &mut items)?;
        self.map_comments(&foot, &mut items, false);
        Ok(Node::Map(Map {
            items,
            position,
            span,
            layout,
        }))
    }

    fn list(&mut self, id: Id, layout: Layout, handled: bool) -> Result<Node, SyntaxError> {
        let (position, span) = (self.node(id).position, self.node(id).span);
        let mut items = Vec::new();
        let [head, line, foot] = if handled {
            Default::default()
        } else {
            self.comments_of(id)
        };
        self.list_comments(&head, &mut items, false);
        self.list_comments(&line, &mut items, false);
        let What::List { items: ids, .. } = &mut self.composer.nodes[id].what else {
            return Err(self.fault(id, Fault::Malformed("a list is expected here")));
        };
        let ids = if self.special {
            ids.clone()
        } else {
            std::mem::take(ids)
        };
        self.open.push(id);
        for item in ids {
            let [head, line, foot] = self.comments_of(item);
            self.list_comments(&head, &mut items, false);
            self.list_comments(&line, &mut items, true);
            let node = self.value(item, true)?;
            items.push(ListItem::Node(node));
            self.list_comments(&foot, &mut items, false);
        }
        self.open.pop();
        self.list_comments(&foot, &mut items, false);
        Ok(Node::List(List {
            items,
            position,
            span,
            layout,
        }))
    }

    fn leaf(&mut self, id: Id) -> Result<Leaf, SyntaxError> {
        let node = &self.composer.nodes[id];
        let What::Scalar { style, text } = &node.what else {
            return Err(self.fault(id, Fault::Malformed("a value is missing here")));
        };
        let written = self.text(text);
        let tag = node.tag().map(short).filter(|tag| *tag != "!");
        let plain = *style == Style::Plain;
        let kind = match tag {
            None if plain => scalar::resolve(written),
            Some("!!null" | "!!bool" | "!!int" | "!!float" | "!!timestamp") => {
                scalar::resolve(written)
            }
            _ => Some(Kind::Text),
        };
        let unfit = Fault::Malformed("the value does not fit its tag");
        let kind = match (tag, kind) {
            (Some("!!float"), Some(Kind::Int)) => Some(Kind::Float),
            (Some("!!null"), Some(Kind::Null))
            | (Some("!!bool"), Some(Kind::Bool))
            | (Some("!!int"), Some(Kind::Int) | None)
            | (Some("!!float"), Some(Kind::Float))
            | (Some("!!timestamp"), Some(Kind::Time)) => kind,
            (Some("!!null" | "!!bool" | "!!int" | "!!float" | "!!timestamp"), _) => {
                return Err(self.fault(id, unfit));
            }
            _ => kind,
        };
        let text = if tag == Some("!!binary") {
            let base64: String = written
                .chars()
                .filter(|each| !matches!(each, '\n' | '\r'))
                .collect();
            let bytes = STANDARD.decode(zeroize::Zeroizing::new(base64).as_bytes());
            Secret::new(bytes.map_err(|_| self.fault(id, Fault::Malformed("not valid base64")))?)
        } else {
            self.whole.part(written.as_bytes())
        };
        let leaf = Leaf {
            kind: kind.unwrap_or(Kind::Int),
            text,
            style: *style,
            position: node.position,
            span: node.span,
            sealed: false,
        };
        if kind.is_none() {
            let fault = self.fault(id, Fault::TooLarge);
            self.late.get_or_insert(fault);
        }
        Ok(leaf)
    }
}

/// A tag in its short form.
fn short(tag: &str) -> &str {
    let inner = tag.strip_prefix("!<").and_then(|tag| tag.strip_suffix('>'));
    match inner.and_then(|tag| tag.strip_prefix("tag:yaml.org,2002:")) {
        Some("null") => "!!null",
        Some("bool") => "!!bool",
        Some("int") => "!!int",
        Some("float") => "!!float",
        Some("timestamp") => "!!timestamp",
        Some("binary") => "!!binary",
        Some("str") => "!!str",
        Some(_) => "!!other",
        None => tag,
    }
}
