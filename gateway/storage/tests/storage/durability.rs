//! What survives: migrations are applied once, what was committed is there after a crash and nothing
//! else, and all parts of a transaction share one fate.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use qz_storage::audit::{self, AuditLine};
use qz_storage::{Storage, StorageError, contracts, jobs, operations};

use crate::fixtures::{Home, NOW, new_operation};

/// The files as a crash at this moment would leave them on disk.
fn crash_copy(home: &Path) -> tempfile::TempDir {
    let copy = tempfile::tempdir().unwrap();
    for file in ["gateway.sqlite", "gateway.sqlite-wal"] {
        fs::copy(home.join(file), copy.path().join(file)).unwrap();
    }
    copy
}

#[tokio::test]
async fn migrations_apply_once_and_opening_again_keeps_the_rows() {
    let home = Home::new().await;
    let contract = home.contract().await;
    home.storage.clone().close().await.unwrap();
    for _ in 0..2 {
        let storage = Storage::open(home.path()).await.unwrap();
        storage.bind_key(&home.encryption).await.unwrap();
        assert_eq!(contracts::get(&storage, &contract.id).await.unwrap(), contract);
        storage.close().await.unwrap();
    }
}

#[tokio::test]
async fn a_database_of_a_newer_program_is_refused() {
    let home = Home::new().await;
    home.storage.clone().close().await.unwrap();
    home.damage("INSERT INTO seaql_migrations (version, applied_at) VALUES ('m9999_future', 0)").await;
    let refused = Storage::open(home.path()).await;
    assert!(matches!(refused, Err(StorageError::Database { doing: "migrate", .. })), "{refused:?}");
}

#[tokio::test]
async fn a_home_that_does_not_exist_is_named() {
    let refused = Storage::open(Path::new("/nonexistent/gateway")).await;
    assert!(matches!(refused, Err(StorageError::File { .. })), "{refused:?}");
}

#[tokio::test]
async fn database_files_are_private() {
    let home = Home::new().await;
    for file in ["gateway.sqlite", "gateway.sqlite-wal"] {
        let mode = fs::metadata(home.path().join(file)).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600, "{file}");
    }
}

#[tokio::test]
async fn after_a_crash_what_was_committed_is_there_and_nothing_else() {
    let home = Home::new().await;
    let committed = home.operation().await;
    let tx = home.begin().await;
    let half_done = new_operation(&home.encryption);
    operations::insert(&tx, &half_done).await.unwrap();
    jobs::enqueue(&tx, "submit", half_done.id.as_str(), NOW).await.unwrap();

    let copy = crash_copy(home.path());
    let after = Storage::open(copy.path()).await.unwrap();
    assert_eq!(operations::get(&after, &committed.id).await.unwrap(), committed);
    assert!(matches!(operations::get(&after, &half_done.id).await, Err(StorageError::NotFound { .. })));
    assert_eq!(jobs::next_due(&after).await.unwrap(), None);

    tx.commit().await.unwrap();
    let copy = crash_copy(home.path());
    let after = Storage::open(copy.path()).await.unwrap();
    assert_eq!(operations::get(&after, &half_done.id).await.unwrap(), half_done);
    assert_eq!(jobs::next_due(&after).await.unwrap(), Some(NOW));
}

#[tokio::test]
async fn a_write_torn_by_the_crash_is_as_if_it_never_was() {
    let home = Home::new().await;
    let first = home.operation().await;
    let before = fs::metadata(home.path().join("gateway.sqlite-wal")).unwrap().len();
    let second = home.operation().await;
    let copy = crash_copy(home.path());
    let wal = copy.path().join("gateway.sqlite-wal");
    let after = fs::metadata(&wal).unwrap().len();
    assert!(after > before + 1, "the second commit is in the WAL");
    fs::File::options().write(true).open(&wal).unwrap().set_len(after - 1).unwrap();

    let storage = Storage::open(copy.path()).await.unwrap();
    assert_eq!(operations::get(&storage, &first.id).await.unwrap(), first);
    assert!(matches!(operations::get(&storage, &second.id).await, Err(StorageError::NotFound { .. })));
}

#[tokio::test]
async fn state_audit_line_and_job_share_one_fate() {
    let home = Home::new().await;
    let operation = new_operation(&home.encryption);
    let line = AuditLine {
        time_ms: NOW,
        actor: "worker".to_owned(),
        ip: None,
        action: "contract.opened".to_owned(),
        subject: Some(operation.id.to_string()),
        detail: String::new(),
    };
    let write = async |storage: &Storage, fails: bool| {
        storage
            .transaction(async |tx| {
                operations::insert(tx, &operation).await?;
                audit::append(tx, &line).await?;
                jobs::enqueue(tx, "submit", operation.id.as_str(), NOW).await?;
                if fails {
                    return Err(StorageError::LeaseLost { job: 0 });
                }
                Ok(())
            })
            .await
    };
    assert!(write(&home.storage, true).await.is_err());
    assert!(operations::get(&home.storage, &operation.id).await.is_err());
    assert_eq!(audit::list(&home.storage, 0, 9).await.unwrap(), []);
    assert_eq!(jobs::next_due(&home.storage).await.unwrap(), None);

    write(&home.storage, false).await.unwrap();
    assert!(operations::get(&home.storage, &operation.id).await.is_ok());
    assert_eq!(audit::list(&home.storage, 0, 9).await.unwrap()[0].1, line);
    assert_eq!(jobs::next_due(&home.storage).await.unwrap(), Some(NOW));
}

#[tokio::test]
async fn a_dropped_transaction_is_rolled_back_and_lets_the_next_writer_in() {
    let home = Home::new().await;
    for _ in 0..20 {
        let tx = home.begin().await;
        jobs::enqueue(&tx, "submit", "x", NOW).await.unwrap();
        drop(tx);
    }
    assert_eq!(jobs::next_due(&home.storage).await.unwrap(), None);
    home.operation().await;
}
