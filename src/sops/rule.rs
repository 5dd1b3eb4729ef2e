//! The selection rule: which values of a file are encrypted.

mod go;

use regex::Regex;

/// One of the six rules of SOPS. Suffixes and patterns look at every key on the way to a value, the
/// comment rules at the comments above it.
#[derive(Debug, Clone)]
pub enum Rule {
    /// Everything but what lies below a key with this suffix.
    UnencryptedSuffix(String),
    /// Only what lies below a key with this suffix.
    EncryptedSuffix(String),
    /// Everything but what lies below a key that matches.
    UnencryptedRegex(Pattern),
    /// Only what lies below a key that matches.
    EncryptedRegex(Pattern),
    /// Everything but what stands below a comment that matches.
    UnencryptedCommentRegex(Pattern),
    /// Only what stands below a comment that matches.
    EncryptedCommentRegex(Pattern),
}

/// A regular expression and how it was written.
#[derive(Debug, Clone)]
pub struct Pattern {
    matcher: Matcher,
    text: String,
}

/// What a pattern comes down to.
#[derive(Debug, Clone)]
enum Matcher {
    /// `^(one|two)$`: whole keys. Nearly every rule is of this kind, and a regular expression takes
    /// longer to build than a file takes to open.
    Names(Vec<String>),
    /// Anything else.
    Regex(Regex),
    /// What is no regular expression, where SOPS takes it all the same.
    Nothing,
}

impl Pattern {
    /// Reads a pattern in the syntax of Go.
    pub(super) fn new(text: &str) -> Result<Self, InvalidRule> {
        let matcher = match whole_names(text) {
            Some(names) => Matcher::Names(names),
            None => {
                let regex = go::translate(text).and_then(|text| Regex::new(&text).ok());
                Matcher::Regex(regex.ok_or_else(|| InvalidRule::Pattern {
                    pattern: text.to_owned(),
                })?)
            }
        };
        Ok(Self {
            matcher,
            text: text.to_owned(),
        })
    }

    /// Whether it is found anywhere in `text`.
    pub(super) fn is_match(&self, text: &str) -> bool {
        match &self.matcher {
            Matcher::Names(names) => names.iter().any(|name| name == text),
            Matcher::Regex(regex) => regex.is_match(text),
            Matcher::Nothing => false,
        }
    }
}

/// The names of a pattern `^name$` or `^(one|two)$`.
fn whole_names(pattern: &str) -> Option<Vec<String>> {
    let inner = pattern.strip_prefix('^')?.strip_suffix('$')?;
    let names = match inner.strip_prefix('(') {
        Some(group) => group.strip_suffix(')')?.split('|').collect(),
        None => vec![inner],
    };
    let is_plain = |name: &&str| {
        let stands_for_itself = |byte: u8| byte.is_ascii_alphanumeric() || b"_-".contains(&byte);
        !name.is_empty() && name.bytes().all(stands_for_itself)
    };
    let all_plain = names.iter().all(is_plain);
    all_plain.then(|| names.into_iter().map(str::to_owned).collect())
}

/// A selection rule that cannot be followed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidRule {
    /// Not a regular expression of Go, whose syntax SOPS uses.
    #[error("the pattern \"{pattern}\" is not a regular expression of Go, as SOPS takes them")]
    Pattern {
        /// The pattern; a rule is no secret.
        pattern: String,
    },
    /// There may be one at most.
    #[error("there are two selection rules, {first} and {second}")]
    Two {
        /// Name of one.
        first: &'static str,
        /// Name of the other.
        second: &'static str,
    },
}

impl Rule {
    /// The pattern of environment documents: sections `secrets` and fields `password`.
    pub const ENVIRONMENT_PATTERN: &str = "^(secrets|password)$";
    /// Names of the rules in the file.
    pub(super) const NAMES: [&'static str; 6] = [
        "unencrypted_suffix",
        "encrypted_suffix",
        "unencrypted_regex",
        "encrypted_regex",
        "unencrypted_comment_regex",
        "encrypted_comment_regex",
    ];

    /// The rule of environment documents, `encrypted_regex: ^(secrets|password)$`.
    ///
    /// # Errors
    /// Never, since the pattern is valid.
    pub fn environment() -> Result<Self, InvalidRule> {
        Pattern::new(Self::ENVIRONMENT_PATTERN).map(Self::EncryptedRegex)
    }

    /// The rule of a file that names none: `unencrypted_suffix: _unencrypted`.
    #[must_use]
    pub fn fallback() -> Self {
        Self::UnencryptedSuffix("_unencrypted".to_owned())
    }

    /// The rule called `name` in a file, with its argument.
    ///
    /// # Errors
    /// When the argument is no pattern that can be followed. `None` for a name that is no rule.
    pub fn named(name: &str, argument: &str) -> Option<Result<Self, InvalidRule>> {
        let suffix = argument.to_owned();
        let rule = match name {
            "unencrypted_suffix" => Ok(Self::UnencryptedSuffix(suffix)),
            "encrypted_suffix" => Ok(Self::EncryptedSuffix(suffix)),
            "unencrypted_regex" => Pattern::new(argument).map(Self::UnencryptedRegex),
            "encrypted_regex" => Pattern::new(argument).map(Self::EncryptedRegex),
            "unencrypted_comment_regex" => {
                Pattern::new(argument).map(Self::UnencryptedCommentRegex)
            }
            "encrypted_comment_regex" => Pattern::new(argument).map(Self::EncryptedCommentRegex),
            _ => return None,
        };
        Some(rule)
    }

    /// As [`Self::named`], but a pattern that is none matches nothing, as in SOPS; [`Self::is_broken`]
    /// tells. `None` for a name that is no rule.
    ///
    /// # Errors
    /// When a pattern is one, but needs too much memory to be followed.
    #[must_use]
    pub fn tolerant(name: &str, argument: &str) -> Option<Result<Self, InvalidRule>> {
        let rule = Self::named(name, argument)?;
        let Err(error) = rule else {
            return Some(rule);
        };
        let is_one = go::translate(argument)
            .is_some_and(|text| matches!(Regex::new(&text), Err(regex::Error::CompiledTooBig(_))));
        if is_one {
            return Some(Err(error));
        }
        let pattern = Pattern {
            matcher: Matcher::Nothing,
            text: argument.to_owned(),
        };
        Some(Ok(match name {
            "unencrypted_regex" => Self::UnencryptedRegex(pattern),
            "encrypted_regex" => Self::EncryptedRegex(pattern),
            "unencrypted_comment_regex" => Self::UnencryptedCommentRegex(pattern),
            _ => Self::EncryptedCommentRegex(pattern),
        }))
    }

    /// Whether its pattern is no regular expression, so that it matches nothing.
    #[must_use]
    pub fn is_broken(&self) -> bool {
        match self {
            Self::UnencryptedSuffix(_) | Self::EncryptedSuffix(_) => false,
            Self::UnencryptedRegex(pattern)
            | Self::EncryptedRegex(pattern)
            | Self::UnencryptedCommentRegex(pattern)
            | Self::EncryptedCommentRegex(pattern) => {
                matches!(pattern.matcher, Matcher::Nothing)
            }
        }
    }

    /// Whether it is comments that say what is encrypted.
    pub(super) fn goes_by_comments(&self) -> bool {
        matches!(
            self,
            Self::UnencryptedCommentRegex(_) | Self::EncryptedCommentRegex(_)
        )
    }

    /// Name of the rule in the file.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self {
            Self::UnencryptedSuffix(_) => "unencrypted_suffix",
            Self::EncryptedSuffix(_) => "encrypted_suffix",
            Self::UnencryptedRegex(_) => "unencrypted_regex",
            Self::EncryptedRegex(_) => "encrypted_regex",
            Self::UnencryptedCommentRegex(_) => "unencrypted_comment_regex",
            Self::EncryptedCommentRegex(_) => "encrypted_comment_regex",
        }
    }

    /// Its argument in the file: the suffix or the pattern.
    #[must_use]
    pub fn argument(&self) -> &str {
        match self {
            Self::UnencryptedSuffix(suffix) | Self::EncryptedSuffix(suffix) => suffix,
            Self::UnencryptedRegex(pattern)
            | Self::EncryptedRegex(pattern)
            | Self::UnencryptedCommentRegex(pattern)
            | Self::EncryptedCommentRegex(pattern) => &pattern.text,
        }
    }

    /// Whether what stands below a hit is encrypted; everything else is the opposite.
    pub(super) fn hit_encrypts(&self) -> bool {
        matches!(
            self,
            Self::EncryptedSuffix(_) | Self::EncryptedRegex(_) | Self::EncryptedCommentRegex(_)
        )
    }

    /// Whether `key` is a hit.
    pub(super) fn hits_key(&self, key: &str) -> bool {
        match self {
            Self::UnencryptedSuffix(suffix) | Self::EncryptedSuffix(suffix) => {
                key.ends_with(suffix)
            }
            Self::UnencryptedRegex(pattern) | Self::EncryptedRegex(pattern) => {
                pattern.is_match(key)
            }
            Self::UnencryptedCommentRegex(_) | Self::EncryptedCommentRegex(_) => false,
        }
    }

    /// Whether the text of a comment is a hit.
    pub(super) fn hits_comment(&self, text: &str) -> bool {
        match self {
            Self::UnencryptedCommentRegex(pattern) | Self::EncryptedCommentRegex(pattern) => {
                pattern.is_match(text)
            }
            _ => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_look_at_single_keys_unanchored() {
        let rule = Rule::named("encrypted_regex", "data").unwrap().unwrap();
        assert!(rule.hits_key("metadata") && !rule.hits_key("dat"));
        let rule = Rule::environment().unwrap();
        assert!(rule.hits_key("secrets") && !rule.hits_key("secrets_old"));
    }

    #[test]
    fn whole_names_are_told_from_other_patterns() {
        let names = |pattern| whole_names(pattern).unwrap_or_default();
        assert_eq!(names("^(secrets|password)$"), ["secrets", "password"]);
        assert_eq!(names("^data$"), ["data"]);
        for other in [
            "^a|b$",
            "^(a|b)",
            "(a|b)$",
            "^(a.|b)$",
            "^(a)|(b)$",
            "^(?i)a$",
            "^a\\$",
            "^(a|)$",
            "^$",
        ] {
            assert_eq!(whole_names(other), None, "{other}");
        }
    }

    proptest::proptest! {
        #[test]
        fn whole_names_hit_what_the_regular_expression_hits(
            pattern in r"\^?\(?[ab_-]{0,2}(\|[ab]{0,2})?\)?\$?",
            key in r"[ab_|-]{0,3}\n?",
        ) {
            if let (Some(names), Ok(regex)) = (whole_names(&pattern), Regex::new(&pattern)) {
                proptest::prop_assert_eq!(names.contains(&key), regex.is_match(&key));
            }
        }

        #[test]
        fn what_both_syntaxes_have_in_common_stays_what_it_is(
            pattern in r"(\^?(a|b|\.|\\\.|[ab]|\[a-b\]|\[\^b\]|\(a\|b\)|\(\?i:B\)|\x61|é)([*+?]|\{1,2\}|\*\?)?){1,4}\$?",
            key in r"[abAB.é]{0,5}",
        ) {
            let (ours, plain) = (Pattern::new(&pattern).unwrap(), Regex::new(&pattern).unwrap());
            proptest::prop_assert_eq!(ours.is_match(&key), plain.is_match(&key));
        }
    }

    #[test]
    fn a_broken_pattern_matches_nothing_where_sops_takes_it() {
        let rule = Rule::tolerant("encrypted_regex", "(").unwrap().unwrap();
        assert!(rule.is_broken() && !rule.hits_key("("));
        assert_eq!((rule.name(), rule.argument()), ("encrypted_regex", "("));
        let rule = Rule::tolerant("encrypted_regex", "a").unwrap().unwrap();
        assert!(!rule.is_broken() && rule.hits_key("a"));
        assert!(Rule::tolerant("regex", "a").is_none());
        let big = "a{1000}".repeat(1000);
        assert!(Rule::tolerant("encrypted_regex", &big).unwrap().is_err());
    }

    #[test]
    fn literal_spans_of_go_are_understood() {
        let rule = Rule::named("encrypted_regex", r"^\Qdb.\E[a-z]+$")
            .unwrap()
            .unwrap();
        assert!(rule.hits_key("db.x") && !rule.hits_key("dbxx"));
        for refused in [
            "(",
            r"\Z",
            r"\h",
            "(?x)a b",
            "a**",
            r"[a-\d]",
            r"\1",
            r"\p{Alphabetic}",
        ] {
            let rule = Rule::named("encrypted_regex", refused).unwrap();
            assert!(rule.is_err(), "{refused}");
        }
    }
}
