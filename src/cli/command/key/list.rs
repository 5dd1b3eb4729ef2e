//! `key list`: who may read what, by name.

use clap::Args;

use crate::cli::args::OutputFormat;
use crate::cli::document::Source;
use crate::cli::error::CommandError;
use crate::cli::project::{DocumentRef, Project};
use crate::cli::readers::{self, Reader};
use crate::cli::{Outcome, Session};
use crate::name::EnvName;
use crate::vocabulary::CLI_API_VERSION;

/// Show who may read what, by name
///
/// Without -e of all environments. A key that is listed and opens nothing yet is pending: sealctl key approve.
#[derive(Debug, Args)]
#[command(before_help = "Examples:\n  sealctl key list\n  sealctl key list -e prod -o json")]
pub(crate) struct ListArgs {}

/// One environment.
struct Listed {
    environment: EnvName,
    rows: Vec<Row>,
    documents: usize,
}

struct Row {
    reader: Reader,
    /// How many documents name it as a reader.
    opens: usize,
}

/// `key list`.
pub(crate) fn run(session: &mut Session, _: &ListArgs) -> Result<Outcome, CommandError> {
    let project = Project::find(&session.globals)?;
    let environments = project.typed_or_all(session)?;
    let listed = environments
        .into_iter()
        .map(|environment| list(session, &project, environment))
        .collect::<Result<Vec<Listed>, CommandError>>()?;
    if session.globals.output == Some(OutputFormat::Json) {
        session.ui.report(&json(&listed).to_string());
    } else {
        print(session, &listed);
    }
    Ok(Outcome::Done)
}

fn list(
    session: &Session,
    project: &Project,
    environment: EnvName,
) -> Result<Listed, CommandError> {
    let readers = readers::of(project, &environment)?;
    let documents: Vec<DocumentRef> = project
        .apps(&environment)
        .into_iter()
        .map(|app| DocumentRef {
            environment: environment.clone(),
            app,
        })
        .collect();
    let mut opens = vec![0; readers.len()];
    for document in &documents {
        let sealed = match Source::of(project, document).and_then(|source| source.parse()) {
            Ok(sealed) => sealed,
            Err(error) => {
                session.ui.warn(error.what());
                continue;
            }
        };
        for (reader, count) in readers.iter().zip(&mut opens) {
            let key = reader.recipient.as_str();
            *count += usize::from(sealed.recipients().any(|one| one == key));
        }
    }
    let rows = readers.into_iter().zip(opens);
    Ok(Listed {
        environment,
        rows: rows.map(|(reader, opens)| Row { reader, opens }).collect(),
        documents: documents.len(),
    })
}

fn print(session: &mut Session, listed: &[Listed]) {
    const HEAD: [&str; 5] = ["NAME", "KIND", "KEY", "SINCE", "OPENS"];
    let several = listed.len() > 1;
    for (place, one) in listed.iter().enumerate() {
        if several {
            let gap = if place > 0 { "\n" } else { "" };
            session.ui.report(&format!("{gap}{}", one.environment));
        }
        let rows: Vec<[String; 5]> = one
            .rows
            .iter()
            .map(|row| cells(row, one.documents))
            .collect();
        let head = HEAD.map(ToOwned::to_owned);
        let all = || std::iter::once(&head).chain(&rows);
        let widths: [usize; 5] = std::array::from_fn(|column| {
            let cells = all().map(|row| row[column].chars().count());
            cells.max().unwrap_or(0)
        });
        for row in all() {
            let cells = row.iter().zip(widths);
            let line: Vec<String> = cells
                .map(|(cell, width)| format!("{cell:<width$}"))
                .collect();
            session.ui.report(line.join("  ").trim_end());
        }
    }
}

fn cells(row: &Row, documents: usize) -> [String; 5] {
    let Reader {
        name,
        recipient,
        note,
    } = &row.reader;
    let pending = if row.opens == 0 && documents > 0 {
        ", pending"
    } else {
        ""
    };
    [
        name.to_string(),
        note.kind.clone(),
        recipient.short(),
        note.since.clone(),
        format!("{} of {documents}{pending}", row.opens),
    ]
}

fn json(listed: &[Listed]) -> serde_json::Value {
    let environments = listed.iter().map(|one| {
        let readers = one.rows.iter().map(|row| {
            let Reader {
                name,
                recipient,
                note,
            } = &row.reader;
            serde_json::json!({
                "name": name.as_str(), "kind": note.kind, "contact": note.contact,
                "recipient": recipient.as_str(), "since": note.since, "opens": row.opens,
            })
        });
        serde_json::json!({
            "name": one.environment.as_str(), "documents": one.documents,
            "readers": readers.collect::<Vec<_>>(),
        })
    });
    serde_json::json!({
        "apiVersion": CLI_API_VERSION, "kind": "KeyList",
        "environments": environments.collect::<Vec<_>>(),
    })
}
