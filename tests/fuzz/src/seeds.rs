//! What the search starts from: the files of `tests/vectors`, cut and marked as each target wants them, and
//! the inputs that once broke a promise (`regressions/<target>/`).

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

/// Longest seed; longer ones make mutations slow.
const LONGEST: usize = 16 * 1024;

/// The seeds of `target`, each once, in an order that does not change.
///
/// # Panics
/// When the files of the project cannot be read.
#[must_use]
pub fn seeds(target: &str) -> Vec<Vec<u8>> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    // This code is compiled for two packages: the project, and the one in tests/fuzz.
    let root = match root.ends_with("tests/fuzz") {
        true => root.join("../.."),
        false => root.to_owned(),
    };
    let mut found: BTreeSet<Vec<u8>> = BTreeSet::new();
    for path in files(&root.join("tests/vectors")) {
        let content = fs::read(&path).expect("a file of the vectors");
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        found.extend(cut(target, &name, &content));
    }
    found.retain(|seed| seed.len() <= LONGEST);
    let regressions = files(&root.join("tests/fuzz/regressions").join(target));
    found.extend(
        regressions
            .iter()
            .map(|path| fs::read(path).expect("a regression")),
    );
    found.into_iter().collect()
}

/// The files below `folder`; none when it is not there.
fn files(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).into_iter().flatten() {
            let path = entry.expect("an entry of a folder").path();
            match path.is_dir() {
                true => folders.push(path),
                false => found.push(path),
            }
        }
    }
    found.sort();
    found
}

/// What `target` takes from a file: nothing, all of it, or parts.
fn cut(target: &str, name: &str, content: &[u8]) -> Vec<Vec<u8>> {
    let ending = name.rsplit('.').next().unwrap_or_default();
    let is_sealed = contains(content, "ENC[AES256_GCM") || contains(content, "lastmodified");
    let letter = match ending {
        "yaml" | "yml" => b'y',
        "json" => b'j',
        "env" => b'd',
        "ini" => b'i',
        _ => b'b',
    };
    let whole = |wanted: bool| Vec::from_iter(wanted.then(|| content.to_vec()));
    let marked = |marks: &[u8]| vec![[marks, content].concat()];
    match target {
        "yaml" => whole(letter == b'y'),
        "json" => whole(letter == b'j' || name.ends_with(".json.as")),
        "dotenv" => whole(letter == b'd'),
        "ini" => whole(letter == b'i'),
        "sops_yaml" => whole(letter == b'y' && contains(content, "creation_rules")),
        "open" | "metadata" if is_sealed => marked(&[letter]),
        "seal" if !is_sealed => {
            let rule = b'0' + u8::try_from(content.len() % 10).unwrap_or_default();
            marked(&[letter, rule])
        }
        "encrypted_value" if is_sealed => tokens(content),
        "encrypted_value" if letter == b'y' => scalars(content),
        "age_header" if is_key_file(content) => whole(true),
        "age_header" => armored(content),
        _ => Vec::new(),
    }
}

fn contains(content: &[u8], word: &str) -> bool {
    content
        .windows(word.len())
        .any(|each| each == word.as_bytes())
}

fn is_key_file(content: &[u8]) -> bool {
    let signs = [
        "AGE-SECRET-KEY-",
        "OPENSSH PRIVATE KEY",
        "PRIVATE KEY-----",
        "ssh-",
        "age1",
    ];
    content.len() < 4000
        && !contains(content, "sops")
        && signs.iter().any(|sign| contains(content, sign))
}

/// The first three encrypted values of a file, and one as plaintext to be encrypted.
fn tokens(content: &[u8]) -> Vec<Vec<u8>> {
    let text = String::from_utf8_lossy(content);
    let parts = text
        .split("ENC[")
        .skip(1)
        .filter_map(|part| part.split(']').next());
    let tokens = parts
        .take(3)
        .map(|part| format!("ENC[{part}]").into_bytes());
    let mut found: Vec<Vec<u8>> = tokens.collect();
    let plain = |mark: u8| [&[mark, 3, 2], &content[..content.len().min(40)]].concat();
    found.extend([plain(b'r'), plain(b's')]);
    found
}

/// The values of plain lines.
fn scalars(content: &[u8]) -> Vec<Vec<u8>> {
    let text = String::from_utf8_lossy(content);
    let values = text.lines().filter_map(|line| line.split_once(": "));
    values
        .filter(|(_, value)| value.len() < 40)
        .map(|(_, value)| value.as_bytes().to_vec())
        .collect()
}

/// The first wrapped key of a file.
fn armored(content: &[u8]) -> Vec<Vec<u8>> {
    const END: &str = "-----END AGE ENCRYPTED FILE-----";
    let text = String::from_utf8_lossy(content).replace("\\n", "\n");
    let Some(start) = text.find("-----BEGIN AGE") else {
        return Vec::new();
    };
    let Some((armor, _)) = text[start..].split_once(END) else {
        return Vec::new();
    };
    let lines: Vec<&str> = armor.lines().map(str::trim).collect();
    vec![format!("{}\n{END}\n", lines.join("\n").trim_end()).into_bytes()]
}
