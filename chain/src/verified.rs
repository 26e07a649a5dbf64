//! Signature verdicts that one process keeps between admission to its mempool and execution.

use qz_evidence::hash::sha256;
use qz_evidence::keys::PublicKey;
use qz_evidence::{Hash32, encode};
use std::collections::HashSet;
use std::sync::{PoisonError, RwLock};

/// What was verified: exactly these submission bytes, with exactly these actor keys. A key rotated since
/// then gives another id, so that a stale verdict is never used.
pub fn verification_id(submission: &[u8], actor_keys: &[PublicKey]) -> Hash32 {
    let keys: Vec<u8> = actor_keys.iter().flat_map(encode).collect();
    sha256(&[&sha256(&[submission]).0, &keys])
}

/// A bounded set of verdicts, shared by all threads of a process. It holds between `capacity` and twice as
/// many of the latest; what it has forgotten is verified again.
#[derive(Debug)]
pub struct Verified {
    // Two generations. Locked for a look-up or an insertion only, never while something is verified.
    sets: RwLock<Generations>,
    capacity: usize,
}

#[derive(Debug, Default)]
struct Generations {
    young: HashSet<Hash32>,
    old: HashSet<Hash32>,
}

impl Verified {
    /// An empty set.
    pub fn new(capacity: usize) -> Self {
        Self { sets: RwLock::default(), capacity }
    }

    /// Remembers that these signatures verify.
    pub fn insert(&self, id: Hash32) {
        let mut sets = self.sets.write().unwrap_or_else(PoisonError::into_inner);
        if sets.young.len() >= self.capacity {
            sets.old = std::mem::take(&mut sets.young);
        }
        sets.young.insert(id);
    }

    /// Were these signatures verified?
    pub fn contains(&self, id: &Hash32) -> bool {
        let sets = self.sets.read().unwrap_or_else(PoisonError::into_inner);
        sets.young.contains(id) || sets.old.contains(id)
    }
}

impl Default for Verified {
    /// Remembers nothing yet, and later what fits in about 4 MB.
    fn default() -> Self {
        Self::new(32_768)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn the_latest_are_kept_and_the_set_is_bounded() {
        let verified = Verified::new(4);
        for i in 0..100u8 {
            verified.insert(Hash32([i; 32]));
            assert!((i.saturating_sub(3)..=i).all(|j| verified.contains(&Hash32([j; 32]))), "{i}");
            let sets = verified.sets.read().unwrap();
            assert!(sets.young.len() + sets.old.len() <= 8);
        }
        assert!(!verified.contains(&Hash32([90; 32])));
    }
}
