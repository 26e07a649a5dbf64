//! The database: opening it, transactions, and the two ways to reach it ([`Storage`] for reads,
//! [`Tx`] for both). Only this file knows that it is SQLite: WAL with `synchronous = FULL`, so a
//! committed transaction survives a power cut; writers take the write lock at `BEGIN`
//! (`IMMEDIATE`), so what a transaction has read cannot change before it commits.

use std::fs::{File, OpenOptions};
use std::io::ErrorKind;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use sea_orm::sqlx::sqlite::{SqliteJournalMode, SqliteSynchronous};
use sea_orm::{
    ActiveModelTrait, ConnectOptions, Database, DatabaseConnection, DatabaseTransaction, EntityTrait,
    SqliteTransactionMode, TransactionOptions, TransactionTrait,
};
use sea_orm_migration::MigratorTrait;
use tokio::sync::{Mutex, OwnedMutexGuard};

use crate::encryption::KeyEncryption;
use crate::error::StorageError;
use crate::migrations::{self, Migrator};

/// The database inside the gateway's home folder.
const DATABASE_FILE: &str = "gateway.sqlite";
/// Held while migrating, so that two processes that start together do it one after the other.
const MIGRATION_LOCK_FILE: &str = "gateway.migrate.lock";
/// Connections: one writer, the others read beside it.
const MAX_CONNECTIONS: u32 = 8;
/// How long a writer waits for its turn. A transaction does no slow work, so longer is a fault.
const WRITER_TIMEOUT: Duration = Duration::from_secs(30);
/// How long SQLite waits for another *process*' write lock.
const BUSY_TIMEOUT: Duration = Duration::from_secs(20);

/// The gateway's database. Cheap to clone; all clones share the connections.
#[derive(Clone, Debug)]
pub struct Storage {
    connection: DatabaseConnection,
    /// Writers of this process queue here in order of arrival, instead of polling SQLite's lock.
    writer: Arc<Mutex<()>>,
}

/// An open write transaction. Dropping it without [`Tx::commit`] rolls it back. While it is open no
/// other writer works: no network, no rendering inside; and beginning a second one in the same task
/// waits for itself until the time limit.
#[derive(Debug)]
pub struct Tx {
    transaction: DatabaseTransaction,
    _turn: OwnedMutexGuard<()>,
}

pub(crate) mod sealed {
    /// What the repository functions need and callers do not: the connection.
    pub trait Connection: Sync {
        /// Pool or transaction.
        type Inner: sea_orm::ConnectionTrait;
        /// The connection to read by.
        fn connection(&self) -> &Self::Inner;
    }
}

/// Something to read from: [`Storage`] (committed rows) or [`Tx`] (also its own changes).
pub trait Read: sealed::Connection {}

impl sealed::Connection for Storage {
    type Inner = DatabaseConnection;
    fn connection(&self) -> &DatabaseConnection {
        &self.connection
    }
}
impl Read for Storage {}

impl sealed::Connection for Tx {
    type Inner = DatabaseTransaction;
    fn connection(&self) -> &DatabaseTransaction {
        &self.transaction
    }
}
impl Read for Tx {}

impl Storage {
    /// Opens `home/gateway.sqlite` (made if absent, mode 0600; `home` must exist) and applies the
    /// migrations that are missing. A database of a newer program is refused.
    ///
    /// # Errors
    /// If the file cannot be made or opened, or a migration fails.
    pub async fn open(home: &Path) -> Result<Self, StorageError> {
        let path = home.join(DATABASE_FILE);
        let lock_path = home.join(MIGRATION_LOCK_FILE);
        create_database_file(&path)?;
        let lock = open_lock_file(&lock_path)?;
        let lock = tokio::task::spawn_blocking(move || lock.lock().map(|()| lock))
            .await
            .expect("taking a file lock does not panic")
            .map_err(|source| StorageError::File { path: lock_path, source })?;

        let mut options = ConnectOptions::new("sqlite:gateway.sqlite");
        options.max_connections(MAX_CONNECTIONS).sqlx_logging(false).map_sqlx_sqlite_opts(move |sqlite| {
            sqlite
                .filename(&path)
                .create_if_missing(false)
                .journal_mode(SqliteJournalMode::Wal)
                .synchronous(SqliteSynchronous::Full)
                .foreign_keys(true)
                .busy_timeout(BUSY_TIMEOUT)
        });
        let connection = Database::connect(options).await.map_err(StorageError::database("open"))?;
        Migrator::up(&connection, None).await.map_err(StorageError::database("migrate"))?;
        drop(lock);
        Ok(Self { connection, writer: Arc::default() })
    }

    /// Begins a write transaction, when the writers before it are done.
    ///
    /// # Errors
    /// [`StorageError::WriterTimeout`], or the database failed.
    pub async fn begin(&self) -> Result<Tx, StorageError> {
        let turn = tokio::time::timeout(WRITER_TIMEOUT, self.writer.clone().lock_owned())
            .await
            .map_err(|_| StorageError::WriterTimeout { seconds: WRITER_TIMEOUT.as_secs() })?;
        let transaction = self
            .connection
            .begin_with_options(TransactionOptions {
                sqlite_transaction_mode: Some(SqliteTransactionMode::Immediate),
                ..TransactionOptions::default()
            })
            .await
            .map_err(StorageError::database("begin"))?;
        Ok(Tx { transaction, _turn: turn })
    }

    /// Runs `work` in a transaction: committed if it returns `Ok`, rolled back otherwise.
    ///
    /// # Errors
    /// Those of `work`, or the transaction's own.
    pub async fn transaction<T, E, F>(&self, work: F) -> Result<T, E>
    where
        F: AsyncFnOnce(&Tx) -> Result<T, E>,
        E: From<StorageError>,
    {
        let tx = self.begin().await?;
        let value = work(&tx).await?;
        tx.commit().await?;
        Ok(value)
    }

    /// Binds the database to a master key: the first call records the key's id, later calls refuse
    /// any other key. Call it once at start, before anything is encrypted.
    ///
    /// # Errors
    /// [`StorageError::WrongMasterKey`], or the database failed.
    pub async fn bind_key(&self, encryption: &KeyEncryption) -> Result<(), StorageError> {
        let given = encryption.key_id();
        self.transaction(async |tx| match migrations::bound_key(tx).await? {
            None => migrations::bind_key(tx, given).await,
            Some(expected) if expected == given => Ok(()),
            Some(expected) => Err(StorageError::WrongMasterKey { expected, given }),
        })
        .await
    }

    /// Closes all connections, waiting for those in use. The WAL is folded into the database.
    ///
    /// # Errors
    /// If the database failed.
    pub async fn close(self) -> Result<(), StorageError> {
        self.connection.close().await.map_err(StorageError::database("close"))
    }
}

impl Tx {
    /// Makes the changes durable.
    ///
    /// # Errors
    /// If the database failed; nothing was written then.
    pub async fn commit(self) -> Result<(), StorageError> {
        self.transaction.commit().await.map_err(StorageError::database("commit"))
    }

    /// Drops the changes, and waits until that is done.
    ///
    /// # Errors
    /// If the database failed; nothing was written in that case either.
    pub async fn rollback(self) -> Result<(), StorageError> {
        self.transaction.rollback().await.map_err(StorageError::database("roll back"))
    }
}

/// Inserts one row; all columns are written, as in `row`.
pub(crate) async fn insert<A>(tx: &Tx, table: &'static str, row: A) -> Result<(), StorageError>
where
    A: ActiveModelTrait + Send,
{
    A::Entity::insert(row).exec_without_returning(&tx.transaction).await.map_err(StorageError::database(table))?;
    Ok(())
}

/// Makes the empty database file with mode 0600; SQLite gives its WAL the same. An existing file is
/// not touched: closing a second handle would drop the POSIX locks that SQLite holds on it.
fn create_database_file(path: &Path) -> Result<(), StorageError> {
    match OpenOptions::new().create_new(true).write(true).mode(0o600).open(path) {
        Ok(_) => Ok(()),
        Err(error) if error.kind() == ErrorKind::AlreadyExists => Ok(()),
        Err(source) => Err(StorageError::File { path: path.to_owned(), source }),
    }
}

fn open_lock_file(path: &Path) -> Result<File, StorageError> {
    OpenOptions::new()
        .create(true)
        .truncate(false)
        .write(true)
        .mode(0o600)
        .open(path)
        .map_err(|source| StorageError::File { path: path.to_owned(), source })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use sea_orm::{ConnectionTrait, DbBackend, Statement};

    /// On every connection of the pool, not only the first.
    #[tokio::test]
    async fn every_connection_is_durable_and_checks_foreign_keys() {
        let home = tempfile::tempdir().unwrap();
        let storage = Storage::open(home.path()).await.unwrap();
        let held = [
            storage.connection.begin().await.unwrap(),
            storage.connection.begin().await.unwrap(),
            storage.connection.begin().await.unwrap(),
        ];
        for connection in &held {
            for (pragma, expected) in [("synchronous", 2), ("foreign_keys", 1), ("timeout", 20_000)] {
                let statement = match pragma {
                    "timeout" => "PRAGMA busy_timeout".to_owned(),
                    _ => format!("PRAGMA {pragma}"),
                };
                let row = connection
                    .query_one_raw(Statement::from_string(DbBackend::Sqlite, statement))
                    .await
                    .unwrap()
                    .unwrap();
                assert_eq!(row.try_get_by_index::<i32>(0).unwrap(), expected, "{pragma}");
            }
        }
        let row = storage
            .connection
            .query_one_raw(Statement::from_string(DbBackend::Sqlite, "PRAGMA journal_mode"))
            .await
            .unwrap()
            .unwrap();
        assert_eq!(row.try_get_by_index::<String>(0).unwrap(), "wal");
    }
}
