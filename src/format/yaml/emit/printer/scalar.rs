//! Scalars on the page, in each style.

use super::{Context, Printer};
use crate::format::yaml::emit::EmitError;
use crate::format::yaml::emit::place::Record;
use crate::format::yaml::emit::style::{Ready, is_break, is_printable};
use crate::tree::{Span, Style};

impl Printer<'_> {
    pub(super) fn scalar(
        &mut self,
        ready: &Ready<'_>,
        context: Context,
    ) -> Result<Record, EmitError> {
        if !self.blank {
            self.put(' ');
            self.blank = true;
        }
        let (position, start) = (self.position(), self.text.len());
        if let Some(tag) = ready.tag {
            self.indicator(tag, true, false, false);
        }
        let outer = self.deeper(context);
        match ready.style {
            Style::SingleQuoted => self.single_quoted(&ready.text),
            Style::DoubleQuoted => self.double_quoted(&ready.text),
            Style::Literal | Style::Folded => self.literal(&ready.text, outer)?,
            Style::Plain => self.plain(&ready.text),
        }
        self.indent = outer;
        let mut end = self.text.len();
        // A block text ends before its last line break.
        if self.text.ends_with('\n') {
            end -= 1;
        }
        Ok(Record {
            position,
            span: Span { start, end },
            style: Some(ready.style),
            ..Record::default()
        })
    }

    fn plain(&mut self, text: &str) {
        if !self.blank {
            self.put(' ');
        }
        self.push(text);
        (self.blank, self.fresh) = (false, false);
    }

    fn single_quoted(&mut self, text: &str) {
        self.indicator("'", true, false, false);
        let mut broken = false;
        for each in text.chars() {
            if is_break(each) {
                self.put_break(each);
                broken = true;
                continue;
            }
            if std::mem::take(&mut broken) {
                self.start_line();
            }
            if each == '\'' {
                self.put(each);
            }
            self.put(each);
            self.fresh = false;
        }
        self.indicator("'", false, false, false);
    }

    fn double_quoted(&mut self, text: &str) {
        self.indicator("\"", true, false, false);
        for each in text.chars() {
            let stays = is_printable(each) && !is_break(each) && each != '"' && each != '\\';
            if stays {
                self.put(each);
            } else {
                self.escape(each);
            }
        }
        self.indicator("\"", false, false, false);
    }

    fn escape(&mut self, each: char) {
        let letter = match each {
            '\0' => '0',
            '\u{7}' => 'a',
            '\u{8}' => 'b',
            '\t' => 't',
            '\n' => 'n',
            '\u{B}' => 'v',
            '\u{C}' => 'f',
            '\r' => 'r',
            '\u{1B}' => 'e',
            '"' => '"',
            '\\' => '\\',
            '\u{85}' => 'N',
            '\u{2028}' => 'L',
            '\u{2029}' => 'P',
            _ => {
                let code = u32::from(each);
                let escape = match code {
                    ..0x100 => format!("\\x{code:02X}"),
                    0x100..0x1_0000 => format!("\\u{code:04X}"),
                    _ => format!("\\U{code:08X}"),
                };
                self.push(&escape);
                return;
            }
        };
        self.put('\\');
        self.put(letter);
    }

    /// Prints a block text below a key or dash that stands `outer` blanks deep.
    fn literal(&mut self, text: &str, outer: isize) -> Result<(), EmitError> {
        self.indicator("|", true, false, false);
        if text.starts_with(' ') || text.starts_with(is_break) {
            let digit = (self.indent - outer.max(0)).to_string();
            self.indicator(&digit, false, false, false);
        }
        let mut end = text.chars().rev();
        let (last, before) = (end.next(), end.next());
        if !last.is_some_and(is_break) {
            self.indicator("-", false, false, false);
        } else if before.is_none_or(is_break) {
            self.indicator("+", false, false, false);
        }
        self.keep_one_line_behind();
        if self.behind.is_empty() {
            self.put_break('\n');
        } else {
            self.write_behind()?;
        }
        self.blank = true;
        let mut broken = true;
        for each in text.chars() {
            if is_break(each) {
                self.put_break(each);
                broken = true;
                continue;
            }
            if std::mem::take(&mut broken) {
                self.start_line();
            }
            self.put(each);
            self.fresh = false;
        }
        Ok(())
    }
}
