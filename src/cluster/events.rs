//! Kubernetes Events, sent beside the work and never in its way.
//!
//! A bounded queue takes them; when it is full they are dropped and counted. They are sent once, since
//! everything that a person must act on stands in the status as well.

use futures::{StreamExt as _, stream};
use serde_json::{Value, json};
use tokio::sync::mpsc;

use super::client::Requests;
use super::kind::{Kind, Place};
use super::lease::wall_time;
use super::scope::Scope;
use crate::plan::effect;
use crate::secret::Secret;
use crate::telemetry::metrics::Metrics;
use crate::vocabulary;

/// Length of the queue.
const QUEUE: usize = 1000;
/// Events on their way at once: one after the other they would come late when much happens.
const AT_ONCE: usize = 16;
/// Longest note in bytes.
const LONGEST_NOTE: usize = 1024;
/// Longest reason and action in bytes.
const LONGEST_WORD: usize = 128;

/// What an Event is about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Regarding {
    /// The object.
    pub place: Place,
    /// Its UID.
    pub uid: String,
}

/// Whether an Event is expected.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Severity {
    /// It is.
    Normal,
    /// Somebody should look.
    Warning,
}

/// One Event before it is sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Note {
    /// What it is about.
    pub regarding: Regarding,
    /// `Normal` or `Warning`.
    pub severity: Severity,
    /// One word.
    pub reason: String,
    /// What was being done, one word.
    pub action: String,
    /// A sentence with names, never a value.
    pub text: String,
}

/// Takes Events without ever waiting. Clones share the queue.
#[derive(Clone)]
pub struct Events {
    queue: mpsc::Sender<Note>,
    metrics: Metrics,
}

/// Sends what was queued. To be spawned.
pub struct Recorder {
    queue: mpsc::Receiver<Note>,
    requests: Requests,
    instance: String,
}

/// A queue and what empties it; `instance` is the name of this pod or host.
#[must_use]
pub fn events(requests: Requests, instance: String) -> (Events, Recorder) {
    let (sender, queue) = mpsc::channel(QUEUE);
    let metrics = requests.metrics().clone();
    let recorder = Recorder {
        queue,
        requests,
        instance,
    };
    (
        Events {
            queue: sender,
            metrics,
        },
        recorder,
    )
}

impl Events {
    /// Queues an Event about a SealedEnv, as the planner wants it.
    pub fn send(&self, scope: &Scope, note: effect::Note) {
        let effect::Note {
            warning,
            reason,
            action,
            text,
        } = note;
        self.emit(Note {
            regarding: Regarding {
                place: scope.sealed_env(),
                uid: scope.uid.clone(),
            },
            severity: if warning {
                Severity::Warning
            } else {
                Severity::Normal
            },
            reason,
            action: action.as_str().to_owned(),
            text,
        });
    }

    /// Queues an Event, or drops and counts it when the queue is full.
    pub fn emit(&self, note: Note) {
        if self.queue.try_send(note).is_err() {
            self.metrics.events_dropped.inc();
        }
    }
}

impl Recorder {
    /// Sends until every [`Events`] is dropped. What the server refuses is dropped and counted.
    pub async fn run(self) {
        let Self {
            queue,
            requests,
            instance,
        } = self;
        let notes = stream::unfold(queue, async |mut queue| {
            queue.recv().await.map(|note| (note, queue))
        });
        notes
            .for_each_concurrent(AT_ONCE, |note| send(&requests, &instance, note))
            .await;
    }
}

async fn send(requests: &Requests, instance: &str, note: Note) {
    let namespace = note.regarding.place.namespace.clone();
    let place = Place {
        kind: Kind::Event,
        namespace: Some(namespace.unwrap_or_else(|| "default".into())),
        name: String::new(),
    };
    let body = Secret::from(body(&note, &place, instance).to_string());
    let sent = requests.create(&place, vocabulary::MANAGER, body).await;
    if sent.is_err() {
        requests.metrics().events_dropped.inc();
    }
}

fn body(note: &Note, place: &Place, instance: &str) -> Value {
    let regarding = &note.regarding.place;
    json!({
        "apiVersion": Kind::Event.api_version(),
        "kind": Kind::Event.name(),
        // The server makes the name unique; a time in it would not be. It takes a dash at the end of
        // the prefix, and no dot.
        "metadata": {
            "generateName": format!("{}-", cut(&regarding.name, 200)),
            "namespace": place.namespace
        },
        "eventTime": wall_time(),
        "type": match note.severity {
            Severity::Normal => "Normal",
            Severity::Warning => "Warning",
        },
        "reason": cut(&note.reason, LONGEST_WORD),
        "action": cut(&note.action, LONGEST_WORD),
        "note": cut(&note.text, LONGEST_NOTE),
        "reportingController": vocabulary::REPORTING_CONTROLLER,
        "reportingInstance": cut(instance, LONGEST_WORD),
        "regarding": {
            "apiVersion": regarding.kind.api_version(),
            "kind": regarding.kind.name(),
            "namespace": regarding.namespace,
            "name": regarding.name,
            "uid": note.regarding.uid
        }
    })
}

/// The longest beginning of `text` of at most `bytes` bytes that ends between characters.
fn cut(text: &str, bytes: usize) -> &str {
    &text[..text.floor_char_boundary(bytes)]
}

#[cfg(test)]
mod tests {
    use http::{Request, Response};
    use kube::Client;
    use kube::client::Body;

    use super::*;
    use crate::cluster::connection::Connection;
    use crate::cluster::limiter::Limiter;

    fn note(text: &str) -> Note {
        Note {
            regarding: Regarding {
                place: Place::new(Kind::SealedEnv, "web", "web"),
                uid: "u".into(),
            },
            severity: Severity::Warning,
            reason: "IntegrityFailed".into(),
            action: "Resolve".into(),
            text: text.into(),
        }
    }

    #[test]
    fn a_note_is_cut_between_characters_at_every_length() {
        for extra in 0..4 {
            let text = format!("{}{}", "x".repeat(1021 + extra), "\u{20ac}".repeat(3));
            let body = body(&note(&text), &Place::new(Kind::Event, "web", ""), "pod");
            let note = body["note"].as_str().unwrap();
            assert!(note.len() <= LONGEST_NOTE && text.starts_with(note));
            assert!(note.len() > LONGEST_NOTE - 3);
        }
    }

    #[test]
    fn an_event_says_what_it_is_about() {
        let body = body(&note("x"), &Place::new(Kind::Event, "web", ""), "pod-1");
        assert_eq!(body["apiVersion"], "events.k8s.io/v1");
        assert_eq!(body["regarding"]["kind"], "SealedEnv");
        assert_eq!(body["type"], "Warning");
        assert_eq!(body["metadata"]["generateName"], "web-");
    }

    #[tokio::test]
    async fn a_full_queue_drops_and_counts_and_nobody_waits() {
        let (service, _server) = tower_test::mock::pair::<Request<Body>, Response<Body>>();
        let connection = Connection::with_client(Client::new(service, "seald"));
        let metrics = Metrics::new("test", "");
        let requests = Requests::new(connection, Limiter::new(None), metrics.clone());
        let (events, _recorder) = events(requests, "pod".into());
        for _ in 0..=QUEUE {
            events.emit(note("x"));
        }
        assert_eq!(metrics.events_dropped.get(), 1);
    }
}
