//! The queue: order, leases, back-off, giving up, and an operator's second chance.

use qz_storage::jobs::{self, BackOff, Claim, Failed, JobId, JobStatus};
use qz_storage::{Storage, StorageError};

use crate::fixtures::{Home, NOW};

const LEASE: u64 = 60_000;
const BACK_OFF: BackOff = BackOff { first_ms: 1_000, max_ms: 3_000, max_attempts: 4 };

async fn enqueue(storage: &Storage, ref_id: &str, run_after_ms: u64) -> JobId {
    storage.transaction(async |tx| jobs::enqueue(tx, "submit", ref_id, run_after_ms).await).await.unwrap()
}

async fn claim(storage: &Storage, now_ms: u64) -> Option<Claim> {
    jobs::claim(storage, now_ms, LEASE, &BACK_OFF).await.unwrap()
}

async fn finish(storage: &Storage, claim: &Claim) -> Result<(), StorageError> {
    storage.transaction(async |tx| jobs::finish(tx, claim, NOW).await).await
}

async fn fail(storage: &Storage, claim: &Claim, now_ms: u64) -> Failed {
    storage.transaction(async |tx| jobs::fail(tx, claim, "node unreachable", now_ms, &BACK_OFF).await).await.unwrap()
}

#[tokio::test]
async fn the_job_due_longest_comes_first_and_none_before_its_time() {
    let home = Home::new().await;
    let storage = &home.storage;
    assert_eq!(jobs::next_due(storage).await.unwrap(), None);
    enqueue(storage, "late", NOW + 100).await;
    enqueue(storage, "second", NOW).await;
    enqueue(storage, "third", NOW).await;
    enqueue(storage, "first", NOW - 1).await;
    assert_eq!(jobs::next_due(storage).await.unwrap(), Some(NOW - 1));

    let mut order = vec![];
    while let Some(claimed) = claim(storage, NOW).await {
        assert_eq!(claimed.job.kind, "submit");
        finish(storage, &claimed).await.unwrap();
        order.push(claimed.job.ref_id);
    }
    assert_eq!(order, ["first", "second", "third"]);
    assert_eq!(jobs::next_due(storage).await.unwrap(), Some(NOW + 100));
    assert_eq!(claim(storage, NOW + 100).await.unwrap().job.ref_id, "late");
}

#[tokio::test]
async fn a_job_of_a_rolled_back_transaction_never_was() {
    let home = Home::new().await;
    let tx = home.begin().await;
    jobs::enqueue(&tx, "submit", "x", NOW).await.unwrap();
    tx.rollback().await.unwrap();
    assert!(claim(&home.storage, NOW).await.is_none());
}

#[tokio::test]
async fn a_crashed_workers_job_runs_again_after_its_lease() {
    let home = Home::new().await;
    let storage = &home.storage;
    enqueue(storage, "x", NOW).await;
    let crashed = claim(storage, NOW).await.unwrap();
    assert!(claim(storage, NOW + LEASE - 1).await.is_none());
    assert_eq!(jobs::next_due(storage).await.unwrap(), Some(NOW + LEASE));

    let again = claim(storage, NOW + LEASE).await.unwrap();
    assert_eq!((again.job.id, again.job.attempts), (crashed.job.id, 2));
    // The first worker was only slow: its result must not be written.
    assert!(matches!(finish(storage, &crashed).await, Err(StorageError::LeaseLost { .. })));
    finish(storage, &again).await.unwrap();
    assert!(matches!(finish(storage, &again).await, Err(StorageError::LeaseLost { .. })));
    assert_eq!(jobs::about(storage, "submit", "x").await.unwrap()[0].status, JobStatus::Done);
}

#[tokio::test]
async fn a_renewed_lease_lasts_longer() {
    let home = Home::new().await;
    enqueue(&home.storage, "x", NOW).await;
    let mut claimed = claim(&home.storage, NOW).await.unwrap();
    let tx = home.begin().await;
    jobs::renew(&tx, &mut claimed, NOW + 2 * LEASE).await.unwrap();
    tx.commit().await.unwrap();
    assert!(claim(&home.storage, NOW + LEASE).await.is_none());
    finish(&home.storage, &claimed).await.unwrap();
}

#[tokio::test]
async fn failures_are_retried_with_back_off_then_left_to_an_operator() {
    let home = Home::new().await;
    let storage = &home.storage;
    let id = enqueue(storage, "x", NOW).await;
    let mut now = NOW;
    for delay in [1_000, 2_000, 3_000] {
        let claimed = claim(storage, now).await.unwrap();
        assert_eq!(fail(storage, &claimed, now).await, Failed::RetryAt(now + delay));
        assert!(claim(storage, now + delay - 1).await.is_none());
        now += delay;
    }
    let last = claim(storage, now).await.unwrap();
    assert_eq!(fail(storage, &last, now).await, Failed::GaveUp);
    assert!(claim(storage, now + 1_000_000).await.is_none());
    let failed = jobs::failed(storage, 10).await.unwrap();
    assert_eq!((failed[0].id, failed[0].attempts), (id, 4));
    assert_eq!(failed[0].last_error.as_deref(), Some("node unreachable"));

    let tx = home.begin().await;
    jobs::retry_failed(&tx, id, now).await.unwrap();
    assert!(matches!(jobs::retry_failed(&tx, id, now).await, Err(StorageError::NotFound { .. })));
    tx.commit().await.unwrap();
    assert_eq!(jobs::failed(storage, 10).await.unwrap(), []);
    assert_eq!(claim(storage, now).await.unwrap().job.attempts, 1);
}

#[tokio::test]
async fn a_job_that_kills_every_worker_is_given_up() {
    let home = Home::new().await;
    let storage = &home.storage;
    enqueue(storage, "poison", NOW).await;
    enqueue(storage, "healthy", NOW + 10 * LEASE).await;
    for attempt in 0..4 {
        assert!(claim(storage, NOW + attempt * LEASE).await.is_some());
    }
    let next = claim(storage, NOW + 10 * LEASE).await.unwrap();
    assert_eq!(next.job.ref_id, "healthy");
    assert_eq!(jobs::failed(storage, 10).await.unwrap()[0].ref_id, "poison");
}

#[tokio::test]
async fn what_cannot_be_mended_fails_at_once_and_old_done_jobs_are_deleted() {
    let home = Home::new().await;
    let storage = &home.storage;
    enqueue(storage, "hopeless", NOW).await;
    enqueue(storage, "fine", NOW).await;
    let hopeless = claim(storage, NOW).await.unwrap();
    let tx = home.begin().await;
    jobs::fail_for_good(&tx, &hopeless, "the proof does not verify", NOW).await.unwrap();
    tx.commit().await.unwrap();
    let fine = claim(storage, NOW).await.unwrap();
    finish(storage, &fine).await.unwrap();

    let tx = home.begin().await;
    assert_eq!(jobs::delete_done(&tx, NOW).await.unwrap(), 0);
    assert_eq!(jobs::delete_done(&tx, NOW + 1).await.unwrap(), 1);
    tx.commit().await.unwrap();
    assert_eq!(jobs::failed(storage, 10).await.unwrap().len(), 1);
}

#[test]
fn back_off_doubles_up_to_its_limit() {
    let delays: Vec<u64> = (1..=5).map(|attempt| BACK_OFF.delay_ms(attempt)).collect();
    assert_eq!(delays, [1_000, 2_000, 3_000, 3_000, 3_000]);
    assert_eq!(BackOff::default().delay_ms(u32::MAX), 300_000);
}
