//! The first loop: from files of a source to SealedEnv objects.
//!
//! What to do is planned from two pictures, the files and the SealedEnvs that exist, and is the same
//! whatever happened before. A file that is broken or gone counts only when it was so twice, a second
//! apart; deletions in great number wait for a person. It knows neither directories nor git.

mod sources;
mod write;

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use tokio::time::Instant;

pub use self::sources::{Existing, Sources};
pub use self::write::{Mirroring, perform};
use crate::digest::Digest;
use crate::env::Header;
use crate::name::EnvName;
use crate::plan::effect::Outcome;
use crate::reason::Reason;

/// What is broken or gone must still be so after this long.
const SECOND_LOOK: Duration = Duration::from_secs(1);

/// Namespace and name of a SealedEnv.
pub type Key = (String, String);

/// What the stage *resolve* says about a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Checked {
    /// It is a good document.
    Resolves(Header),
    /// It is not.
    Broken {
        /// Where it belongs, when that can be read.
        header: Option<Header>,
        /// Why, in one sentence without values.
        message: String,
    },
}

/// One file of the source.
#[derive(Clone)]
pub struct File {
    /// The environment of its directory; in a flat folder the document alone names it.
    pub environment: Option<EnvName>,
    /// Its text, verbatim.
    pub text: String,
    /// The last commit that changed it, when that is known.
    pub commit: Option<String>,
}

/// What to do with SealedEnvs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Action {
    /// Create the SealedEnv of a file, or make it what the file says.
    Apply {
        /// Path of the file.
        path: String,
        /// Namespace and name.
        key: Key,
        /// Its environment.
        environment: EnvName,
    },
    /// Delete the SealedEnv of a file that is gone.
    Delete {
        /// Namespace and name.
        key: Key,
        /// Its UID.
        uid: String,
    },
}

/// The outcome of one look.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Plan {
    /// In the order of the paths, deletions last.
    pub actions: Vec<Action>,
    /// What is wrong with files, by path.
    pub troubles: BTreeMap<String, Outcome>,
    /// Number of files that have their SealedEnv, or are about to.
    pub mirrored: usize,
    /// Look again after this long, to see whether something is still broken or gone.
    pub look_again: Option<Duration>,
}

/// Plans; remembers what it saw broken or gone, and what it found good.
pub struct Planner {
    environments: BTreeSet<EnvName>,
    good: BTreeMap<String, (Digest, Header)>,
    broken: BTreeMap<String, (Digest, Instant)>,
    gone: BTreeMap<Key, Instant>,
}

/// What becomes of one file before others are looked at.
enum Fate {
    Mirror(Header),
    /// Broken, but perhaps only for this moment.
    Wait,
    Refuse(Outcome),
}

impl Planner {
    /// Mirrors documents of these environments only.
    #[must_use]
    pub fn new(environments: impl IntoIterator<Item = EnvName>) -> Self {
        Self {
            environments: environments.into_iter().collect(),
            good: BTreeMap::new(),
            broken: BTreeMap::new(),
            gone: BTreeMap::new(),
        }
    }

    /// Compares all `files` with all `existing` SealedEnvs. `refused` are paths that exist but could
    /// not be read as documents; `check` opens a file.
    pub fn plan(
        &mut self,
        files: &BTreeMap<String, File>,
        refused: &BTreeMap<String, Outcome>,
        existing: &BTreeMap<Key, Existing>,
        check: &dyn Fn(&File) -> Checked,
        now: Instant,
    ) -> Plan {
        let mut plan = Plan {
            troubles: refused.clone(),
            ..Plan::default()
        };
        let mut waiting = BTreeSet::new();
        let mut wanted: BTreeMap<Key, Vec<(&str, Header)>> = BTreeMap::new();
        self.good.retain(|path, _| files.contains_key(path));
        self.broken.retain(|path, _| files.contains_key(path));
        for (path, file) in files {
            match self.fate(path, file, check, now) {
                Fate::Mirror(header) => {
                    let key = (header.namespace.to_string(), header.app.to_string());
                    wanted.entry(key).or_default().push((path, header));
                }
                Fate::Wait => {
                    waiting.insert(path.as_str());
                    plan.look_again = Some(SECOND_LOOK);
                }
                Fate::Refuse(outcome) => {
                    plan.troubles.insert(path.clone(), outcome);
                }
            }
        }
        for (key, claims) in &wanted {
            plan.claim(key, claims, existing.get(key), files);
        }
        let is_kept = |path: &str| waiting.contains(path) || plan.troubles.contains_key(path);
        let orphans: Vec<&Key> = existing
            .iter()
            .filter(|(key, seen)| self.is_orphan(seen, wanted.contains_key(*key), &is_kept))
            .map(|(key, _)| key)
            .collect();
        self.delete(&orphans, existing, &mut plan, now);
        plan
    }

    /// Whether the file of a SealedEnv is gone, or belongs to another SealedEnv now.
    fn is_orphan(&self, seen: &Existing, wanted: bool, is_kept: &dyn Fn(&str) -> bool) -> bool {
        let Some(path) = &seen.source_path else {
            return false;
        };
        self.serves(&seen.environment) && !seen.deleting && !wanted && !is_kept(path)
    }

    fn serves(&self, environment: &str) -> bool {
        self.environments
            .iter()
            .any(|served| served.as_str() == environment)
    }

    fn fate(
        &mut self,
        path: &str,
        file: &File,
        check: &dyn Fn(&File) -> Checked,
        now: Instant,
    ) -> Fate {
        let digest = Digest::combine([file.text.as_bytes()]);
        if let Some((seen, header)) = self.good.get(path)
            && *seen == digest
        {
            let header = header.clone();
            return self.place(file, header);
        }
        let (header, message) = match check(file) {
            Checked::Resolves(header) => {
                self.broken.remove(path);
                self.good.insert(path.to_owned(), (digest, header.clone()));
                return self.place(file, header);
            }
            Checked::Broken { header, message } => (header, message),
        };
        // A file that is being written is broken for a moment, and then another one.
        let (seen, since) = *self.broken.entry(path.to_owned()).or_insert((digest, now));
        if seen != digest {
            self.broken.insert(path.to_owned(), (digest, now));
            return Fate::Wait;
        }
        if now < since + SECOND_LOOK {
            return Fate::Wait;
        }
        match header {
            Some(header) if is_accepted(&file.text) => self.place(file, header),
            _ => Fate::Refuse(Outcome::new(
                Reason::SourceInvalid,
                format!("{path}: {message}"),
            )),
        }
    }

    /// A file in the directory of an environment is mirrored for this one, whatever it says: opening
    /// it there tells what is wrong with it. In a flat folder others' documents may lie, too.
    fn place(&self, file: &File, header: Header) -> Fate {
        let environment = file.environment.clone().unwrap_or(header.environment);
        if !self.environments.contains(&environment) {
            let message = format!("environment {environment} is not served here");
            return Fate::Refuse(Outcome::new(Reason::WrongTarget, message));
        }
        Fate::Mirror(Header {
            environment,
            ..header
        })
    }

    /// Plans the deletions of what was gone before and still is.
    fn delete(
        &mut self,
        orphans: &[&Key],
        existing: &BTreeMap<Key, Existing>,
        plan: &mut Plan,
        now: Instant,
    ) {
        self.gone.retain(|key, _| orphans.contains(&key));
        let mut gone = Vec::new();
        for &key in orphans {
            let since = *self.gone.entry(key.clone()).or_insert(now);
            if now < since + SECOND_LOOK {
                plan.look_again = Some(SECOND_LOOK);
            } else if let Some(seen) = existing.get(key) {
                gone.push((key, seen));
            }
        }
        let is_ours =
            |seen: &&Existing| seen.source_path.is_some() && self.serves(&seen.environment);
        let all = existing.values().filter(is_ours).count();
        let guarded = is_mass_deletion(gone.len(), all);
        for (key, seen) in gone {
            if guarded && !seen.is_deletion_confirmed() {
                let path = seen.source_path.clone().unwrap_or_default();
                let message = format!("{path} is gone with too many others; nothing was deleted");
                plan.troubles
                    .insert(path, Outcome::new(Reason::MassDeletionGuard, message));
            } else {
                plan.actions.push(Action::Delete {
                    key: key.clone(),
                    uid: seen.uid.clone(),
                });
            }
        }
    }
}

impl Plan {
    /// Decides which of the files that claim one SealedEnv gets it, and whether it must be written.
    fn claim(
        &mut self,
        key: &Key,
        claims: &[(&str, Header)],
        seen: Option<&Existing>,
        files: &BTreeMap<String, File>,
    ) {
        let holder = seen.and_then(|seen| seen.source_path.as_deref());
        let held = claims.iter().find(|(path, _)| Some(*path) == holder);
        let Some((path, header)) = held.or(claims.first()) else {
            return;
        };
        for (other, _) in claims.iter().filter(|(other, _)| other != path) {
            self.refuse(
                other,
                Reason::DuplicateTarget,
                format!("{path} has the same app and namespace"),
            );
        }
        let environment = &header.environment;
        if let Some(seen) = seen {
            if seen.source_path.is_none() {
                let message = "somebody else applies a SealedEnv of that name".to_owned();
                return self.refuse(path, Reason::External, message);
            }
            if seen.environment != environment.as_str() {
                let message = format!(
                    "environment {} has a SealedEnv of that name",
                    seen.environment
                );
                return self.refuse(path, Reason::DuplicateTarget, message);
            }
        }
        self.mirrored += 1;
        let Some(file) = files.get(*path) else { return };
        let is_current = |seen: &Existing| {
            seen.source_path.as_deref() == Some(*path)
                && seen.document == Digest::combine([file.text.as_bytes()])
                && (file.commit.is_none() || seen.commit == file.commit)
        };
        // While one is being deleted its name is taken; the next look comes when it is gone.
        if seen.is_some_and(|seen| seen.deleting || is_current(seen)) {
            return;
        }
        self.actions.push(Action::Apply {
            path: (*path).to_owned(),
            key: key.clone(),
            environment: environment.clone(),
        });
    }

    fn refuse(&mut self, path: &str, reason: Reason, message: String) {
        self.troubles.insert(
            path.to_owned(),
            Outcome::new(reason, format!("{path}: {message}")),
        );
    }
}

/// Whether so many deletions look like an accident: all, or more than two and more than 30 %.
fn is_mass_deletion(gone: usize, all: usize) -> bool {
    gone > 0 && (gone == all || (gone > 2 && gone * 10 > all * 3))
}

/// Whether the definition of the custom resource takes `text`; the same rules stand there.
fn is_accepted(text: &str) -> bool {
    text.contains("\nsops:") && text.contains("mac: ") && text.chars().count() <= 1_048_576
}

#[cfg(test)]
mod tests;
