//! The configuration of a call: `--config`, `SOPS_CONFIG`, or the nearest `.sops.yaml` upwards from the
//! working directory.

use std::path::{Path, PathBuf};

use super::call::{Call, LONGEST, absolute};
use super::failure::{Failure, go_words};
use crate::file;
use crate::format::Format;
use crate::sops::config::{Config, CreationRule};

/// Name of the file.
const NAME: &str = ".sops.yaml";
/// What it is often called by mistake.
const MISTAKE: &str = ".sops.yml";
/// How many folders upwards it is searched for.
const FARTHEST: usize = 100;

/// A configuration and where it lies, if there is one.
#[derive(Debug, Default)]
pub(super) struct Settings {
    found: Option<(PathBuf, Config)>,
}

impl Settings {
    /// Finds and reads it.
    ///
    /// # Errors
    /// When the one that is named is not there, or the one that is there cannot be read.
    pub(super) fn load(call: &Call<'_>) -> Result<Self, Failure> {
        let path = match call.globals.raw("config") {
            Some(path) => Some(PathBuf::from(path)),
            None => search(call)?,
        };
        let Some(path) = path else {
            return Ok(Self::default());
        };
        let text = file::read(&path, LONGEST).map_err(|error| {
            let why = go_words(path.as_os_str(), &error);
            Failure::generic(format!("could not read config file: {why}"))
        })?;
        let text = text.expose_text().unwrap_or("\u{0}");
        let config = Config::parse(text).map_err(|error| Failure::generic(error.to_string()))?;
        Ok(Self {
            found: Some((path, config)),
        })
    }

    /// Where it lies.
    pub(super) fn path(&self) -> Option<&Path> {
        self.found.as_ref().map(|(path, _)| path.as_path())
    }

    /// The indentation of `format`.
    pub(super) fn indent(&self, format: Format) -> Option<i64> {
        let stores = self.found.as_ref().map(|(_, config)| config.stores)?;
        match format {
            Format::Yaml => stores.yaml,
            Format::Json => stores.json,
            Format::Binary => stores.json_binary,
            Format::Dotenv | Format::Ini => None,
        }
    }

    /// The creation rule for the file at the absolute path `file`; `None` without configuration or
    /// without any rule in it.
    ///
    /// # Errors
    /// When there are rules and none fits.
    pub(super) fn rule_for(&self, file: &Path) -> Result<Option<&CreationRule>, Failure> {
        let Some((path, config)) = &self.found else {
            return Ok(None);
        };
        let folder = absolute(path.as_os_str())?;
        let folder = folder.parent().unwrap_or(Path::new("/"));
        let relative = file.strip_prefix(folder).unwrap_or(file);
        config
            .rule_for(&relative.to_string_lossy())
            .map_err(|error| Failure::generic(error.to_string()))
    }
}

fn search(call: &Call<'_>) -> Result<Option<PathBuf>, Failure> {
    let start = absolute(".".as_ref())?;
    for folder in start.ancestors().take(FARTHEST) {
        if file::kind(&folder.join(NAME)).is_some() {
            return Ok(Some(folder.join(NAME)));
        }
        if file::kind(&folder.join(MISTAKE)).is_some() {
            let found = folder.join(MISTAKE);
            call.warn(&format!(
                "{} is not read; the configuration has to be called {NAME}",
                found.display()
            ));
        }
    }
    Ok(None)
}
