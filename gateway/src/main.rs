//! `qz-gateway`: the platform's gateway. Members' systems and signers reach the ledger through it; it
//! composes what they sign, relays it, and seals PDFs after finality.
//!
//! It never holds an actor's key, and what it says about the ledger it has verified itself.

mod access;
mod admin;
mod anchors;
mod app;
mod archive;
mod authority;
mod ca;
mod certificate;
mod change;
mod clock;
mod config;
mod contracts;
mod court;
mod custody;
mod documents;
mod error;
mod external;
mod failpoint;
mod following;
mod imprints;
mod issuance;
mod issuer;
mod key_files;
mod key_service;
mod keys;
mod ledger;
mod metrics;
mod operations;
mod organisation;
mod pades;
mod portal;
mod print_copies;
mod private_file;
mod proofs;
mod publication;
mod reservation;
mod seal_data;
mod seal_report;
mod seals;
mod server;
mod settings;
mod signing;
mod tsa;
mod verifications;
mod worker;

use anyhow::Context;
use app::App;
use clap::{Parser, Subcommand};
use portal::Portal;
use portal::config::PortalConfig;
use settings::Settings;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;

/// 契证网关 / gateway of Qizheng
#[derive(Debug, Parser)]
#[command(version)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// 提供 API、签署与校验页面 / serve API, signing and portal
    Serve {
        /// 网关目录 / home folder of the gateway
        #[arg(long)]
        home: PathBuf,
    },
    /// 仅提供公开校验页面，不持有签名密钥 / serve the public portal only, without signing keys
    Portal {
        /// 门户目录（admin portal-init 建立）/ home folder of the portal (made by admin portal-init)
        #[arg(long)]
        home: PathBuf,
    },
    /// 演示时间戳服务（RFC 3161）/ a demonstration timestamp authority
    Tsa {
        /// 时间戳服务目录 / its home folder
        #[arg(long)]
        home: PathBuf,
    },
    /// 演示或内部部署的证书服务 / a CA for demonstration and private installations
    Ca(ca::Flags),
    /// 电子印章数据（GB/T 38540）/ seal data of GB/T 38540
    #[command(subcommand)]
    SealData(seal_data::verify::SealDataCommand),
    /// 机构运维页面（本机、只读）/ page for a member's operators, on this machine, read-only
    Organisation(organisation::Flags),
    /// 运维命令 / operator's commands
    #[command(subcommand)]
    Admin(Box<admin::Admin>),
}

/// The address is taken: exit code 2.
#[derive(Debug, thiserror::Error)]
#[error("端口被占用：{0} 已被其他程序使用 / the address {0} is in use by another program")]
struct AddressInUse(SocketAddr);

fn main() -> ExitCode {
    let cli = Cli::parse();
    let filter =
        tracing_subscriber::EnvFilter::try_from_default_env().unwrap_or_else(|_| "info,sea_orm_migration=warn".into());
    tracing_subscriber::fmt().with_env_filter(filter).with_ansi(false).with_writer(std::io::stderr).init();
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build();
    let outcome = runtime.context("runtime").and_then(|runtime| runtime.block_on(run(cli.command)));
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("qz-gateway: {error:#}");
            ExitCode::from(if error.is::<AddressInUse>() { 2 } else { 1 })
        }
    }
}

async fn run(command: Command) -> anyhow::Result<()> {
    match command {
        Command::Serve { home } => serve(home).await,
        Command::Portal { home } => portal(home).await,
        Command::Tsa { home } => timestamps(home).await,
        Command::Ca(flags) => certificates(&flags).await,
        Command::SealData(command) => seal_data::verify::run(&command),
        Command::Organisation(flags) => organisation(flags).await,
        Command::Admin(command) => admin::run(*command).await,
    }
}

async fn serve(home: PathBuf) -> anyhow::Result<()> {
    let app = Arc::new(App::open(&home).await?);
    let listener = listen(app.config.listen).await?;
    archive::catch_up(&app).await.context("archives")?;
    let stop = stop_signal()?;
    tracing::info!(listen = %listener.local_addr()?, chain = %app.ledger.chain_id(), "gateway ready");
    let worker = tokio::spawn(worker::run(app.clone(), stopped(stop.clone())));
    let issuer = tokio::spawn(issuer::keep_deposited(app.clone(), stopped(stop.clone())));
    let follower = tokio::spawn(following::run(app.clone(), stopped(stop.clone())));
    let portal = Arc::new(Portal::of_gateway(&app)?);
    server::connections::serve(listener, server::routes(&app, portal), stopped(stop)).await;
    worker.await.context("worker")?;
    issuer.await.context("issuer")?;
    follower.await.context("follower")?;
    tracing::info!("gateway stopped");
    Ok(())
}

async fn portal(home: PathBuf) -> anyhow::Result<()> {
    let config = PortalConfig::load(&home)?;
    let portal = Arc::new(Portal::open(&home, &config)?);
    let listener = listen(config.listen).await?;
    tracing::info!(listen = %listener.local_addr()?, chain = %portal.genesis().chain_id(), "portal ready");
    let routes = server::portal_routes(portal);
    server::connections::serve(listener, routes, stopped(stop_signal()?)).await;
    Ok(())
}

async fn timestamps(home: PathBuf) -> anyhow::Result<()> {
    let (address, routes) = tsa::open(&home)?;
    let listener = listen(address).await?;
    tracing::info!(listen = %listener.local_addr()?, "演示时间戳 · demo TSA ready");
    server::connections::serve(listener, routes, stopped(stop_signal()?)).await;
    Ok(())
}

async fn certificates(flags: &ca::Flags) -> anyhow::Result<()> {
    let Some(home) = ca::run(flags)? else { return Ok(()) };
    let (address, routes) = ca::open(home)?;
    let listener = listen(address).await?;
    tracing::info!(listen = %listener.local_addr()?, "演示 CA · demo CA ready");
    server::connections::serve(listener, routes, stopped(stop_signal()?)).await;
    Ok(())
}

async fn organisation(flags: organisation::Flags) -> anyhow::Result<()> {
    let page = organisation::open(&flags)?;
    let listener = listen(flags.listen).await?;
    let stop = stop_signal()?;
    tracing::info!(listen = %listener.local_addr()?, organisation = %page.organisation.id, "organisation page ready");
    let reader = tokio::spawn(organisation::follow(page.clone(), stopped(stop.clone())));
    server::connections::serve(listener, server::organisation_routes(&page), stopped(stop)).await;
    reader.await.context("reader")
}

async fn listen(address: SocketAddr) -> anyhow::Result<TcpListener> {
    match TcpListener::bind(address).await {
        Err(error) if error.kind() == std::io::ErrorKind::AddrInUse => Err(AddressInUse(address).into()),
        other => other.with_context(|| format!("{address}: 无法监听 / cannot listen")),
    }
}

/// Becomes true on SIGTERM or SIGINT.
fn stop_signal() -> anyhow::Result<watch::Receiver<bool>> {
    let (mut terminate, mut interrupt) = (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
    let (sender, receiver) = watch::channel(false);
    tokio::spawn(async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
        sender.send_replace(true);
    });
    Ok(receiver)
}

async fn stopped(mut stop: watch::Receiver<bool>) {
    // An error means that the sender is gone, which is a stop too.
    let _ = stop.wait_for(|stopped| *stopped).await;
}
