//! What is left in memory of a file that was opened and closed: nothing.
//!
//! The test runs itself as another process, since its own memory is full of plaintext. That process gets
//! sealed files only, and knows what it looks for in disguise. It searches everything that it can write to.
#![expect(
    clippy::disallowed_methods,
    reason = "reads /proc/self/mem and starts itself"
)]

use std::fs::{self, File};
use std::os::unix::fs::FileExt as _;
use std::path::Path;
use std::process::Command;

use sealctl::crypto::mac::Coverage;
use sealctl::crypto::{Identity, parse_identities};
use sealctl::format::{self, Format, Layout};
use sealctl::secret::Secret;
use sealctl::sops::{self, Edit, Readers, Rule, Sealed, Terms};
use sealctl::tree::Path as KeyPath;

/// Names the folder of the process that searches.
const FOLDER: &str = "SEALCTL_TEST_MEMORY";
/// This test, as the test program calls it.
const NAME: &str = "memory::nothing_of_a_closed_file_stays_in_memory";
/// What is sealed in each format. `1`, `2`, `3` and `4` become secrets: a short one, one with characters
/// that every format writes in another way, a long one, and one in a comment.
const FILES: [(Format, &str); 5] = [
    (
        Format::Yaml,
        "# @4@\na: @1@\nb:\n    - \"@2@ \\\" \\n x\"\n    - c: >\n        @3@\n\n        @3@\n",
    ),
    (
        Format::Json,
        "{\"a\": \"@1@\", \"b\": [\"@2@ \\\" \\u00e4 x\", {\"c\": \"@3@\"}]}\n",
    ),
    (Format::Dotenv, "# @4@\nA=@1@\nB=@2@\\nx\nC=@3@\n"),
    (Format::Ini, "[s]\n; @4@\na = @1@\nb = `@2@ # x`\nc = @3@\n"),
    (Format::Binary, "@1@\n@2@\n@3@\n"),
];
/// Length of what is searched for: of the middle of each secret, since freeing writes over the ends.
const PIECE: usize = 16;

/// A piece of a secret that does not stand in memory itself.
struct Wanted {
    what: String,
    disguised: Vec<u8>,
}

impl Wanted {
    fn is_at(&self, bytes: &[u8]) -> bool {
        bytes.len() >= PIECE
            && bytes
                .iter()
                .zip(&self.disguised)
                .all(|(byte, hidden)| *byte == !hidden)
    }
}

/// A secret of so many bytes, in letters.
fn made(length: usize) -> Vec<u8> {
    let random = sealctl::crypto::random::secret(length).unwrap();
    random
        .expose()
        .iter()
        .map(|byte| b'a' + byte % 26)
        .collect()
}

/// Seals the files into `folder` and writes beside them what is to be looked for.
fn prepare(folder: &Path) {
    let identity = Identity::generate();
    let mut wanted = Vec::new();
    let mut note = |what: String, secret: &[u8]| {
        let middle = (secret.len() - PIECE) / 2;
        let hidden: String = secret[middle..middle + PIECE]
            .iter()
            .map(|byte| format!("{:02x}", !byte))
            .collect();
        wanted.push(format!("{what} {hidden}"));
    };
    note("identity".to_owned(), identity.text().expose());
    for (format, text) in FILES {
        let mut text = text.to_owned();
        for (mark, length) in [("@1@", 40), ("@2@", 60), ("@3@", 3000), ("@4@", 50)] {
            let secret = made(length);
            if text.contains(mark) {
                note(format!("{format}-{}", mark.trim_matches('@')), &secret);
            }
            text = text.replace(mark, std::str::from_utf8(&secret).unwrap());
        }
        let terms = Terms {
            rule: Rule::fallback(),
            coverage: Coverage::All,
            layout: Layout::default(),
        };
        let readers = Readers::one_group(&[identity.recipient()]);
        let now = "2026-01-31T12:00:00Z".parse().unwrap();
        let draft =
            sops::seal_for(format, &Secret::from_text(&text), &readers, &terms, now).unwrap();
        note(format!("{format}-key"), draft.key.secret().expose());
        fs::write(
            folder.join(format.to_string()),
            draft.sealed.text().expose(),
        )
        .unwrap();
    }
    fs::write(folder.join("identity"), identity.text().expose()).unwrap();
    fs::write(folder.join("wanted"), wanted.join("\n")).unwrap();
}

fn wanted(folder: &Path) -> Vec<Wanted> {
    let text = fs::read_to_string(folder.join("wanted")).unwrap();
    let pieces = text.lines().map(|line| {
        let (what, hex) = line.split_once(' ').unwrap();
        let byte = |at: usize| u8::from_str_radix(&hex[at..at + 2], 16).unwrap();
        Wanted {
            what: what.to_owned(),
            disguised: (0..hex.len()).step_by(2).map(byte).collect(),
        }
    });
    pieces.collect()
}

/// What of `wanted` stands in memory, with where it does.
fn found(wanted: &[Wanted]) -> Vec<String> {
    let memory = File::open("/proc/self/mem").unwrap();
    let maps = fs::read_to_string("/proc/self/maps").unwrap();
    // By the inverted first byte: most places fit none.
    let mut first: Vec<Vec<&Wanted>> = (0..256).map(|_| Vec::new()).collect();
    for one in wanted {
        first[usize::from(!one.disguised[0])].push(one);
    }
    let mut chunk = vec![0; 1 << 16];
    let own = chunk.as_ptr() as usize..chunk.as_ptr() as usize + chunk.len();
    let mut found = Vec::new();
    for line in maps.lines().filter(|line| line.contains(" rw")) {
        let (from, to) = line.split(' ').next().unwrap().split_once('-').unwrap();
        let number = |hex: &str| usize::from_str_radix(hex, 16).unwrap();
        let (mut at, to) = (number(from), number(to));
        while at < to {
            let length = memory
                .read_at(&mut chunk, at as u64)
                .unwrap_or(0)
                .min(to - at);
            if length < PIECE {
                break;
            }
            let whole = &chunk[..length];
            for (offset, byte) in whole.iter().enumerate() {
                for one in &first[usize::from(*byte)] {
                    let place = at + offset;
                    if !own.contains(&place) && one.is_at(&whole[offset..]) {
                        let name = line.split_whitespace().nth(5).unwrap_or("anonymous");
                        found.push(format!("{} at {place:x} ({name})", one.what));
                    }
                }
            }
            at += if length < chunk.len() {
                length
            } else {
                length - PIECE + 1
            };
        }
    }
    chunk.fill(0);
    found
}

/// Opens a file, does with it what every command does, and gives what was found meanwhile.
fn use_file(folder: &Path, format: Format, wanted: &[Wanted]) -> Vec<String> {
    let read = |name: &str| {
        let file = File::open(folder.join(name)).unwrap();
        sealctl::file::read_from(file, 1 << 20, Path::new(name)).unwrap()
    };
    let identities = parse_identities(&read("identity")).unwrap();
    let now = "2026-02-01T12:00:00Z".parse().unwrap();
    let sealed = Sealed::read(format, &read(&format.to_string())).unwrap();
    let key = sealed.data_key(&identities).unwrap();
    let opened = sealed.open(&key).unwrap();
    let seen = found(wanted);
    let text = opened.text();
    if format != Format::Binary {
        let json = opened.emit(Format::Json, Layout::default()).unwrap();
        format::parse(Format::Json, &json).unwrap();
    }
    let first = opened.tree().entries().next().unwrap().key.clone();
    if format != Format::Ini {
        let edit = Edit::Set {
            path: KeyPath::of([first.as_str()]),
            text: text.clone(),
        };
        drop(opened.change(&[edit], now).unwrap());
    }
    let mut changed = text.expose().to_vec();
    let place = changed.iter().rposition(|byte| *byte == b'a').unwrap();
    changed[place] = b'b';
    drop(opened.reseal(&Secret::new(changed), now).unwrap());
    let me = identities[0].recipient();
    drop(opened.rotate(&Readers::one_group(&[me]), now).unwrap());
    seen
}

fn search(folder: &Path) {
    let wanted = wanted(folder);
    assert_eq!(
        found(&wanted),
        Vec::<String>::new(),
        "before anything was opened"
    );
    for (format, _) in FILES {
        let seen = use_file(folder, format, &wanted);
        for what in [format!("{format}-key"), format!("{format}-1")] {
            let is_seen = seen.iter().any(|line| line.starts_with(&what));
            assert!(
                is_seen,
                "{what} is not found while it is open: the search is blind"
            );
        }
        let left = found(&wanted);
        assert!(left.is_empty(), "{format}: {left:#?}");
    }
    println!("searched");
}

#[test]
fn nothing_of_a_closed_file_stays_in_memory() {
    if let Some(folder) = std::env::var_os(FOLDER) {
        return search(Path::new(&folder));
    }
    let folder = tempfile::tempdir().unwrap();
    prepare(folder.path());
    let output = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", NAME, "--nocapture", "--test-threads=1"])
        .env(FOLDER, folder.path())
        .env("RUST_BACKTRACE", "0")
        .output()
        .unwrap();
    let said = [output.stdout, output.stderr].concat();
    let said = String::from_utf8_lossy(&said);
    assert!(
        output.status.success() && said.contains("searched"),
        "{said}"
    );
}
