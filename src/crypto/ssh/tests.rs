//! SSH keys, with the test keys of the vectors and one that has a passphrase.

use std::sync::atomic::{AtomicUsize, Ordering};

use super::*;
use crate::crypto::ask::{Asker, NotAnswered};
use crate::crypto::wrap::tests::{armored, test_key};
use crate::crypto::{AnyIdentity, Effort, KeyKind, Recipient, UnwrapError, unwrap_any, wrap};

/// A test key: `ssh-keygen -t ed25519`, passphrase `canary`. It protects nothing.
const GUARDED: &str = include_str!("../../../tests/vectors/keys/ssh_ed25519_passphrase");

/// Answers every question with the same passphrase and counts them.
#[derive(Clone, Default)]
struct Typist {
    passphrase: &'static str,
    asked: Arc<AtomicUsize>,
}

impl Asker for Typist {
    fn secret(&self, question: &str) -> Result<Secret, NotAnswered> {
        assert!(question.contains("id_test"), "{question}");
        self.asked.fetch_add(1, Ordering::Relaxed);
        Ok(Secret::from_text(self.passphrase))
    }

    fn line(&self, _question: &str) -> Result<String, NotAnswered> {
        Err(NotAnswered("not expected".to_owned()))
    }

    fn confirm(&self, _question: &str, _yes: &str, _no: Option<&str>) -> Result<bool, NotAnswered> {
        Err(NotAnswered("not expected".to_owned()))
    }

    fn tell(&self, _message: &str) {}
}

fn public(name: &str) -> Recipient {
    test_key(name).expose_text().unwrap().parse().unwrap()
}

#[test]
fn both_types_open_what_sops_wrapped_for_them() {
    let sealed = armored(include_str!("../../../tests/vectors/keys/ssh/sealed.yaml"));
    assert_eq!(sealed.len(), 2);
    for name in ["ssh_ed25519", "ssh_rsa"] {
        let key = AnyIdentity::ssh(name, &test_key(name), &Asking::nobody()).unwrap();
        assert_eq!(key.effort(), Effort::None);
        let opened = sealed
            .iter()
            .filter_map(|text| unwrap_any(text, std::slice::from_ref(&key)).unwrap());
        assert_eq!(opened.count(), 1, "{name}");
    }
}

#[test]
fn what_is_wrapped_for_a_public_key_is_unwrapped_by_its_private_key() {
    let key = Secret::new(vec![5; 33]);
    for name in ["ssh_ed25519", "ssh_rsa"] {
        let recipient = public(&format!("{name}.pub"));
        assert_eq!(recipient.kind(), KeyKind::Ssh);
        let text = wrap(&key, &recipient).unwrap();
        let mine = AnyIdentity::ssh(name, &test_key(name), &Asking::nobody()).unwrap();
        assert_eq!(unwrap_any(&text, &[mine]), Ok(Some(key.clone())));
    }
}

#[test]
fn a_passphrase_is_asked_for_once_and_only_for_what_is_wrapped_for_the_key() {
    let typist = Typist {
        passphrase: "canary",
        ..Typist::default()
    };
    let asking = Asking::new(typist.clone());
    let mine = [AnyIdentity::ssh("id_test", &Secret::from_text(GUARDED), &asking).unwrap()];
    assert_eq!(mine[0].effort(), Effort::Passphrase);
    let key = Secret::new(vec![5; 32]);
    let foreign = wrap(&key, &public("ssh_ed25519.pub")).unwrap();
    assert_eq!(unwrap_any(&foreign, &mine), Ok(None));
    assert_eq!(typist.asked.load(Ordering::Relaxed), 0);
    let own = wrap(&key, &public("ssh_ed25519_passphrase.pub")).unwrap();
    for _ in 0..2 {
        assert_eq!(unwrap_any(&own, &mine), Ok(Some(key.clone())));
        assert_eq!(typist.asked.load(Ordering::Relaxed), 1);
    }
    assert_eq!(mine[0].effort(), Effort::None);
}

#[test]
fn without_or_with_the_wrong_passphrase_the_reason_is_said() {
    let own = wrap(
        &Secret::new(vec![5; 32]),
        &public("ssh_ed25519_passphrase.pub"),
    )
    .unwrap();
    let wrong = Asking::new(Typist {
        passphrase: "wrong",
        ..Typist::default()
    });
    for (asking, part) in [
        (Asking::nobody(), "nobody to ask"),
        (wrong, "passphrase is wrong"),
    ] {
        let mine = AnyIdentity::ssh("id_test", &Secret::from_text(GUARDED), &asking).unwrap();
        let error = unwrap_any(&own, &[mine]).unwrap_err();
        let UnwrapError::Unusable(reasons) = &error else {
            panic!("{error:?}");
        };
        assert_eq!(reasons.len(), 1);
        assert!(error.to_string().starts_with("id_test: "), "{error}");
        assert!(error.to_string().contains(part), "{error}");
    }
}

#[test]
fn other_keys_and_texts_are_refused() {
    for text in [
        "",
        "canary",
        "-----BEGIN OPENSSH PRIVATE KEY-----\nAAAA\n-----END OPENSSH PRIVATE KEY-----\n",
    ] {
        let error = AnyIdentity::ssh("x", &Secret::from_text(text), &Asking::nobody()).unwrap_err();
        assert_eq!(error, InvalidKey::Ssh);
    }
    for text in ["ssh-dss AAAA", "ssh-ed25519", "ssh-ed25519 !", "ssh-"] {
        assert_eq!(text.parse::<Recipient>(), Err(InvalidKey::Ssh), "{text}");
    }
}
