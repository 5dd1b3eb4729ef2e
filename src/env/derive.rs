//! Values composed from others: text with `{{ NAME }}` and `{{ NAME | filter }}`, a closed list of
//! filters, and nothing else.
//!
//! Parsing and filling only; what the names stand for, and in which order they are filled, is the
//! business of the caller.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use crate::name::KeyName;
use crate::secret::Secret;

/// A parsed template; its literal text still lies in the tree.
#[derive(Debug)]
pub(super) struct Template<'a> {
    parts: Vec<Part<'a>>,
}

/// A stretch of a template.
enum Part<'a> {
    Literal(&'a str),
    Value(KeyName, Filter),
}

/// What is done to a value before it is put in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Filter {
    Plain,
    Urlencode,
    Base64,
    Json,
    Quote,
    Trim,
}

/// Why a template is refused.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum TemplateError<'a> {
    /// `{{` without `}}`.
    Unclosed,
    /// The text before the filter is no name of a value.
    NotAName,
    /// The filter is not on the list.
    UnknownFilter(&'a str),
}

/// Why a template cannot be filled.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum FillError {
    /// The result would be longer than the limit.
    TooLong,
    /// A value that is not UTF-8 goes through `json` or `trim`, which work on text.
    NotText(KeyName),
}

const FILTERS: [(&str, Filter); 5] = [
    ("urlencode", Filter::Urlencode),
    ("base64", Filter::Base64),
    ("json", Filter::Json),
    ("quote", Filter::Quote),
    ("trim", Filter::Trim),
];

// Not derived: a literal may hold what somebody took for harmless.
impl std::fmt::Debug for Part<'_> {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Literal(_) => formatter.write_str("Literal(..)"),
            Self::Value(name, filter) => write!(formatter, "Value({name}, {filter:?})"),
        }
    }
}

impl<'a> Template<'a> {
    /// Parses `text`. `{{{{` and `}}}}` are literal `{{` and `}}`; a single `}}` outside of a
    /// placeholder stands for itself.
    pub(super) fn parse(text: &'a str) -> Result<Self, TemplateError<'a>> {
        let mut parts = Vec::new();
        let mut rest = text;
        while let Some((literal, tail)) = next_mark(rest) {
            parts.push(Part::Literal(literal));
            if let Some(after) = tail
                .strip_prefix("{{{{")
                .or_else(|| tail.strip_prefix("}}}}"))
            {
                parts.push(Part::Literal(tail.get(..2).unwrap_or_default()));
                rest = after;
                continue;
            }
            let inner = tail.get(2..).unwrap_or_default();
            let (placeholder, after) = inner.split_once("}}").ok_or(TemplateError::Unclosed)?;
            parts.push(placeholder_part(placeholder)?);
            rest = after;
        }
        parts.push(Part::Literal(rest));
        Ok(Self { parts })
    }

    /// The names that it uses, each with its filter, in order.
    pub(super) fn uses(&self) -> impl Iterator<Item = (&KeyName, Filter)> {
        self.parts.iter().filter_map(|part| match part {
            Part::Value(name, filter) => Some((name, *filter)),
            Part::Literal(_) => None,
        })
    }

    /// Whether the text around the values looks like a URL.
    pub(super) fn is_url(&self) -> bool {
        self.parts
            .iter()
            .any(|part| matches!(part, Part::Literal(text) if text.contains("://")))
    }

    /// The text with every value put in, at most `limit` bytes. A name that `value` does not know
    /// counts as empty; the caller has reported it.
    pub(super) fn fill<'v>(
        &self,
        limit: usize,
        value: impl Fn(&KeyName) -> Option<&'v Secret>,
    ) -> Result<Secret, FillError> {
        let mut stretches = Vec::with_capacity(self.parts.len());
        let mut length = 0;
        for part in &self.parts {
            let stretch = match part {
                Part::Literal(text) => Secret::from_text(text),
                Part::Value(name, filter) => match value(name) {
                    Some(value) if value.len() > limit => return Err(FillError::TooLong),
                    Some(value) => filter
                        .run(value)
                        .ok_or_else(|| FillError::NotText(name.clone()))?,
                    None => continue,
                },
            };
            // Checked on the way: a template cannot ask for more memory than a few times the limit.
            length += stretch.len();
            if length > limit {
                return Err(FillError::TooLong);
            }
            stretches.push(stretch);
        }
        let mut whole = Vec::with_capacity(length);
        for stretch in &stretches {
            whole.extend_from_slice(stretch.expose());
        }
        Ok(Secret::new(whole))
    }
}

/// Splits `text` before the first `{{` or `}}}}`.
fn next_mark(text: &str) -> Option<(&str, &str)> {
    let bytes = text.as_bytes();
    let is_mark = |start: &usize| {
        let tail = bytes.get(*start..).unwrap_or_default();
        tail.starts_with(b"{{") || tail.starts_with(b"}}}}")
    };
    text.split_at_checked((0..bytes.len()).find(is_mark)?)
}

/// Reads `NAME` or `NAME | FILTER`.
fn placeholder_part(text: &str) -> Result<Part<'_>, TemplateError<'_>> {
    let (name, filter) = match text.split_once('|') {
        None => (text.trim(), Filter::Plain),
        Some((name, filter)) => (name.trim(), Filter::named(filter.trim())?),
    };
    let name = name.parse().map_err(|_| TemplateError::NotAName)?;
    Ok(Part::Value(name, filter))
}

impl Filter {
    /// The names of all filters.
    pub(super) fn names() -> impl Iterator<Item = &'static str> {
        FILTERS.iter().map(|(name, _)| *name)
    }

    fn named(name: &str) -> Result<Self, TemplateError<'_>> {
        FILTERS
            .iter()
            .find(|(known, _)| *known == name)
            .map(|(_, filter)| *filter)
            .ok_or(TemplateError::UnknownFilter(name))
    }

    /// The value after the filter; `None` when it is not UTF-8 and the filter needs text.
    fn run(self, value: &Secret) -> Option<Secret> {
        let bytes = value.expose();
        Some(match self {
            Self::Plain => value.clone(),
            Self::Urlencode => urlencoded(bytes),
            Self::Base64 => Secret::from(STANDARD.encode(bytes)),
            Self::Json => json_text(value.expose_text()?),
            Self::Quote => quoted(bytes),
            Self::Trim => Secret::from_text(value.expose_text()?.trim()),
        })
    }
}

/// Every byte but `A–Z a–z 0–9 - . _ ~` as `%XX` (RFC 3986, unreserved characters).
fn urlencoded(bytes: &[u8]) -> Secret {
    const DIGITS: [u8; 16] = *b"0123456789ABCDEF";
    let digit = |nibble: u8| DIGITS.get(usize::from(nibble)).copied().unwrap_or(b'0');
    let mut out = Vec::with_capacity(bytes.len() * 3);
    for byte in bytes {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(byte) {
            out.push(*byte);
        } else {
            out.extend([b'%', digit(byte >> 4), digit(byte & 15)]);
        }
    }
    Secret::new(out)
}

/// `text` as a JSON string with its quotes, all characters that YAML or a terminal would not take
/// literally escaped.
pub(super) fn json_text(text: &str) -> Secret {
    // Enough for every escape, so that the buffer never grows and leaves a copy behind.
    let mut out = String::with_capacity(text.len() * 6 + 2);
    out.push('"');
    for letter in text.chars() {
        match letter {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            _ if letter.is_control() || matches!(letter, '\u{2028}' | '\u{2029}' | '\u{feff}') => {
                push_unicode_escape(&mut out, letter);
            }
            _ => out.push(letter),
        }
    }
    out.push('"');
    Secret::from(out)
}

/// `\uXXXX` for a character of the basic plane.
fn push_unicode_escape(out: &mut String, letter: char) {
    out.push_str("\\u");
    for shift in [12, 8, 4, 0] {
        let nibble = (u32::from(letter) >> shift) & 15;
        out.push(char::from_digit(nibble, 16).unwrap_or('0'));
    }
}

/// One POSIX shell word in single quotes; a single quote inside becomes `'\''`.
pub(super) fn quoted(bytes: &[u8]) -> Secret {
    let mut out = Vec::with_capacity(bytes.len() * 4 + 2);
    out.push(b'\'');
    for byte in bytes {
        if *byte == b'\'' {
            out.extend_from_slice(b"'\\''");
        } else {
            out.push(*byte);
        }
    }
    out.push(b'\'');
    Secret::new(out)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn filled(template: &str, value: &str) -> String {
        let value = Secret::from_text(value);
        let filled = Template::parse(template)
            .unwrap()
            .fill(1 << 20, |_| Some(&value))
            .unwrap();
        filled.expose_text().unwrap().to_owned()
    }

    #[test]
    fn placeholders_and_braces() {
        assert_eq!(filled("a{{ X }}b{{X|trim}}", " v "), "a v bv");
        assert_eq!(filled("{{{{ X }}}}", "v"), "{{ X }}");
        assert_eq!(
            filled(r#"{"a":{"b":"{{ X }}"}}"#, "v"),
            r#"{"a":{"b":"v"}}"#
        );
        assert_eq!(filled("{{ X }}}}", "v"), "v}}");
        assert_eq!(filled("", "v"), "");
    }

    #[test]
    fn faults_of_templates_are_told_apart() {
        assert_eq!(
            Template::parse("a {{ X").unwrap_err(),
            TemplateError::Unclosed
        );
        assert_eq!(
            Template::parse("{{ X Y }}").unwrap_err(),
            TemplateError::NotAName
        );
        assert_eq!(
            Template::parse("{{ X | trim | quote }}").unwrap_err(),
            TemplateError::UnknownFilter("trim | quote")
        );
    }

    #[test]
    fn a_result_over_the_limit_is_refused() {
        let value = Secret::from_text("0123456789");
        let template = Template::parse("{{ X }}{{ X }}").unwrap();
        assert!(template.fill(20, |_| Some(&value)).is_ok());
        assert_eq!(template.fill(19, |_| Some(&value)), Err(FillError::TooLong));
    }

    fn percent_decoded(text: &str) -> Vec<u8> {
        let mut bytes = text.bytes();
        let mut out = Vec::new();
        while let Some(byte) = bytes.next() {
            if byte == b'%' {
                let digits = [bytes.next().unwrap(), bytes.next().unwrap()];
                out.push(u8::from_str_radix(std::str::from_utf8(&digits).unwrap(), 16).unwrap());
            } else {
                assert!(byte.is_ascii_alphanumeric() || b"-._~".contains(&byte));
                out.push(byte);
            }
        }
        out
    }

    proptest! {
        #[test]
        fn urlencode_can_be_decoded(value in "[ -~ä€]{0,40}") {
            prop_assert_eq!(percent_decoded(&filled("{{ X | urlencode }}", &value)), value.as_bytes());
        }

        #[test]
        fn base64_can_be_decoded(value: String) {
            prop_assert_eq!(STANDARD.decode(filled("{{ X | base64 }}", &value)).unwrap(), value.as_bytes());
        }

        #[test]
        fn json_can_be_parsed(value: String) {
            let parsed: String = serde_json::from_str(&filled("{{ X | json }}", &value)).unwrap();
            prop_assert_eq!(parsed, value);
        }

        #[test]
        fn quote_is_one_shell_word(value in "[^\0]*") {
            prop_assert_eq!(shlex::split(&filled("{{ X | quote }}", &value)), Some(vec![value]));
        }

        #[test]
        fn doubled_braces_stand_for_any_text(text in "[{}a ]*") {
            let template = text.replace("{{", "{{{{").replace("}}", "}}}}");
            prop_assert_eq!(filled(&template, "v"), text);
        }

        #[test]
        fn parsing_never_panics(text: String, braces in "[{}| A-Z]*") {
            let _ = Template::parse(&text);
            let _ = Template::parse(&braces);
        }
    }
}
