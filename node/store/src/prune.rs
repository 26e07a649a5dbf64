//! Forgetting: old versions of the state tree and old entries of the replay window. Blocks, records and
//! the history are never forgotten.

use crate::error::StoreError;
use crate::keys::{self, Stale, StaleList, meta};
use crate::open::Store;
use crate::read::StoreView;
use qz_evidence::Height;
use qz_evidence::submission::Parsed;
use rocksdb::WriteBatch;

/// Most heights forgotten in one block, when a shorter window leaves many to forget.
const MOST_HEIGHTS: u64 = 16;

impl Store {
    /// Deletes in the batch of block `height` what no height within the window needs any more. It is about
    /// one height's worth per block, so that no block pays for many.
    pub(crate) fn prune(&self, view: &StoreView<'_>, height: Height, batch: &mut WriteBatch) -> Result<(), StoreError> {
        let window = view.replay()?.window;
        let Some(oldest) = height.0.checked_sub(window) else { return Ok(()) };
        let pruned = view.pruned()?;
        let last = oldest.min(pruned.0 + MOST_HEIGHTS);
        for since in (pruned.0 + 1..=last).map(Height) {
            self.prune_tree(view, since, batch)?;
            self.prune_relayed(view, since, batch)?;
        }
        if last > pruned.0 {
            batch.put_cf(self.family(keys::META), meta::PRUNED, keys::height(Height(last)));
        }
        Ok(())
    }

    /// Stale since `since` means needed by earlier versions only.
    fn prune_tree(&self, view: &StoreView<'_>, since: Height, batch: &mut WriteBatch) -> Result<(), StoreError> {
        let key = keys::height(since);
        let Some(list) = view.get(keys::TREE_STALE, &key)? else { return Ok(()) };
        let stale =
            StaleList::read(&list).ok_or_else(|| StoreError::corrupt(keys::TREE_STALE, &key, "malformed list"))?;
        for stale in stale {
            match stale {
                Stale::Node(node) => batch.delete_cf(self.family(keys::TREE_NODES), node),
                Stale::Value(value) => batch.delete_cf(self.family(keys::TREE_VALUES), value),
            }
        }
        batch.delete_cf(self.family(keys::TREE_STALE), key);
        Ok(())
    }

    /// Submission numbers of the block before `oldest`: height `oldest` + window is the last for which a
    /// number recorded at `oldest` counts, and the next block is that or later.
    fn prune_relayed(&self, view: &StoreView<'_>, oldest: Height, batch: &mut WriteBatch) -> Result<(), StoreError> {
        let Some(expired) = oldest.0.checked_sub(1).map(Height) else { return Ok(()) };
        for record in view.records_of_block(expired)? {
            let submission = record.decode()?.submission;
            let parsed = Parsed::without_relay_check(&submission)
                .map_err(|error| StoreError::corrupt(keys::RECORDS, &record.hash.0, error))?;
            let key = keys::relayed(&parsed.submission().relay, &parsed.body().id);
            // The number may have been used again since; then its entry is newer.
            if view.get(keys::RELAYED, &key)?.as_deref() == Some(&keys::height(expired)) {
                self.recent().forget_id(&key);
                batch.delete_cf(self.family(keys::RELAYED), key);
            }
        }
        Ok(())
    }
}
