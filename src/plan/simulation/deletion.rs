//! Scenarios about the end of a SealedEnv: what goes with it, what stays, and a fault at every write.

use super::document::{data, web};
use super::objects::reads;
use super::*;
use crate::plan::effect::{Event, Life, Outcome, Refused, Stage};
use crate::plan::snapshot::JobState;
use crate::reason::Reason;

const JOB: &str = "seald-bootstrap-polls-00000001";

fn document(takes_objects: bool) -> Doc {
    let mut doc = Doc::new(&[("A", "1")]).and(text("polls"), &[("B", "1")]);
    doc.life.takes_objects = takes_objects;
    doc.with_superuser("00000001")
}

/// In place, with the superuser Job running.
fn in_place(takes_objects: bool) -> (World, Seald) {
    let mut world = World::new("polls", document(takes_objects));
    world.add(web(), vec![reads(secret("polls"))]);
    world.plant(secret("foreign"), data(&[("X", "y")]));
    let mut seald = Seald::start(&world, "polls");
    run(&mut world, &mut [&mut seald]);
    assert!(world.jobs.contains_key(JOB) && !world.credentials.is_empty());
    world.log.clear();
    (world, seald)
}

/// Somebody deletes the SealedEnv.
fn delete(world: &mut World) {
    let doc = world.doc();
    doc.life.deleting = true;
    doc.touch();
}

fn is_gone(world: &World) -> bool {
    world.docs["polls"].life.is_over()
}

/// Nothing of the SealedEnv is left, and what is not its own is there.
fn check_clean(world: &World, what: &str) {
    assert!(is_gone(world), "{what}: {:?}", world.log);
    let left: Vec<_> = world.objects.keys().collect();
    assert_eq!(left, [&secret("foreign")], "{what}");
    assert!(
        world.credentials.is_empty() && world.jobs.is_empty(),
        "{what}"
    );
    assert!(world.records.is_empty(), "{what}");
    assert_eq!(world.rollouts("web"), 0, "{what}");
}

#[test]
fn the_finalizer_comes_before_the_first_object_and_goes_last() {
    let mut world = World::new("polls", document(true));
    world.add(web(), vec![reads(secret("polls"))]);
    world.plant(secret("foreign"), data(&[("X", "y")]));
    let mut seald = Seald::start(&world, "polls");
    run(&mut world, &mut [&mut seald]);
    assert_eq!(world.log[0], "finalizer true");
    world.log.clear();
    delete(&mut world);
    run(&mut world, &mut [&mut seald]);
    check_clean(&world, "all");
    assert_eq!(world.log.last().unwrap(), "finalizer false");
    let requests = world.requests;
    seald.restart(&world);
    seald.send(Event::Resync);
    run(&mut world, &mut [&mut seald]);
    assert_eq!(world.requests, requests, "nothing is left to do");
}

#[test]
fn under_retain_nothing_is_touched_and_a_finalizer_from_before_comes_off() {
    let (mut world, mut seald) = in_place(false);
    let objects = world.objects.len();
    delete(&mut world);
    run(&mut world, &mut [&mut seald]);
    assert_eq!(world.log, [""; 0]);
    let (mut world, mut seald) = in_place(true);
    world.doc().life.takes_objects = false;
    world.doc().touch();
    run(&mut world, &mut [&mut seald]);
    assert_eq!(world.log, ["finalizer false", "status"]);
    for suspend in [false, true] {
        let (mut world, mut seald) = in_place(true);
        world.doc().life.takes_objects = suspend;
        world.doc().suspend = suspend;
        delete(&mut world);
        run(&mut world, &mut [&mut seald]);
        assert!(is_gone(&world));
        assert_eq!(world.log, ["finalizer false"], "suspended: {suspend}");
        assert_eq!(world.objects.len(), objects);
        assert!(!world.records.is_empty() && !world.jobs.is_empty());
    }
}

#[test]
fn what_is_kept_or_not_ours_any_more_stays() {
    let (mut world, mut seald) = in_place(true);
    world.meddle(&secret("polls"), |object| object.keep = true);
    world.meddle(&text("polls"), |object| {
        object.owner_uid = Some("another".into())
    });
    delete(&mut world);
    seald.restart(&world);
    run(&mut world, &mut [&mut seald]);
    assert!(is_gone(&world) && world.records.is_empty());
    assert_eq!(world.objects.len(), 3, "{:?}", world.log);
}

#[test]
fn a_document_that_cannot_be_opened_is_cleaned_up_by_its_status() {
    for restarts in [false, true] {
        let (mut world, mut seald) = in_place(true);
        world.doc().refused = Some(Refused {
            stage: Stage::Decrypted,
            outcome: Outcome::new(Reason::NotRecipient, "nobody here opens it"),
            revision: None,
            verified: None,
        });
        world.doc().touch();
        run(&mut world, &mut [&mut seald]);
        delete(&mut world);
        if restarts {
            seald.restart(&world);
        }
        run(&mut world, &mut [&mut seald]);
        check_clean(&world, "broken");
    }
}

#[test]
fn without_the_right_to_delete_the_status_says_so_and_the_finalizer_stays() {
    let (mut world, mut seald) = in_place(true);
    world.forbidden.insert("delete");
    delete(&mut world);
    for _ in 0..50 {
        let _ = seald.deliver() | seald.turn(&mut world);
    }
    assert_eq!(seald.ready(), Some(Reason::Forbidden));
    assert!(!is_gone(&world) && world.docs["polls"].life.held);
    world.forbidden.clear();
    run(&mut world, &mut [&mut seald]);
    check_clean(&world, "after the right was granted");
}

/// The whole life, with a fault at the write `number`; how many writes it took without.
fn life(fault: Option<(usize, Boundary)>) -> usize {
    let mut world = World::new("polls", document(true));
    world.add(web(), vec![reads(secret("polls"))]);
    world.plant(secret("foreign"), data(&[("X", "y")]));
    let mut seald = Seald::start(&world, "polls");
    seald.fault = fault;
    for deleting in [false, true] {
        let life = world.docs["polls"].life;
        world.doc().life = Life { deleting, ..life };
        world.doc().touch();
        run(&mut world, &mut [&mut seald]);
        while seald.is_dead() {
            seald.restart(&world);
            run(&mut world, &mut [&mut seald]);
        }
        let running = world.jobs.get(JOB).map(|job| job.state.clone());
        assert!(deleting || running == Some(JobState::Running));
    }
    check_clean(&world, &format!("{fault:?}"));
    seald.writes
}

#[test]
fn a_fault_at_any_write_from_the_first_to_the_last_leaves_nothing_behind() {
    let writes = life(None);
    assert!(writes >= 14, "{writes}");
    for number in 1..=writes {
        for boundary in [Boundary::Before, Boundary::After, Boundary::Lost] {
            life(Some((number, boundary)));
        }
    }
}
