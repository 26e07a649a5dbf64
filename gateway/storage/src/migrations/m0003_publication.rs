//! What parties consented to make public.

use sea_orm_migration::prelude::*;
use sea_orm_migration::schema::{big_integer, blob, string, text};

pub struct Migration;

impl MigrationName for Migration {
    fn name(&self) -> &'static str {
        "m0003_publication"
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
            .table("publication_consents")
            .col(string("contract_id"))
            .col(string("party_key"))
            .col(text("fields"))
            .col(big_integer("time_ms"))
            .col(blob("signature"))
            .primary_key(Index::create().col("contract_id").col("party_key"))
            .foreign_key(ForeignKey::create().from("publication_consents", "contract_id").to("contracts", "id"));
        manager.create_table(table.take()).await
    }

    async fn down(&self, _manager: &SchemaManager) -> Result<(), DbErr> {
        Err(DbErr::Migration("consents of parties are not thrown away; restore a backup instead".to_owned()))
    }
}
