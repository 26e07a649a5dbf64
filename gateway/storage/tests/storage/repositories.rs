//! Rows come back as they were written; what must be unique is; what is referred to must exist; a
//! damaged row is an error that names it.

use qz_storage::audit::{self, AuditLine};
use qz_storage::certificates::{self, Certificate};
use qz_storage::contracts::{self, Busy, ContractStatus};
use qz_storage::keys::{self, KeyStatus, PartyKey};
use qz_storage::seals::{self, Seal, SealStatus};
use qz_storage::{
    ContractId, DocumentId, EncryptionError, KeyEncryption, OperationId, SealKeyId, StorageError, documents, seal_keys,
    tokens,
};
use serde_json::json;

use crate::fixtures::{Home, NOW, new_contract};

#[tokio::test]
async fn tokens_are_found_until_revoked() {
    let home = Home::new().await;
    let first = home.token("甲公司", 1).await;
    let second = home.token("乙公司", 2).await;
    let found = tokens::find_active(&home.storage, &[1; 32]).await.unwrap();
    assert_eq!(found.as_ref(), Some(&first));
    assert_eq!(tokens::find_active(&home.storage, &[3; 32]).await.unwrap(), None);

    let tx = home.begin().await;
    tokens::revoke(&tx, "甲公司", NOW + 9).await.unwrap();
    tx.commit().await.unwrap();
    assert_eq!(tokens::find_active(&home.storage, &[1; 32]).await.unwrap(), None);
    let listed = tokens::list(&home.storage).await.unwrap();
    assert_eq!(listed[0].revoked_ms, Some(NOW + 9));
    assert_eq!(listed[1], second);

    let tx = home.begin().await;
    for name in ["甲公司", "丙公司"] {
        let refused = tokens::revoke(&tx, name, NOW).await;
        assert!(matches!(refused, Err(StorageError::NotFound { .. })), "{name}");
    }
    let refused = tokens::insert(&tx, &tokens::Token { id: qz_storage::TokenId::random(), ..second }).await;
    assert!(
        matches!(&refused, Err(StorageError::Conflict { table: "tokens", columns }) if columns == "name" || columns == "sha256"),
        "{refused:?}"
    );
}

#[tokio::test]
async fn documents_come_back_by_id_and_hash() {
    let home = Home::new().await;
    let document = home.document(b"%PDF-1.7").await;
    assert_eq!(documents::get(&home.storage, &document.id).await.unwrap(), document);
    let found = documents::find_by_sha256(&home.storage, &[7; 32]).await.unwrap();
    assert_eq!(found.unwrap(), document);
    assert!(documents::find_by_sha256(&home.storage, &[8; 32]).await.unwrap().is_none());
    assert_eq!(home.blobs.get(&document.blob).await.unwrap(), b"%PDF-1.7");
    let absent = documents::get(&home.storage, &DocumentId::random()).await;
    assert!(matches!(absent, Err(StorageError::NotFound { table: "documents", .. })));
}

#[tokio::test]
async fn party_keys_follow_their_registration() {
    let home = Home::new().await;
    let key = PartyKey {
        subject: [4; 32],
        algorithm: "ed25519".to_owned(),
        public_key: vec![5; 32],
        name: "张三".to_owned(),
        id_code: "110101199003070000".to_owned(),
        identity_check: "柜台核验".to_owned(),
        status: KeyStatus::Pending,
        operation: home.operation().await.id,
    };
    let tx = home.begin().await;
    keys::insert(&tx, &key).await.unwrap();
    assert!(matches!(
        keys::insert(&tx, &key).await,
        Err(StorageError::Conflict { table: "party_keys", columns }) if columns == "subject"
    ));
    keys::set_status(&tx, &key.subject, KeyStatus::Active).await.unwrap();
    assert!(matches!(keys::set_status(&tx, &[5; 32], KeyStatus::Active).await, Err(StorageError::NotFound { .. })));
    tx.commit().await.unwrap();

    let active = PartyKey { status: KeyStatus::Active, ..key.clone() };
    assert_eq!(keys::get(&home.storage, &[4; 32]).await.unwrap(), active);
    assert_eq!(keys::list(&home.storage).await.unwrap(), [active]);
    assert_eq!(keys::find(&home.storage, &[5; 32]).await.unwrap(), None);

    let orphan = PartyKey { subject: [6; 32], operation: OperationId::random(), ..key };
    let refused = keys::insert(&home.begin().await, &orphan).await;
    assert!(matches!(refused, Err(StorageError::MissingReference { table: "party_keys" })), "{refused:?}");
}

#[tokio::test]
async fn a_seal_and_its_private_key() {
    let home = Home::new().await;
    let (imprint, operation) = (home.document(b"%PDF").await.id, home.operation().await.id);
    let seal = Seal {
        operation: operation.clone(),
        subject: None,
        name: "合同专用章".to_owned(),
        kind: "contract".to_owned(),
        owner: [4; 32],
        company_name: "甲公司".to_owned(),
        bottom_text: "合同专用章".to_owned(),
        imprint,
        certificate_der: vec![0x30, 0x82],
        chain: vec![vec![0x30, 1], vec![0x30, 2]],
        key: SealKeyId::random(),
        status: SealStatus::Pending,
        created_ms: NOW,
    };
    let tx = home.begin().await;
    seal_keys::insert(&tx, &home.encryption, &seal.key, b"pkcs8 of the seal", NOW).await.unwrap();
    seals::insert(&tx, &seal).await.unwrap();
    assert_eq!(seals::by_operation(&tx, &operation).await.unwrap(), seal);
    seals::set_subject(&tx, &operation, &[8; 32]).await.unwrap();
    seals::set_status(&tx, &operation, SealStatus::Active).await.unwrap();
    tx.commit().await.unwrap();

    let active = Seal { subject: Some([8; 32]), status: SealStatus::Active, ..seal.clone() };
    assert_eq!(seals::get(&home.storage, &[8; 32]).await.unwrap(), active);
    assert_eq!(seals::list_by_owner(&home.storage, &[4; 32]).await.unwrap(), [active]);
    assert_eq!(seals::find(&home.storage, &[9; 32]).await.unwrap(), None);
    let opened = seal_keys::open(&home.storage, &home.encryption, &seal.key).await.unwrap();
    assert_eq!(opened.as_slice(), b"pkcs8 of the seal");

    let tx = home.begin().await;
    let replaced = seal_keys::insert(&tx, &home.encryption, &seal.key, b"another", NOW).await;
    assert!(matches!(replaced, Err(StorageError::Conflict { .. })));
    tx.rollback().await.unwrap();

    let folder = tempfile::tempdir().unwrap();
    let other = KeyEncryption::create(&folder.path().join("k")).unwrap();
    assert!(matches!(
        seal_keys::open(&home.storage, &other, &seal.key).await,
        Err(StorageError::Encryption(EncryptionError::WrongMasterKey { .. }))
    ));
    home.damage("UPDATE seal_keys SET sealed = substr(sealed, 1, length(sealed) - 1) || x'00'").await;
    assert!(matches!(
        seal_keys::open(&home.storage, &home.encryption, &seal.key).await,
        Err(StorageError::Encryption(EncryptionError::Corrupt { .. }))
    ));
}

#[tokio::test]
async fn a_contract_is_updated_only_as_it_was_read() {
    let home = Home::new().await;
    let mut contract = home.contract().await;
    let mut other_reader = contracts::get(&home.storage, &contract.id).await.unwrap();
    assert_eq!(other_reader, contract);

    let signed = home.document(b"signed").await.id;
    contract.subject = Some([3; 32]);
    contract.status = ContractStatus::Signing;
    contract.version = 1;
    contract.version_commitment = Some([5; 32]);
    contract.current_revision = Some(signed.clone());
    contract.final_document = Some(signed);
    contract.slots = json!([{"role": 1, "signed": true}]);
    let tx = home.begin().await;
    contracts::update(&tx, &mut contract, NOW + 1).await.unwrap();
    tx.commit().await.unwrap();
    assert_eq!((contract.row_version, contract.updated_ms), (1, NOW + 1));
    assert_eq!(contracts::get(&home.storage, &contract.id).await.unwrap(), contract);
    assert_eq!(contracts::by_subject(&home.storage, &[3; 32]).await.unwrap(), contract);

    other_reader.title = "另一份".to_owned();
    let refused = contracts::update(&home.begin().await, &mut other_reader, NOW + 2).await;
    assert!(matches!(refused, Err(StorageError::Stale { .. })), "{refused:?}");
    assert_eq!(other_reader.row_version, 0);

    let twin = contracts::Contract { subject: Some([3; 32]), ..new_contract(contract.document.clone()) };
    assert!(matches!(
        contracts::insert(&home.begin().await, &twin).await,
        Err(StorageError::Conflict { columns, .. }) if columns == "subject"
    ));
    let homeless = new_contract(DocumentId::random());
    assert!(matches!(
        contracts::insert(&home.begin().await, &homeless).await,
        Err(StorageError::MissingReference { table: "contracts" })
    ));
}

#[tokio::test]
async fn one_signature_of_a_contract_is_prepared_at_a_time() {
    let home = Home::new().await;
    let mut contract = home.contract().await;
    let (first, second) = (OperationId::random(), OperationId::random());
    let tx = home.begin().await;
    contracts::acquire_busy(&tx, &contract.id, &first, NOW + 900, NOW).await.unwrap();
    contracts::acquire_busy(&tx, &contract.id, &first, NOW + 1000, NOW + 1).await.unwrap();
    let refused = contracts::acquire_busy(&tx, &contract.id, &second, NOW + 2000, NOW + 999).await;
    assert!(
        matches!(&refused, Err(StorageError::Busy { operation, until_ms }) if *operation == first && *until_ms == NOW + 1000),
        "{refused:?}"
    );
    contracts::release_busy(&tx, &contract.id, &second).await.unwrap();
    let held = contracts::get(&tx, &contract.id).await.unwrap().busy;
    assert_eq!(held, Some(Busy { operation: first, until_ms: NOW + 1000 }));

    contracts::acquire_busy(&tx, &contract.id, &second, NOW + 2000, NOW + 1000).await.unwrap();
    contracts::update(&tx, &mut contract, NOW).await.unwrap();
    let held = contracts::get(&tx, &contract.id).await.unwrap().busy;
    assert_eq!(held.unwrap().operation, second, "an update leaves the reservation alone");
    contracts::release_busy(&tx, &contract.id, &second).await.unwrap();
    assert_eq!(contracts::get(&tx, &contract.id).await.unwrap().busy, None);
    assert!(matches!(
        contracts::acquire_busy(&tx, &ContractId::random(), &second, NOW + 1, NOW).await,
        Err(StorageError::NotFound { .. })
    ));
}

#[tokio::test]
async fn contracts_are_listed_in_pages_newest_first() {
    let home = Home::new().await;
    let document = home.document(b"%PDF").await.id;
    let tx = home.begin().await;
    for at in [0, 0, 1, 1, 1, 2, 3] {
        let contract = contracts::Contract { created_ms: NOW + at, ..new_contract(document.clone()) };
        contracts::insert(&tx, &contract).await.unwrap();
    }
    tx.commit().await.unwrap();

    let all = contracts::list(&home.storage, None, 100).await.unwrap();
    assert_eq!(all.iter().map(|c| c.created_ms - NOW).collect::<Vec<_>>(), [3, 2, 1, 1, 1, 0, 0]);
    let (mut paged, mut cursor) = (vec![], None);
    loop {
        let page = contracts::list(&home.storage, cursor, 2).await.unwrap();
        let Some(last) = page.last() else { break };
        cursor = Some((last.created_ms, last.id.clone()));
        paged.extend(page);
    }
    assert_eq!(paged, all);
}

#[tokio::test]
async fn certificates_are_numbered_once() {
    let home = Home::new().await;
    let contract = home.contract().await;
    let certificate = Certificate {
        number: "QZ-2026-000001".to_owned(),
        contract: contract.id.clone(),
        document: home.document(b"certificate").await.id,
        proof_document: home.document(b"proof").await.id,
        created_ms: NOW,
    };
    let tx = home.begin().await;
    certificates::insert(&tx, &certificate).await.unwrap();
    assert!(matches!(
        certificates::insert(&tx, &certificate).await,
        Err(StorageError::Conflict { columns, .. }) if columns == "number"
    ));
    tx.commit().await.unwrap();
    assert_eq!(certificates::get(&home.storage, "QZ-2026-000001").await.unwrap(), certificate);
    assert_eq!(certificates::for_contract(&home.storage, &contract.id).await.unwrap(), [certificate]);
    assert_eq!(certificates::count(&home.storage).await.unwrap(), 1);
    assert_eq!(certificates::find(&home.storage, "QZ-2026-000002").await.unwrap(), None);
}

#[tokio::test]
async fn the_audit_log_is_read_in_order() {
    let home = Home::new().await;
    let line = |action: &str| AuditLine {
        time_ms: NOW,
        actor: "admin".to_owned(),
        ip: Some("127.0.0.1".to_owned()),
        action: action.to_owned(),
        subject: None,
        detail: "做了一件事".to_owned(),
    };
    let tx = home.begin().await;
    for action in ["a", "b", "c"] {
        audit::append(&tx, &line(action)).await.unwrap();
    }
    tx.commit().await.unwrap();
    let first = audit::list(&home.storage, 0, 2).await.unwrap();
    assert_eq!(first.iter().map(|(_, line)| line.action.as_str()).collect::<Vec<_>>(), ["a", "b"]);
    let rest = audit::list(&home.storage, first[1].0, 2).await.unwrap();
    assert_eq!(rest.into_iter().map(|(_, line)| line).collect::<Vec<_>>(), [line("c")]);
}

#[tokio::test]
async fn a_damaged_row_is_an_error_with_table_key_and_column() {
    let home = Home::new().await;
    let contract = home.contract().await;
    for (damage, column_damaged) in [
        ("status = 'Signing'", "status"),
        ("subject = 'abcd'", "subject"),
        ("slots = '[{'", "slots"),
        ("version = -1", "version"),
        ("document_id = '../../etc'", "document_id"),
        ("busy_until_ms = 5", "busy_until_ms"),
    ] {
        let column_name = damage.split(' ').next().unwrap();
        home.damage(&format!("UPDATE contracts SET {damage}")).await;
        match contracts::get(&home.storage, &contract.id).await {
            Err(StorageError::CorruptRow { table, key, column, .. }) => {
                assert_eq!((table, key.as_str(), column), ("contracts", contract.id.as_str(), column_damaged));
            }
            other => panic!("{damage}: {other:?}"),
        }
        let good = match column_name {
            "status" => "'pending'".to_owned(),
            "slots" => "'[]'".to_owned(),
            "version" => "0".to_owned(),
            "document_id" => format!("'{}'", contract.document),
            _ => "NULL".to_owned(),
        };
        home.damage(&format!("UPDATE contracts SET {column_name} = {good}")).await;
    }
    contracts::get(&home.storage, &contract.id).await.unwrap();
}
