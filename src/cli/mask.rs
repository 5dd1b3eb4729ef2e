//! How a secret is shown: its length and four digits of a keyed digest, `‹24 chars, 7c1e›`.
//!
//! The key of the digest is derived from the document's data key, so only those who can open the
//! document can compute a fingerprint. No part of the value is shown.

use hkdf::Hkdf;
use sha2::Sha256;

use crate::cli::ui::Symbols;
use crate::crypto::DataKey;
use crate::digest::{Digest, DigestKey};
use crate::secret::Secret;

/// Purpose of the derived key, so that no other use of the data key gives the same one.
const LABEL: &str = "sealctl/mask/v1";

/// Shows the values of one document.
pub(crate) struct Mask {
    key: Option<DigestKey>,
    symbols: Symbols,
}

impl Mask {
    /// A mask for the document with this data key.
    pub(crate) fn new(data_key: &DataKey, symbols: Symbols) -> Self {
        let mut bytes = vec![0; DigestKey::LENGTH];
        let expanded = Hkdf::<Sha256>::new(None, data_key.secret().expose())
            .expand(LABEL.as_bytes(), &mut bytes);
        let key = Secret::new(bytes);
        Self {
            key: expanded.ok().and_then(|()| DigestKey::new(key)),
            symbols,
        }
    }

    /// `value` masked.
    pub(crate) fn show(&self, value: &Secret) -> String {
        let chars = value
            .expose_text()
            .map_or_else(|| value.len(), |text| text.chars().count());
        let print = self
            .digest("", value.expose())
            .map(|digest| digest.short(4));
        let Symbols { open, close, .. } = self.symbols;
        format!(
            "{open}{chars} chars, {}{close}",
            print.as_deref().unwrap_or("----")
        )
    }

    /// Keyed digest of `bytes` for `purpose`; `None` is never seen, since the key has its length.
    pub(crate) fn digest(&self, purpose: &str, bytes: &[u8]) -> Option<Digest> {
        self.key
            .as_ref()
            .map(|key| key.digest(&format!("{LABEL}{purpose}"), bytes))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_masked_value_shows_its_length_and_nothing_of_itself() {
        let key = DataKey::new(Secret::new(vec![7; 32])).unwrap();
        let mask = Mask::new(&key, Symbols::for_locale(true));
        let shown = mask.show(&Secret::from_text("correct-hörse"));
        assert!(
            shown.starts_with("‹13 chars, ") && shown.ends_with('›'),
            "{shown}"
        );
        assert_eq!(shown, mask.show(&Secret::from_text("correct-hörse")));
        assert_ne!(shown, mask.show(&Secret::from_text("correct-hörsf")));
    }

    #[test]
    fn another_data_key_gives_another_fingerprint() {
        let mask = |byte| {
            let key = DataKey::new(Secret::new(vec![byte; 32])).unwrap();
            Mask::new(&key, Symbols::for_locale(false)).show(&Secret::from_text("x"))
        };
        assert_ne!(mask(1), mask(2));
        assert!(mask(1).starts_with("<1 chars, "));
    }
}
