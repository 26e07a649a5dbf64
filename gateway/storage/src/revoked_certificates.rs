//! X.509 certificates of the gateway's own CA that were revoked. A revocation is never taken back.

use sea_orm::entity::prelude::*;
use sea_orm::sea_query::OnConflict;
use sea_orm::{IntoActiveModel, QueryOrder};

use crate::database::{Read, Tx, sealed::Connection as _};
use crate::error::StorageError;
use crate::row::{Row, integer};

const TABLE: &str = "revoked_certificates";

mod entity {
    use sea_orm::entity::prelude::*;

    #[derive(Clone, Debug, DeriveEntityModel)]
    #[sea_orm(table_name = "revoked_certificates")]
    pub struct Model {
        #[sea_orm(primary_key, auto_increment = false)]
        pub serial: String,
        pub since_ms: i64,
        pub reason: String,
    }

    #[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
    pub enum Relation {}

    impl ActiveModelBehavior for ActiveModel {}
}

/// A revoked certificate.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RevokedCertificate {
    /// Its serial number.
    pub serial: Vec<u8>,
    /// Since when.
    pub since_ms: u64,
    /// Why, a word of RFC 5280 §5.3.1.
    pub reason: String,
}

/// Revokes a certificate; an earlier revocation of it stands.
///
/// # Errors
/// If the database failed.
pub async fn insert(tx: &Tx, revoked: &RevokedCertificate) -> Result<(), StorageError> {
    let row = entity::Model {
        serial: hex::encode(&revoked.serial),
        since_ms: integer(revoked.since_ms)?,
        reason: revoked.reason.clone(),
    };
    entity::Entity::insert(row.into_active_model())
        .on_conflict(OnConflict::column(entity::Column::Serial).do_nothing().to_owned())
        .exec_without_returning(tx.connection())
        .await
        .map_err(StorageError::database(TABLE))?;
    Ok(())
}

/// All, by serial number.
///
/// # Errors
/// If the database failed or a row is damaged.
pub async fn all(read: &impl Read) -> Result<Vec<RevokedCertificate>, StorageError> {
    entity::Entity::find()
        .order_by_asc(entity::Column::Serial)
        .all(read.connection())
        .await
        .map_err(StorageError::database(TABLE))?
        .into_iter()
        .map(|model| {
            let row = Row { table: TABLE, key: &model.serial };
            Ok(RevokedCertificate {
                serial: hex::decode(&model.serial).map_err(|error| row.corrupt("serial", error))?,
                since_ms: row.number("since_ms", model.since_ms)?,
                reason: model.reason.clone(),
            })
        })
        .collect()
}
