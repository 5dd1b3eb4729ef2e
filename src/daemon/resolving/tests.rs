//! What the mirror is told of a file.

use super::*;
use crate::daemon::shell::scripted::{PLAIN, config, seal};

#[test]
fn plaintext_among_the_secrets_never_travels_whatever_else_is_wrong() {
    let folder = tempfile::tempdir().unwrap();
    let identity = Identity::generate();
    let sealed = seal(&identity, PLAIN, 1);
    let typed = sealed.replacen("secrets:\n", "secrets:\n  API_KEY: hunter2\n", 1);
    let swapped = {
        let key = typed.find("PASS: ENC[AES256_GCM,data:").unwrap() + 26;
        format!("{}AAAA{}", &typed[..key], &typed[key + 4..])
    };
    let number = sealed.replacen("secrets:\n", "secrets:\n  API_KEY: 12345678\n", 1);
    for (what, text, key, policy, environment) in [
        ("nothing", &typed, Some(&identity), "warn", "prod"),
        ("no identity", &typed, None, "warn", "prod"),
        (
            "a stranger's identity",
            &typed,
            Some(&Identity::generate()),
            "warn",
            "prod",
        ),
        ("no proof", &typed, Some(&identity), "require", "prod"),
        (
            "another environment",
            &typed,
            Some(&identity),
            "warn",
            "dev",
        ),
        ("a damaged value", &swapped, Some(&identity), "warn", "prod"),
        ("the type of the value", &number, None, "require", "dev"),
    ] {
        let path = folder.path().join(what.replace(' ', "-"));
        let config = config(&path, key, policy);
        let file = File {
            environment: environment.parse().ok(),
            text: text.clone(),
            commit: None,
        };
        let checked = check(&config, &file);
        let Checked::Broken {
            header: None,
            message,
        } = checked
        else {
            panic!("with {what} wrong: {checked:?}");
        };
        assert!(
            message.contains("API_KEY is plaintext"),
            "{what}: {message}"
        );
        assert!(!message.contains("hunter2"));
    }
}

#[test]
fn a_file_that_cannot_be_opened_is_mirrored_so_that_its_status_says_why() {
    let folder = tempfile::tempdir().unwrap();
    let text = seal(&Identity::generate(), PLAIN, 1);
    let file = File {
        environment: None,
        text,
        commit: None,
    };
    let checked = check(&config(folder.path(), None, "warn"), &file);
    assert!(
        matches!(
            checked,
            Checked::Broken {
                header: Some(_),
                ..
            }
        ),
        "{checked:?}"
    );
}
