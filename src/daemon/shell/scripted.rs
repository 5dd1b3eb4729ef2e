//! A shell whose API server is a script, for tests of what runs in a term.

use std::path::Path;
use std::sync::Arc;

use http::{Request, Response, StatusCode};
use kube::Client;
use kube::client::Body;
use serde_json::Value;
use tokio::sync::{Semaphore, watch};
use tower_test::mock::{Handle, pair};

use super::Shell;
use crate::cluster::client::Requests;
use crate::cluster::connection::Connection;
use crate::cluster::crd::DeletionPolicy;
use crate::cluster::events::events;
use crate::cluster::lease::Leadership;
use crate::cluster::limiter::Limiter;
use crate::cluster::mirror::Sources;
use crate::cluster::scope::Scope;
use crate::cluster::sealed_env::SealedEnvSeen;
use crate::crypto::Identity;
use crate::daemon::args;
use crate::daemon::config::Config;
use crate::daemon::index::Index;
use crate::daemon::report::Managed;
use crate::daemon::shared::{Claims, Slots, Tally};
use crate::file;
use crate::format::Format;
use crate::plan::conditions::Status;
use crate::secret::Secret;
use crate::sops::Rule;
use crate::telemetry::metrics::Metrics;
use crate::trust::{self, Change, Stamp};

/// The API server: takes requests and gives the answers of the test.
pub(in crate::daemon) type Server = Handle<Request<Body>, Response<Body>>;

/// A document of [`sealed_env`].
pub(in crate::daemon) const PLAIN: &str = "\
sealctl: v1
app: web
environment: prod
namespace: apps

secrets:
  PASS: canary-5e1f
";

/// What seald makes of its flags when it serves `prod` under `policy`, with an identity or none in
/// `folder`.
pub(in crate::daemon) fn config(
    folder: &Path,
    identity: Option<&Identity>,
    policy: &str,
) -> Config {
    if let Some(identity) = identity {
        file::create(&folder.join("prod"), &identity.text(), file::PRIVATE).unwrap();
    }
    let folder = folder.to_str().unwrap();
    let flags = [
        "seald",
        "--environment",
        "prod",
        "--verify",
        policy,
        "--identity",
        folder,
    ];
    Config::try_from(args::read(flags.map(Into::into)).unwrap()).unwrap()
}

/// `plain`, sealed for `identity` with this revision.
pub(in crate::daemon) fn seal(identity: &Identity, plain: &str, revision: u64) -> String {
    let change = Change::New {
        format: Format::Yaml,
        plain: &Secret::from_text(plain),
        recipients: &[identity.recipient()],
        rule: &Rule::environment().unwrap(),
    };
    let stamp = Stamp {
        revision,
        now: "2026-11-21T10:00:00Z".parse().unwrap(),
        expires: None,
    };
    trust::write(&change, &stamp).unwrap().text
}

/// The SealedEnv `web` of `prod` with this document and a blank status, mirrored from a file.
pub(in crate::daemon) fn sealed_env(document: String) -> SealedEnvSeen {
    SealedEnvSeen {
        scope: Scope {
            namespace: "apps".into(),
            name: "web".into(),
            uid: "u".into(),
            environment: "prod".into(),
        },
        generation: 1,
        resource_version: "1".into(),
        document,
        suspend: false,
        deletion_policy: DeletionPolicy::default(),
        deleting: false,
        finalizers: Vec::new(),
        commit: None,
        source_path: Some("envs/prod/web.yaml".into()),
        requested_at: None,
        suspend_reason: None,
        bootstrap_id: None,
        confirm_deletion: None,
        status: Status::default(),
    }
}

/// The shared parts of a term that leads, and its API server.
pub(in crate::daemon) fn shell(config: Config) -> (Arc<Shell>, Server) {
    let (service, server) = pair::<Request<Body>, Response<Body>>();
    let connection = Connection::with_client(Client::new(service, "seald"));
    let metrics = Metrics::new("test", "");
    let requests = Requests::new(connection, Limiter::new(None), metrics.clone());
    let shell = Shell {
        events: events(requests.clone(), "seald".into()).0,
        requests,
        leadership: watch::channel(Leadership::unchallenged()).1,
        stopping: watch::channel(false).1,
        index: Index::default(),
        sources: Sources::default(),
        slots: Slots::new(config.rollouts),
        managed: Managed::default(),
        pending: Tally::default(),
        claims: Claims::default(),
        working: Arc::new(Semaphore::new(1)),
        resolving: Semaphore::new(1),
        metrics,
        config: Arc::new(config),
    };
    (Arc::new(shell), server)
}

/// Answers one request and gives its path and query.
pub(in crate::daemon) async fn answer(server: &mut Server, code: u16, body: &Value) -> String {
    let (request, send) = server.next_request().await.unwrap();
    let mut response = Response::new(Body::from(body.to_string().into_bytes()));
    *response.status_mut() = StatusCode::from_u16(code).unwrap();
    send.send_response(response);
    request.uri().to_string()
}
