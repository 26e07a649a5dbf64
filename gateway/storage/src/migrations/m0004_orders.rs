//! Signing certificates that were asked for, and how far each is.

use sea_orm_migration::prelude::*;
use sea_orm_migration::schema::{big_integer, string, text_null};

pub struct Migration;

impl MigrationName for Migration {
    fn name(&self) -> &'static str {
        "m0004_orders"
    }
}

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    fn use_transaction(&self) -> Option<bool> {
        Some(true)
    }

    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let table = Table::create()
            .table("certificate_orders")
            .col(string("number").primary_key())
            .col(string("contract_id"))
            .col(string("status"))
            .col(text_null("error"))
            .col(big_integer("created_ms"))
            .col(big_integer("updated_ms"))
            .foreign_key(ForeignKey::create().from("certificate_orders", "contract_id").to("contracts", "id"))
            .take();
        manager.create_table(table).await?;
        for column in ["contract_id", "status"] {
            let name = format!("certificate_orders_by_{column}");
            let index = Index::create().name(name).table("certificate_orders").col(column).take();
            manager.create_index(index).await?;
        }
        Ok(())
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        manager.drop_table(Table::drop().table("certificate_orders").take()).await
    }
}
