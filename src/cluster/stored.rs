//! A ConfigMap or Secret as it was read back, and what its metadata tells.
//!
//! Values are wiped when dropped; who needs them makes digests or keys of them at once. Nothing here
//! sends a request or knows what the values mean.

use std::collections::{BTreeMap, BTreeSet};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use jiff::Timestamp;
use serde::{Deserialize, Deserializer};
use zeroize::Zeroizing;

use super::client::{ManagedFields, Meta};
use crate::env::ObjectKind;
use crate::plan::snapshot::{ObjectSeen, Version};
use crate::secret::Secret;
use crate::vocabulary;

/// A whole ConfigMap or Secret.
#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct Stored {
    pub(super) metadata: Meta,
    #[serde(deserialize_with = "texts")]
    data: BTreeMap<String, Secret>,
    #[serde(deserialize_with = "texts")]
    binary_data: BTreeMap<String, Secret>,
    #[serde(rename = "type")]
    pub(super) secret_type: String,
    pub(super) immutable: Option<bool>,
}

impl Stored {
    /// Every value as bytes; `None` when something is not base64 where it has to be.
    pub(super) fn values(self, kind: ObjectKind) -> Option<BTreeMap<String, Secret>> {
        let (mut values, encoded) = match kind {
            ObjectKind::ConfigMap => (self.data, self.binary_data),
            ObjectKind::Secret => (BTreeMap::new(), self.data),
        };
        for (key, text) in encoded {
            // A buffer that fits, so that no copy is left behind by growing.
            let mut bytes = Zeroizing::new(vec![0; text.len() / 4 * 3 + 3]);
            let length = STANDARD.decode_slice(text.expose(), &mut bytes).ok()?;
            values.insert(key, Secret::new(bytes[..length].to_vec()));
        }
        Some(values)
    }
}

/// Texts by key, each in a buffer that is wiped. A value may be null, which counts as empty.
fn texts<'de, D: Deserializer<'de>>(source: D) -> Result<BTreeMap<String, Secret>, D::Error> {
    let texts = Option::<BTreeMap<String, Option<String>>>::deserialize(source)?;
    let wiped =
        |(key, text): (String, Option<String>)| (key, Secret::from(text.unwrap_or_default()));
    Ok(texts.into_iter().flatten().map(wiped).collect())
}

impl Meta {
    /// UID and version, to guard a write with.
    #[must_use]
    pub fn version(&self) -> Version {
        Version {
            uid: self.uid.clone(),
            resource: self.resource_version.clone(),
        }
    }

    /// When the field manager `seald` changed the object last.
    #[must_use]
    pub fn changed_at(&self) -> Option<Timestamp> {
        self.ours()
            .filter_map(|entry| entry.time.as_ref()?.parse().ok())
            .max()
    }

    /// When others changed data of the object: the earliest of their last changes.
    fn disturbed_at(&self) -> Option<Timestamp> {
        let others = self
            .managed_fields
            .iter()
            .filter(|entry| entry.manager != vocabulary::MANAGER && owns_data(entry));
        others
            .filter_map(|entry| entry.time.as_ref()?.parse().ok())
            .min()
    }

    /// What the metadata alone tells about a ConfigMap or Secret.
    #[must_use]
    pub fn seen(&self) -> ObjectSeen {
        let annotation = |name: &str| self.annotations.get(name).cloned();
        ObjectSeen {
            version: self.version(),
            owner: self.labels.get(vocabulary::LABEL_OWNER).cloned(),
            owner_uid: annotation(vocabulary::OWNER_UID),
            environment: self.labels.get(vocabulary::LABEL_ENV).cloned(),
            adopt: annotation(vocabulary::ADOPT),
            content: annotation(vocabulary::CONTENT_HASH).and_then(|text| text.parse().ok()),
            managed: self.ours().any(owns_data),
            changed_at: self.changed_at(),
            disturbed_at: self.disturbed_at(),
            keep: annotation(vocabulary::PRUNE).as_deref() == Some("false"),
            immutable: false,
            secret_type: String::new(),
            keys: None,
            foreign_keys: BTreeSet::new(),
        }
    }

    /// Those of `keys` that server-side apply would leave when `seald` no longer sends them: keys that
    /// it does not own, or not alone.
    pub(super) fn foreign_keys<'a>(
        &self,
        keys: impl Iterator<Item = &'a String>,
    ) -> BTreeSet<String> {
        let owned = |entry: &ManagedFields, key: &str| {
            ["f:data", "f:binaryData"]
                .iter()
                .any(|part| entry.fields_v1[part].get(format!("f:{key}")).is_some())
        };
        let is_foreign = |key: &&String| {
            let others =
                |entry: &ManagedFields| entry.manager != vocabulary::MANAGER && owned(entry, key);
            !self.ours().any(|entry| owned(entry, key)) || self.managed_fields.iter().any(others)
        };
        keys.filter(is_foreign).cloned().collect()
    }

    /// The entries of the field manager `seald`: one for what it applied, one for what it patched.
    fn ours(&self) -> impl Iterator<Item = &ManagedFields> {
        self.managed_fields
            .iter()
            .filter(|entry| entry.manager == vocabulary::MANAGER && entry.subresource.is_none())
    }
}

fn owns_data(entry: &ManagedFields) -> bool {
    ["f:data", "f:binaryData"]
        .iter()
        .any(|part| entry.fields_v1.get(part).is_some())
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn stored(object: Value) -> Stored {
        serde_json::from_value(object).unwrap()
    }

    fn managed(manager: &str, time: &str, keys: &[&str]) -> Value {
        let keys: serde_json::Map<String, Value> = keys
            .iter()
            .map(|key| (format!("f:{key}"), json!({})))
            .collect();
        json!({"manager": manager, "time": time, "fieldsV1": {"f:data": keys}})
    }

    #[test]
    fn values_of_a_secret_are_decoded_and_those_of_a_config_map_are_taken_as_they_are() {
        let secret = stored(json!({"metadata": {}, "data": {"A": "YQ==", "B": "", "C": null}}));
        let values = secret.values(ObjectKind::Secret).unwrap();
        assert_eq!(values["A"], Secret::from_text("a"));
        assert!(values["B"].is_empty() && values["C"].is_empty());
        let map = stored(json!({"data": {"A": "YQ=="}, "binaryData": {"B": "/w=="}}));
        let values = map.values(ObjectKind::ConfigMap).unwrap();
        assert_eq!(values["A"], Secret::from_text("YQ=="));
        assert_eq!(values["B"].expose(), [255]);
        assert!(
            stored(json!({"data": {"A": "?"}}))
                .values(ObjectKind::Secret)
                .is_none()
        );
    }

    #[test]
    fn keys_that_an_apply_would_leave_are_foreign() {
        let meta = stored(json!({"metadata": {"managedFields": [
            managed("seald", "2026-01-01T00:00:00Z", &["OURS", "SHARED"]),
            managed("kubectl-edit", "2026-01-02T00:00:00Z", &["SHARED", "THEIRS"]),
        ]}}))
        .metadata;
        let keys = ["OURS", "SHARED", "THEIRS"].map(str::to_owned);
        let foreign = meta.foreign_keys(keys.iter());
        assert_eq!(
            foreign,
            BTreeSet::from(["SHARED".to_owned(), "THEIRS".to_owned()])
        );
    }

    #[test]
    fn the_time_of_a_change_is_that_of_seald_alone() {
        let entries = json!([
            managed("seald", "2026-01-01T00:00:00Z", &["A"]),
            managed("seald", "2026-01-03T00:00:00Z", &[]),
            managed("other", "2026-01-09T00:00:00Z", &["A"]),
        ]);
        let meta = stored(json!({"metadata": {"managedFields": entries}})).metadata;
        assert_eq!(meta.changed_at(), "2026-01-03T00:00:00Z".parse().ok());
        assert!(meta.seen().managed);
        assert_eq!(
            meta.seen().disturbed_at,
            "2026-01-09T00:00:00Z".parse().ok()
        );
        assert_eq!(Meta::default().changed_at(), None);
        assert!(!Meta::default().seen().managed);
    }
}
