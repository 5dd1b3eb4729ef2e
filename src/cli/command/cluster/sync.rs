//! `cluster sync`: a pass now, followed to its end with `--wait`.

use std::time::Duration;

use clap::Args;
use serde_json::json;

use super::access::{AccessFlags, api_error, with_cluster};
use crate::cli::command::run::duration;
use crate::cli::document::Source;
use crate::cli::error::{CommandError, Exit};
use crate::cli::sealed_env;
use crate::cli::ui::Ui;
use crate::cli::ui::progress::Progress;
use crate::cli::{Outcome, Session};
use crate::clock::{Clock as _, SystemClock};
use crate::cluster::client::Requests;
use crate::cluster::crd::{Condition, ConditionStatus, SealedEnv};
use crate::cluster::kind::{Kind, Place};
use crate::vocabulary::{CLI_MANAGER, REQUESTED_AT};

/// How often the status is read while waiting.
const PAUSE: Duration = Duration::from_millis(300);

/// Ask seald for a pass now
///
/// Without NAME the document that -e and -a mean. With --wait until everything is in place and rolled
/// out; a SealedEnv that needs a person ends the wait at once.
#[derive(Debug, Args)]
#[command(
    before_help = "Examples:\n  sealctl cluster sync web -n web --wait\n  sealctl cluster sync -e prod --wait --timeout 2m"
)]
pub(super) struct SyncArgs {
    /// Name of the SealedEnv
    name: Option<String>,
    /// Namespace (default: that of the document, or of the context)
    #[arg(short, long, value_name = "NAMESPACE")]
    namespace: Option<String>,
    /// Follow it to the end
    #[arg(long)]
    wait: bool,
    /// How long to wait
    #[arg(long, value_name = "TIME", default_value = "5m")]
    timeout: String,
    #[command(flatten)]
    access: AccessFlags,
}

/// `cluster sync`.
pub(super) fn run(session: &mut Session, args: &SyncArgs) -> Result<Outcome, CommandError> {
    let timeout = duration(&args.timeout)?;
    let declared = match &args.name {
        Some(_) => None,
        None => Some(sealed_env::prepare(&Source::find(session, None)?)?.header),
    };
    let ui = &session.ui;
    with_cluster(&args.access, async |requests| {
        let (namespace, name) = match (&declared, &args.name) {
            (Some(header), _) => (header.namespace.to_string(), header.app.to_string()),
            (None, name) => (
                requests.connection().namespace(),
                name.clone().unwrap_or_default(),
            ),
        };
        let namespace = args.namespace.clone().unwrap_or(namespace);
        let place = Place::new(Kind::SealedEnv, namespace, name);
        let asked = request(&requests, &place).await?;
        ui.done(&format!("requested a pass over {}", shown(&place)));
        if args.wait {
            let waited = follow(ui, &requests, &place, &asked);
            let end = tokio::time::timeout(timeout, waited).await;
            return end.unwrap_or_else(|_| Err(timed_out(&place, &args.timeout)));
        }
        Ok(())
    })?;
    if !args.wait {
        session.ui.next("sealctl cluster status");
    }
    Ok(Outcome::Done)
}

fn shown(place: &Place) -> String {
    format!(
        "{}/{}",
        place.namespace.as_deref().unwrap_or_default(),
        place.name
    )
}

/// Writes the annotation that asks for a pass, and gives its value.
async fn request(requests: &Requests, place: &Place) -> Result<String, CommandError> {
    if read(requests, place).await?.is_none() {
        return Err(missing(place));
    }
    // Finer than a second, so that two requests in a row differ.
    let asked = SystemClock.now().wall.to_string();
    let body = json!({ "metadata": { "annotations": { REQUESTED_AT: asked } } });
    requests
        .merge(place, CLI_MANAGER, &body)
        .await
        .map_err(|error| api_error(&error))?;
    Ok(asked)
}

async fn read(requests: &Requests, place: &Place) -> Result<Option<SealedEnv>, CommandError> {
    requests.get(place).await.map_err(|error| api_error(&error))
}

/// Reads the status until the pass is done and everything is ready, or a person is needed.
async fn follow(
    ui: &Ui,
    requests: &Requests,
    place: &Place,
    asked: &str,
) -> Result<(), CommandError> {
    let progress = Progress::begin(ui, 0, &format!("waiting for {}", shown(place)));
    let mut last = String::new();
    loop {
        let one = read(requests, place).await?.ok_or_else(|| missing(place))?;
        match judge(&one, asked) {
            State::Ready => {
                drop(progress);
                ui.done(&format!("{} is in place", shown(place)));
                return Ok(());
            }
            State::Stuck(condition) => return Err(stalled(place, &condition)),
            State::Pending(condition) => return Err(pending(place, &condition)),
            State::Working(what) => {
                if what != last {
                    progress.step(ui, &what);
                    last = what;
                }
            }
        }
        tokio::time::sleep(PAUSE).await;
    }
}

/// How far a SealedEnv is, as kstatus reads it.
#[derive(Debug, PartialEq)]
enum State {
    Ready,
    Working(String),
    Pending(Condition),
    Stuck(Condition),
}

fn judge(one: &SealedEnv, asked: &str) -> State {
    let status = one.status.clone().unwrap_or_default();
    let condition = |wanted: &str| {
        let found = status.conditions.iter().find(|one| one.type_ == wanted);
        found.cloned()
    };
    let is_true = |one: &Condition| one.status == ConditionStatus::True;
    let is_current = status.observed_generation == one.metadata.generation;
    let was_handled = status.last_handled_reconcile_at.as_deref() == Some(asked);
    if !is_current || !was_handled {
        return State::Working("seald has not begun".to_owned());
    }
    if let Some(stalled) = condition("Stalled").filter(is_true) {
        return State::Stuck(stalled);
    }
    match condition("Ready") {
        Some(ready) if is_true(&ready) => State::Ready,
        Some(ready) if ready.reason == "Pending" => State::Pending(ready),
        Some(ready) => State::Working(format!("{}: {}", ready.reason, ready.message)),
        None => State::Working("seald has not begun".to_owned()),
    }
}

fn missing(place: &Place) -> CommandError {
    let what = format!("there is no SealedEnv {}", shown(place));
    CommandError::new("E0608", Exit::Failure, what).fix("sealctl cluster push")
}

fn stalled(place: &Place, condition: &Condition) -> CommandError {
    let what = format!("{} is Stalled: {}", shown(place), condition.reason);
    CommandError::new("E0602", Exit::Stalled, what).why(condition.message.clone())
}

fn pending(place: &Place, condition: &Condition) -> CommandError {
    let what = format!("{} waits for approval", shown(place));
    CommandError::new("E0151", Exit::NotVerified, what).why(condition.message.clone())
}

fn timed_out(place: &Place, timeout: &str) -> CommandError {
    let what = format!("{} is not ready after {timeout}", shown(place));
    CommandError::new("E0603", Exit::TimedOut, what).fix("sealctl cluster status")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sealed_env(status: &serde_json::Value) -> SealedEnv {
        serde_json::from_value(json!({
            "apiVersion": "sealctl.dev/v1alpha1", "kind": "SealedEnv",
            "metadata": { "name": "web", "namespace": "web", "generation": 3 },
            "spec": { "environment": "prod", "document": "x" },
            "status": status,
        }))
        .unwrap()
    }

    fn state(observed: i64, handled: &str, conditions: &[(&str, &str, &str)]) -> State {
        let conditions: Vec<_> = conditions
            .iter()
            .map(|(kind, status, reason)| {
                json!({
                    "type": kind, "status": status, "reason": reason, "message": "m",
                    "lastTransitionTime": "2026-01-01T00:00:00Z",
                })
            })
            .collect();
        judge(
            &sealed_env(&json!({
                "observedGeneration": observed, "lastHandledReconcileAt": handled,
                "conditions": conditions,
            })),
            "now",
        )
    }

    #[test]
    fn only_a_pass_that_was_asked_for_over_the_present_spec_counts() {
        let ready = [("Ready", "True", "Synced")];
        assert_eq!(state(3, "now", &ready), State::Ready);
        assert!(matches!(state(2, "now", &ready), State::Working(_)));
        assert!(matches!(state(3, "before", &ready), State::Working(_)));
    }

    #[test]
    fn what_needs_a_person_ends_the_wait() {
        let stalled = [
            ("Ready", "False", "NotRecipient"),
            ("Stalled", "True", "NotRecipient"),
        ];
        assert!(matches!(state(3, "now", &stalled), State::Stuck(_)));
        assert!(matches!(
            state(3, "now", &[("Ready", "False", "Pending")]),
            State::Pending(_)
        ));
        let retried = [
            ("Ready", "False", "ApiUnavailable"),
            ("Reconciling", "True", "Progressing"),
        ];
        assert!(matches!(state(3, "now", &retried), State::Working(_)));
    }
}
