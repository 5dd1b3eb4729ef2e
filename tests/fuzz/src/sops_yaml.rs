//! `.sops.yaml`: rules, groups of keys, and regular expressions.

use sealctl::sops::Rule;
use sealctl::sops::config::Config;

const PATHS: [&str; 4] = ["", "a.yaml", "envs/prod/secrets.enc.yaml", "/ä/b\n.json"];

/// A configuration that is read answers for any path.
pub fn check(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else {
        return;
    };
    if let Ok(config) = Config::parse(text) {
        for path in PATHS {
            let _ = config.rule_for(path);
        }
        for rule in config.rules.iter().flatten() {
            if let Ok(Some((name, argument))) = rule.selection() {
                check_rule(name, argument);
            }
            let groups = rule.groups();
            assert!(groups.is_err() || groups.is_ok_and(|groups| !groups.is_empty()));
        }
    }
    // One line alone is a pattern.
    if !text.contains('\n') {
        check_rule("encrypted_regex", text);
    }
}

fn check_rule(name: &str, argument: &str) {
    if let Some(Ok(rule)) = Rule::named(name, argument) {
        assert_eq!((rule.name(), rule.argument()), (name, argument));
        assert!(!rule.is_broken());
    }
    if let Some(Ok(rule)) = Rule::tolerant(name, argument) {
        assert_eq!((rule.name(), rule.argument()), (name, argument));
    }
}
