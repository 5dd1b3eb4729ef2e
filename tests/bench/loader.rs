//! A bare loader: prepared requests over a fixed number of TLS connections, as fast as the API server answers.
//!
//! No pool, no retries, no decoding: what it reaches is what the server can do, and the ceiling that seald is measured
//! against.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use http::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, HOST, USER_AGENT};
use http_body_util::{BodyExt as _, Full};
use hyper::body::Bytes;
use hyper::client::conn::http1::{self, SendRequest};
use hyper_util::rt::TokioIo;
use rustls::pki_types::ServerName;
use rustls::pki_types::pem::PemObject as _;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

use super::rig::Cluster;

/// Asks for the metadata of what was written only, as seald does.
const METADATA_ONLY: &str =
    "application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1, application/json";

/// A request that only has to be sent.
#[derive(Clone, Debug)]
pub(crate) struct Prepared {
    method: http::Method,
    path: String,
    content_type: &'static str,
    body: Bytes,
}

impl Prepared {
    /// Server-side apply as `manager`, forced.
    pub(crate) fn apply(path: &str, manager: &str, body: impl Into<Bytes>) -> Self {
        Self {
            method: http::Method::PATCH,
            path: format!("{path}?fieldManager={manager}&force=true"),
            content_type: "application/apply-patch+yaml",
            body: body.into(),
        }
    }

    /// Creation in a collection.
    pub(crate) fn create(collection: &str, body: impl Into<Bytes>) -> Self {
        Self {
            method: http::Method::POST,
            path: collection.to_owned(),
            content_type: "application/json",
            body: body.into(),
        }
    }
}

/// Sends prepared requests.
#[derive(Clone)]
pub(crate) struct Loader {
    address: String,
    connector: TlsConnector,
    authorization: String,
}

impl Loader {
    /// With the bearer token `token`.
    pub(crate) fn new(cluster: &Cluster, token: &str) -> Self {
        let kubeconfig = kube::config::Kubeconfig::read_from(cluster.kubeconfig())
            .expect("the rig wrote a kubeconfig");
        let server = kubeconfig.clusters[0].cluster.clone().expect("a cluster");
        let authority = server
            .certificate_authority_data
            .expect("its certificate authority");
        let authority = base64::Engine::decode(
            &base64::engine::general_purpose::STANDARD,
            authority.as_bytes(),
        )
        .expect("base64");
        let mut roots = rustls::RootCertStore::empty();
        for certificate in rustls::pki_types::CertificateDer::pem_slice_iter(&authority) {
            roots.add(certificate.expect("PEM")).expect("a certificate");
        }
        let tls = rustls::ClientConfig::builder()
            .with_root_certificates(roots)
            .with_no_client_auth();
        let url = server.server.expect("an address");
        Self {
            address: url.trim_start_matches("https://").to_owned(),
            connector: TlsConnector::from(Arc::new(tls)),
            authorization: format!("Bearer {token}"),
        }
    }

    /// With the rights of the administrator.
    pub(crate) fn admin(cluster: &Cluster) -> Self {
        let kubeconfig = kube::config::Kubeconfig::read_from(cluster.kubeconfig())
            .expect("the rig wrote a kubeconfig");
        let user = kubeconfig.auth_infos[0].auth_info.clone().expect("a user");
        let token = user.token.expect("a token");
        Self::new(cluster, secrecy::ExposeSecret::expose_secret(&token))
    }

    /// Sends all of `requests` over `connections`, which are open before the clock starts. Gives the time that it took.
    ///
    /// # Panics
    /// When one of them is refused.
    pub(crate) async fn send(&self, connections: usize, requests: Vec<Prepared>) -> Duration {
        let requests = Arc::new(requests);
        let next = Arc::new(AtomicUsize::new(0));
        let mut open = Vec::new();
        for _ in 0..connections.min(requests.len()) {
            open.push(self.connect().await);
        }
        let begin = Instant::now();
        let tasks: Vec<_> = open
            .into_iter()
            .map(|mut connection| {
                let (requests, next, this) = (requests.clone(), next.clone(), self.clone());
                tokio::spawn(async move {
                    while let Some(request) = requests.get(next.fetch_add(1, Ordering::Relaxed)) {
                        this.send_one(&mut connection, request).await;
                    }
                })
            })
            .collect();
        for task in tasks {
            task.await.expect("every request is answered well");
        }
        begin.elapsed()
    }

    /// One open connection, for a single request.
    pub(crate) async fn connected(&self) -> One {
        One {
            loader: self.clone(),
            connection: self.connect().await,
        }
    }

    async fn connect(&self) -> SendRequest<Full<Bytes>> {
        let tcp = TcpStream::connect(&self.address)
            .await
            .expect("the API server listens");
        tcp.set_nodelay(true).expect("a TCP socket");
        let host = self
            .address
            .split(':')
            .next()
            .unwrap_or_default()
            .to_owned();
        let name = ServerName::try_from(host).expect("an address");
        let tls = self.connector.connect(name, tcp).await.expect("TLS");
        let (sender, connection) = http1::handshake(TokioIo::new(tls)).await.expect("HTTP/1.1");
        tokio::spawn(connection);
        sender
    }

    async fn send_one(&self, connection: &mut SendRequest<Full<Bytes>>, request: &Prepared) {
        let call = http::Request::builder()
            .method(request.method.clone())
            .uri(&request.path)
            .header(HOST, &self.address)
            .header(AUTHORIZATION, &self.authorization)
            .header(USER_AGENT, "bench-loader")
            .header(ACCEPT, METADATA_ONLY)
            .header(CONTENT_TYPE, request.content_type)
            .body(Full::new(request.body.clone()))
            .expect("a valid request");
        connection.ready().await.expect("an open connection");
        let answer = connection.send_request(call).await.expect("an answer");
        let status = answer.status();
        let body = answer
            .into_body()
            .collect()
            .await
            .expect("a body")
            .to_bytes();
        assert!(
            status.is_success(),
            "{} {}: {status} {}",
            request.method,
            request.path,
            String::from_utf8_lossy(&body)
        );
    }
}

/// One open connection.
pub(crate) struct One {
    loader: Loader,
    connection: SendRequest<Full<Bytes>>,
}

impl One {
    /// Sends `request` and waits for the answer.
    ///
    /// # Panics
    /// When it is refused.
    pub(crate) async fn send(mut self, request: Prepared) {
        self.loader.send_one(&mut self.connection, &request).await;
    }
}
