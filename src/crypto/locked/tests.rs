//! Key files with a passphrase: one that age made, and small ones made here.

use std::io::Write as _;
use std::sync::atomic::{AtomicUsize, Ordering};

use age::Encryptor;
use age::armor::{ArmoredWriter, Format};

use super::*;
use crate::crypto::ask::{Asker, NotAnswered};
use crate::crypto::wrap::tests::test_key;
use crate::crypto::{Identity, UnwrapError, unwrap_any, wrap};

/// Answers with `canary` and counts.
#[derive(Clone, Default)]
struct Typist(Arc<AtomicUsize>);

impl Asker for Typist {
    fn secret(&self, question: &str) -> Result<Secret, NotAnswered> {
        assert_eq!(question, "passphrase of the key file keys.txt");
        self.0.fetch_add(1, Ordering::Relaxed);
        Ok(Secret::from_text("canary"))
    }

    fn line(&self, _question: &str) -> Result<String, NotAnswered> {
        Err(NotAnswered("not expected".to_owned()))
    }

    fn confirm(&self, _question: &str, _yes: &str, _no: Option<&str>) -> Result<bool, NotAnswered> {
        Err(NotAnswered("not expected".to_owned()))
    }

    fn tell(&self, _message: &str) {}
}

/// `text` under `passphrase`, with little work.
fn locked(text: &str, passphrase: &str, format: Format) -> Secret {
    let mut recipient = age::scrypt::Recipient::new(SecretString::from(passphrase));
    recipient.set_work_factor(2);
    let recipients = std::iter::once(&recipient as &dyn age::Recipient);
    let armor = ArmoredWriter::wrap_output(Vec::new(), format).unwrap();
    let encryptor = Encryptor::with_recipients(recipients).unwrap();
    let mut writer = encryptor.wrap_output(armor).unwrap();
    writer.write_all(text.as_bytes()).unwrap();
    Secret::new(writer.finish().unwrap().finish().unwrap())
}

fn read(content: &Secret, asking: &Asking) -> Vec<AnyIdentity> {
    AnyIdentity::parse_file("keys.txt", content, asking).unwrap()
}

#[test]
fn the_passphrase_is_asked_for_once_and_opens_every_identity_in_it() {
    let (one, two) = (Identity::generate(), Identity::generate());
    let text = [&one, &two]
        .map(|key| key.text().expose_text().unwrap().to_owned())
        .join("\n# x\n");
    for format in [Format::AsciiArmor, Format::Binary] {
        let typist = Typist::default();
        let mine = read(
            &locked(&text, "canary", format),
            &Asking::new(typist.clone()),
        );
        assert_eq!((mine.len(), mine[0].effort()), (1, Effort::Passphrase));
        assert_eq!(typist.0.load(Ordering::Relaxed), 0);
        for recipient in [one.recipient(), two.recipient()] {
            let wrapped = wrap(&Secret::new(vec![3; 32]), &recipient).unwrap();
            assert!(unwrap_any(&wrapped, &mine).unwrap().is_some());
        }
        let foreign = wrap(&Secret::new(vec![3; 32]), &Identity::generate().recipient()).unwrap();
        assert_eq!(unwrap_any(&foreign, &mine), Ok(None));
        assert_eq!(
            (typist.0.load(Ordering::Relaxed), mine[0].effort()),
            (1, Effort::None)
        );
    }
}

#[test]
fn a_key_file_that_age_made_opens() {
    let mine = read(
        &test_key("alice_passphrase.age"),
        &Asking::new(Typist::default()),
    );
    let alice = crate::crypto::parse_identities(&test_key("alice.txt")).unwrap();
    let wrapped = wrap(&Secret::new(vec![3; 32]), &alice[0].recipient()).unwrap();
    assert!(unwrap_any(&wrapped, &mine).unwrap().is_some());
}

#[test]
fn what_keeps_a_file_closed_is_said_once_and_without_its_content() {
    let key = Identity::generate();
    let text = key.text().expose_text().unwrap().to_owned();
    let wrapped = wrap(&Secret::new(vec![3; 32]), &key.recipient()).unwrap();
    let typist = Asking::new(Typist::default());
    let mut damaged = locked(&text, "canary", Format::Binary).expose().to_vec();
    *damaged.last_mut().unwrap() ^= 1;
    for (content, asking, part) in [
        (
            locked(&text, "canary", Format::Binary),
            &Asking::nobody(),
            "nobody to ask",
        ),
        (
            locked(&text, "other", Format::Binary),
            &typist,
            "passphrase is wrong",
        ),
        (
            locked("not an identity", "canary", Format::Binary),
            &typist,
            "line 1",
        ),
        (Secret::new(damaged), &typist, "is damaged"),
    ] {
        let mine = read(&content, asking);
        for _ in 0..2 {
            let error = unwrap_any(&wrapped, &mine).unwrap_err();
            assert!(matches!(&error, UnwrapError::Unusable(reasons) if reasons.len() == 1));
            assert!(error.to_string().contains(part), "{error}");
            assert!(!error.to_string().contains("not an identity"));
        }
    }
}

#[test]
fn age_files_without_a_passphrase_are_no_key_files() {
    let wrapped = wrap(&Secret::new(vec![3; 32]), &Identity::generate().recipient()).unwrap();
    for text in [
        wrapped.as_str(),
        "age-encryption.org/v1\n",
        "-----BEGIN AGE ENCRYPTED FILE-----\n",
    ] {
        let content = Secret::from_text(text);
        let read = AnyIdentity::parse_file("keys.txt", &content, &Asking::nobody());
        assert_eq!(read.unwrap_err(), InvalidKey::Locked);
    }
}
