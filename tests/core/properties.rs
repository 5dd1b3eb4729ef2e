//! Properties of sealing that hold for every document: it opens to what was sealed, an edit changes
//! only what it names, nothing altered passes, and no error shows a value.

use std::fmt::Write as _;

use proptest::prelude::*;
use sealctl::crypto::{DataKey, Identity};
use sealctl::format::{Format, scalar, yaml};
use sealctl::secret::Secret;
use sealctl::sops::{Edit, Opened, Rule, Sealed};
use sealctl::tree::{ListItem, Map, MapItem, Node, Path};
use sealctl::trust::{self, Change, Stamp, Verdict, Written};

fn now() -> jiff::Timestamp {
    "2026-11-21T09:30:00Z".parse().unwrap()
}

fn identity() -> Identity {
    static IDENTITY: std::sync::OnceLock<Identity> = std::sync::OnceLock::new();
    IDENTITY.get_or_init(Identity::generate).clone()
}

fn rule() -> Rule {
    Rule::environment().unwrap()
}

fn seal(plain: &str) -> Result<Written, trust::WriteError> {
    let change = Change::New {
        format: Format::Yaml,
        plain: &Secret::from_text(plain),
        recipients: &[identity().recipient()],
        rule: &rule(),
    };
    trust::write(&change, &Stamp::after(None, now()))
}

fn open(text: &str, key: &DataKey) -> Option<(Opened, Verdict)> {
    let sealed = Sealed::parse(Format::Yaml, &Secret::from_text(text)).ok()?;
    let verdict = trust::verify(&sealed, key);
    Some((sealed.open(key).ok()?, verdict))
}

/// Every value with its path, type and text, and every comment.
fn content(map: &Map) -> (Vec<String>, Vec<String>) {
    let (mut values, mut comments) = (Vec::new(), Vec::new());
    gather(map, "", &mut values, &mut comments);
    (values, comments)
}

fn gather(map: &Map, path: &str, values: &mut Vec<String>, comments: &mut Vec<String>) {
    for item in &map.items {
        match item {
            MapItem::Comment(comment) => comments.push(comment.text.expose_text().unwrap().into()),
            MapItem::Entry(entry) => {
                gather_node(
                    &entry.value,
                    &format!("{path}/{}", entry.key),
                    values,
                    comments,
                );
            }
        }
    }
}

fn gather_node(node: &Node, path: &str, values: &mut Vec<String>, comments: &mut Vec<String>) {
    match node {
        Node::Map(map) => {
            values.push(format!("{path} map"));
            gather(map, path, values, comments);
        }
        Node::List(list) => {
            values.push(format!("{path} list"));
            for item in &list.items {
                match item {
                    ListItem::Comment(comment) => {
                        comments.push(comment.text.expose_text().unwrap().into());
                    }
                    ListItem::Node(node) => {
                        gather_node(node, &format!("{path}/-"), values, comments);
                    }
                }
            }
        }
        Node::Leaf(leaf) => {
            let kind = leaf.kind;
            let text = scalar::normal_form(kind, leaf.text.expose_text().unwrap()).unwrap();
            values.push(format!("{path} {kind:?} {text}"));
        }
    }
}

/// A scalar as somebody may have typed it, `indent` blanks deep.
fn typed_scalar(indent: usize) -> impl Strategy<Value = String> {
    let block = move |header: &str, lines: Vec<String>| {
        let line_break = format!("\n{}", " ".repeat(indent + 2));
        format!("{header}{line_break}{}", lines.join(&line_break))
    };
    let lines = || prop::collection::vec("[a-z#:][a-z #:'\"-]{0,8}[a-z]|", 1..4);
    prop_oneof![
        "[a-zA-Z][a-zA-Z0-9_/.-]{0,12}",
        "-?[1-9][0-9]{0,5}",
        Just("true".to_owned()),
        Just("null".to_owned()),
        Just(String::new()),
        Just("\"\"".to_owned()),
        Just("1.5".to_owned()),
        Just("2024-02-29".to_owned()),
        "'[ -&(-~äß😀]{0,12}'",
        r#""[ !#-\[\]-~ä€]{0,12}(\\n|\\t|\\u00e9|\\\\)?[a-z]{0,3}""#,
        (
            prop_oneof![Just("|"), Just("|-"), Just("|+"), Just(">"), Just(">-")],
            lines()
        )
            .prop_map(move |(header, lines)| block(header, lines)),
        prop::collection::vec("[a-z]{1,5}|'[a-z, ]{0,5}'|[1-9]", 0..4)
            .prop_map(|items| format!("[{}]", items.join(", "))),
        prop::collection::vec("[a-z]{1,5}", 0..3).prop_map(|items| {
            let entry = |(place, item): (usize, &String)| format!("k{place}: {item}");
            format!(
                "{{{}}}",
                items
                    .iter()
                    .enumerate()
                    .map(entry)
                    .collect::<Vec<_>>()
                    .join(", ")
            )
        }),
    ]
}

/// Lines of a section: entries with comments, blank lines and comments behind values.
fn section() -> impl Strategy<Value = String> {
    let line = (
        typed_scalar(2),
        prop_oneof![
            Just(""),
            Just("  # about"),
            Just("\n"),
            Just("\n  # below"),
            Just("\n\n  #")
        ],
    );
    prop::collection::vec(line, 0..6).prop_map(|lines| {
        let mut text = String::new();
        for (place, (scalar, after)) in lines.iter().enumerate() {
            // A comment cannot follow the lines of a block text.
            let inline = after.starts_with("  #") && scalar.contains('\n');
            let after = if inline { "" } else { after };
            let _ = writeln!(text, "  KEY_{place}: {scalar}{after}");
        }
        text
    })
}

prop_compose! {
    fn document()(config in section(), secrets in section(), more in section()) -> String {
        format!(
            "# head\nsealctl: v1\napp: polls\n\nconfig:\n{config}\nsecrets: # behind\n  # first\n{secrets}# foot\nmore:\n{more}  password: x\n"
        )
    }
}

fn is_discreet(error: &(impl std::fmt::Display + std::fmt::Debug)) -> bool {
    !format!("{error} {error:?}").contains("canary")
}

/// Names of the lines that differ.
fn differing(one: &str, two: &str) -> Vec<String> {
    let name = |line: &str| {
        line.trim_start()
            .split(':')
            .next()
            .unwrap_or_default()
            .to_owned()
    };
    assert_eq!(one.lines().count(), two.lines().count(), "{one}\n{two}");
    one.lines()
        .zip(two.lines())
        .filter(|(one, two)| one != two)
        .map(|(one, _)| name(one))
        .collect()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 100, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_sealed_document_opens_to_what_was_sealed(plain in document()) {
        let written = seal(&plain).unwrap();
        let (opened, verdict) = open(&written.text, &written.key).unwrap();
        let valid = Verdict::Valid { revision: 1, created: now(), expires: None };
        prop_assert_eq!(verdict, valid);
        let read = yaml::parse(opened.text().expose_text().unwrap()).unwrap();
        prop_assert_eq!(content(&read), content(&yaml::parse(&plain).unwrap()));
    }

    #[test]
    fn sealing_the_opened_text_again_changes_the_mac_only(plain in document()) {
        let written = seal(&plain).unwrap();
        let (opened, _) = open(&written.text, &written.key).unwrap();
        let change = Change::Text { opened: &opened, plain: &opened.text() };
        let again = trust::write(&change, &Stamp::after(None, now())).unwrap();
        prop_assert_eq!(differing(&written.text, &again.text), ["mac"]);
    }

    #[test]
    fn an_edit_changes_only_what_it_names(plain in document(), text in "\\PC{0,20}") {
        let written = seal(&plain).unwrap();
        let (opened, _) = open(&written.text, &written.key).unwrap();
        let path = Path::of(["secrets", "NEW"]);
        let set = [Edit::Set { path: path.clone(), text: Secret::from_text(&text) }];
        let change = Change::Edits { opened: &opened, edits: &set };
        let edited = trust::write(&change, &Stamp::after(Some(opened.sealed()), now())).unwrap();
        let (reopened, _) = open(&edited.text, &edited.key).unwrap();
        let value = reopened.tree().at(&path).and_then(|node| match node {
            Node::Leaf(leaf) => leaf.text.expose_text().map(str::to_owned),
            _ => None,
        });
        prop_assert_eq!(value, Some(text));

        let unset = [Edit::Unset { path }];
        let change = Change::Edits { opened: &reopened, edits: &unset };
        let back = trust::write(&change, &Stamp::after(Some(reopened.sealed()), now())).unwrap();
        if !matches!(opened.tree().find("secrets").unwrap().value, Node::Leaf(_)) {
            prop_assert_eq!(differing(&written.text, &back.text), ["mac", "hmac", "revision"]);
        }
    }

    #[test]
    fn whatever_is_altered_is_noticed_or_means_the_same(
        plain in document(),
        place in any::<prop::sample::Index>(),
        with in prop_oneof!["[ -~]", Just("\n".to_owned()), Just(String::new())],
    ) {
        let written = seal(&plain).unwrap();
        let before = content(open(&written.text, &written.key).unwrap().0.tree());
        let mut text = written.text;
        let places: Vec<usize> = text.char_indices().map(|(at, _)| at).collect();
        let at = *place.get(&places);
        let end = at + text[at..].chars().next().unwrap().len_utf8();
        text.replace_range(at..end, &with);
        if let Some((opened, Verdict::Valid { .. })) = open(&text, &written.key) {
            let after = content(opened.tree());
            prop_assert_eq!(before.0, after.0);
        }
    }

    #[test]
    fn no_error_shows_a_value(plain in document(), place in any::<prop::sample::Index>(), with in "[ -~\n]") {
        let plain = plain.replace("KEY_1: ", "KEY_1: canary").replace("KEY_2: \"", "KEY_2: \"canary");
        let mut broken = plain.clone();
        let places: Vec<usize> = broken.char_indices().map(|(at, _)| at).collect();
        broken.insert_str(*place.get(&places), &with);
        if let Err(error) = seal(&broken) {
            prop_assert!(is_discreet(&error));
        }
        if let Ok(written) = seal(&plain) {
            let mut text = written.text;
            let places: Vec<usize> = text.char_indices().map(|(at, _)| at).collect();
            text.insert_str(*place.get(&places), &with);
            match Sealed::parse(Format::Yaml, &Secret::from_text(&text)) {
                Err(error) => prop_assert!(is_discreet(&error)),
                Ok(sealed) => {
                    if let Err(error) = sealed.open(&written.key) {
                        prop_assert!(is_discreet(&error));
                    }
                }
            }
        }
    }
}
