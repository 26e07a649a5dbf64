//! How far the peers are, by their own word, and how far this node is, for theirs.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use libp2p::PeerId;
use tokio::sync::{Notify, watch};

use crate::credit::Credit;

/// Heights of all nodes. Peers' claims decide only whether this node waits, never what it accepts; and
/// a peer whose claims turned out false is not believed alone for a while.
#[derive(Debug)]
pub(crate) struct Tips {
    peers: Mutex<Claims>,
    changed: Notify,
    own: watch::Sender<u64>,
}

#[derive(Debug, Default)]
struct Claims {
    heights: HashMap<PeerId, u64>,
    /// When each of them last said so.
    heard: HashMap<PeerId, Instant>,
    credit: Credit<PeerId>,
}

impl Tips {
    /// This node is at `height`, nobody else is known.
    pub(crate) fn new(height: u64) -> Self {
        Self { peers: Mutex::default(), changed: Notify::new(), own: watch::Sender::new(height) }
    }

    /// Tells the peers that this node has committed a height.
    pub(crate) fn announce(&self, height: u64) {
        self.own.send_replace(height);
    }

    /// This node's announced height, to be told to peers.
    pub(crate) fn own(&self) -> watch::Receiver<u64> {
        self.own.subscribe()
    }

    /// A connected member's node says where it is.
    pub(crate) fn heard(&self, peer: PeerId, height: u64) {
        let before = {
            let mut claims = self.lock();
            claims.heard.insert(peer, Instant::now());
            claims.heights.insert(peer, height)
        };
        if before != Some(height) {
            self.changed.notify_one();
        }
    }

    /// A peer is gone; its word no longer counts.
    pub(crate) fn lost(&self, peer: &PeerId) {
        let mut claims = self.lock();
        claims.heights.remove(peer);
        claims.heard.remove(peer);
    }

    /// Nobody is connected any more.
    pub(crate) fn lost_all(&self) {
        let mut claims = self.lock();
        claims.heights.clear();
        claims.heard.clear();
    }

    /// How many connected peers that are believed claim a height above `height`.
    pub(crate) fn ahead_of(&self, height: u64) -> usize {
        self.lock().claimants(height).count()
    }

    /// A height was fetched from a peer: those who claimed it told the truth.
    pub(crate) fn proved(&self, height: u64) {
        let mut claims = self.lock();
        let honest: Vec<_> = claims.heights.iter().filter(|(_, tip)| **tip >= height).map(|(peer, _)| *peer).collect();
        for peer in honest {
            claims.credit.restore(&peer);
        }
    }

    /// Nobody had anything above `height`: those who said so are not believed for a while. Gives their
    /// number.
    pub(crate) fn disproved(&self, height: u64) -> usize {
        let mut claims = self.lock();
        let liars: Vec<_> = claims.claimants(height).collect();
        for peer in &liars {
            claims.credit.lose(*peer, Instant::now());
        }
        liars.len()
    }

    /// Peers that have said where they are.
    pub(crate) fn count(&self) -> usize {
        self.lock().heights.len()
    }

    /// The highest height that more than `faulty` connected peers claim to have reached; 0 if no height is.
    pub(crate) fn reached_by_more_than(&self, faulty: usize) -> u64 {
        let mut heights: Vec<_> = self.lock().heights.values().copied().collect();
        heights.sort_unstable_by(|a, b| b.cmp(a));
        heights.get(faulty).copied().unwrap_or(0)
    }

    /// The heights that connected peers have claimed since an instant. They repeat themselves every
    /// second, so an older word is that of a peer which cannot be heard any more.
    pub(crate) fn claimed_since(&self, since: Instant) -> Vec<u64> {
        let claims = self.lock();
        let fresh = |peer: &PeerId| claims.heard.get(peer).is_some_and(|at| *at >= since);
        claims.heights.iter().filter(|(peer, _)| fresh(peer)).map(|(_, height)| *height).collect()
    }

    /// Resolves when a peer's height has changed since the last call resolved. For one waiter.
    pub(crate) async fn changed(&self) {
        self.changed.notified().await;
    }

    fn lock(&self) -> MutexGuard<'_, Claims> {
        self.peers.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Claims {
    fn claimants(&self, height: u64) -> impl Iterator<Item = PeerId> {
        let now = Instant::now();
        let above = self.heights.iter().filter(move |(_, tip)| **tip > height);
        above.filter(move |(peer, _)| self.credit.has(peer, now)).map(|(peer, _)| *peer)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_false_claim_counts_once_and_a_true_one_restores_the_peer() {
        let tips = Tips::new(5);
        let (honest, liar) = (PeerId::random(), PeerId::random());
        tips.heard(honest, 5);
        tips.heard(liar, u64::MAX);
        assert_eq!(tips.ahead_of(5), 1);
        assert_eq!(tips.disproved(5), 1);
        assert_eq!(tips.ahead_of(5), 0, "not believed");
        tips.heard(liar, 7);
        assert_eq!(tips.ahead_of(5), 0, "whatever it says next");
        tips.heard(honest, 6);
        assert_eq!(tips.ahead_of(5), 1, "the others are");
        tips.proved(6);
        assert_eq!(tips.ahead_of(5), 2);
    }
}
