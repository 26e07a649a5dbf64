//! Signatures of seals whose key is outside of the gateway (a USB key, a system of the company): brought by API
//! after the record is final, one for each operation.

use sea_orm::IntoActiveModel;
use sea_orm::entity::prelude::*;

use crate::database::{self, Read, Tx};
use crate::error::StorageError;
use crate::ids::OperationId;
use crate::row::integer;

const TABLE: &str = "external_signatures";

mod entity {
    use sea_orm::entity::prelude::*;

    #[derive(Clone, Debug, DeriveEntityModel)]
    #[sea_orm(table_name = "external_signatures")]
    pub struct Model {
        #[sea_orm(primary_key, auto_increment = false)]
        pub operation_id: String,
        pub signature: Vec<u8>,
        pub created_ms: i64,
    }

    #[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
    pub enum Relation {}

    impl ActiveModelBehavior for ActiveModel {}
}

/// Keeps the signature of an operation, which must exist.
///
/// # Errors
/// [`StorageError::Conflict`] if it has one.
pub async fn insert(tx: &Tx, operation: &OperationId, signature: &[u8], now_ms: u64) -> Result<(), StorageError> {
    let row = entity::Model {
        operation_id: operation.to_string(),
        signature: signature.to_vec(),
        created_ms: integer(now_ms)?,
    };
    database::insert(tx, TABLE, row.into_active_model()).await
}

/// The signature of an operation, if it was brought.
///
/// # Errors
/// If the database failed.
pub async fn find(read: &impl Read, operation: &OperationId) -> Result<Option<Vec<u8>>, StorageError> {
    let found = entity::Entity::find_by_id(operation.as_str())
        .one(read.connection())
        .await
        .map_err(StorageError::database(TABLE))?;
    Ok(found.map(|row| row.signature))
}
