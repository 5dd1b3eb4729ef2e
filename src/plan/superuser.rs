//! Creating Django's first superuser, once.
//!
//! A run is known by its id. Its end is recorded before the Job may be collected (a finalizer holds it),
//! and the credentials leave the cluster whatever the end is.

use super::conditions::{BootstrapState, BootstrapStatus, Finding};
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
    let Some(user) = &desired.superuser else {
        let finding = Finding::of(Outcome::new(
            Reason::NotRequested,
            "the document asks for no superuser",
        ));
        return Bootstrap {
            next: None,
            finding,
            status: None,
        };
    };
    let run = Run {
        state,
        user,
        job_name: vocabulary::bootstrap_job(&state.owner.name, &user.id),
        now,
    };
    run.next(rolled_out)
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
            Some(job) if job.owner_uid.as_deref() != Some(&self.state.owner.uid) => {
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
            Word::Created => (Reason::SuperuserCreated, "the superuser was created"),
            Word::Exists => (Reason::SuperuserExists, "the superuser exists"),
            Word::PasswordNotApplied => (
                Reason::PasswordNotApplied,
                "the superuser exists with another password; policy create-only leaves it",
            ),
        };
        let finding = Finding::of(Outcome::new(reason, message));
        let next = self.release().or_else(|| self.clean_up());
        Bootstrap {
            next,
            finding,
            status: Some(self.status(BootstrapState::Done)),
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
                stopped.next = self.release().or_else(|| self.clean_up()).or(stopped.next);
                stopped
            }
        }
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
            (Some((_, word)), Some(seen)) => {
                let mut record: Record = seen.record.clone();
                let done = Bootstrapped {
                    word: *word,
                    uid: self.state.owner.uid.clone(),
                };
                record.bootstrap.insert(self.user.id.clone(), done);
                Next::Act(Effect::WriteRecord {
                    record,
                    guard: Guard::Update(seen.version.clone()),
                })
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
            Some(BootstrapState::Running) if !self.asked_again() => {
                let message = format!("Job {} went before its end was seen", self.job_name);
                return self.lost(message);
            }
            Some(state @ (BootstrapState::Failed | BootstrapState::Lost))
                if !self.asked_again() =>
            {
                let reason = match state {
                    BootstrapState::Lost => Reason::BootstrapLost,
                    _ => Reason::BootstrapFailed,
                };
                let message = format!(
                    "Job {} has not succeeded; {}",
                    self.job_name,
                    self.how_to_repeat()
                );
                let mut stopped = self.stop(reason, message, state);
                stopped.next = self.clean_up().or(stopped.next);
                return stopped;
            }
            _ => {}
        }
        match self.obstacle(rolled_out) {
            Some(message) => {
                let finding = Finding::of(Outcome::new(Reason::BootstrapWaiting, message));
                let status = Some(self.status(BootstrapState::Waiting));
                Bootstrap {
                    next: Some(Next::Wait(None)),
                    finding,
                    status,
                }
            }
            None => self.create(),
        }
    }

    fn create(&self) -> Bootstrap {
        let finding = Finding::of(Outcome::new(
            Reason::BootstrapWaiting,
            "the Job is being made",
        ));
        let status = Some(self.status(BootstrapState::Waiting));
        let next = match &self.state.credentials {
            _ if self.state.job_absent.as_ref() != Some(&self.job_name) => Next::Look(Look {
                job: Some(self.job_name.clone()),
                ..Look::default()
            }),
            Seen::Unknown => Next::Look(Look {
                credentials: true,
                ..Look::default()
            }),
            Seen::Absent => Next::Act(Effect::WriteCredentials(Guard::Create)),
            Seen::Present(seen) if self.is_our_secret(seen) && self.is_of_this_run(seen) => {
                Next::Act(Effect::CreateJob {
                    id: self.user.id.clone(),
                    from: self.user.from.clone(),
                })
            }
            Seen::Present(seen) if self.is_our_secret(seen) => Next::Act(Effect::WriteCredentials(
                Guard::Update(seen.version.clone()),
            )),
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

    /// Why the Job may not be made yet.
    fn obstacle(&self, rolled_out: bool) -> Option<String> {
        let former = self.state.jobs.values().find(|job| {
            job.owner.as_deref() == Some(&self.state.owner.name)
                && job.name != self.job_name
                && job.state == JobState::Running
        });
        if let Some(job) = former {
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
                let job = self.state.jobs.get(name.as_str());
                let done = job.is_some_and(|job| job.state == JobState::Succeeded);
                (!done).then(|| format!("waits for the success of Job {name}"))
            }
        }
    }

    fn lost(&self, message: String) -> Bootstrap {
        let message = format!("{message}; {}", self.how_to_repeat());
        let finding = Finding::unknown(Outcome::new(Reason::BootstrapLost, message));
        let next = self.clean_up().or(Some(Next::Wait(None)));
        Bootstrap {
            next,
            finding,
            status: Some(self.status(BootstrapState::Lost)),
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
        let job = self.job().filter(|job| job.held)?;
        let effect = Effect::ReleaseJob {
            name: job.name.clone(),
            version: job.version.clone(),
        };
        Some(Next::Act(effect))
    }

    /// Deletes the credentials, unless the status says that this was done.
    fn clean_up(&self) -> Option<Next> {
        let was = |state: BootstrapState| self.former() == Some(state);
        if was(BootstrapState::Done)
            || (was(BootstrapState::Failed) && self.state.credentials == Seen::Absent)
        {
            return None;
        }
        match &self.state.credentials {
            Seen::Unknown => Some(Next::Look(Look {
                credentials: true,
                ..Look::default()
            })),
            Seen::Present(seen) if self.is_our_secret(seen) => {
                Some(Next::Act(Effect::DeleteCredentials(seen.version.clone())))
            }
            Seen::Present(_) | Seen::Absent => None,
        }
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
        if self.asked_again() {
            return None;
        }
        let record = &self.state.record.present()?.record;
        let other = |(_, done): &(&String, &Bootstrapped)| done.uid != self.state.owner.uid;
        record
            .bootstrap
            .iter()
            .find(other)
            .map(|(id, _)| id.as_str())
    }

    fn job(&self) -> Option<&JobSeen> {
        self.state.jobs.get(&self.job_name)
    }

    /// Where the status says that this very run stands.
    fn former(&self) -> Option<BootstrapState> {
        let former = self.state.status.bootstrap.as_ref()?;
        (former.id == self.user.id).then_some(former.state)
    }

    /// Whether somebody asks for this id by annotation.
    fn asked_again(&self) -> bool {
        let document = self.state.document.as_ref();
        document.and_then(|document| document.bootstrap_id.as_deref()) == Some(&self.user.id)
    }

    fn how_to_repeat(&self) -> String {
        format!(
            "annotate {}={} to run again",
            vocabulary::BOOTSTRAP_ID,
            self.user.id
        )
    }

    fn is_our_secret(&self, seen: &ObjectSeen) -> bool {
        seen.owner.as_deref() == Some(&self.state.owner.name)
            && seen.owner_uid.as_deref() == Some(&self.state.owner.uid)
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
        }
    }
}
