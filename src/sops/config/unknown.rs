//! Keys of a configuration that nobody reads. SOPS passes over them, so a slip of the pen changes who can open a
//! file, or what of it is encrypted, without a word.

use super::at;
use crate::format::{self, Format};
use crate::secret::Secret;
use crate::sops::rule::Rule;
use crate::tree::{Map, Node};

/// A key that is none of a configuration.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UnknownKey {
    /// Its line.
    pub line: u32,
    /// The key.
    pub key: String,
    /// Those that there are in its place.
    pub known: Vec<&'static str>,
}

const TOP: &[&str] = &["creation_rules", "destination_rules", "stores"];
/// Of a creation rule, beside the names of the selection rules.
const RULE: &[&str] = &[
    "path_regex",
    "age",
    "pgp",
    "kms",
    "aws_profile",
    "gcp_kms",
    "hckms",
    "azure_keyvault",
    "hc_vault_transit_uri",
    "key_groups",
    "shamir_threshold",
    "mac_only_encrypted",
];

/// The keys of the configuration `text` and of its creation rules that SOPS does not know, in order. Keys that
/// begin with `x-` or a dot, where people keep anchors, are none of its business.
#[must_use]
pub fn unknown_keys(text: &str) -> Vec<UnknownKey> {
    let mut found = Vec::new();
    let Ok(documents) = format::parse(Format::Yaml, &Secret::from_text(text)) else {
        return found;
    };
    let Some(tree) = documents.first() else {
        return found;
    };
    look(tree, TOP, &mut found);
    if let Some(Node::List(rules)) = at(tree, "creation_rules") {
        let known = [RULE, &Rule::NAMES].concat();
        for rule in rules.nodes() {
            if let Node::Map(rule) = rule {
                look(rule, &known, &mut found);
            }
        }
    }
    found
}

fn look(map: &Map, known: &[&'static str], found: &mut Vec<UnknownKey>) {
    let is_own = |key: &str| key.starts_with("x-") || key.starts_with('.');
    let entries = map.entries();
    let unknown = entries.filter(|one| !known.contains(&one.key.as_str()) && !is_own(&one.key));
    found.extend(unknown.map(|entry| UnknownKey {
        line: entry.position.line,
        key: entry.key.clone(),
        known: known.to_vec(),
    }));
}
