//! Paths into a file as `--extract`, `set` and `unset` take them: `["key"][0]['other']`.
//!
//! There are no escapes, and a key with `[` in it cannot be named, as in SOPS. An index counts the comments
//! of a list.

use crate::tree::{Path, Step};

/// A path that is none. The words are those of SOPS.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum PathError {
    /// A part is not closed.
    #[error("component {0} doesn't end with ]")]
    Open(String),
    /// A number is none.
    #[error("strconv.Atoi: parsing \"{0}\": invalid syntax")]
    NotANumber(String),
    /// A number below zero.
    #[error("index {0} is below zero")]
    Negative(String),
    /// Nothing stands in the brackets, or one quote alone.
    #[error("component [{0}] names nothing")]
    Nothing(String),
}

/// Reads a path. An empty text is the path to the whole file.
pub(super) fn parse(text: &str) -> Result<Path, PathError> {
    let parts = text.split('[').filter(|part| !part.is_empty());
    let steps = parts.map(step).collect::<Result<Vec<Step>, PathError>>()?;
    Ok(Path::from(steps))
}

fn step(part: &str) -> Result<Step, PathError> {
    let inner = part
        .strip_suffix(']')
        .ok_or_else(|| PathError::Open(part.to_owned()))?;
    if inner.starts_with(['"', '\'']) {
        // SOPS takes off one character at each end, whatever the last one is.
        let mut characters = inner.chars();
        let (Some(_), Some(_)) = (characters.next(), characters.next_back()) else {
            return Err(PathError::Nothing(inner.to_owned()));
        };
        return Ok(Step::Key(characters.as_str().to_owned()));
    }
    if inner.is_empty() {
        return Err(PathError::Nothing(String::new()));
    }
    match inner.parse::<i64>() {
        Ok(number) => {
            let index = usize::try_from(number);
            index
                .map(Step::Place)
                .map_err(|_| PathError::Negative(inner.to_owned()))
        }
        Err(_) => Err(PathError::NotANumber(inner.to_owned())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_quotes_and_numbers_are_read() {
        let path = parse(r#"["a"]['b c'][0]["q"k"]"#).unwrap();
        let steps = path.steps();
        assert_eq!(steps[0], Step::Key("a".into()));
        assert_eq!(steps[1], Step::Key("b c".into()));
        assert_eq!(steps[2], Step::Place(0));
        assert_eq!(steps[3], Step::Key("q\"k".into()));
        assert!(parse("").unwrap().steps().is_empty());
    }

    #[test]
    fn what_is_no_path_is_refused_in_the_words_of_sops() {
        for (text, said) in [
            ("[\"a\"", "component \"a\" doesn't end with ]"),
            ("a", "component a doesn't end with ]"),
            ("[\"a\"]extra", "component \"a\"]extra doesn't end with ]"),
            ("[a]", "strconv.Atoi: parsing \"a\": invalid syntax"),
            ("[-1]", "index -1 is below zero"),
            ("[]", "component [] names nothing"),
            ("[\"]", "component [\"] names nothing"),
            ("é", "component é doesn't end with ]"),
        ] {
            assert_eq!(parse(text).unwrap_err().to_string(), said);
        }
    }
}
