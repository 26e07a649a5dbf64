//! API tokens of organisations. Only the SHA-256 of a token is stored; comparing and making tokens is
//! the gateway's.

use sea_orm::entity::prelude::*;
use sea_orm::sea_query::Expr;
use sea_orm::{IntoActiveModel, QueryOrder};

use crate::database::{self, Read, Tx, sealed::Connection as _};
use crate::error::StorageError;
use crate::ids::TokenId;
use crate::row::{Row, integer, integer_opt};

const TABLE: &str = "tokens";

mod entity {
    use sea_orm::entity::prelude::*;

    #[derive(Clone, Debug, DeriveEntityModel)]
    #[sea_orm(table_name = "tokens")]
    pub struct Model {
        #[sea_orm(primary_key, auto_increment = false)]
        pub id: String,
        pub name: String,
        pub sha256: String,
        pub created_ms: i64,
        pub revoked_ms: Option<i64>,
        pub account: Option<String>,
    }

    #[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
    pub enum Relation {}

    impl ActiveModelBehavior for ActiveModel {}
}

/// An API token.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Token {
    /// Its id; requests are attributed to it.
    pub id: TokenId,
    /// Its name, unique, also among revoked ones.
    pub name: String,
    /// SHA-256 of the token.
    pub sha256: [u8; 32],
    /// When it was made.
    pub created_ms: u64,
    /// When it was revoked, if it was.
    pub revoked_ms: Option<u64>,
    /// Whose contracts it sees; nothing: an operator's, which sees all.
    pub account: Option<String>,
}

/// Adds a token.
///
/// # Errors
/// [`StorageError::Conflict`] if the name or the hash exists.
pub async fn insert(tx: &Tx, token: &Token) -> Result<(), StorageError> {
    let row = entity::Model {
        id: token.id.to_string(),
        name: token.name.clone(),
        sha256: hex::encode(token.sha256),
        created_ms: integer(token.created_ms)?,
        revoked_ms: integer_opt(token.revoked_ms)?,
        account: token.account.clone(),
    };
    database::insert(tx, TABLE, row.into_active_model()).await
}

/// The token with this hash, unless it is unknown or revoked.
///
/// # Errors
/// If the database failed or the row is damaged.
pub async fn find_active(read: &impl Read, sha256: &[u8; 32]) -> Result<Option<Token>, StorageError> {
    entity::Entity::find()
        .filter(entity::Column::Sha256.eq(hex::encode(sha256)))
        .filter(entity::Column::RevokedMs.is_null())
        .one(read.connection())
        .await
        .map_err(StorageError::database(TABLE))?
        .map(decode)
        .transpose()
}

/// Revokes the token of this name.
///
/// # Errors
/// [`StorageError::NotFound`] if there is no such token that is still active.
pub async fn revoke(tx: &Tx, name: &str, now_ms: u64) -> Result<(), StorageError> {
    let done = entity::Entity::update_many()
        .col_expr(entity::Column::RevokedMs, Expr::value(integer(now_ms)?))
        .filter(entity::Column::Name.eq(name))
        .filter(entity::Column::RevokedMs.is_null())
        .exec(tx.connection())
        .await
        .map_err(StorageError::database(TABLE))?;
    match done.rows_affected {
        0 => Err(StorageError::not_found(TABLE, name)),
        _ => Ok(()),
    }
}

/// All tokens, oldest first.
///
/// # Errors
/// If the database failed or a row is damaged.
pub async fn list(read: &impl Read) -> Result<Vec<Token>, StorageError> {
    entity::Entity::find()
        .order_by_asc(entity::Column::CreatedMs)
        .order_by_asc(entity::Column::Id)
        .all(read.connection())
        .await
        .map_err(StorageError::database(TABLE))?
        .into_iter()
        .map(decode)
        .collect()
}

fn decode(model: entity::Model) -> Result<Token, StorageError> {
    let row = Row { table: TABLE, key: &model.id };
    Ok(Token {
        id: row.parse("id", &model.id)?,
        sha256: row.hash("sha256", &model.sha256)?,
        created_ms: row.number("created_ms", model.created_ms)?,
        revoked_ms: row.number_opt("revoked_ms", model.revoked_ms)?,
        name: model.name,
        account: model.account,
    })
}
