//! Documents: what is known about each stored PDF. The bytes are a blob; a document never changes, a
//! new revision of a contract is a new document.

use sea_orm::entity::prelude::*;
use sea_orm::{IntoActiveModel, QueryOrder};
use serde_json::Value;

use crate::blobs::BlobKey;
use crate::database::{self, Read, Tx};
use crate::error::StorageError;
use crate::ids::DocumentId;
use crate::row::{Row, integer, json_text};

const TABLE: &str = "documents";

mod entity {
    use sea_orm::entity::prelude::*;

    #[derive(Clone, Debug, DeriveEntityModel)]
    #[sea_orm(table_name = "documents")]
    pub struct Model {
        #[sea_orm(primary_key, auto_increment = false)]
        pub id: String,
        pub sha256: String,
        pub file_name: Option<String>,
        pub size: i64,
        pub pages: String,
        pub blob_key: String,
        pub created_ms: i64,
        pub template: Option<String>,
    }

    #[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
    pub enum Relation {}

    impl ActiveModelBehavior for ActiveModel {}
}

/// A stored document.
#[derive(Clone, Debug, PartialEq)]
pub struct Document {
    /// Its id.
    pub id: DocumentId,
    /// SHA-256 of the bytes; not unique: the same file may be uploaded twice.
    pub sha256: [u8; 32],
    /// The file's name as the user called it.
    pub file_name: Option<String>,
    /// Length in bytes.
    pub size: u64,
    /// Page sizes as the API shows them.
    pub pages: Value,
    /// Where the bytes are.
    pub blob: BlobKey,
    /// When it was stored.
    pub created_ms: u64,
    /// The template of ours that it was rendered from.
    pub template: Option<String>,
}

/// Adds a document whose blob is stored already.
///
/// # Errors
/// [`StorageError::Conflict`] if the id or the blob has a row.
pub async fn insert(tx: &Tx, document: &Document) -> Result<(), StorageError> {
    let row = entity::Model {
        id: document.id.to_string(),
        sha256: hex::encode(document.sha256),
        file_name: document.file_name.clone(),
        size: integer(document.size)?,
        pages: json_text(&document.pages),
        blob_key: document.blob.to_string(),
        created_ms: integer(document.created_ms)?,
        template: document.template.clone(),
    };
    database::insert(tx, TABLE, row.into_active_model()).await
}

/// The document with this id.
///
/// # Errors
/// [`StorageError::NotFound`].
pub async fn get(read: &impl Read, id: &DocumentId) -> Result<Document, StorageError> {
    entity::Entity::find_by_id(id.as_str())
        .one(read.connection())
        .await
        .map_err(StorageError::database(TABLE))?
        .ok_or_else(|| StorageError::not_found(TABLE, id))
        .and_then(decode)
}

/// The oldest document with these bytes.
///
/// # Errors
/// If the database failed or the row is damaged.
pub async fn find_by_sha256(read: &impl Read, sha256: &[u8; 32]) -> Result<Option<Document>, StorageError> {
    entity::Entity::find()
        .filter(entity::Column::Sha256.eq(hex::encode(sha256)))
        .order_by_asc(entity::Column::CreatedMs)
        .order_by_asc(entity::Column::Id)
        .one(read.connection())
        .await
        .map_err(StorageError::database(TABLE))?
        .map(decode)
        .transpose()
}

fn decode(model: entity::Model) -> Result<Document, StorageError> {
    let row = Row { table: TABLE, key: &model.id };
    Ok(Document {
        id: row.parse("id", &model.id)?,
        sha256: row.hash("sha256", &model.sha256)?,
        size: row.number("size", model.size)?,
        pages: row.json("pages", &model.pages)?,
        blob: row.parse("blob_key", &model.blob_key)?,
        created_ms: row.number("created_ms", model.created_ms)?,
        file_name: model.file_name,
        template: model.template,
    })
}
