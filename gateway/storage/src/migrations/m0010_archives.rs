//! Archived files of contracts: how often they were timestamped, and when the next time is.

use sea_orm_migration::prelude::*;
use sea_orm_migration::schema::{big_integer, big_integer_null, string, string_null};

pub struct Migration;

impl MigrationName for Migration {
    fn name(&self) -> &'static str {
        "m0010_archives"
    }
}

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    /// All or nothing: a crash leaves the database without this migration.
    fn use_transaction(&self) -> Option<bool> {
        Some(true)
    }

    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let mut table = Table::create();
        table
            .table("archives")
            .col(string("contract_id").primary_key())
            .col(string_null("document_id"))
            .col(big_integer("timestamps"))
            .col(big_integer("due_ms"))
            .col(big_integer_null("stamped_ms"))
            .col(big_integer_null("authority_end_ms"))
            .col(string_null("error"))
            .col(big_integer("updated_ms"))
            .foreign_key(ForeignKey::create().from("archives", "contract_id").to("contracts", "id"))
            .foreign_key(ForeignKey::create().from("archives", "document_id").to("documents", "id"));
        manager.create_table(table.take()).await
    }

    async fn down(&self, _manager: &SchemaManager) -> Result<(), DbErr> {
        Err(DbErr::Migration("archives are not thrown away; restore a backup instead".to_owned()))
    }
}
