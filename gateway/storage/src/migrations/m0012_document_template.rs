//! Which template of ours a document was rendered from; of older documents it is not known.

use sea_orm_migration::prelude::*;
use sea_orm_migration::schema::text_null;

pub struct Migration;

impl MigrationName for Migration {
    fn name(&self) -> &'static str {
        "m0012_document_template"
    }
}

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    /// All or nothing: a crash leaves the database without this migration.
    fn use_transaction(&self) -> Option<bool> {
        Some(true)
    }

    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let mut table = Table::alter();
        table.table("documents").add_column(text_null("template"));
        manager.alter_table(table.take()).await
    }

    async fn down(&self, _manager: &SchemaManager) -> Result<(), DbErr> {
        Err(DbErr::Migration("where a document came from is not forgotten; restore a backup instead".to_owned()))
    }
}
