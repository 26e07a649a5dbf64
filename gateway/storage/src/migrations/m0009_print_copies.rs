//! The log of controlled print copies.

use sea_orm_migration::prelude::*;
use sea_orm_migration::schema::{big_integer, string, string_null};

pub struct Migration;

impl MigrationName for Migration {
    fn name(&self) -> &'static str {
        "m0009_print_copies"
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
            .table("print_copies")
            .col(string("contract_id"))
            .col(big_integer("number"))
            .col(string("code").unique_key())
            .col(string("requester"))
            .col(string_null("account"))
            .col(string("printed_for"))
            .col(string("purpose"))
            .col(string("source_sha256"))
            .col(string("document_id"))
            .col(big_integer("made_ms"))
            .primary_key(Index::create().col("contract_id").col("number"))
            .foreign_key(ForeignKey::create().from("print_copies", "contract_id").to("contracts", "id"))
            .foreign_key(ForeignKey::create().from("print_copies", "document_id").to("documents", "id"));
        manager.create_table(table.take()).await
    }

    async fn down(&self, _manager: &SchemaManager) -> Result<(), DbErr> {
        Err(DbErr::Migration("the print log is not thrown away; restore a backup instead".to_owned()))
    }
}
