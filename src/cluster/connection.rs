//! The connection to an API server: where it is, with which credentials, and a new client when these
//! were refused.
//!
//! It sends nothing by itself. kube's own retries are off: they repeat POSTs and have no end.

use std::path::PathBuf;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use http::HeaderValue;
use http::header::USER_AGENT;
use kube::config::{KubeConfigOptions, Kubeconfig};
use kube::{Client, Config};
use tokio::time::Instant;

/// Least time between two new clients after the credentials were refused.
const RENEWAL: Duration = Duration::from_secs(10);
/// Longest wait for a connection.
const CONNECT: Duration = Duration::from_secs(5);

/// Where the API server and the credentials are described.
#[derive(Debug, Clone, Default)]
pub struct Access {
    /// This file, instead of the usual places.
    pub kubeconfig: Option<PathBuf>,
    /// This context of the file, instead of its current one.
    pub context: Option<String>,
    /// `seald/0.1.0`.
    pub user_agent: String,
}

/// Why there is no client.
#[derive(Debug, thiserror::Error)]
pub enum ConnectError {
    /// The file cannot be read, or the context is not in it.
    #[error("kubeconfig cannot be used: {0}")]
    Kubeconfig(String),
    /// Neither a file nor a service account was found.
    #[error("no kubeconfig and no service account of a pod was found")]
    NothingFound,
    /// The credentials or certificates cannot be used.
    #[error("certificates or credentials of the kubeconfig cannot be used")]
    Credentials,
}

/// A client that is made again when its credentials are refused. Clones share it.
#[derive(Clone)]
pub struct Connection {
    access: Option<Access>,
    current: Arc<RwLock<Current>>,
}

struct Current {
    client: Client,
    renewed: Option<Instant>,
}

impl Connection {
    /// Reads the configuration. No request is sent.
    ///
    /// # Errors
    /// When no usable configuration is found.
    pub async fn open(access: Access) -> Result<Self, ConnectError> {
        let client = new_client(&access).await?;
        Ok(Self {
            access: Some(access),
            current: Arc::new(RwLock::new(Current {
                client,
                renewed: None,
            })),
        })
    }

    /// Wraps a client that is never renewed, such as one for a test.
    #[must_use]
    pub fn with_client(client: Client) -> Self {
        Self {
            access: None,
            current: Arc::new(RwLock::new(Current {
                client,
                renewed: None,
            })),
        }
    }

    /// The client to use now. Ask again for each call or watch.
    #[must_use]
    pub fn client(&self) -> Client {
        let current = self.current.read().unwrap_or_else(PoisonError::into_inner);
        current.client.clone()
    }

    /// Namespace of the service account or the context.
    #[must_use]
    pub fn namespace(&self) -> String {
        self.client().default_namespace().to_owned()
    }

    /// Makes a new client after an answer 401, at most once per 10 s: kube reads a token again only
    /// by the wall clock.
    pub async fn renew(&self) {
        let Some(access) = &self.access else { return };
        if !self.is_renewal_due() {
            return;
        }
        if let Ok(client) = new_client(access).await {
            let mut current = self.current.write().unwrap_or_else(PoisonError::into_inner);
            current.client = client;
        }
    }

    fn is_renewal_due(&self) -> bool {
        let mut current = self.current.write().unwrap_or_else(PoisonError::into_inner);
        let due = current.renewed.is_none_or(|last| last.elapsed() >= RENEWAL);
        if due {
            current.renewed = Some(Instant::now());
        }
        due
    }
}

async fn new_client(access: &Access) -> Result<Client, ConnectError> {
    let options = KubeConfigOptions {
        context: access.context.clone(),
        ..KubeConfigOptions::default()
    };
    let mut config = match &access.kubeconfig {
        Some(path) => {
            let file = Kubeconfig::read_from(path).map_err(|error| unusable(&error))?;
            Config::from_custom_kubeconfig(file, &options)
                .await
                .map_err(|error| unusable(&error))?
        }
        None if access.context.is_some() => Config::from_kubeconfig(&options)
            .await
            .map_err(|error| unusable(&error))?,
        None => Config::infer()
            .await
            .map_err(|_| ConnectError::NothingFound)?,
    };
    config.default_retry = false;
    config.connect_timeout = Some(CONNECT);
    if let Ok(agent) = HeaderValue::from_str(&access.user_agent) {
        config.headers.push((USER_AGENT, agent));
    }
    Client::try_from(config).map_err(|_| ConnectError::Credentials)
}

/// The first line only: it names file or context; what follows may quote the file.
fn unusable(error: &kube::config::KubeconfigError) -> ConnectError {
    let text = error.to_string();
    ConnectError::Kubeconfig(
        text.lines()
            .next()
            .unwrap_or_default()
            .chars()
            .take(200)
            .collect(),
    )
}
