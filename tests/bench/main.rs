//! `make bench`: the figures of the README, each measured in the same run as what it is compared with.
//!
//! seald runs as a process, with the token of its ServiceAccount and no rights but those of its manifests and of
//! `sealctl rbac`, against a real API server that the rig of the cluster tests starts. Names of figures as arguments
//! select some of them; `--readme` puts the table into README.md.
#![expect(
    clippy::disallowed_methods,
    clippy::disallowed_types,
    clippy::panic,
    clippy::print_stderr,
    clippy::print_stdout,
    reason = "a program that measures: files, processes, clock, terminal"
)]

/// The rig of the cluster tests.
#[path = "../cluster"]
mod cluster {
    pub(crate) mod rig;
}
mod blocks;
mod call;
mod cold_start;
mod command;
mod documents;
mod latency;
mod loader;
mod log;
mod report;
mod sops;
mod stage;
mod wave;

use std::fs;
use std::path::Path;
use std::process::ExitCode;

use cluster::rig;
use serde_json::json;

/// The figures, in the order in which they run.
const FIGURES: [&str; 6] = [
    "sealctl",
    "sops",
    "cold-start",
    "restart",
    "latency",
    "wave",
];
const RUNS: usize = 3;

#[tokio::main]
async fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let mut chosen: Vec<&str> = Vec::new();
    let mut readme = false;
    for argument in arguments.iter().flat_map(|text| text.split([',', ' '])) {
        match FIGURES.iter().find(|figure| **figure == argument) {
            Some(figure) => chosen.push(figure),
            // cargo bench adds --bench.
            None if argument == "--bench" || argument.is_empty() => {}
            None if argument == "--readme" => readme = true,
            None => {
                eprintln!(
                    "unknown figure \"{argument}\"; known: {}",
                    FIGURES.join(", ")
                );
                return ExitCode::from(2);
            }
        }
    }
    let wants = |figure: &str| chosen.is_empty() || chosen.contains(&figure);
    rustls::crypto::ring::default_provider()
        .install_default()
        .expect("the first provider");
    let mut rows = Vec::new();
    if wants("sealctl") {
        rows.extend(command::measure());
    }
    if wants("sops") {
        rows.extend(sops::measure());
    }
    if wants("cold-start") || wants("restart") {
        let runs = if wants("cold-start") { RUNS } else { 1 };
        rows.extend(cold_start::measure(runs, wants("restart")).await);
    }
    if wants("latency") {
        rows.extend(latency::measure().await);
    }
    if wants("wave") {
        rows.extend(wave::measure().await);
    }
    publish(&rows, readme);
    ExitCode::SUCCESS
}

/// Prints the table, and writes JSON and README.
fn publish(rows: &[report::Row], readme: bool) {
    let machine = machine();
    println!("\n{}\n{machine}", report::table(rows));
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let target =
        std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| root.join("target"), Into::into);
    let path = target.join("bench.json");
    let text = report::json(rows, &json!(machine));
    let text = serde_json::to_string_pretty(&text).expect("JSON");
    fs::create_dir_all(&target).expect("a writable folder");
    fs::write(&path, text + "\n").expect("room");
    println!("The same as JSON: {}", path.display());
    if readme {
        report::write_readme(&root.join("README.md"), rows, &machine);
    }
}

/// What it was measured on, in a sentence.
fn machine() -> String {
    let processors = std::thread::available_parallelism().map_or(0, Into::into);
    let information = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = information
        .lines()
        .find_map(|line| line.strip_prefix("model name")?.split_once(": "));
    let load = fs::read_to_string("/proc/loadavg").unwrap_or_default();
    let load = load.split_whitespace().next().unwrap_or("?").to_owned();
    format!(
        "Measured on {processors} processors ({}) which API server, etcd, seald and the bench share; load at the end {load}.",
        model.map_or("unknown", |(_, name)| name.trim())
    )
}
