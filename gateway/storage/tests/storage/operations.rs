//! Operations: every field survives, openings are encrypted, and the status moves as documented.

use qz_storage::operations::{
    self, ActorSignature, FollowupStatus, Operation, OperationError, OperationStatus, RecordRef,
};
use qz_storage::{OperationId, StorageError, Tx};
use serde_json::json;

use crate::fixtures::{Home, NOW, new_operation};

const RECORD: RecordRef = RecordRef { hash: [6; 32], height: 12, index: 3, time_ms: NOW + 5 };

fn refusal() -> OperationError {
    OperationError {
        code: "seal_suspended".to_owned(),
        message_zh: "印章已停用".to_owned(),
        message_en: "the seal is suspended".to_owned(),
    }
}

fn signature(subject: u8, bytes: u8) -> ActorSignature {
    ActorSignature { subject: [subject; 32], signature: vec![bytes; 64] }
}

#[tokio::test]
async fn an_operation_on_its_way() {
    let home = Home::new().await;
    let contract = home.contract().await;
    let operation = Operation { contract: Some(contract.id.clone()), ..new_operation(&home.encryption) };
    let tx = home.begin().await;
    operations::insert(&tx, &operation).await.unwrap();
    assert!(matches!(
        operations::insert(&tx, &Operation { id: OperationId::random(), ..operation.clone() }).await,
        Err(StorageError::Conflict { columns, .. }) if columns == "digest"
    ));
    assert_eq!(operations::get(&tx, &operation.id).await.unwrap(), operation);

    operations::add_signature(&tx, &operation.id, signature(1, 1), NOW + 1).await.unwrap();
    let again = operations::add_signature(&tx, &operation.id, signature(1, 1), NOW + 2).await.unwrap();
    assert_eq!((again.signatures.len(), again.updated_ms), (1, NOW + 1));
    assert!(matches!(
        operations::add_signature(&tx, &operation.id, signature(1, 2), NOW).await,
        Err(StorageError::Conflict { columns, .. }) if columns == "signatures"
    ));
    operations::add_signature(&tx, &operation.id, signature(2, 2), NOW + 2).await.unwrap();
    operations::mark_queued(&tx, &operation.id, NOW + 3).await.unwrap();
    assert!(matches!(
        operations::add_signature(&tx, &operation.id, signature(3, 3), NOW).await,
        Err(StorageError::WrongState { .. })
    ));
    operations::set_payload(&tx, &operation.id, json!({"prepared": "x"}), NOW + 4).await.unwrap();
    operations::mark_final(&tx, &operation.id, RECORD, NOW + 6).await.unwrap();
    operations::set_followup(&tx, &operation.id, FollowupStatus::Done, Some("已盖章"), NOW + 7).await.unwrap();
    tx.commit().await.unwrap();

    let expected = Operation {
        signatures: vec![signature(1, 1), signature(2, 2)],
        status: OperationStatus::Final,
        record: Some(RECORD),
        payload: json!({"prepared": "x"}),
        followup: FollowupStatus::Done,
        followup_detail: Some("已盖章".to_owned()),
        updated_ms: NOW + 7,
        ..operation.clone()
    };
    let read = operations::find_by_digest(&home.storage, &operation.digest).await.unwrap();
    assert_eq!(read.as_ref(), Some(&expected));
    assert_eq!(operations::for_contract(&home.storage, &contract.id).await.unwrap(), [expected]);
    let openings = read.unwrap().openings(&home.encryption).unwrap();
    assert_eq!(openings[0]["value"], "采购合同");
}

#[tokio::test]
async fn openings_are_not_readable_on_disk_nor_under_another_operation() {
    let home = Home::new().await;
    let openings = json!([{"name": "id_code", "value": "UNIQUE-PLAINTEXT-MARKER"}]);
    let mut operation = new_operation(&home.encryption);
    operation.openings = operations::seal_openings(&home.encryption, &operation.id, &openings);
    let tx = home.begin().await;
    operations::insert(&tx, &operation).await.unwrap();
    tx.commit().await.unwrap();
    for file in ["gateway.sqlite", "gateway.sqlite-wal"] {
        let bytes = std::fs::read(home.path().join(file)).unwrap();
        let found = bytes.windows(23).any(|part| part == b"UNIQUE-PLAINTEXT-MARKER");
        assert!(!found, "{file}");
    }
    let moved = Operation { id: OperationId::random(), ..operation };
    assert!(matches!(moved.openings(&home.encryption), Err(StorageError::Encryption(_))));
}

/// Puts a fresh operation into `status`.
async fn put_into(tx: &Tx, operation: &Operation, status: OperationStatus) {
    operations::insert(tx, operation).await.unwrap();
    match status {
        OperationStatus::AwaitingSignatures => {}
        OperationStatus::Queued => operations::mark_queued(tx, &operation.id, NOW).await.unwrap(),
        OperationStatus::Final => {
            operations::mark_final(tx, &operation.id, RECORD, NOW).await.unwrap();
        }
        OperationStatus::Rejected => {
            operations::mark_rejected(tx, &operation.id, refusal(), NOW).await.unwrap();
        }
        OperationStatus::Expired => operations::mark_expired(tx, &operation.id, NOW).await.unwrap(),
    }
}

#[tokio::test]
async fn every_transition_from_every_status() {
    use OperationStatus::{AwaitingSignatures, Expired, Final, Queued, Rejected};
    let home = Home::new().await;
    // from, then what queued, final, rejected and expired lead to (None: refused)
    let table = [
        (AwaitingSignatures, [Some(Queued), Some(Final), Some(Rejected), Some(Expired)]),
        (Queued, [None, Some(Final), Some(Rejected), None]),
        (Final, [None, Some(Final), None, None]),
        (Rejected, [None, Some(Final), Some(Rejected), None]),
        (Expired, [None, Some(Final), None, Some(Expired)]),
    ];
    for (from, outcomes) in table {
        for (command, expected) in ["queued", "final", "rejected", "expired"].into_iter().zip(outcomes) {
            let operation = new_operation(&home.encryption);
            let tx = home.begin().await;
            put_into(&tx, &operation, from).await;
            let done = match command {
                "queued" => operations::mark_queued(&tx, &operation.id, NOW + 1).await,
                "final" => operations::mark_final(&tx, &operation.id, RECORD, NOW + 1).await,
                "rejected" => operations::mark_rejected(&tx, &operation.id, refusal(), NOW + 1).await,
                _ => operations::mark_expired(&tx, &operation.id, NOW + 1).await,
            };
            let after = operations::get(&tx, &operation.id).await.unwrap();
            match expected {
                Some(status) => {
                    done.unwrap();
                    assert_eq!(after.status, status, "{from} → {command}");
                    assert_eq!(after.record.is_some(), status == Final, "{from} → {command}");
                    assert_eq!(after.error.is_some(), status == Rejected, "{from} → {command}");
                }
                None => {
                    assert!(matches!(done, Err(StorageError::WrongState { .. })), "{from} → {command}: {done:?}");
                    assert_eq!(after.status, from);
                }
            }
        }
    }
}

#[tokio::test]
async fn a_body_has_one_record() {
    let home = Home::new().await;
    let operation = home.operation().await;
    let tx = home.begin().await;
    operations::mark_final(&tx, &operation.id, RECORD, NOW).await.unwrap();
    let other = RecordRef { height: 13, ..RECORD };
    assert!(matches!(
        operations::mark_final(&tx, &operation.id, other, NOW).await,
        Err(StorageError::Conflict { columns, .. }) if columns == "record"
    ));
}

#[tokio::test]
async fn what_waits_too_long_is_found() {
    let home = Home::new().await;
    let waiting = home.operation().await;
    let queued = home.operation().await;
    let tx = home.begin().await;
    operations::mark_queued(&tx, &queued.id, NOW).await.unwrap();
    tx.commit().await.unwrap();
    let old = operations::awaiting_before(&home.storage, NOW + 1, 10).await.unwrap();
    assert_eq!(old, [waiting]);
    assert_eq!(operations::awaiting_before(&home.storage, NOW, 10).await.unwrap(), []);
}
