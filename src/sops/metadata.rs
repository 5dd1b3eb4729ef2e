//! The `sops` block of a file, read leniently: any order, numbers and booleans also as text, unknown
//! fields and the entries of other key services left where they are.

use super::open::ReadError;
use super::rule::{InvalidRule, Rule};
use crate::crypto::mac::Coverage;
use crate::format::scalar;
use crate::tree::{Entry, Kind, Leaf, List, Map, Node, Position, Style};

/// What stands in the `sops` block, as far as it is understood.
#[derive(Debug, Clone)]
pub struct Metadata {
    /// The wrapped data keys of age recipients.
    pub age: Vec<WrappedKey>,
    /// Names of other key services that have an entry (`pgp`, `kms`, …).
    pub foreign: Vec<&'static str>,
    /// Whether the data key is split among several groups of keys.
    pub split: bool,
    /// What is encrypted.
    pub rule: Rule,
    /// What the MAC covers.
    pub coverage: Coverage,
    /// The date of the last change, as it is authenticated.
    pub last_modified: String,
    /// Version of SOPS whose layout the file has.
    pub version: String,
    /// The encrypted MAC; `None` when there is none.
    pub(super) mac: Option<String>,
    /// The field `sealctl`, when there is one.
    pub(super) seal: Option<Node>,
}

/// A data key wrapped for one recipient.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WrappedKey {
    /// The recipient as the file names it; not authenticated by SOPS, and empty when missing.
    pub recipient: String,
    /// The armored age file.
    pub(super) armored: String,
}

/// Key services other than age.
const FOREIGN: [&str; 6] = ["pgp", "kms", "gcp_kms", "azure_kv", "hc_vault", "hckms"];

impl Metadata {
    /// Reads the entry `sops` of a file.
    pub(super) fn read(entry: &Entry) -> Result<Self, ReadError> {
        let Node::Map(map) = &entry.value else {
            return Err(ReadError::MetadataNotAMap {
                position: entry.position,
            });
        };
        let groups = list(map, "key_groups").map_or(0, |groups| groups.nodes().count());
        let mut keys = Keys::of(map)?;
        if keys.is_empty()
            && groups == 1
            && let Some(Node::Map(group)) =
                list(map, "key_groups").and_then(|groups| groups.nodes().next())
        {
            keys = Keys::of(group)?;
        }
        let split = keys.is_empty() && groups > 1;
        if keys.is_empty() && !split {
            return Err(ReadError::NoRecipients {
                position: entry.position,
            });
        }
        threshold(map)?;
        Ok(Self {
            age: keys.age,
            foreign: keys.foreign,
            split,
            rule: rule(map)?,
            coverage: coverage(map)?,
            last_modified: last_modified(map, entry.position)?,
            version: version(map, entry.position)?,
            mac: text(map, "mac").filter(|mac| !mac.is_empty()),
            seal: map.find("sealctl").map(|entry| entry.value.clone()),
        })
    }
}

struct Keys {
    age: Vec<WrappedKey>,
    foreign: Vec<&'static str>,
}

impl Keys {
    fn of(map: &Map) -> Result<Self, ReadError> {
        let mut age = Vec::new();
        for node in list(map, "age").into_iter().flat_map(List::nodes) {
            let Node::Map(entry) = node else {
                return Err(ReadError::Field {
                    field: "age",
                    position: node.position(),
                });
            };
            let field = |name| text(entry, name).unwrap_or_default();
            age.push(WrappedKey {
                recipient: field("recipient"),
                armored: field("enc"),
            });
        }
        let filled =
            |name: &&str| list(map, name).is_some_and(|list| list.nodes().next().is_some());
        Ok(Self {
            age,
            foreign: FOREIGN.into_iter().filter(filled).collect(),
        })
    }

    fn is_empty(&self) -> bool {
        self.age.is_empty() && self.foreign.is_empty()
    }
}

fn leaf<'a>(map: &'a Map, name: &str) -> Option<&'a Leaf> {
    match &map.find(name)?.value {
        Node::Leaf(leaf) if leaf.kind != Kind::Null => Some(leaf),
        _ => None,
    }
}

fn text(map: &Map, name: &str) -> Option<String> {
    leaf(map, name)
        .and_then(|leaf| leaf.text.expose_text())
        .map(str::to_owned)
}

fn list<'a>(map: &'a Map, name: &str) -> Option<&'a List> {
    match &map.find(name)?.value {
        Node::List(list) => Some(list),
        _ => None,
    }
}

fn rule(map: &Map) -> Result<Rule, ReadError> {
    let mut found: Option<Rule> = None;
    for name in Rule::NAMES {
        let Some(argument) = text(map, name).filter(|argument| !argument.is_empty()) else {
            continue;
        };
        if let Some(first) = &found {
            return Err(InvalidRule::Two {
                first: first.name(),
                second: name,
            }
            .into());
        }
        found = Rule::named(name, &argument).transpose()?;
    }
    Ok(found.unwrap_or_else(Rule::fallback))
}

fn coverage(map: &Map) -> Result<Coverage, ReadError> {
    let Some(leaf) = leaf(map, "mac_only_encrypted") else {
        return Ok(Coverage::All);
    };
    let word = leaf.text.expose_text().unwrap_or_default();
    match scalar::parse_bool(word) {
        Some(true) => Ok(Coverage::EncryptedOnly),
        Some(false) => Ok(Coverage::All),
        None if word.is_empty() => Ok(Coverage::All),
        None => Err(ReadError::Field {
            field: "mac_only_encrypted",
            position: leaf.position,
        }),
    }
}

/// A threshold means nothing without key groups, but has to be a number.
fn threshold(map: &Map) -> Result<(), ReadError> {
    let field = "shamir_threshold";
    match leaf(map, field).map(|leaf| (leaf.text.expose_text().unwrap_or_default(), leaf.position))
    {
        Some((number, position)) if !number.is_empty() && scalar::parse_int(number).is_none() => {
            Err(ReadError::Field { field, position })
        }
        _ => Ok(()),
    }
}

/// The date in the form that SOPS authenticates: whole seconds, the offset as written. An unquoted date
/// is refused, as SOPS does since 3.13.
fn last_modified(map: &Map, position: Position) -> Result<String, ReadError> {
    let field = "lastmodified";
    let leaf = leaf(map, field).ok_or(ReadError::Field { field, position })?;
    let wrong = ReadError::Field {
        field,
        position: leaf.position,
    };
    if leaf.style == Style::Plain {
        return Err(wrong);
    }
    let date = leaf
        .text
        .expose_text()
        .and_then(scalar::parse_rfc3339)
        .ok_or(wrong)?;
    Ok(without_fraction(&date))
}

fn without_fraction(date: &str) -> String {
    let Some((seconds, rest)) = date.split_once('.') else {
        return date.to_owned();
    };
    format!(
        "{seconds}{}",
        rest.trim_start_matches(|each: char| each.is_ascii_digit())
    )
}

/// A semantic version: three numbers with points. Of the first versions of SOPS, `1.…`, any is taken.
fn version(map: &Map, position: Position) -> Result<String, ReadError> {
    let version = text(map, "version").unwrap_or_default();
    let numbers = version.split(['-', '+']).next().unwrap_or_default();
    let parts: Vec<&str> = numbers.split('.').collect();
    let number = |part: &&str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
    if version.starts_with("1.") || (parts.len() == 3 && parts.iter().all(number)) {
        return Ok(version);
    }
    let position = map.find("version").map_or(position, |entry| entry.position);
    Err(ReadError::Field {
        field: "version",
        position,
    })
}
