//! Which workloads read which object, what their pods run, and which of them must be rolled.
//!
//! Three rules decide:
//!
//! 1. An object is not changed before each known reader has an entry in the record, up to date with
//!    its template. So a crash between an object and its stamp is seen.
//! 2. A workload is stamped when what it read differs from what is there now, over the *recorded*
//!    references, and its marker has not become the wanted one since the entry was recorded. Otherwise
//!    only the entry changes: a template that somebody else edited has rolled by that alone.
//! 3. A workload without an entry and without the wanted marker is recorded and not stamped when its
//!    pods cannot have read anything older. Otherwise, also when the times are equal, it is stamped.
//!
//! Content may also come back: before an object changes, the record says since when it holds something
//! else than its readers run. When it holds the same again, a pod that started in between runs the other.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;

use super::record::{Entry, Keys, Read};
use super::snapshot::{ObjectId, PodsSeen, Workload};
use crate::digest::Digest;

/// One delivered object, as far as its readers are concerned.
#[derive(Debug, Clone, Copy)]
pub(super) struct Live<'a> {
    /// What is in the cluster now; `None` when the object is absent.
    pub(super) now: Option<&'a BTreeMap<String, Digest>>,
    /// What the document asks for.
    pub(super) wanted: &'a BTreeMap<String, Digest>,
    /// When it was changed last.
    pub(super) changed_at: Option<Timestamp>,
    /// When others changed it, if that has not been put right.
    pub(super) disturbed_at: Option<Timestamp>,
    /// Whether this process created it and has not changed it since.
    pub(super) fresh: bool,
}

/// All delivered objects of a document.
pub(super) type Objects<'a> = BTreeMap<&'a ObjectId, Live<'a>>;

/// What a workload reads of one object.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Usage {
    keys: Keys,
    /// Whether its pods cannot start without the object.
    required: bool,
}

/// What the pods of a workload are found to run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Judgement {
    /// What is there now: the entry to record.
    Current(Entry),
    /// Something older: the entry to keep (or to record) until the workload is stamped.
    Behind(Entry),
    /// Cannot be told before its pods were looked at.
    LookAtPods,
}

/// What `workload` reads of `objects`, by object. Empty when it is no reader.
pub(super) fn usage(workload: &Workload, objects: &Objects<'_>) -> BTreeMap<ObjectId, Usage> {
    let mut all: BTreeMap<ObjectId, Usage> = BTreeMap::new();
    for reference in &workload.references {
        if !objects.contains_key(&reference.object) {
            continue;
        }
        let usage = all
            .entry(reference.object.clone())
            .or_insert_with(|| Usage {
                keys: Keys::Some(BTreeSet::new()),
                required: false,
            });
        usage.required |= !reference.optional;
        match (&reference.key, &mut usage.keys) {
            (Some(key), Keys::Some(keys)) => {
                keys.insert(key.clone());
            }
            (None, keys) => *keys = Keys::All,
            (Some(_), Keys::All) => {}
        }
    }
    all
}

/// Digest over the `keys` of an object with the content `content`.
pub(super) fn read_digest(keys: &Keys, content: Option<&BTreeMap<String, Digest>>) -> Digest {
    let Some(content) = content else {
        return Digest::combine([&b"absent"[..]]);
    };
    let mut parts: Vec<&[u8]> = vec![b"present"];
    match keys {
        Keys::All => {
            for (name, digest) in content {
                parts.extend([name.as_bytes(), digest.as_bytes()]);
            }
        }
        Keys::Some(names) => {
            for name in names {
                parts.push(name.as_bytes());
                parts.push(
                    content
                        .get(name)
                        .map_or(&b""[..], |digest| digest.as_bytes()),
                );
            }
        }
    }
    Digest::combine(parts)
}

/// Digest over everything that an entry reads: the text of the marker.
pub(super) fn marker(reads: &BTreeMap<ObjectId, Read>) -> Digest {
    let kinds: Vec<_> = reads.keys().map(|id| id.kind.to_string()).collect();
    let parts = reads.iter().zip(&kinds).flat_map(|((id, read), kind)| {
        [kind.as_bytes(), id.name.as_bytes(), read.digest.as_bytes()]
    });
    Digest::combine(parts)
}

/// The entry of a workload whose pods run what is there now. Without reads when it is no reader.
pub(super) fn current_entry(
    workload: &Workload,
    marker: Option<&str>,
    objects: &Objects<'_>,
) -> Entry {
    let read = |(id, usage): (ObjectId, Usage)| {
        let digest = read_digest(&usage.keys, present(usage.required, objects.get(&id)?));
        let keys = usage.keys;
        let read = Read {
            keys,
            digest,
            left: None,
        };
        Some((id, read))
    };
    Entry {
        uid: workload.version.uid.clone(),
        marker: marker.map(str::to_owned),
        reads: usage(workload, objects)
            .into_iter()
            .filter_map(read)
            .collect(),
    }
}

/// The marker that makes a workload roll: `content`, or, where the template carried that one already
/// when `entry` was recorded, another one for the same content.
pub(super) fn stamp_for(content: Digest, entry: Option<&Entry>) -> Digest {
    let carried = entry.and_then(|entry| entry.marker.as_deref());
    if carried.and_then(|text| text.parse().ok()) == Some(content) {
        again(content)
    } else {
        content
    }
}

/// The second marker for the same content.
pub(super) fn again(content: Digest) -> Digest {
    Digest::combine([content.as_bytes(), b"again"])
}

/// What pods find there. A required object that is absent counts with the content that it will get,
/// since no pod can start before.
fn present<'a>(required: bool, live: &Live<'a>) -> Option<&'a BTreeMap<String, Digest>> {
    match live.now {
        None if required => Some(live.wanted),
        now => now,
    }
}

/// Judges what the pods of `workload` run, from its recorded `entry`, its marker and its pods.
/// `current` is its entry if they run what is there now.
pub(super) fn judge(
    workload: &Workload,
    current: Entry,
    entry: Option<&Entry>,
    pods: Option<&PodsSeen>,
    objects: &Objects<'_>,
    now: Timestamp,
) -> Judgement {
    let stamp = stamp_for(marker(&current.reads), entry);
    let stamped = current.marker.as_deref().and_then(|text| text.parse().ok()) == Some(stamp);
    let judgement = match entry {
        _ if stamped => Judgement::Current(current),
        Some(entry) if is_behind(workload, entry, objects) => Judgement::Behind(entry.clone()),
        Some(entry) => judge_after_return(current, entry, pods, objects),
        None => judge_by_pods(workload, current, pods, objects),
    };
    match judgement {
        Judgement::Current(entry) => Judgement::Current(doubted(workload, entry, objects, now)),
        Judgement::Behind(entry) => Judgement::Behind(doubted(workload, entry, objects, now)),
        Judgement::LookAtPods => Judgement::LookAtPods,
    }
}

/// `entry` with the moment since when each object may hold something else than its pods have read:
/// because it does, or because it is about to be written.
fn doubted(workload: &Workload, entry: Entry, objects: &Objects<'_>, now: Timestamp) -> Entry {
    let used = usage(workload, objects);
    let mut entry = entry;
    for (id, read) in &mut entry.reads {
        let Some(live) = objects.get(id) else {
            continue;
        };
        let required = used.get(id).is_some_and(|usage| usage.required);
        let is = |content| read.digest == read_digest(&read.keys, content);
        let since = if !is(present(required, live)) {
            live.disturbed_at.or(live.changed_at).or(Some(now))
        } else if !is(Some(live.wanted)) {
            Some(now)
        } else {
            None
        };
        let since = since.and_then(whole_second);
        read.left = [read.left, since].into_iter().flatten().min();
    }
    entry
}

/// Times in the cluster have whole seconds.
fn whole_second(moment: Timestamp) -> Option<Timestamp> {
    Timestamp::from_second(moment.as_second()).ok()
}

/// What was read according to `entry` is there now, but other content may have been in between.
fn judge_after_return(
    current: Entry,
    entry: &Entry,
    pods: Option<&PodsSeen>,
    objects: &Objects<'_>,
) -> Judgement {
    let (mut current, mut behind) = (current, entry.clone());
    let mut other = false;
    for (id, read) in &entry.reads {
        let (Some(live), Some(left)) = (objects.get(id), read.left) else {
            continue;
        };
        if read.digest != read_digest(&read.keys, Some(live.wanted)) {
            // About to change again: told apart when it comes back.
            if let Some(read) = current.reads.get_mut(id) {
                read.left = Some(left);
            }
            continue;
        }
        let Some(pods) = pods else {
            return Judgement::LookAtPods;
        };
        if started_between(pods, left, live.changed_at)
            && let Some(read) = behind.reads.get_mut(id)
        {
            read.digest = unknown();
            other = true;
        }
    }
    if other {
        Judgement::Behind(behind)
    } else {
        Judgement::Current(current)
    }
}

/// No content has this digest, so an entry with it stays behind until the stamp.
fn unknown() -> Digest {
    Digest::combine([&b"unknown"[..]])
}

/// Whether what was read according to `entry` differs from what is there now.
fn is_behind(workload: &Workload, entry: &Entry, objects: &Objects<'_>) -> bool {
    let used = usage(workload, objects);
    entry.reads.iter().any(|(id, read)| {
        let Some(live) = objects.get(id) else {
            return false;
        };
        let required = used.get(id).is_some_and(|usage| usage.required);
        // An object that is gone will come back with the wanted content; running pods still have what
        // they read, so they are judged against that.
        let content = present(required, live);
        read.digest != read_digest(&read.keys, content)
    })
}

/// The third rule: without an entry and without the wanted marker.
fn judge_by_pods(
    workload: &Workload,
    current: Entry,
    pods: Option<&PodsSeen>,
    objects: &Objects<'_>,
) -> Judgement {
    let used = usage(workload, objects);
    let mut behind = Entry {
        reads: BTreeMap::new(),
        ..current.clone()
    };
    let mut older = false;
    for (id, read) in &current.reads {
        let (Some(live), Some(usage)) = (objects.get(id), used.get(id)) else {
            continue;
        };
        let mut read = read.clone();
        if !(usage.required && (live.now.is_none() || live.fresh)) && live.now.is_some() {
            let Some(pods) = pods else {
                return Judgement::LookAtPods;
            };
            if !started_after(pods, live.changed_at) {
                read.digest = unknown();
                older = true;
            }
        }
        behind.reads.insert(id.clone(), read);
    }
    if older {
        Judgement::Behind(behind)
    } else {
        Judgement::Current(current)
    }
}

/// Whether no container started at or before `moment`. Both times have whole seconds, so equal ones
/// prove nothing.
fn started_after(pods: &PodsSeen, moment: Option<Timestamp>) -> bool {
    match (pods.starts.first(), moment) {
        (None, _) => true,
        (Some(start), Some(moment)) => *start > moment,
        (Some(_), None) => false,
    }
}

/// Whether a container may have started from `first` to `last`; without `last`, at any time since. A
/// start that is not known may lie anywhere.
fn started_between(pods: &PodsSeen, first: Timestamp, last: Option<Timestamp>) -> bool {
    let lies_between = |start: &Timestamp| {
        *start == Timestamp::UNIX_EPOCH
            || (*start >= first && last.is_none_or(|last| *start <= last))
    };
    pods.starts.iter().any(lies_between)
}
