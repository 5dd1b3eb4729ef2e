//! `lint`: the structure of documents, in the working tree or as git is about to commit them.

use std::path::PathBuf;

use clap::Args;

use crate::cli::args::OutputFormat;
use crate::cli::error::{CommandError, Exit};
use crate::cli::project::{DocumentRef, Project};
use crate::cli::readers::RECOVERY;
use crate::cli::report::{self, Report};
use crate::cli::{Outcome, Session, git, inspect, merge, readers, rules};
use crate::env::Severity;
use crate::file::Scratch;

/// Label of the folder that what is staged is laid out in.
const LABEL: &str = "index";

/// Look at the structure of documents, without needing a key
///
/// Everything that must be sealed is, the readers are those of keys/, the names fit the place, nothing is left
/// of a conflict, and keys/ holds no private key. Where one of your identities opens a document without asking,
/// its MAC and its seal are checked, too, so that a change by hand is found before it is committed.
#[derive(Debug, Args)]
#[command(
    before_help = "Examples:\n  sealctl lint\n  sealctl lint --staged\n  sealctl lint envs/prod/web.yaml"
)]
pub(crate) struct LintArgs {
    /// Documents (default: all of the project)
    files: Vec<PathBuf>,
    /// What git is about to commit, not what lies in the working tree
    #[arg(long)]
    staged: bool,
}

/// `lint`.
pub(crate) fn run(session: &mut Session, args: &LintArgs) -> Result<Outcome, CommandError> {
    let project = Project::find(&session.globals)?;
    let chosen = args
        .files
        .iter()
        .map(|path| document_at(&project, path))
        .collect::<Result<Vec<_>, _>>()?;
    let reports = match args.staged {
        true => staged(session, &project, &chosen)?,
        false => all(session, &project, &chosen),
    };
    tell(session, &reports);
    Ok(match report::is_bad(&reports, false) {
        true => Outcome::No,
        false => Outcome::Done,
    })
}

fn document_at(project: &Project, path: &std::path::Path) -> Result<DocumentRef, CommandError> {
    project.document_at(path).ok_or_else(|| {
        CommandError::usage(format!("{} is no document of the project", path.display()))
            .why("documents are envs/<env>/<app>.yaml")
    })
}

/// Prints `reports` as the options want them.
pub(crate) fn tell(session: &mut Session, reports: &[Report]) {
    if session.globals.output == Some(OutputFormat::Json) {
        let text = report::json("LintReport", reports).to_string();
        session.ui.report(&text);
    } else {
        report::print(session, reports);
    }
}

/// The documents `chosen`, or all, as they lie in the working tree.
fn all(session: &Session, project: &Project, chosen: &[DocumentRef]) -> Vec<Report> {
    if !chosen.is_empty() {
        return structure(session, project, chosen.to_vec());
    }
    let mut reports = structure(session, project, project.documents());
    let environments = project.environments();
    let unsafe_ones = environments.iter().filter_map(|one| recovery(project, one));
    reports.extend(unsafe_ones);
    reports
}

/// The documents `chosen`, or all that are about to be committed, as the index has them; with those of
/// an environment whose readers are about to change.
///
/// # Errors
///
/// Outside a repository, and when the index cannot be laid out.
pub(crate) fn staged(
    session: &Session,
    project: &Project,
    chosen: &[DocumentRef],
) -> Result<Vec<Report>, CommandError> {
    let no_index = || {
        CommandError::new("E0516", Exit::Project, "there is nothing staged to look at")
            .why("the project lies in no git repository")
            .fix("git init")
    };
    let top = git::top(std::path::Path::new(".")).ok_or_else(no_index)?;
    let changed = git::staged(project.root()).ok_or_else(no_index)?;
    let inside = project.root().strip_prefix(&top).unwrap_or(project.root());
    let changed: Vec<PathBuf> = changed
        .iter()
        .filter_map(|path| Some(path.strip_prefix(inside).ok()?.to_owned()))
        .collect();
    if !changed.iter().any(|path| is_ours(path)) && chosen.is_empty() {
        return Ok(Vec::new());
    }
    let places = session.environ.scratch_places();
    places.sweep(LABEL);
    let scratch: Scratch = places.create(LABEL)?;
    let paths = ["envs", "keys", rules::NAME].map(|name| project.root().join(name));
    git::check_out_index(&paths, scratch.path()).ok_or_else(no_index)?;
    let Some(copy) = Project::at(&scratch.path().join(inside)) else {
        return Ok(Vec::new());
    };
    let is_changed = |document: &DocumentRef| {
        let keys = format!("keys/{}/", document.environment);
        let mut changed = changed.iter().map(|path| path.to_string_lossy());
        changed.any(|path| path == document.to_string() || path.starts_with(&keys))
    };
    let chosen: Vec<DocumentRef> = match chosen {
        [] => copy.documents().into_iter().filter(is_changed).collect(),
        chosen => chosen.to_vec(),
    };
    let mut reports = structure(session, &copy, chosen);
    let here = crate::file::canonical(std::path::Path::new("."))?;
    for report in &mut reports {
        // A hook runs above the project.
        let path = project.root().join(&report.shown);
        let path = path
            .strip_prefix(&here)
            .map(|path| path.display().to_string());
        let path = path.unwrap_or_else(|_| report.shown.clone());
        for line in &mut report.lines {
            let fix = line.fix.take();
            line.fix = fix.map(|fix| add_after(&fix, &report.shown, &path));
        }
    }
    Ok(reports)
}

/// A command that mends the file `shown`, which lies at `path`, and stages what it wrote.
fn add_after(fix: &str, shown: &str, path: &str) -> String {
    let command = fix.split("   ").next().unwrap_or(fix);
    let path = git::quoted(path);
    match command.starts_with("sealctl ") && command.contains(shown) {
        true => format!("{} && git add {path}", command.replace(shown, &path)),
        false => fix.to_owned(),
    }
}

fn is_ours(path: &std::path::Path) -> bool {
    path.starts_with("envs")
        || path.starts_with("keys")
        || path == std::path::Path::new(rules::NAME)
}

/// What is wrong with `documents`, and with the generated rules.
fn structure(session: &Session, project: &Project, documents: Vec<DocumentRef>) -> Vec<Report> {
    let mut reports: Vec<Report> = documents
        .into_iter()
        .map(|document| {
            conflict(project, &document)
                .unwrap_or_else(|| inspect::document(session, project, document))
        })
        .collect();
    reports.extend(inspect::rules(project));
    reports
}

/// What is said of a document in which git has left both sides of a conflict.
fn conflict(project: &Project, document: &DocumentRef) -> Option<Report> {
    let text = crate::file::read(&project.path(document), crate::cli::document::LONGEST).ok()?;
    let mut lines = text.expose().split(|byte| *byte == b'\n');
    let line = lines.position(|line| line.starts_with(merge::BEGIN.as_bytes()))? + 1;
    let shown = document.to_string();
    let mut report = Report::new(shown.clone());
    report.document = Some(document.clone());
    let text = format!("{shown}:{line}  both sides of a conflict stand in the document");
    let fix = format!("sealctl edit {shown}");
    report.find(Severity::Error, "E0297", Some(text), &fix);
    Some(report)
}

/// What is said of an environment that nobody can open when everybody's key is lost.
fn recovery(project: &Project, environment: &crate::name::EnvName) -> Option<Report> {
    let listed = readers::of(project, environment).ok()?;
    let is_offline =
        |one: &readers::Reader| one.name.as_str() == RECOVERY || one.note.kind == "offline";
    if listed.iter().any(is_offline) {
        return None;
    }
    let shown = format!("keys/{environment}/");
    let mut report = Report::new(shown.clone());
    let text = format!("{shown}  no recovery key: who loses every listed key loses the values");
    let fix = format!(
        "put the public half of a key that lies offline into {shown}{RECOVERY}.pub, then sealctl rekey -e {environment}"
    );
    report.find(Severity::Warning, "W0153", Some(text), &fix);
    Some(report)
}
