//! The state Secret of a SealedEnv: the record of the planner and the keys for digests, as its data.
//!
//! A state Secret that cannot be read is a failure that a person must look at. It never counts as an
//! empty record: workloads would roll and a superuser Job would run again.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::client::Requests;
use super::error::{ApiError, Class, Verb};
use super::kind::Place;
use super::objects::{Draft, Item};
use super::scope::Scope;
use super::stored::Stored;
use crate::digest::{Digest, DigestKey};
use crate::env::{ObjectKind, WorkloadKind, WorkloadRef};
use crate::plan::effect::Guard;
use crate::plan::record::{Bootstrapped, Entry, Keys, Read, Record, RecordSeen, Word};
use crate::plan::snapshot::ObjectId;
use crate::secret::Secret;
use crate::vocabulary;

const REVISION: &str = "revision";
const BOOTSTRAP: &str = "bootstrap";
const WORKLOADS: &str = "workloads";
const DIGEST_KEY: &str = "digest-key";
const DIGEST_KEY_PREVIOUS: &str = "digest-key-previous";

/// The keys for digests of one SealedEnv.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StateKeys {
    /// For everything new.
    pub current: DigestKey,
    /// The one before, while something digested under it may be left.
    pub previous: Option<DigestKey>,
}

/// A state Secret that exists.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StateSecret {
    /// The record, with the guard for its next write.
    pub seen: RecordSeen,
    /// The keys.
    pub keys: StateKeys,
}

/// Reads the state Secret of `scope`; `None` when there is none.
///
/// # Errors
/// Any refusal; [`Class::NotOurs`] when somebody else made it, [`Class::Malformed`] with the key of its
/// data in `field` when that is not as seald writes it.
pub async fn read(requests: &Requests, scope: &Scope) -> Result<Option<StateSecret>, ApiError> {
    let place = scope.state_secret();
    let Some(stored) = requests.get::<Stored>(&place).await? else {
        return Ok(None);
    };
    decoded(stored, scope)
        .map(Some)
        .map_err(|fault| fault.at(&place))
}

/// Body of the server-side apply that writes the state Secret.
pub(super) fn body(scope: &Scope, record: &Record, keys: &StateKeys, guard: &Guard) -> Secret {
    let name = vocabulary::state_secret(&scope.name);
    let mut draft = Draft::new(scope, ObjectKind::Secret, &name, guard);
    let revision = record.revision.to_string();
    let bootstrap = json(&record.bootstrap.iter().map(Run::of).collect::<Vec<_>>());
    let workloads = json(&record.workloads.iter().map(Row::of).collect::<Vec<_>>());
    for (key, text) in [
        (REVISION, &revision),
        (BOOTSTRAP, &bootstrap),
        (WORKLOADS, &workloads),
    ] {
        draft.put(key.to_owned(), Item::Bytes(text.as_bytes()));
    }
    draft.put(
        DIGEST_KEY.to_owned(),
        Item::Bytes(keys.current.secret().expose()),
    );
    if let Some(previous) = &keys.previous {
        draft.put(
            DIGEST_KEY_PREVIOUS.to_owned(),
            Item::Bytes(previous.secret().expose()),
        );
    }
    draft.body()
}

/// Why a state Secret cannot be used.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Fault {
    /// Its owner label names nobody, or somebody else.
    NotOurs,
    /// This key of its data is missing or not as seald writes it.
    Malformed(&'static str),
}

impl Fault {
    fn at(self, place: &Place) -> ApiError {
        let (class, field) = match self {
            Self::NotOurs => (Class::NotOurs, None),
            Self::Malformed(key) => (Class::Malformed, Some(key.to_owned())),
        };
        ApiError {
            verb: Verb::Get,
            place: place.clone(),
            code: 200,
            class,
            field,
            retry_after: None,
        }
    }
}

fn decoded(stored: Stored, scope: &Scope) -> Result<StateSecret, Fault> {
    let version = stored.metadata.version();
    // The UID is not compared: the record outlives its SealedEnv, and says itself for which it was.
    if stored.metadata.labels.get(vocabulary::LABEL_OWNER) != Some(&scope.name) {
        return Err(Fault::NotOurs);
    }
    let data = stored
        .values(ObjectKind::Secret)
        .ok_or(Fault::Malformed("data"))?;
    let text = |key: &'static str| {
        data.get(key)
            .and_then(Secret::expose_text)
            .ok_or(Fault::Malformed(key))
    };
    let runs: Vec<Run> = parsed(text(BOOTSTRAP)?).ok_or(Fault::Malformed(BOOTSTRAP))?;
    let rows: Vec<Row> = parsed(text(WORKLOADS)?).ok_or(Fault::Malformed(WORKLOADS))?;
    let bootstrap: Option<BTreeMap<_, _>> = runs.into_iter().map(Run::entry).collect();
    let workloads: Option<BTreeMap<_, _>> = rows.into_iter().map(Row::entry).collect();
    let record = Record {
        revision: text(REVISION)?
            .parse()
            .map_err(|_| Fault::Malformed(REVISION))?,
        bootstrap: bootstrap.ok_or(Fault::Malformed(BOOTSTRAP))?,
        workloads: workloads.ok_or(Fault::Malformed(WORKLOADS))?,
    };
    let key = |name: &'static str| -> Result<Option<DigestKey>, Fault> {
        let Some(bytes) = data.get(name) else {
            return Ok(None);
        };
        DigestKey::new(bytes.clone())
            .map(Some)
            .ok_or(Fault::Malformed(name))
    };
    let keys = StateKeys {
        current: key(DIGEST_KEY)?.ok_or(Fault::Malformed(DIGEST_KEY))?,
        previous: key(DIGEST_KEY_PREVIOUS)?,
    };
    let seen = RecordSeen { version, record };
    Ok(StateSecret { seen, keys })
}

/// A superuser run: `{"id":"1a2b3c4d","word":"created","uid":"…"}`.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Run {
    id: String,
    word: String,
    uid: String,
}

impl Run {
    fn of((id, done): (&String, &Bootstrapped)) -> Self {
        Self {
            id: id.clone(),
            word: done.word.as_str().to_owned(),
            uid: done.uid.clone(),
        }
    }

    fn entry(self) -> Option<(String, Bootstrapped)> {
        let word = Word::read(&self.word);
        // A word that is not known would be read as another one.
        let known = word.as_str() == self.word;
        known.then_some((
            self.id,
            Bootstrapped {
                word,
                uid: self.uid,
            },
        ))
    }
}

/// A workload: `{"workload":"deployment/web","uid":"…","marker":"v1:…","reads":[…]}`.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Row {
    workload: String,
    uid: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    marker: Option<String>,
    reads: Vec<ReadRow>,
}

/// What it reads: `{"object":"Secret/web-secrets","keys":["A"],"digest":"v1:…"}`, without `keys` for all;
/// with `"left":"2026-01-01T00:00:00Z"` while the object may hold something else.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct ReadRow {
    object: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    keys: Option<BTreeSet<String>>,
    digest: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    left: Option<Timestamp>,
}

impl Row {
    fn of((workload, entry): (&WorkloadRef, &Entry)) -> Self {
        Self {
            workload: workload.to_string(),
            uid: entry.uid.clone(),
            marker: entry.marker.clone(),
            reads: entry.reads.iter().map(ReadRow::of).collect(),
        }
    }

    fn entry(self) -> Option<(WorkloadRef, Entry)> {
        let reads: Option<BTreeMap<_, _>> = self.reads.into_iter().map(ReadRow::entry).collect();
        let entry = Entry {
            uid: self.uid,
            marker: self.marker,
            reads: reads?,
        };
        Some((workload(&self.workload)?, entry))
    }
}

impl ReadRow {
    fn of((object, read): (&ObjectId, &Read)) -> Self {
        let keys = match &read.keys {
            Keys::All => None,
            Keys::Some(keys) => Some(keys.clone()),
        };
        Self {
            object: object.to_string(),
            keys,
            digest: read.digest.to_string(),
            left: read.left,
        }
    }

    fn entry(self) -> Option<(ObjectId, Read)> {
        let (kind, name) = self.object.split_once('/')?;
        let kind = [ObjectKind::ConfigMap, ObjectKind::Secret]
            .into_iter()
            .find(|known| known.to_string() == kind)?;
        let object = ObjectId {
            kind,
            name: name.to_owned(),
        };
        let digest: Digest = self.digest.parse().ok()?;
        let keys = self.keys.map_or(Keys::All, Keys::Some);
        let left = self.left;
        Some((object, Read { keys, digest, left }))
    }
}

/// `deployment/web`, as it is displayed.
fn workload(text: &str) -> Option<WorkloadRef> {
    let (word, name) = text.split_once('/')?;
    let kind = WorkloadKind::ALL
        .into_iter()
        .find(|kind| kind.word() == word)?;
    let name = name.parse().ok()?;
    Some(WorkloadRef { kind, name })
}

fn json(rows: &impl Serialize) -> String {
    // Lists of plain structs: nothing in them can fail to become JSON.
    serde_json::to_string(rows).unwrap_or_default()
}

fn parsed<T: for<'de> Deserialize<'de>>(text: &str) -> Option<T> {
    serde_json::from_str(text).ok()
}

#[cfg(test)]
mod tests {
    use base64::Engine as _;
    use base64::engine::general_purpose::STANDARD;
    use proptest::prelude::*;
    use serde_json::{Value, json};

    use super::*;

    fn scope() -> Scope {
        Scope {
            namespace: "web".into(),
            name: "web".into(),
            uid: "u1".into(),
            environment: "prod".into(),
        }
    }

    fn key(byte: u8) -> DigestKey {
        DigestKey::new(Secret::new(vec![byte; DigestKey::LENGTH])).unwrap()
    }

    fn written(record: &Record, keys: &StateKeys) -> Value {
        let body = body(&scope(), record, keys, &Guard::Create);
        let mut object: Value = serde_json::from_slice(body.expose()).unwrap();
        object["metadata"]["uid"] = json!("u9");
        object["metadata"]["resourceVersion"] = json!("9");
        object
    }

    fn read_back(object: Value) -> Result<StateSecret, Fault> {
        let stored = serde_json::from_value(object);
        decoded(stored.map_err(|_| Fault::Malformed("metadata"))?, &scope())
    }

    fn any_digest() -> impl Strategy<Value = Digest> {
        any::<[u8; 4]>().prop_map(|bytes| Digest::combine([&bytes[..]]))
    }

    fn any_read() -> impl Strategy<Value = (ObjectId, Read)> {
        let keys = proptest::option::of(proptest::collection::btree_set("[A-Za-z._-]{1,8}", 0..4));
        let left = proptest::option::of(
            (0_i64..2_000_000_000).prop_map(|seconds| Timestamp::from_second(seconds).unwrap()),
        );
        (any::<bool>(), "[a-z./-]{1,12}", keys, any_digest(), left).prop_map(
            |(secret, name, keys, digest, left)| {
                let kind = if secret {
                    ObjectKind::Secret
                } else {
                    ObjectKind::ConfigMap
                };
                let keys = keys.map_or(Keys::All, Keys::Some);
                (ObjectId { kind, name }, Read { keys, digest, left })
            },
        )
    }

    fn any_record() -> impl Strategy<Value = Record> {
        let words = prop_oneof![
            Just(Word::Created),
            Just(Word::Exists),
            Just(Word::PasswordNotApplied)
        ];
        let runs = proptest::collection::btree_map(
            "[0-9a-f]{8}",
            (words, ".{0,9}").prop_map(|(word, uid)| Bootstrapped { word, uid }),
            0..3,
        );
        let kinds = prop_oneof![
            Just(WorkloadKind::Deployment),
            Just(WorkloadKind::DaemonSet),
            Just(WorkloadKind::StatefulSet),
            Just(WorkloadKind::Rollout)
        ];
        let workload = (kinds, "[a-z]{1,9}").prop_map(|(kind, name)| WorkloadRef {
            kind,
            name: name.parse().unwrap(),
        });
        let marker = proptest::option::of(".{0,9}");
        let reads = proptest::collection::btree_map(any::<u8>(), any_read(), 0..4);
        let entry = (".{0,9}", marker, reads).prop_map(|(uid, marker, reads)| Entry {
            uid,
            marker,
            reads: reads.into_values().collect(),
        });
        let workloads = proptest::collection::btree_map(workload, entry, 0..4);
        (any::<u64>(), runs, workloads).prop_map(|(revision, bootstrap, workloads)| Record {
            revision,
            bootstrap,
            workloads,
        })
    }

    proptest! {
        #[test]
        fn every_record_and_key_is_read_back_as_it_was_written(
            record in any_record(),
            previous in proptest::option::of(any::<u8>()),
        ) {
            let keys = StateKeys { current: key(7), previous: previous.map(key) };
            let state = read_back(written(&record, &keys)).unwrap();
            prop_assert_eq!(state.seen.record, record);
            prop_assert_eq!(state.keys, keys);
            prop_assert_eq!(state.seen.version.uid, "u9");
        }
    }

    #[test]
    fn a_state_that_cannot_be_read_is_a_fault_that_names_the_key() {
        let keys = StateKeys {
            current: key(1),
            previous: Some(key(2)),
        };
        let good = written(&Record::default(), &keys);
        let bad = [
            (REVISION, "-1"),
            (BOOTSTRAP, "{}"),
            (
                BOOTSTRAP,
                "[{\"id\":\"1\",\"word\":\"made\",\"uid\":\"u\"}]",
            ),
            (
                WORKLOADS,
                "[{\"workload\":\"cronjob/x\",\"uid\":\"u\",\"reads\":[]}]",
            ),
            (
                WORKLOADS,
                "[{\"workload\":\"deployment/x\",\"uid\":\"u\",\"reads\":[{\"object\":\"Secret/a\",\"digest\":\"v2:00\"}]}]",
            ),
            (WORKLOADS, ""),
            (DIGEST_KEY, "short"),
            (DIGEST_KEY_PREVIOUS, ""),
        ];
        for (name, text) in bad {
            let mut object = good.clone();
            object["data"][name] = json!(STANDARD.encode(text));
            assert_eq!(
                read_back(object).unwrap_err(),
                Fault::Malformed(name),
                "{name} {text}"
            );
        }
        for name in [REVISION, BOOTSTRAP, WORKLOADS, DIGEST_KEY] {
            let mut object = good.clone();
            object["data"].as_object_mut().unwrap().shift_remove(name);
            assert_eq!(read_back(object).unwrap_err(), Fault::Malformed(name));
        }
        let error = Fault::Malformed(WORKLOADS).at(&scope().state_secret());
        let failure = error.failure(&scope());
        assert_eq!(failure.kind, crate::plan::effect::FailureKind::Refused);
        assert!(
            failure.outcome.message.contains("seald-state-web"),
            "{}",
            failure.outcome.message
        );
        assert!(failure.outcome.message.contains(WORKLOADS));
    }

    #[test]
    fn a_secret_that_somebody_else_made_is_not_taken_for_a_record() {
        let keys = StateKeys {
            current: key(1),
            previous: None,
        };
        let mut object = written(&Record::default(), &keys);
        object["metadata"]["labels"] = json!({});
        assert_eq!(read_back(object).unwrap_err(), Fault::NotOurs);
    }

    #[test]
    fn a_record_of_an_earlier_sealed_env_of_the_name_is_read() {
        let keys = StateKeys {
            current: key(1),
            previous: None,
        };
        let mut object = written(&Record::default(), &keys);
        object["metadata"]["annotations"][vocabulary::OWNER_UID] = json!("u0");
        assert!(read_back(object).is_ok());
    }
}
