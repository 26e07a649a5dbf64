//! `/health/live` and `/health/ready`: is the process worth keeping, and should clients come here.
//!
//! Live fails only when the node has failed for good and is about to end. Ready fails with every reason
//! for which another member's node serves better just now.

use serde_json::{Value, json};
use warp::reply::Response;

use super::Api;
use super::answer::json_answer;
use crate::clock::now_ms;
use crate::metrics::{Process, Sample};

/// Peers' heads move every few milliseconds under load; so far behind is still level.
const LEVEL_BLOCKS: u64 = 8;
/// Behind by less than that, but for so long, is behind.
const LEVEL_MS: u64 = 30_000;
/// A clock that is off by more makes timely proposals fail (their bound is 5 s).
const MAX_CLOCK_OFFSET_MS: u64 = 2_500;

/// Why clients should rather go to another node.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Reason {
    /// Stable code.
    pub code: &'static str,
    zh: String,
    en: String,
}

impl Reason {
    fn new(code: &'static str, zh: impl Into<String>, en: impl Into<String>) -> Self {
        Self { code, zh: zh.into(), en: en.into() }
    }

    fn json(&self) -> Value {
        json!({ "code": self.code, "message_zh": self.zh, "message_en": self.en })
    }
}

/// How this node stands among its peers.
#[derive(Clone, Copy, Debug)]
pub(super) struct Standing {
    pub height: u64,
    /// Blocks that more peers have than can be faulty, and this node has not.
    pub behind: u64,
    pub peers: usize,
    /// Peers without which nothing can be decided.
    pub needed: usize,
    /// Whether it is so far behind that its answers are old.
    pub is_syncing: bool,
}

impl Api {
    /// This node among its peers, as of now.
    pub(super) fn standing(&self) -> Standing {
        let head = self.ledger.head();
        let members = self.members.now();
        let faulty = members.faulty();
        let validators = members.validators().validators();
        let others = validators.iter().filter(|validator| validator.key != self.own.consensus_key).count();
        let known = self.tips.reached_by_more_than(faulty).max(self.ledger.behind().unwrap_or(0));
        let behind = known.saturating_sub(head.height);
        let is_old = now_ms().saturating_sub(head.header.time_ms) > LEVEL_MS;
        Standing {
            height: head.height,
            behind,
            peers: self.tips.count(),
            needed: others.saturating_sub(faulty),
            is_syncing: behind > LEVEL_BLOCKS || (behind > 0 && is_old) || self.ledger.behind().is_some(),
        }
    }

    /// Every reason why this node is not ready; none if it is.
    pub(super) fn unready(&self) -> Vec<Reason> {
        let mut reasons = Vec::new();
        if self.health.failure().is_some() {
            reasons.push(Reason::new(
                "node.failed",
                "节点已发生故障，即将停止",
                "this node has failed and is about to stop",
            ));
        }
        let standing = self.standing();
        if let Err(error) = self.ledger.time_of(standing.height) {
            tracing::error!(error = %crate::chain_of(&error), "the store cannot be read");
            reasons.push(Reason::new("node.store", "本地数据库无法读取", "the local store cannot be read"));
        }
        if standing.is_syncing {
            let behind = standing.behind;
            reasons.push(Reason::new(
                "node.behind",
                format!("本节点落后 {behind} 个区块，正在追赶"),
                format!("this node is {behind} blocks behind and catching up"),
            ));
        }
        if standing.peers < standing.needed {
            let (peers, needed) = (standing.peers, standing.needed);
            reasons.push(Reason::new(
                "node.no_quorum",
                format!("仅连接到 {peers} 个其他节点，至少需要 {needed} 个才能达成共识"),
                format!("connected to {peers} peers; {needed} are needed to decide anything"),
            ));
        }
        if let Some(offset) = self.health.clock_offset_ms()
            && offset.unsigned_abs() > MAX_CLOCK_OFFSET_MS
        {
            reasons.push(Reason::new(
                "node.clock",
                format!("本机时钟与其他节点相差约 {offset} 毫秒；请检查时间同步"),
                format!("this clock differs from the other nodes' by about {offset} ms: check its synchronisation"),
            ));
        }
        if let Some(height) = self.health.observing() {
            let (zh, en) = match height {
                u64::MAX => (
                    "本节点仅观察、不投票，直至更换共识密钥".to_owned(),
                    "this node observes without a vote until its consensus key is rotated".to_owned(),
                ),
                height => (
                    format!("本节点在高度 {height} 之前仅观察、不投票"),
                    format!("this node observes without a vote through height {height}"),
                ),
            };
            reasons.push(Reason::new("node.observing", zh, en));
        }
        reasons
    }

    /// What a scrape tells.
    pub(super) fn sample(&self) -> Sample {
        let head = self.ledger.head();
        let standing = self.standing();
        let (mempool, mempool_bytes) = self.mempool.size();
        Sample {
            height: head.height,
            epoch: head.header.epoch,
            block_time_ms: head.header.time_ms,
            behind: standing.behind,
            peers: standing.peers,
            quorum: standing.needed,
            mempool,
            mempool_bytes,
            healthy: self.health.is_healthy(),
            ready: self.unready().is_empty(),
            syncing: standing.is_syncing,
            observing: self.health.observing().is_some(),
            clock_offset_ms: self.health.clock_offset_ms(),
            connections: self.connections.members(),
            store_bytes: store_bytes(&self.data),
            peer_counts: self.stats.snapshot(),
            process: Process::now(),
        }
    }
}

/// Sizes of the database's files: tables, its write-ahead log, and the rest.
fn store_bytes(folder: &std::path::Path) -> Vec<(&'static str, u64)> {
    let mut sizes = [("tables", 0), ("wal", 0), ("other", 0)];
    // A file that vanishes meanwhile was compacted away.
    for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
        let Ok(metadata) = entry.metadata() else { continue };
        let path = entry.path();
        let kind = match path.extension().and_then(|extension| extension.to_str()) {
            Some("sst" | "blob") => 0,
            Some("log") => 1,
            _ => 2,
        };
        sizes[kind].1 += metadata.len();
    }
    sizes.into()
}

/// `GET /health` and `GET /health/live`.
pub(super) fn live(api: &Api) -> Response {
    let failure = api.health.failure();
    let status = if failure.is_none() { 200 } else { 503 };
    json_answer(status, &json!({ "healthy": failure.is_none(), "reason": failure }))
}

/// `GET /health/ready`.
pub(super) fn ready(api: &Api) -> Response {
    let reasons = tokio::task::block_in_place(|| api.unready());
    let status = if reasons.is_empty() { 200 } else { 503 };
    let standing = api.standing();
    let body = json!({
        "ready": reasons.is_empty(),
        "height": standing.height,
        "behind": standing.behind,
        "peers": standing.peers,
        "peers_needed": standing.needed,
        "clock_offset_ms": api.health.clock_offset_ms(),
        "reasons": reasons.iter().map(Reason::json).collect::<Vec<_>>(),
    });
    json_answer(status, &body)
}

/// `GET /metrics`.
pub(super) fn metrics(api: &Api) -> Response {
    let text = tokio::task::block_in_place(|| crate::metrics::get().render(&api.sample()));
    super::answer::bytes_answer(200, crate::metrics::CONTENT_TYPE, text.into_bytes())
}
