//! `key approve`, `key add`: somebody becomes a reader, whose key is there already or is given.

use clap::Args;

use crate::cli::command::key::new::public_file;
use crate::cli::command::rekey;
use crate::cli::error::{CommandError, Exit};
use crate::cli::project::Project;
use crate::cli::readers::Note;
use crate::cli::{Outcome, Session, git, readers, rules};
use crate::crypto::{InvalidKey, Recipient};
use crate::file;
use crate::name::{EnvName, ReaderName};
use crate::secret::Secret;

/// Make a key that is in keys/ a reader
///
/// The key is one that was asked for and is pending, or one that is listed in another environment. It is shown in
/// full, with the commit that brought it, before anything is sealed for it.
#[derive(Debug, Args)]
#[command(before_help = "Example:\n  sealctl key approve carol --env dev")]
pub(crate) struct ApproveArgs {
    /// Whose key
    name: ReaderName,
}

/// Make a key that comes from elsewhere a reader
///
/// Of a person, a CI job, a cluster.
#[derive(Debug, Args)]
#[command(before_help = "Example:\n  sealctl key add cluster --env prod age1…")]
pub(crate) struct AddArgs {
    /// What the reader is called
    name: ReaderName,
    /// The public key
    recipient: String,
    /// Take the place of the key that has this name, which is removed
    #[arg(long)]
    replace: bool,
}

/// Where somebody becomes a reader.
struct Target {
    project: Project,
    environment: EnvName,
}

impl Target {
    /// The environment that was typed.
    fn find(session: &Session, verb: &str, name: &ReaderName) -> Result<Self, CommandError> {
        if !session.environment_was_typed {
            return Err(
                CommandError::usage("which environment? who may read is not guessed")
                    .fix(format!("sealctl key {verb} {name} --env ENV")),
            );
        }
        let project = Project::find(&session.globals)?;
        let environment = project.environment(session.globals.environment.as_deref())?;
        Ok(Self {
            project,
            environment,
        })
    }

    /// The file of `name`, from the root of the project.
    fn shown(&self, name: &ReaderName) -> String {
        format!("keys/{}/{name}.pub", self.environment)
    }

    /// The key that has this name in `environment`.
    fn key_of(&self, environment: &EnvName, name: &ReaderName) -> Option<Recipient> {
        let readers = readers::of(&self.project, environment).ok()?;
        let found = readers.into_iter().find(|reader| reader.name == *name);
        found.map(|reader| reader.recipient)
    }

    /// Writes the key of `name` into the listing.
    fn write(&self, name: &ReaderName, recipient: &Recipient) -> Result<(), CommandError> {
        let path = self.project.root().join(self.shown(name));
        let text = Secret::from(public_file(recipient, &Note::default()));
        match file::read_original(&path, 1 << 16) {
            Ok(original) => file::replace(&original, &text)?,
            Err(error) if error.is_missing() => file::create(&path, &text, file::PUBLIC)?,
            Err(error) => return Err(error.into()),
        }
        rules::refresh(&self.project)?;
        Ok(())
    }

    /// Shows whose key it is, and seals what the environment has for all who are listed now.
    fn seal(
        &self,
        session: &mut Session,
        name: &ReaderName,
        recipient: &Recipient,
    ) -> Result<Outcome, CommandError> {
        let shown = self.shown(name);
        let origin = git::origin(self.project.root(), shown.as_ref());
        let origin = origin.map_or_else(String::new, |origin| format!(", added in {origin}"));
        session
            .ui
            .status(&format!("{name}  {recipient}  {shown}{origin}"));
        rekey::of_environment(session, &self.environment, false)
    }
}

/// `key approve`.
pub(crate) fn approve(session: &mut Session, args: &ApproveArgs) -> Result<Outcome, CommandError> {
    let name = &args.name;
    let target = Target::find(session, "approve", name)?;
    if let Some(recipient) = target.key_of(&target.environment, name) {
        return target.seal(session, name, &recipient);
    }
    let environments = target.project.environments();
    let elsewhere = environments
        .iter()
        .filter_map(|environment| target.key_of(environment, name));
    let mut elsewhere: Vec<Recipient> = elsewhere.collect();
    elsewhere.dedup();
    let recipient = match elsewhere.as_slice() {
        [] => return Err(unknown(name, &target.environment)),
        [only] => only.clone(),
        _ => {
            let what = format!("{name} has different keys in other environments");
            let fix = format!("sealctl key add {name} --env {} age1…", target.environment);
            return Err(CommandError::new("E0127", Exit::Failure, what).fix(fix));
        }
    };
    if session.globals.dry_run {
        let shown = target.shown(name);
        session.ui.status(&format!(
            "would write {shown} and seal for {name}  {recipient}"
        ));
        return Ok(Outcome::Done);
    }
    target.write(name, &recipient)?;
    target.seal(session, name, &recipient)
}

fn unknown(name: &ReaderName, environment: &EnvName) -> CommandError {
    let what = format!("keys/ holds no key of {name}");
    CommandError::new("E0127", Exit::Failure, what)
        .why("approved is what somebody asked for with sealctl key new --request")
        .fix(format!("sealctl key add {name} --env {environment} age1…"))
}

/// `key add`.
pub(crate) fn add(session: &mut Session, args: &AddArgs) -> Result<Outcome, CommandError> {
    let AddArgs {
        name,
        recipient,
        replace,
    } = args;
    let target = Target::find(session, "add", name)?;
    let recipient = Recipient::x25519(recipient.trim()).map_err(|invalid: InvalidKey| {
        CommandError::usage(format!("the key of {name} is {invalid}"))
            .why("documents are sealed for age keys (age1…), which seald opens, too")
    })?;
    match target.key_of(&target.environment, name) {
        Some(former) if former == recipient => {}
        Some(_) if !replace => {
            let what = format!("{} holds another key", target.shown(name));
            return Err(CommandError::new("E0125", Exit::Failure, what)
                .why("a second device is a second name")
                .fix("choose another name, or put it in the place of the former: --replace"));
        }
        _ if session.globals.dry_run => {
            let shown = target.shown(name);
            session.ui.status(&format!(
                "would write {shown} and seal for {name}  {recipient}"
            ));
            return Ok(Outcome::Done);
        }
        _ => target.write(name, &recipient)?,
    }
    target.seal(session, name, &recipient)
}
