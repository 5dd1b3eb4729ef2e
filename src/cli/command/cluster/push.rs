//! `cluster push`: the sealed documents as SealedEnv objects.

use clap::Args;
use serde_json::{Value, json};

use super::access::{AccessFlags, api_error, is_dry, with_cluster};
use crate::cli::document::Source;
use crate::cli::error::CommandError;
use crate::cli::sealed_env::{self, Ready};
use crate::cli::{Outcome, Session};
use crate::cluster::client::{Force, Requests};
use crate::cluster::error::Class;
use crate::cluster::kind::{Kind, Place};
use crate::secret::Secret;
use crate::vocabulary::{API_GROUP, CLI_MANAGER};

/// Apply the sealed documents as SealedEnv objects
///
/// For clusters that cannot reach the repository. Only sealed documents travel; all of them are checked
/// before the first one is sent.
#[derive(Debug, Args)]
#[command(
    before_help = "Examples:\n  sealctl cluster push -e prod\n  sealctl cluster push -e prod -a web --create-namespace"
)]
pub(super) struct PushArgs {
    /// Create the namespaces that are missing
    #[arg(long)]
    create_namespace: bool,
    #[command(flatten)]
    access: AccessFlags,
}

/// `cluster push`.
pub(super) fn run(session: &mut Session, args: &PushArgs) -> Result<Outcome, CommandError> {
    let sources = match session.globals.app {
        Some(_) => vec![Source::find(session, None)?],
        None => crate::cli::command::render::of_environment(session)?,
    };
    let documents = sources
        .iter()
        .map(sealed_env::prepare)
        .collect::<Result<Vec<Ready>, CommandError>>()?;
    if is_dry(session) {
        for document in &documents {
            session.ui.report(&format!(
                "sealedenv.{API_GROUP}/{} would be applied",
                document.header.app
            ));
        }
        return Ok(Outcome::Done);
    }
    let mut outcome = Outcome::Unchanged;
    with_cluster(&args.access, async |requests| {
        for document in &documents {
            if args.create_namespace {
                create_namespace(&requests, document).await?;
            }
            let is_new = apply(&requests, document).await?;
            if is_new {
                outcome = Outcome::Done;
            }
            let done = if is_new { "applied" } else { "unchanged" };
            session.ui.report(&format!(
                "sealedenv.{API_GROUP}/{} {done}",
                document.header.app
            ));
        }
        Ok(())
    })?;
    if let Some(header) = documents.first().map(|document| &document.header) {
        let one = documents
            .iter()
            .all(|other| other.header.namespace == header.namespace);
        let place = if one {
            format!("-n {}", header.namespace)
        } else {
            "-A".to_owned()
        };
        let environment = &header.environment;
        session
            .ui
            .next(&format!("sealctl cluster status -e {environment} {place}"));
    }
    Ok(outcome)
}

/// Applies the document, unless the cluster has exactly it. Whether it was applied.
async fn apply(requests: &Requests, document: &Ready) -> Result<bool, CommandError> {
    let header = &document.header;
    let place = Place::new(
        Kind::SealedEnv,
        header.namespace.as_str(),
        header.app.as_str(),
    );
    // Who may not read it, applies it.
    let there: Option<Value> = requests.get(&place).await.ok().flatten();
    if there.is_some_and(|there| holds(&there, &document.object)) {
        return Ok(false);
    }
    let body = Secret::from(document.object.to_string());
    requests
        .apply(&place, CLI_MANAGER, Force::No, body)
        .await
        .map(|_| true)
        .map_err(|error| api_error(&error))
}

/// Whether every field of `wanted` stands in `there`; others may, too.
fn holds(there: &Value, wanted: &Value) -> bool {
    match (there, wanted) {
        (Value::Object(there), Value::Object(wanted)) => wanted
            .iter()
            .all(|(name, wanted)| there.get(name).is_some_and(|there| holds(there, wanted))),
        _ => there == wanted,
    }
}

async fn create_namespace(requests: &Requests, document: &Ready) -> Result<(), CommandError> {
    let name = document.header.namespace.as_str();
    let body = json!({ "apiVersion": "v1", "kind": "Namespace", "metadata": { "name": name } });
    let created = requests
        .create(
            &Place::namespace(name),
            CLI_MANAGER,
            Secret::from(body.to_string()),
        )
        .await;
    match created {
        Ok(_) => Ok(()),
        Err(error) if error.class == Class::AlreadyExists => Ok(()),
        Err(error) => Err(api_error(&error)),
    }
}
