//! Changes of a text: what stays keeps its bytes, what is new is written in the style of its neighbours.

use super::print::{self, Style, Value};
use crate::format::run::run_without;
use crate::format::sink::{Sink, printed};
use crate::format::{EmitError, Layout, Splice};
use crate::secret::Secret;
use crate::tree::{Entry, Kind, ListItem, Map, MapItem, Node, Span};

/// Makes `after` of `source`, which was read as `before`. Both may be one and the same tree: then what is new in
/// it is inserted, and what is sealed in it was not before.
pub(super) fn document(
    source: &[u8],
    before: &Map,
    after: &Map,
    layout: Layout,
) -> Result<Secret, EmitError> {
    let mut rewriter = Rewriter {
        source,
        default: Style::of_layout(layout)?,
        splice: Splice::default(),
        open: Vec::new(),
    };
    rewriter.settle(before);
    rewriter.container(Pair {
        before: Container::of_map(before).without_new(),
        after: Container::of_map(after),
        lead: Span::default(),
        root: true,
    })?;
    while let Some(pair) = rewriter.open.pop() {
        rewriter.container(pair)?;
    }
    Ok(rewriter.splice.apply(source))
}

struct Rewriter<'a> {
    source: &'a [u8],
    /// The style of the text where neighbours say nothing.
    default: Style,
    splice: Splice<'a>,
    /// Objects and arrays that are still to be compared.
    open: Vec<Pair<'a>>,
}

/// An object or array as it was and as it is to be.
struct Pair<'a> {
    before: Container<'a>,
    after: Container<'a>,
    /// The blanks in front of the line or member that it is, or is the value of.
    lead: Span,
    root: bool,
}

struct Container<'a> {
    span: Span,
    members: Vec<Member<'a>>,
}

/// An entry or item.
#[derive(Clone, Copy)]
enum Member<'a> {
    Entry(&'a Entry),
    Item(&'a Node),
}

impl<'a> Member<'a> {
    fn key(self) -> Option<&'a str> {
        match self {
            Self::Entry(entry) => Some(&entry.key),
            Self::Item(_) => None,
        }
    }

    fn value(self) -> &'a Node {
        match self {
            Self::Entry(entry) => &entry.value,
            Self::Item(node) => node,
        }
    }

    /// With its key.
    fn span(self) -> Span {
        match self {
            Self::Entry(entry) => entry.span,
            Self::Item(node) => node.span(),
        }
    }

    fn is_new(self) -> bool {
        let position = match self {
            Self::Entry(entry) => entry.position,
            Self::Item(node) => node.position(),
        };
        position.line == 0
    }
}

/// A member as it is to be.
enum Wanted<'a> {
    /// That of the former members.
    Kept(usize),
    New(Member<'a>),
}

impl<'a> Container<'a> {
    fn of_map(map: &'a Map) -> Self {
        let entry = |item: &'a MapItem| match item {
            MapItem::Entry(entry) => Some(Member::Entry(entry)),
            MapItem::Comment(_) => None,
        };
        Self {
            span: map.span,
            members: map.items.iter().filter_map(entry).collect(),
        }
    }

    fn without_new(mut self) -> Self {
        self.members.retain(|member| !member.is_new());
        self
    }

    fn of(node: &'a Node) -> Option<Self> {
        let item = |item: &'a ListItem| match item {
            ListItem::Node(node) => Some(Member::Item(node)),
            ListItem::Comment(_) => None,
        };
        match node {
            Node::Map(map) => Some(Self::of_map(map)),
            Node::List(list) => Some(Self {
                span: list.span,
                members: list.items.iter().filter_map(item).collect(),
            }),
            Node::Leaf(_) => None,
        }
    }

    /// The blanks in front of the member at `place`.
    fn lead(&self, place: usize, source: &[u8]) -> Span {
        let end = self
            .members
            .get(place)
            .map_or(self.span.end, |member| member.span().start);
        let previous = place
            .checked_sub(1)
            .and_then(|place| self.members.get(place));
        let start = previous.map_or(self.span.start + 1, |member| {
            // Between two members there are blanks and one comma.
            let between = source.get(member.span().end..end).unwrap_or_default();
            let comma = between.iter().position(|&byte| byte == b',');
            member.span().end + comma.map_or(0, |comma| comma + 1)
        });
        Span { start, end }
    }
}

impl<'a> Rewriter<'a> {
    /// Takes the style of the root for that of the text.
    fn settle(&mut self, root: &'a Map) {
        let root = Container::of_map(root).without_new();
        if root.members.is_empty() {
            return;
        }
        let lead = self.bytes(root.lead(0, self.source));
        self.default.line_break = line_break(lead);
        self.default.unit = indentation(lead).to_vec();
        self.default.colon = self.colon(&root);
        self.default.gap = self.gap(&root);
    }

    fn bytes(&self, span: Span) -> &'a [u8] {
        self.source.get(span.start..span.end).unwrap_or_default()
    }

    /// Compares one object or array, and notes those in it.
    fn container(&mut self, pair: Pair<'a>) -> Result<(), EmitError> {
        let Pair {
            before,
            after,
            lead,
            root,
        } = pair;
        let wanted = self.wanted(&before, &after)?;
        let kept: Vec<usize> = wanted
            .iter()
            .filter_map(|wanted| match wanted {
                Wanted::Kept(place) => Some(*place),
                Wanted::New(_) => None,
            })
            .collect();
        if kept.len() == wanted.len() && kept.len() == before.members.len() {
            return Ok(());
        }
        match (before.members.first(), before.members.last()) {
            (Some(first), Some(last)) if kept.is_empty() && !wanted.is_empty() => {
                let style = self.style(&before);
                let text = self.joined(&wanted, &style)?;
                let (start, end) = (first.span().start, last.span().end);
                self.splice.replace(Span { start, end }, text);
            }
            (Some(_), _) if kept.is_empty() => self.splice.remove(Span {
                start: before.span.start + 1,
                end: before.span.end - 1,
            }),
            (Some(_), _) => {
                self.remove(&before, &kept);
                self.insert(&before, &wanted)?;
            }
            (None, _) if wanted.is_empty() => {}
            (None, _) => self.fill(&before, &wanted, lead, root)?,
        }
        Ok(())
    }

    /// What the members of `after` are, in its order. Values of members that stay are dealt with.
    fn wanted(
        &mut self,
        before: &Container<'a>,
        after: &Container<'a>,
    ) -> Result<Vec<Wanted<'a>>, EmitError> {
        let mut wanted = Vec::with_capacity(after.members.len());
        let mut place = 0;
        for member in &after.members {
            let start = member.span().start;
            while !member.is_new()
                && before
                    .members
                    .get(place)
                    .is_some_and(|former| former.span().start < start)
            {
                place += 1;
            }
            let former = before
                .members
                .get(place)
                .filter(|former| !member.is_new() && former.span().start == start);
            let Some(former) = former else {
                wanted.push(Wanted::New(*member));
                continue;
            };
            self.value(before, place, former.value(), member.value())?;
            wanted.push(Wanted::Kept(place));
            place += 1;
        }
        Ok(wanted)
    }

    /// Compares the value of the member at `place`, which stays.
    fn value(
        &mut self,
        within: &Container<'a>,
        place: usize,
        before: &'a Node,
        after: &'a Node,
    ) -> Result<(), EmitError> {
        let same_place = after.position().line != 0 && before.span() == after.span();
        let one = std::ptr::eq(before, after);
        match (before, after) {
            (_, Node::Leaf(leaf)) if one && !leaf.sealed => return Ok(()),
            (Node::Leaf(before), Node::Leaf(after))
                if !one && same_place && before.kind == after.kind && before.text == after.text =>
            {
                return Ok(());
            }
            (Node::Map(_), Node::Map(_)) | (Node::List(_), Node::List(_)) if same_place => {
                if let (Some(before), Some(after)) = (Container::of(before), Container::of(after)) {
                    let lead = within.lead(place, self.source);
                    self.open.push(Pair {
                        before,
                        after,
                        lead,
                        root: false,
                    });
                }
                return Ok(());
            }
            (_, Node::Leaf(after)) if after.kind == Kind::Text => {
                let word = after.text.expose_text().filter(|text| print::is_bare(text));
                if let Some(word) = word {
                    self.splice.replace_with_word(before.span(), "\"", word);
                    return Ok(());
                }
            }
            _ => {}
        }
        let style = match after {
            Node::Leaf(_) => self.default.clone(),
            _ => self.style_at(within, place),
        };
        let text = printed(|sink| print::value(sink, Value::from(after), &style))?;
        self.splice.replace(before.span(), text);
        Ok(())
    }

    /// Takes out the members that are not `kept`, of which there is one at least.
    fn remove(&mut self, before: &Container<'a>, kept: &[usize]) {
        let first = kept.first().copied().unwrap_or_default();
        if let (Some(front), Some(first)) = (before.members.first(), before.members.get(first)) {
            let (start, end) = (front.span().start, first.span().start);
            if start < end {
                self.splice.remove(Span { start, end });
            }
        }
        let mut kept = kept.iter().copied().skip(1).peekable();
        let pairs = before.members.iter().zip(before.members.iter().skip(1));
        for (place, (previous, member)) in pairs.enumerate().skip(first) {
            if kept.next_if_eq(&(place + 1)).is_none() {
                let (start, end) = (previous.span().end, member.span().end);
                self.splice.remove(Span { start, end });
            }
        }
    }

    /// Writes the new members beside those that stay.
    fn insert(&mut self, before: &Container<'a>, wanted: &[Wanted<'a>]) -> Result<(), EmitError> {
        let style = self.style(before);
        let lead = style.lead();
        let mut previous: Option<&Member<'a>> = None;
        let mut front: Vec<Secret> = Vec::new();
        for wanted in wanted {
            match wanted {
                Wanted::Kept(place) => {
                    previous = before.members.get(*place);
                    let at = previous.map_or(0, |member| member.span().start);
                    for text in front.drain(..) {
                        self.splice.insert(at, text);
                    }
                }
                Wanted::New(member) => {
                    let text = printed(|sink| match previous {
                        Some(_) => {
                            sink.put(b",");
                            sink.put(&lead);
                            write_member(sink, member, &style)
                        }
                        None => {
                            write_member(sink, member, &style)?;
                            sink.put(b",");
                            sink.put(&lead);
                            Ok(())
                        }
                    })?;
                    match previous {
                        Some(previous) => self.splice.insert(previous.span().end, text),
                        None => front.push(text),
                    }
                }
            }
        }
        Ok(())
    }

    /// Writes members into an object or array that has none.
    fn fill(
        &mut self,
        before: &Container<'a>,
        wanted: &[Wanted<'a>],
        lead: Span,
        root: bool,
    ) -> Result<(), EmitError> {
        let lead = self.bytes(lead);
        let mut style = self.default.clone();
        if !root {
            style.line_break = line_break(lead);
            style.base = [indentation(lead), &style.unit].concat();
        } else if style.line_break.is_some() {
            style.base.clone_from(&style.unit);
        }
        let (front, back) = match style.line_break {
            Some(line_break) => (
                style.lead(),
                [line_break, indentation(if root { b"" } else { lead })].concat(),
            ),
            None => (Vec::new(), Vec::new()),
        };
        let members = self.joined(wanted, &style)?;
        let text = printed(|sink| {
            sink.put(&front);
            sink.put(members.expose());
            sink.put(&back);
            Ok(())
        })?;
        let span = Span {
            start: before.span.start + 1,
            end: before.span.end - 1,
        };
        self.splice.replace(span, text);
        Ok(())
    }

    /// New members one after the other.
    fn joined(&self, wanted: &[Wanted<'a>], style: &Style) -> Result<Secret, EmitError> {
        let lead = style.lead();
        printed(|sink| {
            let mut begun = false;
            for wanted in wanted {
                let Wanted::New(member) = wanted else {
                    continue;
                };
                if std::mem::replace(&mut begun, true) {
                    sink.put(b",");
                    sink.put(&lead);
                }
                write_member(sink, member, style)?;
            }
            Ok(())
        })
    }

    /// The style of the members of `container`, of which there is one at least.
    fn style(&self, container: &Container<'a>) -> Style {
        self.style_at(container, usize::from(container.members.len() > 1))
    }

    /// The style of the member at `place`.
    fn style_at(&self, container: &Container<'a>, place: usize) -> Style {
        let lead = self.bytes(container.lead(place, self.source));
        Style {
            line_break: line_break(lead),
            base: indentation(lead).to_vec(),
            unit: self.default.unit.clone(),
            colon: self.colon(container),
            gap: self.gap(container),
        }
    }

    /// What stands between keys and values of `container`.
    fn colon(&self, container: &Container<'a>) -> Vec<u8> {
        let between = container.members.first().and_then(|member| {
            member.key()?;
            let start = self.string_end(member.span().start);
            self.source.get(start..member.value().span().start)
        });
        match between {
            Some(between) if !between.contains(&b'\n') && between.contains(&b':') => {
                between.to_vec()
            }
            _ => self.default.colon.clone(),
        }
    }

    /// What stands behind the commas of `container`, or would, if all stood on one line.
    fn gap(&self, container: &Container<'a>) -> Vec<u8> {
        if container.members.len() > 1 {
            let lead = self.bytes(container.lead(1, self.source));
            if !lead.contains(&b'\n') {
                return lead.to_vec();
            }
        }
        if self.colon(container).ends_with(b" ") {
            b" ".to_vec()
        } else {
            Vec::new()
        }
    }

    /// Behind the string that begins at the byte `start`.
    fn string_end(&self, start: usize) -> usize {
        let mut at = start + 1;
        loop {
            let rest = self.source.get(at..).unwrap_or_default();
            at += run_without(rest, |byte| (byte == b'"') | (byte == b'\\'));
            match self.source.get(at) {
                Some(b'\\') => at += 2,
                Some(_) => return at + 1,
                None => return at,
            }
        }
    }
}

fn write_member(sink: &mut dyn Sink, member: &Member<'_>, style: &Style) -> Result<(), EmitError> {
    if let Some(key) = member.key() {
        print::string(sink, key.as_bytes());
        sink.put(&style.colon);
    }
    print::value(sink, Value::from(member.value()), style)
}

/// The last line break in blanks.
fn line_break(blanks: &[u8]) -> Option<&'static [u8]> {
    let place = blanks.iter().rposition(|&byte| byte == b'\n')?;
    Some(if blanks.get(..place)?.ends_with(b"\r") {
        b"\r\n"
    } else {
        b"\n"
    })
}

/// What stands behind the last line break in blanks.
fn indentation(blanks: &[u8]) -> &[u8] {
    blanks
        .iter()
        .rposition(|&byte| byte == b'\n')
        .and_then(|place| blanks.get(place + 1..))
        .unwrap_or_default()
}
