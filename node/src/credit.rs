//! Whose word alone is still worth something. A peer that says there is news when there is none makes
//! this node hurry; after that it is not believed alone for a while, each time for longer.

use std::collections::HashMap;
use std::hash::Hash;
use std::time::{Duration, Instant};

/// How long a peer is not believed after its first false word; twice as long after each further one.
const FIRST: Duration = Duration::from_secs(10);
/// The longest that a peer is not believed.
const LONGEST: Duration = Duration::from_secs(600);

/// False words by peer. Keys are members' only, so that the map is bounded by their number.
#[derive(Debug)]
pub(crate) struct Credit<K> {
    lost: HashMap<K, (u32, Instant)>,
}

impl<K> Default for Credit<K> {
    fn default() -> Self {
        Self { lost: HashMap::new() }
    }
}

impl<K: Copy + Eq + Hash> Credit<K> {
    /// Is this peer believed at this time?
    pub(crate) fn has(&self, peer: &K, now: Instant) -> bool {
        self.lost.get(peer).is_none_or(|(_, until)| *until <= now)
    }

    /// What it said was false.
    pub(crate) fn lose(&mut self, peer: K, now: Instant) {
        let (times, until) = self.lost.entry(peer).or_insert((0, now));
        let length = FIRST.saturating_mul(1 << (*times).min(16)).min(LONGEST);
        *times += 1;
        *until = now + length;
    }

    /// What it said was true: everything is forgotten.
    pub(crate) fn restore(&mut self, peer: &K) {
        self.lost.remove(peer);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn credit_comes_back_later_each_time_and_at_once_with_the_truth() {
        let now = Instant::now();
        let mut credit = Credit::default();
        assert!(credit.has(&1, now));
        credit.lose(1, now);
        assert!(!credit.has(&1, now + FIRST / 2));
        assert!(credit.has(&1, now + FIRST));
        credit.lose(1, now);
        assert!(!credit.has(&1, now + FIRST));
        for _ in 0..100 {
            credit.lose(1, now);
        }
        assert!(credit.has(&1, now + LONGEST), "never for good");
        credit.restore(&1);
        assert!(credit.has(&1, now));
        assert!(credit.has(&2, now), "the others' word is their own");
    }
}
