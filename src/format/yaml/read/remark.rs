//! Comments on lines of their own: which of them are below what was read, and which above what follows.

use super::scan::Scan;
use super::token::{Mark, Remark, Side, Sort};
use crate::tree::Span;

/// Blanks and empty lines that are looked through behind a comment.
const LOOK: usize = 512;

/// Comments while they are gathered.
struct Gathering {
    scan: usize,
    token: usize,
    /// Its column is counted from 1.
    start: Mark,
    lines: Vec<Span>,
}

impl Scan<'_> {
    /// Reads the comments that begin here, up to the next content. `from` is where the search began.
    pub(super) fn block_remarks(&mut self, from: Mark) {
        let owner = self.owner();
        let mut gathering = Gathering {
            scan: from.at,
            token: owner.map_or(0, |(_, at)| at),
            start: Mark::default(),
            lines: Vec::new(),
        };
        let behind_colon = owner.is_some_and(|(sort, _)| sort == Sort::Value);
        let indent = usize::try_from(self.indent).unwrap_or(0);
        let foot_line = self.foot_line(from);
        let mut recent_empty = false;
        let mut first_empty = self.newlines <= 1;
        let (mut line, mut column) = (self.line, self.at - self.line_start);
        let mut ahead = 0;
        while ahead < LOOK {
            column += 1;
            if self.blank_at(ahead) {
                ahead += 1;
                continue;
            }
            let closes = self.in_flow() && matches!(self.byte(ahead), b']' | b'}');
            let breaks = self.break_at(ahead) > 0;
            if closes || breaks || self.ends_at(ahead) {
                let dedented = gathering.start.column <= indent;
                let below = Some(gathering.start.line) == foot_line && !behind_colon;
                let foot = closes || first_empty && (below || dedented);
                if (closes || !recent_empty) && foot && !gathering.lines.is_empty() {
                    if dedented {
                        gathering.token = gathering.start.at;
                    }
                    self.below(&mut gathering, ahead);
                }
                if !breaks {
                    break;
                }
                (first_empty, recent_empty, column) = (false, true, 0);
                line += 1;
                ahead += 1;
                continue;
            }
            let dedents = column <= indent && column != gathering.start.column;
            if !gathering.lines.is_empty() && dedents {
                self.below(&mut gathering, ahead);
            }
            if self.byte(ahead) != b'#' {
                break;
            }
            if gathering.lines.is_empty() {
                let at = self.at + ahead;
                gathering.start = Mark { at, line, column };
            }
            recent_empty = false;
            gathering.lines.push(self.remark_line(ahead));
            // The look goes on behind the first byte of the line break.
            (ahead, column, line) = (1, 0, self.line);
        }
        self.above(gathering, ahead);
    }

    /// The token that comments may be below of.
    fn owner(&self) -> Option<(Sort, usize)> {
        let mut back = self.tokens.iter().rev();
        let last = back.next()?;
        let token = if last.sort == Sort::Comma {
            back.next().unwrap_or(last)
        } else {
            last
        };
        Some((token.sort, token.start.at))
    }

    /// The line on which a comment must begin to be below what was read.
    fn foot_line(&self, from: Mark) -> Option<usize> {
        if from.line == 0 {
            return None;
        }
        let below = self.newlines == 0 && self.at - self.line_start > 1;
        Some((self.line + 1 + usize::from(below)).saturating_sub(self.newlines))
    }

    fn below(&mut self, gathering: &mut Gathering, ahead: usize) {
        let end = self.at + ahead;
        self.remarks.push_back(Remark {
            side: Side::Foot,
            lines: std::mem::take(&mut gathering.lines),
            scan: gathering.scan,
            token: gathering.token,
            start: gathering.start,
            end,
        });
        (gathering.scan, gathering.token) = (end, end);
    }

    fn above(&mut self, gathering: Gathering, ahead: usize) {
        if gathering.lines.is_empty() {
            return;
        }
        self.remarks.push_back(Remark {
            side: Side::Head,
            lines: gathering.lines,
            scan: gathering.scan,
            token: gathering.start.at,
            start: gathering.start,
            end: (self.at + ahead).saturating_sub(1),
        });
    }

    /// Goes to the comment `ahead` and reads it to the end of its line.
    fn remark_line(&mut self, ahead: usize) -> Span {
        let start = self.at + ahead;
        while self.at < start {
            if self.break_at(0) > 0 {
                self.skip_break();
            } else {
                self.skip_blank();
            }
        }
        self.skip_line_rest();
        self.comments += 1;
        let end = self.at;
        Span { start, end }
    }
}
