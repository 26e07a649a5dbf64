//! The first schema. Hashes and subjects are lower-case hex text, so that an operator can read
//! them; times are integers, milliseconds since 1970 UTC; statuses are words.

use sea_orm_migration::prelude::*;
use sea_orm_migration::schema::{
    big_integer, big_integer_null, big_pk_auto, blob, blob_null, string, string_null, string_uniq, text, text_null,
};

pub struct Migration;

impl MigrationName for Migration {
    fn name(&self) -> &'static str {
        "m0001_initial"
    }
}

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    /// All or nothing: a crash leaves the database without this migration.
    fn use_transaction(&self) -> Option<bool> {
        Some(true)
    }

    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        for table in tables() {
            manager.create_table(table).await?;
        }
        for index in indexes() {
            manager.create_index(index).await?;
        }
        Ok(())
    }

    async fn down(&self, _manager: &SchemaManager) -> Result<(), DbErr> {
        Err(DbErr::Migration("there is nothing before the first schema; restore a backup instead".to_owned()))
    }
}

/// In an order in which every foreign key's target exists.
fn tables() -> Vec<TableCreateStatement> {
    vec![
        table("settings", [key("name"), text("value")], []),
        table(
            "tokens",
            [
                key("id"),
                string_uniq("name"),
                string_uniq("sha256"),
                big_integer("created_ms"),
                big_integer_null("revoked_ms"),
            ],
            [],
        ),
        table(
            "documents",
            [
                key("id"),
                string("sha256"),
                text_null("file_name"),
                big_integer("size"),
                text("pages"),
                string_uniq("blob_key"),
                big_integer("created_ms"),
            ],
            [],
        ),
        contracts(),
        operations(),
        table(
            "party_keys",
            [
                key("subject"),
                string("algorithm"),
                blob("public_key"),
                text("name"),
                text("id_code"),
                text("identity_check"),
                string("status"),
                string("operation_id"),
            ],
            [("operation_id", "operations")],
        ),
        table("seal_keys", [key("id"), blob("sealed"), big_integer("created_ms")], []),
        table(
            "seals",
            [
                key("operation_id"),
                ColumnDef::new("subject").string().null().unique_key().take(),
                text("name"),
                string("kind"),
                string("owner"),
                text("company_name"),
                text("bottom_text"),
                string("imprint_id"),
                blob("certificate_der"),
                text("chain"),
                string("key_id"),
                string("status"),
                big_integer("created_ms"),
            ],
            [("operation_id", "operations"), ("imprint_id", "documents"), ("key_id", "seal_keys")],
        ),
        table(
            "jobs",
            [
                big_pk_auto("id"),
                string("kind"),
                string("ref_id"),
                string("status"),
                big_integer("run_after_ms"),
                big_integer("attempts"),
                text_null("last_error"),
                string_null("lease"),
                big_integer_null("lease_until_ms"),
                big_integer_null("finished_ms"),
            ],
            [],
        ),
        idempotency(),
        table(
            "certificates",
            [
                key("number"),
                string("contract_id"),
                string("document_id"),
                string("proof_document_id"),
                big_integer("created_ms"),
            ],
            [("contract_id", "contracts"), ("document_id", "documents"), ("proof_document_id", "documents")],
        ),
        table(
            "audit",
            [
                big_pk_auto("id"),
                big_integer("time_ms"),
                text("actor"),
                text_null("ip"),
                string("action"),
                text_null("subject"),
                text("detail"),
            ],
            [],
        ),
    ]
}

fn contracts() -> TableCreateStatement {
    table(
        "contracts",
        [
            key("id"),
            ColumnDef::new("subject").string().null().unique_key().take(),
            text("title"),
            text("number"),
            string("document_id"),
            string("initiator"),
            string_null("amends"),
            string("status"),
            text("slots"),
            text("rules"),
            big_integer("version"),
            string_null("version_commitment"),
            string_null("current_revision_id"),
            string_null("final_document_id"),
            // No foreign key: operations refer to contracts, and two tables cannot each come first.
            string_null("busy_operation"),
            big_integer_null("busy_until_ms"),
            big_integer("created_ms"),
            big_integer("updated_ms"),
            big_integer("row_version"),
        ],
        [("document_id", "documents"), ("current_revision_id", "documents"), ("final_document_id", "documents")],
    )
}

fn operations() -> TableCreateStatement {
    table(
        "operations",
        [
            key("id"),
            string("kind"),
            blob("body"),
            string_uniq("digest"),
            string_null("created_subject"),
            string_null("contract_id"),
            blob("openings"),
            text("required"),
            text("signatures"),
            string("status"),
            text_null("error"),
            string_null("record_hash"),
            big_integer_null("record_height"),
            big_integer_null("record_index"),
            big_integer_null("record_time_ms"),
            text("payload"),
            string("followup_status"),
            text_null("followup_detail"),
            big_integer("created_ms"),
            big_integer("updated_ms"),
        ],
        [("contract_id", "contracts")],
    )
}

fn idempotency() -> TableCreateStatement {
    Table::create()
        .table("idempotency")
        .col(string("token_id"))
        .col(text("key"))
        .col(string("request_sha256"))
        .col(big_integer_null("response_status"))
        .col(blob_null("response_body"))
        .col(big_integer("created_ms"))
        .primary_key(Index::create().col("token_id").col("key"))
        .foreign_key(ForeignKey::create().from("idempotency", "token_id").to("tokens", "id"))
        .take()
}

fn indexes() -> Vec<IndexCreateStatement> {
    [
        ("documents", &["sha256"][..]),
        ("contracts", &["created_ms", "id"]),
        ("operations", &["contract_id", "created_ms"]),
        ("operations", &["status", "created_ms"]),
        ("seals", &["owner"]),
        ("jobs", &["status", "run_after_ms"]),
        ("jobs", &["kind", "ref_id"]),
        ("idempotency", &["created_ms"]),
        ("certificates", &["contract_id"]),
    ]
    .into_iter()
    .map(|(table, columns)| {
        let mut index = Index::create();
        index.name(format!("{table}_by_{}", columns.join("_"))).table(table);
        for column in columns {
            index.col(*column);
        }
        index.take()
    })
    .collect()
}

/// A primary key that the program chooses.
fn key(name: &'static str) -> ColumnDef {
    ColumnDef::new(name).string().not_null().primary_key().take()
}

/// `references`: (column, table whose `id` it names).
fn table<const C: usize, const R: usize>(
    name: &'static str, columns: [ColumnDef; C], references: [(&'static str, &'static str); R],
) -> TableCreateStatement {
    let mut statement = Table::create();
    statement.table(name);
    for column in columns {
        statement.col(column);
    }
    for (column, target) in references {
        statement.foreign_key(ForeignKey::create().from(name, column).to(target, "id"));
    }
    statement.take()
}
