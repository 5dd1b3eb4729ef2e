//! One process of seald in the simulated cluster: steps the core, performs its effects, may be killed.

use std::time::Duration;

use super::answers::{away, forbidden};
use super::cluster::{Change, World};
use super::document::Doc;
use crate::plan::effect::{Answer, Depth, Effect, Event, Look, Observation};
use crate::plan::record::{RecordSeen, Word};
use crate::plan::snapshot::Seen;
use crate::plan::state::{Owner, State};
use crate::plan::{Context, step};
use crate::reason::Reason;

/// Where a fault strikes relative to a write.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Boundary {
    /// Killed before it is sent.
    Before,
    /// Killed after it was applied, before the answer.
    After,
    /// Applied, and the answer lost.
    Lost,
    /// Killed after half of a wave was applied.
    Half,
}

/// A process.
pub(super) struct Seald {
    pub(super) owner: Owner,
    /// `None`: it was killed.
    state: Option<State>,
    inbox: Vec<Event>,
    /// Answers that are on their way.
    pub(super) owed: Vec<Event>,
    /// How much of the history it has seen.
    cursor: usize,
    /// How many changes its watch is behind.
    pub(super) lag: usize,
    pub(super) held: Doc,
    pub(super) wake: Option<Duration>,
    pub(super) slots: usize,
    /// Fault at the write with this number.
    pub(super) fault: Option<(usize, Boundary)>,
    pub(super) writes: usize,
    /// Effects performed, in words.
    pub(super) did: Vec<&'static str>,
    /// Bugs planted into the shell: guards are left out.
    pub(super) unguarded: bool,
}

impl Seald {
    /// Starts a process for the SealedEnv `name`.
    pub(super) fn start(world: &World, name: &str) -> Self {
        Self::start_as(world, name, "uid-polls")
    }

    pub(super) fn start_as(world: &World, name: &str, uid: &str) -> Self {
        let owner = Owner {
            name: name.into(),
            uid: format!("{uid}-{name}"),
            environment: "dev".into(),
        };
        let mut seald = Self {
            owner,
            state: None,
            inbox: Vec::new(),
            owed: Vec::new(),
            cursor: 0,
            lag: 0,
            held: world.docs[name].clone(),
            wake: None,
            slots: 1000,
            fault: None,
            writes: 0,
            did: Vec::new(),
            unguarded: false,
        };
        seald.restart(world);
        seald
    }

    /// Starts it again, with nothing but what the cluster remembers.
    pub(super) fn restart(&mut self, world: &World) {
        let status = world
            .status
            .get(&self.owner.name)
            .cloned()
            .unwrap_or_default();
        self.state = Some(State::new(self.owner.clone(), status));
        self.cursor = world.history.len();
        self.held = world.docs[&self.owner.name].clone();
        let workloads = world.workloads.iter();
        let workloads = workloads
            .map(|(id, load)| (id.clone(), load.seen.clone()))
            .collect();
        self.owed.clear();
        self.wake = None;
        self.inbox = vec![
            Event::Document(Box::new(self.held.seen())),
            Event::Workloads(workloads),
            Event::Jobs(world.jobs.clone()),
        ];
    }

    pub(super) fn is_dead(&self) -> bool {
        self.state.is_none()
    }

    pub(super) fn kill(&mut self) {
        self.state = None;
        self.wake = None;
    }

    pub(super) fn send(&mut self, event: Event) {
        self.inbox.push(event);
    }

    pub(super) fn in_flight(&self) -> usize {
        let state = self.state.as_ref();
        state.and_then(State::in_flight).unwrap_or_default()
    }

    pub(super) fn ready(&self) -> Option<Reason> {
        self.state.as_ref()?.ready()
    }

    /// Takes in what has arrived and performs what follows. False when there was nothing to do.
    pub(super) fn turn(&mut self, world: &mut World) -> bool {
        self.take_changes(world);
        let now = world.now();
        let woken = self.wake.is_some_and(|wake| wake <= now.monotonic);
        let Some(state) = self.state.take() else {
            return false;
        };
        if self.inbox.is_empty() && !woken {
            self.state = Some(state);
            return false;
        }
        if woken {
            self.inbox.push(Event::Tick);
        }
        self.wake = None;
        let context = Context {
            now,
            slots: self.slots,
        };
        let (state, effects) = step(&context, state, std::mem::take(&mut self.inbox));
        self.state = Some(state);
        for effect in effects {
            self.perform(world, effect);
            if self.state.is_none() {
                break;
            }
        }
        true
    }

    fn take_changes(&mut self, world: &World) {
        let end = world.history.len().saturating_sub(self.lag);
        for change in world.history.get(self.cursor..end).unwrap_or_default() {
            self.inbox.push(match change {
                Change::Workload(id, seen) => Event::Workload(id.clone(), seen.clone()),
                Change::Job(name, seen) => Event::Job(name.clone(), seen.clone()),
                Change::Document => {
                    self.held = world.docs[&self.owner.name].clone();
                    Event::Document(Box::new(self.held.seen()))
                }
            });
        }
        self.cursor = self.cursor.max(end);
    }

    fn perform(&mut self, world: &mut World, effect: Effect) {
        match effect {
            Effect::Observe(look) => {
                self.did.push("Observe");
                let seen = self.look(world, &look);
                self.owed.push(Event::Observed(Box::new(seen)));
            }
            Effect::Emit(note) => world.notes.push(note),
            Effect::Wake(pause) => self.wake = Some(world.now().monotonic + pause),
            write => self.write(world, write),
        }
    }

    fn write(&mut self, world: &mut World, effect: Effect) {
        self.writes += 1;
        self.did.push(name_of(&effect));
        let fault = self.fault.filter(|(number, _)| *number == self.writes);
        let boundary = fault.map(|(_, boundary)| boundary);
        if boundary == Some(Boundary::Before) {
            return self.kill();
        }
        let half = boundary == Some(Boundary::Half);
        let effect = match effect {
            Effect::Stamp(stamps) if half => Effect::Stamp(stamps[..stamps.len() / 2].to_vec()),
            effect => effect,
        };
        let answer = self.apply(world, effect);
        match boundary {
            Some(Boundary::After | Boundary::Half) => self.kill(),
            Some(Boundary::Lost) => self.owed.push(Event::Answer(Answer::Failed(away()))),
            Some(Boundary::Before) | None => self.owed.push(Event::Answer(answer)),
        }
    }

    fn look(&self, world: &mut World, look: &Look) -> Observation {
        world.requests += 1;
        if world.away {
            return Observation {
                failure: Some(away()),
                ..Observation::default()
            };
        }
        let name = &self.owner.name;
        let mut seen = Observation::default();
        if look.record {
            let record = world.records.get(name).cloned();
            let record = record.map(|(version, record)| RecordSeen { version, record });
            seen.record = Some(record.map_or(Seen::Absent, Seen::Present));
        }
        for (id, depth) in &look.objects {
            let object = world
                .objects
                .get(id)
                .map(|object| object.seen(*depth == Depth::Content));
            seen.objects
                .insert(id.clone(), object.map_or(Seen::Absent, Seen::Present));
        }
        if !look.pods.is_empty() && world.forbidden.contains("pods") {
            seen.failure = Some(forbidden());
        } else {
            let pods = look.pods.keys().map(|id| (id.clone(), world.pods_seen(id)));
            seen.pods = pods.collect();
        }
        if let Some(job) = &look.job {
            let found = world
                .jobs
                .get(job)
                .cloned()
                .map_or(Seen::Absent, Seen::Present);
            seen.job = Some((job.clone(), found));
        }
        seen.word = look
            .word
            .as_ref()
            .map(|job| world.words.get(job).copied().unwrap_or(Word::Exists));
        if look.credentials {
            let found = world.credentials.get(name).map(|object| object.seen(false));
            seen.credentials = Some(found.map_or(Seen::Absent, Seen::Present));
        }
        seen
    }

    /// Lets what is on its way arrive.
    pub(super) fn deliver(&mut self) -> bool {
        let arrived = !self.owed.is_empty();
        self.inbox.append(&mut self.owed);
        arrived
    }
}

/// Runs until nothing moves any more.
pub(super) fn run(world: &mut World, processes: &mut [&mut Seald]) {
    for _ in 0..20_000 {
        let mut busy = false;
        for seald in processes.iter_mut() {
            busy |= seald.deliver();
            busy |= seald.turn(world);
        }
        busy |= world.progress();
        if busy {
            continue;
        }
        let wakes = processes.iter().filter_map(|seald| seald.wake);
        match wakes.min() {
            Some(wake) => world.advance(wake.saturating_sub(world.now().monotonic)),
            None => return,
        }
    }
    panic!(
        "does not come to rest: {:?}",
        processes[0].did.iter().rev().take(9).collect::<Vec<_>>()
    );
}

fn name_of(effect: &Effect) -> &'static str {
    match effect {
        Effect::Observe(_) => "Observe",
        Effect::WriteRecord { .. } => "WriteRecord",
        Effect::ApplyObject { .. } => "ApplyObject",
        Effect::DeleteObject { .. } => "DeleteObject",
        Effect::Stamp(_) => "Stamp",
        Effect::WriteCredentials { .. } => "WriteCredentials",
        Effect::DeleteCredentials(_) => "DeleteCredentials",
        Effect::CreateJob { .. } => "CreateJob",
        Effect::ReleaseJob { .. } => "ReleaseJob",
        Effect::DeleteJob { .. } => "DeleteJob",
        Effect::DeleteRecord => "DeleteRecord",
        Effect::WriteFinalizer { .. } => "WriteFinalizer",
        Effect::WriteStatus(_) => "WriteStatus",
        Effect::Emit(_) => "Emit",
        Effect::Wake(_) => "Wake",
    }
}
