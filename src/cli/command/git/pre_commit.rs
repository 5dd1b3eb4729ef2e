//! `git pre-commit`: what the hook runs.

use clap::Args;

use crate::cli::command::lint;
use crate::cli::error::CommandError;
use crate::cli::project::Project;
use crate::cli::report;
use crate::cli::{Outcome, Session};

/// Refuse a commit whose documents are not sealed as they should be
///
/// Looks at what is staged, as `sealctl lint --staged` does, and says nothing when all is well.
#[derive(Debug, Args)]
#[command(before_help = "Example:\n  sealctl git pre-commit")]
pub(crate) struct PreCommitArgs {}

/// `git pre-commit`.
pub(crate) fn run(session: &mut Session, _: &PreCommitArgs) -> Result<Outcome, CommandError> {
    // A hook may serve a repository without a project, or a branch from before there was one.
    let Ok(project) = Project::find(&session.globals) else {
        return Ok(Outcome::Done);
    };
    let mut reports = lint::staged(session, &project, &[])?;
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
