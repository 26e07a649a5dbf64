//! Seal data of GB/T 38540 that belong to seals, each with the SM2 key and certificate that may sign with it.

use sea_orm::IntoActiveModel;
use sea_orm::entity::prelude::*;

use crate::database::{self, Read, Tx};
use crate::error::StorageError;
use crate::ids::{OperationId, SealKeyId};
use crate::row::{Row, integer};

const TABLE: &str = "seal_data";

mod entity {
    use sea_orm::entity::prelude::*;

    #[derive(Clone, Debug, DeriveEntityModel)]
    #[sea_orm(table_name = "seal_data")]
    pub struct Model {
        #[sea_orm(primary_key, auto_increment = false)]
        pub operation_id: String,
        pub esl: Vec<u8>,
        pub certificate_der: Vec<u8>,
        pub key_id: String,
        pub created_ms: i64,
    }

    #[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
    pub enum Relation {}

    impl ActiveModelBehavior for ActiveModel {}
}

/// The data of one seal.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SealData {
    /// The operation that makes the seal.
    pub operation: OperationId,
    /// SESeal, DER.
    pub esl: Vec<u8>,
    /// The certificate that it names, DER.
    pub certificate_der: Vec<u8>,
    /// That certificate's private key.
    pub key: SealKeyId,
    /// When it was made.
    pub created_ms: u64,
}

/// Adds the data of a seal; seal and key must exist.
///
/// # Errors
/// [`StorageError::Conflict`] if the seal has data.
pub async fn insert(tx: &Tx, data: &SealData) -> Result<(), StorageError> {
    let row = entity::Model {
        operation_id: data.operation.to_string(),
        esl: data.esl.clone(),
        certificate_der: data.certificate_der.clone(),
        key_id: data.key.to_string(),
        created_ms: integer(data.created_ms)?,
    };
    database::insert(tx, TABLE, row.into_active_model()).await
}

/// The data of the seal that this operation makes, if it has any.
///
/// # Errors
/// If the database failed or the row is damaged.
pub async fn find(read: &impl Read, operation: &OperationId) -> Result<Option<SealData>, StorageError> {
    let found = entity::Entity::find_by_id(operation.as_str()).one(read.connection()).await;
    let Some(model) = found.map_err(StorageError::database(TABLE))? else { return Ok(None) };
    let row = Row { table: TABLE, key: &model.operation_id };
    Ok(Some(SealData {
        operation: row.parse("operation_id", &model.operation_id)?,
        key: row.parse("key_id", &model.key_id)?,
        created_ms: row.number("created_ms", model.created_ms)?,
        esl: model.esl,
        certificate_der: model.certificate_der,
    }))
}
