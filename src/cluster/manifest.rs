//! JSON values as YAML for people and kubectl: block style, keys in the order given.
//!
//! Only what manifests need: maps, lists and scalars. A text is written plain when no YAML reader can
//! take it for something else, else as a JSON string, which is YAML too. Knows nothing of Kubernetes.

use serde_json::Value;

/// `value` as a YAML document with a final newline.
#[must_use]
pub fn yaml(value: &Value) -> String {
    let mut text = String::new();
    match value {
        Value::Object(map) if !map.is_empty() => write_map(&mut text, map, 0),
        Value::Array(items) if !items.is_empty() => write_list(&mut text, items, 0),
        scalar => {
            text.push_str(&inline(scalar));
            text.push('\n');
        }
    }
    text
}

/// Several documents in one file, divided by `---`.
#[must_use]
pub fn documents(values: &[Value]) -> String {
    values.iter().map(yaml).collect::<Vec<_>>().join("---\n")
}

fn write_map(text: &mut String, map: &serde_json::Map<String, Value>, indent: usize) {
    for (key, value) in map {
        text.push_str(&" ".repeat(indent));
        text.push_str(&plain_or_quoted(key));
        text.push(':');
        write_behind(text, value, indent);
    }
}

fn write_list(text: &mut String, items: &[Value], indent: usize) {
    for item in items {
        text.push_str(&" ".repeat(indent));
        text.push('-');
        match item {
            Value::Object(map) if !map.is_empty() => {
                let mut inner = String::new();
                write_map(&mut inner, map, indent + 2);
                text.push(' ');
                text.push_str(inner.trim_start_matches(' '));
            }
            other => write_behind(text, other, indent),
        }
    }
}

/// What stands behind a `:` or `-`: on the same line, or as a block below.
fn write_behind(text: &mut String, value: &Value, indent: usize) {
    match value {
        Value::Object(map) if !map.is_empty() => {
            text.push('\n');
            write_map(text, map, indent + 2);
        }
        Value::Array(items) if !items.is_empty() => {
            text.push('\n');
            write_list(text, items, indent + 2);
        }
        scalar => {
            text.push(' ');
            text.push_str(&inline(scalar));
            text.push('\n');
        }
    }
}

fn inline(value: &Value) -> String {
    match value {
        Value::String(text) => plain_or_quoted(text),
        // Empty maps and lists, numbers, booleans and null are spelled as in JSON.
        other => other.to_string(),
    }
}

fn plain_or_quoted(text: &str) -> String {
    if is_plain(text) {
        text.to_owned()
    } else {
        Value::from(text).to_string()
    }
}

/// Whether `text` means the same without quotes in YAML 1.1 and 1.2: it starts with a letter, holds
/// nothing that YAML gives a meaning to, and is no word for a boolean or null.
fn is_plain(text: &str) -> bool {
    const WORDS: [&str; 9] = ["true", "false", "yes", "no", "on", "off", "null", "y", "n"];
    let inner = |byte: u8| byte.is_ascii_alphanumeric() || b"-_./ ,;()'@$".contains(&byte);
    text.bytes()
        .next()
        .is_some_and(|byte| byte.is_ascii_alphabetic())
        && text.bytes().all(inner)
        && !text.ends_with(' ')
        && !WORDS.contains(&text.to_ascii_lowercase().as_str())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    #[test]
    fn a_manifest_reads_well() {
        let value = json!({
            "kind": "Role",
            "metadata": { "name": "web", "labels": {} },
            "rules": [
                { "apiGroups": [""], "verbs": ["get"] },
                { "apiGroups": ["apps"], "verbs": [] }
            ],
            "on": "yes",
            "size": 5
        });
        assert_eq!(
            yaml(&value),
            "kind: Role\nmetadata:\n  name: web\n  labels: {}\nrules:\n  - apiGroups:\n      - \"\"\n    \
             verbs:\n      - get\n  - apiGroups:\n      - apps\n    verbs: []\n\"on\": \"yes\"\nsize: 5\n"
        );
    }

    fn any_value() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            any::<bool>().prop_map(Value::from),
            any::<i32>().prop_map(Value::from),
            "[ -~\n\u{e4}]{0,12}".prop_map(Value::from),
            Just(Value::Null),
        ];
        leaf.prop_recursive(4, 40, 5, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..5).prop_map(Value::from),
                prop::collection::btree_map("[ -~]{1,8}", inner, 0..5).prop_map(Value::from_iter),
            ]
        })
    }

    proptest! {
        #[test]
        fn what_is_written_reads_back_the_same(value in any_value()) {
            let read: Value = serde_saphyr::from_str(&yaml(&value)).unwrap();
            prop_assert_eq!(read, value);
        }
    }
}
