//! The encrypted value of SOPS: `ENC[AES256_GCM,data:…,iv:…,tag:…,type:…]`.
//!
//! AES-256-GCM with a nonce of 32 bytes, the tag apart from the ciphertext, all fields in standard
//! base64. The form is recognised leniently (what stands after the `]` is ignored, as SOPS does) and
//! written exactly. What the plaintext means is not known here.

use std::fmt;

use aes_gcm::aead::generic_array::{ArrayLength, GenericArray, typenum};
use aes_gcm::aead::{AeadInPlace as _, KeyInit as _};
use aes_gcm::aes::Aes256;
use aes_gcm::{AesGcm, Tag};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use zeroize::Zeroize as _;

use super::DataKey;
use super::random::{self, NoRandomness};
use crate::secret::Secret;

/// From this length on, a plaintext is not copied with the tree that it is in.
const LARGE: usize = 1 << 16;
/// Length of the nonce that is written.
const NONCE: usize = 32;
/// What every encrypted value begins with.
const PREFIX: &str = "ENC[AES256_GCM,";

/// The type that is recorded beside a ciphertext.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ValueType {
    /// Text, or bytes that are not UTF-8.
    Str,
    /// A whole number.
    Int,
    /// A number with a point or an exponent.
    Float,
    /// True or false.
    Bool,
    /// A point in time.
    Time,
    /// A comment.
    Comment,
    /// Raw bytes; no known version of SOPS writes it.
    Bytes,
}

impl ValueType {
    /// The word in the file.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Str => "str",
            Self::Int => "int",
            Self::Float => "float",
            Self::Bool => "bool",
            Self::Time => "time",
            Self::Comment => "comment",
            Self::Bytes => "bytes",
        }
    }

    fn from_word(word: &str) -> Option<Self> {
        [
            Self::Str,
            Self::Int,
            Self::Float,
            Self::Bool,
            Self::Time,
            Self::Comment,
            Self::Bytes,
        ]
        .into_iter()
        .find(|kind| kind.word() == word)
    }
}

/// Why a value cannot be decrypted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ValueError {
    /// It does not have the form of an encrypted value.
    #[error("not an encrypted value")]
    NotEncrypted,
    /// One of its fields is not base64, or has an impossible length.
    #[error("the encrypted value is damaged")]
    Damaged,
    /// Its `type` is none that is known.
    #[error("the encrypted value has an unknown type")]
    UnknownType,
    /// It decrypts to bytes that are no text.
    #[error("the value is not UTF-8 text")]
    NotText,
    /// It was altered, or belongs to another key path or another file.
    #[error("the encrypted value was altered, moved, or encrypted with another data key")]
    Forged,
}

/// Encrypts and decrypts the values of one file.
pub struct Cipher {
    key: DataKey,
    aead: AesGcm<Aes256, typenum::U32>,
    nonces: Nonces,
}

/// Random nonces, of which many are asked for at once: a call of the operating system takes longer than a
/// short value takes to be encrypted.
struct Nonces {
    pool: [[u8; NONCE]; 64],
    /// How many of them are used.
    used: usize,
}

impl Nonces {
    fn next(&mut self) -> Result<[u8; NONCE], NoRandomness> {
        if self.used == self.pool.len() {
            random::fill(&mut self.pool)?;
            self.used = 0;
        }
        let nonce = self.pool[self.used];
        self.used += 1;
        Ok(nonce)
    }
}

impl Cipher {
    /// Prepares `key` for use.
    #[must_use]
    pub fn new(key: &DataKey) -> Self {
        // A data key has 32 bytes by construction.
        let aead = AesGcm::new(GenericArray::from_slice(key.secret().expose()));
        let pool = [[0; NONCE]; 64];
        let used = pool.len();
        Self {
            key: key.clone(),
            aead,
            nonces: Nonces { pool, used },
        }
    }

    /// Encrypts `plain`, bound to `aad`, with a fresh nonce.
    ///
    /// # Errors
    /// When the operating system has no randomness to give.
    pub fn encrypt(
        &mut self,
        plain: &[u8],
        aad: &str,
        kind: ValueType,
    ) -> Result<String, NoRandomness> {
        let nonce = self.nonces.next()?;
        Ok(self.encrypt_with_nonce(plain, aad, kind, &nonce))
    }

    fn encrypt_with_nonce(
        &self,
        plain: &[u8],
        aad: &str,
        kind: ValueType,
        nonce: &[u8; NONCE],
    ) -> String {
        let mut buffer = plain.to_vec();
        let nonce_array = GenericArray::from_slice(nonce);
        // Fails only for texts of more than 64 GiB; the cleared buffer would then not decrypt.
        let tag = self
            .aead
            .encrypt_in_place_detached(nonce_array, aad.as_bytes(), &mut buffer);
        let tag = tag.unwrap_or_else(|_| {
            buffer.zeroize();
            Tag::default()
        });
        let fields = [
            ("data:", buffer.as_slice()),
            (",iv:", nonce),
            (",tag:", &tag),
        ];
        let encoded = |bytes: &[u8]| bytes.len().div_ceil(3) * 4;
        let length: usize = fields.iter().map(|(_, bytes)| encoded(bytes)).sum();
        // Of the right size at once, so that it need not be copied.
        let rest = PREFIX.len() + "data:,iv:,tag:,type:]".len() + kind.word().len();
        let mut text = String::with_capacity(length + rest);
        text.push_str(PREFIX);
        for (name, bytes) in fields {
            text.push_str(name);
            STANDARD.encode_string(bytes, &mut text);
        }
        text.push_str(",type:");
        text.push_str(kind.word());
        text.push(']');
        text
    }

    /// Decrypts `text`, which must have been encrypted under the same `aad`.
    ///
    /// # Errors
    /// When it is no encrypted value, is damaged, or does not authenticate. No error shows any of it.
    pub fn decrypt(&self, text: &str, aad: &str) -> Result<(Secret, ValueType), ValueError> {
        let parts = Parts::recognise(text).ok_or(ValueError::NotEncrypted)?;
        let (mut buffer, nonce, tag) = (
            decoded(parts.data)?,
            decoded(parts.iv)?,
            decoded(parts.tag)?,
        );
        if tag.len() != 16 {
            return Err(ValueError::Damaged);
        }
        let tag = Tag::from_slice(&tag);
        match nonce.len() {
            NONCE => open_in_place(&self.aead, &nonce, aad, &mut buffer, tag)?,
            8 => self.open_with::<typenum::U8>(&nonce, aad, &mut buffer, tag)?,
            12 => self.open_with::<typenum::U12>(&nonce, aad, &mut buffer, tag)?,
            16 => self.open_with::<typenum::U16>(&nonce, aad, &mut buffer, tag)?,
            24 => self.open_with::<typenum::U24>(&nonce, aad, &mut buffer, tag)?,
            64 => self.open_with::<typenum::U64>(&nonce, aad, &mut buffer, tag)?,
            // The cipher is generic over the length at compile time; no writer with another is known.
            _ => return Err(ValueError::Damaged),
        }
        let mut plain = Secret::new(buffer);
        if plain.len() >= LARGE {
            plain = plain.shared();
        }
        let kind = ValueType::from_word(parts.kind).ok_or(ValueError::UnknownType)?;
        Ok((plain, kind))
    }

    fn open_with<N: ArrayLength<u8>>(
        &self,
        nonce: &[u8],
        aad: &str,
        buffer: &mut [u8],
        tag: &Tag,
    ) -> Result<(), ValueError> {
        let aead: AesGcm<Aes256, N> =
            AesGcm::new(GenericArray::from_slice(self.key.secret().expose()));
        open_in_place(&aead, nonce, aad, buffer, tag)
    }
}

/// The bytes of a field, in a buffer that fits.
fn decoded(field: &str) -> Result<Vec<u8>, ValueError> {
    let padding = field.bytes().rev().take_while(|byte| *byte == b'=').count();
    let length = (field.len() / 4 * 3).saturating_sub(padding);
    let mut bytes = vec![0; length];
    match STANDARD.decode_slice(field, &mut bytes) {
        Ok(written) if written == length => Ok(bytes),
        _ => Err(ValueError::Damaged),
    }
}

/// Decrypts `buffer` where it lies. The caller has checked that the nonce has `N` bytes.
fn open_in_place<N: ArrayLength<u8>>(
    aead: &AesGcm<Aes256, N>,
    nonce: &[u8],
    aad: &str,
    buffer: &mut [u8],
    tag: &Tag,
) -> Result<(), ValueError> {
    aead.decrypt_in_place_detached(GenericArray::from_slice(nonce), aad.as_bytes(), buffer, tag)
        .map_err(|_| ValueError::Forged)
}

impl fmt::Debug for Cipher {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Cipher(..)")
    }
}

/// Whether `text` has the form of an encrypted value.
#[must_use]
pub fn is_encrypted(text: &str) -> bool {
    Parts::recognise(text).is_some()
}

/// The type that is recorded in the encrypted value `text`; `None` when it is none, or the type unknown.
#[must_use]
pub fn type_of(text: &str) -> Option<ValueType> {
    ValueType::from_word(Parts::recognise(text)?.kind)
}

/// The four fields of an encrypted value, as they stand in the file.
struct Parts<'a> {
    data: &'a str,
    iv: &'a str,
    tag: &'a str,
    kind: &'a str,
}

impl<'a> Parts<'a> {
    /// Applies the pattern of SOPS, `^ENC\[AES256_GCM,data:(.+),iv:(.+),tag:(.+),type:(.+)\]`, whose
    /// groups are greedy and match no newline.
    fn recognise(text: &'a str) -> Option<Self> {
        let line = text.strip_prefix(PREFIX)?.strip_prefix("data:")?;
        let line = line.split('\n').next()?;
        let (line, _) = line.rsplit_once(']')?;
        let (line, kind) = around_last(line, ",type:")?;
        let (line, tag) = around_last(line, ",tag:")?;
        let (data, iv) = around_last(line, ",iv:")?;
        let filled = ![data, iv, tag, kind].iter().any(|field| field.is_empty());
        filled.then_some(Self {
            data,
            iv,
            tag,
            kind,
        })
    }
}

/// What stands before and behind the last `mark`, which begins with a comma. The fields have none, and those at
/// the end are short, so that few bytes are looked at.
fn around_last<'a>(text: &'a str, mark: &str) -> Option<(&'a str, &'a str)> {
    let mut before = text.as_bytes();
    loop {
        let comma = before.iter().rposition(|&byte| byte == b',')?;
        if let Some(behind) = text[comma..].strip_prefix(mark) {
            return Some((&text[..comma], behind));
        }
        before = &before[..comma];
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::Value;

    use super::*;

    fn hex(text: &Value) -> Vec<u8> {
        let text = text.as_str().unwrap().as_bytes();
        text.chunks(2)
            .map(|pair| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap())
            .collect()
    }

    fn cipher(key: &[u8]) -> Cipher {
        Cipher::new(&DataKey::new(Secret::new(key.to_vec())).unwrap())
    }

    #[test]
    fn known_answers_of_the_go_implementation_hold() {
        let answers: Value =
            serde_json::from_str(include_str!("../../tests/vectors/known-answers.json")).unwrap();
        let cipher = cipher(&hex(&answers["key"]));
        let nonce: [u8; NONCE] = hex(&answers["nonce"]).try_into().unwrap();
        for answer in answers["values"].as_array().unwrap() {
            let field = |name: &str| answer[name].as_str().unwrap();
            let kind = ValueType::from_word(field("type")).unwrap();
            let text =
                cipher.encrypt_with_nonce(field("plain").as_bytes(), field("aad"), kind, &nonce);
            assert_eq!(text, field("value"));
            let (plain, again) = cipher.decrypt(&text, field("aad")).unwrap();
            assert_eq!((plain, again), (Secret::from_text(field("plain")), kind));
        }
    }

    #[test]
    fn what_is_no_encrypted_value_is_not_recognised() {
        let good = cipher(&[1; 32])
            .encrypt(b"x", "a:", ValueType::Str)
            .unwrap();
        assert!(is_encrypted(&good));
        assert!(is_encrypted(&format!("{good} and more")));
        for bad in [
            "",
            "ENC[",
            &good[1..],
            &good.to_lowercase(),
            good.trim_end_matches(']'),
            &good.replace("AES256_GCM", "AES128_GCM"),
            "ENC[AES256_GCM,data:,iv:x,tag:x,type:str]",
        ] {
            assert!(!is_encrypted(bad), "{bad}");
        }
    }

    #[test]
    fn the_last_mark_counts_whatever_stands_around_it() {
        for text in [
            "",
            ",",
            "a,iv:b",
            "a,iv:b,iv:c",
            ",iv:",
            "a,iv",
            "é,iv:,,,iv",
            ",iv:,iv:,i",
        ] {
            assert_eq!(
                around_last(text, ",iv:"),
                text.rsplit_once(",iv:"),
                "{text}"
            );
        }
    }

    proptest! {
        #[test]
        fn decrypt_undoes_encrypt_and_the_aad_is_bound(plain in any::<Vec<u8>>(), aad in ".{0,20}") {
            let mut cipher = cipher(&[7; 32]);
            let text = cipher.encrypt(&plain, &aad, ValueType::Str).unwrap();
            if plain.is_empty() {
                prop_assert_eq!(cipher.decrypt(&text, &aad).unwrap_err(), ValueError::NotEncrypted);
            } else {
                let (again, _) = cipher.decrypt(&text, &aad).unwrap();
                prop_assert_eq!(again.expose(), plain.as_slice());
                let moved = cipher.decrypt(&text, &format!("{aad}x"));
                prop_assert_eq!(moved.unwrap_err(), ValueError::Forged);
            }
        }

        #[test]
        fn every_changed_character_is_noticed(position in 0usize..200, with in "[A-Za-z0-9+/]") {
            let mut cipher = cipher(&[7; 32]);
            let mut text = cipher.encrypt(b"canary", "a:", ValueType::Str).unwrap();
            let end = text.find(",type:").unwrap();
            let position = position % end;
            prop_assume!(text[position..=position] != with);
            text.replace_range(position..=position, &with);
            prop_assert!(cipher.decrypt(&text, "a:").is_err());
        }
    }
}
