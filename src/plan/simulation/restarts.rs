//! Scenarios about which workload rolls, when, and how many at a time.

use std::time::Duration;

use super::document::{data, deployment, web};
use super::objects::{in_place, reads};
use super::*;
use crate::env::{Restart, WorkloadKind, WorkloadRef};
use crate::plan::conditions::RolloutState;
use crate::plan::effect::Event;
use crate::plan::snapshot::{ObjectId, Reference};
use crate::reason::Reason;

fn key(id: ObjectId, key: &str) -> Reference {
    Reference {
        object: id,
        key: Some(key.into()),
        optional: false,
    }
}

fn optional(id: ObjectId) -> Reference {
    Reference {
        object: id,
        key: None,
        optional: true,
    }
}

/// A cluster with `names`, which all read the whole Secret, in place.
fn many(doc: Doc, names: &[String]) -> (World, Seald) {
    let mut world = World::new("polls", doc);
    for name in names {
        world.add(deployment(name), vec![reads(secret("polls"))]);
    }
    let mut seald = Seald::start(&world, "polls");
    run(&mut world, &mut [&mut seald]);
    world.log.clear();
    world.notes.clear();
    (world, seald)
}

fn names(count: usize) -> Vec<String> {
    (0..count).map(|number| format!("app{number:03}")).collect()
}

/// How many stamps each write of a wave had: a run of `stamp` lines without anything between.
fn stamps(world: &World) -> usize {
    world
        .log
        .iter()
        .filter(|line| line.starts_with("stamp"))
        .count()
}

#[test]
fn exactly_the_reader_of_a_changed_key_rolls_and_once() {
    let mut world = World::new("polls", Doc::new(&[("A", "1"), ("B", "1")]));
    world.add(deployment("a"), vec![key(secret("polls"), "A")]);
    world.add(deployment("b"), vec![key(secret("polls"), "B")]);
    world.add(deployment("all"), vec![reads(secret("polls"))]);
    world.add(deployment("none"), vec![reads(text("else"))]);
    let mut seald = Seald::start(&world, "polls");
    run(&mut world, &mut [&mut seald]);
    world.doc().set("A", "2");
    run(&mut world, &mut [&mut seald]);
    seald.restart(&world);
    run(&mut world, &mut [&mut seald]);
    let rolled = ["a", "b", "all", "none"].map(|name| world.rollouts(name));
    assert_eq!(rolled, [1, 0, 1, 0]);
    assert_eq!(seald.ready(), Some(Reason::Synced));
}

#[test]
fn an_optional_reader_that_started_before_the_object_rolls_and_a_required_one_does_not() {
    let mut world = World::new("polls", Doc::new(&[("A", "1")]));
    world.add(deployment("optional"), vec![optional(secret("polls"))]);
    world.add(deployment("required"), vec![reads(secret("polls"))]);
    while world.progress() {}
    let mut seald = Seald::start(&world, "polls");
    run(&mut world, &mut [&mut seald]);
    assert_eq!(
        (world.rollouts("optional"), world.rollouts("required")),
        (1, 0)
    );
    assert!(world.runs_the_content("optional") && world.runs_the_content("required"));
}

#[test]
fn a_workload_that_comes_after_the_content_is_recorded_and_not_stamped() {
    let (mut world, mut seald) = in_place(Doc::new(&[("A", "1")]));
    world.advance(Duration::from_secs(5));
    for lost in [false, true] {
        let id = deployment(if lost { "later" } else { "new" });
        world.add(id.clone(), vec![reads(secret("polls"))]);
        if lost {
            seald.restart(&world);
        }
        run(&mut world, &mut [&mut seald]);
        assert_eq!(world.workloads[&id].rollouts, 0);
        assert!(world.records["polls"].1.workloads.contains_key(&id));
    }
    world.doc().set("A", "2");
    run(&mut world, &mut [&mut seald]);
    assert_eq!((world.rollouts("new"), world.rollouts("later")), (1, 1));
}

#[test]
fn a_reader_without_record_whose_pods_are_older_than_the_content_is_stamped() {
    let (mut world, mut seald) = in_place(Doc::new(&[("A", "1")]));
    world.advance(Duration::from_secs(5));
    world.meddle(&secret("polls"), |object| {
        object.data.insert("A".into(), "0".into()).unwrap().clear()
    });
    world.records.clear();
    world.status.clear();
    world.doc().revision = None;
    seald.restart(&world);
    run(&mut world, &mut [&mut seald]);
    assert_eq!(world.objects[&secret("polls")].data, data(&[("A", "1")]));
    assert!(world.runs_the_content("web"));
    let rolled = world.rollouts("web");
    seald.restart(&world);
    run(&mut world, &mut [&mut seald]);
    assert_eq!(world.rollouts("web"), rolled);
}

#[test]
fn a_lost_record_moves_nothing_that_started_after_the_content() {
    let (mut world, mut seald) = in_place(Doc::new(&[("A", "1")]));
    world.advance(Duration::from_secs(5));
    world.edit(&web(), true, |_| {});
    while world.progress() {}
    let before = world.rollouts("web");
    world.records.clear();
    seald.restart(&world);
    run(&mut world, &mut [&mut seald]);
    assert_eq!(world.rollouts("web"), before);
}

#[test]
fn a_reference_that_somebody_adds_is_recorded_without_another_rollout() {
    let doc = Doc::new(&[("A", "1")]).and(text("polls"), &[("B", "1")]);
    let (mut world, mut seald) = in_place(doc);
    world.edit(&web(), true, |seen| {
        seen.references.push(reads(text("polls")))
    });
    run(&mut world, &mut [&mut seald]);
    assert_eq!(world.rollouts("web"), 1, "its own");
    world.doc().objects[1].1.insert("B".into(), "2".into());
    run(&mut world, &mut [&mut seald]);
    assert_eq!(world.rollouts("web"), 2);
    assert!(world.runs_the_content("web"));
}

#[test]
fn a_marker_removed_by_gitops_and_a_rollout_undone_move_nothing_more() {
    let (mut world, mut seald) = in_place(Doc::new(&[("A", "1")]));
    world.doc().set("A", "2");
    run(&mut world, &mut [&mut seald]);
    let marker = world.workloads[&web()].seen.markers.clone();
    world.doc().set("A", "3");
    run(&mut world, &mut [&mut seald]);
    for other in [marker, std::collections::BTreeMap::new()] {
        let before = world.rollouts("web");
        world.edit(&web(), true, |seen| seen.markers = other);
        run(&mut world, &mut [&mut seald]);
        assert_eq!(world.rollouts("web"), before + 1, "the edit itself");
        seald.restart(&world);
        run(&mut world, &mut [&mut seald]);
        assert_eq!(world.rollouts("web"), before + 1);
        assert!(world.runs_the_content("web"));
    }
}

#[test]
fn after_rollout_undo_the_former_content_still_rolls_although_its_marker_is_there() {
    let (mut world, mut seald) = in_place(Doc::new(&[("A", "0")]));
    world.doc().set("A", "1");
    run(&mut world, &mut [&mut seald]);
    let marker = world.workloads[&web()].seen.markers.clone();
    world.doc().set("A", "2");
    run(&mut world, &mut [&mut seald]);
    world.edit(&web(), true, |seen| seen.markers = marker);
    run(&mut world, &mut [&mut seald]);
    world.doc().set("A", "1");
    run(&mut world, &mut [&mut seald]);
    assert!(
        world.runs_the_content("web"),
        "its pods still run the content that was taken back"
    );
    let rolled = world.rollouts("web");
    seald.restart(&world);
    run(&mut world, &mut [&mut seald]);
    assert_eq!(world.rollouts("web"), rolled);
}

#[test]
fn content_that_changes_back_while_it_settles_rolls_nothing() {
    let mut doc = Doc::new(&[("A", "1")]);
    doc.workloads.settle = Duration::from_secs(10);
    let (mut world, mut seald) = in_place(doc);
    for value in ["2", "3", "1"] {
        world.doc().set("A", value);
        while seald.deliver() | seald.turn(&mut world) {}
        world.advance(Duration::from_secs(3));
    }
    run(&mut world, &mut [&mut seald]);
    assert_eq!(world.rollouts("web"), 0);
    assert!(world.runs_the_content("web"));
}

/// Content goes from 1 to 2 and, after `meanwhile`, back to 1 before it has settled.
fn there_and_back(restarts: bool, meanwhile: impl FnOnce(&mut World)) -> World {
    let mut doc = Doc::new(&[("A", "1")]);
    doc.workloads.settle = Duration::from_secs(10);
    let (mut world, mut seald) = in_place(doc);
    world.advance(Duration::from_secs(5));
    world.doc().set("A", "2");
    while seald.deliver() | seald.turn(&mut world) {}
    world.advance(Duration::from_secs(2));
    meanwhile(&mut world);
    world.advance(Duration::from_secs(2));
    world.doc().set("A", "1");
    if restarts {
        seald.restart(&world);
    }
    run(&mut world, &mut [&mut seald]);
    let rolled = world.rollouts("web");
    for _ in 0..2 {
        seald.restart(&world);
        run(&mut world, &mut [&mut seald]);
    }
    assert_eq!(world.rollouts("web"), rolled, "it does not rest");
    assert_eq!(seald.ready(), Some(Reason::Synced));
    world
}

#[test]
fn a_pod_that_started_between_content_and_its_return_is_rolled_once() {
    for restarts in [false, true] {
        let world = there_and_back(restarts, |world| {
            world.edit(&web(), false, |seen| seen.desired = 3);
            world.progress();
            world.progress();
        });
        assert!(world.runs_the_content("web"));
        assert_eq!(world.rollouts("web"), 1);
    }
}

#[test]
fn a_pod_that_starts_after_the_return_moves_nothing() {
    let mut doc = Doc::new(&[("A", "1")]);
    doc.workloads.settle = Duration::from_secs(10);
    let (mut world, mut seald) = in_place(doc);
    world.advance(Duration::from_secs(5));
    for value in ["2", "1"] {
        world.doc().set("A", value);
        while seald.deliver() | seald.turn(&mut world) {}
        world.advance(Duration::from_secs(2));
    }
    world.edit(&web(), false, |seen| seen.desired = 3);
    run(&mut world, &mut [&mut seald]);
    assert_eq!(world.rollouts("web"), 0);
    assert_eq!(there_and_back(true, |_| {}).rollouts("web"), 0);
}

#[test]
fn a_pod_that_started_with_a_hand_edit_is_rolled_when_it_is_reverted() {
    for starts in [false, true] {
        let (mut world, mut seald) = in_place(Doc::new(&[("A", "1")]));
        world.advance(Duration::from_secs(5));
        world.meddle(&secret("polls"), |object| {
            object.data.insert("A".into(), "hacked".into());
        });
        if starts {
            world.edit(&web(), false, |seen| seen.desired = 3);
            while world.progress() {}
        }
        seald.send(Event::Resync);
        run(&mut world, &mut [&mut seald]);
        assert!(world.runs_the_content("web"));
        assert_eq!(world.rollouts("web"), u32::from(starts));
        assert_eq!(seald.ready(), Some(Reason::Synced));
    }
}

#[test]
fn while_nothing_changes_no_pods_are_read() {
    let (mut world, mut seald) = in_place(Doc::new(&[("A", "1")]));
    world.forbidden.insert("pods");
    world.doc().set("A", "2");
    run(&mut world, &mut [&mut seald]);
    for _ in 0..3 {
        seald.send(Event::Resync);
        seald.restart(&world);
        run(&mut world, &mut [&mut seald]);
    }
    assert_eq!(seald.ready(), Some(Reason::Synced));
    assert_eq!(world.rollouts("web"), 1);
}

#[test]
fn changes_within_the_settle_time_are_one_rollout() {
    let mut doc = Doc::new(&[("A", "1")]);
    doc.workloads.settle = Duration::from_secs(10);
    let (mut world, mut seald) = in_place(doc);
    for value in ["2", "3", "4"] {
        world.doc().set("A", value);
        while seald.deliver() | seald.turn(&mut world) {}
        assert_eq!(world.rollouts("web"), 0);
        world.advance(Duration::from_secs(9));
    }
    run(&mut world, &mut [&mut seald]);
    assert_eq!(world.rollouts("web"), 1);
    assert!(world.runs_the_content("web"));
}

#[test]
fn a_reader_of_two_sealed_envs_rolls_once_for_each_and_keeps_both_markers() {
    let mut world = World::new("polls", Doc::new(&[("A", "1")]));
    let mut other = Doc::new(&[("B", "1")]);
    other.objects[0].0 = secret("mail");
    world.docs.insert("mail".into(), other);
    world.add(web(), vec![reads(secret("polls")), reads(secret("mail"))]);
    let mut polls = Seald::start(&world, "polls");
    let mut mail = Seald::start(&world, "mail");
    run(&mut world, &mut [&mut polls, &mut mail]);
    assert_eq!(world.rollouts("web"), 0);
    world.doc().set("A", "2");
    run(&mut world, &mut [&mut polls, &mut mail]);
    assert_eq!(world.rollouts("web"), 1);
    world.docs.get_mut("mail").unwrap().set("B", "2");
    world.doc().touch();
    run(&mut world, &mut [&mut polls, &mut mail]);
    assert_eq!(world.rollouts("web"), 2);
    let markers: Vec<_> = world.workloads[&web()].seen.markers.keys().collect();
    assert_eq!(markers, ["mail", "polls"]);
    assert!(world.runs_the_content("web"));
}

#[test]
fn the_first_goes_alone_and_then_as_many_as_allowed() {
    let mut doc = Doc::new(&[("A", "1")]);
    doc.workloads.parallel = 3;
    let (mut world, mut seald) = many(doc, &names(8));
    world.doc().set("A", "2");
    let mut most = 0;
    let mut alone = true;
    for _ in 0..2000 {
        let busy = seald.deliver() | seald.turn(&mut world) | world.progress();
        let unfinished = |load: &&cluster::Load| load.rollouts > 0 && !load.seen.is_complete();
        let rolling = world.workloads.values().filter(unfinished).count();
        let first = &world.workloads[&deployment("app000")];
        if !(first.rollouts > 0 && first.seen.is_complete()) {
            alone &= rolling <= 1;
        }
        most = most.max(rolling);
        if !busy {
            match seald.wake {
                Some(wake) => world.advance(wake.saturating_sub(world.now().monotonic)),
                None => break,
            }
        }
    }
    assert!(alone, "others rolled beside the canary");
    assert_eq!(most, 3);
    assert!(world.workloads.values().all(|load| load.rollouts == 1));
    assert_eq!(seald.ready(), Some(Reason::Synced));
}

#[test]
fn five_hundred_roll_in_two_waves_the_canary_and_all_others() {
    let mut doc = Doc::new(&[("A", "1")]);
    doc.workloads.parallel = 500;
    let (mut world, mut seald) = many(doc, &names(500));
    seald.did.clear();
    world.doc().set("A", "2");
    run(&mut world, &mut [&mut seald]);
    assert_eq!(seald.did.iter().filter(|did| **did == "Stamp").count(), 2);
    assert_eq!(stamps(&world), 500);
    assert!(world.workloads.values().all(|load| load.rollouts == 1));
}

#[test]
fn places_that_other_sealed_envs_take_are_waited_for() {
    let (mut world, mut seald) = many(Doc::new(&[("A", "1")]), &names(3));
    seald.slots = 0;
    world.doc().set("A", "2");
    for _ in 0..200 {
        let _ = seald.deliver() | seald.turn(&mut world) | world.progress();
        world.advance(Duration::from_millis(50));
    }
    assert_eq!(stamps(&world), 0);
    seald.slots = 1;
    run(&mut world, &mut [&mut seald]);
    assert_eq!(stamps(&world), 3);
}

/// How many workloads the cluster is rolling.
fn in_flight(world: &World) -> usize {
    let loads = world.workloads.values();
    loads.filter(|load| !load.seen.is_complete()).count()
}

#[test]
fn every_rollout_is_counted_from_before_its_stamp_until_its_end_whatever_comes_between() {
    for restart_at in 0..60 {
        let (mut world, mut seald) = many(Doc::new(&[("A", "1")]), &names(5));
        world.doc().set("A", "2");
        for turn in 0..400 {
            if turn == 8 {
                // Another document while rollouts are under way.
                world.doc().set("A", "3");
            }
            if turn == restart_at {
                seald.restart(&world);
                // Whoever starts it has counted what the cluster rolls; then it does so itself.
                while seald.deliver() | seald.turn(&mut world) {
                    assert!(seald.in_flight() >= in_flight(&world), "at {restart_at}");
                }
            }
            let before = seald.deliver();
            let busy = before | seald.turn(&mut world);
            assert!(
                seald.in_flight() >= in_flight(&world),
                "{turn}, {restart_at}"
            );
            if !(busy | world.progress()) {
                world.advance(Duration::from_millis(50));
            }
        }
        assert_eq!(seald.ready(), Some(Reason::Synced));
        assert_eq!(seald.in_flight(), 0, "places are given back");
    }
}

#[test]
fn a_rollout_that_failed_holds_no_place() {
    let (mut world, mut seald) = many(Doc::new(&[("A", "1")]), &names(2));
    for load in world.workloads.values_mut() {
        load.dislikes = Some("bad".into());
    }
    world.doc().set("A", "bad");
    run(&mut world, &mut [&mut seald]);
    assert_eq!(seald.ready(), Some(Reason::RolloutFailed));
    assert_eq!(seald.in_flight(), 0);
    seald.restart(&world);
    run(&mut world, &mut [&mut seald]);
    assert_eq!(seald.in_flight(), 0);
}

#[test]
fn a_canary_that_fails_holds_the_others_also_after_a_restart_until_it_is_mended() {
    let (mut world, mut seald) = many(Doc::new(&[("A", "1")]), &names(4));
    for load in world.workloads.values_mut() {
        load.dislikes = Some("bad".into());
    }
    world.doc().set("A", "bad");
    run(&mut world, &mut [&mut seald]);
    assert_eq!(seald.ready(), Some(Reason::RolloutFailed));
    for _ in 0..3 {
        seald.restart(&world);
        run(&mut world, &mut [&mut seald]);
        assert_eq!(
            stamps(&world),
            1,
            "a restart rolled another one into the failure"
        );
    }
    world.doc().set("A", "good");
    run(&mut world, &mut [&mut seald]);
    assert_eq!(seald.ready(), Some(Reason::Synced));
    let rolled: Vec<_> = world.workloads.values().map(|load| load.rollouts).collect();
    assert_eq!(rolled, [2, 1, 1, 1]);
}

#[test]
fn a_restart_in_the_middle_of_a_wave_waits_for_what_is_being_rolled() {
    let (mut world, mut seald) = many(Doc::new(&[("A", "1")]), &names(4));
    world.doc().set("A", "2");
    while stamps(&world) == 0 {
        let _ = seald.deliver() | seald.turn(&mut world);
    }
    seald.restart(&world);
    while seald.deliver() | seald.turn(&mut world) {}
    assert_eq!(
        stamps(&world),
        1,
        "another one was rolled beside the canary"
    );
    run(&mut world, &mut [&mut seald]);
    assert!(world.workloads.values().all(|load| load.rollouts == 1));
}

#[test]
fn a_rollout_that_reports_nothing_times_out_and_seald_rests() {
    let (mut world, mut seald) = many(Doc::new(&[("A", "1")]), &names(3));
    world.doc().set("A", "2");
    while stamps(&world) == 0 {
        let _ = seald.deliver() | seald.turn(&mut world);
    }
    // No controller moves it.
    for _ in 0..100 {
        if !(seald.deliver() | seald.turn(&mut world)) {
            let Some(wake) = seald.wake else { break };
            world.advance(wake.saturating_sub(world.now().monotonic));
        }
    }
    assert_eq!(seald.wake, None);
    assert_eq!(seald.ready(), Some(Reason::RolloutTimedOut));
    assert_eq!(stamps(&world), 1);
    run(&mut world, &mut [&mut seald]);
    assert_eq!(seald.ready(), Some(Reason::Synced), "it came at last");
}

#[test]
fn who_is_not_to_be_rolled_is_left_alone_and_the_status_says_so() {
    let mut doc = Doc::new(&[("A", "1")]);
    doc.workloads.exclude = vec![deployment("excluded")];
    let list = ["excluded", "ondelete", "opted", "paused", "rolled"].map(str::to_owned);
    let mut world = World::new("polls", doc);
    let stateful = WorkloadRef {
        kind: WorkloadKind::StatefulSet,
        name: "db".parse().unwrap(),
    };
    world.add(stateful.clone(), vec![reads(secret("polls"))]);
    for name in &list {
        world.add(deployment(name), vec![reads(secret("polls"))]);
    }
    world.edit(&deployment("ondelete"), false, |seen| seen.on_delete = true);
    world.edit(&deployment("opted"), false, |seen| {
        seen.opted_out = Some("asks so".into())
    });
    let mut seald = Seald::start(&world, "polls");
    run(&mut world, &mut [&mut seald]);
    world.edit(&deployment("paused"), false, |seen| seen.paused = true);
    world.notes.clear();
    world.doc().set("A", "2");
    run(&mut world, &mut [&mut seald]);
    let rolled = list.each_ref().map(|name| world.rollouts(name));
    assert_eq!(rolled, [0, 0, 0, 0, 1]);
    assert_eq!(world.workloads[&stateful].rollouts, 0);
    let skipped = &world.status["polls"].rollouts;
    assert_eq!(
        skipped
            .iter()
            .filter(|rollout| rollout.state == RolloutState::Skipped)
            .count(),
        5
    );
    assert!(
        world
            .notes
            .iter()
            .any(|note| note.reason == "RolloutSkipped" && note.warning)
    );
    assert_eq!(seald.ready(), Some(Reason::Paused));
    world.edit(&deployment("paused"), false, |seen| seen.paused = false);
    run(&mut world, &mut [&mut seald]);
    assert_eq!(world.rollouts("paused"), 1);
}

#[test]
fn a_document_that_never_restarts_anything_moves_no_workload() {
    let mut doc = Doc::new(&[("A", "1")]);
    doc.workloads.restart = Restart::Never;
    let (mut world, mut seald) = in_place(doc);
    world.doc().set("A", "2");
    run(&mut world, &mut [&mut seald]);
    assert_eq!(world.rollouts("web"), 0);
    assert_eq!(seald.ready(), Some(Reason::Synced));
}

#[test]
fn a_workload_that_is_broken_for_its_own_reasons_does_not_hold_back_others() {
    let (mut world, mut seald) = many(Doc::new(&[("A", "1")]), &names(2));
    world.add(
        deployment("aaa"),
        vec![reads(text("else")), key(secret("polls"), "B")],
    );
    run(&mut world, &mut [&mut seald]);
    assert_eq!(world.rollouts("aaa"), 0);
    assert_eq!(seald.ready(), Some(Reason::RolloutFailed));
    world.doc().set("A", "2");
    seald.restart(&world);
    run(&mut world, &mut [&mut seald]);
    assert!(
        world.runs_the_content("app000"),
        "held back by a workload that failed before"
    );
}

#[test]
fn pods_that_may_not_be_read_are_asked_for_without_haste() {
    let (mut world, mut seald) = in_place(Doc::new(&[("A", "1")]));
    world.forbidden.insert("pods");
    world.advance(Duration::from_secs(5));
    world.add(deployment("new"), vec![reads(secret("polls"))]);
    seald.restart(&world);
    let requests = world.requests;
    for _ in 0..50 {
        let _ = seald.deliver() | seald.turn(&mut world);
    }
    assert!(world.requests - requests < 8);
    assert_eq!(seald.ready(), Some(Reason::Forbidden));
}

#[test]
fn a_stamp_that_is_forbidden_does_not_hold_back_content() {
    let (mut world, mut seald) = in_place(Doc::new(&[("A", "1")]));
    world.forbidden.insert("stamp");
    for value in ["2", "3"] {
        world.doc().set("A", value);
        for _ in 0..50 {
            let _ = seald.deliver() | seald.turn(&mut world);
        }
        assert_eq!(world.objects[&secret("polls")].data, data(&[("A", value)]));
        assert_eq!(seald.ready(), Some(Reason::Forbidden));
    }
    world.forbidden.clear();
    seald.send(Event::Resync);
    run(&mut world, &mut [&mut seald]);
    assert_eq!(world.rollouts("web"), 1);
}

#[test]
fn a_document_that_changes_while_an_object_is_written_is_written_too() {
    let (mut world, mut seald) = in_place(Doc::new(&[("A", "1")]));
    world.doc().set("A", "2");
    while !world.log.iter().any(|line| line.starts_with("apply")) {
        let _ = seald.deliver() | seald.turn(&mut world);
    }
    // The answer to the first write is still on its way.
    world.doc().set("A", "3");
    seald.turn(&mut world);
    run(&mut world, &mut [&mut seald]);
    assert_eq!(world.objects[&secret("polls")].data, data(&[("A", "3")]));
    assert!(world.runs_the_content("web"));
}
