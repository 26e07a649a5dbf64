//! Streamed blocks of heights that this node has not reached. Each publisher has places of its own, so
//! that a hostile one can push out nobody's blocks but its own.

use malachitebft_app_channel::app::types::PeerId;

use super::assembly::StreamedBlock;
use super::context::Height;

/// Blocks that are kept for one publisher; an honest one is rarely more than one height ahead.
const PER_PUBLISHER: usize = 2;

/// The blocks, each with the time at which it arrived.
#[derive(Debug, Default)]
pub(super) struct FutureBlocks {
    blocks: Vec<(StreamedBlock, u64)>,
}

impl FutureBlocks {
    /// Keeps a block. `false`: its publisher has no place left, and the block that is furthest ahead
    /// among its own was given up, the least useful one.
    pub(super) fn keep(&mut self, block: StreamedBlock, received_ms: u64) -> bool {
        let publisher = block.publisher;
        if self.blocks.iter().any(|(kept, _)| *kept == block) {
            return true;
        }
        self.blocks.push((block, received_ms));
        if self.count(&publisher) <= PER_PUBLISHER {
            return true;
        }
        let own = (0..self.blocks.len()).filter(|i| self.blocks[*i].0.publisher == publisher);
        let furthest = own.max_by_key(|i| (self.blocks[*i].0.height, self.blocks[*i].0.round));
        if let Some(index) = furthest {
            self.blocks.remove(index);
        }
        false
    }

    /// The blocks of a height, in order of arrival; those of lower heights are forgotten.
    pub(super) fn take(&mut self, height: Height) -> Vec<(StreamedBlock, u64)> {
        let (due, rest) = std::mem::take(&mut self.blocks)
            .into_iter()
            .filter(|(block, _)| block.height >= height)
            .partition(|(block, _)| block.height == height);
        self.blocks = rest;
        due
    }

    fn count(&self, publisher: &PeerId) -> usize {
        self.blocks.iter().filter(|(block, _)| block.publisher == *publisher).count()
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use malachitebft_core_types::Round;

    use super::super::context::BlockId;
    use super::*;

    fn peer() -> PeerId {
        PeerId::from_bytes(&libp2p::PeerId::random().to_bytes()).unwrap()
    }

    fn block(publisher: PeerId, height: u64, byte: u8) -> StreamedBlock {
        StreamedBlock {
            publisher,
            height: Height(height),
            round: Round::ZERO,
            pol_round: Round::Nil,
            id: BlockId([byte; 32]),
            bytes: vec![byte],
        }
    }

    #[test]
    fn a_hostile_publisher_pushes_out_only_its_own_blocks() {
        let (honest, hostile) = (peer(), peer());
        let mut future = FutureBlocks::default();
        assert!(future.keep(block(honest, 9, 1), 1));
        for byte in 0..100 {
            future.keep(block(hostile, 7, byte), 2);
        }
        assert_eq!(future.count(&hostile), PER_PUBLISHER);
        assert_eq!(future.take(Height(9)), vec![(block(honest, 9, 1), 1)]);
    }

    #[test]
    fn the_nearest_heights_stay_and_the_past_is_forgotten() {
        let publisher = peer();
        let mut future = FutureBlocks::default();
        assert!(future.keep(block(publisher, 9, 9), 0));
        assert!(future.keep(block(publisher, 8, 8), 0));
        assert!(future.keep(block(publisher, 8, 8), 0), "again");
        assert!(!future.keep(block(publisher, 7, 7), 0));
        assert_eq!(future.take(Height(7)).len(), 1);
        assert_eq!(future.take(Height(9)), vec![], "9 was given up");
        assert!(future.blocks.is_empty(), "8 is past");
    }
}
