//! The walk: the main job with a fault at every single write, one at a time, and then two.

use super::cluster::Load;
use super::document::{deployment, web};
use super::objects::reads;
use super::*;
use crate::plan::effect::Event;
use crate::plan::record::Record;
use crate::plan::snapshot::JobState;
use crate::reason::Reason;

const JOB: &str = "seald-bootstrap-polls-00000001";
const BOUNDARIES: [Boundary; 4] = [
    Boundary::Before,
    Boundary::After,
    Boundary::Lost,
    Boundary::Half,
];

/// Runs to the end, restarting what was killed and ending the Job when it runs.
fn to_the_end(world: &mut World, seald: &mut Seald, faults: &mut Vec<(usize, Boundary)>) {
    loop {
        run(world, &mut [seald]);
        if seald.is_dead() {
            seald.writes = 0;
            seald.fault = faults.pop();
            seald.restart(world);
        } else if world
            .jobs
            .get(JOB)
            .is_some_and(|job| job.state == JobState::Running)
        {
            world.end_job(JOB, JobState::Succeeded);
        } else {
            return;
        }
    }
}

/// Cold start with a superuser, then one value changed; with `faults`, the last one first.
fn main_job(mut faults: Vec<(usize, Boundary)>) -> (World, Seald) {
    let doc = Doc::new(&[("A", "1"), ("B", "1")]).and(text("polls"), &[("C", "1")]);
    let mut world = World::new("polls", doc.with_superuser("00000001"));
    world.add(web(), vec![reads(secret("polls"))]);
    for name in ["worker", "beat", "mail"] {
        world.add(
            deployment(name),
            vec![reads(secret("polls")), reads(text("polls"))],
        );
    }
    world.add(deployment("other"), vec![reads(text("polls"))]);
    let mut seald = Seald::start(&world, "polls");
    seald.fault = faults.pop();
    to_the_end(&mut world, &mut seald, &mut faults);
    world.collect_jobs();
    world.doc().set("A", "2");
    to_the_end(&mut world, &mut seald, &mut faults);
    (world, seald)
}

fn record(world: &World) -> &Record {
    &world.records["polls"].1
}

/// What must be the same whatever happened.
fn check(world: &mut World, seald: &mut Seald, reference: &World, what: &str) {
    let rollouts = |load: &Load| load.rollouts;
    assert!(
        world.workloads.values().map(rollouts).eq([1, 1, 0, 1, 1]),
        "{what}: {:?}",
        world.log
    );
    assert!(
        world
            .workloads
            .keys()
            .all(|id| world.runs_the_content(id.name.as_str())),
        "{what}"
    );
    assert_eq!(world.jobs_made[JOB], 1, "{what}");
    assert!(world.credentials.is_empty(), "{what}");
    assert!(world.jobs.values().all(|job| !job.held), "{what}");
    let contents = |world: &World| {
        world
            .objects
            .iter()
            .map(|(id, object)| (id.clone(), object.data.clone()))
            .collect::<Vec<_>>()
    };
    assert_eq!(contents(world), contents(reference), "{what}");
    let entries = |world: &World| {
        let entries = record(world).workloads.iter();
        entries
            .map(|(id, entry)| (id.clone(), entry.reads.clone()))
            .collect::<Vec<_>>()
    };
    assert_eq!(entries(world), entries(reference), "{what}");
    assert_eq!(seald.ready(), Some(Reason::Synced), "{what}");
    world.log.clear();
    for _ in 0..10 {
        seald.send(Event::Resync);
        run(world, &mut [seald]);
    }
    seald.restart(world);
    run(world, &mut [seald]);
    assert_eq!(world.log, [""; 0], "{what}: it does not rest");
}

/// The number of writes of the undisturbed main job.
fn undisturbed() -> (usize, World) {
    let (mut world, mut seald) = main_job(Vec::new());
    let writes = seald.writes;
    let reference = world.clone();
    check(&mut world, &mut seald, &reference, "undisturbed");
    (writes, reference)
}

#[test]
fn a_fault_at_any_write_of_the_main_job_changes_nothing_in_the_end() {
    let (writes, reference) = undisturbed();
    assert!(writes >= 15, "{writes}");
    for number in 1..=writes {
        for boundary in BOUNDARIES {
            let (mut world, mut seald) = main_job(vec![(number, boundary)]);
            check(
                &mut world,
                &mut seald,
                &reference,
                &format!("{boundary:?} at write {number}"),
            );
        }
    }
}

#[test]
fn two_faults_one_after_the_other_change_nothing_in_the_end() {
    let (writes, reference) = undisturbed();
    // Every other one: half a minute without optimisation otherwise.
    for first in (1..=writes).step_by(2) {
        for second in [1, 2, 3, 5, 8] {
            for one in [Boundary::Before, Boundary::After] {
                for two in BOUNDARIES {
                    let (mut world, mut seald) = main_job(vec![(second, two), (first, one)]);
                    let what =
                        format!("{one:?} at write {first}, {two:?} at write {second} after it");
                    check(&mut world, &mut seald, &reference, &what);
                }
            }
        }
    }
}
