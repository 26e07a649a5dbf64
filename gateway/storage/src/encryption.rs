//! Envelope encryption under the master key: columns that must not be read from a stolen database
//! ([`KeyEncryption::seal`]), and the data keys of blobs. AES-256-GCM (NIST SP 800-38D) with a
//! random 96-bit nonce per message; the master key stays far below the 2³² messages at which
//! random nonces would become a risk.
//!
//! A sealed value is `0x01 ‖ key id (8) ‖ nonce (12) ‖ ciphertext ‖ tag (16)`. The associated data is
//! `qz-storage column v1 ‖ 0x00 ‖ context`, where the context names the row and column: a value moved
//! into another row does not open. How the master key is kept on disk is `master_key`'s business.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use aes_gcm::aead::{Aead, KeyInit, Payload};
use aes_gcm::{Aes256Gcm, Nonce};
use sha2::{Digest, Sha256};
use zeroize::Zeroizing;

use crate::ids::random_bytes;

const COLUMN_VERSION: u8 = 1;
const COLUMN_DOMAIN: &[u8] = b"qz-storage column v1\0";
const KEY_ID_DOMAIN: &[u8] = b"qz-storage master key id v1\0";
pub(crate) const KEY_BYTES: usize = 32;
pub(crate) const KEY_ID_BYTES: usize = 8;
pub(crate) const NONCE_BYTES: usize = 12;
pub(crate) const TAG_BYTES: usize = 16;

/// Why something could not be decrypted.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum EncryptionError {
    /// Encrypted under another master key.
    #[error("{what}: encrypted under master key {expected}, not {given}")]
    WrongMasterKey {
        /// What was to be decrypted.
        what: String,
        /// The key it was encrypted under.
        expected: KeyId,
        /// The key in use.
        given: KeyId,
    },
    /// Changed, cut, or moved here from elsewhere: the authentication tag does not fit.
    #[error("{what}: damaged or not the value that belongs here (authentication failed)")]
    Corrupt {
        /// What was to be decrypted.
        what: String,
    },
    /// A format that this program does not know.
    #[error("{what}: unknown format version {version}")]
    UnknownVersion {
        /// What was to be decrypted.
        what: String,
        /// The version byte found.
        version: u8,
    },
}

/// Names a master key without revealing it: the first 8 bytes of a SHA-256 over it.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct KeyId(pub(crate) [u8; KEY_ID_BYTES]);

impl fmt::Display for KeyId {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(&hex::encode(self.0))
    }
}

impl fmt::Debug for KeyId {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "KeyId({self})")
    }
}

impl FromStr for KeyId {
    type Err = hex::FromHexError;
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let mut bytes = [0; KEY_ID_BYTES];
        hex::decode_to_slice(text, &mut bytes)?;
        Ok(Self(bytes))
    }
}

/// Bytes encrypted by [`KeyEncryption::seal`]. Columns for secrets have this type, so that a
/// plaintext cannot get there by mistake.
#[derive(Clone, PartialEq, Eq)]
pub struct Sealed(pub(crate) Vec<u8>);

impl fmt::Debug for Sealed {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "Sealed({} bytes)", self.0.len())
    }
}

/// The master key in memory: wiped when the last clone is dropped, never printed.
#[derive(Clone)]
pub struct KeyEncryption {
    key: Arc<Zeroizing<[u8; KEY_BYTES]>>,
    id: KeyId,
}

impl fmt::Debug for KeyEncryption {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "KeyEncryption({})", self.id)
    }
}

impl KeyEncryption {
    pub(crate) fn from_key(key: Zeroizing<[u8; KEY_BYTES]>) -> Self {
        let id = key_id(&key);
        Self { key: Arc::new(key), id }
    }

    /// The master key's id.
    #[must_use]
    pub fn key_id(&self) -> KeyId {
        self.id
    }

    /// Encrypts `plaintext` for one place, named by `context` (for example `operations/ID/openings`).
    #[must_use]
    pub fn seal(&self, context: &str, plaintext: &[u8]) -> Sealed {
        let mut out = Vec::with_capacity(1 + KEY_ID_BYTES + NONCE_BYTES + plaintext.len() + TAG_BYTES);
        out.push(COLUMN_VERSION);
        out.extend_from_slice(&self.id.0);
        out.extend_from_slice(&encrypt(&self.key, &column_aad(context), plaintext));
        Sealed(out)
    }

    /// Decrypts what [`KeyEncryption::seal`] made for the same `context`.
    ///
    /// # Errors
    /// Another master key, another context, or damage.
    pub fn open(&self, context: &str, sealed: &Sealed) -> Result<Zeroizing<Vec<u8>>, EncryptionError> {
        let corrupt = || EncryptionError::Corrupt { what: context.to_owned() };
        let (&version, rest) = sealed.0.split_first().ok_or_else(corrupt)?;
        if version != COLUMN_VERSION {
            return Err(EncryptionError::UnknownVersion { what: context.to_owned(), version });
        }
        let (key_id, message) = rest.split_first_chunk().ok_or_else(corrupt)?;
        self.expect_key(context, KeyId(*key_id))?;
        decrypt(&self.key, &column_aad(context), message).ok_or_else(corrupt)
    }

    /// Refuses what another master key encrypted, by name rather than as damage.
    pub(crate) fn expect_key(&self, what: &str, expected: KeyId) -> Result<(), EncryptionError> {
        if expected == self.id {
            return Ok(());
        }
        Err(EncryptionError::WrongMasterKey { what: what.to_owned(), expected, given: self.id })
    }

    /// Wraps the data key of a blob: `nonce ‖ ciphertext ‖ tag`.
    pub(crate) fn wrap(&self, aad: &[u8], data_key: &[u8; KEY_BYTES]) -> Vec<u8> {
        encrypt(&self.key, aad, data_key)
    }

    /// Unwraps the data key of a blob.
    pub(crate) fn unwrap(&self, aad: &[u8], wrapped: &[u8]) -> Option<Zeroizing<[u8; KEY_BYTES]>> {
        let plain = decrypt(&self.key, aad, wrapped)?;
        let mut key = Zeroizing::new([0; KEY_BYTES]);
        if plain.len() != KEY_BYTES {
            return None;
        }
        key.copy_from_slice(&plain);
        Some(key)
    }
}

fn key_id(key: &[u8; KEY_BYTES]) -> KeyId {
    let hash: [u8; 32] = Sha256::new().chain_update(KEY_ID_DOMAIN).chain_update(key).finalize().into();
    let mut id = [0; KEY_ID_BYTES];
    id.copy_from_slice(&hash[..KEY_ID_BYTES]);
    KeyId(id)
}

fn column_aad(context: &str) -> Vec<u8> {
    [COLUMN_DOMAIN, context.as_bytes()].concat()
}

/// AES-256-GCM with a fresh nonce: `nonce ‖ ciphertext ‖ tag`.
pub(crate) fn encrypt(key: &[u8; KEY_BYTES], aad: &[u8], plaintext: &[u8]) -> Vec<u8> {
    let nonce: [u8; NONCE_BYTES] = random_bytes();
    let ciphertext = Aes256Gcm::new(key.into())
        .encrypt(Nonce::from_slice(&nonce), Payload { msg: plaintext, aad })
        .expect("messages are far below AES-GCM's limit of 64 GiB");
    [nonce.as_slice(), &ciphertext].concat()
}

/// The inverse of [`encrypt`]; `None` if the tag does not fit.
pub(crate) fn decrypt(key: &[u8; KEY_BYTES], aad: &[u8], message: &[u8]) -> Option<Zeroizing<Vec<u8>>> {
    let (nonce, ciphertext) = message.split_at_checked(NONCE_BYTES)?;
    Aes256Gcm::new(key.into())
        .decrypt(Nonce::from_slice(nonce), Payload { msg: ciphertext, aad })
        .ok()
        .map(Zeroizing::new)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn encryption(byte: u8) -> KeyEncryption {
        KeyEncryption::from_key(Zeroizing::new([byte; KEY_BYTES]))
    }

    #[test]
    fn a_sealed_value_opens_only_in_its_place() {
        let encryption = encryption(1);
        let sealed = encryption.seal("operations/1/openings", b"salt");
        assert_eq!(encryption.open("operations/1/openings", &sealed).unwrap().as_slice(), b"salt");
        assert!(matches!(encryption.open("operations/2/openings", &sealed), Err(EncryptionError::Corrupt { .. })));
    }

    #[test]
    fn the_same_plaintext_never_gives_the_same_bytes() {
        let encryption = encryption(1);
        assert_ne!(encryption.seal("c", b"x"), encryption.seal("c", b"x"));
    }

    #[test]
    fn another_master_key_is_named() {
        let sealed = encryption(1).seal("c", b"x");
        assert_eq!(
            encryption(2).open("c", &sealed).unwrap_err(),
            EncryptionError::WrongMasterKey {
                what: "c".to_owned(),
                expected: encryption(1).key_id(),
                given: encryption(2).key_id(),
            }
        );
    }

    #[test]
    fn every_flipped_byte_and_every_cut_is_refused() {
        let encryption = encryption(1);
        let sealed = encryption.seal("c", b"plaintext").0;
        for at in 0..sealed.len() {
            let mut flipped = sealed.clone();
            flipped[at] ^= 1;
            assert!(encryption.open("c", &Sealed(flipped)).is_err(), "byte {at}");
            assert!(encryption.open("c", &Sealed(sealed[..at].to_vec())).is_err(), "cut at {at}");
        }
    }

    #[test]
    fn nothing_secret_is_printed() {
        let encryption = encryption(0xab);
        let printed = format!("{encryption:?} {:?}", encryption.seal("c", b"secret"));
        assert!(!printed.contains("abab") && !printed.contains("secret"), "{printed}");
    }
}
