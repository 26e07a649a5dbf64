//! Several tasks and several processes (two storages on one folder have nothing in common but the
//! files) write at the same time: nobody is turned away, nothing is done twice.

use std::collections::BTreeSet;

use qz_storage::jobs::{self, BackOff};
use qz_storage::{Storage, audit};

use crate::fixtures::{Home, NOW};

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn every_job_is_claimed_by_one_worker_only() {
    const JOBS: usize = 60;
    let home = Home::new().await;
    let second = Storage::open(home.path()).await.unwrap();
    let tx = home.begin().await;
    for number in 0..JOBS {
        jobs::enqueue(&tx, "submit", &number.to_string(), NOW).await.unwrap();
    }
    tx.commit().await.unwrap();

    let workers: Vec<_> = (0..6)
        .map(|worker| {
            let storage = if worker % 2 == 0 { home.storage.clone() } else { second.clone() };
            // `spawn` also shows that the futures are Send, as a server needs them.
            tokio::spawn(async move {
                let mut mine = vec![];
                while let Some(claim) = jobs::claim(&storage, NOW, 60_000, &BackOff::default()).await.unwrap() {
                    mine.push(claim.job.ref_id.clone());
                    storage.transaction(async |tx| jobs::finish(tx, &claim, NOW).await).await.unwrap();
                }
                mine
            })
        })
        .collect();
    let mut claimed = vec![];
    for worker in workers {
        claimed.extend(worker.await.unwrap());
    }
    assert_eq!(claimed.len(), JOBS);
    assert_eq!(claimed.into_iter().collect::<BTreeSet<_>>().len(), JOBS);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn readers_see_committed_rows_while_a_writer_is_busy() {
    let home = Home::new().await;
    let tx = home.begin().await;
    jobs::enqueue(&tx, "submit", "x", NOW).await.unwrap();
    assert_eq!(jobs::next_due(&tx).await.unwrap(), Some(NOW));
    assert_eq!(jobs::next_due(&home.storage).await.unwrap(), None);
    tx.commit().await.unwrap();
    assert_eq!(jobs::next_due(&home.storage).await.unwrap(), Some(NOW));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn read_then_write_loses_no_update() {
    const TASKS: u64 = 8;
    const ROUNDS: u64 = 10;
    let home = Home::new().await;
    let second = Storage::open(home.path()).await.unwrap();
    let tasks: Vec<_> = (0..TASKS)
        .map(|task| {
            let storage = if task % 2 == 0 { home.storage.clone() } else { second.clone() };
            tokio::spawn(async move {
                for _ in 0..ROUNDS {
                    let tx = storage.begin().await.unwrap();
                    let count = audit::list(&tx, 0, 1_000).await.unwrap().len();
                    let line = audit::AuditLine {
                        time_ms: NOW,
                        actor: "task".to_owned(),
                        ip: None,
                        action: "count".to_owned(),
                        subject: None,
                        detail: count.to_string(),
                    };
                    audit::append(&tx, &line).await.unwrap();
                    tx.commit().await.unwrap();
                }
            })
        })
        .collect();
    for task in tasks {
        task.await.unwrap();
    }
    let lines = audit::list(&home.storage, 0, 1_000).await.unwrap();
    let counts: Vec<String> = lines.into_iter().map(|(_, line)| line.detail).collect();
    let expected: Vec<String> = (0..TASKS * ROUNDS).map(|count| count.to_string()).collect();
    assert_eq!(counts, expected);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn two_processes_may_open_a_new_home_together() {
    let folder = tempfile::tempdir().unwrap();
    let opening: Vec<_> = (0..4)
        .map(|_| {
            let path = folder.path().to_owned();
            tokio::spawn(async move { Storage::open(&path).await })
        })
        .collect();
    for opened in opening {
        opened.await.unwrap().unwrap();
    }
}
