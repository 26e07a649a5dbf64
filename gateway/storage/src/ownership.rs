//! Which account brought what: keys, documents, contracts, operations. What nobody's account brought
//! (an operator's token did, or a version of the program without accounts) is seen by operators only,
//! until an operator assigns it.

use sea_orm::IntoActiveModel;
use sea_orm::entity::prelude::*;
use sea_orm::sea_query::OnConflict;

use crate::database::{Read, Tx, sealed::Connection as _};
use crate::error::StorageError;
use crate::text_enum::text_enum;

const TABLE: &str = "ownership";

mod entity {
    use sea_orm::entity::prelude::*;

    #[derive(Clone, Debug, DeriveEntityModel)]
    #[sea_orm(table_name = "ownership")]
    pub struct Model {
        #[sea_orm(primary_key, auto_increment = false)]
        pub kind: String,
        #[sea_orm(primary_key, auto_increment = false)]
        pub reference: String,
        pub account: String,
    }

    #[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
    pub enum Relation {}

    impl ActiveModelBehavior for ActiveModel {}
}

text_enum! {
    /// What can be owned.
    pub enum Owned {
        /// A key, by its subject in hexadecimal.
        Key => "key",
        /// A document, by its id.
        Document => "document",
        /// A contract, by its id.
        Contract => "contract",
        /// An operation, by its id.
        Operation => "operation",
    }
}

/// Notes whose it is; what was noted before is replaced.
///
/// # Errors
/// If the database failed.
pub async fn put(tx: &Tx, kind: Owned, reference: &str, account: &str) -> Result<(), StorageError> {
    let row = entity::Model { kind: kind.to_string(), reference: reference.to_owned(), account: account.to_owned() };
    let replace = OnConflict::columns([entity::Column::Kind, entity::Column::Reference])
        .update_column(entity::Column::Account)
        .to_owned();
    entity::Entity::insert(row.into_active_model())
        .on_conflict(replace)
        .exec_without_returning(tx.connection())
        .await
        .map_err(StorageError::database(TABLE))?;
    Ok(())
}

/// Whose it is, if that was noted.
///
/// # Errors
/// If the database failed.
pub async fn of(read: &impl Read, kind: Owned, reference: &str) -> Result<Option<String>, StorageError> {
    let found = entity::Entity::find_by_id((kind.to_string(), reference.to_owned())).one(read.connection()).await;
    Ok(found.map_err(StorageError::database(TABLE))?.map(|row| row.account))
}
