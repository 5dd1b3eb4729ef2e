//! Reading a command line as the library of SOPS does, `urfave/cli` 1 on top of Go's `flag`.
//!
//! Flags are data; nothing here knows what they mean. One dash or two make no difference, a value
//! follows or stands behind `=`, and reading stops at the first word that is no flag. For a
//! subcommand, flags are first moved before the other words, together with the word behind each; two
//! dashes anywhere end the flags.

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStrExt as _;

use crate::cli::environ::Environ;

/// What may stand behind a flag.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Takes {
    /// Nothing; `=false` turns it off.
    Nothing,
    /// A text; the last one counts.
    Text,
    /// A text each time it is given.
    Texts,
    /// A whole number.
    Number,
}

/// One flag.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Flag {
    /// Its long name.
    pub(super) name: &'static str,
    /// Its short name, empty where it has none.
    pub(super) short: &'static str,
    /// What may stand behind it.
    pub(super) takes: Takes,
    /// The variable that stands for it.
    pub(super) variable: Option<&'static str>,
    /// One line of help.
    pub(super) about: &'static str,
}

impl Flag {
    fn is(&self, name: &[u8]) -> bool {
        self.name.as_bytes() == name || (!self.short.is_empty() && self.short.as_bytes() == name)
    }
}

/// Where flags may stand.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Order {
    /// Before all other words.
    FlagsFirst,
    /// Anywhere.
    Anywhere,
}

/// A command line that is not understood.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum Misuse {
    /// There is no such flag.
    #[error("flag provided but not defined: -{0}")]
    Unknown(String),
    /// Nothing stands behind it.
    #[error("flag needs an argument: -{0}")]
    NoValue(String),
    /// Dashes without a name.
    #[error("bad flag syntax: {0}")]
    Syntax(String),
    /// A switch that is neither on nor off.
    #[error("invalid boolean value \"{value}\" for -{name}: parse error")]
    NotBoolean {
        /// The flag.
        name: String,
        /// What stands behind it.
        value: String,
    },
    /// Not a number.
    #[error("invalid value \"{value}\" for flag -{name}: parse error")]
    NotNumber {
        /// The flag.
        name: String,
        /// What stands behind it.
        value: String,
    },
    /// Its long and its short name.
    #[error("Cannot use two forms of the same flag: {0} {1}")]
    BothForms(&'static str, &'static str),
    /// Help was asked for.
    #[error("help requested")]
    Help,
}

/// What was given.
#[derive(Debug, Default)]
pub(super) struct Parsed {
    given: Vec<(&'static str, OsString)>,
    from_variables: Vec<(&'static str, OsString)>,
    /// The words that are no flags.
    pub(super) arguments: Vec<OsString>,
}

impl Parsed {
    /// The names of the flags that were typed, each once.
    pub(super) fn typed(&self) -> Vec<&'static str> {
        let mut names: Vec<_> = self.given.iter().map(|(name, _)| *name).collect();
        names.sort_unstable();
        names.dedup();
        names
    }

    /// Whether the switch `name` is on.
    pub(super) fn is_on(&self, name: &str) -> bool {
        self.raw(name).is_some_and(|value| value != "false")
    }

    /// The text of the flag `name`; an empty one counts as none.
    pub(super) fn raw(&self, name: &str) -> Option<&OsStr> {
        let all = self.from_variables.iter().chain(&self.given);
        let last = all.rev().find(|(known, _)| *known == name);
        last.map(|(_, value)| value.as_os_str())
            .filter(|value| !value.is_empty())
    }

    /// As [`Self::raw`], what is not UTF-8 replaced.
    pub(super) fn text(&self, name: &str) -> Option<String> {
        self.raw(name)
            .map(|value| value.to_string_lossy().into_owned())
    }

    /// Every text of the flag `name`.
    pub(super) fn texts(&self, name: &str) -> Vec<String> {
        let of = |pairs: &[(&'static str, OsString)]| -> Vec<String> {
            let mine = pairs.iter().filter(|(known, _)| *known == name);
            mine.map(|(_, value)| value.to_string_lossy().into_owned())
                .collect()
        };
        let given = of(&self.given);
        if given.is_empty() {
            of(&self.from_variables)
        } else {
            given
        }
    }

    /// The number of the flag `name`, if it was given.
    pub(super) fn number(&self, name: &str) -> Option<i64> {
        self.text(name).and_then(|text| text.parse().ok())
    }
}

/// Reads `arguments`, which begin behind the name of the command.
pub(super) fn parse(
    flags: &[&'static Flag],
    arguments: &[OsString],
    order: Order,
    environ: &Environ,
) -> Result<Parsed, Misuse> {
    let (words, dashes) = match order {
        Order::FlagsFirst => (arguments.to_vec(), None),
        Order::Anywhere => reorder(flags, arguments),
    };
    let mut reading = Reading {
        flags,
        rest: &words,
        given: Vec::new(),
    };
    while reading.one()? {}
    let given = reading.merged()?;
    let mut arguments = reading.rest.to_vec();
    // A word that was taken for the value of a switch ended the flags before the dashes did, and they
    // would count as an argument. So they do in SOPS, which then refuses the call.
    let read = words.len() - arguments.len();
    if let Some(place) = dashes.and_then(|place| place.checked_sub(read)) {
        arguments.remove(place);
    }
    let variables = flags.iter().filter_map(|flag| {
        let value = environ.raw(flag.variable?)?;
        Some((flag.name, value.to_owned()))
    });
    Ok(Parsed {
        given,
        from_variables: variables.collect(),
        arguments,
    })
}

/// Moves flags before the other words, each with the word behind it, whether it takes one or not. Two
/// dashes end the flags and are moved between both; where they stand then is given, too.
fn reorder(flags: &[&'static Flag], arguments: &[OsString]) -> (Vec<OsString>, Option<usize>) {
    let (mut first, mut others) = (Vec::new(), Vec::new());
    let mut dashes = None;
    let mut may_be_value = false;
    for (at, argument) in arguments.iter().enumerate() {
        let is_flag = is_flag(flags, argument);
        if may_be_value && !is_flag {
            may_be_value = false;
            first.push(argument.clone());
        } else if argument == "--" {
            dashes = Some(first.len());
            others.insert(0, argument.clone());
            others.extend_from_slice(&arguments[at + 1..]);
            break;
        } else if is_flag {
            may_be_value = !argument.as_bytes().contains(&b'=');
            first.push(argument.clone());
        } else {
            others.push(argument.clone());
        }
    }
    first.append(&mut others);
    (first, dashes)
}

fn is_flag(flags: &[&'static Flag], argument: &OsStr) -> bool {
    let bytes = argument.as_bytes();
    let Some(name) = bytes.strip_prefix(b"-").filter(|name| !name.is_empty()) else {
        return false;
    };
    let name = name.strip_prefix(b"-").unwrap_or(name);
    let name = split_value(name).0;
    is_help(name) || flags.iter().any(|flag| flag.is(name))
}

fn is_help(name: &[u8]) -> bool {
    matches!(name, b"help" | b"h")
}

fn split_value(name: &[u8]) -> (&[u8], Option<&[u8]>) {
    match name.iter().skip(1).position(|byte| *byte == b'=') {
        Some(at) => (&name[..=at], Some(&name[at + 2..])),
        None => (name, None),
    }
}

struct Reading<'a> {
    flags: &'a [&'static Flag],
    rest: &'a [OsString],
    /// Flag, the form it was given in, and its value.
    given: Vec<(&'static Flag, bool, OsString)>,
}

impl Reading<'_> {
    /// Reads one flag; `false` when what comes next is none.
    fn one(&mut self) -> Result<bool, Misuse> {
        let Some((argument, behind)) = self.rest.split_first() else {
            return Ok(false);
        };
        let bytes = argument.as_bytes();
        let Some(name) = bytes.strip_prefix(b"-").filter(|name| !name.is_empty()) else {
            return Ok(false);
        };
        let name = name.strip_prefix(b"-").unwrap_or(name);
        if name.is_empty() {
            self.rest = behind;
            return Ok(false);
        }
        if name.starts_with(b"-") || name.starts_with(b"=") {
            return Err(Misuse::Syntax(argument.to_string_lossy().into_owned()));
        }
        let (name, value) = split_value(name);
        self.rest = behind;
        let shown = || String::from_utf8_lossy(name).into_owned();
        let Some(flag) = self.flags.iter().find(|flag| flag.is(name)) else {
            return Err(if is_help(name) {
                Misuse::Help
            } else {
                Misuse::Unknown(shown())
            });
        };
        let value = value.map(|value| OsStr::from_bytes(value).to_owned());
        let value = match (flag.takes, value) {
            (Takes::Nothing, value) => switch(value, shown)?,
            (_, Some(value)) => value,
            (_, None) => {
                let (value, behind) = self
                    .rest
                    .split_first()
                    .ok_or_else(|| Misuse::NoValue(shown()))?;
                self.rest = behind;
                value.clone()
            }
        };
        if flag.takes == Takes::Number && value.to_str().is_none_or(|n| n.parse::<i64>().is_err()) {
            let value = value.to_string_lossy().into_owned();
            return Err(Misuse::NotNumber {
                name: shown(),
                value,
            });
        }
        self.given.push((flag, flag.name.as_bytes() == name, value));
        Ok(true)
    }

    /// The values by long name. SOPS refuses both names of one flag.
    fn merged(&mut self) -> Result<Vec<(&'static str, OsString)>, Misuse> {
        for (flag, long, _) in &self.given {
            let other = |(known, form, _): &&(&Flag, bool, OsString)| {
                known.name == flag.name && form != long
            };
            if self.given.iter().any(|each| other(&each)) {
                return Err(Misuse::BothForms(flag.name, flag.short));
            }
        }
        let given = std::mem::take(&mut self.given);
        Ok(given
            .into_iter()
            .map(|(flag, _, value)| (flag.name, value))
            .collect())
    }
}

/// `true` or `false`, in any spelling of Go.
fn switch(value: Option<OsString>, name: impl Fn() -> String) -> Result<OsString, Misuse> {
    let Some(value) = value else {
        return Ok("true".into());
    };
    match value.to_str() {
        Some("1" | "t" | "T" | "true" | "TRUE" | "True") => Ok("true".into()),
        Some("0" | "f" | "F" | "false" | "FALSE" | "False") => Ok("false".into()),
        _ => Err(Misuse::NotBoolean {
            name: name(),
            value: value.to_string_lossy().into_owned(),
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn flag(name: &'static str, short: &'static str, takes: Takes) -> Flag {
        Flag {
            name,
            short,
            takes,
            variable: None,
            about: "",
        }
    }

    static IN_PLACE: Flag = flag("in-place", "i", Takes::Nothing);
    static OUTPUT: Flag = flag("output", "", Takes::Text);
    static INDENT: Flag = flag("indent", "", Takes::Number);
    const FLAGS: [&Flag; 3] = [&IN_PLACE, &OUTPUT, &INDENT];

    fn read(words: &str, order: Order) -> Result<Parsed, Misuse> {
        let words: Vec<OsString> = words.split(' ').map(OsString::from).collect();
        parse(&FLAGS, &words, order, &Environ::default())
    }

    #[test]
    fn one_dash_or_two_and_an_equals_sign_mean_the_same() {
        for words in [
            "-i -output=x f",
            "--in-place --output x f",
            "-in-place=1 --output=x f",
        ] {
            let parsed = read(words, Order::FlagsFirst).unwrap();
            assert!(parsed.is_on("in-place"), "{words}");
            assert_eq!(parsed.text("output").as_deref(), Some("x"));
            assert_eq!(parsed.arguments, ["f"]);
        }
        assert!(
            !read("-i=false f", Order::FlagsFirst)
                .unwrap()
                .is_on("in-place")
        );
    }

    #[test]
    fn flags_behind_the_file_count_only_with_a_subcommand() {
        let parsed = read("f --output x", Order::FlagsFirst).unwrap();
        assert_eq!(parsed.arguments, ["f", "--output", "x"]);
        let parsed = read("f --output x", Order::Anywhere).unwrap();
        assert_eq!(parsed.arguments, ["f"]);
        // A word behind a switch is taken for its value, and so ends the flags.
        let parsed = read("-i f --output x", Order::Anywhere).unwrap();
        assert_eq!(parsed.arguments, ["f", "--output", "x"]);
    }

    #[test]
    fn what_is_not_understood_is_said_as_sops_says_it() {
        for (words, said) in [
            ("--nope f", "flag provided but not defined: -nope"),
            ("-di f", "flag provided but not defined: -di"),
            ("--output", "flag needs an argument: -output"),
            ("---x f", "bad flag syntax: ---x"),
            (
                "--indent two f",
                "invalid value \"two\" for flag -indent: parse error",
            ),
            (
                "-i --in-place f",
                "Cannot use two forms of the same flag: in-place i",
            ),
            ("-h", "help requested"),
        ] {
            assert_eq!(
                read(words, Order::FlagsFirst).unwrap_err().to_string(),
                said
            );
        }
    }

    #[test]
    fn what_stands_behind_two_dashes_is_no_flag() {
        let parsed = read("-i -- --output x", Order::FlagsFirst).unwrap();
        assert_eq!(parsed.arguments, ["--output", "x"]);
        for (words, arguments) in [
            ("-- f --output", &["f", "--output"][..]),
            ("f -- --output", &["f", "--output"]),
            ("f a --", &["f", "a"]),
            ("f -i -- -x", &["f", "-x"]),
            ("f -- -- -x", &["f", "--", "-x"]),
            // Behind a switch as well, where SOPS counts the dashes as an argument.
            ("-i f -- -x", &["f", "-x"]),
            ("-i f a -- --", &["f", "a", "--"]),
        ] {
            let parsed = read(words, Order::Anywhere).unwrap();
            assert_eq!(parsed.arguments, arguments, "{words}");
            assert_eq!(parsed.is_on("in-place"), words.contains("-i"), "{words}");
        }
    }

    #[test]
    fn a_variable_stands_for_a_flag_that_was_not_given() {
        static AGE: Flag = Flag {
            name: "age",
            short: "a",
            takes: Takes::Text,
            variable: Some("SOPS_AGE_RECIPIENTS"),
            about: "",
        };
        let environ = Environ::from([("SOPS_AGE_RECIPIENTS", "age1x")]);
        let read = |words: &[&str]| {
            let words: Vec<OsString> = words.iter().map(OsString::from).collect();
            let parsed = parse(&[&AGE], &words, Order::Anywhere, &environ).unwrap();
            parsed.text("age")
        };
        assert_eq!(read(&["f"]).as_deref(), Some("age1x"));
        assert_eq!(read(&["-a", "age1y", "f"]).as_deref(), Some("age1y"));
    }
}
