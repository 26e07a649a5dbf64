//! The two hash functions and the domain tags.
//!
//! One rule: *inside a block* BLAKE3 (records tree, state tree), *across blocks and towards the world*
//! SHA-256 (header hash, history, documents, commitments). Every hash that is not fixed by a published
//! standard starts with a domain tag; no tag is a prefix of another (tested below).

use minicbor::{Decode, Encode};
use sha2::{Digest, Sha256};
use std::fmt;

/// A 32-byte hash value.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Encode, Decode, Default)]
#[cbor(transparent)]
pub struct Hash32(
    #[n(0)]
    #[cbor(with = "minicbor::bytes")]
    pub [u8; 32],
);

impl Hash32 {
    /// All zero bytes: "nothing before this" in links and in the header of height 0.
    pub const ZERO: Self = Self([0; 32]);

    /// Parses 64 hexadecimal digits.
    pub fn from_hex(text: &str) -> Option<Self> {
        let mut bytes = [0; 32];
        hex::decode_to_slice(text, &mut bytes).ok()?;
        Some(Self(bytes))
    }

    /// The bytes.
    pub fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

impl fmt::Display for Hash32 {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&hex::encode(self.0))
    }
}

impl fmt::Debug for Hash32 {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}")
    }
}

impl serde::Serialize for Hash32 {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> serde::Deserialize<'de> for Hash32 {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        Self::from_hex(&text).ok_or_else(|| serde::de::Error::custom("expected 64 hexadecimal digits"))
    }
}

/// Domain tags. The tag's ASCII bytes come first in the hashed or signed message, without terminator.
pub mod tag {
    /// Chain id: SHA-256(tag ‖ genesis body).
    pub const CHAIN_ID: &[u8] = b"qz/chain-id/v1";
    /// Subject id of a record that creates a subject: SHA-256(tag ‖ chain id ‖ body digest).
    pub const SUBJECT: &[u8] = b"qz/subject/v1";
    /// Subject id of an organisation: SHA-256(tag ‖ chain id ‖ organisation id).
    pub const ORG_SUBJECT: &[u8] = b"qz/org-subject/v1";
    /// Subject id of an organisation's audit log: SHA-256(tag ‖ chain id ‖ organisation id).
    pub const AUDIT_LOG: &[u8] = b"qz/audit-log/v1";
    /// Subject id of the consortium's governance: SHA-256(tag ‖ chain id).
    pub const GOVERNANCE_SUBJECT: &[u8] = b"qz/governance-subject/v1";
    /// Body digest: SHA-256(tag ‖ body bytes).
    pub const BODY: &[u8] = b"qz/body/v1";
    /// Actor's signature message: tag ‖ body digest.
    pub const ACTOR: &[u8] = b"qz/actor/v1";
    /// Relay's signature message: tag ‖ SHA-256(unsigned submission bytes).
    pub const RELAY: &[u8] = b"qz/relay/v1";
    /// Salted commitment: SHA-256(tag ‖ salt ‖ len(name) ‖ name ‖ value).
    pub const COMMITMENT: &[u8] = b"qz/commit/v1";
    /// Vote message.
    pub const VOTE: &[u8] = b"qz/vote/v1";
    /// Consensus proposal message (never part of a proof).
    pub const PROPOSAL: &[u8] = b"qz/proposal/v1";
    /// An organisation's signature of the genesis: tag ‖ chain id.
    pub const GENESIS_SIGNATURE: &[u8] = b"qz/genesis-signature/v1";
    /// A key's signature of an organisation card: tag ‖ SHA-256(organisation bytes).
    pub const CARD: &[u8] = b"qz/card/v1";
    /// A node's word on how far its ledger reaches (never part of a proof).
    pub const TIP: &[u8] = b"qz/tip/v1";
    /// Parameters hash: SHA-256(tag ‖ parameters bytes).
    pub const PARAMS: &[u8] = b"qz/params/v1";
    /// Validator set hash: SHA-256(tag ‖ validator set bytes).
    pub const VALIDATORS: &[u8] = b"qz/validators/v1";
    /// State of a subject: BLAKE3(tag ‖ state bytes).
    pub const STATE: &[u8] = b"qz/state/v1";
    /// A court's release request: tag ‖ body digest ‖ time.
    pub const RELEASE: &[u8] = b"qz/release/v1";

    /// Message of a timestamp over a renewed bundle's checkpoint: note ‖ tag ‖ hashes of former evidence.
    pub const RENEWAL: &[u8] = b"qz/renewal/v1";

    /// All of them, for the prefix test.
    pub const ALL: [&[u8]; 18] = [
        RENEWAL,
        CHAIN_ID,
        SUBJECT,
        ORG_SUBJECT,
        AUDIT_LOG,
        GOVERNANCE_SUBJECT,
        BODY,
        ACTOR,
        RELAY,
        COMMITMENT,
        VOTE,
        PROPOSAL,
        GENESIS_SIGNATURE,
        CARD,
        PARAMS,
        VALIDATORS,
        STATE,
        RELEASE,
    ];
}

/// SHA-256 over the concatenation of `parts`.
pub fn sha256(parts: &[&[u8]]) -> Hash32 {
    let mut hasher = Sha256::new();
    for part in parts {
        hasher.update(part);
    }
    Hash32(hasher.finalize().into())
}

/// BLAKE3 (256 bits) over the concatenation of `parts`.
pub fn blake3(parts: &[&[u8]]) -> Hash32 {
    let mut hasher = blake3::Hasher::new();
    for part in parts {
        hasher.update(part);
    }
    Hash32(*hasher.finalize().as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_tag_is_a_prefix_of_another() {
        for (i, a) in tag::ALL.iter().enumerate() {
            for (j, b) in tag::ALL.iter().enumerate() {
                assert!(i == j || !b.starts_with(a), "{a:?} is a prefix of {b:?}");
            }
        }
    }

    #[test]
    fn hashes_are_the_published_functions() {
        let empty = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
        assert_eq!(sha256(&[]).to_string(), empty);
        let blake = "af1349b9f5f9a1a6a0404dea36dcc9499bcb25c9adc112b7cc9a93cae41f3262";
        assert_eq!(blake3(&[]).to_string(), blake);
    }
}
