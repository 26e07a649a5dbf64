//! Writing a block.

use crate::error::StoreError;
use crate::failpoint;
use crate::keys::{self, Place, Stale, StaleList, meta};
use crate::open::Store;
use crate::read::StoreView;
use crate::recent::Recent;
use jmt::KeyHash;
use qz_chain::ChangeSet;
use qz_evidence::commit::CommitCertificate;
use qz_evidence::header::{Header, block_id};
use qz_evidence::{Hash32, Height, SubjectId, decode_strict, encode};
use rocksdb::{WriteBatch, WriteOptions};
use std::collections::HashSet;
use std::sync::{MutexGuard, PoisonError};

impl Store {
    /// Writes a final block. The certificate's signatures are the caller's to check, before.
    ///
    /// Steps, and what a crash leaves:
    /// 1. Everything is checked to belong together and on top of the tip. Crash: nothing happened.
    /// 2. The batch is built in memory. Crash: nothing happened.
    /// 3. One synced, atomic write. Crash before it is durable: the ledger ends at the block before, and
    ///    the consensus engine's own log or the peers give the block again. After: the block is complete.
    ///
    /// A block that is there already is accepted again without a write, so that a caller that crashed
    /// after step 3 may repeat it. (The certificate may then be another one: those of one block differ.)
    pub fn commit(&self, changes: &ChangeSet, commit: &CommitCertificate) -> Result<(), StoreError> {
        let mut last_batch_bytes = self.committing.lock().unwrap_or_else(PoisonError::into_inner);
        // 1. Check.
        let view = self.view()?;
        if !is_next(&view, changes, commit)? {
            return Ok(());
        }
        failpoint::reached("commit.checked");
        // 2. Build.
        let mut batch = WriteBatch::with_capacity_bytes(*last_batch_bytes);
        self.put_changes(Some(&view), changes, &mut batch)?;
        batch.put_cf(self.family(keys::COMMITS), keys::height(changes.height), encode(commit));
        self.prune(&view, changes.height, &mut batch)?;
        *last_batch_bytes = batch.size_in_bytes();
        failpoint::reached("commit.built");
        // 3. Write.
        self.recent().commit(changes);
        if let Err(error) = self.write_synced(batch) {
            self.recent().forget();
            return Err(error);
        }
        failpoint::reached("commit.written");
        self.nodes.commit(&changes.tree);
        Ok(())
    }

    pub(crate) fn recent(&self) -> MutexGuard<'_, Recent> {
        self.recent.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn write_synced(&self, batch: WriteBatch) -> Result<(), StoreError> {
        let mut options = WriteOptions::default();
        if self.durable {
            options.set_sync(true);
        } else {
            options.disable_wal(true);
        }
        self.db.write_opt(batch, &options).map_err(StoreError::database("write"))
    }

    /// All that a change set brings on top of `view`, or of nothing.
    pub(crate) fn put_changes(
        &self, view: Option<&StoreView<'_>>, changes: &ChangeSet, batch: &mut WriteBatch,
    ) -> Result<(), StoreError> {
        let height = changes.height;
        batch.put_cf(self.family(keys::HEADERS), keys::height(height), &changes.header);
        self.put_records(changes, batch);
        for (id, subject) in &changes.subjects {
            let value = [&keys::height(height)[..], &subject.to_bytes()].concat();
            batch.put_cf(self.family(keys::SUBJECTS), id.0.0, value);
        }
        self.put_tree(view, changes, batch)?;
        for (level, index, hash) in &changes.history_nodes {
            batch.put_cf(self.family(keys::HISTORY), keys::history(*level, *index), hash.0);
        }
        let meta_family = self.family(keys::META);
        let peaks: Vec<u8> = changes.frontier.parts().1.iter().flat_map(|peak| peak.0).collect();
        batch.put_cf(meta_family, meta::FRONTIER, peaks);
        if let Some(params) = &changes.params {
            batch.put_cf(meta_family, meta::PARAMS, encode(params));
        }
        if let Some(validators) = &changes.validators {
            batch.put_cf(meta_family, meta::VALIDATORS, encode(validators));
            // Height 0 begins epoch 0, which goes on; any other block that brings a set is the last of its epoch.
            let first = if height == Height(0) { height } else { height.next() };
            let value = [&keys::height(first)[..], &encode(validators)].concat();
            batch.put_cf(self.family(keys::EPOCHS), keys::epoch(changes.epoch), value);
        }
        for member in &changes.organisations {
            batch.put_cf(self.family(keys::ORGANISATIONS), member.id().as_str(), member.to_bytes());
        }
        batch.put_cf(meta_family, meta::TIP, keys::height(height));
        Ok(())
    }

    /// Each family's keys in ascending order: RocksDB begins its search for a key's place where the last one went, so
    /// that neighbours cost less than keys in the order of the records, which is random.
    fn put_records(&self, changes: &ChangeSet, batch: &mut WriteBatch) {
        let place = |index| Place { height: changes.height, index }.to_bytes();
        let records = || (0u32..).zip(&changes.records);
        for (index, record) in records() {
            batch.put_cf(self.family(keys::RECORDS), place(index), &record.bytes);
        }
        let places = records().map(|(index, record)| (record.hash.0, place(index)));
        self.put_sorted(keys::RECORD_PLACES, places, batch);
        let bodies = records().map(|(index, record)| (record.body_digest.0, place(index)));
        self.put_sorted(keys::BODIES, bodies, batch);
        let links = changes.records.iter().flat_map(|record| record.links.iter().map(|link| (link, record.hash.0)));
        let sequences = links.map(|(link, hash)| (keys::sequence(&link.subject, link.sequence), hash));
        self.put_sorted(keys::SEQUENCES, sequences, batch);
        let height = keys::height(changes.height);
        let relayed = changes.replay.iter().map(|entry| (keys::relayed(&entry.relay, &entry.id), height));
        self.put_sorted(keys::RELAYED, relayed, batch);
    }

    fn put_sorted<K: AsRef<[u8]> + Ord, V: AsRef<[u8]>>(
        &self, family: &'static str, entries: impl Iterator<Item = (K, V)>, batch: &mut WriteBatch,
    ) {
        let mut entries: Vec<(K, V)> = entries.collect();
        entries.sort_unstable_by(|(one, _), (other, _)| one.cmp(other));
        for (key, value) in entries {
            batch.put_cf(self.family(family), key, value);
        }
    }

    fn put_tree(
        &self, view: Option<&StoreView<'_>>, changes: &ChangeSet, batch: &mut WriteBatch,
    ) -> Result<(), StoreError> {
        let mut stale = StaleList::default();
        let created: HashSet<KeyHash> =
            changes.records.iter().filter_map(|record| record.created).map(|id| KeyHash(id.0.0)).collect();
        for (key, node) in changes.tree.node_batch.nodes() {
            let node = borsh::to_vec(node).expect("borsh into a Vec cannot fail");
            batch.put_cf(self.family(keys::TREE_NODES), keys::tree_node(key), node);
        }
        for ((version, key), value) in changes.tree.node_batch.values() {
            // A node can move while its value stays, so values have their own staleness.
            if !created.contains(key)
                && let Some(view) = view
                && let Some(written) = view.written(&SubjectId(Hash32(key.0)))?
            {
                stale.push(&Stale::Value(keys::tree_value(key, written.0).to_vec()));
            }
            let value = value.as_ref().expect("subjects are never removed from the state tree");
            batch.put_cf(self.family(keys::TREE_VALUES), keys::tree_value(key, *version), value);
        }
        for index in &changes.tree.stale_node_index_batch {
            stale.push(&Stale::Node(keys::tree_node(&index.node_key)));
        }
        if !stale.0.is_empty() {
            batch.put_cf(self.family(keys::TREE_STALE), keys::height(changes.height), stale.0);
        }
        Ok(())
    }
}

/// Step 1. False: the block is there already.
fn is_next(view: &StoreView<'_>, changes: &ChangeSet, commit: &CommitCertificate) -> Result<bool, StoreError> {
    let height = changes.height;
    let mismatch = |reason| StoreError::Mismatch { height, reason };
    if commit.height != height || commit.block_id != changes.block_id {
        return Err(mismatch("the commit certificate is of another block"));
    }
    let tip = view.tip_height();
    if height <= tip {
        return match view.header_bytes(height)? {
            Some(known) if known == changes.header => Ok(false),
            _ => Err(mismatch("another block of this height is final already")),
        };
    }
    if height != tip.next() {
        return Err(StoreError::Gap { tip, given: height });
    }
    if block_id(&changes.header) != changes.block_id {
        return Err(mismatch("the header is another block's"));
    }
    let header: Header = decode_strict(&changes.header).map_err(|_| mismatch("the block's header is no header"))?;
    if header.previous != view.tip_header()?.block_id() {
        return Err(mismatch("its parent is not the last block"));
    }
    Ok(true)
}
