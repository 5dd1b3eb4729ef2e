//! Dotenv and INI: what is printed reads back to the same values; and flat names.

use sealctl::format::{EmitError, Format, Layout, dotenv, emit, flat, ini, parse};
use sealctl::tree::{Leaf, Map, Node};

use super::tree::{assert_same, assert_spans, values};

/// Dotenv.
pub fn check_dotenv(data: &[u8]) {
    if let Ok(map) = dotenv::parse(data) {
        check(Format::Dotenv, &map, data);
        check_flat(&map);
    }
}

/// INI.
pub fn check_ini(data: &[u8]) {
    let Ok(map) = ini::parse(data) else {
        return;
    };
    check(Format::Ini, &map, data);
    for entry in map.entries() {
        if let Node::Map(section) = &entry.value {
            check_flat(section);
        }
    }
}

fn check(format: Format, map: &Map, data: &[u8]) {
    let documents = std::slice::from_ref(map);
    if format == Format::Dotenv {
        assert_spans(documents, data);
    }
    let printed = match emit(format, documents, Layout::default()) {
        Ok(printed) => printed,
        // SOPS prints such a key so that it does not read back.
        Err(EmitError::Key { .. }) if format == Format::Ini => return,
        Err(error) => panic!("not printed: {error}"),
    };
    let again = match parse(format, &printed) {
        Ok(again) => again,
        Err(error) => {
            let text = String::from_utf8_lossy(printed.expose());
            panic!("what was printed does not read back: {error}\n{text}");
        }
    };
    assert_same("what was printed", &again, documents, printed.expose());
    let twice = emit(format, &again, Layout::default()).expect("printed before");
    // Of a comment in INI each reading takes a sign away, as SOPS does.
    if format == Format::Dotenv || !data.contains(&b'#') && !data.contains(&b';') {
        assert_eq!(twice, printed, "printing twice changes the text");
    }
}

/// What flat names stand for, has the same flat names.
fn check_flat(map: &Map) {
    let leaves: Vec<(&str, &Leaf)> = map
        .entries()
        .filter_map(|entry| match &entry.value {
            Node::Leaf(leaf) => Some((entry.key.as_str(), leaf)),
            Node::Map(_) | Node::List(_) => None,
        })
        .collect();
    let Ok(tree) = flat::unflatten(leaves) else {
        return;
    };
    let flat = flat::flatten(&tree);
    let again: Vec<(String, Leaf)> = flat
        .into_iter()
        .map(|(name, text)| {
            let Node::Leaf(leaf) = super::tree::leaf("") else {
                unreachable!("a leaf");
            };
            (name, Leaf { text, ..leaf })
        })
        .collect();
    let again = flat::unflatten(again.iter().map(|(name, leaf)| (name.as_str(), leaf)));
    let again = again.expect("flat names of a tree");
    assert_eq!(values(&[again]), values(&[tree]), "flattened and back");
}
