//! Archived files of completed contracts (PAdES B-LTA): the newest one, and when it needs its next timestamp.

use sea_orm::entity::prelude::*;
use sea_orm::sea_query::{Expr, Query};
use sea_orm::{IntoActiveModel, QueryOrder, QuerySelect};

use crate::contracts::entity as contract;
use crate::database::{self, Read, Tx, sealed::Connection as _};
use crate::error::StorageError;
use crate::ids::{ContractId, DocumentId};
use crate::row::{Row, integer, integer_opt, text_opt};

const TABLE: &str = "archives";

mod entity {
    use sea_orm::entity::prelude::*;

    #[derive(Clone, Debug, DeriveEntityModel)]
    #[sea_orm(table_name = "archives")]
    pub struct Model {
        #[sea_orm(primary_key, auto_increment = false)]
        pub contract_id: String,
        pub document_id: Option<String>,
        pub timestamps: i64,
        pub due_ms: i64,
        pub stamped_ms: Option<i64>,
        pub authority_end_ms: Option<i64>,
        pub error: Option<String>,
        pub updated_ms: i64,
    }

    #[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
    pub enum Relation {}

    impl ActiveModelBehavior for ActiveModel {}
}

/// The archive of a contract.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Archive {
    /// The contract.
    pub contract: ContractId,
    /// The newest archived file; nothing before the first timestamp.
    pub document: Option<DocumentId>,
    /// Timestamps over the file so far.
    pub timestamps: u32,
    /// When the next one is due.
    pub due_ms: u64,
    /// When the last one was made.
    pub stamped_ms: Option<u64>,
    /// When the certificate of its authority ends.
    pub authority_end_ms: Option<u64>,
    /// Why the last attempt failed, if it did.
    pub error: Option<String>,
    /// When this changed last.
    pub updated_ms: u64,
}

fn model(archive: &Archive) -> Result<entity::Model, StorageError> {
    Ok(entity::Model {
        contract_id: archive.contract.to_string(),
        document_id: text_opt(archive.document.as_ref()),
        timestamps: i64::from(archive.timestamps),
        due_ms: integer(archive.due_ms)?,
        stamped_ms: integer_opt(archive.stamped_ms)?,
        authority_end_ms: integer_opt(archive.authority_end_ms)?,
        error: archive.error.clone(),
        updated_ms: integer(archive.updated_ms)?,
    })
}

/// Begins an archive.
///
/// # Errors
/// [`StorageError::Conflict`] if the contract has one.
pub async fn insert(tx: &Tx, archive: &Archive) -> Result<(), StorageError> {
    database::insert(tx, TABLE, model(archive)?.into_active_model()).await
}

/// Writes the state after a timestamp.
///
/// # Errors
/// [`StorageError::NotFound`].
pub async fn update(tx: &Tx, archive: &Archive) -> Result<(), StorageError> {
    let row = model(archive)?;
    let done = entity::Entity::update_many()
        .col_expr(entity::Column::DocumentId, Expr::value(row.document_id))
        .col_expr(entity::Column::Timestamps, Expr::value(row.timestamps))
        .col_expr(entity::Column::DueMs, Expr::value(row.due_ms))
        .col_expr(entity::Column::StampedMs, Expr::value(row.stamped_ms))
        .col_expr(entity::Column::AuthorityEndMs, Expr::value(row.authority_end_ms))
        .col_expr(entity::Column::Error, Expr::value(row.error))
        .col_expr(entity::Column::UpdatedMs, Expr::value(row.updated_ms))
        .filter(entity::Column::ContractId.eq(archive.contract.as_str()))
        .exec(tx.connection())
        .await
        .map_err(StorageError::database(TABLE))?;
    match done.rows_affected {
        0 => Err(StorageError::not_found(TABLE, &archive.contract)),
        _ => Ok(()),
    }
}

/// Notes why an attempt failed.
///
/// # Errors
/// If the database failed.
pub async fn set_error(tx: &Tx, contract: &str, error: &str, now_ms: u64) -> Result<(), StorageError> {
    entity::Entity::update_many()
        .col_expr(entity::Column::Error, Expr::value(error))
        .col_expr(entity::Column::UpdatedMs, Expr::value(integer(now_ms)?))
        .filter(entity::Column::ContractId.eq(contract))
        .exec(tx.connection())
        .await
        .map_err(StorageError::database(TABLE))?;
    Ok(())
}

/// The archive of a contract, if there is one.
///
/// # Errors
/// If the database failed or the row is damaged.
pub async fn find(read: &impl Read, contract: &ContractId) -> Result<Option<Archive>, StorageError> {
    let found = entity::Entity::find_by_id(contract.as_str()).one(read.connection()).await;
    let Some(model) = found.map_err(StorageError::database(TABLE))? else { return Ok(None) };
    let row = Row { table: TABLE, key: &model.contract_id };
    Ok(Some(Archive {
        contract: row.parse("contract_id", &model.contract_id)?,
        document: row.parse_opt("document_id", model.document_id.as_deref())?,
        timestamps: row.number("timestamps", model.timestamps)?,
        due_ms: row.number("due_ms", model.due_ms)?,
        stamped_ms: row.number_opt("stamped_ms", model.stamped_ms)?,
        authority_end_ms: row.number_opt("authority_end_ms", model.authority_end_ms)?,
        error: model.error.clone(),
        updated_ms: row.number("updated_ms", model.updated_ms)?,
    }))
}

/// Completed contracts without an archive.
///
/// # Errors
/// If the database failed or a row is damaged.
pub async fn missing(read: &impl Read) -> Result<Vec<ContractId>, StorageError> {
    let mut archived = Query::select();
    archived.column(entity::Column::ContractId).from(entity::Entity);
    let ids: Vec<String> = contract::Entity::find()
        .select_only()
        .column(contract::Column::Id)
        .filter(contract::Column::FinalDocumentId.is_not_null())
        .filter(contract::Column::Id.not_in_subquery(archived))
        .order_by_asc(contract::Column::CreatedMs)
        .into_tuple()
        .all(read.connection())
        .await
        .map_err(StorageError::database(TABLE))?;
    ids.iter().map(|id| Row { table: TABLE, key: id }.parse("id", id)).collect()
}
