//! `qz-client witness`: an outside witness with its own key and state.

use anyhow::Context;
use clap::{Args, Subcommand};
use qz_client::witness::{Follow, Witness, WitnessHome, serve};
use qz_client::{Client, ClientConfig, Home};
use qz_evidence::genesis::Genesis;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

/// What a witness' operator does.
#[derive(Subcommand)]
pub enum WitnessCommand {
    /// 生成密钥；打印公钥（供见证策略使用）· makes a key and prints its public part, for policies
    Init(InitArgs),
    /// 运行 · runs the witness (C2SP tlog-witness: POST /add-checkpoint, GET /checkpoint, GET /health)
    Run(RunArgs),
}

/// Flags of `witness init`.
#[derive(Args)]
pub struct InitArgs {
    /// 见证人目录 · the witness' folder
    #[arg(long)]
    home: PathBuf,
    /// 密钥名称 · the key's name, such as witness.example.org/w1
    #[arg(long)]
    name: String,
}

/// Flags of `witness run`.
#[derive(Args)]
pub struct RunArgs {
    /// 见证人目录 · the witness' folder
    #[arg(long)]
    home: PathBuf,
    /// 创世文件 · the ledger's genesis, from a source that you trust
    #[arg(long)]
    genesis: PathBuf,
    /// 监听地址 · where to take checkpoints
    #[arg(long, default_value = "127.0.0.1:8095")]
    listen: SocketAddr,
    /// 借用其 TLS 身份访问节点的成员目录 · folder of a member that lends its access to the nodes; without it
    /// the witness waits for checkpoints to be shown to it
    #[arg(long = "as", value_name = "FOLDER")]
    member: Option<PathBuf>,
    /// 其他见证人 · another witness to compare with, http://…; may be repeated
    #[arg(long, value_name = "URL")]
    peer: Vec<String>,
    /// 间隔（秒）· how often it looks
    #[arg(long, default_value_t = 30, value_parser = clap::value_parser!(u64).range(1..))]
    every: u64,
}

/// Does it.
pub async fn run(command: WitnessCommand) -> anyhow::Result<()> {
    match command {
        WitnessCommand::Init(InitArgs { home, name }) => {
            println!("{}", WitnessHome::create(&home, &name)?);
            Ok(())
        }
        WitnessCommand::Run(args) => witness(args).await,
    }
}

async fn witness(args: RunArgs) -> anyhow::Result<()> {
    let filter = tracing_subscriber::EnvFilter::try_from_default_env().unwrap_or_else(|_| "info".into());
    tracing_subscriber::fmt().with_env_filter(filter).with_ansi(false).with_writer(std::io::stderr).init();
    let bytes = std::fs::read(&args.genesis).with_context(|| args.genesis.display().to_string())?;
    let genesis = Genesis::open(&bytes).with_context(|| args.genesis.display().to_string())?;
    let witness = Arc::new(Witness::open(WitnessHome::open(&args.home)?, &genesis)?);
    let client = args.member.as_ref().map(|folder| {
        let home = Home::open(folder).with_context(|| folder.display().to_string())?;
        let client = Client::new(&ClientConfig::from_home(&home)?)?;
        anyhow::ensure!(client.genesis().chain_id() == genesis.chain_id(), "{} is of another ledger", folder.display());
        Ok(client)
    });
    let client = client.transpose()?;
    let listener = tokio::net::TcpListener::bind(args.listen).await.with_context(|| args.listen.to_string())?;
    tracing::info!(listen = %listener.local_addr()?, key = %witness.key(), "witness ready");
    if let Some(alarm) = witness.alarm() {
        tracing::error!(%alarm, "this witness signs nothing any more");
    }
    let follow = Follow { client, peers: args.peer, every: Duration::from_secs(args.every) };
    serve(listener, witness, follow).await;
    Ok(())
}
