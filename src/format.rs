//! File formats: text to tree and back.
//!
//! A format reads a text into documents ([`parse`]), prints documents from wherever they come
//! ([`emit`]), and changes a text so that every byte outside of what changed stays ([`rewrite`]). Trees
//! have byte spans, and texts are changed by [`Splice`] only. No format knows what SOPS is.

use std::fmt;

use crate::secret::Secret;
use crate::tree::{Map, Path, Position};

pub mod binary;
pub mod dotenv;
pub mod flat;
pub mod ini;
pub mod json;
mod locate;
pub mod number;
mod run;
pub mod scalar;
#[cfg(test)]
mod shape;
mod sink;
mod splice;
mod untyped;
pub mod yaml;

pub use splice::Splice;

/// The format of a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Format {
    /// YAML, in the dialect that SOPS reads.
    Yaml,
    /// JSON with an object at the root.
    Json,
    /// Lines of `KEY=value`, all values text.
    Dotenv,
    /// Sections of `key = value`, all values text.
    Ini,
    /// Any bytes, as the one value `data`.
    Binary,
}

impl Format {
    /// The format that SOPS takes a file for by its name, in which case matters: what has no known
    /// ending is binary.
    #[must_use]
    pub fn of_file_name(name: &str) -> Self {
        let endings = [
            (".yaml", Self::Yaml),
            (".yml", Self::Yaml),
            (".json", Self::Json),
            (".env", Self::Dotenv),
            (".ini", Self::Ini),
        ];
        endings
            .into_iter()
            .find(|(ending, _)| name.ends_with(ending))
            .map_or(Self::Binary, |(_, format)| format)
    }

    /// The format of an environment document, by the extension of its name; `None` for one that cannot
    /// be such a document, which is always YAML.
    #[must_use]
    pub fn of_document_name(name: &str) -> Option<Self> {
        let extension = name.rsplit_once('.')?.1;
        matches!(extension, "yaml" | "yml").then_some(Self::Yaml)
    }

    /// The format that a word of `--input-type` or `--output-type` names; `None` for any other word.
    #[must_use]
    pub fn from_word(word: &str) -> Option<Self> {
        let formats = [
            Self::Yaml,
            Self::Json,
            Self::Dotenv,
            Self::Ini,
            Self::Binary,
        ];
        formats.into_iter().find(|format| format.word() == word)
    }

    /// Its word: `yaml`, `json`, `dotenv`, `ini` or `binary`.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Yaml => "yaml",
            Self::Json => "json",
            Self::Dotenv => "dotenv",
            Self::Ini => "ini",
            Self::Binary => "binary",
        }
    }
}

impl fmt::Display for Format {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Yaml => "YAML",
            Self::Json => "JSON",
            Self::Dotenv => "dotenv",
            Self::Ini => "INI",
            Self::Binary => "binary",
        })
    }
}

/// How a printed text is laid out.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Layout {
    /// The number of `--indent` or `stores.*.indent`; `None` where nothing was asked for. YAML: blanks
    /// per level, where 0 and `None` are 4, 1 and more than 9 are 2, and less than 0 is refused. JSON:
    /// blanks per level, where -1 and `None` are one tab, and less is refused.
    pub indent: Option<i64>,
}

/// A tree that a format cannot hold. Names the place, never a value.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum EmitError {
    /// A map or list where the format has only values.
    #[error("{path} holds a map or list, which {format} cannot hold")]
    Complex {
        /// Where it lies.
        path: Path,
        /// The format.
        format: Format,
    },
    /// A value at the root of an INI file, which has only sections there.
    #[error("{path} is a value outside of any section, which INI cannot hold")]
    NotASection {
        /// Where it lies.
        path: Path,
    },
    /// A key that would read back as something else.
    #[error("the key {path} cannot be written in {format}")]
    Key {
        /// Where it lies.
        path: Path,
        /// The format.
        format: Format,
    },
    /// A value that would read back as something else.
    #[error("the value of {path} cannot be written in {format}")]
    Value {
        /// Where it lies.
        path: Path,
        /// The format.
        format: Format,
    },
    /// The tree is not the one text `data` that binary stands for.
    #[error("there is no binary data in the tree (exactly one document with the text \"data\")")]
    NotBinary,
    /// An indentation below what the format knows.
    #[error("an indentation this small is not possible in {0}")]
    NegativeIndent(Format),
    /// A comment that is not UTF-8.
    #[error("a comment is not UTF-8, which {0} cannot hold")]
    CommentNotText(Format),
    /// Deeper nesting than can be read back.
    #[error("nesting is too deep for {0}")]
    TooDeep(Format),
}

/// Reads `text` in `format`: its documents in file order (exactly one, except for YAML), with positions
/// and spans. Of a [shared](Secret::shared) text values are parts where they can be, not copies. Who rewrites YAML asks [`yaml::parse_sops`], since spans may lie in a text that was printed
/// anew.
///
/// # Errors
/// At the first byte that breaks a rule of the format, with its position.
pub fn parse(format: Format, text: &Secret) -> Result<Vec<Map>, SyntaxError> {
    match format {
        Format::Json => Ok(vec![json::parse(text)?]),
        Format::Dotenv => Ok(vec![dotenv::parse(text.expose())?]),
        Format::Ini => Ok(vec![ini::parse(text.expose())?]),
        Format::Binary => Ok(vec![binary::tree(text.clone())]),
        Format::Yaml => Ok(yaml::parse_sops(text)?.documents),
    }
}

/// Prints `documents`, wherever they come from, byte for byte as SOPS prints them.
///
/// # Errors
/// When the format cannot hold them.
pub fn emit(format: Format, documents: &[Map], layout: Layout) -> Result<Secret, EmitError> {
    match format {
        Format::Json => json::emit(documents, layout),
        Format::Dotenv => dotenv::emit(documents),
        Format::Ini => ini::emit(documents),
        Format::Binary => binary::content(documents).cloned(),
        Format::Yaml => {
            let indent = yaml::Indent::of(layout.indent.unwrap_or(0));
            indent
                .and_then(|indent| yaml::emit(documents, indent))
                .map_err(|error| match error {
                    yaml::EmitError::NegativeIndent => EmitError::NegativeIndent(format),
                    yaml::EmitError::CommentNotText => EmitError::CommentNotText(format),
                })
        }
    }
}

/// Changes `source`, which was read as `before`, to hold `after`, a changed copy of `before`. In YAML and
/// JSON every byte outside of what changed stays, and what is new is written in the style of its
/// neighbours; the other formats are printed anew.
///
/// New in `after` is what has no position; what stays keeps its span. Leaves may have got another text,
/// kind and style, values of entries may have been replaced, entries, items and comments may have been
/// added and removed, and in lists a comment may have become an item or the other way round.
///
/// # Errors
/// When the format cannot hold what is new.
pub fn rewrite(
    format: Format,
    source: &[u8],
    before: &[Map],
    after: &[Map],
    layout: Layout,
) -> Result<Secret, EmitError> {
    match (format, before, after) {
        (Format::Yaml, _, _) => {
            let source = std::str::from_utf8(source).unwrap_or_default();
            Ok(yaml::rewrite(source, before, after))
        }
        (Format::Json, [before], [after]) => json::rewrite(source, before, after, layout),
        _ => emit(format, after, layout),
    }
}

/// A text that is not valid in its format. Names the place and the rule, never the text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("line {}, column {}: {fault}", position.line, position.column)]
pub struct SyntaxError {
    /// Where it was noticed.
    pub position: Position,
    /// What is wrong.
    pub fault: Fault,
}

/// What can be wrong with a text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// It breaks the grammar; the text says how.
    Malformed(&'static str),
    /// It is valid, but not read by this program; the text names the construct.
    Unsupported(&'static str),
    /// Two entries of one map have the same key.
    DuplicateKey,
    /// A key is a number, a bool, a date or nothing.
    KeyNotText,
    /// A whole number of 64 bits that is no signed one.
    TooLarge,
    /// There is not a byte.
    Empty,
    /// Maps and lists lie deeper in each other than any reader takes.
    TooDeep,
}

impl fmt::Display for Fault {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Malformed(rule) => formatter.write_str(rule),
            Self::Unsupported(what) => write!(formatter, "{what} not supported here"),
            Self::TooDeep => formatter.write_str("maps and lists are nested too deeply"),
            Self::DuplicateKey => formatter.write_str("the key stands twice in one map"),
            Self::KeyNotText => formatter.write_str("a key that is not text must be quoted"),
            Self::TooLarge => formatter.write_str("a number beyond 63 bits must be quoted"),
            Self::Empty => formatter.write_str("the file is empty"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_ending_of_a_name_decides_and_case_matters() {
        for (name, format) in [
            ("a.yaml", Format::Yaml),
            ("a.yml", Format::Yaml),
            (".yml", Format::Yaml),
            ("a.json", Format::Json),
            (".env", Format::Dotenv),
            ("prod.env", Format::Dotenv),
            ("a.ini", Format::Ini),
            ("env", Format::Binary),
            (".env.prod", Format::Binary),
            ("A.YAML", Format::Binary),
            ("a.txt", Format::Binary),
            ("", Format::Binary),
        ] {
            assert_eq!(Format::of_file_name(name), format, "{name}");
        }
        assert_eq!(Format::of_document_name("a.json"), None);
        assert_eq!(Format::of_document_name("a.yml"), Some(Format::Yaml));
    }

    #[test]
    fn every_format_has_its_word_and_no_other() {
        for word in ["yaml", "json", "dotenv", "ini", "binary"] {
            assert_eq!(Format::from_word(word).map(Format::word), Some(word));
        }
        for word in ["env", "JSON", "", "yml"] {
            assert_eq!(Format::from_word(word), None);
        }
    }

    const FORMATS: [Format; 5] = [
        Format::Yaml,
        Format::Json,
        Format::Dotenv,
        Format::Ini,
        Format::Binary,
    ];

    /// Reads `text` in each format, prints it in each, and changes nothing.
    fn endure(text: &[u8]) {
        for format in FORMATS {
            let Ok(documents) = parse(format, &Secret::new(text.to_vec())) else {
                continue;
            };
            for other in FORMATS {
                let _ = emit(other, &documents, Layout::default());
            }
            let _ = rewrite(format, text, &documents, &documents, Layout::default());
        }
    }

    proptest::proptest! {
        #[test]
        fn no_text_makes_a_format_panic(
            bytes in proptest::collection::vec(proptest::prelude::any::<u8>(), 0..60),
            signs in "[ \n\r\t{}\\[\\]:,\"'`#;=|>&*!\\\\a0-]{0,40}",
        ) {
            endure(&bytes);
            endure(signs.as_bytes());
        }

        #[test]
        fn no_flipped_bit_makes_a_format_panic(bit in 0_usize..8 * 100) {
            let texts: [&[u8]; 3] = [
                b"{\n\t\"a\": [1, -2.5e3, \"\\u00e9\\ud83d\\ude00\", true, null],\n\t\"sops\": {\"mac\": \"x\"}\n}\n",
                b"# c\nA=1\nB=a\\nb\nsops_age__list_0__map_enc=x\\n\n",
                b"; c\nz = 1\n[s] ; d\na = \"\"\"x\ny\"\"\" # e\n`b` : 'c' \\\n d\n[sops]\nmac = x\n",
            ];
            for text in texts {
                let mut text = text.to_vec();
                if let Some(byte) = text.get_mut(bit / 8) {
                    *byte ^= 1 << (bit % 8);
                }
                endure(&text);
            }
        }
    }

    #[test]
    fn hostile_texts_take_linear_time() {
        // Quadratic time would be a minute for each.
        const MANY: usize = 60_000;
        for text in [
            format!("{{\"a\": \"{}\"}}", "\\n\\\\".repeat(MANY)),
            format!("{{\"a\": [{}1]}}", "{},1,\n".repeat(MANY)),
            format!("{{{}\"a\": 1}}", "\"a\": 1, ".repeat(MANY)),
            format!("{{\"a\": 1}}{}", " ".repeat(MANY)),
            format!("A={}", "\\\\n".repeat(MANY)),
            "#\n=\n".repeat(MANY),
            format!("a = \"\"\"{}", "\"\"\n;".repeat(MANY)),
            format!("a = {}", "\\\n".repeat(MANY)),
            "; a\n".repeat(MANY),
            format!("[s]\na = 1\n{}", "a = 2 ; b\n".repeat(MANY)),
            format!("a = \"{}", "'`\" ".repeat(MANY)),
        ] {
            for format in [Format::Json, Format::Dotenv, Format::Ini, Format::Binary] {
                let Ok(documents) = parse(format, &Secret::from_text(&text)) else {
                    continue;
                };
                for other in [Format::Json, Format::Dotenv, Format::Ini] {
                    let _ = emit(other, &documents, Layout::default());
                }
                let same = rewrite(
                    format,
                    text.as_bytes(),
                    &documents,
                    &documents,
                    Layout::default(),
                );
                assert!(format != Format::Json || same.unwrap().expose() == text.as_bytes());
            }
        }
    }
}
