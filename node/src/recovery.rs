//! Damage and what to do about it: the one line that a failing node says, and `qz-node repair`.
//!
//! Nothing is ever deleted. What is damaged is set aside under another name, beside its old place, and the
//! node gets it again from its peers; meanwhile the signer's journal keeps it from signing anything twice,
//! and the high-water mark from answering as if later blocks did not exist.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::Context;
use qz_genesis::Home;
use qz_store::{Recovery, Store, StoreError};

use crate::clock::now_ms;
use crate::consensus::engine_log::EngineLog;
use crate::consensus::journal::{self, JournalError};
use crate::doctor;
use crate::home_lock::HomeLock;
use crate::paths;

/// A node with less room than this cannot go on: its database takes room in pieces about as large.
const ROOM_NEEDED: usize = 1024 * 1024;

/// What an operator is to do about an error, if it is the disk's or the database's.
pub(crate) fn advice(error: &(dyn std::error::Error + 'static), home: &Path) -> Option<String> {
    let home = home.display();
    let mut cause = Some(error);
    while let Some(error) = cause {
        let full = error.downcast_ref::<std::io::Error>().is_some_and(|e| e.kind() == std::io::ErrorKind::StorageFull);
        let store = error.downcast_ref::<StoreError>();
        if full || store.is_some_and(StoreError::is_disk_full) {
            return Some(format!(
                "磁盘已满：请在 {home} 所在磁盘腾出空间后重新启动，数据不会丢失 · the disk is full: free space for {home} and \
                 start the node again; nothing is lost"
            ));
        }
        if store.is_some_and(StoreError::is_damage) {
            return Some(format!(
                "账本已损坏：请运行 qz-node repair --home {home} 后重新启动 · the ledger is damaged: run `qz-node repair \
                 --home {home}`, then start the node again"
            ));
        }
        cause = error.source();
    }
    None
}

/// The advice about a full disk if there is no room now, whatever the error says: on the way through the
/// engine its cause gets lost.
pub(crate) fn full_disk_advice(home: &Path) -> Option<String> {
    let probe = home.join("disk.probe");
    let outcome = std::fs::write(&probe, vec![0; ROOM_NEEDED]);
    // If it cannot be removed it is overwritten the next time.
    let _ = std::fs::remove_file(&probe);
    advice(&outcome.err()?, home)
}

/// Moves a file or folder out of the way, under a name that says when; gives that name.
pub(crate) fn set_aside(path: &Path) -> std::io::Result<PathBuf> {
    let mut name = path.as_os_str().to_owned();
    name.push(format!(".damaged-{}", now_ms()));
    let aside = PathBuf::from(name);
    std::fs::rename(path, &aside)?;
    if let Some(folder) = path.parent() {
        std::fs::File::open(folder)?.sync_all()?;
    }
    Ok(aside)
}

/// `qz-node repair`: checks a stopped node as the doctor does and sets right what is wrong.
pub(crate) fn repair(home_path: &Path) -> anyhow::Result<ExitCode> {
    let _lock = HomeLock::take(home_path)?;
    let home = Home::open(home_path).context("cannot open the organisation's folder")?;
    let genesis = home.genesis_document().context("cannot use the genesis")?;
    let data = paths::data(home_path);

    let mut diagnosis = doctor::diagnose(&home, &genesis, false)?;
    let of_the_ledger = |column: &str| !matches!(column, "data.mark" | "signer.journal" | "consensus.wal");
    let mut of_ledger =
        diagnosis.findings.kept.iter().map(|f| f.column).filter(|column| of_the_ledger(column)).peekable();
    let only_the_log = of_ledger.peek().is_some() && of_ledger.all(|column| column == "log");
    for finding in &diagnosis.findings.kept {
        println!("{finding}");
    }
    if only_the_log {
        // What precedes the damage was checked just now and is whole.
        drop(Store::open_with(&data, &genesis, Recovery::AcceptLoss).context("cannot cut the log")?);
        diagnosis = doctor::diagnose(&home, &genesis, false)?;
        let height = diagnosis.ledger.as_ref().map_or(0, |ledger| ledger.tip.0);
        println!(
            "已保留至高度 {height}，其余在启动后从其他成员获取 · kept through height {height}; the node fetches the rest from \
             its peers"
        );
    }
    if diagnosis.findings.kept.iter().any(|finding| of_the_ledger(finding.column)) {
        let aside = set_aside(&data).with_context(|| format!("cannot set {} aside", data.display()))?;
        println!(
            "账本已移至 {0}，启动后从其他成员重新获取 · the ledger was set aside as {0}; the node fetches it again from its \
             peers",
            aside.display()
        );
    }
    if let EngineLog::Damaged { .. } = diagnosis.engine_log {
        let aside = set_aside(&paths::engine_log(home_path)).context("cannot set the engine's log aside")?;
        println!("共识日志已移至 {0} · the engine's log was set aside as {0}", aside.display());
    }
    repair_journal(&home, &genesis.chain_id().0)?;
    println!("可以启动节点 · the node can be started");
    Ok(ExitCode::SUCCESS)
}

/// A journal that cannot be read proves nothing about what was signed: without it the node observes.
fn repair_journal(home: &Home, chain_id: &[u8; 32]) -> anyhow::Result<()> {
    let Some(card) = &home.organisation().validator else { return Ok(()) };
    let path = paths::journal(home.path());
    match journal::inspect(&path, chain_id, &card.consensus_key.0) {
        Err(JournalError::Corrupt { .. }) => {
            let aside = set_aside(&path).context("cannot set the signer's journal aside")?;
            println!(
                "签名日志已移至 {0}；在更换共识密钥之前，本节点只同步、不投票 · the signer's journal was set aside as {0}; this node \
                 observes and does not vote until its consensus key is rotated",
                aside.display()
            );
            Ok(())
        }
        Ok(_) | Err(JournalError::OtherKey { .. }) => Ok(()),
        Err(error) => Err(error.into()),
    }
}
