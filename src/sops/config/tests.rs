use super::*;

fn config(text: &str) -> Config {
    Config::parse(text).unwrap()
}

fn names(rule: &CreationRule) -> Vec<Vec<String>> {
    let groups = rule.groups().unwrap();
    let name = |key: MasterKey| format!("{}:{}", key.service, key.name);
    groups
        .into_iter()
        .map(|group| group.into_iter().map(name).collect())
        .collect()
}

#[test]
fn the_first_rule_that_fits_counts_alone() {
    let config = config(
        "creation_rules:\n  - path_regex: ^first/\n    age: a\n  - path_regex: '\\.yaml$'\n    age: b\n    encrypted_regex: x\n",
    );
    let rule = |path| config.rule_for(path).unwrap().unwrap();
    assert_eq!(names(rule("first/x.yaml")), [["age:a"]]);
    assert_eq!(rule("first/x.yaml").selection().unwrap(), None);
    assert_eq!(names(rule("deep/first/x.yaml")), [["age:b"]]);
    assert_eq!(
        rule("x.yaml").selection().unwrap(),
        Some(("encrypted_regex", "x"))
    );
    assert_eq!(config.rule_for("x.json").unwrap_err(), ConfigError::NoMatch);
}

#[test]
fn keys_are_texts_with_commas_or_lists() {
    let text = "creation_rules:\n  - age: >-\n      a,\n      b\n    pgp: [c, d]\n    azure_keyvault: e\n    hc_vault_transit_uri: f\n";
    let config = config(text);
    let rule = config.rule_for("x").unwrap().unwrap();
    assert_eq!(
        names(rule),
        [[
            "age:a",
            "age:b",
            "pgp:c",
            "pgp:d",
            "azure_kv:e",
            "hc_vault:f"
        ]]
    );
}

#[test]
fn groups_win_and_what_is_merged_in_comes_first_once() {
    let text = "creation_rules:\n  - age: z\n    shamir_threshold: 2\n    key_groups:\n      - age: [a]\n        merge:\n          - age: [b]\n          - age: [a]\n            merge: [{age: [b]}]\n      - pgp: [c]\n";
    let config = config(text);
    let rule = config.rule_for("x").unwrap().unwrap();
    assert_eq!(names(rule), [vec!["age:b", "age:a"], vec!["pgp:c"]]);
    assert_eq!(rule.threshold, 2);
}

#[test]
fn a_file_without_rules_is_told_from_one_whose_rules_do_not_fit() {
    assert!(config("").rule_for("x").unwrap().is_none());
    assert!(config("stores: {}").rule_for("x").unwrap().is_none());
    let none: Vec<Vec<String>> = vec![vec![]];
    let empty = config("creation_rules:\n  - path_regex: x\n");
    assert_eq!(names(empty.rule_for("x").unwrap().unwrap()), none);
}

#[test]
fn stores_and_unknown_fields_are_read_and_passed_over() {
    let stores = config("x: 1\nstores:\n  yaml: {indent: 2, y: 1}\n  json: {indent: -1}\n").stores;
    assert_eq!((stores.yaml, stores.json), (Some(2), Some(-1)));
    assert_eq!(stores.json_binary, None);
}

#[test]
fn errors_are_in_the_words_of_sops() {
    for (text, said) in [
        (
            "creation_rules:\n  - shamir_threshold: two\n",
            "error loading config: Could not unmarshal config file: yaml: unmarshal errors:\n  line 2: cannot unmarshal !!str `two` into int",
        ),
        (
            "creation_rules:\n  path_regex: foo\n",
            "error loading config: Could not unmarshal config file: yaml: unmarshal errors:\n  line 2: cannot unmarshal !!map into []config.creationRule",
        ),
        (
            "creation_rules:\n  - key_groups:\n      - age: age1aaaaaaaaa\n",
            "error loading config: Could not unmarshal config file: yaml: unmarshal errors:\n  line 3: cannot unmarshal !!str `age1aaa...` into []string",
        ),
    ] {
        assert_eq!(Config::parse(text).unwrap_err().to_string(), said);
    }
    let twice = config("creation_rules:\n  - encrypted_regex: a\n    encrypted_suffix: b\n");
    let rule = twice.rule_for("x").unwrap().unwrap();
    assert_eq!(rule.selection().unwrap_err(), ConfigError::Selection);
    let wrong = config("creation_rules:\n  - age: 12\n");
    let rule = wrong.rule_for("x").unwrap().unwrap();
    assert_eq!(
        rule.groups().unwrap_err().to_string(),
        "invalid age key configuration: invalid age key configuration: expected string, []string, or nil, got int"
    );
    let open = config("creation_rules:\n  - path_regex: '['\n");
    assert!(matches!(
        open.rule_for("x").unwrap_err(),
        ConfigError::Pattern(_)
    ));
}

#[test]
fn keys_that_sops_passes_over_are_found_with_their_lines() {
    let text = "x-keys: &k age1\ncreation_rule: []\ncreation_rules:\n  - path_regexp: a\n    age: *k\nstores: {}\n";
    let found = unknown_keys(text);
    let places: Vec<(u32, &str)> = found
        .iter()
        .map(|one| (one.line, one.key.as_str()))
        .collect();
    assert_eq!(places, [(2, "creation_rule"), (4, "path_regexp")]);
    assert!(unknown_keys("a: [").is_empty() && unknown_keys("").is_empty());
}
