//! Where identities come from.
//!
//! For sealctl exactly where SOPS looks: the union of all sources, and a broken source only adds a
//! problem that is shown if nothing opens the file. For seald a mounted folder with one file per
//! environment. What comes out is text, one identity each; parsing it belongs to `crypto`. For files of
//! SOPS a [`Keyring`] unwraps by itself, since there identities of other kinds must ask and run programs.

#![expect(
    clippy::disallowed_methods,
    reason = "identities lie in variables, files and the output of commands"
)]

mod gpg;
mod search;

pub use search::{Keyring, Report};

use std::ffi::OsString;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::file::{self, FileError};
use crate::name::EnvName;
use crate::secret::Secret;

/// An identity file is a few lines; a cap keeps a wrong path from being swallowed whole.
const LIMIT: u64 = 1 << 20;
/// Where programs keep their configuration, below the home directory.
const CONFIGURATION: &str = if cfg!(target_os = "macos") {
    "Library/Application Support"
} else {
    ".config"
};

/// One identity as text, such as `AGE-SECRET-KEY-1…`, and where it was found.
#[derive(Debug, Clone)]
pub struct Found {
    /// The source, as a person would name it: a variable or a path.
    pub source: String,
    /// The identity.
    pub text: Secret,
}

/// A source that could not be used.
#[derive(Debug, Clone)]
pub struct Problem {
    /// The source, as in [`Found`].
    pub source: String,
    /// Why, without any content.
    pub why: String,
}

/// What all sources together gave.
#[derive(Debug, Default)]
pub struct Identities {
    /// The identities, in the order of the sources.
    pub found: Vec<Found>,
    /// The sources that failed.
    pub problems: Vec<Problem>,
}

/// The sources of SOPS, as far as variables name them.
#[derive(Debug, Default)]
pub struct Sources {
    /// `SOPS_AGE_KEY`: identities, separated by white space.
    key: Option<Secret>,
    /// `SOPS_AGE_KEY_FILE`.
    key_file: Option<PathBuf>,
    /// `SOPS_AGE_KEY_CMD`, not yet split into words.
    key_command: Option<String>,
    /// The `keys.txt` that is always looked at, and where a new identity is written.
    default_file: Option<PathBuf>,
    /// `SOPS_AGE_SSH_PRIVATE_KEY_FILE`.
    ssh_file: Option<PathBuf>,
    /// `SOPS_AGE_SSH_PRIVATE_KEY_CMD`, not yet split into words.
    ssh_command: Option<String>,
    /// `~/.ssh`, with `id_ed25519` and `id_rsa` in it.
    ssh_folder: Option<PathBuf>,
    /// `SOPS_GPG_EXEC`.
    gpg: Option<OsString>,
    /// Whether `SOPS_DECRYPTION_ORDER` names OpenPGP before age.
    pgp_first: bool,
}

impl Sources {
    /// Reads the variables of this process.
    #[must_use]
    pub fn of_process() -> Self {
        Self::from_variables(|name| std::env::var_os(name))
    }

    /// Takes the variables from `variable`; empty ones count as unset, as in SOPS.
    pub fn from_variables(variable: impl Fn(&str) -> Option<OsString>) -> Self {
        let set = |name: &str| variable(name).filter(|value| !value.is_empty());
        let home = set("HOME").map(PathBuf::from);
        let configuration = set("XDG_CONFIG_HOME")
            .map(PathBuf::from)
            .or_else(|| home.as_ref().map(|home| home.join(CONFIGURATION)));
        let text = |name: &str| set(name).and_then(|value| value.into_string().ok());
        let path = |name: &str| set(name).map(PathBuf::from);
        Self {
            key: set("SOPS_AGE_KEY").map(|value| Secret::new(value.into_encoded_bytes())),
            key_file: path("SOPS_AGE_KEY_FILE"),
            key_command: text("SOPS_AGE_KEY_CMD"),
            default_file: configuration.map(|folder| folder.join("sops/age/keys.txt")),
            ssh_file: path("SOPS_AGE_SSH_PRIVATE_KEY_FILE"),
            ssh_command: text("SOPS_AGE_SSH_PRIVATE_KEY_CMD"),
            ssh_folder: home.map(|home| home.join(".ssh")),
            gpg: set("SOPS_GPG_EXEC"),
            pgp_first: text("SOPS_DECRYPTION_ORDER").is_some_and(|order| names_pgp_first(&order)),
        }
    }

    /// The `keys.txt` of this user; `None` without a home directory.
    #[must_use]
    pub fn default_file(&self) -> Option<&Path> {
        self.default_file.as_deref()
    }

    /// Asks every source. `recipients` are those of the file to open: the command is run once for
    /// each, with `SOPS_AGE_RECIPIENT`, and once without when there is none.
    #[must_use]
    pub fn collect(&self, recipients: &[String]) -> Identities {
        let mut identities = Identities::default();
        if let Some(key) = &self.key {
            identities.add("SOPS_AGE_KEY", key);
        }
        if let Some(path) = &self.key_file {
            identities.add_file(path, &format!("SOPS_AGE_KEY_FILE ({})", path.display()));
        }
        if let Some(command) = &self.key_command {
            identities.add_command(command, recipients);
        }
        if let Some(path) = &self.default_file
            && file::kind(path).is_some()
        {
            identities.add_file(path, &path.display().to_string());
        }
        identities
    }
}

/// Whether a list of key systems, the first to be tried first, has OpenPGP before age.
fn names_pgp_first(order: &str) -> bool {
    let mut names = order.split(',').map(str::trim);
    names.find(|name| ["age", "pgp"].contains(name)) == Some("pgp")
}

/// The identity of `environment` from a mounted folder with one file per environment, or from `folder`
/// itself where that is a file.
///
/// # Errors
///
/// The problem in words, when the file is missing, unreadable or without any identity.
pub fn mounted(folder: &Path, environment: &EnvName) -> Result<Vec<Found>, Problem> {
    let path = match file::kind(folder) {
        Some(file::Kind::File) => folder.to_owned(),
        _ => folder.join(environment.as_str()),
    };
    let mut identities = Identities::default();
    identities.add_file(&path, &path.display().to_string());
    match identities.problems.pop() {
        Some(problem) => Err(problem),
        None => Ok(identities.found),
    }
}

impl Identities {
    /// Splits `text` into identities; comments and blank lines are passed over.
    fn add(&mut self, source: &str, text: &Secret) {
        let before = self.found.len();
        let lines = text.expose().split(|byte| *byte == b'\n');
        for line in lines.filter(|line| line.trim_ascii_start().first() != Some(&b'#')) {
            let words = line.split(u8::is_ascii_whitespace);
            for word in words.filter(|word| !word.is_empty()) {
                self.found.push(Found {
                    source: source.to_owned(),
                    text: Secret::new(word.to_vec()),
                });
            }
        }
        if self.found.len() == before {
            self.fail(source, "holds no identity");
        }
    }

    fn add_file(&mut self, path: &Path, source: &str) {
        match read(path) {
            Ok(text) => self.add(source, &text),
            Err(why) => self.fail(source, &why),
        }
    }

    fn add_command(&mut self, command: &str, recipients: &[String]) {
        let source = "SOPS_AGE_KEY_CMD";
        let asked: Vec<Option<&str>> = match recipients {
            [] => vec![None],
            some => some.iter().map(|each| Some(each.as_str())).collect(),
        };
        for recipient in asked {
            match run(command, recipient) {
                Ok(text) => self.add(source, &text),
                Err(why) => self.fail(source, &why),
            }
        }
    }

    fn fail(&mut self, source: &str, why: &str) {
        self.problems.push(Problem {
            source: source.to_owned(),
            why: why.to_owned(),
        });
    }
}

/// The content of a file of identities, or why there is none.
fn read(path: &Path) -> Result<Secret, String> {
    file::read(path, LIMIT).map_err(|error| match error {
        error if error.is_missing() => "there is no such file".to_owned(),
        FileError::Io { source, .. } => format!("cannot be read: {}", source.kind()),
        other => other.to_string(),
    })
}

/// Output of the command `line`, which is split into words as a shell would, but run without one; its
/// own messages go to our standard error.
fn run(line: &str, recipient: Option<&str>) -> Result<Secret, String> {
    let words = shlex::split(line).unwrap_or_default();
    let (program, arguments) = words.split_first().ok_or("is not a command line")?;
    let mut command = Command::new(program);
    command.args(arguments).stdin(Stdio::inherit());
    command.stderr(Stdio::inherit());
    if let Some(recipient) = recipient {
        command.env("SOPS_AGE_RECIPIENT", recipient);
    }
    let output = command.output().map_err(|error| not_run(&error))?;
    let text = Secret::new(output.stdout);
    if !output.status.success() {
        return Err(format!("ended with {}", output.status));
    }
    Ok(text)
}

/// Why a program could not be run.
fn not_run(error: &std::io::Error) -> String {
    match error.kind() {
        ErrorKind::NotFound => "cannot be run: there is no such program".to_owned(),
        kind => format!("cannot be run: {kind}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sources(folder: &Path, variables: &[(&str, &str)]) -> Sources {
        let variables: Vec<(String, OsString)> = variables
            .iter()
            .map(|(name, value)| ((*name).to_owned(), OsString::from(value)))
            .chain([("HOME".to_owned(), folder.into())])
            .collect();
        Sources::from_variables(|name| {
            let found = variables.iter().find(|(known, _)| known == name);
            found.map(|(_, value)| value.clone())
        })
    }

    fn texts(identities: &Identities) -> Vec<&str> {
        let found = identities.found.iter();
        found.map(|one| one.text.expose_text().unwrap()).collect()
    }

    #[test]
    fn all_sources_are_joined_and_a_broken_one_is_only_noted() {
        let folder = tempfile::tempdir().unwrap();
        let keys = folder.path().join(".config/sops/age/keys.txt");
        file::create(&keys, &Secret::from_text("# me\nFOUR\n\n"), file::PRIVATE).unwrap();
        let identities = sources(
            folder.path(),
            &[
                ("SOPS_AGE_KEY", "ONE\nTWO  THREE"),
                ("SOPS_AGE_KEY_FILE", "/nowhere/keys"),
                ("SOPS_AGE_KEY_CMD", "sh -c 'echo KEY-$SOPS_AGE_RECIPIENT'"),
            ],
        )
        .collect(&["age1a".to_owned(), "age1b".to_owned()]);
        assert_eq!(
            texts(&identities),
            ["ONE", "TWO", "THREE", "KEY-age1a", "KEY-age1b", "FOUR"]
        );
        assert_eq!(identities.problems.len(), 1);
        assert!(identities.problems[0].source.contains("/nowhere/keys"));
    }

    #[test]
    fn without_any_source_there_is_neither_an_identity_nor_a_problem() {
        let folder = tempfile::tempdir().unwrap();
        let identities = sources(folder.path(), &[]).collect(&[]);
        assert!(identities.found.is_empty() && identities.problems.is_empty());
    }

    #[test]
    fn a_mounted_folder_holds_one_file_for_each_environment() {
        let folder = tempfile::tempdir().unwrap();
        let (prod, dev) = ("prod".parse().unwrap(), "dev".parse().unwrap());
        file::create(
            &folder.path().join("prod"),
            &Secret::from_text("A\nB\n"),
            0o400,
        )
        .unwrap();
        file::create(
            &folder.path().join("dev"),
            &Secret::from_text("# none\n"),
            0o400,
        )
        .unwrap();
        assert_eq!(mounted(folder.path(), &prod).unwrap().len(), 2);
        assert_eq!(
            mounted(folder.path(), &dev).unwrap_err().why,
            "holds no identity"
        );
        assert!(mounted(folder.path(), &"stage".parse().unwrap()).is_err());
    }
}
