//! Courts' retrievals that were presented to this gateway, and the package that was made for each. The
//! request, which names the case, is encrypted.

use sea_orm::entity::prelude::*;
use sea_orm::sea_query::Expr;
use sea_orm::{IntoActiveModel, QueryOrder, QuerySelect};

use crate::database::{self, Read, Tx, sealed::Connection as _};
use crate::encryption::{KeyEncryption, Sealed};
use crate::error::StorageError;
use crate::ids::DocumentId;
use crate::row::{Row, integer};
use crate::text_enum::text_enum;

const TABLE: &str = "retrievals";

mod entity {
    use sea_orm::entity::prelude::*;

    #[derive(Clone, Debug, DeriveEntityModel)]
    #[sea_orm(table_name = "retrievals")]
    pub struct Model {
        #[sea_orm(primary_key, auto_increment = false)]
        pub digest: String,
        pub record_hash: String,
        pub court: String,
        pub request: Vec<u8>,
        pub notice_after: Option<String>,
        pub status: String,
        pub document_id: Option<String>,
        pub error: Option<String>,
        pub created_ms: i64,
        pub updated_ms: i64,
    }

    #[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
    pub enum Relation {}

    impl ActiveModelBehavior for ActiveModel {}
}

text_enum! {
    /// How far a package is.
    pub enum PackageStatus {
        /// A job makes it.
        Preparing => "preparing",
        /// No node gives a proof that holds.
        WaitingForLedger => "waiting_for_ledger",
        /// An outside witness does not cosign.
        WaitingForWitness => "waiting_for_witness",
        /// The timestamp authority does not answer.
        WaitingForTimestamp => "waiting_for_timestamp",
        /// It can be fetched.
        Ready => "ready",
        /// It could not be made; an operator must look.
        Failed => "failed",
    }
}

/// A retrieval that a court presented.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Retrieval {
    /// Digest of the court's body.
    pub digest: [u8; 32],
    /// The record.
    pub record: [u8; 32],
    /// Id of the court.
    pub court: String,
    /// The request as a file, without its signature.
    pub request: Vec<u8>,
    /// Until when notice to the parties is deferred, `YYYY-MM-DD`.
    pub notice_after: Option<String>,
    /// How far its package is.
    pub status: PackageStatus,
    /// The package.
    pub document: Option<DocumentId>,
    /// Why there is none.
    pub error: Option<String>,
    /// When it was presented first.
    pub created_ms: u64,
    /// When it last changed.
    pub updated_ms: u64,
}

/// Adds a retrieval.
///
/// # Errors
/// [`StorageError::Conflict`] if it was presented before.
pub async fn insert(tx: &Tx, encryption: &KeyEncryption, retrieval: &Retrieval) -> Result<(), StorageError> {
    let digest = hex::encode(retrieval.digest);
    let row = entity::Model {
        request: encryption.seal(&context(&digest), &retrieval.request).0,
        record_hash: hex::encode(retrieval.record),
        court: retrieval.court.clone(),
        notice_after: retrieval.notice_after.clone(),
        status: retrieval.status.to_string(),
        document_id: retrieval.document.as_ref().map(ToString::to_string),
        error: retrieval.error.clone(),
        created_ms: integer(retrieval.created_ms)?,
        updated_ms: integer(retrieval.updated_ms)?,
        digest,
    };
    database::insert(tx, TABLE, row.into_active_model()).await
}

/// The retrieval of this body, if it was presented.
///
/// # Errors
/// If the database failed or the row is damaged.
pub async fn find(
    read: &impl Read, encryption: &KeyEncryption, digest: &[u8; 32],
) -> Result<Option<Retrieval>, StorageError> {
    let found = entity::Entity::find_by_id(hex::encode(digest))
        .one(read.connection())
        .await
        .map_err(StorageError::database(TABLE))?;
    found.map(|model| decode(model, encryption)).transpose()
}

/// The latest retrievals, newest first.
///
/// # Errors
/// If the database failed or a row is damaged.
pub async fn list(read: &impl Read, encryption: &KeyEncryption, limit: u64) -> Result<Vec<Retrieval>, StorageError> {
    let rows = entity::Entity::find()
        .order_by_desc(entity::Column::CreatedMs)
        .order_by_desc(entity::Column::Digest)
        .limit(limit)
        .all(read.connection())
        .await
        .map_err(StorageError::database(TABLE))?;
    rows.into_iter().map(|model| decode(model, encryption)).collect()
}

/// Notes how far the package is.
///
/// # Errors
/// [`StorageError::NotFound`].
pub async fn set_package(
    tx: &Tx, digest: &[u8; 32], status: PackageStatus, document: Option<&DocumentId>, error: Option<&str>, now_ms: u64,
) -> Result<(), StorageError> {
    let digest = hex::encode(digest);
    let done = entity::Entity::update_many()
        .col_expr(entity::Column::Status, Expr::value(status.as_str()))
        .col_expr(entity::Column::DocumentId, Expr::value(document.map(ToString::to_string)))
        .col_expr(entity::Column::Error, Expr::value(error.map(str::to_owned)))
        .col_expr(entity::Column::UpdatedMs, Expr::value(integer(now_ms)?))
        .filter(entity::Column::Digest.eq(&digest))
        .exec(tx.connection())
        .await
        .map_err(StorageError::database(TABLE))?;
    match done.rows_affected {
        0 => Err(StorageError::not_found(TABLE, digest)),
        _ => Ok(()),
    }
}

fn decode(model: entity::Model, encryption: &KeyEncryption) -> Result<Retrieval, StorageError> {
    let row = Row { table: TABLE, key: &model.digest };
    Ok(Retrieval {
        digest: row.hash("digest", &model.digest)?,
        record: row.hash("record_hash", &model.record_hash)?,
        request: encryption.open(&context(&model.digest), &Sealed(model.request.clone()))?.to_vec(),
        status: row.parse("status", &model.status)?,
        document: row.parse_opt("document_id", model.document_id.as_deref())?,
        created_ms: row.number("created_ms", model.created_ms)?,
        updated_ms: row.number("updated_ms", model.updated_ms)?,
        court: model.court,
        notice_after: model.notice_after,
        error: model.error,
    })
}

/// Names the row, as the encrypted request's context.
fn context(digest: &str) -> String {
    format!("{TABLE}/{digest}")
}
