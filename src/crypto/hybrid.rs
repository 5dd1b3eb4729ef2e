//! Post-quantum keys of age: `age1pq1…`, `AGE-SECRET-KEY-PQ-1…`, header line `mlkem768x25519`.
//!
//! The key encapsulation is MLKEM768-X25519, also called X-Wing (draft-ietf-hpke-pq, KEM 0x647a): it holds
//! as long as one of ML-KEM-768 and X25519 does. The file key is sealed by HPKE in base mode (RFC 9180)
//! with HKDF-SHA256 and ChaCha20-Poly1305. No release of the age library has it yet.

use std::collections::HashSet;
use std::str::FromStr;

use age::EncryptError;
use age::secrecy::ExposeSecret as _;
use age_core::format::{FILE_KEY_BYTES, FileKey, Stanza};
use age_core::primitives::bech32_decode;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD_NO_PAD;
use chacha20poly1305::aead::{Aead as _, KeyInit as _};
use chacha20poly1305::{ChaCha20Poly1305, Nonce};
use hkdf::{Hkdf, HkdfExtract};
use ml_kem::kem::Decapsulate as _;
use ml_kem::{EncapsulateDeterministic as _, EncodedSizeUser as _, KemCore, MlKem768};
use sha2::Sha256;
use sha3::digest::{ExtendableOutput as _, Update as _, XofReader as _};
use sha3::{Digest as _, Sha3_256, Shake256};
use x25519_dalek::{PublicKey, StaticSecret};
use zeroize::{Zeroize as _, Zeroizing};

use super::identity::InvalidKey;
use super::random;
use super::wrap::{Attempt, Fault, Unlock};
use crate::secret::Secret;

/// First word of the header line.
const LINE: &str = "mlkem768x25519";
/// What HPKE binds the file key to.
const INFO: &[u8] = b"age-encryption.org/mlkem768x25519";
/// `HPKE`, then the numbers of the KEM, the key derivation and the cipher (RFC 9180, 5.1).
const SUITE: &[u8] = b"HPKE\x64\x7a\x00\x01\x00\x03";
/// What X-Wing ends its hash with, a drawing of its name.
const LABEL: &[u8] = br"\.//^\";
/// Bytes of a public key and of a ciphertext of ML-KEM-768; X25519 adds 32 to each.
const ML_PUBLIC: usize = 1184;
const ML_CIPHERTEXT: usize = 1088;
/// Bytes of the private key, a seed.
const SEED: usize = 32;
/// The names in front of the Bech32 digits.
const PUBLIC_NAME: &str = "age1pq";
const PRIVATE_NAME: &str = "AGE-SECRET-KEY-PQ-";

type MlPublic = <MlKem768 as KemCore>::EncapsulationKey;
type MlPrivate = <MlKem768 as KemCore>::DecapsulationKey;
type Shared = Zeroizing<[u8; 32]>;

/// A public key.
#[derive(Clone)]
pub(super) struct Recipient {
    ml: Box<MlPublic>,
    x: PublicKey,
}

impl Recipient {
    fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let (ml, x) = bytes.split_at_checked(ML_PUBLIC)?;
        let x: [u8; 32] = x.try_into().ok()?;
        let public = MlPublic::from_bytes(ml.try_into().ok()?);
        // A coefficient that is not reduced makes another text of the same key (FIPS 203, 7.2).
        (public.as_bytes().as_slice() == ml).then(|| Self {
            ml: Box::new(public),
            x: PublicKey::from(x),
        })
    }

    /// A new shared secret and its ciphertext, made of 64 random bytes that are used for nothing else.
    fn encapsulate(&self, mut seed: [u8; 64]) -> Option<(Shared, Vec<u8>)> {
        let (mut message, mut ephemeral) = ([0; 32], [0; 32]);
        message.copy_from_slice(&seed[..32]);
        ephemeral.copy_from_slice(&seed[32..]);
        seed.zeroize();
        let encapsulated = self.ml.encapsulate_deterministic(&message.into());
        message.zeroize();
        let (ciphertext, mut ml_secret) = encapsulated.ok()?;
        let ephemeral = StaticSecret::from(ephemeral);
        let x_ciphertext = PublicKey::from(&ephemeral);
        let x_secret = ephemeral.diffie_hellman(&self.x);
        let shared = combine(&ml_secret, x_secret.as_bytes(), &x_ciphertext, &self.x);
        ml_secret.as_mut_slice().zeroize();
        let mut text = ciphertext.to_vec();
        text.extend_from_slice(x_ciphertext.as_bytes());
        x_secret.was_contributory().then_some((shared, text))
    }

    fn seal(&self, file_key: &[u8]) -> Option<Stanza> {
        let (shared, ciphertext) = self.encapsulate(random::bytes().ok()?)?;
        let (cipher, nonce) = schedule(&shared, INFO)?;
        Some(Stanza {
            tag: LINE.to_owned(),
            args: vec![STANDARD_NO_PAD.encode(ciphertext)],
            body: cipher.encrypt(&nonce, file_key).ok()?,
        })
    }
}

impl FromStr for Recipient {
    type Err = InvalidKey;

    fn from_str(text: &str) -> Result<Self, InvalidKey> {
        let bytes = decode(text, PUBLIC_NAME)?;
        Self::from_bytes(&bytes).ok_or(InvalidKey::PostQuantum)
    }
}

impl age::Recipient for Recipient {
    fn wrap_file_key(
        &self,
        file_key: &FileKey,
    ) -> Result<(Vec<Stanza>, HashSet<String>), EncryptError> {
        let line = self.seal(file_key.expose_secret());
        let refused = || EncryptError::Io(std::io::Error::other("no post-quantum encapsulation"));
        let label = HashSet::from(["postquantum".to_owned()]);
        Ok((vec![line.ok_or_else(refused)?], label))
    }
}

/// A private key: the seed that both keys are made of.
#[derive(Clone)]
pub(super) struct Identity(Secret);

impl Identity {
    /// Reads `AGE-SECRET-KEY-PQ-1…`.
    pub(super) fn parse(text: &str) -> Result<Self, InvalidKey> {
        let seed = decode(text, PRIVATE_NAME)?;
        if seed.len() == SEED {
            Ok(Self(Secret::new(seed.to_vec())))
        } else {
            Err(InvalidKey::PostQuantum)
        }
    }

    /// Both private keys.
    fn expand(&self) -> (MlPrivate, StaticSecret) {
        let mut seeds = Shake256::default().chain(self.0.expose()).finalize_xof();
        let mut next = || {
            let mut seed = Zeroizing::new([0; 32]);
            seeds.read(seed.as_mut_slice());
            seed
        };
        let (d, z, x) = (next(), next(), next());
        let (private, _) = MlKem768::generate_deterministic(&(*d).into(), &(*z).into());
        (private, StaticSecret::from(*x))
    }

    /// The file key in `line`, `None` if it is for somebody else.
    fn open(&self, line: &Stanza) -> Attempt {
        let parts = || {
            let [ciphertext] = line.args.as_slice() else {
                return None;
            };
            let ciphertext = STANDARD_NO_PAD.decode(ciphertext).ok()?;
            // The length is checked, since a longer text could open under several keys.
            let is_whole =
                ciphertext.len() == ML_CIPHERTEXT + 32 && line.body.len() == FILE_KEY_BYTES + 16;
            is_whole.then_some(ciphertext)
        };
        let shared = parts().and_then(|ciphertext| self.decapsulate(&ciphertext));
        let Some((cipher, nonce)) = shared.and_then(|shared| schedule(&shared, INFO)) else {
            return Some(Err(Fault::Header));
        };
        let opened = Zeroizing::new(cipher.decrypt(&nonce, line.body.as_slice()).ok()?);
        Some(Ok(FileKey::init_with_mut(|key| {
            key.copy_from_slice(&opened);
        })))
    }

    /// The shared secret in `ciphertext`: one that fits nothing when it is for somebody else, `None` when
    /// it is for nobody.
    fn decapsulate(&self, ciphertext: &[u8]) -> Option<Shared> {
        let (ml, x) = ciphertext.split_at_checked(ML_CIPHERTEXT)?;
        let x: [u8; 32] = x.try_into().ok()?;
        let (ml_private, x_private) = self.expand();
        let ml: &ml_kem::Ciphertext<MlKem768> = ml.try_into().ok()?;
        let mut ml_secret = ml_private.decapsulate(ml).ok()?;
        let x_ciphertext = PublicKey::from(x);
        let x_secret = x_private.diffie_hellman(&x_ciphertext);
        let own = PublicKey::from(&x_private);
        let shared = combine(&ml_secret, x_secret.as_bytes(), &x_ciphertext, &own);
        ml_secret.as_mut_slice().zeroize();
        x_secret.was_contributory().then_some(shared)
    }
}

impl Unlock for Identity {
    fn attempt(&self, lines: &[Stanza]) -> Attempt {
        let mine = lines.iter().filter(|line| line.tag == LINE);
        mine.into_iter().find_map(|line| self.open(line))
    }
}

/// `SHA3-256(ML-KEM secret · X25519 secret · X25519 ciphertext · X25519 public key · label)`.
fn combine(ml: &[u8], x: &[u8], ciphertext: &PublicKey, public: &PublicKey) -> Shared {
    let parts = [ml, x, ciphertext.as_bytes(), public.as_bytes(), LABEL];
    let hash = parts
        .iter()
        .fold(Sha3_256::new(), |hash, part| hash.chain_update(part));
    Zeroizing::new(hash.finalize().into())
}

/// The key schedule of HPKE in base mode for one message (RFC 9180, 5.1): the cipher and its nonce.
fn schedule(shared: &[u8; 32], info: &[u8]) -> Option<(ChaCha20Poly1305, Nonce)> {
    let (no_psk, _) = extract(&[], b"psk_id_hash", &[]);
    let (info, _) = extract(&[], b"info_hash", info);
    let context = [[0].as_slice(), no_psk.as_slice(), info.as_slice()].concat();
    let (_, secret) = extract(shared, b"secret", &[]);
    let mut key = Zeroizing::new([0; 32]);
    let mut nonce = Nonce::default();
    expand(&secret, b"key", &context, key.as_mut_slice())?;
    expand(&secret, b"base_nonce", &context, &mut nonce)?;
    Some((ChaCha20Poly1305::new(key.as_slice().into()), nonce))
}

/// `LabeledExtract` of RFC 9180, 4.
fn extract(salt: &[u8], label: &[u8], ikm: &[u8]) -> (Zeroizing<[u8; 32]>, Hkdf<Sha256>) {
    let mut hkdf = HkdfExtract::<Sha256>::new(Some(salt));
    for part in [b"HPKE-v1".as_slice(), SUITE, label, ikm] {
        hkdf.input_ikm(part);
    }
    let (key, hkdf) = hkdf.finalize();
    (Zeroizing::new(key.into()), hkdf)
}

/// `LabeledExpand` of RFC 9180, 4; fills `output`, which is 32 bytes or fewer.
fn expand(key: &Hkdf<Sha256>, label: &[u8], info: &[u8], output: &mut [u8]) -> Option<()> {
    let length = u16::try_from(output.len()).ok()?.to_be_bytes();
    let parts = [length.as_slice(), b"HPKE-v1", SUITE, label, info];
    key.expand_multi_info(&parts, output).ok()
}

/// The bytes of a Bech32 text that begins with `name`. Like everywhere in age it may be longer than
/// Bech32 allows, and is in one case only.
fn decode(text: &str, name: &str) -> Result<Zeroizing<Vec<u8>>, InvalidKey> {
    bech32_decode(
        text,
        |_| InvalidKey::PostQuantum,
        |found| {
            (found.as_str() == name)
                .then_some(())
                .ok_or(InvalidKey::PostQuantum)
        },
        |_, bytes| Ok(Zeroizing::new(bytes.collect())),
    )
}

#[cfg(test)]
mod tests;
