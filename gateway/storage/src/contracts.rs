//! Contracts as the gateway sees them: their document, slots and revisions. Which change is allowed is
//! the domain's business and finally the chain's; here a change is written only onto the row that was
//! read (`row_version`), and only one signature of a contract is prepared at a time (`busy`).

use sea_orm::entity::prelude::*;
use sea_orm::sea_query::Expr;
use sea_orm::{Condition, IntoActiveModel, QueryOrder, QuerySelect};
use serde_json::Value;

use crate::database::{self, Read, Tx, sealed::Connection as _};
use crate::error::StorageError;
use crate::ids::{ContractId, DocumentId, OperationId};
use crate::row::{Row, hex_opt, integer, integer_opt, json_text, text_opt};
use crate::text_enum::text_enum;

const TABLE: &str = "contracts";

pub(crate) mod entity {
    use sea_orm::entity::prelude::*;

    #[derive(Clone, Debug, DeriveEntityModel)]
    #[sea_orm(table_name = "contracts")]
    pub struct Model {
        #[sea_orm(primary_key, auto_increment = false)]
        pub id: String,
        pub subject: Option<String>,
        pub title: String,
        pub number: String,
        pub document_id: String,
        pub initiator: String,
        pub amends: Option<String>,
        pub status: String,
        pub slots: String,
        pub rules: String,
        pub version: i64,
        pub version_commitment: Option<String>,
        pub current_revision_id: Option<String>,
        pub final_document_id: Option<String>,
        pub signature_level: Option<String>,
        pub certified: bool,
        pub busy_operation: Option<String>,
        pub busy_until_ms: Option<i64>,
        pub created_ms: i64,
        pub updated_ms: i64,
        pub row_version: i64,
    }

    #[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
    pub enum Relation {}

    impl ActiveModelBehavior for ActiveModel {}
}

text_enum! {
    /// How far a contract is: the chain's states, with the two before it is on the chain.
    pub enum ContractStatus {
        /// Its opening is not final yet.
        Pending => "pending",
        /// Its opening failed.
        Rejected => "rejected",
        /// Opened, no version fixed.
        Opened => "opened",
        /// A version is up for signing.
        Signing => "signing",
        /// All needed slots are signed.
        Signed => "signed",
        /// Completed with its final file; in force.
        Completed => "completed",
        /// A signer declined.
        Declined => "declined",
        /// Terminated 解除.
        Terminated => "terminated",
        /// Voided 作废.
        Voided => "voided",
        /// In dispute.
        Disputed => "disputed",
    }
}

text_enum! {
    /// Level of signatures (ETSI EN 319 142-1).
    pub enum SignatureLevel {
        /// Signatures alone.
        Basic => "B-B",
        /// Each with a timestamp.
        Timestamped => "B-T",
        /// With the data by which they can be judged years later.
        LongTerm => "B-LT",
    }
}

/// Who prepares a signature of a contract.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Busy {
    /// The operation of that signature.
    pub operation: OperationId,
    /// Until when at most.
    pub until_ms: u64,
}

/// A contract.
#[derive(Clone, Debug, PartialEq)]
pub struct Contract {
    /// Its id inside the gateway.
    pub id: ContractId,
    /// Its subject on the chain, unique.
    pub subject: Option<[u8; 32]>,
    /// Its title.
    pub title: String,
    /// The number that the parties gave it.
    pub number: String,
    /// The document to be signed.
    pub document: DocumentId,
    /// Subject of the initiator's key.
    pub initiator: [u8; 32],
    /// Subject of the contract that this one amends.
    pub amends: Option<[u8; 32]>,
    /// How far it is.
    pub status: ContractStatus,
    /// Slots, as the domain writes them.
    pub slots: Value,
    /// Signing rules of the groups, as the domain writes them.
    pub rules: Value,
    /// Number of the fixed version; 0 before.
    pub version: u32,
    /// Commitment of the fixed version on the chain.
    pub version_commitment: Option<[u8; 32]>,
    /// The latest signed revision.
    pub current_revision: Option<DocumentId>,
    /// The completed file.
    pub final_document: Option<DocumentId>,
    /// The first signature certifies the file: asked for by the initiator.
    pub certified: bool,
    /// Level of the signatures in the latest revision.
    pub signature_level: Option<SignatureLevel>,
    /// Who prepares a signature now; changed by [`acquire_busy`] and [`release_busy`] only.
    pub busy: Option<Busy>,
    /// When it was made.
    pub created_ms: u64,
    /// When it last changed.
    pub updated_ms: u64,
    /// Counts the changes; [`update`] compares it.
    pub row_version: u64,
}

/// Adds a contract; its document must exist.
///
/// # Errors
/// [`StorageError::Conflict`] if the id or the subject exists.
pub async fn insert(tx: &Tx, contract: &Contract) -> Result<(), StorageError> {
    database::insert(tx, TABLE, encode(contract)?.into_active_model()).await
}

/// Subjects of all contracts that have one, oldest first.
///
/// # Errors
/// If the database failed or a row is damaged.
pub async fn subjects(read: &impl Read) -> Result<Vec<[u8; 32]>, StorageError> {
    let found = entity::Entity::find()
        .filter(entity::Column::Subject.is_not_null())
        .order_by_asc(entity::Column::CreatedMs)
        .all(read.connection())
        .await
        .map_err(StorageError::database(TABLE))?;
    found.into_iter().map(decode).filter_map(|row| row.map(|row| row.subject).transpose()).collect()
}

/// The contract with this id.
///
/// # Errors
/// [`StorageError::NotFound`].
pub async fn get(read: &impl Read, id: &ContractId) -> Result<Contract, StorageError> {
    entity::Entity::find_by_id(id.as_str())
        .one(read.connection())
        .await
        .map_err(StorageError::database(TABLE))?
        .ok_or_else(|| StorageError::not_found(TABLE, id))
        .and_then(decode)
}

/// The contract of this subject.
///
/// # Errors
/// [`StorageError::NotFound`].
pub async fn by_subject(read: &impl Read, subject: &[u8; 32]) -> Result<Contract, StorageError> {
    find_by_subject(read, subject).await?.ok_or_else(|| StorageError::not_found(TABLE, hex::encode(subject)))
}

/// The contract of this subject, if the gateway knows it.
///
/// # Errors
/// If the database failed or the row is damaged.
pub async fn find_by_subject(read: &impl Read, subject: &[u8; 32]) -> Result<Option<Contract>, StorageError> {
    entity::Entity::find()
        .filter(entity::Column::Subject.eq(hex::encode(subject)))
        .one(read.connection())
        .await
        .map_err(StorageError::database(TABLE))?
        .map(decode)
        .transpose()
}

/// The contract of which this document is the text or the final file.
///
/// # Errors
/// If the database failed or the row is damaged.
pub async fn find_by_document(read: &impl Read, document: &DocumentId) -> Result<Option<Contract>, StorageError> {
    use entity::Column::{CreatedMs, DocumentId, FinalDocumentId};
    let is_its = Condition::any().add(FinalDocumentId.eq(document.as_str())).add(DocumentId.eq(document.as_str()));
    entity::Entity::find()
        .filter(is_its)
        .order_by_asc(CreatedMs)
        .one(read.connection())
        .await
        .map_err(StorageError::database(TABLE))?
        .map(decode)
        .transpose()
}

/// Contracts, newest first: at most `limit` that come after the cursor `before`, which is
/// `created_ms` and id of the last one seen.
///
/// # Errors
/// If the database failed or a row is damaged.
pub async fn list(
    read: &impl Read, before: Option<(u64, ContractId)>, limit: u64,
) -> Result<Vec<Contract>, StorageError> {
    use entity::Column::{CreatedMs, Id};
    let mut query = entity::Entity::find();
    if let Some((created_ms, id)) = before {
        let created_ms = integer(created_ms)?;
        query = query.filter(
            Condition::any()
                .add(CreatedMs.lt(created_ms))
                .add(Condition::all().add(CreatedMs.eq(created_ms)).add(Id.lt(id.as_str()))),
        );
    }
    query
        .order_by_desc(CreatedMs)
        .order_by_desc(Id)
        .limit(limit)
        .all(read.connection())
        .await
        .map_err(StorageError::database(TABLE))?
        .into_iter()
        .map(decode)
        .collect()
}

/// Writes the whole row except `busy`, if nobody changed it since `contract` was read; then
/// `updated_ms` and `row_version` of `contract` are the new ones.
///
/// # Errors
/// [`StorageError::Stale`] if it was changed (or is gone); [`StorageError::Conflict`] on the subject.
pub async fn update(tx: &Tx, contract: &mut Contract, now_ms: u64) -> Result<(), StorageError> {
    use sea_orm::ActiveValue::NotSet;

    let read_version = integer(contract.row_version)?;
    let next = Contract { updated_ms: now_ms, row_version: contract.row_version + 1, ..contract.clone() };
    let mut columns = encode(&next)?.into_active_model().reset_all();
    columns.id = NotSet;
    columns.busy_operation = NotSet;
    columns.busy_until_ms = NotSet;
    let done = entity::Entity::update_many()
        .set(columns)
        .filter(entity::Column::Id.eq(contract.id.as_str()))
        .filter(entity::Column::RowVersion.eq(read_version))
        .exec(tx.connection())
        .await
        .map_err(StorageError::database(TABLE))?;
    if done.rows_affected == 0 {
        return Err(StorageError::Stale { table: TABLE, key: contract.id.to_string() });
    }
    contract.updated_ms = next.updated_ms;
    contract.row_version = next.row_version;
    Ok(())
}

/// Reserves the contract for preparing one signature. Taking it again for the same operation
/// prolongs; a reservation that has run out is replaced.
///
/// # Errors
/// [`StorageError::Busy`] while another operation holds it; [`StorageError::NotFound`].
pub async fn acquire_busy(
    tx: &Tx, id: &ContractId, operation: &OperationId, until_ms: u64, now_ms: u64,
) -> Result<(), StorageError> {
    if let Some(busy) = get(tx, id).await?.busy
        && busy.until_ms > now_ms
        && busy.operation != *operation
    {
        return Err(StorageError::Busy { operation: busy.operation, until_ms: busy.until_ms });
    }
    let until_ms = Some(integer(until_ms)?);
    set_busy(tx, id, Some(operation.to_string()), until_ms).await
}

/// Ends the reservation, if this operation still has it.
///
/// # Errors
/// [`StorageError::NotFound`] if there is no such contract.
pub async fn release_busy(tx: &Tx, id: &ContractId, operation: &OperationId) -> Result<(), StorageError> {
    match get(tx, id).await?.busy {
        Some(busy) if busy.operation == *operation => set_busy(tx, id, None, None).await,
        _ => Ok(()),
    }
}

async fn set_busy(
    tx: &Tx, id: &ContractId, operation: Option<String>, until_ms: Option<i64>,
) -> Result<(), StorageError> {
    entity::Entity::update_many()
        .col_expr(entity::Column::BusyOperation, Expr::value(operation))
        .col_expr(entity::Column::BusyUntilMs, Expr::value(until_ms))
        .filter(entity::Column::Id.eq(id.as_str()))
        .exec(tx.connection())
        .await
        .map_err(StorageError::database(TABLE))?;
    Ok(())
}

fn encode(contract: &Contract) -> Result<entity::Model, StorageError> {
    let busy = contract.busy.as_ref();
    Ok(entity::Model {
        id: contract.id.to_string(),
        subject: hex_opt(contract.subject.as_ref()),
        title: contract.title.clone(),
        number: contract.number.clone(),
        document_id: contract.document.to_string(),
        initiator: hex::encode(contract.initiator),
        amends: hex_opt(contract.amends.as_ref()),
        status: contract.status.to_string(),
        slots: json_text(&contract.slots),
        rules: json_text(&contract.rules),
        version: i64::from(contract.version),
        version_commitment: hex_opt(contract.version_commitment.as_ref()),
        current_revision_id: text_opt(contract.current_revision.as_ref()),
        final_document_id: text_opt(contract.final_document.as_ref()),
        signature_level: text_opt(contract.signature_level.as_ref()),
        certified: contract.certified,
        busy_operation: busy.map(|busy| busy.operation.to_string()),
        busy_until_ms: integer_opt(busy.map(|busy| busy.until_ms))?,
        created_ms: integer(contract.created_ms)?,
        updated_ms: integer(contract.updated_ms)?,
        row_version: integer(contract.row_version)?,
    })
}

fn decode(model: entity::Model) -> Result<Contract, StorageError> {
    let row = Row { table: TABLE, key: &model.id };
    let busy = match (&model.busy_operation, model.busy_until_ms) {
        (Some(operation), Some(until_ms)) => Some(Busy {
            operation: row.parse("busy_operation", operation)?,
            until_ms: row.number("busy_until_ms", until_ms)?,
        }),
        (None, None) => None,
        _ => return Err(row.corrupt("busy_until_ms", "an operation without a time or vice versa")),
    };
    Ok(Contract {
        id: row.parse("id", &model.id)?,
        subject: row.hash_opt("subject", model.subject.as_deref())?,
        document: row.parse("document_id", &model.document_id)?,
        initiator: row.hash("initiator", &model.initiator)?,
        amends: row.hash_opt("amends", model.amends.as_deref())?,
        status: row.parse("status", &model.status)?,
        slots: row.json("slots", &model.slots)?,
        rules: row.json("rules", &model.rules)?,
        version: row.number("version", model.version)?,
        version_commitment: row.hash_opt("version_commitment", model.version_commitment.as_deref())?,
        current_revision: row.parse_opt("current_revision_id", model.current_revision_id.as_deref())?,
        final_document: row.parse_opt("final_document_id", model.final_document_id.as_deref())?,
        signature_level: row.parse_opt("signature_level", model.signature_level.as_deref())?,
        certified: model.certified,
        busy,
        created_ms: row.number("created_ms", model.created_ms)?,
        updated_ms: row.number("updated_ms", model.updated_ms)?,
        row_version: row.number("row_version", model.row_version)?,
        title: model.title,
        number: model.number,
    })
}
