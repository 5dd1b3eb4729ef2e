//! A proxy between one client and the API server: it sees every request, and breaks things at a chosen write.
//!
//! Plain HTTP on 127.0.0.1; the client's own token goes through, so RBAC sees the client. Watches stream through.
//! Write number k can be stopped at three boundaries: before it is sent, applied but not answered, answered.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use http::{Request, Response};
use http_body_util::{BodyExt as _, Full};
use hyper::body::{Body, Bytes, Frame, Incoming, SizeHint};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use kube::Client;
use kube::client::Body as KubeBody;
use tokio::net::{TcpSocket, TcpStream};
use tokio::sync::{Notify, watch};
use tokio::task::{JoinHandle, JoinSet};

use super::cluster::Cluster;

/// Where a write is stopped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Boundary {
    /// The API server never hears of it.
    BeforeSent,
    /// The API server has applied it; the client never hears of that.
    AppliedNotAnswered,
    /// The client has its answer, and comes to no further write.
    Answered,
}

impl Boundary {
    /// All three, in the order of time.
    pub(crate) const ALL: [Self; 3] = [Self::BeforeSent, Self::AppliedNotAnswered, Self::Answered];
}

/// A request that came through.
#[derive(Clone, Debug)]
pub(crate) struct Record {
    pub(crate) at: Instant,
    pub(crate) method: String,
    pub(crate) path: String,
    pub(crate) query: String,
    pub(crate) user_agent: String,
    pub(crate) body_bytes: usize,
    /// The number of this write, from 1; reads and writes that are not counted have none.
    pub(crate) write: Option<usize>,
    /// The API server's answer (or the proxy's own); nothing while it is awaited, or when the request was not sent.
    pub(crate) status: Option<u16>,
}

impl Record {
    /// Changes something, by its method; reviews of tokens and rights do not.
    pub(crate) fn is_write(&self) -> bool {
        let review = self.path.starts_with("/apis/authorization.k8s.io/")
            || self.path.starts_with("/apis/authentication.k8s.io/");
        matches!(&*self.method, "POST" | "PUT" | "PATCH" | "DELETE") && !review
    }

    /// A write that belongs to the work, rather than to the election or to what is told about the work.
    pub(crate) fn is_work(&self) -> bool {
        self.is_write() && !self.path.contains("/leases") && !self.path.contains("/events")
    }
}

type Wanted = Arc<dyn Fn(&Record) -> bool + Send + Sync>;
type Hook = Box<dyn FnOnce() + Send>;

/// The proxy runs as long as the value lives.
pub(crate) struct Proxy {
    state: Arc<Shared>,
    address: SocketAddr,
    open: watch::Sender<bool>,
    server: JoinHandle<()>,
}

struct Shared {
    upstream: Client,
    inner: Mutex<Inner>,
    fired: Notify,
}

struct Inner {
    records: Vec<Record>,
    counts: Wanted,
    writes: usize,
    armed: Option<Armed>,
    /// Set when an armed boundary was reached: nothing that counts passes any more.
    halted: bool,
    rules: Vec<Rule>,
    latency: Duration,
}

struct Armed {
    write: usize,
    boundary: Boundary,
    hook: Hook,
}

struct Rule {
    wanted: Wanted,
    status: u16,
    headers: Vec<(String, String)>,
    times: usize,
}

impl Proxy {
    /// A proxy in front of the cluster's API server. It counts the writes that are `Record::is_work`.
    pub(crate) async fn start(cluster: &Cluster) -> Self {
        let upstream =
            Client::try_from(cluster.anonymous().await).expect("a client without credentials");
        let inner = Inner {
            records: Vec::new(),
            counts: Arc::new(Record::is_work),
            writes: 0,
            armed: None,
            halted: false,
            rules: Vec::new(),
            latency: Duration::ZERO,
        };
        let state = Arc::new(Shared {
            upstream,
            inner: Mutex::new(inner),
            fired: Notify::new(),
        });
        let socket = reserve(SocketAddr::from(([127, 0, 0, 1], 0)));
        let address = socket.local_addr().expect("a bound socket");
        let (open, is_open) = watch::channel(true);
        let server = tokio::spawn(serve(Arc::clone(&state), socket, address, is_open));
        Self {
            state,
            address,
            open,
            server,
        }
    }

    /// `http://127.0.0.1:PORT`
    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// A kubeconfig file that leads through the proxy with this token.
    pub(crate) fn kubeconfig(&self, cluster: &Cluster, token: &str) -> PathBuf {
        cluster.write_kubeconfig(&self.url(), "", token)
    }

    /// Chooses which requests count as writes; the numbers begin anew.
    pub(crate) fn count(&self, wanted: impl Fn(&Record) -> bool + Send + Sync + 'static) {
        self.inner().counts = Arc::new(wanted);
        self.reset();
    }

    /// Stops write number `write` (from 1) at `boundary` and runs `hook` there, once; the hook kills the client. From then on
    /// no counted write passes until `reset`; the client's connections are closed without an answer.
    pub(crate) fn arm(
        &self,
        write: usize,
        boundary: Boundary,
        hook: impl FnOnce() + Send + 'static,
    ) {
        self.inner().armed = Some(Armed {
            write,
            boundary,
            hook: Box::new(hook),
        });
    }

    /// Waits until the armed hook has run.
    ///
    /// # Panics
    /// After `deadline`, with the requests so far.
    pub(crate) async fn fired(&self, deadline: Duration) {
        if tokio::time::timeout(deadline, self.state.fired.notified())
            .await
            .is_err()
        {
            panic!(
                "the armed write did not come within {deadline:?}; writes so far:\n{}",
                self.told()
            );
        }
    }

    /// Disarms, lets writes pass again, and numbers them from 1. Records, rules and latency stay.
    pub(crate) fn reset(&self) {
        let mut inner = self.inner();
        inner.writes = 0;
        inner.armed = None;
        inner.halted = false;
    }

    /// How many counted writes have come since the start or the last `reset`.
    pub(crate) fn writes(&self) -> usize {
        self.inner().writes
    }

    /// Every request so far.
    pub(crate) fn records(&self) -> Vec<Record> {
        self.inner().records.clone()
    }

    /// Forgets the requests so far.
    pub(crate) fn forget(&self) {
        self.inner().records.clear();
    }

    /// The writes so far, one a line, for a message.
    pub(crate) fn told(&self) -> String {
        let records = self.records();
        let lines = records
            .iter()
            .filter(|record| record.is_write())
            .map(|record| {
                let number = record
                    .write
                    .map_or_else(|| "-".to_owned(), |number| number.to_string());
                let status = record
                    .status
                    .map_or_else(|| "no answer".to_owned(), |status| status.to_string());
                format!(
                    "{number:>4} {} {} ({} bytes): {status}\n",
                    record.method, record.path, record.body_bytes
                )
            });
        lines.collect()
    }

    /// Answers the next `times` matching requests with this status (429, 403, 500, ...) instead of sending them.
    pub(crate) fn answer(
        &self,
        times: usize,
        status: u16,
        wanted: impl Fn(&Record) -> bool + Send + Sync + 'static,
    ) {
        self.answer_with(times, status, &[], wanted);
    }

    /// The same with headers, such as `Retry-After`.
    pub(crate) fn answer_with(
        &self,
        times: usize,
        status: u16,
        headers: &[(&str, &str)],
        wanted: impl Fn(&Record) -> bool + Send + Sync + 'static,
    ) {
        let headers = headers
            .iter()
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
            .collect();
        self.inner().rules.push(Rule {
            wanted: Arc::new(wanted),
            status,
            headers,
            times,
        });
    }

    /// Ends all rules of `answer`.
    pub(crate) fn answer_truly(&self) {
        self.inner().rules.clear();
    }

    /// Each request waits this long before it is sent.
    pub(crate) fn latency(&self, latency: Duration) {
        self.inner().latency = latency;
    }

    /// The API server is away: open connections break, new ones are refused. The port stays reserved.
    pub(crate) async fn cut_off(&self) {
        self.open.send_replace(false);
        self.settles(false).await;
    }

    /// It is back, at the same address.
    pub(crate) async fn restore(&self) {
        self.open.send_replace(true);
        self.settles(true).await;
    }

    async fn settles(&self, open: bool) {
        for _ in 0..500 {
            if TcpStream::connect(self.address).await.is_ok() == open {
                return;
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        panic!(
            "the proxy's port did not become {}",
            if open { "open" } else { "closed" }
        );
    }

    fn inner(&self) -> MutexGuard<'_, Inner> {
        self.state.lock()
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.server.abort();
    }
}

/// A socket that has its port but does not listen: connections are refused, and nobody else gets the port.
fn reserve(address: SocketAddr) -> TcpSocket {
    let socket = TcpSocket::new_v4().expect("a socket");
    socket
        .set_reuseaddr(true)
        .expect("an option of every Linux");
    socket
        .set_reuseport(true)
        .expect("an option of every Linux");
    socket.bind(address).expect("a port of our own");
    socket
}

async fn serve(
    state: Arc<Shared>,
    first: TcpSocket,
    address: SocketAddr,
    mut open: watch::Receiver<bool>,
) {
    let mut next = Some(first);
    loop {
        let reserved = reserve(address);
        let socket = next.take().expect("one is reserved in each round");
        if open.wait_for(|open| *open).await.is_err() {
            return;
        }
        let listener = socket.listen(1024).expect("a bound socket");
        // Connections die with the set.
        let mut connections = JoinSet::new();
        loop {
            tokio::select! {
                accepted = listener.accept() => {
                    let Ok((stream, _)) = accepted else { continue };
                    connections.spawn(converse(Arc::clone(&state), stream));
                    while connections.try_join_next().is_some() {}
                }
                closed = open.wait_for(|open| !open) => {
                    if closed.is_err() {
                        return;
                    }
                    break;
                }
            }
        }
        next = Some(reserved);
    }
}

async fn converse(state: Arc<Shared>, stream: TcpStream) {
    let _ = stream.set_nodelay(true);
    let service = service_fn(move |request| handle(Arc::clone(&state), request));
    // An error here is a client that has gone, or a connection that was to break.
    let _ = http1::Builder::new()
        .serve_connection(TokioIo::new(stream), service)
        .await;
}

/// The connection is to close without an answer.
#[derive(Debug, thiserror::Error)]
#[error("stopped on purpose")]
struct Stopped;

async fn handle(
    state: Arc<Shared>,
    request: Request<Incoming>,
) -> Result<Response<Watched>, Stopped> {
    let (head, body) = request.into_parts();
    let body = body.collect().await.map_err(|_| Stopped)?.to_bytes();
    let (index, armed) = state.admit(&head, body.len())?;
    let latency = state.lock().latency;
    if !latency.is_zero() {
        tokio::time::sleep(latency).await;
    }
    if let Some(response) = state.rule_for(index) {
        return Ok(response);
    }
    if let Some(Armed {
        boundary: Boundary::BeforeSent,
        hook,
        ..
    }) = armed
    {
        state.fire(hook);
        return Err(Stopped);
    }
    let response = state.upstream.send(forwarded(head, body)).await;
    let response = response.unwrap_or_else(|error| {
        let status = http::StatusCode::BAD_GATEWAY;
        Response::builder()
            .status(status)
            .body(KubeBody::from(error.to_string().into_bytes()))
            .expect("a valid response")
    });
    state.answered(index, response.status().as_u16());
    match armed {
        None => Ok(response.map(|body| Watched::new(body, None))),
        Some(Armed {
            boundary: Boundary::Answered,
            hook,
            ..
        }) => Ok(response.map(|body| Watched::new(body, Some((state, hook))))),
        Some(Armed { hook, .. }) => {
            // Headers come when the API server has applied; the rest of the answer does not matter any more.
            let _ = response.into_body().collect().await;
            state.fire(hook);
            Err(Stopped)
        }
    }
}

fn forwarded(head: http::request::Parts, body: Bytes) -> Request<KubeBody> {
    let mut request = Request::builder().method(head.method).uri(head.uri);
    for (name, value) in &head.headers {
        let hop = [
            http::header::HOST,
            http::header::CONNECTION,
            http::header::CONTENT_LENGTH,
            http::header::TRANSFER_ENCODING,
        ];
        if !hop.contains(name) {
            request = request.header(name, value);
        }
    }
    request
        .body(KubeBody::from(body.to_vec()))
        .expect("made of a valid request")
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Records a request, numbers it if it counts, and takes what is armed for it.
    fn admit(
        &self,
        head: &http::request::Parts,
        body_bytes: usize,
    ) -> Result<(usize, Option<Armed>), Stopped> {
        let user_agent = head
            .headers
            .get(http::header::USER_AGENT)
            .and_then(|value| value.to_str().ok());
        let mut record = Record {
            at: Instant::now(),
            method: head.method.to_string(),
            path: head.uri.path().to_owned(),
            query: head.uri.query().unwrap_or_default().to_owned(),
            user_agent: user_agent.unwrap_or_default().to_owned(),
            body_bytes,
            write: None,
            status: None,
        };
        let mut inner = self.lock();
        let counts = (inner.counts)(&record);
        if counts && inner.halted {
            return Err(Stopped);
        }
        let mut armed = None;
        if counts {
            inner.writes += 1;
            record.write = Some(inner.writes);
            if inner
                .armed
                .as_ref()
                .is_some_and(|armed| armed.write == inner.writes)
            {
                armed = inner.armed.take();
                inner.halted = true;
            }
        }
        inner.records.push(record);
        Ok((inner.records.len() - 1, armed))
    }

    fn rule_for(&self, index: usize) -> Option<Response<Watched>> {
        let mut inner = self.lock();
        let record = inner.records.get(index)?.clone();
        let rule = inner
            .rules
            .iter_mut()
            .find(|rule| rule.times > 0 && (rule.wanted)(&record))?;
        rule.times -= 1;
        let status = rule.status;
        let text = format!(
            r#"{{"kind":"Status","apiVersion":"v1","status":"Failure","message":"the test asked for this","reason":"{}","code":{status}}}"#,
            reason(status)
        );
        let mut response = Response::builder()
            .status(status)
            .header("content-type", "application/json");
        for (name, value) in &rule.headers {
            response = response.header(name, value);
        }
        inner.records[index].status = Some(status);
        Some(
            response
                .body(Watched::new(Full::new(Bytes::from(text)), None))
                .expect("a valid response"),
        )
    }

    fn answered(&self, index: usize, status: u16) {
        if let Some(record) = self.lock().records.get_mut(index) {
            record.status = Some(status);
        }
    }

    fn fire(&self, hook: Hook) {
        hook();
        self.fired.notify_one();
    }
}

fn reason(status: u16) -> &'static str {
    match status {
        403 => "Forbidden",
        404 => "NotFound",
        409 => "Conflict",
        410 => "Expired",
        429 => "TooManyRequests",
        503 => "ServiceUnavailable",
        504 => "Timeout",
        _ => "InternalError",
    }
}

type AnyError = Box<dyn std::error::Error + Send + Sync>;

/// A response body on its way to the client; when it is out, the hook of an `Answered` boundary runs.
struct Watched {
    body: Pin<Box<dyn Body<Data = Bytes, Error = AnyError> + Send>>,
    at_end: Option<(Arc<Shared>, Hook)>,
}

impl Watched {
    fn new<B>(body: B, at_end: Option<(Arc<Shared>, Hook)>) -> Self
    where
        B: Body<Data = Bytes> + Send + 'static,
        B::Error: Into<AnyError>,
    {
        Self {
            body: Box::pin(body.map_err(Into::into)),
            at_end,
        }
    }
}

impl Body for Watched {
    type Data = Bytes;
    type Error = AnyError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, AnyError>>> {
        self.body.as_mut().poll_frame(context)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

impl Drop for Watched {
    fn drop(&mut self) {
        let Some((state, hook)) = self.at_end.take() else {
            return;
        };
        // hyper drops the body when it has the last byte in its buffer, and then writes the buffer out. No further write
        // passes meanwhile, so giving the client time to read its answer cannot let it go too far.
        tokio::spawn(async move {
            tokio::time::sleep(Duration::from_millis(20)).await;
            state.fire(hook);
        });
    }
}
