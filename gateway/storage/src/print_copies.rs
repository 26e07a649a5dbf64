//! The log of controlled print copies 防伪打印: who had which copy of which file made, when and what for. Lines are
//! added and never changed.

use sea_orm::entity::prelude::*;
use sea_orm::{IntoActiveModel, QueryOrder};

use crate::database::{self, Read, Tx};
use crate::error::StorageError;
use crate::ids::{ContractId, DocumentId};
use crate::row::{Row, integer};

const TABLE: &str = "print_copies";

mod entity {
    use sea_orm::entity::prelude::*;

    #[derive(Clone, Debug, DeriveEntityModel)]
    #[sea_orm(table_name = "print_copies")]
    pub struct Model {
        #[sea_orm(primary_key, auto_increment = false)]
        pub contract_id: String,
        #[sea_orm(primary_key, auto_increment = false)]
        pub number: i64,
        pub code: String,
        pub requester: String,
        pub account: Option<String>,
        pub printed_for: String,
        pub purpose: String,
        pub source_sha256: String,
        pub document_id: String,
        pub made_ms: i64,
    }

    #[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
    pub enum Relation {}

    impl ActiveModelBehavior for ActiveModel {}
}

/// A copy that was made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PrintCopy {
    /// The contract.
    pub contract: ContractId,
    /// Which copy of it, from 1.
    pub number: u64,
    /// What is printed on it, unique.
    pub code: String,
    /// The token that asked for it.
    pub requester: String,
    /// The token's account; nothing: an operator's.
    pub account: Option<String>,
    /// For whom, as the requester says.
    pub printed_for: String,
    /// What for, as the requester says.
    pub purpose: String,
    /// SHA-256 of the signed file that was copied.
    pub source_sha256: [u8; 32],
    /// The copy.
    pub document: DocumentId,
    /// When.
    pub made_ms: u64,
}

/// Adds a copy; its document must exist.
///
/// # Errors
/// [`StorageError::Conflict`] if the number is taken: somebody else was faster.
pub async fn insert(tx: &Tx, copy: &PrintCopy) -> Result<(), StorageError> {
    let row = entity::Model {
        contract_id: copy.contract.to_string(),
        number: integer(copy.number)?,
        code: copy.code.clone(),
        requester: copy.requester.clone(),
        account: copy.account.clone(),
        printed_for: copy.printed_for.clone(),
        purpose: copy.purpose.clone(),
        source_sha256: hex::encode(copy.source_sha256),
        document_id: copy.document.to_string(),
        made_ms: integer(copy.made_ms)?,
    };
    database::insert(tx, TABLE, row.into_active_model()).await
}

/// All copies of a contract, in the order of their numbers.
///
/// # Errors
/// If the database failed or a row is damaged.
pub async fn of_contract(read: &impl Read, contract: &ContractId) -> Result<Vec<PrintCopy>, StorageError> {
    let found = entity::Entity::find()
        .filter(entity::Column::ContractId.eq(contract.as_str()))
        .order_by_asc(entity::Column::Number)
        .all(read.connection())
        .await;
    found.map_err(StorageError::database(TABLE))?.into_iter().map(decode).collect()
}

/// The copy of this code.
///
/// # Errors
/// If the database failed or the row is damaged.
pub async fn find(read: &impl Read, code: &str) -> Result<Option<PrintCopy>, StorageError> {
    let found = entity::Entity::find().filter(entity::Column::Code.eq(code)).one(read.connection()).await;
    found.map_err(StorageError::database(TABLE))?.map(decode).transpose()
}

fn decode(model: entity::Model) -> Result<PrintCopy, StorageError> {
    let row = Row { table: TABLE, key: &model.code };
    Ok(PrintCopy {
        contract: row.parse("contract_id", &model.contract_id)?,
        number: row.number("number", model.number)?,
        source_sha256: row.hash("source_sha256", &model.source_sha256)?,
        document: row.parse("document_id", &model.document_id)?,
        made_ms: row.number("made_ms", model.made_ms)?,
        code: model.code.clone(),
        requester: model.requester,
        account: model.account,
        printed_for: model.printed_for,
        purpose: model.purpose,
    })
}
