//! Operations: composed bodies on their way from actor signatures to finality, and the gateway's work
//! that follows finality. The status moves only as [`OperationStatus`] says; the chain is the truth,
//! so a final record overrides whatever the gateway believed before.

use sea_orm::entity::prelude::*;
use sea_orm::{IntoActiveModel, QueryOrder, QuerySelect};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::database::{self, Read, Tx, sealed::Connection as _};
use crate::encryption::{KeyEncryption, Sealed};
use crate::error::StorageError;
use crate::ids::{ContractId, OperationId};
use crate::row::{Row, hex_opt, integer, integer_opt, json_text, text_opt};
use crate::text_enum::text_enum;

const TABLE: &str = "operations";

mod entity {
    use sea_orm::entity::prelude::*;

    #[derive(Clone, Debug, DeriveEntityModel)]
    #[sea_orm(table_name = "operations")]
    pub struct Model {
        #[sea_orm(primary_key, auto_increment = false)]
        pub id: String,
        pub kind: String,
        pub body: Vec<u8>,
        pub digest: String,
        pub created_subject: Option<String>,
        pub contract_id: Option<String>,
        pub openings: Vec<u8>,
        pub required: String,
        pub signatures: String,
        pub status: String,
        pub error: Option<String>,
        pub record_hash: Option<String>,
        pub record_height: Option<i64>,
        pub record_index: Option<i64>,
        pub record_time_ms: Option<i64>,
        pub payload: String,
        pub followup_status: String,
        pub followup_detail: Option<String>,
        pub created_ms: i64,
        pub updated_ms: i64,
    }

    #[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
    pub enum Relation {}

    impl ActiveModelBehavior for ActiveModel {}
}

text_enum! {
    /// How far an operation is.
    ///
    /// `awaiting_signatures → queued → final | rejected`, `awaiting_signatures → rejected | expired`;
    /// and from anywhere to `final`, because somebody may submit the signed body by another way.
    pub enum OperationStatus {
        /// Actor signatures are missing.
        AwaitingSignatures => "awaiting_signatures",
        /// Complete; a job submits it.
        Queued => "queued",
        /// Recorded on the chain.
        Final => "final",
        /// Refused for good.
        Rejected => "rejected",
        /// Not signed in time.
        Expired => "expired",
    }
}

text_enum! {
    /// How far the work after finality is.
    pub enum FollowupStatus {
        /// There is none.
        None => "none",
        /// It waits or runs.
        Pending => "pending",
        /// Done.
        Done => "done",
        /// Failed for good; an operator must look.
        Failed => "failed",
    }
}

/// An actor whose signature is needed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RequiredActor {
    /// The actor's subject.
    #[serde(with = "hex")]
    pub subject: [u8; 32],
    /// Why, for people.
    pub why: String,
}

/// An actor's signature over the body.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ActorSignature {
    /// The actor's subject.
    #[serde(with = "hex")]
    pub subject: [u8; 32],
    /// The signature.
    #[serde(with = "hex")]
    pub signature: Vec<u8>,
}

/// Why an operation was rejected.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct OperationError {
    /// A stable code.
    pub code: String,
    /// For people, Chinese.
    pub message_zh: String,
    /// For people, English.
    pub message_en: String,
}

/// Where an operation was recorded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RecordRef {
    /// Hash of the record.
    pub hash: [u8; 32],
    /// Height of the block.
    pub height: u64,
    /// Index in the block.
    pub index: u32,
    /// Time of the block.
    pub time_ms: u64,
}

/// An operation.
#[derive(Clone, Debug, PartialEq)]
pub struct Operation {
    /// Its id.
    pub id: OperationId,
    /// Its kind, for example `contract.signed`.
    pub kind: String,
    /// The canonical body.
    pub body: Vec<u8>,
    /// Digest of the body, unique.
    pub digest: [u8; 32],
    /// The subject that it creates.
    pub created_subject: Option<[u8; 32]>,
    /// The contract that it belongs to.
    pub contract: Option<ContractId>,
    /// What opens the body's commitments; see [`seal_openings`] and [`Operation::openings`].
    pub openings: Sealed,
    /// Whose signatures are needed.
    pub required: Vec<RequiredActor>,
    /// The signatures so far.
    pub signatures: Vec<ActorSignature>,
    /// How far it is.
    pub status: OperationStatus,
    /// Why it was rejected.
    pub error: Option<OperationError>,
    /// Where it was recorded.
    pub record: Option<RecordRef>,
    /// What the follow-up needs, as the gateway writes it; nothing secret.
    pub payload: Value,
    /// How far the follow-up is.
    pub followup: FollowupStatus,
    /// What to tell people about the follow-up.
    pub followup_detail: Option<String>,
    /// When it was composed.
    pub created_ms: u64,
    /// When it last changed.
    pub updated_ms: u64,
}

impl Operation {
    /// Decrypts the openings.
    ///
    /// # Errors
    /// Another master key, or damage.
    pub fn openings(&self, encryption: &KeyEncryption) -> Result<Value, StorageError> {
        let id = self.id.as_str();
        let text = encryption.open(&openings_context(&self.id), &self.openings)?;
        let row = Row { table: TABLE, key: id };
        serde_json::from_slice(&text).map_err(|error| row.corrupt("openings", error))
    }
}

/// Encrypts openings for the operation `id`.
#[must_use]
pub fn seal_openings(encryption: &KeyEncryption, id: &OperationId, openings: &Value) -> Sealed {
    let text = zeroize::Zeroizing::new(json_text(openings));
    encryption.seal(&openings_context(id), text.as_bytes())
}

fn openings_context(id: &OperationId) -> String {
    format!("{TABLE}/{id}/openings")
}

/// Adds an operation.
///
/// # Errors
/// [`StorageError::Conflict`] if the id or the digest exists.
pub async fn insert(tx: &Tx, operation: &Operation) -> Result<(), StorageError> {
    database::insert(tx, TABLE, encode(operation)?.into_active_model()).await
}

/// The operation with this id.
///
/// # Errors
/// [`StorageError::NotFound`].
pub async fn get(read: &impl Read, id: &OperationId) -> Result<Operation, StorageError> {
    entity::Entity::find_by_id(id.as_str())
        .one(read.connection())
        .await
        .map_err(StorageError::database(TABLE))?
        .ok_or_else(|| StorageError::not_found(TABLE, id))
        .and_then(decode)
}

/// The operation whose body has this digest.
///
/// # Errors
/// If the database failed or the row is damaged.
pub async fn find_by_digest(read: &impl Read, digest: &[u8; 32]) -> Result<Option<Operation>, StorageError> {
    entity::Entity::find()
        .filter(entity::Column::Digest.eq(hex::encode(digest)))
        .one(read.connection())
        .await
        .map_err(StorageError::database(TABLE))?
        .map(decode)
        .transpose()
}

/// All operations of a contract, oldest first.
///
/// # Errors
/// If the database failed or a row is damaged.
pub async fn for_contract(read: &impl Read, contract: &ContractId) -> Result<Vec<Operation>, StorageError> {
    entity::Entity::find()
        .filter(entity::Column::ContractId.eq(contract.as_str()))
        .order_by_asc(entity::Column::CreatedMs)
        .order_by_asc(entity::Column::Id)
        .all(read.connection())
        .await
        .map_err(StorageError::database(TABLE))?
        .into_iter()
        .map(decode)
        .collect()
}

/// Operations that still await signatures and were composed before `created_before_ms`.
///
/// # Errors
/// If the database failed or a row is damaged.
pub async fn awaiting_before(
    read: &impl Read, created_before_ms: u64, limit: u64,
) -> Result<Vec<Operation>, StorageError> {
    entity::Entity::find()
        .filter(entity::Column::Status.eq(OperationStatus::AwaitingSignatures.as_str()))
        .filter(entity::Column::CreatedMs.lt(integer(created_before_ms)?))
        .order_by_asc(entity::Column::CreatedMs)
        .order_by_asc(entity::Column::Id)
        .limit(limit)
        .all(read.connection())
        .await
        .map_err(StorageError::database(TABLE))?
        .into_iter()
        .map(decode)
        .collect()
}

/// Adds an actor's signature (verified by the caller). The same one again changes nothing.
///
/// # Errors
/// [`StorageError::WrongState`] unless it awaits signatures; [`StorageError::Conflict`] if the actor
/// gave another signature before.
pub async fn add_signature(
    tx: &Tx, id: &OperationId, signature: ActorSignature, now_ms: u64,
) -> Result<Operation, StorageError> {
    let mut operation = get(tx, id).await?;
    if operation.signatures.contains(&signature) {
        return Ok(operation);
    }
    expect_status(&operation, &[OperationStatus::AwaitingSignatures], "awaiting_signatures")?;
    let same_actor = |other: &ActorSignature| other.subject == signature.subject;
    if operation.signatures.iter().any(same_actor) {
        return Err(StorageError::Conflict { table: TABLE, columns: "signatures".to_owned() });
    }
    operation.signatures.push(signature);
    save(tx, &mut operation, now_ms).await?;
    Ok(operation)
}

/// All signatures are there: it will be submitted. Enqueue the job in the same transaction.
///
/// # Errors
/// [`StorageError::WrongState`] unless it awaits signatures.
pub async fn mark_queued(tx: &Tx, id: &OperationId, now_ms: u64) -> Result<(), StorageError> {
    let mut operation = get(tx, id).await?;
    expect_status(&operation, &[OperationStatus::AwaitingSignatures], "awaiting_signatures")?;
    operation.status = OperationStatus::Queued;
    save(tx, &mut operation, now_ms).await
}

/// It was recorded. Allowed from every status; the same record again changes nothing.
///
/// # Errors
/// [`StorageError::Conflict`] if another record was noted before: a body has one record only.
pub async fn mark_final(tx: &Tx, id: &OperationId, record: RecordRef, now_ms: u64) -> Result<(), StorageError> {
    let mut operation = get(tx, id).await?;
    match operation.record {
        Some(noted) if noted == record => Ok(()),
        Some(_) => Err(StorageError::Conflict { table: TABLE, columns: "record".to_owned() }),
        None => {
            operation.status = OperationStatus::Final;
            operation.record = Some(record);
            operation.error = None;
            save(tx, &mut operation, now_ms).await
        }
    }
}

/// It was refused for good. Again changes nothing.
///
/// # Errors
/// [`StorageError::WrongState`] if it is final or expired.
pub async fn mark_rejected(tx: &Tx, id: &OperationId, error: OperationError, now_ms: u64) -> Result<(), StorageError> {
    let mut operation = get(tx, id).await?;
    if operation.status == OperationStatus::Rejected {
        return Ok(());
    }
    expect_status(
        &operation,
        &[OperationStatus::AwaitingSignatures, OperationStatus::Queued],
        "awaiting_signatures or queued",
    )?;
    operation.status = OperationStatus::Rejected;
    operation.error = Some(error);
    save(tx, &mut operation, now_ms).await
}

/// It was not signed in time. Again changes nothing.
///
/// # Errors
/// [`StorageError::WrongState`] if it no longer awaits signatures.
pub async fn mark_expired(tx: &Tx, id: &OperationId, now_ms: u64) -> Result<(), StorageError> {
    let mut operation = get(tx, id).await?;
    if operation.status == OperationStatus::Expired {
        return Ok(());
    }
    expect_status(&operation, &[OperationStatus::AwaitingSignatures], "awaiting_signatures")?;
    operation.status = OperationStatus::Expired;
    save(tx, &mut operation, now_ms).await
}

/// Replaces what the follow-up needs.
///
/// # Errors
/// [`StorageError::NotFound`].
pub async fn set_payload(tx: &Tx, id: &OperationId, payload: Value, now_ms: u64) -> Result<(), StorageError> {
    let mut operation = get(tx, id).await?;
    operation.payload = payload;
    save(tx, &mut operation, now_ms).await
}

/// Sets how far the follow-up is.
///
/// # Errors
/// [`StorageError::NotFound`].
pub async fn set_followup(
    tx: &Tx, id: &OperationId, status: FollowupStatus, detail: Option<&str>, now_ms: u64,
) -> Result<(), StorageError> {
    let mut operation = get(tx, id).await?;
    operation.followup = status;
    operation.followup_detail = detail.map(str::to_owned);
    save(tx, &mut operation, now_ms).await
}

fn expect_status(
    operation: &Operation, allowed: &[OperationStatus], expected: &'static str,
) -> Result<(), StorageError> {
    if allowed.contains(&operation.status) {
        return Ok(());
    }
    Err(StorageError::WrongState {
        table: TABLE,
        key: operation.id.to_string(),
        actual: operation.status.to_string(),
        expected,
    })
}

/// Writes an operation that was read in this same transaction, so nobody else can have changed it.
async fn save(tx: &Tx, operation: &mut Operation, now_ms: u64) -> Result<(), StorageError> {
    operation.updated_ms = now_ms;
    entity::Entity::update_many()
        .set(encode(operation)?.into_active_model().reset_all())
        .filter(entity::Column::Id.eq(operation.id.as_str()))
        .exec(tx.connection())
        .await
        .map_err(StorageError::database(TABLE))?;
    Ok(())
}

fn encode(operation: &Operation) -> Result<entity::Model, StorageError> {
    let record = operation.record.as_ref();
    Ok(entity::Model {
        id: operation.id.to_string(),
        kind: operation.kind.clone(),
        body: operation.body.clone(),
        digest: hex::encode(operation.digest),
        created_subject: hex_opt(operation.created_subject.as_ref()),
        contract_id: text_opt(operation.contract.as_ref()),
        openings: operation.openings.0.clone(),
        required: json_text(&operation.required),
        signatures: json_text(&operation.signatures),
        status: operation.status.to_string(),
        error: operation.error.as_ref().map(json_text),
        record_hash: hex_opt(record.map(|record| &record.hash)),
        record_height: integer_opt(record.map(|record| record.height))?,
        record_index: record.map(|record| i64::from(record.index)),
        record_time_ms: integer_opt(record.map(|record| record.time_ms))?,
        payload: json_text(&operation.payload),
        followup_status: operation.followup.to_string(),
        followup_detail: operation.followup_detail.clone(),
        created_ms: integer(operation.created_ms)?,
        updated_ms: integer(operation.updated_ms)?,
    })
}

fn decode(model: entity::Model) -> Result<Operation, StorageError> {
    let row = Row { table: TABLE, key: &model.id };
    let record = match (&model.record_hash, model.record_height, model.record_index, model.record_time_ms) {
        (Some(hash), Some(height), Some(index), Some(time_ms)) => Some(RecordRef {
            hash: row.hash("record_hash", hash)?,
            height: row.number("record_height", height)?,
            index: row.number("record_index", index)?,
            time_ms: row.number("record_time_ms", time_ms)?,
        }),
        (None, None, None, None) => None,
        _ => return Err(row.corrupt("record_hash", "only a part of the record is there")),
    };
    let error = model.error.as_deref();
    Ok(Operation {
        id: row.parse("id", &model.id)?,
        digest: row.hash("digest", &model.digest)?,
        created_subject: row.hash_opt("created_subject", model.created_subject.as_deref())?,
        contract: row.parse_opt("contract_id", model.contract_id.as_deref())?,
        required: row.json("required", &model.required)?,
        signatures: row.json("signatures", &model.signatures)?,
        status: row.parse("status", &model.status)?,
        error: error.map(|text| row.json("error", text)).transpose()?,
        record,
        payload: row.json("payload", &model.payload)?,
        followup: row.parse("followup_status", &model.followup_status)?,
        created_ms: row.number("created_ms", model.created_ms)?,
        updated_ms: row.number("updated_ms", model.updated_ms)?,
        openings: Sealed(model.openings),
        followup_detail: model.followup_detail,
        kind: model.kind,
        body: model.body,
    })
}
