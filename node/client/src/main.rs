//! `qz-client`: a member's questions to the ledger, answered with proofs that it has verified itself.
//!
//! Exit codes: 0 done, 1 the nodes gave no valid answer, 2 the command itself could not be carried out.

use anyhow::{Context, bail};
use clap::{Parser, Subcommand};
use qz_client::{Client, ClientConfig, Home, SubjectHistory};
use qz_evidence::verify::history::History;
use qz_evidence::{Hash32, SubjectId};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

/// Ask the ledger 查询账本.
#[derive(Parser)]
#[command(name = "qz-client", version)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// 某主体的全部记录 · every record of a subject as of the latest block, or the proof that there is no
    /// such subject, as one or more .qzproof files for `qz-verify --complete`
    History {
        /// 组织目录 · the organisation's folder, with genesis.qz
        #[arg(long)]
        home: PathBuf,
        /// 主体编号 · the subject, 64 hexadecimal digits
        #[arg(long, value_parser = subject)]
        subject: SubjectId,
        /// 输出文件 · where to write the proof; further parts get -2, -3 … before the ending
        #[arg(long)]
        out: PathBuf,
        /// 只要这一段 · only these records, such as 10..=19; proven to be without a gap
        #[arg(long, value_name = "FROM..=TO", value_parser = range)]
        records: Option<(u64, u64)>,
        /// 区块的最大时延（秒）· refuse a block older than this many seconds
        #[arg(long, default_value_t = 60)]
        max_age: u64,
    },
}

fn subject(text: &str) -> Result<SubjectId, String> {
    Hash32::from_hex(text).map(SubjectId).ok_or_else(|| "a subject is 64 hexadecimal digits".to_owned())
}

fn range(text: &str) -> Result<(u64, u64), String> {
    let parts = text.split_once("..=").and_then(|(from, to)| Some((from.parse().ok()?, to.parse().ok()?)));
    parts.ok_or_else(|| "a range is FROM..=TO".to_owned())
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    let Command::History { home, subject, out, records, max_age } = Cli::parse().command;
    let client = match client(&home) {
        Ok(client) => client,
        Err(error) => return failed(2, &error),
    };
    let proven = match fetch(&client, &subject, records, Duration::from_secs(max_age)).await {
        Ok(proven) => proven,
        Err(error) => return failed(1, &error),
    };
    match write(&proven, &out) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => failed(2, &error),
    }
}

fn failed(code: u8, error: &anyhow::Error) -> ExitCode {
    eprintln!("qz-client: {error:#}");
    ExitCode::from(code)
}

fn client(home: &Path) -> anyhow::Result<Client> {
    let home = Home::open(home).with_context(|| format!("cannot open {}", home.display()))?;
    Ok(Client::new(&ClientConfig::from_home(&home)?)?)
}

async fn fetch(
    client: &Client, subject: &SubjectId, records: Option<(u64, u64)>, max_age: Duration,
) -> anyhow::Result<SubjectHistory> {
    if records.is_none() {
        return Ok(client.history(subject, Some(max_age)).await?);
    }
    let (history, bundle) = client.history_part(subject, records, None, Some(max_age)).await?;
    Ok(SubjectHistory { history, bundles: vec![bundle] })
}

fn write(proven: &SubjectHistory, out: &Path) -> anyhow::Result<()> {
    for (number, bundle) in (1..).zip(&proven.bundles) {
        let path = part_path(out, number)?;
        std::fs::write(&path, bundle).with_context(|| format!("cannot write {}", path.display()))?;
        println!("{} ({} bytes)", path.display(), bundle.len());
    }
    let History { head, .. } = &proven.history;
    let words = proven.history.words();
    println!("{}\n{}\n区块 / block {}", words.zh, words.en, head.block_id);
    Ok(())
}

/// FILE.qzproof, then FILE-2.qzproof and so on.
fn part_path(out: &Path, number: usize) -> anyhow::Result<PathBuf> {
    if number == 1 {
        return Ok(out.to_owned());
    }
    let Some(stem) = out.file_stem() else { bail!("{} is no file name", out.display()) };
    let mut name = stem.to_owned();
    name.push(format!("-{number}"));
    if let Some(ending) = out.extension() {
        name.push(".");
        name.push(ending);
    }
    Ok(out.with_file_name(name))
}
