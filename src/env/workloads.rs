//! The section `workloads`: which workloads are rolled, and how.

use std::collections::BTreeSet;
use std::time::Duration;

use crate::env::delivery::{OnFailure, Restart, WorkloadKind, WorkloadRef, Workloads};
use crate::env::fields::{Fields, Reader, Word};
use crate::env::finding::{At, Finding, did_you_mean};
use crate::name::ObjectName;

const FIELDS: [&str; 7] = [
    "settle",
    "restart",
    "include",
    "exclude",
    "onFailure",
    "parallel",
    "timeout",
];

/// Why a text does not name a workload.
pub(super) enum NotAWorkload {
    /// Not `kind/name`, or a kind that nobody knows.
    Malformed(Option<String>),
    /// A Job or CronJob.
    NeverRestarted,
}

/// Reads `workloads`; what is absent or wrong has its default.
pub(super) fn read(reader: &mut Reader, top: &Fields<'_>) -> Workloads {
    let default = Workloads::default();
    let Some((node, at)) = top.find("workloads") else {
        return default;
    };
    let Some(fields) = reader.fields(node, at, &FIELDS) else {
        return default;
    };
    let include = references(reader, &fields, "include");
    let exclude = references(reader, &fields, "exclude");
    let included: BTreeSet<&WorkloadRef> = include.iter().map(|(found, _)| found).collect();
    for (twice, at) in exclude.iter().filter(|(found, _)| included.contains(found)) {
        reader.error("E0264", at, format!("{twice} is included and excluded"));
    }
    let restart = [("auto", Restart::Auto), ("never", Restart::Never)];
    let on_failure = [("hold", OnFailure::Hold), ("rollback", OnFailure::Rollback)];
    let minutes = Duration::from_mins;
    Workloads {
        settle: duration(
            reader,
            &fields,
            "settle",
            (Duration::ZERO, minutes(10)),
            default.settle,
        ),
        restart: reader.choice(&fields, "restart", &restart, default.restart),
        include: include.into_iter().map(|(name, _)| name).collect(),
        exclude: exclude.into_iter().map(|(name, _)| name).collect(),
        on_failure: reader.choice(&fields, "onFailure", &on_failure, default.on_failure),
        parallel: parallel(reader, &fields, default.parallel),
        timeout: duration(
            reader,
            &fields,
            "timeout",
            (minutes(1), minutes(120)),
            default.timeout,
        ),
    }
}

/// Reads `deployment/web`.
pub(super) fn reference(text: &str) -> Result<WorkloadRef, NotAWorkload> {
    let (kind, name) = text.split_once('/').ok_or(NotAWorkload::Malformed(None))?;
    let name: ObjectName = name.parse().map_err(|_| NotAWorkload::Malformed(None))?;
    if matches!(kind, "job" | "cronjob") {
        return Err(NotAWorkload::NeverRestarted);
    }
    match WorkloadKind::ALL
        .into_iter()
        .find(|known| known.word() == kind)
    {
        Some(kind) => Ok(WorkloadRef { kind, name }),
        None => {
            let hint = did_you_mean(kind, WorkloadKind::ALL.iter().map(|known| known.word()));
            Err(NotAWorkload::Malformed(hint.or_else(|| {
                Some("kinds are deployment, daemonset, statefulset and rollout".to_owned())
            })))
        }
    }
}

fn references(reader: &mut Reader, fields: &Fields<'_>, key: &str) -> Vec<(WorkloadRef, At)> {
    let mut references: Vec<(WorkloadRef, At)> = Vec::new();
    let mut seen = BTreeSet::new();
    let Some((node, at)) = fields.find(key) else {
        return references;
    };
    for (item, at) in reader.list(node, &at) {
        let Some(word) = reader.word(item, &at) else {
            continue;
        };
        match reference(word.text()) {
            Ok(found) if !seen.insert(found.clone()) => {}
            Ok(found) => references.push((found, at)),
            Err(NotAWorkload::NeverRestarted) => {
                let message = format!(
                    "{} is never restarted; its next run reads the new values",
                    word.shown()
                );
                reader.error("E0263", &at, message);
            }
            Err(NotAWorkload::Malformed(hint)) => {
                let message = format!("\"{}\" is not kind/name", word.shown());
                let finding = Finding::error("E0262", &at, message);
                reader.findings.push(finding.hinted(hint));
            }
        }
    }
    references
}

fn parallel(reader: &mut Reader, fields: &Fields<'_>, default: u16) -> u16 {
    let Some((word, at)) = reader.find_word(fields, "parallel") else {
        return default;
    };
    match word.text().parse() {
        Ok(parallel @ 1..=1000) => parallel,
        _ => {
            let message = format!("parallel: {} is not between 1 and 1000", word.shown());
            reader.error("E0265", &at, message);
            default
        }
    }
}

/// Reads a duration within `range`, both ends included.
fn duration(
    reader: &mut Reader,
    fields: &Fields<'_>,
    key: &str,
    range: (Duration, Duration),
    default: Duration,
) -> Duration {
    let Some((word, at)) = reader.find_word(fields, key) else {
        return default;
    };
    match parse_duration(word.text()) {
        Some(duration) if (range.0..=range.1).contains(&duration) => return duration,
        Some(_) => {
            let (low, high) = (shown_duration(range.0), shown_duration(range.1));
            let message = format!("{key}: {} is not between {low} and {high}", word.shown());
            reader.error("E0260", &at, message);
        }
        None => reader.error("E0260", &at, not_a_duration(key, word)),
    }
    default
}

fn not_a_duration(key: &str, word: Word<'_>) -> String {
    let digits = word.text().bytes().all(|byte| byte.is_ascii_digit());
    let shown = word.shown();
    if digits {
        format!("{key}: \"{shown}\" has no unit; write {shown}s")
    } else {
        format!("{key}: \"{shown}\" is not a duration; write 10s, 500ms or 1m30s")
    }
}

/// Reads one or more whole numbers, each with a unit `h`, `m`, `s` or `ms`, largest unit first.
fn parse_duration(text: &str) -> Option<Duration> {
    let mut total = Duration::ZERO;
    let mut rest = text;
    let mut smallest = u64::MAX;
    while !rest.is_empty() || smallest == u64::MAX {
        let digits = rest.find(|letter: char| !letter.is_ascii_digit())?;
        let (number, tail) = rest.split_at_checked(digits)?;
        let end = tail
            .find(|letter: char| letter.is_ascii_digit())
            .unwrap_or(tail.len());
        let (unit, after) = tail.split_at_checked(end)?;
        let millis = match unit {
            "h" => 3_600_000,
            "m" => 60_000,
            "s" => 1000,
            "ms" => 1,
            _ => return None,
        };
        if millis >= smallest {
            return None;
        }
        smallest = millis;
        let millis = number.parse::<u64>().ok()?.checked_mul(millis)?;
        total = total.checked_add(Duration::from_millis(millis))?;
        rest = after;
    }
    Some(total)
}

/// `10m`, `2h`, `0s`: only for the ends of ranges.
fn shown_duration(duration: Duration) -> String {
    match duration.as_secs() {
        hours if hours >= 3600 => format!("{}h", hours / 3600),
        minutes if minutes >= 60 => format!("{}m", minutes / 60),
        seconds => format!("{seconds}s"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_have_units_in_falling_order() {
        for (text, millis) in [
            ("10s", 10_000),
            ("0s", 0),
            ("500ms", 500),
            ("1m30s", 90_000),
            ("2h", 7_200_000),
            ("1h1m1s1ms", 3_661_001),
        ] {
            assert_eq!(
                parse_duration(text),
                Some(Duration::from_millis(millis)),
                "{text}"
            );
        }
        for text in [
            "",
            "10",
            "s",
            "10 s",
            "1s1m",
            "1s1s",
            "-1s",
            "1.5s",
            "1d",
            "99999999999999999999s",
            "ä",
        ] {
            assert_eq!(parse_duration(text), None, "{text}");
        }
    }
}
