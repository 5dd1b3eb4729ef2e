//! One canary in every form in which it could leave: as it is, base64 at each alignment, hexadecimal, URL-encoded, as in JSON, as
//! `Debug` prints it.

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD, URL_SAFE_NO_PAD};

/// A secret text and how it looks in each encoding.
pub(super) struct Needle {
    pub(super) name: String,
    forms: Vec<(&'static str, Vec<u8>)>,
}

impl Needle {
    pub(super) fn new(name: &str, secret: &[u8]) -> Self {
        let text = String::from_utf8_lossy(secret).into_owned();
        let hex = |upper: bool| -> Vec<u8> {
            let digits = |byte: &u8| {
                if upper {
                    format!("{byte:02X}")
                } else {
                    format!("{byte:02x}")
                }
            };
            secret.iter().map(digits).collect::<String>().into_bytes()
        };
        let json = serde_json::json!(text).to_string();
        let debug = format!("{text:?}");
        let twice = serde_json::json!(json).to_string();
        let mut forms = vec![
            ("raw", secret.to_vec()),
            ("hexadecimal", hex(false)),
            ("hexadecimal", hex(true)),
            (
                "as bytes in Debug",
                format!("{secret:?}")
                    .trim_matches(['[', ']'])
                    .as_bytes()
                    .to_vec(),
            ),
            ("JSON-escaped", json.trim_matches('"').as_bytes().to_vec()),
            (
                "JSON-escaped twice",
                twice.trim_matches(['"', '\\']).as_bytes().to_vec(),
            ),
            ("as Debug", debug.trim_matches('"').as_bytes().to_vec()),
        ];
        for space in ["%20", "+"] {
            forms.push(("URL-encoded", url_encoded(secret, space).into_bytes()));
        }
        for shift in 0..3 {
            forms.push(("base64", aligned(&STANDARD_NO_PAD, secret, shift)));
            forms.push(("base64 for URLs", aligned(&URL_SAFE_NO_PAD, secret, shift)));
        }
        Self {
            name: name.to_owned(),
            forms,
        }
    }

    /// The encoding in which it stands in a text.
    pub(super) fn is_in(&self, text: &[u8]) -> Option<&'static str> {
        let found = |form: &Vec<u8>| form.len() <= text.len() && memchr_find(text, form);
        self.forms
            .iter()
            .find(|(_, form)| found(form))
            .map(|(name, _)| *name)
    }
}

/// Whether `text` holds `form`.
fn memchr_find(text: &[u8], form: &[u8]) -> bool {
    let Some(&first) = form.first() else {
        return false;
    };
    let mut rest = text;
    while let Some(at) = rest.iter().position(|&byte| byte == first) {
        rest = &rest[at..];
        if rest.starts_with(form) {
            return true;
        }
        rest = &rest[1..];
    }
    false
}

/// The characters of base64 that depend on nothing but the secret, when `shift` bytes stand before it.
fn aligned(engine: &impl base64::Engine, secret: &[u8], shift: usize) -> Vec<u8> {
    let padded = [&vec![0; shift][..], secret].concat();
    let text = engine.encode(&padded);
    let begin = [0, 2, 3][shift];
    let end = text.len() - usize::from(!padded.len().is_multiple_of(3));
    text.as_bytes()[begin..end].to_vec()
}

fn url_encoded(secret: &[u8], space: &str) -> String {
    let encoded = |byte: &u8| match byte {
        b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => {
            char::from(*byte).to_string()
        }
        b' ' => space.to_owned(),
        other => format!("%{other:02X}"),
    };
    secret.iter().map(encoded).collect()
}

/// Plain base64.
pub(super) fn base64(secret: &[u8]) -> String {
    STANDARD.encode(secret)
}

#[test]
fn a_canary_is_found_in_every_encoding_at_every_alignment() {
    let secret = "CaNaRy /+\"\\ü".as_bytes();
    let needle = Needle::new("it", secret);
    assert_eq!(needle.is_in(b"nothing of the kind"), None);
    for before in 0..7 {
        let text = [&vec![b'x'; before][..], secret, b"tail"].concat();
        assert!(
            needle.is_in(STANDARD.encode(&text).as_bytes()).is_some(),
            "{before} bytes before"
        );
        assert!(
            needle
                .is_in(URL_SAFE_NO_PAD.encode(&text).as_bytes())
                .is_some(),
            "{before} bytes before"
        );
    }
    let text = String::from_utf8_lossy(secret).into_owned();
    let json = serde_json::json!({"message": format!("cannot take {text}")}).to_string();
    assert!(needle.is_in(json.as_bytes()).is_some());
    assert!(
        needle
            .is_in(serde_json::json!({"log": json}).to_string().as_bytes())
            .is_some()
    );
    assert!(needle.is_in(format!("{text:?}").as_bytes()).is_some());
    assert!(needle.is_in(b"CaNaRy%20%2F%2B%22%5C%C3%BC").is_some());
}
