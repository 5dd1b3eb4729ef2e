//! The `sops` block of a file, read leniently: any order, numbers and booleans also as text, unknown
//! fields and the entries of other key services left where they are.

use super::open::ReadError;
use super::rule::{InvalidRule, Rule};
use crate::crypto::mac::Coverage;
use crate::format::scalar;
use crate::tree::{Kind, Leaf, List, Map, Node, Position};

/// What stands in the `sops` block, as far as it is understood.
#[derive(Debug, Clone)]
pub struct Metadata {
    /// Who can open the file: of every group one key. A file that names no groups has one.
    pub groups: Vec<KeyGroup>,
    /// How many groups are needed, as the file says; `None` where it says nothing.
    pub threshold: Option<usize>,
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

/// Keys of which any one is enough: for the data key, or for one share of it where there are several
/// groups.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct KeyGroup {
    /// What is wrapped for age recipients.
    pub age: Vec<WrappedKey>,
    /// What is wrapped for PGP keys.
    pub pgp: Vec<PgpKey>,
    /// Names of other key services that have an entry (`kms`, `gcp_kms`, …).
    pub foreign: Vec<&'static str>,
}

/// What was wrapped for one age recipient.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WrappedKey {
    /// The recipient as the file names it; not authenticated by SOPS, and empty when missing.
    pub recipient: String,
    /// The armored age file.
    pub(super) armored: String,
}

/// What was wrapped for one PGP key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PgpKey {
    /// Its fingerprint.
    pub fingerprint: String,
    /// The armored message, which `gpg --decrypt` opens.
    pub armored: String,
}

/// Key services that cannot be used here.
const FOREIGN: [&str; 5] = ["kms", "gcp_kms", "azure_kv", "hc_vault", "hckms"];

impl Metadata {
    /// Reads the map `sops` of a file, which begins at `position`. Lists of keys that stand in it
    /// directly win over groups.
    pub(super) fn read(map: &Map, position: Position) -> Result<Self, ReadError> {
        let direct = KeyGroup::read(map)?;
        let groups = if direct.is_empty() {
            groups(map)?
        } else {
            vec![direct]
        };
        if groups.iter().all(KeyGroup::is_empty) {
            return Err(ReadError::NoRecipients { position });
        }
        Ok(Self {
            groups,
            threshold: threshold(map)?,
            rule: rule(map)?,
            coverage: coverage(map)?,
            last_modified: last_modified(map, position)?,
            version: version(map, position)?,
            mac: text(map, "mac").filter(|mac| !mac.is_empty()),
            seal: map.find("sealctl").map(|entry| entry.value.clone()),
        })
    }

    /// Whether the data key is split among several groups of keys.
    #[must_use]
    pub fn is_split(&self) -> bool {
        self.groups.len() > 1
    }

    /// The wrapped keys of all groups.
    pub fn age(&self) -> impl Iterator<Item = &WrappedKey> {
        self.groups.iter().flat_map(|group| &group.age)
    }

    /// Names of the kinds of keys that have an entry and are not age, each once.
    #[must_use]
    pub fn foreign(&self) -> Vec<&'static str> {
        let pgp = self.groups.iter().any(|group| !group.pgp.is_empty());
        let mut names: Vec<&'static str> = pgp.then_some("pgp").into_iter().collect();
        names.extend(self.groups.iter().flat_map(|group| &group.foreign));
        names.sort_unstable();
        names.dedup();
        names
    }
}

impl KeyGroup {
    fn read(map: &Map) -> Result<Self, ReadError> {
        let field = |entry: &Map, name| text(entry, name).unwrap_or_default();
        let age = maps(map, "age")?.map(|entry| WrappedKey {
            recipient: field(entry, "recipient"),
            armored: field(entry, "enc"),
        });
        let pgp = maps(map, "pgp")?.map(|entry| PgpKey {
            fingerprint: field(entry, "fp"),
            armored: field(entry, "enc"),
        });
        let filled =
            |name: &&str| list(map, name).is_some_and(|list| list.nodes().next().is_some());
        Ok(Self {
            age: age.collect(),
            pgp: pgp.collect(),
            foreign: FOREIGN.into_iter().filter(filled).collect(),
        })
    }

    /// Whether nothing can open it.
    fn is_empty(&self) -> bool {
        self.age.is_empty() && self.pgp.is_empty() && self.foreign.is_empty()
    }
}

fn groups(map: &Map) -> Result<Vec<KeyGroup>, ReadError> {
    maps(map, "key_groups")?.map(KeyGroup::read).collect()
}

/// The maps in the list `name`.
fn maps<'a>(map: &'a Map, name: &'static str) -> Result<impl Iterator<Item = &'a Map>, ReadError> {
    let mut found = Vec::new();
    for node in list(map, name).into_iter().flat_map(List::nodes) {
        let Node::Map(entry) = node else {
            return Err(ReadError::Field {
                field: name,
                position: node.position(),
            });
        };
        found.push(entry);
    }
    Ok(found.into_iter())
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
        found = Rule::tolerant(name, &argument).transpose()?;
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

/// How many groups are needed; a number that is none is refused also where there are no groups.
fn threshold(map: &Map) -> Result<Option<usize>, ReadError> {
    let field = "shamir_threshold";
    let Some(leaf) = leaf(map, field).filter(|leaf| !leaf.text.is_empty()) else {
        return Ok(None);
    };
    let number = leaf.text.expose_text().and_then(scalar::parse_int);
    let number = number.ok_or(ReadError::Field {
        field,
        position: leaf.position,
    })?;
    Ok(usize::try_from(number).ok().filter(|number| *number > 0))
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
    if leaf.kind == Kind::Time {
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
