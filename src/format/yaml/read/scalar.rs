//! Scalars of every style: where they end, and what their text is.

use zeroize::Zeroizing;

use super::scan::Scan;
use super::token::{Mark, Sort, Text, Token};
use crate::format::SyntaxError;
use crate::format::run::run_without;
use crate::format::yaml::text::grow;
use crate::tree::{Span, Style};

/// Text that is put together, in a buffer whose former places are wiped.
#[derive(Default)]
struct Made(Zeroizing<String>);

impl Made {
    fn push(&mut self, text: &str) {
        if self.0.capacity() - self.0.len() < text.len() {
            grow(&mut self.0, text.len().max(64));
        }
        self.0.push_str(text);
    }
}

/// Line breaks between two lines of a scalar: the first decides whether they are folded.
#[derive(Default)]
struct Breaks {
    first: Option<&'static str>,
    more: String,
}

impl Breaks {
    fn add(&mut self, line_break: &'static str) {
        if self.first.is_none() {
            self.first = Some(line_break);
        } else {
            self.more.push_str(line_break);
        }
    }

    /// Puts what the breaks stand for behind `made`.
    fn fold(&mut self, made: &mut Made) {
        match self.first.take() {
            Some("\n") if self.more.is_empty() => made.push(" "),
            Some("\n") | None => made.push(&self.more),
            Some(other) => {
                made.push(other);
                made.push(&self.more);
            }
        }
        self.more.clear();
    }
}

impl Scan<'_> {
    /// Steps over a line break; gives what it reads as.
    fn take_break(&mut self) -> &'static str {
        let read = match (self.byte(0), self.byte(2)) {
            (0xE2, 0xA8) => "\u{2028}",
            (0xE2, _) => "\u{2029}",
            _ => "\n",
        };
        self.skip_break();
        read
    }

    fn scalar(&mut self, start: Mark, end: usize, style: Style, text: Text) {
        let mut token = Token::at(Sort::Scalar, start, end);
        (token.style, token.text) = (style, text);
        self.tokens.push_back(token);
    }

    /// Reads a scalar without quotes. Gives whether line breaks behind it were passed.
    pub(super) fn plain_scalar(&mut self) -> Result<bool, SyntaxError> {
        let start = self.mark();
        let indent = self.indent + 1;
        let mut made: Option<Made> = None;
        let mut breaks = Breaks::default();
        let (mut from, mut end) = (self.at, self.at);
        loop {
            if self.at == self.line_start && self.marker().is_some() || self.byte(0) == b'#' {
                break;
            }
            let run = self.at;
            self.plain_run();
            if self.at > run {
                self.newlines = 0;
                if breaks.first.is_some() {
                    let made = made.get_or_insert_default();
                    made.push(&self.text[from..end]);
                    breaks.fold(made);
                    from = run;
                }
                end = self.at;
            }
            if self.ends_at(0) || !self.gap_at(0) {
                break;
            }
            self.plain_gap(start, indent, &mut breaks)?;
            if !self.in_flow() && self.column() < indent {
                break;
            }
        }
        let line = Span { start: from, end };
        let text = match made {
            None => Text::As(line),
            Some(mut made) => {
                made.push(&self.text[from..end]);
                Text::Made(made.0)
            }
        };
        self.scalar(start, end, Style::Plain, text);
        Ok(breaks.first.is_some())
    }

    /// Passes characters that belong to a plain scalar, without blanks.
    fn plain_run(&mut self) {
        let flow = self.in_flow();
        let special = |byte: u8| {
            let gap = (byte <= b' ') | (byte == 0xC2) | (byte == 0xE2);
            let sign = (byte == b',') | (byte == b'?');
            let bracket = (byte == b'[') | (byte == b']') | (byte == b'{') | (byte == b'}');
            gap | (flow & (sign | bracket))
        };
        let start = self.at;
        loop {
            self.at += run_without(self.bytes.get(self.at..).unwrap_or_default(), special);
            match self.byte(0) {
                b',' | b'?' | b'[' | b']' | b'{' | b'}' => return,
                _ if self.gap_at(0) => break,
                _ => self.at += 1,
            }
        }
        // Since there is no gap before, only a colon at the very end can have one behind it.
        if self.at > start && self.bytes.get(self.at - 1) == Some(&b':') {
            self.at -= 1;
        }
    }

    /// Passes blanks and line breaks within or behind a plain scalar.
    fn plain_gap(
        &mut self,
        start: Mark,
        indent: isize,
        breaks: &mut Breaks,
    ) -> Result<(), SyntaxError> {
        loop {
            if self.blank_at(0) {
                let indents = breaks.first.is_some() && self.column() < indent;
                if indents && self.byte(0) == b'\t' {
                    return Err(self.malformed_at(start, "a tab cannot indent; use blanks"));
                }
                self.skip_blank();
            } else if self.break_at(0) > 0 {
                let read = self.take_break();
                breaks.add(read);
            } else {
                return Ok(());
            }
        }
    }

    /// Reads a scalar in quotes.
    pub(super) fn quoted_scalar(&mut self) -> Result<(), SyntaxError> {
        let start = self.mark();
        let quote = self.byte(0);
        self.skip(1);
        let style = if quote == b'"' {
            Style::DoubleQuoted
        } else {
            Style::SingleQuoted
        };
        let text = match self.simple_quoted(quote) {
            Some(span) => Text::As(span),
            None => self.made_quoted(start, quote)?,
        };
        self.skip(1);
        self.scalar(start, self.at, style, text);
        Ok(())
    }

    /// The inside of quotes that needs no work: on one line, without escapes. Steps to the last quote.
    fn simple_quoted(&mut self, quote: u8) -> Option<Span> {
        let rest = self.bytes.get(self.at..)?;
        let special = |byte: u8| {
            let is_end = (byte == quote) | (byte == b'\\');
            is_end | (byte == b'\n') | (byte == b'\r') | (byte == 0xC2) | (byte == 0xE2)
        };
        let length = run_without(rest, special);
        let closes = rest.get(length) == Some(&quote);
        if !closes || (quote == b'\'' && rest.get(length + 1) == Some(&b'\'')) {
            return None;
        }
        let start = self.at;
        self.at += length;
        let end = self.at;
        Some(Span { start, end })
    }

    fn made_quoted(&mut self, start: Mark, quote: u8) -> Result<Text, SyntaxError> {
        let mut made = Made::default();
        loop {
            if self.at == self.line_start && self.marker().is_some() {
                return Err(self.malformed_at(
                    start,
                    "a quote is not closed before the end of the document",
                ));
            }
            if self.ends_at(0) {
                return Err(self.malformed_at(start, "a quote is never closed"));
            }
            let mut breaks = Breaks::default();
            let escaped = self.quoted_run(start, quote, &mut made)?;
            if !escaped && self.byte(0) == quote {
                return Ok(Text::Made(made.0));
            }
            let blanks = self.at;
            let mut folds = escaped;
            let mut inline = blanks;
            while self.blank_at(0) || self.break_at(0) > 0 {
                if self.blank_at(0) {
                    self.skip_blank();
                    if !folds {
                        inline = self.at;
                    }
                } else {
                    let read = self.take_break();
                    if escaped && breaks.first.is_none() {
                        // An escaped line break stands for nothing; further ones stay.
                        breaks.more.push_str(read);
                    } else {
                        breaks.add(read);
                    }
                    folds = true;
                }
            }
            if folds {
                breaks.fold(&mut made);
            } else {
                made.push(&self.text[blanks..inline]);
            }
        }
    }

    /// Reads up to a blank, a line break or the last quote. Gives whether an escaped line break was passed.
    fn quoted_run(&mut self, start: Mark, quote: u8, made: &mut Made) -> Result<bool, SyntaxError> {
        while !self.gap_at(0) {
            let byte = self.byte(0);
            if byte == b'\'' && quote == b'\'' && self.byte(1) == b'\'' {
                made.push("'");
                self.skip(2);
            } else if byte == quote {
                return Ok(false);
            } else if byte == b'\\' && quote == b'"' {
                if self.break_at(1) > 0 {
                    self.skip(1);
                    self.skip_break();
                    return Ok(true);
                }
                self.escape(start, made)?;
            } else {
                let from = self.at;
                self.skip(1);
                while !self.gap_at(0) && !matches!(self.byte(0), b'\'' | b'"' | b'\\') {
                    self.at += 1;
                }
                made.push(&self.text[from..self.at]);
            }
        }
        Ok(false)
    }

    fn escape(&mut self, start: Mark, made: &mut Made) -> Result<(), SyntaxError> {
        let letter = self.byte(1);
        let digits = match letter {
            b'x' => 2,
            b'u' => 4,
            b'U' => 8,
            _ => 0,
        };
        let character = if digits > 0 {
            let code = self.text.get(self.at + 2..self.at + 2 + digits);
            let code = code.filter(|code| code.bytes().all(|byte| byte.is_ascii_hexdigit()));
            let code = code.and_then(|code| u32::from_str_radix(code, 16).ok());
            code.and_then(char::from_u32)
        } else {
            simple_escape(letter)
        };
        let character =
            character.ok_or_else(|| self.malformed_at(start, "unknown escape in double quotes"))?;
        made.push(character.encode_utf8(&mut [0; 4]));
        self.skip(2 + digits);
        Ok(())
    }

    /// Reads a block text.
    pub(super) fn block_scalar(&mut self) -> Result<(), SyntaxError> {
        let start = self.mark();
        self.outdented |= !self.in_flow() && self.column() <= self.indent;
        let literal = self.byte(0) == b'|';
        let (chomp, explicit) = self.block_header(start)?;
        while self.blank_at(0) {
            self.skip_blank();
        }
        let header_end = self.at;
        if self.byte(0) == b'#' {
            self.line_remark(start.at);
        }
        if self.break_at(0) > 0 {
            self.skip_break();
        } else if !self.ends_at(0) {
            return Err(self.malformed_at(start, "a block text begins on the next line"));
        }
        let mut lines = BlockLines {
            start,
            literal,
            indent: explicit.map_or(0, |more| self.indent.max(0) + more),
            made: Made::default(),
            first_break: None,
            breaks: String::new(),
            was_blank: false,
            end: header_end,
        };
        self.block_lines(&mut lines)?;
        let BlockLines {
            mut made,
            first_break,
            breaks,
            mut end,
            ..
        } = lines;
        if chomp >= 0 {
            made.push(first_break.unwrap_or_default());
        }
        if chomp > 0 {
            made.push(&breaks);
            // Empty lines at the end belong to the text, but for the last line break.
            let until = self.text[..self.line_start].strip_suffix('\n');
            let until = until.map_or(self.line_start, |text| {
                text.strip_suffix('\r').unwrap_or(text).len()
            });
            end = end.max(until);
        }
        let style = if literal {
            Style::Literal
        } else {
            Style::Folded
        };
        self.scalar(start, end, style, Text::Made(made.0));
        Ok(())
    }

    /// The sign and digit behind `|` or `>`: what happens to the last line breaks, and the indentation.
    fn block_header(&mut self, start: Mark) -> Result<(i8, Option<isize>), SyntaxError> {
        self.skip(1);
        let (mut chomp, mut explicit) = (None, None);
        loop {
            match self.byte(0) {
                b'+' if chomp.is_none() => chomp = Some(1),
                b'-' if chomp.is_none() => chomp = Some(-1),
                b'0' if explicit.is_none() => {
                    return Err(self.malformed_at(start, "a block text is indented by at least 1"));
                }
                digit @ b'1'..=b'9' if explicit.is_none() => {
                    explicit = Some(isize::from(digit - b'0'));
                }
                _ => return Ok((chomp.unwrap_or(0), explicit)),
            }
            self.skip(1);
        }
    }

    fn block_lines(&mut self, lines: &mut BlockLines) -> Result<(), SyntaxError> {
        self.block_gap(lines)?;
        while self.column() == lines.indent && !self.ends_at(0) {
            let blank = self.blank_at(0);
            let folds =
                !lines.literal && !lines.was_blank && !blank && lines.first_break == Some("\n");
            if folds {
                if lines.breaks.is_empty() {
                    lines.made.push(" ");
                }
            } else {
                lines.made.push(lines.first_break.unwrap_or_default());
            }
            lines.first_break = None;
            lines.made.push(&lines.breaks);
            lines.breaks.clear();
            lines.was_blank = blank;
            let from = self.at;
            self.skip_line_rest();
            lines.made.push(&self.text[from..self.at]);
            lines.end = self.at;
            if self.break_at(0) > 0 {
                lines.first_break = Some(self.take_break());
            }
            self.block_gap(lines)?;
        }
        Ok(())
    }

    /// Passes the indentation and empty lines before the next line of a block text.
    fn block_gap(&mut self, lines: &mut BlockLines) -> Result<(), SyntaxError> {
        let mut deepest = 0;
        loop {
            let unknown = lines.indent == 0;
            while (unknown || self.column() < lines.indent) && self.byte(0) == b' ' {
                self.skip_blank();
            }
            deepest = deepest.max(self.column());
            if (unknown || self.column() < lines.indent) && self.byte(0) == b'\t' {
                return Err(self.malformed_at(lines.start, "a tab cannot indent; use blanks"));
            }
            if self.break_at(0) == 0 {
                break;
            }
            let read = self.take_break();
            lines.breaks.push_str(read);
        }
        if lines.indent == 0 {
            lines.indent = deepest.max(self.indent + 1).max(1);
        }
        Ok(())
    }
}

/// The lines of a block text while they are read.
struct BlockLines {
    start: Mark,
    literal: bool,
    /// 0 until it is known.
    indent: isize,
    made: Made,
    /// The line break of the last line with content.
    first_break: Option<&'static str>,
    /// Those of the empty lines behind it.
    breaks: String,
    /// Whether the last line began with a blank.
    was_blank: bool,
    /// Behind the last line with content.
    end: usize,
}

fn simple_escape(letter: u8) -> Option<char> {
    let character = match letter {
        b'0' => '\0',
        b'a' => '\u{7}',
        b'b' => '\u{8}',
        b't' | b'\t' => '\t',
        b'n' => '\n',
        b'v' => '\u{B}',
        b'f' => '\u{C}',
        b'r' => '\r',
        b'e' => '\u{1B}',
        b' ' => ' ',
        b'"' => '"',
        b'\'' => '\'',
        b'\\' => '\\',
        b'N' => '\u{85}',
        b'_' => '\u{A0}',
        b'L' => '\u{2028}',
        b'P' => '\u{2029}',
        _ => return None,
    };
    Some(character)
}
