//! Encryption of secret files at rest: Argon2id (RFC 9106) makes a key of a passphrase, AES-256-GCM
//! (NIST SP 800-38D) encrypts the whole file. Which file it is stands in the authenticated data, so that
//! no sealed file passes for another.
//!
//! A sealed file is JSON of one line:
//! `{"format":"qz-sealed","version":1,"name":"keys/relay.key","kdf":"argon2id","memory_kib":65536,
//! "passes":3,"lanes":1,"salt":"<32 hex>","cipher":"aes-256-gcm","nonce":"<24 hex>","ciphertext":"<hex>"}`.
//! All files of one folder share salt and parameters, so that the slow derivation runs once.

use aes_gcm::aead::{Aead, KeyInit, Payload};
use aes_gcm::{Aes256Gcm, Key, Nonce};
use argon2::{Algorithm, Argon2, Params, Version};
use serde::{Deserialize, Serialize};
use std::collections::HashMap;
use std::fmt;
use std::sync::{Mutex, PoisonError};
use thiserror::Error;
use zeroize::Zeroizing;

const FORMAT: &str = "qz-sealed";
const VERSION: u32 = 1;
const KDF: &str = "argon2id";
const CIPHER: &str = "aes-256-gcm";
const TAG: &[u8] = b"qz/sealed-file/v1";
/// Fewest characters of a passphrase that is accepted for new files.
pub const MIN_PASSPHRASE: usize = 12;

/// Why a file cannot be sealed or opened.
#[derive(Debug, Error, PartialEq, Eq)]
pub enum SealError {
    /// Not a sealed file of this version.
    #[error("not a sealed file of this program")]
    Malformed,
    /// Parameters out of range: they would exhaust this machine, or protect nothing.
    #[error("the key derivation parameters are out of range")]
    Parameters,
    /// Authentication failed.
    #[error("the passphrase is wrong, or the file was altered")]
    Refused,
    /// A short passphrase protects nothing.
    #[error("a passphrase needs at least {MIN_PASSPHRASE} characters")]
    ShortPassphrase,
    /// The operating system gave no randomness.
    #[error("no randomness from the operating system: {0}")]
    Randomness(getrandom::Error),
}

/// What protects an organisation's files; wiped on drop, never printed.
#[derive(Clone)]
pub struct Passphrase(Zeroizing<Vec<u8>>);

impl fmt::Debug for Passphrase {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Passphrase(secret)")
    }
}

impl Passphrase {
    /// Of a text; the line end of a file does not count.
    pub fn new(text: &[u8]) -> Self {
        let end = text.iter().rposition(|byte| !matches!(byte, b'\n' | b'\r')).map_or(0, |last| last + 1);
        Self(Zeroizing::new(text[..end].to_vec()))
    }

    fn check_length(&self) -> Result<(), SealError> {
        match std::str::from_utf8(&self.0) {
            Ok(text) if text.chars().count() < MIN_PASSPHRASE => Err(SealError::ShortPassphrase),
            _ => Ok(()),
        }
    }
}

/// Cost of the derivation and its salt.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct Derivation {
    memory_kib: u32,
    passes: u32,
    lanes: u32,
    salt: [u8; 16],
}

impl Derivation {
    /// The second recommended option of RFC 9106 §4 (64 MiB, 3 passes), with one lane since one thread runs it.
    fn fresh() -> Result<Self, SealError> {
        let mut salt = [0; 16];
        getrandom::fill(&mut salt).map_err(SealError::Randomness)?;
        Ok(Self { memory_kib: 64 * 1024, passes: 3, lanes: 1, salt })
    }

    fn is_in_range(&self) -> bool {
        (8 * 1024..=1024 * 1024).contains(&self.memory_kib)
            && (1..=16).contains(&self.passes)
            && (1..=8).contains(&self.lanes)
    }

    fn derive(&self, passphrase: &Passphrase) -> Result<Zeroizing<[u8; 32]>, SealError> {
        if !self.is_in_range() {
            return Err(SealError::Parameters);
        }
        let params =
            Params::new(self.memory_kib, self.passes, self.lanes, Some(32)).map_err(|_| SealError::Parameters)?;
        let mut key = Zeroizing::new([0; 32]);
        Argon2::new(Algorithm::Argon2id, Version::V0x13, params)
            .hash_password_into(&passphrase.0, &self.salt, &mut key[..])
            .map_err(|_| SealError::Parameters)?;
        Ok(key)
    }
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Envelope {
    format: String,
    version: u32,
    name: String,
    kdf: String,
    memory_kib: u32,
    passes: u32,
    lanes: u32,
    salt: String,
    cipher: String,
    nonce: String,
    ciphertext: String,
}

/// Seals and opens files under one passphrase, deriving each key once.
pub struct Sealer {
    passphrase: Passphrase,
    derived: Mutex<HashMap<Derivation, Zeroizing<[u8; 32]>>>,
}

impl fmt::Debug for Sealer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Sealer(secret)")
    }
}

impl Sealer {
    /// For this passphrase.
    pub fn new(passphrase: Passphrase) -> Self {
        Self { passphrase, derived: Mutex::default() }
    }

    /// The parameters for a folder's new files.
    pub(crate) fn new_files(&self) -> Result<NewFiles<'_>, SealError> {
        self.passphrase.check_length()?;
        Ok(NewFiles { sealer: self, derivation: Derivation::fresh()? })
    }

    /// Decrypts a sealed file that must be the one of this name.
    pub(crate) fn open(&self, name: &str, file: &[u8]) -> Result<Zeroizing<Vec<u8>>, SealError> {
        let envelope: Envelope = serde_json::from_slice(file).map_err(|_| SealError::Malformed)?;
        let known = envelope.format == FORMAT
            && envelope.version == VERSION
            && envelope.kdf == KDF
            && envelope.cipher == CIPHER;
        if !known {
            return Err(SealError::Malformed);
        }
        let (mut salt, mut nonce) = ([0; 16], [0; 12]);
        hex::decode_to_slice(&envelope.salt, &mut salt).map_err(|_| SealError::Malformed)?;
        hex::decode_to_slice(&envelope.nonce, &mut nonce).map_err(|_| SealError::Malformed)?;
        let ciphertext = hex::decode(&envelope.ciphertext).map_err(|_| SealError::Malformed)?;
        let Envelope { memory_kib, passes, lanes, .. } = envelope;
        let derivation = Derivation { memory_kib, passes, lanes, salt };
        let aad = associated(name, &derivation);
        let payload = Payload { msg: &ciphertext, aad: &aad };
        let plain = self.cipher(&derivation)?.decrypt(Nonce::from_slice(&nonce), payload);
        Ok(Zeroizing::new(plain.map_err(|_| SealError::Refused)?))
    }

    fn cipher(&self, derivation: &Derivation) -> Result<Aes256Gcm, SealError> {
        let mut derived = self.derived.lock().unwrap_or_else(PoisonError::into_inner);
        if !derived.contains_key(derivation) {
            derived.insert(*derivation, derivation.derive(&self.passphrase)?);
        }
        Ok(Aes256Gcm::new(Key::<Aes256Gcm>::from_slice(&derived[derivation][..])))
    }
}

/// Seals the files of one folder.
pub(crate) struct NewFiles<'a> {
    sealer: &'a Sealer,
    derivation: Derivation,
}

impl NewFiles<'_> {
    /// The sealed bytes of a file of this name.
    pub(crate) fn seal(&self, name: &str, plain: &[u8]) -> Result<Vec<u8>, SealError> {
        let mut nonce = [0; 12];
        getrandom::fill(&mut nonce).map_err(SealError::Randomness)?;
        let Derivation { memory_kib, passes, lanes, salt } = self.derivation;
        let aad = associated(name, &self.derivation);
        let payload = Payload { msg: plain, aad: &aad };
        let ciphertext = self.sealer.cipher(&self.derivation)?.encrypt(Nonce::from_slice(&nonce), payload);
        let envelope = Envelope {
            format: FORMAT.to_owned(),
            version: VERSION,
            name: name.to_owned(),
            kdf: KDF.to_owned(),
            memory_kib,
            passes,
            lanes,
            salt: hex::encode(salt),
            cipher: CIPHER.to_owned(),
            nonce: hex::encode(nonce),
            ciphertext: hex::encode(ciphertext.map_err(|_| SealError::Parameters)?),
        };
        let mut text = serde_json::to_vec(&envelope).expect("strings and numbers are representable in JSON");
        text.push(b'\n');
        Ok(text)
    }
}

/// Is this a sealed file (of whatever version)?
pub(crate) fn is_sealed(file: &[u8]) -> bool {
    #[derive(Deserialize)]
    struct Header {
        format: String,
    }
    serde_json::from_slice::<Header>(file).is_ok_and(|header| header.format == FORMAT)
}

fn associated(name: &str, derivation: &Derivation) -> Vec<u8> {
    let Derivation { memory_kib, passes, lanes, salt } = derivation;
    let cost = [*memory_kib, *passes, *lanes].map(u32::to_be_bytes).concat();
    [TAG, &cost, salt, name.as_bytes()].concat()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn sealer(text: &str) -> Sealer {
        Sealer::new(Passphrase::new(text.as_bytes()))
    }

    #[test]
    fn what_was_sealed_opens_under_the_same_name_and_passphrase_only() {
        let sealer = sealer("correct horse battery");
        let sealed = sealer.new_files().unwrap().seal("keys/relay.key", b"secret").unwrap();
        assert!(is_sealed(&sealed));
        assert!(!sealed.windows(6).any(|w| w == b"secret"));
        assert_eq!(&sealer.open("keys/relay.key", &sealed).unwrap()[..], b"secret");
        assert_eq!(sealer.open("keys/office.key", &sealed), Err(SealError::Refused));
        let other = Sealer::new(Passphrase::new(b"correct horse batterx"));
        assert_eq!(other.open("keys/relay.key", &sealed), Err(SealError::Refused));
        // The line end of a passphrase file does not count.
        let with_line_end = Sealer::new(Passphrase::new(b"correct horse battery\r\n"));
        assert_eq!(&with_line_end.open("keys/relay.key", &sealed).unwrap()[..], b"secret");
    }

    #[test]
    fn altered_and_wild_envelopes_are_refused() {
        let sealer = sealer("correct horse battery");
        let sealed = sealer.new_files().unwrap().seal("a", b"secret").unwrap();
        let text = String::from_utf8(sealed).unwrap();
        let value: serde_json::Value = serde_json::from_str(&text).unwrap();
        let with = |member: &str, new: serde_json::Value| {
            let mut altered = value.clone();
            altered[member] = new;
            sealer.open("a", altered.to_string().as_bytes()).unwrap_err()
        };
        let flipped = |member: &str| {
            let old = value[member].as_str().unwrap();
            let first = if old.starts_with('0') { "1" } else { "0" };
            with(member, format!("{first}{}", &old[1..]).into())
        };
        assert_eq!(flipped("ciphertext"), SealError::Refused);
        assert_eq!(flipped("nonce"), SealError::Refused);
        assert_eq!(flipped("salt"), SealError::Refused);
        assert_eq!(with("passes", 2.into()), SealError::Refused);
        assert_eq!(with("memory_kib", u32::MAX.into()), SealError::Parameters);
        assert_eq!(with("memory_kib", 8.into()), SealError::Parameters);
        assert_eq!(with("passes", 1_000.into()), SealError::Parameters);
        assert_eq!(with("version", 2.into()), SealError::Malformed);
        assert_eq!(with("kdf", "scrypt".into()), SealError::Malformed);
        assert_eq!(with("more", 1.into()), SealError::Malformed);
        assert_eq!(sealer.open("a", &text.as_bytes()[..text.len() / 2]), Err(SealError::Malformed));
    }

    #[test]
    fn a_short_passphrase_makes_no_files() {
        assert_eq!(sealer("short").new_files().err(), Some(SealError::ShortPassphrase));
        // Characters count, not bytes.
        assert!(sealer("十二个字才是足够长的口令啊").new_files().is_ok());
        assert_eq!(sealer("六个字的口令").new_files().err(), Some(SealError::ShortPassphrase));
    }
}
