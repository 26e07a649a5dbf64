//! Idempotency keys: replay, mismatch, work in progress, abandoned and forgotten keys.

use qz_storage::idempotency::{self, Begin};
use qz_storage::{StorageError, TokenId, Tx};

use crate::fixtures::{Home, NOW};

const STALE: u64 = 60_000;

async fn begin(home: &Home, tx: &Tx, token: &TokenId, request: u8, now_ms: u64) -> Begin {
    idempotency::begin(tx, &home.encryption, token, "key-1", &[request; 32], now_ms, STALE).await.unwrap()
}

#[tokio::test]
async fn the_stored_response_is_replayed_to_the_same_request_of_the_same_token() {
    let home = Home::new().await;
    let token = home.token("甲公司", 1).await.id;
    let other = home.token("乙公司", 2).await.id;
    let tx = home.begin().await;
    assert_eq!(begin(&home, &tx, &token, 1, NOW).await, Begin::New);
    idempotency::store(&tx, &home.encryption, &token, "key-1", 201, "{\"盐\":1}".as_bytes()).await.unwrap();
    tx.commit().await.unwrap();

    let tx = home.begin().await;
    let replay = Begin::Replay { status: 201, body: "{\"盐\":1}".as_bytes().to_vec() };
    assert_eq!(begin(&home, &tx, &token, 1, NOW + 9 * STALE).await, replay);
    assert_eq!(begin(&home, &tx, &token, 2, NOW).await, Begin::Mismatch);
    assert_eq!(begin(&home, &tx, &other, 2, NOW).await, Begin::New);
    idempotency::abandon(&tx, &token, "key-1").await.unwrap();
    assert_eq!(begin(&home, &tx, &token, 1, NOW).await, replay, "an answered key stays");
}

#[tokio::test]
async fn work_in_progress_is_taken_over_only_when_stale() {
    let home = Home::new().await;
    let token = home.token("甲公司", 1).await.id;
    let tx = home.begin().await;
    assert_eq!(begin(&home, &tx, &token, 1, NOW).await, Begin::New);
    assert_eq!(begin(&home, &tx, &token, 1, NOW + STALE - 1).await, Begin::InProgress);
    assert_eq!(begin(&home, &tx, &token, 2, NOW + STALE).await, Begin::Mismatch);
    assert_eq!(begin(&home, &tx, &token, 1, NOW + STALE).await, Begin::New);
    assert_eq!(begin(&home, &tx, &token, 1, NOW + STALE + 1).await, Begin::InProgress);
}

#[tokio::test]
async fn an_abandoned_key_is_free_and_cannot_be_answered() {
    let home = Home::new().await;
    let token = home.token("甲公司", 1).await.id;
    let tx = home.begin().await;
    begin(&home, &tx, &token, 1, NOW).await;
    idempotency::abandon(&tx, &token, "key-1").await.unwrap();
    let late = idempotency::store(&tx, &home.encryption, &token, "key-1", 200, b"").await;
    assert!(matches!(late, Err(StorageError::NotFound { .. })));
    assert_eq!(begin(&home, &tx, &token, 2, NOW).await, Begin::New);
    assert_eq!(idempotency::purge(&tx, NOW).await.unwrap(), 0);
    assert_eq!(idempotency::purge(&tx, NOW + 1).await.unwrap(), 1);
}
