//! `.sops.yaml` as files on disk: where it lies, and which of its rules a file gets.
//!
//! For everybody who seals files that are no environment documents. What stands in it, others read.

use std::ffi::OsStr;
use std::path::{Component, Path, PathBuf};

use crate::env::did_you_mean;
use crate::file::{self, FileError};
use crate::format::Format;
use crate::name::of_path;
use crate::sops::config::{Config, ConfigError, CreationRule, UnknownKey, unknown_keys};

/// Name of the file.
const NAME: &str = ".sops.yaml";
/// What it is often called by mistake.
const MISTAKE: &str = ".sops.yml";
/// How many folders upwards it is searched for.
const FARTHEST: usize = 100;
/// No cap: SOPS has none.
pub(crate) const LONGEST: u64 = u64::MAX - 1;

/// A configuration, or a recipient in it or in a flag, that cannot be used. In the words of SOPS.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub(crate) struct Unusable(pub(crate) String);

/// A configuration and where it lies, if there is one.
#[derive(Debug, Default)]
pub(crate) struct Configuration {
    found: Option<(PathBuf, Config)>,
    unknown: Vec<UnknownKey>,
}

impl Configuration {
    /// Reads the one at `path`.
    ///
    /// # Errors
    /// When it is not there or cannot be read.
    pub(crate) fn at(path: PathBuf) -> Result<Self, Unusable> {
        let text = file::read(&path, LONGEST).map_err(|error| {
            let why = go_words(path.as_os_str(), &error);
            Unusable(format!("could not read config file: {why}"))
        })?;
        let text = text.expose_text().unwrap_or("\u{0}");
        let config = Config::parse(text);
        let config = config.map_err(|error| wrong(&path, &error))?;
        Ok(Self {
            found: Some((path, config)),
            unknown: unknown_keys(text),
        })
    }

    /// Reads the nearest one from the folder `start` upwards. `warn` is told of a file that has nearly
    /// its name.
    ///
    /// # Errors
    /// When the one that is there cannot be read.
    pub(crate) fn above(start: &Path, warn: impl Fn(&str)) -> Result<Self, Unusable> {
        for folder in absolute(start.as_os_str())?.ancestors().take(FARTHEST) {
            if file::kind(&folder.join(NAME)).is_some() {
                return Self::at(folder.join(NAME));
            }
            if file::kind(&folder.join(MISTAKE)).is_some() {
                let found = folder.join(MISTAKE);
                warn(&format!(
                    "{} is not read; the configuration has to be called {NAME}",
                    of_path(found)
                ));
            }
        }
        Ok(Self::default())
    }

    /// What is said of its keys that nobody reads, one line each.
    pub(crate) fn slips(&self) -> Vec<String> {
        let place = of_path(self.path().unwrap_or(Path::new(NAME)));
        let line = |one: &UnknownKey| {
            let hint = did_you_mean(&one.key, one.known.iter().copied());
            let hint = hint.map_or_else(String::new, |hint| format!("; {hint}"));
            let (line, key) = (one.line, &one.key);
            format!("{place}:{line}  {key:?} is no key of a configuration and is ignored{hint}")
        };
        self.unknown.iter().map(line).collect()
    }

    /// Where it lies.
    pub(crate) fn path(&self) -> Option<&Path> {
        self.found.as_ref().map(|(path, _)| path.as_path())
    }

    /// The indentation of `format`.
    pub(crate) fn indent(&self, format: Format) -> Option<i64> {
        let stores = self.found.as_ref().map(|(_, config)| config.stores)?;
        match format {
            Format::Yaml => stores.yaml,
            Format::Json => stores.json,
            Format::Binary => stores.json_binary,
            Format::Dotenv | Format::Ini => None,
        }
    }

    /// As [`Self::rule_for`]; no rule that fits is none.
    ///
    /// # Errors
    /// For a pattern that was looked at and is none.
    pub(crate) fn fitting(&self, file: &Path) -> Result<Option<&CreationRule>, Unusable> {
        match self.find(file)? {
            Err(ConfigError::NoMatch) => Ok(None),
            found => found.map_err(|error| self.wrong(&error)),
        }
    }

    /// The creation rule for the file at the absolute path `file`; `None` without configuration or
    /// without any rule in it.
    ///
    /// # Errors
    /// When there are rules and none fits.
    pub(crate) fn rule_for(&self, file: &Path) -> Result<Option<&CreationRule>, Unusable> {
        self.find(file)?.map_err(|error| self.wrong(&error))
    }

    fn wrong(&self, error: &ConfigError) -> Unusable {
        wrong(self.path().unwrap_or(Path::new(NAME)), error)
    }

    fn find(&self, file: &Path) -> Result<Result<Option<&CreationRule>, ConfigError>, Unusable> {
        let Some((path, config)) = &self.found else {
            return Ok(Ok(None));
        };
        let folder = absolute(path.as_os_str())?;
        let folder = folder.parent().unwrap_or(Path::new("/"));
        let relative = file.strip_prefix(folder).unwrap_or(file);
        let rule = config.rule_for(&relative.to_string_lossy());
        // Looked at here, where it is known in which file it stands.
        Ok(rule.and_then(|rule| match rule {
            Some(known) => known.selection().and(known.groups()).and(Ok(rule)),
            None => Ok(None),
        }))
    }
}

/// What is wrong in the configuration at `path`.
fn wrong(path: &Path, error: &ConfigError) -> Unusable {
    Unusable(format!("{}: {error}", of_path(path)))
}

/// `path` from the root, without `.` and `..`, links not followed.
///
/// # Errors
/// When the working directory is gone.
pub(crate) fn absolute(path: &OsStr) -> Result<PathBuf, Unusable> {
    let path = Path::new(path);
    let base = if path.is_absolute() {
        PathBuf::new()
    } else {
        std::env::current_dir()
            .map_err(|error| Unusable(format!("no working directory: {error}")))?
    };
    let mut clean = PathBuf::from("/");
    for part in base.join(path).components() {
        match part {
            Component::Normal(name) => clean.push(name),
            Component::ParentDir => {
                clean.pop();
            }
            Component::CurDir | Component::RootDir | Component::Prefix(_) => {}
        }
    }
    Ok(clean)
}

/// An error of the file system in the words of Go: `open a.yaml: no such file or directory`.
pub(crate) fn go_words(shown: &OsStr, error: &FileError) -> String {
    let FileError::Io { source, .. } = error else {
        return error.to_string();
    };
    let text = source.to_string();
    let reason = match text.split_once(" (os error") {
        Some((words, _)) => words.to_lowercase(),
        None => text,
    };
    let verb = if source.kind() == std::io::ErrorKind::IsADirectory {
        "read"
    } else {
        "open"
    };
    format!("{verb} {}: {reason}", of_path(shown))
}
