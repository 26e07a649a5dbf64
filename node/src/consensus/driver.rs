//! Answers the engine: builds, checks, stores and commits blocks when it asks, and decides when the
//! next height may start.
//!
//! The order of effects is the point of this file. Whatever the engine is told was made durable
//! first; a verdict is given once; and a height is only held back while this node is at the head with
//! nothing to do.

mod blocks;
mod hold;

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use malachitebft_app_channel::app::types::{LocallyProposedValue, PeerId, ProposedValue};
use malachitebft_app_channel::{AppMsg, Channels, NetworkMsg};
use malachitebft_core_types::{CommitCertificate, HeightParams, LinearTimeouts, Round, Validity};
use qz_chain::governance::UnsupportedProtocol;
use qz_evidence::Hash32;
use qz_store::failpoint;
use tokio::time::Instant;

use self::hold::{Held, Release, signed_above};
use super::assembly::{Announcement, Assembler, disassemble};
use super::certificate::to_evidence;
use super::conduct::Conduct;
use super::context::{Address, BlockId, Ctx, Height, ValidatorSet, Value};
use super::engine::await_peers;
use super::equivocation;
use super::future::FutureBlocks;
use super::gate::Gatekeeper;
use super::proposals::Proposals;
use crate::clock::now_ms;
use crate::credit::Credit;
use crate::health::Health;
use crate::ledger::{Ledger, LedgerError};
use crate::members::{Members, OwnNode, Standing, engine_peer};
use crate::mempool::Mempool;
use crate::mempool::tips::Tips;
use crate::peers::PeerStats;

/// A node that seems to be removed waits so long for word of a later height: it may only be reading old
/// blocks, of a time before it was admitted again.
const REMOVED_GRACE: Duration = Duration::from_secs(3);

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
    /// Governance has decided on rules that this program does not have.
    #[error("需要安装新版本的程序 · a newer program is needed")]
    UnsupportedProtocol(#[from] UnsupportedProtocol),
}

/// Why [`Driver::run`] returned without an error.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Stopped {
    /// The store has passed the height up to which this node only observes.
    MaySign,
    /// The engine's log leads to a block that the ledger has lost: it must not be replayed again.
    BlockLost,
    /// Governance has removed this organisation's node, and nobody is further.
    Removed,
}

/// Everything the driver works on.
pub(crate) struct Driver {
    ledger: Arc<Ledger>,
    mempool: Arc<Mempool>,
    tips: Arc<Tips>,
    pace: Pace,
    chain_id: Hash32,
    me: Address,
    conduct: Arc<dyn Conduct>,
    own: OwnNode,
    members: Arc<Members>,
    /// Since when this node is no member's any more, as far as it knows.
    removed_since: Option<Instant>,
    keeper: Arc<Gatekeeper>,
    stats: Arc<PeerStats>,
    /// Which network peer each validator of the next height streams from.
    publishers: HashMap<PeerId, Address>,
    /// Set on a node that must not sign up to this height.
    observe_through: Option<u64>,
    health: Health,
    proposals: Proposals,
    assembler: Assembler,
    future: FutureBlocks,
    /// Blocks of a publisher that were refused at a height.
    refused: HashMap<PeerId, (Height, u32)>,
    /// Height and round that the engine works on.
    height: Height,
    round: Round,
    held: Option<Held>,
    last_synced: Option<Instant>,
    /// The last height whose block came by sync.
    synced: Option<Height>,
    /// Validators that have signed something above the tip, and those whose doing so is not believed.
    eager: HashSet<Address>,
    eager_credit: Credit<Address>,
    /// The height that started on the word of peers that may all be faulty.
    lone_word: Option<Height>,
    streams: u64,
}

/// A proposal of this node with its block.
type OwnProposal = (ProposedValue<Ctx>, Vec<u8>);

/// What a driver is made of.
pub(crate) struct Parts {
    pub ledger: Arc<Ledger>,
    pub mempool: Arc<Mempool>,
    pub tips: Arc<Tips>,
    pub pace: Pace,
    pub chain_id: Hash32,
    pub me: Address,
    pub conduct: Arc<dyn Conduct>,
    pub own: OwnNode,
    pub members: Arc<Members>,
    pub keeper: Arc<Gatekeeper>,
    pub stats: Arc<PeerStats>,
    pub observe_through: Option<u64>,
    pub health: Health,
}

impl Driver {
    /// A driver at the ledger's head.
    pub(crate) fn new(parts: Parts) -> Self {
        let Parts {
            ledger,
            mempool,
            tips,
            pace,
            chain_id,
            me,
            conduct,
            own,
            members,
            keeper,
            stats,
            observe_through,
            health,
        } = parts;
        let max_block_bytes = ledger.max_block_bytes();
        Self {
            proposals: Proposals::new(ledger.clone()),
            assembler: Assembler::new(max_block_bytes),
            future: FutureBlocks::default(),
            refused: HashMap::new(),
            height: Height(ledger.head().height),
            round: Round::Nil,
            held: None,
            last_synced: None,
            synced: None,
            eager: HashSet::new(),
            eager_credit: Credit::default(),
            lone_word: None,
            // Restarts must not reuse a stream id of the same height and round.
            streams: now_ms(),
            ledger,
            mempool,
            tips,
            pace,
            chain_id,
            me,
            conduct,
            publishers: publishers(&members),
            removed_since: (members.now().standing(&own) == Standing::Removed).then(Instant::now),
            own,
            members,
            keeper,
            stats,
            observe_through,
            health,
        }
    }

    /// Serves the engine until it stops, something fails, or an observer may become a signer.
    pub(crate) async fn run(mut self, channels: &mut Channels<Ctx>) -> Result<Stopped, DriverError> {
        let mut events = channels.events.subscribe();
        loop {
            let (release, why) = self.release_at();
            let (tip, chain_id) = (self.tip(), self.chain_id);
            let validators = ValidatorSet::of(self.members.now().validators());
            tokio::select! {
                message = channels.consensus.recv() => {
                    let message = message.ok_or(DriverError::EngineStopped)?;
                    self.answer(message, channels).await?;
                }
                above = signed_above(&mut events, tip, &chain_id, &validators), if self.held.is_some() => {
                    self.heard_above(above?);
                }
                () = self.mempool.has_work(), if self.held.is_some() => self.start_next(Release::Good)?,
                () = self.tips.changed(), if self.held.is_some() => {}
                () = tokio::time::sleep_until(release), if self.held.is_some() => self.start_next(why)?,
                () = tokio::time::sleep(REMOVED_GRACE), if self.removed_since.is_some() => {}
            }
            if self.is_removed() {
                return Ok(Stopped::Removed);
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
    fn parameters(&self) -> Result<HeightParams<Ctx>, DriverError> {
        if let Some(upgrade) = self.ledger.protocol()?? {
            tracing::warn!(
                version = upgrade.version,
                from = upgrade.height.0,
                "升级即将生效，请先安装新版本 · an upgrade is decided whose rules this program lacks: install the new version"
            );
        }
        Ok(HeightParams::new(self.validators()?, self.pace.timeouts, None))
    }

    async fn answer(&mut self, message: AppMsg<Ctx>, channels: &Channels<Ctx>) -> Result<(), DriverError> {
        match message {
            AppMsg::ConsensusReady { reply } => {
                let start = Height(self.tip().0 + 1);
                // The very first block waits for everybody: a validator that comes when others are
                // ahead must take itself for one that lost its past.
                let validators = self.members.now().validators().validators().len();
                let others = validators.saturating_sub(1);
                let quorum = (2 * validators / 3).min(others);
                await_peers(channels, if start == Height(1) { others } else { quorum }).await;
                tracing::info!(height = start.0, "consensus starts");
                let _ = reply.send((start, self.parameters()?));
            }
            AppMsg::StartedRound { height, round, role, reply_value, .. } => {
                if round != Round::ZERO {
                    tracing::info!(%height, round = round.as_i64(), ?role, "round started");
                }
                crate::metrics::get().started_round(round.as_i64());
                (self.height, self.round) = (height, round);
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
            AppMsg::Finalized { certificate, evidence, reply, .. } => {
                equivocation::report(certificate.height, &evidence);
                blocking(|| self.commit(&certificate))?;
                self.held = Some(Held::new(reply));
            }
            AppMsg::GetDecidedValues { range, reply } => {
                let values = blocking(|| self.decided(range.start().0, range.end().0))?;
                let _ = reply.send(values);
            }
            AppMsg::GetHistoryMinHeight { reply } => {
                let _ = reply.send(Height(self.tip().0.min(1)));
            }
            AppMsg::ProcessSyncedValue { height, round, value_bytes, reply, .. } => {
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
        for (block, received_ms) in self.future.take(height) {
            early.extend(self.judge(block, received_ms)?);
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
        // Crash: nobody has seen the block; the same one is proposed again for this round.
        failpoint::reached("proposal.own_saved");
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

    /// Writes a decided block; repeating it is harmless. Steps, and what a crash leaves:
    /// 1. The engine has decided. Crash: its log or the peers decide the same again.
    /// 2. The ledger commits ([`Ledger::commit`], [`qz_store::Store::commit`]). Crash: the old head or the new.
    /// 3. The mempool and the peers hear of it. Crash: the mempool is empty anyway, peers hear at the start.
    /// 4. The height's proposals are forgotten. Crash: they stay until the next height is forgotten.
    /// 5. The engine hears that it is done. Crash: it starts at the height after the ledger's head.
    fn commit(&mut self, certificate: &CommitCertificate<Ctx>) -> Result<(), DriverError> {
        let CommitCertificate { height, value_id, .. } = certificate;
        if *height <= self.tip() {
            return Ok(());
        }
        failpoint::reached("commit.decided");
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
        self.settle_words(*height, records);
        if outcome.governance {
            self.governance_changed(*height)?;
        }
        failpoint::reached("commit.announced");
        self.proposals.forget_through(*height)?;
        failpoint::reached("commit.forgotten");
        Ok(())
    }
}

/// Runs store and execution work without stalling the runtime's other tasks.
fn blocking<T>(work: impl FnOnce() -> T) -> T {
    tokio::task::block_in_place(work)
}

impl Driver {
    /// Members, validators or parameters are others from the next height on.
    fn governance_changed(&mut self, height: Height) -> Result<(), LedgerError> {
        let before = self.members.now().standing(&self.own);
        self.members.set(self.ledger.membership()?);
        self.publishers = publishers(&self.members);
        let members = self.members.now();
        let standing = members.standing(&self.own);
        let validators = members.validators().validators().len();
        tracing::info!(%height, validators, members = members.organisations().len(), "the consortium has changed");
        if before != standing {
            tracing::warn!(%height, before = before.as_str(), now = standing.as_str(),
                "本节点的身份已变更 · this node's standing has changed");
        }
        self.removed_since = (standing == Standing::Removed).then(Instant::now);
        Ok(())
    }

    fn is_removed(&self) -> bool {
        let waited = self.removed_since.is_some_and(|since| since.elapsed() >= REMOVED_GRACE);
        waited && self.tips.ahead_of(self.tip().0) == 0
    }
}

/// Which peer each validator of the next height streams from.
fn publishers(members: &Members) -> HashMap<PeerId, Address> {
    let members = members.now();
    let validators = members.nodes().filter(|node| members.is_validator(&node.card.consensus_key));
    let named = validators.filter_map(|node| {
        let address = qz_evidence::validators::address(&node.card.consensus_key);
        Some((engine_peer(&node.id)?, Address(address.0)))
    });
    named.collect()
}

#[cfg(test)]
mod tests;
