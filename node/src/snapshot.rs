//! `qz-node snapshot`: the ledger of a stopped node as one file, and a new node from such a file.
//!
//! The file is believed in nothing: before it is put in place, the imported ledger is checked as
//! `qz-node doctor` checks one, from the genesis of the importing organisation on. The node then syncs
//! what came after from its peers.

use std::fs::File;
use std::io::{BufReader, BufWriter, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context, bail, ensure};
use clap::Subcommand;
use qz_evidence::genesis::Genesis;
use qz_genesis::Home;
use qz_store::{SnapshotInfo, Store};

use crate::doctor;
use crate::home_lock::HomeLock;
use crate::paths;

const BUFFER: usize = 1024 * 1024;

/// What to do with snapshots.
#[derive(Subcommand)]
pub(crate) enum Action {
    /// 导出已停止节点的账本 · write the ledger of a stopped node to a file
    Export {
        /// 组织目录 · the organisation's folder
        #[arg(long)]
        home: PathBuf,
        /// 输出文件，不得已存在 · the file to write, which must not exist
        #[arg(long)]
        out: PathBuf,
    },
    /// 校验并导入快照 · check a snapshot whole and make it this node's ledger
    Import {
        /// 组织目录，尚无账本 · the organisation's folder, without a ledger
        #[arg(long)]
        home: PathBuf,
        /// 快照文件 · the snapshot
        file: PathBuf,
        /// 创世文件，默认用组织目录中的 · the genesis; by default the folder's
        #[arg(long)]
        genesis: Option<PathBuf>,
        /// 另行得知的快照摘要 · the snapshot's digest, as it was told separately
        #[arg(long)]
        digest: Option<String>,
    },
}

/// Runs a command.
pub(crate) fn run(action: &Action) -> anyhow::Result<ExitCode> {
    let (done, info) = match action {
        Action::Export { home, out } => ("已导出 · exported", export(home, out)?),
        Action::Import { home, file, genesis, digest } => {
            ("已校验并导入 · checked and imported", import(home, file, genesis.as_deref(), digest.as_deref())?)
        }
    };
    let SnapshotInfo { height, block_id, entries, digest, .. } = info;
    println!("{done}：高度 height {height}，区块 block {block_id}，{entries} 项 entries\nSHA-256 {digest}");
    Ok(ExitCode::SUCCESS)
}

fn export(home_path: &Path, out: &Path) -> anyhow::Result<SnapshotInfo> {
    let _lock = HomeLock::take(home_path)?;
    let genesis = Home::open(home_path)?.genesis_document().context("cannot use the genesis")?;
    let (store, findings) =
        Store::open_to_inspect(&paths::data(home_path), &genesis).context("cannot open the ledger")?;
    ensure!(findings.is_empty(), "账本日志已损坏，请先修复 · the ledger's log is damaged: run `qz-node repair` first");
    let file = File::create_new(out).with_context(|| format!("cannot create {}", out.display()))?;
    let written = store
        .export(BufWriter::with_capacity(BUFFER, &file), &mut doctor::progress())
        .map_err(anyhow::Error::from)
        .and_then(|info| file.sync_all().map(|()| info).map_err(anyhow::Error::from));
    written.inspect_err(|_| {
        // Half a snapshot is of no use; made just now by this command.
        let _ = std::fs::remove_file(out);
    })
}

fn import(home_path: &Path, file: &Path, genesis: Option<&Path>, digest: Option<&str>) -> anyhow::Result<SnapshotInfo> {
    let _lock = HomeLock::take(home_path)?;
    let home = Home::open(home_path).context("cannot open the organisation's folder")?;
    let own = home.genesis_document().context("cannot use the genesis")?;
    if let Some(path) = genesis {
        let bytes = std::fs::read(path).with_context(|| format!("cannot read {}", path.display()))?;
        let given = Genesis::open(&bytes).with_context(|| format!("{} is no genesis", path.display()))?;
        ensure!(given.chain_id() == own.chain_id(), "the genesis in {} is another ledger's", path.display());
    }
    let data = paths::data(home_path);
    if data.exists() {
        bail!("{0} 已存在，请先移开 · {0} exists: move it away first", data.display());
    }
    let importing = home_path.join("data.importing");
    // Left by an import that was interrupted; nothing else has this name.
    remove(&importing)?;
    let outcome = import_into(&importing, file, &own, digest);
    if outcome.is_err() {
        remove(&importing)?;
    }
    let info = outcome?;
    // A validator without any past may begin one on an imported ledger, as it may on an empty one: it first
    // listens where its peers are. With a past, its journal decides.
    std::fs::write(paths::imported(home_path), info.height.to_string()).context("cannot write data.imported")?;
    std::fs::rename(&importing, &data).with_context(|| format!("cannot rename {}", importing.display()))?;
    File::open(home_path).and_then(|folder| folder.sync_all()).context("cannot sync the folder")?;
    Ok(info)
}

/// Is the ledger still as a snapshot brought it?
pub(crate) fn is_as_imported(home: &Path, height: u64) -> bool {
    std::fs::read_to_string(paths::imported(home)).is_ok_and(|text| text.trim().parse() == Ok(height))
}

fn import_into(folder: &Path, file: &Path, genesis: &Genesis, digest: Option<&str>) -> anyhow::Result<SnapshotInfo> {
    let input = File::open(file).with_context(|| format!("cannot read {}", file.display()))?;
    let input = BufReader::with_capacity(BUFFER, input);
    let (store, info) = Store::import(folder, genesis, input, &mut doctor::progress())?;
    if let Some(digest) = digest {
        ensure!(
            info.digest.to_string() == digest,
            "快照摘要不符 · the snapshot's digest is {}, not {digest}",
            info.digest
        );
    }
    let inspection = store.inspect(genesis, &mut doctor::progress());
    if let Some(first) = inspection.findings.kept.first() {
        let mut words = std::io::stderr().lock();
        for finding in inspection.findings.kept.iter().take(20) {
            let _ = writeln!(words, "{finding}");
        }
        bail!("快照校验不通过 · the snapshot does not hold: {first}");
    }
    store.finish_import()?;
    Ok(info)
}

fn remove(folder: &Path) -> anyhow::Result<()> {
    match std::fs::remove_dir_all(folder) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            Err(error).with_context(|| format!("cannot remove {}", folder.display()))
        }
        _ => Ok(()),
    }
}
