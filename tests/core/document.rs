//! The grammar of documents through the real reader of YAML: what stands in the file is what is told.

use proptest::prelude::*;
use sealctl::env::{Checked, Form, Place, check};
use sealctl::format::yaml;
use sealctl::name::KeyName;

const HEAD: &str = "sealctl: v1\napp: polls\nenvironment: prod\n";

fn checked(body: &str) -> Checked {
    let tree = yaml::parse(&format!("{HEAD}{body}")).unwrap();
    check(&tree, Form::Typed, &Place::default())
}

/// The findings as `line:column CODE path`.
fn told(body: &str) -> Vec<String> {
    let findings = checked(body).findings;
    let told = findings.iter().map(|finding| {
        let at = finding.position;
        format!(
            "{}:{} {} {}",
            at.line, at.column, finding.code, finding.path
        )
    });
    told.collect()
}

fn value(body: &str, name: &str) -> Option<String> {
    let values = checked(body).delivery?.values;
    let value = values.get(&name.parse::<KeyName>().unwrap())?;
    value.text.expose_text().map(str::to_owned)
}

#[test]
fn findings_name_line_column_and_path() {
    for (body, finding) in [
        ("confg: {}\n", "4:1 E0207 confg"),
        ("config:\n  A: x\n  N: 0123\n", "6:6 E0212 config.N"),
        ("config:\n  N: 1_000\n", "5:6 E0212 config.N"),
        ("config:\n  N: 2026-11-21\n", "5:6 E0212 config.N"),
        ("config:\n  N: Yes\n", "5:6 E0212 config.N"),
        ("config:\n  N: 1.0\n", "5:6 E0212 config.N"),
        ("config:\n  N: .inf\n", "5:6 E0212 config.N"),
        ("config:\n  N: 12:30\n", "5:6 E0212 config.N"),
        ("secrets: {A: ~}\n", "4:14 E0213 secrets.A"),
        ("config: {A: [x]}\n", "4:13 E0214 config.A"),
        ("config: {A=B: x}\n", "4:10 E0210 config.A=B"),
        ("workloads:\n  settle: 10\n", "5:11 E0260 workloads.settle"),
        (
            "deliver:\n  - configMap: c\n  - secret: A_b\n",
            "6:13 E0251 deliver[1].secret",
        ),
    ] {
        assert_eq!(told(body), [finding], "{body}");
    }
}

#[test]
fn a_value_is_the_text_that_was_typed() {
    for (written, delivered) in [
        ("5432", "5432"),
        ("-1", "-1"),
        ("false", "false"),
        ("\"0123\"", "0123"),
        ("'it''s'", "it's"),
        ("\"a\\nb\"", "a\nb"),
        ("|\n    a\n    b\n", "a\nb\n"),
        (">-\n    a\n    b\n", "a b"),
        (
            "postgres://u:p@h:5432/d  # where",
            "postgres://u:p@h:5432/d",
        ),
        ("\"\"", ""),
    ] {
        let body = format!("config:\n  A: {written}\n");
        assert_eq!(value(&body, "A").as_deref(), Some(delivered), "{written}");
    }
}

proptest! {
    #[test]
    fn whatever_text_is_quoted_is_delivered(text in "[^\u{0}-\u{8}\u{b}-\u{1f}\u{7f}-\u{9f}\u{2028}\u{2029}\u{feff}\u{fffe}\u{ffff}]*") {
        let quoted = serde_json::to_string(&text).unwrap();
        let body = format!("secrets:\n  A: {quoted}\n");
        prop_assert_eq!(value(&body, "A"), Some(text));
    }

    #[test]
    fn a_plain_scalar_is_delivered_as_typed_or_refused(text in "[-+0-9_.:eExXobTZaytrufalsn]{1,12}") {
        let body = format!("config:\n  A: {text}\n");
        if let Ok(tree) = yaml::parse(&format!("{HEAD}{body}")) {
            let checked = check(&tree, Form::Typed, &Place::default());
            if checked.delivery.is_some() {
                prop_assert_eq!(value(&body, "A"), Some(text));
            }
        }
    }
}
