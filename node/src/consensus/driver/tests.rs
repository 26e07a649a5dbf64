//! The driver's judgement, on real ledgers: what is called valid, what is never heard of, and what a
//! restart must not change.
#![allow(clippy::unwrap_used)]

use bytes::Bytes;
use malachitebft_engine::host::SyncedValueOutcome;
use qz_chain::Block;
use qz_evidence::header::Header;
use qz_evidence::{decode_strict, encode};
use tokio::sync::oneshot;

use super::super::assembly::StreamedBlock;
use super::super::conduct::Honest;
use super::super::proposals::Verdict;
use super::blocks::{MAX_ROUNDS_AHEAD, MAX_SYNC_BLOCKS, REFUSED_OF_A_HEIGHT, TIMELY_MS};
use super::*;
use crate::mempool::pool::Limits;
use crate::testing::Consortium;

/// The driver of the proposer of a round of height 1, and the peer that it streams as.
fn proposer(consortium: &Consortium, round: u32) -> (Driver, PeerId) {
    let set = ValidatorSet::of(consortium.genesis.validators());
    let address = set.proposer(Height(1), Round::new(round)).address;
    let driver = driver(consortium.ledger(&address.to_string()), consortium, address);
    let publisher = driver.publishers.iter().find(|(_, owner)| **owner == address);
    let publisher = *publisher.unwrap().0;
    (driver, publisher)
}

fn driver(ledger: Arc<Ledger>, consortium: &Consortium, me: Address) -> Driver {
    let (mempool, _) = Mempool::new(ledger.clone(), Limits::default());
    let stats = Arc::new(PeerStats::default());
    let members = Arc::new(Members::new(ledger.membership().unwrap()));
    let keeper = Arc::new(Gatekeeper::new(stats.clone()));
    keeper.set_members(members.now().nodes().filter_map(|node| engine_peer(&node.id)));
    Driver::new(Parts {
        tips: Arc::new(Tips::new(ledger.head().height)),
        ledger,
        mempool,
        chain_id: consortium.genesis.chain_id(),
        own: crate::members::OwnNode {
            organisation: qz_evidence::OrgId::new("court").unwrap(),
            id: libp2p::PeerId::random(),
            consensus_key: Hash32([1; 32]),
        },
        members,
        keeper,
        stats,
        pace: Pace { timeouts: LinearTimeouts::default(), heartbeat: Duration::from_secs(5) },
        me,
        conduct: Arc::new(Honest),
        observe_through: None,
        health: crate::health::Health::new(),
    })
}

fn streamed(publisher: PeerId, proposed: &ProposedValue<Ctx>, bytes: &[u8]) -> StreamedBlock {
    StreamedBlock {
        publisher,
        height: proposed.height,
        round: proposed.round,
        pol_round: proposed.valid_round,
        id: proposed.value.id,
        bytes: bytes.to_vec(),
    }
}

fn certificate(proposed: &ProposedValue<Ctx>) -> CommitCertificate<Ctx> {
    CommitCertificate::new(proposed.height, proposed.round, proposed.value.id, Vec::new())
}

const ONE: Height = Height(1);

#[test]
fn the_same_round_always_gets_the_same_value() {
    let consortium = Consortium::new();
    let (own, _) = proposer(&consortium, 0);
    own.mempool.submit(&consortium.submission(1)).unwrap();
    let (first, bytes) = own.build(ONE, Round::ZERO).unwrap().unwrap();
    assert_eq!(decode_strict::<Block>(&bytes).unwrap().submissions.len(), 1);

    own.mempool.submit(&consortium.submission(2)).unwrap();
    std::thread::sleep(Duration::from_millis(2));
    assert_eq!(own.build(ONE, Round::ZERO).unwrap().unwrap(), (first.clone(), bytes.clone()));

    let (ledger, me) = (own.ledger.clone(), own.me);
    drop(own);
    let mut restarted = driver(ledger, &consortium, me);
    assert_eq!(restarted.build(ONE, Round::ZERO).unwrap().unwrap(), (first.clone(), bytes));
    assert_eq!(restarted.on_started_round(ONE, Round::ZERO).unwrap(), vec![first]);
    assert_eq!(restarted.build(Height(2), Round::ZERO).unwrap(), None, "height 2 is not next");
}

#[test]
fn a_valid_block_is_only_taken_from_the_proposer_of_its_round() {
    let consortium = Consortium::new();
    let (first, publisher) = proposer(&consortium, 0);
    let (mut judge, other) = proposer(&consortium, 1);
    let (proposed, bytes) = first.build(ONE, Round::ZERO).unwrap().unwrap();
    let now = now_ms();
    assert_eq!(judge.judge(streamed(other, &proposed, &bytes), now).unwrap(), None);
    let verdict = judge.judge(streamed(publisher, &proposed, &bytes), now).unwrap();
    assert_eq!(verdict, Some(proposed.clone()));
    assert_eq!(judge.proposals.verdict(ONE, &bytes).unwrap(), Some(Verdict::Valid));

    // Somebody else's block, streamed in his own turn without a proof-of-lock, is not his.
    let mut again = streamed(other, &proposed, &bytes);
    again.round = Round::new(1);
    let mut fresh = driver(consortium.ledger("fresh"), &consortium, judge.me);
    assert_eq!(fresh.judge(again, now).unwrap(), None);
}

#[test]
fn an_untimely_block_stays_unheard_of_until_there_is_a_proof_of_lock() {
    let consortium = Consortium::new();
    let (first, publisher) = proposer(&consortium, 0);
    let (mut judge, next) = proposer(&consortium, 1);
    let (proposed, bytes) = first.build(ONE, Round::ZERO).unwrap().unwrap();
    let late = now_ms() + TIMELY_MS + 1_000;
    assert_eq!(judge.judge(streamed(publisher, &proposed, &bytes), late).unwrap(), None);
    assert_eq!(judge.proposals.verdict(ONE, &bytes).unwrap(), Some(Verdict::Untimely));
    assert_eq!(
        judge.judge(streamed(publisher, &proposed, &bytes), now_ms()).unwrap(),
        None,
        "the first verdict stands"
    );
    let mut locked = streamed(next, &proposed, &bytes);
    (locked.round, locked.pol_round) = (Round::new(1), Round::ZERO);
    let accepted = judge.judge(locked, late).unwrap().unwrap();
    assert_eq!((accepted.round, accepted.valid_round), (Round::new(1), Round::ZERO));
    assert_eq!(accepted.proposer, first.me, "the original proposer");
}

#[test]
fn a_changed_body_under_a_genuine_header_does_not_spoil_the_genuine_block() {
    let consortium = Consortium::new();
    let (first, publisher) = proposer(&consortium, 0);
    let (mut judge, _) = proposer(&consortium, 2);
    first.mempool.submit(&consortium.submission(1)).unwrap();
    let (proposed, bytes) = first.build(ONE, Round::ZERO).unwrap().unwrap();
    let mut block: Block = decode_strict(&bytes).unwrap();
    block.submissions.clear();
    let tampered = encode(&block);
    assert_eq!(judge.judge(streamed(publisher, &proposed, &tampered), now_ms()).unwrap(), None);
    assert!(matches!(judge.on_synced(ONE, Round::ZERO, &tampered.into()).unwrap(), SyncedValueOutcome::PeerFault));
    let verdict = judge.judge(streamed(publisher, &proposed, &bytes), now_ms()).unwrap();
    assert_eq!(verdict, Some(proposed));
}

#[test]
fn synced_blocks_are_executed_and_blamed_on_the_peer_if_they_do_not_fit() {
    let consortium = Consortium::new();
    let (first, _) = proposer(&consortium, 0);
    let (mut behind, _) = proposer(&consortium, 1);
    first.mempool.submit(&consortium.submission(1)).unwrap();
    let (proposed, bytes) = first.build(ONE, Round::ZERO).unwrap().unwrap();
    let bytes = Bytes::from(bytes);
    let garbage = Bytes::from_static(b"no block");
    let fault = behind.on_synced(ONE, Round::ZERO, &garbage).unwrap();
    assert!(matches!(fault, SyncedValueOutcome::PeerFault));
    let early = behind.on_synced(Height(2), Round::ZERO, &bytes).unwrap();
    assert!(matches!(early, SyncedValueOutcome::LocalTransientError));
    let SyncedValueOutcome::Verdict(verdict) = behind.on_synced(ONE, Round::ZERO, &bytes).unwrap() else {
        panic!("a genuine block is accepted");
    };
    assert_eq!(verdict.value, proposed.value);

    behind.commit(&certificate(&verdict)).unwrap();
    assert_eq!(behind.tip(), ONE);
    behind.commit(&certificate(&verdict)).unwrap();
    let again = behind.on_synced(ONE, Round::ZERO, &bytes).unwrap();
    assert!(matches!(again, SyncedValueOutcome::Verdict(_)));
    let served = behind.decided(1, 5).unwrap();
    assert_eq!(served.len(), 1);
    assert_eq!(served[0].value_bytes, bytes);
    assert_eq!(behind.proposals.block(ONE, &proposed.value.id).unwrap(), None, "tidied up");
}

#[test]
fn early_blocks_wait_for_their_height_within_bounds() {
    let consortium = Consortium::new();
    let (first, publisher) = proposer(&consortium, 0);
    let (mut judge, _) = proposer(&consortium, 1);
    let (proposed, bytes) = first.build(ONE, Round::ZERO).unwrap().unwrap();
    assert_eq!(judge.on_streamed(streamed(publisher, &proposed, &bytes), now_ms()).unwrap(), None);
    for height in 2..100 {
        let mut far = streamed(publisher, &proposed, &bytes);
        far.height = Height(height);
        assert_eq!(judge.on_streamed(far, now_ms()).unwrap(), None);
    }
    judge.height = ONE;
    assert_eq!(judge.on_started_round(ONE, Round::ZERO).unwrap(), vec![proposed]);
}

#[test]
fn a_decision_on_an_unknown_block_is_fatal() {
    let consortium = Consortium::new();
    let (first, _) = proposer(&consortium, 0);
    let (mut other, _) = proposer(&consortium, 1);
    let (proposed, _) = first.build(ONE, Round::ZERO).unwrap().unwrap();
    let error = other.commit(&certificate(&proposed)).unwrap_err();
    assert!(matches!(error, DriverError::DecidedUnknown { height: ONE, .. }), "{error}");
}

#[test]
fn blocks_of_rounds_far_ahead_are_dropped_before_they_cost_anything() {
    let consortium = Consortium::new();
    let (first, publisher) = proposer(&consortium, 0);
    let (mut judge, _) = proposer(&consortium, 1);
    let (proposed, bytes) = first.build(ONE, Round::ZERO).unwrap().unwrap();
    (judge.height, judge.round) = (ONE, Round::ZERO);
    // It is this publisher's turn in every fourth round.
    let near = u32::try_from(MAX_ROUNDS_AHEAD).unwrap() / 4 * 4;
    for (round, judged) in
        [(Round::Nil, 0), (Round::new(4_000_000), 0), (Round::new(near + 4), 0), (Round::new(near), 1)]
    {
        let mut ahead = streamed(publisher, &proposed, &bytes);
        ahead.round = round;
        judge.on_streamed(ahead, now_ms()).unwrap();
        assert_eq!(judge.proposals.of_round(ONE, round).unwrap().len(), judged, "{round:?}");
    }
}

#[test]
fn a_publisher_of_ever_new_bad_blocks_is_no_longer_judged() {
    let consortium = Consortium::new();
    let (first, publisher) = proposer(&consortium, 0);
    let (mut judge, _) = proposer(&consortium, 1);
    let (proposed, bytes) = first.build(ONE, Round::ZERO).unwrap().unwrap();
    let genuine: Block = decode_strict(&bytes).unwrap();
    let mut verdicts = 0;
    for number in 1..100 {
        let mut header: Header = decode_strict(&genuine.header).unwrap();
        header.time_ms -= TIMELY_MS + number;
        let mut bad = streamed(publisher, &proposed, &[]);
        bad.id = BlockId(header.block_id().0);
        bad.bytes = encode(&Block { header: encode(&header).into(), ..genuine.clone() });
        assert_eq!(judge.judge(bad.clone(), now_ms()).unwrap(), None);
        verdicts += u32::from(judge.proposals.verdict(ONE, &bad.bytes).unwrap().is_some());
    }
    assert_eq!(verdicts, REFUSED_OF_A_HEIGHT);
    let flood = judge.stats.snapshot().into_iter().find(|(name, ..)| *name == "qz_peer_flood_total").unwrap().2;
    assert!(flood > 0, "counted");
}

#[test]
fn a_sync_answer_has_few_blocks_however_small_they_are() {
    let consortium = Consortium::new();
    let (served, _) = proposer(&consortium, 0);
    for _ in 0..MAX_SYNC_BLOCKS + 3 {
        consortium.decide(&served.ledger, &[]);
    }
    let blocks = served.decided(1, u64::MAX).unwrap();
    assert_eq!(blocks.len(), MAX_SYNC_BLOCKS);
    assert_eq!(served.decided(MAX_SYNC_BLOCKS as u64, u64::MAX).unwrap().len(), 4);
}

#[test]
fn one_peer_that_claims_a_higher_chain_hurries_nobody_twice() {
    let consortium = Consortium::new();
    let (mut own, _) = proposer(&consortium, 0);
    let hold = |driver: &mut Driver| {
        let (reply, next) = oneshot::channel();
        driver.held = Some(Held::new(reply));
        next
    };
    own.tips.heard(libp2p::PeerId::random(), u64::MAX);
    let mut next = hold(&mut own);
    let (at, why) = own.release_at();
    assert_eq!(why, Release::LoneWord);
    assert!(at < Instant::now() + own.pace.heartbeat / 2, "once, it is believed");
    own.start_next(why).unwrap();
    assert!(next.try_recv().is_ok());

    // The block that follows is empty and was not fetched from anybody.
    let (proposed, _) = own.build(ONE, Round::ZERO).unwrap().unwrap();
    own.commit(&certificate(&proposed)).unwrap();
    let _next = hold(&mut own);
    let (at, why) = own.release_at();
    assert_eq!(why, Release::Good);
    assert!(at > Instant::now() + own.pace.heartbeat / 2, "now this node waits for its heartbeat");
}

#[test]
fn one_validator_that_signs_above_the_head_hurries_nobody_twice() {
    let consortium = Consortium::new();
    let (mut own, _) = proposer(&consortium, 0);
    let (other, _) = proposer(&consortium, 1);
    own.heard_above(other.me);
    let (reply, _next) = oneshot::channel();
    own.held = Some(Held::new(reply));
    let (_, why) = own.release_at();
    assert_eq!(why, Release::LoneWord);
    own.start_next(why).unwrap();
    let (proposed, _) = own.build(ONE, Round::ZERO).unwrap().unwrap();
    own.commit(&certificate(&proposed)).unwrap();
    own.heard_above(other.me);
    assert!(own.eager.is_empty(), "not believed");
    let third = proposer(&consortium, 2).0.me;
    own.heard_above(third);
    assert_eq!(own.eager.len(), 1);
}
