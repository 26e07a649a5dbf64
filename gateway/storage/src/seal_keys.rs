//! Private keys of seals (P-256, PKCS#8), encrypted under the master key. They are rows, not blobs, so
//! that a key and the seal that uses it are written in one transaction.

use sea_orm::IntoActiveModel;
use sea_orm::entity::prelude::*;
use zeroize::Zeroizing;

use crate::database::{self, Read, Tx};
use crate::encryption::{KeyEncryption, Sealed};
use crate::error::StorageError;
use crate::ids::SealKeyId;
use crate::row::integer;

const TABLE: &str = "seal_keys";

mod entity {
    use sea_orm::entity::prelude::*;

    #[derive(Clone, Debug, DeriveEntityModel)]
    #[sea_orm(table_name = "seal_keys")]
    pub struct Model {
        #[sea_orm(primary_key, auto_increment = false)]
        pub id: String,
        pub sealed: Vec<u8>,
        pub created_ms: i64,
    }

    #[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
    pub enum Relation {}

    impl ActiveModelBehavior for ActiveModel {}
}

/// Stores a private key, encrypted.
///
/// # Errors
/// [`StorageError::Conflict`] if the id exists: a key is never replaced.
pub async fn insert(
    tx: &Tx, encryption: &KeyEncryption, id: &SealKeyId, private_key: &[u8], now_ms: u64,
) -> Result<(), StorageError> {
    let row = entity::Model {
        id: id.to_string(),
        sealed: encryption.seal(&context(id), private_key).0,
        created_ms: integer(now_ms)?,
    };
    database::insert(tx, TABLE, row.into_active_model()).await
}

/// Decrypts a private key; it is wiped when dropped.
///
/// # Errors
/// [`StorageError::NotFound`]; another master key; damage.
pub async fn open(
    read: &impl Read, encryption: &KeyEncryption, id: &SealKeyId,
) -> Result<Zeroizing<Vec<u8>>, StorageError> {
    let model = entity::Entity::find_by_id(id.as_str())
        .one(read.connection())
        .await
        .map_err(StorageError::database(TABLE))?
        .ok_or_else(|| StorageError::not_found(TABLE, id))?;
    Ok(encryption.open(&context(id), &Sealed(model.sealed))?)
}

fn context(id: &SealKeyId) -> String {
    format!("{TABLE}/{id}/sealed")
}
