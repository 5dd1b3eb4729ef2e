//! `check`: names and values of documents, and the readers of every sealed file.

mod others;

use std::collections::BTreeMap;

use clap::Args;

use crate::cli::args::OutputFormat;
use crate::cli::error::CommandError;
use crate::cli::project::{DocumentRef, Project};
use crate::cli::report::{self, Line, Report};
use crate::cli::{Outcome, Session, inspect};
use crate::env::Severity;

/// Check documents, and who can open the other sealed files
///
/// Prints every finding with its place. What can be said without a key is said without one; the values
/// of a document that you cannot open are unchecked. Of sealed files that are no documents the readers are
/// looked at: they have to be those of the environment in whose folder the file lies, else those of the creation
/// rule in .sops.yaml that fits.
#[derive(Debug, Args)]
#[command(before_help = "Examples:\n  sealctl check\n  sealctl check --all-envs --strict")]
pub(crate) struct CheckArgs {
    /// Check every environment
    #[arg(long)]
    all_envs: bool,
    /// Count warnings as findings
    #[arg(long)]
    strict: bool,
}

/// `check`.
pub(crate) fn run(session: &mut Session, args: &CheckArgs) -> Result<Outcome, CommandError> {
    let project = Project::find(&session.globals)?;
    let documents = documents(session, &project, args.all_envs)?;
    let mut reports: Vec<Report> = documents
        .into_iter()
        .map(|document| inspect::document(session, &project, document))
        .collect();
    if args.all_envs {
        compare(&mut reports);
    }
    if session.globals.app.is_none() {
        reports.extend(others::examine(session, &project, args.all_envs)?);
    }
    if session.globals.output == Some(OutputFormat::Json) {
        let text = report::json("CheckReport", &reports).to_string();
        session.ui.report(&text);
    } else {
        report::print(session, &reports);
    }
    let bad = report::is_bad(&reports, args.strict);
    Ok(if bad { Outcome::No } else { Outcome::Done })
}

fn documents(
    session: &Session,
    project: &Project,
    all: bool,
) -> Result<Vec<DocumentRef>, CommandError> {
    let app = session.globals.app.as_deref();
    let wanted = |document: &DocumentRef| app.is_none_or(|app| app == document.app.as_str());
    let mut found = project.documents();
    found.retain(wanted);
    if !all {
        let environment = project.environment(session.globals.environment.as_deref())?;
        found.retain(|document| document.environment == environment);
    }
    Ok(found)
}

/// Warns about names that other environments of the same app have.
fn compare(reports: &mut [Report]) {
    let mut everywhere: BTreeMap<String, BTreeMap<String, String>> = BTreeMap::new();
    for report in reports.iter() {
        let Some(document) = &report.document else {
            continue;
        };
        let known = everywhere.entry(document.app.to_string()).or_default();
        for name in &report.names {
            known
                .entry(name.clone())
                .or_insert_with(|| document.environment.to_string());
        }
    }
    for report in reports {
        let app = report
            .document
            .as_ref()
            .map(|document| document.app.as_str());
        let Some(known) = app.and_then(|app| everywhere.get(app)) else {
            continue;
        };
        for (name, environment) in known
            .iter()
            .filter(|(name, _)| !report.names.contains(name))
        {
            let shown = &report.shown;
            report.lines.push(Line {
                severity: Severity::Warning,
                code: "W0295",
                text: format!("W0295 {shown}  {name} is missing; it is set in {environment}"),
                fix: None,
            });
        }
    }
}
