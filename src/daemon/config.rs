//! The flags of seald, checked once.

use std::net::SocketAddr;
use std::path::PathBuf;

use super::args::{Args, Policy};
use crate::cluster::connection::Access;
use crate::file;
use crate::name::{EnvName, InvalidName, Namespace};
use crate::resolve::Verify;

/// What seald is to do.
#[derive(Debug)]
pub(super) struct Config {
    pub(super) environments: Vec<EnvName>,
    /// All namespaces when empty.
    pub(super) namespaces: Vec<Namespace>,
    /// The project, or the flat folder, to mirror.
    pub(super) source: Option<PathBuf>,
    pub(super) create_namespaces: bool,
    pub(super) identity: PathBuf,
    pub(super) verify: Verify,
    pub(super) marker_prefix: String,
    pub(super) leader_elect: bool,
    pub(super) rollouts: usize,
    pub(super) api_qps: Option<u32>,
    pub(super) listen_metrics: SocketAddr,
    pub(super) listen_probes: SocketAddr,
    pub(super) access: Access,
    pub(super) pod_name: String,
    pub(super) pod_namespace: Option<String>,
}

/// A flag that cannot be used.
#[derive(Debug, thiserror::Error)]
pub(super) enum InvalidConfig {
    /// A name breaks its rule.
    #[error("{0}")]
    Name(#[from] InvalidName),
    /// The source is of no known kind.
    #[error("--source is \"{0}\"; it is none or dir:PATH")]
    Source(String),
    /// One identity for several environments.
    #[error(
        "--identity is a single file, and there are several environments; name a folder with one file for each"
    )]
    Identity,
    /// The prefix is no field manager.
    #[error("--restart-field-manager is \"{0}\"; it is 1 to 80 letters, digits and dashes")]
    Manager(String),
}

impl Config {
    /// Whether a lower revision than the one applied is refused.
    pub(super) fn forward_only(&self) -> bool {
        self.verify != Verify::Off
    }
}

impl TryFrom<Args> for Config {
    type Error = InvalidConfig;

    fn try_from(args: Args) -> Result<Self, InvalidConfig> {
        // Named one by one, so that no flag can be forgotten.
        let Args {
            environments,
            source,
            create_namespaces,
            identity,
            verify,
            namespaces,
            restart_field_manager,
            leader_elect,
            rollouts,
            api_qps,
            log_level: _,
            log_format: _,
            listen_metrics,
            listen_probes,
            kubeconfig,
            pod_name,
            pod_namespace,
        } = args;
        let user_agent = format!("seald/{}", env!("CARGO_PKG_VERSION"));
        let mut environments: Vec<EnvName> = parse_all(&environments)?;
        environments.sort();
        environments.dedup();
        if environments.len() > 1 && file::kind(&identity) == Some(file::Kind::File) {
            return Err(InvalidConfig::Identity);
        }
        Ok(Self {
            environments,
            namespaces: parse_all(&namespaces)?,
            source: parse_source(&source)?,
            create_namespaces,
            identity,
            verify: match verify {
                Policy::Off => Verify::Off,
                Policy::Warn => Verify::Warn,
                Policy::Require => Verify::Require,
            },
            marker_prefix: parse_manager(restart_field_manager)?,
            leader_elect,
            rollouts: usize::try_from(rollouts).unwrap_or(usize::MAX),
            api_qps,
            listen_metrics,
            listen_probes,
            access: Access {
                kubeconfig,
                context: None,
                user_agent,
            },
            pod_name,
            pod_namespace,
        })
    }
}

fn parse_all<T: std::str::FromStr<Err = InvalidName>>(
    texts: &[String],
) -> Result<Vec<T>, InvalidName> {
    texts.iter().map(|text| text.trim().parse()).collect()
}

fn parse_source(text: &str) -> Result<Option<PathBuf>, InvalidConfig> {
    match text.split_once(':') {
        None if text == "none" => Ok(None),
        Some(("dir", path)) if !path.is_empty() => Ok(Some(PathBuf::from(path))),
        _ => Err(InvalidConfig::Source(text.to_owned())),
    }
}

fn parse_manager(text: String) -> Result<String, InvalidConfig> {
    let fits = !text.is_empty()
        && text.len() <= 80
        && text
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || byte == b'-');
    if fits {
        Ok(text)
    } else {
        Err(InvalidConfig::Manager(text))
    }
}
