//! Random documents, sealed by the real SOPS and opened here, and the other way round: the same tree, the
//! same comments at the same places, the MAC right.
//!
//! `SEALCTL_DIFFERENTIAL=20000` asks for as many documents, `SEALCTL_DIFFERENTIAL_SEED=7` for other ones.
//! They go to SOPS in batches. Left out is what SOPS loses or cannot read back itself: in YAML text of several
//! lines that begins with a tab or (in a list) with a blank, the negative zero, an empty comment in a list;
//! in INI texts with the quotes that SOPS would put around them.
#![expect(
    clippy::disallowed_methods,
    reason = "a test that writes scratch files and runs a program"
)]

use std::fs;
use std::path::PathBuf;
use std::process::Command;

use sealctl::crypto::{Identity, mac::Coverage};
use sealctl::format::{self, Format, Layout, binary, scalar, yaml};
use sealctl::secret::Secret;
use sealctl::sops::{self, Readers, Rule, Sealed, Terms};
use sealctl::tree::{
    Comment, Entry, Kind, Leaf, List, ListItem, Map, MapItem, Node, Position, Span, Style,
};

use crate::random::Random;
use crate::real_sops::sops;

/// Documents of one file.
const BATCH: usize = 40;
/// Formats of the batches, one after the other.
const FORMATS: [Format; 8] = [
    Format::Yaml,
    Format::Json,
    Format::Yaml,
    Format::Dotenv,
    Format::Yaml,
    Format::Ini,
    Format::Yaml,
    Format::Binary,
];

#[test]
#[ignore = "needs the real sops: make test"]
fn the_real_sops_and_we_open_what_the_other_sealed_to_the_same_tree() {
    let number = |name: &str, usual: usize| {
        std::env::var(name).map_or(usual, |text| text.parse().expect("a number"))
    };
    let wanted = number("SEALCTL_DIFFERENTIAL", 2_000);
    let seed = number("SEALCTL_DIFFERENTIAL_SEED", 1) as u64;
    let both = Both::new();
    let mut compared = 0;
    let mut batch = 0;
    while compared < wanted {
        let format = FORMATS[batch % FORMATS.len()];
        let mut random = Random(seed.wrapping_mul(1_000_003) + batch as u64);
        let documents: Vec<Map> = (0..BATCH).map(|_| document(&mut random, format)).collect();
        if let Err(wrong) = both.agree(format, &documents) {
            // Which of them it is.
            for (place, one) in documents.iter().enumerate() {
                if let Err(wrong) = both.agree(format, std::slice::from_ref(one)) {
                    panic!("{format}, seed {seed}, batch {batch}, document {place}: {wrong}");
                }
            }
            panic!("{format}, seed {seed}, batch {batch}, only together: {wrong}");
        }
        compared += BATCH;
        batch += 1;
    }
    println!("{compared} documents compared, both ways");
}

struct Both {
    folder: tempfile::TempDir,
    me: Identity,
    sops: PathBuf,
}

impl Both {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let me = Identity::generate();
        fs::write(folder.path().join("identity"), me.text().expose()).unwrap();
        let sops = sops();
        Self { folder, me, sops }
    }

    /// `documents` in one file, sealed by either and opened by the other.
    fn agree(&self, format: Format, documents: &[Map]) -> Result<(), String> {
        let documents = gathered(format, documents);
        let plain = format::emit(format, &documents, Layout::default())
            .map_err(|error| format!("not printed: {error}"))?;
        // Where a comment belongs is what a reader of the text says.
        let expected = shape(&parse(format, &plain)?);
        let values = |shape: Vec<String>| -> Vec<String> {
            shape
                .into_iter()
                .filter(|one| !one.contains(" # "))
                .collect()
        };
        let shown = || plain.expose_text().unwrap_or("bytes").to_owned();
        let same = |whose: &str, found: &[Map]| {
            let found = shape(found);
            let different = expected.iter().zip(&found).find(|(one, two)| one != two);
            match different {
                Some((one, two)) => Err(format!("{whose}: {one} became {two} in\n{}", shown())),
                None if expected.len() != found.len() => {
                    let (many, few) = (expected.len(), found.len());
                    Err(format!(
                        "{whose}: {few} things instead of {many} in\n{}",
                        shown()
                    ))
                }
                None => Ok(()),
            }
        };
        if values(expected.clone()) != values(shape(&documents)) {
            return Err(format!(
                "what was printed holds something else:\n{}",
                shown()
            ));
        }

        let ending = match format {
            Format::Dotenv => "env",
            other => other.word(),
        };
        let name = format!("file.{ending}");
        fs::write(self.folder.path().join(&name), plain.expose()).unwrap();
        let recipient = self.me.recipient().to_string();
        let sealed = self.run(&["encrypt", "--age", &recipient, &name])?;
        let sealed =
            Sealed::read(format, &sealed).map_err(|error| format!("sealed by sops: {error}"))?;
        let key = sealed.data_key(std::slice::from_ref(&self.me)).unwrap();
        let opened = sealed
            .open(&key)
            .map_err(|error| format!("sealed by sops: {error}\n{}", shown()))?;
        same("sealed by sops", opened.documents())?;

        let terms = Terms {
            rule: Rule::fallback(),
            coverage: Coverage::All,
            layout: Layout::default(),
        };
        let readers = Readers::one_group(&[self.me.recipient()]);
        let now = "2026-11-21T09:30:00Z".parse().unwrap();
        let draft = sops::seal_for(format, &plain, &readers, &terms, now)
            .map_err(|error| format!("{error}\n{}", shown()))?;
        fs::write(self.folder.path().join(&name), draft.sealed.text().expose()).unwrap();
        let opened = self
            .run(&["decrypt", &name])
            .map_err(|error| format!("{error}\n{}", shown()))?;
        same("opened by sops", &parse(format, &opened)?)
    }

    fn run(&self, arguments: &[&str]) -> Result<Secret, String> {
        let output = Command::new(&self.sops)
            .args(arguments)
            .current_dir(self.folder.path())
            .env_clear()
            .env("SOPS_AGE_KEY_FILE", self.folder.path().join("identity"))
            .env("SOPS_DISABLE_VERSION_CHECK", "1")
            .output()
            .unwrap();
        if !output.status.success() {
            let said = String::from_utf8_lossy(&output.stderr).into_owned();
            return Err(format!("sops {}: {said}", arguments[0]));
        }
        Ok(Secret::new(output.stdout))
    }
}

fn parse(format: Format, text: &Secret) -> Result<Vec<Map>, String> {
    let wrong = |error| {
        format!(
            "not read: {error}\n{}",
            text.expose_text().unwrap_or("bytes")
        )
    };
    match format {
        Format::Yaml => Ok(yaml::parse_sops(text).map_err(wrong)?.documents),
        _ => format::parse(format, text).map_err(wrong),
    }
}

/// Many documents in one file: as documents of YAML, as sections of INI, else as entries of one. Of binary
/// ones only the first.
fn gathered(format: Format, documents: &[Map]) -> Vec<Map> {
    match format {
        Format::Yaml => documents.to_vec(),
        Format::Json | Format::Ini => {
            let numbered =
                |(place, map): (usize, &Map)| entry(&format!("d{place}"), Node::Map(map.clone()));
            let entries = documents.iter().enumerate().map(numbered);
            // INI always has this section.
            let default = || entry("DEFAULT", Node::Map(Map::default()));
            let default = (format == Format::Ini).then(default);
            vec![Map {
                items: default.into_iter().chain(entries).collect(),
                ..Map::default()
            }]
        }
        Format::Binary => documents[..1].to_vec(),
        Format::Dotenv => vec![Map {
            items: documents.iter().flat_map(|map| map.items.clone()).collect(),
            ..Map::default()
        }],
    }
}

// --- what is compared -------------------------------------------------------------------------------

/// Every value, comment, map and list with its path, in file order. A comment has the place of what
/// follows it.
fn shape(documents: &[Map]) -> Vec<String> {
    let mut found = Vec::new();
    for (place, map) in documents.iter().enumerate() {
        shape_of_map(map, &format!("{place}"), &mut found);
    }
    found
}

fn shape_of_map(map: &Map, path: &str, found: &mut Vec<String>) {
    found.push(format!("{path} map"));
    for item in &map.items {
        match item {
            MapItem::Comment(comment) => found.push(format!("{path} # {:?}", words(&comment.text))),
            MapItem::Entry(entry) => {
                shape_of(&entry.value, &format!("{path}/{:?}", entry.key), found);
            }
        }
    }
}

fn shape_of(node: &Node, path: &str, found: &mut Vec<String>) {
    match node {
        Node::Map(map) => shape_of_map(map, path, found),
        Node::List(list) => {
            found.push(format!("{path} list"));
            for item in &list.items {
                match item {
                    ListItem::Comment(comment) => {
                        found.push(format!("{path}/- # {:?}", words(&comment.text)));
                    }
                    ListItem::Node(node) => shape_of(node, &format!("{path}/-"), found),
                }
            }
        }
        Node::Leaf(leaf) => found.push(format!("{path} {}", shape_of_leaf(leaf))),
    }
}

/// Type and value. A float without fraction loses its point in SOPS, and so its type.
fn shape_of_leaf(leaf: &Leaf) -> String {
    let text = words(&leaf.text);
    let normal = if leaf.sealed {
        None
    } else {
        scalar::normal_form(leaf.kind, &text)
    };
    let normal = normal.unwrap_or(text);
    match leaf.kind {
        Kind::Null => "null".to_owned(),
        Kind::Int | Kind::Float => format!("number {normal}"),
        Kind::Bool => format!("bool {}", normal.to_ascii_lowercase()),
        Kind::Time => format!("time {normal}"),
        Kind::Text => format!("text {normal:?}"),
    }
}

fn words(text: &Secret) -> String {
    text.expose_text().unwrap_or("not UTF-8").to_owned()
}

// --- what is made -----------------------------------------------------------------------------------

fn document(random: &mut Random, format: Format) -> Map {
    match format {
        Format::Dotenv => flat(random),
        Format::Ini => section(random),
        Format::Binary => binary::tree(Secret::from_text(&text(random))),
        Format::Yaml | Format::Json => map(random, format, 0, false),
    }
}

/// In INI a comment belongs to the key before it in the tree, or to the section.
fn section(random: &mut Random) -> Map {
    let mut items = Vec::new();
    if random.one_in(4) {
        items.push(MapItem::Comment(comment_of_ini(random)));
    }
    for place in 0..=random.below(4) {
        let keys = ["key", "a b", "ä", "x.y", "1", "%", "日本"];
        let key = format!("{}{place}", random.of(&keys));
        let text = text(random).replace(['`', '"', '\'', '\\', '\r'], "");
        items.push(entry(&key, leaf(Kind::Text, &text)));
        if random.one_in(4) {
            items.push(MapItem::Comment(comment_of_ini(random)));
        }
    }
    Map {
        items,
        ..Map::default()
    }
}

fn comment_of_ini(random: &mut Random) -> Comment {
    let words = [
        "a note",
        "TODO: later",
        "ünï ☃",
        "key = value",
        "[section]",
        "a ; b",
    ];
    Comment {
        text: Secret::from_text(random.of(&words)),
        ..comment(random)
    }
}

fn flat(random: &mut Random) -> Map {
    let mut items = Vec::new();
    for _ in 0..=random.below(4) {
        if random.one_in(4) {
            items.push(MapItem::Comment(comment(random)));
        }
        let key = format!("KEY_{}", random.next());
        // A backslash cannot be told from the beginning of a line break.
        let text: String = text(random).replace(['\\', '\r'], "");
        items.push(entry(&key, leaf(Kind::Text, &text)));
    }
    Map {
        items,
        ..Map::default()
    }
}

/// A comment at the beginning of a map or list that is an item moves when SOPS prints it.
fn map(random: &mut Random, format: Format, depth: usize, is_item: bool) -> Map {
    let mut items = Vec::new();
    for place in 0..=random.below(5) {
        if format == Format::Yaml && !(is_item && place == 0) && random.one_in(4) {
            items.push(MapItem::Comment(comment(random)));
        }
        // Of equal names only the first would be compared.
        let key = format!("{}{place}", key(random));
        items.push(entry(&key, node(random, format, depth + 1, false)));
    }
    Map {
        items,
        ..Map::default()
    }
}

fn node(random: &mut Random, format: Format, depth: usize, is_item: bool) -> Node {
    if depth < 4 && random.one_in(4) {
        return Node::Map(map(random, format, depth, is_item));
    }
    if depth < 4 && random.one_in(4) {
        let mut items = Vec::new();
        for _ in 0..random.below(5) {
            let item = node(random, format, depth + 1, true);
            // Above a map or list in a list, SOPS moves comments when it prints.
            let is_scalar = matches!(item, Node::Leaf(_));
            let stays = is_scalar && !(is_item && items.is_empty());
            if format == Format::Yaml && stays && random.one_in(4) {
                items.push(ListItem::Comment(comment(random)));
            }
            items.push(ListItem::Node(item));
        }
        return Node::List(List {
            items,
            ..List::default()
        });
    }
    scalar_node(random, format)
}

fn scalar_node(random: &mut Random, format: Format) -> Node {
    match random.below(8) {
        0 => leaf(Kind::Null, "null"),
        1 => leaf(Kind::Bool, random.of(&["true", "false"])),
        2 => leaf(
            Kind::Int,
            &(random.next() as i64 >> random.below(64)).to_string(),
        ),
        3 => {
            let number = f64::from_bits(random.next());
            let number = if number.is_finite() && number != 0.0 {
                number
            } else {
                1.5
            };
            leaf(Kind::Float, &format!("{number:e}"))
        }
        4 if format == Format::Yaml => {
            let times = [
                "2024-02-29T00:00:00Z",
                "2024-02-29T12:34:56.123456789Z",
                "1999-12-31T23:59:59+02:00",
            ];
            leaf(Kind::Time, random.of(&times))
        }
        _ => leaf(Kind::Text, &text(random)),
    }
}

/// Texts that are hard to write: types' look-alikes, blanks, quotes, lines, signs of YAML, all of Unicode.
fn text(random: &mut Random) -> String {
    let pieces = [
        "a",
        "word",
        " ",
        "  ",
        "\n",
        "\n\n",
        ": ",
        " #",
        "#",
        "-",
        "- ",
        "?",
        "'",
        "\"",
        "\\",
        "\\n",
        "{",
        "}",
        "[",
        "]",
        ",",
        "&",
        "*",
        "!",
        "%",
        "@",
        "`",
        "|",
        ">",
        "=",
        "~",
        "null",
        "true",
        "yes",
        "on",
        "0x1F",
        "017",
        "1e3",
        ".5",
        "12:30",
        "2024-02-29",
        "<<",
        "ENC[",
        "é",
        "e\u{301}",
        "日本",
        "\u{1F600}",
        "\u{A0}",
        "\u{200B}",
        "\u{2028}",
        "\u{FEFF}",
        "\t",
        "\u{7}",
        "\u{85}",
        "\r",
        "---",
        "...",
        "a long run of words that no line may be folded at ",
    ];
    let mut text = String::new();
    for _ in 0..random.below(6) {
        text.push_str(random.of(&pieces));
    }
    // Line breaks of Unicode in a text of several lines: SOPS does not read back what it prints.
    if text.contains('\n') {
        text.retain(|each| !"\u{85}\u{2028}\u{2029}".contains(each));
    }
    // SOPS prints null for a tab, and in lists an indentation for blanks that it cannot read back.
    if text.contains('\n') && text.starts_with(['\t', ' ', '\n']) {
        text.insert(0, 'x');
    }
    text
}

fn key(random: &mut Random) -> String {
    let pieces = [
        "key", "a b", "ä", "y", "1.", "x:y", "-", "日本", "'q'", "[0]", "#", "~",
    ];
    random.of(&pieces).to_owned()
}

fn comment(random: &mut Random) -> Comment {
    let words = [
        " a note",
        " TODO: later",
        "#!strange",
        " ünï ☃",
        " key: value",
        " - item",
        " \"quoted\"",
    ];
    Comment {
        text: Secret::from_text(random.of(&words)),
        position: Position::default(),
        span: Span::default(),
        trailing: false,
    }
}

fn entry(key: &str, value: Node) -> MapItem {
    MapItem::Entry(Entry {
        key: key.to_owned(),
        position: Position::default(),
        span: Span::default(),
        value,
    })
}

fn leaf(kind: Kind, text: &str) -> Node {
    Node::Leaf(Leaf {
        kind,
        text: Secret::from_text(text),
        style: Style::Plain,
        position: Position::default(),
        span: Span::default(),
        sealed: false,
    })
}
