//! Post-quantum keys, against the vector of the draft and against files of SOPS.

use age_core::format::FileKey;
use proptest::prelude::*;
use serde_json::Value;

use super::*;
use crate::crypto::wrap::tests::{armored, test_key};
use crate::crypto::{AnyIdentity, Asking, unwrap_any, wrap};

fn vector(field: &str) -> Vec<u8> {
    let vector = include_str!("../../../tests/vectors/hpke-mlkem768x25519.json");
    let vector: Value = serde_json::from_str(vector).unwrap();
    let digits = vector[field].as_str().unwrap().as_bytes().chunks(2);
    digits
        .map(|pair| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap())
        .collect()
}

fn identity() -> Identity {
    let text = test_key("postquantum.txt");
    let text = text.expose_text().unwrap();
    let word = text.lines().find(|line| !line.starts_with('#')).unwrap();
    Identity::parse(word).unwrap()
}

fn recipient() -> crate::crypto::Recipient {
    let text = test_key("postquantum.txt");
    let text = text.expose_text().unwrap().to_owned();
    let line = text
        .lines()
        .find_map(|line| line.strip_prefix("# public key: "));
    line.unwrap().parse().unwrap()
}

#[test]
fn the_vector_of_the_draft_holds_in_both_directions() {
    let identity = Identity(Secret::new(vector("private_key")));
    let (public, ciphertext) = (vector("public_key"), vector("ciphertext"));
    let recipient = Recipient::from_bytes(&public).unwrap();
    let seed = vector("encapsulation_randomness").try_into().unwrap();
    let (shared, made) = recipient.encapsulate(seed).unwrap();
    assert_eq!(
        (shared.to_vec(), made),
        (vector("shared_secret"), ciphertext.clone())
    );
    assert_eq!(*identity.decapsulate(&ciphertext).unwrap(), *shared);
    let (_, nonce) = schedule(&shared, &vector("info")).unwrap();
    assert_eq!(nonce.to_vec(), vector("base_nonce"));
}

#[test]
fn a_file_of_sops_opens() {
    let sealed = include_str!("../../../tests/vectors/keys/postquantum/sealed.yaml");
    let identities =
        AnyIdentity::parse_file("test", &test_key("postquantum.txt"), &Asking::nobody()).unwrap();
    let opened = armored(sealed)
        .iter()
        .filter_map(|text| unwrap_any(text, &identities).unwrap())
        .count();
    assert_eq!(opened, 1);
}

#[test]
fn what_is_wrapped_is_unwrapped_by_this_identity_alone() {
    let key = Secret::new(vec![9; 32]);
    let text = wrap(&key, &recipient()).unwrap();
    let mine = AnyIdentity::parse_file("test", &test_key("postquantum.txt"), &Asking::nobody());
    assert_eq!(unwrap_any(&text, &mine.unwrap()), Ok(Some(key)));
    let other = AnyIdentity::parse_file("test", &test_key("alice.txt"), &Asking::nobody());
    assert_eq!(unwrap_any(&text, &other.unwrap()), Ok(None));
    assert!(
        Identity(Secret::new(vec![1; 32]))
            .attempt(&[line()])
            .is_none()
    );
}

/// A header line for [`identity`].
fn line() -> Stanza {
    let key = FileKey::new(Box::new([7; 16]));
    let recipient = recipient().as_str().parse::<Recipient>().unwrap();
    recipient.seal(key.expose_secret()).unwrap()
}

#[test]
fn a_damaged_line_is_a_fault_and_a_foreign_one_is_not() {
    let identity = identity();
    assert!(identity.attempt(&[line()]).unwrap().is_ok());
    let damages: [fn(&mut Stanza); 5] = [
        |line| line.args.clear(),
        |line| line.args.push(String::new()),
        |line| line.args[0].push('='),
        |line| line.args[0].truncate(100),
        |line| line.body.push(0),
    ];
    for damage in damages {
        let mut line = line();
        damage(&mut line);
        assert_eq!(
            identity.attempt(&[line]).unwrap().err(),
            Some(Fault::Header)
        );
    }
    let mut altered = line();
    altered.body[0] ^= 1;
    assert!(identity.attempt(&[altered]).is_none());
    let mut foreign = line();
    foreign.tag = "X25519".to_owned();
    assert!(identity.attempt(&[foreign]).is_none());
}

#[test]
fn a_ciphertext_of_low_order_is_a_fault() {
    let mut line = line();
    let mut bytes = STANDARD_NO_PAD.decode(&line.args[0]).unwrap();
    bytes[ML_CIPHERTEXT..].fill(0);
    line.args[0] = STANDARD_NO_PAD.encode(bytes);
    assert_eq!(
        identity().attempt(&[line]).unwrap().err(),
        Some(Fault::Header)
    );
}

#[test]
fn a_public_key_with_a_coefficient_that_is_not_reduced_is_refused() {
    let mut public = vector("public_key");
    assert!(Recipient::from_bytes(&public).is_some());
    // 0xfff is above the modulus 3329.
    (public[0], public[1]) = (0xff, public[1] | 0x0f);
    assert!(Recipient::from_bytes(&public).is_none());
    assert!(Recipient::from_bytes(&public[1..]).is_none());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(16))]

    #[test]
    fn the_shared_secret_is_the_same_on_both_sides(seed in any::<[u8; 32]>(), random in any::<[u8; 32]>()) {
        let identity = Identity(Secret::new(seed.to_vec()));
        let (private, x) = identity.expand();
        let ml = Box::new(private.encapsulation_key().clone());
        let recipient = Recipient { ml, x: PublicKey::from(&x) };
        let mut seed = [7; 64];
        seed[16..48].copy_from_slice(&random);
        let (shared, ciphertext) = recipient.encapsulate(seed).unwrap();
        prop_assert_eq!(*identity.decapsulate(&ciphertext).unwrap(), *shared);
    }
}
