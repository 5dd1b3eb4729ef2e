//! The scanner: from text to tokens, with the look-ahead that decides what a comment belongs to.
//!
//! Which comment is above, behind or below what follows the rules of go-yaml 3, which SOPS reads with: by
//! columns, empty lines, and the two tokens that are scanned ahead. Cost is linear in the text.

mod fetch;

use std::collections::VecDeque;

use super::token::{Mark, Remark, Side, Sort, Token};
use crate::format::{Fault, SyntaxError};
use crate::tree::{Position, Span};

/// Deepest nesting that is read. Every level costs stack in what works on trees later.
pub(super) const DEPTH: usize = 500;

/// A key is looked for this many characters back.
const KEY_LENGTH: usize = 1_024;

/// Blanks and empty lines that are looked through behind a comment.
const LOOK: usize = 512;

/// A token that becomes a key when a colon follows.
#[derive(Debug, Clone, Copy, Default)]
struct Candidate {
    possible: bool,
    required: bool,
    number: usize,
    mark: Mark,
}

pub(super) struct Scan<'a> {
    pub(super) text: &'a str,
    pub(super) bytes: &'a [u8],
    pub(super) at: usize,
    pub(super) line: usize,
    pub(super) line_start: usize,
    /// Line breaks since the last character that is no blank.
    pub(super) newlines: usize,
    pub(super) tokens: VecDeque<Token>,
    /// How many tokens were taken.
    pub(super) taken: usize,
    pub(super) remarks: VecDeque<Remark>,
    /// Comments that were passed.
    pub(super) comments: usize,
    pub(super) indent: isize,
    /// Whether a block text begins no deeper than the map or list that it is in, where nothing else may.
    pub(super) outdented: bool,
    indents: Vec<isize>,
    key_allowed: bool,
    candidates: Vec<Candidate>,
    started: bool,
    /// Last counted column: line start, byte, characters.
    counted: (usize, usize, usize),
}

impl<'a> Scan<'a> {
    pub(super) fn new(text: &'a str, at: usize) -> Self {
        Self {
            text,
            bytes: text.as_bytes(),
            at,
            line: 0,
            line_start: at,
            newlines: 0,
            tokens: VecDeque::new(),
            taken: 0,
            remarks: VecDeque::new(),
            comments: 0,
            indent: -1,
            outdented: false,
            indents: Vec::new(),
            key_allowed: true,
            candidates: vec![Candidate::default()],
            started: false,
            counted: (at, at, 0),
        }
    }

    pub(super) fn byte(&self, ahead: usize) -> u8 {
        self.bytes.get(self.at + ahead).copied().unwrap_or(0)
    }

    pub(super) fn mark(&self) -> Mark {
        Mark {
            at: self.at,
            line: self.line,
            column: self.at - self.line_start,
        }
    }

    pub(super) fn column(&self) -> isize {
        isize::try_from(self.at - self.line_start).unwrap_or(isize::MAX)
    }

    fn flow_level(&self) -> usize {
        self.candidates.len() - 1
    }

    pub(super) fn in_flow(&self) -> bool {
        self.flow_level() > 0
    }

    /// Length of the line break `ahead`, or 0.
    pub(super) fn break_at(&self, ahead: usize) -> usize {
        match self.byte(ahead) {
            b'\n' => 1,
            b'\r' => 1 + usize::from(self.byte(ahead + 1) == b'\n'),
            0xC2 if self.byte(ahead + 1) == 0x85 => 2,
            0xE2 if self.byte(ahead + 1) == 0x80 && matches!(self.byte(ahead + 2), 0xA8 | 0xA9) => {
                3
            }
            _ => 0,
        }
    }

    pub(super) fn blank_at(&self, ahead: usize) -> bool {
        matches!(self.byte(ahead), b' ' | b'\t')
    }

    pub(super) fn ends_at(&self, ahead: usize) -> bool {
        self.at + ahead >= self.bytes.len()
    }

    /// Whether a blank, a line break or the end stands `ahead`.
    pub(super) fn gap_at(&self, ahead: usize) -> bool {
        self.ends_at(ahead) || self.blank_at(ahead) || self.break_at(ahead) > 0
    }

    /// Steps over `count` bytes within a line.
    pub(super) fn skip(&mut self, count: usize) {
        self.newlines = 0;
        self.at += count;
    }

    /// Steps over blanks within a line.
    pub(super) fn skip_blank(&mut self) {
        self.at += 1;
    }

    /// Steps over a line break.
    pub(super) fn skip_break(&mut self) {
        self.at += self.break_at(0);
        self.line += 1;
        self.line_start = self.at;
        self.newlines += 1;
    }

    /// Steps to the end of the line.
    pub(super) fn skip_line_rest(&mut self) {
        while !self.ends_at(0) && self.break_at(0) == 0 {
            self.at += 1;
        }
        self.newlines = 0;
    }

    pub(super) fn position(&mut self, mark: Mark) -> Position {
        let start = mark.at.saturating_sub(mark.column);
        let (line_start, at, characters) = self.counted;
        let (from, before) = if line_start == start && at <= mark.at {
            (at, characters)
        } else {
            (start, 0)
        };
        let characters = before
            + self
                .text
                .get(from..mark.at)
                .map_or(0, |text| text.chars().count());
        self.counted = (start, mark.at, characters);
        let counted = |from_0: usize| u32::try_from(from_0 + 1).unwrap_or(u32::MAX);
        Position {
            line: counted(mark.line),
            column: counted(characters),
        }
    }

    pub(super) fn malformed(&mut self, rule: &'static str) -> SyntaxError {
        let mark = self.mark();
        self.malformed_at(mark, rule)
    }

    pub(super) fn malformed_at(&mut self, mark: Mark, rule: &'static str) -> SyntaxError {
        SyntaxError {
            position: self.position(mark),
            fault: Fault::Malformed(rule),
        }
    }

    /// Takes the next token; [`Scan::peek`] must have shown it.
    pub(super) fn take(&mut self) -> Option<Token> {
        self.taken += 1;
        self.tokens.pop_front()
    }

    /// Shows the next token, with two more scanned behind it.
    pub(super) fn ahead(&mut self) -> Result<Option<&Token>, SyntaxError> {
        while !self.over() && (self.tokens.len() <= 2 || self.head_may_be_key()?) {
            self.fetch()?;
        }
        Ok(self.tokens.front())
    }

    fn over(&self) -> bool {
        self.tokens
            .back()
            .is_some_and(|last| last.sort == Sort::StreamEnd)
    }

    /// Whether a colon might still make a key of the next token.
    fn head_may_be_key(&mut self) -> Result<bool, SyntaxError> {
        let from = self
            .candidates
            .partition_point(|candidate| candidate.number < self.taken);
        for place in from..self.candidates.len() {
            let candidate = self.candidates[place];
            if candidate.number != self.taken {
                break;
            }
            if candidate.possible {
                return self.is_key(place);
            }
        }
        Ok(false)
    }

    /// Whether a candidate may still become a key: on the same line, not too far back.
    fn is_key(&mut self, place: usize) -> Result<bool, SyntaxError> {
        let candidate = self.candidates[place];
        if !candidate.possible {
            return Ok(false);
        }
        let far = self.at > candidate.mark.at + KEY_LENGTH
            && self.text[candidate.mark.at..self.at].chars().count() > KEY_LENGTH;
        if candidate.mark.line < self.line || far {
            if candidate.required {
                return Err(self.malformed_at(candidate.mark, "a key has no colon"));
            }
            self.candidates[place].possible = false;
            return Ok(false);
        }
        Ok(true)
    }

    fn save_key(&mut self) -> Result<(), SyntaxError> {
        if !self.key_allowed {
            return Ok(());
        }
        let candidate = Candidate {
            possible: true,
            required: !self.in_flow() && self.indent == self.column(),
            number: self.taken + self.tokens.len(),
            mark: self.mark(),
        };
        self.drop_key()?;
        if let Some(last) = self.candidates.last_mut() {
            *last = candidate;
        }
        Ok(())
    }

    fn drop_key(&mut self) -> Result<(), SyntaxError> {
        let Some(last) = self.candidates.last_mut() else {
            return Ok(());
        };
        let former = *last;
        last.possible = false;
        if former.possible && former.required {
            return Err(self.malformed_at(former.mark, "a key has no colon"));
        }
        Ok(())
    }

    fn push(&mut self, sort: Sort, start: Mark) {
        let token = Token::at(sort, start, self.at);
        self.tokens.push_back(token);
    }

    /// Scans one token more, with what comes before it.
    fn fetch(&mut self) -> Result<(), SyntaxError> {
        if !self.started {
            self.started = true;
            let mark = self.mark();
            self.push(Sort::StreamStart, mark);
            return Ok(());
        }
        let from = self.mark();
        self.pass_gap()?;
        self.unroll(self.column(), from);
        if self.ends_at(0) {
            return self.stream_end();
        }
        if self.at == self.line_start {
            if self.byte(0) == b'%' {
                return self.directive();
            }
            if let Some(sort) = self.marker() {
                self.top_level()?;
                let mark = self.mark();
                self.skip(3);
                self.push(sort, mark);
                return Ok(());
            }
        }
        let first = self.byte(0);
        let mut remark_at = self.mark().at;
        let separates = if self.in_flow() { b',' } else { b':' };
        if first == separates {
            remark_at = self.tokens.back().map_or(remark_at, |last| last.start.at);
        }
        self.fetch_token(first)?;
        // A dash alone has no comment behind it: that is above what follows.
        if self
            .tokens
            .back()
            .is_none_or(|last| last.sort != Sort::Dash)
        {
            self.line_remark(remark_at);
        }
        Ok(())
    }

    /// A document marker at the start of a line.
    pub(super) fn marker(&self) -> Option<Sort> {
        let sort = match (self.byte(0), self.byte(1), self.byte(2)) {
            (b'-', b'-', b'-') => Sort::DocumentStart,
            (b'.', b'.', b'.') => Sort::DocumentEnd,
            _ => return None,
        };
        self.gap_at(3).then_some(sort)
    }

    fn top_level(&mut self) -> Result<(), SyntaxError> {
        let mark = self.mark();
        self.unroll(-1, mark);
        self.drop_key()?;
        self.key_allowed = false;
        Ok(())
    }

    fn stream_end(&mut self) -> Result<(), SyntaxError> {
        if self.at != self.line_start {
            self.line += 1;
            self.line_start = self.at;
        }
        self.top_level()?;
        let mark = self.mark();
        self.push(Sort::StreamEnd, mark);
        Ok(())
    }

    fn directive(&mut self) -> Result<(), SyntaxError> {
        self.top_level()?;
        let mark = self.mark();
        self.skip_line_rest();
        self.push(Sort::Directive, mark);
        if self.break_at(0) > 0 {
            self.skip_break();
        }
        Ok(())
    }

    /// Opens a block list or map when it stands deeper than what is open.
    fn roll(&mut self, mark: Mark, place: Option<usize>, sort: Sort) -> Result<(), SyntaxError> {
        let column = isize::try_from(mark.column).unwrap_or(isize::MAX);
        if self.in_flow() || self.indent >= column {
            return Ok(());
        }
        self.indents.push(self.indent);
        self.indent = column;
        if self.indents.len() > DEPTH {
            return Err(self.too_deep());
        }
        let place = place.unwrap_or(self.tokens.len());
        self.tokens.insert(place, Token::at(sort, mark, mark.at));
        Ok(())
    }

    /// Closes the block lists and maps that stand deeper than `column`. Comments at the column of what
    /// goes on belong to that: the end is put before them.
    fn unroll(&mut self, column: isize, from: Mark) {
        if self.in_flow() {
            return;
        }
        let mut end = Mark {
            at: from.at.wrapping_sub(1),
            ..from
        };
        let mut stop = isize::try_from(from.at).unwrap_or(isize::MAX) - 1;
        while self.indent > column {
            let mut back = stop;
            for remark in self.remarks.iter().rev() {
                if isize::try_from(remark.end).unwrap_or(isize::MAX) < back {
                    break;
                }
                if isize::try_from(remark.start.column).unwrap_or(isize::MAX) == self.indent + 1 {
                    end = remark.start;
                }
                back = isize::try_from(remark.scan).unwrap_or(isize::MAX);
            }
            stop = isize::try_from(end.at).unwrap_or(-1);
            self.tokens
                .push_back(Token::at(Sort::BlockEnd, end, end.at));
            self.indent = self.indents.pop().unwrap_or(-1);
        }
    }

    /// Passes blanks, line breaks and comments.
    fn pass_gap(&mut self) -> Result<(), SyntaxError> {
        let from = self.mark();
        loop {
            let tabs = self.in_flow() || !self.key_allowed;
            while self.byte(0) == b' ' || (tabs && self.byte(0) == b'\t') {
                self.skip_blank();
            }
            self.raise_line_remark();
            if self.byte(0) == b'#' {
                self.block_remarks(from);
            }
            if self.break_at(0) == 0 {
                return Ok(());
            }
            self.skip_break();
            if !self.in_flow() {
                self.key_allowed = true;
            }
        }
    }

    /// A comment behind the first dash of a list stands above what follows.
    fn raise_line_remark(&mut self) {
        let count = self.tokens.len();
        if count < 2 || self.tokens[count - 1].sort != Sort::Dash {
            return;
        }
        let first = self.tokens[count - 2].sort == Sort::ListStart;
        let (line, at) = (self.line, self.at);
        let breaks = self.break_at(0) > 0;
        if let Some(last) = self.remarks.back_mut()
            && first
            && last.side == Side::Line
            && !breaks
        {
            last.side = Side::Head;
            if last.start.line + 1 == line {
                last.token = at;
            }
        }
    }

    /// The comment behind a token, on its line.
    pub(super) fn line_remark(&mut self, token: usize) {
        if self.newlines > 0 {
            return;
        }
        let mut ahead = 0;
        while ahead < LOOK && self.blank_at(ahead) {
            ahead += 1;
        }
        if self.byte(ahead) != b'#' || ahead == LOOK {
            return;
        }
        self.at += ahead;
        let start = self.mark();
        self.skip_line_rest();
        self.comments += 1;
        let line = Span {
            start: start.at,
            end: self.at,
        };
        self.remarks.push_back(Remark {
            side: Side::Line,
            lines: vec![line],
            scan: 0,
            token,
            start,
            end: 0,
        });
    }
}
