//! What was found wrong with files, as lines on a terminal and as JSON.

use crate::cli::error::CommandError;
use crate::cli::project::DocumentRef;
use crate::cli::ui::style;
use crate::cli::{Session, findings};
use crate::env::{Finding, Severity};
use crate::vocabulary::CLI_API_VERSION;

/// What one file gave.
pub(crate) struct Report {
    /// How messages call it.
    pub(crate) shown: String,
    /// `None` for a file that is no document.
    pub(crate) document: Option<DocumentRef>,
    /// What was found.
    pub(crate) lines: Vec<Line>,
    /// Names in `config`, `secrets` and `derived`.
    pub(crate) names: Vec<String>,
    /// Whether its values could be looked at.
    pub(crate) was_opened: bool,
}

/// One finding.
pub(crate) struct Line {
    /// Whether it is wrong, or only noteworthy.
    pub(crate) severity: Severity,
    /// The stable number.
    pub(crate) code: &'static str,
    /// The line, with the number.
    pub(crate) text: String,
    /// What mends it.
    pub(crate) fix: Option<String>,
}

impl Report {
    pub(crate) fn new(shown: String) -> Self {
        Self {
            shown,
            document: None,
            lines: Vec::new(),
            names: Vec::new(),
            was_opened: false,
        }
    }

    pub(crate) fn add(&mut self, shown: &str, found: &[Finding]) {
        self.lines.extend(found.iter().map(|finding| Line {
            severity: finding.severity,
            code: finding.code,
            text: findings::line(shown, finding),
            fix: finding.hint.clone().or_else(|| mended_by(finding, shown)),
        }));
    }

    /// Adds `text`, if there is one.
    pub(crate) fn find(
        &mut self,
        severity: Severity,
        code: &'static str,
        text: Option<String>,
        fix: &str,
    ) {
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

    pub(crate) fn stop(&mut self, error: &CommandError) {
        let fix = error.lines().into_iter().find(|(label, _)| *label == "fix");
        self.lines.push(Line {
            severity: Severity::Error,
            code: error.code(),
            text: format!("{} {}", error.code(), error.what()),
            fix: fix.map(|(_, text)| text),
        });
    }
}

/// What mends a finding that carries no hint of its own.
fn mended_by(finding: &Finding, shown: &str) -> Option<String> {
    (finding.code == "E0140").then(|| format!("sealctl encrypt {shown}"))
}

/// Whether one of `reports` makes the answer a "no": an error, or when it is `strict`, a warning.
pub(crate) fn is_bad(reports: &[Report], strict: bool) -> bool {
    let mut lines = reports.iter().flat_map(|report| &report.lines);
    lines.any(|line| line.severity == Severity::Error || strict)
}

/// Prints what was found, file by file, and how much.
pub(crate) fn print(session: &mut Session, reports: &[Report]) {
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
pub(crate) fn counted(count: usize, what: &str) -> String {
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

/// As a JSON object of `kind`.
pub(crate) fn json(kind: &str, reports: &[Report]) -> serde_json::Value {
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
        "apiVersion": CLI_API_VERSION, "kind": kind,
        "documents": documents.collect::<Vec<_>>(), "files": files.collect::<Vec<_>>(),
    })
}
