//! The flags of seald, as typed. Each has a variable `SEALD_…` of the same name.

use std::ffi::OsString;
use std::net::SocketAddr;
use std::path::PathBuf;

use clap::{Parser, ValueEnum};

use crate::vocabulary;

/// Bring sealed environment documents into this cluster
///
/// seald verifies and decrypts SealedEnv objects, writes their ConfigMaps and Secrets, restarts exactly
/// the workloads that read what changed, and creates Django's first superuser.
///
/// Every flag can also be given as a variable: SEALD_ and the flag's name in upper snake case. Timings
/// are fixed and have no flags.
#[derive(Debug, Parser)]
#[command(name = "seald", version)]
pub(super) struct Args {
    /// Environment to serve (repeatable)
    #[arg(
        long = "environment",
        value_name = "ENV",
        env = "SEALD_ENVIRONMENT",
        value_delimiter = ',',
        required = true
    )]
    pub(super) environments: Vec<String>,

    /// Where documents come from: none, or dir:PATH (a project, or a flat folder of documents)
    #[arg(
        long,
        value_name = "SOURCE",
        env = "SEALD_SOURCE",
        default_value = "none"
    )]
    pub(super) source: String,

    /// Create namespaces that the source's documents name and that do not exist
    #[arg(long, env = "SEALD_CREATE_NAMESPACES")]
    pub(super) create_namespaces: bool,

    /// Folder with one file of age identities per environment; a single file only with one environment
    #[arg(long, value_name = "PATH", env = "SEALD_IDENTITY", default_value = vocabulary::IDENTITY_PATH)]
    pub(super) identity: PathBuf,

    /// What must stand behind a document before it is applied
    #[arg(
        long,
        value_enum,
        value_name = "POLICY",
        env = "SEALD_VERIFY",
        default_value = "warn"
    )]
    pub(super) verify: Policy,

    /// Namespace to serve (repeatable; all when none is named)
    #[arg(
        long = "namespace",
        value_name = "NS",
        env = "SEALD_NAMESPACE",
        value_delimiter = ','
    )]
    pub(super) namespaces: Vec<String>,

    /// Prefix of the field manager of the restart marker
    #[arg(long, value_name = "PREFIX", env = "SEALD_RESTART_FIELD_MANAGER", default_value = vocabulary::MANAGER)]
    pub(super) restart_field_manager: String,

    /// Whether to hold a Lease before writing anything
    #[arg(long, value_name = "BOOL", env = "SEALD_LEADER_ELECT", default_value_t = true, action = clap::ArgAction::Set)]
    pub(super) leader_elect: bool,

    /// Workloads that are rolled at once by this seald
    #[arg(long, value_name = "N", env = "SEALD_ROLLOUTS", default_value_t = 100, value_parser = clap::value_parser!(u32).range(1..=10_000))]
    pub(super) rollouts: u32,

    /// Requests per second to the API server; without it concurrency adapts to what the server bears
    #[arg(long, value_name = "N", env = "SEALD_API_QPS", value_parser = clap::value_parser!(u32).range(1..))]
    pub(super) api_qps: Option<u32>,

    /// Most detailed level of the log
    #[arg(
        long,
        value_name = "LEVEL",
        env = "SEALD_LOG_LEVEL",
        default_value = "info"
    )]
    pub(super) log_level: String,

    /// Form of the log: json or text (text when standard error is a terminal)
    #[arg(long, value_name = "FORMAT", env = "SEALD_LOG_FORMAT")]
    pub(super) log_format: Option<String>,

    /// Where /metrics is served
    #[arg(
        long,
        value_name = "ADDRESS",
        env = "SEALD_LISTEN_METRICS",
        default_value = "0.0.0.0:8080"
    )]
    pub(super) listen_metrics: SocketAddr,

    /// Where /livez and /readyz are served
    #[arg(
        long,
        value_name = "ADDRESS",
        env = "SEALD_LISTEN_PROBES",
        default_value = "0.0.0.0:8081"
    )]
    pub(super) listen_probes: SocketAddr,

    /// Kubeconfig to use instead of the service account of the pod
    #[arg(long, value_name = "FILE", env = "SEALD_KUBECONFIG")]
    pub(super) kubeconfig: Option<PathBuf>,

    /// Name of this pod, for the Lease and Events
    #[arg(
        long,
        value_name = "NAME",
        env = "POD_NAME",
        hide = true,
        default_value = "seald"
    )]
    pub(super) pod_name: String,

    /// Namespace of seald itself, for the Lease
    #[arg(long, value_name = "NS", env = "POD_NAMESPACE", hide = true)]
    pub(super) pod_namespace: Option<String>,
}

/// Reads the command line. Help, the version and errors are printed; the exit code is then given.
pub(super) fn read(arguments: impl IntoIterator<Item = OsString>) -> Result<Args, u8> {
    Args::try_parse_from(arguments).map_err(|error| {
        let _ = error.print();
        u8::try_from(error.exit_code()).unwrap_or(super::USAGE)
    })
}

/// Policies.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum Policy {
    /// Only the MAC of SOPS
    Off,
    /// Apply, but say what is wrong
    Warn,
    /// Refuse
    Require,
}
