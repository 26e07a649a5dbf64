//! `qz-node`: one member's node of the ledger. It takes submissions from its organisation, agrees
//! with the other members on blocks, stores them and proves what they contain.
//!
//! It holds no documents and no keys of parties; it never signs for anybody but its own validator.

mod clock;
mod config;
mod consensus;
mod credit;
mod doctor;
mod health;
mod high_water;
mod home_lock;
mod ledger;
mod members;
mod mempool;
mod node;
mod paths;
mod peering;
mod peers;
mod recovery;
mod refusal;
mod rpc;
#[doc(hidden)]
pub mod seam;
mod snapshot;
#[cfg(test)]
mod testing;

use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use clap::{Parser, Subcommand};
use tracing_subscriber::EnvFilter;

use config::NodeConfig;
use consensus::conduct::{Conduct, Honest};
use home_lock::LockError;
use node::{Ending, PortBusy};

/// Exit code when a port or the folder is in use.
const BUSY: u8 = 2;
/// What is logged unless the configuration or `RUST_LOG` says otherwise. The engine is talkative, and
/// its network logs every failed call of a peer that is down; the submission network says that once.
const DEFAULT_LOG: &str = "info,arc_malachitebft=warn,arc_malachitebft_network=off,\
    arc_malachitebft_discovery=off,ractor=warn,libp2p=warn,libp2p_gossipsub=error";

/// Time for the last tasks to end.
const SHUTDOWN: Duration = Duration::from_secs(5);

#[derive(Parser)]
#[command(name = "qz-node", version, about = "契证节点 · node of a Qizheng ledger")]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// 运行节点 · run the node until SIGTERM or Ctrl-C
    Run {
        /// 组织目录 · the organisation's folder, with genesis.qz
        #[arg(long)]
        home: PathBuf,
    },
    /// 检查已停止节点的全部数据 · check everything that a stopped node keeps; exit code 1: something is wrong,
    /// 2: nothing could be checked
    Doctor {
        /// 组织目录 · the organisation's folder
        #[arg(long)]
        home: PathBuf,
        /// 从创世起重新执行全部区块 · also execute all blocks again from the genesis
        #[arg(long)]
        replay: bool,
        /// 输出 JSON · print JSON
        #[arg(long)]
        json: bool,
    },
    /// 修复已停止的节点：损坏的部分移到一旁，启动后从其他成员获取 · repair a stopped node: what is damaged is set aside
    /// and fetched from the peers at the next start
    Repair {
        /// 组织目录 · the organisation's folder
        #[arg(long)]
        home: PathBuf,
    },
    /// 快照：把账本导出为一个文件，或由文件导入 · a ledger as one file
    Snapshot {
        #[command(subcommand)]
        action: snapshot::Action,
    },
    /// 查看运行中节点的状态 · show the state of the running node
    Status {
        /// 组织目录 · the organisation's folder
        #[arg(long)]
        home: PathBuf,
    },
}

/// The program `qz-node`.
pub fn main() -> ExitCode {
    let outcome = match Arguments::parse().command {
        Command::Run { home } => run(&home, Arc::new(Honest)),
        Command::Doctor { home, replay, json } => return doctor::run(&home, doctor::Options { replay, json }),
        Command::Snapshot { action } => snapshot::run(&action),
        Command::Repair { home } => recovery::repair(&home),
        Command::Status { home } => status(&home),
    };
    match outcome {
        Ok(code) => code,
        Err(error) => {
            eprintln!("qz-node: {error:#}");
            let busy = error.downcast_ref::<PortBusy>().is_some()
                || matches!(error.downcast_ref::<LockError>(), Some(LockError::Held { .. }));
            ExitCode::from(if busy { BUSY } else { 1 })
        }
    }
}

fn run(home: &std::path::Path, conduct: Arc<dyn Conduct>) -> anyhow::Result<ExitCode> {
    let config = NodeConfig::load(home)?;
    let filter =
        EnvFilter::try_from_default_env().or_else(|_| EnvFilter::try_new(config.log().unwrap_or(DEFAULT_LOG)))?;
    tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr).with_ansi(false).init();
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(4).enable_all().build()?;
    let ending = runtime.block_on(node::run(home, &config, conduct)).map_err(|error| with_advice(error, home))?;
    // All tasks must be gone, and with them the database, before the process ends.
    runtime.shutdown_timeout(SHUTDOWN);
    match ending {
        Ending::Stopped => Ok(ExitCode::SUCCESS),
        Ending::Failed => Ok(ExitCode::FAILURE),
        Ending::Restart => {
            let program = std::env::current_exe()?;
            // Same process id, so that a supervisor notices nothing. Returns only if it fails.
            let error = std::process::Command::new(program).args(["run", "--home"]).arg(home).exec();
            Err(error.into())
        }
    }
}

fn with_advice(error: anyhow::Error, home: &std::path::Path) -> anyhow::Error {
    match recovery::advice(error.as_ref(), home) {
        Some(advice) => error.context(advice),
        None => error,
    }
}

fn status(home: &std::path::Path) -> anyhow::Result<ExitCode> {
    let config = NodeConfig::load(home)?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let status = runtime.block_on(rpc::status::ask(home, &config))?;
    println!("{status}");
    Ok(ExitCode::SUCCESS)
}

/// An error with all its causes in one line.
fn chain_of(error: &dyn std::error::Error) -> String {
    let mut line = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        line.push_str(": ");
        line.push_str(&error.to_string());
        cause = error.source();
    }
    line
}
