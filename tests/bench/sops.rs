//! `sealctl sops` against the real `sops`: the same calls on the same files, with time and peak memory; for binary
//! files also the ceiling that hashing, encrypting and encoding the same bytes set.
//! The programs take turns in blocks: see `blocks`. Memory is watched only where it has an aim.

use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use aes_gcm::aead::consts::U32;
use aes_gcm::aead::{Aead as _, KeyInit as _};
use base64::Engine as _;
use serde_json::json;
use sha2::Digest as _;

use super::blocks::{LONG, MIDDLE, ONCE, Runs, SHORT};
use super::call;
use super::documents::Readers;
use super::report::{Row, median, progress};
use super::rig::built;

const FIGURE: &str = "sops";
/// How often files of different lengths are opened one after the other.
const ROUNDS: usize = 9;
/// Bytes of the binary file.
const BINARY: usize = 10 << 20;

/// Files that are opened in one call.
const FILES: usize = 200;

/// One call, the same for both programs.
struct Call<'a> {
    what: &'a str,
    arguments: Vec<String>,
    runs: Runs,
    /// How many times faster it shall be.
    aim: f64,
    /// What part of the memory of the other it may need; none where that is not looked at.
    memory: Option<f64>,
}

/// Measures all calls.
pub(crate) fn measure() -> Vec<Row> {
    let stage = Stage::new();
    let mut rows: Vec<Row> = stage
        .calls()
        .iter()
        .map(|call| stage.compare(call))
        .collect();
    rows.push(stage.many());
    rows.extend(stage.starts());
    rows.push(stage.ceiling());
    rows.extend(stage.growth());
    call::leave(&stage.folder);
    rows
}

struct Stage {
    folder: PathBuf,
    sops: PathBuf,
    sealctl: PathBuf,
    recipient: String,
}

impl Stage {
    fn new() -> Self {
        progress("sealctl sops against sops: writing the files");
        let folder = call::enter();
        let readers = Readers::generate();
        readers.write_identity(&folder.join("identity"));
        let stage = Self {
            folder,
            sops: built("sops").join("sops"),
            sealctl: env!("CARGO_BIN_EXE_sealctl").into(),
            recipient: readers.recipient(),
        };
        for (name, keys) in [
            ("small", 10),
            ("1k", 1_000),
            ("10k", 10_000),
            ("50k", 50_000),
            ("100k", 100_000),
        ] {
            stage.write(&format!("{name}.yaml"), yaml(keys).as_bytes());
            stage.write(&format!("{name}.json"), json_text(keys).as_bytes());
        }
        // For a process there are only names and texts.
        stage.write("flat.yaml", b"ONE: first\nTWO: second\nTHREE: third\n");
        let bytes: Vec<u8> = (0..BINARY).map(|at| (at * 31 % 251) as u8).collect();
        stage.write("large.bin", &bytes);
        for name in [
            "small.yaml",
            "flat.yaml",
            "1k.yaml",
            "10k.yaml",
            "50k.yaml",
            "100k.yaml",
            "50k.json",
            "large.bin",
        ] {
            // Ours, since it takes a tenth of the time; both open it.
            let arguments = ["sops", "encrypt", "--age", &stage.recipient, name];
            let sealed = stage.output(&stage.sealctl, &arguments);
            stage.write(&format!("sealed-{name}"), &sealed);
        }
        stage
    }

    fn write(&self, name: &str, content: &[u8]) {
        fs::write(self.folder.join(name), content).expect("room");
    }

    fn calls(&self) -> Vec<Call<'static>> {
        let decrypt = |name: &str| vec!["decrypt".to_owned(), format!("sealed-{name}")];
        let encrypt = |name: &str| {
            let words = ["encrypt", "--age", &self.recipient, name];
            words.map(ToOwned::to_owned).to_vec()
        };
        let call = |what, arguments, runs, aim, memory| Call {
            what,
            arguments,
            runs,
            aim,
            memory,
        };
        let exec = ["exec-env", "sealed-flat.yaml", "true"].map(ToOwned::to_owned);
        let set = [
            "set",
            "sealed-1k.yaml",
            "[\"section_3\"][\"key_31\"]",
            "\"new\"",
        ];
        vec![
            call("decrypt, 10 keys", decrypt("small.yaml"), SHORT, 10.0, None),
            call("encrypt, 10 keys", encrypt("small.yaml"), SHORT, 10.0, None),
            call("exec-env, 10 keys", exec.to_vec(), SHORT, 10.0, None),
            call(
                "set, 1,000 keys",
                set.map(ToOwned::to_owned).to_vec(),
                SHORT,
                10.0,
                None,
            ),
            call("decrypt, 1,000 keys", decrypt("1k.yaml"), SHORT, 10.0, None),
            call("encrypt, 1,000 keys", encrypt("1k.yaml"), SHORT, 10.0, None),
            call(
                "decrypt, YAML of 50,000 keys",
                decrypt("50k.yaml"),
                LONG,
                5.0,
                Some(0.25),
            ),
            call(
                "encrypt, YAML of 50,000 keys",
                encrypt("50k.yaml"),
                LONG,
                5.0,
                Some(0.25),
            ),
            call(
                "decrypt, JSON of 50,000 keys",
                decrypt("50k.json"),
                LONG,
                10.0,
                Some(0.25),
            ),
            call(
                "encrypt, JSON of 50,000 keys",
                encrypt("50k.json"),
                ONCE,
                50.0,
                Some(0.25),
            ),
            call(
                "decrypt, 10 MiB of bytes",
                decrypt("large.bin"),
                MIDDLE,
                10.0,
                None,
            ),
            call(
                "encrypt, 10 MiB of bytes",
                encrypt("large.bin"),
                MIDDLE,
                10.0,
                None,
            ),
        ]
    }

    fn compare(&self, call: &Call<'_>) -> Row {
        progress(call.what);
        let arguments: Vec<&str> = call.arguments.iter().map(String::as_str).collect();
        let mut own = vec!["sops"];
        own.extend(&arguments);
        let watched = call.memory.is_some();
        let (ours, theirs) = call.runs.compare(
            || self.run(&self.sealctl, &own, watched),
            || self.run(&self.sops, &arguments, watched),
        );
        let time =
            |runs: &[Run]| median(&runs.iter().map(|run| run.milliseconds).collect::<Vec<_>>());
        let memory = |runs: &[Run]| median(&runs.iter().map(|run| run.peak).collect::<Vec<_>>());
        let factor = time(&theirs) / time(&ours);
        let share = memory(&ours) / memory(&theirs);
        let mut aim = format!("{factor:.1} times faster, ≥ {}", call.aim);
        let mut reached = factor >= call.aim;
        if let Some(limit) = call.memory {
            let _ = write!(
                aim,
                "; {:.0} % of the memory, ≤ {:.0}",
                share * 100.0,
                limit * 100.0
            );
            reached = reached && share <= limit;
        }
        let shown = |runs: &[Run]| match call.memory {
            Some(_) => format!("{:.1} ms, {:.0} MiB", time(runs), memory(runs)),
            None => format!("{:.1} ms", time(runs)),
        };
        let numbers = json!({
            "sealctl_ms": time(&ours), "sops_ms": time(&theirs),
            "sealctl_mib": memory(&ours), "sops_mib": memory(&theirs), "runs": call.runs.count(),
        });
        Row::note(
            FIGURE,
            &format!("sealctl sops {}", call.what),
            shown(&ours),
            numbers,
        )
        .peer(format!("sops: {}", shown(&theirs)))
        .aim(aim, reached)
    }

    /// A folder of small files: one call against a loop, since the other program takes one file at a time.
    fn many(&self) -> Row {
        progress("200 small files");
        fs::create_dir_all(self.folder.join("many")).expect("a writable folder");
        let arguments = ["sops", "encrypt", "--age", &self.recipient, "small.yaml"];
        for file in 0..FILES {
            let sealed = self.output(&self.sealctl, &arguments);
            self.write(&format!("many/{file}.yaml"), &sealed);
        }
        let ours = (0..7).map(|run| {
            let out = format!("opened-{run}");
            let arguments = ["decrypt", "many", "--out", &out];
            self.time(&self.sealctl, &arguments)
        });
        let ours = median(&ours.collect::<Vec<_>>());
        let theirs: f64 = (0..FILES)
            .map(|file| {
                let (name, out) = (format!("many/{file}.yaml"), format!("many/{file}.open"));
                let arguments = ["decrypt", "--output", &out, &name];
                self.time(&self.sops, &arguments)
            })
            .sum();
        let factor = theirs / ours;
        Row::note(
            FIGURE,
            "sealctl decrypt, 200 small files in one call",
            format!("{ours:.1} ms"),
            json!({ "sealctl_ms": ours, "sops_ms": theirs, "files": FILES, "runs": 7 }),
        )
        .peer(format!("sops, 200 calls: {theirs:.0} ms"))
        .aim(format!("{factor:.0} times faster, ≥ 50"), factor >= 50.0)
    }

    /// What no program can be faster than: to be started and waited for; of `exec-env`, also the shell.
    fn starts(&self) -> [Row; 2] {
        let row = |what: &str, program: &str, arguments: &[&str]| {
            let times = (0..SHORT.count()).map(|_| self.time(Path::new(program), arguments));
            let time = median(&times.collect::<Vec<_>>());
            Row::note(FIGURE, what, format!("{time:.1} ms"), json!({ "ms": time }))
        };
        let nothing = "start and end of a program that does nothing (true)";
        let shell =
            "start and end of a shell that does nothing (sh -c true), as exec-env needs one";
        [
            row(nothing, "/bin/true", &[]),
            row(shell, "/bin/sh", &["-c", "true"]),
        ]
    }

    /// What no program that writes this format can be faster than, on one core.
    fn ceiling(&self) -> Row {
        progress("the ceiling for 10 MiB of bytes");
        let bytes = fs::read(self.folder.join("large.bin")).expect("the file is there");
        let cipher = aes_gcm::AesGcm::<aes_gcm::aes::Aes256, U32>::new(&[7; 32].into());
        let times: Vec<f64> = (0..5)
            .map(|_| {
                let begin = Instant::now();
                let digest = sha2::Sha512::digest(&bytes);
                let sealed = cipher
                    .encrypt(&[1; 32].into(), bytes.as_slice())
                    .expect("it encrypts");
                let text = base64::engine::general_purpose::STANDARD.encode(sealed);
                assert!(digest.len() + text.len() > BINARY);
                begin.elapsed().as_secs_f64() * 1000.0
            })
            .collect();
        let numbers = json!({ "ms": median(&times) });
        let what = "SHA-512, AES-256-GCM and base64 of 10 MiB alone";
        Row::note(FIGURE, what, format!("{:.1} ms", median(&times)), numbers)
    }

    /// Time per key, which shall not depend on how many there are.
    fn growth(&self) -> Option<Row> {
        progress("growth with the number of keys");
        let files = ["1k", "10k", "100k"].map(|name| format!("sealed-{name}.yaml"));
        let time = |file: &String| self.time(&self.sealctl, &["sops", "decrypt", file]);
        // The machine is faster in one second than in the next: what is compared runs side by side.
        let rounds: Vec<[f64; 3]> = (0..ROUNDS).map(|_| files.each_ref().map(time)).collect();
        let times: Vec<f64> = (0..files.len())
            .map(|file| median(&rounds.iter().map(|round| round[file]).collect::<Vec<_>>()))
            .collect();
        let [small, middle, large] = times.as_slice() else {
            return None;
        };
        let steps = rounds.iter().map(|[_, middle, large]| large / middle);
        let factor = median(&steps.collect::<Vec<_>>());
        Some(
            Row::note(
                FIGURE,
                "sealctl sops decrypt, YAML of 1,000, 10,000 and 100,000 keys",
                format!("{small:.1}, {middle:.1}, {large:.1} ms"),
                json!({ "ms": times }),
            )
            .aim(
                format!("the last step {factor:.1} times, ≤ 12"),
                factor <= 12.0,
            ),
        )
    }

    /// Runs a program whose output is wanted.
    fn output(&self, program: &Path, arguments: &[&str]) -> Vec<u8> {
        call::output(&mut self.command(program, arguments))
    }

    /// Runs a program, and gives milliseconds.
    fn time(&self, program: &Path, arguments: &[&str]) -> f64 {
        call::time(&mut self.command(program, arguments))
    }

    /// Runs a program. Its memory is only looked at where that is `watched`: on two cores it costs time.
    fn run(&self, program: &Path, arguments: &[&str], watched: bool) -> Run {
        let mut command = self.command(program, arguments);
        let begin = Instant::now();
        let child = command.spawn().expect("the program runs");
        let watched = watched.then(|| watch(child.id()));
        let milliseconds = call::end(&command, child, begin);
        let peak = watched.map_or(0.0, |watched| {
            watched.join().expect("the watch ends with the process")
        });
        Run { milliseconds, peak }
    }

    fn command(&self, program: &Path, arguments: &[&str]) -> Command {
        let mut command = call::command(program, &self.folder);
        command.args(arguments);
        command
    }
}

struct Run {
    milliseconds: f64,
    /// MiB.
    peak: f64,
}

/// The most memory that the process `id` had, in MiB, as seen until it ended.
fn watch(id: u32) -> std::thread::JoinHandle<f64> {
    std::thread::spawn(move || {
        let path = format!("/proc/{id}/status");
        let mut peak: f64 = 0.0;
        while let Ok(status) = fs::read_to_string(&path) {
            let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
            // A process that has ended and was not waited for yet has none.
            let Some(kilobytes) = line.and_then(|line| line.trim().strip_suffix(" kB")) else {
                break;
            };
            peak = peak.max(kilobytes.trim().parse::<f64>().unwrap_or_default() / 1024.0);
            std::thread::sleep(Duration::from_millis(2));
        }
        peak
    })
}

/// Ten keys in each section, of all types.
fn yaml(keys: usize) -> String {
    let mut text = String::new();
    for key in 0..keys {
        if key % 10 == 0 {
            let _ = writeln!(text, "section_{}:", key / 10);
        }
        let _ = writeln!(text, "    key_{key}: {}", value(key, "", ""));
    }
    text
}

fn json_text(keys: usize) -> String {
    let mut text = String::from("{\n");
    for key in 0..keys {
        let end = if key + 1 == keys { "" } else { "," };
        let _ = writeln!(text, "\t\"key_{key}\": {}{end}", value(key, "\"", "\""));
    }
    text + "}\n"
}

fn value(key: usize, open: &str, close: &str) -> String {
    match key % 5 {
        0 => format!("{}", key * 7),
        1 => "true".to_owned(),
        _ => format!("{open}a value of some length, number {key}{close}"),
    }
}
