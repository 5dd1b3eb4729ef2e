//! A proxy between one client and the API server: it sees every request, and breaks things at a chosen write.
//!
//! Plain HTTP on 127.0.0.1; the client's own token goes through, so RBAC sees the client. Watches stream through.
//! Write number k can be stopped at three boundaries: before it is sent, applied but not answered, answered.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::{Duration, Instant};

use kube::Client;
use tokio::net::TcpStream;
use tokio::sync::{Notify, watch};
use tokio::task::JoinHandle;

mod relay;

use relay::{reserve, serve};

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
    /// Which of the counted writes this is about, and how many of them still come, this one included.
    about: Wanted,
    left: usize,
    boundary: Boundary,
    hook: Hook,
}

impl Armed {
    /// Counts one more of its writes down; whether this was the one.
    fn comes(&mut self) -> bool {
        self.left -= 1;
        self.left == 0
    }
}

struct Rule {
    wanted: Wanted,
    status: u16,
    headers: Vec<(String, String)>,
    /// Instead of a `Status` that says nothing.
    body: Option<String>,
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

    /// Stops the `nth` counted write from now (from 1) at `boundary` and runs `hook` there, once; the hook kills the client.
    /// From then on no counted write passes until `reset`; the client's connections are closed without an answer.
    pub(crate) fn arm(&self, nth: usize, boundary: Boundary, hook: impl FnOnce() + Send + 'static) {
        self.arm_at(nth, |_| true, boundary, hook);
    }

    /// The same for the `nth` of the counted writes that are `about` this.
    pub(crate) fn arm_at(
        &self,
        nth: usize,
        about: impl Fn(&Record) -> bool + Send + Sync + 'static,
        boundary: Boundary,
        hook: impl FnOnce() + Send + 'static,
    ) {
        self.inner().armed = Some(Armed {
            about: Arc::new(about),
            left: nth,
            boundary,
            hook: Box::new(hook),
        });
    }

    /// Whether the armed write has not come yet.
    pub(crate) fn is_armed(&self) -> bool {
        self.inner().armed.is_some()
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
            body: None,
            times,
        });
    }

    /// The same with this text as the whole body, whatever it is.
    pub(crate) fn answer_text(
        &self,
        times: usize,
        status: u16,
        body: &str,
        wanted: impl Fn(&Record) -> bool + Send + Sync + 'static,
    ) {
        self.inner().rules.push(Rule {
            wanted: Arc::new(wanted),
            status,
            headers: Vec::new(),
            body: Some(body.to_owned()),
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
