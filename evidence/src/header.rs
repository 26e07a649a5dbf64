//! Block headers.

use crate::codec::{Format, encode};
use crate::format_tag;
use crate::hash::{Hash32, sha256};
use crate::ids::Height;
use minicbor::{Decode, Encode};

format_tag!(
    /// Tag of a header.
    HeaderTag = "qz/header/v1"
);

/// What validators vote on. The block id is SHA-256 of the header's bytes; commit certificates stay
/// outside, because those of one block differ between nodes.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct Header {
    /// Format tag.
    #[n(0)]
    pub tag: HeaderTag,
    /// The ledger.
    #[n(1)]
    pub chain_id: Hash32,
    /// The height.
    #[n(2)]
    pub height: Height,
    /// One more than the previous height's if the validator set is another one, else the same.
    #[n(3)]
    pub epoch: u64,
    /// Milliseconds since 1970-01-01T00:00Z; max(proposer's clock, parent + 1).
    #[n(4)]
    pub time_ms: u64,
    /// Block id of the previous height; zero for height 0.
    #[n(5)]
    pub previous: Hash32,
    /// Records of this block.
    #[n(6)]
    pub record_count: u32,
    /// Root of the records tree (BLAKE3).
    #[n(7)]
    pub records_root: Hash32,
    /// Root of the state tree after this block's records (BLAKE3).
    #[n(8)]
    pub state_root: Hash32,
    /// Leaves of the history tree: always equal to the height.
    #[n(9)]
    pub history_size: u64,
    /// Root of the history tree over headers 0 ..= height − 1 (SHA-256).
    #[n(10)]
    pub history_root: Hash32,
    /// Hash of the validator set that decides this height.
    #[n(11)]
    pub validators_hash: Hash32,
    /// Hash of the validator set that decides the next height.
    #[n(12)]
    pub next_validators_hash: Hash32,
    /// Hash of the parameters in force at this height.
    #[n(13)]
    pub params_hash: Hash32,
    /// Address of the validator that first proposed the block; zero for height 0.
    #[n(14)]
    pub proposer: Hash32,
}

impl Format for Header {
    const NAME: &'static str = "header";
    const MAX_BYTES: usize = 512;
}

impl Header {
    /// The block id.
    pub fn block_id(&self) -> Hash32 {
        block_id(&encode(self))
    }
}

/// The block id of header bytes.
pub fn block_id(header: &[u8]) -> Hash32 {
    sha256(&[header])
}
