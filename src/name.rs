//! Names that were checked once and need no second look.
//!
//! Each type is built by `FromStr` with the rule of Kubernetes (or of this project) and its limit.
//! A raw `String` never crosses a module edge as a name. Nothing here knows what a name stands for.

use std::borrow::Cow;
use std::ffi::OsStr;
use std::fmt;
use std::str::FromStr;

/// Why a text is not a valid name. Names are no secrets, so the text is shown.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("\"{text}\" is not a valid {what}: {rule}")]
pub struct InvalidName {
    /// What the name was meant for, such as `namespace`.
    pub what: &'static str,
    /// The rule that it breaks, as a phrase.
    pub rule: &'static str,
    /// The refused text, cut to 80 characters.
    pub text: String,
}

impl InvalidName {
    fn new(what: &'static str, rule: &'static str, text: &str) -> Self {
        Self {
            what,
            rule,
            text: text.chars().take(80).collect(),
        }
    }
}

/// Declares one kind of name: its type, what it is called, its check and the rule in words.
macro_rules! name {
    ($(#[$doc:meta])* $type:ident, $what:literal, $check:expr, $rule:literal) => {
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $type(Box<str>);

        impl $type {
            /// The name as text.
            #[must_use]
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl FromStr for $type {
            type Err = InvalidName;

            fn from_str(text: &str) -> Result<Self, InvalidName> {
                if $check(text) {
                    Ok(Self(text.into()))
                } else {
                    Err(InvalidName::new($what, $rule, text))
                }
            }
        }

        impl fmt::Display for $type {
            fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.write_str(&self.0)
            }
        }
    };
}

name!(
    /// Name of an app, and so of its document and its SealedEnv: an RFC 1123 label of at most 38
    /// characters, which leaves room for `seald-bootstrap-<name>-<8 hex>` in a pod label.
    AppName, "name", |text: &str| is_label(text, 38),
    "at most 38 lower-case letters, digits and dashes, beginning and ending with a letter or digit"
);
name!(
    /// Name of an environment: an RFC 1123 label, since it is also a directory and a label value.
    EnvName, "name", |text: &str| is_label(text, 63),
    "at most 63 lower-case letters, digits and dashes, beginning and ending with a letter or digit"
);
name!(
    /// Name of a namespace: an RFC 1123 label.
    Namespace, "name", |text: &str| is_label(text, 63),
    "at most 63 lower-case letters, digits and dashes, beginning and ending with a letter or digit"
);
name!(
    /// Name of a reader, the file stem in `keys/<env>/<name>.pub`: an RFC 1123 label.
    ReaderName, "name", |text: &str| is_label(text, 63),
    "at most 63 lower-case letters, digits and dashes, beginning and ending with a letter or digit"
);
name!(
    /// Name of a ConfigMap, Secret or workload: an RFC 1123 subdomain of at most 253 characters.
    ObjectName, "object name", is_subdomain,
    "at most 253 lower-case letters, digits, dashes and dots; each part begins and ends with a letter or digit"
);
name!(
    /// A key in the data of a ConfigMap or Secret: `[-._a-zA-Z0-9]+`, at most 253 characters, not
    /// `.` or `..` and not beginning with `..` (the rule of Kubernetes' `IsConfigMapKey`).
    ObjectKey, "key", is_object_key,
    "at most 253 letters, digits, dashes, underscores and dots, not beginning with two dots"
);
name!(
    /// Name of a value in a document: `[A-Za-z_][A-Za-z0-9_.-]*`, at most 253 characters.
    KeyName, "key name", is_key_name,
    "letters, digits, underscores, dots and dashes, beginning with a letter or underscore"
);

fn is_label(text: &str, limit: usize) -> bool {
    let bytes = text.as_bytes();
    let alphanumeric = |byte: &u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
    !bytes.is_empty()
        && bytes.len() <= limit
        && bytes.iter().all(|byte| alphanumeric(byte) || *byte == b'-')
        && bytes.first().is_some_and(alphanumeric)
        && bytes.last().is_some_and(alphanumeric)
}

fn is_subdomain(text: &str) -> bool {
    text.len() <= 253 && text.split('.').all(|part| is_label(part, 253))
}

fn is_object_key(text: &str) -> bool {
    !text.is_empty()
        && text.len() <= 253
        && text
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte))
        && text != "."
        && !text.starts_with("..")
}

fn is_key_name(text: &str) -> bool {
    text.len() <= 253
        && text
            .bytes()
            .next()
            .is_some_and(|byte| byte.is_ascii_alphabetic() || byte == b'_')
        && text
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte))
}

/// `text` with its control characters escaped: what a hostile file or its name holds shall not end a line of
/// an error and begin one of its own.
#[must_use]
pub fn one_line(text: &str) -> Cow<'_, str> {
    if !text.contains(char::is_control) {
        return Cow::Borrowed(text);
    }
    let mut line = String::with_capacity(text.len() + 8);
    for each in text.chars() {
        if each.is_control() {
            line.extend(each.escape_default());
        } else {
            line.push(each);
        }
    }
    Cow::Owned(line)
}

/// How a message calls the file at `path`, always on one line.
#[must_use]
pub fn of_path(path: impl AsRef<OsStr>) -> String {
    one_line(&path.as_ref().to_string_lossy()).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_with_line_breaks_stays_on_one_line() {
        assert_eq!(
            of_path("a\nerror: b\u{1b}[2J\r.yaml"),
            "a\\nerror: b\\u{1b}[2J\\r.yaml"
        );
        assert_eq!(of_path("plain 'ä.yaml"), "plain 'ä.yaml");
    }

    #[test]
    fn labels_follow_rfc_1123() {
        for good in ["a", "polls", "a-1", "0a"] {
            assert!(good.parse::<Namespace>().is_ok(), "{good}");
        }
        for bad in ["", "-a", "a-", "A", "a.b", "a_b", "ä", &"a".repeat(64)] {
            assert!(bad.parse::<Namespace>().is_err(), "{bad}");
        }
    }

    #[test]
    fn an_app_name_leaves_room_for_the_names_made_from_it() {
        assert!("a".repeat(38).parse::<AppName>().is_ok());
        assert!("a".repeat(39).parse::<AppName>().is_err());
    }

    #[test]
    fn keys_of_objects_and_of_documents_differ() {
        assert!(".env".parse::<ObjectKey>().is_ok());
        assert!(".env".parse::<KeyName>().is_err());
        assert!("..data".parse::<ObjectKey>().is_err());
        assert!("A=B".parse::<KeyName>().is_err());
        assert!("_A.b-c".parse::<KeyName>().is_ok());
    }

    #[test]
    fn the_message_says_what_and_which_rule() {
        let error = "Polls".parse::<AppName>().unwrap_err();
        assert!(
            error
                .to_string()
                .starts_with("\"Polls\" is not a valid name: at most 38")
        );
    }
}
