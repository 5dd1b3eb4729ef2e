//! The table on the terminal, the JSON file, and the block of the README.

use std::fmt::Write as _;
use std::fs;
use std::path::Path;
use std::time::Instant;

use serde_json::{Value, json};

/// One line of the table.
#[derive(Clone, Debug)]
pub(crate) struct Row {
    /// Which figure it belongs to (`cold-start`).
    pub(crate) figure: &'static str,
    /// What was measured.
    pub(crate) what: String,
    /// What came out, with its unit.
    pub(crate) measured: String,
    /// The peer or ceiling of the same run; empty where there is none.
    pub(crate) peer: String,
    /// The ratio, or what is aimed at.
    pub(crate) aim: String,
    /// Whether the aim is reached; nothing for lines that only inform.
    pub(crate) reached: Option<bool>,
    /// The bare numbers.
    pub(crate) numbers: Value,
}

impl Row {
    /// A line that only informs.
    pub(crate) fn note(figure: &'static str, what: &str, measured: String, numbers: Value) -> Self {
        Self {
            figure,
            what: what.to_owned(),
            measured,
            peer: String::new(),
            aim: String::new(),
            reached: None,
            numbers,
        }
    }

    /// A line with an aim.
    pub(crate) fn aim(mut self, aim: impl Into<String>, reached: bool) -> Self {
        self.aim = aim.into();
        self.reached = Some(reached);
        self
    }

    /// The same with a ratio that has no aim.
    pub(crate) fn ratio(mut self, ratio: String) -> Self {
        self.aim = ratio;
        self
    }

    /// The same with a peer.
    pub(crate) fn peer(mut self, peer: impl Into<String>) -> Self {
        self.peer = peer.into();
        self
    }
}

/// Says what happens now, with the time since the start.
pub(crate) fn progress(text: &str) {
    use std::sync::OnceLock;
    static START: OnceLock<Instant> = OnceLock::new();
    let start = START.get_or_init(Instant::now);
    eprintln!("{:6.1} s  {text}", start.elapsed().as_secs_f64());
}

/// The middle value.
pub(crate) fn median(values: &[f64]) -> f64 {
    quantile(values, 0.5)
}

/// The value below which this part of all values lies.
pub(crate) fn quantile(values: &[f64], part: f64) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        clippy::cast_precision_loss,
        reason = "an index"
    )]
    let place = ((sorted.len().saturating_sub(1)) as f64 * part).round() as usize;
    sorted.get(place).copied().unwrap_or(f64::NAN)
}

/// The median as the table shows it, with the extremes behind it.
pub(crate) fn shown(values: &[f64], digits: usize, unit: &str) -> String {
    let (low, high) = (quantile(values, 0.0), quantile(values, 1.0));
    format!(
        "{:.digits$} {unit} ({low:.digits$}–{high:.digits$})",
        median(values)
    )
}

/// The table for a terminal.
pub(crate) fn table(rows: &[Row]) -> String {
    let heads = [
        "what",
        "measured",
        "compared with, same run",
        "ratio, aim",
        "",
    ]
    .map(str::to_owned);
    let mut lines = vec![heads];
    for row in rows {
        let verdict = match row.reached {
            Some(true) => "reached",
            Some(false) => "MISSED",
            None => "",
        };
        lines.push([
            row.what.clone(),
            row.measured.clone(),
            row.peer.clone(),
            row.aim.clone(),
            verdict.to_owned(),
        ]);
    }
    let mut text = String::new();
    let widths: Vec<usize> = (0..5)
        .map(|column| {
            lines
                .iter()
                .map(|line| line[column].chars().count())
                .max()
                .unwrap_or(0)
        })
        .collect();
    for line in lines {
        for (cell, width) in line.iter().zip(&widths) {
            let _ = write!(text, "{cell}{}  ", " ".repeat(width - cell.chars().count()));
        }
        text.truncate(text.trim_end().len());
        text.push('\n');
    }
    text
}

/// The rows as JSON.
pub(crate) fn json(rows: &[Row], machine: &Value) -> Value {
    let rows: Vec<Value> = rows
        .iter()
        .map(|row| {
            json!({
                "figure": row.figure, "what": row.what, "measured": row.measured, "peer": row.peer, "aim": row.aim,
                "reached": row.reached, "numbers": row.numbers
            })
        })
        .collect();
    json!({ "machine": machine, "rows": rows })
}

/// Replaces what stands between the two markers of the README.
///
/// # Panics
/// When the markers are missing.
pub(crate) fn write_readme(path: &Path, rows: &[Row], machine: &str) {
    const BEGIN: &str = "<!-- bench:begin -->\n";
    const END: &str = "<!-- bench:end -->";
    let text = fs::read_to_string(path).expect("a README");
    let (head, rest) = text.split_once(BEGIN).expect("the first marker");
    let (_, tail) = rest.split_once(END).expect("the second marker");
    let mut block = String::from(
        "| what | measured | compared with, in the same run | ratio, aim |\n|---|---|---|---|\n",
    );
    for row in rows {
        let Row {
            what,
            measured,
            peer,
            aim,
            ..
        } = row;
        let missed = if row.reached == Some(false) {
            " (missed)"
        } else {
            ""
        };
        let _ = writeln!(block, "| {what} | {measured} | {peer} | {aim}{missed} |");
    }
    let _ = writeln!(block, "\n{machine}");
    fs::write(path, format!("{head}{BEGIN}{block}{END}{tail}")).expect("a writable README");
}
