use proptest::prelude::*;

use super::*;
use crate::format::shape::{Shape, any_json, any_json_map, entry, text};
use crate::format::{Fault, Format};
use crate::tree::{Kind, ListItem, MapItem, Node, Position};

fn parse(text: &[u8]) -> Result<Map, SyntaxError> {
    super::parse(&Secret::new(text.to_vec()))
}

fn read(source: &str) -> Map {
    parse(source.as_bytes()).unwrap()
}

fn fault(source: &[u8]) -> (u32, u32, Fault) {
    let error = parse(source).unwrap_err();
    (error.position.line, error.position.column, error.fault)
}

fn print(map: &Map, indent: Option<i64>) -> String {
    let printed = emit(std::slice::from_ref(map), Layout { indent }).unwrap();
    printed.expose_text().unwrap().to_owned()
}

fn change(source: &str, change: impl FnOnce(&mut Map)) -> String {
    let before = read(source);
    let mut after = before.clone();
    change(&mut after);
    let changed = rewrite(source.as_bytes(), &before, &after, Layout::default()).unwrap();
    changed.expose_text().unwrap().to_owned()
}

fn push(map: &mut Map, key: &str, value: &str) {
    let new = read(&format!("{{\"x\":{value}}}"));
    let value = Shape::of(&new.find("x").unwrap().value).node();
    map.items.push(MapItem::Entry(entry(key, value)));
}

fn within<'a>(map: &'a mut Map, key: &str) -> &'a mut Node {
    map.items
        .iter_mut()
        .find_map(|item| match item {
            MapItem::Entry(entry) if entry.key == key => Some(&mut entry.value),
            _ => None,
        })
        .unwrap()
}

fn remove(map: &mut Map, key: &str) {
    map.items
        .retain(|item| !matches!(item, MapItem::Entry(entry) if entry.key == key));
}

#[test]
fn every_type_reads_as_sops_reads_it() {
    let map = read(concat!(
        r#"{"s": "x", "i": 1, "z": -0, "one": 1.0, "exp": 1E3, "max": 9223372036854775807, "#,
        r#""over": 9223372036854775808, "t": true, "n": null, "o": {}, "a": [], "e": ""}"#
    ));
    let leaf = |kind, text: &str| Shape::Leaf(kind, text.as_bytes().to_vec());
    let expected = [
        ("s", text("x")),
        ("i", leaf(Kind::Int, "1")),
        ("z", leaf(Kind::Int, "-0")),
        ("one", leaf(Kind::Float, "1.0")),
        ("exp", leaf(Kind::Float, "1E3")),
        ("max", leaf(Kind::Int, "9223372036854775807")),
        ("over", leaf(Kind::Float, "9223372036854775808")),
        ("t", leaf(Kind::Bool, "true")),
        ("n", leaf(Kind::Null, "null")),
        ("o", Shape::Map(Vec::new())),
        ("a", Shape::List(Vec::new())),
        ("e", text("")),
    ];
    let expected = expected.map(|(key, value)| (Some(key.to_owned()), value));
    assert_eq!(Shape::of_map(&map), Shape::Map(expected.to_vec()));
}

#[test]
fn numbers_and_escapes_are_printed_as_sops_prints_them() {
    let source = concat!(
        r#"{"one": 1.0, "exp": 1e3, "bigexp": 1e21, "small": 1e-7, "negzero": -0.0, "zero": -0, "#,
        r#""over": 9223372036854775808, "big": 123456789012345678901234567890, "#,
        r#""b": "\b\f\u0001\u001f\u007f\u0080\ufeff\u2028 \ud83d\ude00 \udc00\ud800x \ud800\u0041\/", "#,
        r#""<k>": "<a href='x'>&amp;</a>", "a": [1, {"k": [1.25]}, {}, []]}"#
    );
    let expected = concat!(
        "{\n\t\"one\": 1,\n\t\"exp\": 1000,\n\t\"bigexp\": 1e+21,\n\t\"small\": 1e-7,\n\t\"negzero\": -0,\n",
        "\t\"zero\": 0,\n\t\"over\": 9223372036854776000,\n\t\"big\": 1.2345678901234568e+29,\n",
        "\t\"b\": \"\\b\\f\\u0001\\u001f\u{7f}\u{80}\u{feff}\\u2028 😀 \u{fffd}\u{fffd}x \u{fffd}A/\",\n",
        "\t\"\\u003ck\\u003e\": \"\\u003ca href='x'\\u003e\\u0026amp;\\u003c/a\\u003e\",\n",
        "\t\"a\": [\n\t\t1,\n\t\t{\n\t\t\t\"k\": [\n\t\t\t\t1.25\n\t\t\t]\n\t\t},\n\t\t{},\n\t\t[]\n\t]\n}\n"
    );
    assert_eq!(print(&read(source), None), expected);
}

#[test]
fn the_indentation_is_a_number_of_blanks_or_a_tab() {
    let map = read(r#"{"a":[1,{}]}"#);
    assert_eq!(print(&map, Some(0)), "{\n\"a\": [\n1,\n{}\n]\n}\n");
    assert_eq!(
        print(&map, Some(2)),
        "{\n  \"a\": [\n    1,\n    {}\n  ]\n}\n"
    );
    assert_eq!(print(&map, Some(-1)), print(&map, None));
    let refused = emit(&[map], Layout { indent: Some(-2) });
    assert_eq!(
        refused.unwrap_err(),
        EmitError::NegativeIndent(Format::Json)
    );
    assert_eq!(print(&Map::default(), None), "{}\n");
}

#[test]
fn what_is_no_text_becomes_replacement_characters() {
    let map = parse(b"{\"caf\xE9\": \"caf\xE9\", \"b\": \"\xE2\x82\\n\xFF\"}").unwrap();
    let expected = [
        ("caf\u{fffd}", "caf\u{fffd}"),
        ("b", "\u{fffd}\u{fffd}\n\u{fffd}"),
    ];
    let expected = expected.map(|(key, value)| (Some(key.to_owned()), text(value)));
    assert_eq!(Shape::of_map(&map), Shape::Map(expected.to_vec()));
    let bytes = Shape::Leaf(Kind::Text, b"caf\xE9".to_vec());
    let map = Shape::Map(vec![(Some("a".to_owned()), bytes)]).map();
    assert_eq!(print(&map, None), "{\n\t\"a\": \"caf\\ufffd\"\n}\n");
}

#[test]
fn text_behind_the_root_and_duplicate_keys_pass() {
    let map = read("{\"a\": 1, \"\": 2, \"a\": 3} trailing {\"b\"");
    assert_eq!(map.entries().count(), 3);
    assert_eq!(map.span.end, 23);
}

#[test]
fn errors_name_the_place() {
    let malformed = |rule| Fault::Malformed(rule);
    for (source, line, column, rule) in [
        ("", 1, 1, "the text is empty"),
        ("  \n ", 2, 2, "the text is empty"),
        ("x", 1, 1, "expected an object"),
        (
            "\u{feff}{}",
            1,
            1,
            "JSON may not begin with a byte order mark",
        ),
        ("{\"a\": 1,}", 1, 9, "expected a key in double quotes"),
        ("{\n  'a': 1}", 2, 3, "expected a key in double quotes"),
        ("{\"é\" 1}", 1, 6, "expected ':' behind a key"),
        ("{\"a\": [1,]}", 1, 10, "expected a value"),
        (
            "{\"a\": [1 2]}",
            1,
            10,
            "expected ',' or ']' behind a value",
        ),
        ("{\"a\": 01}", 1, 8, "expected ',' or '}' behind a value"),
        ("{\"a\": 1.}", 1, 9, "expected a digit"),
        ("{\"a\": -}", 1, 8, "expected a digit"),
        ("{\"a\": 1e400}", 1, 12, "a number is too large"),
        ("{\"a\": NaN}", 1, 7, "expected a value"),
        (
            "{\"a\": \"\t\"}",
            1,
            8,
            "a control character in a string is not escaped",
        ),
        ("{\"a\": \"\\x\"}", 1, 8, "unknown escape in a string"),
        ("{\"a\": \"\\u12g4\"}", 1, 8, "unknown escape in a string"),
        ("{\"a\": \"\\\"}", 1, 11, "a string has no end"),
        ("{\"a\"", 1, 5, "expected ':' behind a key"),
        ("{\"a\":", 1, 6, "expected a value"),
    ] {
        assert_eq!(
            fault(source.as_bytes()),
            (line, column, malformed(rule)),
            "{source}"
        );
    }
    for source in ["[1]", "1", "\"a\"", "true", "null", "-1"] {
        let (.., fault) = fault(source.as_bytes());
        assert!(matches!(fault, Fault::Unsupported(_)), "{source}");
    }
}

#[test]
fn five_hundred_levels_are_read_and_one_more_is_refused() {
    let nested = |levels: usize, open: &str, close: &str| {
        format!("{{\"a\":{}{}}}", open.repeat(levels), close.repeat(levels))
    };
    let deepest = nested(DEPTH - 1, "[", "]");
    let map = parse(deepest.as_bytes()).unwrap();
    let changed = rewrite(deepest.as_bytes(), &map, &map, Layout::default()).unwrap();
    assert_eq!(changed.expose_text(), Some(deepest.as_str()));
    let printed = emit(&[map], Layout { indent: Some(0) }).unwrap();
    assert!(parse(printed.expose()).is_ok());
    for source in [nested(DEPTH, "[", "]"), nested(100_000, "{\"a\":[", "")] {
        assert_eq!(fault(source.as_bytes()).2, Fault::TooDeep);
    }
    let deeper = (0..DEPTH).fold(text("x"), |inner, _| Shape::List(vec![inner]));
    let map = Shape::Map(vec![(Some("a".to_owned()), deeper)]).map();
    let refused = emit(&[map], Layout::default());
    assert_eq!(refused.unwrap_err(), EmitError::TooDeep(Format::Json));
}

#[test]
fn infinities_have_no_spelling() {
    let infinity = Shape::Leaf(Kind::Float, b"+Inf".to_vec());
    let list = Shape::List(vec![text("x"), infinity]);
    let map = Shape::Map(vec![(Some("a".to_owned()), list)]).map();
    let error = emit(&[map], Layout::default()).unwrap_err();
    assert_eq!(
        error.to_string(),
        "the value of a[1] cannot be written in JSON"
    );
}

#[test]
fn a_new_entry_takes_the_style_of_its_neighbours() {
    let sops = r#"{"age": [{"enc": "x"}], "none": []}"#;
    for (source, expected) in [
        (
            "{\n  \"a\": 1\n}\n",
            "{\n  \"a\": 1,\n  \"sops\": {\n    \"age\": [\n      {\n        \"enc\": \"x\"\n      }\n    ],\n    \"none\": []\n  }\n}\n",
        ),
        (
            "{\"a\":1}",
            "{\"a\":1,\"sops\":{\"age\":[{\"enc\":\"x\"}],\"none\":[]}}",
        ),
        (
            "{ \"a\": 1, \"b\": 2 }\n\n",
            "{ \"a\": 1, \"b\": 2, \"sops\": {\"age\": [{\"enc\": \"x\"}], \"none\": []} }\n\n",
        ),
        (
            "{\r\n\t\"a\" : 1\r\n}",
            "{\r\n\t\"a\" : 1,\r\n\t\"sops\" : {\r\n\t\t\"age\" : [\r\n\t\t\t{\r\n\t\t\t\t\"enc\" : \"x\"\r\n\t\t\t}\r\n\t\t],\r\n\t\t\"none\" : []\r\n\t}\r\n}",
        ),
        (
            "{}",
            "{\n\t\"sops\": {\n\t\t\"age\": [\n\t\t\t{\n\t\t\t\t\"enc\": \"x\"\n\t\t\t}\n\t\t],\n\t\t\"none\": []\n\t}\n}",
        ),
    ] {
        let changed = change(source, |map| push(map, "sops", sops));
        assert_eq!(changed, expected);
        assert_eq!(change(&changed, |map| remove(map, "sops")), source);
    }
}

#[test]
fn entries_are_removed_with_their_commas() {
    let source = "{\n  \"a\": 1,\n  \"b\": [1, 2, 3],\n\n  \"c\": {\"d\": 1}\n}\n";
    for (gone, expected) in [
        ("a", "{\n  \"b\": [1, 2, 3],\n\n  \"c\": {\"d\": 1}\n}\n"),
        ("b", "{\n  \"a\": 1,\n\n  \"c\": {\"d\": 1}\n}\n"),
        ("c", "{\n  \"a\": 1,\n  \"b\": [1, 2, 3]\n}\n"),
    ] {
        // A removed entry takes the lines with it that separate it from the one above.
        let changed = change(source, |map| remove(map, gone));
        assert_eq!(
            changed.replace("\n\n", "\n"),
            expected.replace("\n\n", "\n")
        );
    }
    let changed = change(source, |map| map.items.clear());
    assert_eq!(changed, "{}\n");
    let changed = change(source, |map| {
        let Node::List(list) = within(map, "b") else {
            panic!("no list");
        };
        list.items.remove(1);
        let Node::Map(inner) = within(map, "c") else {
            panic!("no map");
        };
        inner.items.clear();
    });
    assert_eq!(
        changed,
        "{\n  \"a\": 1,\n  \"b\": [1, 3],\n\n  \"c\": {}\n}\n"
    );
}

#[test]
fn empty_objects_are_filled_where_they_stand() {
    let source = "{\n  \"a\": {},\n  \"b\": [ ],\n  \"c\": [{}]\n}";
    let changed = change(source, |map| {
        let Node::Map(inner) = within(map, "a") else {
            panic!("no map");
        };
        push(inner, "x", "{\"y\": 1}");
        let Node::List(inner) = within(map, "b") else {
            panic!("no list");
        };
        inner.items.push(ListItem::Node(text("z").node()));
        let Node::List(outer) = within(map, "c") else {
            panic!("no list");
        };
        let Some(ListItem::Node(Node::Map(inner))) = outer.items.first_mut() else {
            panic!("no map");
        };
        push(inner, "x", "1");
        push(inner, "y", "[2]");
    });
    assert_eq!(
        changed,
        "{\n  \"a\": {\n    \"x\": {\n      \"y\": 1\n    }\n  },\n  \"b\": [\n    \"z\"\n  ],\n  \"c\": [{\"x\": 1, \"y\": [2]}]\n}"
    );
}

/// A text that holds `shape`, with blanks chosen by `blanks`.
fn written(shape: &Shape, blanks: &mut impl FnMut() -> &'static str, out: &mut String) {
    let quoted = |content: &[u8]| serde_json::to_string(std::str::from_utf8(content).unwrap());
    match shape {
        Shape::Map(items) => {
            out.push('{');
            for (place, (key, value)) in items.iter().enumerate() {
                out.push_str(if place > 0 { "," } else { "" });
                out.push_str(blanks());
                out.push_str(&quoted(key.as_ref().unwrap().as_bytes()).unwrap());
                out.push_str(blanks());
                out.push(':');
                out.push_str(blanks());
                written(value, blanks, out);
                out.push_str(blanks());
            }
            out.push('}');
        }
        Shape::List(items) => {
            out.push('[');
            for (place, value) in items.iter().enumerate() {
                out.push_str(if place > 0 { "," } else { "" });
                out.push_str(blanks());
                written(value, blanks, out);
                out.push_str(blanks());
            }
            out.push(']');
        }
        Shape::Leaf(Kind::Text, text) => out.push_str(&quoted(text).unwrap()),
        Shape::Leaf(_, text) | Shape::Comment(text) => {
            out.push_str(std::str::from_utf8(text).unwrap());
        }
    }
}

/// Changes by the digits of `choices`: keeps, removes, replaces and adds.
fn changed(node: &mut Node, choices: &mut impl FnMut() -> u8) {
    let new = |choice: u8| match choice % 3 {
        0 => text("new \"<é\n").node(),
        1 => Shape::List(vec![text("n"), Shape::Map(Vec::new())]).node(),
        _ => Shape::Map(vec![(Some("k".to_owned()), Shape::List(vec![text("v")]))]).node(),
    };
    match node {
        Node::Map(map) => {
            for mut item in std::mem::take(&mut map.items) {
                let choice = choices();
                if choice == 1 {
                    let added = entry("added", new(choices()));
                    map.items.push(MapItem::Entry(added));
                }
                if let MapItem::Entry(entry) = &mut item {
                    match choice {
                        2 => continue,
                        3 => entry.value = new(choices()),
                        _ => changed(&mut entry.value, choices),
                    }
                }
                map.items.push(item);
            }
            if choices() == 1 {
                map.items
                    .push(MapItem::Entry(entry("last", new(choices()))));
            }
        }
        Node::List(list) => {
            for mut item in std::mem::take(&mut list.items) {
                let choice = choices();
                if choice == 1 {
                    list.items.push(ListItem::Node(new(choices())));
                }
                if let ListItem::Node(node) = &mut item {
                    match choice {
                        2 => continue,
                        3 => *node = new(choices()),
                        _ => changed(node, choices),
                    }
                }
                list.items.push(item);
            }
            if choices() == 1 {
                list.items.push(ListItem::Node(new(choices())));
            }
        }
        Node::Leaf(leaf) => {
            if choices() == 1 {
                let (position, span) = (leaf.position, leaf.span);
                let Node::Leaf(other) = text("other").node() else {
                    panic!("no leaf");
                };
                *leaf = other;
                (leaf.position, leaf.span) = (position, span);
            }
        }
    }
}

proptest! {
    #[test]
    fn what_is_printed_reads_back(shape in any_json_map(), indent in prop::option::of(-1_i64..9)) {
        let printed = emit(&[shape.map()], Layout { indent }).unwrap();
        let read = parse(printed.expose()).unwrap();
        prop_assert_eq!(Shape::of_map(&read), shape);
        let again = emit(&[read], Layout { indent }).unwrap();
        prop_assert_eq!(again, printed);
    }

    #[test]
    fn the_reader_agrees_with_serde_json(
        shape in any_json(),
        blanks in prop::collection::vec(prop::sample::select(vec!["", " ", "\n", "\t\r\n "]), 1..9),
    ) {
        let shape = Shape::Map(vec![(Some("root".to_owned()), shape)]);
        let mut blanks = blanks.into_iter().cycle();
        let mut source = String::new();
        written(&shape, &mut || blanks.next().unwrap(), &mut source);
        let read = parse(source.as_bytes()).unwrap();
        prop_assert!(serde_json::from_str::<serde_json::Value>(&source).is_ok());
        prop_assert_eq!(Shape::of_map(&read), shape);
        for entry in read.entries() {
            let span = entry.value.span();
            let slice = source.get(span.start..span.end).unwrap();
            prop_assert!(serde_json::from_str::<serde_json::Value>(slice).is_ok());
        }
    }

    #[test]
    fn whatever_one_accepts_the_other_does(source in "[{}\\[\\]\":,\\\\u0-9a-e.+\\- \ntrfalsn]{0,24}") {
        let source = format!("{{{source}");
        let ours = parse(source.as_bytes());
        let mut theirs = serde_json::Deserializer::from_str(&source);
        let theirs: Result<serde_json::Value, _> = serde::Deserialize::deserialize(&mut theirs);
        if theirs.is_ok() {
            prop_assert!(ours.is_ok());
        } else if ours.is_ok() {
            // Only half surrogate pairs are told apart.
            prop_assert!(source.contains("\\u"));
        }
    }

    #[test]
    fn a_rewrite_holds_what_is_wanted_and_keeps_the_rest(
        shape in any_json_map(),
        blanks in prop::collection::vec(prop::sample::select(vec!["", " ", "\n  ", "\r\n\t", "\n\n"]), 1..9),
        choices in prop::collection::vec(0_u8..9, 1..20),
    ) {
        let mut blanks = blanks.into_iter().cycle();
        let mut source = String::new();
        written(&shape, &mut || blanks.next().unwrap(), &mut source);
        source.push_str(" behind");
        let before = parse(source.as_bytes()).unwrap();
        let same = rewrite(source.as_bytes(), &before, &before, Layout::default()).unwrap();
        prop_assert_eq!(same.expose_text(), Some(source.as_str()));
        let mut choices = choices.into_iter().cycle();
        let mut after = Node::Map(before.clone());
        changed(&mut after, &mut || choices.next().unwrap());
        let Node::Map(after) = after else { panic!("no map") };
        let result = rewrite(source.as_bytes(), &before, &after, Layout::default()).unwrap();
        let read = parse(result.expose()).unwrap();
        prop_assert_eq!(Shape::of_map(&read), Shape::of_map(&after));
        let result = result.expose_text().unwrap();
        prop_assert!(result.ends_with(" behind"));
        // What did not change stands there as it stood.
        let kept = after.entries().filter(|entry| entry.position != Position::default());
        for entry in kept.filter(|entry| before.items.contains(&MapItem::Entry((*entry).clone()))) {
            prop_assert!(result.contains(&source[entry.span.start..entry.span.end]));
        }
    }
}
