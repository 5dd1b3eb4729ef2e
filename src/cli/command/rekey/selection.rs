//! The files that `rekey` is meant to look at.
//!
//! Who may read is not guessed: an environment counts only when it was typed, and a file of which nothing says
//! who shall read it is named, not changed.

use std::path::PathBuf;

use super::RekeyArgs;
use crate::cli::Session;
use crate::cli::error::CommandError;
use crate::cli::project::{DocumentRef, Project};
use crate::cli::sealed_files::{self, Audience, SealedFile};
use crate::file;
use crate::name::{EnvName, of_path};

/// What is looked at.
pub(super) struct Selection {
    pub(super) project: Project,
    pub(super) documents: Vec<DocumentRef>,
    /// Sealed files that are no documents, and of which it is known who shall read them.
    pub(super) others: Vec<SealedFile>,
}

/// What the options mean.
pub(super) fn select(session: &Session, args: &RekeyArgs) -> Result<Selection, CommandError> {
    let project = match args.files.first() {
        Some(file) => Project::of_file(&session.globals, file)
            .map_or_else(|| Project::find(&session.globals), Ok)?,
        None => Project::find(&session.globals)?,
    };
    let typed = match session.environment_was_typed {
        true => Some(project.environment(session.globals.environment.as_deref())?),
        false => None,
    };
    let mut documents = project.documents();
    let mut others = Vec::new();
    for found in sealed_files::find(session, &project, &args.files, typed.as_ref())? {
        match found {
            Ok(other) => others.push(other),
            Err(error) => session
                .ui
                .warn(&format!("{} {}", error.code(), error.what())),
        }
    }
    let places = args.files.iter().map(|path| file::canonical(path));
    let places: Vec<PathBuf> = places.collect::<Result<_, _>>()?;
    for (path, place) in args.files.iter().zip(&places) {
        let is_below = |path: Option<PathBuf>| path.is_some_and(|path| path.starts_with(place));
        if !documents
            .iter()
            .any(|one| is_below(Some(project.path(one))))
            && !others.iter().any(|one| is_below(one.source.path()))
        {
            return Err(not_sealed(&of_path(path)));
        }
    }
    let is_meant =
        |path: PathBuf| places.is_empty() || places.iter().any(|place| path.starts_with(place));
    documents.retain(|one| is_meant(project.path(one)));
    others.retain(|one| one.source.path().is_some_and(is_meant));
    if let Some(name) = &typed {
        documents.retain(|one| one.environment == *name);
        others.retain(|one| is_of(one, name, &places));
    }
    let others = of_known_audience(session, others, &places)?;
    Ok(Selection {
        project,
        documents,
        others,
    })
}

/// Whether the file is meant by the environment that was typed: it lies in its folder, or was named itself.
fn is_of(one: &SealedFile, name: &EnvName, places: &[PathBuf]) -> bool {
    match &one.environment {
        Some(home) => home == name,
        None => !places.is_empty(),
    }
}

/// Those of which it is known who shall read them; the others are told of, with what to type.
fn of_known_audience(
    session: &Session,
    others: Vec<SealedFile>,
    places: &[PathBuf],
) -> Result<Vec<SealedFile>, CommandError> {
    let mut known = Vec::new();
    for one in others {
        let shown = &one.source.shown;
        match &one.audience {
            Audience::Known { .. } => {
                known.push(one);
                continue;
            }
            Audience::Unknown { .. } if one.source.path().is_some_and(|path| places.contains(&path)) => {
                let what = format!("nothing says who shall read {shown}");
                return Err(CommandError::usage(what)
                    .why("it lies in no folder of an environment, and no creation rule fits it")
                    .fix(one.fix()));
            }
            Audience::Unknown { is_suspect: false, .. } => continue,
            Audience::Unknown { .. } => session.ui.warn(&format!(
                "{shown} is left as it is: its readers are those of no environment, and nothing says who shall read it"
            )),
            Audience::Rule => session.ui.warn(&format!(
                "{shown} is left as it is: it has key groups or keys of other services"
            )),
        }
        session.ui.detail("fix", &one.fix());
    }
    Ok(known)
}

fn not_sealed(shown: &str) -> CommandError {
    CommandError::usage(format!("{shown} is no sealed file of the project"))
        .why("rekey changes who can open files that are sealed already")
        .fix(format!("sealctl encrypt {shown}"))
}
