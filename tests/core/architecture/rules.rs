//! The rules: layers, packages, words and sizes. What is checked stands in three tables; a new file of
//! a known room needs no change here, a new room needs one line.

use std::fmt;

use super::text::{Code, Kind, Named};

/// One breach, for people.
pub(super) struct Finding {
    path: String,
    line: usize,
    pub(super) what: String,
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "src/{}:{}: {}", self.path, self.line, self.what)
    }
}

/// Each room: its layer and, in words, the rooms that it may import beside itself. `a::b` names a part
/// of a room; a capital stands for the list of that name in [`LISTS`].
const ROOMS: &[(&str, u8, &str)] = &[
    // The words may build on each other (a digest key is a secret), on nothing else.
    ("clock", 0, "WORDS"),
    ("digest", 0, "WORDS"),
    ("name", 0, "WORDS"),
    ("reason", 0, "WORDS"),
    ("secret", 0, "WORDS"),
    ("vocabulary", 0, "WORDS"),
    ("crypto", 1, "WORDS"),
    ("format", 2, "WORDS tree"),
    ("tree", 2, "WORDS format"),
    ("sops", 3, "WORDS crypto tree format"),
    ("trust", 3, "WORDS crypto tree format sops"),
    ("env", 4, "WORDS tree"),
    ("resolve", 4, "WORDS crypto tree format sops trust env"),
    ("plan", 5, "WORDS env resolve"),
    ("cluster", 6, "BELOW telemetry::metrics"),
    ("file", 6, "BELOW telemetry::metrics"),
    ("keyring", 6, "BELOW telemetry::metrics file"),
    ("runner", 6, "BELOW telemetry::metrics file"),
    ("source", 6, "BELOW telemetry::metrics file"),
    ("telemetry", 6, "BELOW"),
    ("cli", 7, "BELOW EDGES"),
    ("daemon", 7, "BELOW EDGES"),
    ("bin", 8, "cli::main daemon::main"),
];
const LISTS: &[(&str, &str)] = &[
    ("WORDS", "clock digest name reason secret vocabulary"),
    (
        "BELOW",
        "WORDS crypto tree format sops trust env resolve plan",
    ),
    ("EDGES", "cluster file keyring runner source telemetry"),
    // Places.
    (
        "KUBERNETES",
        "cluster daemon cli/command/cluster* cli/command/render.rs cli/command/rbac.rs",
    ),
    ("FILES", "file keyring source"),
    ("OUTSIDE", "EDGES cli daemon bin"),
];

/// A package, or a part of std, and the places below `src/` that may use it: a room, a folder or file,
/// `*` at the end for all that begin so, `*/` at the front for a file of that name in any room.
const PLACES: &[(&str, &str)] = &[
    ("aes_gcm", "crypto"),
    ("age", "crypto"),
    ("age_core", "crypto"),
    ("chacha20poly1305", "crypto"),
    ("ml_kem", "crypto"),
    ("sha3", "crypto"),
    ("x25519_dalek", "crypto"),
    ("getrandom", "crypto/random.rs"),
    ("rand", "crypto/random.rs"),
    ("ssh_key", "trust"),
    ("yaml_edit", "format/yaml"),
    ("serde_saphyr", "format/yaml"),
    ("indicatif", "cli/ui/progress.rs"),
    ("clap", "cli */args.rs"),
    ("kube", "KUBERNETES"),
    ("k8s_openapi", "KUBERNETES"),
    ("notify", "source"),
    ("axum", "telemetry"),
    ("tokio", "OUTSIDE"),
    ("futures", "OUTSIDE"),
    ("rustix", "OUTSIDE"),
    ("tempfile", "OUTSIDE"),
    ("tracing", "OUTSIDE"),
    ("tracing_subscriber", "telemetry"),
    ("std::fs", "FILES"),
    ("tokio::fs", "FILES"),
    ("std::net", "OUTSIDE"),
    ("std::os", "OUTSIDE"),
    ("std::process", "OUTSIDE"),
    ("std::thread", "OUTSIDE"),
];

/// Packages that the words may use; every other dependency is refused there.
const SMALL: &str = "hmac jiff schemars secrecy serde sha2 subtle thiserror zeroize";

/// Ends of type names, and whole names of files, that say nothing.
const EMPTY_WORDS: &[&str] = &["Common", "Helper", "Helpers", "Manager", "Util", "Utils"];

/// Lines of a file without its tests, and of one function.
const LONGEST_FILE: usize = 500;
const LONGEST_FUNCTION: usize = 80;

/// The layer of a room.
pub(super) fn layer(room: &str) -> Option<u8> {
    ROOMS
        .iter()
        .find(|(name, ..)| *name == room)
        .map(|(_, layer, _)| *layer)
}

/// Everything that is wrong with the file at `path` (below `src/`).
pub(super) fn check(path: &str, text: &str) -> Vec<Finding> {
    let code = Code::read(path, text);
    let mut found = Found {
        path,
        findings: Vec::new(),
    };
    shape(&code, text, &mut found);
    functions(&code, &mut found);
    words(&code, &mut found);
    for named in code.paths() {
        imports(&named, &mut found);
        packages(&named, &mut found);
    }
    found.findings
}

struct Found<'a> {
    path: &'a str,
    findings: Vec<Finding>,
}

impl Found<'_> {
    fn add(&mut self, line: usize, what: String) {
        self.findings.push(Finding {
            path: self.path.to_owned(),
            line,
            what,
        });
    }

    fn room(&self) -> &str {
        self.path.split(['/', '.']).next().unwrap_or_default()
    }

    /// Modules between the crate's root and this file.
    fn module(&self) -> Vec<String> {
        let parts = self
            .path
            .trim_end_matches(".rs")
            .split('/')
            .map(str::to_owned);
        if self.path == "lib.rs" {
            Vec::new()
        } else {
            parts.collect()
        }
    }
}

fn shape(code: &Code, text: &str, found: &mut Found<'_>) {
    if text
        .lines()
        .next()
        .is_none_or(|line| line.strip_prefix("//! ").is_none_or(str::is_empty))
    {
        found.add(1, "opens without a line `//! what it is for`".into());
    }
    let lines = code.without_tests(text).lines().count();
    if lines > LONGEST_FILE {
        found.add(
            lines,
            format!("{lines} lines without tests; {LONGEST_FILE} at most"),
        );
    }
    let name = found.path.rsplit('/').next().unwrap_or_default();
    if name == "mod.rs" {
        found.add(1, "named mod.rs; write foo.rs beside foo/".into());
    }
    if EMPTY_WORDS
        .iter()
        .any(|word| name == format!("{}.rs", word.to_lowercase()))
    {
        found.add(1, format!("a file named {name} says nothing"));
    }
    if found.path != "lib.rs" && layer(found.room()).is_none() {
        found.add(
            1,
            format!("room `{}` has no layer in rules.rs", found.room()),
        );
    }
}

fn functions(code: &Code, found: &mut Found<'_>) {
    let tokens: Vec<_> = code.tokens().map(|(_, token)| token).collect();
    for (at, token) in tokens.iter().enumerate() {
        let Kind::Word(word) = &token.kind else {
            continue;
        };
        if word != "fn" {
            continue;
        }
        let mut depth = 0;
        for inner in &tokens[at..] {
            match inner.kind {
                Kind::Mark('{') => depth += 1,
                Kind::Mark('}') => depth -= 1,
                Kind::Mark(';') if depth == 0 => break,
                _ => continue,
            }
            if depth == 0 {
                let lines = inner.line + 1 - token.line;
                if lines > LONGEST_FUNCTION {
                    let said = format!("function of {lines} lines; {LONGEST_FUNCTION} at most");
                    found.add(token.line, said);
                }
                break;
            }
        }
    }
}

fn words(code: &Code, found: &mut Found<'_>) {
    let all = code.all();
    for (at, token) in code.tokens() {
        match &token.kind {
            Kind::Text(text) if text.contains("sealctl.dev") => {
                // The derive of the custom resource takes a literal only.
                let group = at >= 2 && all[at - 2].kind == Kind::Word("group".into());
                if found.path != "vocabulary.rs" && !(found.path == "cluster/crd.rs" && group) {
                    found.add(
                        token.line,
                        "spells sealctl.dev; use a word of vocabulary.rs".into(),
                    );
                }
            }
            Kind::Word(name) if at > 0 && declares(&all[at - 1].kind) && is_empty_word(name) => {
                found.add(token.line, format!("a type named {name} says nothing"));
            }
            _ => {}
        }
    }
}

fn is_empty_word(name: &str) -> bool {
    EMPTY_WORDS.iter().any(|word| name.ends_with(word))
}

fn declares(kind: &Kind) -> bool {
    matches!(kind, Kind::Word(word) if ["struct", "enum", "trait", "type"].contains(&word.as_str()))
}

/// Compares a path into our own crate with the table of rooms.
fn imports(named: &Named, found: &mut Found<'_>) {
    let Some(target) = target(named, found) else {
        return;
    };
    let room = found.room().to_owned();
    if found.path == "lib.rs" {
        return;
    }
    let Some(to) = target
        .first()
        .filter(|word| *word != "*" && *word != "self")
    else {
        found.add(named.line, "takes the whole crate; name the room".into());
        return;
    };
    let allowed = ROOMS
        .iter()
        .find(|(name, ..)| *name == room)
        .map_or("", |(.., to)| *to);
    let deep = target.get(1).map(|second| format!("{to}::{second}"));
    let fits = |entry: &&str| *entry == to.as_str() || deep.as_deref() == Some(*entry);
    if *to != room && !unfolded(allowed).iter().any(fits) {
        let place =
            |name: &str| layer(name).map_or("no layer".to_owned(), |n| format!("layer {n}"));
        let what = format!(
            "`{room}` ({}) may not import `{to}` ({})",
            place(&room),
            place(to)
        );
        found.add(named.line, what);
    }
}

/// The path from the crate's root, if it leads into our crate.
fn target(named: &Named, found: &Found<'_>) -> Option<Vec<String>> {
    let imported = named.words.first().is_some_and(|word| word == "use");
    let words = &named.words[usize::from(imported)..];
    let rest = words.get(1..).unwrap_or_default().to_vec();
    match words.first()?.as_str() {
        // `pub(crate)` is no path.
        "crate" if !imported && rest.is_empty() => None,
        "crate" => Some(rest),
        "sealctl" if found.room() == "bin" && (imported || !rest.is_empty()) => Some(rest),
        "super" => {
            let climbed = words.iter().take_while(|word| *word == "super").count();
            let out = climbed.saturating_sub(named.inside);
            let module = found.module();
            let kept = module.len().saturating_sub(out);
            Some([&module[..kept], &words[climbed..]].concat())
        }
        _ => None,
    }
    .filter(|path| !path.is_empty() || imported)
}

/// Compares a path into a package with the table of places.
fn packages(named: &Named, found: &mut Found<'_>) {
    let imported = named.words.first().is_some_and(|word| word == "use");
    let words = &named.words[usize::from(imported)..];
    // A single word in code is a variable or a macro of ours, not a package.
    if !imported && words.len() < 2 {
        return;
    }
    let Some(package) = words.first() else { return };
    if matches!(package.as_str(), "crate" | "self" | "super" | "Self") {
        return;
    }
    let deep = words.get(1).map(|second| format!("{package}::{second}"));
    for (name, places) in PLACES {
        let used = *name == package.as_str() || deep.as_deref() == Some(*name);
        if used
            && !unfolded(places)
                .iter()
                .any(|place| is_at(found.path, place))
        {
            found.add(named.line, format!("`{name}` may not be used here"));
        }
    }
    if layer(found.room()) == Some(0)
        && is_package(package)
        && !SMALL.split(' ').any(|small| small == package)
    {
        found.add(
            named.line,
            format!("the words use small packages only, not `{package}`"),
        );
    }
}

fn is_at(path: &str, place: &str) -> bool {
    if let Some(file) = place.strip_prefix("*/") {
        return path.split_once('/').is_some_and(|(_, rest)| rest == file);
    }
    if let Some(beginning) = place.strip_suffix('*') {
        return path.starts_with(beginning);
    }
    path == place
        || path
            .strip_prefix(place)
            .is_some_and(|rest| rest.starts_with(['/', '.']))
}

/// The words of a list, the lists that it names taken in.
fn unfolded(list: &'static str) -> Vec<&'static str> {
    let inner = |word| {
        LISTS
            .iter()
            .find(|(name, _)| *name == word)
            .map(|(_, list)| *list)
    };
    list.split(' ')
        .flat_map(|word| inner(word).map_or(vec![word], unfolded))
        .collect()
}

/// Whether Cargo.toml lists it.
fn is_package(name: &str) -> bool {
    let manifest = include_str!("../../../Cargo.toml");
    manifest.lines().any(|line| {
        line.split_once(" = ")
            .is_some_and(|(key, _)| key.replace('-', "_") == name)
    })
}
