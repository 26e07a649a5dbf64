//! What every validator has signed, gathered from its signing journal (format: `qz-node`,
//! `consensus/journal.rs`) each time before a start compacts it, and at the end.
//!
//! Two contents for one (height, round, kind) are a double signature; a signature in a commit certificate
//! that no journal holds was made behind the journal's back.

use super::plan::NodeIndex;
use anyhow::{Context, Result, bail, ensure};
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

const MAGIC: &[u8] = b"qz/signer/v1";
const HEADER_LEN: usize = 12 + 32 + 32;
const RECORD_LEN: usize = 90;
/// Kinds: 0 proposal, 1 prevote, 2 precommit; 3 is a promise not to sign, no signature.
const PRECOMMIT: u8 = 2;
const ABSTAIN: u8 = 3;

/// One step of consensus at which a validator signs at most once.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Step {
    node: NodeIndex,
    height: u64,
    round: i64,
    kind: u8,
}

/// Everything that was read from all journals so far.
#[derive(Debug, Default)]
pub struct Journals {
    /// BLAKE3 of the signed bytes.
    steps: BTreeMap<Step, BTreeSet<[u8; 32]>>,
}

impl Journals {
    /// Reads a node's journal as it is now, which may be absent before its first start.
    pub fn gather(&mut self, node: NodeIndex, home: &Path) -> Result<()> {
        let path = home.join("signer.journal");
        match std::fs::read(&path) {
            Ok(bytes) => self.add(node, &bytes).with_context(|| format!("{}", path.display())),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(()),
            Err(error) => Err(error).with_context(|| format!("cannot read {}", path.display())),
        }
    }

    fn add(&mut self, node: NodeIndex, bytes: &[u8]) -> Result<()> {
        ensure!(bytes.starts_with(MAGIC) && bytes.len() >= HEADER_LEN, "not a signing journal");
        let (records, _being_written) = bytes[HEADER_LEN..].as_chunks::<RECORD_LEN>();
        for (index, record) in records.iter().enumerate() {
            let (body, checksum) = record.split_at(RECORD_LEN - 8);
            if &blake3::hash(body).as_bytes()[..8] != checksum {
                // A kill while it was written; nothing was signed under it.
                ensure!(index + 1 == records.len(), "record {index} of the journal is damaged");
                break;
            }
            let eight = |from: usize| -> Result<[u8; 8]> { Ok(body[from..from + 8].try_into()?) };
            let kind = body[0];
            let (height, round) = (u64::from_be_bytes(eight(1)?), i64::from_be_bytes(eight(9)?));
            match kind {
                ABSTAIN => {}
                0..=PRECOMMIT => {
                    let digest: [u8; 32] = body[50..82].try_into()?;
                    self.steps.entry(Step { node, height, round, kind }).or_default().insert(digest);
                }
                _ => bail!("record {index} of the journal is of an unknown kind, {kind}"),
            }
        }
        Ok(())
    }

    /// Signatures that were journalled.
    pub fn count(&self) -> usize {
        self.steps.len()
    }

    /// A line for every step at which a validator signed more than one content.
    pub fn doubles(&self) -> Vec<String> {
        let doubles = self.steps.iter().filter(|(_, digests)| digests.len() > 1);
        let line = |(step, digests): (&Step, &BTreeSet<_>)| {
            let kind = ["proposal", "prevote", "precommit"].get(usize::from(step.kind)).unwrap_or(&"?");
            format!(
                "validator {} signed {} different {kind}s at height {}, round {}",
                step.node,
                digests.len(),
                step.height,
                step.round
            )
        };
        doubles.map(line).collect()
    }

    /// Whether this precommit, by its signed bytes, was journalled.
    pub fn holds_precommit(&self, node: NodeIndex, height: u64, round: i64, signed: &[u8]) -> bool {
        let step = Step { node, height, round, kind: PRECOMMIT };
        self.steps.get(&step).is_some_and(|digests| digests.contains(blake3::hash(signed).as_bytes()))
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn record(kind: u8, height: u64, round: i64, content: &[u8]) -> Vec<u8> {
        let mut record = vec![kind];
        record.extend_from_slice(&height.to_be_bytes());
        record.extend_from_slice(&round.to_be_bytes());
        record.push(1);
        record.extend_from_slice(&[7; 32]);
        record.extend_from_slice(blake3::hash(content).as_bytes());
        let checksum = blake3::hash(&record);
        record.extend_from_slice(&checksum.as_bytes()[..8]);
        record
    }

    fn journal(records: &[Vec<u8>]) -> Vec<u8> {
        [MAGIC, &[1; 64][..], &records.concat()].concat()
    }

    #[test]
    fn a_second_content_is_found_across_restarts() {
        let mut journals = Journals::default();
        let first = journal(&[record(1, 5, 0, b"a"), record(2, 5, 0, b"a")]);
        journals.add(0, &first).unwrap();
        journals.add(0, &first).unwrap();
        journals.add(1, &journal(&[record(2, 5, 0, b"b")])).unwrap();
        assert_eq!((journals.count(), journals.doubles().len()), (3, 0));
        assert!(journals.holds_precommit(0, 5, 0, b"a"));
        assert!(!journals.holds_precommit(0, 5, 0, b"b") && !journals.holds_precommit(0, 5, 1, b"a"));

        journals.add(0, &journal(&[record(3, 5, -1, b""), record(2, 5, 0, b"c")])).unwrap();
        let doubles = journals.doubles();
        assert_eq!(doubles.len(), 1);
        assert!(doubles[0].contains("validator 0") && doubles[0].contains("precommit"), "{doubles:?}");
    }

    #[test]
    fn only_the_tail_may_be_torn() {
        let whole = journal(&[record(1, 5, 0, b"a"), record(2, 5, 0, b"a")]);
        for cut in 1..RECORD_LEN {
            let mut journals = Journals::default();
            journals.add(0, &whole[..whole.len() - cut]).unwrap();
            assert_eq!(journals.count(), 1);
        }
        let mut damaged = whole.clone();
        damaged[HEADER_LEN + 3] ^= 1;
        assert!(Journals::default().add(0, &damaged).is_err());
        assert!(Journals::default().add(0, b"something else").is_err());
    }
}
