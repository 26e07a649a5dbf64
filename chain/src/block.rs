//! A block as it travels between nodes and as it is stored.

use minicbor::{Decode, Encode};
use qz_evidence::codec::{Bytes, Format};
use qz_evidence::header::{Header, block_id};
use qz_evidence::{CodecError, Hash32, decode_strict, encode, format_tag};

format_tag!(
    /// Tag of a block.
    BlockTag = "qz/block/v1"
);

/// A header with the submissions whose records it carries.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct Block {
    /// Format tag.
    #[n(0)]
    pub tag: BlockTag,
    /// Encoded [`Header`], verbatim.
    #[n(1)]
    pub header: Bytes,
    /// Encoded submissions, in the order of their records.
    #[n(2)]
    pub submissions: Vec<Bytes>,
}

impl Format for Block {
    const NAME: &'static str = "block";
    /// The largest `max_block_bytes` that parameters allow.
    const MAX_BYTES: usize = 2 * 1024 * 1024;
}

impl Block {
    /// A block of these parts.
    pub fn new(header: &Header, submissions: Vec<Vec<u8>>) -> Self {
        let submissions = submissions.into_iter().map(Bytes).collect();
        Self { tag: BlockTag, header: Bytes(encode(header)), submissions }
    }

    /// The block id: SHA-256 of the header's bytes.
    pub fn id(&self) -> Hash32 {
        block_id(&self.header)
    }

    /// The decoded header.
    pub fn header(&self) -> Result<Header, CodecError> {
        decode_strict(&self.header)
    }
}
