//! What `check` says of sealed files that are no documents, and of the generated rules in `.sops.yaml`.
//!
//! Only who can open a file is looked at; its values are nobody's business here.

use crate::cli::configuration::Configuration;
use crate::cli::error::CommandError;
use crate::cli::project::Project;
use crate::cli::report::Report;
use crate::cli::sealed_files::{self, Audience, SealedFile, difference};
use crate::cli::{Session, inspect, rules};
use crate::env::Severity;

/// One report per file. Of those in the folder of an environment only the ones of the environment that is
/// checked, unless `all` are.
pub(super) fn examine(
    session: &Session,
    project: &Project,
    all: bool,
) -> Result<Vec<Report>, CommandError> {
    let mut reports = Vec::new();
    let chosen = match all {
        true => None,
        false => Some(project.environment(session.globals.environment.as_deref())?),
    };
    for found in sealed_files::find(session, project, &[], None)? {
        match found {
            Ok(file) => {
                let is_chosen = match (&file.environment, &chosen) {
                    (Some(home), Some(chosen)) => home == chosen,
                    _ => true,
                };
                reports.extend(is_chosen.then(|| readers(&file)));
            }
            Err(error) => {
                let mut report = Report::new("a sealed file".to_owned());
                report.stop(&error);
                reports.push(report);
            }
        }
    }
    reports.extend(inspect::rules(project));
    let configuration = Configuration::above(project.root(), |_| {});
    let slips = configuration.map_or_else(|_| Vec::new(), |one| one.slips());
    if !slips.is_empty() {
        let mut report = Report::new(rules::NAME.to_owned());
        for line in slips {
            let fix = "correct the key; sops does not mention it";
            report.find(Severity::Warning, "W0516", Some(line), fix);
        }
        reports.push(report);
    }
    Ok(reports)
}

/// Whether the readers of a file are those that it shall have.
fn readers(file: &SealedFile) -> Report {
    let shown = &file.source.shown;
    let mut report = Report::new(shown.clone());
    let fix = file.fix();
    match &file.audience {
        Audience::Known { readers, place } => {
            let (come, gone) = difference(&file.sealed, readers);
            let is = |names: &[String]| if names.len() == 1 { "is" } else { "are" };
            let says = |names: &[String], what: &str| {
                let text = format!("{shown}  {} {} {what}", names.join(", "), is(names));
                (!names.is_empty()).then_some(text)
            };
            let unlisted = says(&gone, &format!("not in {place} and can open it"));
            let pending = says(&come, &format!("in {place} and cannot open it yet"));
            report.find(Severity::Error, "E0150", unlisted, &fix);
            report.find(Severity::Warning, "W0151", pending, &fix);
        }
        Audience::Unknown {
            is_suspect: true, ..
        } => {
            let text = format!("{shown}  its readers are those of no environment in keys/");
            report.find(Severity::Warning, "W0152", Some(text), &fix);
        }
        Audience::Rule | Audience::Unknown { .. } => {}
    }
    report
}
