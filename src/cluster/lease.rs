//! Leader election: a compare-and-swap on one Lease.
//!
//! Whether the holder is alive is judged by our own monotonic clock alone: a Lease has expired when
//! we have seen no change of it for its duration. Times inside it are for people. Two leaders at once
//! must be harmless anyway; the Lease spares work, it does not protect anything.

use std::time::Duration;

use serde_json::{Value, json};
use tokio::sync::watch;
use tokio::time::{Instant, sleep, timeout};

use super::client::{Force, Requests, jitter};
use super::error::{ApiError, Class};
use super::kind::{Kind, Place};
use crate::clock::{Clock as _, SystemClock};
use crate::secret::Secret;
use crate::vocabulary;

/// After this without a change, others take over.
const LEASE_DURATION: Duration = Duration::from_secs(15);
/// After this without an answer, the leader stops to be one: well before others may take over.
const RENEW_DEADLINE: Duration = Duration::from_secs(10);
/// Pause between two attempts.
const RETRY_PERIOD: Duration = Duration::from_secs(2);
/// One attempt may take this long; there is time for another before the deadline.
const ATTEMPT: Duration = Duration::from_secs(4);

/// Who leads, as far as this process knows.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Leadership {
    valid_until: Option<Instant>,
    /// Identity of the holder that was seen last.
    pub holder: Option<String>,
}

impl Leadership {
    /// Leadership without an election, for `--leader-elect=false`.
    #[must_use]
    pub fn unchallenged() -> Self {
        Self {
            // A century: a deadline that is never reached, without a second kind of leadership.
            valid_until: Some(Instant::now() + Duration::from_secs(100 * 365 * 86_400)),
            holder: None,
        }
    }

    /// Whether work may be started now. Ask before each effect.
    #[must_use]
    pub fn holds(&self) -> bool {
        self.valid_until
            .is_some_and(|deadline| Instant::now() < deadline)
    }

    /// When it ends unless it is renewed; `None` for a standby.
    #[must_use]
    pub fn valid_until(&self) -> Option<Instant> {
        self.valid_until
    }
}

/// A candidate. [`Elector::run`] is to be spawned.
pub struct Elector {
    requests: Requests,
    place: Place,
    candidate: Candidate,
    leadership: watch::Sender<Leadership>,
}

/// What a candidate remembers and decides. Holds no client, so that time can be played in tests.
struct Candidate {
    identity: String,
    /// Version and spec as last seen, and when they were first seen so.
    observed: Option<(String, Value, Instant)>,
}

/// What to do with the Lease that was read.
#[derive(Debug, PartialEq)]
enum Attempt {
    /// Somebody else holds it.
    Follow,
    /// Nobody has made it yet.
    Create(Value),
    /// It is ours, free or expired: replace it by this.
    Take(Value),
}

impl Elector {
    /// A candidate called `identity` (unique per process) for the Lease in `namespace`. `requests`
    /// should not share a limiter with other work, which could starve the renewal.
    #[must_use]
    pub fn new(
        requests: Requests,
        namespace: &str,
        identity: String,
    ) -> (Self, watch::Receiver<Leadership>) {
        let (leadership, receiver) = watch::channel(Leadership::default());
        let elector = Self {
            requests,
            place: Place::new(Kind::Lease, namespace, vocabulary::LEASE),
            candidate: Candidate {
                identity,
                observed: None,
            },
            leadership,
        };
        (elector, receiver)
    }

    /// Tries to become or stay leader until `stop` resolves, then gives the Lease up.
    pub async fn run(mut self, stop: impl Future<Output = ()>) {
        let mut stop = std::pin::pin!(stop);
        loop {
            // An attempt that takes too long is dropped; what it may have done is seen at the next.
            let attempt = timeout(ATTEMPT, self.attempt());
            tokio::select! {
                biased;
                () = &mut stop => break,
                outcome = attempt => {
                    if let Ok(Err(error)) = outcome {
                        tracing::warn!(%error, "Lease was not renewed");
                    }
                }
            }
            tokio::select! {
                biased;
                () = &mut stop => break,
                () = sleep(jitter(RETRY_PERIOD)) => {}
            }
        }
        self.release().await;
    }

    async fn attempt(&mut self) -> Result<(), ApiError> {
        let sent = Instant::now();
        let lease = self.requests.get::<Value>(&self.place).await?;
        let attempt = self.candidate.decide(lease.as_ref(), Instant::now());
        let written = match attempt {
            Attempt::Follow => return self.follow(),
            Attempt::Create(body) => {
                let body = Secret::from(body.to_string());
                self.requests
                    .apply(&self.place, vocabulary::MANAGER, Force::No, body)
                    .await
            }
            Attempt::Take(body) => {
                self.requests
                    .replace(&self.place, vocabulary::MANAGER, &body)
                    .await
            }
        };
        match written {
            Ok(_) => {
                self.lead(sent + RENEW_DEADLINE);
                Ok(())
            }
            Err(error) if matches!(error.class, Class::Conflict | Class::AlreadyExists) => {
                self.follow()
            }
            // Leadership ends by itself at its deadline.
            Err(error) => Err(error),
        }
    }

    fn lead(&self, valid_until: Instant) {
        self.leadership.send_if_modified(|leadership| {
            let news = !leadership.holds();
            leadership.valid_until = Some(valid_until);
            leadership.holder = Some(self.candidate.identity.clone());
            news
        });
    }

    fn follow(&self) -> Result<(), ApiError> {
        let holder = self.candidate.holder();
        self.leadership.send_if_modified(|leadership| {
            let news = leadership.valid_until.is_some() || leadership.holder != holder;
            *leadership = Leadership {
                valid_until: None,
                holder,
            };
            news
        });
        Ok(())
    }

    /// Gives the Lease up, so that others need not wait for its end. Only when it is ours.
    async fn release(&mut self) {
        let led = self.leadership.borrow().holds();
        self.leadership.send_replace(Leadership::default());
        if !led {
            return;
        }
        let release = async {
            let lease = self.requests.get::<Value>(&self.place).await.ok()??;
            let body = self.candidate.released(&lease)?;
            self.requests
                .replace(&self.place, vocabulary::MANAGER, &body)
                .await
                .ok()
        };
        let _ = timeout(RETRY_PERIOD, release).await;
    }
}

impl Candidate {
    fn decide(&mut self, lease: Option<&Value>, now: Instant) -> Attempt {
        let Some(lease) = lease else {
            self.observed = None;
            return Attempt::Create(self.first_lease());
        };
        let since = self.observe(lease, now);
        let holder = lease["spec"]["holderIdentity"].as_str().unwrap_or_default();
        let seconds = lease["spec"]["leaseDurationSeconds"]
            .as_u64()
            .unwrap_or_default();
        // Another version of this program may ask for more time than we would.
        let duration = LEASE_DURATION.max(Duration::from_secs(seconds.min(3600)));
        if !holder.is_empty() && holder != self.identity && now < since + duration {
            return Attempt::Follow;
        }
        Attempt::Take(self.taken(lease, holder))
    }

    /// Since when the Lease is as it is.
    fn observe(&mut self, lease: &Value, now: Instant) -> Instant {
        let version = lease["metadata"]["resourceVersion"]
            .as_str()
            .unwrap_or_default();
        match &self.observed {
            Some((seen, spec, since)) if seen == version && *spec == lease["spec"] => *since,
            _ => {
                self.observed = Some((version.to_owned(), lease["spec"].clone(), now));
                now
            }
        }
    }

    fn holder(&self) -> Option<String> {
        let (_, spec, _) = self.observed.as_ref()?;
        Some(spec["holderIdentity"].as_str()?.to_owned())
    }

    /// Version "1" is never that of an object that exists, so this creates or fails.
    fn first_lease(&self) -> Value {
        json!({
            "apiVersion": Kind::Lease.api_version(),
            "kind": Kind::Lease.name(),
            "metadata": { "name": vocabulary::LEASE, "resourceVersion": "1" },
            "spec": {
                "holderIdentity": self.identity,
                "leaseDurationSeconds": LEASE_DURATION.as_secs(),
                "acquireTime": wall_time(),
                "renewTime": wall_time(),
                "leaseTransitions": 0
            }
        })
    }

    fn taken(&self, lease: &Value, holder: &str) -> Value {
        let mut taken = without_managed_fields(lease);
        let transitions = lease["spec"]["leaseTransitions"]
            .as_i64()
            .unwrap_or_default();
        let spec = &mut taken["spec"];
        if holder != self.identity {
            spec["acquireTime"] = wall_time().into();
            spec["leaseTransitions"] = (transitions + 1).into();
        }
        spec["holderIdentity"] = self.identity.as_str().into();
        spec["leaseDurationSeconds"] = LEASE_DURATION.as_secs().into();
        spec["renewTime"] = wall_time().into();
        taken
    }

    fn released(&self, lease: &Value) -> Option<Value> {
        if lease["spec"]["holderIdentity"].as_str() != Some(&self.identity) {
            return None;
        }
        let mut released = without_managed_fields(lease);
        released["spec"]["holderIdentity"] = "".into();
        released["spec"]["leaseDurationSeconds"] = 1.into();
        released["spec"]["renewTime"] = wall_time().into();
        Some(released)
    }
}

fn without_managed_fields(lease: &Value) -> Value {
    let mut lease = lease.clone();
    if let Some(metadata) = lease["metadata"].as_object_mut() {
        metadata.remove("managedFields");
    }
    lease
}

/// Now as Kubernetes writes a `MicroTime`.
pub(super) fn wall_time() -> String {
    SystemClock
        .now()
        .wall
        .strftime("%Y-%m-%dT%H:%M:%S%.6fZ")
        .to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn candidate(identity: &str) -> Candidate {
        Candidate {
            identity: identity.into(),
            observed: None,
        }
    }

    fn lease(holder: &str, version: &str) -> Value {
        json!({
            "metadata": { "name": "seald-controller", "resourceVersion": version, "managedFields": [] },
            "spec": { "holderIdentity": holder, "leaseDurationSeconds": 15, "leaseTransitions": 3,
                      "renewTime": "1999-01-01T00:00:00.000000Z" }
        })
    }

    fn takes(attempt: &Attempt) -> bool {
        matches!(attempt, Attempt::Take(_))
    }

    #[test]
    fn an_absent_lease_is_created_by_a_guard_that_never_overwrites() {
        let Attempt::Create(body) = candidate("a").decide(None, Instant::now()) else {
            panic!("not created");
        };
        assert_eq!(body["metadata"]["resourceVersion"], "1");
        assert_eq!(body["spec"]["holderIdentity"], "a");
    }

    #[test]
    fn a_lease_of_another_expires_only_after_no_change_was_seen_for_its_duration() {
        let (mut candidate, start) = (candidate("a"), Instant::now());
        let at = |seconds| start + Duration::from_secs(seconds);
        // Its own time says 1999; that decides nothing.
        assert_eq!(
            candidate.decide(Some(&lease("b", "1")), at(0)),
            Attempt::Follow
        );
        assert_eq!(
            candidate.decide(Some(&lease("b", "1")), at(14)),
            Attempt::Follow
        );
        assert_eq!(
            candidate.decide(Some(&lease("b", "2")), at(16)),
            Attempt::Follow
        );
        assert_eq!(
            candidate.decide(Some(&lease("b", "2")), at(30)),
            Attempt::Follow
        );
        assert!(takes(&candidate.decide(Some(&lease("b", "2")), at(31))));
        assert_eq!(candidate.holder(), Some("b".into()));
    }

    #[test]
    fn a_take_over_counts_a_transition_and_carries_the_version_that_was_read() {
        let Attempt::Take(body) = candidate("a").decide(Some(&lease("", "9")), Instant::now())
        else {
            panic!("not taken");
        };
        assert_eq!(body["metadata"]["resourceVersion"], "9");
        assert_eq!(body["spec"]["leaseTransitions"], 4);
        assert!(body["metadata"].get("managedFields").is_none());
        let Attempt::Take(body) = candidate("a").decide(Some(&lease("a", "9")), Instant::now())
        else {
            panic!("not renewed");
        };
        assert_eq!(body["spec"]["leaseTransitions"], 3);
    }

    #[test]
    fn only_the_holder_releases() {
        assert!(candidate("a").released(&lease("b", "1")).is_none());
        let released = candidate("a").released(&lease("a", "1")).unwrap();
        assert_eq!(released["spec"]["holderIdentity"], "");
        assert_eq!(released["spec"]["leaseDurationSeconds"], 1);
    }

    #[test]
    fn leadership_ends_at_its_deadline() {
        let over = Leadership {
            valid_until: Some(Instant::now()),
            holder: None,
        };
        assert!(!over.holds());
        assert!(!Leadership::default().holds());
        assert!(Leadership::unchallenged().holds());
    }
}
