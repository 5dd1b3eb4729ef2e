//! Creating Django's first superuser, once.
//!
//! A run is known by its id. Its end is recorded before the Job may be collected (a finalizer holds it),
//! and the credentials leave the cluster whatever the end is.

mod leftovers;
mod request;

use std::collections::BTreeMap;

pub(super) use self::leftovers::remove;
use self::leftovers::{Leftovers, clean_up, is_our_secret};
use self::request::Request;
use super::conditions::{BootstrapState, BootstrapStatus, Finding, Truth};
use super::desired::{Desired, DesiredSuperuser};
use super::effect::{Effect, Guard, Look, Outcome};
use super::next::Next;
use super::record::{Bootstrapped, Record, Word};
use super::snapshot::{JobSeen, JobState, ObjectSeen, Seen};
use super::state::State;
use crate::clock::Now;
use crate::env::After;
use crate::reason::Reason;
use crate::vocabulary;

/// How the run stands, and what to do next.
pub(super) struct Bootstrap {
    pub(super) next: Option<Next>,
    pub(super) finding: Finding,
    pub(super) status: Option<BootstrapStatus>,
}

/// What to do about the superuser; `rolled_out` says whether the workloads run the content.
pub(super) fn next(state: &State, desired: &Desired, rolled_out: bool, now: Now) -> Bootstrap {
    let former = state.status.bootstrap.as_ref();
    let user = desired.superuser.as_ref();
    if user.is_none() && former.is_none() {
        return not_requested(None, None);
    }
    if state.jobs.is_none() {
        let finding = Finding::unknown(Outcome::new(Reason::Progressing, "Jobs are being listed"));
        return Bootstrap {
            next: Some(Next::Wait(None)),
            finding,
            status: former.cloned(),
        };
    }
    let leftovers = Leftovers { state, user };
    let first = look_at_job(state).or_else(|| leftovers.end());
    let Some(user) = user else {
        let next = first
            .or_else(|| leftovers.wait_for_end())
            .or_else(|| clean_up(state));
        let status = next.is_some().then(|| former.cloned()).flatten();
        return not_requested(next, status);
    };
    let run = Run {
        state,
        user,
        job_name: vocabulary::bootstrap_job(&state.owner.name, &user.id),
        now,
    };
    let mut bootstrap = run.next(rolled_out);
    bootstrap.next = first.or(bootstrap.next);
    bootstrap
}

fn not_requested(next: Option<Next>, status: Option<BootstrapStatus>) -> Bootstrap {
    let finding = Finding::of(Outcome::new(
        Reason::NotRequested,
        "the document asks for no superuser",
    ));
    Bootstrap {
        next,
        finding,
        status,
    }
}

/// Reads a Job that was made, or changed, with an outcome that nobody has seen yet.
fn look_at_job(state: &State) -> Option<Next> {
    let job = state.job_doubt.clone();
    job.is_some().then(|| {
        Next::Look(Look {
            job,
            ..Look::default()
        })
    })
}

fn is_our_job(state: &State, job: &JobSeen) -> bool {
    job.owner.as_deref() == Some(&state.owner.name)
        && job.owner_uid.as_deref() == Some(&state.owner.uid)
}

/// The write that puts a success into the record.
fn record(state: &State, id: &str, word: Word) -> Option<Next> {
    let seen = state.record.present()?;
    let mut record: Record = seen.record.clone();
    let done = Bootstrapped {
        word,
        uid: state.owner.uid.clone(),
    };
    record.bootstrap.insert(id.to_owned(), done);
    Some(Next::Act(Effect::WriteRecord {
        record,
        guard: Guard::Update(seen.version.clone()),
    }))
}

fn release(job: &JobSeen) -> Next {
    Next::Act(Effect::ReleaseJob {
        name: job.name.clone(),
        version: job.version.clone(),
    })
}

/// One run with everything that decides about it.
struct Run<'a> {
    state: &'a State,
    user: &'a DesiredSuperuser,
    job_name: String,
    now: Now,
}

impl Run<'_> {
    fn next(&self, rolled_out: bool) -> Bootstrap {
        if let Some(done) = self.recorded() {
            return self.finish(done);
        }
        if let Some(other) = self.earlier_life() {
            let message = format!(
                "run {other} was done for an earlier SealedEnv of this name; annotate {}={} to run again",
                vocabulary::BOOTSTRAP_ID,
                self.user.id
            );
            return self.stop(Reason::BootstrapSkipped, message, BootstrapState::Waiting);
        }
        match self.job() {
            Some(job) if !is_our_job(self.state, job) => {
                let message = format!("Job {} is not ours", job.name);
                self.stop(Reason::BootstrapFailed, message, BootstrapState::Failed)
            }
            Some(job) => self.follow(job),
            None => self.start(rolled_out),
        }
    }

    /// The run is in the record: clean up what is left of it.
    fn finish(&self, done: &Bootstrapped) -> Bootstrap {
        let (reason, message) = match done.word {
            Word::Created if done.uid == self.state.owner.uid => {
                (Reason::SuperuserCreated, "the superuser was created")
            }
            Word::Created | Word::Exists => (Reason::SuperuserExists, "the superuser exists"),
            Word::PasswordNotApplied => (
                Reason::PasswordNotApplied,
                "the superuser exists with another password; policy create-only leaves it",
            ),
        };
        let finding = Finding::of(Outcome::new(reason, message));
        let next = match self.former() {
            Some(BootstrapState::Done) => None,
            _ => self.release().or_else(|| clean_up(self.state)),
        };
        // "Done" says that the credentials are gone, so it is not said before.
        let state = match next {
            None => BootstrapState::Done,
            Some(_) => BootstrapState::Running,
        };
        Bootstrap {
            next,
            finding,
            status: Some(self.status(state)),
        }
    }

    fn follow(&self, job: &JobSeen) -> Bootstrap {
        match &job.state {
            JobState::Running => {
                let message = format!("Job {} is running", job.name);
                let finding = Finding::of(Outcome::new(Reason::BootstrapWaiting, message));
                let status = Some(self.status(BootstrapState::Running));
                Bootstrap {
                    next: Some(Next::Wait(None)),
                    finding,
                    status,
                }
            }
            JobState::Succeeded => self.record_success(job),
            JobState::Failed(reason) => {
                let message = format!("Job {} failed: {reason}", job.name);
                let mut stopped =
                    self.stop(Reason::BootstrapFailed, message, BootstrapState::Failed);
                // The status first: without it the Job would be made again once this one is collected.
                if self.former() == Some(BootstrapState::Failed) {
                    let next = self.release().or_else(|| clean_up(self.state));
                    stopped.next = next.or_else(|| self.make_room(job)).or(stopped.next);
                }
                stopped
            }
        }
    }

    /// Another try has the same name, so one that is asked for cannot be made before this Job is gone.
    fn make_room(&self, job: &JobSeen) -> Option<Next> {
        let (name, version) = (job.name.clone(), job.version.clone());
        let delete = Next::Act(Effect::DeleteJob { name, version });
        (self.request().is_new() && !job.deleting).then_some(delete)
    }

    fn record_success(&self, job: &JobSeen) -> Bootstrap {
        let finding = Finding::of(Outcome::new(
            Reason::BootstrapWaiting,
            "the Job is complete",
        ));
        let status = Some(self.status(BootstrapState::Running));
        let word = self
            .state
            .word
            .as_ref()
            .filter(|(name, _)| *name == job.name);
        let next = match (word, self.state.record.present()) {
            (None, _) => Next::Look(Look {
                word: Some(job.name.clone()),
                ..Look::default()
            }),
            (_, None) => Next::Look(Look {
                record: true,
                ..Look::default()
            }),
            (Some((_, word)), Some(_)) => {
                let next = record(self.state, &self.user.id, *word);
                next.unwrap_or(Next::Wait(None))
            }
        };
        Bootstrap {
            next: Some(next),
            finding,
            status,
        }
    }

    /// No Job is there: was there one, may there be one, and if so make it.
    fn start(&self, rolled_out: bool) -> Bootstrap {
        match self.former() {
            Some(BootstrapState::Done) => return self.restore(),
            Some(BootstrapState::Waiting) | None => {}
            Some(_) if self.request().is_new() => return self.begin_again(),
            Some(BootstrapState::Running) => return self.lost(),
            Some(state) => return self.ended_badly(state),
        }
        match self.obstacle(rolled_out) {
            Some(message) => {
                let finding = Finding::of(Outcome::new(Reason::BootstrapWaiting, message));
                let status = Some(self.status(BootstrapState::Waiting));
                let next = match self.running() {
                    Some(_) => None,
                    None => clean_up(self.state),
                };
                Bootstrap {
                    next: next.or(Some(Next::Wait(None))),
                    finding,
                    status,
                }
            }
            None => self.create(),
        }
    }

    /// The status first: without it the wish would be new again once this try has failed.
    fn begin_again(&self) -> Bootstrap {
        let message = "the run is made again, as the annotation asks".to_owned();
        self.stop(Reason::BootstrapWaiting, message, BootstrapState::Waiting)
    }

    /// The status knows of a success that the record has lost.
    fn restore(&self) -> Bootstrap {
        let finding = Finding::of(Outcome::new(
            Reason::SuperuserExists,
            "the superuser exists",
        ));
        Bootstrap {
            next: record(self.state, &self.user.id, Word::Exists),
            finding,
            status: Some(self.status(BootstrapState::Done)),
        }
    }

    fn ended_badly(&self, state: BootstrapState) -> Bootstrap {
        let message = format!(
            "Job {} has not succeeded; {}",
            self.job_name,
            self.request().how_to_repeat()
        );
        let reason = match state {
            BootstrapState::Lost => Reason::BootstrapLost,
            BootstrapState::Waiting
            | BootstrapState::Running
            | BootstrapState::Done
            | BootstrapState::Failed => Reason::BootstrapFailed,
        };
        let mut stopped = self.stop(reason, message, state);
        stopped.next = clean_up(self.state).or(stopped.next);
        stopped
    }

    /// The status says that a Job runs, and none is there. The watch may be late, so it is read.
    fn lost(&self) -> Bootstrap {
        if self.state.job_absent.as_ref() != Some(&self.job_name) {
            let finding = Finding::of(Outcome::new(
                Reason::BootstrapWaiting,
                "the Job is looked for",
            ));
            return Bootstrap {
                next: Some(self.look_for_job()),
                finding,
                status: Some(self.status(BootstrapState::Running)),
            };
        }
        let message = format!(
            "Job {} went before its end was seen; {}",
            self.job_name,
            self.request().how_to_repeat()
        );
        let mut stopped = self.stop(Reason::BootstrapLost, message, BootstrapState::Lost);
        stopped.finding.truth = Truth::Unknown;
        stopped.next = clean_up(self.state).or(stopped.next);
        stopped
    }

    fn look_for_job(&self) -> Next {
        Next::Look(Look {
            job: Some(self.job_name.clone()),
            ..Look::default()
        })
    }

    fn create(&self) -> Bootstrap {
        let finding = Finding::of(Outcome::new(
            Reason::BootstrapWaiting,
            "the Job is being made",
        ));
        let status = Some(self.status(BootstrapState::Waiting));
        let next = match &self.state.credentials {
            _ if self.state.job_absent.as_ref() != Some(&self.job_name) => self.look_for_job(),
            Seen::Unknown => Next::Look(Look {
                credentials: true,
                ..Look::default()
            }),
            Seen::Absent => self.hand_over(Guard::Create),
            Seen::Present(seen) if is_our_secret(self.state, seen) && self.is_of_this_run(seen) => {
                Next::Act(Effect::CreateJob {
                    id: self.user.id.clone(),
                    from: self.user.from.clone(),
                })
            }
            Seen::Present(seen) if is_our_secret(self.state, seen) => {
                self.hand_over(Guard::Update(seen.version.clone()))
            }
            Seen::Present(_) => {
                let name = vocabulary::bootstrap_secret(&self.state.owner.name);
                let message = format!("Secret/{name} is not ours; delete it");
                return self.stop(Reason::ObjectNotOwned, message, BootstrapState::Waiting);
            }
        };
        Bootstrap {
            next: Some(next),
            finding,
            status,
        }
    }

    /// Writes the credentials for the Job.
    fn hand_over(&self, guard: Guard) -> Next {
        Next::Act(Effect::WriteCredentials {
            credentials: self.user.credentials,
            guard,
        })
    }

    /// Another Job of this SealedEnv that has not ended.
    fn running(&self) -> Option<&JobSeen> {
        let mut jobs = self.state.jobs.iter().flat_map(BTreeMap::values);
        jobs.find(|job| {
            is_our_job(self.state, job)
                && job.name != self.job_name
                && job.state == JobState::Running
        })
    }

    /// Why the Job may not be made yet.
    fn obstacle(&self, rolled_out: bool) -> Option<String> {
        if let Some(job) = self.running() {
            return Some(format!("waits for the end of Job {}", job.name));
        }
        let from = &self.user.from;
        let workload = self.state.workloads.as_ref().and_then(|all| all.get(from));
        let Some(workload) = workload else {
            return Some(format!("waits for {from}, which does not exist"));
        };
        match &self.user.after {
            After::Migrated => None,
            After::Rollout if rolled_out && workload.is_complete() => None,
            After::Rollout => Some(format!("waits for the rollout of {from}")),
            After::Job(name) => {
                let job = self
                    .state
                    .jobs
                    .as_ref()
                    .and_then(|all| all.get(name.as_str()));
                let done = job.is_some_and(|job| job.state == JobState::Succeeded);
                (!done).then(|| format!("waits for the success of Job {name}"))
            }
        }
    }

    fn stop(&self, reason: Reason, message: String, state: BootstrapState) -> Bootstrap {
        let finding = Finding::of(Outcome::new(reason, message));
        Bootstrap {
            next: Some(Next::Wait(None)),
            finding,
            status: Some(self.status(state)),
        }
    }

    /// Takes seald's finalizer off the Job of this run.
    fn release(&self) -> Option<Next> {
        self.job().filter(|job| job.held).map(release)
    }

    fn recorded(&self) -> Option<&Bootstrapped> {
        self.state
            .record
            .present()?
            .record
            .bootstrap
            .get(&self.user.id)
    }

    /// The id of a run that was done for an earlier SealedEnv of this name.
    fn earlier_life(&self) -> Option<&str> {
        let began = self
            .former()
            .is_some_and(|state| state != BootstrapState::Waiting);
        if began || self.request().stands() {
            return None;
        }
        let done = &self.state.record.present()?.record.bootstrap;
        if done.values().any(|done| done.uid == self.state.owner.uid) {
            return None;
        }
        done.keys().next().map(String::as_str)
    }

    fn job(&self) -> Option<&JobSeen> {
        self.state.jobs.as_ref()?.get(&self.job_name)
    }

    /// Where the status says that this very run stands.
    fn former(&self) -> Option<BootstrapState> {
        let former = self.state.status.bootstrap.as_ref()?;
        (former.id == self.user.id).then_some(former.state)
    }

    fn request(&self) -> Request<'_> {
        Request {
            state: self.state,
            user: self.user,
        }
    }

    /// Whether the credentials are those of the document.
    fn is_of_this_run(&self, seen: &ObjectSeen) -> bool {
        seen.content == Some(self.user.credentials)
    }

    fn status(&self, state: BootstrapState) -> BootstrapStatus {
        let former = self
            .state
            .status
            .bootstrap
            .as_ref()
            .filter(|former| former.id == self.user.id);
        let kept = former
            .filter(|former| former.state == state)
            .and_then(|former| former.completed_at);
        let ended = matches!(state, BootstrapState::Done | BootstrapState::Failed);
        let completed_at = ended.then(|| kept.unwrap_or(self.now.wall));
        BootstrapStatus {
            id: self.user.id.clone(),
            job: self.job_name.clone(),
            state,
            completed_at,
            requested: self.request().is_tried(state),
        }
    }
}
