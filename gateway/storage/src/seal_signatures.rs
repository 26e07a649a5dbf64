//! Seal signatures 电子签章 of GB/T 38540 over the final files of contracts: at most one for each slot.

use sea_orm::entity::prelude::*;
use sea_orm::{IntoActiveModel, QueryOrder};

use crate::database::{self, Read, Tx};
use crate::error::StorageError;
use crate::ids::ContractId;
use crate::row::{Row, integer};

const TABLE: &str = "seal_signatures";

mod entity {
    use sea_orm::entity::prelude::*;

    #[derive(Clone, Debug, DeriveEntityModel)]
    #[sea_orm(table_name = "seal_signatures")]
    pub struct Model {
        #[sea_orm(primary_key, auto_increment = false)]
        pub contract_id: String,
        #[sea_orm(primary_key, auto_increment = false)]
        pub slot: i64,
        pub signature: Vec<u8>,
        pub document_sha256: String,
        pub signed_ms: i64,
    }

    #[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
    pub enum Relation {}

    impl ActiveModelBehavior for ActiveModel {}
}

/// A signature with the seal of one slot.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SealSignature {
    /// The contract.
    pub contract: ContractId,
    /// The slot whose seal it is.
    pub slot: u8,
    /// SES_Signature, DER.
    pub signature: Vec<u8>,
    /// SHA-256 of the file that it is over.
    pub document_sha256: [u8; 32],
    /// When.
    pub signed_ms: u64,
}

/// Adds a signature; its contract must exist.
///
/// # Errors
/// [`StorageError::Conflict`] if the slot has one.
pub async fn insert(tx: &Tx, signature: &SealSignature) -> Result<(), StorageError> {
    let row = entity::Model {
        contract_id: signature.contract.to_string(),
        slot: i64::from(signature.slot),
        signature: signature.signature.clone(),
        document_sha256: hex::encode(signature.document_sha256),
        signed_ms: integer(signature.signed_ms)?,
    };
    database::insert(tx, TABLE, row.into_active_model()).await
}

/// All signatures of a contract, in the order of the slots.
///
/// # Errors
/// If the database failed or a row is damaged.
pub async fn of_contract(read: &impl Read, contract: &ContractId) -> Result<Vec<SealSignature>, StorageError> {
    let found = entity::Entity::find()
        .filter(entity::Column::ContractId.eq(contract.as_str()))
        .order_by_asc(entity::Column::Slot)
        .all(read.connection())
        .await;
    found.map_err(StorageError::database(TABLE))?.into_iter().map(decode).collect()
}

fn decode(model: entity::Model) -> Result<SealSignature, StorageError> {
    let row = Row { table: TABLE, key: &model.contract_id };
    Ok(SealSignature {
        contract: row.parse("contract_id", &model.contract_id)?,
        slot: row.number("slot", model.slot)?,
        document_sha256: row.hash("document_sha256", &model.document_sha256)?,
        signed_ms: row.number("signed_ms", model.signed_ms)?,
        signature: model.signature,
    })
}
