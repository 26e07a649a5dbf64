//! Answers the engine: builds, checks, stores and commits blocks when it asks, and decides when the
//! next height may start.
//!
//! The order of effects is the point of this file. Whatever the engine is told was made durable
//! first; a verdict is given once; and a height is only held back while this node is at the head with
//! nothing to do.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use malachitebft_app_channel::app::streaming::{StreamContent, StreamMessage};
use malachitebft_app_channel::app::types::{LocallyProposedValue, PeerId, ProposedValue};
use malachitebft_app_channel::{AppMsg, Channels, NetworkMsg, Reply};
use malachitebft_core_types::{CommitCertificate, HeightParams, LinearTimeouts, Round, Validity};
use malachitebft_engine::host::{Next, SyncedValueOutcome};
use malachitebft_engine::util::events::{Event, RxEvent};
use malachitebft_sync::RawDecidedValue;
use qz_evidence::Hash32;
use tokio::sync::broadcast::error::RecvError;
use tokio::time::Instant;

use super::assembly::{Announcement, Assembler, StreamedBlock, disassemble};
use super::certificate::{from_evidence, to_evidence};
use super::codec::without_extensions;
use super::conduct::Conduct;
use super::context::{Address, BlockId, Ctx, Height, Part, ValidatorSet, Value};
use super::engine::await_peers;
use super::proposals::{Proposals, Verdict};
use crate::clock::now_ms;
use crate::ledger::{Ledger, LedgerError};
use crate::mempool::Mempool;
use crate::mempool::tips::Tips;

/// A proposal's time may differ this much from a validator's clock.
const TIMELY_MS: u64 = 5_000;
/// Most different blocks that are kept for one round; an honest proposer makes one.
const BLOCKS_OF_A_ROUND: usize = 2;
/// How long a single peer's claim of a higher tip may hold the next height back.
const LONE_TIP_GRACE: Duration = Duration::from_millis(250);
/// A synced value this recently means that a peer's higher tip is real.
const SYNC_RECENT: Duration = Duration::from_secs(10);
/// Blocks of future heights that are kept.
const MAX_FUTURE_BLOCKS: usize = 8;
/// Bytes of a sync response, below the engine's limit of 10 MiB.
const MAX_SYNC_BYTES: usize = 8 * 1024 * 1024;

/// How consensus runs; not part of the protocol, so nodes may differ.
#[derive(Clone, Debug)]
pub(crate) struct Pace {
    pub timeouts: LinearTimeouts,
    /// Longest time without a block.
    pub heartbeat: Duration,
}

/// What ends the driver.
#[derive(Debug, thiserror::Error)]
pub(crate) enum DriverError {
    /// The engine is gone.
    #[error("the consensus engine has stopped")]
    EngineStopped,
    /// The store or the rules failed.
    #[error("ledger")]
    Ledger(#[from] LedgerError),
    /// The engine decided on a block that is not here.
    #[error("block {id} was decided at height {height} but is not stored")]
    DecidedUnknown { height: Height, id: BlockId },
}

/// Why [`Driver::run`] returned without an error.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Stopped {
    /// The store has passed the height up to which this node only observes.
    MaySign,
}

/// Everything the driver works on.
pub(crate) struct Driver {
    ledger: Arc<Ledger>,
    mempool: Arc<Mempool>,
    tips: Arc<Tips>,
    pace: Pace,
    me: Address,
    conduct: Arc<dyn Conduct>,
    /// Which network peer each validator streams from.
    publishers: HashMap<PeerId, Address>,
    /// Set on a node that must not sign up to this height.
    observe_through: Option<u64>,
    proposals: Proposals,
    assembler: Assembler,
    future: VecDeque<(StreamedBlock, u64)>,
    /// Height that the engine works on.
    height: Height,
    held: Option<Held>,
    last_synced: Option<Instant>,
    streams: u64,
}

/// A proposal of this node with its block.
type OwnProposal = (ProposedValue<Ctx>, Vec<u8>);

/// The reply that starts the next height, kept back while there is nothing to do.
struct Held {
    reply: Reply<Next<Ctx>>,
    since: Instant,
}

/// What a driver is made of.
pub(crate) struct Parts {
    pub ledger: Arc<Ledger>,
    pub mempool: Arc<Mempool>,
    pub tips: Arc<Tips>,
    pub pace: Pace,
    pub me: Address,
    pub conduct: Arc<dyn Conduct>,
    pub publishers: HashMap<PeerId, Address>,
    pub observe_through: Option<u64>,
}

impl Driver {
    /// A driver at the ledger's head.
    pub(crate) fn new(parts: Parts) -> Self {
        let Parts { ledger, mempool, tips, pace, me, conduct, publishers, observe_through } = parts;
        let max_block_bytes = ledger.max_block_bytes();
        Self {
            proposals: Proposals::new(ledger.clone()),
            assembler: Assembler::new(max_block_bytes),
            future: VecDeque::new(),
            height: Height(ledger.head().height),
            held: None,
            last_synced: None,
            // Restarts must not reuse a stream id of the same height and round.
            streams: now_ms(),
            ledger,
            mempool,
            tips,
            pace,
            me,
            conduct,
            publishers,
            observe_through,
        }
    }

    /// Serves the engine until it stops, something fails, or an observer may become a signer.
    pub(crate) async fn run(mut self, channels: &mut Channels<Ctx>) -> Result<Stopped, DriverError> {
        let mut events = channels.events.subscribe();
        loop {
            let release = self.release_at();
            tokio::select! {
                message = channels.consensus.recv() => {
                    let message = message.ok_or(DriverError::EngineStopped)?;
                    self.answer(message, channels).await?;
                }
                above = heard_from_above(&mut events, self.tip()), if self.held.is_some() => {
                    above?;
                    self.start_next()?;
                }
                () = self.mempool.has_work(), if self.held.is_some() => self.start_next()?,
                () = self.tips.changed(), if self.held.is_some() => {}
                () = tokio::time::sleep_until(release), if self.held.is_some() => self.start_next()?,
            }
            if self.observe_through.is_some_and(|height| self.tip().0 >= height) {
                return Ok(Stopped::MaySign);
            }
        }
    }

    fn tip(&self) -> Height {
        Height(self.ledger.head().height)
    }

    fn validators(&self) -> Result<ValidatorSet, LedgerError> {
        Ok(ValidatorSet::of(&self.ledger.next_validators()?))
    }

    /// Parameters of the height after the head.
    fn parameters(&self) -> Result<HeightParams<Ctx>, LedgerError> {
        Ok(HeightParams::new(self.validators()?, self.pace.timeouts, None))
    }

    /// When the held height starts at the latest: at once when more peers than can be faulty are
    /// ahead or one that sync has already proved right, soon when one claims to be, else at the
    /// heartbeat.
    fn release_at(&self) -> Instant {
        let Some(held) = &self.held else {
            return Instant::now() + self.pace.heartbeat;
        };
        let tip = self.tip().0;
        let ahead = self.tips.ahead_of(tip);
        let tolerated = self.publishers.len().saturating_sub(1) / 3;
        let syncing = self.last_synced.is_some_and(|at| at.elapsed() < SYNC_RECENT);
        match ahead {
            0 => held.since + self.pace.heartbeat,
            ahead if ahead > tolerated || syncing => held.since,
            _ => held.since + LONE_TIP_GRACE,
        }
    }

    fn start_next(&mut self) -> Result<(), LedgerError> {
        if let Some(Held { reply, .. }) = self.held.take() {
            let next = Height(self.tip().0 + 1);
            let _ = reply.send(Next::Start(next, self.parameters()?));
        }
        Ok(())
    }

    async fn answer(&mut self, message: AppMsg<Ctx>, channels: &Channels<Ctx>) -> Result<(), DriverError> {
        match message {
            AppMsg::ConsensusReady { reply } => {
                let start = Height(self.tip().0 + 1);
                // The very first block waits for everybody: a validator that comes when others are
                // ahead must take itself for one that lost its past.
                let others = self.publishers.len().saturating_sub(1);
                let quorum = (2 * self.publishers.len() / 3).min(others);
                await_peers(channels, if start == Height(1) { others } else { quorum }).await;
                tracing::info!(height = start.0, "consensus starts");
                let _ = reply.send((start, self.parameters()?));
            }
            AppMsg::StartedRound { height, round, role, reply_value, .. } => {
                if round != Round::ZERO {
                    tracing::info!(%height, round = round.as_i64(), ?role, "round started");
                }
                self.height = height;
                let known = blocking(|| self.on_started_round(height, round))?;
                let _ = reply_value.send(known);
            }
            AppMsg::GetValue { height, round, reply, .. } => {
                if let Some((proposed, block)) = blocking(|| self.build(height, round))? {
                    let _ = reply.send(LocallyProposedValue::new(height, round, proposed.value));
                    self.publish(&proposed, &block, channels).await?;
                }
            }
            AppMsg::ReceivedProposalPart { from, published_by, part, reply } => {
                let _ = reply.send(self.on_part(published_by.unwrap_or(from), part)?);
            }
            AppMsg::RestreamProposal { height, round, valid_round, address, value_id } => {
                if let Some(block) = self.proposals.block(height, &value_id)? {
                    let proposed = ProposedValue {
                        height,
                        round,
                        valid_round,
                        proposer: address,
                        value: Value { id: value_id },
                        validity: Validity::Valid,
                    };
                    self.publish(&proposed, &block, channels).await?;
                }
            }
            AppMsg::Decided { certificate, reply, .. } => {
                blocking(|| self.commit(&certificate))?;
                let _ = reply.send(());
            }
            AppMsg::Finalized { certificate, reply, .. } => {
                blocking(|| self.commit(&certificate))?;
                self.held = Some(Held { reply, since: Instant::now() });
            }
            AppMsg::GetDecidedValues { range, reply } => {
                let values = blocking(|| self.decided(range.start().0, range.end().0))?;
                let _ = reply.send(values);
            }
            AppMsg::GetHistoryMinHeight { reply } => {
                let _ = reply.send(Height(self.tip().0.min(1)));
            }
            AppMsg::ProcessSyncedValue { height, round, value_bytes, reply, .. } => {
                self.last_synced = Some(Instant::now());
                let outcome = blocking(|| self.on_synced(height, round, &value_bytes))?;
                let _ = reply.send(outcome);
            }
            AppMsg::ExtendVote { reply, .. } => {
                let _ = reply.send(None);
            }
            AppMsg::VerifyVoteExtensions { extensions, reply, .. } => {
                let refused = extensions.into_iter().map(|(address, ())| {
                    (address, Err(malachitebft_core_consensus::VoteExtensionError::InvalidVoteExtension))
                });
                let _ = reply.send(refused.collect());
            }
        }
        Ok(())
    }

    /// The valid proposals of a round that are known, those that arrived too early included.
    fn on_started_round(&mut self, height: Height, round: Round) -> Result<Vec<ProposedValue<Ctx>>, DriverError> {
        let mut early = Vec::new();
        for (block, received_ms) in std::mem::take(&mut self.future) {
            if block.height == height {
                early.extend(self.judge(block, received_ms)?);
            } else if block.height > height {
                self.future.push_back((block, received_ms));
            }
        }
        let mut known = self.proposals.of_round(height, round)?;
        for proposed in early {
            if !known.contains(&proposed) {
                known.push(proposed);
            }
        }
        Ok(known)
    }

    /// This node's proposal for a round: the one it already made, or a new block of what waits in
    /// the mempool; durable on return.
    fn build(&self, height: Height, round: Round) -> Result<Option<OwnProposal>, DriverError> {
        if height.0 != self.tip().0 + 1 {
            tracing::warn!(%height, tip = %self.tip(), "asked for a value of a height that is not next");
            return Ok(None);
        }
        for proposed in self.proposals.of_round(height, round)? {
            if proposed.proposer == self.me
                && let Some(block) = self.proposals.block(height, &proposed.value.id)?
            {
                return Ok(Some((proposed, block)));
            }
        }
        let waiting = self.mempool.candidates(self.ledger.max_block_bytes());
        let built = self.conduct.propose(&self.ledger, &waiting, now_ms(), Hash32(self.me.0))?;
        // Refused on top of this proposal is not refused for good: the proposal may never be decided. Who
        // waits is told after a commit, by the committed state.
        for (digest, reject) in &built.refused {
            tracing::debug!(%height, %digest, %reject, "left out of the proposal");
        }
        let proposed = ProposedValue {
            height,
            round,
            valid_round: Round::Nil,
            proposer: self.me,
            value: Value { id: BlockId(built.id.0) },
            validity: Validity::Valid,
        };
        self.proposals.save(&proposed, &built.bytes)?;
        Ok(Some((proposed, built.bytes)))
    }

    async fn publish(
        &mut self, proposed: &ProposedValue<Ctx>, block: &[u8], channels: &Channels<Ctx>,
    ) -> Result<(), DriverError> {
        self.streams += 1;
        let announcement = Announcement {
            height: proposed.height,
            round: proposed.round,
            pol_round: proposed.valid_round,
            proposer: proposed.proposer,
            id: proposed.value.id,
        };
        for part in disassemble(&announcement, block, self.streams) {
            channels
                .network
                .send(NetworkMsg::PublishProposalPart(part))
                .await
                .map_err(|_| DriverError::EngineStopped)?;
        }
        Ok(())
    }

    /// A whole block arrived: judge it now, keep it for later, or drop it.
    fn on_streamed(
        &mut self, block: StreamedBlock, received_ms: u64,
    ) -> Result<Option<ProposedValue<Ctx>>, DriverError> {
        let tip = self.tip();
        if block.height <= tip {
            return Ok(None);
        }
        if block.height.0 == tip.0 + 1 && self.height == block.height {
            return self.judge(block, received_ms);
        }
        if self.future.len() == MAX_FUTURE_BLOCKS {
            // The furthest height is the least useful one.
            let furthest = (0..self.future.len()).max_by_key(|i| self.future[*i].0.height);
            if let Some(index) = furthest {
                self.future.remove(index);
            }
        }
        self.future.push_back((block, received_ms));
        Ok(None)
    }

    /// The one verdict on a streamed block of the height in progress, durable on return. `None`: the
    /// engine is to hear nothing of it.
    fn judge(&self, streamed: StreamedBlock, received_ms: u64) -> Result<Option<ProposedValue<Ctx>>, DriverError> {
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
                let verdict = Verdict::Refused(reject.to_string());
                tracing::warn!(%height, round = round.as_i64(), %id, ?verdict, "proposal not accepted");
                self.proposals.refuse(height, &bytes, &verdict)?;
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
                return Ok(None);
            }
            _ => {}
        }
        match self.proposals.verdict(height, &bytes)? {
            Some(Verdict::Refused(_)) => return Ok(None),
            Some(Verdict::Untimely) if !locked => return Ok(None),
            Some(Verdict::Valid | Verdict::Untimely) | None => {}
        }
        let refuse = |verdict: Verdict| -> Result<Option<ProposedValue<Ctx>>, DriverError> {
            tracing::warn!(%height, round = round.as_i64(), %id, ?verdict, "proposal not accepted");
            self.proposals.refuse(height, &bytes, &verdict)?;
            Ok(None)
        };
        if !known {
            // The proof-of-lock is the announcer's claim. A quorum that really locked found the time near its
            // clocks, so even then a time far ahead is refused; one far behind is bounded by the parent's.
            let far_ahead = header.time_ms > received_ms.saturating_add(2 * TIMELY_MS);
            if far_ahead || (!locked && header.time_ms.abs_diff(received_ms) > TIMELY_MS) {
                return refuse(Verdict::Untimely);
            }
            if let Err(reject) = self.ledger.check(&bytes)? {
                return refuse(Verdict::Refused(reject.to_string()));
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
        Ok(Some(proposed))
    }

    /// Collects parts of a validator's proposal. The publisher is the author that the network checked;
    /// authors that are no validator's node are ignored, since anybody can make up a key.
    fn on_part(
        &mut self, publisher: PeerId, part: StreamMessage<Part>,
    ) -> Result<Option<ProposedValue<Ctx>>, DriverError> {
        if !self.publishers.contains_key(&publisher) {
            tracing::debug!(%publisher, "part published by no validator");
            return Ok(None);
        }
        if announced_height(&part).is_some_and(|height| height > self.tip()) {
            self.start_next()?;
        }
        match self.assembler.push(publisher, part) {
            Some(block) => blocking(|| self.on_streamed(block, now_ms())),
            None => Ok(None),
        }
    }

    /// A block that a peer says was decided; the engine has checked the certificate and will compare
    /// the block id with it.
    fn on_synced(&self, height: Height, round: Round, bytes: &Bytes) -> Result<SyncedValueOutcome<Ctx>, DriverError> {
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
        Ok(SyncedValueOutcome::Verdict(proposed))
    }

    /// Writes a decided block; repeating it is harmless.
    fn commit(&mut self, certificate: &CommitCertificate<Ctx>) -> Result<(), DriverError> {
        let CommitCertificate { height, value_id, .. } = certificate;
        if *height <= self.tip() {
            return Ok(());
        }
        let block = self
            .proposals
            .block(*height, value_id)?
            .ok_or(DriverError::DecidedUnknown { height: *height, id: *value_id })?;
        let outcome = self.ledger.commit(&block, &to_evidence(certificate))?;
        let (round, records) = (certificate.round.as_i64(), outcome.bodies.len());
        if records > 0 {
            tracing::info!(%height, round, id = %value_id, records, "block committed");
        } else {
            tracing::debug!(%height, round, id = %value_id, "empty block committed");
        }
        // From here on the block is final on disk; what follows only informs and tidies.
        self.mempool.committed(&outcome);
        self.tips.announce(height.0);
        self.proposals.forget_through(*height)?;
        Ok(())
    }

    fn decided(&self, from: u64, to: u64) -> Result<Vec<RawDecidedValue<Ctx>>, DriverError> {
        let mut values = Vec::new();
        let mut size = 0;
        for height in from..=to.min(self.tip().0) {
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

/// Runs store and execution work without stalling the runtime's other tasks.
fn blocking<T>(work: impl FnOnce() -> T) -> T {
    tokio::task::block_in_place(work)
}

fn announced_height(part: &StreamMessage<Part>) -> Option<Height> {
    match &part.content {
        StreamContent::Data(Part::Init { height, .. }) => Some(*height),
        _ => None,
    }
}

/// Resolves when a vote or proposal above `tip` arrives: others have started the next height.
async fn heard_from_above(events: &mut RxEvent<Ctx>, tip: Height) -> Result<(), DriverError> {
    loop {
        match events.recv().await {
            Ok(Event::Received(message)) if message.height() > tip => return Ok(()),
            Ok(_) | Err(RecvError::Lagged(_)) => {}
            Err(RecvError::Closed) => return Err(DriverError::EngineStopped),
        }
    }
}

#[cfg(test)]
mod tests;
