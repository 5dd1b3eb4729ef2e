//! The variables of this process, read once.
//!
//! The only file of the command line that looks at the environment; everything else is handed an
//! [`Environ`], so that a test can make one up.

#![expect(
    clippy::disallowed_methods,
    reason = "this is where variables are read"
)]

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::path::PathBuf;

use crate::file::ScratchPlaces;

/// A snapshot of variables.
#[derive(Clone, Default)]
pub(crate) struct Environ(BTreeMap<OsString, OsString>);

impl Environ {
    /// All variables of this process.
    pub(crate) fn of_process() -> Self {
        Self(std::env::vars_os().collect())
    }

    /// All variables, sorted by name.
    pub(crate) fn all(&self) -> &BTreeMap<OsString, OsString> {
        &self.0
    }

    /// A variable that is set and not empty.
    pub(crate) fn raw(&self, name: &str) -> Option<&OsStr> {
        let value = self.0.get(OsStr::new(name)).map(OsString::as_os_str);
        value.filter(|value| !value.is_empty())
    }

    /// As [`Self::raw`], if it is UTF-8.
    pub(crate) fn text(&self, name: &str) -> Option<&str> {
        self.raw(name).and_then(OsStr::to_str)
    }

    /// As [`Self::raw`], as a path.
    pub(crate) fn path(&self, name: &str) -> Option<PathBuf> {
        self.raw(name).map(PathBuf::from)
    }

    /// Whether the variable is set and not empty.
    pub(crate) fn has(&self, name: &str) -> bool {
        self.raw(name).is_some()
    }

    /// Where private scratch directories may lie.
    pub(crate) fn scratch_places(&self) -> ScratchPlaces {
        ScratchPlaces {
            runtime: self.path("XDG_RUNTIME_DIR"),
            fallback: self.path("TMPDIR").unwrap_or_else(|| PathBuf::from("/tmp")),
        }
    }

    /// Whether the locale says UTF-8.
    pub(crate) fn is_utf8(&self) -> bool {
        let locale = ["LC_ALL", "LC_CTYPE", "LANG"]
            .iter()
            .find_map(|name| self.text(name));
        locale.is_some_and(|locale| {
            let locale = locale.to_ascii_lowercase();
            locale.contains("utf-8") || locale.contains("utf8")
        })
    }
}

impl<const N: usize> From<[(&str, &str); N]> for Environ {
    fn from(pairs: [(&str, &str); N]) -> Self {
        Self(
            pairs
                .map(|(name, value)| (name.into(), value.into()))
                .into(),
        )
    }
}
