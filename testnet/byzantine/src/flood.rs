//! A flood on the consensus network: everything that a member's connection can carry, faster than anybody
//! needs it. Bounded in rate and in time, so that a test machine survives it.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use malachitebft_app_channel::app::streaming::{StreamContent, StreamId, StreamMessage};
use malachitebft_core_consensus::LivenessMsg;
use malachitebft_core_types::{NilOrVal, PolkaCertificate, PolkaSignature, Round, VoteType};
use malachitebft_engine::network::{NetworkMsg, NetworkRef, Status};
use malachitebft_sync::{PeerId, Request, ValueRequest};
use qz_node::seam::{Address, BlockId, Ctx, Height, Part, Proposal, Signature, Value, Vote};
use tokio::time::Instant;

use crate::adversary::{Adversary, misdeed};
use crate::codec::GARBAGE;
use crate::hand::random;
use crate::misconduct::Misconduct;

/// How long it goes on at most.
const LIMIT: Duration = Duration::from_secs(120);
/// Pause between bursts.
const PAUSE: Duration = Duration::from_millis(20);
/// Messages of each cheap sort in a burst.
const BURST: u64 = 40;
/// Bytes of one part of a block that never ends.
const PART_BYTES: usize = 256 * 1024;

/// Floods until the network is gone or time is up.
pub(crate) async fn run(network: NetworkRef<Ctx>, adversary: Arc<Adversary>) {
    let end = Instant::now() + LIMIT;
    let mut burst = 0;
    while Instant::now() < end {
        tokio::time::sleep(PAUSE).await;
        let peers = if burst % 25 == 0 { peers(&network).await } else { Vec::new() };
        if burst % 50 == 0 {
            misdeed(Misconduct::FloodConsensus, "floods the consensus network");
        }
        for message in messages(&adversary, burst) {
            if network.cast(message).is_err() {
                return;
            }
        }
        for peer in peers {
            let range = Height(1)..=Height(u64::MAX - 1);
            let request = Request::ValueRequest(ValueRequest::new(range));
            // Only the requests matter, not what they are called or answered.
            let _ = network.call(|id| NetworkMsg::OutgoingRequest(peer, request, id), Some(PAUSE)).await;
        }
        burst += 1;
    }
}

async fn peers(network: &NetworkRef<Ctx>) -> Vec<PeerId> {
    let dump = network.call(NetworkMsg::DumpState, Some(Duration::from_secs(1))).await;
    let Ok(ractor::rpc::CallResult::Success(Some(dump))) = dump else { return Vec::new() };
    dump.peers.keys().filter_map(|peer| PeerId::from_bytes(&peer.to_bytes()).ok()).collect()
}

fn messages(adversary: &Adversary, burst: u64) -> Vec<NetworkMsg<Ctx>> {
    let tip = adversary.height.load(Ordering::Relaxed);
    let me = adversary.address();
    let mut all = Vec::new();
    for number in 0..BURST {
        let count = burst * BURST + number;
        // Well-signed votes of this height, the next one and far ones, each for something else.
        let vote = Vote {
            kind: if count.is_multiple_of(2) { VoteType::Prevote } else { VoteType::Precommit },
            height: Height(tip + [0, 1, 1, 2, 500 + count][(count % 5) as usize]),
            round: Round::new((count % 200) as u32),
            value: NilOrVal::Val(BlockId(random())),
            address: me,
        };
        all.push(NetworkMsg::PublishConsensusMsg(adversary.hand.vote(vote.clone())));
        // In somebody else's name.
        let foreign = Vote { address: Address(random()), ..vote.clone() };
        all.push(NetworkMsg::PublishConsensusMsg(adversary.hand.vote(foreign)));
        // No message at all.
        let garbage = Vote { height: GARBAGE, ..vote.clone() };
        all.push(NetworkMsg::PublishConsensusMsg(adversary.hand.vote(garbage)));
        if number % 4 == 0 {
            let proposal = Proposal {
                height: vote.height,
                round: vote.round,
                value: Value { id: BlockId(random()) },
                pol_round: Round::Nil,
                address: me,
            };
            all.push(NetworkMsg::PublishConsensusMsg(adversary.hand.proposal(proposal)));
        }
    }
    let forged = |_| PolkaSignature::new(Address(random()), Signature(random()));
    let certificate = PolkaCertificate {
        height: Height(tip),
        round: Round::new((burst % 100) as u32),
        value_id: BlockId(random()),
        polka_signatures: (0..64).map(forged).collect(),
    };
    all.push(NetworkMsg::PublishLivenessMsg(LivenessMsg::PolkaCertificate(certificate)));
    all.push(NetworkMsg::BroadcastStatus(Status::new(Height(tip.saturating_sub(1)), Height(1))));
    // Blocks that begin and never end: of this height, the next one and far ones.
    if burst.is_multiple_of(5) {
        let init = Part::Init {
            height: Height(tip + [0, 1, 100 + burst][(burst / 5 % 3) as usize]),
            round: Round::new((burst % 7) as u32),
            pol_round: Round::Nil,
            proposer: me,
        };
        let stream = StreamId::new(random::<24>().to_vec().into());
        let garbage = StreamMessage::new(stream.clone(), GARBAGE.0, StreamContent::Fin);
        all.push(NetworkMsg::PublishProposalPart(garbage));
        let parts = [init, Part::Data(vec![7; PART_BYTES]), Part::Data(vec![8; PART_BYTES])];
        for (part, sequence) in parts.into_iter().zip(0..) {
            let message = StreamMessage::new(stream.clone(), sequence, StreamContent::Data(part));
            all.push(NetworkMsg::PublishProposalPart(message));
        }
    }
    all
}
