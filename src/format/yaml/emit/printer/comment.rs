//! Comments on the page: when each kind is written, and how.

use super::{Printer, Waiting};
use crate::format::yaml::emit::EmitError;
use crate::format::yaml::emit::place::Record;
use crate::format::yaml::emit::style::is_break;
use crate::tree::Span;

impl<'a> Printer<'a> {
    /// Behind the header of a block text there is room for one line of comment: a second would be read as
    /// text. More go below it.
    pub(super) fn keep_one_line_behind(&mut self) {
        let broken = |waiting: &Waiting<'_>| {
            let text = waiting.comment.text.expose_text();
            text.is_some_and(|text| text.contains(is_break))
        };
        if self.behind.len() > 1 || self.behind.iter().any(broken) {
            let behind = std::mem::take(&mut self.behind);
            self.foot.splice(0..0, behind);
        }
    }

    pub(super) fn write_head(&mut self) -> Result<(), EmitError> {
        if !self.tail.is_empty() {
            let tail = std::mem::take(&mut self.tail);
            self.start_line();
            self.comments(&tail)?;
            self.foot_indent = self.indent.max(0);
        }
        if !self.head.is_empty() {
            let head = std::mem::take(&mut self.head);
            self.start_line();
            self.comments(&head)?;
        }
        Ok(())
    }

    pub(super) fn write_behind(&mut self) -> Result<(), EmitError> {
        if self.behind.is_empty() {
            return Ok(());
        }
        let behind = std::mem::take(&mut self.behind);
        if !self.blank {
            self.put(' ');
        }
        self.comments(&behind)
    }

    pub(super) fn write_foot(&mut self) -> Result<(), EmitError> {
        if self.foot.is_empty() {
            return Ok(());
        }
        let foot = std::mem::take(&mut self.foot);
        self.start_line();
        self.comments(&foot)?;
        self.foot_indent = self.indent.max(0);
        Ok(())
    }

    /// Prints comments one below the other. A line break in one begins another comment line.
    pub(super) fn comments(&mut self, waiting: &[Waiting<'a>]) -> Result<(), EmitError> {
        let mut broken = false;
        for (place, Waiting { comment, record }) in waiting.iter().enumerate() {
            let text = comment
                .text
                .expose_text()
                .ok_or(EmitError::CommentNotText)?;
            if place > 0 {
                if !broken {
                    self.put_break('\n');
                }
                self.start_line();
            }
            let (position, start) = (self.position(), self.text.len());
            broken = self.comment(text);
            let end = self.text.trim_end_matches(is_break).len().max(start + 1);
            let span = Span { start, end };
            self.keep(
                *record,
                Record {
                    position,
                    span,
                    ..Record::default()
                },
            );
        }
        if !broken {
            self.put_break('\n');
        }
        self.blank = true;
        Ok(())
    }

    /// Whether the comment ended in a line break.
    pub(super) fn comment(&mut self, text: &str) -> bool {
        self.put('#');
        self.fresh = false;
        let mut broken = false;
        for each in text.chars() {
            if is_break(each) {
                self.put_break(each);
                broken = true;
                continue;
            }
            if std::mem::take(&mut broken) {
                self.start_line();
                if each != '#' {
                    self.push("# ");
                }
            }
            self.put(each);
            self.fresh = false;
        }
        broken
    }
}
