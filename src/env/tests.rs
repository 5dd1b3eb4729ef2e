//! Every rule of the grammar by an example, and what holds for all documents.
//!
//! Trees are built from JSON: a text that begins with `~` is a plain scalar, one that begins with `!`
//! was ciphertext, every other one is quoted.

mod faults;

use proptest::prelude::*;
use serde_json::{Value as Json, json};

use crate::env::{Checked, Form, ObjectKind, Place, Severity, check, outline, without_values};
use crate::name::{KeyName, ObjectKey};
use crate::secret::Secret;
use crate::tree::{
    Entry, Kind, Layout, Leaf, List, ListItem, Map, MapItem, Node, Position, Span, Style,
};

fn map(json: &Json) -> Map {
    let Node::Map(map) = node(json, &mut 0) else {
        panic!("a document is a map");
    };
    map
}

fn node(json: &Json, line: &mut u32) -> Node {
    *line += 1;
    let position = Position {
        line: *line,
        column: 1,
    };
    match json {
        Json::Object(fields) => Node::Map(Map {
            items: fields
                .iter()
                .map(|(key, value)| {
                    MapItem::Entry(Entry {
                        key: key.clone(),
                        position: Position {
                            line: *line + 1,
                            column: 1,
                        },
                        span: Span::default(),
                        value: node(value, line),
                    })
                })
                .collect(),
            position,
            span: Span::default(),
            layout: Layout::Block,
        }),
        Json::Array(items) => Node::List(List {
            items: items
                .iter()
                .map(|item| ListItem::Node(node(item, line)))
                .collect(),
            position,
            span: Span::default(),
            layout: Layout::Block,
        }),
        Json::Null => Node::Leaf(leaf("", Kind::Null, Style::Plain, position)),
        Json::String(text) => Node::Leaf(marked(text, position)),
        Json::Bool(_) => Node::Leaf(leaf(&json.to_string(), Kind::Bool, Style::Plain, position)),
        Json::Number(_) => Node::Leaf(leaf(&json.to_string(), Kind::Int, Style::Plain, position)),
    }
}

fn marked(text: &str, position: Position) -> Leaf {
    if let Some(text) = text.strip_prefix('~') {
        return leaf(text, Kind::Text, Style::Plain, position);
    }
    let Some(text) = text.strip_prefix('!') else {
        return leaf(text, Kind::Text, Style::DoubleQuoted, position);
    };
    Leaf {
        sealed: true,
        ..leaf(text, Kind::Text, Style::Plain, position)
    }
}

fn leaf(text: &str, kind: Kind, style: Style, position: Position) -> Leaf {
    Leaf {
        kind,
        text: Secret::from_text(text),
        style,
        position,
        span: Span::default(),
        sealed: false,
    }
}

/// The smallest sensible document, with the fields of `changes` in place of its own.
fn document(changes: Json) -> Map {
    let mut document = json!({
        "sealctl": "~v1",
        "app": "~polls",
        "environment": "~prod",
        "config": {"HOST": "~postgres", "PORT": 5432, "USE_S3": false},
        "secrets": {"PASS": "!swordfish", "TOKEN": ""},
    });
    let Json::Object(changes) = changes else {
        panic!("changes are a map");
    };
    for (key, value) in changes {
        if value == json!("REMOVE") {
            document.as_object_mut().unwrap().shift_remove(&key);
        } else {
            document[&key] = value;
        }
    }
    map(&document)
}

fn place() -> Place {
    Place {
        file: Some("polls.yaml".into()),
        directory: Some("envs/prod".into()),
    }
}

fn checked(changes: Json) -> Checked {
    check(&document(changes), Form::Opened, &place())
}

/// The findings as `CODE path: message`.
fn told(changes: Json) -> Vec<String> {
    let findings = checked(changes).findings;
    let told = findings
        .iter()
        .map(|finding| format!("{} {}: {}", finding.code, finding.path, finding.message));
    told.collect()
}

fn superuser(changes: Json) -> Json {
    let mut superuser =
        json!({"from": "~deployment/polls", "username": "admin", "password": "!hunter22"});
    for (key, value) in changes.as_object().unwrap() {
        if value == "REMOVE" {
            superuser.as_object_mut().unwrap().shift_remove(key);
        } else {
            superuser[key] = value.clone();
        }
    }
    json!({"superuser": superuser})
}

fn secret(name: &str, more: Json) -> Json {
    let mut entry = json!({"secret": name});
    entry
        .as_object_mut()
        .unwrap()
        .extend(more.as_object().unwrap().clone());
    json!({"deliver": [entry]})
}

#[test]
fn the_whole_example_is_delivered() {
    let checked = checked(json!({
        "namespace": "~web",
        "secrets": {"PASS": "!p@ss", "CRT": "!c", "KEY": "!k"},
        "derived": {"URL": "postgres://u:{{ PASS | urlencode }}@{{ HOST }}:{{PORT}}/db", "ADDR": "{{ HOST }}:{{ PORT }}"},
        "render": {"USE_S3": "~flag-if-set"},
        "deliver": [
            {"configMap": "polls-config"},
            {"secret": "db", "keys": {"url": "~URL", "password": "!PASS"}},
            {"secret": "cert", "type": "~kubernetes.io/tls", "keys": {"tls.crt": "CRT", "tls.key": "KEY"}, "prune": false},
            {"secret": "env-file", "file": {"name": "~.env", "format": "~dotenv"}},
        ],
        "workloads": {"settle": "~0s", "include": ["~statefulset/worker"], "parallel": 500},
        "superuser": {"from": "~deployment/polls", "usernameFrom": "HOST", "password": "!x", "after": "~job/migrate"},
        "rotation": {"PASS": {"recipe": "~x", "step": 1, "since": "2026-01-01"}},
        "sops": {"mac": "x"},
    }));
    assert_eq!(checked.findings, []);
    let delivery = checked.delivery.unwrap();
    assert_eq!(delivery.namespace.as_str(), "web");
    let url = &delivery.values[&"URL".parse::<KeyName>().unwrap()];
    assert_eq!(
        url.text,
        Secret::from_text("postgres://u:p%40ss@postgres:5432/db")
    );
    assert!(url.secret && !delivery.values[&"ADDR".parse::<KeyName>().unwrap()].secret);
    let contents: Vec<Vec<(&str, &str)>> = delivery
        .objects
        .iter()
        .map(|object| {
            let data = object.data.iter();
            data.map(|(key, content)| (key.as_str(), content.bytes.expose_text().unwrap()))
                .collect()
        })
        .collect();
    assert_eq!(
        contents[0],
        [
            ("ADDR", "postgres:5432"),
            ("HOST", "postgres"),
            ("PORT", "5432")
        ]
    );
    assert_eq!(contents[1][0], ("password", "p@ss"));
    assert_eq!(
        contents[3],
        [(
            ".env",
            "CRT='c'\nKEY='k'\nPASS='p@ss'\nURL='postgres://u:p%40ss@postgres:5432/db'\n"
        )]
    );
    assert!(!delivery.objects[2].prune);
    let superuser = delivery.superuser.unwrap();
    assert_eq!(superuser.username, Some(Secret::from_text("postgres")));
}

#[test]
fn all_faults_are_told_at_once_in_the_order_of_the_file() {
    let told = told(json!({"app": "~Polls", "config": {"A=B": "~1.0"}, "volumes": 1}));
    assert_eq!(told.len(), 4, "{told:?}");
    assert!(told[0].starts_with("E0202") && told[3].starts_with("E0207"));
}

#[test]
fn the_nearest_field_is_suggested() {
    let findings = checked(json!({"confg": {}})).findings;
    assert_eq!(findings[0].hint.as_deref(), Some("did you mean config?"));
    assert!(findings[0].position.line > 0);
}

#[test]
fn plaintext_is_expected_before_sealing_and_refused_after() {
    let tree = document(json!({"secrets": {"A": "plain"}}));
    assert!(check(&tree, Form::Typed, &place()).delivery.is_some());
    assert!(check(&tree, Form::Opened, &place()).delivery.is_none());
}

#[test]
fn a_decrypted_value_is_its_text_whatever_it_looks_like() {
    let checked = checked(json!({"secrets": {"A": "!0123", "B": "!yes", "C": "!"}}));
    assert_eq!(checked.findings, []);
}

#[test]
fn the_default_objects_are_two_and_empty_ones_are_not_written() {
    let names = |changes| {
        let objects = checked(changes).delivery.unwrap().objects;
        objects
            .iter()
            .map(|object| object.name.to_string())
            .collect::<Vec<_>>()
    };
    assert_eq!(names(json!({})), ["polls-config", "polls-secrets"]);
    assert_eq!(names(json!({"config": {}})), ["polls-secrets"]);
    assert_eq!(names(json!({"config": {}, "secrets": "REMOVE"})), [""; 0]);
}

#[test]
fn a_document_without_names_is_valid_and_told_apart() {
    let tree = document(json!({"config": {}, "secrets": "REMOVE"}));
    assert!(check(&tree, Form::Typed, &place()).delivery.is_some());
    assert_eq!(without_values(&tree).unwrap().code, "E0206");
    assert_eq!(without_values(&document(json!({}))), None);
}

#[test]
fn flags_are_rendered_as_their_reader_wants_them() {
    for (rendering, truth, text) in [
        ("flag-if-set", false, None),
        ("flag-if-set", true, Some("1")),
        ("empty-is-false", false, Some("")),
        ("empty-is-false", true, Some("True")),
        ("exact:TRUE", true, Some("TRUE")),
        ("exact:TRUE", false, Some("False")),
        ("words", true, Some("true")),
    ] {
        let changes = json!({"config": {"F": truth}, "render": {"F": rendering}});
        let values = checked(changes).delivery.unwrap().values;
        let value = values.get(&"F".parse::<KeyName>().unwrap());
        assert_eq!(
            value.and_then(|value| value.text.expose_text()),
            text,
            "{rendering}"
        );
    }
}

#[test]
fn files_are_written_in_five_formats() {
    for (format, text) in [
        ("dotenv", "A='it\\'s \\\\'\nB='2'\n"),
        ("docker", "A=it's \\\nB=2\n"),
        ("shell", "export A='it'\\''s \\'\nexport B='2'\n"),
        ("json", "{\n  \"A\": \"it's \\\\\",\n  \"B\": \"2\"\n}\n"),
        ("yaml", "\"A\": \"it's \\\\\"\n\"B\": \"2\"\n"),
    ] {
        let checked = checked(json!({
            "secrets": {"B": "!2", "A": "!it's \\"},
            "deliver": [{"secret": "a", "file": {"name": "f", "format": format}}],
        }));
        let objects = checked.delivery.unwrap().objects;
        let content = &objects[0].data[&"f".parse::<ObjectKey>().unwrap()];
        assert_eq!(content.bytes.expose_text(), Some(text), "{format}");
    }
}

#[test]
fn binary_data_is_decoded_and_may_hold_nul() {
    let checked = checked(json!({
        "config": {"B": "AAEC\nAw=="},
        "deliver": [{"configMap": "a", "keys": {"b.bin": "B"}, "decode": ["b.bin"]}],
    }));
    let objects = checked.delivery.unwrap().objects;
    let content = &objects[0].data[&"b.bin".parse::<ObjectKey>().unwrap()];
    assert!(content.binary && content.bytes.expose() == [0, 1, 2, 3]);
}

#[test]
fn too_many_names_and_objects_are_refused() {
    let config: serde_json::Map<String, Json> = (0..10_001)
        .map(|number| (format!("K{number}"), json!("x")))
        .collect();
    let names = told(json!({"config": config, "secrets": {}}));
    assert_eq!(
        names,
        ["E0209 : the document names 10001 values; the limit is 10000"]
    );
    let deliver: Vec<Json> = (0..101)
        .map(|number| json!({"secret": format!("s{number}")}))
        .collect();
    let objects = told(json!({"deliver": deliver}));
    assert_eq!(
        objects,
        ["E0209 deliver: deliver names 101 objects; the limit is 100"]
    );
}

#[test]
fn a_long_chain_of_derived_values_is_no_deep_recursion() {
    let mut derived = serde_json::Map::new();
    for number in 0..9_000 {
        derived.insert(
            format!("D{number}"),
            json!(format!("{{{{ D{} }}}}", number + 1)),
        );
    }
    derived.insert("D9000".into(), json!("{{ PASS }}"));
    let checked = checked(json!({"derived": derived, "deliver": []}));
    let values = checked.delivery.unwrap().values;
    let first = &values[&"D0".parse::<KeyName>().unwrap()];
    assert!(first.secret && first.text == Secret::from_text("swordfish"));
}

#[test]
fn doubling_templates_stop_at_the_limit() {
    let mut derived = json!({"D0": "0123456789"});
    for number in 1..100 {
        derived[format!("D{number}")] = json!(format!("{{{{ D{0} }}}}{{{{ D{0} }}}}", number - 1));
    }
    let told = told(json!({"derived": derived, "deliver": []}));
    assert!(told.len() == 1 && told[0].starts_with("E0235"), "{told:?}");
}

#[test]
fn a_sealed_document_is_outlined_without_a_key() {
    let tree = document(json!({
        "secrets": {"PASS": "!ENC[x]"},
        "derived": {"URL": "x://{{ PASS | urlencode }}"},
        "deliver": [{"configMap": "c"}, {"secret": "s", "keys": {"password": "!ENC[y]", "u": "URL"}, "prune": false}],
        "superuser": {"from": "~deployment/polls", "username": "a", "password": "!ENC[z]"},
    }));
    let outlined = outline(&tree, &place());
    assert_eq!(outlined.findings, []);
    assert_eq!(outlined.header.unwrap().namespace.as_str(), "polls");
    let targets: Vec<_> = outlined
        .targets
        .iter()
        .map(|target| (target.kind, target.name.as_str(), target.prune))
        .collect();
    assert_eq!(
        targets,
        [
            (ObjectKind::ConfigMap, "c", true),
            (ObjectKind::Secret, "s", false)
        ]
    );
    assert_eq!(outlined.superuser.unwrap().to_string(), "deployment/polls");
    let wrong = outline(&document(json!({"secrets": {"PASS": "plain"}})), &place());
    assert_eq!(wrong.findings[0].code, "E0140");
    assert!(wrong.header.is_some());
}

/// Documents of every shape: known and unknown fields, any kind of value in any place.
fn any_document() -> impl Strategy<Value = Json> {
    let key = prop_oneof![
        3 => prop::sample::select(vec![
            "sealctl", "app", "environment", "namespace", "config", "secrets", "derived", "render", "allow", "deliver",
            "workloads", "superuser", "rotation", "keys", "file", "name", "format", "from", "type", "labels", "decode",
            "settle", "include", "exclude", "username", "password", "passwordFrom", "fields", "configMap", "secret",
        ]).prop_map(str::to_owned),
        1 => "[A-C]",
        1 => any::<String>(),
    ];
    let leaf = prop_oneof![
        Just(Json::Null),
        any::<bool>().prop_map(Json::from),
        any::<i32>().prop_map(Json::from),
        "[~!]?\\PC*".prop_map(Json::from),
        "[~!]?[A-C]".prop_map(Json::from),
        "(\\{\\{ ?[A-C](\\|[a-z]*)?( ?\\}\\})?)*".prop_map(Json::from),
    ];
    let node = leaf.prop_recursive(4, 48, 6, move |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Json::from),
            prop::collection::vec((key.clone(), inner), 0..6)
                .prop_map(|entries| entries.into_iter().collect::<Json>()),
        ]
    });
    node.prop_map(|node| {
        if node.is_object() {
            node
        } else {
            json!({ "deliver": node })
        }
    })
}

proptest! {
    #[test]
    fn the_check_never_panics_and_is_either_a_delivery_or_errors(changes in any_document()) {
        let trees = [map(&changes), document(changes)];
        for tree in trees {
            for form in [Form::Typed, Form::Opened] {
                let checked = check(&tree, form, &place());
                let errors = checked.findings.iter().any(|finding| finding.severity == Severity::Error);
                prop_assert_eq!(checked.delivery.is_none(), errors);
            }
            let _ = outline(&tree, &place());
        }
    }

    #[test]
    fn no_finding_holds_a_value(
        before in "[~!]?(\\{\\{ ?|\\{\\{\\{\\{|[0-9][0-9.]*|x://|\"|)",
        after in "( ?\\}\\}|\\n|\u{0}|\"| \\| upper|)",
    ) {
        let value = json!(format!("{before}canary-7f3a{after}"));
        let map = json!({"A": value, "LD_X": value, "B": {"x": value}, "C": [value], "password": value});
        let tree = document(json!({
            "config": map, "secrets": map, "derived": map, "wrong": value,
            "deliver": [
                {"secret": "a", "keys": {"password": "!canary-7f3a"}},
                {"secret": "b", "keys": ["A"], "decode": ["A"], "type": "kubernetes.io/dockerconfigjson"},
                {"secret": "c", "file": {"name": "f", "format": "docker", "from": "all", "x": value}},
            ],
            "superuser": {"username": value, "email": value, "password": value, "fields": {"a": value}, "x": value},
        }));
        for form in [Form::Typed, Form::Opened] {
            let checked = check(&tree, form, &place());
            prop_assert!(!checked.findings.is_empty());
            let shown = format!("{checked:?}");
            prop_assert!(!shown.contains("canary"), "{}", shown);
        }
        let outlined = outline(&tree, &place());
        let shown = format!("{outlined:?}");
        prop_assert!(!shown.contains("canary"), "{}", shown);
    }
}
