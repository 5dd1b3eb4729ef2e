//! Scenarios about places: the limit on the rollouts of all SealedEnvs together, and who holds one how long.

use super::document::{deployment, secret};
use super::objects::reads;
use super::*;
use crate::env::{WorkloadKind, WorkloadRef};
use crate::reason::Reason;

/// A workload of a kind that never reports that it has failed.
fn stateful() -> WorkloadRef {
    WorkloadRef {
        kind: WorkloadKind::StatefulSet,
        name: "db".parse().unwrap(),
    }
}

/// One turn with one place for all rollouts; false when nothing moves.
fn turn(world: &mut World, seald: &mut Seald) -> bool {
    let busy = seald.deliver();
    seald.slots = 1_usize.saturating_sub(seald.in_flight());
    busy | seald.turn(world) | world.progress()
}

/// Turns until the end, or for long enough.
fn go_on(world: &mut World, seald: &mut Seald) {
    for _ in 0..500 {
        if turn(world, seald) {
            continue;
        }
        let Some(wake) = seald.wake else { return };
        world.advance(wake.saturating_sub(world.now().monotonic));
    }
}

/// `id` reads the Secret, has been stamped for a value that it dislikes, and holds the only place.
fn stamped(id: &WorkloadRef) -> (World, Seald) {
    let mut doc = Doc::new(&[("A", "1")]);
    doc.workloads.include = vec![stateful()];
    let mut world = World::new("polls", doc);
    world.add(id.clone(), vec![reads(secret("polls"))]);
    let mut seald = Seald::start(&world, "polls");
    go_on(&mut world, &mut seald);
    world.workloads.get_mut(id).unwrap().dislikes = Some("bad".into());
    world.doc().set("A", "bad");
    while world.workloads[id].rollouts == 0 {
        turn(&mut world, &mut seald);
    }
    (world, seald)
}

/// A StatefulSet hangs.
fn hanging() -> (World, Seald) {
    let (mut world, mut seald) = stamped(&stateful());
    while turn(&mut world, &mut seald) {}
    assert_eq!(seald.in_flight(), 1);
    (world, seald)
}

#[test]
fn a_workload_that_hangs_is_rolled_to_the_fix_in_the_place_that_it_holds() {
    for restart in ["never", "before the fix", "after the fix"] {
        let (mut world, mut seald) = hanging();
        if restart == "before the fix" {
            seald.restart(&world);
            while turn(&mut world, &mut seald) {}
        }
        let began = world.now().monotonic;
        world.doc().set("A", "good");
        if restart == "after the fix" {
            seald.restart(&world);
        }
        go_on(&mut world, &mut seald);
        assert_eq!(world.workloads[&stateful()].rollouts, 2, "{restart}");
        assert_eq!(seald.ready(), Some(Reason::Synced), "{restart}");
        assert_eq!(seald.in_flight(), 0, "{restart}");
        let took = world.now().monotonic.saturating_sub(began);
        assert!(took < world.docs["polls"].workloads.timeout, "{restart}");
    }
}

#[test]
fn a_workload_without_a_place_lets_one_that_hangs_with_it_go_first() {
    let (mut world, mut seald) = hanging();
    world.add(deployment("aaa"), vec![reads(secret("polls"))]);
    world.doc().workloads.include = vec![deployment("aaa"), stateful()];
    while turn(&mut world, &mut seald) {}
    world.doc().set("A", "good");
    go_on(&mut world, &mut seald);
    assert_eq!(world.workloads[&stateful()].rollouts, 2);
    assert_eq!(world.rollouts("aaa"), 1);
    assert_eq!(seald.ready(), Some(Reason::Synced));
}
