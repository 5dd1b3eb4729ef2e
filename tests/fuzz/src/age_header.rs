//! Wrapped keys, key files, SSH keys and recipients: everything of age that comes out of files.

use sealctl::crypto::{
    AnyIdentity, Asking, DataKey, Recipient, parse_identities, unwrap, unwrap_any,
};
use sealctl::secret::Secret;

use super::keyed::{any_identities, identities};

/// Each reader is given the text. No program is started: there is no identity of a plugin.
pub fn check(data: &[u8]) {
    let secret = Secret::new(data.to_vec());
    let nobody = Asking::nobody();
    let _ = parse_identities(&secret);
    if let Ok(found) = AnyIdentity::parse_file("fuzz", &secret, &nobody) {
        for one in &found {
            let _ = (one.effort(), one.source());
        }
    }
    let _ = AnyIdentity::ssh("fuzz", &secret, &nobody);
    let Ok(text) = std::str::from_utf8(data) else {
        return;
    };
    check_recipient(text);
    check_wrapped(text);
}

/// A recipient that is read is shown as it was written.
fn check_recipient(text: &str) {
    if let Ok(recipient) = text.parse::<Recipient>() {
        let again: Recipient = recipient.as_str().parse().expect("read before");
        assert_eq!(again, recipient);
        assert_eq!(again.kind(), recipient.kind());
        let _ = recipient.short();
    }
    if let Ok(recipient) = Recipient::x25519(text) {
        assert_eq!(recipient.as_str().parse(), Ok(recipient));
    }
}

/// What opens is a key or a share of one.
fn check_wrapped(text: &str) {
    let opened = unwrap(text, identities());
    for key in [opened, unwrap_any(text, any_identities())]
        .into_iter()
        .flatten()
        .flatten()
    {
        let length = key.len();
        assert!(length == DataKey::LENGTH || length == DataKey::LENGTH + 1);
    }
}
