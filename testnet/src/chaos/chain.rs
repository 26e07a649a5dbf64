//! The chain as the first node that was asked for each height served it, against which every other
//! node's blocks are held.

use anyhow::{Result, ensure};
use qz_client::Block;
use qz_evidence::codec::decode_strict;
use qz_evidence::header::Header;
use qz_evidence::{Hash32, Height};

/// A block as it was first served.
#[derive(Debug)]
pub struct Seen {
    header: Header,
    /// Its id.
    pub id: Hash32,
    records: Vec<Hash32>,
}

/// Blocks from height 0 on, each following the one before.
#[derive(Debug)]
pub struct Chain {
    chain_id: Hash32,
    blocks: Vec<Seen>,
}

impl Chain {
    /// No block yet.
    pub fn new(chain_id: Hash32) -> Self {
        Self { chain_id, blocks: vec![] }
    }

    /// The blocks by height.
    pub fn blocks(&self) -> &[Seen] {
        &self.blocks
    }

    /// Height, index and hash of every record.
    pub fn records(&self) -> Vec<(u64, u32, Hash32)> {
        let of_block = |seen: &Seen| {
            let height = seen.header.height.0;
            seen.records.iter().zip(0..).map(move |(hash, index)| (height, index, *hash)).collect::<Vec<_>>()
        };
        self.blocks.iter().flat_map(of_block).collect()
    }

    /// Holds a node's block against this chain, or appends it to its end. The client has made sure that
    /// the block's id is its header's hash.
    pub fn check(&mut self, block: &Block) -> Result<()> {
        let height = usize::try_from(block.height)?;
        match self.blocks.get(height) {
            Some(seen) => {
                ensure!(seen.id == block.header_hash, "FORK: {} and {}", seen.id, block.header_hash);
                ensure!(seen.records == block.records, "other records than elsewhere");
                Ok(())
            }
            None => self.append(height, block),
        }
    }

    fn append(&mut self, height: usize, block: &Block) -> Result<()> {
        ensure!(height == self.blocks.len(), "it comes before block {}", self.blocks.len());
        let header: Header = decode_strict(&block.header)?;
        ensure!(header.height == Height(block.height), "its header is of height {}", header.height);
        ensure!(header.chain_id == self.chain_id, "its header is of another ledger");
        ensure!(header.record_count as usize == block.records.len(), "its header counts other records");
        if let Some(parent) = self.blocks.last() {
            ensure!(header.previous == parent.id, "it does not follow the block before");
            ensure!(header.time_ms > parent.header.time_ms, "its time is not after the block before");
        }
        self.blocks.push(Seen { id: block.header_hash, header, records: block.records.clone() });
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use qz_evidence::encode;
    use qz_evidence::header::HeaderTag;

    const CHAIN: Hash32 = Hash32([1; 32]);

    fn block(height: u64, previous: Hash32, time_ms: u64, records: &[u8]) -> Block {
        let header = Header {
            tag: HeaderTag,
            chain_id: CHAIN,
            height: Height(height),
            epoch: 0,
            time_ms,
            previous,
            record_count: u32::try_from(records.len()).unwrap(),
            records_root: Hash32([2; 32]),
            state_root: Hash32([3; 32]),
            history_size: height,
            history_root: Hash32([4; 32]),
            validators_hash: Hash32([5; 32]),
            next_validators_hash: Hash32([5; 32]),
            params_hash: Hash32([6; 32]),
            proposer: Hash32([7; 32]),
        };
        let records = records.iter().map(|byte| Hash32([*byte; 32])).collect();
        Block { height, header_hash: header.block_id(), header: encode(&header), commit: None, records }
    }

    #[test]
    fn a_fork_a_gap_and_other_records_are_noticed() {
        let mut chain = Chain::new(CHAIN);
        let first = block(0, Hash32::ZERO, 5, &[]);
        let second = block(1, first.header_hash, 6, &[1, 2]);
        for _node in 0..2 {
            chain.check(&first).unwrap();
            chain.check(&second).unwrap();
        }
        assert_eq!(chain.records().len(), 2);
        let mut other_records = second.clone();
        other_records.records.swap(0, 1);
        let wrong = [
            (block(1, first.header_hash, 7, &[1, 2]), "FORK"),
            (other_records, "other records"),
            (block(3, second.header_hash, 7, &[]), "before block 2"),
            (block(2, first.header_hash, 7, &[]), "does not follow"),
            (block(2, second.header_hash, 6, &[]), "its time"),
        ];
        for (block, words) in wrong {
            let error = chain.check(&block).unwrap_err().to_string();
            assert!(error.contains(words), "{words}: {error}");
        }
        chain.check(&block(2, second.header_hash, 7, &[])).unwrap();
    }
}
