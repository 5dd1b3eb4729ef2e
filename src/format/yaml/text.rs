//! Scalars: where each style ends and what its text is.

use super::scan::Scanner;
use crate::format::SyntaxError;
use crate::secret::Secret;

/// Where a scalar stands, which decides where it ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Place {
    /// In block style; continuation lines are indented by more than this (-1 at the root).
    Block(isize),
    /// In block style as a key: on one line.
    Key,
    /// Within brackets or braces.
    Flow,
}

/// Reads a plain scalar; the cursor stands on its first character.
pub(super) fn plain(scan: &mut Scanner<'_>, place: Place) -> Result<Secret, SyntaxError> {
    check_plain_start(scan, place)?;
    let mut text = String::with_capacity(64);
    loop {
        let line = plain_line(scan, place)?;
        if text.capacity() - text.len() < line.len() {
            grow(&mut text, line.len());
        }
        text.push_str(line);
        let Some(breaks) = continuation(scan, place) else {
            return Ok(Secret::from(text));
        };
        if text.capacity() - text.len() <= breaks {
            grow(&mut text, breaks + 1);
        }
        fold(&mut text, breaks);
    }
}

/// Moves `text` to a larger buffer and wipes the old one.
pub(super) fn grow(text: &mut String, more: usize) {
    let mut larger = String::with_capacity(text.len() * 2 + more);
    larger.push_str(text);
    zeroize::Zeroize::zeroize(text);
    *text = larger;
}

fn fold(text: &mut String, breaks: usize) {
    if breaks == 1 {
        text.push(' ');
    } else {
        text.extend(std::iter::repeat_n('\n', breaks - 1));
    }
}

fn check_plain_start(scan: &mut Scanner<'_>, place: Place) -> Result<(), SyntaxError> {
    let next_is_safe =
        !scan.blank_at(1) && (place != Place::Flow || !is_flow_indicator(scan.peek_at(1)));
    match scan.peek() {
        Some(b'&') => Err(scan.unsupported("an anchor is")),
        Some(b'*') => Err(scan.unsupported("an alias is")),
        Some(b'!') => Err(scan.unsupported("a tag is")),
        Some(b'?') if !next_is_safe => Err(scan.unsupported("a complex key (\"? \") is")),
        Some(b'-') if !next_is_safe => Err(scan.malformed("a list item may not stand here")),
        Some(b':') if !next_is_safe => Err(scan.malformed("a key is missing before the colon")),
        Some(b'%' | b'@' | b'`' | b'|' | b'>') => {
            Err(scan.malformed("a text that begins with this character must be quoted"))
        }
        Some(b',' | b']' | b'}' | b'[' | b'{' | b'#' | b'"' | b'\'') | None => {
            Err(scan.malformed("a value is missing here"))
        }
        _ => Ok(()),
    }
}

pub(super) fn is_flow_indicator(byte: Option<u8>) -> bool {
    matches!(byte, Some(b',' | b'[' | b']' | b'{' | b'}'))
}

/// One line of a plain scalar without blanks at its end. The cursor stays behind its last character.
fn plain_line<'a>(scan: &mut Scanner<'a>, place: Place) -> Result<&'a str, SyntaxError> {
    let (start, mut end) = (scan.at, scan.at);
    while let Some(byte) = scan.peek() {
        match byte {
            b'\n' | b'\r' => break,
            b'#' if scan.at > end => break,
            b':' if scan.blank_at(1) && matches!(place, Place::Block(_)) => {
                return Err(scan.malformed("a map may not begin here; quote a text with a colon"));
            }
            b':' if scan.blank_at(1) => break,
            b':' if place == Place::Flow && is_flow_indicator(scan.peek_at(1)) => break,
            b',' | b'[' | b']' | b'{' | b'}' if place == Place::Flow => break,
            // Here SOPS takes it for the sign of a key.
            b'?' if place == Place::Flow => {
                let rule = "a text with a question mark must be quoted within brackets";
                return Err(scan.malformed(rule));
            }
            _ => {}
        }
        scan.at += 1;
        if byte != b' ' && byte != b'\t' {
            end = scan.at;
        }
    }
    scan.at = end;
    Ok(&scan.text[start..end])
}

/// Goes to the next line of a plain scalar; gives the number of line breaks passed, or stays.
fn continuation(scan: &mut Scanner<'_>, place: Place) -> Option<usize> {
    let before = scan.clone();
    let mut breaks = 0;
    loop {
        scan.blanks();
        if !scan.line_break() {
            break;
        }
        breaks += 1;
    }
    let goes_on = breaks > 0
        && scan.peek().is_some_and(|byte| byte != b'#')
        && !scan.at_marker()
        && match place {
            Place::Block(indent) => {
                isize::try_from(scan.indent()).is_ok_and(|column| column > indent)
            }
            Place::Flow => {
                let colon = scan.peek() == Some(b':')
                    && (scan.blank_at(1) || is_flow_indicator(scan.peek_at(1)));
                !is_flow_indicator(scan.peek()) && !colon
            }
            Place::Key => false,
        };
    if goes_on {
        return Some(breaks);
    }
    *scan = before;
    None
}

/// Reads a scalar in single quotes; the cursor stands on the first quote.
pub(super) fn single_quoted(scan: &mut Scanner<'_>, place: Place) -> Result<Secret, SyntaxError> {
    scan.at += 1;
    let mut text = Quoted::new(scan);
    loop {
        match scan.peek() {
            None => return Err(scan.malformed("a single quote is never closed")),
            Some(b'\'') if scan.peek_at(1) == Some(b'\'') => {
                scan.at += 2;
                text.push("'");
            }
            Some(b'\'') => {
                scan.at += 1;
                return Ok(text.finish());
            }
            Some(b' ' | b'\t' | b'\n' | b'\r') => text.blanks(scan, place)?,
            Some(_) => text.run(scan, &['\'', ' ', '\t', '\n', '\r']),
        }
    }
}

/// Reads a scalar in double quotes; the cursor stands on the first quote.
pub(super) fn double_quoted(scan: &mut Scanner<'_>, place: Place) -> Result<Secret, SyntaxError> {
    scan.at += 1;
    let mut text = Quoted::new(scan);
    loop {
        match scan.peek() {
            None => return Err(scan.malformed("a double quote is never closed")),
            Some(b'"') => {
                scan.at += 1;
                return Ok(text.finish());
            }
            Some(b'\\') if matches!(scan.peek_at(1), Some(b'\n' | b'\r')) => {
                scan.at += 1;
                text.escaped_break(scan, place)?;
            }
            Some(b'\\') => {
                let character = escape(scan)?;
                text.push(character.encode_utf8(&mut [0; 4]));
            }
            Some(b' ' | b'\t' | b'\n' | b'\r') => text.blanks(scan, place)?,
            Some(_) => text.run(scan, &['"', '\\', ' ', '\t', '\n', '\r']),
        }
    }
}

/// The text of a quoted scalar while it is read, in a buffer that never moves.
struct Quoted(String);

impl Quoted {
    fn new(scan: &Scanner<'_>) -> Self {
        // No escape is shorter than what it stands for, so the distance to the last possible quote
        // would do; the next line without any quote is a cheaper bound that grows when it must.
        let line = scan.rest().find('\n').unwrap_or(scan.rest().len());
        Self(String::with_capacity(line + 1))
    }

    fn push(&mut self, text: &str) {
        if self.0.capacity() - self.0.len() < text.len() {
            grow(&mut self.0, text.len());
        }
        self.0.push_str(text);
    }

    fn run(&mut self, scan: &mut Scanner<'_>, ends: &[char]) {
        let rest = scan.rest();
        let run = &rest[..rest.find(ends).unwrap_or(rest.len())];
        self.push(run);
        scan.at += run.len();
    }

    /// Blanks stay as they are within a line; around line breaks they go, and the breaks are folded.
    fn blanks(&mut self, scan: &mut Scanner<'_>, place: Place) -> Result<(), SyntaxError> {
        let start = scan.at;
        scan.blanks();
        if !scan.at_line_end() || scan.peek().is_none() {
            let blanks = &scan.text[start..scan.at];
            self.push(blanks);
            return Ok(());
        }
        match line_breaks(scan, place)? {
            1 => self.push(" "),
            breaks => self.push(&"\n".repeat(breaks - 1)),
        }
        Ok(())
    }

    fn escaped_break(&mut self, scan: &mut Scanner<'_>, place: Place) -> Result<(), SyntaxError> {
        let breaks = line_breaks(scan, place)?;
        self.push(&"\n".repeat(breaks - 1));
        Ok(())
    }

    fn finish(self) -> Secret {
        Secret::from(self.0)
    }
}

/// Steps over the line breaks within a quoted scalar and the blanks around them.
fn line_breaks(scan: &mut Scanner<'_>, place: Place) -> Result<usize, SyntaxError> {
    if place == Place::Key {
        return Err(scan.malformed("a key must stand on one line"));
    }
    let (mut breaks, mut indent) = (0, 0);
    while scan.line_break() {
        breaks += 1;
        if scan.at_marker() {
            return Err(scan.malformed("a quote is not closed before the end of the document"));
        }
        indent = scan.rest().bytes().take_while(|byte| *byte == b' ').count();
        scan.blanks();
    }
    let indented = match place {
        Place::Block(parent) => isize::try_from(indent).is_ok_and(|indent| indent > parent),
        Place::Flow | Place::Key => true,
    };
    if !indented && scan.peek().is_some() {
        return Err(scan.malformed("a quoted text of several lines must be indented"));
    }
    Ok(breaks)
}

fn escape(scan: &mut Scanner<'_>) -> Result<char, SyntaxError> {
    let digits = match scan.peek_at(1) {
        Some(b'x') => 2,
        Some(b'u') => 4,
        Some(b'U') => 8,
        letter => {
            let character = letter.and_then(simple_escape);
            let character =
                character.ok_or_else(|| scan.malformed("unknown escape in double quotes"))?;
            scan.at += 2;
            return Ok(character);
        }
    };
    let code = scan
        .rest()
        .get(2..2 + digits)
        .filter(|code| code.bytes().all(|byte| byte.is_ascii_hexdigit()));
    let character = code
        .and_then(|code| u32::from_str_radix(code, 16).ok())
        .and_then(char::from_u32);
    let character = character.ok_or_else(|| scan.malformed("not the code of a character"))?;
    scan.at += 2 + digits;
    Ok(character)
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
        b'/' => '/',
        b'\\' => '\\',
        b'N' => '\u{85}',
        b'_' => '\u{A0}',
        b'L' => '\u{2028}',
        b'P' => '\u{2029}',
        _ => return None,
    };
    Some(character)
}

/// What happens to the line breaks at the end of a block scalar.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Chomp {
    Strip,
    Clip,
    Keep,
}

/// The header of a block scalar: `|` or `>`, a digit for the indentation, a sign for the last breaks.
struct Header {
    folded: bool,
    chomp: Chomp,
    explicit: Option<usize>,
}

/// The parts of a block scalar.
pub(super) struct Block {
    /// Its content.
    pub(super) text: Secret,
    /// Behind its last byte, without the last line break.
    pub(super) end: usize,
    /// A comment behind the header.
    pub(super) comment: Option<crate::tree::Comment>,
    /// Whether it is folded (`>`).
    pub(super) folded: bool,
}

/// Reads a block scalar whose parent is indented by `parent`; the cursor stands on `|` or `>` and
/// afterwards on the line break behind the content.
pub(super) fn block(scan: &mut Scanner<'_>, parent: isize) -> Result<Block, SyntaxError> {
    let header = header(scan)?;
    let comment = scan.end_of_line()?;
    let mut end = scan.at;
    let mut after = scan.clone();
    after.line_break();
    let least = usize::try_from(parent + 1).unwrap_or(0);
    let indent = match header.explicit {
        Some(more) => usize::try_from(parent.max(0)).unwrap_or(0) + more,
        None => detect_indent(&after, least)?,
    };
    let mut lines: Vec<&str> = Vec::new();
    let mut filled = 0;
    while after.at < after.text.len() {
        let line = after.rest().split('\n').next().unwrap_or_default();
        let line = line.strip_suffix('\r').unwrap_or(line);
        let blanks = line.bytes().take_while(|byte| *byte == b' ').count();
        if blanks < indent && blanks < line.len() {
            break;
        }
        if blanks == 0 && after.at_marker() {
            break;
        }
        lines.push(line.get(indent..).unwrap_or_default());
        if blanks < line.len() || line.len() > indent {
            filled = lines.len();
        }
        after.at += line.len();
        if filled == lines.len() || header.chomp == Chomp::Keep {
            end = after.at;
            *scan = after.clone();
        }
        if !after.line_break() {
            break;
        }
    }
    let ends_with_break = after.text.as_bytes().get(end).is_some();
    let text = content(&lines, filled, &header, ends_with_break);
    Ok(Block {
        text,
        end,
        comment,
        folded: header.folded,
    })
}

fn header(scan: &mut Scanner<'_>) -> Result<Header, SyntaxError> {
    let mut header = Header {
        folded: scan.peek() == Some(b'>'),
        chomp: Chomp::Clip,
        explicit: None,
    };
    scan.at += 1;
    let mut chomped = false;
    loop {
        match scan.peek() {
            Some(sign @ (b'+' | b'-')) if !chomped => {
                header.chomp = if sign == b'+' {
                    Chomp::Keep
                } else {
                    Chomp::Strip
                };
                chomped = true;
            }
            Some(digit @ b'1'..=b'9') if header.explicit.is_none() => {
                header.explicit = Some(usize::from(digit - b'0'));
            }
            _ if scan.blank_at(0) => return Ok(header),
            _ => return Err(scan.malformed("a block text begins on the next line")),
        }
        scan.at += 1;
    }
}

/// The indentation of the first line that is not blank.
fn detect_indent(scan: &Scanner<'_>, least: usize) -> Result<usize, SyntaxError> {
    let (mut look, mut longest) = (scan.clone(), 0);
    loop {
        while look.peek() == Some(b' ') {
            look.at += 1;
        }
        if !look.at_line_end() {
            break;
        }
        longest = longest.max(look.indent());
        if !look.line_break() {
            return Ok(longest.max(least));
        }
    }
    let indent = look.indent();
    if look.peek() == Some(b'\t') && indent < least {
        return Err(look.malformed("a tab cannot indent; use blanks"));
    }
    if indent < least {
        // The block is empty: what follows belongs to the parent.
        return Ok(longest.max(least));
    }
    if longest > indent {
        return Err(look.malformed("a blank line before it is indented by more than the text"));
    }
    Ok(indent)
}

fn content(lines: &[&str], filled: usize, header: &Header, ends_with_break: bool) -> Secret {
    let size: usize = lines.iter().map(|line| line.len() + 1).sum();
    let mut text = String::with_capacity(size + 1);
    let body = &lines[..filled];
    if header.folded {
        folded_body(&mut text, body);
    } else {
        for (place, line) in body.iter().enumerate() {
            if place > 0 {
                text.push('\n');
            }
            text.push_str(line);
        }
    }
    let last_break = filled > 0 && (ends_with_break || lines.len() > filled);
    match header.chomp {
        Chomp::Strip => {}
        Chomp::Clip if last_break => text.push('\n'),
        Chomp::Clip => {}
        Chomp::Keep => {
            let blank = lines.len() - filled;
            let breaks = usize::from(last_break) + blank;
            // The last line counts only when a line break ends it.
            let open = usize::from(!ends_with_break && blank > 0);
            text.extend(std::iter::repeat_n('\n', breaks - open));
        }
    }
    Secret::from(text)
}

/// Joins lines with blanks, except around lines that are indented further, and keeps blank lines.
fn folded_body<'a>(text: &mut String, lines: &[&'a str]) {
    let spaced = |line: &str| line.starts_with([' ', '\t']);
    let mut previous: Option<&'a str> = None;
    let mut breaks = 0;
    for &line in lines {
        breaks += 1;
        if line.is_empty() {
            continue;
        }
        match previous {
            None => text.extend(std::iter::repeat_n('\n', breaks - 1)),
            Some(before) if spaced(before) || spaced(line) => {
                text.extend(std::iter::repeat_n('\n', breaks));
            }
            Some(_) => fold(text, breaks),
        }
        text.push_str(line);
        (previous, breaks) = (Some(line), 0);
    }
}
