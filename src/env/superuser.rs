//! The section `superuser`: who is created, and by a clone of which workload.

use std::collections::BTreeMap;

use crate::env::delivery::{After, Origin, Policy, Superuser, WorkloadRef};
use crate::env::fields::{Fields, Reader, Sealing, entries};
use crate::env::finding::{At, Finding, cut};
use crate::env::objects::check_variable;
use crate::env::values::Values;
use crate::env::workloads::{NotAWorkload, reference};
use crate::name::{Namespace, ObjectName};
use crate::secret::Secret;

const FIELDS: [&str; 13] = [
    "from",
    "container",
    "username",
    "usernameFrom",
    "email",
    "emailFrom",
    "password",
    "passwordFrom",
    "fields",
    "database",
    "manage",
    "policy",
    "after",
];

/// A text that may be there, and may be known.
enum Found {
    Absent,
    /// There, but wrong (reported) or sealed and not opened.
    Unknown,
    Text(Secret),
}

/// Reads `superuser`. Texts that are sealed and not opened are empty in what is returned; a document
/// with faults never becomes a delivery.
pub(super) fn read(reader: &mut Reader, top: &Fields<'_>, values: &Values) -> Option<Superuser> {
    let (node, at) = top.find("superuser")?;
    let fields = reader.fields(node, at, &FIELDS)?;
    let username = login(reader, &fields, values, "username", "usernameFrom");
    let email = login(reader, &fields, values, "email", "emailFrom");
    let password = password(reader, &fields, values);
    let further = further_fields(reader, &fields);
    if matches!((&username, &email), (Found::Absent, Found::Absent)) && further.is_empty() {
        let message = "superuser has no login; write username or email";
        reader.error("E0276", &fields.at, message);
    }
    let policies = [
        ("create-only", Policy::CreateOnly),
        ("reset-on-change", Policy::ResetOnChange),
    ];
    Some(Superuser {
        from: from(reader, &fields)?,
        container: container(reader, &fields),
        username: username.text(),
        email: email.text(),
        password: password.text().unwrap_or_else(|| Secret::new(Vec::new())),
        fields: further,
        database: database(reader, &fields),
        manage: manage(reader, &fields),
        policy: reader.choice(&fields, "policy", &policies, Policy::CreateOnly),
        after: after(reader, &fields),
    })
}

impl Found {
    fn text(self) -> Option<Secret> {
        match self {
            Self::Text(text) => Some(text),
            Self::Absent | Self::Unknown => None,
        }
    }
}

fn from(reader: &mut Reader, fields: &Fields<'_>) -> Option<WorkloadRef> {
    if fields.find("from").is_none() {
        reader.error(
            "E0270",
            &fields.at,
            "superuser.from is missing; write kind/name",
        );
    }
    let (word, at) = reader.find_word(fields, "from")?;
    match reference(word.text()) {
        Ok(found) => Some(found),
        Err(fault) => {
            let message = format!("superuser.from: \"{}\" is not kind/name", word.shown());
            let hint = match fault {
                NotAWorkload::Malformed(hint) => hint,
                NotAWorkload::NeverRestarted => {
                    Some("kinds are deployment, daemonset, statefulset and rollout".to_owned())
                }
            };
            let finding = Finding::error("E0270", &at, message);
            reader.findings.push(finding.hinted(hint));
            None
        }
    }
}

/// Reads a value at `key`, or the name of one at `key_from`.
fn login(
    reader: &mut Reader,
    fields: &Fields<'_>,
    values: &Values,
    key: &str,
    key_from: &str,
) -> Found {
    let own = fields.find(key);
    let Some((node, at)) = fields.find(key_from) else {
        let Some((node, at)) = own else {
            return Found::Absent;
        };
        let text = reader.value(node, &at, &at.path, Sealing::Clear);
        if text.as_ref().is_some_and(Secret::is_empty) {
            reader.error("E0276", &at, format!("{} is empty", at.path));
        }
        return credential(reader, text, &at);
    };
    if own.is_some() {
        let message = format!("superuser has {key} and {key_from}; keep one");
        reader.error("E0275", &at, message);
    }
    let Some(word) = reader.word(node, &at) else {
        return Found::Unknown;
    };
    let found = values.find(reader, word.text(), &word.shown(), &at);
    let text = found.and_then(|(_, draft)| draft.text.clone());
    credential(reader, text, &at)
}

fn password(reader: &mut Reader, fields: &Fields<'_>, values: &Values) -> Found {
    let own = fields.find("password");
    let from = fields.find("passwordFrom");
    let (text, at) = match (own, from) {
        (None, None) => {
            reader.error("E0272", &fields.at, "superuser has no password");
            return Found::Absent;
        }
        (Some(_), Some((_, at))) => {
            let message = "superuser has password and passwordFrom; keep one";
            reader.error("E0275", &at, message);
            return Found::Unknown;
        }
        (Some((node, at)), None) => {
            let text = reader.value(node, &at, &at.path, Sealing::Required);
            (text, at)
        }
        (None, Some((node, at))) => {
            let Some(word) = reader.word(node, &at) else {
                return Found::Unknown;
            };
            let found = values.find(reader, word.text(), &word.shown(), &at);
            if found.is_some_and(|(_, draft)| draft.origin != Origin::Secrets) {
                let message = format!("no value named {} in secrets", word.shown());
                reader.error("E0242", &at, message);
            }
            (found.and_then(|(_, draft)| draft.text.clone()), at)
        }
    };
    let bad = |text: &Secret| text.is_empty() || text.expose().ends_with(b"\n");
    if text.as_ref().is_some_and(bad) {
        reader.error(
            "E0273",
            &at,
            format!("{} is empty or ends in a newline", at.path),
        );
    }
    credential(reader, text, &at)
}

/// A text that the Job gets as an environment variable, and so must obey its rules.
fn credential(reader: &mut Reader, text: Option<Secret>, at: &At) -> Found {
    let Some(text) = text else {
        return Found::Unknown;
    };
    // The longest name that Django gives such a variable here.
    check_variable(reader, "DJANGO_SUPERUSER_PASSWORD", &at.path, &text, at);
    Found::Text(text)
}

fn further_fields(reader: &mut Reader, fields: &Fields<'_>) -> BTreeMap<String, Secret> {
    let mut further = BTreeMap::new();
    let Some((node, at)) = fields.find("fields") else {
        return further;
    };
    let Some(map) = reader.map(node, &at) else {
        return further;
    };
    for (entry, at) in entries(map, &at) {
        if !is_identifier(&entry.key) {
            let message = format!(
                "superuser.fields: \"{}\" is not the name of a field",
                cut(&entry.key)
            );
            reader.error("E0277", &at, message);
        }
        let text = reader.value(&entry.value, &at, &at.path, Sealing::Clear);
        let text = credential(reader, text, &at).text();
        let unknown = || Secret::new(Vec::new());
        further.insert(entry.key.clone(), text.unwrap_or_else(unknown));
    }
    further
}

/// Whether Django can have a field of this name (ASCII identifiers are enough).
fn is_identifier(name: &str) -> bool {
    !name.starts_with(|first: char| first.is_ascii_digit())
        && !name.is_empty()
        && name.len() <= 63
        && name
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
}

fn container(reader: &mut Reader, fields: &Fields<'_>) -> Option<String> {
    let (word, at) = reader.find_word(fields, "container")?;
    // The name of a container obeys the rule of a namespace: an RFC 1123 label.
    if word.text().parse::<Namespace>().is_err() {
        let message = format!(
            "superuser.container: \"{}\" is not a valid name",
            word.shown()
        );
        reader.error("E0278", &at, message);
    }
    Some(word.text().to_owned())
}

fn database(reader: &mut Reader, fields: &Fields<'_>) -> String {
    let Some((word, at)) = reader.find_word(fields, "database") else {
        return "default".to_owned();
    };
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"_-.".contains(&byte);
    if word.text().len() > 63 || word.text().starts_with('-') || !word.text().bytes().all(plain) {
        let message = format!(
            "superuser.database: \"{}\" is not a valid name",
            word.shown()
        );
        reader.error("E0278", &at, message);
    }
    word.text().to_owned()
}

fn manage(reader: &mut Reader, fields: &Fields<'_>) -> String {
    let Some((word, at)) = reader.find_word(fields, "manage") else {
        return "manage.py".to_owned();
    };
    let path = word.text();
    let is_file = path == "manage.py" || path.ends_with("/manage.py");
    if !is_file || path.starts_with('-') || path.len() > 4096 || path.chars().any(char::is_control)
    {
        let message = "superuser.manage is not the path of a manage.py";
        reader.error("E0274", &at, message);
    }
    path.to_owned()
}

fn after(reader: &mut Reader, fields: &Fields<'_>) -> After {
    let Some((word, at)) = reader.find_word(fields, "after") else {
        return After::Rollout;
    };
    match word.text() {
        "rollout" => return After::Rollout,
        "migrated" => return After::Migrated,
        _ => {}
    }
    let job = word.text().strip_prefix("job/");
    if let Some(Ok(name)) = job.map(str::parse::<ObjectName>) {
        return After::Job(name);
    }
    let words = ["rollout", "migrated", "job/<name>"];
    reader.unknown_word("after", word, &at, words.into_iter());
    After::Rollout
}
