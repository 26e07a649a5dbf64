//! Signature verdicts that one process keeps between admission to its mempool and execution.

use crate::generations::Generations;
use qz_evidence::hash::sha256;
use qz_evidence::keys::PublicKey;
use qz_evidence::{Hash32, encode};
use std::sync::{PoisonError, RwLock};

/// What was verified: exactly the submission with this digest ([`qz_evidence::submission::Parsed::envelope_digest`]),
/// with exactly these actor keys. A key rotated since then gives another id, so that a stale verdict is never used.
pub fn verification_id(envelope_digest: &Hash32, actor_keys: &[PublicKey]) -> Hash32 {
    let keys: Vec<u8> = actor_keys.iter().flat_map(encode).collect();
    sha256(&[&envelope_digest.0, &keys])
}

/// A bounded set of verdicts, shared by all threads of a process. It holds between `capacity` and twice as
/// many of the latest; what it has forgotten is verified again.
#[derive(Debug)]
// Locked for a look-up or an insertion only, never while something is verified.
pub struct Verified(RwLock<Generations<Hash32, ()>>);

impl Verified {
    /// An empty set.
    pub fn new(capacity: usize) -> Self {
        Self(RwLock::new(Generations::new(capacity)))
    }

    /// Remembers that these signatures verify.
    pub fn insert(&self, id: Hash32) {
        self.0.write().unwrap_or_else(PoisonError::into_inner).put(id, ());
    }

    /// Were these signatures verified?
    pub fn contains(&self, id: &Hash32) -> bool {
        self.0.read().unwrap_or_else(PoisonError::into_inner).get(id).is_some()
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
            assert!(verified.0.read().unwrap().len() <= 8);
        }
        assert!(!verified.contains(&Hash32([90; 32])));
    }
}
