//! The driver's judgement, on real ledgers: what is called valid, what is never heard of, and what a
//! restart must not change.
#![allow(clippy::unwrap_used)]

use qz_chain::Block;
use qz_evidence::{decode_strict, encode, validators};
use qz_genesis::peer;

use super::super::conduct::Honest;
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
        members,
        keeper,
        stats,
        pace: Pace { timeouts: LinearTimeouts::default(), heartbeat: Duration::from_secs(5) },
        me,
        conduct: Arc::new(Honest),
        observe_through: None,
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
    let (judge, other) = proposer(&consortium, 1);
    let (proposed, bytes) = first.build(ONE, Round::ZERO).unwrap().unwrap();
    let now = now_ms();
    assert_eq!(judge.judge(streamed(other, &proposed, &bytes), now).unwrap(), None);
    let verdict = judge.judge(streamed(publisher, &proposed, &bytes), now).unwrap();
    assert_eq!(verdict, Some(proposed.clone()));
    assert_eq!(judge.proposals.verdict(ONE, &bytes).unwrap(), Some(Verdict::Valid));

    // Somebody else's block, streamed in his own turn without a proof-of-lock, is not his.
    let mut again = streamed(other, &proposed, &bytes);
    again.round = Round::new(1);
    let fresh = driver(consortium.ledger("fresh"), &consortium, judge.me);
    assert_eq!(fresh.judge(again, now).unwrap(), None);
}

#[test]
fn an_untimely_block_stays_unheard_of_until_there_is_a_proof_of_lock() {
    let consortium = Consortium::new();
    let (first, publisher) = proposer(&consortium, 0);
    let (judge, next) = proposer(&consortium, 1);
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
    let (judge, _) = proposer(&consortium, 2);
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
    assert!(judge.future.len() <= MAX_FUTURE_BLOCKS);
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
