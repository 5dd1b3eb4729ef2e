//! `key new`: an identity of one's own, or one for a machine.

use std::path::{Path, PathBuf};

use clap::Args;

use crate::cli::command::git::install;
use crate::cli::error::{CommandError, Exit};
use crate::cli::project::Project;
use crate::cli::readers::Note;
use crate::cli::{Outcome, Session, git, identity, rules};
use crate::crypto::{Identity, Recipient};
use crate::file;
use crate::name::{EnvName, ReaderName};
use crate::secret::Secret;

/// Create an identity, or use the one that is there
///
/// It lies in keys.txt, where SOPS looks, too. With --request its public half goes into keys/<env>/:
/// commit that file, and a member decides. With --out the key is for a machine: the private half goes
/// there and nowhere else.
#[derive(Debug, Args)]
#[command(
    before_help = "Examples:\n  sealctl key new\n  sealctl key new --request --env dev\n  sealctl key new --name ci --request --env dev --out - | gh secret set SOPS_AGE_KEY"
)]
pub(crate) struct NewArgs {
    /// Name of the reader (default: from the mail address of git, else the login name)
    #[arg(long, value_name = "NAME")]
    name: Option<String>,
    /// Put the public half into keys/<env>/
    #[arg(long)]
    request: bool,
    /// Make a key for a machine and write its private half to this file, or to a pipe with -
    #[arg(long, value_name = "FILE|-")]
    out: Option<PathBuf>,
}

/// `key new`.
pub(crate) fn run(session: &mut Session, args: &NewArgs) -> Result<Outcome, CommandError> {
    let target = if args.request {
        Some(requested(session, args)?)
    } else {
        None
    };
    let recipient = match &args.out {
        Some(out) => for_machine(session, out)?,
        None => own(session)?,
    };
    let Some(target) = target else {
        session.ui.status(&format!("public key: {recipient}"));
        session
            .ui
            .next("sealctl key new --request --env ENV   puts it into keys/<env>/");
        return Ok(Outcome::Done);
    };
    let is_mine = args.out.is_none() && !session.globals.dry_run;
    if is_mine && git::top(target.project.root()).is_some() {
        install::set_up_clone(session, &target.project)?;
    }
    let note = match args.out {
        Some(_) => Note::new("machine", None),
        None => Note::new("person", git::user_email(target.project.root())),
    };
    request(session, &target, &recipient, &note)
}

/// Where a request goes.
struct Target {
    project: Project,
    environment: EnvName,
    name: ReaderName,
}

fn requested(session: &Session, args: &NewArgs) -> Result<Target, CommandError> {
    if !session.environment_was_typed {
        return Err(
            CommandError::usage("which environment? who may read is not guessed")
                .fix("sealctl key new --request --env ENV"),
        );
    }
    let project = Project::find(&session.globals)?;
    let environment = project.environment(session.globals.environment.as_deref())?;
    let name = identity::reader_name(session, project.root(), args.name.as_deref())?;
    Ok(Target {
        project,
        environment,
        name,
    })
}

fn own(session: &Session) -> Result<Recipient, CommandError> {
    let own = identity::find_or_make(session)?;
    own.tell(&session.ui);
    Ok(own.recipient)
}

fn for_machine(session: &mut Session, out: &Path) -> Result<Recipient, CommandError> {
    let identity = Identity::generate();
    let recipient = identity.recipient();
    let to_pipe = out == Path::new("-");
    if to_pipe && session.ui.stdout_is_terminal() {
        return Err(CommandError::new(
            "E0401",
            Exit::Failure,
            "refusing to print a private key on a terminal",
        )
        .why("terminal scrollback keeps it")
        .fix("redirect the output, or give --out a file"));
    }
    if session.globals.dry_run {
        return Ok(recipient);
    }
    let text = identity::key_file(&identity);
    if to_pipe {
        session.ui.data(text.expose());
    } else {
        file::create(out, &text, file::PRIVATE)?;
        session
            .ui
            .done(&format!("identity written to {} (0600)", out.display()));
    }
    Ok(recipient)
}

fn request(
    session: &mut Session,
    target: &Target,
    recipient: &Recipient,
    note: &Note,
) -> Result<Outcome, CommandError> {
    let Target {
        project,
        environment,
        name,
    } = target;
    let path = project.keys(environment).join(format!("{name}.pub"));
    let shown = project.relative(&path).display().to_string();
    match file::read(&path, 1 << 16) {
        Ok(text)
            if text
                .expose_text()
                .is_some_and(|text| text.contains(recipient.as_str())) =>
        {
            session.ui.same(&format!("{shown} holds this key already"));
            return Ok(Outcome::Unchanged);
        }
        Ok(_) => {
            return Err(CommandError::new(
                "E0125",
                Exit::Failure,
                format!("{shown} holds another key"),
            )
            .why("a second device is a second name")
            .fix(format!(
                "sealctl key new --request --env {environment} --name {name}-2"
            )));
        }
        Err(error) if error.is_missing() => {}
        Err(error) => return Err(error.into()),
    }
    if session.globals.dry_run {
        session
            .ui
            .status(&format!("would write {shown} and .sops.yaml"));
        return Ok(Outcome::Done);
    }
    file::create(
        &path,
        &Secret::from(public_file(recipient, note)),
        file::PUBLIC,
    )?;
    rules::refresh(project)?;
    session.ui.done(&format!(
        "{shown} ({}) and .sops.yaml written; nothing is readable for {name} yet",
        recipient.short()
    ));
    session.ui.next(&format!(
        "commit, open a pull request; a member then runs: sealctl key approve {name} --env {environment}"
    ));
    Ok(Outcome::Done)
}

/// Content of a `.pub` file.
pub(crate) fn public_file(recipient: &Recipient, note: &Note) -> String {
    format!("{}{recipient}\n", note.line())
}
