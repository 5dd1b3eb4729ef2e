//! Which of its styles a scalar is printed in, and the spelling of those that are no text.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use zeroize::Zeroizing;

use crate::format::{number, scalar};
use crate::tree::{Entry, Kind, Leaf, Node, Style};

/// A scalar, ready to be printed.
pub(in crate::format::yaml) struct Ready<'a> {
    pub(in crate::format::yaml) tag: Option<&'static str>,
    pub(in crate::format::yaml) text: std::borrow::Cow<'a, str>,
    pub(in crate::format::yaml) style: Style,
    /// Whether a line break of any kind is in it.
    pub(super) multiline: bool,
}

/// What the characters of a text allow.
struct Traits {
    breaks: bool,
    plain: bool,
    single: bool,
    block: bool,
}

/// The line breaks of YAML 1.1.
pub(super) fn is_break(each: char) -> bool {
    matches!(each, '\r' | '\n' | '\u{85}' | '\u{2028}' | '\u{2029}')
}

/// Whether a character stands for itself in any style.
pub(super) fn is_printable(each: char) -> bool {
    matches!(each,
        '\n' | ' '..='~' | '\u{A0}'..='\u{D7FF}' | '\u{E000}'..='\u{FEFE}' | '\u{FF00}'..='\u{FFFD}')
}

impl Traits {
    fn of(text: &str) -> Self {
        let mut traits = Self::of_characters(text);
        let ends = |each: Option<char>, what: fn(char) -> bool| each.is_some_and(what);
        let blank = |each: char| each == ' ';
        let (first, last) = (text.chars().next(), text.chars().next_back());
        if ends(first, blank) || ends(first, is_break) || ends(last, blank) || ends(last, is_break)
        {
            traits.plain = false;
        }
        if ends(last, blank) {
            traits.block = false;
        }
        if text.starts_with("---") || text.starts_with("...") || begins_with_indicator(text) {
            traits.plain = false;
        }
        traits
    }

    fn of_characters(text: &str) -> Self {
        let (mut breaks, mut plain, mut single, mut block) = (false, true, true, true);
        let mut before = '\n';
        let mut characters = text.chars().peekable();
        let mut first = true;
        while let Some(each) = characters.next() {
            let next = characters.peek().copied();
            let blank_follows = next.is_none_or(|next| next == ' ' || next == '\t');
            let blank_before =
                before == ' ' || before == '\t' || is_break(before) || before == '\0';
            match each {
                ':' if !first && blank_follows => plain = false,
                '#' if !first && blank_before => plain = false,
                _ => {}
            }
            if each == '\t' {
                (plain, single) = (false, false);
            } else if !is_printable(each) {
                (plain, single, block) = (false, false, false);
            }
            if each == ' ' && !first && is_break(before) {
                (plain, single) = (false, false);
            }
            if is_break(each) {
                (breaks, plain) = (true, false);
                if !first && before == ' ' {
                    (single, block) = (false, false);
                }
            }
            before = each;
            first = false;
        }
        Self {
            breaks,
            plain,
            single,
            block,
        }
    }
}

fn begins_with_indicator(text: &str) -> bool {
    let mut characters = text.chars();
    let (first, second) = (characters.next(), characters.next());
    let blank_follows = second.is_none_or(|next| next == ' ' || next == '\t');
    match first {
        Some(first) if ",#[]{}&*!|>'\"%@`".contains(first) => true,
        Some('?' | ':' | '-') => blank_follows,
        _ => false,
    }
}

/// How a key is printed. One that only looks like a merge key does not read back without quotes.
pub(super) fn of_key(entry: &Entry) -> Ready<'_> {
    let merges = match &entry.value {
        Node::Map(_) => true,
        Node::List(list) => list.nodes().all(|node| matches!(node, Node::Map(_))),
        Node::Leaf(_) => false,
    };
    match entry.key.as_str() {
        key @ "<<" if !merges => ready(key, Style::DoubleQuoted, false),
        key => of_text(key),
    }
}

/// How text is printed, as a value or key.
pub(super) fn of_text(text: &str) -> Ready<'_> {
    if text.is_empty() {
        return ready(text, Style::DoubleQuoted, false);
    }
    let traits = Traits::of(text);
    if text == "<<" {
        return Ready {
            tag: Some("!!merge"),
            ..ready(text, Style::Plain, false)
        };
    }
    let wish = if text.contains('\n') {
        Style::Literal
    } else if is_taken_for_text(text) {
        Style::Plain
    } else {
        Style::DoubleQuoted
    };
    let style = match wish {
        Style::Literal if traits.block && !text.starts_with('\t') => Style::Literal,
        Style::Plain if traits.plain => Style::Plain,
        Style::Plain if traits.single => Style::SingleQuoted,
        _ => Style::DoubleQuoted,
    };
    ready(text, style, traits.breaks)
}

fn ready(text: &str, style: Style, multiline: bool) -> Ready<'_> {
    Ready {
        tag: None,
        text: text.into(),
        style,
        multiline,
    }
}

/// Whether a key gets quotes only because some reader takes it for a bool.
pub(in crate::format::yaml) fn wants_quotes(key: &str) -> bool {
    is_old_bool(key)
}

/// Whether text may stand without quotes as far as its type goes.
fn is_taken_for_text(text: &str) -> bool {
    scalar::resolve(text) == Some(Kind::Text) && !is_old_bool(text) && !is_base_60(text)
}

fn is_old_bool(text: &str) -> bool {
    matches!(
        text,
        "y" | "Y"
            | "yes"
            | "Yes"
            | "YES"
            | "on"
            | "On"
            | "ON"
            | "n"
            | "N"
            | "no"
            | "No"
            | "NO"
            | "off"
            | "Off"
            | "OFF"
    )
}

/// `[-+]?[0-9][0-9_]*(:[0-5]?[0-9])+(\.[0-9_]*)?`
fn is_base_60(text: &str) -> bool {
    let text = text.strip_prefix(['-', '+']).unwrap_or(text);
    let mut parts = text.split(':');
    let digits = |part: &str| {
        part.bytes()
            .all(|byte| byte.is_ascii_digit() || byte == b'_')
    };
    let head = parts.next().unwrap_or_default();
    if !head.starts_with(|first: char| first.is_ascii_digit()) || !digits(head) {
        return false;
    }
    let mut sixtieths: Vec<&str> = parts.collect();
    let Some(last) = sixtieths.pop() else {
        return false;
    };
    let (last, fraction) = last.split_once('.').unwrap_or((last, ""));
    let sixtieth = |part: &&str| match part.as_bytes() {
        [one] => one.is_ascii_digit(),
        [ten, one] => (b'0'..=b'5').contains(ten) && one.is_ascii_digit(),
        _ => false,
    };
    digits(fraction) && sixtieths.iter().chain([&last]).all(sixtieth)
}

/// How bytes that are not UTF-8 are printed: base64 in lines of 70.
fn of_bytes(bytes: &[u8]) -> Ready<'static> {
    let whole = Zeroizing::new(STANDARD.encode(bytes));
    let lines = whole.len() > 70;
    let mut text = String::with_capacity(whole.len() + whole.len() / 70 + 2);
    let mut rest = whole.as_str();
    while !rest.is_empty() {
        let (line, next) = rest.split_at(rest.len().min(70));
        text.push_str(line);
        text.push_str(if lines { "\n" } else { "" });
        rest = next;
    }
    Ready {
        tag: Some("!!binary"),
        text: text.into(),
        style: if lines { Style::Literal } else { Style::Plain },
        multiline: lines,
    }
}

/// How a scalar is printed.
pub(in crate::format::yaml) fn of_leaf(leaf: &Leaf) -> Ready<'_> {
    let Some(text) = leaf.text.expose_text() else {
        return of_bytes(leaf.text.expose());
    };
    if leaf.kind == Kind::Text {
        return of_text(text);
    }
    let spelled = spelling(leaf.kind, text, leaf.sealed);
    Ready {
        tag: None,
        text: spelled.into(),
        style: Style::Plain,
        multiline: false,
    }
}

/// The spelling of a scalar that is no text. What was decrypted is in its normal form already.
fn spelling(kind: Kind, text: &str, sealed: bool) -> String {
    let or_as_is = |form: Option<String>| form.unwrap_or_else(|| text.to_owned());
    match kind {
        Kind::Null => "null".to_owned(),
        Kind::Bool => text.to_ascii_lowercase(),
        Kind::Int if sealed => or_as_is(scalar::parse_int(text).map(|number| number.to_string())),
        Kind::Time if sealed => or_as_is(scalar::parse_rfc3339(text)),
        Kind::Float => {
            let normal = scalar::normal_form(kind, text).filter(|_| !sealed);
            let number = scalar::parse_float(normal.as_deref().unwrap_or(text));
            // Kept clear, it must read back as what was authenticated; decrypted, it looks as SOPS shows it.
            match number {
                Some(zero) if zero == 0.0 && zero.is_sign_negative() && sealed => "-0".to_owned(),
                number => or_as_is(number.map(float_spelling)),
            }
        }
        _ => or_as_is(scalar::normal_form(kind, text)),
    }
}

/// A float with an exponent where it is below 1e-4 or from 1e6 on, in the fewest digits.
fn float_spelling(number: f64) -> String {
    if number.is_nan() {
        return ".nan".to_owned();
    }
    if number.is_infinite() {
        return if number > 0.0 { ".inf" } else { "-.inf" }.to_owned();
    }
    if number == 0.0 {
        return if number.is_sign_negative() {
            "-0.0"
        } else {
            "0"
        }
        .to_owned();
    }
    let (mantissa, exponent) = number::scientific(number);
    if !(-4..6).contains(&exponent) {
        let sign = if exponent < 0 { '-' } else { '+' };
        return format!("{mantissa}e{sign}{:02}", exponent.abs());
    }
    number::plain(number)
}
