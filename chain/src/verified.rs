//! Signature verdicts that one process keeps between admission to its mempool and execution.

use qz_evidence::hash::sha256;
use qz_evidence::keys::PublicKey;
use qz_evidence::{Hash32, encode};
use std::collections::HashSet;

/// What was verified: exactly these submission bytes, with exactly these actor keys. A key rotated since
/// then gives another id, so that a stale verdict is never used.
pub fn verification_id(submission: &[u8], actor_keys: &[PublicKey]) -> Hash32 {
    let keys: Vec<u8> = actor_keys.iter().flat_map(encode).collect();
    sha256(&[&sha256(&[submission]).0, &keys])
}

/// A bounded set of verdicts. It holds between `capacity` and twice as many of the latest; what it has
/// forgotten is verified again.
#[derive(Debug)]
pub struct Verified {
    young: HashSet<Hash32>,
    old: HashSet<Hash32>,
    capacity: usize,
}

impl Verified {
    /// An empty set.
    pub fn new(capacity: usize) -> Self {
        Self { young: HashSet::new(), old: HashSet::new(), capacity }
    }

    /// Remembers that these signatures verify.
    pub fn insert(&mut self, id: Hash32) {
        if self.young.len() >= self.capacity {
            self.old = std::mem::take(&mut self.young);
        }
        self.young.insert(id);
    }

    /// Were these signatures verified?
    pub fn contains(&self, id: &Hash32) -> bool {
        self.young.contains(id) || self.old.contains(id)
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
    use super::*;

    #[test]
    fn the_latest_are_kept_and_the_set_is_bounded() {
        let mut verified = Verified::new(4);
        for i in 0..100u8 {
            verified.insert(Hash32([i; 32]));
            assert!((i.saturating_sub(3)..=i).all(|j| verified.contains(&Hash32([j; 32]))), "{i}");
            assert!(verified.young.len() + verified.old.len() <= 8);
        }
        assert!(!verified.contains(&Hash32([90; 32])));
    }
}
