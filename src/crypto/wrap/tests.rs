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
    let spaced = format!("\n \t{text}\r\n \n");
    for text in [&text, text.trim_end(), &spaced, &text.replace('\n', "\r\n")] {
        let both = [other.clone(), mine.clone()];
        assert_eq!(unwrap(text, &both), Ok(Some(key.clone())));
    }
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

#[test]
fn a_header_of_many_lines_or_without_an_end_is_read_quickly() {
    use base64::Engine as _;
    let armor = |header: &str| {
        let text = base64::engine::general_purpose::STANDARD.encode(header);
        let lines: Vec<&str> = text
            .as_bytes()
            .chunks(64)
            .map(|line| std::str::from_utf8(line).unwrap())
            .collect();
        let lines = lines.join("\n");
        format!("-----BEGIN AGE ENCRYPTED FILE-----\n{lines}\n-----END AGE ENCRYPTED FILE-----\n")
    };
    let line = "-> X25519 TEiF0ypqr+bpvcqXNyCVJpL7OuwPdVwPL7KQEbFDOCc\n\
        EmECAEcKN+n/Vs9SbWiV+Hu0r+E8R77DdWYyd83nw7U\n";
    let many = format!("age-encryption.org/v1\n{}", line.repeat(100));
    let ended = format!("{many}--- nQM2VCzmNLPrUurNWN+SW9wVp/9uTMQ/6CTUM7l8c84\n0123456789abcdef");
    let endless = format!("age-encryption.org/v1\n-> {}", "x".repeat(11_000));
    let body = format!("age-encryption.org/v1\n-> x\n{}", "A".repeat(11_000));
    let mine = [Identity::generate()];
    for (header, outcome) in [
        (many, Err(UnwrapError::Broken)),
        (ended, Ok(None)),
        (endless, Err(UnwrapError::Broken)),
        (body, Err(UnwrapError::Broken)),
    ] {
        let text = armor(&header);
        assert!(text.len() <= LONGEST, "{}", text.len());
        assert_eq!(unwrap(&text, &mine), outcome);
    }
}
