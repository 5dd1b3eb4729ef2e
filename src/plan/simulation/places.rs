//! Scenarios about places: the limit on the rollouts of all SealedEnvs together, and who holds one how long.

use super::document::{deployment, secret, web};
use super::objects::reads;
use super::*;
use crate::env::{WorkloadKind, WorkloadRef};
use crate::plan::effect::{Outcome, Refused, Stage};
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
    go_on_while(world, seald, |_| true);
}

fn go_on_while(world: &mut World, seald: &mut Seald, holds: impl Fn(&Seald) -> bool) {
    for _ in 0..500 {
        if !holds(seald) {
            return;
        }
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

#[test]
fn a_workload_that_hangs_and_is_rolled_no_more_gives_its_place_back_after_the_timeout() {
    let (mut world, mut seald) = hanging();
    let doc = world.doc();
    doc.workloads.include.clear();
    doc.set("A", "good");
    while turn(&mut world, &mut seald) {}
    assert_eq!(seald.in_flight(), 1, "it may still be about to end");
    go_on(&mut world, &mut seald);
    assert_eq!(world.workloads[&stateful()].rollouts, 1, "left alone");
    assert_eq!(seald.in_flight(), 0);
}

/// What keeps a document from being delivered.
type Obstacle = fn(&mut World);

const OBSTACLES: [Obstacle; 3] = [
    |world| world.doc().suspend = true,
    |world| {
        world.doc().refused = Some(Refused {
            stage: Stage::Decrypted,
            outcome: Outcome::new(Reason::NotRecipient, "nobody here opens it"),
            revision: None,
            verified: None,
        });
    },
    |world| {
        world.forbidden.insert("apply");
        world.doc().set("B", "1");
    },
];

#[test]
fn a_rollout_that_ends_badly_gives_its_place_back_although_nothing_may_be_written() {
    for id in [web(), stateful()] {
        for (number, obstacle) in OBSTACLES.into_iter().enumerate() {
            for restarts in [false, true] {
                let what = format!("{id}, obstacle {number}, restart: {restarts}");
                let (mut world, mut seald) = stamped(&id);
                obstacle(&mut world);
                if restarts {
                    seald.restart(&world);
                }
                turn(&mut world, &mut seald);
                assert_eq!(seald.in_flight(), 1, "{what}");
                let began = world.now().monotonic;
                go_on_while(&mut world, &mut seald, |seald| seald.in_flight() > 0);
                assert!(!world.workloads[&id].seen.is_complete(), "{what}");
                assert_eq!(world.workloads[&id].rollouts, 1, "{what}");
                assert_eq!(seald.in_flight(), 0, "{what}");
                let took = world.now().monotonic.saturating_sub(began);
                let timeout = world.docs["polls"].workloads.timeout;
                assert_eq!(took > timeout / 2, id == stateful(), "{what}");
            }
        }
    }
}

#[test]
fn a_rollout_goes_on_holding_its_place_while_nothing_may_be_written() {
    for obstacle in OBSTACLES {
        let (mut world, mut seald) = stamped(&web());
        world.workloads.get_mut(&web()).unwrap().dislikes = None;
        obstacle(&mut world);
        while turn(&mut world, &mut seald) {
            let rolling = !world.workloads[&web()].seen.is_complete();
            assert!(seald.in_flight() >= usize::from(rolling));
        }
        assert_eq!(seald.in_flight(), 0);
    }
}
