//! Wrapping a data key: one complete armored age file per recipient, with the raw key as payload.
//!
//! Unwrapping has three outcomes that callers must tell apart: opened, "not mine" (`None`) and
//! broken (an error).

use std::io::{Read as _, Write as _};

use age::armor::{ArmoredReader, ArmoredWriter, Format};
use age::{DecryptError, Decryptor, Encryptor};

use super::{DataKey, Identity, Recipient};
use crate::secret::Secret;

/// Wrapping failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the data key could not be wrapped")]
pub struct WrapError;

/// A wrapped data key that no identity can make sense of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum UnwrapError {
    /// Not an age file, or a damaged one.
    #[error("not a valid age file")]
    Broken,
    /// It opened, but what was in it is no data key.
    #[error("holds {length} bytes, not a data key of 32")]
    WrongLength {
        /// Length of what was in it.
        length: usize,
    },
}

/// Most bytes that a wrapped key can have; a longer payload is no data key.
const LIMIT: u64 = 4096;

/// Wraps `key` for `recipient`, as an armored age file that ends with a newline.
///
/// # Errors
/// When the age library refuses, which it does only for lack of randomness.
pub fn wrap(key: &DataKey, recipient: &Recipient) -> Result<String, WrapError> {
    let recipients = std::iter::once(recipient.key() as &dyn age::Recipient);
    let encryptor = Encryptor::with_recipients(recipients).map_err(|_| WrapError)?;
    let armor = || -> std::io::Result<Vec<u8>> {
        let armor = ArmoredWriter::wrap_output(Vec::new(), Format::AsciiArmor)?;
        let mut writer = encryptor.wrap_output(armor)?;
        writer.write_all(key.secret().expose())?;
        writer.finish()?.finish()
    };
    let mut text = String::from_utf8(armor().map_err(|_| WrapError)?).map_err(|_| WrapError)?;
    if !text.ends_with('\n') {
        text.push('\n');
    }
    Ok(text)
}

/// Opens one wrapped key with whichever of `identities` fits; `None` when none does.
///
/// # Errors
/// When the age file is damaged, or holds something else than a data key.
pub fn unwrap(armored: &str, identities: &[Identity]) -> Result<Option<DataKey>, UnwrapError> {
    let reader = ArmoredReader::new(armored.as_bytes());
    let decryptor = Decryptor::new_buffered(reader).map_err(|_| UnwrapError::Broken)?;
    let keys = identities
        .iter()
        .map(|identity| identity.key() as &dyn age::Identity);
    let payload = match decryptor.decrypt(keys) {
        Ok(payload) => payload,
        Err(DecryptError::NoMatchingKeys) => return Ok(None),
        Err(_) => return Err(UnwrapError::Broken),
    };
    // Reserved at once, so that the buffer is never moved and left behind unwiped.
    let mut bytes = Vec::with_capacity(usize::try_from(LIMIT).unwrap_or(0));
    let read = payload.take(LIMIT).read_to_end(&mut bytes);
    let key = Secret::new(bytes);
    read.map_err(|_| UnwrapError::Broken)?;
    let length = key.len();
    DataKey::new(key)
        .map(Some)
        .ok_or(UnwrapError::WrongLength { length })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_recipient_unwraps_what_was_wrapped_for_it() {
        let (mine, other) = (Identity::generate(), Identity::generate());
        let key = DataKey::generate().unwrap();
        let text = wrap(&key, &mine.recipient()).unwrap();
        assert!(
            text.starts_with("-----BEGIN AGE ENCRYPTED FILE-----\n") && text.ends_with("-----\n")
        );
        assert_eq!(unwrap(&text, &[other.clone(), mine]), Ok(Some(key)));
        assert_eq!(unwrap(&text, &[other]), Ok(None));
    }

    #[test]
    fn a_damaged_file_is_broken_and_not_just_somebody_elses() {
        let mine = Identity::generate();
        let text = wrap(&DataKey::generate().unwrap(), &mine.recipient()).unwrap();
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
}
