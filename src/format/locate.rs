//! From bytes to lines and columns, for readers that go through a text from front to back.

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
        for &byte in passed {
            if byte == b'\n' {
                self.position.line = self.position.line.saturating_add(1);
                self.position.column = 1;
            } else if byte & 0xC0 != 0x80 {
                self.position.column = self.position.column.saturating_add(1);
            }
        }
        self.at = self.at.max(at);
        self.position
    }
}
