//! How peers behave: what is counted about them, and whom this node refuses for a while.
//!
//! Both peer-to-peer networks use it. Only members get a record of their own, so that nobody can make
//! this node remember keys without end; everybody else is counted together as *unlisted*. Nothing here
//! knows what a message means, and a refusal ends by itself: a member that was wrong once comes back.

use std::collections::HashMap;
use std::hash::Hash;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, LazyLock};
use std::time::{Duration, Instant};

/// Bad marks at which a peer is refused for a while.
const LIMIT: u32 = 100;
/// One bad mark is forgotten in this time.
const FORGIVEN_AFTER: Duration = Duration::from_secs(1);
/// The first refusal; each further one takes twice as long.
const FIRST_BAN: Duration = Duration::from_secs(30);
/// The longest refusal.
const LONGEST_BAN: Duration = Duration::from_secs(600);

/// One of the two peer-to-peer networks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Network {
    /// The engine's.
    Consensus,
    /// That of the waiting submissions.
    Submissions,
}

impl Network {
    const ALL: [Self; 2] = [Self::Consensus, Self::Submissions];

    /// As metrics and logs call it.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Consensus => "consensus",
            Self::Submissions => "submissions",
        }
    }
}

/// What a peer did that no honest one does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Offence {
    /// It is no member's node.
    Unlisted,
    /// A message does not decode, or breaks a bound of its form.
    Malformed,
    /// A message or a block is larger than allowed.
    Oversized,
    /// More than its share, of messages or of places in a queue.
    Flood,
    /// It claimed a higher chain that did not exist.
    FalseTip,
}

impl Offence {
    const ALL: [Self; 5] = [Self::Unlisted, Self::Malformed, Self::Oversized, Self::Flood, Self::FalseTip];

    fn metric(self) -> &'static str {
        match self {
            Self::Unlisted => "qz_peer_unlisted_total",
            Self::Malformed => "qz_peer_malformed_total",
            Self::Oversized => "qz_peer_oversized_total",
            Self::Flood => "qz_peer_flood_total",
            Self::FalseTip => "qz_peer_false_tip_total",
        }
    }

    /// How much one of them weighs. A flood consists of many; a false tip has a penalty of its own.
    fn marks(self) -> u32 {
        match self {
            Self::Malformed => 25,
            Self::Oversized => 50,
            Self::Flood => 1,
            Self::Unlisted | Self::FalseTip => 0,
        }
    }
}

/// Counters of one node, for its metrics.
#[derive(Debug, Default)]
pub(crate) struct PeerStats {
    networks: [Counters; 2],
}

/// The counters of this process's node.
pub(crate) fn stats() -> Arc<PeerStats> {
    static STATS: LazyLock<Arc<PeerStats>> = LazyLock::new(Arc::default);
    STATS.clone()
}

#[derive(Debug, Default)]
struct Counters {
    offences: [AtomicU64; 5],
    bans: AtomicU64,
    banned: AtomicU64,
}

impl PeerStats {
    /// Counts an offence.
    pub(crate) fn count(&self, network: Network, offence: Offence) {
        self.of(network).offences[offence as usize].fetch_add(1, Ordering::Relaxed);
    }

    /// Name, network and value of every counter, and of the gauge `qz_peers_banned`.
    pub(crate) fn snapshot(&self) -> Vec<(&'static str, &'static str, u64)> {
        let mut values = Vec::new();
        for network in Network::ALL {
            let counters = self.of(network);
            for offence in Offence::ALL {
                let count = counters.offences[offence as usize].load(Ordering::Relaxed);
                values.push((offence.metric(), network.as_str(), count));
            }
            values.push(("qz_peer_banned_total", network.as_str(), counters.bans.load(Ordering::Relaxed)));
            values.push(("qz_peers_banned", network.as_str(), counters.banned.load(Ordering::Relaxed)));
        }
        values
    }

    fn of(&self, network: Network) -> &Counters {
        &self.networks[network as usize]
    }
}

/// How many messages a peer may send.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Rate {
    /// Lasting, in one second.
    pub per_second: u32,
    /// At once, after a silence.
    pub burst: u32,
}

/// The members' nodes on one network, and how each behaves.
#[derive(Debug)]
pub(crate) struct Roster<P> {
    network: Network,
    rate: Rate,
    stats: Arc<PeerStats>,
    peers: HashMap<P, Record>,
}

#[derive(Debug)]
struct Record {
    /// Messages that may still come now.
    room: f64,
    filled: Instant,
    marks: u32,
    marked: Instant,
    bans: u32,
    banned_until: Option<Instant>,
}

impl<P: Copy + Eq + Hash> Roster<P> {
    /// Nobody is a member yet.
    pub(crate) fn new(network: Network, rate: Rate, stats: Arc<PeerStats>) -> Self {
        Self { network, rate, stats, peers: HashMap::new() }
    }

    /// Makes exactly these the members' nodes; what is known of those that stay is kept.
    pub(crate) fn set_members(&mut self, members: impl IntoIterator<Item = P>, now: Instant) {
        let mut before = std::mem::take(&mut self.peers);
        for peer in members {
            let record = before.remove(&peer).unwrap_or_else(|| Record {
                room: f64::from(self.rate.burst),
                filled: now,
                marks: 0,
                marked: now,
                bans: 0,
                banned_until: None,
            });
            self.peers.insert(peer, record);
        }
        self.gauge();
    }

    /// Whether this is a member's node.
    pub(crate) fn is_member(&self, peer: &P) -> bool {
        self.peers.contains_key(peer)
    }

    /// Whether messages of this peer are taken: it is a member's node and not refused just now.
    pub(crate) fn admits(&self, peer: &P, now: Instant) -> bool {
        self.peers.get(peer).is_some_and(|record| record.banned_until.is_none_or(|until| until <= now))
    }

    /// Accounts for one message. `false`: it is one too many, or from somebody who is not admitted.
    pub(crate) fn message(&mut self, peer: &P, now: Instant) -> bool {
        if !self.admits(peer, now) {
            return false;
        }
        let Some(record) = self.peers.get_mut(peer) else { return false };
        let passed = now.saturating_duration_since(record.filled).as_secs_f64();
        record.filled = now;
        let refilled = record.room + passed * f64::from(self.rate.per_second);
        record.room = refilled.min(f64::from(self.rate.burst));
        if record.room < 1.0 {
            self.offend(peer, Offence::Flood, now);
            return false;
        }
        record.room -= 1.0;
        true
    }

    /// Counts an offence. `true`: the peer is refused from now on and is to be disconnected.
    pub(crate) fn offend(&mut self, peer: &P, offence: Offence, now: Instant) -> bool {
        let Some(record) = self.peers.get_mut(peer) else {
            self.stats.count(self.network, Offence::Unlisted);
            return true;
        };
        self.stats.count(self.network, offence);
        let seconds = now.saturating_duration_since(record.marked).as_secs() / FORGIVEN_AFTER.as_secs();
        record.marks = record.marks.saturating_sub(u32::try_from(seconds).unwrap_or(u32::MAX));
        record.marks = record.marks.saturating_add(offence.marks());
        record.marked = now;
        if record.marks < LIMIT {
            return false;
        }
        record.marks = 0;
        let length = FIRST_BAN.saturating_mul(1 << record.bans.min(8)).min(LONGEST_BAN);
        record.bans += 1;
        record.banned_until = Some(now + length);
        self.stats.of(self.network).bans.fetch_add(1, Ordering::Relaxed);
        self.gauge();
        true
    }

    /// Members whose refusal has ended since the last call.
    pub(crate) fn released(&mut self, now: Instant) -> Vec<P> {
        let mut released = Vec::new();
        for (peer, record) in &mut self.peers {
            if record.banned_until.is_some_and(|until| until <= now) {
                record.banned_until = None;
                released.push(*peer);
            }
        }
        if !released.is_empty() {
            self.gauge();
        }
        released
    }

    fn gauge(&self) {
        let banned = self.peers.values().filter(|record| record.banned_until.is_some()).count();
        self.stats.of(self.network).banned.store(banned as u64, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    const RATE: Rate = Rate { per_second: 10, burst: 20 };

    fn roster(now: Instant) -> (Roster<u8>, Arc<PeerStats>) {
        let stats = Arc::new(PeerStats::default());
        let mut roster = Roster::new(Network::Consensus, RATE, stats.clone());
        roster.set_members([1, 2], now);
        (roster, stats)
    }

    fn value(stats: &PeerStats, name: &str, network: &str) -> u64 {
        stats.snapshot().into_iter().find(|(n, l, _)| *n == name && *l == network).unwrap().2
    }

    #[test]
    fn only_members_are_admitted_and_strangers_leave_no_record() {
        let now = Instant::now();
        let (mut roster, stats) = roster(now);
        assert!(roster.message(&1, now));
        for stranger in 10..100 {
            assert!(!roster.message(&stranger, now));
            assert!(roster.offend(&stranger, Offence::Unlisted, now), "to be disconnected");
        }
        assert_eq!(roster.peers.len(), 2);
        assert_eq!(value(&stats, "qz_peer_unlisted_total", "consensus"), 90);
        assert_eq!(value(&stats, "qz_peer_unlisted_total", "submissions"), 0);
        roster.set_members([2, 3], now);
        assert!(!roster.admits(&1, now), "removed");
        assert!(roster.admits(&3, now));
    }

    #[test]
    fn a_flood_is_cut_to_the_rate_and_ends_in_a_refusal_that_ends() {
        let now = Instant::now();
        let (mut roster, stats) = roster(now);
        let taken = (0..90).filter(|_| roster.message(&1, now)).count();
        assert_eq!(taken, 20, "the burst");
        assert!(roster.message(&2, now), "others are not affected");
        let later = now + Duration::from_secs(1);
        let taken = (0..15).filter(|_| roster.message(&1, later)).count();
        assert_eq!(taken, 10, "the rate");
        for _ in 0..100 {
            roster.message(&1, later);
        }
        assert!(!roster.admits(&1, later), "refused");
        assert_eq!(value(&stats, "qz_peer_banned_total", "consensus"), 1);
        assert_eq!(value(&stats, "qz_peers_banned", "consensus"), 1);
        assert!(roster.released(later).is_empty());
        let end = later + FIRST_BAN;
        assert_eq!(roster.released(end), vec![1]);
        assert!(roster.message(&1, end));
        assert_eq!(value(&stats, "qz_peers_banned", "consensus"), 0);
    }

    #[test]
    fn four_malformed_messages_in_a_row_are_enough_and_four_in_a_week_are_not() {
        let now = Instant::now();
        let (mut roster, stats) = roster(now);
        for day in 0..7 {
            let then = now + Duration::from_secs(day * 86_400);
            assert!(!roster.offend(&2, Offence::Malformed, then));
        }
        let verdicts: Vec<_> = (0..4).map(|_| roster.offend(&1, Offence::Malformed, now)).collect();
        assert_eq!(verdicts, [false, false, false, true]);
        assert!(!roster.admits(&1, now + FIRST_BAN / 2));
        let again = now + FIRST_BAN;
        roster.released(again);
        for _ in 0..4 {
            roster.offend(&1, Offence::Malformed, again);
        }
        assert!(!roster.admits(&1, again + FIRST_BAN), "the second refusal is longer");
        assert!(roster.admits(&1, again + 2 * FIRST_BAN));
        assert_eq!(value(&stats, "qz_peer_malformed_total", "consensus"), 15);
    }
}
