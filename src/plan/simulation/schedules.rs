//! Random schedules: whatever happens in whatever order, the cluster ends up right.
//!
//! Every schedule follows from its seed, which a failure prints.

use std::collections::BTreeMap;
use std::time::Duration;

use super::document::{deployment, web};
use super::objects::{self, reads};
use super::*;
use crate::plan::effect::Event;
use crate::plan::snapshot::JobState;
use crate::reason::Reason;

/// SplitMix64: enough to choose with.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        usize::try_from((mixed ^ (mixed >> 31)) % sides as u64).unwrap()
    }
}

const READERS: [&str; 3] = ["beat", "web", "worker"];

/// What may go wrong in a schedule.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Trouble {
    /// Crashes, lost answers, late answers and late watches only: every rollout must be worth it.
    Faults,
    /// Also template edits, hand edits, deletions, and a second leader.
    Everything,
}

struct Schedule {
    dice: Dice,
    world: World,
    processes: Vec<Seald>,
    trouble: Trouble,
    /// How often the content of the document changed.
    changes: u32,
    /// Template edits of others, per workload.
    edits: BTreeMap<&'static str, u32>,
    /// Changes and deletions of objects by others: each may cost one more rollout.
    meddled: u32,
    /// Whether an object with content of others was deleted. A pod that started before has read it, and
    /// nothing tells since when it was there.
    traceless: bool,
}

impl Schedule {
    fn new(seed: u64, trouble: Trouble) -> Self {
        let doc = Doc::new(&[("A", "1"), ("B", "1")]).and(text("polls"), &[("C", "1")]);
        let mut world = World::new("polls", doc.with_superuser("00000001"));
        for name in READERS {
            world.add(deployment(name), vec![reads(secret("polls"))]);
        }
        let count = if trouble == Trouble::Everything { 2 } else { 1 };
        let processes = (0..count).map(|_| Seald::start(&world, "polls")).collect();
        let edits = BTreeMap::new();
        Self {
            dice: Dice(seed),
            world,
            processes,
            trouble,
            changes: 0,
            edits,
            meddled: 0,
            traceless: false,
        }
    }

    fn happen(&mut self) {
        let count = self.processes.len();
        let which = self.dice.roll(count);
        let sides = if self.trouble == Trouble::Everything {
            23
        } else {
            17
        };
        match self.dice.roll(sides) {
            0..=5 => {
                self.processes[which].turn(&mut self.world);
            }
            6..=9 => {
                self.processes[which].deliver();
            }
            10..=11 => {
                self.world.progress();
            }
            12 => self.break_something(which),
            13 => self.processes[which].lag = self.dice.roll(4),
            14 => self.change(),
            15 => self.world.advance(Duration::from_secs(2)),
            16 => self.end_job(),
            17 => self.edit(),
            18 => self.delete(),
            19 => self.meddle(),
            20 => self.processes[which].send(Event::Resync),
            21 => self.world.collect_jobs(),
            _ => self.world.away = !self.world.away,
        }
        if self.processes[which].is_dead() {
            let lag = self.dice.roll(3);
            self.processes[which].restart(&self.world);
            self.processes[which].lag = lag;
        }
    }

    fn break_something(&mut self, which: usize) {
        let boundaries = [
            Boundary::Before,
            Boundary::After,
            Boundary::Lost,
            Boundary::Half,
        ];
        let boundary = boundaries[self.dice.roll(4)];
        let seald = &mut self.processes[which];
        seald.fault = Some((seald.writes + 1, boundary));
    }

    /// Few values, so that content comes back while pods start.
    fn change(&mut self) {
        self.changes += 1;
        let value = format!("value {}", self.dice.roll(3));
        self.world.doc().set("A", &value);
    }

    fn end_job(&mut self) {
        let running = self
            .world
            .jobs
            .values()
            .find(|job| job.state == JobState::Running);
        if let Some(name) = running.map(|job| job.name.clone()) {
            self.world.end_job(&name, JobState::Succeeded);
        }
    }

    fn edit(&mut self) {
        let name = READERS[self.dice.roll(READERS.len())];
        *self.edits.entry(name).or_default() += 1;
        let drop = self.dice.roll(2) == 0;
        self.world.edit(&deployment(name), true, |seen| {
            if drop {
                seen.markers.clear();
            }
        });
    }

    fn delete(&mut self) {
        self.meddled += 1;
        let object = self.world.objects.remove(&secret("polls"));
        self.traceless |= object.is_some_and(|object| object.disturbed_at.is_some());
    }

    fn meddle(&mut self) {
        if self.world.objects.contains_key(&secret("polls")) {
            self.meddled += 1;
            self.world.meddle(&secret("polls"), |object| {
                object.data.insert("A".into(), "hacked".into());
            });
        }
    }

    /// No more faults: it must come to rest, and be right.
    fn end(mut self, seed: u64) {
        self.world.away = false;
        for seald in &mut self.processes {
            (seald.lag, seald.fault) = (0, None);
        }
        for _ in 0..3 {
            for seald in &mut self.processes {
                seald.send(Event::Resync);
            }
            self.run();
            self.end_job();
        }
        self.run();
        let world = &mut self.world;
        let wanted = world.docs["polls"].objects.clone();
        for (id, data) in &wanted {
            assert_eq!(&world.objects[id].data, data, "seed {seed}: {id}");
        }
        for name in READERS {
            let rolled = world.rollouts(name);
            let extra = self.edits.get(name).copied().unwrap_or(0) + 2 * self.meddled;
            let allowed = self.changes + extra;
            assert!(
                rolled <= allowed,
                "seed {seed}: {name} rolled {rolled} times for {allowed}"
            );
            assert!(
                self.traceless || world.runs_the_content(name),
                "seed {seed}: {name} runs something else"
            );
        }
        assert!(
            world.jobs_made.values().all(|made| *made == 1),
            "seed {seed}: Job made twice"
        );
        assert!(
            world.credentials.is_empty(),
            "seed {seed}: credentials are left"
        );
        assert_eq!(
            self.processes[0].ready(),
            Some(Reason::Synced),
            "seed {seed}"
        );
        self.world.log.clear();
        for _ in 0..10 {
            for seald in &mut self.processes {
                seald.send(Event::Resync);
            }
            self.run();
        }
        // Two leaders do not see each other's status, so each may write its own once.
        let writes = self
            .world
            .log
            .iter()
            .filter(|line| *line != "status")
            .count();
        assert_eq!(
            writes, 0,
            "seed {seed}: it does not rest: {:?}",
            self.world.log
        );
    }

    fn run(&mut self) {
        let mut processes: Vec<_> = self.processes.iter_mut().collect();
        run(&mut self.world, &mut processes);
    }
}

fn try_all(seeds: std::ops::Range<u64>, trouble: Trouble) {
    for seed in seeds {
        let mut schedule = Schedule::new(seed, trouble);
        for _ in 0..150 {
            schedule.happen();
        }
        schedule.end(seed);
    }
}

#[test]
fn under_any_schedule_of_faults_each_reader_rolls_at_most_once_per_content() {
    try_all(0..300, Trouble::Faults);
}

#[test]
fn under_any_schedule_with_edits_deletions_and_two_leaders_the_end_is_right() {
    try_all(0..300, Trouble::Everything);
}

#[test]
fn a_former_leader_that_wakes_up_late_changes_nothing() {
    let (mut world, mut old) = objects::in_place(Doc::new(&[("A", "1")]));
    world.doc().set("A", "2");
    while !world.log.iter().any(|line| line.starts_with("apply")) {
        let _ = old.deliver() | old.turn(&mut world);
    }
    let mut new = Seald::start(&world, "polls");
    world.doc().set("A", "3");
    run(&mut world, &mut [&mut new]);
    run(&mut world, &mut [&mut old]);
    assert!(world.runs_the_content("web"));
    assert_eq!(world.workloads[&web()].rollouts, 1);
}
