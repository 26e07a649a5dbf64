//! What can go wrong with stored rows. Says whose fault it is: the caller asked for something that
//! is not there or not possible now, somebody else holds it, the data are damaged, or the database
//! itself failed.

use std::path::PathBuf;

use sea_orm::{DbErr, SqlErr};

use crate::blobs::BlobError;
use crate::encryption::{EncryptionError, KeyId};
use crate::ids::OperationId;

/// An error of the SQL part of the storage; encryption and blobs join it so that a caller can use `?`.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StorageError {
    /// No row with this key.
    #[error("no row {key} in {table}")]
    NotFound {
        /// The table.
        table: &'static str,
        /// The key looked for.
        key: String,
    },
    /// A unique index forbids this row: another one has the same value.
    #[error("{table}: another row has the same {columns}")]
    Conflict {
        /// The table.
        table: &'static str,
        /// The column or columns that must be unique, comma-separated.
        columns: String,
    },
    /// The row names another row that does not exist (foreign key).
    #[error("{table}: a row that is referred to does not exist")]
    MissingReference {
        /// The table written to.
        table: &'static str,
    },
    /// The row is in a state that does not allow this change.
    #[error("{table} {key} is {actual}, not {expected}")]
    WrongState {
        /// The table.
        table: &'static str,
        /// The row's key.
        key: String,
        /// Its state.
        actual: String,
        /// The states in which the change is allowed.
        expected: &'static str,
    },
    /// The row has changed since it was read: read it again and decide again.
    #[error("{table} {key} was changed meanwhile")]
    Stale {
        /// The table.
        table: &'static str,
        /// The row's key.
        key: String,
    },
    /// Another signature of this contract is being prepared.
    #[error("operation {operation} holds the contract until {until_ms} ms")]
    Busy {
        /// The operation that holds the contract.
        operation: OperationId,
        /// Until when at most.
        until_ms: u64,
    },
    /// The job's lease ended and somebody else may be running it; this worker must drop its result.
    #[error("the lease on job {job} was lost")]
    LeaseLost {
        /// The job.
        job: i64,
    },
    /// A number that does not fit the database's signed 64-bit integer.
    #[error("{0} does not fit a database integer")]
    OutOfRange(u64),
    /// A row that does not decode. Somebody changed the database by hand, or it is damaged.
    #[error("damaged row {key} in {table}: column {column}: {reason}")]
    CorruptRow {
        /// The table.
        table: &'static str,
        /// The row's key.
        key: String,
        /// The column.
        column: &'static str,
        /// What is wrong with it, without the value.
        reason: String,
    },
    /// The database was written under another master key than the one given.
    #[error("this database belongs to master key {expected}, not {given}")]
    WrongMasterKey {
        /// The key that the database is bound to.
        expected: KeyId,
        /// The key given.
        given: KeyId,
    },
    /// No writer's turn came within the time limit.
    #[error("waited {seconds} s for another transaction to end")]
    WriterTimeout {
        /// How long.
        seconds: u64,
    },
    /// The database's file or lock file could not be made or opened.
    #[error("cannot open {path}")]
    File {
        /// The file.
        path: PathBuf,
        /// The cause.
        #[source]
        source: std::io::Error,
    },
    /// The database failed.
    #[error("database: {doing}")]
    Database {
        /// What was being done, or the table.
        doing: &'static str,
        /// The cause.
        #[source]
        source: DbErr,
    },
    /// Encryption or decryption of a column failed.
    #[error(transparent)]
    Encryption(#[from] EncryptionError),
    /// A blob could not be written or read.
    #[error(transparent)]
    Blob(#[from] BlobError),
}

impl StorageError {
    pub(crate) fn database(doing: &'static str) -> impl FnOnce(DbErr) -> Self {
        move |source| match source.sql_err() {
            Some(SqlErr::UniqueConstraintViolation(message)) => {
                Self::Conflict { table: doing, columns: unique_columns(&message) }
            }
            Some(SqlErr::ForeignKeyConstraintViolation(_)) => Self::MissingReference { table: doing },
            _ => Self::Database { doing, source },
        }
    }

    pub(crate) fn not_found(table: &'static str, key: impl ToString) -> Self {
        Self::NotFound { table, key: key.to_string() }
    }
}

/// `UNIQUE constraint failed: tokens.name, tokens.org` → `name, org`; another database's message as it is.
fn unique_columns(message: &str) -> String {
    match message.split_once("constraint failed: ") {
        Some((_, columns)) => {
            columns.split(", ").map(|column| column.rsplit('.').next().unwrap_or(column)).collect::<Vec<_>>().join(", ")
        }
        None => message.to_owned(),
    }
}
