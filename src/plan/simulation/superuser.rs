//! Scenarios about the superuser: once, after the rollout, and nothing of it stays.

use std::collections::BTreeMap;

use super::document::web;
use super::objects::reads;
use super::*;
use crate::plan::conditions::BootstrapState;
use crate::plan::effect::Event;
use crate::plan::record::Word;
use crate::plan::snapshot::JobState;
use crate::reason::Reason;

const JOB: &str = "seald-bootstrap-polls-00000001";

fn world() -> (World, Seald) {
    let mut world = World::new("polls", Doc::new(&[("A", "1")]).with_superuser("00000001"));
    world.add(web(), vec![reads(secret("polls"))]);
    let seald = Seald::start(&world, "polls");
    (world, seald)
}

/// The Job runs.
fn running() -> (World, Seald) {
    let (mut world, mut seald) = world();
    run(&mut world, &mut [&mut seald]);
    assert_eq!(world.jobs[JOB].state, JobState::Running);
    assert!(world.credentials.contains_key("polls"));
    (world, seald)
}

fn state(world: &World) -> Option<BootstrapState> {
    world.status["polls"]
        .bootstrap
        .as_ref()
        .map(|run| run.state)
}

/// Nothing of any run is left, and a restart and the collection of Jobs change nothing.
fn at_rest(world: &mut World, seald: &mut Seald) {
    assert!(world.credentials.is_empty(), "credentials are left");
    assert!(
        world.jobs.values().all(|job| !job.held),
        "a finalizer is left"
    );
    world.collect_jobs();
    run(world, &mut [seald]);
    world.log.clear();
    let made = world.jobs_made.clone();
    seald.restart(world);
    run(world, &mut [seald]);
    assert_eq!(world.log, [""; 0]);
    assert_eq!(world.jobs_made, made);
}

#[test]
fn it_is_made_after_the_rollout_once_and_its_success_is_recorded_before_it_may_go() {
    let (mut world, mut seald) = world();
    while world.jobs.is_empty() {
        assert!(seald.deliver() | seald.turn(&mut world) | world.progress());
    }
    assert!(
        world.workloads[&web()].seen.is_complete(),
        "made before the workload was ready"
    );
    run(&mut world, &mut [&mut seald]);
    assert_eq!(seald.ready(), Some(Reason::BootstrapWaiting));
    world.words.insert(JOB.into(), Word::Created);
    world.end_job(JOB, JobState::Succeeded);
    world.log.clear();
    run(&mut world, &mut [&mut seald]);
    let release = format!("release {JOB}");
    assert_eq!(
        world.log,
        ["record", &release, "delete credentials", "status"]
    );
    assert_eq!(state(&world), Some(BootstrapState::Done));
    assert_eq!(seald.ready(), Some(Reason::Synced));
    at_rest(&mut world, &mut seald);
    assert_eq!(world.jobs_made[JOB], 1);
}

#[test]
fn a_password_that_is_not_applied_is_said() {
    let (mut world, mut seald) = running();
    world.words.insert(JOB.into(), Word::PasswordNotApplied);
    world.end_job(JOB, JobState::Succeeded);
    run(&mut world, &mut [&mut seald]);
    assert!(
        world
            .notes
            .iter()
            .any(|note| note.reason == "PasswordNotApplied")
    );
    at_rest(&mut world, &mut seald);
}

#[test]
fn a_failed_job_is_said_not_repeated_and_leaves_no_credentials() {
    let (mut world, mut seald) = running();
    world.end_job(JOB, JobState::Failed("BackoffLimitExceeded".into()));
    run(&mut world, &mut [&mut seald]);
    assert_eq!(seald.ready(), Some(Reason::BootstrapFailed));
    assert_eq!(state(&world), Some(BootstrapState::Failed));
    at_rest(&mut world, &mut seald);
    assert_eq!(seald.ready(), Some(Reason::BootstrapFailed));
    assert_eq!(world.jobs_made[JOB], 1);
    world.doc().bootstrap_id = Some("00000001".into());
    run(&mut world, &mut [&mut seald]);
    assert_eq!(world.jobs_made[JOB], 2, "asked for by annotation");
}

/// The Job that runs fails.
fn fail(world: &mut World, seald: &mut Seald) {
    run(world, &mut [seald]);
    let job = world.jobs.get(JOB);
    if job.is_some_and(|job| job.state == JobState::Running) {
        world.end_job(JOB, JobState::Failed("BackoffLimitExceeded".into()));
    }
    run(world, &mut [seald]);
}

/// Every Job fails, and goes; nothing of the time in between is left out.
fn fail_all(world: &mut World, seald: &mut Seald) {
    for _ in 0..5 {
        fail(world, seald);
        world.collect_jobs();
        run(world, &mut [seald]);
    }
}

#[test]
fn an_annotation_asks_for_one_try_and_only_setting_it_again_asks_for_another() {
    let (mut world, mut seald) = running();
    fail_all(&mut world, &mut seald);
    for tries in 2..4 {
        world.doc().bootstrap_id = Some("00000001".into());
        fail_all(&mut world, &mut seald);
        assert_eq!(world.jobs_made[JOB], tries);
        assert_eq!(seald.ready(), Some(Reason::BootstrapFailed));
        at_rest(&mut world, &mut seald);
        world.doc().bootstrap_id = None;
        fail_all(&mut world, &mut seald);
        assert_eq!(world.jobs_made[JOB], tries);
    }
}

#[test]
fn a_failed_job_that_is_still_there_goes_at_once_when_another_try_is_asked_for() {
    let (mut world, mut seald) = running();
    world.end_job(JOB, JobState::Failed("BackoffLimitExceeded".into()));
    run(&mut world, &mut [&mut seald]);
    let failed = world.jobs[JOB].version.uid.clone();
    world.log.clear();
    world.doc().bootstrap_id = Some("00000001".into());
    run(&mut world, &mut [&mut seald]);
    let delete = format!("delete {JOB}");
    let log = [&delete, "status", "credentials", "job 00000001", "status"];
    assert_eq!(world.log, log);
    assert_ne!(world.jobs[JOB].version.uid, failed);
    assert_eq!(world.jobs[JOB].state, JobState::Running);
    world.end_job(JOB, JobState::Failed("BackoffLimitExceeded".into()));
    run(&mut world, &mut [&mut seald]);
    assert!(world.jobs.contains_key(JOB), "it asks for one try only");
    assert_eq!(seald.ready(), Some(Reason::BootstrapFailed));
    at_rest(&mut world, &mut seald);
    assert_eq!(world.jobs_made[JOB], 2);
}

#[test]
fn a_try_asked_for_while_the_job_runs_is_made_after_its_failure_and_not_after_its_success() {
    for (end, made) in [
        (JobState::Failed("DeadlineExceeded".into()), 2),
        (JobState::Succeeded, 1),
    ] {
        let (mut world, mut seald) = running();
        world.doc().bootstrap_id = Some("00000001".into());
        run(&mut world, &mut [&mut seald]);
        assert_eq!(world.jobs[JOB].state, JobState::Running, "it is left alone");
        world.end_job(JOB, end);
        run(&mut world, &mut [&mut seald]);
        assert_eq!(world.jobs_made[JOB], made);
        fail_all(&mut world, &mut seald);
        at_rest(&mut world, &mut seald);
        assert_eq!(world.jobs_made[JOB], made);
    }
}

#[test]
fn an_annotation_that_was_there_before_the_first_run_asks_for_that_one() {
    let (mut world, mut seald) = world();
    world.doc().bootstrap_id = Some("00000001".into());
    run(&mut world, &mut [&mut seald]);
    fail_all(&mut world, &mut seald);
    assert_eq!(world.jobs_made[JOB], 1);
    at_rest(&mut world, &mut seald);
}

#[test]
fn an_annotation_asks_for_one_try_wherever_seald_is_killed() {
    for write in 1..12 {
        for boundary in [Boundary::Before, Boundary::After, Boundary::Lost] {
            for collected in [false, true] {
                one_try(write, boundary, collected);
            }
        }
    }
}

/// Another try is asked for after a failure, while the failed Job is there or when it is `collected`.
fn one_try(write: usize, boundary: Boundary, collected: bool) {
    let end = if collected { fail_all } else { fail };
    let (mut world, mut seald) = running();
    end(&mut world, &mut seald);
    world.doc().bootstrap_id = Some("00000001".into());
    seald.fault = Some((seald.writes + write, boundary));
    for _ in 0..3 {
        end(&mut world, &mut seald);
        if seald.is_dead() {
            seald.restart(&world);
        }
    }
    // There may be fewer writes.
    seald.fault = None;
    let what = format!("write {write}, {boundary:?}, collected: {collected}");
    assert_eq!(world.jobs_made[JOB], 2, "{what}");
    assert_eq!(seald.ready(), Some(Reason::BootstrapFailed), "{what}");
    at_rest(&mut world, &mut seald);
}

#[test]
fn a_watch_that_is_behind_while_another_try_is_made_leads_to_no_third_one() {
    for lag in 1..8 {
        let (mut world, mut seald) = running();
        fail(&mut world, &mut seald);
        world.doc().bootstrap_id = Some("00000001".into());
        seald.turn(&mut world);
        seald.lag = lag;
        fail(&mut world, &mut seald);
        seald.lag = 0;
        fail(&mut world, &mut seald);
        assert_eq!(world.jobs_made[JOB], 2, "{lag} behind");
        assert_eq!(seald.ready(), Some(Reason::BootstrapFailed), "{lag} behind");
        at_rest(&mut world, &mut seald);
    }
}

#[test]
fn a_job_that_went_before_its_end_was_seen_is_lost() {
    let (mut world, mut seald) = running();
    seald.kill();
    world.jobs.clear();
    seald.restart(&world);
    run(&mut world, &mut [&mut seald]);
    assert_eq!(seald.ready(), Some(Reason::BootstrapLost));
    at_rest(&mut world, &mut seald);
    assert_eq!(world.jobs_made[JOB], 1);
}

#[test]
fn another_id_runs_after_the_former_one_has_ended_and_nothing_of_that_stays() {
    for end in [
        JobState::Succeeded,
        JobState::Failed("DeadlineExceeded".into()),
    ] {
        let (mut world, mut seald) = running();
        world.doc().superuser.as_mut().unwrap().0 = "00000002".into();
        run(&mut world, &mut [&mut seald]);
        let other = "seald-bootstrap-polls-00000002";
        assert!(!world.jobs.contains_key(other), "two at once");
        world.end_job(JOB, end);
        run(&mut world, &mut [&mut seald]);
        assert!(!world.jobs[JOB].held);
        assert_eq!(world.jobs[other].state, JobState::Running);
        world.end_job(other, JobState::Succeeded);
        run(&mut world, &mut [&mut seald]);
        assert_eq!(seald.ready(), Some(Reason::Synced));
        at_rest(&mut world, &mut seald);
    }
}

#[test]
fn a_superuser_that_is_no_longer_asked_for_leaves_nothing() {
    for end in [
        JobState::Succeeded,
        JobState::Failed("DeadlineExceeded".into()),
    ] {
        let (mut world, mut seald) = running();
        world.doc().superuser = None;
        run(&mut world, &mut [&mut seald]);
        world.end_job(JOB, end);
        run(&mut world, &mut [&mut seald]);
        assert_eq!(seald.ready(), Some(Reason::Synced));
        assert_eq!(state(&world), None);
        at_rest(&mut world, &mut seald);
    }
}

#[test]
fn a_later_sealed_env_of_the_same_name_repeats_a_run_only_when_asked() {
    let (mut world, mut seald) = running();
    world.end_job(JOB, JobState::Succeeded);
    run(&mut world, &mut [&mut seald]);
    world.collect_jobs();
    world.status.clear();
    // The same id done is success.
    let mut again = Seald::start_as(&world, "polls", "uid-again");
    run(&mut world, &mut [&mut again]);
    assert_eq!(again.ready(), Some(Reason::Synced));
    assert_eq!(world.jobs_made[JOB], 1);
    world.doc().superuser.as_mut().unwrap().0 = "00000002".into();
    run(&mut world, &mut [&mut again]);
    assert_eq!(again.ready(), Some(Reason::BootstrapSkipped));
    assert!(world.credentials.is_empty());
    world.doc().bootstrap_id = Some("00000002".into());
    run(&mut world, &mut [&mut again]);
    assert_eq!(world.jobs_made["seald-bootstrap-polls-00000002"], 1);
}

#[test]
fn a_lost_record_repeats_no_run_that_the_status_knows() {
    let (mut world, mut seald) = running();
    world.end_job(JOB, JobState::Succeeded);
    run(&mut world, &mut [&mut seald]);
    world.collect_jobs();
    world.records.clear();
    seald.restart(&world);
    run(&mut world, &mut [&mut seald]);
    assert_eq!(world.jobs_made[JOB], 1);
    assert!(world.records["polls"].1.bootstrap.contains_key("00000001"));
    at_rest(&mut world, &mut seald);
}

#[test]
fn credentials_go_also_when_seald_is_killed_between_the_status_and_their_deletion() {
    let (mut world, mut seald) = running();
    world.forbidden.insert("credentials");
    world.end_job(JOB, JobState::Succeeded);
    for _ in 0..50 {
        let _ = seald.deliver() | seald.turn(&mut world);
    }
    assert_ne!(state(&world), Some(BootstrapState::Done));
    world.forbidden.clear();
    seald.restart(&world);
    run(&mut world, &mut [&mut seald]);
    at_rest(&mut world, &mut seald);
}

#[test]
fn a_watch_that_is_behind_makes_no_job_lost() {
    let (mut world, mut seald) = world();
    seald.lag = usize::MAX;
    for _ in 0..30 {
        let _ = seald.deliver() | seald.turn(&mut world) | world.progress();
        if world.jobs.is_empty() {
            seald.lag = 0;
        } else {
            seald.lag = usize::MAX;
        }
    }
    assert_eq!(seald.ready(), Some(Reason::BootstrapWaiting));
    assert_eq!(world.jobs_made[JOB], 1);
    // A list out of an old cache does not know it either.
    seald.send(Event::Jobs(BTreeMap::new()));
    while seald.deliver() | seald.turn(&mut world) {}
    assert_eq!(seald.ready(), Some(Reason::BootstrapWaiting));
    seald.lag = 0;
    world.end_job(JOB, JobState::Succeeded);
    run(&mut world, &mut [&mut seald]);
    at_rest(&mut world, &mut seald);
}

#[test]
fn a_job_is_waited_for_when_the_document_names_one() {
    let (mut world, mut seald) = world();
    let after = crate::env::After::Job("migrate".parse().unwrap());
    world.doc().superuser.as_mut().unwrap().1 = after;
    run(&mut world, &mut [&mut seald]);
    assert!(world.jobs.is_empty());
    assert_eq!(seald.ready(), Some(Reason::BootstrapWaiting));
}
