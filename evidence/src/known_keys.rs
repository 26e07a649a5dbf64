//! What a process remembers of the Ed25519 keys that it verifies with: the same few relays and parties sign
//! again and again. A key is decompressed once; one that is met often gets a table of its multiples.
//!
//! Only speed depends on this: a key that is forgotten is prepared again.

use crate::ed25519::{Commitment, PreparedKey, StrictKey};
use std::collections::HashMap;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, LazyLock, OnceLock, PoisonError, RwLock};

/// Most keys that are remembered, about 300 bytes each; then all are forgotten.
const MAX_KEYS: usize = 4096;
/// Most of them that have a table, about 75 KiB each.
const MAX_TABLES: u32 = 64;
/// A table costs as much as about ten verifications without one, so a key must have shown that it is
/// worth one: even if keys come and go just after, a verification costs a tenth more at most.
const WORTH_A_TABLE: u32 = 128;

/// A key, and how often it was met.
pub(crate) struct Known {
    key: StrictKey,
    met: AtomicU32,
    prepared: OnceLock<PreparedKey>,
}

impl Known {
    /// See [`StrictKey::commitment`].
    pub(crate) fn commitment(&self, message: &[u8], signature: &[u8; 64]) -> Option<Commitment> {
        match self.prepared.get() {
            Some(prepared) => prepared.commitment(message, signature),
            None => self.key.commitment(message, signature),
        }
    }
}

#[derive(Default)]
struct Memory {
    keys: HashMap<[u8; 32], Arc<Known>>,
    tables: AtomicU32,
}

/// Keys that are remembered.
#[derive(Default)]
struct KnownKeys(RwLock<Memory>);

static KNOWN: LazyLock<KnownKeys> = LazyLock::new(KnownKeys::default);

/// The key with this encoding, if it is usable.
pub(crate) fn get(bytes: &[u8; 32]) -> Option<Arc<Known>> {
    KNOWN.get(bytes)
}

impl KnownKeys {
    fn get(&self, bytes: &[u8; 32]) -> Option<Arc<Known>> {
        {
            let memory = self.0.read().unwrap_or_else(PoisonError::into_inner);
            if let Some(known) = memory.keys.get(bytes) {
                let known = known.clone();
                // Exactly one caller sees the number that is worth a table.
                let met = known.met.fetch_add(1, Ordering::Relaxed);
                if met == WORTH_A_TABLE && memory.tables.fetch_add(1, Ordering::Relaxed) < MAX_TABLES {
                    // The lock is held for reading only, so others go on meanwhile.
                    known.prepared.get_or_init(|| known.key.prepare());
                }
                return Some(known);
            }
        }
        let known =
            Arc::new(Known { key: StrictKey::from_bytes(bytes)?, met: AtomicU32::new(0), prepared: OnceLock::new() });
        let mut memory = self.0.write().unwrap_or_else(PoisonError::into_inner);
        // Keys that came later than the tables ran out get their chance when all begin anew.
        if memory.keys.len() >= MAX_KEYS || memory.tables.load(Ordering::Relaxed) > MAX_TABLES {
            *memory = Memory::default();
        }
        memory.keys.insert(*bytes, known.clone());
        Some(known)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use ed25519_dalek::{Signer, SigningKey};

    #[test]
    fn keys_that_are_met_often_get_a_table_and_keep_their_verdicts() {
        let signer = SigningKey::from_bytes(&[77; 32]);
        let public = signer.verifying_key().to_bytes();
        let signature = signer.sign(b"message").to_bytes();
        let keys = KnownKeys::default();
        for _ in 0..=WORTH_A_TABLE + 1 {
            let key = keys.get(&public).unwrap();
            assert!(Commitment::holds(key.commitment(b"message", &signature)));
            assert!(!Commitment::holds(key.commitment(b"massage", &signature)));
        }
        assert!(keys.get(&public).unwrap().prepared.get().is_some());
    }

    #[test]
    fn memory_is_bounded() {
        let keys = KnownKeys::default();
        for n in 0..MAX_KEYS as u32 + 10 {
            let seed = crate::hash::sha256(&[b"bounded", &n.to_be_bytes()]).0;
            keys.get(&SigningKey::from_bytes(&seed).verifying_key().to_bytes()).unwrap();
            assert!(keys.0.read().unwrap().keys.len() <= MAX_KEYS);
        }
        assert!(keys.get(&[0; 32]).is_none(), "a key of small order");
    }
}
