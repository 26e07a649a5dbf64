//! Blocks that nobody should accept, made from a good one.

use qz_chain::Block;
use qz_evidence::codec::Bytes;
use qz_evidence::header::{Header, block_id};
use qz_evidence::{CodecError, Hash32, decode_strict, encode};
use qz_node::seam::Built;

use crate::hand::random;

/// What an altered block is handed out as.
fn built(bytes: Vec<u8>, id: Hash32) -> Built {
    Built { bytes, id, refused: Vec::new() }
}

/// The block under a changed header.
fn with_header(good: &Built, change: impl FnOnce(&mut Header)) -> Result<Built, CodecError> {
    let block: Block = decode_strict(&good.bytes)?;
    let mut header = block.header()?;
    change(&mut header);
    let header = encode(&header);
    let id = block_id(&header);
    Ok(built(encode(&Block { header: Bytes(header), ..block }), id))
}

/// Names of the ways in which [`invalid`] spoils a block; those for which peers refuse a member come last.
pub(crate) const INVALID: [&str; 9] = [
    "another id",
    "another height",
    "another parent",
    "another proposer",
    "a submission that is none",
    "garbage",
    "trailing byte",
    "cut short",
    "too large",
];

/// A block that breaks a rule of form or of place.
pub(crate) fn invalid(good: &Built, way: &str) -> Result<Built, CodecError> {
    let mut bytes = good.bytes.clone();
    Ok(match way {
        "garbage" => built(random::<4096>().to_vec(), good.id),
        "trailing byte" => {
            bytes.push(0);
            built(bytes, good.id)
        }
        "cut short" => {
            bytes.truncate(bytes.len() / 2);
            built(bytes, good.id)
        }
        "another id" => built(bytes, Hash32(random())),
        "another height" => with_header(good, |header| header.height.0 += 1)?,
        "another parent" => with_header(good, |header| header.previous = Hash32(random()))?,
        "another proposer" => with_header(good, |header| header.proposer = Hash32(random()))?,
        "a submission that is none" => {
            let mut block: Block = decode_strict(&good.bytes)?;
            block.submissions.push(Bytes(random::<200>().to_vec()));
            built(encode(&block), good.id)
        }
        _ => {
            bytes.resize(3 * 1024 * 1024, 0);
            built(bytes, good.id)
        }
    })
}

/// Names of the header fields that [`wrong_root`] spoils.
pub(crate) const ROOTS: [&str; 6] =
    ["state_root", "records_root", "history_root", "record_count", "next_validators_hash", "params_hash"];

/// A good block under a header that commits to something else than it leads to.
pub(crate) fn wrong_root(good: &Built, field: &str) -> Result<Built, CodecError> {
    with_header(good, |header| match field {
        "state_root" => header.state_root = Hash32(random()),
        "records_root" => header.records_root = Hash32(random()),
        "history_root" => header.history_root = Hash32(random()),
        "record_count" => header.record_count += 1,
        "next_validators_hash" => header.next_validators_hash = Hash32(random()),
        _ => header.params_hash = Hash32(random()),
    })
}

/// The good block with one more submission, counted in its header.
pub(crate) fn with_submission(good: &Built, submission: Vec<u8>) -> Result<Built, CodecError> {
    let more = with_header(good, |header| header.record_count += 1)?;
    let mut block: Block = decode_strict(&more.bytes)?;
    block.submissions.push(Bytes(submission));
    Ok(built(encode(&block), more.id))
}

/// The good block at another time.
pub(crate) fn at_time(good: &Built, time_ms: u64) -> Result<Built, CodecError> {
    with_header(good, |header| header.time_ms = time_ms)
}
