//! The shell of the core for one SealedEnv: observe → resolve → plan → apply → report.
//!
//! Turns notices into events, performs effects one after the other and answers them. It decides
//! nothing: what happens next is what the core says. Plaintext is held only while it is needed.

mod perform;

use std::collections::BTreeSet;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use tokio::sync::mpsc::UnboundedReceiver;
use tokio::time::Instant;
use tracing::error;

use self::perform::Performed;
use super::document::{Documents, Reading};
use super::interest::Interest;
use super::shared::Key;
use super::shell::{RESYNC, Shell};
use super::turns::{Panicked, in_place};
use crate::clock::{Clock as _, SystemClock};
use crate::cluster::scope::Scope;
use crate::cluster::sealed_env::SealedEnvSeen;
use crate::env::WorkloadRef;
use crate::plan::effect::Event;
use crate::plan::state::{Owner, State};
use crate::plan::{Context, step};
use crate::telemetry::metrics::{ByOutcome, ByResult};

/// What the router tells a reconciler.
#[derive(Debug)]
pub(super) enum Notice {
    /// The SealedEnv as the watch has it.
    Seen(Box<SealedEnvSeen>),
    /// A workload changed: look it up in the index.
    Workload(WorkloadRef),
    /// All workloads may have changed.
    Workloads,
    /// A Job changed: look it up in the index.
    Job(String),
    /// All Jobs may have changed.
    Jobs,
    /// How the document reached the cluster may have changed.
    Source,
    /// The API server answers again.
    Reconnected,
}

/// A second document that comes this soon after another one waits, and the last one counts.
const DEBOUNCE: Duration = Duration::from_millis(250);
/// A document that cannot be opened is read again this often: the identity may be mounted later. So is
/// one that could not be read.
const RETRY_READING: Duration = Duration::from_secs(10);
/// Pause after a panic.
const PANIC_PAUSE: Duration = Duration::from_secs(30);

/// The reconciler of one SealedEnv.
pub(super) struct Reconciler {
    shell: Arc<Shell>,
    scope: Scope,
    key: Key,
    interest: Arc<RwLock<Interest>>,
    documents: Documents,
    /// `None` while a step runs, and after a panic until the SealedEnv was read.
    state: Option<State>,
    /// A document that came too soon after another one.
    held: Option<Box<SealedEnvSeen>>,
    /// When the last document was taken.
    taken: Option<Instant>,
    wake: Option<Instant>,
    resync: Instant,
    /// When the document is read again, if that is due.
    next_reading: Option<Instant>,
}

impl Reconciler {
    /// The reconciler of the SealedEnv that `first` shows. `interest` is shared with the router.
    pub(super) fn new(
        shell: Arc<Shell>,
        first: &SealedEnvSeen,
        interest: Arc<RwLock<Interest>>,
    ) -> Self {
        let scope = first.scope.clone();
        Self {
            key: (scope.namespace.clone(), scope.name.clone()),
            documents: Documents::new(shell.clone(), scope.clone()),
            state: Some(State::new(owner(&scope), first.status.clone())),
            resync: Instant::now() + spread(&scope.uid),
            shell,
            scope,
            interest,
            held: None,
            taken: None,
            wake: None,
            next_reading: None,
        }
    }

    /// Works until the router drops the other end of `inbox`, or this process may no longer write.
    pub(super) async fn run(mut self: Box<Self>, mut inbox: UnboundedReceiver<Notice>) {
        let working = self.shell.working.clone();
        loop {
            let woken = tokio::select! {
                biased;
                notice = inbox.recv() => match notice {
                    Some(notice) => Some(notice),
                    None => break,
                },
                () = tokio::time::sleep_until(self.next_moment()) => None,
            };
            let (this, told) = (&mut self, &mut inbox);
            match in_place(&working, move || this.work(woken, told)).await {
                Ok(Turn::Done) => {}
                Ok(Turn::MayNotWrite) => break,
                Err(Panicked) => {
                    self.show_panic();
                    if is_over(&mut inbox).await {
                        break;
                    }
                    self.forget();
                }
            }
        }
        self.shell.release(&self.key);
    }

    /// One turn: with what was told, or what the clock asks for.
    async fn work(&mut self, woken: Option<Notice>, inbox: &mut UnboundedReceiver<Notice>) -> Turn {
        let events = match (&self.state, woken) {
            // What is told meanwhile is read by the recovery.
            (None, Some(_)) => Vec::new(),
            (None, None) => self.recover().await,
            (Some(_), Some(notice)) => {
                let notices = drain(notice, inbox);
                self.events(notices).await
            }
            (Some(_), None) => self.due().await,
        };
        self.turn(events, inbox).await
    }

    /// Steps and performs until nothing is asked for any more.
    async fn turn(&mut self, events: Vec<Event>, inbox: &mut UnboundedReceiver<Notice>) -> Turn {
        let started = Instant::now();
        let mut events = events;
        loop {
            let Some(state) = self.state.take() else {
                return Turn::Done;
            };
            let places = self.shell.slots.reserve(&self.key, state.wanted_slots());
            let context = Context {
                now: SystemClock.now(),
                slots: places.count(),
            };
            let (state, effects) = step(&context, state, events);
            places.settle(state.in_flight());
            self.state = Some(state);
            events = Vec::new();
            self.wake = None;
            for effect in effects {
                match self.perform(effect).await {
                    Performed::Answered(event) => events.push(event),
                    Performed::Silent => {}
                    Performed::MayNotWrite => return Turn::MayNotWrite,
                }
            }
            if let Some(reading) = self.documents.take_refused() {
                events.extend(self.document_events(reading));
            }
            if events.is_empty() {
                break;
            }
            while let Ok(notice) = inbox.try_recv() {
                let notices = drain(notice, inbox);
                events.extend(self.events(notices).await);
            }
        }
        self.finish(started.elapsed());
        Turn::Done
    }

    /// Turns notices into events.
    async fn events(&mut self, notices: Vec<Notice>) -> Vec<Event> {
        let mut events = Vec::new();
        let mut workloads = BTreeSet::new();
        let mut jobs = BTreeSet::new();
        let mut newest = None;
        for notice in notices {
            match notice {
                Notice::Seen(seen) => newest = Some(seen),
                Notice::Workload(id) => {
                    workloads.insert(id);
                }
                Notice::Workloads => events.push(self.all_workloads()),
                Notice::Job(name) => {
                    jobs.insert(name);
                }
                Notice::Jobs => events.push(self.all_jobs()),
                Notice::Source => events.extend(self.source_changed()),
                Notice::Reconnected => events.push(Event::Reconnected),
            }
        }
        let namespace = &self.scope.namespace;
        for id in workloads {
            let seen = self.shell.index.workload(namespace, &id).map(Box::new);
            events.push(Event::Workload(id, seen));
        }
        for name in jobs {
            let seen = self.shell.index.job(namespace, &name).map(Box::new);
            events.push(Event::Job(name, seen));
        }
        if let Some(seen) = newest {
            events.extend(self.take_or_hold(seen).await);
        }
        events
    }

    /// The first document is taken at once; what follows soon after waits.
    async fn take_or_hold(&mut self, seen: Box<SealedEnvSeen>) -> Vec<Event> {
        if !self.documents.is_news(&seen) {
            return Vec::new();
        }
        let too_soon = self.taken.is_some_and(|taken| taken.elapsed() < DEBOUNCE);
        if too_soon {
            self.held = Some(seen);
            return Vec::new();
        }
        self.take(seen).await
    }

    async fn take(&mut self, seen: Box<SealedEnvSeen>) -> Vec<Event> {
        self.held = None;
        self.taken = Some(Instant::now());
        let reading = self.documents.read(*seen).await;
        self.document_events(reading)
    }

    /// A document, and with it the workloads and Jobs that now concern this SealedEnv.
    fn document_events(&mut self, reading: Reading) -> Vec<Event> {
        let Reading { document, unopened } = reading;
        self.next_reading = unopened.then(|| Instant::now() + RETRY_READING);
        let desired = document
            .resolved
            .as_ref()
            .ok()
            .map(|resolution| &resolution.desired);
        let former = self
            .state
            .as_ref()
            .map(|state| state.status().targets.clone());
        let former = former
            .unwrap_or_default()
            .into_iter()
            .map(|target| target.id);
        let interest = Interest::of(&self.scope.name, desired.map(AsRef::as_ref), former);
        let mut events = Vec::new();
        // Set before the index is read: what the router stores from now on is told as a notice.
        let unchanged = {
            let mut shared = self
                .interest
                .write()
                .unwrap_or_else(PoisonError::into_inner);
            std::mem::replace(&mut *shared, interest.clone()) == interest
        };
        if !unchanged {
            events.push(self.all_workloads());
            events.push(self.all_jobs());
        }
        events.push(Event::Document(Box::new(document)));
        events
    }

    fn all_workloads(&self) -> Event {
        let interest = self
            .interest
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .clone();
        Event::Workloads(self.shell.index.workloads(&self.scope.namespace, &interest))
    }

    fn all_jobs(&self) -> Event {
        let interest = self
            .interest
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .clone();
        let jobs = self.shell.index.jobs(&self.scope.namespace, &interest);
        Event::Jobs(
            jobs.into_iter()
                .map(|job| (job.name.clone(), job))
                .collect(),
        )
    }

    fn source_changed(&mut self) -> Option<Event> {
        self.documents
            .source_changed()
            .map(|document| Event::Document(Box::new(document)))
    }

    /// What the clock asks for.
    async fn due(&mut self) -> Vec<Event> {
        let now = Instant::now();
        if let (Some(held), Some(taken)) = (&self.held, self.taken)
            && now >= taken + DEBOUNCE
        {
            let held = held.clone();
            return self.take(held).await;
        }
        if self.next_reading.is_some_and(|moment| now >= moment) {
            return match self.documents.read_again().await {
                Some(reading) => self.document_events(reading),
                None => {
                    self.next_reading = Some(now + RETRY_READING);
                    Vec::new()
                }
            };
        }
        if now >= self.resync {
            self.resync = now + spread(&self.scope.uid);
            let mut events = vec![Event::Resync];
            if let Some(reading) = self.documents.reclaim().await {
                events.extend(self.document_events(reading));
            }
            return events;
        }
        vec![Event::Tick]
    }

    fn next_moment(&self) -> Instant {
        let held = self
            .held
            .as_ref()
            .and(self.taken)
            .map(|taken| taken + DEBOUNCE);
        let moments = [self.wake, held, self.next_reading, Some(self.resync)];
        moments.into_iter().flatten().min().unwrap_or(self.resync)
    }

    /// After a turn: numbers, and plaintext that nobody needs any more.
    fn finish(&mut self, took: Duration) {
        let Some(state) = &self.state else { return };
        if self.wake.is_none() {
            self.documents.forget_content();
        }
        let reason = state
            .ready()
            .map_or("Progressing", |reason| reason.as_str());
        let result = if reason == "Synced" {
            "success"
        } else {
            "waiting"
        };
        let metrics = &self.shell.metrics;
        metrics
            .reconciles
            .get_or_create(&ByOutcome::new(result, reason))
            .inc();
        metrics
            .reconcile_seconds
            .get_or_create(&ByResult::new(result))
            .observe(took.as_secs_f64());
        super::report::show(metrics, &self.key, state);
        self.shell
            .show_pending(&self.key, super::report::waiting(state));
        self.shell
            .managed
            .report(metrics, &self.key, state.status());
    }

    fn show_panic(&self) {
        self.shell.metrics.panics.inc();
        error!(
            namespace = self.scope.namespace,
            name = self.scope.name,
            "Reconciler panicked"
        );
    }

    /// After a panic: nothing that is remembered counts any more.
    fn forget(&mut self) {
        let now = Instant::now();
        self.state = None;
        self.documents = Documents::new(self.shell.clone(), self.scope.clone());
        *self
            .interest
            .write()
            .unwrap_or_else(PoisonError::into_inner) = Interest::default();
        (self.held, self.wake) = (None, None);
        self.resync = now + spread(&self.scope.uid);
        self.next_reading = Some(now);
    }

    /// Begins again from what the cluster says, the status included: only that knows what is to be
    /// pruned, and how the superuser run ended. Without an answer the next try comes later.
    async fn recover(&mut self) -> Vec<Event> {
        let Some(reading) = self.documents.read_again().await else {
            self.next_reading = Some(Instant::now() + RETRY_READING);
            return Vec::new();
        };
        let owner = owner(&self.scope);
        self.state = Some(State::new(owner, self.documents.last_status()));
        self.document_events(reading)
    }
}

/// The SealedEnv as the core knows it.
fn owner(scope: &Scope) -> Owner {
    Owner {
        name: scope.name.clone(),
        uid: scope.uid.clone(),
        environment: scope.environment.clone(),
    }
}

/// How a turn ended.
enum Turn {
    Done,
    MayNotWrite,
}

/// Pauses after a panic, and says whether the SealedEnv has gone meanwhile. What is told is not lost: all of
/// it is read again.
async fn is_over(inbox: &mut UnboundedReceiver<Notice>) -> bool {
    let gone = async { while inbox.recv().await.is_some() {} };
    tokio::time::timeout(PANIC_PAUSE, gone).await.is_ok()
}

/// All notices that have arrived, the first included.
fn drain(first: Notice, inbox: &mut UnboundedReceiver<Notice>) -> Vec<Notice> {
    let mut notices = vec![first];
    while let Ok(notice) = inbox.try_recv() {
        notices.push(notice);
    }
    notices
}

/// The resync period, a tenth more or less, by UID: not all SealedEnvs at once.
fn spread(uid: &str) -> Duration {
    let digest = crate::digest::Digest::combine([uid.as_bytes()]);
    let byte = u32::from(digest.as_bytes().first().copied().unwrap_or(128));
    RESYNC * (900 + byte * 200 / 255) / 1000
}

#[cfg(test)]
mod tests;
