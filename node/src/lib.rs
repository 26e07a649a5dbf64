//! `qz-node`: one member's node of the ledger. It takes submissions from its organisation, agrees
//! with the other members on blocks, stores them and proves what they contain.
//!
//! It holds no documents and no keys of parties; it never signs for anybody but its own validator.

mod clock;
mod config;
mod consensus;
mod credit;
mod health;
mod ledger;
mod members;
mod mempool;
mod node;
mod peering;
mod peers;
mod refusal;
mod rpc;
#[doc(hidden)]
pub mod seam;
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
use node::{Ending, PortBusy};

/// Exit code when a port is in use.
const PORT_BUSY: u8 = 2;
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
        /// 断电损坏日志后仍打开 · open the store although its log was torn by a power failure; lost
        /// blocks are fetched from the peers, and until then this validator does not vote
        #[arg(long)]
        accept_loss: bool,
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
        Command::Run { home, accept_loss } => run(&home, accept_loss, Arc::new(Honest)),
        Command::Status { home } => status(&home),
    };
    match outcome {
        Ok(code) => code,
        Err(error) => {
            eprintln!("qz-node: {error:#}");
            let busy = error.downcast_ref::<PortBusy>().is_some();
            ExitCode::from(if busy { PORT_BUSY } else { 1 })
        }
    }
}

fn run(home: &std::path::Path, accept_loss: bool, conduct: Arc<dyn Conduct>) -> anyhow::Result<ExitCode> {
    let config = NodeConfig::load(home)?;
    let filter =
        EnvFilter::try_from_default_env().or_else(|_| EnvFilter::try_new(config.log().unwrap_or(DEFAULT_LOG)))?;
    tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr).with_ansi(false).init();
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(4).enable_all().build()?;
    let ending = runtime.block_on(node::run(home, &config, accept_loss, conduct))?;
    // All tasks must be gone, and with them the database, before the process ends.
    runtime.shutdown_timeout(SHUTDOWN);
    match ending {
        Ending::Stopped => Ok(ExitCode::SUCCESS),
        Ending::Failed => Ok(ExitCode::FAILURE),
        Ending::Restart => {
            let program = std::env::current_exe()?;
            // Same process id, so that a supervisor notices nothing. Returns only if it fails; the
            // loss that was accepted for this start must not be accepted again unasked.
            let error = std::process::Command::new(program).args(["run", "--home"]).arg(home).exec();
            Err(error.into())
        }
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
