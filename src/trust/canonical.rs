//! The canonical form of a sealed file: the bytes that the seal authenticates.
//!
//! The line `sealctl-seal-v1`, then name and value of each field, both preceded by their length in
//! decimal and a colon. It covers structure, names, types, clear values, ciphertexts, the rule and the
//! recipients; not comments, the MAC, its date, the version and the wrapped keys, so that a changed list
//! of readers is a change and a data key wrapped anew for the same readers is none.

use crate::secret::Secret;
use crate::sops::Sealed;
use crate::tree::{Kind, Leaf, List, Map, Node};

/// What the seal says about itself; authenticated with the content.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Header<'a> {
    /// The counter.
    pub revision: u64,
    /// Time of sealing, as written.
    pub created: &'a str,
    /// Time of expiry, as written.
    pub expires: Option<&'a str>,
}

/// The canonical form of `sealed` under `header`. A secret only because a file may hold plaintext where
/// it should not.
#[must_use]
pub fn form(sealed: &Sealed, header: &Header<'_>) -> Secret {
    let tree = sealed.tree();
    let app = text_at(tree, "app");
    let namespace = text_at(tree, "namespace");
    let rule = &sealed.metadata().rule;
    let mut recipients: Vec<&str> = sealed.recipients().collect();
    recipients.sort_unstable();
    let fields: [(&str, Vec<u8>); 9] = [
        ("app", app.into()),
        ("environment", text_at(tree, "environment").into()),
        (
            "namespace",
            if namespace.is_empty() { app } else { namespace }.into(),
        ),
        ("revision", header.revision.to_string().into()),
        ("created", header.created.into()),
        ("expires", header.expires.unwrap_or_default().into()),
        ("rule", joined([rule.name(), rule.argument()])),
        ("recipients", joined(recipients)),
        ("tree", map(tree)),
    ];
    let mut form = b"sealctl-seal-v1\n".to_vec();
    for (name, value) in fields {
        push(&mut form, name.as_bytes());
        push(&mut form, &value);
    }
    Secret::new(form)
}

fn text_at<'a>(tree: &'a Map, key: &str) -> &'a str {
    match tree.find(key).map(|entry| &entry.value) {
        Some(Node::Leaf(leaf)) => leaf.text.expose_text().unwrap_or_default(),
        _ => "",
    }
}

fn push(form: &mut Vec<u8>, bytes: &[u8]) {
    form.extend_from_slice(bytes.len().to_string().as_bytes());
    form.push(b':');
    form.extend_from_slice(bytes);
}

fn joined<'a>(parts: impl IntoIterator<Item = &'a str>) -> Vec<u8> {
    let mut form = Vec::new();
    for part in parts {
        push(&mut form, part.as_bytes());
    }
    form
}

fn map(map: &Map) -> Vec<u8> {
    let mut form = Vec::new();
    for entry in map.entries() {
        push(&mut form, entry.key.as_bytes());
        node(&mut form, &entry.value);
    }
    form
}

fn list(list: &List) -> Vec<u8> {
    let mut form = Vec::new();
    for item in list.nodes() {
        node(&mut form, item);
    }
    form
}

/// Kind and content.
fn node(form: &mut Vec<u8>, node: &Node) {
    match node {
        Node::Map(inner) => {
            push(form, b"map");
            push(form, &map(inner));
        }
        Node::List(inner) => {
            push(form, b"list");
            push(form, &list(inner));
        }
        Node::Leaf(leaf) => {
            push(form, kind(leaf).as_bytes());
            push(form, leaf.text.expose());
        }
    }
}

fn kind(leaf: &Leaf) -> &'static str {
    if leaf.sealed {
        return "ciphertext";
    }
    match leaf.kind {
        Kind::Null => "null",
        Kind::Bool => "bool",
        Kind::Int => "int",
        Kind::Float => "float",
        Kind::Time => "time",
        Kind::Text => "text",
    }
}
