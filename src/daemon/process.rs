//! What the operating system says about this process, for the metrics.

use std::path::Path;
use std::time::Duration;

use crate::file;
use crate::telemetry::metrics::Metrics;

/// How often it is asked.
const PERIOD: Duration = Duration::from_secs(15);
/// Clock ticks in a second, as Linux shows them to programs on every architecture.
const TICKS: f64 = 100.0;
/// More than these files ever hold.
const LIMIT: u64 = 1 << 16;

/// Keeps the metrics of this process up to date until it is dropped.
pub(super) async fn watch(metrics: Metrics) {
    loop {
        if let (Some(seconds), Some(bytes)) = (cpu_seconds(), resident_bytes()) {
            metrics.set_process(seconds, bytes);
        }
        tokio::time::sleep(PERIOD).await;
    }
}

/// Processor time in user and kernel mode: fields 14 and 15 of `/proc/self/stat`.
fn cpu_seconds() -> Option<f64> {
    let text = read("/proc/self/stat")?;
    // The second field is the name in parentheses and may hold blanks.
    let (_, rest) = text.rsplit_once(')')?;
    let ticks: f64 = rest
        .split_whitespace()
        .skip(11)
        .take(2)
        .filter_map(|field| field.parse::<f64>().ok())
        .sum();
    Some(ticks / TICKS)
}

/// Resident memory: `VmRSS` of `/proc/self/status`, in KiB there.
fn resident_bytes() -> Option<i64> {
    let text = read("/proc/self/status")?;
    let line = text.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    let kib: i64 = line.split_whitespace().next()?.parse().ok()?;
    Some(kib * 1024)
}

fn read(path: &str) -> Option<String> {
    let text = file::read(Path::new(path), LIMIT).ok()?;
    text.expose_text().map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_process_uses_memory_and_has_a_time() {
        assert!(resident_bytes().unwrap() > 1 << 20);
        assert!(cpu_seconds().unwrap() >= 0.0);
    }
}
