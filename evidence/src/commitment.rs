//! Salted commitments: what the ledger holds instead of names, texts and documents.
//!
//! `SHA-256("qz/commit/v1" ‖ salt (32) ‖ length of name (1) ‖ name ‖ value)`. The holder discloses
//! (name, salt, value) to whom it likes; erasing salt and value off the ledger makes the commitment
//! meaningless while every other proof stays valid. Names that end in `.sha256` commit to the 32 raw
//! bytes of a SHA-256 digest; all other names commit to UTF-8 text.

use crate::codec::Bytes;
use crate::hash::{Hash32, sha256, tag};
use minicbor::{Decode, Encode};

/// Names of commitments that this version of the protocol gives a meaning (see `docs/SPEC.md`).
pub mod name {
    /// SHA-256 of a contract document: the version put up for signing, or the final file.
    pub const DOCUMENT: &str = "document.sha256";
    /// SHA-256 over the ByteRange that a PDF signature covers.
    pub const TO_BE_SIGNED: &str = "to_be_signed.sha256";
    /// Title of a contract, or name of a seal, person or organisation.
    pub const TITLE: &str = "title";
    /// The contract's own number.
    pub const NUMBER: &str = "number";
    /// Name of a person, organisation or seal.
    pub const NAME: &str = "name";
    /// 统一社会信用代码 of an organisation, or masked identity number of a person.
    pub const ID_CODE: &str = "id_code";
    /// How the identity was checked (method, provider).
    pub const IDENTITY_CHECK: &str = "identity_check";
    /// The words with which the signer agreed.
    pub const INTENT: &str = "intent";
    /// When, from where and with what the intent was given.
    pub const CAPTURE: &str = "capture";
    /// SHA-256 of a seal's imprint file.
    pub const IMPRINT: &str = "imprint.sha256";
    /// SHA-256 of the X.509 certificate (DER) bound to a seal or key.
    pub const CERTIFICATE: &str = "certificate.sha256";
    /// SHA-256 of a receipt or delivery note.
    pub const RECEIPT: &str = "receipt.sha256";
    /// Free description of a fulfilment, reason of a suspension and the like.
    pub const DESCRIPTION: &str = "description";
    /// Date until which notice of a retrieval to the parties is deferred, `YYYY-MM-DD`.
    pub const NOTICE_AFTER: &str = "notice_after";
}

/// A commitment in a submission's body.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct Commitment {
    /// The name, 1–64 characters of `a-z`, `0-9`, `_`, `.`.
    #[n(0)]
    pub name: String,
    /// The commitment itself.
    #[n(1)]
    pub hash: Hash32,
}

/// What opens a commitment.
#[derive(Clone, PartialEq, Eq, Debug, Encode, Decode)]
#[cbor(map)]
pub struct Opening {
    /// The name.
    #[n(0)]
    pub name: String,
    /// 32 random bytes.
    #[n(1)]
    pub salt: Hash32,
    /// The committed value.
    #[n(2)]
    pub value: Bytes,
}

impl Opening {
    /// An opening of text or of a raw digest.
    pub fn new(name: &str, salt: [u8; 32], value: impl AsRef<[u8]>) -> Self {
        Self { name: name.to_owned(), salt: Hash32(salt), value: Bytes(value.as_ref().to_vec()) }
    }

    /// The commitment that this opens.
    pub fn commitment(&self) -> Commitment {
        Commitment { name: self.name.clone(), hash: commit(&self.name, &self.salt, &self.value) }
    }
}

/// Is this a well-formed commitment name?
pub fn is_name(name: &str) -> bool {
    (1..=64).contains(&name.len())
        && name.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_' || b == b'.')
}

/// Computes a commitment. `name` has at most 255 bytes (64 in a body).
pub fn commit(name: &str, salt: &Hash32, value: &[u8]) -> Hash32 {
    let length = u8::try_from(name.len()).unwrap_or(u8::MAX);
    sha256(&[tag::COMMITMENT, &salt.0, &[length], name.as_bytes(), value])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn name_salt_and_value_are_all_bound() {
        let opening = Opening::new("title", [1; 32], "采购合同");
        let hash = opening.commitment().hash;
        for other in [
            Opening::new("titl", [1; 32], "e采购合同"),
            Opening::new("title", [2; 32], "采购合同"),
            Opening::new("title", [1; 32], "采购合同 "),
        ] {
            assert_ne!(other.commitment().hash, hash);
        }
    }

    #[test]
    fn names_have_one_form() {
        for (text, ok) in [("document.sha256", true), ("id_code", true), ("", false), ("Title", false), ("名", false)]
        {
            assert_eq!(is_name(text), ok, "{text}");
        }
    }
}
