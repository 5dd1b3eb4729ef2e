//! Directives, the lines before a document that begin with `%`, as the YAML library of SOPS takes them:
//! `%YAML 1.1` and `%TAG`, and nothing else.
//!
//! Knows one line; how often a directive may stand before a document, the composer knows.

/// A directive.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Directive<'a> {
    /// `%YAML 1.1`.
    Version,
    /// `%TAG`, for this handle.
    Tag(&'a str),
}

const BLANKS: [char; 2] = [' ', '\t'];
const BREAKS: [char; 5] = ['\n', '\r', '\u{85}', '\u{2028}', '\u{2029}'];
/// What may stand in a tag beside letters, digits, `_`, `-` and `%`.
const OF_TAGS: &str = ";/?:@&=+$.,!~*'()[]";
/// Most digits of a version.
const DIGITS: usize = 9;

/// Reads the directive with which `text` begins.
///
/// # Errors
/// The rule that it breaks.
pub(super) fn read(text: &str) -> Result<Directive<'_>, &'static str> {
    let line = text.split(BREAKS).next().unwrap_or_default();
    let (name, rest) = word(line.strip_prefix('%').unwrap_or(line));
    let (directive, rest) = match name {
        "YAML" => (Directive::Version, version(rest)?),
        "TAG" => tag(rest)?,
        _ => return Err("a directive (%…) is neither %YAML nor %TAG"),
    };
    let rest = rest.trim_start_matches(BLANKS);
    if rest.is_empty() || rest.starts_with('#') {
        Ok(directive)
    } else {
        Err("text stands behind a directive (%…)")
    }
}

/// Letters and digits, and what follows them.
fn word(text: &str) -> (&str, &str) {
    let is_end = |letter: char| !letter.is_ascii_alphanumeric() && !matches!(letter, '_' | '-');
    text.split_at(text.find(is_end).unwrap_or(text.len()))
}

fn version(text: &str) -> Result<&str, &'static str> {
    let wrong = "a %YAML directive without a version";
    let text = behind_blanks(text).ok_or(wrong)?;
    let (major, text) = number(text).ok_or(wrong)?;
    let (minor, text) = text.strip_prefix('.').and_then(number).ok_or(wrong)?;
    if (major, minor) == (1, 1) {
        Ok(text)
    } else {
        Err("a %YAML directive names another version than 1.1")
    }
}

fn number(text: &str) -> Option<(u32, &str)> {
    let end = text.find(|letter: char| !letter.is_ascii_digit());
    let (digits, rest) = text.split_at(end.unwrap_or(text.len()));
    let number = digits.parse().ok().filter(|_| digits.len() <= DIGITS)?;
    Some((number, rest))
}

/// The handle, and what stands behind the prefix that it is for.
fn tag(text: &str) -> Result<(Directive<'_>, &str), &'static str> {
    let text = behind_blanks(text).unwrap_or_default();
    let wrong = "the handle of a %TAG directive is not enclosed in !";
    let (name, rest) = word(text.strip_prefix('!').ok_or(wrong)?);
    let rest = match rest.strip_prefix('!') {
        Some(rest) => rest,
        None if name.is_empty() => rest,
        None => return Err(wrong),
    };
    let handle = &text[..text.len() - rest.len()];
    let wrong = "a %TAG directive without a prefix of tags";
    let prefix = behind_blanks(rest).ok_or(wrong)?;
    let (prefix, rest) = prefix.split_at(prefix.find(BLANKS).unwrap_or(prefix.len()));
    if is_of_tags(prefix) {
        Ok((Directive::Tag(handle), rest))
    } else {
        Err(wrong)
    }
}

/// `text` without the blanks before it; `None` where there are none.
fn behind_blanks(text: &str) -> Option<&str> {
    let rest = text.trim_start_matches(BLANKS);
    (rest.len() < text.len()).then_some(rest)
}

fn is_of_tags(text: &str) -> bool {
    let mut parts = text.split('%');
    let may_stand =
        |letter: char| letter.is_ascii_alphanumeric() || matches!(letter, '_' | '-') || OF_TAGS.contains(letter);
    let first = parts.next().unwrap_or_default();
    let is_escape = |part: &str| {
        let digits = part.get(..2);
        digits.is_some_and(|digits| digits.bytes().all(|byte| byte.is_ascii_hexdigit()))
    };
    !text.is_empty()
        && first.chars().all(may_stand)
        && parts.all(|part| is_escape(part) && part.chars().all(may_stand))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_sops_takes_is_taken_and_nothing_else() {
        for text in ["%YAML 1.1", "%YAML\t01.1 # c\n---", "%YAML 1.1#c\r\n"] {
            assert_eq!(read(text), Ok(Directive::Version), "{text}");
        }
        for (text, handle) in [
            ("%TAG ! tag:x\n", "!"),
            ("%TAG !! tag:yaml.org,2002:\n", "!!"),
            ("%TAG !e-1!  tag:%41 # c\n", "!e-1!"),
        ] {
            assert_eq!(read(text), Ok(Directive::Tag(handle)), "{text}");
        }
        for text in [
            "%", "%FOO 1.1", "%YAML", "%YAML 1", "%YAML 1.2", "%YAML 1.10", "%YAML 1.1 x", "%YAML1.1",
            "%YAML 1.0000000001", "%yaml 1.1", "%TAG", "%TAG !", "%TAG ! \n", "%TAG e tag:x", "%TAG !e tag:x",
            "%TAG !e!tag:x", "%TAG !e! tag:x y", "%TAG !e! tag:%zz", "%TAG !e! tag:%4", "%TAG !e! ä",
            "%TAG !e! x#y",
        ] {
            assert!(read(text).is_err(), "{text}");
        }
    }
}
