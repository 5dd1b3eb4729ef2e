//! Watches against a scripted server: what is seen after lists, ends, expiry and bad objects.

use http::{Response, StatusCode};
use kube::Client;
use kube::client::Body;
use serde_json::{Value, json};
use tower_test::mock::Handle;

use super::*;
use crate::cluster::connection::Connection;
use crate::cluster::limiter::Limiter;
use crate::telemetry::metrics::Metrics;

type Server = Handle<Request<Body>, Response<Body>>;

fn watch_jobs() -> (mpsc::Receiver<Watched>, Server, JoinSet<()>) {
    let (service, server) = tower_test::mock::pair::<Request<Body>, Response<Body>>();
    let connection = Connection::with_client(Client::new(service, "seald"));
    let requests = Requests::new(connection, Limiter::new(None), Metrics::new("test", ""));
    let (sender, receiver) = mpsc::channel(16);
    let watch = Watch {
        requests,
        kind: Kind::Job,
        namespace: Some("web".into()),
        target: Target::Jobs { list: None },
        sender,
    };
    let mut tasks = JoinSet::new();
    tasks.spawn(watch.run());
    (receiver, server, tasks)
}

fn job(name: &str, version: &str) -> Value {
    json!({ "metadata": { "name": name, "namespace": "web", "uid": "u", "resourceVersion": version } })
}

fn list(jobs: &[Value], next: &str) -> String {
    json!({ "metadata": { "resourceVersion": "10", "continue": next }, "items": jobs }).to_string()
}

fn line(kind: &str, object: &Value) -> String {
    format!("{}\n", json!({ "type": kind, "object": object }))
}

/// Answers one request and returns its path and query.
async fn answer(server: &mut Server, code: u16, body: String) -> String {
    let (request, send) = server.next_request().await.unwrap();
    let mut response = Response::new(Body::from(body.into_bytes()));
    *response.status_mut() = StatusCode::from_u16(code).unwrap();
    send.send_response(response);
    request.uri().to_string()
}

fn names(watched: Watched) -> (&'static str, Vec<String>) {
    match watched {
        Watched::Job {
            change: Change::Replaced(jobs),
            ..
        } => (
            "replaced",
            jobs.into_iter().map(|(_, job)| job.name).collect(),
        ),
        Watched::Job {
            change: Change::Put((_, job)),
            ..
        } => ("put", vec![job.name]),
        Watched::Job {
            change: Change::Gone { name, .. },
            ..
        } => ("gone", vec![name]),
        Watched::Unreadable(place) => ("unreadable", vec![place.name]),
        Watched::Failing { error, .. } => ("failing", vec![format!("{:?}", error.class)]),
        Watched::Recovered { .. } => ("recovered", vec![]),
        other => panic!("{other:?}"),
    }
}

async fn next(receiver: &mut mpsc::Receiver<Watched>) -> (&'static str, Vec<String>) {
    names(receiver.recv().await.unwrap())
}

#[tokio::test]
async fn a_list_of_several_pages_comes_as_one_and_changes_follow() {
    let (mut seen, mut server, _tasks) = watch_jobs();
    answer(&mut server, 200, list(&[job("a", "1")], "token")).await;
    let second = answer(&mut server, 200, list(&[job("b", "2")], "")).await;
    assert!(
        second.ends_with("/jobs?limit=500&continue=token"),
        "{second}"
    );
    assert_eq!(
        next(&mut seen).await,
        ("replaced", vec!["a".into(), "b".into()])
    );
    let lines = line("MODIFIED", &job("a", "11"))
        + &line("DELETED", &job("b", "12"))
        + &line(
            "BOOKMARK",
            &json!({ "metadata": { "resourceVersion": "20" } }),
        );
    let watch = answer(&mut server, 200, lines).await;
    assert!(
        watch.contains("watch=1") && watch.contains("resourceVersion=10"),
        "{watch}"
    );
    assert_eq!(next(&mut seen).await, ("put", vec!["a".into()]));
    assert_eq!(next(&mut seen).await, ("gone", vec!["b".into()]));
    // The server has ended the watch: the next one goes on from the bookmark, without a list.
    let watch = answer(&mut server, 200, String::new()).await;
    assert!(
        watch.contains("watch=1") && watch.contains("resourceVersion=20"),
        "{watch}"
    );
}

#[tokio::test]
async fn an_expired_version_is_answered_by_a_new_list_however_it_is_said() {
    let expired = json!({ "code": 410, "reason": "Expired" });
    for (code, body) in [(200, line("ERROR", &expired)), (410, expired.to_string())] {
        let (mut seen, mut server, _tasks) = watch_jobs();
        answer(&mut server, 200, list(&[job("a", "1")], "")).await;
        assert_eq!(next(&mut seen).await.0, "replaced");
        answer(&mut server, code, body).await;
        let again = answer(&mut server, 200, list(&[], "")).await;
        assert!(again.ends_with("/jobs?limit=500"), "{again}");
        // What is missing from the new list was deleted meanwhile.
        assert_eq!(next(&mut seen).await, ("replaced", vec![]));
    }
}

#[tokio::test]
async fn an_object_that_cannot_be_read_is_named_and_blinds_nobody() {
    let (mut seen, mut server, _tasks) = watch_jobs();
    let broken =
        json!({ "metadata": { "name": "broken", "namespace": "web", "labels": "canary" } });
    answer(&mut server, 200, list(&[broken, job("good", "2")], "")).await;
    assert_eq!(next(&mut seen).await, ("unreadable", vec!["broken".into()]));
    assert_eq!(next(&mut seen).await, ("replaced", vec!["good".into()]));
}

#[tokio::test]
async fn a_failure_is_told_once_per_try_and_so_is_the_recovery() {
    let (mut seen, mut server, _tasks) = watch_jobs();
    answer(
        &mut server,
        403,
        json!({ "reason": "Forbidden" }).to_string(),
    )
    .await;
    assert_eq!(next(&mut seen).await, ("failing", vec!["Forbidden".into()]));
    answer(&mut server, 200, list(&[], "")).await;
    assert_eq!(next(&mut seen).await, ("replaced", vec![]));
    answer(&mut server, 200, String::new()).await;
    assert_eq!(next(&mut seen).await.0, "recovered");
}

#[tokio::test]
async fn a_line_that_is_cut_off_loses_nothing() {
    let (mut seen, mut server, _tasks) = watch_jobs();
    answer(&mut server, 200, list(&[], "")).await;
    assert_eq!(next(&mut seen).await.0, "replaced");
    let whole = line("ADDED", &job("a", "11"));
    let cut = line("ADDED", &job("b", "12"));
    answer(&mut server, 200, whole + &cut[..cut.len() / 2]).await;
    assert_eq!(next(&mut seen).await, ("put", vec!["a".into()]));
    assert_eq!(next(&mut seen).await.0, "failing");
    let again = answer(&mut server, 200, String::new()).await;
    assert!(again.contains("resourceVersion=11"), "{again}");
}

#[tokio::test]
async fn a_watch_that_is_cut_at_once_is_not_repeated_without_a_pause() {
    let (mut seen, mut server, _tasks) = watch_jobs();
    answer(&mut server, 200, list(&[], "")).await;
    assert_eq!(next(&mut seen).await.0, "replaced");
    answer(&mut server, 200, String::new()).await;
    let ended = Instant::now();
    let again = answer(&mut server, 200, String::new()).await;
    assert!(again.contains("watch=1"), "{again}");
    // The pause varies by a quarter.
    assert!(ended.elapsed() > SHORTEST_PAUSE / 2);
}

#[tokio::test]
async fn watches_end_when_nobody_listens() {
    let (seen, mut server, mut tasks) = watch_jobs();
    drop(seen);
    answer(&mut server, 200, list(&[], "")).await;
    tasks.join_next().await.unwrap().unwrap();
}
