//! The end of a SealedEnv: the finalizer that keeps it until its objects are deleted, and what goes with it.
//!
//! Only what this very SealedEnv wrote is deleted, and only under `deletionPolicy: Delete`. Works without
//! its document: what was written stands in the status.

use std::collections::BTreeSet;

use super::conditions::Finding;
use super::effect::{DocumentSeen, Effect, Outcome};
use super::next::Next;
use super::objects;
use super::snapshot::{ObjectId, Seen};
use super::state::State;
use super::superuser;
use crate::reason::Reason;

/// What to do first because of how the SealedEnv ends, with what `Applied` says meanwhile. `None` when it
/// lives and its finalizer is as its policy asks.
pub(super) fn next(state: &State, document: &DocumentSeen) -> Option<(Next, Finding)> {
    let life = document.life;
    if !life.deleting {
        let write = Effect::WriteFinalizer {
            present: life.takes_objects,
        };
        return (life.held != life.takes_objects)
            .then(|| (Next::Act(write), progress("the finalizer is being written")));
    }
    // Suspended means that nothing is written, so nothing is deleted either.
    let spared = document.suspend || !life.takes_objects;
    let cleaned = (!spared).then(|| clean_up(state)).flatten();
    let release = Next::Act(Effect::WriteFinalizer { present: false });
    Some((
        cleaned.unwrap_or(release),
        progress("what belongs to it is being deleted"),
    ))
}

fn progress(message: &str) -> Finding {
    Finding::unknown(Outcome::new(Reason::Progressing, message))
}

/// The next thing to look at or to delete; `None` when nothing of ours is left.
fn clean_up(state: &State) -> Option<Next> {
    // Objects go also while a pod template names them: whoever deletes the SealedEnv has asked for it.
    objects::delete(state, written(state))
        .or_else(|| superuser::remove(state))
        .or_else(|| (state.record != Seen::Absent).then_some(Next::Act(Effect::DeleteRecord)))
}

/// Everything that may have been written for it: what the status names, and what the document names.
fn written(state: &State) -> BTreeSet<ObjectId> {
    let targets = state.status.targets.iter().map(|target| &target.id);
    let desired = state.desired().into_iter();
    let wanted = desired.flat_map(|desired| desired.objects.iter().map(|object| &object.id));
    targets.chain(wanted).cloned().collect()
}
