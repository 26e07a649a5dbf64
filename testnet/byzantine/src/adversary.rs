//! One misbehaving validator: what it proposes, and what becomes of everything that its engine says.
//! Each misdeed is logged as one, so that a test sees that there was something to withstand.

use std::collections::HashMap;
use std::path::Path;
use std::process::ExitCode;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use async_trait::async_trait;
use malachitebft_app_channel::NetworkIdentity;
use malachitebft_app_channel::app::config::{ConsensusConfig, ValueSyncConfig};
use malachitebft_app_channel::app::metrics::SharedRegistry;
use malachitebft_app_channel::app::types::SignedConsensusMsg;
use malachitebft_app_channel::spawn::spawn_network_actor;
use malachitebft_core_consensus::LivenessMsg;
use malachitebft_core_types::NilOrVal;
use malachitebft_engine::network::{NetworkMsg, Status};
use qz_chain::Block;
use qz_evidence::{CodecError, Hash32, SubjectId, decode_strict};
use qz_genesis::Home;
use qz_node::seam::{
    Address, Announcement, BlockId, Built, Conduct, Ctx, Height, Ledger, LedgerError, Network, Proposal, Value, Vote,
    Waiting, disassemble,
};

use crate::codec::ForgingCodec;
use crate::hand::{Hand, random};
use crate::misconduct::{Arguments, Command, Misconduct};
use crate::{blocks, flood, gossip, proxy, sync};

/// How far ahead a liar claims to be.
pub(crate) const FALSE_LEAD: u64 = 1_000;
/// How far ahead of the clock blocks of the future are.
const HOUR_MS: u64 = 3_600_000;

/// A validator with a misconduct.
pub(crate) struct Adversary {
    misconduct: Misconduct,
    victim: Option<String>,
    pub hand: Hand,
    /// Second blocks of own rounds, by the id of the first.
    twins: Mutex<HashMap<BlockId, Built>>,
    /// Last height that the engine spoke of.
    pub height: AtomicU64,
    turn: AtomicUsize,
    streams: AtomicU64,
    itself: Weak<Self>,
}

/// Runs the node of a folder with a misconduct.
pub(crate) fn run(arguments: Arguments) -> anyhow::Result<ExitCode> {
    let Command::Run { home, misconduct, victim } = arguments.command;
    let adversary = Adversary::new(&home, misconduct, victim)?;
    let gossiper = match misconduct {
        Misconduct::FloodSubmissions | Misconduct::FalseTip => Some(gossip::start(&home, misconduct)?),
        _ => None,
    };
    let ending = qz_node::seam::run(&home, adversary);
    drop(gossiper);
    ending
}

impl Adversary {
    fn new(path: &Path, misconduct: Misconduct, victim: Option<String>) -> anyhow::Result<Arc<Self>> {
        let home = Home::open(path)?;
        let hand = Hand::of(&home, &home.genesis()?)?;
        Ok(Arc::new_cyclic(|itself| Self {
            misconduct,
            victim,
            hand,
            twins: Mutex::default(),
            height: AtomicU64::new(0),
            turn: AtomicUsize::new(0),
            streams: AtomicU64::new(1 << 63),
            itself: itself.clone(),
        }))
    }

    /// The next of several ways.
    fn next_of<'a>(&self, ways: &[&'a str]) -> &'a str {
        ways[self.turn.fetch_add(1, Ordering::Relaxed) % ways.len()]
    }

    fn twins(&self) -> MutexGuard<'_, HashMap<BlockId, Built>> {
        self.twins.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What is really said when the engine wants to say something.
    pub(crate) fn outgoing(&self, message: NetworkMsg<Ctx>) -> Vec<NetworkMsg<Ctx>> {
        if let NetworkMsg::PublishConsensusMsg(said) = &message {
            self.height.fetch_max(said.height().0, Ordering::Relaxed);
        }
        match self.misconduct {
            Misconduct::Equivocate => self.equivocate(message),
            Misconduct::DoubleVote => self.vote_twice(message),
            Misconduct::Withhold => self.withhold(message),
            Misconduct::Mute => match message {
                NetworkMsg::PublishConsensusMsg(_)
                | NetworkMsg::PublishLivenessMsg(_)
                | NetworkMsg::PublishProposalPart(_) => {
                    self.misdeed("says nothing");
                    Vec::new()
                }
                other => vec![other],
            },
            Misconduct::WrongSync => match message {
                NetworkMsg::OutgoingResponse(request, genuine) => {
                    let way = self.next_of(&sync::WAYS);
                    self.misdeed(way);
                    vec![NetworkMsg::OutgoingResponse(request, sync::wrong(genuine, way))]
                }
                other => vec![other],
            },
            Misconduct::FalseTip => match message {
                NetworkMsg::BroadcastStatus(status) => {
                    self.misdeed("claims a higher chain");
                    let tip = Height(status.tip_height.0 + FALSE_LEAD);
                    vec![NetworkMsg::BroadcastStatus(Status::new(tip, status.history_min_height))]
                }
                other => vec![other],
            },
            _ => vec![message],
        }
    }

    /// A proposal goes out with its twin, and a vote for one of them with a vote for the other.
    fn equivocate(&self, message: NetworkMsg<Ctx>) -> Vec<NetworkMsg<Ctx>> {
        match message {
            NetworkMsg::PublishConsensusMsg(SignedConsensusMsg::Proposal(first)) => {
                let Some(second) = self.twin_of(first.value.id) else {
                    return vec![NetworkMsg::PublishConsensusMsg(SignedConsensusMsg::Proposal(first))];
                };
                self.misdeed("proposes two blocks");
                let id = BlockId(second.id.0);
                let proposal = Proposal { value: Value { id }, ..first.message.clone() };
                let announcement = Announcement {
                    height: first.height,
                    round: first.round,
                    pol_round: first.pol_round,
                    proposer: first.address,
                    id,
                };
                let stream = self.streams.fetch_add(1, Ordering::Relaxed);
                let parts = disassemble(&announcement, &second.bytes, stream);
                // The second comes first, so that it is not only the late one that is dropped.
                let said = [self.hand.proposal(proposal), SignedConsensusMsg::Proposal(first)];
                let parts = parts.into_iter().map(NetworkMsg::PublishProposalPart);
                parts.chain(said.into_iter().map(NetworkMsg::PublishConsensusMsg)).collect()
            }
            NetworkMsg::PublishConsensusMsg(SignedConsensusMsg::Vote(vote)) => {
                let twin = match vote.value {
                    NilOrVal::Val(id) => self.twin_of(id).map(|twin| BlockId(twin.id.0)),
                    NilOrVal::Nil => None,
                };
                let second = twin.map(|twin| self.hand.other_vote(&vote, twin));
                let said = [Some(SignedConsensusMsg::Vote(vote)), second];
                said.into_iter().flatten().map(NetworkMsg::PublishConsensusMsg).collect()
            }
            other => vec![other],
        }
    }

    fn twin_of(&self, id: BlockId) -> Option<Built> {
        let twins = self.twins();
        let twin = twins.get(&id)?;
        Some(Built { bytes: twin.bytes.clone(), id: twin.id, refused: Vec::new() })
    }

    fn vote_twice(&self, message: NetworkMsg<Ctx>) -> Vec<NetworkMsg<Ctx>> {
        let conflicting = |vote: &Vote| {
            self.misdeed("votes twice");
            // For a block: nil as well. For nil: a block that nobody has seen.
            let other = match vote.value {
                NilOrVal::Val(id) => id,
                NilOrVal::Nil => BlockId(random()),
            };
            self.hand.other_vote(vote, other)
        };
        match message {
            NetworkMsg::PublishConsensusMsg(SignedConsensusMsg::Vote(vote)) => {
                let mut said = [conflicting(&vote), SignedConsensusMsg::Vote(vote)];
                if self.turn.fetch_add(1, Ordering::Relaxed).is_multiple_of(2) {
                    said.reverse();
                }
                said.into_iter().map(NetworkMsg::PublishConsensusMsg).collect()
            }
            NetworkMsg::PublishLivenessMsg(LivenessMsg::Vote(vote)) => {
                let mut said = vec![NetworkMsg::PublishLivenessMsg(LivenessMsg::Vote(vote.clone()))];
                if let SignedConsensusMsg::Vote(other) = conflicting(&vote) {
                    said.push(NetworkMsg::PublishLivenessMsg(LivenessMsg::Vote(other)));
                }
                said
            }
            other => vec![other],
        }
    }

    /// Nothing of a proposal, the announcement without the block, or the block without its end.
    fn withhold(&self, message: NetworkMsg<Ctx>) -> Vec<NetworkMsg<Ctx>> {
        let way = self.height.load(Ordering::Relaxed) % 3;
        match message {
            NetworkMsg::PublishConsensusMsg(SignedConsensusMsg::Proposal(_)) if way == 0 => {
                self.misdeed("keeps a proposal");
                Vec::new()
            }
            NetworkMsg::PublishProposalPart(part) if way != 2 || part.content.is_fin() => {
                self.misdeed("keeps a part of a block");
                Vec::new()
            }
            other => vec![other],
        }
    }

    fn misdeed(&self, what: &str) {
        misdeed(self.misconduct, what);
    }
}

/// Writes a misdeed into the log.
pub(crate) fn misdeed(misconduct: Misconduct, what: &str) {
    tracing::warn!(?misconduct, what, "misdeed");
}

#[async_trait]
impl Conduct for Adversary {
    fn propose(
        &self, ledger: &Ledger, waiting: &[Waiting], now_ms: u64, proposer: Hash32,
    ) -> Result<Built, LedgerError> {
        let good = ledger.propose(waiting, now_ms, proposer)?;
        let parent = ledger.head();
        let (what, bad) = match self.misconduct {
            Misconduct::Equivocate => {
                let twin = ledger.propose(&[], now_ms.max(parent.header.time_ms) + 2, proposer)?;
                self.twins().insert(BlockId(good.id.0), twin);
                return Ok(good);
            }
            Misconduct::Censor => {
                let victim = self.victim.as_deref();
                let relay = |waiting: &Waiting| waiting.parsed.submission().relay.to_string();
                let others: Vec<_> =
                    waiting.iter().filter(|waiting| Some(relay(waiting).as_str()) != victim).cloned().collect();
                if others.len() < waiting.len() {
                    self.misdeed("leaves submissions out");
                }
                return ledger.propose(&others, now_ms, proposer);
            }
            Misconduct::InvalidBlock => {
                let way = self.next_of(&blocks::INVALID);
                (way, blocks::invalid(&good, way))
            }
            Misconduct::WrongRoot => {
                let field = self.next_of(&blocks::ROOTS);
                (field, blocks::wrong_root(&good, field))
            }
            Misconduct::Refused => self.refused_submission(ledger, &good)?,
            Misconduct::Future => ("an hour ahead", blocks::at_time(&good, now_ms + HOUR_MS)),
            Misconduct::Past => ("not after its parent", blocks::at_time(&good, parent.header.time_ms)),
            _ => return Ok(good),
        };
        self.misdeed(what);
        // What was built here decodes; should it not, there is nothing to spoil.
        Ok(bad.unwrap_or(good))
    }

    async fn network(
        &self, identity: NetworkIdentity, consensus: &ConsensusConfig, sync: &ValueSyncConfig,
    ) -> eyre::Result<Network> {
        let registry = SharedRegistry::global().with_moniker(&identity.moniker);
        let (real, _) = spawn_network_actor(identity, consensus, sync, &registry, ForgingCodec).await?;
        let adversary = self.itself.upgrade().ok_or_else(|| eyre::eyre!("the adversary is gone"))?;
        if self.misconduct == Misconduct::FloodConsensus {
            tokio::spawn(flood::run(real.clone(), adversary.clone()));
        }
        proxy::interpose(real, adversary).await
    }
}

impl Adversary {
    /// A block with a submission that the rules refuse: in turn one about a subject that does not exist,
    /// one whose time has passed, and one that is on the ledger already.
    fn refused_submission(
        &self, ledger: &Ledger, good: &Built,
    ) -> Result<(&'static str, Result<Built, CodecError>), LedgerError> {
        let head = ledger.head().height;
        let way = self.next_of(&["an unknown subject", "an expired one", "one that is recorded"]);
        let submission = match way {
            "an unknown subject" => self.hand.deposit(random(), head + 50, Some(SubjectId(Hash32(random())))),
            "an expired one" => self.hand.deposit(random(), head, None),
            _ => match self.recorded(ledger, head)? {
                Some(recorded) => recorded,
                None => self.hand.deposit(random(), head, None),
            },
        };
        Ok((way, blocks::with_submission(good, submission)))
    }

    /// The last submission that was recorded.
    fn recorded(&self, ledger: &Ledger, head: u64) -> Result<Option<Vec<u8>>, LedgerError> {
        for height in (1..=head).rev() {
            let Some((bytes, _)) = ledger.block(height)? else { continue };
            let block = decode_strict::<Block>(&bytes).ok();
            if let Some(last) = block.and_then(|block| block.submissions.into_iter().next_back()) {
                return Ok(Some(last.0));
            }
        }
        Ok(None)
    }

    /// Where its votes come from.
    pub(crate) fn address(&self) -> Address {
        self.hand.address
    }
}
