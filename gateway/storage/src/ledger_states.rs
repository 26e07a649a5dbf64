//! What the ledger says of our contracts, also by records that other members relayed; and how far the
//! ledger was read for that.

use sea_orm::IntoActiveModel;
use sea_orm::entity::prelude::*;
use sea_orm::sea_query::OnConflict;

use crate::database::{Read, Tx, sealed::Connection as _};
use crate::error::StorageError;
use crate::ids::ContractId;
use crate::row::{Row, integer};

const TABLE: &str = "ledger_states";
const CURSOR_TABLE: &str = "ledger_cursor";
/// There is one cursor.
const CURSOR: i64 = 1;

mod entity {
    use sea_orm::entity::prelude::*;

    #[derive(Clone, Debug, DeriveEntityModel)]
    #[sea_orm(table_name = "ledger_states")]
    pub struct Model {
        #[sea_orm(primary_key, auto_increment = false)]
        pub contract_id: String,
        pub status: String,
        pub records: i64,
        pub height: i64,
        pub time_ms: i64,
    }

    #[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
    pub enum Relation {}

    impl ActiveModelBehavior for ActiveModel {}
}

mod cursor {
    use sea_orm::entity::prelude::*;

    #[derive(Clone, Debug, DeriveEntityModel)]
    #[sea_orm(table_name = "ledger_cursor")]
    pub struct Model {
        #[sea_orm(primary_key, auto_increment = false)]
        pub id: i64,
        pub height: i64,
    }

    #[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
    pub enum Relation {}

    impl ActiveModelBehavior for ActiveModel {}
}

/// Where a contract stands on the ledger, as a verified proof said.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LedgerState {
    /// The ledger's name of the status, such as `disputed`.
    pub status: String,
    /// Records about the contract.
    pub records: u64,
    /// Height of the proof's head block.
    pub height: u64,
    /// Its time, milliseconds since 1970.
    pub time_ms: u64,
}

/// Notes a state, unless a later one is noted already. Says whether it was noted.
///
/// # Errors
/// If the database failed or the row is damaged.
pub async fn put(tx: &Tx, contract: &ContractId, state: &LedgerState) -> Result<bool, StorageError> {
    if find(tx, contract).await?.is_some_and(|known| known.height > state.height) {
        return Ok(false);
    }
    let row = entity::Model {
        contract_id: contract.to_string(),
        status: state.status.clone(),
        records: integer(state.records)?,
        height: integer(state.height)?,
        time_ms: integer(state.time_ms)?,
    };
    let replace = OnConflict::column(entity::Column::ContractId)
        .update_columns([
            entity::Column::Status,
            entity::Column::Records,
            entity::Column::Height,
            entity::Column::TimeMs,
        ])
        .to_owned();
    entity::Entity::insert(row.into_active_model())
        .on_conflict(replace)
        .exec_without_returning(tx.connection())
        .await
        .map_err(StorageError::database(TABLE))?;
    Ok(true)
}

/// The latest state that was noted.
///
/// # Errors
/// If the database failed or the row is damaged.
pub async fn find(read: &impl Read, contract: &ContractId) -> Result<Option<LedgerState>, StorageError> {
    let found = entity::Entity::find_by_id(contract.as_str()).one(read.connection()).await;
    let Some(model) = found.map_err(StorageError::database(TABLE))? else { return Ok(None) };
    let row = Row { table: TABLE, key: &model.contract_id };
    Ok(Some(LedgerState {
        records: row.number("records", model.records)?,
        height: row.number("height", model.height)?,
        time_ms: row.number("time_ms", model.time_ms)?,
        status: model.status,
    }))
}

/// Up to which height the ledger was read; nothing before the first time.
///
/// # Errors
/// If the database failed or the row is damaged.
pub async fn read_to(read: &impl Read) -> Result<Option<u64>, StorageError> {
    let found = cursor::Entity::find_by_id(CURSOR).one(read.connection()).await;
    let row = Row { table: CURSOR_TABLE, key: "1" };
    found.map_err(StorageError::database(CURSOR_TABLE))?.map(|model| row.number("height", model.height)).transpose()
}

/// Notes up to which height it was read.
///
/// # Errors
/// If the database failed.
pub async fn set_read_to(tx: &Tx, height: u64) -> Result<(), StorageError> {
    let row = cursor::Model { id: CURSOR, height: integer(height)? };
    let replace = OnConflict::column(cursor::Column::Id).update_column(cursor::Column::Height).to_owned();
    cursor::Entity::insert(row.into_active_model())
        .on_conflict(replace)
        .exec_without_returning(tx.connection())
        .await
        .map_err(StorageError::database(CURSOR_TABLE))?;
    Ok(())
}
