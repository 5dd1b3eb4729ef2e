//! YAML: both readers, what rewrites a text, and what prints one.

use sealctl::format::{Format, Layout, emit, yaml};
use sealctl::secret::Secret;
use sealctl::tree::Map;

use super::tree::{assert_same, assert_spans, change, choice};

/// Texts that are read, are rewritten to themselves where nothing changed; what is changed or printed
/// reads back to the same values; both readers see the same.
pub fn check(data: &[u8]) {
    let strict = std::str::from_utf8(data).ok().and_then(|text| {
        let map = yaml::parse(text).ok()?;
        check_strict(text, &map);
        Some(map)
    });
    let Ok(reading) = yaml::parse_sops(&Secret::new(data.to_vec()).shared()) else {
        return;
    };
    let documents = reading.documents;
    // Line breaks of Unicode are such to SOPS only.
    let same_lines = |text: &str| !text.contains(['\u{85}', '\u{2028}', '\u{2029}']);
    if let Some(map) = strict
        && std::str::from_utf8(data).is_ok_and(same_lines)
    {
        assert_same("the strict reader", &[map], &documents, data);
    }
    let text = reading.text.unwrap_or_else(|| Secret::new(data.to_vec()));
    let text = text.expose_text().expect("UTF-8");
    check_wide(text, &documents);
}

fn check_strict(text: &str, map: &Map) {
    let before = std::slice::from_ref(map);
    assert_spans(before, text.as_bytes());
    let same = yaml::rewrite(text, before, before);
    assert_eq!(same.expose_text(), Some(text), "changed without a change");
    let mut after = before.to_vec();
    if let Some(path) = change(&mut after, choice(text.as_bytes())) {
        let changed = yaml::rewrite(text, before, &after);
        let changed = changed.expose_text().expect("UTF-8");
        let again = match yaml::parse(changed) {
            Ok(again) => again,
            Err(error) => panic!("{path} changed in\n{text}\nto\n{changed}\n{error}"),
        };
        assert_same(
            "the change of a document",
            &[again],
            &after,
            changed.as_bytes(),
        );
    }
}

fn check_wide(text: &str, documents: &[Map]) {
    assert_spans(documents, text.as_bytes());
    let same = yaml::rewrite(text, documents, documents);
    assert_eq!(same.expose_text(), Some(text), "changed without a change");
    reads_back(
        "in the spelling of SOPS",
        &yaml::rewrite_as_sops(text, documents, documents),
        documents,
    );
    for indent in [None, Some(2), Some(9)] {
        let printed = emit(Format::Yaml, documents, Layout { indent }).expect("printed");
        reads_back("what was printed", &printed, documents);
    }
    let mut after = documents.to_vec();
    if change(&mut after, choice(text.as_bytes())).is_some() {
        reads_back(
            "what was changed as SOPS would",
            &yaml::rewrite_as_sops(text, documents, &after),
            &after,
        );
    }
}

fn reads_back(what: &str, text: &Secret, expected: &[Map]) {
    match yaml::parse_sops(text) {
        Ok(again) => assert_same(what, &again.documents, expected, text.expose()),
        Err(error) => {
            let text = text.expose_text().unwrap_or_default();
            panic!("{what} does not read back: {error}\n{text}");
        }
    }
}
