//! Plugins that are not there; a real one is run by the tests of the programs.

use super::*;
use crate::crypto::{AnyIdentity, Effort, KeyKind, UnwrapError, WrapError, unwrap_any, wrap};
use crate::secret::Secret;

/// Public examples: the name `sealctl-none` and no data.
const PUBLIC: &str = "age1sealctl-none1";
const PRIVATE: &str = "AGE-PLUGIN-SEALCTL-NONE-1";

/// `name` and no data as Bech32.
fn bech32(name: &str) -> String {
    let digits = "qpzry9x8gf2tvdw0s3jn54khce6mua7l".as_bytes();
    let lower = name.to_ascii_lowercase();
    let high = lower.bytes().map(|byte| byte >> 5);
    let low = lower.bytes().map(|byte| byte & 31);
    let values = high.chain([0]).chain(low).chain([0; 6]);
    let step = |state: u32, value: u8| {
        let top = state >> 25;
        let state = (state & 0x1ff_ffff) << 5 ^ u32::from(value);
        let taps = [
            0x3b6a_57b2,
            0x2650_8e6d,
            0x1ea1_19fa,
            0x3d42_33dd,
            0x2a14_62b3,
        ];
        let chosen = (0..5).filter(|bit| top >> bit & 1 == 1);
        chosen.fold(state, |state, bit| state ^ taps[bit])
    };
    let sum = values.fold(1, step) ^ 1;
    let sum = (0..6).map(|at| char::from(digits[(sum >> (5 * (5 - at)) & 31) as usize]));
    let text = format!("{lower}1{}", sum.collect::<String>());
    if name == lower {
        text
    } else {
        text.to_ascii_uppercase()
    }
}

fn name(key: &str) -> &str {
    key.strip_suffix('1').unwrap()
}

#[test]
fn a_plugin_that_is_not_there_is_named() {
    let recipient: crate::crypto::Recipient = bech32(name(PUBLIC)).parse().unwrap();
    assert_eq!(recipient.kind(), KeyKind::Plugin);
    let error = wrap(&Secret::new(vec![1; 32]), &recipient).unwrap_err();
    assert!(matches!(&error, WrapError::Plugin { why } if why.contains("age-plugin-sealctl-none")));

    let text = Secret::from_text(&bech32(name(PRIVATE)));
    let identity = AnyIdentity::parse("keys.txt", &text, &Asking::nobody()).unwrap();
    assert_eq!(identity.effort(), Effort::Plugin);
    let own = crate::crypto::Identity::generate();
    let wrapped = wrap(&Secret::new(vec![1; 32]), &own.recipient()).unwrap();
    let error = unwrap_any(&wrapped, std::slice::from_ref(&identity)).unwrap_err();
    assert!(matches!(error, UnwrapError::Unusable(_)));
    assert!(
        error.to_string().contains("age-plugin-sealctl-none"),
        "{error}"
    );

    // An identity that cannot be used does not keep the next from being tried.
    let own = AnyIdentity::parse("own", &own.text(), &Asking::nobody()).unwrap();
    assert!(unwrap_any(&wrapped, &[identity, own]).unwrap().is_some());
}

#[test]
fn names_that_lead_out_of_the_path_are_refused() {
    for hostile in ["age1../evil", "age1a/b", "age1a\\b"] {
        let parsed = bech32(hostile).parse::<crate::crypto::Recipient>();
        assert_eq!(parsed.unwrap_err(), InvalidKey::Plugin, "{hostile}");
    }
    let hostile = Secret::from_text(&bech32("AGE-PLUGIN-../EVIL-"));
    let parsed = AnyIdentity::parse("x", &hostile, &Asking::nobody());
    assert_eq!(parsed.unwrap_err(), InvalidKey::Plugin);
}
