//! Scenarios about objects, the record and the status.

use super::document::{data, web};
use super::*;
use crate::plan::effect::{Event, Outcome, Refused, Stage};
use crate::plan::snapshot::{ObjectId, Reference};
use crate::reason::Reason;

pub(super) fn reads(id: ObjectId) -> Reference {
    Reference {
        object: id,
        key: None,
        optional: false,
    }
}

/// A cluster where `polls` is in place and `web` reads it.
pub(super) fn in_place(doc: Doc) -> (World, Seald) {
    let mut world = World::new("polls", doc);
    world.add(web(), vec![reads(secret("polls"))]);
    let mut seald = Seald::start(&world, "polls");
    run(&mut world, &mut [&mut seald]);
    world.log.clear();
    world.notes.clear();
    (world, seald)
}

#[test]
fn a_cold_start_writes_the_record_each_object_and_the_status_once() {
    let doc = Doc::new(&[("A", "1")]).and(text("polls"), &[("B", "2")]);
    let mut world = World::new("polls", doc);
    let mut seald = Seald::start(&world, "polls");
    run(&mut world, &mut [&mut seald]);
    assert_eq!(
        world.log,
        [
            "record",
            "apply Secret/polls",
            "apply ConfigMap/polls",
            "status"
        ]
    );
    assert_eq!(world.notes.len(), 1, "{:?}", world.notes);
    assert_eq!(seald.ready(), Some(Reason::Synced));
    // One look, at the objects: that there is no record is proven by making it.
    assert_eq!(seald.did.iter().filter(|did| **did == "Observe").count(), 1);
}

#[test]
fn a_record_that_outlived_the_status_is_found_before_anything_is_written() {
    let (mut world, mut seald) = in_place(Doc::new(&[("A", "1")]));
    world.status.clear();
    seald.restart(&world);
    run(&mut world, &mut [&mut seald]);
    assert_eq!(world.log, ["status"]);
    assert_eq!(world.rollouts("web"), 0);
}

#[test]
fn a_new_revision_without_readers_reaches_the_object_before_the_record() {
    let mut world = World::new("polls", Doc::new(&[("A", "1")]));
    let mut seald = Seald::start(&world, "polls");
    run(&mut world, &mut [&mut seald]);
    world.log.clear();
    world.doc().set("A", "2");
    run(&mut world, &mut [&mut seald]);
    assert_eq!(world.log, ["apply Secret/polls", "record", "status"]);
}

#[test]
fn a_restart_with_nothing_changed_writes_nothing() {
    let (mut world, mut seald) = in_place(Doc::new(&[("A", "1")]));
    for _ in 0..3 {
        seald.restart(&world);
        run(&mut world, &mut [&mut seald]);
        seald.send(Event::Resync);
        run(&mut world, &mut [&mut seald]);
    }
    assert_eq!(world.log, [""; 0]);
}

#[test]
fn a_document_touched_without_change_moves_nothing_but_the_observed_generation() {
    let (mut world, mut seald) = in_place(Doc::new(&[("A", "1")]));
    world.doc().touch();
    run(&mut world, &mut [&mut seald]);
    assert_eq!(world.log, ["status"]);
    assert_eq!(world.rollouts("web"), 0);
}

#[test]
fn a_foreign_object_stops_the_document_before_its_first_write() {
    let doc = Doc::new(&[("A", "1")]).and(text("polls"), &[("B", "2")]);
    let mut world = World::new("polls", doc);
    world.plant(text("polls"), data(&[("X", "y")]));
    let mut seald = Seald::start(&world, "polls");
    run(&mut world, &mut [&mut seald]);
    assert_eq!(world.log, ["status"]);
    assert_eq!(seald.ready(), Some(Reason::ObjectNotOwned));
}

#[test]
fn a_foreign_object_is_taken_over_when_it_names_the_sealed_env() {
    let mut world = World::new("polls", Doc::new(&[("A", "1")]));
    world.plant(secret("polls"), data(&[("X", "y")]));
    world.meddle(&secret("polls"), |object| {
        object.adopt = Some("polls".into())
    });
    let mut seald = Seald::start(&world, "polls");
    run(&mut world, &mut [&mut seald]);
    assert_eq!(world.objects[&secret("polls")].data, data(&[("A", "1")]));
    assert!(
        world
            .notes
            .iter()
            .any(|note| note.reason == "ObjectAdopted")
    );
}

#[test]
fn an_object_of_another_sealed_env_is_a_duplicate_target() {
    let (mut world, _) = in_place(Doc::new(&[("A", "1")]));
    world.docs.insert("other".into(), Doc::new(&[("A", "2")]));
    let mut other = Seald::start(&world, "other");
    run(&mut world, &mut [&mut other]);
    assert_eq!(world.log, ["status"]);
    assert_eq!(other.ready(), Some(Reason::DuplicateTarget));
}

#[test]
fn an_object_claimed_first_by_another_document_is_a_duplicate_target() {
    let mut doc = Doc::new(&[("A", "1")]);
    doc.contested.insert(secret("polls"), "other".into());
    let mut world = World::new("polls", doc);
    let mut seald = Seald::start(&world, "polls");
    run(&mut world, &mut [&mut seald]);
    assert_eq!(world.log, ["status"]);
    assert_eq!(seald.ready(), Some(Reason::DuplicateTarget));
}

#[test]
fn an_immutable_object_and_another_type_are_left_alone() {
    let (mut world, mut seald) = in_place(Doc::new(&[("A", "1")]));
    world.meddle(&secret("polls"), |object| object.immutable = true);
    world.doc().set("A", "2");
    seald.restart(&world);
    run(&mut world, &mut [&mut seald]);
    assert_eq!(world.log, ["status"]);
    assert_eq!(seald.ready(), Some(Reason::ImmutableObject));
    world.meddle(&secret("polls"), |object| object.immutable = false);
    world.doc().secret_type = "kubernetes.io/tls".into();
    seald.restart(&world);
    run(&mut world, &mut [&mut seald]);
    assert_eq!(seald.ready(), Some(Reason::ImmutableObject));
    assert_eq!(world.objects[&secret("polls")].data, data(&[("A", "1")]));
}

#[test]
fn objects_of_a_sealed_env_that_was_made_again_are_taken_back_without_a_rollout() {
    let (mut world, _) = in_place(Doc::new(&[("A", "1")]));
    world.status.clear();
    let mut again = Seald::start_as(&world, "polls", "uid-again");
    run(&mut world, &mut [&mut again]);
    assert_eq!(again.ready(), Some(Reason::Synced));
    assert_eq!(
        world.objects[&secret("polls")].owner_uid.as_deref(),
        Some("uid-again-polls")
    );
    assert_eq!(world.rollouts("web"), 0);
}

#[test]
fn a_deleted_object_comes_back_without_a_restart() {
    let (mut world, mut seald) = in_place(Doc::new(&[("A", "1")]));
    world.objects.remove(&secret("polls"));
    seald.send(Event::Resync);
    run(&mut world, &mut [&mut seald]);
    assert_eq!(world.objects[&secret("polls")].data, data(&[("A", "1")]));
    assert_eq!(world.rollouts("web"), 0);
    assert!(world.runs_the_content("web"));
}

#[test]
fn a_hand_edit_is_reverted_and_added_keys_go() {
    let (mut world, mut seald) = in_place(Doc::new(&[("A", "1")]));
    world.meddle(&secret("polls"), |object| {
        object.data.insert("A".into(), "hacked".into());
        object.data.insert("B".into(), "added".into());
    });
    seald.send(Event::Resync);
    run(&mut world, &mut [&mut seald]);
    assert_eq!(world.objects[&secret("polls")].data, data(&[("A", "1")]));
    assert_eq!(world.rollouts("web"), 0);
    // The record says since when and, in the end, that no pod has started meanwhile.
    assert_eq!(
        world.log,
        ["record", "apply Secret/polls", "record", "status"]
    );
}

#[test]
fn a_hand_edit_that_could_not_be_reverted_at_once_is_not_taken_for_our_own_after_a_restart() {
    let (mut world, mut seald) = in_place(Doc::new(&[("A", "1")]));
    world.forbidden.insert("apply");
    world.meddle(&secret("polls"), |object| {
        object.data.insert("A".into(), "hacked".into());
    });
    seald.send(Event::Resync);
    for _ in 0..50 {
        let _ = seald.deliver() | seald.turn(&mut world);
    }
    assert_eq!(seald.ready(), Some(Reason::Forbidden));
    world.forbidden.clear();
    seald.restart(&world);
    run(&mut world, &mut [&mut seald]);
    assert_eq!(world.objects[&secret("polls")].data, data(&[("A", "1")]));
}

#[test]
fn an_object_is_deleted_only_when_nothing_names_it_and_after_the_rollouts() {
    let doc = Doc::new(&[("A", "1")]).and(text("old"), &[("B", "2")]);
    let mut world = World::new("polls", doc);
    world.add(web(), vec![reads(secret("polls")), reads(text("old"))]);
    let mut seald = Seald::start(&world, "polls");
    run(&mut world, &mut [&mut seald]);
    world.doc().objects.pop();
    world.doc().set("A", "2");
    run(&mut world, &mut [&mut seald]);
    assert!(
        world.objects.contains_key(&text("old")),
        "deleted although a template names it"
    );
    world.log.clear();
    world.edit(&web(), true, |seen| {
        seen.references.retain(|read| read.object != text("old"))
    });
    run(&mut world, &mut [&mut seald]);
    assert!(!world.objects.contains_key(&text("old")));
    assert!(world.notes.iter().any(|note| note.reason == "ObjectPruned"));
    world.log.clear();
    seald.restart(&world);
    run(&mut world, &mut [&mut seald]);
    assert_eq!(world.log, [""; 0]);
}

#[test]
fn an_object_with_prune_false_and_one_that_is_not_ours_any_more_stay() {
    let mut doc = Doc::new(&[("A", "1")]).and(text("old"), &[("B", "2")]);
    doc.keep = true;
    let mut world = World::new("polls", doc);
    let mut seald = Seald::start(&world, "polls");
    run(&mut world, &mut [&mut seald]);
    world.doc().objects.pop();
    run(&mut world, &mut [&mut seald]);
    assert!(world.objects.contains_key(&text("old")));
    assert_eq!(seald.ready(), Some(Reason::Synced));
}

#[test]
fn what_may_not_be_deleted_does_not_hold_back_the_rest() {
    let doc = Doc::new(&[("A", "1")]).and(text("old"), &[("B", "2")]);
    let mut world = World::new("polls", doc);
    let mut seald = Seald::start(&world, "polls");
    run(&mut world, &mut [&mut seald]);
    world.forbidden.insert("delete");
    world.doc().objects.pop();
    run(&mut world, &mut [&mut seald]);
    assert_eq!(seald.ready(), Some(Reason::Synced));
    world.doc().set("A", "2");
    run(&mut world, &mut [&mut seald]);
    assert_eq!(world.objects[&secret("polls")].data, data(&[("A", "2")]));
}

#[test]
fn a_suspended_sealed_env_is_left_alone() {
    let (mut world, mut seald) = in_place(Doc::new(&[("A", "1")]));
    world.doc().suspend = true;
    world.doc().set("A", "2");
    run(&mut world, &mut [&mut seald]);
    assert_eq!(world.log, ["status"]);
    assert_eq!(seald.ready(), Some(Reason::Suspended));
}

#[test]
fn a_refused_document_changes_nothing_and_the_status_says_why() {
    let (mut world, mut seald) = in_place(Doc::new(&[("A", "1")]));
    let doc = world.doc();
    doc.set("A", "2");
    doc.refused = Some(Refused {
        stage: Stage::Decrypted,
        outcome: Outcome::new(Reason::IntegrityFailed, "the MAC is wrong"),
        revision: Some(2),
        verified: None,
    });
    run(&mut world, &mut [&mut seald]);
    assert_eq!(world.log, ["status"]);
    assert_eq!(seald.ready(), Some(Reason::IntegrityFailed));
    let status = &world.status["polls"];
    assert_eq!(
        (status.last_attempted_revision, status.last_applied_revision),
        (Some(2), Some(1))
    );
}

#[test]
fn a_lower_revision_is_refused_by_the_record_and_by_the_status() {
    for lost in ["nothing", "status", "record"] {
        let (mut world, mut seald) = in_place(Doc::new(&[("A", "1")]));
        world.doc().set("A", "2");
        run(&mut world, &mut [&mut seald]);
        match lost {
            "status" => world.status.clear(),
            "record" => world.records.clear(),
            _ => {}
        }
        let doc = world.doc();
        doc.set("A", "1");
        doc.revision = Some(1);
        seald.restart(&world);
        run(&mut world, &mut [&mut seald]);
        assert_eq!(seald.ready(), Some(Reason::RevisionTooOld), "{lost} lost");
        assert_eq!(world.objects[&secret("polls")].data, data(&[("A", "2")]));
    }
}

#[test]
fn while_the_api_server_is_away_pauses_grow_to_half_a_minute_and_end_when_it_is_back() {
    let (mut world, mut seald) = in_place(Doc::new(&[("A", "1")]));
    world.away = true;
    world.doc().set("A", "2");
    let mut pauses = Vec::new();
    for _ in 0..30 {
        while seald.deliver() | seald.turn(&mut world) {}
        let now = world.now().monotonic;
        let pause = seald.wake.expect("it tries again").saturating_sub(now);
        pauses.extend((pause.as_secs() > 0).then_some(pause.as_secs()));
        world.advance(pause);
    }
    assert!(pauses.is_sorted() && pauses[0] <= 2, "{pauses:?}");
    assert!((30..=38).contains(pauses.last().unwrap()), "{pauses:?}");
    world.away = false;
    seald.send(Event::Resync);
    let before = world.now().monotonic;
    while seald.deliver() | seald.turn(&mut world) {}
    assert_eq!(world.objects[&secret("polls")].data, data(&[("A", "2")]));
    assert!(world.now().monotonic - before < std::time::Duration::from_secs(1));
}

#[test]
fn what_rbac_forbids_is_tried_again_without_haste_and_said() {
    let (mut world, mut seald) = in_place(Doc::new(&[("A", "1")]));
    world.forbidden.insert("apply");
    world.doc().set("A", "2");
    for _ in 0..50 {
        let _ = seald.deliver() | seald.turn(&mut world);
    }
    let requests = world.requests;
    assert_eq!(seald.ready(), Some(Reason::Forbidden));
    assert!(seald.wake.unwrap() - world.now().monotonic > std::time::Duration::from_secs(25));
    world.forbidden.clear();
    run(&mut world, &mut [&mut seald]);
    assert!(world.requests > requests);
    assert_eq!(seald.ready(), Some(Reason::Synced));
}
