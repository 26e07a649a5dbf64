//! The audit log: who did what, from where. Lines are only ever added, in the transaction of what they
//! report; nothing secret belongs into them.

use sea_orm::entity::prelude::*;
use sea_orm::{QueryOrder, QuerySelect};

use crate::database::{self, Read, Tx};
use crate::error::StorageError;
use crate::row::{Row, integer};

const TABLE: &str = "audit";

mod entity {
    use sea_orm::entity::prelude::*;

    #[derive(Clone, Debug, DeriveEntityModel)]
    #[sea_orm(table_name = "audit")]
    pub struct Model {
        #[sea_orm(primary_key)]
        pub id: i64,
        pub time_ms: i64,
        pub actor: String,
        pub ip: Option<String>,
        pub action: String,
        pub subject: Option<String>,
        pub detail: String,
    }

    #[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
    pub enum Relation {}

    impl ActiveModelBehavior for ActiveModel {}
}

/// A line of the audit log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AuditLine {
    /// When.
    pub time_ms: u64,
    /// Who: a token's id, `worker`, `admin`.
    pub actor: String,
    /// From where.
    pub ip: Option<String>,
    /// What, for example `contract.opened`.
    pub action: String,
    /// To what: an id or a subject.
    pub subject: Option<String>,
    /// More, for people.
    pub detail: String,
}

/// Adds a line.
///
/// # Errors
/// If the database failed.
pub async fn append(tx: &Tx, line: &AuditLine) -> Result<(), StorageError> {
    use sea_orm::ActiveValue::{NotSet, Set};
    let row = entity::ActiveModel {
        id: NotSet,
        time_ms: Set(integer(line.time_ms)?),
        actor: Set(line.actor.clone()),
        ip: Set(line.ip.clone()),
        action: Set(line.action.clone()),
        subject: Set(line.subject.clone()),
        detail: Set(line.detail.clone()),
    };
    database::insert(tx, TABLE, row).await
}

/// At most `limit` lines with their numbers, oldest first, after the line number `after` (0: from
/// the start).
///
/// # Errors
/// If the database failed or a row is damaged.
pub async fn list(read: &impl Read, after: i64, limit: u64) -> Result<Vec<(i64, AuditLine)>, StorageError> {
    entity::Entity::find()
        .filter(entity::Column::Id.gt(after))
        .order_by_asc(entity::Column::Id)
        .limit(limit)
        .all(read.connection())
        .await
        .map_err(StorageError::database(TABLE))?
        .into_iter()
        .map(decode)
        .collect()
}

/// The lines about any of these ids or subjects, oldest first, at most `limit`.
///
/// # Errors
/// If the database failed or a row is damaged.
pub async fn about(read: &impl Read, subjects: &[String], limit: u64) -> Result<Vec<(i64, AuditLine)>, StorageError> {
    entity::Entity::find()
        .filter(entity::Column::Subject.is_in(subjects.iter().map(String::as_str)))
        .order_by_asc(entity::Column::Id)
        .limit(limit)
        .all(read.connection())
        .await
        .map_err(StorageError::database(TABLE))?
        .into_iter()
        .map(decode)
        .collect()
}

fn decode(model: entity::Model) -> Result<(i64, AuditLine), StorageError> {
    let key = model.id.to_string();
    let row = Row { table: TABLE, key: &key };
    let line = AuditLine {
        time_ms: row.number("time_ms", model.time_ms)?,
        actor: model.actor,
        ip: model.ip,
        action: model.action,
        subject: model.subject,
        detail: model.detail,
    };
    Ok((model.id, line))
}
