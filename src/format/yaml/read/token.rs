//! Tokens, and the comments between them. Knows no structure.

use crate::tree::{Span, Style};

/// A place in the text, in bytes; lines and columns are counted from 0.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Mark {
    pub(super) at: usize,
    pub(super) line: usize,
    pub(super) column: usize,
}

/// What a token is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Sort {
    StreamStart,
    StreamEnd,
    Directive,
    DocumentStart,
    DocumentEnd,
    /// The first item of a block list follows.
    ListStart,
    /// The first key of a block map follows.
    MapStart,
    /// A block list or map is over.
    BlockEnd,
    Bracket,
    BracketEnd,
    Brace,
    BraceEnd,
    Dash,
    Comma,
    Key,
    Value,
    Alias,
    Anchor,
    Tag,
    Scalar,
}

/// The text of a scalar: as it stands in the file, or folded and unescaped.
#[derive(Debug)]
pub(super) enum Text {
    As(Span),
    Made(zeroize::Zeroizing<String>),
}

/// A token. `span` is what it covers; for a block text without its last line break.
#[derive(Debug)]
pub(super) struct Token {
    pub(super) sort: Sort,
    pub(super) start: Mark,
    pub(super) span: Span,
    /// Of a scalar.
    pub(super) style: Style,
    /// Of a scalar; for an alias, anchor or tag its name.
    pub(super) text: Text,
}

impl Token {
    pub(super) fn at(sort: Sort, start: Mark, end: usize) -> Self {
        let span = Span {
            start: start.at,
            end,
        };
        Self {
            sort,
            start,
            span,
            style: Style::Plain,
            text: Text::As(span),
        }
    }
}

/// Where comments belong to, seen from the token that they were found at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Side {
    Head,
    Line,
    Foot,
}

/// Comment lines that stand together.
#[derive(Debug, Clone)]
pub(super) struct Remark {
    pub(super) side: Side,
    /// Each from its `#` to the end of its line.
    pub(super) lines: Vec<Span>,
    /// Where the search for it began.
    pub(super) scan: usize,
    /// Tokens from here on may take it.
    pub(super) token: usize,
    pub(super) start: Mark,
    /// Behind it; 0 for a comment behind a token.
    pub(super) end: usize,
}
