//! `init`: layout, key and first documents.

use std::path::{Path, PathBuf};

use clap::Args;

use crate::cli::command::git::install;
use crate::cli::document::Source;
use crate::cli::error::{CommandError, Exit};
use crate::cli::identity;
use crate::cli::project::{DocumentRef, Project};
use crate::cli::readers::{self, Note, Reader};
use crate::cli::{Outcome, Session, git, rules, store};
use crate::crypto::Recipient;
use crate::file;
use crate::name::{AppName, EnvName, InvalidName, ReaderName};
use crate::secret::Secret;

/// Environments of a new project, unless others are named.
const ENVIRONMENTS: &str = "dev,prod";

/// Lay out keys/ and envs/, make your key and the first sealed documents
///
/// In an existing project nothing that is shared changes: init makes sure that you have a key, sets up this clone
/// for git, and says what comes next.
#[derive(Debug, Args)]
#[command(
    before_help = "Examples:\n  sealctl init --app web\n  sealctl init --app web --env dev,staging,prod --recovery-key skip"
)]
pub(crate) struct InitArgs {
    /// Your name as a reader (default: from the mail address of git, else the login name)
    #[arg(long, value_name = "NAME")]
    name: Option<String>,
    /// Key that lies offline and opens everything in an emergency: a public key (age1…), or skip
    #[arg(long, value_name = "PUB|skip")]
    recovery_key: Option<String>,
    /// Leave git as it is: neither hook nor drivers
    #[arg(long)]
    no_hooks: bool,
}

/// What is going to be made.
struct Plan {
    root: PathBuf,
    app: AppName,
    environments: Vec<EnvName>,
    name: ReaderName,
    recovery: Option<Recipient>,
}

/// `init`.
pub(crate) fn run(session: &mut Session, args: &InitArgs) -> Result<Outcome, CommandError> {
    let existing = match &session.globals.project_dir {
        Some(folder) => Project::at(folder),
        None => Project::find(&session.globals).ok(),
    };
    if let Some(project) = existing {
        return join(session, &project, args);
    }
    let plan = plan(session, args)?;
    if session.globals.dry_run {
        for environment in &plan.environments {
            let (app, name) = (&plan.app, &plan.name);
            session.ui.status(&format!(
                "would write keys/{environment}/{name}.pub and envs/{environment}/{app}.yaml"
            ));
        }
        return Ok(Outcome::Done);
    }
    let own = identity::find_or_make(session)?;
    own.tell(&session.ui);
    let project = make(session, &plan, &own.recipient)?;
    if uses_git(&project, args) {
        install::set_up(session, &project)?;
    }
    let first = plan.environments.first().map(EnvName::as_str);
    let first = first.unwrap_or_default();
    session.ui.next(&format!(
        "sealctl set API_KEY -e {first}   or   sealctl edit -e {first}"
    ));
    Ok(Outcome::Done)
}

/// Whether the project lies in a repository that may be set up.
fn uses_git(project: &Project, args: &InitArgs) -> bool {
    !args.no_hooks && git::top(project.root()).is_some()
}

/// An existing project: only this clone is set up.
fn join(session: &Session, project: &Project, args: &InitArgs) -> Result<Outcome, CommandError> {
    refuse_new_environments(session, project)?;
    let own = identity::find_or_make(session)?;
    own.tell(&session.ui);
    let mut readable = Vec::new();
    let mut closed = Vec::new();
    for environment in project.environments() {
        let listed = readers::of(project, &environment).unwrap_or_default();
        let is_mine = listed
            .iter()
            .any(|reader| reader.recipient == own.recipient);
        if is_mine {
            readable.push(environment);
        } else {
            closed.push(environment);
        }
    }
    session
        .ui
        .same("this is a sealctl project already; nothing shared was changed");
    let is_set_up =
        uses_git(project, args) && install::set_up_clone(session, project)? == Outcome::Done;
    match (readable.first(), closed.first()) {
        (Some(environment), _) => session.ui.next(&format!("sealctl show -e {environment}")),
        (None, Some(environment)) => {
            let name = identity::reader_name(session, project.root(), args.name.as_deref())?;
            session.ui.next(&format!(
                "sealctl key new --request --env {environment} --name {name}"
            ));
        }
        (None, None) => session.ui.next("sealctl key new --request --env dev"),
    }
    Ok(match own.is_new || is_set_up {
        true => Outcome::Done,
        false => Outcome::Unchanged,
    })
}

/// `init -e` names environments to lay out; in a project that is there already nothing is laid out.
fn refuse_new_environments(session: &Session, project: &Project) -> Result<(), CommandError> {
    let typed = session.globals.environment.as_deref();
    let typed = typed.filter(|_| session.environment_was_typed);
    let known = project.environments();
    let is_new = |name: &&str| !known.iter().any(|one| one.as_str() == *name);
    let Some(name) = typed
        .into_iter()
        .flat_map(|names| names.split(','))
        .find(is_new)
    else {
        return Ok(());
    };
    let what = format!("this is a sealctl project already; init adds no environment {name}");
    let error = CommandError::usage(what).why("who may read it is for its members to say");
    Err(match known.first() {
        Some(like) => error.fix(format!(
            "mkdir keys/{name} && cp keys/{like}/*.pub keys/{name}/   then write envs/{name}/APP.yaml, and sealctl encrypt"
        )),
        None => error.fix(format!("mkdir keys/{name}, and put the .pub files of its readers there")),
    })
}

fn plan(session: &Session, args: &InitArgs) -> Result<Plan, CommandError> {
    let folder = session
        .globals
        .project_dir
        .clone()
        .unwrap_or_else(|| PathBuf::from("."));
    file::create_directory(&folder, 0o777)?;
    let root = file::canonical(&folder)?;
    let wrong = |error: InvalidName| CommandError::usage(error.to_string());
    let app = match &session.globals.app {
        Some(name) => name.parse().map_err(wrong)?,
        None => derived_app(&root)?,
    };
    let chosen = match &session.globals.environment {
        Some(names) if session.environment_was_typed => names.as_str(),
        _ => ENVIRONMENTS,
    };
    let environments = chosen
        .split(',')
        .map(|name| name.trim().parse().map_err(wrong))
        .collect::<Result<_, _>>()?;
    let name = identity::reader_name(session, &root, args.name.as_deref())?;
    let recovery = recovery(session, args.recovery_key.as_deref())?;
    Ok(Plan {
        root,
        app,
        environments,
        name,
        recovery,
    })
}

fn derived_app(root: &Path) -> Result<AppName, CommandError> {
    let folder = root.file_name().unwrap_or_default().to_string_lossy();
    identity::label(&folder).parse().map_err(|_| {
        CommandError::usage("the name of the app cannot be derived from the folder")
            .fix("say it with --app NAME")
    })
}

fn recovery(session: &Session, chosen: Option<&str>) -> Result<Option<Recipient>, CommandError> {
    match chosen {
        Some("skip") => Ok(None),
        Some(key) => {
            Recipient::x25519(key)
                .map(Some)
                .map_err(|invalid: crate::crypto::InvalidKey| {
                    CommandError::usage(format!("the value of --recovery-key is {invalid}"))
                })
        }
        None => {
            session.ui.warn(
                "no recovery key: who loses every listed key loses the values; see --recovery-key",
            );
            Ok(None)
        }
    }
}

fn make(session: &Session, plan: &Plan, own: &Recipient) -> Result<Project, CommandError> {
    let Plan {
        root,
        app,
        environments,
        name,
        recovery,
    } = plan;
    let project = Project::new(root.clone());
    for folder in ["keys", "envs"] {
        file::create_directory(&root.join(folder), 0o777)?;
    }
    let mut written = Vec::new();
    for environment in environments {
        let mut add =
            |file_name: String, key: &Recipient, note: &Note| -> Result<(), CommandError> {
                let path = project.keys(environment).join(&file_name);
                create_new(&path, &super::key::new::public_file(key, note))?;
                written.push(format!("keys/{environment}/{file_name}"));
                Ok(())
            };
        let me = Note::new("person", git::user_email(root));
        add(format!("{name}.pub"), own, &me)?;
        if let Some(recovery) = recovery {
            add(
                "recovery.pub".to_owned(),
                recovery,
                &Note::new("offline", None),
            )?;
        }
        let document = DocumentRef {
            environment: environment.clone(),
            app: app.clone(),
        };
        write_document(session, &project, &document)?;
        written.push(document.to_string());
    }
    rules::refresh(&project)?;
    written.push(".sops.yaml".to_owned());
    session.ui.done(&format!("wrote {}", written.join(", ")));
    Ok(project)
}

/// A sealed document without any value.
fn write_document(
    session: &Session,
    project: &Project,
    document: &DocumentRef,
) -> Result<(), CommandError> {
    let readers: Vec<Reader> = readers::of(project, &document.environment)?;
    let plain = store::empty_document(document.app.as_str(), document.environment.as_str());
    let source = Source::planned(project, document, plain);
    let sealed = store::seal_new(session, &source, &source.text, &readers)?;
    create_new(&project.path(document), &sealed.text)
}

fn create_new(path: &Path, text: &str) -> Result<(), CommandError> {
    file::create(path, &Secret::from_text(text), file::PUBLIC).map_err(|error| {
        if error.is_taken() {
            let what = format!("{} is there already", path.display());
            return CommandError::new("E0513", Exit::Project, what)
                .why("keys/ and envs/ were not both there, but parts of them are")
                .fix("move it away, or run init in another folder");
        }
        error.into()
    })
}
