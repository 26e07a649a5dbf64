//! Seal data of GB/T 38540 beside seals.

use sea_orm_migration::prelude::*;
use sea_orm_migration::schema::{big_integer, binary, string};

pub struct Migration;

impl MigrationName for Migration {
    fn name(&self) -> &'static str {
        "m0008_seal_data"
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
            .table("seal_data")
            .col(string("operation_id").primary_key())
            .col(binary("esl"))
            .col(binary("certificate_der"))
            .col(string("key_id"))
            .col(big_integer("created_ms"))
            .foreign_key(ForeignKey::create().from("seal_data", "operation_id").to("seals", "operation_id"))
            .foreign_key(ForeignKey::create().from("seal_data", "key_id").to("seal_keys", "id"));
        manager.create_table(table.take()).await
    }

    async fn down(&self, _manager: &SchemaManager) -> Result<(), DbErr> {
        Err(DbErr::Migration("keys are not thrown away; restore a backup instead".to_owned()))
    }
}
