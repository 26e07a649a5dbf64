//! Seal signatures of GB/T 38540 over the final files of contracts.

use sea_orm_migration::prelude::*;
use sea_orm_migration::schema::{big_integer, binary, string};

pub struct Migration;

impl MigrationName for Migration {
    fn name(&self) -> &'static str {
        "m0013_seal_signatures"
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
            .table("seal_signatures")
            .col(string("contract_id"))
            .col(big_integer("slot"))
            .col(binary("signature"))
            .col(string("document_sha256"))
            .col(big_integer("signed_ms"))
            .primary_key(Index::create().col("contract_id").col("slot"))
            .foreign_key(ForeignKey::create().from("seal_signatures", "contract_id").to("contracts", "id"));
        manager.create_table(table.take()).await
    }

    async fn down(&self, _manager: &SchemaManager) -> Result<(), DbErr> {
        Err(DbErr::Migration("signatures are not thrown away; restore a backup instead".to_owned()))
    }
}
