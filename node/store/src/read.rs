//! Reading: a consistent picture of the ledger at one height.

use crate::error::StoreError;
use crate::keys::{self, KeyValue, Place, meta};
use crate::open::Store;
use jmt::KeyHash;
use qz_chain::Subject;
use qz_chain::block::{Block, BlockTag};
use qz_evidence::codec::{Bytes, Format};
use qz_evidence::commit::CommitCertificate;
use qz_evidence::genesis::Params;
use qz_evidence::header::Header;
use qz_evidence::history::Frontier;
use qz_evidence::record::Record;
use qz_evidence::records_tree::record_hash;
use qz_evidence::validators::ValidatorSet;
use qz_evidence::{Hash32, Height, SubjectId, decode_strict, encode};
use rocksdb::{Direction, IteratorMode, Snapshot};

/// A record with its place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredRecord {
    /// Its hash.
    pub hash: Hash32,
    /// Height of its block.
    pub height: Height,
    /// Index in the block.
    pub index: u32,
    /// Encoded [`Record`].
    pub bytes: Vec<u8>,
}

impl StoredRecord {
    /// The decoded record.
    pub fn decode(&self) -> Result<Record, StoreError> {
        decode_strict(&self.bytes).map_err(|error| StoreError::corrupt(keys::RECORDS, &self.hash.0, error))
    }
}

/// The ledger as of one height, whatever is committed meanwhile. Cheap to make; holds no lock. Keep it
/// for one request, not for long: it keeps deleted data on disk alive.
pub struct StoreView<'a> {
    pub(crate) store: &'a Store,
    snapshot: Snapshot<'a>,
    tip: Height,
}

impl Store {
    /// The ledger as of now.
    pub fn view(&self) -> Result<StoreView<'_>, StoreError> {
        let mut view = StoreView { store: self, snapshot: self.db.snapshot(), tip: Height(0) };
        let tip = view.must(keys::META, meta::TIP)?;
        view.tip = keys::height_from(&tip).ok_or_else(|| StoreError::corrupt(keys::META, meta::TIP, "no height"))?;
        Ok(view)
    }

    /// Height of the last block.
    pub fn tip_height(&self) -> Result<Height, StoreError> {
        Ok(self.view()?.tip_height())
    }

    /// Header of a height; see [`StoreView::header`].
    pub fn header(&self, height: Height) -> Result<Option<Header>, StoreError> {
        self.view()?.header(height)
    }

    /// Encoded block of a height; see [`StoreView::block_bytes`].
    pub fn block_bytes(&self, height: Height) -> Result<Option<Vec<u8>>, StoreError> {
        self.view()?.block_bytes(height)
    }

    /// Commit certificate of a height; see [`StoreView::commit_certificate`].
    pub fn commit_certificate(&self, height: Height) -> Result<Option<CommitCertificate>, StoreError> {
        self.view()?.commit_certificate(height)
    }

    /// The record of this hash.
    pub fn record(&self, hash: &Hash32) -> Result<Option<StoredRecord>, StoreError> {
        self.view()?.record(hash)
    }

    /// The record of the submission whose body has this digest.
    pub fn record_of_submission(&self, body_digest: &Hash32) -> Result<Option<StoredRecord>, StoreError> {
        self.view()?.record_of_submission(body_digest)
    }

    /// A subject as of the tip.
    pub fn subject(&self, id: &SubjectId) -> Result<Option<Subject>, StoreError> {
        Ok(self.view()?.stored_subject(id)?.map(|(_, subject)| subject))
    }
}

impl StoreView<'_> {
    /// Height of the last block.
    pub fn tip_height(&self) -> Height {
        self.tip
    }

    /// Header of the last block.
    pub fn tip_header(&self) -> Result<Header, StoreError> {
        self.decode(keys::HEADERS, &keys::height(self.tip))
    }

    /// Encoded header; nothing above the tip.
    pub fn header_bytes(&self, height: Height) -> Result<Option<Vec<u8>>, StoreError> {
        self.by_height(keys::HEADERS, height, Height(0))
    }

    /// Header; nothing above the tip.
    pub fn header(&self, height: Height) -> Result<Option<Header>, StoreError> {
        if height > self.tip {
            return Ok(None);
        }
        self.decode(keys::HEADERS, &keys::height(height)).map(Some)
    }

    /// Encoded block; nothing at height 0 and above the tip.
    pub fn block_bytes(&self, height: Height) -> Result<Option<Vec<u8>>, StoreError> {
        if height == Height(0) || height > self.tip {
            return Ok(None);
        }
        self.block(height).map(|block| Some(encode(&block)))
    }

    /// The block of a height from 1 to the tip, put together from its header and its records.
    pub(crate) fn block(&self, height: Height) -> Result<Block, StoreError> {
        let header = Bytes(self.must(keys::HEADERS, &keys::height(height))?);
        let submission = |record: StoredRecord| record.decode().map(|record| record.submission);
        let submissions = self.records_of_block(height)?.into_iter().map(submission).collect::<Result<_, _>>()?;
        Ok(Block { tag: BlockTag, header, submissions })
    }

    /// Encoded commit certificate; nothing at height 0 and above the tip.
    pub fn commit_bytes(&self, height: Height) -> Result<Option<Vec<u8>>, StoreError> {
        self.by_height(keys::COMMITS, height, Height(1))
    }

    /// Commit certificate; nothing at height 0 and above the tip.
    pub fn commit_certificate(&self, height: Height) -> Result<Option<CommitCertificate>, StoreError> {
        if height == Height(0) || height > self.tip {
            return Ok(None);
        }
        self.decode(keys::COMMITS, &keys::height(height)).map(Some)
    }

    /// The genesis document's bytes.
    pub fn genesis_bytes(&self) -> Result<Vec<u8>, StoreError> {
        self.must(keys::META, meta::GENESIS)
    }

    /// The record of this hash.
    pub fn record(&self, hash: &Hash32) -> Result<Option<StoredRecord>, StoreError> {
        match self.place(keys::RECORD_PLACES, hash)? {
            None => Ok(None),
            Some(place) => {
                let record = self.record_at_place(place)?;
                if record.hash != *hash {
                    return Err(StoreError::corrupt(keys::RECORD_PLACES, &hash.0, "names a place with another record"));
                }
                Ok(Some(record))
            }
        }
    }

    /// The record of the submission whose body has this digest.
    pub fn record_of_submission(&self, body_digest: &Hash32) -> Result<Option<StoredRecord>, StoreError> {
        match self.place(keys::BODIES, body_digest)? {
            None => Ok(None),
            Some(place) => self.record_at_place(place).map(Some),
        }
    }

    /// The record at an index of a block.
    pub fn record_at(&self, height: Height, index: u32) -> Result<Option<StoredRecord>, StoreError> {
        match self.header(height)? {
            Some(header) if index < header.record_count => self.record_at_place(Place { height, index }).map(Some),
            _ => Ok(None),
        }
    }

    /// All records of a block, in order; none above the tip.
    pub fn records_of_block(&self, height: Height) -> Result<Vec<StoredRecord>, StoreError> {
        let Some(header) = self.header(height)? else { return Ok(vec![]) };
        let mut records = vec![];
        for entry in self.scan(keys::RECORDS, &keys::height(height)) {
            let (key, bytes) = entry?;
            let place = Place::from_bytes(&key).ok_or_else(|| StoreError::corrupt(keys::RECORDS, &key, "no place"))?;
            records.push(StoredRecord { hash: record_hash(&bytes), height, index: place.index, bytes });
        }
        if !(0..header.record_count).eq(records.iter().map(|record| record.index)) {
            let reason = format!("{} records, the header says {}", records.len(), header.record_count);
            return Err(StoreError::corrupt(keys::RECORDS, &keys::height(height), reason));
        }
        Ok(records)
    }

    /// Records of a subject from a sequence number on, at most `limit`: (sequence, record hash).
    pub fn records_of_subject(
        &self, subject: &SubjectId, from: u64, limit: usize,
    ) -> Result<Vec<(u64, Hash32)>, StoreError> {
        let Some(end) = self.stored_subject(subject)?.map(|(_, s)| s.records) else { return Ok(vec![]) };
        let end = end.min(from.saturating_add(u64::try_from(limit).unwrap_or(u64::MAX)));
        let hash = |sequence| {
            let key = keys::sequence(subject, sequence);
            let hash = keys::hash_from(&self.must(keys::SEQUENCES, &key)?)
                .ok_or_else(|| StoreError::corrupt(keys::SEQUENCES, &key, "no hash"))?;
            Ok((sequence, hash))
        };
        (from..end).map(hash).collect()
    }

    /// A subject as of this view's tip, with the height of the block that last changed it.
    pub(crate) fn stored_subject(&self, id: &SubjectId) -> Result<Option<(Height, Subject)>, StoreError> {
        let Some(bytes) = self.get(keys::SUBJECTS, &id.0.0)? else { return Ok(None) };
        keys::subject(&bytes).map(Some).map_err(|reason| StoreError::corrupt(keys::SUBJECTS, &id.0.0, reason))
    }

    /// A perfect node of the history tree.
    pub fn history_node(&self, level: u32, index: u64) -> Result<Hash32, StoreError> {
        let key = keys::history(level, index);
        keys::hash_from(&self.must(keys::HISTORY, &key)?)
            .ok_or_else(|| StoreError::corrupt(keys::HISTORY, &key, "no hash"))
    }

    /// The oldest height whose subject states can still be proved.
    pub fn oldest_state(&self) -> Result<Height, StoreError> {
        self.pruned()
    }

    pub(crate) fn pruned(&self) -> Result<Height, StoreError> {
        match self.get(keys::META, meta::PRUNED)? {
            None => Ok(Height(0)),
            Some(bytes) => {
                keys::height_from(&bytes).ok_or_else(|| StoreError::corrupt(keys::META, meta::PRUNED, "no height"))
            }
        }
    }

    pub(crate) fn stored_params(&self) -> Result<Params, StoreError> {
        self.decode(keys::META, meta::PARAMS)
    }

    pub(crate) fn stored_validators(&self) -> Result<ValidatorSet, StoreError> {
        self.decode(keys::META, meta::VALIDATORS)
    }

    pub(crate) fn stored_frontier(&self) -> Result<Frontier, StoreError> {
        let bytes = self.must(keys::META, meta::FRONTIER)?;
        let peaks: Option<Vec<_>> = bytes.chunks(32).map(keys::hash_from).collect();
        peaks
            .and_then(|peaks| Frontier::from_parts(self.tip.0 + 1, peaks))
            .ok_or_else(|| StoreError::corrupt(keys::META, meta::FRONTIER, "not the peaks of this height"))
    }

    /// Where the index says that something is recorded.
    pub(crate) fn place(&self, family: &'static str, hash: &Hash32) -> Result<Option<Place>, StoreError> {
        let Some(bytes) = self.get(family, &hash.0)? else { return Ok(None) };
        Place::from_bytes(&bytes).map(Some).ok_or_else(|| StoreError::corrupt(family, &hash.0, "no place"))
    }

    fn record_at_place(&self, place: Place) -> Result<StoredRecord, StoreError> {
        let bytes = self.must(keys::RECORDS, &place.to_bytes())?;
        Ok(StoredRecord { hash: record_hash(&bytes), height: place.height, index: place.index, bytes })
    }

    /// Something that every height from `first` to the tip has.
    fn by_height(&self, family: &'static str, height: Height, first: Height) -> Result<Option<Vec<u8>>, StoreError> {
        if height < first || height > self.tip {
            return Ok(None);
        }
        self.must(family, &keys::height(height)).map(Some)
    }

    pub(crate) fn get(&self, family: &'static str, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError> {
        self.snapshot.get_cf(self.store.family(family), key).map_err(StoreError::database("read"))
    }

    /// Something that must be there.
    pub(crate) fn must(&self, family: &'static str, key: &[u8]) -> Result<Vec<u8>, StoreError> {
        self.get(family, key)?.ok_or_else(|| StoreError::corrupt(family, key, "missing"))
    }

    fn decode<T: Format>(&self, family: &'static str, key: &[u8]) -> Result<T, StoreError> {
        decode_strict(&self.must(family, key)?).map_err(|error| StoreError::corrupt(family, key, error))
    }

    /// Entries whose keys start with `prefix`, ascending.
    pub(crate) fn scan(
        &self, family: &'static str, prefix: &[u8],
    ) -> impl Iterator<Item = Result<KeyValue, StoreError>> {
        let prefix = prefix.to_vec();
        self.snapshot
            .iterator_cf(self.store.family(family), IteratorMode::From(&prefix, Direction::Forward))
            .map(|entry| entry.map_err(StoreError::database("scan")))
            .take_while(move |entry| entry.as_ref().map_or(true, |(key, _)| key.starts_with(&prefix)))
            .map(|entry| entry.map(|(key, value)| (key.into_vec(), value.into_vec())))
    }

    /// Entries of a column family.
    pub(crate) fn count(&self, family: &'static str) -> Result<u64, StoreError> {
        let mut count = 0;
        for entry in self.scan(family, &[]) {
            entry?;
            count += 1;
        }
        Ok(count)
    }

    /// The newest value of a subject in the state tree up to a version, with its key.
    pub(crate) fn newest_value(&self, key: &KeyHash, version: u64) -> Result<Option<KeyValue>, StoreError> {
        let from = keys::tree_value(key, version);
        let mode = IteratorMode::From(&from, Direction::Reverse);
        match self.snapshot.iterator_cf(self.store.family(keys::TREE_VALUES), mode).next() {
            None => Ok(None),
            Some(Err(source)) => Err(StoreError::Database { action: "scan", source }),
            Some(Ok((found, value))) => Ok(found.starts_with(&key.0).then(|| (found.into_vec(), value.into_vec()))),
        }
    }
}
