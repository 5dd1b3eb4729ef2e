//! `cluster status`: one row per SealedEnv, with the fix for each broken one.

use clap::Args;
use jiff::Timestamp;
use serde::Deserialize;
use serde_json::json;

use super::access::{AccessFlags, api_error, with_cluster};
use crate::cli::args::OutputFormat;
use crate::cli::error::CommandError;
use crate::cli::{Outcome, Session};
use crate::clock::{Clock as _, SystemClock};
use crate::cluster::crd::{Condition, ConditionStatus, SealedEnv};
use crate::cluster::kind::Kind;
use crate::vocabulary::CLI_API_VERSION;

/// Show the SealedEnv objects of a cluster and what is wrong with them
#[derive(Debug, Args)]
#[command(
    before_help = "Examples:\n  sealctl cluster status -A\n  sealctl cluster status -n web --exit-code"
)]
pub(super) struct StatusArgs {
    /// Only this SealedEnv
    name: Option<String>,
    /// Namespace (default: that of the context)
    #[arg(short, long, value_name = "NAMESPACE")]
    namespace: Option<String>,
    /// All namespaces
    #[arg(short = 'A', long)]
    all_namespaces: bool,
    /// Exit with 1 if any row is not ready
    #[arg(long)]
    exit_code: bool,
    #[command(flatten)]
    access: AccessFlags,
}

#[derive(Deserialize)]
struct SealedEnvs {
    items: Vec<SealedEnv>,
}

/// `cluster status`.
pub(super) fn run(session: &mut Session, args: &StatusArgs) -> Result<Outcome, CommandError> {
    let mut found = with_cluster(&args.access, async |requests| {
        let default = requests.connection().namespace();
        let namespace = match (&args.namespace, args.all_namespaces) {
            (_, true) => None,
            (Some(chosen), false) => Some(chosen.clone()),
            (None, false) => Some(default),
        };
        let query = "limit=500";
        let list: SealedEnvs = requests
            .list(Kind::SealedEnv, namespace.as_deref(), query)
            .await
            .map_err(|error| api_error(&error))?;
        Ok(list.items)
    })?;
    found.retain(|one| {
        let environment = session
            .globals
            .environment
            .as_deref()
            .filter(|_| session.environment_was_typed);
        environment.is_none_or(|wanted| wanted == one.spec.environment)
            && args
                .name
                .as_ref()
                .is_none_or(|name| one.metadata.name.as_ref() == Some(name))
    });
    let now = SystemClock.now().wall;
    let all_ready = found.iter().all(|one| Standing::of(one).is_ready());
    if session.globals.output == Some(OutputFormat::Json) {
        session.ui.report(&json(&found).to_string());
    } else {
        print(session, &found, args.all_namespaces, now);
    }
    Ok(if args.exit_code && !all_ready {
        Outcome::No
    } else {
        Outcome::Done
    })
}

/// How a SealedEnv stands, as far as seald has looked at what it says now.
enum Standing<'a> {
    /// No seald has written a status.
    Unseen,
    /// The status is about a former version.
    Outdated,
    /// The condition `Ready`.
    Told(&'a Condition),
}

impl<'a> Standing<'a> {
    fn of(one: &'a SealedEnv) -> Self {
        let status = one.status.as_ref();
        let conditions = status.map(|status| &status.conditions);
        let told = conditions
            .into_iter()
            .flatten()
            .find(|condition| condition.type_ == "Ready");
        let seen = status.and_then(|status| status.observed_generation);
        match told {
            None => Self::Unseen,
            Some(_) if seen < one.metadata.generation => Self::Outdated,
            Some(condition) => Self::Told(condition),
        }
    }

    fn is_ready(&self) -> bool {
        matches!(self, Self::Told(condition) if condition.status == ConditionStatus::True)
    }

    /// The columns READY and STATUS.
    fn cells(&self) -> (String, String) {
        match self {
            Self::Unseen => ("Unknown".to_owned(), "<unknown>".to_owned()),
            Self::Outdated => ("Unknown".to_owned(), "Progressing".to_owned()),
            Self::Told(condition) => (format!("{:?}", condition.status), condition.reason.clone()),
        }
    }

    /// What is wrong, and what to do.
    fn message(&self, environment: &str) -> Option<String> {
        match self {
            Self::Told(_) if self.is_ready() => None,
            Self::Told(condition) => Some(condition.message.clone()),
            Self::Unseen => Some(format!(
                "no seald has looked at it: one with --environment {environment} has to run"
            )),
            Self::Outdated => Some(
                "seald has not looked at this version yet; if that lasts, is it running?"
                    .to_owned(),
            ),
        }
    }
}

fn print(session: &mut Session, found: &[SealedEnv], with_namespace: bool, now: Timestamp) {
    if found.is_empty() {
        session
            .ui
            .status("no SealedEnv found; -A looks in all namespaces");
        return;
    }
    let mut head = vec![
        "NAME",
        "READY",
        "STATUS",
        "ENV",
        "COMMIT",
        "KEYS",
        "ROLLOUT",
        "LAST-SYNC",
        "AGE",
    ];
    if with_namespace {
        head.insert(0, "NAMESPACE");
    }
    let mut rows = vec![head.into_iter().map(str::to_owned).collect::<Vec<_>>()];
    rows.extend(found.iter().map(|one| row(one, with_namespace, now)));
    let columns = rows.iter().map(Vec::len).max().unwrap_or(0);
    let widths: Vec<usize> = (0..columns)
        .map(|column| {
            rows.iter()
                .filter_map(|row| row.get(column))
                .map(String::len)
                .max()
        })
        .map(Option::unwrap_or_default)
        .collect();
    for (index, row) in rows.iter().enumerate() {
        let cells = row
            .iter()
            .zip(&widths)
            .map(|(cell, width)| format!("{cell:<width$}"));
        session
            .ui
            .report(cells.collect::<Vec<_>>().join("  ").trim_end());
        let shown = index.checked_sub(1).and_then(|place| found.get(place));
        let message = shown.and_then(|one| Standing::of(one).message(&one.spec.environment));
        if let Some(message) = message {
            session.ui.report(&format!("  {message}"));
        }
    }
}

fn row(one: &SealedEnv, with_namespace: bool, now: Timestamp) -> Vec<String> {
    let none = || "<none>".to_owned();
    let status = one.status.clone().unwrap_or_default();
    let (state, reason) = Standing::of(one).cells();
    let rollouts: Vec<String> = status
        .rollouts
        .iter()
        .map(|rollout| {
            let count = |number: Option<i32>| number.unwrap_or(0);
            format!(
                "{} {}/{}",
                rollout.name,
                count(rollout.ready),
                count(rollout.desired)
            )
        })
        .collect();
    let since = |time: Option<Timestamp>| time.map_or_else(none, |time| age(now, time));
    let created = one.metadata.creation_timestamp.as_ref().map(|time| time.0);
    let mut cells = vec![
        one.metadata.name.clone().unwrap_or_default(),
        state,
        reason,
        one.spec.environment.clone(),
        status
            .last_applied_commit
            .map_or_else(none, |commit| commit.chars().take(7).collect()),
        status.keys.map_or_else(none, |keys| keys.to_string()),
        if rollouts.is_empty() {
            none()
        } else {
            rollouts.join(", ")
        },
        since(status.last_verified_time.map(|time| time.0)),
        since(created),
    ];
    if with_namespace {
        cells.insert(0, one.metadata.namespace.clone().unwrap_or_default());
    }
    cells
}

/// `41s`, `3h`, `12d`, as kubectl writes it.
fn age(now: Timestamp, then: Timestamp) -> String {
    let seconds = (now.as_second() - then.as_second()).max(0);
    match seconds {
        0..120 => format!("{seconds}s"),
        120..7_200 => format!("{}m", seconds / 60),
        7_200..172_800 => format!("{}h", seconds / 3_600),
        _ => format!("{}d", seconds / 86_400),
    }
}

fn json(found: &[SealedEnv]) -> serde_json::Value {
    let item = |one: &SealedEnv| {
        json!({
            "namespace": one.metadata.namespace,
            "name": one.metadata.name,
            "environment": one.spec.environment,
            "ready": Standing::of(one).is_ready(),
            "status": one.status,
        })
    };
    let items: Vec<serde_json::Value> = found.iter().map(item).collect();
    json!({ "apiVersion": CLI_API_VERSION, "kind": "ClusterStatus", "items": items })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_seald_said_of_this_version_counts_as_ready() {
        let standing = |status: serde_json::Value| {
            let object = json!({
                "apiVersion": "sealctl.dev/v1alpha1",
                "kind": "SealedEnv",
                "metadata": { "name": "web", "namespace": "apps", "generation": 2 },
                "spec": { "environment": "prod", "document": "x" },
                "status": status,
            });
            let one: SealedEnv = serde_json::from_value(object).unwrap();
            let standing = Standing::of(&one);
            let message = standing.message("prod").unwrap_or_default();
            (standing.is_ready(), standing.cells().0, message)
        };
        let told = |seen: i64, ready: &str| {
            let time = "2026-11-21T00:00:00Z";
            standing(json!({ "observedGeneration": seen, "conditions": [{
                "type": "Ready", "status": ready, "reason": "Any", "message": "as told", "lastTransitionTime": time
            }] }))
        };
        assert_eq!(told(2, "True"), (true, "True".into(), String::new()));
        assert_eq!(told(2, "False"), (false, "False".into(), "as told".into()));
        let (ready, cell, message) = told(1, "True");
        assert!(!ready && cell == "Unknown" && message.contains("not looked at this version"));
        let (ready, _, message) = standing(json!(null));
        assert!(!ready && message.contains("--environment prod"));
    }

    #[test]
    fn ages_are_short() {
        let then = Timestamp::UNIX_EPOCH;
        let at = |seconds| age(Timestamp::from_second(seconds).unwrap(), then);
        assert_eq!(
            [at(41), at(300), at(10_800), at(1_036_800)],
            ["41s", "5m", "3h", "12d"]
        );
        assert_eq!(at(-5), "0s");
    }
}
