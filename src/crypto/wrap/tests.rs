//! Wrapping and unwrapping with X25519; the other kinds have their tests beside them.

use proptest::prelude::*;

use super::*;

fn key() -> Secret {
    DataKey::generate().unwrap().secret().clone()
}

#[test]
fn only_the_recipient_unwraps_what_was_wrapped_for_it() {
    let (mine, other) = (Identity::generate(), Identity::generate());
    let key = key();
    let text = wrap(&key, &mine.recipient()).unwrap();
    assert!(text.starts_with("-----BEGIN AGE ENCRYPTED FILE-----\n") && text.ends_with("-----\n"));
    assert_eq!(unwrap(&text, &[other.clone(), mine]), Ok(Some(key)));
    assert_eq!(unwrap(&text, &[other]), Ok(None));
}

#[test]
fn a_share_is_unwrapped_and_other_lengths_are_not() {
    let mine = Identity::generate();
    for (length, is_key) in [
        (0, false),
        (31, false),
        (32, true),
        (33, true),
        (34, false),
        (5000, false),
    ] {
        let text = wrap(&Secret::new(vec![7; length]), &mine.recipient()).unwrap();
        let opened = unwrap(&text, std::slice::from_ref(&mine));
        assert_eq!(opened.is_ok(), is_key, "{length}");
    }
}

#[test]
fn a_damaged_file_is_broken_and_not_just_somebody_elses() {
    let mine = Identity::generate();
    let text = wrap(&key(), &mine.recipient()).unwrap();
    let cut: String = text.lines().take(3).collect();
    let mut body: Vec<String> = text.lines().map(str::to_owned).collect();
    let last = body.len() - 2;
    let flipped = if body[last].starts_with('A') {
        "B"
    } else {
        "A"
    };
    body[last].replace_range(0..1, flipped);
    for broken in ["", "canary", &cut, &body.join("\n")] {
        let error = unwrap(broken, std::slice::from_ref(&mine)).unwrap_err();
        assert!(!format!("{error}{error:?}").contains("canary"));
    }
}

#[test]
fn what_is_far_too_long_is_refused_before_it_is_read() {
    let long = format!(
        "-----BEGIN AGE ENCRYPTED FILE-----\n{}",
        "A".repeat(100 << 20)
    );
    assert_eq!(
        unwrap(&long, &[Identity::generate()]),
        Err(UnwrapError::Broken)
    );
}

#[test]
fn identities_at_hand_give_a_reason_for_each_key_that_they_do_not_open() {
    let (mine, other) = (Identity::generate(), Identity::generate());
    let key = key();
    let (own, foreign) = (
        wrap(&key, &mine.recipient()),
        wrap(&key, &other.recipient()),
    );
    let (own, foreign) = (own.unwrap(), foreign.unwrap());
    let entry = |system, armored| Wrapped {
        system,
        recipient: "",
        armored,
    };
    let entries = [
        entry(System::Pgp, "x"),
        entry(System::Age, "x"),
        entry(System::Age, foreign.as_str()),
        entry(System::Age, own.as_str()),
    ];
    let identities = vec![mine];
    assert_eq!(identities.unwrap_one(&entries), Ok(key));
    let reasons = vec![
        UnwrapError::NoneFits,
        UnwrapError::Broken,
        UnwrapError::NoneFits,
    ];
    assert_eq!(identities.unwrap_one(&entries[..3]), Err(reasons));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn no_text_makes_unwrapping_panic(text in "(-----BEGIN AGE ENCRYPTED FILE-----\n)?[A-Za-z0-9+/=\n -]{0,400}") {
        let _ = unwrap(&text, &[Identity::generate()]);
    }
}

/// A file of the test keys.
pub(in crate::crypto) fn test_key(name: &str) -> Secret {
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/vectors/keys");
    #[expect(clippy::disallowed_methods, reason = "reads the test keys")]
    let bytes = std::fs::read(folder.join(name)).unwrap();
    Secret::new(bytes)
}

/// The armored texts in a sealed YAML file.
pub(in crate::crypto) fn armored(sealed: &str) -> Vec<String> {
    let texts = sealed.split("-----BEGIN").skip(1).map(|part| {
        let part = part.split("-----END").next().unwrap();
        let lines: Vec<&str> = part.lines().map(str::trim).collect();
        format!(
            "-----BEGIN {}-----END AGE ENCRYPTED FILE-----\n",
            lines.join("\n")
        )
    });
    texts.collect()
}
