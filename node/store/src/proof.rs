//! Assembling proof bundles.

use crate::error::StoreError;
use crate::keys;
use crate::open::Store;
use crate::read::{StoreView, StoredRecord};
use qz_chain::state_proof;
use qz_evidence::bundle::{Bundle, BundleTag, Entry, MAX_ENTRIES};
use qz_evidence::codec::Bytes;
use qz_evidence::history::inclusion_path;
use qz_evidence::records_tree::RecordsTree;
use qz_evidence::state_proof::StateProof;
use qz_evidence::submission::Parsed;
use qz_evidence::{Hash32, Height, SubjectId};
use std::collections::{BTreeMap, BTreeSet, btree_map};

impl Store {
    /// See [`StoreView::proof`].
    pub fn proof(
        &self, records: &[Hash32], subjects: &[SubjectId], head: Option<Height>,
    ) -> Result<Bundle, StoreError> {
        self.view()?.proof(records, subjects, head)
    }
}

/// What all entries of one block share.
struct ProvedBlock {
    header: Vec<u8>,
    tree: RecordsTree,
    history_path: Vec<Hash32>,
}

impl StoreView<'_> {
    /// A bundle that proves these records and the states of these subjects under the block of height
    /// `head` (the tip, if none is given). Openings and certificates are left for the caller, who knows
    /// them. Records given twice are proved once. Changes of the consortium that gave a relay its key or its
    /// roles are proved too, because a verifier knows only the genesis.
    pub fn proof(
        &self, records: &[Hash32], subjects: &[SubjectId], head: Option<Height>,
    ) -> Result<Bundle, StoreError> {
        if records.len() > MAX_ENTRIES {
            return Err(StoreError::TooManyRecords { found: records.len(), limit: MAX_ENTRIES });
        }
        let head = head.unwrap_or_else(|| self.tip_height());
        let (Some(head_header), Some(commit)) = (self.header_bytes(head)?, self.commit_bytes(head)?) else {
            return Err(StoreError::NoSuchHead(head));
        };
        Ok(Bundle {
            tag: BundleTag,
            genesis: Bytes(self.genesis_bytes()?),
            hand_overs: self.hand_overs(0, head)?,
            head: Bytes(head_header),
            commit: Bytes(commit),
            entries: self.entries(records, head)?,
            states: self.states(subjects, head)?,
            certificates: vec![],
            checkpoint: None,
            anchors: vec![],
        })
    }

    fn entries(&self, hashes: &[Hash32], head: Height) -> Result<Vec<Entry>, StoreError> {
        let records = self.with_relays(hashes)?;
        if let Some(late) = records.values().find(|record| record.height > head) {
            return Err(StoreError::RecordAfterHead { record: late.hash, recorded: late.height, head });
        }
        let mut blocks: BTreeMap<Height, ProvedBlock> = BTreeMap::new();
        let mut entries = vec![];
        for ((height, index), StoredRecord { bytes, .. }) in records {
            let block = match blocks.entry(height) {
                btree_map::Entry::Occupied(known) => known.into_mut(),
                btree_map::Entry::Vacant(new) => new.insert(self.proved_block(height, head)?),
            };
            entries.push(Entry {
                record: Bytes(bytes),
                records_path: block.tree.path(index).expect("the record stands at this index of its block"),
                header: Bytes(block.header.clone()),
                history_path: block.history_path.clone(),
                openings: vec![],
            });
        }
        Ok(entries)
    }

    /// Hashes of these records and of the changes of the consortium that a proof of them needs.
    pub fn records_to_prove(&self, hashes: &[Hash32]) -> Result<Vec<Hash32>, StoreError> {
        Ok(self.with_relays(hashes)?.values().map(|record| record.hash).collect())
    }

    fn with_relays(&self, hashes: &[Hash32]) -> Result<BTreeMap<(Height, u32), StoredRecord>, StoreError> {
        let mut records = BTreeMap::new();
        let mut pending = hashes.to_vec();
        while let Some(hash) = pending.pop() {
            let record = self.record(&hash)?.ok_or(StoreError::UnknownRecord(hash))?;
            if let btree_map::Entry::Vacant(new) = records.entry((record.height, record.index)) {
                pending.extend(self.changes_of_relay(&record)?);
                new.insert(record);
            }
        }
        if records.len() > MAX_ENTRIES {
            return Err(StoreError::TooManyRecords { found: records.len(), limit: MAX_ENTRIES });
        }
        Ok(records)
    }

    /// The changes of the consortium, before this record, that were about the member which relayed it.
    fn changes_of_relay(&self, record: &StoredRecord) -> Result<Vec<Hash32>, StoreError> {
        let corrupt = |error: &dyn std::fmt::Display| StoreError::corrupt(keys::RECORDS, &record.hash.0, error);
        let submission = record.decode()?.submission;
        let parsed = Parsed::without_relay_check(&submission).map_err(|error| corrupt(&error))?;
        let relay = SubjectId::of_organisation(&self.store.chain_id, &parsed.submission().relay);
        let mut changes = vec![];
        for (_, hash) in self.records_of_subject(&relay, 0, MAX_ENTRIES)? {
            let change = self.record(&hash)?.ok_or(StoreError::UnknownRecord(hash))?;
            if (change.height, change.index) >= (record.height, record.index) {
                break;
            }
            changes.push(hash);
        }
        Ok(changes)
    }

    fn proved_block(&self, height: Height, head: Height) -> Result<ProvedBlock, StoreError> {
        let header = self.header_bytes(height)?.ok_or(StoreError::NoSuchHead(height))?;
        let hashes: Vec<_> = self.records_of_block(height)?.iter().map(|record| record.hash).collect();
        let history_path = if height == head { vec![] } else { self.history_path(height, head)? };
        Ok(ProvedBlock { header, tree: RecordsTree::new(&hashes), history_path })
    }

    /// Path of a header in the history of a later block, whose tree has that block's height as its size.
    pub fn history_path(&self, height: Height, head: Height) -> Result<Vec<Hash32>, StoreError> {
        inclusion_path(height.0, head.0, &mut |level, index| self.history_node(level, index))
    }

    /// Proofs of the states after block `head`, of members and absentees alike.
    pub fn states(&self, subjects: &[SubjectId], head: Height) -> Result<Vec<StateProof>, StoreError> {
        let oldest = self.oldest_state()?;
        if !subjects.is_empty() && head < oldest {
            return Err(StoreError::Pruned { height: head, oldest });
        }
        let subjects: BTreeSet<_> = subjects.iter().collect();
        let prove = |subject: &SubjectId| {
            state_proof(self, head, subject).map_err(|source| StoreError::StateProof { subject: *subject, source })
        };
        subjects.into_iter().map(prove).collect()
    }
}
