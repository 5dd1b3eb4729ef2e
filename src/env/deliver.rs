//! The section `deliver`: which objects are asked for, and which values go into each.
//!
//! Needs the names of the values and which of them are secret, not their content; so it works on a
//! sealed document as well. Filling the objects is done by `objects`.

use std::collections::{BTreeMap, BTreeSet};

use crate::env::delivery::{ObjectKind, SecretType};
use crate::env::fields::{Fields, Reader, entries};
use crate::env::finding::{At, Finding, cut};
use crate::env::values::Values;
use crate::name::{AppName, KeyName, ObjectKey, ObjectName};
use crate::tree::Node;
use crate::vocabulary::API_GROUP;

/// Objects of one document.
const MAX_OBJECTS: usize = 100;
/// Bytes of all annotations of one object (limit of the API server).
const MAX_ANNOTATIONS: usize = 262_144;

const FIELDS: [&str; 9] = [
    "configMap",
    "secret",
    "keys",
    "file",
    "decode",
    "type",
    "labels",
    "annotations",
    "prune",
];
const TYPES: [SecretType; 5] = [
    SecretType::Opaque,
    SecretType::Tls,
    SecretType::DockerConfigJson,
    SecretType::BasicAuth,
    SecretType::SshAuth,
];
const FORMATS: [(&str, FileFormat); 5] = [
    ("dotenv", FileFormat::Dotenv),
    ("docker", FileFormat::Docker),
    ("shell", FileFormat::Shell),
    ("json", FileFormat::Json),
    ("yaml", FileFormat::Yaml),
];

/// An object that is asked for, before it is filled.
pub(super) struct Intent {
    pub(super) kind: ObjectKind,
    pub(super) name: ObjectName,
    pub(super) secret_type: SecretType,
    pub(super) source: Source,
    pub(super) decode: BTreeSet<ObjectKey>,
    pub(super) labels: BTreeMap<String, String>,
    pub(super) annotations: BTreeMap<String, String>,
    pub(super) prune: bool,
    pub(super) at: At,
}

/// What goes into an object.
pub(super) enum Source {
    /// One key of the object for each value.
    Keys(Vec<(ObjectKey, KeyName)>),
    /// One key that holds many values as a file.
    File {
        key: ObjectKey,
        format: FileFormat,
        names: Vec<KeyName>,
    },
}

/// How many values are written into one file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum FileFormat {
    Dotenv,
    Docker,
    Shell,
    Json,
    Yaml,
}

#[derive(Clone, Copy)]
enum From {
    Secrets,
    Config,
    All,
}

impl Intent {
    /// How messages call it.
    pub(super) fn shown(&self) -> String {
        format!("{} \"{}\"", self.kind, self.name)
    }

    /// Whether no value goes into it, so that it is not written.
    pub(super) fn is_empty(&self) -> bool {
        match &self.source {
            Source::Keys(keys) => keys.is_empty(),
            Source::File { names, .. } => names.is_empty(),
        }
    }

    fn plain(kind: ObjectKind, name: ObjectName, source: Source, at: At) -> Self {
        Self {
            kind,
            name,
            secret_type: SecretType::Opaque,
            source,
            decode: BTreeSet::new(),
            labels: BTreeMap::new(),
            annotations: BTreeMap::new(),
            prune: true,
            at,
        }
    }
}

impl FileFormat {
    /// The word in a document.
    pub(super) fn word(self) -> &'static str {
        FORMATS
            .iter()
            .find(|(_, format)| *format == self)
            .map_or("", |(word, _)| word)
    }
}

/// Reads `deliver`, or makes the two default objects of `app`.
pub(super) fn read(
    reader: &mut Reader,
    top: &Fields<'_>,
    app: Option<&AppName>,
    values: &Values,
) -> Vec<Intent> {
    let Some((node, at)) = top.find("deliver") else {
        return app.map_or_else(Vec::new, |app| {
            default_objects(reader, app, values, &top.at)
        });
    };
    let items = reader.list(node, &at);
    if items.len() > MAX_OBJECTS {
        let message = format!(
            "deliver names {} objects; the limit is {MAX_OBJECTS}",
            items.len()
        );
        reader.error("E0209", &at, message);
        return Vec::new();
    }
    let mut intents: Vec<Intent> = Vec::new();
    for (item, at) in items {
        let Some(intent) = entry(reader, item, at, values) else {
            continue;
        };
        let twin = |other: &Intent| other.kind == intent.kind && other.name == intent.name;
        if intents.iter().any(twin) {
            let message = format!("{} appears twice", intent.shown());
            reader.error("E0241", &intent.at, message);
        }
        intents.push(intent);
    }
    intents
}

fn default_objects(reader: &mut Reader, app: &AppName, values: &Values, at: &At) -> Vec<Intent> {
    let kinds = [
        (ObjectKind::ConfigMap, format!("{app}-config")),
        (ObjectKind::Secret, format!("{app}-secrets")),
    ];
    let mut intents = Vec::new();
    for (kind, name) in kinds {
        // A label with a suffix is an object name, so this always holds.
        let Ok(name) = name.parse() else { continue };
        let source = all_of_kind(reader, kind, values, at);
        intents.push(Intent::plain(kind, name, source, at.clone()));
    }
    intents
}

/// Every value that belongs into an object of `kind`, under its own name.
fn all_of_kind(reader: &mut Reader, kind: ObjectKind, values: &Values, at: &At) -> Source {
    let mut keys = Vec::new();
    for name in values.names(kind == ObjectKind::Secret) {
        if let Some(key) = object_key(reader, name.as_str(), name.as_str(), kind, at) {
            keys.push((key, name.clone()));
        }
    }
    Source::Keys(keys)
}

fn entry(reader: &mut Reader, node: &Node, at: At, values: &Values) -> Option<Intent> {
    let fields = reader.fields(node, at, &FIELDS)?;
    let (kind, name) = object_name(reader, &fields)?;
    let source = source(reader, &fields, kind, values)?;
    let mut intent = Intent::plain(kind, name, source, fields.at.clone());
    intent.secret_type = secret_type(reader, &fields, kind);
    intent.decode = decode(reader, &fields, &intent.source);
    intent.labels = labels(reader, &fields, "labels");
    intent.annotations = labels(reader, &fields, "annotations");
    intent.prune = reader.choice(&fields, "prune", &[("true", true), ("false", false)], true);
    require_keys(reader, &intent);
    Some(intent)
}

fn object_name(reader: &mut Reader, fields: &Fields<'_>) -> Option<(ObjectKind, ObjectName)> {
    let config_map = fields
        .find("configMap")
        .map(|found| (ObjectKind::ConfigMap, found));
    let secret = fields
        .find("secret")
        .map(|found| (ObjectKind::Secret, found));
    let (kind, (node, at)) = match (config_map, secret) {
        (Some(found), None) | (None, Some(found)) => found,
        (Some(_), Some(_)) => {
            reader.error(
                "E0240",
                &fields.at,
                "an entry needs configMap or secret, not both",
            );
            return None;
        }
        (None, None) => {
            reader.error("E0240", &fields.at, "an entry needs configMap or secret");
            return None;
        }
    };
    let word = reader.word(node, &at)?;
    if let Ok(name) = word.text().parse() {
        return Some((kind, name));
    }
    let message = format!("\"{}\" is not a valid name of a {kind}", word.shown());
    reader.error("E0251", &at, message);
    None
}

fn source(
    reader: &mut Reader,
    fields: &Fields<'_>,
    kind: ObjectKind,
    values: &Values,
) -> Option<Source> {
    match (fields.find("keys"), fields.find("file")) {
        (Some(_), Some((_, at))) => {
            reader.error("E0252", &at, "keys and file exclude each other");
            None
        }
        (None, None) => Some(all_of_kind(reader, kind, values, &fields.at)),
        (Some((node, at)), None) => Some(Source::Keys(keys(reader, node, &at, kind, values))),
        (None, Some((node, at))) => file(reader, node, at, kind, values),
    }
}

/// Reads `keys`: a list of names, or a map from key of the object to name.
fn keys(
    reader: &mut Reader,
    node: &Node,
    at: &At,
    kind: ObjectKind,
    values: &Values,
) -> Vec<(ObjectKey, KeyName)> {
    let mut keys = Vec::new();
    let mut add = |reader: &mut Reader, key: Option<&str>, node: &Node, at: &At| {
        let Some(word) = reader.word(node, at) else {
            return;
        };
        let Some((name, draft)) = values.find(reader, word.text(), &word.shown(), at) else {
            return;
        };
        if kind == ObjectKind::ConfigMap && draft.secret {
            let message = format!("{} is sealed and cannot go to a ConfigMap", word.shown());
            reader.error("E0244", at, message);
        }
        let shown = key.map_or_else(|| word.shown(), cut);
        if let Some(key) = object_key(reader, key.unwrap_or(word.text()), &shown, kind, at) {
            keys.push((key, name.clone()));
        }
        if let Some(key) = key.filter(|key| *key != word.text()) {
            values.refuse_dangerous(reader, key, at);
        }
    };
    if let Node::Map(map) = node {
        for (entry, at) in entries(map, at) {
            add(reader, Some(&entry.key), &entry.value, &at);
        }
    } else {
        for (item, at) in reader.list(node, at) {
            add(reader, None, item, &at);
        }
    }
    keys
}

fn object_key(
    reader: &mut Reader,
    key: &str,
    shown: &str,
    kind: ObjectKind,
    at: &At,
) -> Option<ObjectKey> {
    let parsed = key.parse().ok();
    if parsed.is_none() {
        let message = format!("\"{shown}\" is not a valid key of a {kind}");
        reader.error("E0243", at, message);
    }
    parsed
}

fn file(
    reader: &mut Reader,
    node: &Node,
    at: At,
    kind: ObjectKind,
    values: &Values,
) -> Option<Source> {
    let fields = reader.fields(node, at, &["name", "format", "from"])?;
    for required in ["name", "format"] {
        if fields.find(required).is_none() {
            let message = format!("{}.{required} is missing", fields.at.path);
            reader.error("E0208", &fields.at, message);
        }
    }
    let format = reader.choice(&fields, "format", &FORMATS, FileFormat::Dotenv);
    let words = [
        ("secrets", From::Secrets),
        ("config", From::Config),
        ("all", From::All),
    ];
    // The only choice that a ConfigMap can take.
    let default = match kind {
        ObjectKind::Secret => From::Secrets,
        ObjectKind::ConfigMap => From::Config,
    };
    let from = reader.choice(&fields, "from", &words, default);
    let mut names: Vec<KeyName> = Vec::new();
    if matches!(from, From::Config | From::All) {
        names.extend(values.names(false).cloned());
    }
    if matches!(from, From::Secrets | From::All) {
        names.extend(values.names(true).cloned());
    }
    names.sort();
    if kind == ObjectKind::ConfigMap
        && let Some(secret) = values
            .names(true)
            .find(|name| names.binary_search(name).is_ok())
    {
        let message = format!("{secret} is sealed and cannot go to a ConfigMap");
        reader.error("E0244", &fields.at, message);
    }
    let (word, at) = reader.find_word(&fields, "name")?;
    let key = object_key(reader, word.text(), &word.shown(), kind, &at)?;
    Some(Source::File { key, format, names })
}

fn secret_type(reader: &mut Reader, fields: &Fields<'_>, kind: ObjectKind) -> SecretType {
    let Some((word, at)) = reader.find_word(fields, "type") else {
        return SecretType::Opaque;
    };
    if kind == ObjectKind::ConfigMap {
        reader.error("E0247", &at, "a ConfigMap has no type");
        return SecretType::Opaque;
    }
    if let Some(found) = TYPES
        .into_iter()
        .find(|known| known.as_str() == word.text())
    {
        return found;
    }
    let message = format!("Secret type \"{}\" is not allowed", word.shown());
    let hint = reader.hint(word.text(), TYPES.iter().map(|known| known.as_str()));
    reader
        .findings
        .push(Finding::error("E0247", &at, message).hinted(hint));
    SecretType::Opaque
}

fn decode(reader: &mut Reader, fields: &Fields<'_>, source: &Source) -> BTreeSet<ObjectKey> {
    let Some((node, at)) = fields.find("decode") else {
        return BTreeSet::new();
    };
    let mut decode = BTreeSet::new();
    for (item, at) in reader.list(node, &at) {
        let Some(word) = reader.word(item, &at) else {
            continue;
        };
        let key = match source {
            Source::Keys(keys) => keys.iter().find(|(key, _)| key.as_str() == word.text()),
            Source::File { .. } => None,
        };
        match key {
            Some((key, _)) => _ = decode.insert(key.clone()),
            None => reader.error(
                "E0246",
                &at,
                format!("{} is not a key of this object", word.shown()),
            ),
        }
    }
    decode
}

/// Reads `labels` or `annotations`.
fn labels(reader: &mut Reader, fields: &Fields<'_>, field: &str) -> BTreeMap<String, String> {
    let mut labels = BTreeMap::new();
    let Some((node, at)) = fields.find(field) else {
        return labels;
    };
    let Some(map) = reader.map(node, &at) else {
        return labels;
    };
    for (entry, at) in entries(map, &at) {
        let Some(word) = reader.word(&entry.value, &at) else {
            continue;
        };
        let (prefix, name) = entry.key.split_once('/').unwrap_or(("", &entry.key));
        if is_reserved(prefix) {
            let message = format!(
                "labels and annotations of kubernetes.io, k8s.io and {API_GROUP} are set by Kubernetes and seald"
            );
            reader.error("E0249", &at, message);
            continue;
        }
        let valid_prefix = !entry.key.contains('/') || prefix.parse::<ObjectName>().is_ok();
        let valid_value = field == "annotations" || word.text().is_empty() || is_label(word.text());
        if !valid_prefix || !is_label(name) || !valid_value {
            let message = format!("{} is not valid in {field}", cut(&entry.key));
            reader.error("E0253", &at, message);
        }
        labels.insert(entry.key.clone(), word.text().to_owned());
    }
    let size: usize = labels
        .iter()
        .map(|(key, text)| key.len() + text.len())
        .sum();
    if size > MAX_ANNOTATIONS {
        let message = format!(
            "{} is {size} bytes; the limit is {MAX_ANNOTATIONS}",
            at.path
        );
        reader.error("E0250", &at, message);
    }
    labels
}

/// Whether labels with this prefix belong to Kubernetes or seald.
fn is_reserved(prefix: &str) -> bool {
    ["kubernetes.io", "k8s.io", API_GROUP]
        .into_iter()
        .any(|owner| {
            prefix
                .strip_suffix(owner)
                .is_some_and(|rest| rest.is_empty() || rest.ends_with('.'))
        })
}

/// The rule of Kubernetes for the name of a label and for its value: at most 63 letters, digits,
/// `-`, `_` and `.`, beginning and ending with a letter or digit.
fn is_label(text: &str) -> bool {
    let bytes = text.as_bytes();
    let edge = |byte: Option<&u8>| byte.is_some_and(u8::is_ascii_alphanumeric);
    bytes.len() <= 63
        && edge(bytes.first())
        && edge(bytes.last())
        && bytes
            .iter()
            .all(|byte| byte.is_ascii_alphanumeric() || b"-_.".contains(byte))
}

/// Refuses an object whose type needs a key that it does not get.
fn require_keys(reader: &mut Reader, intent: &Intent) {
    let has = |wanted: &str| match &intent.source {
        Source::Keys(keys) => keys.iter().any(|(key, _)| key.as_str() == wanted),
        Source::File { key, .. } => key.as_str() == wanted,
    };
    let needs: &[&str] = match intent.secret_type {
        SecretType::Opaque => &[],
        SecretType::Tls => &["tls.crt", "tls.key"],
        SecretType::DockerConfigJson => &[".dockerconfigjson"],
        SecretType::SshAuth => &["ssh-privatekey"],
        SecretType::BasicAuth if has("password") => &[],
        SecretType::BasicAuth => &["username"],
    };
    for key in needs.iter().filter(|key| !has(key)) {
        let message = format!("type {} needs the key {key}", intent.secret_type.as_str());
        reader.error("E0248", &intent.at, message);
    }
}
