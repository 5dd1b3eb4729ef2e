//! Counts write requests at the API server itself, by its audit log: who wrote what, when. It never sees contents.
//!
//! Whether a write changed its object the log does not say; `Observer` counts the changes.

use std::fs;
use std::io::{Read as _, Seek as _, SeekFrom};
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::Deserialize;

use super::cluster::Cluster;

/// A moment in the audit log.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Mark(u64);

/// One write request that the API server has answered.
#[derive(Clone, Debug)]
pub(crate) struct Write {
    /// `create`, `update`, `patch`, `delete` or `deletecollection`.
    pub(crate) verb: String,
    /// `system:serviceaccount:seald:seald`, `admin`, ...
    pub(crate) user: String,
    pub(crate) user_agent: String,
    /// Plural name, with the subresource after a slash: `secrets`, `sealedenvs/status`.
    pub(crate) resource: String,
    pub(crate) namespace: String,
    pub(crate) name: String,
    /// HTTP status of the answer.
    pub(crate) status: u16,
}

/// Write requests between two moments; narrow them down, then count.
#[derive(Clone, Debug)]
pub(crate) struct Writes(pub(crate) Vec<Write>);

impl Writes {
    /// Only those of this user.
    pub(crate) fn by(&self, user: &str) -> Self {
        self.only(|write| write.user == user)
    }

    /// Only those in this namespace.
    pub(crate) fn in_namespace(&self, namespace: &str) -> Self {
        self.only(|write| write.namespace == namespace)
    }

    /// Only those of this resource (`secrets`, `sealedenvs/status`).
    pub(crate) fn of(&self, resource: &str) -> Self {
        self.only(|write| write.resource == resource)
    }

    /// Without Leases and Events, which are counted apart.
    pub(crate) fn without_leases_and_events(&self) -> Self {
        self.only(|write| write.resource != "leases" && write.resource != "events")
    }

    /// Only those that pass.
    pub(crate) fn only(&self, wanted: impl Fn(&Write) -> bool) -> Self {
        Self(
            self.0
                .iter()
                .filter(|write| wanted(write))
                .cloned()
                .collect(),
        )
    }

    /// How many there are.
    pub(crate) fn count(&self) -> usize {
        self.0.len()
    }
}

impl Cluster {
    /// Now: every write answered so far lies before it.
    pub(crate) async fn mark(&self) -> Mark {
        Mark(self.audit_until_now().await)
    }

    /// All write requests answered since `mark`, reviews of tokens and rights apart: these change nothing.
    pub(crate) async fn writes_since(&self, mark: Mark) -> Writes {
        let end = self.audit_until_now().await;
        let text =
            String::from_utf8(read_between(&self.audit_log(), mark.0, end)).expect("JSON lines");
        Writes(text.lines().filter_map(parse).collect())
    }

    /// Write requests of one user since `mark`.
    pub(crate) async fn writes_by(&self, user: &str, mark: Mark) -> Writes {
        self.writes_since(mark).await.by(user)
    }

    /// Sends a request of our own and waits until the log holds it; gives the length of the log up to it.
    async fn audit_until_now(&self) -> u64 {
        let unique = format!("sealctl-rig-mark-{}", unique());
        let review =
            br#"{"apiVersion":"authentication.k8s.io/v1","kind":"SelfSubjectReview"}"#.to_vec();
        let request = http::Request::post("/apis/authentication.k8s.io/v1/selfsubjectreviews")
            .header("content-type", "application/json")
            .header("user-agent", &unique)
            .body(review)
            .expect("a valid request");
        let from = fs::metadata(self.audit_log())
            .expect("up.sh turns the audit log on")
            .len();
        self.client()
            .request_text(request)
            .await
            .expect("the API server answers");
        self.eventually(
            "the audit log to reach now",
            Duration::from_secs(10),
            "default",
            async || {
                let text = read_between(&self.audit_log(), from, u64::MAX);
                let position = find(&text, unique.as_bytes())?;
                let end = position + find(&text[position..], b"\n")? + 1;
                Some(from + end as u64)
            },
        )
        .await
    }

    fn audit_log(&self) -> PathBuf {
        self.plane().dir().join("logs/audit.log")
    }
}

fn read_between(path: &Path, from: u64, to: u64) -> Vec<u8> {
    let mut file = fs::File::open(path).expect("up.sh turns the audit log on");
    file.seek(SeekFrom::Start(from)).expect("a log only grows");
    let mut text = Vec::new();
    file.take(to - from)
        .read_to_end(&mut text)
        .expect("a readable file");
    text
}

fn unique() -> String {
    use std::sync::atomic::{AtomicU64, Ordering};
    static COUNT: AtomicU64 = AtomicU64::new(0);
    format!(
        "{}-{}-",
        std::process::id(),
        COUNT.fetch_add(1, Ordering::Relaxed)
    )
}

fn find(text: &[u8], what: &[u8]) -> Option<usize> {
    text.windows(what.len()).position(|window| window == what)
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Line {
    verb: String,
    user: User,
    #[serde(default)]
    user_agent: String,
    object_ref: Option<ObjectRef>,
    response_status: Option<ResponseStatus>,
}

#[derive(Deserialize)]
struct User {
    username: String,
}

#[derive(Deserialize)]
struct ObjectRef {
    #[serde(default)]
    resource: String,
    #[serde(default)]
    subresource: String,
    #[serde(default)]
    namespace: String,
    #[serde(default)]
    name: String,
}

#[derive(Deserialize)]
struct ResponseStatus {
    #[serde(default)]
    code: u16,
}

fn parse(line: &str) -> Option<Write> {
    let line: Line = serde_json::from_str(line).ok()?;
    let object = line.object_ref?;
    if object.resource.ends_with("reviews") || object.subresource == "token" {
        return None;
    }
    let resource = match &*object.subresource {
        "" => object.resource,
        subresource => format!("{}/{subresource}", object.resource),
    };
    Some(Write {
        verb: line.verb,
        user: line.user.username,
        user_agent: line.user_agent,
        resource,
        namespace: object.namespace,
        name: object.name,
        status: line.response_status.map_or(0, |status| status.code),
    })
}
