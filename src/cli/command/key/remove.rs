//! `key remove`: somebody is no reader any more, and what that does not do.

use std::collections::BTreeMap;
use std::path::PathBuf;

use clap::Args;

use crate::cli::command::rekey;
use crate::cli::document::Source;
use crate::cli::error::{CommandError, Exit};
use crate::cli::project::{DocumentRef, Project};
use crate::cli::readers::{self, Reader};
use crate::cli::{Outcome, Session, rules};
use crate::file;
use crate::name::{EnvName, ReaderName};
use crate::secret::Secret;
use crate::tree::Node;

/// Remove a reader, and give the documents new data keys
///
/// Whoever was a reader knows the values, and git keeps the former files: the values that were readable are
/// named, so that they can be replaced where they come from.
#[derive(Debug, Args)]
#[command(
    before_help = "Examples:\n  sealctl key remove bob\n  sealctl key remove ci --env prod --confirm=ci --checklist todo.md"
)]
pub(crate) struct RemoveArgs {
    /// Who
    name: ReaderName,
    /// The name once more, in place of the question
    #[arg(long, value_name = "NAME", require_equals = true)]
    confirm: Option<String>,
    /// Write what has to be replaced into this file, as a list to tick off
    #[arg(long, value_name = "FILE")]
    checklist: Option<PathBuf>,
}

/// An environment that somebody goes from.
struct Leaving {
    environment: EnvName,
    /// The file with the key.
    path: PathBuf,
    text: Secret,
    /// Names of the values that could be read.
    values: Vec<String>,
}

/// `key remove`.
pub(crate) fn run(session: &mut Session, args: &RemoveArgs) -> Result<Outcome, CommandError> {
    let name = &args.name;
    let project = Project::find(&session.globals)?;
    let environments = project.typed_or_all(session)?;
    let leaving = environments
        .iter()
        .filter_map(|environment| leaving(&project, environment, name).transpose())
        .collect::<Result<Vec<Leaving>, CommandError>>()?;
    if leaving.is_empty() {
        let what = format!("keys/ holds no key of {name}");
        return Err(CommandError::new("E0127", Exit::Failure, what).fix("sealctl key list"));
    }
    let places: Vec<&str> = leaving.iter().map(|one| one.environment.as_str()).collect();
    if session.globals.dry_run {
        let places = places.join(", ");
        session.ui.status(&format!(
            "would remove {name} from {places}, with new data keys"
        ));
        say_what_was_known(session, name, &leaving);
        return Ok(Outcome::Done);
    }
    agree(session, args, &places)?;
    for one in &leaving {
        remove(session, &project, name, one)?;
    }
    say_what_was_known(session, name, &leaving);
    if let Some(path) = &args.checklist {
        let list = Secret::from(checklist(name, &leaving));
        file::create(path, &list, file::PUBLIC)?;
        session.ui.done(&format!("wrote {}", path.display()));
    }
    Ok(Outcome::Done)
}

/// What it means that `name` goes from `environment`; `None` where he is not.
fn leaving(
    project: &Project,
    environment: &EnvName,
    name: &ReaderName,
) -> Result<Option<Leaving>, CommandError> {
    let listed = readers::of(project, environment)?;
    let Some(place) = listed.iter().position(|reader| reader.name == *name) else {
        return Ok(None);
    };
    let stays = |(at, reader): &(usize, &Reader)| *at != place && reader.is_somebody();
    if !listed.iter().enumerate().any(|one| stays(&one)) {
        let what = format!("nobody but a recovery key or a cluster could read {environment}");
        return Err(CommandError::new("E0128", Exit::Failure, what)
            .why("who removes the last person cannot change the documents any more")
            .fix(format!(
                "sealctl key approve NAME --env {environment}   first"
            )));
    }
    let path = project.keys(environment).join(format!("{name}.pub"));
    let text = file::read(&path, 1 << 16)?;
    let key = listed[place].recipient.as_str();
    let mut values = Vec::new();
    for app in project.apps(environment) {
        let document = DocumentRef {
            environment: environment.clone(),
            app,
        };
        let sealed = Source::of(project, &document)?.parse()?;
        if !sealed.recipients().any(|one| one == key) {
            continue;
        }
        if let Some(Node::Map(map)) = sealed.tree().find("secrets").map(|entry| &entry.value) {
            values.extend(map.entries().map(|entry| entry.key.clone()));
        }
    }
    values.sort_unstable();
    values.dedup();
    Ok(Some(Leaving {
        environment: environment.clone(),
        path,
        text,
        values,
    }))
}

/// Asks for the name once more.
fn agree(session: &Session, args: &RemoveArgs, places: &[&str]) -> Result<(), CommandError> {
    let name = args.name.as_str();
    let typed = match &args.confirm {
        Some(typed) => typed.clone(),
        None => {
            let question = format!("Remove {name} from {}? Type the name: ", places.join(", "));
            session.ui.typed(&question, &format!("--confirm={name}"))?
        }
    };
    match typed.trim() == name {
        true => Ok(()),
        false => Err(
            CommandError::new("E0135", Exit::Failure, "nothing was changed")
                .why("the name that was typed is another one"),
        ),
    }
}

/// Takes the key out and seals anew. What fails leaves the key where it was.
fn remove(
    session: &mut Session,
    project: &Project,
    name: &ReaderName,
    one: &Leaving,
) -> Result<(), CommandError> {
    file::remove(&one.path)?;
    let sealed = rules::refresh(project)
        .and_then(|_| rekey::of_environment(session, &one.environment, true));
    if let Err(error) = sealed {
        file::create(&one.path, &one.text, file::PUBLIC)?;
        rules::refresh(project)?;
        return Err(error);
    }
    let environment = &one.environment;
    session
        .ui
        .done(&format!("keys/{environment}/{name}.pub removed"));
    Ok(())
}

fn say_what_was_known(session: &Session, name: &ReaderName, leaving: &[Leaving]) {
    let count: usize = leaving.iter().map(|one| one.values.len()).sum();
    if count == 0 {
        return;
    }
    let values = if count == 1 {
        "1 value".to_owned()
    } else {
        format!("{count} values")
    };
    session.ui.warn(&format!(
        "{name} could read {values} until now, and git history still shows them to him; replace them where they come from:"
    ));
    let mut by_names: BTreeMap<&[String], Vec<&str>> = BTreeMap::new();
    for one in leaving.iter().filter(|one| !one.values.is_empty()) {
        by_names
            .entry(&one.values)
            .or_default()
            .push(one.environment.as_str());
    }
    for (values, environments) in by_names {
        session
            .ui
            .detail(&environments.join(", "), &values.join(", "));
    }
}

fn checklist(name: &ReaderName, leaving: &[Leaving]) -> String {
    let mut text = format!("# What {name} could read\n");
    for one in leaving {
        for value in &one.values {
            text.push_str(&["- [ ] ", one.environment.as_str(), ": ", value, "\n"].concat());
        }
    }
    text
}
