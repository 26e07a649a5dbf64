//! What a process remembers of the Ed25519 keys that it verifies with: the same few relays and parties sign
//! again and again. A key is decompressed once; one that is met often gets a table of its multiples.
//!
//! Only speed depends on this: a key that is forgotten is prepared again.

use crate::ed25519::{Key, StrictKey};
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
struct Known {
    key: Key,
    met: AtomicU32,
    /// The same with a table.
    prepared: OnceLock<Key>,
}

impl Known {
    fn key(&self) -> &Key {
        self.prepared.get().unwrap_or(&self.key)
    }
}

#[derive(Default)]
struct Memory {
    keys: HashMap<[u8; 32], Known>,
    tables: AtomicU32,
}

/// Keys that are remembered.
#[derive(Default)]
struct KnownKeys(RwLock<Memory>);

static KNOWN: LazyLock<KnownKeys> = LazyLock::new(KnownKeys::default);

/// The key with this encoding, if it is usable.
pub(crate) fn get(bytes: &[u8; 32]) -> Option<Key> {
    KNOWN.get(bytes)
}

impl KnownKeys {
    fn get(&self, bytes: &[u8; 32]) -> Option<Key> {
        {
            let memory = self.0.read().unwrap_or_else(PoisonError::into_inner);
            if let Some(known) = memory.keys.get(bytes) {
                // Exactly one caller sees the number that is worth a table.
                let met = known.met.fetch_add(1, Ordering::Relaxed);
                if met == WORTH_A_TABLE
                    && let Key::Plain(key) = &known.key
                    && memory.tables.fetch_add(1, Ordering::Relaxed) < MAX_TABLES
                {
                    // The lock is held for reading only, so others go on meanwhile.
                    known.prepared.get_or_init(|| Key::Prepared(Arc::new(key.prepare())));
                }
                return Some(known.key().clone());
            }
        }
        let key = Key::Plain(StrictKey::from_bytes(bytes)?);
        let known = Known { key: key.clone(), met: AtomicU32::new(0), prepared: OnceLock::new() };
        let mut memory = self.0.write().unwrap_or_else(PoisonError::into_inner);
        // Keys that came later than the tables ran out get their chance when all begin anew.
        if memory.keys.len() >= MAX_KEYS || memory.tables.load(Ordering::Relaxed) > MAX_TABLES {
            *memory = Memory::default();
        }
        memory.keys.insert(*bytes, known);
        Some(key)
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
            assert!(key.verify(b"message", &signature));
            assert!(!key.verify(b"massage", &signature));
        }
        assert!(matches!(keys.get(&public), Some(Key::Prepared(_))));
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
