//! `.sops.yaml`: who can open a new file, and what of it is encrypted.
//!
//! The first creation rule whose pattern fits the path of a file counts, alone. Reads text and knows
//! no files: where the configuration lies, and what a recipient is, others know. Fields that are not
//! known are passed over, as in SOPS; the errors are in its words.

mod terms;
mod unknown;

use super::rule::{Pattern, Rule};
use crate::format::{self, Format, SyntaxError, scalar};
use crate::secret::Secret;
use crate::tree::{Kind, Leaf, List, Map, Node};

pub use terms::UnusableRule;
pub use unknown::{UnknownKey, unknown_keys};

/// A configuration.
#[derive(Debug, Clone, Default)]
pub struct Config {
    /// The creation rules; `None` where the file has none at all.
    pub rules: Option<Vec<CreationRule>>,
    /// By how many blanks files are indented.
    pub stores: Stores,
}

/// `stores`: the indentation of each format, where one is given.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Stores {
    /// Of YAML.
    pub yaml: Option<i64>,
    /// Of JSON.
    pub json: Option<i64>,
    /// Of the JSON around a binary file.
    pub json_binary: Option<i64>,
}

/// One creation rule.
#[derive(Debug, Clone, Default)]
pub struct CreationRule {
    /// What the path has to fit; empty fits any.
    path_regex: String,
    /// The six selection rules, as far as they are given.
    selection: Vec<(&'static str, String)>,
    keys: Vec<(&'static str, FlatKeys)>,
    groups: Vec<Group>,
    /// `shamir_threshold`; 0 where none is given.
    pub threshold: i64,
    /// `mac_only_encrypted`.
    pub mac_only_encrypted: bool,
}

/// A master key that a rule names.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct MasterKey {
    /// The key service, by its name in a sealed file: `age`, `pgp`, `kms` …
    pub service: &'static str,
    /// The key as the service names it; for age the recipient.
    pub name: String,
}

/// The keys of one service beside each other in a rule: a text with commas or a list.
#[derive(Debug, Clone)]
enum FlatKeys {
    Names(Vec<String>),
    /// Something else; SOPS minds only once the rule is used.
    Wrong(&'static str),
}

#[derive(Debug, Clone, Default)]
struct Group {
    keys: Vec<MasterKey>,
    merge: Vec<Self>,
}

/// A configuration that cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ConfigError {
    /// Not YAML.
    #[error("error loading config: Could not unmarshal config file: yaml: {0}")]
    Syntax(#[from] SyntaxError),
    /// A field holds something of another type.
    #[error(
        "error loading config: Could not unmarshal config file: yaml: unmarshal errors:\n  line {line}: cannot unmarshal {found} into {wanted}"
    )]
    Type {
        /// The line.
        line: u32,
        /// What stands there.
        found: String,
        /// What belongs there.
        wanted: &'static str,
    },
    /// No rule fits the path.
    #[error("error loading config: no matching creation rules found")]
    NoMatch,
    /// A `path_regex` is none.
    #[error("can not compile regexp: error parsing regexp: `{0}` is no regular expression of Go")]
    Pattern(String),
    /// More than one selection rule.
    #[error(
        "error loading config: cannot use more than one of encrypted_suffix, unencrypted_suffix, \
         encrypted_regex, unencrypted_regex, encrypted_comment_regex, or unencrypted_comment_regex \
         for the same rule"
    )]
    Selection,
    /// Keys that are neither text nor list.
    #[error(
        "invalid {service} key configuration: invalid {service} key configuration: expected string, []string, or nil, got {found}"
    )]
    Keys {
        /// The key service.
        service: &'static str,
        /// What stands there.
        found: &'static str,
    },
}

/// Key services: name beside each other in a rule, name in a group, name in a sealed file.
const SERVICES: [(&str, &str, &str); 7] = [
    ("age", "age", "age"),
    ("pgp", "pgp", "pgp"),
    ("kms", "kms", "kms"),
    ("gcp_kms", "gcp_kms", "gcp_kms"),
    ("hckms", "hckms", "hckms"),
    ("azure_keyvault", "azure_keyvault", "azure_kv"),
    ("hc_vault_transit_uri", "hc_vault", "hc_vault"),
];
/// Most levels of `merge`; more are a mistake.
const DEEPEST_MERGE: usize = 100;

impl Config {
    /// Reads a configuration. An empty text has neither rules nor stores.
    ///
    /// # Errors
    /// When it is not YAML, or a known field has another type than it should.
    pub fn parse(text: &str) -> Result<Self, ConfigError> {
        let is_blank = |line: &str| {
            let line = line.trim_start();
            line.is_empty() || line.starts_with('#')
        };
        if text.lines().all(is_blank) {
            return Ok(Self::default());
        }
        let documents = format::parse(Format::Yaml, &Secret::from_text(text))?;
        let tree = documents.into_iter().next().unwrap_or_default();
        let rules = match at(&tree, "creation_rules") {
            None => None,
            Some(node) => Some(
                nodes(node, "[]config.creationRule")?
                    .map(|rule| CreationRule::read(map(rule, "config.creationRule")?))
                    .collect::<Result<_, _>>()?,
            ),
        };
        let stores = match at(&tree, "stores") {
            Some(node) => Stores::read(map(node, "config.storesConfig")?)?,
            None => Stores::default(),
        };
        Ok(Self { rules, stores })
    }

    /// The rule for a file. `path` is relative to the folder of the configuration where it lies below
    /// it, else absolute. `None` where there are no rules at all.
    ///
    /// # Errors
    /// [`ConfigError::NoMatch`], or [`ConfigError::Pattern`] for a pattern that was looked at.
    pub fn rule_for(&self, path: &str) -> Result<Option<&CreationRule>, ConfigError> {
        let Some(rules) = &self.rules else {
            return Ok(None);
        };
        for rule in rules {
            if rule.fits(path)? {
                return Ok(Some(rule));
            }
        }
        Err(ConfigError::NoMatch)
    }
}

impl Stores {
    fn read(stores: &Map) -> Result<Self, ConfigError> {
        let indent = |name: &str| -> Result<Option<i64>, ConfigError> {
            let Some(store) = at(stores, name) else {
                return Ok(None);
            };
            let store = map(store, "config.storeConfig")?;
            at(store, "indent").map(int).transpose()
        };
        Ok(Self {
            yaml: indent("yaml")?,
            json: indent("json")?,
            json_binary: indent("json_binary")?,
        })
    }
}

impl CreationRule {
    fn read(rule: &Map) -> Result<Self, ConfigError> {
        let mut read = Self::default();
        if let Some(node) = at(rule, "path_regex") {
            read.path_regex = text(node)?;
        }
        for name in Rule::NAMES {
            let argument = at(rule, name).map(text).transpose()?.unwrap_or_default();
            if !argument.is_empty() {
                read.selection.push((name, argument));
            }
        }
        if let Some(node) = at(rule, "shamir_threshold") {
            read.threshold = int(node)?;
        }
        if let Some(node) = at(rule, "mac_only_encrypted") {
            read.mac_only_encrypted = bool(node)?;
        }
        for (name, _, service) in SERVICES {
            if let Some(node) = at(rule, name) {
                read.keys.push((service, FlatKeys::read(node)?));
            }
        }
        if let Some(node) = at(rule, "key_groups") {
            read.groups = groups(node, 0)?;
        }
        Ok(read)
    }

    fn fits(&self, path: &str) -> Result<bool, ConfigError> {
        if self.path_regex.is_empty() {
            return Ok(true);
        }
        let pattern = Pattern::new(&self.path_regex);
        let pattern = pattern.map_err(|_| ConfigError::Pattern(self.path_regex.clone()))?;
        Ok(pattern.is_match(path))
    }

    /// The selection rule by its name in a sealed file, with its argument.
    ///
    /// # Errors
    /// When there are several.
    pub fn selection(&self) -> Result<Option<(&'static str, &str)>, ConfigError> {
        match &self.selection[..] {
            [] => Ok(None),
            [(name, argument)] => Ok(Some((name, argument))),
            _ => Err(ConfigError::Selection),
        }
    }

    /// The groups of keys. Keys beside each other are one group, even when there are none; groups win
    /// over them. In a group each key stands once, those that are merged in first.
    ///
    /// # Errors
    /// When keys are given as something else than a text or a list.
    pub fn groups(&self) -> Result<Vec<Vec<MasterKey>>, ConfigError> {
        if !self.groups.is_empty() {
            return Ok(self.groups.iter().map(Group::once_each).collect());
        }
        let mut keys = Vec::new();
        for (service, flat) in &self.keys {
            match flat {
                FlatKeys::Names(names) => keys.extend(names.iter().map(|name| MasterKey {
                    service,
                    name: name.clone(),
                })),
                FlatKeys::Wrong(found) => return Err(ConfigError::Keys { service, found }),
            }
        }
        Ok(vec![keys])
    }
}

impl FlatKeys {
    fn read(node: &Node) -> Result<Self, ConfigError> {
        let names = match node {
            Node::Map(_) => return Ok(Self::Wrong("map[string]interface {}")),
            Node::Leaf(leaf) => match leaf.kind {
                Kind::Text => separated(leaf.text.expose_text().unwrap_or_default()),
                Kind::Int => return Ok(Self::Wrong("int")),
                Kind::Float => return Ok(Self::Wrong("float64")),
                Kind::Bool => return Ok(Self::Wrong("bool")),
                Kind::Time => return Ok(Self::Wrong("time.Time")),
                Kind::Null => Vec::new(),
            },
            Node::List(list) => {
                let texts = list.nodes().map(text).collect::<Result<Vec<_>, _>>()?;
                texts.iter().flat_map(|text| separated(text)).collect()
            }
        };
        Ok(Self::Names(names))
    }
}

/// The parts of a text with commas.
fn separated(text: &str) -> Vec<String> {
    let parts = text.split(',').map(str::trim);
    parts
        .filter(|part| !part.is_empty())
        .map(str::to_owned)
        .collect()
}

impl Group {
    fn read(group: &Map, depth: usize) -> Result<Self, ConfigError> {
        let mut read = Self::default();
        for (_, name, service) in SERVICES {
            let Some(node) = at(group, name) else {
                continue;
            };
            for node in nodes(node, "[]string")? {
                let name = match node {
                    // Keys of services that need several fields; all of them together name the key.
                    Node::Map(map) => fields(map),
                    Node::List(_) | Node::Leaf(_) => text(node)?,
                };
                read.keys.push(MasterKey { service, name });
            }
        }
        if let Some(node) = at(group, "merge") {
            read.merge = groups(node, depth + 1)?;
        }
        Ok(read)
    }

    /// All keys, those merged in first, in order.
    fn all<'a>(&'a self, keys: &mut Vec<&'a MasterKey>) {
        for group in &self.merge {
            group.all(keys);
        }
        keys.extend(&self.keys);
    }

    fn once_each(&self) -> Vec<MasterKey> {
        let mut all = Vec::new();
        self.all(&mut all);
        let mut seen = std::collections::BTreeSet::new();
        all.retain(|key| seen.insert(*key));
        all.into_iter().cloned().collect()
    }
}

fn groups(node: &Node, depth: usize) -> Result<Vec<Group>, ConfigError> {
    if depth > DEEPEST_MERGE {
        return Err(wrong(node, "config.keyGroup (merge is too deep)"));
    }
    nodes(node, "[]config.keyGroup")?
        .map(|group| Group::read(map(group, "config.keyGroup")?, depth))
        .collect()
}

/// `vault_url=… key=…` of a key that is a map.
fn fields(map: &Map) -> String {
    let fields = map.entries().filter_map(|entry| match &entry.value {
        Node::Leaf(leaf) => {
            let text = leaf.text.expose_text().unwrap_or_default();
            Some(format!("{}={text}", entry.key))
        }
        Node::Map(_) | Node::List(_) => None,
    });
    fields.collect::<Vec<_>>().join(" ")
}

/// The value of `key`, unless it is null.
fn at<'a>(map: &'a Map, key: &str) -> Option<&'a Node> {
    let node = &map.find(key)?.value;
    let is_null = matches!(node, Node::Leaf(leaf) if leaf.kind == Kind::Null);
    (!is_null).then_some(node)
}

fn map<'a>(node: &'a Node, wanted: &'static str) -> Result<&'a Map, ConfigError> {
    match node {
        Node::Map(map) => Ok(map),
        Node::List(_) | Node::Leaf(_) => Err(wrong(node, wanted)),
    }
}

fn nodes<'a>(
    node: &'a Node,
    wanted: &'static str,
) -> Result<impl Iterator<Item = &'a Node>, ConfigError> {
    match node {
        Node::List(list) => Ok(List::nodes(list)),
        Node::Map(_) | Node::Leaf(_) => Err(wrong(node, wanted)),
    }
}

fn leaf<'a>(node: &'a Node, wanted: &'static str) -> Result<&'a Leaf, ConfigError> {
    match node {
        Node::Leaf(leaf) => Ok(leaf),
        Node::Map(_) | Node::List(_) => Err(wrong(node, wanted)),
    }
}

fn text(node: &Node) -> Result<String, ConfigError> {
    let leaf = leaf(node, "string")?;
    Ok(leaf.text.expose_text().unwrap_or_default().to_owned())
}

fn int(node: &Node) -> Result<i64, ConfigError> {
    let leaf = leaf(node, "int")?;
    let number = leaf
        .text
        .expose_text()
        .filter(|_| leaf.kind == Kind::Int)
        .and_then(|text| scalar::parse_int(&scalar::normal_form(Kind::Int, text)?));
    number.ok_or_else(|| wrong(node, "int"))
}

fn bool(node: &Node) -> Result<bool, ConfigError> {
    // Into a field that is a bool, go-yaml also takes the words of YAML 1.1.
    let word = leaf(node, "bool")?.text.expose_text().unwrap_or_default();
    match word.to_ascii_lowercase().as_str() {
        "true" | "yes" | "on" | "y" => Ok(true),
        "false" | "no" | "off" | "n" => Ok(false),
        _ => Err(wrong(node, "bool")),
    }
}

fn wrong(node: &Node, wanted: &'static str) -> ConfigError {
    let found = match node {
        Node::Map(_) => "!!map".to_owned(),
        Node::List(_) => "!!seq".to_owned(),
        Node::Leaf(leaf) => {
            let tag = match leaf.kind {
                Kind::Text => "str",
                Kind::Int => "int",
                Kind::Float => "float",
                Kind::Bool => "bool",
                Kind::Time => "timestamp",
                Kind::Null => "null",
            };
            format!("!!{tag} `{}`", shortened(leaf))
        }
    };
    ConfigError::Type {
        line: node.position().line,
        found,
        wanted,
    }
}

/// The beginning of a text, as go-yaml shows it.
fn shortened(leaf: &Leaf) -> String {
    let text = leaf.text.expose_text().unwrap_or_default();
    if text.chars().count() <= 10 {
        return text.to_owned();
    }
    let start: String = text.chars().take(7).collect();
    format!("{start}...")
}

#[cfg(test)]
mod tests;
