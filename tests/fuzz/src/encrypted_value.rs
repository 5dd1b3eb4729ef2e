//! `ENC[…]`, the spellings of scalars, and shares of a key.

use sealctl::crypto::shares;
use sealctl::crypto::value::{Cipher, ValueType, is_encrypted};
use sealctl::format::scalar;
use sealctl::secret::Secret;
use sealctl::tree::Kind;

use super::keyed::fixed_key;

/// The byte in front says how the rest is taken.
pub fn check(data: &[u8]) {
    let Some((first, rest)) = data.split_first() else {
        return;
    };
    match first {
        b's' => check_shares(rest),
        b'r' => check_round_trip(rest),
        _ => {
            if let Ok(text) = std::str::from_utf8(data) {
                check_token(text);
                check_scalar(text);
            }
        }
    }
}

/// A text that was never encrypted with the key does not decrypt.
fn check_token(text: &str) {
    let cipher = Cipher::new(&fixed_key());
    let decrypted = cipher.decrypt(text, "a:");
    assert!(decrypted.is_err(), "a forgery");
    let not_encrypted = matches!(
        decrypted,
        Err(sealctl::crypto::value::ValueError::NotEncrypted)
    );
    assert_eq!(is_encrypted(text), !not_encrypted, "recognised by one only");
}

/// The normal form of a scalar is its own normal form, and of the same type.
fn check_scalar(text: &str) {
    let kinds = [
        Kind::Null,
        Kind::Bool,
        Kind::Int,
        Kind::Float,
        Kind::Time,
        Kind::Text,
    ];
    for kind in kinds {
        if let Some(normal) = scalar::normal_form(kind, text) {
            let again = scalar::normal_form(kind, &normal);
            // The infinities and not-a-number are spelled as in a plaintext, not as in YAML.
            let is_special = normal.contains("Inf") || normal == "NaN";
            let is_word = matches!(kind, Kind::Null | Kind::Bool);
            if !(is_word || kind == Kind::Float && is_special) {
                assert_eq!(again.as_ref(), Some(&normal), "{kind:?} of {text:?}");
            }
        }
    }
    if let Some(kind) = scalar::resolve(text) {
        assert!(
            scalar::normal_form(kind, text).is_some(),
            "{kind:?}: {text:?}"
        );
    }
    if let Some(time) = scalar::parse_rfc3339(text) {
        assert_eq!(scalar::parse_rfc3339(&time), Some(time));
    }
    if let Some(number) = scalar::parse_int(text) {
        assert_eq!(scalar::parse_int(&number.to_string()), Some(number));
    }
    if let Some(number) = scalar::parse_float(text) {
        let form = scalar::float_form(number);
        let again = scalar::parse_float(&form).expect("a float");
        assert!(again == number || number.is_nan(), "{text:?}");
    }
    let _ = (
        scalar::parse_bool(text),
        scalar::may_read_as_another_type(text),
    );
}

/// What was encrypted decrypts to the same, and at no other place.
fn check_round_trip(data: &[u8]) {
    let types = [
        ValueType::Str,
        ValueType::Int,
        ValueType::Float,
        ValueType::Bool,
        ValueType::Time,
        ValueType::Comment,
    ];
    let Some(([kind, at], plain)) = data.split_first_chunk::<2>() else {
        return;
    };
    let kind = types[usize::from(*kind) % types.len()];
    let (aad, plain) = plain.split_at(usize::from(*at).min(plain.len()));
    let aad = String::from_utf8_lossy(aad);
    let mut cipher = Cipher::new(&fixed_key());
    let token = cipher.encrypt(plain, &aad, kind).expect("randomness");
    // Nothing is never encrypted, and so no encrypted value either.
    assert_eq!(is_encrypted(&token), !plain.is_empty());
    if plain.is_empty() {
        return;
    }
    let (decrypted, found) = cipher.decrypt(&token, &aad).expect("our own");
    assert_eq!((decrypted.expose(), found), (plain, kind));
    assert!(cipher.decrypt(&token, &format!("{aad}x")).is_err(), "moved");
}

/// Shares of equal length: as many as the first byte says.
fn check_shares(data: &[u8]) {
    let Some((count, rest)) = data.split_first() else {
        return;
    };
    let length = (rest.len() / usize::from(*count).max(1)).max(1);
    let parts: Vec<Secret> = rest
        .chunks(length)
        .map(|each| Secret::new(each.to_vec()))
        .collect();
    let _ = shares::combine(&parts);
    let (count, threshold) = (usize::from(*count) % 9, rest.len() % 9);
    if let Ok(parts) = shares::split(&Secret::new(rest.to_vec()), count, threshold) {
        let enough = &parts[count - threshold..];
        let secret = shares::combine(enough).expect("enough shares");
        assert_eq!(secret.expose(), rest);
    }
}
