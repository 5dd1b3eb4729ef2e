//! The sections `config`, `secrets`, `derived`, `allow` and `render`: every value by name.
//!
//! A value is kept as a draft until the whole document has been read, since one that is wrong or
//! sealed still has a name that other sections may use.

use std::collections::{BTreeMap, BTreeSet};

use crate::env::compose::{Templates, compose, template};
use crate::env::delivery::{Origin, Value};
use crate::env::fields::{Fields, Reader, Sealing, entries};
use crate::env::finding::{At, Finding, cut};
use crate::name::KeyName;
use crate::secret::Secret;
use crate::tree::Entry;

/// Names in one document.
const MAX_NAMES: usize = 10_000;

/// All values of a document, and the names that it may use although they are on the deny list.
#[derive(Default)]
pub(super) struct Values {
    pub(super) drafts: Drafts,
    allowed: BTreeSet<String>,
}

/// Values by name.
pub(super) type Drafts = BTreeMap<KeyName, Draft>;

/// A value as far as it is known.
pub(super) struct Draft {
    /// Its text before rendering; `None` when it is wrong, or sealed and not opened.
    pub(super) text: Option<Secret>,
    pub(super) origin: Origin,
    pub(super) secret: bool,
    pub(super) at: At,
    rendering: Option<Rendering>,
}

/// How a truth value is delivered.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Rendering {
    /// false: key absent; true: `1`.
    FlagIfSet,
    /// false: empty; true: `True`.
    EmptyIsFalse,
    /// true: the word; false: `False`.
    Exact(String),
    /// `true` and `false`.
    Words,
}

impl Values {
    /// Reads all five sections.
    pub(super) fn read(reader: &mut Reader, top: &Fields<'_>) -> Self {
        let mut values = Self {
            allowed: allowed(reader, top),
            ..Self::default()
        };
        values.read_section(reader, top, "config", Origin::Config);
        values.read_section(reader, top, "secrets", Origin::Secrets);
        let templates = values.read_derived(reader, top);
        if values.drafts.len() > MAX_NAMES {
            let message = format!(
                "the document names {} values; the limit is {MAX_NAMES}",
                values.drafts.len()
            );
            reader.error("E0209", &top.at, message);
            return values;
        }
        compose(reader, &mut values.drafts, &templates);
        values.read_render(reader, top);
        values
    }

    /// The value `name` as a process gets it; `None` when it is rendered as absent, or unknown.
    pub(super) fn delivered(&self, name: &KeyName) -> Option<Secret> {
        let draft = self.drafts.get(name)?;
        let text = draft.text.as_ref()?;
        match &draft.rendering {
            None => Some(text.clone()),
            Some(rendering) => rendering.render(text.expose() == b"true"),
        }
    }

    /// Every value as a process gets it.
    pub(super) fn all_delivered(&self) -> BTreeMap<KeyName, Value> {
        let delivered = self.drafts.iter().filter_map(|(name, draft)| {
            let value = Value {
                text: self.delivered(name)?,
                origin: draft.origin,
                secret: draft.secret,
            };
            Some((name.clone(), value))
        });
        delivered.collect()
    }

    /// The names of secret or of clear values.
    pub(super) fn names(&self, secret: bool) -> impl Iterator<Item = &KeyName> {
        self.drafts
            .iter()
            .filter(move |(_, draft)| draft.secret == secret)
            .map(|(name, _)| name)
    }

    /// The value that `word` names; reported when there is none.
    pub(super) fn find<'a>(
        &'a self,
        reader: &mut Reader,
        name: &str,
        shown: &str,
        at: &At,
    ) -> Option<(&'a KeyName, &'a Draft)> {
        let found = name
            .parse()
            .ok()
            .and_then(|name: KeyName| self.drafts.get_key_value(&name));
        if found.is_none() {
            let hint = reader.hint(name, self.drafts.keys().map(KeyName::as_str));
            let finding = Finding::error("E0242", at, format!("no value named {shown}"));
            reader.findings.push(finding.hinted(hint));
        }
        found
    }

    /// Reports `variable` if it changes how programs start and is not allowed.
    pub(super) fn refuse_dangerous(&self, reader: &mut Reader, variable: &str, at: &At) {
        if changes_programs(variable) && !self.allowed.contains(variable) {
            let message =
                format!("{variable} changes how programs start; list it under allow to use it");
            reader.error("E0216", at, message);
        }
    }

    fn read_section(&mut self, reader: &mut Reader, top: &Fields<'_>, key: &str, origin: Origin) {
        let Some((node, at)) = top.find(key) else {
            return;
        };
        let Some(map) = reader.map(node, &at) else {
            return;
        };
        let (sealing, secret) = match origin {
            Origin::Secrets => (Sealing::Required, true),
            Origin::Config | Origin::Derived => (Sealing::Clear, false),
        };
        for (entry, at) in entries(map, &at) {
            let text = reader.value(&entry.value, &at, &cut(&entry.key), sealing);
            let Some(name) = self.claim(reader, entry, &at, origin) else {
                continue;
            };
            if let Some(text) = &text {
                warn_about(reader, text, &name, &at);
            }
            self.drafts
                .insert(name, Draft::new(text, origin, secret, at));
        }
    }

    /// Reads the templates of `derived`; their drafts have no text yet.
    fn read_derived<'a>(&mut self, reader: &mut Reader, top: &Fields<'a>) -> Templates<'a> {
        let mut templates = Templates::new();
        let Some((node, at)) = top.find("derived") else {
            return templates;
        };
        let Some(map) = reader.map(node, &at) else {
            return templates;
        };
        for (entry, at) in entries(map, &at) {
            let valid = reader.value(&entry.value, &at, &cut(&entry.key), Sealing::Clear);
            let Some(name) = self.claim(reader, entry, &at, Origin::Derived) else {
                continue;
            };
            let draft = Draft::new(None, Origin::Derived, false, at.clone());
            self.drafts.insert(name.clone(), draft);
            if valid.is_none() {
                continue;
            }
            if let Some(template) = template(reader, &entry.value, &name, &at) {
                templates.insert(name, (template, at));
            }
        }
        templates
    }

    /// Checks the name of `entry`; `None` when it is wrong or taken.
    fn claim(
        &self,
        reader: &mut Reader,
        entry: &Entry,
        at: &At,
        origin: Origin,
    ) -> Option<KeyName> {
        let at = At {
            path: at.path.clone(),
            position: entry.position,
        };
        let Ok(name) = entry.key.parse::<KeyName>() else {
            let message = format!("\"{}\" is not a valid key name", cut(&entry.key));
            reader.error("E0210", &at, message);
            return None;
        };
        if origin != Origin::Secrets {
            refuse_reserved(reader, &entry.key, &at);
        }
        self.refuse_dangerous(reader, name.as_str(), &at);
        if let Some(other) = self.drafts.get(&name) {
            let (first, second) = (section(other.origin), section(origin));
            let message = format!("{} stands in {first} and in {second}", cut(name.as_str()));
            reader.error("E0211", &at, message);
            return None;
        }
        Some(name)
    }

    fn read_render(&mut self, reader: &mut Reader, top: &Fields<'_>) {
        let Some((node, at)) = top.find("render") else {
            return;
        };
        let Some(map) = reader.map(node, &at) else {
            return;
        };
        for (entry, at) in entries(map, &at) {
            refuse_reserved(reader, &entry.key, &at);
            let shown = cut(&entry.key);
            let Some(word) = reader.word(&entry.value, &at) else {
                continue;
            };
            let Some(rendering) = Rendering::named(word.text()) else {
                let message = format!("{shown}: unknown rendering \"{}\"", word.shown());
                reader.error("E0219", &at, message);
                continue;
            };
            let name = entry.key.parse::<KeyName>().ok();
            let Some(draft) = name.and_then(|name| self.drafts.get_mut(&name)) else {
                let message = format!("render names {shown}, which is not in this document");
                reader.error("E0223", &at, message);
                continue;
            };
            let truth = |text: &Secret| matches!(text.expose(), b"true" | b"false");
            if draft.text.as_ref().is_some_and(|text| !truth(text)) {
                let message =
                    format!("{shown} is rendered as a flag but holds neither true nor false");
                reader.error("E0220", &at, message);
            }
            draft.rendering = Some(rendering);
        }
    }
}

impl Draft {
    fn new(text: Option<Secret>, origin: Origin, secret: bool, at: At) -> Self {
        Self {
            text,
            origin,
            secret,
            at,
            rendering: None,
        }
    }
}

impl Rendering {
    fn named(name: &str) -> Option<Self> {
        match name {
            "flag-if-set" => Some(Self::FlagIfSet),
            "empty-is-false" => Some(Self::EmptyIsFalse),
            "words" => Some(Self::Words),
            _ => {
                let word = name.strip_prefix("exact:")?;
                (!word.is_empty()).then(|| Self::Exact(word.to_owned()))
            }
        }
    }

    /// The delivered text for a truth value; `None` where the key is absent.
    fn render(&self, truth: bool) -> Option<Secret> {
        let text = match (self, truth) {
            (Self::FlagIfSet, false) => return None,
            (Self::FlagIfSet, true) => "1",
            (Self::EmptyIsFalse, false) => "",
            (Self::EmptyIsFalse, true) => "True",
            (Self::Exact(word), true) => word,
            (Self::Exact(_), false) => "False",
            (Self::Words, true) => "true",
            (Self::Words, false) => "false",
        };
        Some(Secret::from_text(text))
    }
}

/// Whether a variable of this name makes a program load or run something else.
fn changes_programs(variable: &str) -> bool {
    variable.starts_with("LD_")
        || variable.starts_with("DYLD_")
        || variable.ends_with("_PRELOAD")
        || matches!(
            variable,
            "PYTHONPATH"
                | "PYTHONSTARTUP"
                | "PYTHONHOME"
                | "BASH_ENV"
                | "NODE_OPTIONS"
                | "PERL5OPT"
                | "RUBYOPT"
        )
}

fn section(origin: Origin) -> &'static str {
    match origin {
        Origin::Config => "config",
        Origin::Secrets => "secrets",
        Origin::Derived => "derived",
    }
}

/// The rule that chooses what is sealed goes by these two names, wherever they stand.
fn refuse_reserved(reader: &mut Reader, key: &str, at: &At) {
    if matches!(key, "secrets" | "password") {
        let message = format!("a key may not be named \"{key}\" here");
        reader.error("E0215", at, message);
    }
}

fn allowed(reader: &mut Reader, top: &Fields<'_>) -> BTreeSet<String> {
    let Some((node, at)) = top.find("allow") else {
        return BTreeSet::new();
    };
    let mut allowed = BTreeSet::new();
    for (item, at) in reader.list(node, &at) {
        let Some(word) = reader.word(item, &at) else {
            continue;
        };
        if word.text().parse::<KeyName>().is_err() {
            let message = format!("\"{}\" is not a valid key name", word.shown());
            reader.error("E0210", &at, message);
        }
        allowed.insert(word.text().to_owned());
    }
    allowed
}

fn warn_about(reader: &mut Reader, text: &Secret, name: &KeyName, at: &At) {
    let bytes = text.expose();
    if let Some(line) = bytes.strip_suffix(b"\n")
        && !line.contains(&b'\n')
    {
        reader.warning("W0221", at, format!("{name} ends in a newline"));
    }
    if let [first @ (b'"' | b'\''), .., last] = bytes
        && first == last
    {
        reader.warning("W0222", at, format!("{name} has quotes around its value"));
    }
}
