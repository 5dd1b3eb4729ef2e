//! Reading fields out of the tree: shapes, unknown fields, words and values.
//!
//! All sections of a document go through this door, so that they refuse the same things with the
//! same words. It collects findings and knows no section.

use crate::env::finding::{At, Finding, cut, did_you_mean};
use crate::env::scalar::{Reading, reading};
use crate::secret::Secret;
use crate::tree::{Entry, Leaf, List, Map, Node};

/// Findings that may come with a hint.
const MAX_HINTED: usize = 50;

/// What the check may see of the values in `secrets`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Sight {
    /// Plaintext that a person is writing; nothing has been sealed yet.
    Typed,
    /// A document that was sealed and has been opened.
    Opened,
    /// A sealed document without a key: ciphertext is unknown.
    Sealed,
}

/// Whether a value must be ciphertext in a sealed document.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Sealing {
    /// It must; the empty text need not.
    Required,
    /// It stands in the clear.
    Clear,
}

/// Collects findings while a tree is read.
pub(super) struct Reader {
    pub(super) sight: Sight,
    pub(super) findings: Vec<Finding>,
}

/// A map with a fixed set of fields, all of them known.
pub(super) struct Fields<'a> {
    map: &'a Map,
    pub(super) at: At,
}

/// An option in the text of a document: a word, a name, a number.
#[derive(Clone, Copy)]
pub(super) struct Word<'a> {
    leaf: &'a Leaf,
    text: &'a str,
}

impl<'a> Fields<'a> {
    /// The field `key` and its place.
    pub(super) fn find(&self, key: &str) -> Option<(&'a Node, At)> {
        let entry = self.map.find(key)?;
        Some((&entry.value, self.at.field(key, entry.value.position())))
    }
}

impl<'a> Word<'a> {
    /// The text itself, to be compared.
    pub(super) fn text(self) -> &'a str {
        self.text
    }

    /// The text as it may stand in a message: cut, and hidden if it was ciphertext in the file.
    pub(super) fn shown(self) -> String {
        if self.leaf.sealed {
            "(sealed)".to_owned()
        } else {
            cut(self.text)
        }
    }
}

impl Reader {
    /// A reader without findings.
    pub(super) fn new(sight: Sight) -> Self {
        Self {
            sight,
            findings: Vec::new(),
        }
    }

    /// Adds an error.
    pub(super) fn error(&mut self, code: &'static str, at: &At, message: impl Into<String>) {
        self.findings.push(Finding::error(code, at, message));
    }

    /// Adds a warning.
    pub(super) fn warning(&mut self, code: &'static str, at: &At, message: impl Into<String>) {
        self.findings.push(Finding::warning(code, at, message));
    }

    /// The candidate that `word` was probably meant to be. After many findings there are no more hints:
    /// they would take long to find and help nobody.
    pub(super) fn hint<'a>(
        &self,
        word: &str,
        candidates: impl IntoIterator<Item = &'a str>,
    ) -> Option<String> {
        (self.findings.len() < MAX_HINTED).then(|| did_you_mean(word, candidates))?
    }

    /// The map `node` whose fields must all be among `known`.
    pub(super) fn fields<'a>(
        &mut self,
        node: &'a Node,
        at: At,
        known: &[&str],
    ) -> Option<Fields<'a>> {
        let map = self.map(node, &at)?;
        Some(self.known_fields(map, at, known))
    }

    /// `map` as fields; those not among `known` are reported.
    pub(super) fn known_fields<'a>(&mut self, map: &'a Map, at: At, known: &[&str]) -> Fields<'a> {
        for entry in map.entries() {
            if !known.contains(&entry.key.as_str()) {
                let place = at.field(&entry.key, entry.position);
                let message = format!("unknown field \"{}\"", cut(&entry.key));
                let hint = self.hint(&entry.key, known.iter().copied());
                self.findings
                    .push(Finding::error("E0207", &place, message).hinted(hint));
            }
        }
        Fields { map, at }
    }

    /// `node` as a map.
    pub(super) fn map<'a>(&mut self, node: &'a Node, at: &At) -> Option<&'a Map> {
        match node {
            Node::Map(map) => Some(map),
            Node::List(_) | Node::Leaf(_) => {
                self.wrong_shape(at, "a map", "{}");
                None
            }
        }
    }

    /// The items of the list `node`, each with its place.
    pub(super) fn list<'a>(&mut self, node: &'a Node, at: &At) -> Vec<(&'a Node, At)> {
        let Node::List(list) = node else {
            self.wrong_shape(at, "a list", "[]");
            return Vec::new();
        };
        items(list, at)
    }

    /// `node` as a word. `None` when it is not one (reported) or is ciphertext (not a fault).
    pub(super) fn word<'a>(&mut self, node: &'a Node, at: &At) -> Option<Word<'a>> {
        let Node::Leaf(leaf) = node else {
            self.error("E0208", at, format!("{} must be a single word", at.path));
            return None;
        };
        if self.is_unknown(leaf) {
            return None;
        }
        let text = leaf
            .text
            .expose_text()
            .filter(|_| reading(leaf) != Reading::Nothing);
        if text.is_none() {
            self.error("E0208", at, format!("{} has no value", at.path));
        }
        text.map(|text| Word { leaf, text })
    }

    /// The word at the field `key`, if it is there.
    pub(super) fn find_word<'a>(
        &mut self,
        fields: &Fields<'a>,
        key: &str,
    ) -> Option<(Word<'a>, At)> {
        let (node, at) = fields.find(key)?;
        Some((self.word(node, &at)?, at))
    }

    /// One of `choices` at the field `key`; `default` when it is absent or wrong (reported).
    pub(super) fn choice<T: Copy>(
        &mut self,
        fields: &Fields<'_>,
        key: &str,
        choices: &[(&str, T)],
        default: T,
    ) -> T {
        let Some((word, at)) = self.find_word(fields, key) else {
            return default;
        };
        if let Some((_, chosen)) = choices.iter().find(|(name, _)| *name == word.text()) {
            return *chosen;
        }
        self.unknown_word(key, word, &at, choices.iter().map(|(name, _)| *name));
        default
    }

    /// Reports a word that is not among the allowed ones.
    pub(super) fn unknown_word<'a>(
        &mut self,
        key: &str,
        word: Word<'_>,
        at: &At,
        allowed: impl Iterator<Item = &'a str>,
    ) {
        let allowed: Vec<&str> = allowed.collect();
        let message = format!("{key}: unknown word \"{}\"", word.shown());
        let hint = format!("write {}", allowed.join(" or "));
        self.findings
            .push(Finding::error("E0261", at, message).hinted(Some(hint)));
    }

    /// `node` as a value that `subject` names. `None` when it is not one (reported) or unknown here.
    pub(super) fn value(
        &mut self,
        node: &Node,
        at: &At,
        subject: &str,
        sealing: Sealing,
    ) -> Option<Secret> {
        let leaf = match node {
            Node::Leaf(leaf) => leaf,
            Node::List(_) => {
                self.error(
                    "E0214",
                    at,
                    format!("{subject} is a list; write it as JSON text"),
                );
                return None;
            }
            Node::Map(_) => {
                self.error(
                    "E0214",
                    at,
                    format!("{subject} is a map; write it as JSON text"),
                );
                return None;
            }
        };
        if self.is_unknown(leaf) {
            return None;
        }
        match reading(leaf) {
            Reading::Text => {}
            Reading::Nothing => {
                let message = format!("{subject} has no value; write \"\" for an empty text");
                self.error("E0213", at, message);
                return None;
            }
            Reading::Misread(what) => {
                let message = format!("{subject} would be read as {what}; quote it");
                self.error("E0212", at, message);
                return None;
            }
        }
        let must = sealing == Sealing::Required && self.sight != Sight::Typed;
        if must && !leaf.sealed && !leaf.text.is_empty() {
            self.error("E0140", at, format!("{subject} is plaintext"));
            return None;
        }
        Some(leaf.text.clone())
    }

    /// Whether the content of `leaf` cannot be seen here.
    fn is_unknown(&self, leaf: &Leaf) -> bool {
        self.sight == Sight::Sealed && leaf.sealed
    }

    fn wrong_shape(&mut self, at: &At, shape: &str, empty: &str) {
        let message = format!("{} must be {shape}", at.path);
        let hint = format!("write {empty} for an empty one");
        self.findings
            .push(Finding::error("E0208", at, message).hinted(Some(hint)));
    }
}

/// The entries of `map`, each with the place of its value.
pub(super) fn entries<'a>(map: &'a Map, at: &At) -> impl Iterator<Item = (&'a Entry, At)> {
    map.entries()
        .map(|entry| (entry, at.field(&entry.key, entry.value.position())))
}

fn items<'a>(list: &'a List, at: &At) -> Vec<(&'a Node, At)> {
    list.nodes()
        .enumerate()
        .map(|(index, node)| (node, at.item(index, node.position())))
        .collect()
}
