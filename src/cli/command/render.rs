//! `render`: the objects that seald would write.

use std::path::{Path, PathBuf};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use clap::Args;
use serde_json::{Map, Value, json};

use crate::cli::document::Source;
use crate::cli::error::CommandError;
use crate::cli::mask::Mask;
use crate::cli::project::Project;
use crate::cli::{Outcome, Session, sealed_env};
use crate::cluster::manifest;
use crate::env::{Content, Delivery, Object, ObjectKind, Severity, without_values};
use crate::file;
use crate::secret::Secret;
use crate::vocabulary::{LABEL_ENV, LABEL_MANAGED_BY, LABEL_OWNER, LABEL_PART_OF, MANAGER};

/// Print the objects that seald would write, masked
///
/// With --sealed: the SealedEnv objects for GitOps; nothing is opened for those.
#[derive(Debug, Args)]
#[command(
    before_help = "Examples:\n  sealctl render -e prod\n  sealctl render --sealed -e prod | kubectl apply -f -"
)]
pub(crate) struct RenderArgs {
    /// Only objects of this kind
    #[arg(long, value_name = "KIND", conflicts_with = "sealed")]
    target: Option<Target>,
    /// The SealedEnv objects instead of what they become
    #[arg(long)]
    sealed: bool,
    /// Write one file per object into this folder
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
    /// Show the secrets themselves
    #[arg(long, conflicts_with = "sealed")]
    reveal: bool,
}

/// Kind of a rendered object.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Target {
    /// Secrets.
    Secret,
    /// ConfigMaps.
    Configmap,
}

/// `render`.
pub(crate) fn run(session: &mut Session, args: &RenderArgs) -> Result<Outcome, CommandError> {
    let sources = sources(session, args.sealed)?;
    let mut objects = Vec::new();
    for source in &sources {
        if args.sealed {
            objects.push(sealed_env::prepare(source)?.object);
        } else {
            objects.extend(delivered(session, args, source)?);
        }
    }
    match &args.out {
        None => session.ui.data(manifest::documents(&objects).as_bytes()),
        Some(folder) => write(session, folder, &objects, args.reveal)?,
    }
    Ok(Outcome::Done)
}

/// The document that is meant; with `--sealed` and without an app, all of the environment.
fn sources(session: &Session, sealed: bool) -> Result<Vec<Source>, CommandError> {
    if sealed && session.globals.app.is_none() {
        return of_environment(session);
    }
    Ok(vec![Source::find(session, None)?])
}

/// Every document of the environment that the options mean.
///
/// # Errors
///
/// When there is no such environment, or a document cannot be read.
pub(crate) fn of_environment(session: &Session) -> Result<Vec<Source>, CommandError> {
    let project = Project::find(&session.globals)?;
    let environment = project.environment(session.globals.environment.as_deref())?;
    let documents = project.documents().into_iter();
    let wanted = documents.filter(|document| document.environment == environment);
    wanted
        .map(|document| Source::of(&project, &document))
        .collect()
}

fn delivered(
    session: &Session,
    args: &RenderArgs,
    source: &Source,
) -> Result<Vec<Value>, CommandError> {
    if args.reveal && args.out.is_none() {
        super::show::may_reveal(session, true, "the secrets of the document")?;
    }
    let document = source.open(session)?;
    let delivery = source.deliver(&document)?;
    if let Some(finding) = without_values(document.opened.tree())
        && finding.severity == Severity::Error
    {
        return Err(source.refused(&[finding]));
    }
    let wanted = |object: &&Object| match args.target {
        None => true,
        Some(Target::Secret) => object.kind == ObjectKind::Secret,
        Some(Target::Configmap) => object.kind == ObjectKind::ConfigMap,
    };
    let mask = (!args.reveal).then_some(&document.mask);
    let objects = delivery.objects.iter().filter(wanted);
    Ok(objects
        .map(|object| manifest_of(&delivery, object, mask))
        .collect())
}

/// `object` as a manifest; masked where `mask` is given.
fn manifest_of(delivery: &Delivery, object: &Object, mask: Option<&Mask>) -> Value {
    let mut labels = Map::new();
    for (label, value) in &object.labels {
        labels.insert(label.clone(), json!(value));
    }
    for (label, value) in [
        (LABEL_ENV, delivery.environment.as_str()),
        (LABEL_OWNER, delivery.app.as_str()),
        (LABEL_PART_OF, delivery.app.as_str()),
        (LABEL_MANAGED_BY, MANAGER),
    ] {
        labels.insert(label.to_owned(), json!(value));
    }
    let mut metadata = json!({
        "name": object.name.as_str(),
        "namespace": delivery.namespace.as_str(),
        "labels": labels,
    });
    if !object.annotations.is_empty() {
        metadata["annotations"] = json!(object.annotations);
    }
    let mut manifest = json!({
        "apiVersion": "v1",
        "kind": object.kind.to_string(),
        "metadata": metadata,
    });
    if object.kind == ObjectKind::Secret {
        manifest["type"] = json!(object.secret_type.as_str());
    }
    for (key, content) in &object.data {
        let (field, text) = shown(object.kind, content, mask);
        if manifest.get(field).is_none() {
            manifest[field] = json!({});
        }
        manifest[field][key.as_str()] = json!(text);
    }
    manifest
}

/// The field that holds a content, and its text.
fn shown(kind: ObjectKind, content: &Content, mask: Option<&Mask>) -> (&'static str, String) {
    let text = content.bytes.expose_text();
    match (kind, mask, text) {
        (ObjectKind::Secret, Some(mask), _) => ("stringData", mask.show(&content.bytes)),
        (ObjectKind::Secret, None, Some(text)) => ("stringData", text.to_owned()),
        (ObjectKind::Secret, None, None) => ("data", STANDARD.encode(content.bytes.expose())),
        (ObjectKind::ConfigMap, _, Some(text)) if !content.binary => ("data", text.to_owned()),
        (ObjectKind::ConfigMap, _, _) => ("binaryData", STANDARD.encode(content.bytes.expose())),
    }
}

fn write(
    session: &Session,
    folder: &Path,
    objects: &[Value],
    reveal: bool,
) -> Result<(), CommandError> {
    let mode = if reveal { file::PRIVATE } else { file::PUBLIC };
    for object in objects {
        let text = |pointer: &str| object.pointer(pointer).and_then(Value::as_str);
        let kind = text("/kind").unwrap_or_default().to_lowercase();
        let name = text("/metadata/name").unwrap_or_default();
        let path = folder.join(format!("{kind}-{name}.yaml"));
        if session.globals.dry_run {
            session
                .ui
                .status(&format!("would write {}", path.display()));
            continue;
        }
        let content = Secret::from(manifest::yaml(object));
        match file::read_original(&path, 64 << 20) {
            Ok(former) => file::replace(&former, &content)?,
            Err(error) if error.is_missing() => file::create(&path, &content, mode)?,
            Err(error) => return Err(error.into()),
        }
        session.ui.done(&format!("wrote {}", path.display()));
    }
    Ok(())
}
