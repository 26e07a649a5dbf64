//! How far the peers are, by their own word, and how far this node is, for theirs.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use libp2p::PeerId;
use tokio::sync::{Notify, watch};

/// Heights of all nodes. Peers' claims decide only whether this node waits, never what it accepts.
#[derive(Debug)]
pub(crate) struct Tips {
    peers: Mutex<HashMap<PeerId, u64>>,
    changed: Notify,
    own: watch::Sender<u64>,
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

    /// A connected peer says where it is.
    pub(crate) fn heard(&self, peer: PeerId, height: u64) {
        let before = self.lock().insert(peer, height);
        if before != Some(height) {
            self.changed.notify_one();
        }
    }

    /// A peer is gone; its word no longer counts.
    pub(crate) fn lost(&self, peer: &PeerId) {
        self.lock().remove(peer);
    }

    /// How many connected peers claim a height above `height`.
    pub(crate) fn ahead_of(&self, height: u64) -> usize {
        self.lock().values().filter(|tip| **tip > height).count()
    }

    /// Peers that have said where they are.
    pub(crate) fn count(&self) -> usize {
        self.lock().len()
    }

    /// The highest height that more than `faulty` connected peers claim to have reached; 0 if no height is.
    pub(crate) fn reached_by_more_than(&self, faulty: usize) -> u64 {
        let mut heights: Vec<_> = self.lock().values().copied().collect();
        heights.sort_unstable_by(|a, b| b.cmp(a));
        heights.get(faulty).copied().unwrap_or(0)
    }

    /// Resolves when a peer's height has changed since the last call resolved. For one waiter.
    pub(crate) async fn changed(&self) {
        self.changed.notified().await;
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<PeerId, u64>> {
        self.peers.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
