//! What this process counts and measures, in the OpenMetrics text format that Prometheus reads.
//!
//! One set per process, as Prometheus sees it. What can be asked for at any time (height, peers, sizes)
//! is sampled when somebody scrapes; only what happens is counted here. No label takes a value that a
//! client can choose: routes are templates, reasons are fixed words.

use std::sync::OnceLock;
use std::sync::atomic::AtomicU64;
use std::time::{Duration, Instant};

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::encoding::text::encode;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::Registry;

mod process;

pub(crate) use process::Process;

/// `Content-Type` of what [`Metrics::render`] gives.
pub(crate) const CONTENT_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// A gauge of fractions.
type Fraction = Gauge<f64, AtomicU64>;

/// One fixed word.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Reason {
    reason: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct File {
    file: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Kind {
    kind: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Version {
    version: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Route {
    route: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Answered {
    route: &'static str,
    status: u16,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct OnNetwork {
    network: &'static str,
}

/// What is sampled at a scrape.
#[derive(Debug, Default)]
pub(crate) struct Sample {
    pub height: u64,
    pub epoch: u64,
    pub block_time_ms: u64,
    pub behind: u64,
    pub peers: usize,
    pub quorum: usize,
    pub mempool: usize,
    pub mempool_bytes: usize,
    pub healthy: bool,
    pub ready: bool,
    pub syncing: bool,
    pub observing: bool,
    pub clock_offset_ms: Option<i64>,
    pub connections: usize,
    /// Bytes on disk by kind of file.
    pub store_bytes: Vec<(&'static str, u64)>,
    /// Counters and gauges of the peer networks: (name, network, value).
    pub peer_counts: Vec<(&'static str, &'static str, u64)>,
    pub process: Process,
}

/// Counters, gauges and histograms.
#[derive(Debug)]
pub(crate) struct Metrics {
    registry: Registry,
    height: Gauge,
    epoch: Gauge,
    round: Gauge,
    rounds: Counter,
    equivocations: Family<Reason, Counter>,
    block_time: Fraction,
    behind: Gauge,
    block_interval: Histogram,
    finality: Histogram,
    blocks: Counter,
    records: Counter,
    mempool: Gauge,
    mempool_bytes: Gauge,
    mempool_rejected: Family<Reason, Counter>,
    mempool_delayed: Counter,
    peers: Gauge,
    quorum: Gauge,
    commit: Histogram,
    fsync: Family<File, Histogram, fn() -> Histogram>,
    store_bytes: Family<Kind, Gauge>,
    healthy: Gauge,
    ready: Gauge,
    syncing: Gauge,
    observing: Gauge,
    clock_offset: Fraction,
    requests: Family<Answered, Counter>,
    request_seconds: Family<Route, Histogram, fn() -> Histogram>,
    connections: Gauge,
    refused: Family<Reason, Counter>,
    streams: Gauge,
    streams_ended: Family<Reason, Counter>,
}

/// The metrics of this process.
pub(crate) fn get() -> &'static Metrics {
    static METRICS: OnceLock<Metrics> = OnceLock::new();
    METRICS.get_or_init(Metrics::new)
}

/// From half a millisecond to a minute.
fn latencies() -> Histogram {
    Histogram::new([0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0])
}

impl Metrics {
    fn new() -> Self {
        let metrics = Self {
            registry: Registry::default(),
            height: Gauge::default(),
            epoch: Gauge::default(),
            round: Gauge::default(),
            rounds: Counter::default(),
            equivocations: Family::default(),
            block_time: Fraction::default(),
            behind: Gauge::default(),
            block_interval: latencies(),
            finality: latencies(),
            blocks: Counter::default(),
            records: Counter::default(),
            mempool: Gauge::default(),
            mempool_bytes: Gauge::default(),
            mempool_rejected: Family::default(),
            mempool_delayed: Counter::default(),
            peers: Gauge::default(),
            quorum: Gauge::default(),
            commit: latencies(),
            fsync: Family::new_with_constructor(latencies),
            store_bytes: Family::default(),
            healthy: Gauge::default(),
            ready: Gauge::default(),
            syncing: Gauge::default(),
            observing: Gauge::default(),
            clock_offset: Fraction::default(),
            requests: Family::default(),
            request_seconds: Family::new_with_constructor(latencies),
            connections: Gauge::default(),
            refused: Family::default(),
            streams: Gauge::default(),
            streams_ended: Family::default(),
        };
        metrics.register()
    }

    fn register(mut self) -> Self {
        let r = &mut self.registry;
        r.register("qz_height", "Height of the last committed block", self.height.clone());
        r.register("qz_epoch", "Epoch of the last committed block", self.epoch.clone());
        r.register(
            "qz_round",
            "Consensus round of the height in progress; 0 unless something delays it",
            self.round.clone(),
        );
        r.register("qz_failed_rounds", "Rounds after the first of their height", self.rounds.clone());
        r.register(
            "qz_equivocations",
            "Heights at which a validator signed two contents for one step, by what it signed twice",
            self.equivocations.clone(),
        );
        r.register(
            "qz_block_time_seconds",
            "Time of the last committed block, seconds since 1970",
            self.block_time.clone(),
        );
        r.register(
            "qz_behind_blocks",
            "How far more peers than can be faulty are ahead of this node",
            self.behind.clone(),
        );
        r.register(
            "qz_block_interval_seconds",
            "Time between consecutive blocks, by their headers",
            self.block_interval.clone(),
        );
        r.register(
            "qz_finality_seconds",
            "From a submission's entry into this node's queue to its finality",
            self.finality.clone(),
        );
        r.register("qz_blocks", "Blocks committed since the start", self.blocks.clone());
        r.register("qz_records", "Records committed since the start", self.records.clone());
        r.register("qz_mempool_submissions", "Submissions that wait for a block", self.mempool.clone());
        r.register("qz_mempool_bytes", "Bytes of the submissions that wait", self.mempool_bytes.clone());
        let delayed = "Requests that waited for a shorter queue before they were checked";
        r.register("qz_mempool_delayed_requests", delayed, self.mempool_delayed.clone());
        r.register("qz_mempool_rejections", "Submissions refused, by error code", self.mempool_rejected.clone());
        r.register("qz_peers_connected", "Peers that have said how far they are", self.peers.clone());
        r.register("qz_peers_needed", "Peers without which nothing can be decided", self.quorum.clone());
        r.register("qz_commit_seconds", "Time to write one block durably", self.commit.clone());
        r.register("qz_fsync_seconds", "Time of a synced write, by file", self.fsync.clone());
        r.register("qz_store_bytes", "Bytes on disk by kind of file", self.store_bytes.clone());
        r.register("qz_healthy", "1 unless something failed for good", self.healthy.clone());
        r.register("qz_ready", "1 if /health/ready says so", self.ready.clone());
        r.register("qz_syncing", "1 while this node is behind its peers", self.syncing.clone());
        r.register("qz_observing", "1 while this node does not vote", self.observing.clone());
        r.register(
            "qz_clock_offset_seconds",
            "Median of the proposers' clocks minus this one; NaN if unknown",
            self.clock_offset.clone(),
        );
        r.register("qz_rpc_requests", "Requests answered, by route and status", self.requests.clone());
        r.register(
            "qz_rpc_request_seconds",
            "Time from a request's headers to its answer's, by route",
            self.request_seconds.clone(),
        );
        r.register("qz_rpc_connections", "Members' connections to the RPC", self.connections.clone());
        r.register("qz_rpc_refused", "Connections and requests that a limit refused, by reason", self.refused.clone());
        r.register("qz_rpc_streams", "Event streams", self.streams.clone());
        r.register("qz_rpc_streams_ended", "Event streams that this node ended, by reason", self.streams_ended.clone());
        let build = Family::<Version, Gauge>::default();
        build.get_or_create(&Version { version: env!("CARGO_PKG_VERSION") }).set(1);
        r.register("qz_build_info", "1, with the version of this program", build);
        // Alerts on a rate need the series before the first event.
        for reason in ["handshake_timeout", "handshake_failed", "handshake_evicted", "no_room", "rate", "body_slow"] {
            drop(self.refused.get_or_create(&Reason { reason }));
        }
        for reason in ["proposal", "vote"] {
            drop(self.equivocations.get_or_create(&Reason { reason }));
        }
        for reason in ["submission.malformed", "node.busy", "node.quota"] {
            drop(self.mempool_rejected.get_or_create(&Reason { reason }));
        }
        for file in ["store", "proposals", "journal"] {
            drop(self.fsync.get_or_create(&File { file }));
        }
        self
    }

    /// Everything as text, with `sample` as of now.
    pub(crate) fn render(&self, sample: &Sample) -> String {
        self.height.set(signed(sample.height));
        self.epoch.set(signed(sample.epoch));
        self.block_time.set(seconds(sample.block_time_ms));
        self.behind.set(signed(sample.behind));
        self.peers.set(count(sample.peers));
        self.quorum.set(count(sample.quorum));
        self.mempool.set(count(sample.mempool));
        self.mempool_bytes.set(count(sample.mempool_bytes));
        self.healthy.set(sample.healthy.into());
        self.ready.set(sample.ready.into());
        self.syncing.set(sample.syncing.into());
        self.observing.set(sample.observing.into());
        self.clock_offset.set(sample.clock_offset_ms.map_or(f64::NAN, |offset| offset as f64 / 1000.0));
        self.connections.set(count(sample.connections));
        for (kind, bytes) in &sample.store_bytes {
            self.store_bytes.get_or_create(&Kind { kind }).set(signed(*bytes));
        }
        let mut text = String::new();
        let parts = [&self.registry, &sampled(sample)];
        for registry in parts {
            append(&mut text, |text| encode(text, registry));
        }
        append(&mut text, |text| {
            malachitebft_app::metrics::export(text);
            Ok(())
        });
        text.push_str("# EOF\n");
        text
    }

    /// A round of a height has started.
    pub(crate) fn started_round(&self, round: i64) {
        self.round.set(round);
        if round > 0 {
            self.rounds.inc();
        }
    }

    /// A validator was seen to sign two proposals or votes (`what`) for one step.
    pub(crate) fn equivocated(&self, what: &'static str) {
        self.equivocations.get_or_create(&Reason { reason: what }).inc();
    }

    /// A block was written, `interval_ms` after its parent by their headers.
    pub(crate) fn committed(&self, records: usize, interval_ms: u64, took: Duration) {
        self.blocks.inc();
        self.records.inc_by(u64::try_from(records).unwrap_or(u64::MAX));
        self.block_interval.observe(seconds(interval_ms));
        self.commit.observe(took.as_secs_f64());
        self.fsync("store", took);
    }

    /// A synced write to a file took so long.
    pub(crate) fn fsync(&self, file: &'static str, took: Duration) {
        self.fsync.get_or_create(&File { file }).observe(took.as_secs_f64());
    }

    /// A submission that entered the queue at `since` is final.
    pub(crate) fn finalised(&self, since: Instant) {
        self.finality.observe(since.elapsed().as_secs_f64());
    }

    /// A request waits for a shorter queue.
    pub(crate) fn delayed(&self) {
        self.mempool_delayed.inc();
    }

    /// A submission was refused with this error code.
    pub(crate) fn rejected(&self, code: &'static str) {
        self.mempool_rejected.get_or_create(&Reason { reason: code }).inc();
    }

    /// A request was answered.
    pub(crate) fn answered(&self, route: &'static str, status: u16, took: Duration) {
        self.requests.get_or_create(&Answered { route, status }).inc();
        self.request_seconds.get_or_create(&Route { route }).observe(took.as_secs_f64());
    }

    /// A connection or request was refused by a limit.
    pub(crate) fn refused(&self, reason: &'static str) {
        self.refused.get_or_create(&Reason { reason }).inc();
    }

    /// An event stream begins.
    pub(crate) fn stream_begins(&self) {
        self.streams.inc();
    }

    /// An event stream is over; with the reason if this node ended it.
    pub(crate) fn stream_ends(&self, reason: Option<&'static str>) {
        self.streams.dec();
        if let Some(reason) = reason {
            self.streams_ended.get_or_create(&Reason { reason }).inc();
        }
    }
}

/// What is not kept between scrapes.
fn sampled(sample: &Sample) -> Registry {
    let mut registry = Registry::default();
    let mut names: Vec<_> = sample.peer_counts.iter().map(|(name, ..)| *name).collect();
    names.sort_unstable();
    names.dedup();
    for name in names {
        let of_name = sample.peer_counts.iter().filter(|(other, ..)| *other == name);
        let help = "Peers and their messages that were not taken, by network";
        match name.strip_suffix("_total") {
            Some(base) => {
                let family = Family::<OnNetwork, Counter>::default();
                for (_, network, value) in of_name {
                    family.get_or_create(&OnNetwork { network }).inc_by(*value);
                }
                registry.register(base, help, family);
            }
            None => {
                let family = Family::<OnNetwork, Gauge>::default();
                for (_, network, value) in of_name {
                    family.get_or_create(&OnNetwork { network }).set(signed(*value));
                }
                registry.register(name, help, family);
            }
        }
    }
    sample.process.register(&mut registry);
    registry
}

/// Adds a text without its end mark.
fn append(text: &mut String, write: impl FnOnce(&mut String) -> std::fmt::Result) {
    write(text).expect("writing to a string cannot fail");
    if let Some(rest) = text.strip_suffix("# EOF\n") {
        text.truncate(rest.len());
    }
}

fn signed(value: u64) -> i64 {
    i64::try_from(value).unwrap_or(i64::MAX)
}

fn count(value: usize) -> i64 {
    i64::try_from(value).unwrap_or(i64::MAX)
}

/// Milliseconds as seconds. Exact for every time of this millennium.
fn seconds(ms: u64) -> f64 {
    ms as f64 / 1000.0
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn a_scrape_is_one_document_with_what_happened() {
        let metrics = Metrics::new();
        metrics.committed(3, 250, Duration::from_millis(4));
        metrics.rejected("node.busy");
        metrics.answered("/v1/status", 200, Duration::from_millis(2));
        let sample = Sample {
            height: 7,
            clock_offset_ms: Some(-1500),
            store_bytes: vec![("tables", 9)],
            peer_counts: vec![
                ("qz_peer_flood_total", "consensus", 2),
                ("qz_peer_banned_total", "consensus", 4),
                ("qz_peers_banned", "consensus", 1),
                ("qz_peer_flood_total", "submissions", 1),
            ],
            process: Process::now(),
            ..Default::default()
        };
        let text = metrics.render(&sample);
        for line in [
            "qz_height 7",
            "qz_records_total 3",
            "qz_block_interval_seconds_bucket{le=\"0.25\"} 1",
            "qz_mempool_rejections_total{reason=\"node.busy\"} 1",
            "qz_rpc_requests_total{route=\"/v1/status\",status=\"200\"} 1",
            "qz_clock_offset_seconds -1.5",
            "qz_store_bytes{kind=\"tables\"} 9",
            "qz_peer_flood_total{network=\"consensus\"} 2",
            "qz_peer_flood_total{network=\"submissions\"} 1",
            "qz_peer_banned_total{network=\"consensus\"} 4",
            "qz_peers_banned{network=\"consensus\"} 1",
        ] {
            assert!(text.lines().any(|found| found == line), "{line}\n{text}");
        }
        assert_eq!(text.matches("# EOF").count(), 1);
        assert!(text.ends_with("# EOF\n"));
        let types: Vec<_> = text.lines().filter(|line| line.starts_with("# TYPE")).collect();
        let mut unique = types.clone();
        unique.sort_unstable();
        unique.dedup();
        assert_eq!(types.len(), unique.len(), "a family stands twice");
        assert!(text.contains("process_resident_memory_bytes "));
    }
}
