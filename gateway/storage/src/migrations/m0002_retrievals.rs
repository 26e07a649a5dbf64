//! Courts' retrievals and their packages.

use sea_orm_migration::prelude::*;
use sea_orm_migration::schema::{big_integer, blob, string, string_null, text_null};

pub struct Migration;

impl MigrationName for Migration {
    fn name(&self) -> &'static str {
        "m0002_retrievals"
    }
}

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    fn use_transaction(&self) -> Option<bool> {
        Some(true)
    }

    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let table = Table::create()
            .table("retrievals")
            .col(string("digest").primary_key())
            .col(string("record_hash"))
            .col(string("court"))
            .col(blob("request"))
            .col(string_null("notice_after"))
            .col(string("status"))
            .col(string_null("document_id"))
            .col(text_null("error"))
            .col(big_integer("created_ms"))
            .col(big_integer("updated_ms"))
            .foreign_key(ForeignKey::create().from("retrievals", "document_id").to("documents", "id"))
            .take();
        manager.create_table(table).await?;
        let index = Index::create().name("retrievals_by_created_ms").table("retrievals").col("created_ms").take();
        manager.create_index(index).await
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        manager.drop_table(Table::drop().table("retrievals").take()).await
    }
}
