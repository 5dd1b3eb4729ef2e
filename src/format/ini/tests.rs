use proptest::prelude::*;

use super::*;
use crate::format::shape::{Shape, any_text, text};
use crate::format::{Fault, Layout, json};
use crate::tree::Kind;

fn read(source: &str) -> Shape {
    Shape::of_map(&parse(source.as_bytes()).unwrap())
}

fn print(shape: &Shape) -> Result<String, EmitError> {
    let printed = emit(&[shape.map()])?;
    Ok(printed.expose_text().unwrap().to_owned())
}

fn printed_again(source: &str) -> String {
    let map = parse(source.as_bytes()).unwrap();
    emit(&[map]).unwrap().expose_text().unwrap().to_owned()
}

fn entries(entries: &[(&str, Shape)]) -> Shape {
    let entry = |(key, value): &(&str, Shape)| match value {
        Shape::Comment(_) => (None, value.clone()),
        _ => (Some((*key).to_owned()), value.clone()),
    };
    Shape::Map(entries.iter().map(entry).collect())
}

/// A file with the section `s`.
fn section(values: &[(&str, &str)]) -> Shape {
    let values: Vec<(&str, Shape)> = values
        .iter()
        .map(|(key, value)| match *key {
            ";" => ("", Shape::Comment(value.as_bytes().to_vec())),
            key => (key, text(value)),
        })
        .collect();
    entries(&[(DEFAULT, Shape::Map(Vec::new())), ("s", entries(&values))])
}

#[test]
fn sections_are_aligned_and_keys_in_front_of_them_are_default() {
    let source = "top = 1\n[one]\na = x\nlonger_key = y\n\n[two]\nb: true\nc = 1.50\n";
    assert_eq!(
        printed_again(source),
        "top = 1\n\n[one]\na          = x\nlonger_key = y\n\n[two]\nb = true\nc = 1.50\n"
    );
    let map = parse(source.as_bytes()).unwrap();
    let json = json::emit(&[map], Layout { indent: Some(0) }).unwrap();
    assert_eq!(
        json.expose_text().unwrap().replace('\n', ""),
        r#"{"DEFAULT": {"top": "1"},"one": {"a": "x","longer_key": "y"},"two": {"b": "true","c": "1.50"}}"#
    );
    assert_eq!(read(""), entries(&[(DEFAULT, Shape::Map(Vec::new()))]));
    assert_eq!(printed_again(""), "");
    assert_eq!(printed_again("[s]\na = 1\nb ="), "[s]\na = 1\nb = \n");
    assert_eq!(
        printed_again("z=1\n[DEFAULT]\na=1\n[s]\nb=1\n"),
        "z = 1\n\n[DEFAULT]\na = 1\n\n[s]\nb = 1\n"
    );
}

#[test]
fn values_are_read_as_sops_reads_them() {
    for (value, expected) in [
        ("x", "x"),
        ("  x y \r", "x y"),
        ("\u{a0}x\u{a0}", "x"),
        ("a;b", "a"),
        ("x # y ; z", "x"),
        ("\"  outer  \"", "  outer  "),
        ("'x' ; y", "x"),
        ("\"has \"\"quotes\"", "\"has \"\"quotes\""),
        ("\"a\"b\"", "\"a\"b\""),
        ("`x ; y` ; z", "x ; y"),
        ("`x`y`", "x`y"),
        ("`x\ny` ; z", "x\ny"),
        ("\"\"\"two\nlines\"\"\"", "two\nlines"),
        ("\"\"\"x\r\ny\"\"\"\r", "x\r\ny"),
        ("\"\"\"x\"\"\"y\"\"\" ; z", "x\"\"\"y"),
        ("\"\"\"\"\"\"x\"\"\"", "\"\"\"x"),
        ("\"\"\"\"\"\"", ""),
        ("\"\"", ""),
        ("``", ""),
        ("x\\\n  y", "xy"),
        ("x\\\n y ; c", "xy ; c"),
        ("x\\\n", "x"),
        ("x\\\ny\\\nz", "xyz"),
        ("x\\", "x"),
        ("x\ry", "x\ry"),
        ("\"\\n\"", "\\n"),
        ("%(b)s", "%(b)s"),
        ("3=4", "3=4"),
    ] {
        let source = format!("[s]\na = {value}\n");
        let Shape::Map(sections) = read(&source) else {
            panic!("no map");
        };
        let Some((_, Shape::Map(keys))) = sections.get(1) else {
            panic!("no section");
        };
        assert_eq!(keys.first().unwrap().1, text(expected), "{value:?}");
    }
}

#[test]
fn keys_are_read_as_sops_reads_them() {
    for (line, key) in [
        ("a b = 1", "a b"),
        ("\ta\u{a0}: 1", "a"),
        ("\"k=1\" = 1", "k=1"),
        ("`k:2` = 1", "k:2"),
        ("\"\"\"k`3\"\"\" = 1", "k`3"),
        ("\"a\"b = 1", "a"),
        ("a\\=1", "a\\"),
    ] {
        assert_eq!(read(&format!("[s]\n{line}\n")), section(&[(key, "1")]));
    }
}

#[test]
fn sections_of_one_name_stay_apart_and_the_last_of_two_keys_wins() {
    let source = "\u{feff}[s]\r\na = 1\r\nb=1\r\na = 2\r\n[ t ]\nb = 1\n[s]\nc = 3\n[a]b]\nx=1";
    assert_eq!(
        printed_again(source),
        "[s]\na = 2\nb = 1\n\n[ t ]\nb = 1\n\n[s]\nc = 3\n\n[a]b]\nx = 1\n"
    );
}

#[test]
fn a_comment_belongs_to_what_stands_below_it() {
    let source = "; top\n# also\n[s] ; inline\n; above\na = 1 ; inline\n# above b\nb = 2\n  ; end\n[t]\n;\n; ; x\nc = `x\ny` # z\n";
    let comment = |text: &str| ("", Shape::Comment(text.as_bytes().to_vec()));
    let expected = entries(&[
        (DEFAULT, Shape::Map(Vec::new())),
        (
            "s",
            entries(&[
                comment("top\n# also\n; inline"),
                ("a", text("1")),
                comment("above\n; inline"),
                ("b", text("2")),
                comment("above b"),
            ]),
        ),
        (
            "t",
            entries(&[comment("end"), ("c", text("x\ny")), comment("\n; ; x\n# z")]),
        ),
    ]);
    assert_eq!(read(source), expected);
    assert_eq!(
        printed_again(source),
        "; top\n# also\n; inline\n[s]\n; above\n; inline\na = 1\n; above b\nb = 2\n\n; end\n[t]\n;\n; ; x\n# z\nc = \"\"\"x\ny\"\"\"\n"
    );
}

#[test]
fn comments_at_the_end_are_not_lost() {
    for (source, printed) in [
        ("[s]\n; a\na = 1\n; end\n", "[s]\n; a\n; end\na = 1\n"),
        ("a = 1\n# end", "; end\na = 1\n"),
        ("[s]\n; end\n", "; end\n[s]\n"),
        ("; only\n", "; only\n"),
    ] {
        assert_eq!(printed_again(source), printed);
        assert_eq!(printed_again(printed), printed);
    }
}

#[test]
fn errors_name_the_line() {
    for (source, line, rule) in [
        (
            "[s]\na = 1\nb\n",
            3,
            "expected key = value, a section or a comment",
        ),
        ("\n[a\n", 2, "the section header has no ']'"),
        ("[]\n", 1, "the section has no name"),
        ("[s]\n = 1", 2, "the key is empty"),
        ("[s]\n\"a = 1", 2, "the quotes around a key do not end"),
        (
            "[s]\na = \"\"\"x\n\n",
            2,
            "the quotes around a value do not end",
        ),
        ("[s]\na = `x", 2, "the quotes around a value do not end"),
    ] {
        let error = parse(source.as_bytes()).unwrap_err();
        assert_eq!(
            (error.position.line, error.fault),
            (line, Fault::Malformed(rule))
        );
    }
    let error = parse(b"[s]\n- = 1").unwrap_err();
    assert!(matches!(error.fault, Fault::Unsupported(_)));
    for source in [b"[s]\n\xE9 = 1".as_slice(), b"[\xE9]\n"] {
        assert!(parse(source).is_err());
    }
    let map = parse(b"[s]\na = caf\xE9\n; \xE9\n").unwrap();
    assert_eq!(
        emit(&[map]).unwrap().expose(),
        b"[s]\n; \xE9\na = caf\xE9\n".as_slice()
    );
}

#[test]
fn quotes_are_those_of_sops_where_they_read_back() {
    for (value, written) in [
        ("x", "x"),
        ("", ""),
        ("it's \"so\"", "it's \"so\""),
        ("x # y", "`x # y`"),
        ("a;b", "`a;b`"),
        ("  outer  ", "\"  outer  \""),
        ("\t", "\"\t\""),
        ("two\nlines", "\"\"\"two\nlines\"\"\""),
        ("x`y", "\"\"\"x`y\"\"\""),
        ("a;`b", "\"\"\"a;`b\"\"\""),
        ("a\"\"\"b", "a\"\"\"b"),
        ("\u{a0}x", "\"\u{a0}x\""),
        // The reference writes these so that they read back as something else.
        ("\"x\"", "\"\"\"\"x\"\"\"\""),
        ("'x'", "\"\"\"'x'\"\"\""),
        ("x\\", "\"\"\"x\\\"\"\""),
        ("\"\"\"", "\"\"\"\"\"\"\"\"\""),
        ("a\n\"\"\"b\nc", "`a\n\"\"\"b\nc`"),
    ] {
        let shape = section(&[("a", value)]);
        let printed = print(&shape).unwrap();
        assert_eq!(printed, format!("[s]\na = {written}\n"));
        assert_eq!(read(&printed), shape);
    }
    for (key, written) in [
        ("a=b", "`a=b`"),
        ("a:b", "`a:b`"),
        ("c\"d", "`c\"d`"),
        ("e`f", "\"\"\"e`f\"\"\""),
        ("g;h", "g;h"),
        // The reference writes these so that they read back as something else.
        ("#m", "`#m`"),
        ("[l]", "`[l]`"),
        ("`a=", "\"\"\"`a=\"\"\""),
    ] {
        let shape = section(&[(key, "1")]);
        let printed = print(&shape).unwrap();
        assert_eq!(printed, format!("[s]\n{written} = 1\n"));
        assert_eq!(read(&printed), shape);
    }
}

#[test]
fn what_no_quotes_can_hold_is_refused() {
    for key in ["", " a", "a\nb", "-", "\"a`\"\"\"="] {
        let error = print(&section(&[(key, "1")])).unwrap_err();
        assert!(matches!(error, EmitError::Key { .. }), "{key}");
    }
    let error = print(&section(&[("a", "\n\"\"\"\n`\n")])).unwrap_err();
    assert_eq!(
        error.to_string(),
        "the value of s.a cannot be written in INI"
    );
    for name in ["", "a\nb"] {
        let error = print(&entries(&[(name, Shape::Map(Vec::new()))])).unwrap_err();
        assert!(matches!(error, EmitError::Key { .. }));
    }
    let error = print(&entries(&[("a", text("x"))])).unwrap_err();
    assert_eq!(
        error.to_string(),
        "a is a value outside of any section, which INI cannot hold"
    );
    let nested = entries(&[("a", entries(&[("b", Shape::List(Vec::new()))]))]);
    assert_eq!(
        print(&nested).unwrap_err().to_string(),
        "a.b holds a map or list, which INI cannot hold"
    );
}

#[test]
fn trees_of_other_formats_become_sections() {
    let leaf = |kind, text: &str| Shape::Leaf(kind, text.as_bytes().to_vec());
    let comment = |text: &str| ("", Shape::Comment(text.as_bytes().to_vec()));
    let tree = entries(&[
        (
            "s",
            entries(&[
                comment(" c3"),
                comment(""),
                comment(" c4"),
                ("f", leaf(Kind::Float, "1e3")),
                comment(" end"),
                ("n", leaf(Kind::Null, "null")),
                ("longer", leaf(Kind::Bool, "true")),
            ]),
        ),
        ("DEFAULT", entries(&[("b", leaf(Kind::Int, "1"))])),
        ("empty", Shape::Map(Vec::new())),
    ]);
    assert_eq!(
        print(&tree).unwrap(),
        ";  c3\n;  c4\n[s]\n; end\nf      = 1000.0\nn      = <nil>\nlonger = true\n\n[DEFAULT]\nb = 1\n\n[empty]\n"
    );
    let documents = [
        tree.map(),
        entries(&[("t", entries(&[("a", text("1"))]))]).map(),
    ];
    let printed = emit(&documents).unwrap();
    assert!(printed.expose_text().unwrap().ends_with("\n\n[t]\na = 1\n"));
}

/// What the reader makes: a section `DEFAULT`, unique keys, comments of one line.
fn any_ini() -> impl Strategy<Value = Shape> {
    let comment = prop::option::of("[a-z][a-z#; ]{0,4}[a-z]");
    let keys = prop::collection::btree_map(any_text(), (any_text(), comment.clone()), 0..5);
    let section = (prop::option::of("[a-z\\]\\[;#= é]{1,6}"), comment, keys);
    prop::collection::vec(section, 0..4).prop_map(|sections| {
        let mut items = vec![(Some(DEFAULT.to_owned()), Shape::Map(Vec::new()))];
        for (name, comment, keys) in sections {
            let said = |text: String| (None, Shape::Comment(text.into_bytes()));
            let mut inner: Vec<_> = comment.map(said).into_iter().collect();
            for (key, (value, comment)) in keys {
                inner.push((Some(key), text(&value)));
                inner.extend(comment.map(said));
            }
            items.push((
                Some(name.unwrap_or_else(|| DEFAULT.to_owned())),
                Shape::Map(inner),
            ));
        }
        Shape::Map(items)
    })
}

proptest! {
    #[test]
    fn what_is_printed_reads_back(shape in any_ini()) {
        if let Ok(printed) = print(&shape) {
            prop_assert_eq!(read(&printed), shape);
        }
    }

    #[test]
    fn only_few_values_cannot_be_printed(value in any_text()) {
        let shape = section(&[("a", &value)]);
        match print(&shape) {
            Ok(printed) => prop_assert_eq!(read(&printed), shape),
            Err(error) => {
                prop_assert!(value.contains('\n') || value.contains("\"\"\""), "{}", error);
            }
        }
    }

    #[test]
    fn what_is_read_can_be_printed_and_read_again(source in "[a-c=:;#\"'`\\\\ \n\r\\[\\]é]{0,40}") {
        if let Ok(map) = parse(source.as_bytes())
            && let Ok(printed) = emit(std::slice::from_ref(&map))
        {
            let again = parse(printed.expose()).unwrap();
            let json = |map: Map| json::emit(&[map], Layout::default()).unwrap();
            prop_assert_eq!(json(again), json(map));
        }
    }
}
