//! Answers that a real server gives only on a bad day.

use std::pin::pin;

use http::{HeaderValue, Response, StatusCode};
use kube::Client;
use serde_json::json;
use tower_test::mock::Handle;

use super::*;

type Server = Handle<Request<Body>, Response<Body>>;

fn requests() -> (Requests, Server) {
    let (service, server) = tower_test::mock::pair::<Request<Body>, Response<Body>>();
    let connection = Connection::with_client(Client::new(service, "seald"));
    (
        Requests::new(connection, Limiter::new(None), Metrics::new("test", "")),
        server,
    )
}

fn place() -> Place {
    Place::new(Kind::Secret, "web", "web-secrets")
}

fn answer(code: u16, body: &Value) -> Response<Body> {
    let body = Body::from(body.to_string().into_bytes());
    let mut response = Response::new(body);
    *response.status_mut() = StatusCode::from_u16(code).unwrap();
    response
}

fn object() -> Value {
    json!({"metadata": {"uid": "u1", "resourceVersion": "7"}, "data": {"A": "Y2FuYXJ5"}})
}

/// Answers the requests in order and returns what was asked.
async fn serve(server: Server, answers: Vec<Response<Body>>) -> Vec<String> {
    let mut server = pin!(server);
    let mut asked = Vec::new();
    for response in answers {
        let (request, send) = server.next_request().await.unwrap();
        asked.push(format!("{} {}", request.method(), request.uri()));
        send.send_response(response);
    }
    asked
}

async fn apply(requests: &Requests) -> Result<Meta, ApiError> {
    requests
        .apply(&place(), "seald", Force::Yes, Secret::from_text("{}"))
        .await
}

#[tokio::test]
async fn an_apply_asks_for_metadata_only_and_returns_uid_and_version() {
    let (requests, server) = requests();
    let server = tokio::spawn(serve(server, vec![answer(200, &object())]));
    let written = apply(&requests).await.unwrap();
    assert_eq!(
        (written.uid.as_str(), written.resource_version.as_str()),
        ("u1", "7")
    );
    assert_eq!(
        server.await.unwrap(),
        ["PATCH /api/v1/namespaces/web/secrets/web-secrets?fieldManager=seald&force=true"]
    );
}

#[tokio::test]
async fn refusals_for_load_are_tried_again_and_then_succeed() {
    let (requests, server) = requests();
    let webhook = json!({"message": "Internal error occurred: failed calling webhook \"x\""});
    let answers = vec![
        answer(429, &json!("slow down")),
        answer(500, &webhook),
        answer(200, &object()),
    ];
    let server = tokio::spawn(serve(server, answers));
    assert!(apply(&requests).await.is_ok());
    assert_eq!(server.await.unwrap().len(), 3);
}

#[tokio::test]
async fn a_permanent_503_ends_after_three_tries() {
    let (requests, server) = requests();
    let answers = (0..3).map(|_| answer(503, &json!({}))).collect();
    let server = tokio::spawn(serve(server, answers));
    assert_eq!(
        apply(&requests).await.unwrap_err().class,
        Class::Unavailable
    );
    server.await.unwrap();
}

#[tokio::test]
async fn an_absurd_retry_after_ends_the_call_instead_of_hanging_it() {
    let (requests, server) = requests();
    let mut throttled = answer(429, &json!({}));
    throttled
        .headers_mut()
        .insert(RETRY_AFTER, HeaderValue::from_static("3600"));
    let server = tokio::spawn(serve(server, vec![throttled]));
    assert_eq!(apply(&requests).await.unwrap_err().class, Class::Throttled);
    assert_eq!(server.await.unwrap().len(), 1);
}

#[tokio::test]
async fn a_write_answered_504_is_not_sent_twice() {
    let (requests, server) = requests();
    let server = tokio::spawn(serve(server, vec![answer(504, &json!({}))]));
    let error = apply(&requests).await.unwrap_err();
    assert!(error.is_outcome_unknown());
    assert_eq!(server.await.unwrap().len(), 1);
}

#[tokio::test]
async fn an_answer_that_cannot_be_read_leaves_nothing_of_it_behind() {
    let (requests, server) = requests();
    let broken = json!({"metadata": {"uid": ["canary-91"]}});
    let server = tokio::spawn(serve(server, vec![answer(200, &broken)]));
    let error = apply(&requests).await.unwrap_err();
    assert_eq!(error.class, Class::Unreadable);
    assert!(!format!("{error} {error:?}").contains("canary"));
    server.await.unwrap();
}

#[tokio::test]
async fn absent_and_without_namespace_are_different() {
    let (requests, server) = requests();
    let answers = vec![
        answer(404, &json!({"details": {"kind": "secrets"}})),
        answer(404, &json!({"details": {"kind": "namespaces"}})),
    ];
    let server = tokio::spawn(serve(server, answers));
    assert_eq!(requests.get_meta(&place()).await.unwrap(), None);
    let error = requests.get_meta(&place()).await.unwrap_err();
    assert_eq!(error.class, Class::NamespaceMissing);
    server.await.unwrap();
}
