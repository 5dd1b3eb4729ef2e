//! `git pre-commit`: what the hook runs.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use clap::Args;

use crate::cli::command::lint;
use crate::cli::error::CommandError;
use crate::cli::project::Project;
use crate::cli::report;
use crate::cli::{Outcome, Session, git, rules};

/// Refuse a commit whose documents are not sealed as they should be
///
/// Looks at what is staged, as `sealctl lint --staged` does, and says nothing when all is well.
#[derive(Debug, Args)]
#[command(before_help = "Example:\n  sealctl git pre-commit")]
pub(crate) struct PreCommitArgs {}

/// `git pre-commit`.
pub(crate) fn run(session: &mut Session, _: &PreCommitArgs) -> Result<Outcome, CommandError> {
    let mut reports = Vec::new();
    for project in projects(session) {
        reports.extend(lint::staged(session, &project, &[])?);
    }
    reports.retain(|report| !report.lines.is_empty());
    if reports.is_empty() {
        return Ok(Outcome::Done);
    }
    lint::tell(session, &reports);
    Ok(match report::is_bad(&reports, false) {
        true => Outcome::No,
        false => Outcome::Done,
    })
}

/// The projects that are about to change: git runs a hook at the root of the repository, wherever they lie. None in
/// a repository without one, or on a branch from before there was one.
fn projects(session: &Session) -> Vec<Project> {
    let here = Path::new(".");
    if session.globals.project_dir.is_some() {
        return Project::find(&session.globals).into_iter().collect();
    }
    let Some(top) = git::top(here) else {
        return Vec::new();
    };
    let changed = git::staged(&top).unwrap_or_default();
    let roots: BTreeSet<PathBuf> = changed.iter().filter_map(|path| root_of(path)).collect();
    roots
        .iter()
        .filter_map(|root| Project::at(&top.join(root)))
        .collect()
}

/// The folder whose `envs` or `keys`, or whose `.sops.yaml`, `path` is.
fn root_of(path: &Path) -> Option<PathBuf> {
    let mut root = PathBuf::new();
    for part in path {
        if part == "envs" || part == "keys" || part == rules::NAME {
            return Some(root);
        }
        root.push(part);
    }
    None
}
