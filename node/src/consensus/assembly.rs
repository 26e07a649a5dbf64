//! Puts streamed proposal parts together and takes blocks apart into parts. Everything that peers
//! can make grow is bounded: streams per publisher, parts per stream, bytes per stream.

use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, HashMap};

use bytes::Bytes;
use malachitebft_app_channel::app::streaming::{StreamContent, StreamId, StreamMessage};
use malachitebft_app_channel::app::types::PeerId;
use malachitebft_core_types::Round;

use super::context::{Address, BlockId, Height, Part};
use crate::peers::Offence;

/// Block bytes in one part; well below the engine's pubsub limit of 4 MiB.
pub(crate) const CHUNK_BYTES: usize = 128 * 1024;
/// Streams that one publisher may have open; the oldest is dropped for a new one.
const MAX_STREAMS_PER_PUBLISHER: usize = 4;
/// Longest stream id that is accepted.
const MAX_STREAM_ID_BYTES: usize = 64;

/// A block as proposed for a round, before anything about it was checked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct StreamedBlock {
    /// Peer whose signature the parts carry.
    pub publisher: PeerId,
    pub height: Height,
    pub round: Round,
    /// Round of the proof-of-lock, nil for a first proposal.
    pub pol_round: Round,
    /// Block id that the publisher claims.
    pub id: BlockId,
    pub bytes: Vec<u8>,
}

/// Open streams of all publishers.
#[derive(Debug)]
pub(crate) struct Assembler {
    max_block_bytes: usize,
    streams: HashMap<PeerId, Vec<(Bytes, Stream)>>,
}

#[derive(Debug, Default)]
struct Stream {
    parts: BTreeMap<u64, StreamContent<Part>>,
    bytes: usize,
}

impl Assembler {
    /// An assembler for blocks of at most `max_block_bytes`.
    pub(crate) fn new(max_block_bytes: usize) -> Self {
        Self { max_block_bytes, streams: HashMap::new() }
    }

    /// Takes one part; returns the block when it was the last missing one. Streams that break a
    /// bound or the order init, data…, fin are dropped: nobody honest sends them.
    pub(crate) fn push(
        &mut self, publisher: PeerId, message: StreamMessage<Part>,
    ) -> Result<Option<StreamedBlock>, Offence> {
        let id = message.stream_id.to_bytes();
        let max_parts = self.max_block_bytes.div_ceil(CHUNK_BYTES) as u64 + 3;
        if id.len() > MAX_STREAM_ID_BYTES || message.sequence >= max_parts {
            return Err(Offence::Oversized);
        }
        let streams = self.streams.entry(publisher).or_default();
        let index = match streams.iter().position(|(open, _)| *open == id) {
            Some(index) => index,
            None => {
                if streams.len() == MAX_STREAMS_PER_PUBLISHER {
                    streams.remove(0);
                }
                streams.push((id, Stream::default()));
                streams.len() - 1
            }
        };
        let stream = &mut streams[index].1;
        if let Entry::Vacant(place) = stream.parts.entry(message.sequence) {
            if let StreamContent::Data(Part::Data(data)) = &message.content {
                stream.bytes += data.len();
            }
            place.insert(message.content);
        }
        if stream.bytes > self.max_block_bytes {
            streams.remove(index);
            return Err(Offence::Oversized);
        }
        if !stream.is_complete() {
            return Ok(None);
        }
        let (_, stream) = streams.remove(index);
        stream.into_block(publisher).map(Some).ok_or(Offence::Malformed)
    }
}

impl Stream {
    fn is_complete(&self) -> bool {
        self.parts
            .last_key_value()
            .is_some_and(|(last, content)| content.is_fin() && self.parts.len() as u64 == last + 1)
    }

    fn into_block(self, publisher: PeerId) -> Option<StreamedBlock> {
        let mut parts = self.parts.into_values().filter_map(StreamContent::into_data);
        let Some(Part::Init { height, round, pol_round, .. }) = parts.next() else {
            return None;
        };
        let mut bytes = Vec::with_capacity(self.bytes);
        loop {
            match parts.next()? {
                Part::Data(data) => bytes.extend_from_slice(&data),
                Part::Fin(id) if parts.next().is_none() => {
                    return Some(StreamedBlock { publisher, height, round, pol_round, id, bytes });
                }
                Part::Init { .. } | Part::Fin(_) => return None,
            }
        }
    }
}

/// What the parts of a block announce.
#[derive(Copy, Clone, Debug)]
pub struct Announcement {
    /// Height to decide.
    pub height: Height,
    /// Round of the height.
    pub round: Round,
    /// Round of the proof-of-lock, nil for a first proposal.
    pub pol_round: Round,
    /// Original proposer of the block.
    pub proposer: Address,
    /// The block.
    pub id: BlockId,
}

/// The messages that stream a block; `stream` makes the stream id unique at this publisher.
pub fn disassemble(announcement: &Announcement, block: &[u8], stream: u64) -> Vec<StreamMessage<Part>> {
    let Announcement { height, round, pol_round, proposer, id } = *announcement;
    let mut stream_id = Vec::with_capacity(24);
    stream_id.extend_from_slice(&height.0.to_be_bytes());
    stream_id.extend_from_slice(&round.as_i64().to_be_bytes());
    stream_id.extend_from_slice(&stream.to_be_bytes());
    let stream_id = StreamId::new(stream_id.into());

    let init = Part::Init { height, round, pol_round, proposer };
    let data = block.chunks(CHUNK_BYTES).map(|chunk| Part::Data(chunk.to_vec()));
    std::iter::once(init)
        .chain(data)
        .chain(std::iter::once(Part::Fin(id)))
        .map(StreamContent::Data)
        .chain(std::iter::once(StreamContent::Fin))
        .zip(0u64..)
        .map(|(content, sequence)| StreamMessage::new(stream_id.clone(), sequence, content))
        .collect()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    fn peer() -> PeerId {
        PeerId::from_bytes(&libp2p::PeerId::random().to_bytes()).unwrap()
    }

    fn parts_of(block: &[u8], stream: u64) -> Vec<StreamMessage<Part>> {
        let announcement = Announcement {
            height: Height(3),
            round: Round::new(1),
            pol_round: Round::Nil,
            proposer: Address([1; 32]),
            id: BlockId([2; 32]),
        };
        disassemble(&announcement, block, stream)
    }

    #[test]
    fn blocks_survive_any_order_of_parts() {
        let publisher = peer();
        for length in [0, 1, CHUNK_BYTES - 1, CHUNK_BYTES, CHUNK_BYTES + 1, 3 * CHUNK_BYTES] {
            let block = vec![7; length];
            let mut assembler = Assembler::new(4 * CHUNK_BYTES);
            let mut parts = parts_of(&block, 0);
            parts.reverse();
            let last = parts.pop().unwrap();
            for part in parts {
                assert_eq!(assembler.push(publisher, part.clone()), Ok(None));
                assert_eq!(assembler.push(publisher, part), Ok(None), "repeated parts change nothing");
            }
            let back = assembler.push(publisher, last).unwrap().unwrap();
            assert_eq!((back.bytes, back.height), (block, Height(3)));
        }
    }

    #[test]
    fn bounds_hold() {
        let publisher = peer();
        let mut assembler = Assembler::new(CHUNK_BYTES);
        let too_large = parts_of(&vec![0; 2 * CHUNK_BYTES], 0);
        let offences: Vec<_> = too_large.into_iter().filter_map(|part| assembler.push(publisher, part).err()).collect();
        assert!(!offences.is_empty() && offences.iter().all(|offence| *offence == Offence::Oversized));

        for stream in 0..100 {
            let first = parts_of(b"block", stream).swap_remove(0);
            assert_eq!(assembler.push(publisher, first), Ok(None));
        }
        assert_eq!(assembler.streams[&publisher].len(), MAX_STREAMS_PER_PUBLISHER);

        let mut far = parts_of(b"block", 200).swap_remove(1);
        far.sequence = 1 << 40;
        assert_eq!(assembler.push(publisher, far), Err(Offence::Oversized));
    }

    #[test]
    fn misordered_streams_yield_nothing() {
        let publisher = peer();
        let mut parts = parts_of(b"block", 0);
        let (init, data) = (parts[0].content.clone(), parts[1].content.clone());
        parts[0].content = data;
        parts[1].content = init;
        let mut assembler = Assembler::new(CHUNK_BYTES);
        let outcomes: Vec<_> = parts.into_iter().map(|part| assembler.push(publisher, part)).collect();
        assert_eq!(outcomes.last(), Some(&Err(Offence::Malformed)));
        assert!(assembler.streams[&publisher].is_empty());
    }
}
