//! ConfigMaps and Secrets as bodies of a server-side apply.
//!
//! Plaintext goes from its [`Secret`] into the body and nowhere else: the body is written into a buffer
//! of exactly its size, without a text in between, and is wiped like every other [`Secret`].

use std::collections::BTreeMap;
use std::io;

use base64::display::Base64Display;
use base64::engine::general_purpose::STANDARD;
use serde::{Serialize, Serializer};
use serde_json::{Value, json};

use super::kind::Kind;
use super::scope::Scope;
use crate::digest::Digest;
use crate::env::{Object, ObjectKind, SecretType, Superuser};
use crate::plan::desired::DesiredObject;
use crate::plan::effect::Guard;
use crate::secret::Secret;
use crate::vocabulary;

/// Keys of the Secret with the superuser's credentials.
pub(super) const USERNAME: &str = "username";
/// See [`USERNAME`].
pub(super) const EMAIL: &str = "email";
/// See [`USERNAME`].
pub(super) const PASSWORD: &str = "password";

/// Key of a further field of the user model in the Secret with the superuser's credentials.
pub(super) fn field_key(name: &str) -> String {
    format!("field.{name}")
}

impl From<ObjectKind> for Kind {
    fn from(kind: ObjectKind) -> Self {
        match kind {
            ObjectKind::ConfigMap => Self::ConfigMap,
            ObjectKind::Secret => Self::Secret,
        }
    }
}

/// An object of the document.
pub(super) fn of_document(
    scope: &Scope,
    object: &Object,
    desired: &DesiredObject,
    guard: &Guard,
) -> Secret {
    let mut draft = Draft::new(scope, object.kind, object.name.as_str(), guard);
    add(&mut draft.labels, &object.labels);
    add(&mut draft.annotations, &object.annotations);
    draft.annotate(vocabulary::CONTENT_HASH, desired.content.to_string());
    if !object.prune {
        draft.annotate(vocabulary::PRUNE, "false".to_owned());
    }
    draft.secret_type = object.secret_type;
    for (key, content) in &object.data {
        let bytes = content.bytes.expose();
        let item = match content.bytes.expose_text() {
            Some(text) if object.kind == ObjectKind::ConfigMap && !content.binary => {
                Item::Text(text)
            }
            _ => Item::Bytes(bytes),
        };
        draft.put(key.as_str().to_owned(), item);
    }
    draft.body()
}

/// The Secret with the superuser's credentials, which only the Job reads.
pub(super) fn credentials(scope: &Scope, user: &Superuser, hash: Digest, guard: &Guard) -> Secret {
    let name = vocabulary::bootstrap_secret(&scope.name);
    let mut draft = Draft::new(scope, ObjectKind::Secret, &name, guard);
    draft.annotate(vocabulary::CONTENT_HASH, hash.to_string());
    let single = [
        (USERNAME, user.username.as_ref()),
        (EMAIL, user.email.as_ref()),
        (PASSWORD, Some(&user.password)),
    ];
    for (key, value) in single {
        if let Some(value) = value {
            draft.put(key.to_owned(), Item::Bytes(value.expose()));
        }
    }
    for (name, value) in &user.fields {
        draft.put(field_key(name), Item::Bytes(value.expose()));
    }
    draft.body()
}

/// An object before it is written as JSON.
pub(super) struct Draft<'a> {
    kind: ObjectKind,
    metadata: Value,
    labels: Texts,
    annotations: Texts,
    secret_type: SecretType,
    text: BTreeMap<String, Item<'a>>,
    bytes: BTreeMap<String, Item<'a>>,
}

type Texts = BTreeMap<String, String>;

/// One value.
pub(super) enum Item<'a> {
    /// Text as it is.
    Text(&'a str),
    /// Bytes, written as base64.
    Bytes(&'a [u8]),
}

impl Serialize for Item<'_> {
    fn serialize<S: Serializer>(&self, target: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Text(text) => target.serialize_str(text),
            // Written piece by piece: no text with the value is ever made.
            Self::Bytes(bytes) => target.collect_str(&Base64Display::new(bytes, &STANDARD)),
        }
    }
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Body<'a> {
    api_version: &'static str,
    kind: &'static str,
    metadata: &'a Value,
    #[serde(rename = "type", skip_serializing_if = "Option::is_none")]
    secret_type: Option<&'static str>,
    // Sent even when empty: `seald` then owns it, and server-side apply removes what is no longer sent.
    data: &'a BTreeMap<String, Item<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    binary_data: Option<&'a BTreeMap<String, Item<'a>>>,
}

impl<'a> Draft<'a> {
    /// An empty object of `scope` with the marks of its owner.
    pub(super) fn new(scope: &Scope, kind: ObjectKind, name: &str, guard: &Guard) -> Self {
        let mut metadata = guarded(guard);
        metadata["name"] = json!(name);
        Self {
            kind,
            metadata,
            labels: labels(scope),
            annotations: BTreeMap::from([(vocabulary::OWNER_UID.to_owned(), scope.uid.clone())]),
            secret_type: SecretType::Opaque,
            text: BTreeMap::new(),
            bytes: BTreeMap::new(),
        }
    }

    /// Adds a value.
    pub(super) fn put(&mut self, key: String, item: Item<'a>) {
        match item {
            Item::Text(_) => self.text.insert(key, item),
            Item::Bytes(_) => self.bytes.insert(key, item),
        };
    }

    fn annotate(&mut self, key: &str, text: String) {
        self.annotations.insert(key.to_owned(), text);
    }

    /// The body of the apply.
    pub(super) fn body(mut self) -> Secret {
        self.metadata["labels"] = json!(self.labels);
        self.metadata["annotations"] = json!(self.annotations);
        let kind = Kind::from(self.kind).name();
        let (secret_type, data, binary_data) = match self.kind {
            ObjectKind::ConfigMap => (None, &self.text, Some(&self.bytes)),
            ObjectKind::Secret => (Some(self.secret_type.as_str()), &self.bytes, None),
        };
        written(&Body {
            api_version: "v1",
            kind,
            metadata: &self.metadata,
            secret_type,
            data,
            binary_data,
        })
    }
}

/// Adds what the document asks for; our own marks stay as they are.
fn add(marks: &mut Texts, others: &Texts) {
    for (key, text) in others {
        marks.entry(key.clone()).or_insert_with(|| text.clone());
    }
}

/// Labels of everything that belongs to `scope`.
pub(super) fn labels(scope: &Scope) -> BTreeMap<String, String> {
    [
        (vocabulary::LABEL_ENV, scope.environment.as_str()),
        (vocabulary::LABEL_OWNER, scope.name.as_str()),
        (vocabulary::LABEL_MANAGED_BY, vocabulary::MANAGER),
        (vocabulary::LABEL_PART_OF, scope.name.as_str()),
    ]
    .map(|(key, text)| (key.to_owned(), text.to_owned()))
    .into()
}

/// Metadata that lets a server-side apply happen only under `guard`. The version `"1"` is never the
/// version of anything, so it creates, and answers 409 when something is there.
pub(super) fn guarded(guard: &Guard) -> Value {
    match guard {
        Guard::Create => json!({ "resourceVersion": "1" }),
        Guard::Update(version) => {
            json!({ "uid": version.uid, "resourceVersion": version.resource })
        }
    }
}

/// JSON in a buffer of exactly its size, so that none is left behind by growing. Neither memory nor
/// these types can fail here.
fn written(body: &impl Serialize) -> Secret {
    let mut count = Count(0);
    let mut bytes = match serde_json::to_writer(&mut count, body) {
        Ok(()) => Vec::with_capacity(count.0),
        Err(_) => Vec::new(),
    };
    if serde_json::to_writer(&mut bytes, body).is_err() {
        bytes.clear();
    }
    Secret::new(bytes)
}

/// Counts what is written.
struct Count(usize);

impl io::Write for Count {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0 += bytes.len();
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::cluster::stored::Stored;
    use crate::env::{Content, Policy};
    use crate::name::ObjectKey;
    use crate::plan::snapshot::{ObjectId, Version};

    fn scope() -> Scope {
        Scope {
            namespace: "web".into(),
            name: "web".into(),
            uid: "u1".into(),
            environment: "prod".into(),
        }
    }

    fn object(kind: ObjectKind, data: &[(&str, &[u8], bool)]) -> Object {
        let content = |&(key, bytes, binary): &(&str, &[u8], bool)| {
            let bytes = Secret::new(bytes.to_vec());
            (key.parse::<ObjectKey>().unwrap(), Content { bytes, binary })
        };
        Object {
            kind,
            name: "web-values".parse().unwrap(),
            secret_type: SecretType::Opaque,
            data: data.iter().map(content).collect(),
            labels: BTreeMap::from([("team".into(), "a".into())]),
            annotations: BTreeMap::from([("note".into(), "b".into())]),
            prune: true,
        }
    }

    fn body(object: &Object, guard: &Guard) -> Secret {
        let desired = DesiredObject {
            id: ObjectId {
                kind: object.kind,
                name: "web-values".into(),
            },
            secret_type: String::new(),
            keys: BTreeMap::new(),
            content: Digest::combine([&b"x"[..]]),
            prune: object.prune,
        };
        of_document(&scope(), object, &desired, guard)
    }

    fn json_of(body: &Secret) -> Value {
        serde_json::from_slice(body.expose()).unwrap()
    }

    #[test]
    fn a_secret_carries_its_marks_its_guard_and_base64() {
        let object = object(ObjectKind::Secret, &[("A", b"a", false)]);
        let version = Version {
            uid: "u7".into(),
            resource: "42".into(),
        };
        assert_eq!(
            json_of(&body(&object, &Guard::Update(version))),
            json!({
                "apiVersion": "v1",
                "kind": "Secret",
                "metadata": {
                    "uid": "u7",
                    "resourceVersion": "42",
                    "name": "web-values",
                    "labels": {
                        "app.kubernetes.io/managed-by": "seald",
                        "app.kubernetes.io/part-of": "web",
                        "sealctl.dev/env": "prod",
                        "sealctl.dev/owner": "web",
                        "team": "a"
                    },
                    "annotations": {
                        "note": "b",
                        "sealctl.dev/content-hash": Digest::combine([&b"x"[..]]).to_string(),
                        "sealctl.dev/owner-uid": "u1"
                    }
                },
                "type": "Opaque",
                "data": {"A": "YQ=="}
            })
        );
    }

    #[test]
    fn a_config_map_has_text_binary_data_and_no_type() {
        let items: [(&str, &[u8], bool); 3] = [
            ("A", b"a\n", false),
            ("B", b"b", true),
            ("C", &[255], false),
        ];
        let mut object = object(ObjectKind::ConfigMap, &items);
        object.prune = false;
        let json = json_of(&body(&object, &Guard::Create));
        assert_eq!(json["data"], json!({"A": "a\n"}));
        assert_eq!(json["binaryData"], json!({"B": "Yg==", "C": "/w=="}));
        assert_eq!(json.get("type"), None);
        assert_eq!(json["metadata"]["resourceVersion"], "1");
        assert_eq!(json["metadata"].get("uid"), None);
        assert_eq!(json["metadata"]["annotations"][vocabulary::PRUNE], "false");
    }

    #[test]
    fn marks_of_a_document_do_not_replace_ours() {
        let mut object = object(ObjectKind::Secret, &[]);
        object
            .labels
            .insert(vocabulary::LABEL_OWNER.into(), "other".into());
        object
            .annotations
            .insert(vocabulary::OWNER_UID.into(), "other".into());
        let metadata = &json_of(&body(&object, &Guard::Create))["metadata"];
        assert_eq!(metadata["labels"][vocabulary::LABEL_OWNER], "web");
        assert_eq!(metadata["annotations"][vocabulary::OWNER_UID], "u1");
    }

    #[test]
    fn credentials_hold_what_the_document_gives_and_nothing_else() {
        let user = Superuser {
            from: crate::env::WorkloadRef {
                kind: crate::env::WorkloadKind::Deployment,
                name: "web".parse().unwrap(),
            },
            container: None,
            username: None,
            email: Some(Secret::from_text("a@b.c")),
            password: Secret::from_text("pw"),
            fields: BTreeMap::from([("Team".into(), Secret::from_text("t"))]),
            database: "default".into(),
            manage: "manage.py".into(),
            policy: Policy::CreateOnly,
            after: crate::env::After::Rollout,
        };
        let body = credentials(&scope(), &user, Digest::combine([]), &Guard::Create);
        let json = json_of(&body);
        assert_eq!(json["metadata"]["name"], "seald-bootstrap-web");
        assert_eq!(
            json["data"],
            json!({"email": "YUBiLmM=", "field.Team": "dA==", "password": "cHc="})
        );
    }

    proptest! {
        #[test]
        fn what_is_written_is_what_is_read_back(
            values in proptest::collection::btree_map("[A-Za-z0-9._-]{1,20}", proptest::collection::vec(any::<u8>(), 0..80), 0..6),
            secret in any::<bool>(),
        ) {
            let kind = if secret { ObjectKind::Secret } else { ObjectKind::ConfigMap };
            let items: Vec<(&str, &[u8], bool)> =
                values.iter().filter(|(key, _)| key.parse::<ObjectKey>().is_ok())
                    .map(|(key, bytes)| (key.as_str(), bytes.as_slice(), false)).collect();
            let body = body(&object(kind, &items), &Guard::Create);
            let stored: Stored = serde_json::from_slice(body.expose()).unwrap();
            let read = stored.values(kind).unwrap();
            prop_assert_eq!(read.len(), items.len());
            for (key, bytes, _) in items {
                prop_assert_eq!(read[key].expose(), bytes);
            }
        }
    }
}
