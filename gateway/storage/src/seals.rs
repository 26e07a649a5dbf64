//! Seals: their imprint, X.509 certificate and key, from the moment their making is proposed.

use sea_orm::entity::prelude::*;
use sea_orm::sea_query::Expr;
use sea_orm::{IntoActiveModel, QueryOrder};

use crate::database::{self, Read, Tx, sealed::Connection as _};
use crate::error::StorageError;
use crate::ids::{DocumentId, OperationId, SealKeyId};
use crate::row::{Row, hex_opt, integer, json_text};
use crate::text_enum::text_enum;

const TABLE: &str = "seals";

mod entity {
    use sea_orm::entity::prelude::*;

    #[derive(Clone, Debug, DeriveEntityModel)]
    #[sea_orm(table_name = "seals")]
    pub struct Model {
        #[sea_orm(primary_key, auto_increment = false)]
        pub operation_id: String,
        pub subject: Option<String>,
        pub name: String,
        pub kind: String,
        pub owner: String,
        pub company_name: String,
        pub bottom_text: String,
        pub imprint_id: String,
        pub certificate_der: Vec<u8>,
        pub chain: String,
        pub key_id: String,
        pub status: String,
        pub created_ms: i64,
    }

    #[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
    pub enum Relation {}

    impl ActiveModelBehavior for ActiveModel {}
}

text_enum! {
    /// How far a seal is.
    pub enum SealStatus {
        /// Its making is not final yet.
        Pending => "pending",
        /// In use.
        Active => "active",
        /// Suspended.
        Suspended => "suspended",
        /// Destroyed.
        Destroyed => "destroyed",
        /// Its making failed.
        Rejected => "rejected",
    }
}

/// A seal.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Seal {
    /// The operation that makes it; the row's key.
    pub operation: OperationId,
    /// Its subject on the chain, unique.
    pub subject: Option<[u8; 32]>,
    /// Its name.
    pub name: String,
    /// `contract`, `official`, `finance`, `legalrepresentative` or `personal`.
    pub kind: String,
    /// Subject of the key that owns it.
    pub owner: [u8; 32],
    /// The name on it.
    pub company_name: String,
    /// The line below.
    pub bottom_text: String,
    /// The imprint 印模.
    pub imprint: DocumentId,
    /// Its X.509 certificate.
    pub certificate_der: Vec<u8>,
    /// The certificates above it, DER, issuer first.
    pub chain: Vec<Vec<u8>>,
    /// Its private key.
    pub key: SealKeyId,
    /// How far it is.
    pub status: SealStatus,
    /// When it was proposed.
    pub created_ms: u64,
}

/// Adds a seal; its operation, imprint and private key must exist.
///
/// # Errors
/// [`StorageError::Conflict`] if the operation or the subject has a seal.
pub async fn insert(tx: &Tx, seal: &Seal) -> Result<(), StorageError> {
    let chain: Vec<String> = seal.chain.iter().map(hex::encode).collect();
    let row = entity::Model {
        operation_id: seal.operation.to_string(),
        subject: hex_opt(seal.subject.as_ref()),
        name: seal.name.clone(),
        kind: seal.kind.clone(),
        owner: hex::encode(seal.owner),
        company_name: seal.company_name.clone(),
        bottom_text: seal.bottom_text.clone(),
        imprint_id: seal.imprint.to_string(),
        certificate_der: seal.certificate_der.clone(),
        chain: json_text(&chain),
        key_id: seal.key.to_string(),
        status: seal.status.to_string(),
        created_ms: integer(seal.created_ms)?,
    };
    database::insert(tx, TABLE, row.into_active_model()).await
}

/// The seal of this subject.
///
/// # Errors
/// [`StorageError::NotFound`].
pub async fn get(read: &impl Read, subject: &[u8; 32]) -> Result<Seal, StorageError> {
    find(read, subject).await?.ok_or_else(|| StorageError::not_found(TABLE, hex::encode(subject)))
}

/// The seal of this subject, if the gateway knows it.
///
/// # Errors
/// If the database failed or the row is damaged.
pub async fn find(read: &impl Read, subject: &[u8; 32]) -> Result<Option<Seal>, StorageError> {
    entity::Entity::find()
        .filter(entity::Column::Subject.eq(hex::encode(subject)))
        .one(read.connection())
        .await
        .map_err(StorageError::database(TABLE))?
        .map(decode)
        .transpose()
}

/// The seal that this operation makes.
///
/// # Errors
/// [`StorageError::NotFound`].
pub async fn by_operation(read: &impl Read, operation: &OperationId) -> Result<Seal, StorageError> {
    entity::Entity::find_by_id(operation.as_str())
        .one(read.connection())
        .await
        .map_err(StorageError::database(TABLE))?
        .ok_or_else(|| StorageError::not_found(TABLE, operation))
        .and_then(decode)
}

/// Sets how far a seal is.
///
/// # Errors
/// [`StorageError::NotFound`].
pub async fn set_status(tx: &Tx, operation: &OperationId, status: SealStatus) -> Result<(), StorageError> {
    update(tx, operation, entity::Column::Status, status.as_str().to_owned()).await
}

/// Sets the subject, once it is known.
///
/// # Errors
/// [`StorageError::NotFound`]; [`StorageError::Conflict`] if another seal has it.
pub async fn set_subject(tx: &Tx, operation: &OperationId, subject: &[u8; 32]) -> Result<(), StorageError> {
    update(tx, operation, entity::Column::Subject, hex::encode(subject)).await
}

/// All seals of an owner, oldest first.
///
/// # Errors
/// If the database failed or a row is damaged.
pub async fn list_by_owner(read: &impl Read, owner: &[u8; 32]) -> Result<Vec<Seal>, StorageError> {
    entity::Entity::find()
        .filter(entity::Column::Owner.eq(hex::encode(owner)))
        .order_by_asc(entity::Column::CreatedMs)
        .order_by_asc(entity::Column::OperationId)
        .all(read.connection())
        .await
        .map_err(StorageError::database(TABLE))?
        .into_iter()
        .map(decode)
        .collect()
}

async fn update(tx: &Tx, operation: &OperationId, column: entity::Column, value: String) -> Result<(), StorageError> {
    let done = entity::Entity::update_many()
        .col_expr(column, Expr::value(value))
        .filter(entity::Column::OperationId.eq(operation.as_str()))
        .exec(tx.connection())
        .await
        .map_err(StorageError::database(TABLE))?;
    match done.rows_affected {
        0 => Err(StorageError::not_found(TABLE, operation)),
        _ => Ok(()),
    }
}

fn decode(model: entity::Model) -> Result<Seal, StorageError> {
    let row = Row { table: TABLE, key: &model.operation_id };
    let chain: Vec<String> = row.json("chain", &model.chain)?;
    Ok(Seal {
        operation: row.parse("operation_id", &model.operation_id)?,
        subject: row.hash_opt("subject", model.subject.as_deref())?,
        owner: row.hash("owner", &model.owner)?,
        imprint: row.parse("imprint_id", &model.imprint_id)?,
        chain: chain
            .iter()
            .map(|der| hex::decode(der).map_err(|error| row.corrupt("chain", error)))
            .collect::<Result<_, _>>()?,
        key: row.parse("key_id", &model.key_id)?,
        status: row.parse("status", &model.status)?,
        created_ms: row.number("created_ms", model.created_ms)?,
        name: model.name,
        kind: model.kind,
        company_name: model.company_name,
        bottom_text: model.bottom_text,
        certificate_der: model.certificate_der,
    })
}
