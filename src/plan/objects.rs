//! The objects of a document: whose they are, whether they are in place, which is written next.
//!
//! A foreign object stops the whole document before its first write, and no object is changed before
//! the record is up to date with its readers.

use std::collections::BTreeMap;

use super::conditions::{ConditionKind, Finding, Target, TargetState};
use super::desired::{Desired, DesiredObject};
use super::effect::{Depth, Effect, Guard, Look, Outcome};
use super::next::Next;
use super::recording;
use super::rollout::{self, Judgements};
use super::snapshot::{ObjectId, ObjectSeen, Seen, Version};
use super::state::State;
use super::usage::{Live, Objects};
use crate::clock::Now;
use crate::reason::Reason;
use crate::vocabulary;

/// Whose an object is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Ownership {
    Ours,
    /// Ours to take: left by a SealedEnv of the same name, or handed over by annotation.
    ToTake,
    /// Another SealedEnv's.
    Claimed,
    Foreign,
}

/// What to do about the objects: `None` when all are in place.
pub(super) fn next(state: &State, desired: &Desired, now: Now) -> (Option<Next>, Finding) {
    let progress = Finding::unknown(Outcome::new(
        Reason::Progressing,
        "objects are being written",
    ));
    if let Some(outcome) = contested(desired) {
        return (Some(Next::Wait(None)), Finding::of(outcome));
    }
    let look = what_to_look_at(state, desired);
    if !look.is_empty() {
        return (
            Some(Next::Look(Look {
                objects: look,
                ..Look::default()
            })),
            progress,
        );
    }
    if let Some(outcome) = obstacle(state, desired) {
        return (Some(Next::Wait(None)), Finding::of(outcome));
    }
    let Some(object) = desired
        .objects
        .iter()
        .find(|object| !is_current(state, object))
    else {
        let message = format!("{} objects are in place", desired.objects.len());
        return (None, Finding::of(Outcome::new(Reason::Applied, message)));
    };
    match rollout::judgements(state, desired, now) {
        Judgements::Later(until) => (Some(Next::Wait(Some(until))), progress),
        Judgements::NotKnownYet => (Some(Next::Wait(None)), progress),
        Judgements::Look(look) => (Some(Next::Look(look)), progress),
        Judgements::Known(judgements) => {
            let write = recording::early(state, desired, &judgements);
            (
                Some(Next::Act(write.unwrap_or_else(|| apply(state, object)))),
                progress,
            )
        }
    }
}

/// The objects as their readers find them. Empty entries for those not looked at.
pub(super) fn live<'a>(state: &'a State, desired: &'a Desired) -> Objects<'a> {
    let of = |object: &'a DesiredObject| {
        let seen = state.objects.get(&object.id).and_then(Seen::present);
        let now = match seen {
            Some(_) if is_current(state, object) => Some(&object.keys),
            Some(seen) => seen.keys.as_ref(),
            None => None,
        };
        let changed_at = seen.and_then(|seen| seen.changed_at);
        let disturbed_at = seen.and_then(|seen| seen.disturbed_at);
        let fresh = state.fresh.contains(&object.id);
        (
            &object.id,
            Live {
                now,
                wanted: &object.keys,
                changed_at,
                disturbed_at,
                fresh,
            },
        )
    };
    desired.objects.iter().map(of).collect()
}

/// Targets for the status: those of the document, and those that are still to be deleted.
pub(super) fn targets(state: &State, desired: &Desired) -> Vec<Target> {
    let mut targets: Vec<Target> = desired
        .objects
        .iter()
        .map(|object| target(state, object))
        .collect();
    let left = state
        .status
        .targets
        .iter()
        .filter(|target| desired.object(&target.id).is_none());
    for former in left {
        if state.objects.get(&former.id) != Some(&Seen::Absent) && !is_lost(state, &former.id) {
            targets.push(Target {
                state: TargetState::Pending,
                ..former.clone()
            });
        }
    }
    targets
}

/// What is left to delete: objects of ours that the document no longer asks for and no pod template
/// names. `None` when there is nothing to do.
pub(super) fn prune(state: &State, desired: &Desired) -> Option<Next> {
    let targets = state.status.targets.iter().map(|target| &target.id);
    let left = targets.filter(|id| {
        let stays = desired.object(id).is_some() || is_named(state, id);
        !stays && !state.not_prunable.contains(id)
    });
    delete(state, left.cloned())
}

/// The first of `ids` to delete, else those to look at before. `None` when all of them are gone or stay.
pub(super) fn delete(state: &State, ids: impl IntoIterator<Item = ObjectId>) -> Option<Next> {
    let mut look = BTreeMap::new();
    for id in ids {
        match leaving(state, &id) {
            Leaving::Unknown => {
                look.insert(id, Depth::Metadata);
            }
            Leaving::Goes(version) => {
                return Some(Next::Act(Effect::DeleteObject { id, version }));
            }
            Leaving::Stays => {}
        }
    }
    (!look.is_empty()).then(|| {
        Next::Look(Look {
            objects: look,
            ..Look::default()
        })
    })
}

/// What becomes of an object that nobody asks for any more.
enum Leaving {
    /// It has to be looked at.
    Unknown,
    /// It is gone, not ours, or kept by `prune: false`.
    Stays,
    /// It is deleted, with this guard.
    Goes(Version),
}

/// What becomes of the object `id` when nobody asks for it any more.
fn leaving(state: &State, id: &ObjectId) -> Leaving {
    match state.objects.get(id) {
        None | Some(Seen::Unknown) => Leaving::Unknown,
        Some(Seen::Present(seen)) if ownership(state, seen) == Ownership::Ours && !seen.keep => {
            Leaving::Goes(seen.version.clone())
        }
        Some(Seen::Present(_) | Seen::Absent) => Leaving::Stays,
    }
}

/// Whether an object is exactly as the document asks.
pub(super) fn is_current(state: &State, object: &DesiredObject) -> bool {
    let Some(Seen::Present(seen)) = state.objects.get(&object.id) else {
        return false;
    };
    if ownership(state, seen) != Ownership::Ours || seen.content != Some(object.content) {
        return false;
    }
    match &seen.keys {
        Some(keys) => *keys == object.keys,
        None => is_as_we_left_it(state, seen, object),
    }
}

/// Whether metadata alone proves the content: the version is the one that our last write returned.
fn is_as_we_left_it(state: &State, seen: &ObjectSeen, object: &DesiredObject) -> bool {
    state.status.targets.iter().any(|target| {
        target.id == object.id
            && target.state == TargetState::Applied
            && target.uid == seen.version.uid
            && target.resource_version == seen.version.resource
            && target.content_hash == Some(object.content)
    })
}

fn contested(desired: &Desired) -> Option<Outcome> {
    let (id, other) = desired.contested.iter().next()?;
    let message =
        format!("{id} is claimed by the SealedEnv {other}; let one of the two name another");
    Some(Outcome::new(Reason::DuplicateTarget, message))
}

fn what_to_look_at(state: &State, desired: &Desired) -> BTreeMap<ObjectId, Depth> {
    let mut look = BTreeMap::new();
    for object in &desired.objects {
        let depth = match state.objects.get(&object.id) {
            _ if state.look_again.contains(&object.id) => Some(Depth::Metadata),
            None | Some(Seen::Unknown) if state.untouched => Some(Depth::Absence),
            None | Some(Seen::Unknown) => Some(Depth::Metadata),
            Some(Seen::Present(seen)) if seen.keys.is_none() && !is_current(state, object) => {
                Some(Depth::Content)
            }
            Some(Seen::Present(_) | Seen::Absent) => None,
        };
        if let Some(depth) = depth {
            look.insert(object.id.clone(), depth);
        }
    }
    look
}

/// What forbids every write, if anything does.
fn obstacle(state: &State, desired: &Desired) -> Option<Outcome> {
    desired.objects.iter().find_map(|object| {
        let seen = state.objects.get(&object.id)?.present()?;
        let id = &object.id;
        match ownership(state, seen) {
            Ownership::Ours | Ownership::ToTake => {}
            Ownership::Claimed => {
                let other = seen.owner.as_deref().unwrap_or("another");
                let message = format!("{id} belongs to the SealedEnv {other}");
                return Some(Outcome::new(Reason::DuplicateTarget, message));
            }
            Ownership::Foreign => return Some(not_owned(state, id)),
        }
        changes_immutably(seen, object).then(|| {
            let message = format!(
                "{id} is immutable or of another type; delete it to let seald make it anew"
            );
            Outcome::new(Reason::ImmutableObject, message)
        })
    })
}

fn not_owned(state: &State, id: &ObjectId) -> Outcome {
    let kind = id.kind.to_string().to_lowercase();
    let message = format!(
        "{id} is not ours; to hand it over: kubectl annotate {kind} {} {}={}",
        id.name,
        vocabulary::ADOPT,
        state.owner.name
    );
    Outcome::new(Reason::ObjectNotOwned, message)
}

fn changes_immutably(seen: &ObjectSeen, object: &DesiredObject) -> bool {
    let Some(keys) = &seen.keys else { return false };
    let other_type = !seen.secret_type.is_empty() && seen.secret_type != object.secret_type;
    other_type || (seen.immutable && *keys != object.keys)
}

fn ownership(state: &State, seen: &ObjectSeen) -> Ownership {
    let owner = &state.owner;
    if seen.adopt.as_deref() == Some(&owner.name) && seen.owner.is_none() {
        return Ownership::ToTake;
    }
    match &seen.owner {
        Some(name) if *name == owner.name => {
            if seen.owner_uid.as_deref() == Some(&owner.uid) {
                Ownership::Ours
            } else if seen.environment.as_deref() == Some(&owner.environment) && seen.managed {
                Ownership::ToTake
            } else {
                Ownership::Foreign
            }
        }
        Some(_) if seen.managed => Ownership::Claimed,
        Some(_) | None => Ownership::Foreign,
    }
}

/// Whether an object exists and is not ours (any more).
fn is_lost(state: &State, id: &ObjectId) -> bool {
    let seen = state.objects.get(id).and_then(Seen::present);
    seen.is_some_and(|seen| ownership(state, seen) != Ownership::Ours || seen.keep)
}

fn is_named(state: &State, id: &ObjectId) -> bool {
    let mut workloads = state.workloads.iter().flat_map(BTreeMap::values);
    workloads.any(|workload| {
        workload
            .references
            .iter()
            .any(|reference| reference.object == *id)
    })
}

fn apply(state: &State, object: &DesiredObject) -> Effect {
    let seen = state.objects.get(&object.id).and_then(Seen::present);
    let guard = seen.map_or(Guard::Create, |seen| Guard::Update(seen.version.clone()));
    let remove = seen.map_or_else(Vec::new, |seen| {
        seen.foreign_keys
            .iter()
            .filter(|key| !object.keys.contains_key(*key))
            .cloned()
            .collect()
    });
    Effect::ApplyObject {
        id: object.id.clone(),
        content: object.content,
        guard,
        remove,
    }
}

fn target(state: &State, object: &DesiredObject) -> Target {
    let seen = state.objects.get(&object.id).and_then(Seen::present);
    let kind = match seen {
        Some(_) if is_current(state, object) => TargetState::Applied,
        Some(seen) => match ownership(state, seen) {
            Ownership::Ours | Ownership::ToTake => TargetState::Pending,
            Ownership::Claimed | Ownership::Foreign => TargetState::Foreign,
        },
        None => TargetState::Pending,
    };
    let ours = seen.filter(|_| kind != TargetState::Foreign);
    Target {
        id: object.id.clone(),
        uid: ours.map_or_else(String::new, |seen| seen.version.uid.clone()),
        // Only where it proves the content: an object that somebody else changed has a version, too.
        resource_version: ours
            .filter(|_| kind == TargetState::Applied)
            .map_or_else(String::new, |seen| seen.version.resource.clone()),
        keys: object.keys.len(),
        content_hash: ours.and_then(|seen| seen.content),
        state: kind,
    }
}

/// Names of the keys that writing `object` changes, for the Event `KeysChanged`.
pub(super) fn changed_keys(state: &State, object: &DesiredObject) -> Vec<String> {
    let former = state
        .objects
        .get(&object.id)
        .and_then(Seen::present)
        .and_then(|seen| seen.keys.as_ref());
    let Some(former) = former else {
        return object.keys.keys().map(|key| format!("+ {key}")).collect();
    };
    let mut names = Vec::new();
    for (key, digest) in &object.keys {
        match former.get(key) {
            None => names.push(format!("+ {key}")),
            Some(old) if old != digest => names.push(format!("~ {key}")),
            Some(_) => {}
        }
    }
    let gone = former.keys().filter(|key| !object.keys.contains_key(*key));
    names.extend(gone.map(|key| format!("- {key}")));
    names
}

/// The stage in which failed writes of objects and of the record show.
pub(super) const CONDITION: ConditionKind = ConditionKind::Applied;
