//! Migrations, one file each, never changed after a release; and the `settings` table, which belongs
//! to the database itself (now: the master key it is bound to).

mod m0001_initial;
mod m0002_retrievals;
mod m0003_publication;
mod m0004_orders;
mod m0005_accounts;
mod m0006_ledger;
mod m0007_signing;
mod m0008_seal_data;
mod m0009_print_copies;
mod m0010_archives;
mod m0011_certification;
mod m0012_document_template;
mod m0013_seal_signatures;

use sea_orm::IntoActiveModel;
use sea_orm::entity::prelude::*;
use sea_orm_migration::{MigrationTrait, MigratorTrait};

use crate::database::{self, Tx, sealed::Connection};
use crate::encryption::KeyId;
use crate::error::StorageError;
use crate::row::Row;

/// Applies the migrations in order; SeaORM records which ones in `seaql_migrations`.
pub(crate) struct Migrator;

impl MigratorTrait for Migrator {
    fn migrations() -> Vec<Box<dyn MigrationTrait>> {
        vec![
            Box::new(m0001_initial::Migration),
            Box::new(m0002_retrievals::Migration),
            Box::new(m0003_publication::Migration),
            Box::new(m0004_orders::Migration),
            Box::new(m0005_accounts::Migration),
            Box::new(m0006_ledger::Migration),
            Box::new(m0007_signing::Migration),
            Box::new(m0008_seal_data::Migration),
            Box::new(m0009_print_copies::Migration),
            Box::new(m0010_archives::Migration),
            Box::new(m0011_certification::Migration),
            Box::new(m0012_document_template::Migration),
            Box::new(m0013_seal_signatures::Migration),
        ]
    }
}

const TABLE: &str = "settings";
const MASTER_KEY_ID: &str = "master_key_id";

mod settings {
    use sea_orm::entity::prelude::*;

    #[derive(Clone, Debug, DeriveEntityModel)]
    #[sea_orm(table_name = "settings")]
    pub struct Model {
        #[sea_orm(primary_key, auto_increment = false)]
        pub name: String,
        pub value: String,
    }

    #[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
    pub enum Relation {}

    impl ActiveModelBehavior for ActiveModel {}
}

/// The id of the master key that the database is bound to.
pub(crate) async fn bound_key(tx: &Tx) -> Result<Option<KeyId>, StorageError> {
    let found = settings::Entity::find_by_id(MASTER_KEY_ID)
        .one(tx.connection())
        .await
        .map_err(StorageError::database(TABLE))?;
    let row = Row { table: TABLE, key: MASTER_KEY_ID };
    found.map(|setting| row.parse("value", &setting.value)).transpose()
}

/// Binds the database to a master key.
pub(crate) async fn bind_key(tx: &Tx, key: KeyId) -> Result<(), StorageError> {
    let setting = settings::Model { name: MASTER_KEY_ID.to_owned(), value: key.to_string() };
    database::insert(tx, TABLE, setting.into_active_model()).await
}
