//! Files that SOPS 3.13.3 sealed, and what it says to them: the shared vectors for YAML, read as an
//! environment document is.
//!
//! `tests/vectors/cases.json` lists cases with their steps; each step is a command line of SOPS with its
//! exit code and output. What the library offers is judged; every step that needs more (another
//! format, a flag of the drop-in command line) is printed with the reason. A case in [`LATER`] must
//! still fail, so that the list stays true.

#![expect(
    clippy::disallowed_methods,
    reason = "tests read fixtures and write scratch files"
)]

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use sealctl::crypto::{Recipient, parse_identities};
use sealctl::format::{Format, scalar, yaml};
use sealctl::secret::Secret;
use sealctl::sops::{OpenError, Opened, Rule, Sealed, seal};
use sealctl::tree::{Comment, Kind, Leaf, ListItem, Map, MapItem, Node};
use serde_json::Value;

/// The groups of cases that are about what a YAML file is. All of them run on the program itself, too, in
/// `tests/cli/vectors.rs`.
const GROUPS: [&str; 7] = [
    "comments/",
    "handmade/",
    "keys/",
    "refuse/",
    "rules/",
    "tamper/",
    "yaml/",
];
/// Cases whose YAML is refused on purpose until the drop-in command line reads whatever SOPS reads.
const LATER: &[(&str, &str)] = &[
    (
        "yaml/strings",
        "a line separator (U+2028) in single quotes breaks a line in YAML 1.1 only",
    ),
    ("yaml/look-alikes", "tags (the text << is printed with one)"),
    ("yaml/tags", "bytes that are not UTF-8, and tags"),
    ("yaml/keys", "keys of several lines"),
    ("yaml/merge", "merge keys"),
    ("yaml/merge-list-open", "merge keys"),
    ("yaml/documents", "several documents"),
    ("yaml/documents-empty", "several documents"),
    ("yaml/duplicates-later", "several documents"),
    ("comments/documents", "several documents"),
    (
        "rules/invalid-regex",
        "a pattern that is none matches nothing in the drop-in",
    ),
    (
        "rules/comment-flag",
        "which flags exist is for the drop-in to say",
    ),
    (
        "rules/two",
        "which flags exclude each other is for the drop-in to say",
    ),
    (
        "refuse/empty",
        "the library seals an empty document, the drop-in refuses it",
    ),
    (
        "refuse/only-comments",
        "the library seals an empty document, the drop-in refuses it",
    ),
    ("keys/ssh", "SSH identities"),
    ("keys/sources", "where identities come from"),
    (
        "tamper/type-comment",
        "refused at the value, in SOPS at the MAC",
    ),
    ("tamper/documents-other-block", "several documents"),
    ("handmade/str-not-utf8", "bytes that are not UTF-8"),
    ("handmade/anchors", "anchors and aliases"),
];

#[test]
fn the_shared_vectors_for_yaml_hold() {
    run(None);
}

/// Runs every case; with `reference`, the program SOPS, also the steps that belong to it.
pub(crate) fn run(reference: Option<&Path>) {
    let cases: Value = serde_json::from_str(&text("cases.json")).unwrap();
    let mut report = Report::default();
    for case in cases["cases"].as_array().unwrap() {
        let name = case["name"].as_str().unwrap();
        if !GROUPS.iter().any(|group| name.starts_with(group)) {
            continue;
        }
        let mut run = Run::new(case, reference);
        run.all();
        report.add(&run);
    }
    report.finish();
}

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/vectors")
}

fn text(path: &str) -> String {
    fs::read_to_string(folder().join(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

#[derive(Default)]
struct Report {
    judged: usize,
    skipped: BTreeMap<&'static str, usize>,
    wrong: Vec<String>,
}

impl Report {
    fn add(&mut self, run: &Run<'_>) {
        self.judged += run.judged;
        for reason in &run.skipped {
            *self.skipped.entry(reason).or_default() += 1;
        }
        let later = LATER.iter().find(|(name, _)| *name == run.name);
        match later {
            Some((name, why)) if run.wrong.is_empty() => {
                self.wrong
                    .push(format!("{name} holds by now; take it off the list ({why})"));
            }
            Some((name, why)) => println!("later: {name}: {why}"),
            None => self.wrong.extend(run.wrong.iter().cloned()),
        }
    }

    fn finish(&self) {
        println!("{} steps judged", self.judged);
        for (reason, count) in &self.skipped {
            println!("later: {count} steps: {reason}");
        }
        assert!(self.wrong.is_empty(), "{}", self.wrong.join("\n"));
    }
}

/// One case.
struct Run<'a> {
    name: &'a str,
    case: &'a Value,
    reference: Option<&'a Path>,
    /// Files that steps have written.
    files: BTreeMap<String, Vec<u8>>,
    judged: usize,
    skipped: Vec<&'static str>,
    wrong: Vec<String>,
}

/// What came out of a step: bytes, or the exit code that SOPS would give.
type Done = Result<Secret, i64>;

impl<'a> Run<'a> {
    fn new(case: &'a Value, reference: Option<&'a Path>) -> Self {
        let name = case["name"].as_str().unwrap();
        let (files, judged) = (BTreeMap::new(), 0);
        Self {
            name,
            case,
            reference,
            files,
            judged,
            skipped: Vec::new(),
            wrong: Vec::new(),
        }
    }

    fn all(&mut self) {
        for step in self.case["steps"].as_array().unwrap() {
            let arguments: Vec<&str> = step["args"]
                .as_array()
                .unwrap()
                .iter()
                .map(|each| each.as_str().unwrap())
                .collect();
            if step.get("free").is_some() {
                continue;
            }
            match self.step(step, &arguments) {
                Ok(done) => self.judge(step, &arguments, &done),
                Err(reason) => self.skipped.push(reason),
            }
        }
    }

    fn step(&self, step: &Value, arguments: &[&str]) -> Result<Done, &'static str> {
        let by_reference = step["by"].as_str() == Some("reference");
        match (by_reference, self.reference) {
            (true, Some(program)) => self.call(program, step, arguments),
            (true, None) => Err("belong to the real sops (make test runs them)"),
            (false, _) => self.own(step, arguments),
        }
    }

    fn own(&self, step: &Value, arguments: &[&str]) -> Result<Done, &'static str> {
        if step
            .get("env")
            .is_some_and(|env| env.get("SOPS_AGE_KEY_FILE").is_none())
        {
            return Err("identities from other places than a key file");
        }
        match *arguments {
            ["decrypt", file] if file.ends_with(".yaml") => Ok(self.decrypt(step, file)?),
            ["decrypt", "--output-type", ..] => Err("another output format"),
            ["decrypt", "--ignore-mac", ..] => Err("--ignore-mac of the drop-in"),
            ["encrypt", ..] => self.encrypt(arguments),
            _ => Err("other commands of the drop-in"),
        }
    }

    fn file(&self, name: &str) -> Result<Vec<u8>, &'static str> {
        if let Some(written) = self.files.get(name) {
            return Ok(written.clone());
        }
        fs::read(folder().join(self.name).join(name))
            .map_err(|_| "need the output of a step left out")
    }

    fn key_file(&self, step: &Value) -> Option<String> {
        match step.get("env").and_then(|env| env.get("SOPS_AGE_KEY_FILE")) {
            Some(file) => file.as_str().map(|file| file.replace("{keys}/", "")),
            None => self.case["key"].as_str().map(str::to_owned),
        }
    }

    fn decrypt(&self, step: &Value, file: &str) -> Result<Done, &'static str> {
        let Ok(sealed) = Sealed::parse(Format::Yaml, &Secret::new(self.file(file)?)) else {
            return Ok(Err(1));
        };
        let identities = match self.key_file(step) {
            Some(file) if !folder().join("keys").join(&file).exists() => {
                return Err("identities of other kinds than X25519");
            }
            Some(file) => parse_identities(&Secret::from_text(&text(&format!("keys/{file}"))))
                .map_err(|_| "identities of other kinds than X25519")?,
            None => Vec::new(),
        };
        let Ok(key) = sealed.data_key(&identities) else {
            return Ok(Err(128));
        };
        Ok(match sealed.open(&key) {
            Ok(opened) => Ok(Opened::text(&opened)),
            Err(OpenError::Mac(_)) => Err(51),
            Err(OpenError::Value { .. } | OpenError::PlainLeaf { .. }) => Err(25),
        })
    }

    fn encrypt(&self, arguments: &[&str]) -> Result<Done, &'static str> {
        let (mut recipients, mut rule) = (Vec::new(), Ok(Rule::fallback()));
        let mut rest = arguments[1..].iter();
        let mut file = None;
        while let Some(word) = rest.next() {
            match word.strip_prefix("--") {
                Some("age") => {
                    for recipient in rest
                        .next()
                        .unwrap()
                        .split(',')
                        .filter(|each| !each.is_empty())
                    {
                        recipients.push(recipient.parse::<Recipient>());
                    }
                }
                Some(flag) => {
                    let name = flag.replace('-', "_");
                    rule = Rule::named(&name, rest.next().unwrap())
                        .ok_or("other flags of the drop-in")?;
                }
                None => file = Some(*word),
            }
        }
        let Some(file) = file.filter(|file| file.ends_with(".yaml")) else {
            return Err("another format");
        };
        let plain = Secret::new(self.file(file)?);
        let Ok(recipients) = recipients.into_iter().collect::<Result<Vec<_>, _>>() else {
            return if arguments
                .iter()
                .any(|each| each.contains("age1pq") || each.contains("ssh-"))
            {
                Err("recipients of other kinds than X25519")
            } else {
                Ok(Err(1))
            };
        };
        let Ok(rule) = rule else {
            return Ok(Err(1));
        };
        let sealed = seal(
            Format::Yaml,
            &plain,
            &recipients,
            &rule,
            jiff::Timestamp::UNIX_EPOCH,
        );
        Ok(match sealed {
            Ok(draft) => Ok(draft.sealed.text().clone()),
            // Which of its codes SOPS gives to a file that it refuses is for the drop-in to say.
            Err(_) => Err(0),
        })
    }

    fn call(&self, program: &Path, step: &Value, arguments: &[&str]) -> Result<Done, &'static str> {
        let scratch = tempfile::tempdir().unwrap();
        let ["decrypt", file] = *arguments else {
            return Err("other commands of the reference");
        };
        fs::write(scratch.path().join(file), self.file(file)?).unwrap();
        let key = self
            .key_file(step)
            .map(|file| folder().join("keys").join(file));
        if !key.as_ref().is_some_and(|key| key.exists()) {
            return Err("identities of other kinds than X25519");
        }
        let output = Command::new(program)
            .args(arguments)
            .current_dir(scratch.path())
            .env_clear()
            .env("HOME", scratch.path())
            .env("SOPS_AGE_KEY_FILE", key.unwrap())
            .output()
            .unwrap();
        let code = i64::from(output.status.code().unwrap_or(-1));
        Ok(if code == 0 {
            Ok(Secret::new(output.stdout))
        } else {
            Err(code)
        })
    }

    fn judge(&mut self, step: &Value, arguments: &[&str], done: &Done) {
        self.judged += 1;
        let label = format!(
            "{}: {} {}",
            self.name,
            step["by"].as_str().unwrap_or("sealctl"),
            arguments.join(" ")
        );
        let expected = step["exit"].as_i64().unwrap();
        match done {
            Err(_) if step.get("panic").is_some() => {}
            Err(0) if expected != 0 => {}
            Err(code) if *code == expected => {}
            Err(code) => self
                .wrong
                .push(format!("{label}: exit {code} instead of {expected}")),
            Ok(_) if expected != 0 => self
                .wrong
                .push(format!("{label}: passes instead of exit {expected}")),
            Ok(output) => {
                if let Some(file) = step["save"].as_str() {
                    self.files.insert(file.to_owned(), output.expose().to_vec());
                }
                if let Some(file) = step["stdout"]["file"].as_str() {
                    let want = text(&format!("{}/{file}", self.name));
                    if let Err(difference) = compare(output.expose_text().unwrap(), &want) {
                        self.wrong.push(format!("{label}: {difference}"));
                    }
                }
            }
        }
    }
}

/// Compares two YAML texts: keys, order, types, values; and their comments in order.
fn compare(got: &str, want: &str) -> Result<(), String> {
    let read = |text: &str| yaml::parse(text).map_err(|error| format!("{error} in\n{text}"));
    let (got_parts, want_parts) = (Parts::of(&read(got)?), Parts::of(&read(want)?));
    if got_parts == want_parts {
        return Ok(());
    }
    Err(format!("got\n{got}\nwant\n{want}"))
}

#[derive(Default, PartialEq, Eq)]
struct Parts {
    values: Vec<String>,
    comments: Vec<String>,
}

impl Parts {
    fn of(map: &Map) -> Self {
        let mut parts = Self::default();
        parts.map(map, "");
        parts
    }

    fn map(&mut self, map: &Map, path: &str) {
        for item in &map.items {
            match item {
                MapItem::Comment(comment) => self.comment(comment),
                MapItem::Entry(entry) => self.node(&entry.value, &format!("{path}/{}", entry.key)),
            }
        }
    }

    fn comment(&mut self, comment: &Comment) {
        self.comments
            .push(comment.text.expose_text().unwrap().to_owned());
    }

    fn node(&mut self, node: &Node, path: &str) {
        match node {
            Node::Map(map) => {
                self.values.push(format!("{path} map"));
                self.map(map, path);
            }
            Node::List(list) => {
                self.values.push(format!("{path} list"));
                for item in &list.items {
                    match item {
                        ListItem::Comment(comment) => self.comment(comment),
                        ListItem::Node(node) => self.node(node, &format!("{path}/-")),
                    }
                }
            }
            Node::Leaf(leaf) => self.values.push(format!("{path} {}", typed(leaf))),
        }
    }
}

/// Type and normal form; SOPS prints a float without a fraction as a whole number.
fn typed(leaf: &Leaf) -> String {
    let plain = leaf.text.expose_text().unwrap();
    let normal = scalar::normal_form(leaf.kind, plain).unwrap();
    match leaf.kind {
        Kind::Int | Kind::Float => format!("number {normal}"),
        kind => format!("{kind:?} {normal}"),
    }
}

/// The texts of all YAML vectors.
fn corpus() -> Vec<(PathBuf, String)> {
    let (mut folders, mut texts) = (vec![folder()], Vec::new());
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if path
                .extension()
                .is_some_and(|extension| extension == "yaml")
            {
                texts.extend(fs::read_to_string(&path).ok().map(|text| (path, text)));
            }
        }
    }
    texts
}

#[test]
fn an_independent_reader_sees_the_same_texts() {
    let mut agreed = 0;
    // Without a line break at the end, readers differ on whether a block text ends in one.
    for (path, text) in corpus()
        .into_iter()
        .filter(|(_, text)| text.ends_with('\n'))
    {
        let options = serde_saphyr::options! { with_snippet: false, strict_booleans: true };
        let Ok(map) = yaml::parse(&text) else {
            continue;
        };
        let other: Value = match serde_saphyr::from_str_with_options(&text, options) {
            Ok(other) => other,
            Err(error) => {
                println!(
                    "not compared, the other reader refuses it: {}: {error}",
                    path.display()
                );
                continue;
            }
        };
        agree(&Node::Map(map), &other, &path);
        agreed += 1;
    }
    println!("{agreed} files compared");
    assert!(agreed > 200);
}

/// Same keys in the same order, same lists, same texts. Other types are for go-yaml to say.
fn agree(ours: &Node, other: &Value, path: &Path) {
    match (ours, other) {
        (Node::Map(map), Value::Object(object)) => {
            let keys: Vec<&String> = map.entries().map(|entry| &entry.key).collect();
            assert_eq!(
                keys,
                object.keys().collect::<Vec<_>>(),
                "{}",
                path.display()
            );
            map.entries()
                .zip(object.values())
                .for_each(|(entry, other)| agree(&entry.value, other, path));
        }
        (Node::List(list), Value::Array(items)) => {
            assert_eq!(list.nodes().count(), items.len(), "{}", path.display());
            list.nodes()
                .zip(items)
                .for_each(|(node, other)| agree(node, other, path));
        }
        (Node::Leaf(leaf), Value::String(other)) if leaf.kind == Kind::Text => {
            assert_eq!(
                leaf.text.expose_text(),
                Some(other.as_str()),
                "{}",
                path.display()
            );
        }
        (Node::Leaf(leaf), other) => {
            let nothing = leaf.kind == Kind::Null;
            assert!(
                other.is_null() == nothing || leaf.kind != Kind::Text,
                "{}: {other}",
                path.display()
            );
        }
        (Node::Map(map), Value::Null) if map.entries().next().is_none() => {}
        _ => panic!("{}: the structures differ", path.display()),
    }
}
