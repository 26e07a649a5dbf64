//! The history of a subject as a proof bundle: all of its records as of a block, or a range of them, with
//! the state proof that says how many there are and which is the last.

use crate::error::StoreError;
use crate::open::Store;
use crate::read::StoreView;
use qz_evidence::bundle::{Bundle, MAX_ENTRIES};
use qz_evidence::codec::Format;
use qz_evidence::record::Record;
use qz_evidence::state_proof::SubjectHead;
use qz_evidence::{Hash32, Height, SubjectId, decode_strict, encode};

/// A hash in a path, encoded.
const HASH_BYTES: usize = 34;
/// CBOR framing of an entry, at most.
const ENTRY_OVERHEAD: usize = 64;

/// Which part of a history: records `from ..= to` (all, if neither is given) as of the block `head` (the
/// tip, if none is given).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct HistoryRange {
    /// First record, from 0.
    pub from: Option<u64>,
    /// Last record.
    pub to: Option<u64>,
    /// The block.
    pub head: Option<Height>,
}

impl Store {
    /// See [`StoreView::history`].
    pub fn history(&self, subject: &SubjectId, range: HistoryRange) -> Result<Bundle, StoreError> {
        self.view()?.history(subject, range)
    }
}

impl StoreView<'_> {
    /// A bundle with the state of this subject and the records of the range; with the proof of its absence
    /// if there is no such subject. What does not fit a bundle is refused before it is built.
    pub fn history(&self, subject: &SubjectId, range: HistoryRange) -> Result<Bundle, StoreError> {
        let head = range.head.unwrap_or_else(|| self.tip_height());
        let frame = self.proof(&[], &[*subject], Some(head))?;
        let records = records(&frame, subject)?;
        let from = range.from.unwrap_or(0);
        let to = range.to.unwrap_or(records.saturating_sub(1));
        if records == 0 && range.from.is_none() && range.to.is_none() {
            return Ok(frame);
        }
        if from > to || to >= records {
            return Err(StoreError::HistoryRange { subject: *subject, records, from, to });
        }
        let room = Bundle::MAX_BYTES.saturating_sub(encode(&frame).len());
        let hashes = self.fitting(subject, (from, to), head, room)?;
        let mut bundle = self.proof(&hashes, &[*subject], Some(head))?;
        // A reader with a greatest age demands the state of every subject of a shown record (a seal's uses
        // touch contracts, and the other way round).
        let mut subjects = vec![*subject];
        for entry in &bundle.entries {
            let record: Record = decode_strict(&entry.record)
                .map_err(|error| StoreError::corrupt(crate::keys::RECORDS, &entry.record, error))?;
            subjects.extend(record.links.iter().map(|link| link.subject));
        }
        subjects.sort();
        subjects.dedup();
        bundle.states = self.states(&subjects, head)?;
        // What a proof carries besides (records of other subjects that it needs) was not counted.
        if bundle.entries.len() > MAX_ENTRIES || encode(&bundle).len() > Bundle::MAX_BYTES {
            return Err(StoreError::HistoryTooLarge { from, to, fits: from + (to - from) / 2 });
        }
        Ok(bundle)
    }

    /// The hashes of the records of this range, if their entries fit.
    fn fitting(
        &self, subject: &SubjectId, (from, to): (u64, u64), head: Height, mut room: usize,
    ) -> Result<Vec<Hash32>, StoreError> {
        // Number and size of the records that fit are known before the first path is computed.
        let most = to.saturating_sub(from).saturating_add(1);
        let wanted = usize::try_from(most).unwrap_or(usize::MAX).min(MAX_ENTRIES);
        let history_levels = levels(head.0);
        let mut hashes = vec![];
        for (sequence, hash) in self.records_of_subject(subject, from, wanted)? {
            let record = self.record(&hash)?.ok_or(StoreError::UnknownRecord(hash))?;
            let header = self.header(record.height)?.ok_or(StoreError::NoSuchHead(record.height))?;
            let path = (levels(u64::from(header.record_count)) + history_levels) * HASH_BYTES;
            let entry = record.bytes.len() + encode(&header).len() + path + ENTRY_OVERHEAD;
            match room.checked_sub(entry) {
                Some(left) => room = left,
                None => return Err(too_large(from, to, sequence)),
            }
            hashes.push(hash);
        }
        match u64::try_from(hashes.len()) {
            Ok(found) if found < most => Err(too_large(from, to, from + found)),
            _ => Ok(hashes),
        }
    }
}

fn too_large(from: u64, to: u64, first_out: u64) -> StoreError {
    // One record with its paths always fits: a record has at most 28 KiB.
    StoreError::HistoryTooLarge { from, to, fits: first_out.saturating_sub(1).max(from) }
}

/// Most hashes of a path in a tree of this many leaves.
fn levels(leaves: u64) -> usize {
    usize::try_from(u64::BITS - leaves.leading_zeros()).unwrap_or(64) + 1
}

/// Records of the subject as of the bundle's head.
fn records(frame: &Bundle, subject: &SubjectId) -> Result<u64, StoreError> {
    let proof = frame.states.iter().find(|proof| proof.subject == *subject);
    match proof.and_then(|proof| proof.head.as_ref()) {
        None => Ok(0),
        Some(bytes) => decode_strict::<SubjectHead>(bytes)
            .map(|head| head.records)
            .map_err(|error| StoreError::corrupt(crate::keys::TREE_VALUES, &subject.0.0, error)),
    }
}
