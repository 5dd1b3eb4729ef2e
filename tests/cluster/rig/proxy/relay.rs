//! The running side of the proxy: takes connections, lets requests through, holds and drops them as the test has asked.
//!
//! What is to happen it reads from the state that `Proxy` writes; it decides nothing by itself.

use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::{Arc, MutexGuard, PoisonError};
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use http::{Request, Response};
use http_body_util::{BodyExt as _, Full};
use hyper::body::{Body, Bytes, Frame, Incoming, SizeHint};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use kube::client::Body as KubeBody;
use tokio::net::{TcpSocket, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinSet;

use super::{Armed, Boundary, Hook, Inner, Record, Shared};

/// A socket that has its port but does not listen: connections are refused, and nobody else gets the port.
pub(super) fn reserve(address: SocketAddr) -> TcpSocket {
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

pub(super) async fn serve(
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
    pub(super) fn lock(&self) -> MutexGuard<'_, Inner> {
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
            armed = inner
                .armed
                .take_if(|armed| (armed.about)(&record) && armed.comes());
            inner.halted = armed.is_some();
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
        let text = rule.body.clone().unwrap_or_else(|| format!(
            r#"{{"kind":"Status","apiVersion":"v1","status":"Failure","message":"the test asked for this","reason":"{}","code":{status}}}"#,
            reason(status)
        ));
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
