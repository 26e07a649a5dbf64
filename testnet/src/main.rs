//! `qz-testnet`: a whole consortium on one machine. `demo` plays the story, `up`, `status` and `down`
//! run a network for one's own experiments, `chaos` breaks one on purpose, `e2e` plays the story and then
//! the portal's browser tests.
//!
//! Exit codes: 0 everything held, 1 a check or the command failed, 130 ended by Ctrl-C or SIGTERM.

mod e2e;

use anyhow::{Context, Result, bail};
use clap::{Args, Parser, Subcommand};
use qz_testnet::binaries::Binaries;
use qz_testnet::catchup;
use qz_testnet::chaos::plan::Plan;
use qz_testnet::chaos::seclude::{self, Options as ChaosOptions, parse_seeds};
use qz_testnet::folder::Folder;
use qz_testnet::load;
use qz_testnet::network::Network;
use qz_testnet::ports::{DEFAULT_START, Ports};
use qz_testnet::screen::Screen;
use qz_testnet::story::{Options, Outputs, STEPS, Story};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use tokio::signal::unix::{SignalKind, signal};

const INTERRUPTED: u8 = 130;

/// 契证演示网络 A Qizheng consortium on one machine, for demonstration and tests.
#[derive(Parser)]
#[command(name = "qz-testnet", version)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// 演示完整的签署、共识确认、出证与离线校验 Play the whole story, then keep everything running.
    Demo {
        #[command(flatten)]
        place: Place,
        /// 结束后退出 Exit after the last check.
        #[arg(long)]
        once: bool,
        /// 签署您自己的 PDF Sign this ordinary PDF instead of the sample contract.
        #[arg(long)]
        pdf: Option<PathBuf>,
    },
    /// 启动网络并保持运行 Start a network (founding it in a new folder) and keep it running.
    Up {
        #[command(flatten)]
        place: Place,
        /// 只启动节点，不启动网关 Only the nodes, no gateway.
        #[arg(long)]
        nodes_only: bool,
    },
    /// 查看运行中的网络 Show a running network.
    Status {
        /// The network's folder.
        #[arg(long, default_value = DEFAULT_DATA)]
        data: PathBuf,
    },
    /// 停止网络 Stop a running network.
    Down {
        /// The network's folder.
        #[arg(long, default_value = DEFAULT_DATA)]
        data: PathBuf,
    },
    /// 随机故障演练 Kill, pause, cut off, slow down and fill up real nodes under load, then compare everything.
    Chaos(Chaos),
    /// 演示后运行门户浏览器测试 Play the story, then run the portal's browser tests against it.
    E2e {
        #[command(flatten)]
        place: Place,
        /// Folder of the portal's sources.
        #[arg(long, default_value = "gateway/web")]
        web: PathBuf,
        /// Folder for screenshots.
        #[arg(long)]
        out: Option<PathBuf>,
    },
    /// 压测：吞吐、延迟与资源 Throughput, latency and cost of a network of real nodes.
    Load(LoadArgs),
    /// 追块：空节点赶上长链的用时 Time of an empty node to the head of a long chain, and of a start with it.
    Catchup(CatchupArgs),
}

#[derive(Args)]
struct CatchupArgs {
    /// 链上记录数 Records of the chain.
    #[arg(long, default_value_t = 100_000, value_parser = clap::value_parser!(u32).range(1..))]
    records: u32,
    /// 每个区块的记录数 Records of a block.
    #[arg(long, default_value_t = 100, value_parser = clap::value_parser!(u16).range(1..=1024))]
    per_block: u16,
    /// First of 13 ports; free ones are chosen if absent.
    #[arg(long)]
    base_port: Option<u16>,
    /// 保留网络的新文件夹 A new folder for the network, which is kept; absent: a temporary one.
    #[arg(long)]
    data: Option<PathBuf>,
    /// Print one line of JSON to the standard output; progress goes to the standard error.
    #[arg(long)]
    json: bool,
}

#[derive(Args)]
struct LoadArgs {
    /// 已在运行的网络的文件夹 Folder of a running network; absent: a new one in a temporary folder.
    #[arg(long)]
    data: Option<PathBuf>,
    /// First of 13 ports of a new network; free ones are chosen if absent.
    #[arg(long, conflicts_with = "data")]
    base_port: Option<u16>,
    /// 验证节点数 Validators; the test consortium has four.
    #[arg(long, default_value_t = 4, value_parser = clap::value_parser!(u8).range(4..=4))]
    validators: u8,
    /// 每秒提交数（默认寻找饱和点） Submissions per second; absent: saturation is looked for.
    #[arg(long)]
    rate: Option<f64>,
    /// 负载总时长 Seconds of load, in all rounds together.
    #[arg(long, default_value_t = 40)]
    seconds: u64,
    /// 轮数，其间测量硬件 Slices, with V and J measured between them.
    #[arg(long, default_value_t = 5)]
    rounds: u64,
    /// Print one line of JSON to the standard output; progress goes to the standard error.
    #[arg(long)]
    json: bool,
}

#[derive(Args)]
struct Chaos {
    /// 种子或种子范围 A seed such as 7, or seeds such as 1..20; the same seed gives the same plan.
    #[arg(long, alias = "seed", value_parser = parse_seeds, default_value = "1")]
    seeds: (u64, u64),
    /// Validators, 4 to 7.
    #[arg(long, default_value_t = 4, value_parser = clap::value_parser!(u8).range(4..=7))]
    validators: u8,
    /// About how many seconds each run takes, founding and comparing apart.
    #[arg(long, default_value_t = 40, value_parser = clap::value_parser!(u64).range(1..=3600))]
    seconds: u64,
    /// Submissions a second.
    #[arg(long, default_value_t = 16.0)]
    rate: f64,
    /// Where runs make their folders; those in which everything held are removed.
    #[arg(long, default_value = "chaos-data")]
    data: PathBuf,
    /// Keep every folder.
    #[arg(long)]
    keep: bool,
    /// Print each report as a line of JSON too.
    #[arg(long)]
    json: bool,
    /// Only print the plans.
    #[arg(long)]
    plan: bool,
    /// Set by the program itself: we are in namespaces of our own.
    #[arg(long, hide = true)]
    inside: bool,
}

const DEFAULT_DATA: &str = "demo-data";

#[derive(Args)]
struct Place {
    /// 数据文件夹 Where data goes; `demo` and `e2e` make a new folder in it for each run.
    #[arg(long, default_value = DEFAULT_DATA)]
    data: PathBuf,
    /// 第一个端口（默认自动选择） First of 13 ports; free ones are chosen if absent.
    #[arg(long)]
    base_port: Option<u16>,
}

impl Place {
    fn ports(&self) -> Result<Ports> {
        match self.base_port {
            Some(base) => Ports::at(base),
            None => Ports::find(DEFAULT_START),
        }
    }
}

// One thread: children die with the thread that started them (see `process`).
#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    let cli = Cli::parse();
    let outcome = tokio::select! {
        outcome = run(cli.command) => outcome,
        // Dropping the other branch drops the network, which stops every process.
        signal = interrupted() => signal.map(|()| {
            println!("\n已停止全部进程 Everything is stopped.");
            ExitCode::from(INTERRUPTED)
        }),
    };
    match outcome {
        Ok(code) => code,
        Err(error) => {
            eprintln!("\n失败 Failed: {error:#}");
            ExitCode::FAILURE
        }
    }
}

async fn run(command: Command) -> Result<ExitCode> {
    match command {
        Command::Demo { place, once, pdf } => demo(&place, once, pdf).await,
        Command::Up { place, nodes_only } => up(&place, nodes_only).await,
        Command::Status { data } => status(&data).await,
        Command::Down { data } => down(&data),
        Command::Chaos(arguments) => chaos(arguments).await,
        Command::E2e { place, web, out } => e2e::run(&place, &web, out).await,
        Command::Load(arguments) => load(arguments).await,
        Command::Catchup(arguments) => catch_up(arguments).await,
    }
}

async fn chaos(arguments: Chaos) -> Result<ExitCode> {
    let Chaos { seeds, validators, seconds, rate, data, keep, json, plan, inside } = arguments;
    let options = ChaosOptions { seeds, validators: usize::from(validators), seconds, rate, data, keep, json };
    if plan {
        for seed in seeds.0..=seeds.1 {
            print!("{}", Plan::new(seed, options.validators, seconds));
        }
        return Ok(ExitCode::SUCCESS);
    }
    let held = match inside {
        true => seclude::run_inside(&options, &options.data).await?,
        false => seclude::run_all(&options).await?,
    };
    Ok(if held { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Waits for Ctrl-C or SIGTERM.
async fn interrupted() -> Result<()> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    tokio::select! {
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
    }
    println!("\n正在停止…… Stopping…");
    Ok(())
}

async fn demo(place: &Place, once: bool, pdf: Option<PathBuf>) -> Result<ExitCode> {
    if let Some(pdf) = &pdf {
        std::fs::metadata(pdf).with_context(|| format!("无法读取 cannot read {}", pdf.display()))?;
    }
    let (mut story, logs) = begin(place, if once { STEPS - 1 } else { STEPS }).await?;
    let outcome = whole_story(&mut story, &Options { pdf }, once).await;
    outcome.with_context(|| format!("日志在 logs are in {}", logs.display()))?;
    if !once {
        println!("\n  门户 Portal: {}", story.network.portal_url());
        println!("  用浏览器打开门户，拖入 {} 即可在本地校验。", story.outputs.certificate.display());
        println!("  Open the portal and drop that file; Ctrl-C stops everything.");
        watch(&mut story.network).await?;
    }
    Ok(ExitCode::SUCCESS)
}

/// Finds programs and ports, makes the run's folder and starts the network.
async fn begin(place: &Place, steps: usize) -> Result<(Story, PathBuf)> {
    let binaries = Binaries::locate()?;
    let ports = place.ports()?;
    let folder = Folder::new_run(&place.data)?;
    let logs = folder.logs();
    let story = Story::begin(Screen::new(steps), binaries, folder, ports).await;
    let story = story.with_context(|| format!("日志在 logs are in {}", logs.display()))?;
    Ok((story, logs))
}

async fn whole_story(story: &mut Story, options: &Options, once: bool) -> Result<()> {
    story.play(options).await?;
    story.verify_offline()?;
    if !once {
        story.resume().await?;
    }
    story.screen.summary();
    let Outputs { contract, amendment, proof, certificate, package, genesis, .. } = &story.outputs;
    println!("\n  输出文件 Outputs:");
    for file in [contract, amendment, proof, certificate, package, genesis] {
        println!("    {}", file.display());
    }
    Ok(())
}

async fn up(place: &Place, nodes_only: bool) -> Result<ExitCode> {
    let binaries = if nodes_only { Binaries::locate_for_nodes() } else { Binaries::locate() }?;
    let mut progress = |line: &str| println!("  {line}");
    let mut network = match Folder::open(&place.data)? {
        Some(folder) => {
            let description = folder.description()?;
            if is_supervisor(description.supervisor) {
                bail!("该网络已在运行（进程 {0}） · the network runs already (process {0})", description.supervisor);
            }
            let ports = Ports::at(description.base_port)?;
            Network::of_folder(binaries, folder, ports)?
        }
        None => {
            let ports = place.ports()?;
            Network::found(binaries, Folder::create(&place.data)?, ports, &mut progress)?
        }
    };
    network.start_nodes(&mut progress).await?;
    println!("  数据文件夹 Data folder: {}", network.folder.root().display());
    if !nodes_only {
        network.start_gateway(&[]).await?;
        println!("  门户 Portal: {}", network.portal_url());
    }
    println!("  Ctrl-C 停止 · Ctrl-C stops it");
    watch(&mut network).await?;
    Ok(ExitCode::SUCCESS)
}

/// Keeps watching until a process ends unexpectedly; Ctrl-C ends it from outside.
async fn watch(network: &mut Network) -> Result<()> {
    loop {
        tokio::time::sleep(std::time::Duration::from_secs(1)).await;
        network.check_running()?;
    }
}

/// The folder itself, or the latest run in it.
fn find(data: &Path) -> Result<Folder> {
    for candidate in [data.to_owned(), data.join("latest")] {
        if let Some(folder) = Folder::open(&candidate)? {
            return Ok(folder);
        }
    }
    bail!("{} 中没有测试网络 · there is no test network in it", data.display())
}

async fn status(data: &Path) -> Result<ExitCode> {
    let folder = find(data)?;
    let description = folder.description()?;
    let running = is_supervisor(description.supervisor);
    println!("{}", folder.root().display());
    println!(
        "  监管进程 supervisor {} {}",
        description.supervisor,
        if running { "运行中 running" } else { "未运行 not running" }
    );
    for (name, pid) in &description.processes {
        println!("  {name}: pid {pid}");
    }
    println!("  门户 portal {}", description.portal);
    let network = Network::unsupervised(folder, description.base_port)?;
    let mut all = true;
    for (id, status) in network.status().await {
        match status {
            Ok(s) => println!(
                "  {id}: 高度 height {}, healthy {}, peers {}, {}",
                s.height, s.healthy, s.peers, s.header_hash
            ),
            Err(error) => {
                all = false;
                println!("  {id}: {error}");
            }
        }
    }
    Ok(if all { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn down(data: &Path) -> Result<ExitCode> {
    let folder = find(data)?;
    let description = folder.description()?;
    if !is_supervisor(description.supervisor) {
        println!("没有在运行 Not running: {}", folder.root().display());
        return Ok(ExitCode::SUCCESS);
    }
    qz_testnet::process::ask_to_stop(description.supervisor)?;
    for _ in 0..200 {
        if !is_supervisor(description.supervisor) {
            println!("已停止 Stopped: {}", folder.root().display());
            return Ok(ExitCode::SUCCESS);
        }
        std::thread::sleep(std::time::Duration::from_millis(100));
    }
    bail!("进程 {0} 未在 20 秒内停止 · process {0} has not stopped", description.supervisor)
}

async fn load(arguments: LoadArgs) -> Result<ExitCode> {
    let LoadArgs { data, base_port, validators: _, rate, seconds, rounds, json } = arguments;
    let options = load::Options { network: data, base_port, rate, seconds, rounds };
    let report = load::run(&options, &mut |line| eprintln!("  {line}")).await?;
    if json {
        println!("{}", serde_json::to_string(&report)?);
    } else {
        print!("{}", report.table());
    }
    Ok(ExitCode::SUCCESS)
}

async fn catch_up(arguments: CatchupArgs) -> Result<ExitCode> {
    let CatchupArgs { records, per_block, base_port, data, json } = arguments;
    let options =
        catchup::Options { records: records as usize, per_block: per_block.into(), starts: 3, base_port, data };
    let report = catchup::run(&options, &mut |line| eprintln!("  {line}")).await?;
    if json {
        println!("{}", serde_json::to_string(&report)?);
    } else {
        print!("{}", report.table());
    }
    Ok(ExitCode::SUCCESS)
}

/// Is this process id a `qz-testnet` (and not somebody else's by now)?
fn is_supervisor(pid: u32) -> bool {
    qz_testnet::process::is_running(pid, "qz-testnet")
}
