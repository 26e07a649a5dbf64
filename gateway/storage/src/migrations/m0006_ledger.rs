//! What the ledger says of contracts, also by records of other members; and how far it was read.

use sea_orm_migration::prelude::*;
use sea_orm_migration::schema::{big_integer, string};

pub struct Migration;

impl MigrationName for Migration {
    fn name(&self) -> &'static str {
        "m0006_ledger"
    }
}

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    fn use_transaction(&self) -> Option<bool> {
        Some(true)
    }

    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let states = Table::create()
            .table("ledger_states")
            .col(string("contract_id").primary_key())
            .col(string("status"))
            .col(big_integer("records"))
            .col(big_integer("height"))
            .col(big_integer("time_ms"))
            .foreign_key(ForeignKey::create().from("ledger_states", "contract_id").to("contracts", "id"))
            .take();
        manager.create_table(states).await?;
        let cursor = Table::create()
            .table("ledger_cursor")
            .col(big_integer("id").primary_key())
            .col(big_integer("height"))
            .take();
        manager.create_table(cursor).await
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        for table in ["ledger_states", "ledger_cursor"] {
            manager.drop_table(Table::drop().table(table).take()).await?;
        }
        Ok(())
    }
}
