//! Keys of parties (actors): public keys and what was attested about their owners. Private keys of
//! actors are never in the gateway; private keys of seals are in [`crate::seal_keys`].

use sea_orm::entity::prelude::*;
use sea_orm::sea_query::Expr;
use sea_orm::{IntoActiveModel, QueryOrder};

use crate::database::{self, Read, Tx, sealed::Connection as _};
use crate::error::StorageError;
use crate::ids::OperationId;
use crate::row::Row;
use crate::text_enum::text_enum;

const TABLE: &str = "party_keys";

mod entity {
    use sea_orm::entity::prelude::*;

    #[derive(Clone, Debug, DeriveEntityModel)]
    #[sea_orm(table_name = "party_keys")]
    pub struct Model {
        #[sea_orm(primary_key, auto_increment = false)]
        pub subject: String,
        pub algorithm: String,
        pub public_key: Vec<u8>,
        pub name: String,
        pub id_code: String,
        pub identity_check: String,
        pub status: String,
        pub operation_id: String,
    }

    #[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
    pub enum Relation {}

    impl ActiveModelBehavior for ActiveModel {}
}

text_enum! {
    /// How far a key is.
    pub enum KeyStatus {
        /// Its registration is not final yet.
        Pending => "pending",
        /// Registered.
        Active => "active",
        /// Revoked.
        Revoked => "revoked",
        /// Its registration failed.
        Rejected => "rejected",
    }
}

/// A party's key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PartyKey {
    /// Its subject on the chain.
    pub subject: [u8; 32],
    /// `ed25519`.
    pub algorithm: String,
    /// The public key.
    pub public_key: Vec<u8>,
    /// The owner's name.
    pub name: String,
    /// The owner's identity or unified social credit code.
    pub id_code: String,
    /// How the identity was checked.
    pub identity_check: String,
    /// How far it is.
    pub status: KeyStatus,
    /// The operation that registers it.
    pub operation: OperationId,
}

/// Adds a key; its operation must exist.
///
/// # Errors
/// [`StorageError::Conflict`] if the subject has a row.
pub async fn insert(tx: &Tx, key: &PartyKey) -> Result<(), StorageError> {
    let row = entity::Model {
        subject: hex::encode(key.subject),
        algorithm: key.algorithm.clone(),
        public_key: key.public_key.clone(),
        name: key.name.clone(),
        id_code: key.id_code.clone(),
        identity_check: key.identity_check.clone(),
        status: key.status.to_string(),
        operation_id: key.operation.to_string(),
    };
    database::insert(tx, TABLE, row.into_active_model()).await
}

/// The key of this subject.
///
/// # Errors
/// [`StorageError::NotFound`].
pub async fn get(read: &impl Read, subject: &[u8; 32]) -> Result<PartyKey, StorageError> {
    find(read, subject).await?.ok_or_else(|| StorageError::not_found(TABLE, hex::encode(subject)))
}

/// The key of this subject, if the gateway knows it.
///
/// # Errors
/// If the database failed or the row is damaged.
pub async fn find(read: &impl Read, subject: &[u8; 32]) -> Result<Option<PartyKey>, StorageError> {
    entity::Entity::find_by_id(hex::encode(subject))
        .one(read.connection())
        .await
        .map_err(StorageError::database(TABLE))?
        .map(decode)
        .transpose()
}

/// Sets how far a key is.
///
/// # Errors
/// [`StorageError::NotFound`].
pub async fn set_status(tx: &Tx, subject: &[u8; 32], status: KeyStatus) -> Result<(), StorageError> {
    let done = entity::Entity::update_many()
        .col_expr(entity::Column::Status, Expr::value(status.as_str()))
        .filter(entity::Column::Subject.eq(hex::encode(subject)))
        .exec(tx.connection())
        .await
        .map_err(StorageError::database(TABLE))?;
    match done.rows_affected {
        0 => Err(StorageError::not_found(TABLE, hex::encode(subject))),
        _ => Ok(()),
    }
}

/// All keys, by name.
///
/// # Errors
/// If the database failed or a row is damaged.
pub async fn list(read: &impl Read) -> Result<Vec<PartyKey>, StorageError> {
    entity::Entity::find()
        .order_by_asc(entity::Column::Name)
        .order_by_asc(entity::Column::Subject)
        .all(read.connection())
        .await
        .map_err(StorageError::database(TABLE))?
        .into_iter()
        .map(decode)
        .collect()
}

fn decode(model: entity::Model) -> Result<PartyKey, StorageError> {
    let row = Row { table: TABLE, key: &model.subject };
    Ok(PartyKey {
        subject: row.hash("subject", &model.subject)?,
        status: row.parse("status", &model.status)?,
        operation: row.parse("operation_id", &model.operation_id)?,
        algorithm: model.algorithm,
        public_key: model.public_key,
        name: model.name,
        id_code: model.id_code,
        identity_check: model.identity_check,
    })
}
