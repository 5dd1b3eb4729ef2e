//! The search of SOPS for identities: every variable, file and command, each only when it is needed.
//!
//! What costs nothing is tried first, on all keys that would do; then commands are run, then plugins, then
//! passphrases are asked for, one by one. Whatever could not be used is remembered for the message that
//! is shown when nothing opened.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::path::Path;
use std::sync::{Mutex, MutexGuard, PoisonError};

use super::{Problem, Sources, gpg, read, run};
use crate::crypto::wrap::Unusable;
use crate::crypto::{
    AnyIdentity, Asking, DataKey, Effort, InvalidKey, Keys, System, UnwrapError, Wrapped,
    unwrap_any,
};
use crate::file;
use crate::secret::Secret;

/// The names of SSH keys that are looked at below `~/.ssh`.
const SSH_NAMES: [&str; 2] = ["id_ed25519", "id_rsa"];

/// All that SOPS would find for this user.
#[derive(Debug)]
pub struct Keyring {
    sources: Sources,
    asking: Asking,
    found: Mutex<Found>,
}

/// What the search came across, for the message when nothing opened.
#[derive(Debug, Clone, Default)]
pub struct Report {
    /// How many identities were looked at.
    pub identities: usize,
    /// Sources that are there and could not be used.
    pub problems: Vec<Problem>,
    /// Variables that are not set, files that are not there, and sources without any identity, in the
    /// order of SOPS.
    pub unused: Vec<String>,
}

#[derive(Debug, Default)]
struct Found {
    /// From variables and files of age; `None` as long as nobody looked.
    at_hand: Option<Vec<AnyIdentity>>,
    /// From files of SSH, likewise.
    ssh: Option<Vec<AnyIdentity>>,
    /// From commands, by the recipient that they were run for.
    by_commands: BTreeMap<String, Vec<AnyIdentity>>,
    problems: Vec<Problem>,
    without_any: Vec<String>,
}

/// One step of the search.
#[derive(Debug, Clone, Copy)]
enum Step {
    /// Identities of age at hand that cost nothing.
    AtHand,
    /// SSH keys without a passphrase. SOPS tries them first, which opens nothing else; a long key takes a
    /// while to be read.
    Ssh,
    /// Those that commands give and that cost nothing more.
    Commands,
    /// All that cost this much.
    Costly(Effort),
    /// The program gpg.
    Pgp,
}

/// Identities, and the one key that they are for if they are not for all.
type Batch = (Vec<AnyIdentity>, Option<usize>);

impl Keyring {
    /// A keyring over `sources` that asks for passphrases through `asking`.
    #[must_use]
    pub fn new(sources: Sources, asking: Asking) -> Self {
        let found = Mutex::default();
        Self {
            sources,
            asking,
            found,
        }
    }

    /// What the search came across until now.
    #[must_use]
    pub fn report(&self) -> Report {
        let found = self.found();
        let mut unused = self.sources.not_set();
        unused.extend(found.without_any.iter().cloned());
        let lists = [&found.at_hand, &found.ssh].into_iter().flatten();
        let lists = lists.chain(found.by_commands.values());
        Report {
            identities: lists.map(Vec::len).sum(),
            problems: found.problems.clone(),
            unused,
        }
    }

    fn found(&self) -> MutexGuard<'_, Found> {
        self.found.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn steps(&self) -> Vec<Step> {
        let age = [
            Step::AtHand,
            Step::Ssh,
            Step::Commands,
            Step::Costly(Effort::Plugin),
            Step::Costly(Effort::Passphrase),
        ];
        if self.sources.pgp_first {
            return [&[Step::Pgp], age.as_slice()].concat();
        }
        [age.as_slice(), &[Step::Pgp]].concat()
    }

    /// What `step` has to offer for `wrapped`.
    fn batches(&self, step: Step, wrapped: &[Wrapped<'_>]) -> Vec<Batch> {
        let mut found = self.found();
        match step {
            Step::Pgp | Step::Commands => Vec::new(),
            Step::AtHand | Step::Ssh => {
                let all = match step {
                    Step::Ssh => found.ssh(&self.sources, &self.asking),
                    _ => found.at_hand(&self.sources, &self.asking),
                };
                let free = all.iter().filter(|one| one.effort() == Effort::None);
                vec![(free.cloned().collect(), None)]
            }
            Step::Costly(effort) => {
                let mut batches: Vec<Batch> = Vec::new();
                let mut all = found.ssh(&self.sources, &self.asking).to_vec();
                all.extend_from_slice(found.at_hand(&self.sources, &self.asking));
                let costly = all.into_iter().filter(|one| one.effort() == effort);
                batches.extend(costly.map(|one| (vec![one], None)));
                for (index, key) in wrapped.iter().enumerate() {
                    let given = found.by_commands.get(key.recipient).into_iter().flatten();
                    let costly = given.filter(|one| one.effort() == effort);
                    batches.extend(costly.map(|one| (vec![one.clone()], Some(index))));
                }
                batches
            }
        }
    }

    /// Tries what commands give for `key`, which costs nothing more.
    fn by_command(&self, key: &Wrapped<'_>) -> Result<Option<Secret>, UnwrapError> {
        let mut found = self.found();
        if !found.by_commands.contains_key(key.recipient) {
            let given = found.run(&self.sources, &self.asking, key.recipient);
            found.by_commands.insert(key.recipient.to_owned(), given);
        }
        let given = found.by_commands.get(key.recipient).into_iter().flatten();
        let free = given.filter(|one| one.effort() == Effort::None);
        let free: Vec<AnyIdentity> = free.cloned().collect();
        drop(found);
        unwrap_any(key.armored, &free)
    }

    fn by_pgp(&self, key: &Wrapped<'_>) -> Result<Option<Secret>, UnwrapError> {
        let program = self.sources.gpg.as_deref().unwrap_or(OsStr::new("gpg"));
        let secret = gpg::decrypt(program, key.armored).map_err(|why| {
            let source_name = program.display().to_string();
            UnwrapError::Unusable(vec![Unusable { source_name, why }])
        })?;
        let length = secret.len();
        // A share is one byte longer.
        if length == DataKey::LENGTH || length == DataKey::LENGTH + 1 {
            Ok(Some(secret))
        } else {
            Err(UnwrapError::WrongLength { length })
        }
    }

    /// Tries `step` on all of `wrapped`; notes in `reasons` why one does not open.
    fn try_step(
        &self,
        step: Step,
        wrapped: &[Wrapped<'_>],
        reasons: &mut [UnwrapError],
    ) -> Option<Secret> {
        let of = |system| move |(_, key): &(usize, &Wrapped<'_>)| key.system == system;
        let keys = |system| wrapped.iter().enumerate().filter(of(system));
        let mut note = |index: usize, attempt: Result<Option<Secret>, UnwrapError>| match attempt {
            Ok(opened) => opened,
            Err(error) => {
                add(&mut reasons[index], error);
                None
            }
        };
        match step {
            Step::Pgp => keys(System::Pgp).find_map(|(index, key)| note(index, self.by_pgp(key))),
            Step::Commands if !self.sources.has_command() => None,
            Step::Commands => {
                keys(System::Age).find_map(|(index, key)| note(index, self.by_command(key)))
            }
            Step::AtHand | Step::Ssh | Step::Costly(_) => {
                let batches = self.batches(step, wrapped);
                batches.iter().find_map(|(identities, only)| {
                    let meant =
                        keys(System::Age).filter(|(index, _)| only.is_none_or(|one| one == *index));
                    let mut tried =
                        meant.map(|(index, key)| (index, unwrap_any(key.armored, identities)));
                    tried.find_map(|(index, attempt)| note(index, attempt))
                })
            }
        }
    }
}

impl Keys for Keyring {
    fn unwrap_one(&self, wrapped: &[Wrapped<'_>]) -> Result<Secret, Vec<UnwrapError>> {
        let mut reasons = vec![UnwrapError::NoneFits; wrapped.len()];
        for step in self.steps() {
            if let Some(secret) = self.try_step(step, wrapped, &mut reasons) {
                return Ok(secret);
            }
        }
        Err(reasons)
    }
}

/// Adds a further reason to those that are known for a key.
fn add(known: &mut UnwrapError, further: UnwrapError) {
    match (known, further) {
        (UnwrapError::Unusable(known), UnwrapError::Unusable(further)) => {
            for one in further {
                if !known.contains(&one) {
                    known.push(one);
                }
            }
        }
        (known @ UnwrapError::NoneFits, further) => *known = further,
        _ => {}
    }
}

impl Found {
    /// What variables and files hold, read the first time.
    fn at_hand(&mut self, sources: &Sources, asking: &Asking) -> &[AnyIdentity] {
        if self.at_hand.is_none() {
            let identities = self.read(sources, asking);
            self.at_hand = Some(identities);
        }
        self.at_hand.as_deref().unwrap_or_default()
    }

    /// The SSH keys in files, read the first time.
    fn ssh(&mut self, sources: &Sources, asking: &Asking) -> &[AnyIdentity] {
        if self.ssh.is_none() {
            let mut identities = Vec::new();
            if let Some(path) = &sources.ssh_file {
                let source = format!("SOPS_AGE_SSH_PRIVATE_KEY_FILE ({})", path.display());
                identities.extend(self.ssh_key(&source, read(path), asking));
            }
            let paths = sources.ssh_paths();
            for path in paths.filter(|path| file::kind(path).is_some()) {
                let source = path.display().to_string();
                identities.extend(self.ssh_key(&source, read(&path), asking));
            }
            self.ssh = Some(identities);
        }
        self.ssh.as_deref().unwrap_or_default()
    }

    fn read(&mut self, sources: &Sources, asking: &Asking) -> Vec<AnyIdentity> {
        let mut identities = Vec::new();
        if let Some(key) = &sources.key {
            identities.extend(self.parsed("SOPS_AGE_KEY", Ok(key.clone()), asking));
        }
        if let Some(path) = &sources.key_file {
            let source = format!("SOPS_AGE_KEY_FILE ({})", path.display());
            identities.extend(self.parsed(&source, read(path), asking));
        }
        if let Some(path) = &sources.default_file
            && file::kind(path).is_some()
        {
            identities.extend(self.parsed(&path.display().to_string(), read(path), asking));
        }
        identities
    }

    /// What the commands print for `recipient`.
    fn run(&mut self, sources: &Sources, asking: &Asking, recipient: &str) -> Vec<AnyIdentity> {
        let mut identities = Vec::new();
        if let Some(line) = &sources.ssh_command {
            let source = "SOPS_AGE_SSH_PRIVATE_KEY_CMD";
            let printed = run(line, Some(recipient));
            identities.extend(self.ssh_key(source, printed, &Asking::nobody()));
        }
        if let Some(line) = &sources.key_command {
            let printed = run(line, Some(recipient));
            identities.extend(self.parsed("SOPS_AGE_KEY_CMD", printed, asking));
        }
        identities
    }

    fn ssh_key(
        &mut self,
        source: &str,
        content: Result<Secret, String>,
        asking: &Asking,
    ) -> Option<AnyIdentity> {
        let parsed = content.and_then(|content| {
            AnyIdentity::ssh(source, &content, asking).map_err(|error| error.to_string())
        });
        self.noted(source, parsed)
    }

    fn parsed(
        &mut self,
        source: &str,
        content: Result<Secret, String>,
        asking: &Asking,
    ) -> Vec<AnyIdentity> {
        let parse = |content| AnyIdentity::parse_file(source, &content, asking);
        let told = |error: InvalidKey| error.to_string();
        let parsed = content.and_then(|content| parse(content).map_err(told));
        let identities = self.noted(source, parsed);
        if identities.as_ref().is_some_and(Vec::is_empty) {
            self.without_any.push(source.to_owned());
        }
        identities.unwrap_or_default()
    }

    /// What was read, or nothing and a problem.
    fn noted<T>(&mut self, source: &str, read: Result<T, String>) -> Option<T> {
        read.map_err(|why| {
            let source = source.to_owned();
            self.problems.push(Problem { source, why });
        })
        .ok()
    }
}

impl Sources {
    fn has_command(&self) -> bool {
        self.ssh_command.is_some() || self.key_command.is_some()
    }

    fn ssh_paths(&self) -> impl Iterator<Item = std::path::PathBuf> + '_ {
        let folder = self.ssh_folder.iter();
        folder.flat_map(|folder| SSH_NAMES.map(|name| folder.join(name)))
    }

    /// The places where nothing is, in the order of SOPS, which names its own file only when there is
    /// nothing else.
    fn not_set(&self) -> Vec<String> {
        let variable = |name: &str, is_set: bool| (!is_set).then(|| name.to_owned());
        let mut places = vec![
            variable("SOPS_AGE_SSH_PRIVATE_KEY_FILE", self.ssh_file.is_some()),
            variable("SOPS_AGE_SSH_PRIVATE_KEY_CMD", self.ssh_command.is_some()),
        ];
        let absent = |path: &Path| {
            file::kind(path)
                .is_none()
                .then(|| path.display().to_string())
        };
        places.extend(self.ssh_paths().map(|path| absent(&path)));
        places.extend([
            variable("SOPS_AGE_KEY", self.key.is_some()),
            variable("SOPS_AGE_KEY_FILE", self.key_file.is_some()),
            variable("SOPS_AGE_KEY_CMD", self.key_command.is_some()),
        ]);
        let others = places.iter().any(Option::is_none);
        if !others {
            places.extend(self.default_file.as_deref().map(absent));
        }
        places.into_iter().flatten().collect()
    }
}

#[cfg(test)]
mod tests;
