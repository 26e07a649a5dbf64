//! A home folder with a master key and an open database, and valid rows to start from.

use std::path::Path;

use qz_storage::contracts::{Contract, ContractStatus};
use qz_storage::documents::Document;
use qz_storage::operations::{self, FollowupStatus, Operation, OperationStatus, RequiredActor};
use qz_storage::tokens::Token;
use qz_storage::{
    BlobStore, ContractId, DocumentId, KeyEncryption, OperationId, Storage, TokenId, Tx, contracts, documents,
    master_key_path, tokens,
};
use serde_json::json;
use tempfile::TempDir;

/// A Sunday in 2026.
pub const NOW: u64 = 1_795_000_000_000;

pub struct Home {
    pub folder: TempDir,
    pub storage: Storage,
    pub encryption: KeyEncryption,
    pub blobs: BlobStore,
}

impl Home {
    pub async fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let encryption = KeyEncryption::create(&master_key_path(folder.path())).unwrap();
        let storage = Storage::open(folder.path()).await.unwrap();
        storage.bind_key(&encryption).await.unwrap();
        let blobs = BlobStore::open(folder.path(), encryption.clone()).unwrap();
        Self { folder, storage, encryption, blobs }
    }

    pub fn path(&self) -> &Path {
        self.folder.path()
    }

    /// Stores a document with its blob.
    pub async fn document(&self, content: &[u8]) -> Document {
        let document = Document {
            id: DocumentId::random(),
            sha256: [7; 32],
            file_name: Some("采购合同.pdf".to_owned()),
            size: content.len() as u64,
            pages: json!([{"width_mm": 210.0, "height_mm": 297.0}]),
            blob: self.blobs.put(content).await.unwrap(),
            created_ms: NOW,
            template: None,
        };
        let tx = self.storage.begin().await.unwrap();
        documents::insert(&tx, &document).await.unwrap();
        tx.commit().await.unwrap();
        document
    }

    /// Stores a contract and its document.
    pub async fn contract(&self) -> Contract {
        let contract = new_contract(self.document(b"%PDF").await.id);
        let tx = self.storage.begin().await.unwrap();
        contracts::insert(&tx, &contract).await.unwrap();
        tx.commit().await.unwrap();
        contract
    }

    /// Stores an operation that awaits two signatures.
    pub async fn operation(&self) -> Operation {
        let operation = new_operation(&self.encryption);
        let tx = self.storage.begin().await.unwrap();
        operations::insert(&tx, &operation).await.unwrap();
        tx.commit().await.unwrap();
        operation
    }

    /// Stores a token.
    pub async fn token(&self, name: &str, hash: u8) -> Token {
        let token = Token {
            account: None,
            id: TokenId::random(),
            name: name.to_owned(),
            sha256: [hash; 32],
            created_ms: NOW + u64::from(hash),
            revoked_ms: None,
        };
        let tx = self.storage.begin().await.unwrap();
        tokens::insert(&tx, &token).await.unwrap();
        tx.commit().await.unwrap();
        token
    }

    pub async fn begin(&self) -> Tx {
        self.storage.begin().await.unwrap()
    }

    /// Changes the database behind the storage's back.
    pub async fn damage(&self, sql: &str) {
        use sea_orm::{ConnectionTrait, Database};
        let url = format!("sqlite://{}", self.path().join("gateway.sqlite").display());
        let connection = Database::connect(url).await.unwrap();
        // The pool of a plain URL has one connection, so this holds for the next statement.
        let pragma = "PRAGMA foreign_keys = OFF";
        connection.execute_unprepared(pragma).await.unwrap();
        let done = connection.execute_unprepared(sql).await.unwrap();
        assert_eq!(done.rows_affected(), 1, "{sql}");
        connection.close().await.unwrap();
    }
}

pub fn new_contract(document: DocumentId) -> Contract {
    Contract {
        id: ContractId::random(),
        subject: None,
        title: "采购合同".to_owned(),
        number: "CG-2026-001".to_owned(),
        document,
        initiator: [1; 32],
        amends: None,
        status: ContractStatus::Pending,
        slots: json!([{"role": 1, "kind": "seal"}]),
        rules: json!([{"group": 1, "required": 1}]),
        version: 0,
        version_commitment: None,
        current_revision: None,
        final_document: None,
        signature_level: None,
        certified: false,
        busy: None,
        created_ms: NOW,
        updated_ms: NOW,
        row_version: 0,
    }
}

pub fn new_operation(encryption: &KeyEncryption) -> Operation {
    let id = OperationId::random();
    let mut digest = [0; 32];
    digest.copy_from_slice(&id.as_str().as_bytes()[..32]);
    let openings = json!([{"name": "title", "salt": "00ff", "value": "采购合同"}]);
    Operation {
        kind: "contract.opened".to_owned(),
        body: vec![0xa1, 0x00, 0x01],
        digest,
        created_subject: Some([9; 32]),
        contract: None,
        openings: operations::seal_openings(encryption, &id, &openings),
        required: vec![
            RequiredActor { subject: [1; 32], why: "发起人".to_owned() },
            RequiredActor { subject: [2; 32], why: "见证".to_owned() },
        ],
        signatures: vec![],
        status: OperationStatus::AwaitingSignatures,
        error: None,
        record: None,
        payload: json!({"slot": 2}),
        followup: FollowupStatus::None,
        followup_detail: None,
        created_ms: NOW,
        updated_ms: NOW,
        id,
    }
}
