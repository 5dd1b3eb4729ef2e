//! `sealctl decrypt` and `encrypt` of a small file against the real `sops`, in blocks of calls.

use std::fs;
use std::path::Path;

use serde_json::json;

use super::blocks::SHORT;
use super::call;
use super::documents::{self, Readers};
use super::report::{Row, median, progress};
use super::rig::built;

const FIGURE: &str = "sealctl";

/// Measures both verbs.
pub(crate) fn measure() -> Vec<Row> {
    progress("sealctl against sops: decrypt and encrypt of a small file");
    let sops = built("sops").join("sops");
    let folder = call::enter();
    let readers = Readers::generate();
    readers.write_identity(&folder.join("identity"));
    let open = documents::plain(0, 0, "");
    // No document of a project, for which sealctl would check more than sops can.
    let open = open.split_once("config:").map_or("", |(_, rest)| rest);
    let open = format!("config:{open}");
    fs::write(folder.join("open.yaml"), &open).expect("room");
    let recipient = readers.recipient();
    let mut seal = call::command(&sops, &folder);
    seal.args(["encrypt", "--age", &recipient, "open.yaml"]);
    fs::write(folder.join("sealed.yaml"), call::output(&mut seal)).expect("room");

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
    call::leave(&folder);
    rows.to_vec()
}

fn compare(ours: (&Path, &[&str]), theirs: (&Path, &[&str]), folder: &Path) -> Row {
    let time = |(program, arguments): (&Path, &[&str])| {
        call::time(call::command(program, folder).args(arguments))
    };
    let (mine, other) = SHORT.compare(|| time(ours), || time(theirs));
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
