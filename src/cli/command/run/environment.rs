//! The environment of the child: the variables of the shell and the values of the document.
//!
//! Pure: it takes both and says what the child gets. What is handed over as a file is left out here.

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};

use crate::cli::environ::Environ;
use crate::cli::error::{CommandError, Exit};
use crate::env::Value;
use crate::name::{EnvName, KeyName};
use crate::secret::Secret;

/// Longest `NAME=value` that a program can be started with, the final NUL excluded: 32 pages of 4 KiB
/// (`MAX_ARG_STRLEN` of Linux).
const LONGEST: usize = 131_071;
/// What a program can hardly do without, and what holds no secret.
const BASIC: [&str; 9] = [
    "HOME", "LANG", "LOGNAME", "PATH", "SHELL", "TERM", "TMPDIR", "TZ", "USER",
];

/// How the two sources are mixed.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Mixing {
    /// Leave out the variables of the shell, but for a few.
    pub(super) pristine: bool,
    /// Let the document win.
    pub(super) overrule: bool,
}

/// What the child gets.
pub(super) struct Mixed {
    /// All variables.
    pub(super) variables: BTreeMap<OsString, OsString>,
    /// How many come from the document.
    pub(super) given: usize,
    /// Names of the document where the shell won.
    pub(super) kept: Vec<String>,
}

/// Mixes `values` into the variables of the shell.
///
/// # Errors
///
/// When a value cannot be a variable: a NUL byte, or too long.
pub(super) fn mix(
    shell: &Environ,
    values: &BTreeMap<KeyName, Value>,
    environment: &EnvName,
    mixing: Mixing,
) -> Result<Mixed, CommandError> {
    let mut variables = from_shell(shell, mixing.pristine);
    let (mut given, mut kept) = (0, Vec::new());
    for (name, value) in values {
        check(name, &value.text)?;
        let key = OsString::from(name.as_str());
        if variables.contains_key(&key) && !mixing.overrule {
            kept.push(name.to_string());
            continue;
        }
        variables.insert(key, text(&value.text));
        given += 1;
    }
    variables.insert("SEALCTL_RUN".into(), "1".into());
    variables.insert("SEALCTL_ENV".into(), environment.as_str().into());
    Ok(Mixed {
        variables,
        given,
        kept,
    })
}

/// The variables of a command that runs without any document.
pub(super) fn without_document(shell: &Environ, pristine: bool) -> BTreeMap<OsString, OsString> {
    let mut variables = from_shell(shell, pristine);
    variables.insert("SEALCTL_RUN".into(), "1".into());
    variables
}

/// What the shell hands on: nothing of ours, and no private key.
fn from_shell(shell: &Environ, pristine: bool) -> BTreeMap<OsString, OsString> {
    let is_ours = |name: &OsStr| {
        let bytes = name.as_encoded_bytes();
        bytes.starts_with(b"SEALCTL_") || bytes == b"SOPS_AGE_KEY"
    };
    let is_basic = |name: &OsStr| {
        name.to_str()
            .is_some_and(|name| BASIC.contains(&name) || name.starts_with("LC_"))
    };
    let all = shell.all().iter();
    let wanted = all.filter(|(name, _)| !is_ours(name) && (!pristine || is_basic(name)));
    wanted
        .map(|(name, value)| (name.clone(), value.clone()))
        .collect()
}

fn check(name: &KeyName, value: &Secret) -> Result<(), CommandError> {
    if value.expose().contains(&0) {
        let what = format!("{name} holds a NUL byte, which no variable can carry");
        return Err(CommandError::new("E0218", Exit::RunFailed, what)
            .fix(format!("hand it over as a file: --file {name}")));
    }
    let length = name.as_str().len() + 1 + value.len();
    if length > LONGEST {
        let what = format!(
            "{name} is {} bytes; an environment variable holds {LONGEST}",
            value.len()
        );
        return Err(CommandError::new("E0217", Exit::RunFailed, what)
            .fix(format!("hand it over as a file: --file {name}")));
    }
    Ok(())
}

/// `value` as the text of a variable; any bytes but NUL will do.
pub(super) fn text(value: &Secret) -> OsString {
    use std::os::unix::ffi::OsStrExt as _;
    OsStr::from_bytes(value.expose()).to_os_string()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::env::Origin;

    fn values(pairs: &[(&str, &str)]) -> BTreeMap<KeyName, Value> {
        let value = |text: &str| Value {
            text: Secret::from_text(text),
            origin: Origin::Secrets,
            secret: true,
        };
        pairs
            .iter()
            .map(|(name, text)| (name.parse().unwrap(), value(text)))
            .collect()
    }

    fn mixed(mixing: Mixing) -> Mixed {
        let shell = Environ::from([
            ("PATH", "/bin"),
            ("PORT", "1"),
            ("SOPS_AGE_KEY", "private"),
            ("SEALCTL_APP", "web"),
        ]);
        let values = values(&[("PORT", "2"), ("TOKEN", "t")]);
        mix(&shell, &values, &"dev".parse().unwrap(), mixing).unwrap()
    }

    fn shown(mixed: &Mixed) -> Vec<String> {
        let pairs = mixed.variables.iter();
        pairs
            .map(|(name, value)| format!("{}={}", name.display(), value.display()))
            .collect()
    }

    #[test]
    fn the_shell_wins_and_neither_our_variables_nor_the_private_key_go_on() {
        let mixed = mixed(Mixing::default());
        assert_eq!(
            shown(&mixed),
            [
                "PATH=/bin",
                "PORT=1",
                "SEALCTL_ENV=dev",
                "SEALCTL_RUN=1",
                "TOKEN=t"
            ]
        );
        assert_eq!(
            (mixed.given, mixed.kept.as_slice()),
            (1, &["PORT".to_owned()][..])
        );
    }

    #[test]
    fn the_document_wins_when_asked_for_and_pristine_leaves_the_shell_out() {
        let overruled = mixed(Mixing {
            overrule: true,
            pristine: false,
        });
        assert!(shown(&overruled).contains(&"PORT=2".to_owned()));
        let pristine = mixed(Mixing {
            overrule: false,
            pristine: true,
        });
        assert!(shown(&pristine).contains(&"PORT=2".to_owned()));
        assert!(shown(&pristine).contains(&"PATH=/bin".to_owned()));
    }

    #[test]
    fn what_no_variable_can_carry_is_refused_by_name() {
        let shell = Environ::default();
        let long = "x".repeat(LONGEST);
        for (text, code) in [("a\0b", "E0218"), (long.as_str(), "E0217")] {
            let values = values(&[("KEY", text)]);
            let error = mix(&shell, &values, &"dev".parse().unwrap(), Mixing::default());
            let error = error.err().unwrap();
            assert_eq!(error.code(), code);
            assert!(!error.what().contains("a\0b"));
        }
    }
}
