//! Gossiped submissions that the current state refuses, kept for a moment: their sender may be one block
//! ahead of this node. Whoever sends what is never accepted makes this node verify signatures for
//! nothing, so each peer has few places, and few refusals in a second, and each submission few tries.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::time::{Duration, Instant};

use libp2p::PeerId;
use qz_evidence::Hash32;

/// A submission is kept for so long.
const TTL: Duration = Duration::from_secs(15);
/// And tried again so often; its sender tells it again later if it is still waiting.
const TRIES: u32 = 4;
/// How many are kept for one peer.
const PER_PEER: usize = 128;
/// Refusals that one peer may cause at once, and in one second.
const BURST: f64 = 512.0;
const PER_SECOND: f64 = 256.0;
/// Peers that are remembered; members' nodes are fewer.
const MAX_PEERS: usize = 256;

/// A submission that came early, or never will be accepted.
#[derive(Clone, Debug)]
pub(super) struct EarlySubmission {
    pub bytes: Arc<[u8]>,
    peer: PeerId,
    digest: Hash32,
    since: Instant,
    tries: u32,
}

/// The early submissions of all peers.
#[derive(Debug, Default)]
pub(super) struct Early {
    waiting: VecDeque<EarlySubmission>,
    peers: HashMap<PeerId, Budget>,
}

#[derive(Debug)]
struct Budget {
    kept: usize,
    refusals: f64,
    filled: Instant,
}

impl Early {
    /// May this peer's next submission be checked at all? Not if it is one that waits here already, nor
    /// if the peer's submissions have been refused too often just now.
    pub(super) fn is_worth_a_check(&mut self, peer: &PeerId, digest: &Hash32, now: Instant) -> bool {
        if self.waiting.iter().any(|early| early.digest == *digest) {
            return false;
        }
        self.budget(peer, now).is_some_and(|budget| budget.refusals >= 1.0)
    }

    /// Keeps a submission that the rules refused, if its peer has a place left.
    pub(super) fn refused(&mut self, peer: PeerId, digest: Hash32, bytes: Arc<[u8]>, now: Instant) {
        let Some(budget) = self.budget(&peer, now) else { return };
        budget.refusals -= 1.0;
        if budget.kept < PER_PEER {
            budget.kept += 1;
            self.waiting.push_back(EarlySubmission { bytes, peer, digest, since: now, tries: 0 });
        }
    }

    /// Takes out all that are to be tried again; old ones are forgotten.
    pub(super) fn take(&mut self, now: Instant) -> Vec<EarlySubmission> {
        let all = std::mem::take(&mut self.waiting);
        for budget in self.peers.values_mut() {
            budget.kept = 0;
        }
        all.into_iter().filter(|early| now.saturating_duration_since(early.since) < TTL).collect()
    }

    /// Puts one back that was refused again.
    pub(super) fn put_back(&mut self, mut early: EarlySubmission) {
        early.tries += 1;
        if early.tries < TRIES
            && let Some(budget) = self.peers.get_mut(&early.peer)
        {
            budget.kept += 1;
            self.waiting.push_back(early);
        }
    }

    fn budget(&mut self, peer: &PeerId, now: Instant) -> Option<&mut Budget> {
        if self.peers.len() >= MAX_PEERS && !self.peers.contains_key(peer) {
            return None;
        }
        let new = Budget { kept: 0, refusals: BURST, filled: now };
        let budget = self.peers.entry(*peer).or_insert(new);
        let passed = now.saturating_duration_since(budget.filled).as_secs_f64();
        budget.refusals = (budget.refusals + passed * PER_SECOND).min(BURST);
        budget.filled = now;
        Some(budget)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bytes() -> Arc<[u8]> {
        vec![1, 2, 3].into()
    }

    #[test]
    fn a_hostile_peer_takes_no_place_of_others_and_soon_costs_nothing() {
        let now = Instant::now();
        let (hostile, honest) = (PeerId::random(), PeerId::random());
        let mut early = Early::default();
        let mut checked = 0;
        for number in 0..10_000u32 {
            let digest = Hash32(*blake3::hash(&number.to_be_bytes()).as_bytes());
            if early.is_worth_a_check(&hostile, &digest, now) {
                checked += 1;
                early.refused(hostile, digest, bytes(), now);
            }
        }
        assert_eq!(checked, BURST as usize, "then its submissions are not verified");
        assert_eq!(early.waiting.len(), PER_PEER);
        assert!(early.is_worth_a_check(&honest, &Hash32([7; 32]), now));
        early.refused(honest, Hash32([7; 32]), bytes(), now);
        assert_eq!(early.waiting.len(), PER_PEER + 1);
        assert!(!early.is_worth_a_check(&honest, &Hash32([7; 32]), now), "it waits already");
        let later = now + Duration::from_secs(1);
        assert!(early.is_worth_a_check(&hostile, &Hash32([9; 32]), later), "it may try again");
    }

    #[test]
    fn tries_and_time_are_bounded() {
        let now = Instant::now();
        let peer = PeerId::random();
        let mut early = Early::default();
        early.refused(peer, Hash32([1; 32]), bytes(), now);
        let mut tries = 0;
        while let Some(again) = early.take(now).pop() {
            tries += 1;
            early.put_back(again);
        }
        assert_eq!(tries, TRIES);
        early.refused(peer, Hash32([2; 32]), bytes(), now);
        assert!(early.take(now + TTL).is_empty());
    }
}
