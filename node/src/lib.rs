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
mod metrics;
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
mod submit;
#[cfg(test)]
mod testing;

use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use clap::{Args, Parser, Subcommand};
use tracing_subscriber::EnvFilter;

use config::NodeConfig;
use consensus::conduct::{Conduct, Honest};
use home_lock::LockError;
use node::{Ending, PortBusy};

/// Exit code when a port or the folder is in use.
const BUSY: u8 = 2;
/// Exit code when the configuration is refused: trying again is useless (`EX_CONFIG` of sysexits.h).
const MISCONFIGURED: u8 = 78;

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
        #[command(flatten)]
        settings: Settings,
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
    /// 提交已签名的内容 · relay a signed body (such as a `.signed` file of `qz-genesis combine`) and wait
    /// until it is final
    Submit {
        /// 组织目录 · the folder of the organisation that relays
        #[arg(long)]
        home: PathBuf,
        /// 改由该成员的节点提交 · through this member's node instead of the own one
        #[arg(long)]
        through: Option<String>,
        /// 文件 · the signed body
        file: PathBuf,
        #[command(flatten)]
        settings: Settings,
    },
    /// 查看运行中节点的状态 · show the state of the running node
    Status {
        /// 组织目录 · the organisation's folder
        #[arg(long)]
        home: PathBuf,
        #[command(flatten)]
        settings: Settings,
    },
    /// 显示生效的配置及每项的来源 · show the effective configuration and where each value comes from
    Config {
        /// 组织目录 · the organisation's folder
        #[arg(long)]
        home: PathBuf,
        #[command(flatten)]
        settings: Settings,
        /// 输出 JSON · print JSON
        #[arg(long)]
        json: bool,
    },
}

#[derive(Args)]
struct Settings {
    /// 设置一项配置，优先于环境变量与 node.json · set an option, over environment and node.json
    #[arg(long = "set", value_name = "KEY=VALUE")]
    set: Vec<String>,
}

/// The program `qz-node`.
pub fn main() -> ExitCode {
    let outcome = match Arguments::parse().command {
        Command::Run { home, settings } => run(&home, &settings.set, Arc::new(Honest)),
        Command::Doctor { home, replay, json } => return doctor::run(&home, doctor::Options { replay, json }),
        Command::Snapshot { action } => snapshot::run(&action),
        Command::Repair { home } => recovery::repair(&home),
        Command::Submit { home, through, file, settings } => submit(&home, &file, through.as_deref(), &settings.set),
        Command::Status { home, settings } => status(&home, &settings.set),
        Command::Config { home, settings, json } => config(&home, &settings.set, json),
    };
    match outcome {
        Ok(code) => code,
        Err(error) => {
            eprintln!("qz-node: {error:#}");
            let is_busy =
                error.is::<PortBusy>() || matches!(error.downcast_ref::<LockError>(), Some(LockError::Held { .. }));
            ExitCode::from(if is_busy {
                BUSY
            } else if error.is::<Misconfigured>() {
                MISCONFIGURED
            } else {
                1
            })
        }
    }
}

/// The configuration is refused.
#[derive(Debug, thiserror::Error)]
#[error("配置有误 · the configuration is refused")]
struct Misconfigured;

fn configuration(home: &Path, flags: &[String]) -> anyhow::Result<NodeConfig> {
    NodeConfig::load(home, flags).map_err(|error| anyhow::Error::new(Misconfigured).context(format!("{error:#}")))
}

fn run(home: &Path, flags: &[String], conduct: Arc<dyn Conduct>) -> anyhow::Result<ExitCode> {
    let config = configuration(home, flags)?;
    let filter = EnvFilter::try_new(config.log()).context("RUST_LOG")?;
    let log = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr).with_ansi(false);
    if config.log_is_json() {
        log.json().flatten_event(true).with_current_span(false).with_span_list(false).init();
    } else {
        log.init();
    }
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(4).enable_all().build()?;
    let ending = runtime.block_on(node::run(home, &config, conduct)).map_err(|error| with_advice(error, home))?;
    // All tasks must be gone, and with them the database, before the process ends.
    runtime.shutdown_timeout(SHUTDOWN);
    match ending {
        Ending::Stopped => Ok(ExitCode::SUCCESS),
        Ending::Failed => Ok(ExitCode::FAILURE),
        Ending::Restart => {
            let program = std::env::current_exe()?;
            let settings = flags.iter().flat_map(|flag| ["--set", flag]);
            // Same process id, so that a supervisor notices nothing. Returns only if it fails.
            let error = std::process::Command::new(program).args(["run", "--home"]).arg(home).args(settings).exec();
            Err(error.into())
        }
    }
}

fn with_advice(error: anyhow::Error, home: &Path) -> anyhow::Error {
    match recovery::advice(error.as_ref(), home) {
        Some(advice) => error.context(advice),
        None => error,
    }
}

fn submit(home: &Path, file: &Path, through: Option<&str>, flags: &[String]) -> anyhow::Result<ExitCode> {
    let config = configuration(home, flags)?;
    let member = |name: &str| {
        qz_evidence::OrgId::new(name)
            .ok_or_else(|| anyhow::anyhow!("an organisation is 1-32 characters of a-z, 0-9, -"))
    };
    let through = through.map(member).transpose()?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    println!("{}", runtime.block_on(submit::submit(home, &config, file, through.as_ref()))?);
    Ok(ExitCode::SUCCESS)
}

fn status(home: &Path, flags: &[String]) -> anyhow::Result<ExitCode> {
    let config = configuration(home, flags)?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let status = runtime.block_on(rpc::status::ask(home, &config))?;
    println!("{status}");
    Ok(ExitCode::SUCCESS)
}

fn config(home: &Path, flags: &[String], json: bool) -> anyhow::Result<ExitCode> {
    let config = configuration(home, flags)?;
    let home = qz_genesis::Home::open(home)?;
    let organisation = home.organisation();
    let card = organisation.validator.as_ref().with_context(|| format!("{} runs no validator", organisation.id))?;
    let effective = config.effective(card)?;
    if json {
        let all: serde_json::Map<_, _> = effective
            .into_iter()
            .map(|(key, value, source)| (key, serde_json::json!({ "value": value, "source": source.to_string() })))
            .collect();
        println!("{}", serde_json::to_string_pretty(&all)?);
    } else {
        for (key, value, source) in effective {
            println!("{key} = {value}  # {source}");
        }
    }
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
