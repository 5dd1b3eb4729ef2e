//! The project of a user: `keys/<env>/*.pub` and `envs/<env>/<app>.yaml`, by convention only.
//!
//! Finds the root, the environment and the app that a command means. It suggests near misses and never
//! acts on a guess. It does not look into documents.

use std::fmt;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use crate::cli::Session;
use crate::cli::args::Globals;
use crate::cli::error::{CommandError, Exit};
use crate::env::did_you_mean;
use crate::file;
use crate::name::{AppName, EnvName};

/// A folder that has both `envs/` and `keys/`.
#[derive(Debug, Clone)]
pub(crate) struct Project {
    root: PathBuf,
}

/// A document by environment and app.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct DocumentRef {
    /// The directory below `envs/`.
    pub(crate) environment: EnvName,
    /// The stem of the file.
    pub(crate) app: AppName,
}

impl fmt::Display for DocumentRef {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "envs/{}/{}.yaml", self.environment, self.app)
    }
}

impl Project {
    /// The project that the options mean: the one given, or the first one upwards from the working
    /// directory, never past the root of a git repository or a mount boundary.
    ///
    /// # Errors
    ///
    /// Exit code 10 when there is none.
    pub(crate) fn find(globals: &Globals) -> Result<Self, CommandError> {
        if let Some(chosen) = &globals.project_dir {
            return Self::at(chosen).ok_or_else(|| {
                no_project(&format!(
                    "{} has not both envs/ and keys/",
                    chosen.display()
                ))
            });
        }
        Self::above(Path::new("."))
            .ok_or_else(|| no_project("no folder from here upwards has both envs/ and keys/"))
    }

    /// As [`Self::find`], from the folder of `file`.
    pub(crate) fn of_file(globals: &Globals, file: &Path) -> Option<Self> {
        match &globals.project_dir {
            Some(chosen) => Self::at(chosen),
            None => {
                let folder = file
                    .parent()
                    .filter(|parent| !parent.as_os_str().is_empty());
                Self::above(folder.unwrap_or(Path::new(".")))
            }
        }
    }

    /// The project whose root is `folder`, if it is one.
    pub(crate) fn at(folder: &Path) -> Option<Self> {
        let root = file::canonical(folder).ok()?;
        let complete = ["envs", "keys"]
            .iter()
            .all(|name| file::is_directory(&root.join(name)));
        complete.then_some(Self { root })
    }

    /// A project that is about to be made in `folder`.
    pub(crate) fn new(folder: PathBuf) -> Self {
        Self { root: folder }
    }

    fn above(start: &Path) -> Option<Self> {
        let start = file::canonical(start).ok()?;
        let device = file::device(&start);
        let inside = start
            .ancestors()
            .take_while(|folder| file::device(folder) == device);
        for folder in inside {
            if let Some(project) = Self::at(folder) {
                return Some(project);
            }
            if file::kind(&folder.join(".git")).is_some() {
                return None;
            }
        }
        None
    }

    /// The root folder.
    pub(crate) fn root(&self) -> &Path {
        &self.root
    }

    /// Where a document lies.
    pub(crate) fn path(&self, document: &DocumentRef) -> PathBuf {
        self.root.join(document.to_string())
    }

    /// The folder of the readers of `environment`.
    pub(crate) fn keys(&self, environment: &EnvName) -> PathBuf {
        self.root.join("keys").join(environment.as_str())
    }

    /// `path` from the root, for messages.
    pub(crate) fn relative<'a>(&self, path: &'a Path) -> &'a Path {
        path.strip_prefix(&self.root).unwrap_or(path)
    }

    /// The environments: folders below `envs/` and `keys/`, sorted.
    pub(crate) fn environments(&self) -> Vec<EnvName> {
        let folders = ["envs", "keys"].iter().flat_map(|top| {
            let top = self.root.join(top);
            let names = file::list(&top).unwrap_or_default();
            names
                .into_iter()
                .filter(move |name| file::is_directory(&top.join(name)))
        });
        let mut found: Vec<EnvName> = folders.filter_map(|name| name.parse().ok()).collect();
        found.sort_unstable();
        found.dedup();
        found
    }

    /// The apps that have a document in `environment`, sorted.
    pub(crate) fn apps(&self, environment: &EnvName) -> Vec<AppName> {
        let folder = self.root.join("envs").join(environment.as_str());
        let names = file::list(&folder).unwrap_or_default();
        let stems = names.iter().filter_map(|name| name.strip_suffix(".yaml"));
        stems.filter_map(|stem| stem.parse().ok()).collect()
    }

    /// All documents of all environments.
    pub(crate) fn documents(&self) -> Vec<DocumentRef> {
        let mut found = Vec::new();
        for environment in self.environments() {
            for app in self.apps(&environment) {
                found.push(DocumentRef {
                    environment: environment.clone(),
                    app,
                });
            }
        }
        found
    }

    /// The environment that the options mean.
    ///
    /// # Errors
    ///
    /// Wrong usage when it is not there or cannot be told.
    pub(crate) fn environment(&self, chosen: Option<&str>) -> Result<EnvName, CommandError> {
        let known = self.environments();
        if let Some(name) = chosen {
            return pick("environment", name, &known, "E0511");
        }
        let dev = known.iter().find(|name| name.as_str() == "dev");
        match (dev, known.as_slice()) {
            (Some(only), _) | (None, [only]) => Ok(only.clone()),
            (None, _) => Err(choose("environment", &known, "-e", "E0511")),
        }
    }

    /// The environment that was typed, else all.
    ///
    /// # Errors
    ///
    /// As [`Self::environment`].
    pub(crate) fn typed_or_all(&self, session: &Session) -> Result<Vec<EnvName>, CommandError> {
        match session.environment_was_typed {
            true => Ok(vec![
                self.environment(session.globals.environment.as_deref())?,
            ]),
            false => Ok(self.environments()),
        }
    }

    /// The document that the options mean; it is there.
    ///
    /// # Errors
    ///
    /// Wrong usage when it is not there or cannot be told.
    pub(crate) fn document(&self, globals: &Globals) -> Result<DocumentRef, CommandError> {
        let environment = self.environment(globals.environment.as_deref())?;
        let app = self.app(&environment, globals.app.as_deref())?;
        Ok(DocumentRef { environment, app })
    }

    /// The app that the options mean in `environment`.
    ///
    /// # Errors
    ///
    /// Wrong usage when it is not there or cannot be told.
    pub(crate) fn app(
        &self,
        environment: &EnvName,
        chosen: Option<&str>,
    ) -> Result<AppName, CommandError> {
        let known = self.apps(environment);
        match (chosen, known.as_slice()) {
            (Some(name), _) => pick("app", name, &known, "E0512"),
            (None, [only]) => Ok(only.clone()),
            (None, _) => {
                Err(choose("app", &known, "-a", "E0512").fact("in", format!("envs/{environment}/")))
            }
        }
    }

    /// The document that lies at `path`, if `path` is one of this project.
    pub(crate) fn document_at(&self, path: &Path) -> Option<DocumentRef> {
        let path = file::canonical(path).ok()?;
        let inner = path.strip_prefix(&self.root).ok()?;
        let parts: Vec<&str> = inner
            .iter()
            .map(|part| part.to_str())
            .collect::<Option<_>>()?;
        let ["envs", environment, name] = parts.as_slice() else {
            return None;
        };
        Some(DocumentRef {
            environment: environment.parse().ok()?,
            app: name.strip_suffix(".yaml")?.parse().ok()?,
        })
    }
}

fn no_project(why: &str) -> CommandError {
    CommandError::new("E0510", Exit::Project, "this is no sealctl project")
        .why(why)
        .fix("sealctl init --app NAME   or   sealctl -C DIR …")
}

/// The one of `known` that is called `name`.
fn pick<T>(what: &str, name: &str, known: &[T], code: &'static str) -> Result<T, CommandError>
where
    T: FromStr + PartialEq + Clone + AsText,
{
    if let Some(found) = known.iter().find(|one| one.text() == name) {
        return Ok(found.clone());
    }
    let hint = did_you_mean(name, known.iter().map(AsText::text));
    let what = match hint {
        Some(hint) => format!("no {what} \"{name}\"; {hint}"),
        None => format!("no {what} \"{name}\""),
    };
    Err(CommandError::new(code, Exit::Usage, what).fact("known", listed(known)))
}

fn choose<T: AsText>(what: &str, known: &[T], flag: &str, code: &'static str) -> CommandError {
    let found = if known.is_empty() {
        "there is none"
    } else {
        "there are several"
    };
    let error = CommandError::new(code, Exit::Usage, format!("which {what}? {found}"));
    if known.is_empty() {
        return error.fix("sealctl init --app NAME");
    }
    error
        .fact("known", listed(known))
        .fix(format!("say which with {flag} NAME"))
}

fn listed<T: AsText>(known: &[T]) -> String {
    let names: Vec<&str> = known.iter().map(AsText::text).collect();
    if names.is_empty() {
        "(none)".to_owned()
    } else {
        names.join(", ")
    }
}

/// A name as text, whatever it names.
pub(crate) trait AsText {
    /// The text.
    fn text(&self) -> &str;
}

impl AsText for EnvName {
    fn text(&self) -> &str {
        self.as_str()
    }
}

impl AsText for AppName {
    fn text(&self) -> &str {
        self.as_str()
    }
}
