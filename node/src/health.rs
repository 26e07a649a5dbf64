//! Whether this node may go on, and whether it votes. The first fatal reason wins, makes the node
//! unhealthy at once and ends the process with a non-zero code shortly after.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::watch;

/// A proposer's clock is forgotten after this long without a block of it.
const CLOCK_MEMORY: Duration = Duration::from_secs(600);

/// What each peer's clock showed against ours, in ms, and when.
type Clocks = HashMap<[u8; 32], (i64, Instant)>;

/// Shared by everything that can find the node beyond repair.
#[derive(Clone, Debug)]
pub(crate) struct Health {
    reason: Arc<watch::Sender<Option<String>>>,
    /// The height up to which the node only observes; 0 if it votes.
    observing: Arc<AtomicU64>,
    clocks: Arc<Mutex<Clocks>>,
}

impl Health {
    /// A healthy node that votes.
    pub(crate) fn new() -> Self {
        Self { reason: Arc::new(watch::Sender::new(None)), observing: Arc::default(), clocks: Arc::default() }
    }

    /// Marks the node as failed; later reasons are only logged.
    pub(crate) fn fail(&self, reason: String) {
        tracing::error!(%reason, "node failed");
        self.reason.send_if_modified(|current| {
            let first = current.is_none();
            if first {
                *current = Some(reason);
            }
            first
        });
    }

    /// Whether nothing has failed.
    pub(crate) fn is_healthy(&self) -> bool {
        self.reason.borrow().is_none()
    }

    /// Why the node has failed, if it has.
    pub(crate) fn failure(&self) -> Option<String> {
        self.reason.borrow().clone()
    }

    /// Waits until the node has failed and returns why.
    pub(crate) async fn failed(&self) -> String {
        let mut reason = self.reason.subscribe();
        match reason.wait_for(Option::is_some).await {
            Ok(reason) => reason.clone().unwrap_or_default(),
            Err(_) => "health channel closed".to_owned(),
        }
    }

    /// This node does not vote up to a height (`u64::MAX`: until its key is rotated).
    pub(crate) fn observe_through(&self, height: Option<u64>) {
        self.observing.store(height.unwrap_or(0), Ordering::Relaxed);
    }

    /// Up to which height this node does not vote, if so.
    pub(crate) fn observing(&self) -> Option<u64> {
        match self.observing.load(Ordering::Relaxed) {
            0 => None,
            height => Some(height),
        }
    }

    /// A proposer's block arrived while it was being decided: its time minus ours.
    pub(crate) fn saw_clock(&self, proposer: [u8; 32], offset_ms: i64) {
        let now = Instant::now();
        let mut clocks = self.clocks.lock().unwrap_or_else(PoisonError::into_inner);
        // Proposers are validators, so there are few.
        clocks.retain(|_, (_, at)| now.duration_since(*at) < CLOCK_MEMORY);
        clocks.insert(proposer, (offset_ms, now));
    }

    /// The median of what the other proposers' clocks showed last, minus ours; it lies between honest
    /// clocks as long as fewer than half of those heard lie.
    pub(crate) fn clock_offset_ms(&self) -> Option<i64> {
        let clocks = self.clocks.lock().unwrap_or_else(PoisonError::into_inner);
        let mut offsets: Vec<_> = clocks.values().map(|(offset, _)| *offset).collect();
        offsets.sort_unstable();
        // With an even number the one closer to ours: one proposer alone proves nothing.
        let (low, high) = (offsets.get(offsets.len().checked_sub(1)? / 2)?, offsets.get(offsets.len() / 2)?);
        Some(if low.unsigned_abs() < high.unsigned_abs() { *low } else { *high })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_wrong_clock_among_three_does_not_count() {
        let health = Health::new();
        assert_eq!(health.clock_offset_ms(), None);
        for (proposer, offset) in [(1, 20), (2, -90_000), (3, 35)] {
            health.saw_clock([proposer; 32], offset);
        }
        assert_eq!(health.clock_offset_ms(), Some(20));
        health.saw_clock([3; 32], -91_000);
        assert_eq!(health.clock_offset_ms(), Some(-90_000), "two of three say that this clock is wrong");
        health.saw_clock([4; 32], 10);
        assert_eq!(health.clock_offset_ms(), Some(10));
    }

    #[test]
    fn the_first_failure_stays() {
        let health = Health::new();
        assert!(health.is_healthy() && health.observing().is_none());
        health.fail("disk".to_owned());
        health.fail("engine".to_owned());
        assert_eq!(health.failure().as_deref(), Some("disk"));
        health.observe_through(Some(7));
        assert_eq!(health.observing(), Some(7));
    }
}
