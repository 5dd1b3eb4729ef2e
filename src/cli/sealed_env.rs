//! A sealed document as the object that a cluster sees. Nothing is opened for it.

use serde_json::{Value, json};

use crate::cli::document::Source;
use crate::cli::error::{CommandError, Exit};
use crate::cli::git;
use crate::env::{Header, without_values};
use crate::resolve::outline_of;
use crate::vocabulary::{API_GROUP, API_VERSION, COMMIT, KIND, LABEL_ENV};

/// A document that can be handed to a cluster.
pub(crate) struct Ready {
    /// Which one it is.
    pub(crate) header: Header,
    /// The SealedEnv.
    pub(crate) object: Value,
}

/// Checks what can be checked without a key, and makes the object.
///
/// # Errors
///
/// When the document is not sealed throughout, breaks the grammar, or holds no values.
pub(crate) fn prepare(source: &Source) -> Result<Ready, CommandError> {
    let sealed = source.parse()?;
    let outline = outline_of(&sealed, &source.place());
    let mut findings = outline.findings.clone();
    findings.extend(without_values(sealed.tree()));
    let broken = findings
        .iter()
        .any(|one| one.severity == crate::env::Severity::Error);
    let header = match (&outline.header, broken) {
        (Some(header), false) => header.clone(),
        _ => return Err(source.refused(&findings)),
    };
    let mut metadata = json!({
        "name": header.app.as_str(),
        "namespace": header.namespace.as_str(),
        "labels": { LABEL_ENV: header.environment.as_str() },
    });
    if let Some(commit) = commit(source) {
        metadata["annotations"] = json!({ COMMIT: commit });
    }
    let Some(text) = source.text.expose_text() else {
        return Err(CommandError::new(
            "E0292",
            Exit::Failure,
            "the document is not UTF-8 text",
        ));
    };
    let object = json!({
        "apiVersion": format!("{API_GROUP}/{API_VERSION}"),
        "kind": KIND,
        "metadata": metadata,
        "spec": { "environment": header.environment.as_str(), "document": text },
    });
    Ok(Ready { header, object })
}

/// The last commit that changed the file, if the file is as it was committed.
fn commit(source: &Source) -> Option<String> {
    let (project, document) = source.home.as_ref()?;
    let path = document.to_string();
    let commit = git::commits_of(project.root(), path.as_ref(), 1)
        .into_iter()
        .next()?;
    let committed = git::file_at(project.root(), &commit, path.as_ref())?;
    (committed == source.text).then_some(commit)
}
