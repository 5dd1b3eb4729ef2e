use proptest::prelude::*;

use super::*;
use crate::format::yaml::parse_sops;
use crate::format::yaml::rewrite::tests::{content, hard_text, new_entry, text_leaf};
use crate::tree::{Kind, Leaf, List, ListItem, MapItem, Node};

fn tree() -> impl Strategy<Value = Map> {
    let leaf = prop_oneof![
        hard_text(),
        "\\PC{0,8}",
        "[ \t]{0,2}[a-z:#'\"-]{1,3}[ \n]{1,3}[a-z]{0,2}[\n ]{0,3}",
        prop::sample::select(vec![
            "<<",
            "yes",
            "1e3",
            "0x1F",
            "2024-01-01",
            "~",
            "1:30",
            "---",
            "\u{2028}x"
        ])
        .prop_map(str::to_owned),
    ]
    .prop_map(|text| Node::Leaf(text_leaf(&text)));
    let node = leaf.prop_recursive(4, 24, 4, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(|nodes| {
                let items = nodes.into_iter().map(ListItem::Node).collect();
                Node::List(List {
                    items,
                    ..List::default()
                })
            }),
            map(inner).prop_map(Node::Map),
        ]
    });
    map(node)
}

fn map(inner: impl Strategy<Value = Node>) -> impl Strategy<Value = Map> {
    prop::collection::vec((hard_text(), inner), 0..4).prop_map(|entries| {
        let entry = |(place, (key, value)): (usize, (String, Node))| {
            new_entry(&format!("{key}{place}"), value)
        };
        Map {
            items: entries.into_iter().enumerate().map(entry).collect(),
            ..Map::default()
        }
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(500))]

    #[test]
    fn every_tree_reads_back(documents in prop::collection::vec(tree(), 1..3), columns in 0..10i64) {
        let text = emit(&documents, Indent::of(columns).unwrap()).unwrap();
        let reading = parse_sops(&text).unwrap();
        let contents = |documents: &[Map]| documents.iter().map(content).collect::<Vec<_>>();
        prop_assert_eq!(
            contents(&reading.documents), contents(&documents),
            "\n{}", text.expose_text().unwrap()
        );
    }
}

fn value(kind: Kind, text: &[u8], sealed: bool) -> String {
    let leaf = Leaf {
        kind,
        text: Secret::new(text.to_vec()),
        sealed,
        ..text_leaf("")
    };
    let items: Vec<MapItem> = vec![new_entry("a", Node::Leaf(leaf))];
    let map = Map {
        items,
        ..Map::default()
    };
    let text = emit(&[map], Indent::default()).unwrap();
    text.expose_text().unwrap().trim_end_matches('\n')["a: ".len()..].to_owned()
}

#[test]
fn scalars_are_spelled_as_sops_spells_them() {
    for (kind, text, printed) in [
        (Kind::Text, "yes", "\"yes\""),
        (Kind::Text, "a: b", "'a: b'"),
        (Kind::Text, "", "\"\""),
        (Kind::Text, "\t", "\"\\t\""),
        (Kind::Text, "\u{1F600}", "\"\\U0001F600\""),
        (Kind::Text, "<<", "!!merge <<"),
        (Kind::Text, "a \nb", "\"a \\nb\""),
        (Kind::Text, "a\nb", "|-\n    a\n    b"),
        (Kind::Text, " a\nb", "|4-\n     a\n    b"),
        (Kind::Text, "\ta\nb", "\"\\ta\\nb\""),
        (Kind::Null, "~", "null"),
        (Kind::Int, "0x1F", "31"),
        (Kind::Float, "1e3", "1000"),
        (Kind::Float, "1e6", "1e+06"),
        (Kind::Float, "1.0", "1"),
        (Kind::Float, "-0.0", "-0.0"),
        (Kind::Float, ".INF", ".inf"),
        (Kind::Bool, "True", "true"),
        (Kind::Time, "2024-2-9", "2024-02-09T00:00:00Z"),
    ] {
        assert_eq!(value(kind, text.as_bytes(), false), printed, "{text:?}");
    }
    assert_eq!(value(Kind::Float, b"+Inf", true), ".inf");
    assert_eq!(value(Kind::Float, b"-0", true), "-0");
    assert_eq!(value(Kind::Text, b"caf\xe9", false), "!!binary Y2Fm6Q==");
}

#[test]
fn indentation_is_taken_from_2_to_9() {
    let of = |columns| Indent::of(columns).map(|indent| indent.0);
    assert_eq!(
        [of(0), of(1), of(2), of(9), of(10)],
        [4, 2, 2, 9, 2].map(Ok)
    );
    assert_eq!(of(-1), Err(EmitError::NegativeIndent));
}
