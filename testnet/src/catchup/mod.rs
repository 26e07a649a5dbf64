//! `qz-testnet catchup`: how long an empty node takes to the head of a long chain, by block sync with full
//! verification, and how long a node with that chain takes to start. Real processes on a real chain
//! (`fill.rs` says how it is made); the node that catches up has lost its disk, as far as it knows.
//!
//! It measures and compares; it has no thresholds. What does not hold (another head, root or history, a
//! finding of the doctor) is an error.

mod fill;

use crate::binaries::Binaries;
use crate::doctor;
use crate::folder::Folder;
use crate::load::measure;
use crate::network::Network;
use crate::ports::Ports;
use anyhow::{Context, Result, bail, ensure};
use qz_evidence::Hash32;
use qz_store::Store;
use serde::Serialize;
use std::fmt::Write as _;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// Whose node is empty.
const NEWCOMER: &str = "arbitration";
/// Who has the chain.
const SETTLED: [&str; 3] = ["platform", "notary", "court"];
/// Longest time without a new block while the node catches up.
const STALL: Duration = Duration::from_secs(60);
/// How often a node is asked.
const POLL: Duration = Duration::from_millis(20);
/// An idle chain has a block every second here, not every five.
const NODE_CONFIG: &str = r#"{"heartbeat_ms": 1000}"#;
/// Everything that a node keeps beside its keys.
const KEPT: [&str; 4] = ["data", "data.mark", "wal", "signer.journal"];

/// What to do.
#[derive(Clone, Debug)]
pub struct Options {
    /// Records of the chain.
    pub records: usize,
    /// Records of a block.
    pub per_block: usize,
    /// Starts of a node that are measured, each time.
    pub starts: usize,
    /// First port; absent: free ones are chosen.
    pub base_port: Option<u16>,
    /// Folder of the network, which must be new or empty and is kept; absent: a temporary one.
    pub data: Option<PathBuf>,
}

/// What came out. Wall times suffer from whatever else the machine does, CPU times hardly.
#[derive(Clone, Debug, Serialize)]
pub struct Report {
    /// `dev` or `release`.
    pub profile: &'static str,
    /// Records of the chain.
    pub records: usize,
    /// Its height when the empty node was started.
    pub blocks: u64,
    /// From the start of the empty node's process until it was there.
    pub catch_up_s: f64,
    /// Of that, until its first block: keys, TLS, listening to the peers.
    pub first_block_s: f64,
    /// Records per second of the whole time.
    pub records_per_s: f64,
    /// CPU microseconds of its process per record.
    pub cpu_us_per_record: f64,
    /// Bytes of its store.
    pub store_bytes: u64,
    /// A start with a few blocks.
    pub short_start: Start,
    /// A start with the whole chain.
    pub long_start: Start,
    /// Seconds that `qz-node doctor` took for the caught-up store, in which it found nothing.
    pub doctor_s: f64,
    /// Signatures that it verified.
    pub doctor_signatures: u64,
    /// The block at that height, the same on all nodes.
    pub block_id: Hash32,
    /// RFC 9162 root over all headers up to it, the same on all nodes.
    pub history_root: Hash32,
}

/// Medians of several starts of one node, from the start of its process.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct Start {
    /// Until it answers from its ledger.
    pub answers_ms: f64,
    /// CPU milliseconds until then.
    pub cpu_ms: f64,
    /// Until it has committed another block with the others.
    pub follows_ms: f64,
}

/// Makes the chain and measures; `progress` hears a line now and then.
pub async fn run(options: &Options, progress: &mut dyn FnMut(&str)) -> Result<Report> {
    ensure!(options.records > 0 && options.per_block > 0, "至少一条记录 · at least one record");
    let temporary = tempfile::Builder::new().prefix("qz-catchup-").tempdir()?;
    let root = options.data.as_deref().unwrap_or(temporary.path());
    let ports = match options.base_port {
        Some(base) => Ports::at(base)?,
        None => Ports::find_apart()?,
    };
    let binaries = Binaries::locate_for_nodes()?;
    let mut network = Network::found(binaries, Folder::create(root)?, ports, progress)?;
    for id in SETTLED.into_iter().chain([NEWCOMER]) {
        let file = network.folder.organisation(id).join("node.json");
        std::fs::write(&file, NODE_CONFIG).with_context(|| format!("cannot write {}", file.display()))?;
    }
    network.start_nodes(progress).await?;
    for id in SETTLED {
        network.wait_for_node(id, |status| status.height >= 2).await?;
    }
    let short_start = measure_starts(&mut network, options.starts).await?;
    network.stop();
    let filled = lengthen(&network.folder, options, progress)?;

    for id in SETTLED {
        network.spawn_node(id)?;
    }
    for id in SETTLED {
        network.wait_for_node(id, |status| status.healthy && status.height >= filled.height).await?;
    }
    let height = network.height().await;
    progress(&format!("空节点启动，链高 {height} · an empty node starts, the chain has height {height}"));
    let caught_up = catch_up(&mut network, height, progress).await?;
    let (block_id, history_root) = compare(&network, height).await?;
    // It votes with the others.
    network.wait_for_node(NEWCOMER, |status| !status.syncing && status.height > height + 1).await?;
    let store_bytes = measure::folder_bytes(&network.folder.organisation(NEWCOMER).join("data"))?;
    progress("测量启动时间 · measuring starts");
    let long_start = measure_starts(&mut network, options.starts).await?;
    network.stop();
    progress("qz-node doctor");
    let diagnosis = doctor::examine(&network.binaries.node, &network.folder.organisation(NEWCOMER), false)?;
    let number = |name: &str| diagnosis[name].as_f64().with_context(|| format!("the doctor does not say {name}"));
    ensure!(number("records")? >= filled.records as f64, "the caught-up node lacks records: {diagnosis}");
    Ok(Report {
        profile: if cfg!(debug_assertions) { "dev" } else { "release" },
        records: filled.records,
        blocks: height,
        catch_up_s: caught_up.took.as_secs_f64(),
        first_block_s: caught_up.first_block.as_secs_f64(),
        records_per_s: filled.records as f64 / caught_up.took.as_secs_f64(),
        cpu_us_per_record: caught_up.cpu.as_secs_f64() * 1e6 / filled.records as f64,
        store_bytes,
        short_start,
        long_start,
        doctor_s: number("seconds")?,
        doctor_signatures: number("signatures")? as u64,
        block_id,
        history_root,
    })
}

/// Lengthens the longest of the settled nodes' ledgers, gives it to all of them, and empties the newcomer.
fn lengthen(folder: &Folder, options: &Options, progress: &mut dyn FnMut(&str)) -> Result<fill::Filled> {
    let data = |id: &str| folder.organisation(id).join("data");
    let genesis = crate::custody::open(&folder.organisation(NEWCOMER))?.genesis_document()?;
    let mut heights = vec![];
    for id in SETTLED {
        heights.push((Store::open(&data(id), &genesis)?.tip_height()?, id));
    }
    let (_, longest) = heights.into_iter().max().context("nobody has a ledger")?;
    let filled = fill::fill(folder, &data(longest), &SETTLED, options.records, options.per_block, progress)?;
    for id in SETTLED.into_iter().filter(|id| *id != longest) {
        remove(&data(id))?;
        copy_files(&data(longest), &data(id))?;
    }
    for kept in KEPT {
        remove(&folder.organisation(NEWCOMER).join(kept))?;
    }
    Ok(filled)
}

struct CaughtUp {
    took: Duration,
    first_block: Duration,
    cpu: Duration,
}

async fn catch_up(network: &mut Network, target: u64, progress: &mut dyn FnMut(&str)) -> Result<CaughtUp> {
    let begun = Instant::now();
    network.spawn_node(NEWCOMER)?;
    let pid = network.node(NEWCOMER)?.pid().context("it was just started")?;
    let (mut first_block, mut last, mut told) = (None, (0, begun), 0);
    loop {
        network.check_running()?;
        // Until it answers there is nothing to tell.
        let height = network.node(NEWCOMER)?.member.status().await.map_or(0, |status| status.height);
        if height > 0 {
            first_block.get_or_insert_with(|| begun.elapsed());
        }
        if height >= target {
            let first_block = first_block.unwrap_or_default();
            return Ok(CaughtUp { took: begun.elapsed(), first_block, cpu: measure::cpu_time(&[pid])? });
        }
        if height > last.0 {
            last = (height, Instant::now());
        }
        if height * 10 / target > told {
            told = height * 10 / target;
            progress(&format!("高度 height {height} / {target}, {:.1} s", begun.elapsed().as_secs_f64()));
        }
        if last.1.elapsed() > STALL {
            bail!("{NEWCOMER} 停在高度 {0} · stands still at height {0} of {target}", last.0);
        }
        tokio::time::sleep(POLL).await;
    }
}

/// All nodes have the same block, and the same history up to it.
async fn compare(network: &Network, height: u64) -> Result<(Hash32, Hash32)> {
    let mut found = vec![];
    for node in network.nodes() {
        let checkpoint = node.member.client().checkpoint(Some(height)).await?;
        let checkpoint = checkpoint.with_context(|| format!("{} has no block {height}", node.id))?;
        found.push((qz_evidence::header::block_id(&checkpoint.header), checkpoint.root));
    }
    let first = *found.first().context("no node")?;
    ensure!(found.iter().all(|other| *other == first), "the nodes differ at height {height}: {found:?}");
    Ok(first)
}

/// Stops and starts the newcomer's node several times.
async fn measure_starts(network: &mut Network, starts: usize) -> Result<Start> {
    let (mut answers, mut cpu, mut follows) = (vec![], vec![], vec![]);
    for _ in 0..starts {
        network.stop_node(NEWCOMER)?;
        let begun = Instant::now();
        network.spawn_node(NEWCOMER)?;
        let pid = network.node(NEWCOMER)?.pid().context("it was just started")?;
        let height = loop {
            network.check_running()?;
            match network.node(NEWCOMER)?.member.status().await {
                Ok(status) => break status.height,
                Err(error) if begun.elapsed() > STALL => return Err(error).context("it does not answer"),
                Err(_) => tokio::time::sleep(POLL).await,
            }
        };
        answers.push(begun.elapsed().as_secs_f64() * 1e3);
        cpu.push(measure::cpu_time(&[pid])?.as_secs_f64() * 1e3);
        network.wait_for_node(NEWCOMER, |status| status.height > height).await?;
        follows.push(begun.elapsed().as_secs_f64() * 1e3);
    }
    Ok(Start {
        answers_ms: measure::median(answers),
        cpu_ms: measure::median(cpu),
        follows_ms: measure::median(follows),
    })
}

fn remove(path: &Path) -> Result<()> {
    let removed = if path.is_dir() { std::fs::remove_dir_all(path) } else { std::fs::remove_file(path) };
    match removed {
        Err(error) if error.kind() != ErrorKind::NotFound => {
            Err(error).with_context(|| format!("cannot remove {}", path.display()))
        }
        _ => Ok(()),
    }
}

fn copy_files(from: &Path, to: &Path) -> Result<()> {
    crate::folder::make(to)?;
    for entry in std::fs::read_dir(from).with_context(|| format!("cannot read {}", from.display()))? {
        let entry = entry?;
        if entry.file_type()?.is_file() {
            std::fs::copy(entry.path(), to.join(entry.file_name()))
                .with_context(|| format!("cannot copy {}", entry.path().display()))?;
        }
    }
    Ok(())
}

impl Report {
    /// For people.
    pub fn table(&self) -> String {
        let mut text = String::new();
        let mut row = |name: &str, value: String| {
            // Writing to a String cannot fail.
            let _ = writeln!(text, "  {name:<58} {value}");
        };
        let start =
            |start: &Start| format!("{:.0} / {:.0} ms, CPU {:.0} ms", start.answers_ms, start.follows_ms, start.cpu_ms);
        row("构建 profile", self.profile.to_owned());
        row("记录/区块 records / blocks", format!("{} / {}", self.records, self.blocks));
        row(
            "追块用时（至首块） catch-up (until the first block)",
            format!("{:.1} s ({:.1} s)", self.catch_up_s, self.first_block_s),
        );
        row("每秒记录数 records/s", format!("{:.0}", self.records_per_s));
        row("每条记录 CPU CPU per record", format!("{:.0} µs", self.cpu_us_per_record));
        row("存储 store", format!("{} bytes", self.store_bytes));
        row("短链启动：应答/出块 start with few blocks: answers / follows", start(&self.short_start));
        row("长链启动：应答/出块 start with the chain: answers / follows", start(&self.long_start));
        row("数据检查 doctor, nothing found", format!("{:.1} s, {} signatures", self.doctor_s, self.doctor_signatures));
        row("区块 block", self.block_id.to_string());
        row("全部区块头的根 root over all headers", self.history_root.to_string());
        text
    }
}
