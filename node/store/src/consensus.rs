//! A durable scratch area for the consensus driver: undecided proposals, their blocks and verdicts. What
//! its keys and values mean is the driver's business; it deletes what is decided.

use crate::error::StoreError;
use crate::keys::{CONSENSUS, KeyValue};
use crate::open::Store;
use rocksdb::{Direction, IteratorMode, ReadOptions, WriteBatch};

impl Store {
    /// Writes all entries in one synced batch; they are durable when this returns.
    pub fn consensus_put(&self, entries: &[KeyValue]) -> Result<(), StoreError> {
        let mut batch = WriteBatch::default();
        for (key, value) in entries {
            batch.put_cf(self.family(CONSENSUS), key, value);
        }
        self.write_synced(batch)
    }

    /// One entry.
    pub fn consensus_get(&self, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError> {
        self.db.get_cf(self.family(CONSENSUS), key).map_err(StoreError::database("read"))
    }

    /// All entries whose keys start with `prefix`, ascending.
    pub fn consensus_scan(&self, prefix: &[u8]) -> Result<Vec<KeyValue>, StoreError> {
        let mut entries = vec![];
        for entry in self.db.iterator_cf(self.family(CONSENSUS), IteratorMode::From(prefix, Direction::Forward)) {
            let (key, value) = entry.map_err(StoreError::database("scan"))?;
            if !key.starts_with(prefix) {
                break;
            }
            entries.push((key.into_vec(), value.into_vec()));
        }
        Ok(entries)
    }

    /// Deletes the keys `from ≤ key < to`, one by one: range tombstones would pile up, one a block, and every
    /// later read would have to look at all of them. Not synced: what a crash brings back is deleted again.
    pub fn consensus_delete_range(&self, from: &[u8], to: &[u8]) -> Result<(), StoreError> {
        let family = self.family(CONSENSUS);
        let mut options = ReadOptions::default();
        options.set_iterate_upper_bound(to);
        let mut keys = self.db.raw_iterator_cf_opt(family, options);
        let mut batch = WriteBatch::default();
        keys.seek(from);
        while let Some(key) = keys.key() {
            batch.delete_cf(family, key);
            keys.next();
        }
        keys.status().map_err(StoreError::database("scan"))?;
        self.db.write(batch).map_err(StoreError::database("delete"))
    }
}
