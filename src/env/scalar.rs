//! A value is the text that was typed: which plain scalars may be one.
//!
//! A scalar without quotes is accepted only when YAML 1.1 and 1.2 and their common readers agree on
//! it; so the delivered text never depends on who reads the file. Types: `tag:yaml.org,2002` for 1.1,
//! the core schema for 1.2, and the looser forms that Go and Python readers take.

use std::sync::LazyLock;

use regex::Regex;

use crate::tree::{Kind, Leaf, Style};

/// What a scalar is as a value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Reading {
    /// Its text.
    Text,
    /// Nothing at all: `null`, `~` or empty.
    Nothing,
    /// Something that not everyone reads as its text; the word says as what.
    Misread(&'static str),
}

/// Everything that some reader of YAML takes for a number, without sign and underscores.
static NUMBER: LazyLock<Option<Regex>> = LazyLock::new(|| {
    Regex::new(
        r"(?ix)^(?:
            0b[01]+ | 0o[0-7]+ | 0x[0-9a-f]+
          | [0-9]+ (?: \.[0-9]* )? (?: e[-+]?[0-9]+ )?
          | \.[0-9]+ (?: e[-+]?[0-9]+ )?
          | [0-9]+ (?: :[0-5]?[0-9] )+ (?: \.[0-9]* )?
          | \.inf | \.nan
        )$",
    )
    .ok()
});

/// A date, or a date with a time.
static TIME: LazyLock<Option<Regex>> = LazyLock::new(|| {
    Regex::new(r"^[0-9]{4}-[0-9]{1,2}-[0-9]{1,2}(?:(?:[Tt]|[ \t]+)[0-9]{1,2}:[0-9]{2}.*)?$").ok()
});

/// How `leaf` reads as a value.
///
/// Quoted and block scalars are text. For a value that was ciphertext the type that SOPS stored with
/// it decides, since its text was fixed when it was sealed.
pub(super) fn reading(leaf: &Leaf) -> Reading {
    let by_kind = match leaf.kind {
        Kind::Null => Reading::Nothing,
        Kind::Float => Reading::Misread("a number"),
        Kind::Time => Reading::Misread("a date or time"),
        Kind::Bool | Kind::Int | Kind::Text => Reading::Text,
    };
    if leaf.sealed || leaf.style != Style::Plain {
        return by_kind;
    }
    match leaf.text.expose_text().map(plain) {
        Some(Reading::Text) => by_kind,
        Some(other) => other,
        None => Reading::Misread("binary data"),
    }
}

/// How the plain scalar `text` reads.
fn plain(text: &str) -> Reading {
    match text {
        "" | "~" => return Reading::Nothing,
        "true" | "false" => return Reading::Text,
        "=" | "<<" => return Reading::Misread("a YAML key word"),
        _ => {}
    }
    match text.to_ascii_lowercase().as_str() {
        "null" => return Reading::Nothing,
        "true" | "false" | "yes" | "no" | "on" | "off" | "y" | "n" => {
            return Reading::Misread("true or false");
        }
        _ => {}
    }
    if TIME.as_ref().is_none_or(|time| time.is_match(text)) {
        return Reading::Misread("a date or time");
    }
    let unsigned = text.strip_prefix(['-', '+']).unwrap_or(text);
    // Go and YAML 1.1 skip underscores inside of numbers, not in front of them.
    if unsigned.starts_with('_') {
        return Reading::Text;
    }
    let unsigned = unsigned.replace('_', "");
    if NUMBER
        .as_ref()
        .is_none_or(|number| number.is_match(&unsigned))
        && !is_decimal(text)
    {
        return Reading::Misread(if text.contains(':') {
            "a number or time"
        } else {
            "a number"
        });
    }
    Reading::Text
}

/// Whether `text` is a whole number that everyone writes back the same: no leading zero, no plus, no
/// underscore, not `-0`, within 64 bits.
fn is_decimal(text: &str) -> bool {
    text.parse::<i64>()
        .is_ok_and(|number| number.to_string() == text)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn text_that_all_readers_agree_on_is_itself() {
        for text in [
            "polls",
            "5432",
            "-5",
            "0",
            "9223372036854775807",
            "true",
            "false",
            "10.0.0.1",
            "1.2.3",
            "a:b",
            "postgres://x",
            "12e",
            "e3",
            "_1",
            "nullable",
            "-",
            "--",
            "+",
            "0x",
            "0b",
            "1 000",
            "yes!",
            "2024-01",
            "v1.0",
            "ÄÖ",
            "_",
            ".",
            "::1",
            "10s",
            "12:99x",
        ] {
            assert_eq!(plain(text), Reading::Text, "{text}");
        }
    }

    #[test]
    fn text_that_some_reader_changes_is_refused() {
        for text in [
            "0123",
            "0o17",
            "0x1F",
            "1_000",
            "+1",
            "-0",
            "00",
            "0b101",
            "9223372036854775808",
            "1.0",
            "1e3",
            "1E+3",
            ".5",
            "-.5",
            "1.",
            ".inf",
            "-.INF",
            ".NaN",
            "12:30",
            "1:30:00",
            "190:20:30.15",
            "True",
            "TRUE",
            "yes",
            "No",
            "on",
            "OFF",
            "y",
            "N",
            "2024-01-31",
            "2024-1-1",
            "2001-12-14t21:59:43.10-05:00",
            "2001-12-14 21:59:43",
            "-0x1f",
            "=",
            "<<",
            "1__0",
        ] {
            assert!(matches!(plain(text), Reading::Misread(_)), "{text}");
        }
        for text in ["", "~", "null", "NULL", "Null"] {
            assert_eq!(plain(text), Reading::Nothing, "{text}");
        }
    }

    proptest! {
        #[test]
        fn every_whole_number_is_its_digits(number: i64) {
            prop_assert_eq!(plain(&number.to_string()), Reading::Text);
        }

        #[test]
        fn floats_are_never_text(number in any::<f64>().prop_filter("finite", |n| n.is_finite())) {
            let text = format!("{number:?}");
            prop_assert!(matches!(plain(&text), Reading::Misread(_)));
        }
    }
}
