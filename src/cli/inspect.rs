//! What is wrong with one document: its structure without a key, its values, MAC and seal with one.

use crate::cli::document::Source;
use crate::cli::error::CommandError;
use crate::cli::keys::Known;
use crate::cli::project::{DocumentRef, Project};
use crate::cli::report::Report;
use crate::cli::{Session, readers, rules, store};
use crate::crypto::DataKey;
use crate::env::{Form, Severity, check, outline};
use crate::sops::Sealed;
use crate::tree::{Map, Node};
use crate::trust::{self, Verdict};

/// Everything that is wrong with one document, and with the readers of its environment.
pub(crate) fn document(session: &Session, project: &Project, document: DocumentRef) -> Report {
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

/// Whether the generated rules of `.sops.yaml` are those of `keys/`; nothing when they are.
pub(crate) fn rules(project: &Project) -> Option<Report> {
    // A file that cannot be read is reported by who needs it.
    let _stale = rules::Stale::find(project).ok()??;
    let mut report = Report::new(rules::NAME.to_owned());
    let text = format!(
        "{}  its generated rules are not those of keys/",
        rules::NAME
    );
    report.find(Severity::Warning, "W0515", Some(text), "sealctl rekey");
    Some(report)
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

fn names(tree: &Map) -> Vec<String> {
    let mut names = Vec::new();
    for section in ["config", "secrets", "derived"] {
        if let Some(Node::Map(map)) = tree.find(section).map(|entry| &entry.value) {
            names.extend(map.entries().map(|entry| entry.key.clone()));
        }
    }
    names
}
