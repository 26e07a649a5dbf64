//! What each party of a contract consented to make public, with the signature that says so.

use sea_orm::entity::prelude::*;
use sea_orm::sea_query::OnConflict;
use sea_orm::{IntoActiveModel, QueryOrder};

use crate::database::{Read, Tx, sealed::Connection as _};
use crate::error::StorageError;
use crate::ids::ContractId;
use crate::row::{Row, integer, json_text};

const TABLE: &str = "publication_consents";

mod entity {
    use sea_orm::entity::prelude::*;

    #[derive(Clone, Debug, DeriveEntityModel)]
    #[sea_orm(table_name = "publication_consents")]
    pub struct Model {
        #[sea_orm(primary_key, auto_increment = false)]
        pub contract_id: String,
        #[sea_orm(primary_key, auto_increment = false)]
        pub party_key: String,
        pub fields: String,
        pub time_ms: i64,
        pub signature: Vec<u8>,
    }

    #[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
    pub enum Relation {}

    impl ActiveModelBehavior for ActiveModel {}
}

/// One party's latest consent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PublicationConsent {
    /// The contract.
    pub contract: ContractId,
    /// Subject of the party's key.
    pub key: [u8; 32],
    /// Words of what may be shown.
    pub fields: Vec<String>,
    /// When, by the party's clock.
    pub time_ms: u64,
    /// The key's signature.
    pub signature: Vec<u8>,
}

/// Puts a party's consent in the place of its last one; the contract must exist.
///
/// # Errors
/// If the database failed.
pub async fn put(tx: &Tx, consent: &PublicationConsent) -> Result<(), StorageError> {
    let row = entity::Model {
        contract_id: consent.contract.to_string(),
        party_key: hex::encode(consent.key),
        fields: json_text(&consent.fields),
        time_ms: integer(consent.time_ms)?,
        signature: consent.signature.clone(),
    };
    let replace = OnConflict::columns([entity::Column::ContractId, entity::Column::PartyKey])
        .update_columns([entity::Column::Fields, entity::Column::TimeMs, entity::Column::Signature])
        .to_owned();
    entity::Entity::insert(row.into_active_model())
        .on_conflict(replace)
        .exec_without_returning(tx.connection())
        .await
        .map_err(StorageError::database(TABLE))?;
    Ok(())
}

/// The consents of a contract's parties, by key.
///
/// # Errors
/// If the database failed or a row is damaged.
pub async fn for_contract(read: &impl Read, contract: &ContractId) -> Result<Vec<PublicationConsent>, StorageError> {
    entity::Entity::find()
        .filter(entity::Column::ContractId.eq(contract.as_str()))
        .order_by_asc(entity::Column::PartyKey)
        .all(read.connection())
        .await
        .map_err(StorageError::database(TABLE))?
        .into_iter()
        .map(decode)
        .collect()
}

fn decode(model: entity::Model) -> Result<PublicationConsent, StorageError> {
    let row = Row { table: TABLE, key: &format!("{} {}", model.contract_id, model.party_key) };
    Ok(PublicationConsent {
        contract: row.parse("contract_id", &model.contract_id)?,
        key: row.hash("party_key", &model.party_key)?,
        fields: row.json("fields", &model.fields)?,
        time_ms: row.number("time_ms", model.time_ms)?,
        signature: model.signature,
    })
}
