//! Every rule of the grammar by an example, and what holds for all documents.
//!
//! Trees are built from JSON: a text that begins with `~` is a plain scalar, one that begins with `!`
//! was ciphertext, every other one is quoted.

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
fn each_fault_has_its_code_and_text() {
    let long = "x".repeat(140_000);
    let huge = "x".repeat(1_200_000);
    let cases = [
        (json!({"confg": {}}), "E0207 confg: unknown field \"confg\""),
        (
            json!({"workloads": {"setle": "1s"}}),
            "E0207 workloads.setle: unknown field \"setle\"",
        ),
        (
            json!({"deliver": [{"secret": "a", "key": []}]}),
            "E0207 deliver[0].key: unknown field \"key\"",
        ),
        (
            json!({"superuser": "~x"}),
            "E0208 superuser: superuser must be a map",
        ),
        (
            json!({"deliver": {}}),
            "E0208 deliver: deliver must be a list",
        ),
        (
            json!({"config": null}),
            "E0208 config: config must be a map",
        ),
        (json!({"app": {}}), "E0208 app: app must be a single word"),
        (
            json!({"sealctl": "~v2"}),
            "E0201 sealctl: unknown document version \"v2\"; this program reads v1",
        ),
        (
            json!({"sealctl": "REMOVE"}),
            "E0201 : the document has no version; write sealctl: v1",
        ),
        (
            json!({"app": "~Polls"}),
            "E0202 app: app \"Polls\" is not a valid name",
        ),
        (json!({"app": "REMOVE"}), "E0202 : app is missing"),
        (
            json!({"namespace": "~a.b"}),
            "E0202 namespace: namespace \"a.b\" is not a valid name",
        ),
        (
            json!({"app": "~web"}),
            "E0203 app: app \"web\" does not match the file name polls.yaml",
        ),
        (
            json!({"environment": "~dev"}),
            "E0205 environment: environment \"dev\" does not match the directory envs/prod",
        ),
        (
            json!({"config": {"A=B": "x"}}),
            "E0210 config.A=B: \"A=B\" is not a valid key name",
        ),
        (
            json!({"config": {"PASS": "x"}}),
            "E0211 secrets.PASS: PASS stands in config and in secrets",
        ),
        (
            json!({"config": {"N": "~0123"}}),
            "E0212 config.N: N would be read as a number; quote it",
        ),
        (
            json!({"config": {"N": "~yes"}}),
            "E0212 config.N: N would be read as true or false; quote it",
        ),
        (
            json!({"config": {"API_KEY": null}}),
            "E0213 config.API_KEY: API_KEY has no value; write \"\" for an empty text",
        ),
        (
            json!({"secrets": {"API_KEY": ["x"]}}),
            "E0214 secrets.API_KEY: API_KEY is a list; write it as JSON text",
        ),
        (
            json!({"config": {"password": "x"}}),
            "E0215 config.password: a key may not be named \"password\" here",
        ),
        (
            json!({"derived": {"secrets": "x"}}),
            "E0215 derived.secrets: a key may not be named \"secrets\" here",
        ),
        (
            json!({"secrets": {"LD_PRELOAD": "!x"}}),
            "E0216 secrets.LD_PRELOAD: LD_PRELOAD changes how programs start; list it under allow to use it",
        ),
        (
            json!({"deliver": [{"secret": "a", "keys": {"PYTHONPATH": "PASS"}}]}),
            "E0216 deliver[0].keys.PYTHONPATH: PYTHONPATH changes how programs start; list it under allow to use it",
        ),
        (
            json!({"config": {"TLS_CERT": long}}),
            "E0217 config.TLS_CERT: TLS_CERT is 140009 bytes; an environment variable holds 131071",
        ),
        (
            json!({"secrets": {"KEY": "!a\u{0}b"}}),
            "E0218 secrets.KEY: KEY holds a NUL byte",
        ),
        (
            json!({"render": {"USE_S3": "~flag"}}),
            "E0219 render.USE_S3: USE_S3: unknown rendering \"flag\"",
        ),
        (
            json!({"render": {"HOST": "~words"}}),
            "E0220 render.HOST: HOST is rendered as a flag but holds neither true nor false",
        ),
        (
            json!({"render": {"USE_S4": "~words"}}),
            "E0223 render.USE_S4: render names USE_S4, which is not in this document",
        ),
        (
            json!({"secrets": {"API_KEY": "x"}}),
            "E0140 secrets.API_KEY: API_KEY is plaintext",
        ),
        (
            json!({"secrets": {"A": "!x\n"}}),
            "W0221 secrets.A: A ends in a newline",
        ),
        (
            json!({"secrets": {"A": "!'x'"}}),
            "W0222 secrets.A: A has quotes around its value",
        ),
        (
            json!({"derived": {"U": "a{{ PAS }}"}}),
            "E0230 derived.U: U uses PAS, which is not in this document",
        ),
        (
            json!({"derived": {"U": "{{ a b }}"}}),
            "E0230 derived.U: U has a placeholder that is not the name of a value",
        ),
        (
            json!({"derived": {"U": "{{ PASS | upper }}"}}),
            "E0231 derived.U: unknown filter \"upper\"",
        ),
        (
            json!({"derived": {"A": "{{ B }}", "B": "{{ A }}"}}),
            "E0232 derived.A: A and B are composed from each other",
        ),
        (
            json!({"derived": {"A": "{{ A }}", "B": "{{ A }}"}}),
            "E0232 derived.A: A is composed from itself",
        ),
        (
            json!({"derived": {"A": "{{ HOST"}}),
            "E0233 derived.A: unclosed {{",
        ),
        (
            json!({"derived": {"U": "a://{{ PASS }}"}}),
            "W0234 derived.U: U puts PASS into a URL without urlencode",
        ),
        (
            json!({"secrets": {"A": format!("!{}", "y".repeat(600_000))}, "derived": {"U": "{{ A }}{{ A }}"}, "deliver": []}),
            "E0235 derived.U: U is longer than 1048576 bytes",
        ),
        (
            json!({"deliver": [{}]}),
            "E0240 deliver[0]: an entry needs configMap or secret",
        ),
        (
            json!({"deliver": [{"secret": "a"}, {"secret": "a"}]}),
            "E0241 deliver[1]: Secret \"a\" appears twice",
        ),
        (
            secret("a", json!({"keys": ["~PAS"]})),
            "E0242 deliver[0].keys[0]: no value named PAS",
        ),
        (
            secret("a", json!({"keys": {"a/b": "PASS"}})),
            "E0243 deliver[0].keys.a/b: \"a/b\" is not a valid key of a Secret",
        ),
        (
            json!({"deliver": [{"configMap": "a", "keys": ["PASS"]}]}),
            "E0244 deliver[0].keys[0]: PASS is sealed and cannot go to a ConfigMap",
        ),
        (
            json!({"deliver": [{"configMap": "a", "file": {"name": "f", "format": "json", "from": "all"}}]}),
            "E0244 deliver[0].file: PASS is sealed and cannot go to a ConfigMap",
        ),
        (
            json!({"secrets": {"KEY": "!a\nb"}, "deliver": [{"secret": "a", "file": {"name": "f", "format": "docker"}}]}),
            "E0245 deliver[0]: KEY has a newline, which format docker cannot carry",
        ),
        (
            secret(
                "a",
                json!({"keys": {"keystore.p12": "PASS"}, "decode": ["keystore.p12"]}),
            ),
            "E0246 deliver[0]: keystore.p12 is not base64",
        ),
        (
            secret("a", json!({"keys": ["PASS"], "decode": ["PAS"]})),
            "E0246 deliver[0].decode[0]: PAS is not a key of this object",
        ),
        (
            secret("a", json!({"type": "kubernetes.io/service-account-token"})),
            "E0247 deliver[0].type: Secret type \"kubernetes.io/service-account-token\" is not allowed",
        ),
        (
            secret(
                "a",
                json!({"type": "kubernetes.io/tls", "keys": {"tls.crt": "PASS"}}),
            ),
            "E0248 deliver[0]: type kubernetes.io/tls needs the key tls.key",
        ),
        (
            secret("a", json!({"labels": {"app.kubernetes.io/instance": "x"}})),
            "E0249 deliver[0].labels.app.kubernetes.io/instance: labels and annotations of kubernetes.io, k8s.io and sealctl.dev are set by Kubernetes and seald",
        ),
        (
            json!({"secrets": {"A": format!("!{huge}")}, "deliver": [{"secret": "polls-secrets"}]}),
            "E0250 deliver[0]: Secret \"polls-secrets\" is 1200000 bytes; the limit is 1048576",
        ),
        (
            secret("A", json!({})),
            "E0251 deliver[0].secret: \"A\" is not a valid name of a Secret",
        ),
        (
            secret(
                "a",
                json!({"keys": ["PASS"], "file": {"name": "f", "format": "json"}}),
            ),
            "E0252 deliver[0].file: keys and file exclude each other",
        ),
        (
            secret("a", json!({"labels": {"team": "a b"}})),
            "E0253 deliver[0].labels.team: team is not valid in labels",
        ),
        (
            secret(
                "a",
                json!({"type": "kubernetes.io/dockerconfigjson", "keys": {".dockerconfigjson": "PASS"}}),
            ),
            "E0254 deliver[0]: .dockerconfigjson is not JSON",
        ),
        (
            json!({"workloads": {"settle": 10}}),
            "E0260 workloads.settle: settle: \"10\" has no unit; write 10s",
        ),
        (
            json!({"workloads": {"settle": "~11m"}}),
            "E0260 workloads.settle: settle: 11m is not between 0s and 10m",
        ),
        (
            json!({"workloads": {"timeout": "~30s"}}),
            "E0260 workloads.timeout: timeout: 30s is not between 1m and 2h",
        ),
        (
            json!({"workloads": {"restart": "~always"}}),
            "E0261 workloads.restart: restart: unknown word \"always\"",
        ),
        (
            json!({"workloads": {"include": ["~worker"]}}),
            "E0262 workloads.include[0]: \"worker\" is not kind/name",
        ),
        (
            json!({"workloads": {"exclude": ["~cronjob/cleanup"]}}),
            "E0263 workloads.exclude[0]: cronjob/cleanup is never restarted; its next run reads the new values",
        ),
        (
            json!({"workloads": {"include": ["deployment/web"], "exclude": ["deployment/web"]}}),
            "E0264 workloads.exclude[0]: deployment/web is included and excluded",
        ),
        (
            json!({"workloads": {"parallel": 0}}),
            "E0265 workloads.parallel: parallel: 0 is not between 1 and 1000",
        ),
        (
            superuser(json!({"from": "~polls"})),
            "E0270 superuser.from: superuser.from: \"polls\" is not kind/name",
        ),
        (
            superuser(json!({"password": "REMOVE"})),
            "E0272 superuser: superuser has no password",
        ),
        (
            superuser(json!({"password": "!x\n"})),
            "E0273 superuser.password: superuser.password is empty or ends in a newline",
        ),
        (
            superuser(json!({"password": "x"})),
            "E0140 superuser.password: superuser.password is plaintext",
        ),
        (
            superuser(json!({"password": "REMOVE", "passwordFrom": "HOST"})),
            "E0242 superuser.passwordFrom: no value named HOST in secrets",
        ),
        (
            superuser(json!({"manage": "~-c"})),
            "E0274 superuser.manage: superuser.manage is not the path of a manage.py",
        ),
        (
            superuser(json!({"usernameFrom": "HOST"})),
            "E0275 superuser.usernameFrom: superuser has username and usernameFrom; keep one",
        ),
        (
            superuser(json!({"username": "REMOVE"})),
            "E0276 superuser: superuser has no login; write username or email",
        ),
        (
            superuser(json!({"fields": {"a b": "x"}})),
            "E0277 superuser.fields.a b: superuser.fields: \"a b\" is not the name of a field",
        ),
        (
            superuser(json!({"container": "~A"})),
            "E0278 superuser.container: superuser.container: \"A\" is not a valid name",
        ),
        (
            superuser(json!({"policy": "~always"})),
            "E0261 superuser.policy: policy: unknown word \"always\"",
        ),
        (
            superuser(json!({"after": "~never"})),
            "E0261 superuser.after: after: unknown word \"never\"",
        ),
    ];
    for (changes, expected) in cases {
        let shown: String = changes.to_string().chars().take(200).collect();
        assert_eq!(told(changes), [expected], "{shown}");
    }
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
