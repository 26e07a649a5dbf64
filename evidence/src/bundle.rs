//! The proof bundle `.qzproof`: everything that a verifier needs besides its trust inputs.
//!
//! One bundle proves one to [`MAX_ENTRIES`] records (all events of a contract and the seals and keys in
//! it) under one head block, so that the finality signatures, the genesis and the state proofs stand
//! in it once. Members are the verbatim bytes that were hashed or signed.

use crate::codec::{Bytes, Format};
use crate::commitment::Opening;
use crate::format_tag;
use crate::hash::Hash32;
use crate::state_proof::StateProof;
use minicbor::{Decode, Encode};

format_tag!(
    /// Tag of a bundle.
    BundleTag = "qz/proof/v1"
);

/// Most records of one bundle.
pub const MAX_ENTRIES: usize = 4096;

/// One record with its way up to the head block.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct Entry {
    /// Encoded [`crate::record::Record`].
    #[n(0)]
    pub record: Bytes,
    /// Path in the records tree of its block, bottom up.
    #[n(1)]
    pub records_path: Vec<Hash32>,
    /// Encoded header of its block.
    #[n(2)]
    pub header: Bytes,
    /// Path of that header in the history tree of the head block; empty if it *is* the head block.
    #[n(3)]
    pub history_path: Vec<Hash32>,
    /// What opens commitments of this record.
    #[n(4)]
    pub openings: Vec<Opening>,
}

/// The last header of an epoch: its decided set hands over to the next.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct HandOver {
    /// Encoded header whose `next_validators_hash` differs from its `validators_hash`.
    #[n(0)]
    pub header: Bytes,
    /// Encoded commit certificate of that header.
    #[n(1)]
    pub commit: Bytes,
    /// Encoded validator set of the next epoch.
    #[n(2)]
    pub next: Bytes,
    /// Path of the header in the head block's history.
    #[n(3)]
    pub history_path: Vec<Hash32>,
}

/// An X.509 certificate that a record commits to as `certificate.sha256`.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct CertificateEntry {
    /// Index of the entry whose record commits to it.
    #[n(0)]
    pub entry: u32,
    /// The certificate (DER) and its issuers, leaf first.
    #[n(1)]
    pub chain: Vec<Bytes>,
}

/// The bundle.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct Bundle {
    /// Format tag.
    #[n(0)]
    pub tag: BundleTag,
    /// The genesis document. Only compared with the pinned one, never trusted.
    #[n(1)]
    pub genesis: Bytes,
    /// One hand-over per epoch since the genesis, ascending.
    #[n(2)]
    pub hand_overs: Vec<HandOver>,
    /// Encoded header of the head block.
    #[n(3)]
    pub head: Bytes,
    /// Encoded commit certificate of the head block.
    #[n(4)]
    pub commit: Bytes,
    /// The records, ascending by height and index.
    #[n(5)]
    pub entries: Vec<Entry>,
    /// Where subjects stand as of the head block.
    #[n(6)]
    pub states: Vec<StateProof>,
    /// X.509 certificates of seals and signers.
    #[n(7)]
    pub certificates: Vec<CertificateEntry>,
    /// Checkpoint with cosignatures (C2SP tlog-checkpoint); from a later version of the protocol on.
    #[n(8)]
    pub checkpoint: Option<Bytes>,
    /// RFC 3161 tokens over the checkpoint, with chain and revocation data; likewise.
    #[n(9)]
    pub anchors: Vec<Bytes>,
}

impl Format for Bundle {
    const NAME: &'static str = "proof bundle";
    const MAX_BYTES: usize = 16 * 1024 * 1024;
}
