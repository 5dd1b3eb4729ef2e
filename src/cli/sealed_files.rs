//! The sealed files of a project that are no environment documents: where they lie, and who shall read them.
//!
//! Who shall read a file is not guessed: the folder of its environment says it, else a creation rule of
//! `.sops.yaml`, else an environment that was typed, else nobody knows. Writes nothing.

use std::path::{Path, PathBuf};

use crate::cli::configuration::Configuration;
use crate::cli::document::Source;
use crate::cli::error::CommandError;
use crate::cli::project::Project;
use crate::cli::readers::{self, Reader};
use crate::cli::{Session, git};
use crate::crypto::Recipient;
use crate::file::{self, Kind};
use crate::name::{EnvName, of_path};
use crate::secret::Secret;
use crate::sops::config::CreationRule;
use crate::sops::{ReadError, Sealed};

/// Of the files that are searched for; those of other programs may be of any length.
const LONGEST: u64 = 64 << 20;

/// A reader by the name that messages call it.
#[derive(Debug, Clone)]
pub(crate) struct Named {
    /// From `keys/`, else the key itself, shortened.
    pub(crate) name: String,
    /// The public key.
    pub(crate) recipient: Recipient,
}

/// Who shall be able to open a file.
#[derive(Debug)]
pub(crate) enum Audience {
    /// These keys.
    Known {
        /// The keys.
        readers: Vec<Named>,
        /// What says so, such as `keys/prod/`.
        place: String,
    },
    /// A rule with several groups or with keys of other services, which `sops updatekeys` follows.
    Rule,
    /// Nothing says it.
    Unknown {
        /// The environments whose readers it has most of.
        nearest: Vec<EnvName>,
        /// Whether it is sealed for the people of the project, but not for exactly those of one environment.
        is_suspect: bool,
    },
}

/// A sealed file that is no document.
pub(crate) struct SealedFile {
    /// Where it comes from.
    pub(crate) source: Source,
    /// What it holds.
    pub(crate) sealed: Sealed,
    /// Who shall read it.
    pub(crate) audience: Audience,
    /// The environment in whose folder it lies.
    pub(crate) environment: Option<EnvName>,
}

/// All that a project says of readers.
struct Listing {
    configuration: Configuration,
    environments: Vec<(EnvName, Vec<Named>)>,
}

impl From<&Reader> for Named {
    fn from(reader: &Reader) -> Self {
        Self {
            name: reader.name.to_string(),
            recipient: reader.recipient.clone(),
        }
    }
}

/// The sealed files of `project` that are no documents, and those of `named` wherever they lie in it. `typed` is
/// the environment that was typed, for those of which nothing else is known. An error stands for a sealed file
/// that cannot be read.
///
/// # Errors
///
/// When the files cannot be listed.
pub(crate) fn find(
    session: &Session,
    project: &Project,
    named: &[PathBuf],
    typed: Option<&EnvName>,
) -> Result<Vec<Result<SealedFile, CommandError>>, CommandError> {
    let mut listing = None;
    let mut found = Vec::new();
    for path in candidates(project, named)? {
        // A file that cannot be read is none that somebody shares.
        let Ok(text) = file::read(&path, LONGEST) else {
            continue;
        };
        if !has_signs(&text) {
            continue;
        }
        let mut source = Source::at(session, &path)?;
        if source.home.is_some() || !is_sealed(&source) {
            continue;
        }
        source.shown = of_path(project.relative(&path));
        if listing.is_none() {
            listing = Some(Listing::read(project)?);
        }
        let Some(listing) = &listing else { continue };
        let environment = environment_of(project, &path);
        let read = source.read().and_then(|sealed| {
            let audience = listing.audience(&path, &sealed, environment.as_ref(), typed)?;
            Ok((sealed, audience))
        });
        found.push(read.map(|(sealed, audience)| SealedFile {
            source,
            sealed,
            audience,
            environment,
        }));
    }
    Ok(found)
}

/// Paths of regular files, sorted, without links.
fn candidates(project: &Project, named: &[PathBuf]) -> Result<Vec<PathBuf>, CommandError> {
    let root = project.root();
    let mut paths: Vec<PathBuf> = match git::files(root) {
        Some(inner) => inner.iter().map(|inner| root.join(inner)).collect(),
        None => files_below(root)?
            .into_iter()
            .map(|(path, _)| path)
            .collect(),
    };
    paths.extend(named.iter().cloned());
    let is_file = |path: &PathBuf| file::kind(path) == Some(Kind::File);
    let mut paths: Vec<PathBuf> = paths
        .into_iter()
        .filter(is_file)
        .filter_map(|path| file::canonical(&path).ok())
        .filter(|path| path.starts_with(root) && project.document_at(path).is_none())
        .collect();
    paths.sort_unstable();
    paths.dedup();
    Ok(paths)
}

/// The files below a folder, each with its path from there, sorted. Folders that begin with a dot and links to
/// folders are passed over.
///
/// # Errors
///
/// When a folder cannot be listed.
pub(crate) fn files_below(top: &Path) -> Result<Vec<(PathBuf, PathBuf)>, CommandError> {
    let mut found = Vec::new();
    let mut folders = vec![PathBuf::new()];
    while let Some(folder) = folders.pop() {
        let here = file::canonical(&top.join(&folder))?;
        for name in file::list(&here)? {
            let inner = folder.join(&name);
            match file::kind(&here.join(&name)) {
                Some(Kind::Directory) => {
                    let is_link = file::canonical(&here.join(&name))? != here.join(&name);
                    if !is_link && !name.starts_with('.') {
                        folders.push(inner);
                    }
                }
                Some(Kind::File) => found.push((top.join(&inner), inner)),
                Some(Kind::Other) | None => {}
            }
        }
    }
    found.sort_by(|one, other| one.1.cmp(&other.1));
    Ok(found)
}

/// Whether a file that nobody named is a sealed one, be it a damaged one.
pub(crate) fn is_sealed(source: &Source) -> bool {
    if !has_signs(&source.text) {
        return false;
    }
    let read = Sealed::read(source.any_format(), &source.text);
    !matches!(read, Err(ReadError::NotSealed))
}

/// Whether it has the words that every sealed file has, in whatever format.
fn has_signs(text: &Secret) -> bool {
    let text = text.expose_text().unwrap_or_default();
    text.contains("sops") && text.contains("lastmodified")
}

/// The environment in whose folder below `envs/` the file lies.
pub(crate) fn environment_of(project: &Project, path: &Path) -> Option<EnvName> {
    let inner = project.relative(path).to_owned();
    let mut folders = inner.iter().filter_map(|part| part.to_str());
    match (folders.next(), folders.next(), folders.next()) {
        (Some("envs"), Some(name), Some(_)) => name.parse().ok(),
        _ => None,
    }
}

/// Who of `wanted` cannot open `sealed` yet, by name, and who else can, by key.
pub(crate) fn difference(sealed: &Sealed, wanted: &[Named]) -> (Vec<String>, Vec<String>) {
    let is_wanted = |key: &&str| {
        wanted
            .iter()
            .any(|one| is_same(one.recipient.as_str(), key))
    };
    let gone = sealed.recipients().filter(|key| !is_wanted(key));
    let gone = gone.map(crate::crypto::identity::short).collect();
    let reads = |one: &&Named| {
        let mut recipients = sealed.recipients();
        recipients.any(|key| is_same(one.recipient.as_str(), key))
    };
    let come = wanted.iter().filter(|one| !reads(one));
    (come.map(|one| one.name.clone()).collect(), gone)
}

/// Whether two texts are the same key: behind an SSH key there may be a comment.
fn is_same(one: &str, other: &str) -> bool {
    let key = |text: &str| {
        text.split_whitespace()
            .take(2)
            .map(str::to_owned)
            .collect::<Vec<_>>()
    };
    key(one) == key(other)
}

impl Listing {
    fn read(project: &Project) -> Result<Self, CommandError> {
        let environments = project.environments().into_iter().filter_map(|name| {
            // A listing that is broken is reported where it counts.
            let readers = readers::of(project, &name).ok()?;
            Some((name, readers.iter().map(Named::from).collect()))
        });
        Ok(Self {
            environments: environments.collect(),
            configuration: Configuration::above(project.root(), |_| {})?,
        })
    }

    fn audience(
        &self,
        path: &Path,
        sealed: &Sealed,
        home: Option<&EnvName>,
        typed: Option<&EnvName>,
    ) -> Result<Audience, CommandError> {
        if let Some(name) = home {
            return Ok(self.of_environment(name, sealed));
        }
        if let Some(rule) = self.configuration.fitting(path)? {
            return of_rule(rule, sealed);
        }
        Ok(match typed {
            Some(name) => self.of_environment(name, sealed),
            None => self.unknown(sealed),
        })
    }

    fn of_environment(&self, wanted: &EnvName, sealed: &Sealed) -> Audience {
        let found = self.environments.iter().find(|(name, _)| name == wanted);
        match found {
            Some((name, readers)) if is_simple(sealed) => Audience::Known {
                readers: readers.clone(),
                place: format!("keys/{name}/"),
            },
            Some(_) => Audience::Rule,
            None => self.unknown(sealed),
        }
    }

    fn unknown(&self, sealed: &Sealed) -> Audience {
        let counts = self.environments.iter().map(|(name, readers)| {
            let (come, gone) = difference(sealed, readers);
            let common = readers.len() - come.len();
            (name, common, come.is_empty() && gone.is_empty())
        });
        let counts: Vec<_> = counts.collect();
        let most = counts
            .iter()
            .map(|(_, common, _)| *common)
            .max()
            .unwrap_or(0);
        let nearest = counts.iter().filter(|(_, common, _)| *common == most);
        Audience::Unknown {
            nearest: nearest.map(|(name, ..)| (*name).clone()).collect(),
            is_suspect: !counts.is_empty() && !counts.iter().any(|(.., is_equal)| *is_equal),
        }
    }
}

/// Whether all of its keys are of this kind and stand in one group.
fn is_simple(sealed: &Sealed) -> bool {
    let metadata = sealed.metadata();
    metadata.groups.len() <= 1 && metadata.foreign().is_empty()
}

fn of_rule(rule: &CreationRule, sealed: &Sealed) -> Result<Audience, CommandError> {
    let unusable = |error: crate::sops::config::ConfigError| {
        crate::cli::configuration::Unusable(error.to_string())
    };
    let groups = rule.groups().map_err(unusable)?;
    let is_age = groups.iter().flatten().all(|key| key.service == "age");
    if groups.len() != 1 || !is_age || !is_simple(sealed) {
        return Ok(Audience::Rule);
    }
    let readers = crate::cli::recipients::of_rule(rule, None)?.groups.concat();
    let named = readers.into_iter().map(|recipient| Named {
        name: recipient.short(),
        recipient,
    });
    Ok(Audience::Known {
        readers: named.collect(),
        place: "its rule in .sops.yaml".to_owned(),
    })
}

impl SealedFile {
    /// What brings its readers up to date: a command, with a gap where only a person knows the word.
    pub(crate) fn fix(&self) -> String {
        let shown = git::quoted(&self.source.shown);
        match &self.audience {
            Audience::Known { .. } => format!("sealctl rekey {shown}"),
            Audience::Rule => format!("sealctl sops updatekeys {shown}"),
            Audience::Unknown { nearest, .. } => {
                let name = match nearest.as_slice() {
                    [only] => only.as_str(),
                    _ => "ENV",
                };
                format!("sealctl rekey -e {name} {shown}")
            }
        }
    }
}
