//! `history`: every record of a subject, proven.

use anyhow::{Context, bail};
use clap::Args;
use qz_client::{Client, SubjectHistory};
use qz_evidence::SubjectId;
use qz_evidence::verify::history::History;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// `history`
#[derive(Debug, Args)]
pub struct HistoryArgs {
    /// 组织目录 · the organisation's folder, with genesis.qz
    #[arg(long)]
    home: PathBuf,
    /// 主体编号 · the subject, 64 hexadecimal digits
    #[arg(long, value_parser = crate::subject)]
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
}

fn range(text: &str) -> Result<(u64, u64), String> {
    let parts = text.split_once("..=").and_then(|(from, to)| Some((from.parse().ok()?, to.parse().ok()?)));
    parts.ok_or_else(|| "a range is FROM..=TO".to_owned())
}

/// Why it failed: the program's exit code and the words.
pub type Failed = (u8, anyhow::Error);

/// `history`
pub async fn history(args: HistoryArgs) -> Result<(), Failed> {
    let HistoryArgs { home, subject, out, records, max_age } = args;
    let (_, client) = super::client(&home).map_err(|error| (2, error))?;
    let max_age = Duration::from_secs(max_age);
    let proven = fetch(&client, &subject, records, max_age).await.map_err(|error| (1, error))?;
    write(&proven, &out).map_err(|error| (2, error))
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
