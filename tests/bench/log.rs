//! What the API server itself noted of write requests, with the times: both sides of a comparison are read off this log.

use std::fs;
use std::io::{Read as _, Seek as _, SeekFrom};
use std::path::PathBuf;

use jiff::Timestamp;
use serde_json::Value;

use super::rig::Cluster;

/// Follows the audit log.
pub(crate) struct AuditLog {
    path: PathBuf,
    position: u64,
}

/// One write request that was answered.
#[derive(Clone, Debug)]
pub(crate) struct Write {
    pub(crate) user: String,
    pub(crate) agent: String,
    /// With the subresource after a slash: `sealedenvs/status`.
    pub(crate) resource: String,
    pub(crate) namespace: String,
    pub(crate) name: String,
    pub(crate) status: u64,
    pub(crate) received: Timestamp,
    pub(crate) answered: Timestamp,
}

impl Write {
    /// Whether it belongs to leader election.
    pub(crate) fn is_election(&self) -> bool {
        self.resource == "leases" || (self.resource == "events" && self.namespace == "seald")
    }
}

impl AuditLog {
    /// From now on.
    pub(crate) fn of(cluster: &Cluster) -> Self {
        let path = cluster.plane().dir().join("logs/audit.log");
        let position = fs::metadata(&path)
            .expect("the rig turns the audit log on")
            .len();
        Self { path, position }
    }

    /// What was added since the last call.
    pub(crate) fn news(&mut self) -> Vec<Write> {
        let mut file = fs::File::open(&self.path).expect("the rig turns the audit log on");
        file.seek(SeekFrom::Start(self.position))
            .expect("a log only grows");
        let mut text = Vec::new();
        file.read_to_end(&mut text).expect("a readable file");
        let whole = text
            .iter()
            .rposition(|byte| *byte == b'\n')
            .map_or(0, |end| end + 1);
        self.position += whole as u64;
        text[..whole]
            .split(|byte| *byte == b'\n')
            .filter_map(parse)
            .collect()
    }

    /// What was added by one user, named by its full name.
    pub(crate) fn news_by(&mut self, user: &str) -> Vec<Write> {
        let news = self.news();
        news.into_iter()
            .filter(|write| write.user == user)
            .collect()
    }
}

fn parse(line: &[u8]) -> Option<Write> {
    let line: Value = serde_json::from_slice(line).ok()?;
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let object = line.get("objectRef")?;
    let resource = match object["subresource"].as_str() {
        Some(subresource) => format!("{}/{subresource}", text(&object["resource"])),
        None => text(&object["resource"]),
    };
    if resource.ends_with("reviews") || resource.ends_with("/token") {
        return None;
    }
    Some(Write {
        user: text(&line["user"]["username"]),
        agent: text(&line["userAgent"]),
        resource,
        namespace: text(&object["namespace"]),
        name: text(&object["name"]),
        status: line["responseStatus"]["code"].as_u64().unwrap_or_default(),
        received: line["requestReceivedTimestamp"].as_str()?.parse().ok()?,
        answered: line["stageTimestamp"].as_str()?.parse().ok()?,
    })
}

/// Seconds from the first request to the last answer.
pub(crate) fn span(writes: &[Write]) -> f64 {
    let first = writes.iter().map(|write| write.received).min();
    let last = writes.iter().map(|write| write.answered).max();
    match (first, last) {
        (Some(first), Some(last)) => last.duration_since(first).as_secs_f64(),
        _ => 0.0,
    }
}
