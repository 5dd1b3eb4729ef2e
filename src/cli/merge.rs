//! Merging two versions of a document: values key by key, readers, data key, revision.
//!
//! A reader that one side removed never comes back: neither as a recipient, nor by a data key that
//! he knows. Knows nothing of git.

mod markers;

use jiff::Timestamp;

use crate::crypto::{DataKey, Recipient};
use crate::env::{Finding, Form, Place, Severity, check};
use crate::format::{Format, yaml};
use crate::secret::Secret;
use crate::sops::{Edit, EditError, Opened, Sealed};
use crate::tree::merge::merge;
use crate::tree::{ListItem, Map, MapItem, Node, Path};
use crate::trust::{self, Change, Stamp, Verdict, WriteError, Written};

pub(crate) use markers::{BEGIN, Labels};

/// Both sides of a merge, and what they were made from, if there was anything.
pub(crate) struct Sides {
    pub(crate) base: Option<Opened>,
    pub(crate) ours: Opened,
    pub(crate) theirs: Opened,
}

/// What both sides wanted, as far as they do not contradict each other.
pub(crate) struct Merged {
    /// The side whose text and data key are kept.
    start: Opened,
    other: Opened,
    /// Whether `start` is ours.
    is_ours: bool,
    /// The plaintext, with the values of `start` where both changed the same.
    plain: Secret,
    /// Where that is.
    conflicts: Vec<Path>,
    /// How many values came from `other`.
    taken: usize,
    readers: Vec<Recipient>,
    /// Whether nobody but `readers` may know the data key, which some of them do not now.
    needs_new_key: bool,
    revision: u64,
}

/// Why a merge cannot be sealed.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Unmerged {
    /// A value cannot be put where the other side has it.
    #[error(transparent)]
    Edit(#[from] EditError),
    /// It cannot be sealed.
    #[error(transparent)]
    Write(#[from] WriteError),
    /// What came together is no valid document; the first fault.
    #[error("{}", .0.message)]
    Invalid(Finding),
    /// Nobody could open it, or a reader cannot be sealed for.
    #[error("{0}")]
    Readers(&'static str),
}

impl Sides {
    /// Merges both.
    ///
    /// # Errors
    /// When a value does not fit, or no reader is left.
    pub(crate) fn merge(self) -> Result<Merged, Unmerged> {
        let Self { base, ours, theirs } = self;
        let nothing = Map::default();
        let base_tree = base.as_ref().map_or(&nothing, Opened::tree);
        let base_key = base.as_ref().map(Opened::key);
        let (is_ours, both_new) = start(base_key, base_tree, &ours, &theirs);
        let readers = readers(
            base.as_ref().map(Opened::sealed),
            ours.sealed(),
            theirs.sealed(),
        )?;
        let versions = [base.as_ref(), Some(&ours), Some(&theirs)];
        let revisions = versions.into_iter().flatten();
        let last = revisions
            .filter_map(|one| trust::revision(one.sealed()))
            .max();
        let (start, other) = match is_ours {
            true => (ours, theirs),
            false => (theirs, ours),
        };
        let merge = merge(base_tree, start.tree(), other.tree());
        let taken = merge.takes.len();
        let edits: Vec<Edit> = merge.takes.into_iter().map(Edit::from).collect();
        let plain = start.edit(&edits)?;
        let stays = |key: &str| readers.iter().any(|reader| reader.as_str() == key);
        let needs_new_key = both_new || !start.sealed().recipients().all(stays);
        let is_new = |reader: &Recipient| {
            let mut present = start.sealed().recipients();
            !present.any(|key| key == reader.as_str())
        };
        if needs_new_key || readers.iter().any(is_new) {
            vouched_for(&start)?;
            vouched_for(&other)?;
        }
        Ok(Merged {
            start,
            other,
            is_ours,
            plain,
            conflicts: merge.conflicts,
            taken,
            readers,
            needs_new_key,
            revision: last.unwrap_or(0).saturating_add(1),
        })
    }
}

/// Whether ours is the side to start from, and whether both sides have a data key of their own. The key is
/// that of the side that changed it; where neither did, the side is taken that changed comments, since values
/// can be carried over and comments cannot.
fn start(base_key: Option<&DataKey>, base: &Map, ours: &Opened, theirs: &Opened) -> (bool, bool) {
    if ours.key() == theirs.key() {
        let (base, theirs) = (comments(base), comments(theirs.tree()));
        let only_theirs = comments(ours.tree()) == base && theirs != base;
        return (!only_theirs, false);
    }
    match base_key {
        Some(key) if key == ours.key() => (false, false),
        Some(key) if key == theirs.key() => (true, false),
        _ => (true, true),
    }
}

/// The texts of all comments, in order.
fn comments(map: &Map) -> Vec<&Secret> {
    let mut found = Vec::new();
    for item in &map.items {
        match item {
            MapItem::Comment(comment) => found.push(&comment.text),
            MapItem::Entry(entry) => comments_of(&entry.value, &mut found),
        }
    }
    found
}

fn comments_of<'a>(node: &'a Node, found: &mut Vec<&'a Secret>) {
    match node {
        Node::Map(map) => found.extend(comments(map)),
        Node::List(list) => {
            for item in &list.items {
                match item {
                    ListItem::Comment(comment) => found.push(&comment.text),
                    ListItem::Node(node) => comments_of(node, found),
                }
            }
        }
        Node::Leaf(_) => {}
    }
}

/// Refuses to seal for the readers that `opened` names unless its seal is right. The MAC of SOPS does not cover
/// them: anybody who can commit could have written himself among them, and would get the data key.
fn vouched_for(opened: &Opened) -> Result<(), Unmerged> {
    match trust::verify(opened.sealed(), opened.key()) {
        Verdict::Valid { .. } => Ok(()),
        Verdict::Missing | Verdict::Invalid => Err(Unmerged::Readers(
            "readers changed, and the seal of one side does not vouch for them (sealctl rekey on that side renews it)",
        )),
    }
}

/// Who reads the merged document: everybody that either side has, but for those that either side took out.
fn readers(
    base: Option<&Sealed>,
    ours: &Sealed,
    theirs: &Sealed,
) -> Result<Vec<Recipient>, Unmerged> {
    let list = |sealed: &Sealed| sealed.recipients().map(ToOwned::to_owned).collect();
    let (ours, theirs): (Vec<String>, Vec<String>) = (list(ours), list(theirs));
    let base: Vec<String> = base.map(list).unwrap_or_default();
    let names = merged_readers(&base, &ours, &theirs);
    if names.is_empty() {
        return Err(Unmerged::Readers("no reader is left that both sides have"));
    }
    let parse = |name: &String| name.parse().ok();
    let readers: Option<Vec<Recipient>> = names.iter().map(parse).collect();
    readers.ok_or(Unmerged::Readers("a reader cannot be sealed for"))
}

/// The names of `ours` and those that `theirs` added, without those that either removed.
pub(crate) fn merged_readers(base: &[String], ours: &[String], theirs: &[String]) -> Vec<String> {
    let was_removed =
        |name: &&String| base.contains(name) && !(ours.contains(name) && theirs.contains(name));
    let added = theirs.iter().filter(|name| !ours.contains(name));
    let all = ours.iter().chain(added);
    all.filter(|name| !was_removed(name)).cloned().collect()
}

impl Merged {
    /// Where both sides changed the same value, by the last names of their paths.
    pub(crate) fn conflicts(&self) -> Vec<String> {
        let name = |path: &Path| path.keys().next_back().unwrap_or_default().to_owned();
        self.conflicts.iter().map(name).collect()
    }

    /// How many values each side gave to the other.
    pub(crate) fn taken(&self) -> usize {
        self.taken
    }

    /// Whether the text is that of ours, and the values were taken from theirs.
    pub(crate) fn is_ours(&self) -> bool {
        self.is_ours
    }

    /// The side whose text and data key are kept.
    pub(crate) fn start(&self) -> &Opened {
        &self.start
    }

    /// The plaintext with both values, between markers, where both sides changed the same.
    pub(crate) fn plain(&self, labels: &Labels<'_>) -> Secret {
        self.marked(&self.plain, &self.other.text(), labels)
    }

    /// The sealed document.
    ///
    /// # Errors
    /// When what came together is no valid document, or cannot be sealed.
    pub(crate) fn seal(&self, now: Timestamp) -> Result<Written, Unmerged> {
        self.seal_as(&self.plain, now)
    }

    /// The sealed document, with `plain` as its plaintext.
    ///
    /// # Errors
    /// As [`Self::seal`].
    pub(crate) fn seal_as(&self, plain: &Secret, now: Timestamp) -> Result<Written, Unmerged> {
        refuse_faults(plain)?;
        let stamp = Stamp {
            revision: self.revision,
            now,
            expires: None,
        };
        let change = Change::Merged {
            opened: &self.start,
            other: &self.other,
            plain,
        };
        let written = trust::write(&change, &stamp)?;
        if !self.needs_new_key && self.are_readers_of(&written.sealed) {
            return Ok(written);
        }
        let opened = written.sealed.open(&written.key);
        let opened = opened.map_err(|_| Unmerged::Readers("the merged document does not open"))?;
        let change = Change::Readers {
            opened: &opened,
            recipients: &self.readers,
            new_key: self.needs_new_key,
        };
        Ok(trust::write(&change, &stamp)?)
    }

    fn are_readers_of(&self, sealed: &Sealed) -> bool {
        let is_wanted = |key: &str| self.readers.iter().any(|one| one.as_str() == key);
        sealed.recipients().all(is_wanted) && sealed.recipients().count() == self.readers.len()
    }

    /// The sealed document with both ciphertexts, between markers, where both sides changed the same, so that
    /// nothing takes it for a good one.
    ///
    /// # Errors
    /// As [`Self::seal`].
    pub(crate) fn seal_marked(
        &self,
        now: Timestamp,
        labels: &Labels<'_>,
    ) -> Result<Secret, Unmerged> {
        let written = self.seal(now)?;
        let other = self.other.sealed().text();
        Ok(self.marked(written.sealed.text(), other, labels))
    }

    fn marked(&self, start: &Secret, other: &Secret, labels: &Labels<'_>) -> Secret {
        let labels = match self.is_ours {
            true => *labels,
            false => labels.swapped(),
        };
        markers::between(start, other, &self.conflicts, &labels)
    }
}

fn refuse_faults(plain: &Secret) -> Result<(), Unmerged> {
    let text = plain.expose_text().unwrap_or_default();
    let Ok(tree) = yaml::parse(text) else {
        return Err(Unmerged::Readers("the merged text is not valid YAML"));
    };
    let faults = check(&tree, Form::Typed, &Place::default()).findings;
    let first = faults
        .into_iter()
        .find(|one| one.severity == Severity::Error);
    first.map_or(Ok(()), |fault| Err(Unmerged::Invalid(fault)))
}

/// Whether `text` holds the line that begins a conflict.
pub(crate) fn is_marked(text: &Secret) -> bool {
    let mut lines = text.expose().split(|byte| *byte == b'\n');
    lines.any(|line| line.starts_with(BEGIN.as_bytes()))
}

impl Sides {
    /// The three versions of a document as texts, opened by `open`.
    ///
    /// `None` when one of them is no sealed document, or does not open.
    pub(crate) fn open(
        [base, ours, theirs]: [&Secret; 3],
        open: impl Fn(Sealed) -> Option<Opened>,
    ) -> Option<Self> {
        let read = |text: &Secret| open(Sealed::parse(Format::Yaml, text).ok()?);
        Self::of(base, read(ours)?, read(theirs)?, &open)
    }

    /// Both sides, and the text that they were made from; an empty one is none.
    pub(crate) fn of(
        base: &Secret,
        ours: Opened,
        theirs: Opened,
        open: impl Fn(Sealed) -> Option<Opened>,
    ) -> Option<Self> {
        let base = match base.expose().trim_ascii().is_empty() {
            true => None,
            false => {
                let base = Sealed::parse(Format::Yaml, base).ok()?;
                // Who became a reader later has its data key from a later version.
                let by_key = |key: &DataKey| base.clone().open(key).ok();
                let opened = by_key(ours.key()).or_else(|| by_key(theirs.key()));
                Some(opened.or_else(|| open(base.clone()))?)
            }
        };
        Some(Self { base, ours, theirs })
    }
}
