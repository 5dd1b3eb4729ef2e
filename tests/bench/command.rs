//! `sealctl decrypt` and `encrypt` of a small file against the real `sops`, in blocks of calls.

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Instant;

use serde_json::json;

use super::blocks::SHORT;
use super::documents::{self, Readers};
use super::report::{Row, median, progress};
use super::rig::built;

const FIGURE: &str = "sealctl";

/// Measures both verbs.
pub(crate) fn measure() -> Vec<Row> {
    progress("sealctl against sops: decrypt and encrypt of a small file");
    let sops = built("sops").join("sops");
    let folder = std::env::temp_dir().join(format!("sealctl-bench-{}", std::process::id()));
    fs::create_dir_all(&folder).expect("a writable folder");
    let readers = Readers::generate();
    readers.write_identity(&folder.join("identity"));
    let open = documents::plain(0, 0, "");
    // No document of a project, for which sealctl would check more than sops can.
    let open = open.split_once("config:").map_or("", |(_, rest)| rest);
    let open = format!("config:{open}");
    fs::write(folder.join("open.yaml"), &open).expect("room");
    let recipient = readers.recipient();
    let sealed = run(
        &sops,
        &folder,
        &["encrypt", "--age", &recipient, "open.yaml"],
    );
    fs::write(folder.join("sealed.yaml"), sealed.1).expect("room");

    let sealctl = Path::new(env!("CARGO_BIN_EXE_sealctl"));
    let ours: [&[&str]; 2] = [
        &["decrypt", "sealed.yaml"],
        &["encrypt", "--stdout", "-r", &recipient, "open.yaml"],
    ];
    let theirs: [&[&str]; 2] = [
        &["decrypt", "sealed.yaml"],
        &["encrypt", "--age", &recipient, "open.yaml"],
    ];
    let rows = [0, 1].map(|verb| compare((sealctl, ours[verb]), (&sops, theirs[verb]), &folder));
    fs::remove_dir_all(&folder).expect("our own folder");
    rows.to_vec()
}

fn compare(ours: (&Path, &[&str]), theirs: (&Path, &[&str]), folder: &Path) -> Row {
    let (mine, other) = SHORT.compare(
        || run(ours.0, folder, ours.1).0,
        || run(theirs.0, folder, theirs.1).0,
    );
    let factor = median(&other) / median(&mine);
    let verb = ours.1[0];
    Row::note(
        FIGURE,
        &format!("sealctl {verb}, a file of ten values"),
        format!("{:.1} ms", median(&mine)),
        json!({ "sealctl_ms": median(&mine), "sops_ms": median(&other), "runs": SHORT.count() }),
    )
    .peer(format!("sops {verb}: {:.1} ms", median(&other)))
    .aim(format!("{factor:.0} times faster, ≥ 10"), factor >= 10.0)
}

/// Runs a program and gives milliseconds and its output.
fn run(program: &Path, folder: &Path, arguments: &[&str]) -> (f64, Vec<u8>) {
    let mut command = Command::new(program);
    command
        .args(arguments)
        .current_dir(folder)
        .env_clear()
        .env("HOME", folder)
        .env("SOPS_AGE_KEY_FILE", folder.join("identity"))
        .stdin(Stdio::null())
        .stderr(Stdio::piped());
    let begin = Instant::now();
    let output = command.output().expect("the program runs");
    let time = begin.elapsed().as_secs_f64() * 1000.0;
    assert!(
        output.status.success(),
        "{} {arguments:?}: {}",
        program.display(),
        String::from_utf8_lossy(&output.stderr)
    );
    (time, output.stdout)
}
