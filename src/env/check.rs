//! The check of a whole document: from its tree to what it asks for, or to all of its faults.
//!
//! One reading serves three callers: plaintext before it is sealed, a document that was opened, and a
//! sealed document of which only structure and names can be seen.

use crate::env::deliver::{self, Intent};
use crate::env::delivery::{Delivery, ObjectKind, Superuser, WorkloadRef, Workloads};
use crate::env::fields::{Fields, Reader, Sight};
use crate::env::finding::{At, Finding, Severity};
use crate::env::objects;
use crate::env::superuser;
use crate::env::values::Values;
use crate::env::workloads;
use crate::name::{AppName, EnvName, Namespace, ObjectName};
use crate::tree::Map;

const FIELDS: [&str; 14] = [
    "sealctl",
    "app",
    "environment",
    "namespace",
    "config",
    "secrets",
    "derived",
    "render",
    "allow",
    "deliver",
    "workloads",
    "superuser",
    "rotation",
    "sops",
];

/// In which state the tree of a document is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Form {
    /// Plaintext that is being written; nothing has been sealed yet.
    Typed,
    /// It was sealed and has been opened: every value in `secrets` must have been ciphertext.
    Opened,
}

/// Where the document lies, as far as that says what must stand in it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Place {
    /// Name of the file, `polls.yaml`; the app must be called like it.
    pub file: Option<String>,
    /// Directory, `envs/prod`; the environment must be called like its last part.
    pub directory: Option<String>,
}

/// What the check of a document found.
#[derive(Debug)]
pub struct Checked {
    /// What the document asks for; `None` exactly when a finding is an error.
    pub delivery: Option<Delivery>,
    /// All faults and warnings, in the order of the file.
    pub findings: Vec<Finding>,
}

/// Which document it is, as it says itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Header {
    /// The app, and so the name of the SealedEnv.
    pub app: AppName,
    /// The environment.
    pub environment: EnvName,
    /// The namespace.
    pub namespace: Namespace,
}

/// What can be told of a sealed document without a key.
#[derive(Debug)]
pub struct Outlined {
    /// Which document it is; also there when other parts are wrong.
    pub header: Option<Header>,
    /// The objects that it asks for, in its order; those that could be read when other parts are wrong.
    pub targets: Vec<Target>,
    /// How workloads are restarted.
    pub workloads: Workloads,
    /// The workload from which the superuser's Job is cloned, when one is asked for.
    pub superuser: Option<WorkloadRef>,
    /// Number of values by name.
    pub names: usize,
    /// All faults that can be seen without a key.
    pub findings: Vec<Finding>,
}

/// An object that a document asks for, without its content.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Target {
    /// ConfigMap or Secret.
    pub kind: ObjectKind,
    /// Its name.
    pub name: ObjectName,
    /// Whether seald may delete it when the document no longer names it.
    pub prune: bool,
}

/// Everything that one pass over a tree yields.
struct Parts {
    app: Option<AppName>,
    environment: Option<EnvName>,
    namespace: Option<Namespace>,
    values: Values,
    intents: Vec<Intent>,
    workloads: Workloads,
    superuser: Option<Superuser>,
}

/// Checks a document whose values can be seen against every rule of the grammar.
///
/// Limits: 10,000 names, 100 objects, 1 MiB in one object, 131,071 bytes in an environment variable.
/// A document without any value passes; [`without_values`] tells it apart.
#[must_use]
pub fn check(tree: &Map, form: Form, place: &Place) -> Checked {
    let sight = match form {
        Form::Typed => Sight::Typed,
        Form::Opened => Sight::Opened,
    };
    let mut reader = Reader::new(sight);
    let parts = read(&mut reader, tree, place);
    let values = parts.values;
    let objects = parts
        .intents
        .into_iter()
        .filter_map(|intent| objects::fill(&mut reader, intent, &values))
        .collect();
    let findings = sorted(reader.findings);
    let faultless = !findings
        .iter()
        .any(|finding| finding.severity == Severity::Error);
    let header = header(parts.app, parts.environment, parts.namespace).filter(|_| faultless);
    let delivery = header.map(|header| Delivery {
        app: header.app,
        environment: header.environment,
        namespace: header.namespace,
        values: values.all_delivered(),
        objects,
        workloads: parts.workloads,
        superuser: parts.superuser,
    });
    Checked { delivery, findings }
}

/// Reads a sealed document without a key: its structure, names and targets, and that what must be
/// ciphertext is. Whether the ciphertext can be opened, and what is in it, stays unknown.
#[must_use]
pub fn outline(tree: &Map, place: &Place) -> Outlined {
    let mut reader = Reader::new(Sight::Sealed);
    let parts = read(&mut reader, tree, place);
    let targets = parts
        .intents
        .into_iter()
        .filter(|intent| !intent.is_empty());
    Outlined {
        header: header(parts.app, parts.environment, parts.namespace),
        targets: targets
            .map(|intent| Target {
                kind: intent.kind,
                name: intent.name,
                prune: intent.prune,
            })
            .collect(),
        workloads: parts.workloads,
        superuser: parts.superuser.map(|superuser| superuser.from),
        names: parts.values.drafts.len(),
        findings: sorted(reader.findings),
    }
}

/// The finding that a document names no value at all, in any section. Only commands that deliver
/// refuse such a document: a new one is empty.
#[must_use]
pub fn without_values(tree: &Map) -> Option<Finding> {
    let named = ["config", "secrets", "derived"].into_iter().any(|section| {
        let entry = tree.find(section);
        entry.is_some_and(|entry| match &entry.value {
            crate::tree::Node::Map(map) => map.entries().next().is_some(),
            crate::tree::Node::List(_) | crate::tree::Node::Leaf(_) => false,
        })
    });
    (!named).then(|| Finding::error("E0206", &At::default(), "the document holds no values"))
}

fn read(reader: &mut Reader, tree: &Map, place: &Place) -> Parts {
    let at = At {
        path: String::new(),
        position: tree.position,
    };
    let top = reader.known_fields(tree, at, &FIELDS);
    version(reader, &top);
    let app = app(reader, &top, place);
    let environment = environment(reader, &top, place);
    let namespace = namespace(reader, &top, app.as_ref());
    let values = Values::read(reader, &top);
    let intents = deliver::read(reader, &top, app.as_ref(), &values);
    let workloads = workloads::read(reader, &top);
    let superuser = superuser::read(reader, &top, &values);
    rotation(reader, &top);
    Parts {
        app,
        environment,
        namespace,
        values,
        intents,
        workloads,
        superuser,
    }
}

fn header(
    app: Option<AppName>,
    environment: Option<EnvName>,
    namespace: Option<Namespace>,
) -> Option<Header> {
    Some(Header {
        app: app?,
        environment: environment?,
        namespace: namespace?,
    })
}

fn version(reader: &mut Reader, top: &Fields<'_>) {
    if top.find("sealctl").is_none() {
        let message = "the document has no version; write sealctl: v1";
        reader.error("E0201", &top.at, message);
    }
    if let Some((word, at)) = reader.find_word(top, "sealctl")
        && word.text() != "v1"
    {
        let message = format!(
            "unknown document version \"{}\"; this program reads v1",
            word.shown()
        );
        reader.error("E0201", &at, message);
    }
}

fn app(reader: &mut Reader, top: &Fields<'_>, place: &Place) -> Option<AppName> {
    let (app, at) = required_name::<AppName>(reader, top, "app")?;
    if let Some(file) = &place.file {
        let stem = file
            .strip_suffix(".yaml")
            .or_else(|| file.strip_suffix(".yml"));
        if stem.unwrap_or(file) != app.as_str() {
            let message = format!("app \"{app}\" does not match the file name {file}");
            reader.error("E0203", &at, message);
        }
    }
    Some(app)
}

fn environment(reader: &mut Reader, top: &Fields<'_>, place: &Place) -> Option<EnvName> {
    let (environment, at) = required_name::<EnvName>(reader, top, "environment")?;
    if let Some(directory) = &place.directory {
        let last = directory.trim_end_matches('/').rsplit('/').next();
        if last != Some(environment.as_str()) {
            let message =
                format!("environment \"{environment}\" does not match the directory {directory}");
            let hint = last.and_then(|last| reader.hint(environment.as_str(), [last]));
            let finding = Finding::error("E0205", &at, message);
            reader.findings.push(finding.hinted(hint));
        }
    }
    Some(environment)
}

/// The namespace, which is called like the app unless it is given.
fn namespace(reader: &mut Reader, top: &Fields<'_>, app: Option<&AppName>) -> Option<Namespace> {
    if top.find("namespace").is_some() {
        return Some(required_name(reader, top, "namespace")?.0);
    }
    app.and_then(|app| app.as_str().parse().ok())
}

fn required_name<T: std::str::FromStr>(
    reader: &mut Reader,
    top: &Fields<'_>,
    key: &str,
) -> Option<(T, At)> {
    if top.find(key).is_none() {
        reader.error("E0202", &top.at, format!("{key} is missing"));
    }
    let (word, at) = reader.find_word(top, key)?;
    let Ok(name) = word.text().parse() else {
        let message = format!("{key} \"{}\" is not a valid name", word.shown());
        reader.error("E0202", &at, message);
        return None;
    };
    Some((name, at))
}

/// Only the shape of `rotation`: nothing that is delivered depends on it.
fn rotation(reader: &mut Reader, top: &Fields<'_>) {
    let Some((node, at)) = top.find("rotation") else {
        return;
    };
    let Some(map) = reader.map(node, &at) else {
        return;
    };
    for (entry, at) in crate::env::fields::entries(map, &at) {
        let _ = reader.fields(&entry.value, at, &["recipe", "step", "since"]);
    }
}

/// In the order of the file, each finding once.
fn sorted(mut findings: Vec<Finding>) -> Vec<Finding> {
    findings.sort_by(|left, right| {
        let key = |finding: &Finding| (finding.position, finding.code);
        key(left)
            .cmp(&key(right))
            .then_with(|| left.path.cmp(&right.path))
    });
    findings.dedup();
    findings
}
