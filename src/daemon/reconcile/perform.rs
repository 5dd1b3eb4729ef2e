//! Effects performed: the stages *observe* and *apply* of one SealedEnv, as the core asks for them.
//!
//! Each effect becomes one call of the Kubernetes edge, and its answer an event. Nothing is begun while
//! this process may not write.

use tokio::time::Instant;
use tracing::{info, warn};

use super::Reconciler;
use crate::cluster::{apply, observe, state};
use crate::plan::effect::{Answer, Effect, Event, Look, Observation};
use crate::plan::snapshot::Seen;
use crate::plan::state::State;
use crate::telemetry::metrics::{ByPlace, ByReason};

/// What became of an effect.
pub(super) enum Performed {
    Answered(Event),
    Silent,
    MayNotWrite,
}

impl Reconciler {
    /// Performs one effect. Mutating ones are not begun when this process may not write.
    pub(super) async fn perform(&mut self, effect: Effect) -> Performed {
        match effect {
            Effect::Wake(after) => {
                self.wake = Some(Instant::now() + after);
                Performed::Silent
            }
            Effect::Emit(note) => {
                self.shell.events.send(&self.scope, note);
                Performed::Silent
            }
            Effect::Observe(look) => {
                let observation = self.observe(look).await;
                Performed::Answered(Event::Observed(Box::new(observation)))
            }
            effect => {
                if !self.shell.may_write() {
                    let reason = ByReason::new("not-leader");
                    self.shell
                        .metrics
                        .effects_dropped
                        .get_or_create(&reason)
                        .inc();
                    return Performed::MayNotWrite;
                }
                let answer = self.apply(&effect).await;
                self.log(&effect, &answer);
                self.count(&effect, &answer);
                Performed::Answered(Event::Answer(answer))
            }
        }
    }

    /// Counts a write that restored what somebody else had changed.
    fn count(&self, effect: &Effect, answer: &Answer) {
        if let (Effect::ApplyObject { id, content, .. }, Answer::Wrote { .. }) = (effect, answer)
            && let Some(state) = &self.state
            && state.was_in_place(id, *content)
        {
            let place = ByPlace::new(&self.scope.namespace, id.kind.to_string());
            self.shell
                .metrics
                .drift_corrections
                .get_or_create(&place)
                .inc();
        }
    }

    async fn observe(&mut self, look: Look) -> Observation {
        let requests = &self.shell.requests;
        let Some(key) = self.documents.digest_key() else {
            return Observation::default();
        };
        let mut observation = observe::look(requests, &self.scope, &look, &key).await;
        if look.record {
            match state::read(requests, &self.scope).await {
                Ok(Some(stored)) => {
                    let wanted = self.state.as_ref().and_then(State::desired).is_some();
                    match self.documents.take_keys(stored.keys, wanted).await {
                        Ok(desired) => {
                            observation.desired = desired;
                            observation.record = Some(Seen::Present(stored.seen));
                        }
                        Err(failure) => observation.failure = Some(failure),
                    }
                }
                Ok(None) => observation.record = Some(Seen::Absent),
                Err(error) => observation.failure = Some(error.failure(&self.scope)),
            }
        }
        observation
    }

    async fn apply(&mut self, effect: &Effect) -> Answer {
        let requests = &self.shell.requests;
        let needs_content = match effect {
            Effect::WriteRecord { .. }
            | Effect::ApplyObject { .. }
            | Effect::WriteCredentials { .. }
            | Effect::CreateJob { .. } => true,
            Effect::DeleteObject { .. }
            | Effect::Stamp(_)
            | Effect::DeleteCredentials(_)
            | Effect::ReleaseJob { .. }
            | Effect::DeleteJob { .. }
            | Effect::DeleteRecord
            | Effect::WriteFinalizer { .. }
            | Effect::WriteStatus(_)
            | Effect::Observe(_)
            | Effect::Emit(_)
            | Effect::Wake(_) => false,
        };
        let desired = self.state.as_ref().and_then(State::desired);
        if !needs_content {
            let prefix = &self.shell.config.marker_prefix;
            return apply::perform(requests, &self.scope, effect, prefix, None).await;
        }
        match self.documents.content(desired).await {
            Ok(content) => {
                let prefix = &self.shell.config.marker_prefix;
                apply::perform(requests, &self.scope, effect, prefix, Some(&content)).await
            }
            Err(failure) => Answer::Failed(failure),
        }
    }

    fn log(&self, effect: &Effect, answer: &Answer) {
        let (namespace, name) = (&self.scope.namespace, &self.scope.name);
        let what = crate::daemon::report::describe(effect);
        match answer {
            Answer::Failed(failure) => {
                let reason = failure.outcome.reason.as_str();
                warn!(
                    namespace,
                    name,
                    reason,
                    why = failure.outcome.message,
                    "{what} failed"
                );
            }
            Answer::Wrote { .. } | Answer::Deleted | Answer::Stamped(_) => {
                info!(namespace, name, "{what} done");
            }
        }
    }
}
