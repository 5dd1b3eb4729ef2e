//! Logs: one record per line on standard error, as JSON or as text.
//!
//! The client libraries quote whole answers of the API server at their warning level, and an answer may
//! be a Secret. So they log errors only, whatever a user asks for.

use std::io::{self, IsTerminal as _, Write as _};

use tracing_subscriber::filter::{EnvFilter, LevelFilter};
use tracing_subscriber::fmt::MakeWriter;
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;

use self::json::Lines;

mod json;

/// Targets that may log errors only.
const FLOOR: [&str; 8] = [
    "kube_client",
    "kube_runtime",
    "kube_core",
    "hyper",
    "hyper_util",
    "tower",
    "rustls",
    "h2",
];

/// A log that cannot be started.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum InvalidLog {
    /// No such level.
    #[error("--log-level is \"{0}\"; it is error, warn, info, debug or trace")]
    Level(String),
    /// No such form.
    #[error("--log-format is \"{0}\"; it is json or text")]
    Format(String),
    /// There is one already.
    #[error("the log was started before")]
    Started,
}

/// Starts the log at `level` in `format` (`json` or `text`; without it text on a terminal and JSON
/// elsewhere), and makes panics say where they happened and nothing else.
///
/// # Errors
/// For a word that is no level or format, and when a log was started before.
pub fn start(level: &str, format: Option<&str>) -> Result<(), InvalidLog> {
    let filter = filter(level)?;
    let text = match format {
        Some("text") => true,
        Some("json") => false,
        None => io::stderr().is_terminal(),
        Some(other) => return Err(InvalidLog::Format(other.to_owned())),
    };
    let registry = tracing_subscriber::registry().with(filter);
    let started = if text {
        let layer = tracing_subscriber::fmt::layer()
            .with_writer(io::stderr)
            .with_ansi(io::stderr().is_terminal())
            .with_target(false);
        registry.with(layer).try_init()
    } else {
        registry.with(Lines::new(io::stderr)).try_init()
    };
    std::panic::set_hook(Box::new(|info| {
        // The payload may be a formatted error; the place is enough to find it.
        let place = info.location().map(ToString::to_string).unwrap_or_default();
        tracing::error!(place, "Panicked");
    }));
    started.map_err(|_| InvalidLog::Started)
}

/// Writes one line to standard error, for what goes wrong before there is a log.
pub fn complain(line: &str) {
    let _ = writeln!(io::stderr(), "{line}");
}

fn filter(level: &str) -> Result<EnvFilter, InvalidLog> {
    let level: LevelFilter = match level {
        "error" => LevelFilter::ERROR,
        "warn" => LevelFilter::WARN,
        "info" => LevelFilter::INFO,
        "debug" => LevelFilter::DEBUG,
        "trace" => LevelFilter::TRACE,
        other => return Err(InvalidLog::Level(other.to_owned())),
    };
    let floor = FLOOR
        .iter()
        .filter_map(|target| format!("{target}=error").parse().ok());
    let base = EnvFilter::default().add_directive(level.into());
    Ok(floor.fold(base, EnvFilter::add_directive))
}

/// Something that gives a writer for each record.
pub trait Output: for<'a> MakeWriter<'a> + Send + Sync + 'static {}

impl<T: for<'a> MakeWriter<'a> + Send + Sync + 'static> Output for T {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn client_libraries_stay_at_errors_at_every_level() {
        for level in ["error", "warn", "info", "debug", "trace"] {
            let text = filter(level).unwrap().to_string();
            for target in FLOOR {
                assert!(text.contains(&format!("{target}=error")), "{level}: {text}");
            }
        }
        assert_eq!(
            filter("loud").unwrap_err(),
            InvalidLog::Level("loud".into())
        );
    }
}
