//! Signing certificates 《电子合同签署证明》 that were issued.

use sea_orm::entity::prelude::*;
use sea_orm::{IntoActiveModel, QueryOrder};

use crate::database::{self, Read, Tx};
use crate::error::StorageError;
use crate::ids::{ContractId, DocumentId};
use crate::row::{Row, integer};

const TABLE: &str = "certificates";

mod entity {
    use sea_orm::entity::prelude::*;

    #[derive(Clone, Debug, DeriveEntityModel)]
    #[sea_orm(table_name = "certificates")]
    pub struct Model {
        #[sea_orm(primary_key, auto_increment = false)]
        pub number: String,
        pub contract_id: String,
        pub document_id: String,
        pub proof_document_id: String,
        pub created_ms: i64,
    }

    #[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
    pub enum Relation {}

    impl ActiveModelBehavior for ActiveModel {}
}

/// A signing certificate.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Certificate {
    /// Its number.
    pub number: String,
    /// The contract.
    pub contract: ContractId,
    /// The certificate's PDF.
    pub document: DocumentId,
    /// The proof bundle that is attached to it.
    pub proof_document: DocumentId,
    /// When it was issued.
    pub created_ms: u64,
}

/// Adds a certificate; contract and documents must exist.
///
/// # Errors
/// [`StorageError::Conflict`] if the number exists.
pub async fn insert(tx: &Tx, certificate: &Certificate) -> Result<(), StorageError> {
    let row = entity::Model {
        number: certificate.number.clone(),
        contract_id: certificate.contract.to_string(),
        document_id: certificate.document.to_string(),
        proof_document_id: certificate.proof_document.to_string(),
        created_ms: integer(certificate.created_ms)?,
    };
    database::insert(tx, TABLE, row.into_active_model()).await
}

/// The certificate with this number.
///
/// # Errors
/// [`StorageError::NotFound`].
pub async fn get(read: &impl Read, number: &str) -> Result<Certificate, StorageError> {
    find(read, number).await?.ok_or_else(|| StorageError::not_found(TABLE, number))
}

/// The certificate with this number, if there is one.
///
/// # Errors
/// If the database failed or the row is damaged.
pub async fn find(read: &impl Read, number: &str) -> Result<Option<Certificate>, StorageError> {
    entity::Entity::find_by_id(number)
        .one(read.connection())
        .await
        .map_err(StorageError::database(TABLE))?
        .map(decode)
        .transpose()
}

/// The certificates of a contract, oldest first.
///
/// # Errors
/// If the database failed or a row is damaged.
pub async fn for_contract(read: &impl Read, contract: &ContractId) -> Result<Vec<Certificate>, StorageError> {
    entity::Entity::find()
        .filter(entity::Column::ContractId.eq(contract.as_str()))
        .order_by_asc(entity::Column::CreatedMs)
        .order_by_asc(entity::Column::Number)
        .all(read.connection())
        .await
        .map_err(StorageError::database(TABLE))?
        .into_iter()
        .map(decode)
        .collect()
}

/// How many certificates there are.
///
/// # Errors
/// If the database failed.
pub async fn count(read: &impl Read) -> Result<u64, StorageError> {
    use sea_orm::PaginatorTrait;
    entity::Entity::find().count(read.connection()).await.map_err(StorageError::database(TABLE))
}

fn decode(model: entity::Model) -> Result<Certificate, StorageError> {
    let row = Row { table: TABLE, key: &model.number };
    Ok(Certificate {
        contract: row.parse("contract_id", &model.contract_id)?,
        document: row.parse("document_id", &model.document_id)?,
        proof_document: row.parse("proof_document_id", &model.proof_document_id)?,
        created_ms: row.number("created_ms", model.created_ms)?,
        number: model.number,
    })
}
