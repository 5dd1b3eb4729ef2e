//! Test keys: those of the vectors, and a data key that protects nothing.

use std::sync::OnceLock;

use sealctl::crypto::{AnyIdentity, Asking, DataKey, Identity, parse_identities};
use sealctl::secret::Secret;

/// A data key of 32 equal bytes.
pub fn fixed_key() -> DataKey {
    DataKey::new(Secret::new(vec![7; DataKey::LENGTH])).expect("32 bytes")
}

/// The three X25519 identities of the vectors.
pub fn identities() -> &'static [Identity] {
    static IDENTITIES: OnceLock<Vec<Identity>> = OnceLock::new();
    IDENTITIES.get_or_init(|| {
        let files = [
            include_str!("../../vectors/keys/alice.txt"),
            include_str!("../../vectors/keys/bob.txt"),
            include_str!("../../vectors/keys/carol.txt"),
        ];
        let read = |text: &&str| parse_identities(&Secret::from_text(text)).expect("a key file");
        files.iter().flat_map(read).collect()
    })
}

/// The identities of the vectors of every kind that needs nobody to answer.
pub fn any_identities() -> &'static [AnyIdentity] {
    static IDENTITIES: OnceLock<Vec<AnyIdentity>> = OnceLock::new();
    IDENTITIES.get_or_init(|| {
        let nobody = Asking::nobody();
        let files = [
            include_str!("../../vectors/keys/alice.txt"),
            include_str!("../../vectors/keys/postquantum.txt"),
        ];
        let read = |text: &&str| {
            let text = Secret::from_text(text);
            AnyIdentity::parse_file("a file", &text, &nobody).expect("a key file")
        };
        let mut all: Vec<AnyIdentity> = files.iter().flat_map(read).collect();
        for text in [
            include_str!("../../vectors/keys/ssh_ed25519"),
            include_str!("../../vectors/keys/ssh_rsa"),
            include_str!("../../vectors/keys/ssh_ed25519_passphrase"),
        ] {
            let key = AnyIdentity::ssh("a key", &Secret::from_text(text), &nobody);
            all.push(key.expect("an SSH key"));
        }
        all
    })
}
