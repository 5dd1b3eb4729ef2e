//! The cursor: characters, lines, columns, comments. Knows no structure.

use crate::format::{Fault, SyntaxError};
use crate::secret::Secret;
use crate::tree::{Comment, Position, Span};

/// A place in a text, and the comments that were passed but belong to nothing yet.
#[derive(Clone)]
pub(super) struct Scanner<'a> {
    pub(super) text: &'a str,
    pub(super) at: usize,
    line: u32,
    line_start: usize,
    /// Last computed column: (byte, column). Columns count characters, so each is counted on from here.
    mark: (usize, u32),
}

impl<'a> Scanner<'a> {
    /// Begins behind a byte order mark.
    ///
    /// # Errors
    /// For a control character anywhere in the text, and for a carriage return without line feed.
    pub(super) fn new(text: &'a str) -> Result<Self, SyntaxError> {
        let at = if text.starts_with('\u{FEFF}') {
            '\u{FEFF}'.len_utf8()
        } else {
            0
        };
        let mut scanner = Self {
            text,
            at,
            line: 1,
            line_start: at,
            mark: (at, 1),
        };
        match text[at..]
            .char_indices()
            .find(|(place, each)| forbidden(&text[at + place..], *each))
        {
            None => Ok(scanner),
            Some((place, _)) => {
                while let Some(line_end) = scanner.text[scanner.at..at + place].find('\n') {
                    scanner.at += line_end;
                    scanner.line_break();
                }
                scanner.at = at + place;
                Err(scanner.malformed("a control character must be escaped in double quotes"))
            }
        }
    }

    pub(super) fn rest(&self) -> &'a str {
        &self.text[self.at..]
    }

    pub(super) fn peek(&self) -> Option<u8> {
        self.text.as_bytes().get(self.at).copied()
    }

    pub(super) fn peek_at(&self, ahead: usize) -> Option<u8> {
        self.text.as_bytes().get(self.at + ahead).copied()
    }

    /// Whether the byte `ahead` of the cursor is a blank, a line break or the end.
    pub(super) fn blank_at(&self, ahead: usize) -> bool {
        matches!(
            self.peek_at(ahead),
            None | Some(b' ' | b'\t' | b'\n' | b'\r')
        )
    }

    pub(super) fn at_line_end(&self) -> bool {
        matches!(self.peek(), None | Some(b'\n' | b'\r'))
    }

    /// Bytes since the start of the line; equals the indentation when only blanks stand before.
    pub(super) fn indent(&self) -> usize {
        self.at - self.line_start
    }

    /// Whether only blanks stand before the cursor on its line.
    pub(super) fn begins_line(&self) -> bool {
        self.text[self.line_start..self.at]
            .bytes()
            .all(|byte| byte == b' ' || byte == b'\t')
    }

    /// Whether a document marker (`---`, `...`) stands here.
    pub(super) fn at_marker(&self) -> bool {
        self.at == self.line_start
            && (self.rest().starts_with("---") || self.rest().starts_with("..."))
            && self.blank_at(3)
    }

    /// Steps over one line break, if there is one.
    pub(super) fn line_break(&mut self) -> bool {
        let length = match (self.peek(), self.peek_at(1)) {
            (Some(b'\n'), _) => 1,
            (Some(b'\r'), Some(b'\n')) => 2,
            _ => return false,
        };
        self.at += length;
        self.line += 1;
        self.line_start = self.at;
        self.mark = (self.at, 1);
        true
    }

    /// Steps over blanks within a line.
    pub(super) fn blanks(&mut self) {
        while matches!(self.peek(), Some(b' ' | b'\t')) {
            self.at += 1;
        }
    }

    pub(super) fn position(&mut self) -> Position {
        let (from, column) = self.mark;
        let passed = self.text[from..self.at].chars().count();
        let column = column.saturating_add(u32::try_from(passed).unwrap_or(u32::MAX));
        self.mark = (self.at, column);
        Position {
            line: self.line,
            column,
        }
    }

    pub(super) fn span_from(&self, start: usize) -> Span {
        Span {
            start,
            end: self.at,
        }
    }

    pub(super) fn malformed(&mut self, rule: &'static str) -> SyntaxError {
        SyntaxError {
            position: self.position(),
            fault: Fault::Malformed(rule),
        }
    }

    pub(super) fn unsupported(&mut self, what: &'static str) -> SyntaxError {
        SyntaxError {
            position: self.position(),
            fault: Fault::Unsupported(what),
        }
    }

    /// Reads the comment that begins here, up to the end of the line.
    ///
    /// # Errors
    /// When no blank separates it from what stands before.
    pub(super) fn comment(&mut self) -> Result<Comment, SyntaxError> {
        let before = self.text.as_bytes().get(self.at.wrapping_sub(1));
        if self.at > self.line_start && !matches!(before, Some(b' ' | b'\t')) {
            return Err(self.malformed("a comment needs a blank before its #"));
        }
        let (position, start, trailing) = (self.position(), self.at, !self.begins_line());
        let line = self.rest().split(['\n', '\r']).next().unwrap_or_default();
        self.at += line.len();
        let text = Secret::from_text(&line[1..]);
        Ok(Comment {
            text,
            position,
            span: self.span_from(start),
            trailing,
        })
    }

    /// Reads blanks, line breaks and comments up to the next content, a marker or the end; gives the
    /// comments.
    ///
    /// # Errors
    /// When a tab is used as indentation.
    pub(super) fn trivia(&mut self) -> Result<Vec<Comment>, SyntaxError> {
        let mut comments = Vec::new();
        loop {
            let begins_line = self.begins_line();
            let from = self.at;
            self.blanks();
            match self.peek() {
                Some(b'#') => comments.push(self.comment()?),
                Some(b'\n' | b'\r') => {
                    self.line_break();
                }
                Some(_) if begins_line && self.text[from..self.at].contains('\t') => {
                    return Err(self.malformed("a tab cannot indent; use blanks"));
                }
                _ => return Ok(comments),
            }
        }
    }

    /// Reads what may follow a finished value on its line: blanks and a comment.
    ///
    /// # Errors
    /// When something else follows.
    pub(super) fn end_of_line(&mut self) -> Result<Option<Comment>, SyntaxError> {
        self.blanks();
        let comment = if self.peek() == Some(b'#') {
            Some(self.comment()?)
        } else {
            None
        };
        if self.at_line_end() {
            return Ok(comment);
        }
        Err(self.malformed("nothing but a comment may follow the value on its line"))
    }
}

/// Whether `each`, the first character of `rest`, may not stand in a file.
fn forbidden(rest: &str, each: char) -> bool {
    match each {
        '\t' | '\n' | '\u{85}' => false,
        '\r' => !rest.starts_with("\r\n"),
        '\u{FEFF}' | '\u{FFFE}' | '\u{FFFF}' => true,
        _ => each.is_control(),
    }
}
