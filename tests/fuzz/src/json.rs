//! JSON: the reader, what rewrites a text, and what prints one.

use sealctl::format::{Layout, json};
use sealctl::secret::Secret;
use sealctl::tree::Map;

use super::tree::{assert_same, assert_spans, change, choice};

/// A text that is read, is rewritten to itself where nothing changed; what is changed or printed reads
/// back to the same values.
pub fn check(data: &[u8]) {
    let Ok(map) = json::parse(&Secret::new(data.to_vec()).shared()) else {
        return;
    };
    let before = std::slice::from_ref(&map);
    assert_spans(before, data);
    let layout = Layout::default();
    let same = json::rewrite(data, &map, &map, layout).expect("nothing is new");
    assert_eq!(same.expose(), data, "changed without a change");
    for indent in [None, Some(0), Some(3)] {
        let printed = json::emit(before, Layout { indent }).expect("printed");
        reads_back("what was printed", printed.expose(), &map);
    }
    let mut after = before.to_vec();
    if change(&mut after, choice(data)).is_some() {
        let changed = json::rewrite(data, &map, &after[0], layout).expect("can be written");
        reads_back("what was changed", changed.expose(), &after[0]);
    }
}

fn reads_back(what: &str, text: &[u8], expected: &Map) {
    match json::parse(&Secret::new(text.to_vec())) {
        Ok(again) => assert_same(what, &[again], std::slice::from_ref(expected), text),
        Err(error) => {
            let text = String::from_utf8_lossy(text);
            panic!("{what} does not read back: {error}\n{text}");
        }
    }
}
