//! What `edit` does with a sealed file that is no document: it is sealed again as SOPS does it.
//!
//! It has no grammar of ours, so everything that can be sealed is right.

use super::summary;
use crate::cli::document::Source;
use crate::cli::error::CommandError;
use crate::cli::{Outcome, Session, git, store};
use crate::clock::{Clock as _, SystemClock};
use crate::secret::Secret;
use crate::sops::{Draft, Opened, SealError};
use crate::tree::{Map, Node};
use crate::trust;

/// `plain` sealed for the same readers. A seal that the file has is renewed.
pub(super) fn seal(source: &Source, opened: &Opened, plain: &Secret) -> Result<Draft, SealError> {
    debug_assert!(!source.is_document(), "documents have a grammar");
    let now = SystemClock.now().wall;
    let draft = opened.reseal(plain, now)?;
    trust::renew(draft, opened.sealed(), now)
}

/// Prints why what was typed cannot be sealed; gives how many faults that are.
pub(super) fn say_fault(session: &Session, source: &Source, error: &SealError) -> usize {
    let line = match error {
        SealError::Read(fault) => {
            let fault = source.read_error(fault);
            format!("{} {}", fault.code(), fault.what())
        }
        error => format!("E0132 {} cannot be sealed: {error}", source.shown),
    };
    session.ui.finding(&line);
    1
}

/// Seals `plain` into the file.
pub(super) fn save(
    session: &Session,
    source: &Source,
    opened: &Opened,
    plain: &Secret,
) -> Result<Outcome, CommandError> {
    let shown = &source.shown;
    let draft = seal(source, opened, plain);
    let draft = draft.map_err(|error| store::write_error(shown, &error.into()))?;
    store::save(session, source, &draft.sealed)?;
    if draft.lost_comments > 0 {
        let what = format!("comments of {shown} are lost where they stand");
        session.ui.warn(&what);
    }
    let again = draft.sealed.clone().open(&draft.key);
    let again = again.map_err(|error| source.open_error(&error))?;
    let summary = summary(values(opened.documents()), values(again.documents()));
    session.ui.done(&format!("{shown}: {summary}"));
    session.ui.next(&git::commit_of([shown.as_str()]));
    Ok(Outcome::Done)
}

/// All values, each by its path.
fn values(documents: &[Map]) -> Vec<(String, Secret)> {
    let mut found = Vec::new();
    let mut left: Vec<(String, &Node)> = Vec::new();
    for (place, document) in documents.iter().enumerate() {
        let entries = document.entries();
        left.extend(entries.map(|entry| (format!("{place}.{}", entry.key), &entry.value)));
    }
    while let Some((path, node)) = left.pop() {
        match node {
            Node::Leaf(leaf) => found.push((path, leaf.text.clone())),
            Node::Map(map) => {
                let entries = map.entries();
                left.extend(entries.map(|entry| (format!("{path}.{}", entry.key), &entry.value)));
            }
            Node::List(list) => {
                let nodes = list.nodes().enumerate();
                left.extend(nodes.map(|(place, node)| (format!("{path}.{place}"), node)));
            }
        }
    }
    found
}
