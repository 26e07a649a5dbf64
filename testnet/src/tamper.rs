//! Flips one byte, so that exactly one named thing is wrong. Inside a proof bundle the byte is located
//! in the decoded structure and everything around it is encoded again canonically; a flip in the raw
//! file would mostly fail strict decoding, which shows less.

use anyhow::{Context, Result};
use qz_evidence::bundle::Bundle;
use qz_evidence::codec::{Bytes, decode_strict, encode};
use qz_evidence::commit::CommitCertificate;
use qz_evidence::genesis::GenesisDocument;
use qz_evidence::record::Record;
use qz_evidence::submission::{Body, Submission};

/// One bit of the last commitment of the last record in a bundle.
pub fn record(bundle: &[u8]) -> Result<Vec<u8>> {
    let mut bundle: Bundle = decode_strict(bundle)?;
    let entry = bundle.entries.last_mut().context("the bundle has no record")?;
    let mut record: Record = decode_strict(&entry.record)?;
    let mut submission: Submission = decode_strict(&record.submission)?;
    let mut body: Body = decode_strict(&submission.body)?;
    match body.commitments.last_mut() {
        Some(commitment) => commitment.hash.0[0] ^= 1,
        None => body.claimed_time_ms ^= 1,
    }
    submission.body = Bytes(encode(&body));
    record.submission = Bytes(encode(&submission));
    entry.record = Bytes(encode(&record));
    Ok(encode(&bundle))
}

/// One bit of the first validator's signature in a bundle's commit certificate.
pub fn validator_signature(bundle: &[u8]) -> Result<Vec<u8>> {
    let mut bundle: Bundle = decode_strict(bundle)?;
    let mut commit: CommitCertificate = decode_strict(&bundle.commit)?;
    let first = commit.signatures.first_mut().context("the certificate has no signature")?;
    first.signature = Bytes(flipped(&first.signature, 0));
    bundle.commit = Bytes(encode(&commit));
    Ok(encode(&bundle))
}

/// One bit of the first organisation's signature of a genesis document.
pub fn genesis(document: &[u8]) -> Result<Vec<u8>> {
    let mut document: GenesisDocument = decode_strict(document)?;
    let first = document.signatures.first_mut().context("the genesis has no signature")?;
    first.signature = Bytes(flipped(&first.signature, 0));
    Ok(encode(&document))
}

/// One bit in the middle of a file, such as a contract's PDF.
pub fn file(bytes: &[u8]) -> Vec<u8> {
    flipped(bytes, bytes.len() / 2)
}

fn flipped(bytes: &[u8], position: usize) -> Vec<u8> {
    let mut copy = bytes.to_vec();
    if let Some(byte) = copy.get_mut(position) {
        *byte ^= 1;
    }
    copy
}
