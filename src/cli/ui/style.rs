//! Colour and symbols: the few that are used, and when.
//!
//! Meaning never depends on colour alone. Texts from files may hold control characters; those are
//! replaced here, so that a file cannot drive the terminal.

use crate::cli::environ::Environ;

/// `--color`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, clap::ValueEnum)]
pub(crate) enum Colour {
    /// By environment and terminal.
    #[default]
    Auto,
    /// On.
    Always,
    /// Off.
    Never,
}

impl Colour {
    /// Decides for one stream: the flag, then `NO_COLOR`, then `FORCE_COLOR` or `CLICOLOR_FORCE`, then
    /// whether the stream is a terminal that is not dumb.
    pub(crate) fn decide(self, environ: &Environ, is_terminal: bool) -> bool {
        match self {
            Self::Always => true,
            Self::Never => false,
            Self::Auto if environ.has("NO_COLOR") => false,
            Self::Auto if environ.has("FORCE_COLOR") => true,
            Self::Auto
                if environ
                    .text("CLICOLOR_FORCE")
                    .is_some_and(|word| word != "0") =>
            {
                true
            }
            Self::Auto => is_terminal && environ.text("TERM") != Some("dumb"),
        }
    }
}

/// The signs in texts, with stand-ins for locales without them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Symbols {
    /// Done, fine.
    pub(crate) yes: &'static str,
    /// Wrong, absent although needed.
    pub(crate) no: &'static str,
    /// To be known.
    pub(crate) warning: &'static str,
    /// Unchanged.
    pub(crate) same: &'static str,
    /// Before a masked value.
    pub(crate) open: &'static str,
    /// Behind a masked value.
    pub(crate) close: &'static str,
    /// Between parts of a line.
    pub(crate) dot: &'static str,
    /// Towards.
    pub(crate) arrow: &'static str,
    /// Something left out.
    pub(crate) ellipsis: &'static str,
}

impl Symbols {
    const UTF8: Self = Self {
        yes: "✓",
        no: "✗",
        warning: "!",
        same: "=",
        open: "‹",
        close: "›",
        dot: "·",
        arrow: "→",
        ellipsis: "…",
    };

    const ASCII: Self = Self {
        yes: "ok",
        no: "x",
        warning: "!",
        same: "=",
        open: "<",
        close: ">",
        dot: "-",
        arrow: "->",
        ellipsis: "...",
    };

    /// The signs for a locale.
    pub(crate) fn for_locale(is_utf8: bool) -> Self {
        if is_utf8 { Self::UTF8 } else { Self::ASCII }
    }
}

/// Where colour begins and ends in a line that is not rendered yet. These characters are removed from
/// all texts, so nothing else can bring them in.
const GREEN: char = '\u{F0001}';
const RED: char = '\u{F0002}';
const YELLOW: char = '\u{F0003}';
const BOLD: char = '\u{F0004}';
const END: char = '\u{F0005}';

/// `text` as something good.
pub(crate) fn good(text: &str) -> String {
    format!("{GREEN}{text}{END}")
}

/// `text` as something bad.
pub(crate) fn bad(text: &str) -> String {
    format!("{RED}{text}{END}")
}

/// `text` as something to notice.
pub(crate) fn notice(text: &str) -> String {
    format!("{YELLOW}{text}{END}")
}

/// `text` as a label.
pub(crate) fn label(text: &str) -> String {
    format!("{BOLD}{text}{END}")
}

/// A line ready for a stream: colour put in or left out, control characters replaced.
pub(crate) fn render(line: &str, colour: bool) -> String {
    let mut text = String::with_capacity(line.len());
    for character in line.chars() {
        let escape = match character {
            GREEN => "\u{1b}[32m",
            RED => "\u{1b}[1;31m",
            YELLOW => "\u{1b}[33m",
            BOLD => "\u{1b}[1m",
            END => "\u{1b}[0m",
            '\n' | '\t' => {
                text.push(character);
                continue;
            }
            control if control.is_control() => {
                text.push('\u{FFFD}');
                continue;
            }
            other => {
                text.push(other);
                continue;
            }
        };
        if colour {
            text.push_str(escape);
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_flag_wins_then_no_color_then_force_then_the_terminal() {
        let both = Environ::from([("NO_COLOR", "1"), ("FORCE_COLOR", "1")]);
        assert!(Colour::Always.decide(&both, false));
        assert!(!Colour::Auto.decide(&both, true));
        assert!(Colour::Auto.decide(&Environ::from([("FORCE_COLOR", "1")]), false));
        assert!(!Colour::Auto.decide(&Environ::from([("TERM", "dumb")]), true));
        assert!(Colour::Auto.decide(&Environ::from([("NO_COLOR", "")]), true));
        assert!(!Colour::Never.decide(&Environ::default(), true));
    }

    #[test]
    fn a_text_cannot_drive_the_terminal() {
        let line = format!("{} a\u{1b}[2Jb", good("ok"));
        assert_eq!(render(&line, false), "ok a\u{FFFD}[2Jb");
        assert_eq!(render(&line, true), "\u{1b}[32mok\u{1b}[0m a\u{FFFD}[2Jb");
    }
}
