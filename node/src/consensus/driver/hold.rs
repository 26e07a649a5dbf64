//! When the next height may start. The reply that starts it is kept back while this node is at the head
//! with nothing to do, and given at once when there is work or when others are further.
//!
//! One peer's word alone starts a height only after a moment, and a peer whose word led to an empty
//! block is not believed alone for a while: otherwise a single hostile member could make the chain spin.

use std::time::Duration;

use malachitebft_app_channel::Reply;
use malachitebft_app_channel::app::types::SignedConsensusMsg;
use malachitebft_engine::host::Next;
use malachitebft_engine::util::events::{Event, RxEvent};
use qz_evidence::Hash32;
use tokio::sync::broadcast::error::RecvError;
use tokio::time::Instant;

use super::super::context::{Address, Ctx, Height, PublicKey, Signature, ValidatorSet};
use super::super::verifier::is_valid;
use super::{Driver, DriverError};
use crate::peers::{Network, Offence};

/// How long what a single peer says may hold the next height back.
const LONE_WORD_GRACE: Duration = Duration::from_millis(250);
/// A synced value this recently means that a peer's higher tip is real.
const SYNC_RECENT: Duration = Duration::from_secs(10);

/// The reply that starts the next height.
pub(super) struct Held {
    reply: Reply<Next<Ctx>>,
    since: Instant,
}

impl Held {
    pub(super) fn new(reply: Reply<Next<Ctx>>) -> Self {
        Self { reply, since: Instant::now() }
    }
}

/// Why a held height starts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Release {
    /// There is work, others are known to be further, or it is time for the next block.
    Good,
    /// Peers that may all be faulty say that there is news.
    LoneWord,
}

impl Driver {
    /// When the held height starts at the latest, and why then.
    pub(super) fn release_at(&self) -> (Instant, Release) {
        let Some(held) = &self.held else {
            return (Instant::now() + self.pace.heartbeat, Release::Good);
        };
        let heartbeat = held.since + self.pace.heartbeat;
        let faulty = self.members.now().faulty();
        let ahead = self.tips.ahead_of(self.tip().0);
        let syncing = self.last_synced.is_some_and(|at| at.elapsed() < SYNC_RECENT);
        if ahead > faulty || self.eager.len() > faulty || (ahead > 0 && syncing) {
            (held.since, Release::Good)
        } else if ahead + self.eager.len() > 0 && LONE_WORD_GRACE < self.pace.heartbeat {
            (held.since + LONE_WORD_GRACE, Release::LoneWord)
        } else {
            (heartbeat, Release::Good)
        }
    }

    /// Starts the held height, if one is held.
    pub(super) fn start_next(&mut self, why: Release) -> Result<(), DriverError> {
        if let Some(Held { reply, since }) = self.held.take() {
            let next = Height(self.tip().0 + 1);
            // Close to the heartbeat somebody's clock is simply the first.
            let early = since.elapsed() < self.pace.heartbeat / 2;
            self.lone_word = (why == Release::LoneWord && early).then_some(next);
            let _ = reply.send(Next::Start(next, self.parameters()?));
        }
        Ok(())
    }

    /// A validator has signed something above the tip.
    pub(super) fn heard_above(&mut self, validator: Address) {
        if self.eager_credit.has(&validator, std::time::Instant::now()) {
            self.eager.insert(validator);
        }
    }

    /// A height was committed: judges those whose word had started it.
    pub(super) fn settle_words(&mut self, height: Height, records: usize) {
        let eager = std::mem::take(&mut self.eager);
        if self.synced == Some(height) {
            self.tips.proved(height.0);
        } else if self.lone_word == Some(height) && records == 0 {
            let mut liars = self.tips.disproved(height.0 - 1);
            for validator in eager {
                self.eager_credit.lose(validator, std::time::Instant::now());
                liars += 1;
            }
            tracing::info!(%height, liars, "a block was hurried for nothing");
            for _ in 0..liars {
                self.stats.count(Network::Submissions, Offence::FalseTip);
            }
        } else if records > 0 {
            for validator in eager {
                self.eager_credit.restore(&validator);
            }
        }
        self.lone_word = None;
    }
}

/// Resolves with a validator whose vote or proposal for a height above `tip` arrived and is genuine:
/// it has started the next height.
pub(super) async fn signed_above(
    events: &mut RxEvent<Ctx>, tip: Height, chain_id: &Hash32, validators: &ValidatorSet,
) -> Result<Address, DriverError> {
    loop {
        match events.recv().await {
            Ok(Event::Received(message)) if message.height() > tip => {
                // The engine tells of messages before it has looked at them.
                let (address, bytes, signature) = match &message {
                    SignedConsensusMsg::Vote(vote) => {
                        (vote.message.address, vote.message.sign_bytes(chain_id), &vote.signature)
                    }
                    SignedConsensusMsg::Proposal(proposal) => {
                        (proposal.message.address, proposal.message.sign_bytes(chain_id), &proposal.signature)
                    }
                };
                if is_genuine(validators, &address, &bytes, signature) {
                    return Ok(address);
                }
            }
            Ok(_) | Err(RecvError::Lagged(_)) => {}
            Err(RecvError::Closed) => return Err(DriverError::EngineStopped),
        }
    }
}

fn is_genuine(validators: &ValidatorSet, address: &Address, bytes: &[u8], signature: &Signature) -> bool {
    use malachitebft_core_types::ValidatorSet as _;
    let key = validators.get_by_address(address).map(|validator| PublicKey(validator.key.0));
    key.is_some_and(|key| is_valid(&key, bytes, signature))
}
