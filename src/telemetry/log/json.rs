//! One JSON object per record: `ts`, `level`, `logger`, `msg`, and the fields of the record.

use std::io::Write as _;

use serde_json::{Map, Value};
use tracing::field::{Field, Visit};
use tracing::{Event, Subscriber};
use tracing_subscriber::Layer;
use tracing_subscriber::layer::Context;

use super::Output;
use crate::clock::{Clock as _, SystemClock};

/// Writes each record as one line.
pub(super) struct Lines<W> {
    output: W,
}

impl<W: Output> Lines<W> {
    pub(super) fn new(output: W) -> Self {
        Self { output }
    }
}

impl<W: Output, S: Subscriber> Layer<S> for Lines<W> {
    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        let metadata = event.metadata();
        let mut fields = Fields {
            message: String::new(),
            others: Map::new(),
        };
        event.record(&mut fields);
        let target = metadata.target();
        let logger = target.rsplit("::").next().unwrap_or(target);
        let mut record = Map::new();
        let ts = SystemClock
            .now()
            .wall
            .strftime("%Y-%m-%dT%H:%M:%S%.3fZ")
            .to_string();
        record.insert("ts".into(), ts.into());
        record.insert(
            "level".into(),
            metadata.level().as_str().to_lowercase().into(),
        );
        record.insert("logger".into(), logger.into());
        record.insert("msg".into(), fields.message.into());
        record.extend(fields.others);
        let mut line = Value::Object(record).to_string();
        line.push('\n');
        // A log that cannot be written has nobody to tell.
        let _ = self.output.make_writer().write_all(line.as_bytes());
    }
}

/// The fields of one record.
struct Fields {
    message: String,
    others: Map<String, Value>,
}

impl Fields {
    fn put(&mut self, field: &Field, value: Value) {
        match (field.name(), value) {
            ("message", Value::String(text)) => self.message = text,
            (name, value) => {
                self.others.insert(lower_camel_case(name), value);
            }
        }
    }
}

impl Visit for Fields {
    fn record_debug(&mut self, field: &Field, value: &dyn std::fmt::Debug) {
        self.put(field, format!("{value:?}").into());
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.put(field, value.into());
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.put(field, value.into());
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.put(field, value.into());
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.put(field, value.into());
    }

    fn record_f64(&mut self, field: &Field, value: f64) {
        self.put(field, value.into());
    }
}

fn lower_camel_case(name: &str) -> String {
    let mut words = name.split('_');
    let first = words.next().unwrap_or_default().to_owned();
    words.fold(first, |text, word| {
        let mut letters = word.chars();
        let head: String = letters
            .next()
            .into_iter()
            .flat_map(char::to_uppercase)
            .collect();
        text + &head + letters.as_str()
    })
}

#[cfg(test)]
mod tests {
    use std::io;
    use std::sync::{Arc, Mutex};

    use tracing_subscriber::layer::SubscriberExt as _;

    use super::*;

    #[derive(Clone, Default)]
    struct Sink(Arc<Mutex<Vec<u8>>>);

    impl io::Write for Sink {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            let mut sink = self.0.lock().map_err(|_| io::ErrorKind::Other)?;
            sink.extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn a_record_is_one_line_of_json_with_camel_case_fields() {
        let sink = Sink::default();
        let writer = sink.clone();
        let registry = tracing_subscriber::registry().with(Lines::new(move || writer.clone()));
        tracing::subscriber::with_default(registry, || {
            tracing::info!(duration_ms = 41, name = "web\n", "Secret was applied");
        });
        let text = String::from_utf8(sink.0.lock().unwrap().clone()).unwrap();
        assert_eq!(text.lines().count(), 1);
        let record: Value = serde_json::from_str(&text).unwrap();
        assert_eq!(record["msg"], "Secret was applied");
        assert_eq!(record["level"], "info");
        assert_eq!(record["durationMs"], 41);
        assert_eq!(record["name"], "web\n");
    }
}
