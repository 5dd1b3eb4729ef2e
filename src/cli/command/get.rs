//! `get`: one raw value for scripts.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use clap::Args;

use crate::cli::document::{OpenedDocument, Source};
use crate::cli::error::{CommandError, Exit};
use crate::cli::{Outcome, Session};
use crate::env::{Delivery, Origin, did_you_mean};
use crate::secret::Secret;
use crate::tree::{Map, Node};

/// Print one value
///
/// KEY is a name, derived ones included, or a path such as superuser.password. A key that is absent
/// prints nothing and exits with 1.
#[derive(Debug, Args)]
#[command(
    before_help = "Examples:\n  sealctl get API_KEY\n  PGPASSWORD=\"$(sealctl get DB_PASSWORD -e dev)\" psql"
)]
pub(crate) struct GetArgs {
    /// Name or path
    key: String,
    /// Encode what is printed
    #[arg(long, value_name = "ENCODING")]
    encode: Option<Encoding>,
}

/// How a value is printed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Encoding {
    /// Standard alphabet, padded.
    Base64,
}

/// `get`.
pub(crate) fn run(session: &mut Session, args: &GetArgs) -> Result<Outcome, CommandError> {
    let source = Source::find(session, None)?;
    let document = source.open(session)?;
    let value = match typed(document.opened.tree(), &args.key) {
        Some(value) => value,
        None => derived(&source, &document, &args.key)?,
    };
    match args.encode {
        Some(Encoding::Base64) => session.ui.data(STANDARD.encode(value.expose()).as_bytes()),
        None => session.ui.data(value.expose()),
    }
    if session.ui.stdout_is_terminal() {
        session.ui.data(b"\n");
    }
    Ok(Outcome::Done)
}

/// The value that was typed under the name or path `key`.
fn typed(tree: &Map, key: &str) -> Option<Secret> {
    let by_name = ["secrets", "config"].iter().find_map(|section| {
        let Node::Map(map) = &tree.find(section)?.value else {
            return None;
        };
        leaf(&map.find(key)?.value)
    });
    by_name.or_else(|| by_path(tree, key))
}

/// The leaf at `a.b.c`. A key may hold dots itself, so every way to cut the path is tried.
fn by_path(tree: &Map, path: &str) -> Option<Secret> {
    tree.entries().find_map(|entry| {
        let rest = path.strip_prefix(entry.key.as_str())?;
        match (&entry.value, rest.strip_prefix('.')) {
            (value, None) if rest.is_empty() => leaf(value),
            (Node::Map(inner), Some(rest)) => by_path(inner, rest),
            _ => None,
        }
    })
}

fn leaf(node: &Node) -> Option<Secret> {
    match node {
        Node::Leaf(leaf) => Some(leaf.text.clone()),
        Node::Map(_) | Node::List(_) => None,
    }
}

fn derived(source: &Source, document: &OpenedDocument, key: &str) -> Result<Secret, CommandError> {
    let delivery = source.deliver(document)?;
    let found = delivery
        .values
        .iter()
        .find(|(name, _)| name.as_str() == key);
    match found {
        Some((_, value)) if value.origin == Origin::Derived => Ok(value.text.clone()),
        _ => Err(not_set(key, &delivery, &source.shown)),
    }
}

/// The error for a key that a document does not have.
pub(crate) fn not_set(key: &str, delivery: &Delivery, shown: &str) -> CommandError {
    let error = CommandError::new(
        "E0204",
        Exit::Failure,
        format!("{key} is not set in {shown}"),
    );
    let error = match did_you_mean(key, delivery.values.keys().map(|name| name.as_str())) {
        Some(hint) => error.why(hint),
        None => error,
    };
    error.fix(format!("sealctl set {key} -e {}", delivery.environment))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::format::yaml;

    #[test]
    fn names_win_over_paths_and_keys_may_hold_dots() {
        let tree =
            yaml::parse("config:\n  a.b: one\nsecrets:\n  T: two\nsuperuser:\n  password: three\n")
                .unwrap();
        let found = |key| typed(&tree, key).map(|value| value.expose_text().unwrap().to_owned());
        assert_eq!(found("a.b").as_deref(), Some("one"));
        assert_eq!(found("config.a.b").as_deref(), Some("one"));
        assert_eq!(found("T").as_deref(), Some("two"));
        assert_eq!(found("superuser.password").as_deref(), Some("three"));
        assert_eq!(found("superuser"), None);
        assert_eq!(found("nothing"), None);
    }
}
