//! Blocks that come from others: collected from parts or synced, and judged once.

use bytes::Bytes;
use malachitebft_app_channel::app::streaming::{StreamContent, StreamMessage};
use malachitebft_app_channel::app::types::{PeerId, ProposedValue};
use malachitebft_core_types::{Round, Validity};
use malachitebft_engine::host::SyncedValueOutcome;
use malachitebft_sync::RawDecidedValue;
use qz_store::failpoint;
use tokio::time::Instant;

use super::super::assembly::StreamedBlock;
use super::super::certificate::from_evidence;
use super::super::codec::without_extensions;
use super::super::context::{Address, BlockId, Ctx, Height, Part, Value};
use super::super::proposals::Verdict;
use super::hold::Release;
use super::{Driver, DriverError, blocking};
use crate::clock::now_ms;
use crate::peers::Offence;

/// A proposal's time may differ this much from a validator's clock.
pub(super) const TIMELY_MS: u64 = 5_000;
/// Most different blocks that are kept for one round; an honest proposer makes one.
const BLOCKS_OF_A_ROUND: usize = 2;
/// Blocks for rounds further ahead than this are dropped, as the engine drops the votes of such rounds.
pub(super) const MAX_ROUNDS_AHEAD: i64 = 10;
/// Refused blocks of one publisher and height that are judged; each costs an execution and a write.
pub(super) const REFUSED_OF_A_HEIGHT: u32 = 16;
/// Bytes of a sync response, below the engine's limit of 10 MiB.
const MAX_SYNC_BYTES: usize = 8 * 1024 * 1024;
/// Blocks of a sync response: the engine asks for few at a time, and each is read from disk.
pub(super) const MAX_SYNC_BLOCKS: usize = 64;

impl Driver {
    /// Collects parts of a validator's proposal. The publisher is the author that the network checked;
    /// authors that are no validator's node are ignored, since anybody can make up a key.
    pub(super) fn on_part(
        &mut self, publisher: PeerId, part: StreamMessage<Part>,
    ) -> Result<Option<ProposedValue<Ctx>>, DriverError> {
        if !self.publishers.contains_key(&publisher) {
            tracing::debug!(%publisher, "part published by no validator");
            return Ok(None);
        }
        if self.held.is_some() && self.starts_next_height(&publisher, &part)? {
            self.start_next(Release::Good)?;
        }
        match self.assembler.push(publisher, part) {
            Ok(Some(block)) => blocking(|| self.on_streamed(block, now_ms())),
            Ok(None) => Ok(None),
            Err(offence) => {
                self.keeper.offend(publisher, offence);
                Ok(None)
            }
        }
    }

    /// Whether the proposer of the next height has begun to stream its block.
    fn starts_next_height(&self, publisher: &PeerId, part: &StreamMessage<Part>) -> Result<bool, DriverError> {
        let StreamContent::Data(Part::Init { height, round, .. }) = &part.content else { return Ok(false) };
        if height.0 != self.tip().0 + 1 || !(0..=MAX_ROUNDS_AHEAD).contains(&round.as_i64()) {
            return Ok(false);
        }
        let turn = self.validators()?.proposer(*height, *round).address;
        Ok(self.publishers.get(publisher) == Some(&turn))
    }

    /// A whole block arrived: judge it now, keep it for later, or drop it.
    pub(super) fn on_streamed(
        &mut self, block: StreamedBlock, received_ms: u64,
    ) -> Result<Option<ProposedValue<Ctx>>, DriverError> {
        let tip = self.tip();
        let now = block.height.0 == tip.0 + 1 && self.height == block.height;
        let round = if now { self.round.as_i64() } else { 0 };
        if block.height <= tip {
            return Ok(None);
        }
        if !(0..=round.saturating_add(MAX_ROUNDS_AHEAD)).contains(&block.round.as_i64()) {
            tracing::warn!(height = %block.height, round = block.round.as_i64(), "block of a round far ahead");
            self.keeper.offend(block.publisher, Offence::Flood);
            return Ok(None);
        }
        if now {
            return self.judge(block, received_ms);
        }
        let publisher = block.publisher;
        if !self.future.keep(block, received_ms) {
            self.keeper.offend(publisher, Offence::Flood);
        }
        Ok(None)
    }

    /// The one verdict on a streamed block of the height in progress, durable on return. `None`: the
    /// engine is to hear nothing of it.
    pub(super) fn judge(
        &mut self, streamed: StreamedBlock, received_ms: u64,
    ) -> Result<Option<ProposedValue<Ctx>>, DriverError> {
        let StreamedBlock { publisher, height, round, pol_round, id, bytes } = streamed;
        let validators = self.validators()?;
        let turn = validators.proposer(height, round).address;
        if self.publishers.get(&publisher) != Some(&turn) {
            tracing::debug!(%height, %publisher, "block streamed by another than the round's proposer");
            return Ok(None);
        }
        let header = match self.ledger.header_of(&bytes) {
            Ok(header) => header,
            Err(reject) => {
                // Not kept: these bytes are no block for anybody.
                tracing::warn!(%height, round = round.as_i64(), %id, %reject, "proposal is no block");
                self.keeper.offend(publisher, Offence::Malformed);
                return Ok(None);
            }
        };
        let proposer = Address(header.proposer.0);
        let locked = pol_round.is_defined() && pol_round < round;
        let known = self.proposals.block(height, &id)?.is_some_and(|block| block == bytes);
        // What is wrong with an announcement says nothing about the block: an honest one may announce
        // the same bytes later. Nothing is stored, so that no faulty member can spoil a good block.
        let announced_wrongly = header.block_id().0 != id.0 || (!known && !locked && proposer != turn);
        if announced_wrongly || (pol_round.is_defined() && !locked) {
            tracing::warn!(%height, round = round.as_i64(), %id, %proposer, "block announced wrongly");
            return Ok(None);
        }
        let of_round = self.proposals.of_round(height, round)?;
        match of_round.iter().find(|proposed| proposed.value.id == id) {
            Some(again) if known => return Ok(Some(again.clone())),
            None if of_round.len() >= BLOCKS_OF_A_ROUND => {
                tracing::warn!(%height, round = round.as_i64(), %id, "too many blocks proposed for one round");
                self.keeper.offend(publisher, Offence::Flood);
                return Ok(None);
            }
            _ => {}
        }
        match self.proposals.verdict(height, &bytes)? {
            Some(Verdict::Refused(_)) => return Ok(None),
            Some(Verdict::Untimely) if !locked => return Ok(None),
            Some(Verdict::Valid | Verdict::Untimely) | None => {}
        }
        if !known {
            if self.refused_of(&publisher, height) >= REFUSED_OF_A_HEIGHT {
                tracing::warn!(%height, %publisher, "no more blocks of this publisher are judged at this height");
                self.keeper.offend(publisher, Offence::Flood);
                return Ok(None);
            }
            if proposer == turn {
                let offset = header.time_ms.cast_signed().saturating_sub(received_ms.cast_signed());
                self.health.saw_clock(proposer.0, offset);
            }
            // The proof-of-lock is the announcer's claim. A quorum that really locked found the time near its
            // clocks, so even then a time far ahead is refused; one far behind is bounded by the parent's.
            let far_ahead = header.time_ms > received_ms.saturating_add(2 * TIMELY_MS);
            let verdict = if far_ahead || (!locked && header.time_ms.abs_diff(received_ms) > TIMELY_MS) {
                Some(Verdict::Untimely)
            } else {
                self.ledger.check(&bytes)?.err().map(|reject| Verdict::Refused(reject.to_string()))
            };
            if let Some(verdict) = verdict {
                tracing::warn!(%height, round = round.as_i64(), %id, ?verdict, "proposal not accepted");
                self.proposals.refuse(height, &bytes, &verdict)?;
                self.refused.insert(publisher, (height, self.refused_of(&publisher, height) + 1));
                return Ok(None);
            }
        }
        let proposed = ProposedValue {
            height,
            round,
            valid_round: pol_round,
            proposer,
            value: Value { id },
            validity: Validity::Valid,
        };
        self.proposals.save(&proposed, &bytes)?;
        // Crash: the verdict stands; the engine hears of the block when the round starts again.
        failpoint::reached("proposal.saved");
        Ok(Some(proposed))
    }

    fn refused_of(&self, publisher: &PeerId, height: Height) -> u32 {
        self.refused.get(publisher).filter(|(at, _)| *at == height).map_or(0, |(_, count)| *count)
    }

    /// A block that a peer says was decided; the engine has checked the certificate and will compare
    /// the block id with it.
    pub(super) fn on_synced(
        &mut self, height: Height, round: Round, bytes: &Bytes,
    ) -> Result<SyncedValueOutcome<Ctx>, DriverError> {
        if height.0 > self.tip().0 + 1 {
            return Ok(SyncedValueOutcome::LocalTransientError);
        }
        let Ok(header) = self.ledger.header_of(bytes) else {
            return Ok(SyncedValueOutcome::PeerFault);
        };
        let id = BlockId(header.block_id().0);
        let proposed = ProposedValue {
            height,
            round,
            valid_round: Round::Nil,
            proposer: Address(header.proposer.0),
            value: Value { id },
            validity: Validity::Valid,
        };
        if height <= self.tip() {
            let ours = self.ledger.block(height.0)?;
            return Ok(match ours {
                Some((block, _)) if block == bytes[..] => SyncedValueOutcome::Verdict(proposed),
                _ => SyncedValueOutcome::PeerFault,
            });
        }
        let known = self.proposals.block(height, &id)?.is_some_and(|block| block == bytes[..]);
        if !known && let Err(reject) = self.ledger.check(bytes)? {
            // Either the peer changed the body under a genuine header, or this node's state is
            // not the others'. Never an invalid value to the engine: it would block on it.
            tracing::error!(%height, %id, %reject, "synced block does not execute to its header");
            return Ok(SyncedValueOutcome::PeerFault);
        }
        self.proposals.save(&proposed, bytes)?;
        // A block that a certificate names and that executes: whoever claimed this height was right.
        self.last_synced = Some(Instant::now());
        self.synced = Some(height);
        Ok(SyncedValueOutcome::Verdict(proposed))
    }

    /// Committed blocks with their certificates, for a peer that syncs; few at a time.
    pub(super) fn decided(&self, from: u64, to: u64) -> Result<Vec<RawDecidedValue<Ctx>>, DriverError> {
        let mut values = Vec::new();
        let mut size = 0;
        for height in (from..=to.min(self.tip().0)).take(MAX_SYNC_BLOCKS) {
            let Some((block, certificate)) = self.ledger.block(height)? else {
                break;
            };
            size += block.len() + 128 * certificate.signatures.len();
            if size > MAX_SYNC_BYTES && !values.is_empty() {
                break;
            }
            let certificate = without_extensions(from_evidence(&certificate));
            values.push(RawDecidedValue::new(block.into(), certificate));
        }
        Ok(values)
    }
}
