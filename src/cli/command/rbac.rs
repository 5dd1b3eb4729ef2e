//! `rbac`: the roles that seald needs for one's documents.

use std::path::PathBuf;

use clap::Args;
use serde_json::Value;

use crate::cli::document::Source;
use crate::cli::error::CommandError;
use crate::cli::{Outcome, Session};
use crate::cluster::manifest;
use crate::cluster::roles::{self, By, Prune, ServiceAccount, Targets};
use crate::env::outline;
use crate::file;
use crate::secret::Secret;

/// Print the roles that seald needs for the documents
///
/// Role and RoleBinding for each document of the environment, by object name, from what it declares.
/// Needs neither key nor cluster. There is no right to list Secrets in them.
#[derive(Debug, Args)]
#[command(
    before_help = "Examples:\n  sealctl rbac -e prod | kubectl apply -f -\n  sealctl rbac -e prod -a web --by namespace"
)]
pub(crate) struct RbacArgs {
    /// Service account of seald
    #[arg(long, value_name = "NAMESPACE/NAME", default_value = crate::vocabulary::SERVICE_ACCOUNT)]
    service_account: String,
    /// Limit the rights to the named objects, or to the namespace (new objects need no new role then)
    #[arg(long, value_name = "HOW", default_value = "name")]
    by: Limit,
    /// Let seald delete what a document no longer names
    #[arg(long)]
    prune: bool,
    /// Write one file per document into this folder
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
}

/// How rights are limited.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Limit {
    /// To the objects that the document names.
    Name,
    /// To its namespace.
    Namespace,
}

/// `rbac`.
pub(crate) fn run(session: &mut Session, args: &RbacArgs) -> Result<Outcome, CommandError> {
    let account = account(&args.service_account)?;
    let sources = match session.globals.app {
        Some(_) => vec![Source::find(session, None)?],
        None => super::render::of_environment(session)?,
    };
    let mut all: Vec<(String, Vec<Value>)> = Vec::new();
    for source in &sources {
        let targets = targets(source)?;
        let name = format!("rbac-{}-{}.yaml", targets.app, targets.environment);
        let by = match args.by {
            Limit::Name => By::Name,
            Limit::Namespace => By::Namespace,
        };
        let prune = if args.prune {
            Prune::Allowed
        } else {
            Prune::Refused
        };
        all.push((
            name,
            roles::for_document(&targets, &account, by, prune).to_vec(),
        ));
    }
    match &args.out {
        None => {
            let manifests: Vec<Value> = all.into_iter().flat_map(|(_, roles)| roles).collect();
            session.ui.data(manifest::documents(&manifests).as_bytes());
        }
        Some(folder) => {
            for (name, manifests) in all {
                let path = folder.join(name);
                file::create(
                    &path,
                    &Secret::from(manifest::documents(&manifests)),
                    file::PUBLIC,
                )?;
                session.ui.done(&format!("wrote {}", path.display()));
            }
        }
    }
    Ok(Outcome::Done)
}

fn account(text: &str) -> Result<ServiceAccount, CommandError> {
    let parts: Vec<&str> = text.split('/').collect();
    match parts.as_slice() {
        [namespace, name] if !namespace.is_empty() && !name.is_empty() => Ok(ServiceAccount {
            namespace: (*namespace).to_owned(),
            name: (*name).to_owned(),
        }),
        _ => Err(CommandError::usage(format!(
            "\"{text}\" is not NAMESPACE/NAME"
        ))),
    }
}

/// What a document declares, sealed or not: no value is needed for it.
fn targets(source: &Source) -> Result<Targets, CommandError> {
    let sealed = source.parse()?;
    let outline = outline(sealed.tree(), &source.place());
    let Some(header) = outline.header else {
        return Err(source.refused(&outline.findings));
    };
    let objects = outline
        .targets
        .into_iter()
        .map(|target| (target.kind, target.name));
    Ok(Targets {
        app: header.app,
        environment: header.environment,
        namespace: header.namespace,
        objects: objects.collect(),
    })
}
