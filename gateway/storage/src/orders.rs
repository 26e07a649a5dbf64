//! Signing certificates that were asked for: how far each is, and what it waits for. The certificate itself
//! is in [`crate::certificates`] once it is issued, under the same number.

use sea_orm::entity::prelude::*;
use sea_orm::sea_query::Expr;
use sea_orm::{IntoActiveModel, QueryOrder};

use crate::database::{self, Read, Tx, sealed::Connection as _};
use crate::error::StorageError;
use crate::ids::ContractId;
use crate::row::{Row, integer};
use crate::text_enum::text_enum;

const TABLE: &str = "certificate_orders";

mod entity {
    use sea_orm::entity::prelude::*;

    #[derive(Clone, Debug, DeriveEntityModel)]
    #[sea_orm(table_name = "certificate_orders")]
    pub struct Model {
        #[sea_orm(primary_key, auto_increment = false)]
        pub number: String,
        pub contract_id: String,
        pub status: String,
        pub error: Option<String>,
        pub created_ms: i64,
        pub updated_ms: i64,
    }

    #[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
    pub enum Relation {}

    impl ActiveModelBehavior for ActiveModel {}
}

text_enum! {
    /// How far a certificate is.
    pub enum OrderStatus {
        /// A job makes it.
        Preparing => "preparing",
        /// No node gives the proof yet.
        WaitingForLedger => "waiting_for_ledger",
        /// An outside witness has not cosigned yet.
        WaitingForWitness => "waiting_for_witness",
        /// The timestamp authority has not stamped yet.
        WaitingForTimestamp => "waiting_for_timestamp",
        /// It can be fetched.
        Issued => "issued",
        /// It could not be made; an operator must look.
        Failed => "failed",
    }
}

impl OrderStatus {
    /// Nothing more happens by itself.
    #[must_use]
    pub fn is_settled(self) -> bool {
        matches!(self, Self::Issued | Self::Failed)
    }
}

/// A certificate that was asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Order {
    /// The number that the certificate has or will have.
    pub number: String,
    /// The contract.
    pub contract: ContractId,
    /// How far it is.
    pub status: OrderStatus,
    /// Why it is not further.
    pub error: Option<String>,
    /// When it was asked for.
    pub created_ms: u64,
    /// When its status last changed.
    pub updated_ms: u64,
}

/// Adds an order; the contract must exist.
///
/// # Errors
/// [`StorageError::Conflict`] if the number exists.
pub async fn insert(tx: &Tx, order: &Order) -> Result<(), StorageError> {
    let row = entity::Model {
        number: order.number.clone(),
        contract_id: order.contract.to_string(),
        status: order.status.to_string(),
        error: order.error.clone(),
        created_ms: integer(order.created_ms)?,
        updated_ms: integer(order.updated_ms)?,
    };
    database::insert(tx, TABLE, row.into_active_model()).await
}

/// The order of this number, if there is one.
///
/// # Errors
/// If the database failed or the row is damaged.
pub async fn find(read: &impl Read, number: &str) -> Result<Option<Order>, StorageError> {
    let found = entity::Entity::find_by_id(number).one(read.connection()).await;
    found.map_err(StorageError::database(TABLE))?.map(decode).transpose()
}

/// The orders of a contract, oldest first.
///
/// # Errors
/// If the database failed or a row is damaged.
pub async fn for_contract(read: &impl Read, contract: &ContractId) -> Result<Vec<Order>, StorageError> {
    let found = entity::Entity::find()
        .filter(entity::Column::ContractId.eq(contract.as_str()))
        .order_by_asc(entity::Column::CreatedMs)
        .order_by_asc(entity::Column::Number)
        .all(read.connection())
        .await;
    found.map_err(StorageError::database(TABLE))?.into_iter().map(decode).collect()
}

/// Notes how far it is. What is issued stays issued.
///
/// # Errors
/// [`StorageError::NotFound`] if there is no such order, or it is issued already.
pub async fn set(
    tx: &Tx, number: &str, status: OrderStatus, error: Option<&str>, now_ms: u64,
) -> Result<(), StorageError> {
    let done = entity::Entity::update_many()
        .col_expr(entity::Column::Status, Expr::value(status.as_str()))
        .col_expr(entity::Column::Error, Expr::value(error.map(str::to_owned)))
        .col_expr(entity::Column::UpdatedMs, Expr::value(integer(now_ms)?))
        .filter(entity::Column::Number.eq(number))
        .filter(entity::Column::Status.ne(OrderStatus::Issued.as_str()))
        .exec(tx.connection())
        .await
        .map_err(StorageError::database(TABLE))?;
    match done.rows_affected {
        0 => Err(StorageError::not_found(TABLE, number)),
        _ => Ok(()),
    }
}

fn decode(model: entity::Model) -> Result<Order, StorageError> {
    let row = Row { table: TABLE, key: &model.number };
    Ok(Order {
        contract: row.parse("contract_id", &model.contract_id)?,
        status: row.parse("status", &model.status)?,
        created_ms: row.number("created_ms", model.created_ms)?,
        updated_ms: row.number("updated_ms", model.updated_ms)?,
        error: model.error,
        number: model.number,
    })
}
