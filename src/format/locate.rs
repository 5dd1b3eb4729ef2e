//! From bytes to lines and columns, for readers that go through a text from front to back.

use super::run::count;
use crate::tree::Position;

/// Tells positions in one text. Linear in the text over all calls, since places are asked for in order.
#[derive(Debug)]
pub(super) struct Locator<'a> {
    text: &'a [u8],
    at: usize,
    position: Position,
}

impl<'a> Locator<'a> {
    /// At the front of `text`.
    pub(super) fn new(text: &'a [u8]) -> Self {
        let position = Position { line: 1, column: 1 };
        Self {
            text,
            at: 0,
            position,
        }
    }

    /// The position of the byte `at`, which does not lie in front of one that was asked for before. What
    /// is not UTF-8 counts one column per byte that could begin a character.
    pub(super) fn position(&mut self, at: usize) -> Position {
        let passed = self.text.get(self.at..at).unwrap_or_default();
        let lines = count(passed, |byte| byte == b'\n');
        let mut line = passed;
        if lines > 0 {
            let end = passed.iter().rposition(|&byte| byte == b'\n');
            line = end
                .and_then(|end| passed.get(end + 1..))
                .unwrap_or_default();
            self.position.column = 1;
        }
        let columns = count(line, |byte| byte & 0xC0 != 0x80);
        self.position.line = added(self.position.line, lines);
        self.position.column = added(self.position.column, columns);
        self.at = self.at.max(at);
        self.position
    }
}

fn added(number: u32, more: usize) -> u32 {
    number.saturating_add(u32::try_from(more).unwrap_or(u32::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_characters_and_lines_end_in_line_feeds() {
        let text = "aé\r\n\n😀x\nlast".as_bytes();
        let mut locator = Locator::new(text);
        let at = |line, column| Position { line, column };
        for (byte, position) in [
            (0, at(1, 1)),
            (1, at(1, 2)),
            (3, at(1, 3)),
            (5, at(2, 1)),
            (6, at(3, 1)),
            (10, at(3, 2)),
            (10, at(3, 2)),
            (16, at(4, 5)),
        ] {
            assert_eq!(locator.position(byte), position, "{byte}");
        }
    }
}
