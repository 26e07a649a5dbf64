//! `qz-testnet load`: how many records per second a network of real node processes makes final, how long
//! one takes, and what it costs, against what the hardware could do at best in the same minutes.
//!
//! It measures; it passes no judgement and has no thresholds.

pub mod calibration;
pub mod door;
pub mod generator;
pub mod measure;
pub mod report;
pub mod workload;

use crate::binaries::Binaries;
use crate::folder::Folder;
use crate::network::Network;
use crate::ports::{DEFAULT_START, Ports};
use crate::process;
use anyhow::{Context, Result, bail, ensure};
use calibration::Calibration;
use door::Door;
use report::{HalfLoad, Report, Round};
use std::path::PathBuf;
use std::time::{Duration, Instant};
use workload::{SIGNATURES, SUBJECTS, Workload};

/// The part of a slice that does not count for throughput.
const WARM_UP: Duration = Duration::from_secs(1);
/// The search for saturation begins at this share of L and goes up by this factor.
const SEARCH: (f64, f64) = (0.25, 1.3);
/// Length of a slice of the search.
const SEARCH_SLICE: Duration = Duration::from_secs(6);
/// A rate is kept up if so much of it becomes final in its own span.
const KEPT_UP: f64 = 0.93;

/// What to do.
#[derive(Clone, Debug)]
pub struct Options {
    /// Folder of a running network; absent: a new one, in a temporary folder.
    pub network: Option<PathBuf>,
    /// First port of a new network; absent: free ones are chosen.
    pub base_port: Option<u16>,
    /// Submissions per second; absent: saturation is looked for.
    pub rate: Option<f64>,
    /// Length of all slices together.
    pub seconds: u64,
    /// Slices, with the hardware measured between them.
    pub rounds: u64,
}

/// Runs the load; `progress` hears a line now and then.
pub async fn run(options: &Options, progress: &mut dyn FnMut(&str)) -> Result<Report> {
    let slice = Duration::from_secs(options.seconds / options.rounds.max(1));
    ensure!(slice > 2 * WARM_UP, "每轮至少 3 秒 · a slice (seconds / rounds) must be 3 s at least");
    let target = Target::prepare(options, progress).await?;
    let doors = target.doors()?;
    progress("准备签名密钥与合同 · preparing keys, tree and signatures");
    let mut bench = Bench {
        calibration: Calibration::prepare()?,
        workload: Workload::begin(&doors, "notary").await?,
        doors,
        target,
    };
    let rate = match options.rate {
        Some(rate) => rate,
        None => bench.saturation(progress).await?,
    };
    let mut rounds = vec![];
    for number in 1..=options.rounds {
        let round = bench.round(rate, slice).await?;
        progress(&summary(&format!("round {number}"), &round));
        rounds.push(round);
    }
    let mut report = Report::of(&rounds, bench.target.pids.len(), SIGNATURES, SUBJECTS);
    if options.rate.is_none() {
        let half = bench.round(report.finalised_per_s / 2.0, slice).await?;
        progress(&summary("half load", &half));
        report.half_load = Some(HalfLoad {
            offered_per_s: half.rate,
            p50_ms: half.slice.percentile_ms(0.5),
            p99_ms: half.slice.percentile_ms(0.99),
            max_ms: half.slice.percentile_ms(1.0),
        });
    }
    Ok(report)
}

fn summary(what: &str, round: &Round) -> String {
    format!(
        "{what}: offered {:.0}/s, final {:.0}/s, L {:.0}, ratio {:.2}, p50 {:.0} ms, p99 {:.0} ms, CPU {:.0} µs, refused {:?}",
        round.rate,
        round.slice.finalised_per_s,
        round.limit(SIGNATURES, SUBJECTS),
        round.slice.finalised_per_s / round.limit(SIGNATURES, SUBJECTS),
        round.slice.percentile_ms(0.5),
        round.slice.percentile_ms(0.99),
        round.cpu_us_per_record(),
        round.slice.refused
    )
}

/// The network under load.
struct Target {
    network: Network,
    pids: Vec<u32>,
    /// Removed when the run ends, if the network is ours.
    _temporary: Option<tempfile::TempDir>,
}

impl Target {
    async fn prepare(options: &Options, progress: &mut dyn FnMut(&str)) -> Result<Self> {
        match &options.network {
            Some(folder) => Self::attach(folder),
            None => Self::found(options.base_port, progress).await,
        }
    }

    fn attach(folder: &std::path::Path) -> Result<Self> {
        let folder = Folder::open(folder)?
            .with_context(|| format!("{} 中没有测试网络 · there is no test network in it", folder.display()))?;
        let description = folder.description()?;
        if !process::is_running(description.supervisor, "qz-testnet") {
            bail!("{} 的网络未在运行 · the network does not run", folder.root().display());
        }
        let nodes = description.processes.iter().filter(|(name, _)| name.starts_with("node-"));
        let pids = nodes.map(|(_, pid)| *pid).collect();
        let network = Network::unsupervised(folder, description.base_port)?;
        Ok(Self { network, pids, _temporary: None })
    }

    async fn found(base_port: Option<u16>, progress: &mut dyn FnMut(&str)) -> Result<Self> {
        let temporary = tempfile::Builder::new().prefix("qz-load-").tempdir()?;
        let ports = match base_port {
            Some(base) => Ports::at(base)?,
            None => Ports::find(DEFAULT_START)?,
        };
        let folder = Folder::create(temporary.path())?;
        let mut network = Network::found(Binaries::locate_for_nodes()?, folder, ports, progress)?;
        network.start_nodes(progress).await?;
        let pids = network.nodes().iter().filter_map(crate::network::Node::pid).collect();
        Ok(Self { network, pids, _temporary: Some(temporary) })
    }

    fn doors(&self) -> Result<Vec<Door>> {
        let folder = &self.network.folder;
        self.network.nodes().iter().map(|node| Door::open(&folder.organisation(node.id))).collect()
    }

    /// Bytes of one validator's store.
    fn store_bytes(&self) -> Result<u64> {
        let node = self.network.nodes().first().context("a network has nodes")?;
        measure::folder_bytes(&self.network.folder.organisation(node.id).join("data"))
    }
}

struct Bench {
    calibration: Calibration,
    workload: Workload,
    doors: Vec<Door>,
    target: Target,
}

impl Bench {
    /// Signs, measures the hardware, offers, measures the hardware again.
    async fn round(&mut self, rate: f64, length: Duration) -> Result<Round> {
        let count = (rate * length.as_secs_f64()).ceil().max(1.0) as usize;
        let planned = self.workload.plan(&self.doors, count).await?;
        let height = self.doors[0].height().await?;
        let before = self.calibration.measure()?;
        let own = [std::process::id()];
        let (cpu, own_cpu) = (measure::cpu_time(&self.target.pids)?, measure::cpu_time(&own)?);
        let (bytes, start) = (self.target.store_bytes()?, Instant::now());
        let slice = generator::offer(&self.doors, planned, rate, WARM_UP).await?;
        let wall_s = start.elapsed().as_secs_f64();
        let validators_cpu_s = (measure::cpu_time(&self.target.pids)? - cpu).as_secs_f64();
        let generator_cpu_s = (measure::cpu_time(&own)? - own_cpu).as_secs_f64();
        let store_bytes = self.target.store_bytes()?.saturating_sub(bytes);
        let after = self.calibration.measure()?;
        ensure!(slice.finalised > 0, "没有一条记录终局 · nothing became final: {:?}", slice.refused);
        let (blocks, records) = self.doors[0].count_records(height, self.doors[0].height().await?).await?;
        // What the members were told and what stands in the blocks; others may submit at the same time.
        ensure!(records >= slice.finalised as u64, "{} acknowledged, {records} in the blocks", slice.finalised);
        let hardware = [before, after];
        Ok(Round { rate, slice, hardware, validators_cpu_s, generator_cpu_s, wall_s, store_bytes, blocks })
    }

    /// The rate that the network just does not keep up with any more.
    async fn saturation(&mut self, progress: &mut dyn FnMut(&str)) -> Result<f64> {
        let mut rate = SEARCH.0 * self.calibration.measure()?.limit(SIGNATURES, SUBJECTS);
        let mut best = 0.0f64;
        loop {
            let round = self.round(rate, SEARCH_SLICE).await?;
            progress(&summary("search", &round));
            let finalised = round.slice.finalised_per_s;
            let kept_up = finalised >= KEPT_UP * rate && round.slice.refused.is_empty();
            best = best.max(finalised);
            if !kept_up {
                // A little above, so that there is always work, but no queue that grows without end.
                return Ok(best * 1.05);
            }
            rate *= SEARCH.1;
        }
    }
}
