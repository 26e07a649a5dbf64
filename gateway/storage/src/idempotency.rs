//! Idempotency keys: the same request sent again gets the response that the first one got. Keys belong
//! to a token. Responses may carry openings, so their bodies are encrypted.
//!
//! A request either does everything in one transaction (`begin`, its work, `store`), and then a crash
//! leaves nothing; or it commits `begin` first and works outside, and then a crash leaves the key in
//! progress until `stale_after_ms` have passed.

use sea_orm::IntoActiveModel;
use sea_orm::entity::prelude::*;
use sea_orm::sea_query::Expr;

use crate::database::{self, Tx, sealed::Connection as _};
use crate::encryption::{KeyEncryption, Sealed};
use crate::error::StorageError;
use crate::ids::TokenId;
use crate::row::{Row, integer};

const TABLE: &str = "idempotency";

mod entity {
    use sea_orm::entity::prelude::*;

    #[derive(Clone, Debug, DeriveEntityModel)]
    #[sea_orm(table_name = "idempotency")]
    pub struct Model {
        #[sea_orm(primary_key, auto_increment = false)]
        pub token_id: String,
        #[sea_orm(primary_key, auto_increment = false)]
        pub key: String,
        pub request_sha256: String,
        pub response_status: Option<i64>,
        pub response_body: Option<Vec<u8>>,
        pub created_ms: i64,
    }

    #[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
    pub enum Relation {}

    impl ActiveModelBehavior for ActiveModel {}
}

/// What to do with a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Begin {
    /// It is new: do it, then [`store`] the response or [`abandon`] the key.
    New,
    /// The same request is being worked on.
    InProgress,
    /// It was answered: answer the same.
    Replay {
        /// HTTP status.
        status: u16,
        /// Body.
        body: Vec<u8>,
    },
    /// The key was used for another request.
    Mismatch,
}

/// Looks the key up and takes it if it is free, or in progress for longer than `stale_after_ms` (the
/// one who worked on it died).
///
/// # Errors
/// If the database failed, or the stored response is damaged.
pub async fn begin(
    tx: &Tx, encryption: &KeyEncryption, token: &TokenId, key: &str, request_sha256: &[u8; 32], now_ms: u64,
    stale_after_ms: u64,
) -> Result<Begin, StorageError> {
    let found = entity::Entity::find_by_id((token.to_string(), key.to_owned()))
        .one(tx.connection())
        .await
        .map_err(StorageError::database(TABLE))?;
    let Some(model) = found else {
        let row = entity::Model {
            token_id: token.to_string(),
            key: key.to_owned(),
            request_sha256: hex::encode(request_sha256),
            response_status: None,
            response_body: None,
            created_ms: integer(now_ms)?,
        };
        database::insert(tx, TABLE, row.into_active_model()).await?;
        return Ok(Begin::New);
    };

    let place = context(token, key);
    let row = Row { table: TABLE, key: &place };
    if row.hash("request_sha256", &model.request_sha256)? != *request_sha256 {
        return Ok(Begin::Mismatch);
    }
    match (model.response_status, model.response_body) {
        (Some(status), Some(body)) => Ok(Begin::Replay {
            status: row.number("response_status", status)?,
            body: encryption.open(&place, &Sealed(body))?.to_vec(),
        }),
        (None, None) => {
            let created_ms: u64 = row.number("created_ms", model.created_ms)?;
            if created_ms.saturating_add(stale_after_ms) > now_ms {
                return Ok(Begin::InProgress);
            }
            update(tx, token, key, |update| {
                Ok(update.col_expr(entity::Column::CreatedMs, Expr::value(integer(now_ms)?)))
            })
            .await?;
            Ok(Begin::New)
        }
        _ => Err(row.corrupt("response_body", "a status without a body or vice versa")),
    }
}

/// Stores the response to be replayed.
///
/// # Errors
/// [`StorageError::NotFound`] if the key was not begun, or was abandoned.
pub async fn store(
    tx: &Tx, encryption: &KeyEncryption, token: &TokenId, key: &str, status: u16, body: &[u8],
) -> Result<(), StorageError> {
    let sealed = encryption.seal(&context(token, key), body).0;
    update(tx, token, key, |update| {
        Ok(update
            .col_expr(entity::Column::ResponseStatus, Expr::value(i64::from(status)))
            .col_expr(entity::Column::ResponseBody, Expr::value(sealed)))
    })
    .await
}

/// Frees the key: the request failed in a way that is worth trying again.
///
/// # Errors
/// If the database failed.
pub async fn abandon(tx: &Tx, token: &TokenId, key: &str) -> Result<(), StorageError> {
    entity::Entity::delete_many()
        .filter(entity::Column::TokenId.eq(token.as_str()))
        .filter(entity::Column::Key.eq(key))
        .filter(entity::Column::ResponseStatus.is_null())
        .exec(tx.connection())
        .await
        .map_err(StorageError::database(TABLE))?;
    Ok(())
}

/// Forgets keys from before `before_ms`; returns how many.
///
/// # Errors
/// If the database failed.
pub async fn purge(tx: &Tx, before_ms: u64) -> Result<u64, StorageError> {
    let done = entity::Entity::delete_many()
        .filter(entity::Column::CreatedMs.lt(integer(before_ms)?))
        .exec(tx.connection())
        .await
        .map_err(StorageError::database(TABLE))?;
    Ok(done.rows_affected)
}

async fn update(
    tx: &Tx, token: &TokenId, key: &str,
    set: impl FnOnce(sea_orm::UpdateMany<entity::Entity>) -> Result<sea_orm::UpdateMany<entity::Entity>, StorageError>,
) -> Result<(), StorageError> {
    let done = set(entity::Entity::update_many())?
        .filter(entity::Column::TokenId.eq(token.as_str()))
        .filter(entity::Column::Key.eq(key))
        .exec(tx.connection())
        .await
        .map_err(StorageError::database(TABLE))?;
    match done.rows_affected {
        0 => Err(StorageError::not_found(TABLE, context(token, key))),
        _ => Ok(()),
    }
}

/// Names the row, also as the encrypted body's context.
fn context(token: &TokenId, key: &str) -> String {
    format!("{TABLE}/{token}/{key}")
}
