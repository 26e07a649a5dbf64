//! The level of the signatures in a contract's file, certificates that were revoked, and signatures that were
//! made outside of the gateway.

use sea_orm_migration::prelude::*;
use sea_orm_migration::schema::{big_integer, binary, string, string_null};

pub struct Migration;

impl MigrationName for Migration {
    fn name(&self) -> &'static str {
        "m0007_signing"
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
        table.table("contracts").add_column(string_null("signature_level"));
        manager.alter_table(table.take()).await?;
        let mut revoked = Table::create();
        revoked
            .table("revoked_certificates")
            .col(string("serial").primary_key())
            .col(big_integer("since_ms"))
            .col(string("reason"));
        manager.create_table(revoked.take()).await?;
        let mut external = Table::create();
        external
            .table("external_signatures")
            .col(string("operation_id").primary_key())
            .col(binary("signature"))
            .col(big_integer("created_ms"))
            .foreign_key(ForeignKey::create().from("external_signatures", "operation_id").to("operations", "id"));
        manager.create_table(external.take()).await
    }

    async fn down(&self, _manager: &SchemaManager) -> Result<(), DbErr> {
        Err(DbErr::Migration("revocations and signatures are not thrown away; restore a backup instead".to_owned()))
    }
}
