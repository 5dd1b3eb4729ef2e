//! What superuser runs leave behind: the end of Jobs that the document no longer asks for is recorded and
//! their finalizer comes off; credentials are deleted. Knows nothing of the run that is wanted now but its id.

use std::collections::BTreeMap;

use super::{is_our_job, look_at_job, record, release};
use crate::plan::desired::DesiredSuperuser;
use crate::plan::effect::{Effect, Look};
use crate::plan::next::Next;
use crate::plan::record::Word;
use crate::plan::snapshot::{JobSeen, JobState, ObjectSeen, Seen};
use crate::plan::state::State;

/// Jobs of runs that the document no longer asks for.
pub(super) struct Leftovers<'a> {
    pub(super) state: &'a State,
    pub(super) user: Option<&'a DesiredSuperuser>,
}

impl Leftovers<'_> {
    fn jobs(&self) -> impl Iterator<Item = &JobSeen> {
        let id = self.user.map(|user| user.id.as_str());
        let jobs = self.state.jobs.iter().flat_map(BTreeMap::values);
        jobs.filter(move |job| is_our_job(self.state, job) && job.bootstrap_id.as_deref() != id)
    }

    /// Records and releases one that has ended.
    pub(super) fn end(&self) -> Option<Next> {
        let job = self
            .jobs()
            .find(|job| job.held && job.state != JobState::Running)?;
        let known = &self.state.record.present()?.record.bootstrap;
        match &job.bootstrap_id {
            Some(id) if job.state == JobState::Succeeded && !known.contains_key(id) => {
                record(self.state, id, Word::Exists)
            }
            Some(_) | None => Some(release(job)),
        }
    }

    /// Waits while one of them runs.
    pub(super) fn wait_for_end(&self) -> Option<Next> {
        let running = self.jobs().any(|job| job.state == JobState::Running);
        running.then_some(Next::Wait(None))
    }
}

/// Removes everything that runs have left, and the run that is under way: with the SealedEnv nobody is left
/// to follow it. `None` when nothing is left.
pub(in crate::plan) fn remove(state: &State) -> Option<Next> {
    if let Some(next) = look_at_job(state) {
        return Some(next);
    }
    let Some(jobs) = &state.jobs else {
        return Some(Next::Wait(None));
    };
    let mut ours = jobs.values().filter(|job| is_our_job(state, job));
    let delete = |job: &JobSeen| {
        let (name, version) = (job.name.clone(), job.version.clone());
        match (job.deleting, job.held) {
            (false, _) => Some(Next::Act(Effect::DeleteJob { name, version })),
            (true, true) => Some(Next::Act(Effect::ReleaseJob { name, version })),
            (true, false) => None,
        }
    };
    ours.find_map(delete).or_else(|| clean_up(state))
}

/// Deletes the credentials, when they are there.
pub(super) fn clean_up(state: &State) -> Option<Next> {
    match &state.credentials {
        Seen::Unknown => Some(Next::Look(Look {
            credentials: true,
            ..Look::default()
        })),
        Seen::Present(seen) if is_our_secret(state, seen) => {
            Some(Next::Act(Effect::DeleteCredentials(seen.version.clone())))
        }
        Seen::Present(_) | Seen::Absent => None,
    }
}

/// Whether the credentials are ours, or were left by a SealedEnv of the same name.
pub(super) fn is_our_secret(state: &State, seen: &ObjectSeen) -> bool {
    let owner = &state.owner;
    let left = seen.managed && seen.environment.as_deref() == Some(&owner.environment);
    seen.owner.as_deref() == Some(&owner.name)
        && (left || seen.owner_uid.as_deref() == Some(&owner.uid))
}
