//! Accounts: whose tokens see what. A token without an account is an operator's.

use sea_orm_migration::prelude::*;
use sea_orm_migration::schema::{string, string_null};

pub struct Migration;

impl MigrationName for Migration {
    fn name(&self) -> &'static str {
        "m0005_accounts"
    }
}

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    fn use_transaction(&self) -> Option<bool> {
        Some(true)
    }

    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        manager.alter_table(Table::alter().table("tokens").add_column(string_null("account")).take()).await?;
        let table = Table::create()
            .table("ownership")
            .col(string("kind"))
            .col(string("reference"))
            .col(string("account"))
            .primary_key(Index::create().col("kind").col("reference"))
            .take();
        manager.create_table(table).await
    }

    async fn down(&self, _manager: &SchemaManager) -> Result<(), DbErr> {
        Err(DbErr::Migration("without accounts every token would see everything; restore a backup instead".to_owned()))
    }
}
