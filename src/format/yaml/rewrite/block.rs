//! Changes among lines: what came, what went, and values that became something else.

use super::part::Part;
use super::{Change, MOST_BEHIND, Rewriter};
use crate::format::yaml::edit::{indent_of_block, least_indent};
use crate::format::yaml::write::{self, Wiped};
use crate::tree::{Comment, Layout, Node, Span, Style};

impl<'a> Rewriter<'a> {
    /// A block map or list in which something came or went, and something stays.
    pub(super) fn block(&mut self, change: &Change<'a>) {
        self.removed(change);
        let mut previous: Option<usize> = None;
        for (place, part) in change.after.iter().enumerate() {
            let origin = change.origin[place];
            if let Some(old) = origin.filter(|old| !self.is_orphan(change, *old)) {
                self.part(change, place);
                previous = previous.max(Some(old));
                continue;
            }
            let text = self.part_text(part, change.site.column);
            if let Some(at) = origin.and_then(|old| self.line_of_owner(change, old)) {
                let indent = " ".repeat(change.site.column);
                let line_break = self.edit.line_break;
                self.edit.put_at(at, &[&indent, &text, line_break]);
                continue;
            }
            match previous {
                Some(old) => self.behind(change, old, &text),
                None => self.in_front(change, &text),
            }
        }
    }

    /// Where the line begins of the value that is gone, and that the comment `place` stands behind: the line is
    /// its own then.
    fn line_of_owner(&self, change: &Change<'a>, place: usize) -> Option<usize> {
        let owner = change.before.get(change.owner(place)?)?;
        let start = self.start(owner, change)?;
        let begins = self.edit.begins_line(start);
        begins.then(|| self.edit.line_start(start))
    }

    /// Puts `text` on a line of its own behind the part `old`.
    fn behind(&mut self, change: &Change<'a>, old: usize, text: &str) {
        let near = &change.before[old.saturating_sub(MOST_BEHIND)..=old];
        let end = near.iter().map(Part::end).max().unwrap_or_default();
        let at = self.edit.line_end(end);
        // Comments that are indented by more would become text of a block.
        let next = self.edit.next_indent(at);
        self.stuck |= next.is_some_and(|next| next >= indent_of_block(text));
        let indent = " ".repeat(change.site.column);
        self.edit.put_line(at, &[&indent, text]);
    }

    /// Puts `text` on a line of its own before the first part that stays.
    fn in_front(&mut self, change: &Change<'a>, text: &str) {
        let own = |(part, kept): &(&Part<'a>, &bool)| **kept && !self.is_behind_a_value(part);
        let first = change.before.iter().zip(&change.kept).find(own);
        let start = first.and_then(|(part, _)| self.start(part, change));
        let Some(start) = start else {
            self.stuck = true;
            return;
        };
        let indent = " ".repeat(change.site.column);
        let line_break = self.edit.line_break;
        self.edit.put_at(start, &[text, line_break, &indent]);
    }

    /// Whether a part is a comment that does not begin its line.
    fn is_behind_a_value(&self, part: &Part<'_>) -> bool {
        part.is_comment() && !self.edit.begins_line(part.span().start)
    }

    /// Where a part begins; for an item, its dash.
    fn start(&self, part: &Part<'_>, change: &Change<'_>) -> Option<usize> {
        match part {
            Part::Item(_) => self.dash(part, change),
            _ => Some(part.span().start),
        }
    }

    /// The dash of an item: at the column of its list, on its first line or above.
    pub(super) fn dash(&self, part: &Part<'_>, change: &Change<'_>) -> Option<usize> {
        let mut line = self.edit.line_start(part.span().start);
        loop {
            let at = line + change.site.column;
            if at < part.span().start && self.source.as_bytes().get(at) == Some(&b'-') {
                return Some(at);
            }
            if line <= change.span.start {
                return None;
            }
            line = self.edit.line_start(line - 1);
        }
    }

    /// Takes out what is gone.
    fn removed(&mut self, change: &Change<'a>) {
        self.stuck |= self.frees_comments(change);
        let (mut covered, mut above) = (0, None);
        for (place, part) in change.before.iter().enumerate() {
            if change.kept[place] {
                if !self.is_behind_a_value(part) {
                    above = Some(part);
                }
                continue;
            }
            if self.is_behind_a_value(part) {
                if change.owner(place).is_none_or(|owner| change.kept[owner]) {
                    let before = &self.source[..part.span().start];
                    let start = before.trim_end_matches([' ', '\t']).len();
                    let end = part.span().end;
                    self.edit.splice.remove(Span { start, end });
                }
                continue;
            }
            let Some(start) = self.start(part, change) else {
                self.stuck = true;
                return;
            };
            let range = self.lines_of(change, place, start, above);
            self.stuck |= self.holds_a_comment_that_stays(change, place, range);
            let start = range.start.max(covered);
            if start < range.end {
                let end = range.end;
                let most = above.map_or(usize::MAX, |part| self.blanks_below(part));
                self.edit.remove(Span { start, end }, most);
                covered = end;
            }
        }
    }

    /// The lines of a part; for one behind a dash, up to the part after it.
    /// `above` is the last part before it that stays.
    fn lines_of(
        &self,
        change: &Change<'a>,
        place: usize,
        start: usize,
        above: Option<&Part<'a>>,
    ) -> Span {
        let part = &change.before[place];
        if self.edit.begins_line(start) {
            let start = self.edit.line_start(start);
            let mut end = self.edit.next_line(part.end());
            if above.is_some_and(|part| self.keeps_breaks(part)) {
                end = self.behind_empty_lines(end);
            }
            return Span { start, end };
        }
        let after = change.before[place + 1..]
            .iter()
            .find(|part| !self.is_behind_a_value(part));
        let end = after.and_then(|part| self.start(part, change));
        let end = end.unwrap_or_else(|| self.edit.line_end(part.end()));
        Span { start, end }
    }

    /// The part whose value stands before `comment` and becomes a block text, behind whose header nothing
    /// else should stand. `place` is where the comment is in what is wanted.
    pub(super) fn block_text_of(
        &self,
        change: &Change<'a>,
        comment: &Part<'a>,
        place: usize,
    ) -> Option<Part<'a>> {
        if change.site.layout == Layout::Flow || !self.is_behind_a_value(comment) {
            return None;
        }
        let mut next = (place..change.after.len()).take(MOST_BEHIND);
        let owner = next.find(|owner| !change.after[*owner].is_comment())?;
        let old = change.before[change.origin[owner]?];
        // Behind a dash, a comment would not stand above the same thing.
        if !self.edit.begins_line(self.start(&old, change)?) {
            return None;
        }
        match (old.node()?, change.after[owner].node()?) {
            (Node::Leaf(old_leaf), Node::Leaf(new)) => {
                let quoted = matches!(new.style, Style::SingleQuoted | Style::DoubleQuoted);
                let span = old_leaf.span;
                let one_line = !self.source[span.start..span.end].contains('\n');
                let lines = write::fits_literal(new.text.expose_text()?);
                (one_line && lines && !quoted).then_some(old)
            }
            _ => None,
        }
    }

    /// Puts a comment behind a value on a line above it.
    pub(super) fn raise_comment(
        &mut self,
        change: &Change<'a>,
        owner: Part<'a>,
        old: &Comment,
        new: &Comment,
    ) {
        let Some(at) = self.start(&owner, change) else {
            self.stuck = true;
            return;
        };
        let before = &self.source[..old.span.start];
        let start = before.trim_end_matches([' ', '\t']).len();
        let end = old.span.end;
        self.edit.splice.remove(Span { start, end });
        let text = new.text.expose_text().unwrap_or_default();
        let indent = " ".repeat(change.site.column);
        let line_break = self.edit.line_break;
        self.edit.put_at(at, &["#", text, line_break, &indent]);
    }

    /// Whether comments would become text of a block, since what stood between them and it is gone.
    fn frees_comments(&self, change: &Change<'a>) -> bool {
        let (mut below_block, mut gone, mut deep) = (false, false, false);
        for (part, kept) in change.before.iter().zip(&change.kept) {
            match (part, kept) {
                (Part::Comment(comment), true) => {
                    let column = comment.span.start - self.edit.line_start(comment.span.start);
                    deep |= column > change.site.column && !self.is_behind_a_value(part);
                }
                (Part::Comment(_), false) => {}
                (_, false) => gone = true,
                (_, true) => {
                    if below_block && gone && deep {
                        return true;
                    }
                    below_block = part.block_text().is_some();
                    (gone, deep) = (false, false);
                }
            }
        }
        below_block && gone && deep
    }

    /// How many blanks empty lines below a part may have: more become text of a block that it ends in.
    fn blanks_below(&self, part: &Part<'_>) -> usize {
        let Some(leaf) = part.block_text() else {
            return usize::MAX;
        };
        let text = &self.source[leaf.span.start..leaf.span.end];
        let header = text.lines().next().unwrap_or_default();
        let tells_indent = header.contains(|each: char| each.is_ascii_digit());
        if tells_indent { 0 } else { least_indent(text) }
    }

    /// Whether a part ends in a block text to which the empty lines behind it belong.
    fn keeps_breaks(&self, part: &Part<'_>) -> bool {
        part.last_leaf().is_some_and(|leaf| {
            let text = &self.source[leaf.span.start..leaf.span.end];
            let header = text.lines().next().unwrap_or_default();
            header.starts_with(['|', '>']) && header.contains('+')
        })
    }

    fn behind_empty_lines(&self, mut at: usize) -> usize {
        loop {
            let next = self.edit.next_line(at);
            if next == at || !self.source[at..next].trim().is_empty() {
                return at;
            }
            at = next;
        }
    }

    /// Whether a part is a comment behind a value that is gone with its line.
    fn is_orphan(&self, change: &Change<'a>, place: usize) -> bool {
        self.is_behind_a_value(&change.before[place])
            && change.owner(place).is_some_and(|owner| !change.kept[owner])
    }

    /// Whether a comment that stays stands among the lines of a part, though before it in the tree; one behind a
    /// value gets a line of its own.
    fn holds_a_comment_that_stays(&self, change: &Change<'a>, place: usize, lines: Span) -> bool {
        let above = (0..place).rev();
        let mut comments = above.take_while(|at| change.before[*at].is_comment());
        comments.any(|at| {
            let stands_there = change.before[at].span().start >= lines.start;
            change.kept[at] && stands_there && !self.is_orphan(change, at)
        })
    }

    /// The lines of those parts that `wanted` picks, the first one without its indentation.
    pub(super) fn lines(
        &self,
        change: &Change<'a>,
        wanted: impl Fn(&Part<'a>) -> bool,
        column: usize,
    ) -> Vec<String> {
        let wanted = change.after.iter().filter(|part| wanted(part));
        wanted
            .map(|part| self.part_text(part, column).to_string())
            .collect()
    }

    /// A part as it is written in block style at `column`.
    pub(super) fn part_text(&self, part: &Part<'_>, column: usize) -> Wiped {
        let step = self.edit.step();
        let text = write::part(step, |printer| match part {
            Part::Comment(comment) => printer.comment(comment),
            Part::Entry(entry) => printer.entry(entry, column),
            Part::Item(node) => printer.item_node(node, column),
        });
        self.with_breaks(text)
    }

    pub(super) fn with_breaks(&self, text: Wiped) -> Wiped {
        if self.edit.line_break == "\n" {
            return text;
        }
        Wiped::new(text.replace('\n', self.edit.line_break))
    }

    /// Changes the comments of something that has no other parts.
    pub(super) fn comments(&mut self, change: &Change<'a>) {
        for (place, origin) in change.origin.iter().enumerate() {
            if origin.is_some_and(|old| change.before[old].is_comment()) {
                self.part(change, place);
            }
        }
        self.removed(change);
    }

    /// Something of which nothing but comments is left, and perhaps something new.
    pub(super) fn whole(&mut self, change: &Change<'a>) {
        if change.site.layout == Layout::Flow {
            self.flow_whole(change);
            return;
        }
        let last = change.before.iter().filter(|part| !part.is_comment());
        let end = last.map(Part::end).max().unwrap_or(change.span.end);
        let whole = Span {
            start: change.span.start,
            end: self.edit.line_end(end),
        };
        let inside = |span: Span| whole.start <= span.start && span.end <= whole.end;
        let mut lines = Vec::new();
        for (place, part) in change.after.iter().enumerate() {
            match change.origin[place].map(|old| &change.before[old]) {
                Some(old @ Part::Comment(_)) if !inside(old.span()) => {
                    self.part(change, place);
                }
                _ => lines.push(self.part_text(part, change.site.column)),
            }
        }
        if change.after.iter().all(Part::is_comment) {
            // The dashes may have stood at the column of the key, the brackets may not.
            let deeper = " ".repeat(self.edit.step());
            let empty = if change.list {
                write::joined(&[&deeper, "[]"])
            } else {
                write::joined(&["{}"])
            };
            lines.push(empty);
        }
        let gap = format!("{}{}", self.edit.line_break, " ".repeat(change.site.column));
        let lines: Vec<&str> = lines.iter().map(|line| line.as_str()).collect();
        self.edit.put(whole, &[&lines.join(&gap)]);
        self.outer_comments(change, inside);
    }

    /// Takes out the comments that are gone and stood around what is replaced.
    pub(super) fn outer_comments(&mut self, change: &Change<'a>, inside: impl Fn(Span) -> bool) {
        for (part, kept) in change.before.iter().zip(&change.kept) {
            let span = part.span();
            if *kept || !part.is_comment() || inside(span) {
                continue;
            }
            let range = if self.is_behind_a_value(part) {
                let before = &self.source[..span.start];
                let start = before.trim_end_matches([' ', '\t']).len();
                Span {
                    start,
                    end: span.end,
                }
            } else {
                Span {
                    start: self.edit.line_start(span.start),
                    end: self.edit.next_line(span.end),
                }
            };
            self.edit.splice.remove(range);
        }
    }
}
