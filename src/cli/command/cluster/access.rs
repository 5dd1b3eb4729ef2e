//! The way to the API server: flags as in kubectl, and what its refusals mean for a command.

use std::path::PathBuf;

use clap::Args;

use crate::cli::Session;
use crate::cli::error::{CommandError, Exit};
use crate::cluster::client::Requests;
use crate::cluster::connection::{Access, ConnectError, Connection};
use crate::cluster::error::{ApiError, Class};
use crate::cluster::limiter::Limiter;
use crate::telemetry::metrics::Metrics;

/// Flags of every verb that talks to a cluster.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Cluster")]
pub(super) struct AccessFlags {
    /// Path of the kubeconfig
    #[arg(long, value_name = "FILE")]
    kubeconfig: Option<PathBuf>,
    /// Context of the kubeconfig
    #[arg(long, value_name = "NAME", env = "SEALCTL_CONTEXT")]
    context: Option<String>,
}

/// Runs `work` with a connection to the cluster.
///
/// # Errors
///
/// Exit code 20 without any usable configuration; what `work` returns otherwise.
pub(super) fn with_cluster<T, F>(
    flags: &AccessFlags,
    work: impl FnOnce(Requests) -> F,
) -> Result<T, CommandError>
where
    F: Future<Output = Result<T, CommandError>>,
{
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(crate::cli::store::internal)?;
    runtime.block_on(async {
        let connection = Connection::open(Access {
            kubeconfig: flags.kubeconfig.clone(),
            context: flags.context.clone(),
            user_agent: concat!("sealctl/", env!("CARGO_PKG_VERSION")).to_owned(),
        })
        .await
        .map_err(|error| connect_error(&error))?;
        let metrics = Metrics::new(env!("CARGO_PKG_VERSION"), "");
        work(Requests::new(connection, Limiter::new(None), metrics)).await
    })
}

fn connect_error(error: &ConnectError) -> CommandError {
    CommandError::new("E0601", Exit::Unreachable, "no way to a cluster")
        .why(error.to_string())
        .fix("kubectl config get-contexts   then   --context NAME, or export KUBECONFIG=FILE")
}

/// What a refused call means; `grant` is the command that gives missing rights.
pub(super) fn api_error(error: &ApiError) -> CommandError {
    let what = error.to_string();
    match error.class {
        Class::Forbidden => CommandError::new("E0604", Exit::Forbidden, what)
            .why("your user has no such right")
            .fix("ask an admin of the cluster for it"),
        Class::Unavailable | Class::Timeout | Class::Unauthorized | Class::Throttled => {
            CommandError::new("E0601", Exit::Unreachable, what)
                .fix("kubectl version   says whether the server answers you")
        }
        Class::KindMissing => CommandError::new("E0605", Exit::Failure, what)
            .why("the definition of SealedEnv is not installed")
            .fix("kubectl apply --server-side -k deploy/crd"),
        Class::NamespaceMissing => CommandError::new("E0606", Exit::Failure, what)
            .fix("add --create-namespace, or: kubectl create namespace NAME"),
        Class::FieldConflict => CommandError::new("E0607", Exit::Failure, what)
            .why("seald mirrors it from its source, or a GitOps tool applies it")
            .fix("push to that source instead"),
        _ => CommandError::new("E0600", Exit::Failure, what),
    }
}

/// Whether this session may write to the cluster.
pub(super) fn is_dry(session: &Session) -> bool {
    session.globals.dry_run
}
