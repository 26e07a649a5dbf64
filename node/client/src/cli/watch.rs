//! `watch`: what on the ledger concerns this organisation, as it becomes final.

use super::client;
use anyhow::Context;
use clap::Args;
use qz_client::office::{Concern, Desk, Why};
use qz_client::{Client, Event, EventsFrom};
use qz_evidence::SubjectId;
use serde_json::json;
use std::path::PathBuf;

/// `watch`
#[derive(Debug, Args)]
pub struct WatchArgs {
    /// 机构目录 · the organisation's folder
    #[arg(long)]
    home: PathBuf,
    /// 从此区块高度开始（默认从头）· begin with this block; default: the first
    #[arg(long, default_value_t = 1)]
    from_height: u64,
    /// 读到当前高度即结束 · end at the present height instead of waiting for more
    #[arg(long)]
    once: bool,
    /// 另行关注的主体编号 · a further subject to watch; may be repeated
    #[arg(long = "subject", value_parser = crate::subject)]
    subjects: Vec<SubjectId>,
    /// 每行一个 JSON 对象 · a JSON object a line
    #[arg(long)]
    json: bool,
}

/// `watch`
pub async fn watch(args: WatchArgs) -> anyhow::Result<()> {
    let WatchArgs { home, from_height, once, subjects, json } = args;
    let (home, client) = client(&home)?;
    let mut desk = Desk::new(&client.genesis().chain_id(), home.organisation().id.clone(), subjects);
    let tip = client.status().await?.height;
    if once && tip < from_height {
        return summary(&desk, json);
    }
    follow(&client, &mut desk, from_height, once.then_some(tip), json).await?;
    summary(&desk, json)
}

async fn follow(
    client: &Client, desk: &mut Desk, from_height: u64, until: Option<u64>, json: bool,
) -> anyhow::Result<()> {
    let mut events = client.events(EventsFrom::Height(from_height));
    loop {
        match events.next().await.context("事件流 / the stream of events")? {
            Event::Record(event) => {
                if let Some(concern) = desk.take(client, &event).await? {
                    print(&concern, json)?;
                }
            }
            Event::Block(block) if until.is_some_and(|until| block.height >= until) => return Ok(()),
            Event::Block(_) => {}
            Event::Refused(refused) => {
                eprintln!("被拒绝 / refused: {} {}", refused.digest, refused.error);
            }
        }
    }
}

fn print(concern: &Concern, json: bool) -> anyhow::Result<()> {
    if json {
        println!("{}", serde_json::to_string(concern)?);
        return Ok(());
    }
    let why = match concern.why {
        Why::Forum => "提交本机构 / before us",
        Why::Own => "本机构 / ours",
        Why::Followed => "经办合同 / dealt with",
        Why::Watched => "关注 / watched",
        Why::Governance => "联盟治理 / governance",
    };
    println!(
        "{}.{} [{why}] {} {} / {} · {} · {}",
        concern.height, concern.index, concern.kind, concern.title_zh, concern.title_en, concern.relay, concern.record
    );
    for subject in &concern.subjects {
        println!("    {subject}");
    }
    Ok(())
}

fn summary(desk: &Desk, json: bool) -> anyhow::Result<()> {
    if json {
        let pending: Vec<_> = desk.pending().keys().collect();
        println!("{}", json!({"pending": pending}));
        return Ok(());
    }
    println!("待裁判的争议 / disputes pending: {}", desk.pending().len());
    for (contract, concern) in desk.pending() {
        println!("  {contract} · 区块 / block {}.{}", concern.height, concern.index);
    }
    Ok(())
}
