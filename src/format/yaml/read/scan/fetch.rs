//! One function per kind of token.

use super::{Candidate, DEPTH, Scan};
use crate::format::yaml::read::token::{Sort, Text, Token};
use crate::format::{Fault, SyntaxError};
use crate::tree::Span;

impl Scan<'_> {
    pub(super) fn fetch_token(&mut self, first: u8) -> Result<(), SyntaxError> {
        let gap = self.gap_at(1);
        match first {
            b'[' => self.open(Sort::Bracket),
            b'{' => self.open(Sort::Brace),
            b']' => self.close(Sort::BracketEnd),
            b'}' => self.close(Sort::BraceEnd),
            b',' => self.comma(),
            b'-' if gap => self.dash(),
            b'?' if gap || self.in_flow() => self.explicit_key(),
            b':' if gap || self.in_flow() => self.colon(),
            b'*' => self.name(Sort::Alias),
            b'&' => self.name(Sort::Anchor),
            b'!' => self.tag(),
            b'|' | b'>' if !self.in_flow() => {
                self.drop_key()?;
                self.key_allowed = true;
                self.block_scalar()
            }
            b'\'' | b'"' => {
                self.save_key()?;
                self.key_allowed = false;
                self.quoted_scalar()
            }
            b'\t' | b'#' | b'|' | b'>' | b'%' | b'@' | b'`' => {
                Err(self.malformed("no value may begin with this character; quote it"))
            }
            _ => {
                self.save_key()?;
                self.key_allowed = false;
                if self.plain_scalar()? {
                    self.key_allowed = true;
                }
                Ok(())
            }
        }
    }

    fn open(&mut self, sort: Sort) -> Result<(), SyntaxError> {
        self.save_key()?;
        let mark = self.mark();
        self.candidates.push(Candidate {
            number: self.taken + self.tokens.len(),
            mark,
            ..Candidate::default()
        });
        if self.flow_level() > DEPTH {
            return Err(self.too_deep());
        }
        self.key_allowed = true;
        self.skip(1);
        self.push(sort, mark);
        Ok(())
    }

    pub(in crate::format::yaml::read) fn too_deep(&mut self) -> SyntaxError {
        let mark = self.mark();
        SyntaxError {
            position: self.position(mark),
            fault: Fault::Unsupported("nesting deeper than 500 levels is"),
        }
    }

    fn close(&mut self, sort: Sort) -> Result<(), SyntaxError> {
        self.drop_key()?;
        if self.in_flow() {
            self.candidates.pop();
        }
        self.key_allowed = false;
        self.one(sort)
    }

    fn one(&mut self, sort: Sort) -> Result<(), SyntaxError> {
        let mark = self.mark();
        self.skip(1);
        self.push(sort, mark);
        Ok(())
    }

    fn comma(&mut self) -> Result<(), SyntaxError> {
        self.drop_key()?;
        self.key_allowed = true;
        self.one(Sort::Comma)
    }

    fn dash(&mut self) -> Result<(), SyntaxError> {
        if !self.in_flow() {
            if !self.key_allowed {
                return Err(self.malformed("a list item may not stand here"));
            }
            self.roll(self.mark(), None, Sort::ListStart)?;
        }
        self.drop_key()?;
        self.key_allowed = true;
        self.one(Sort::Dash)
    }

    fn explicit_key(&mut self) -> Result<(), SyntaxError> {
        if !self.in_flow() {
            if !self.key_allowed {
                return Err(self.malformed("a key may not stand here"));
            }
            self.roll(self.mark(), None, Sort::MapStart)?;
        }
        self.drop_key()?;
        self.key_allowed = !self.in_flow();
        self.one(Sort::Key)
    }

    fn colon(&mut self) -> Result<(), SyntaxError> {
        let last = self.candidates.len() - 1;
        if self.is_key(last)? {
            let Candidate { number, mark, .. } = self.candidates[last];
            let place = number - self.taken;
            self.tokens
                .insert(place, Token::at(Sort::Key, mark, mark.at));
            self.roll(mark, Some(place), Sort::MapStart)?;
            self.candidates[last].possible = false;
            self.key_allowed = false;
        } else {
            if !self.in_flow() {
                if !self.key_allowed {
                    return Err(
                        self.malformed("a map may not begin here; quote a text with a colon")
                    );
                }
                self.roll(self.mark(), None, Sort::MapStart)?;
            }
            self.key_allowed = !self.in_flow();
        }
        self.one(Sort::Value)
    }

    pub(super) fn name(&mut self, sort: Sort) -> Result<(), SyntaxError> {
        self.save_key()?;
        self.key_allowed = false;
        let mark = self.mark();
        self.skip(1);
        let from = self.at;
        while self.byte(0).is_ascii_alphanumeric() || matches!(self.byte(0), b'_' | b'-') {
            self.skip(1);
        }
        let ended = self.gap_at(0) || b"?:,]}%@`".contains(&self.byte(0));
        if self.at == from || !ended {
            return Err(self.malformed_at(
                mark,
                "an anchor or alias needs a name of letters and digits",
            ));
        }
        let mut token = Token::at(sort, mark, self.at);
        token.text = Text::As(Span {
            start: from,
            end: self.at,
        });
        self.tokens.push_back(token);
        Ok(())
    }

    fn tag(&mut self) -> Result<(), SyntaxError> {
        self.save_key()?;
        self.key_allowed = false;
        let mark = self.mark();
        while !self.gap_at(0) {
            let byte = self.byte(0);
            let allowed =
                byte.is_ascii_alphanumeric() || b"_-;/?:@&=+$,.!~*'()[]%<>".contains(&byte);
            if !allowed {
                return Err(self.malformed_at(mark, "a blank is missing behind the tag"));
            }
            self.skip(1);
        }
        self.push(Sort::Tag, mark);
        Ok(())
    }
}
