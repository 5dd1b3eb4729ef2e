//! `check`: names and values of documents, and the readers of every sealed file.

mod others;

use std::collections::BTreeMap;

use clap::Args;

use crate::cli::args::OutputFormat;
use crate::cli::document::Source;
use crate::cli::error::CommandError;
use crate::cli::keys::Known;
use crate::cli::project::{DocumentRef, Project};
use crate::cli::ui::style;
use crate::cli::{Outcome, Session, findings, readers, store};
use crate::crypto::DataKey;
use crate::env::{Finding, Form, Severity, check, outline};
use crate::sops::Sealed;
use crate::tree::{Map, Node};
use crate::trust::{self, Verdict};
use crate::vocabulary::CLI_API_VERSION;

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

/// What one file gave.
struct Report {
    /// How messages call it.
    shown: String,
    /// `None` for a file that is no document.
    document: Option<DocumentRef>,
    lines: Vec<Line>,
    /// Names in `config`, `secrets` and `derived`.
    names: Vec<String>,
    /// Whether its values could be looked at.
    was_opened: bool,
}

struct Line {
    severity: Severity,
    code: &'static str,
    text: String,
    fix: Option<String>,
}

/// `check`.
pub(crate) fn run(session: &mut Session, args: &CheckArgs) -> Result<Outcome, CommandError> {
    let project = Project::find(&session.globals)?;
    let documents = documents(session, &project, args.all_envs)?;
    let mut reports: Vec<Report> = documents
        .into_iter()
        .map(|document| examine(session, &project, document))
        .collect();
    if args.all_envs {
        compare(&mut reports);
    }
    if session.globals.app.is_none() {
        reports.extend(others::examine(session, &project, args.all_envs)?);
    }
    if session.globals.output == Some(OutputFormat::Json) {
        session.ui.report(&json(&reports).to_string());
    } else {
        print(session, &reports);
    }
    let bad = reports.iter().flat_map(|report| &report.lines).any(|line| {
        line.severity == Severity::Error || (args.strict && line.severity == Severity::Warning)
    });
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

/// Everything that is wrong with one document, and with the readers of its environment.
fn examine(session: &Session, project: &Project, document: DocumentRef) -> Report {
    let mut report = Report::new(document.to_string());
    if let Err(error) = readers::of(project, &document.environment) {
        report.stop(&error);
    }
    let source = Source::of(project, &document);
    report.document = Some(document);
    let source = match source {
        Ok(source) => source,
        Err(error) => {
            report.stop(&error);
            return report;
        }
    };
    if let Err(error) = contents(session, &source, &mut report) {
        report.stop(&error);
    }
    report
}

fn contents(session: &Session, source: &Source, report: &mut Report) -> Result<(), CommandError> {
    if !source.looks_sealed() {
        let tree = store::parse_plain(&source.shown, &source.text)?;
        report.names = names(&tree);
        report.was_opened = true;
        report.stop(&source.read_error(&crate::sops::ReadError::NotSealed));
        report.add(
            &source.shown,
            &check(&tree, Form::Typed, &source.place()).findings,
        );
        return Ok(());
    }
    let sealed = source.parse()?;
    report.names = names(sealed.tree());
    if let Some(found) = readers::difference(source, &sealed) {
        report.find(Severity::Error, "E0150", found.unlisted, &found.fix);
        report.find(Severity::Warning, "W0151", found.pending, &found.fix);
    }
    let recipients: Vec<String> = sealed.recipients().map(ToOwned::to_owned).collect();
    let known = Known::collect(session, &recipients);
    let Ok(key) = sealed.data_key(&known.identities) else {
        report.add(
            &source.shown,
            &outline(sealed.tree(), &source.place()).findings,
        );
        return Ok(());
    };
    report.was_opened = true;
    let outlined = outline(sealed.tree(), &source.place()).findings;
    match sealed.open(&key) {
        Ok(opened) => {
            let checked = check(opened.tree(), Form::Opened, &source.place());
            report.add(&source.shown, &checked.findings);
            seal(source, opened.sealed(), &key, report);
        }
        Err(error) => {
            report.add(&source.shown, &outlined);
            let error = source.open_error(&error);
            if !report.lines.iter().any(|line| line.code == error.code()) {
                report.stop(&error);
            }
        }
    }
    Ok(())
}

/// What the seal is worth. Stock SOPS drops it when it writes; nothing else than a change makes it wrong.
fn seal(source: &Source, sealed: &Sealed, key: &DataKey, report: &mut Report) {
    let shown = &source.shown;
    let (severity, code, text) = match trust::verify(sealed, key) {
        Verdict::Valid { .. } => return,
        Verdict::Missing => (
            Severity::Warning,
            "W0150",
            format!("{shown}  the seal is missing; another program wrote the file last"),
        ),
        Verdict::Invalid => (
            Severity::Error,
            "E0150",
            format!("{shown}  the seal does not fit: readers, order or sops block were changed"),
        ),
    };
    let fix = format!("sealctl encrypt {shown}");
    report.find(severity, code, Some(text), &fix);
}

impl Report {
    fn new(shown: String) -> Self {
        Self {
            shown,
            document: None,
            lines: Vec::new(),
            names: Vec::new(),
            was_opened: false,
        }
    }

    fn add(&mut self, shown: &str, found: &[Finding]) {
        self.lines.extend(found.iter().map(|finding| Line {
            severity: finding.severity,
            code: finding.code,
            text: findings::line(shown, finding),
            fix: finding.hint.clone(),
        }));
    }

    /// Adds `text`, if there is one.
    fn find(&mut self, severity: Severity, code: &'static str, text: Option<String>, fix: &str) {
        self.lines.extend(text.map(|text| Line {
            severity,
            code,
            text: format!("{code} {text}"),
            fix: Some(fix.to_owned()),
        }));
    }

    /// What is said of it when nothing is wrong.
    fn summary(&self) -> String {
        if self.document.is_none() {
            return "its readers are right".to_owned();
        }
        let unchecked = match self.was_opened {
            true => "",
            false => ", values unchecked",
        };
        format!("{}{unchecked}", counted(self.names.len(), "key"))
    }

    fn stop(&mut self, error: &CommandError) {
        let fix = error.lines().into_iter().find(|(label, _)| *label == "fix");
        self.lines.push(Line {
            severity: Severity::Error,
            code: error.code(),
            text: format!("{} {}", error.code(), error.what()),
            fix: fix.map(|(_, text)| text),
        });
    }
}

fn names(tree: &Map) -> Vec<String> {
    let mut names = Vec::new();
    for section in ["config", "secrets", "derived"] {
        if let Some(Node::Map(map)) = tree.find(section).map(|entry| &entry.value) {
            names.extend(map.entries().map(|entry| entry.key.clone()));
        }
    }
    names
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

fn print(session: &mut Session, reports: &[Report]) {
    let symbols = session.ui.symbols();
    for report in reports {
        if report.lines.is_empty() {
            let good = style::good(symbols.yes);
            let (shown, what) = (&report.shown, report.summary());
            session.ui.report(&format!("{good} {shown}  {what}"));
        }
        for line in &report.lines {
            let sign = match line.severity {
                Severity::Error => style::bad(symbols.no),
                Severity::Warning => style::notice(symbols.warning),
            };
            session.ui.report(&format!("{sign} {}", line.text));
            if let Some(fix) = &line.fix {
                session.ui.report(&format!("  fix   {fix}"));
            }
        }
    }
    let (errors, warnings) = counts(reports);
    let (errors, warnings) = (counted(errors, "error"), counted(warnings, "warning"));
    let documents = reports.iter().filter(|one| one.document.is_some()).count();
    let others = match reports.len() - documents {
        0 => String::new(),
        count => format!(" and {}", counted(count, "other file")),
    };
    let documents = counted(documents, "document");
    session
        .ui
        .status(&format!("{warnings}, {errors} in {documents}{others}"));
}

/// `1 file`, `2 files`.
fn counted(count: usize, what: &str) -> String {
    match count {
        1 => format!("1 {what}"),
        count => format!("{count} {what}s"),
    }
}

fn counts(reports: &[Report]) -> (usize, usize) {
    let lines = || reports.iter().flat_map(|report| &report.lines);
    let of = |wanted| lines().filter(|line| line.severity == wanted).count();
    (of(Severity::Error), of(Severity::Warning))
}

fn json(reports: &[Report]) -> serde_json::Value {
    let severity = |line: &Line| match line.severity {
        Severity::Error => "error",
        Severity::Warning => "warning",
    };
    let line = |line: &Line| {
        serde_json::json!({
            "severity": severity(line), "code": line.code, "text": line.text, "fix": line.fix,
        })
    };
    let findings = |report: &Report| report.lines.iter().map(line).collect::<Vec<_>>();
    let (documents, files): (Vec<&Report>, Vec<&Report>) =
        reports.iter().partition(|report| report.document.is_some());
    let documents = documents.into_iter().map(|report| {
        serde_json::json!({
            "path": report.shown,
            "keys": report.names.len(),
            "valuesChecked": report.was_opened,
            "findings": findings(report),
        })
    });
    let files = files
        .into_iter()
        .map(|report| serde_json::json!({ "path": report.shown, "findings": findings(report) }));
    serde_json::json!({
        "apiVersion": CLI_API_VERSION, "kind": "CheckReport",
        "documents": documents.collect::<Vec<_>>(), "files": files.collect::<Vec<_>>(),
    })
}
