//! What becomes of submissions, on a real ledger.
#![allow(clippy::unwrap_used)]

use qz_evidence::SubjectId;

use super::*;
use crate::testing::Consortium;

struct Fixture {
    consortium: Consortium,
    ledger: Arc<Ledger>,
    mempool: Arc<Mempool>,
    spread: mpsc::Receiver<Vec<Arc<[u8]>>>,
}

fn fixture() -> Fixture {
    let consortium = Consortium::new();
    let ledger = consortium.ledger("own");
    let (mempool, spread) = Mempool::new(ledger.clone(), Limits::default());
    Fixture { consortium, ledger, mempool, spread }
}

/// Submits what must be taken; gives its digest.
fn submit(mempool: &Mempool, bytes: &[u8]) -> Hash32 {
    assert_eq!(mempool.submit(bytes).unwrap(), Taken::Waits);
    Parsed::new(bytes).unwrap().digest()
}

#[test]
fn a_submission_is_followed_until_it_is_final_and_repeats_are_no_error() {
    let Fixture { consortium, ledger, mempool, mut spread } = fixture();
    let bytes = consortium.submission(1);
    let digest = submit(&mempool, &bytes);
    assert_eq!(spread.try_recv().unwrap(), [Arc::from(bytes.as_slice())], "told to the peers");
    assert_eq!(mempool.submit(&bytes).unwrap(), Taken::Waits);
    assert!(spread.try_recv().is_err(), "once");
    assert_eq!(mempool.receive(&PeerId::random(), &bytes), GossipVerdict::Useless);

    let mut fate = mempool.fate(digest);
    assert!(fate.try_recv().is_err());
    mempool.committed(&consortium.decide(&ledger, std::slice::from_ref(&bytes)));
    assert_eq!(fate.try_recv().unwrap(), Fate::Final(1));
    assert_eq!(mempool.len(), 0);
    assert_eq!(mempool.submit(&bytes).unwrap(), Taken::Final(1), "final is no error either");
    assert_eq!(mempool.len(), 0);
}

#[tokio::test]
async fn while_the_queue_is_long_requests_wait_for_a_block() {
    let Fixture { consortium, ledger, mut mempool, .. } = fixture();
    Arc::get_mut(&mut mempool).unwrap().room = 1;
    let waiting = [1, 2].map(|number| consortium.submission(number));
    submit(&mempool, &waiting[0]);
    mempool.has_room().await;
    submit(&mempool, &waiting[1]);
    let delayed = tokio::spawn({
        let mempool = mempool.clone();
        async move { mempool.has_room().await }
    });
    tokio::time::sleep(Duration::from_millis(50)).await;
    assert!(!delayed.is_finished(), "two wait, one may");
    mempool.committed(&consortium.decide(&ledger, &waiting));
    tokio::time::timeout(ROOM_PATIENCE / 2, delayed).await.expect("the block made room").unwrap();

    // Without a block, a request is not held up for good.
    for number in [3, 4] {
        submit(&mempool, &consortium.submission(number));
    }
    tokio::time::timeout(2 * ROOM_PATIENCE, mempool.has_room()).await.expect("patience ends");
    assert_eq!(mempool.len(), 2);
}

#[test]
fn what_the_state_refuses_is_refused_at_the_door() {
    let Fixture { consortium, mempool, .. } = fixture();
    let nowhere = SubjectId(Hash32([9; 32]));
    let error = mempool.submit(&consortium.deposit(1, Some(nowhere))).unwrap_err();
    let SubmitError::Refused(refusal) = error else { panic!("{error}") };
    assert_eq!(refusal, Refusal::Rules(Reject::SubjectUnknown { subject: nowhere }));
    assert_eq!(refusal.status(), 422);

    let mut damaged = consortium.submission(2);
    *damaged.last_mut().unwrap() ^= 1;
    let error = mempool.submit(&damaged).unwrap_err();
    let SubmitError::Refused(Refusal::Rules(Reject::RelaySignature { .. })) = error else { panic!("{error}") };
    damaged.push(0);
    assert!(matches!(mempool.submit(&damaged).unwrap_err(), SubmitError::Refused(Refusal::Malformed(_))));
    assert_eq!(mempool.receive(&PeerId::random(), &damaged), GossipVerdict::Malformed);
    assert_eq!(mempool.len(), 0);
}

#[test]
fn a_later_refusal_reaches_those_who_wait_and_those_who_ask_later() {
    let Fixture { consortium, ledger, mempool, .. } = fixture();
    let expiring = consortium.deposit_until(1, None, 1);
    let digest = submit(&mempool, &expiring);
    let mut fate = mempool.fate(digest);
    mempool.committed(&consortium.decide(&ledger, &[]));
    let Fate::Refused(Refusal::Rules(reject)) = fate.try_recv().unwrap() else { panic!("it has expired") };
    assert!(matches!(reject, Reject::Expired { .. }), "{reject}");
    assert_eq!(mempool.refusal(&digest), Some(Refusal::Rules(reject)));
    assert!(!mempool.contains(&digest));
}

#[test]
fn gossip_that_is_one_block_ahead_is_kept_until_the_block_is_here() {
    let Fixture { consortium, ledger, mempool, .. } = fixture();
    let first = consortium.submission(1);
    let parsed = Parsed::new(&first).unwrap();
    let subject = SubjectId::created_by(&consortium.genesis.chain_id(), &parsed.digest());
    let second = consortium.deposit(2, Some(subject));
    assert_eq!(mempool.receive(&PeerId::random(), &second), GossipVerdict::Useless);
    assert_eq!(mempool.len(), 0, "not before its parent");
    mempool.committed(&consortium.decide(&ledger, &[first]));
    assert_eq!(mempool.len(), 1);
    let candidates = mempool.candidates(1 << 20);
    assert_eq!(candidates[0].bytes.as_ref(), second);
    assert!(mempool.candidates(10).is_empty(), "no room");
}

#[test]
fn refusals_while_building_a_block_are_told() {
    let Fixture { consortium, mempool, .. } = fixture();
    let digest = submit(&mempool, &consortium.submission(1));
    let mut fate = mempool.fate(digest);
    let reject = Reject::CommitmentMissing { name: "document.sha256" };
    mempool.refuse(vec![(digest, reject.clone()), (Hash32([0; 32]), reject.clone())]);
    assert_eq!(fate.try_recv().unwrap(), Fate::Refused(Refusal::Rules(reject)));
    assert_eq!(mempool.refusal(&Hash32([0; 32])), None, "nobody queued that one");
}

#[test]
fn those_who_stop_waiting_are_swept_out() {
    let Fixture { mempool, .. } = fixture();
    let stays = mempool.fate(Hash32([1; 32]));
    for i in 0..3 * SWEEP_WAITERS {
        drop(mempool.fate(Hash32(*blake3::hash(&i.to_be_bytes()).as_bytes())));
    }
    let inner = mempool.lock();
    assert!(inner.waiters.len() <= SWEEP_WAITERS, "{}", inner.waiters.len());
    assert!(inner.waiters.contains_key(&Hash32([1; 32])));
    drop((inner, stays));
}
