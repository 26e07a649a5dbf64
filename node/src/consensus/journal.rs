//! The signer's journal: what this validator has ever been about to sign, in its own append-only
//! file, synced before each signature exists.
//!
//! It is the last guard against equivocation and independent of the engine's WAL, which resets
//! silently when the start height differs. The rule: for one (height, round, kind) only one content
//! is ever signed, and nothing below the highest journalled height is signed at all. The journal
//! knows nothing of locks and proofs-of-lock; those are the engine's.
//!
//! File: header `"qz/signer/v1" ‖ chain id 32 ‖ public key 32`, then records of 90 bytes
//! `kind ‖ height u64 BE ‖ round i64 BE ‖ 1 if an id follows else 0 ‖ id 32 ‖ BLAKE3(signed bytes) 32
//! ‖ first 8 bytes of BLAKE3(record so far)`.

use std::collections::BTreeMap;
use std::fs::{File, OpenOptions};
use std::io::{self, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

const MAGIC: &[u8; 12] = b"qz/signer/v1";
const HEADER_LEN: usize = MAGIC.len() + 64;
const CHECKSUM_LEN: usize = 8;
const RECORD_LEN: usize = 1 + 8 + 8 + 1 + 32 + 32 + CHECKSUM_LEN;

/// What is signed.
#[derive(Copy, Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Kind {
    /// A proposal of a round.
    Proposal = 0,
    /// First vote of a round.
    Prevote = 1,
    /// Second vote of a round.
    Precommit = 2,
    /// Not a signature: after a refused conflict, nothing more is signed at this height.
    Abstain = 3,
}

impl Kind {
    fn from_byte(byte: u8) -> Option<Self> {
        [Kind::Proposal, Kind::Prevote, Kind::Precommit, Kind::Abstain].into_iter().find(|kind| *kind as u8 == byte)
    }
}

/// One signature that is wanted.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub(crate) struct Intent {
    pub kind: Kind,
    pub height: u64,
    /// −1 is nil.
    pub round: i64,
    /// Block id; `None` for a nil vote.
    pub block: Option<[u8; 32]>,
    /// BLAKE3 of the bytes to sign.
    pub digest: [u8; 32],
}

/// Why the journal refuses, or cannot be used.
#[derive(Debug, thiserror::Error)]
pub(crate) enum JournalError {
    /// The file is gone although this validator has signed before.
    #[error("signer journal {} is missing on a validator that is not fresh: observing only", .0.display())]
    Missing(PathBuf),
    /// The file belongs to another chain or key.
    #[error("signer journal {} belongs to another chain or key", .0.display())]
    Foreign(PathBuf),
    /// The file is of another key of this validator: its consensus key was rotated.
    #[error("signer journal {} belongs to another consensus key", .path.display())]
    OtherKey { path: PathBuf, key: [u8; 32] },
    /// Bytes that no crash explains, or none at all: the file is replaced whole, so it is never empty.
    #[error(
        "签名日志已损坏，请运行 qz-node repair · signer journal {path} is corrupt at byte {offset}; \
         run `qz-node repair`, after which this validator observes until its consensus key is rotated",
        path = .path.display()
    )]
    Corrupt { path: PathBuf, offset: usize },
    /// An earlier write failed, so that it is not known what the file holds.
    #[error("signer journal {} could not be written earlier: nothing more is signed before a restart", .0.display())]
    Poisoned(PathBuf),
    /// Something else was signed for this step.
    #[error("refused to sign a second {kind:?} for height {height} round {round}")]
    Conflict { kind: Kind, height: u64, round: i64 },
    /// The step is older than what was signed, or this height is given up.
    #[error("refused to sign at height {height}: signatures exist up to {newest}, abstaining up to {abstain:?}")]
    Passed { height: u64, newest: u64, abstain: Option<u64> },
    /// Reading or writing failed.
    #[error("signer journal {path}", path = .path.display())]
    Io {
        path: PathBuf,
        #[source]
        source: io::Error,
    },
}

/// The open journal.
#[derive(Debug)]
pub(crate) struct Journal {
    path: PathBuf,
    file: File,
    steps: BTreeMap<(u64, i64, Kind), [u8; 32]>,
    newest: u64,
    abstain: Option<u64>,
    /// A write failed: no signature may follow, since the file may end in half a record.
    poisoned: bool,
}

/// What a journal file holds, for somebody who only looks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Contents {
    /// Records in it.
    pub records: usize,
    /// The highest height at which anything was signed.
    pub newest: u64,
    /// Nothing is signed up to and including this height.
    pub abstain: Option<u64>,
    /// The last record was cut short by a crash; nothing was signed under it.
    pub torn: bool,
    /// Steps for which two different contents stand in the file, which must never be.
    pub conflicts: Vec<(u64, i64, Kind)>,
}

/// Reads a journal without touching it; `None` if there is none.
pub(crate) fn inspect(
    path: &Path, chain_id: &[u8; 32], public_key: &[u8; 32],
) -> Result<Option<Contents>, JournalError> {
    let Some(bytes) = read_file(path)? else { return Ok(None) };
    let (records, torn) = parse(path, &bytes, &header(chain_id, public_key))?;
    let mut steps = BTreeMap::new();
    let mut conflicts = vec![];
    for intent in records.iter().filter(|intent| intent.kind != Kind::Abstain) {
        let step = (intent.height, intent.round, intent.kind);
        if *steps.entry(step).or_insert(intent.digest) != intent.digest {
            conflicts.push(step);
        }
    }
    let (newest, abstain) = limits(&records);
    Ok(Some(Contents { records: records.len(), newest, abstain, torn, conflicts }))
}

impl Journal {
    /// Opens the journal, creating it only on a fresh validator; drops a torn last record and
    /// compacts to the newest height.
    pub(crate) fn open(
        path: &Path, chain_id: &[u8; 32], public_key: &[u8; 32], fresh: bool,
    ) -> Result<Self, JournalError> {
        let io = |source| JournalError::Io { path: path.to_owned(), source };
        let header = header(chain_id, public_key);
        let records = match read_file(path)? {
            Some(bytes) => parse(path, &bytes, &header)?.0,
            None if fresh => vec![],
            None => return Err(JournalError::Missing(path.to_owned())),
        };
        let (newest, abstain) = limits(&records);
        let kept: Vec<_> = records
            .into_iter()
            .filter(|intent| intent.height == newest || intent.kind == Kind::Abstain && Some(intent.height) == abstain)
            .collect();
        let file = rewrite(path, &header, &kept).map_err(io)?;
        let steps = kept
            .iter()
            .filter(|intent| intent.kind != Kind::Abstain)
            .map(|intent| ((intent.height, intent.round, intent.kind), intent.digest))
            .collect();
        Ok(Self { path: path.to_owned(), file, steps, newest, abstain, poisoned: false })
    }

    /// The height up to which a node that starts at `start` must only observe, if any: it signed
    /// beyond its store, or gave a height up.
    pub(crate) fn observe_through(&self, start: u64) -> Option<u64> {
        let beyond = (self.newest > start).then_some(self.newest);
        let given_up = self.abstain.filter(|height| *height >= start);
        beyond.max(given_up)
    }

    /// Whether nothing is signed at this height any more.
    pub(crate) fn abstains_from(&self, height: u64) -> bool {
        self.abstain.is_some_and(|up_to| height <= up_to)
    }

    /// Whether it is empty: nothing is known of what was signed before.
    pub(crate) fn knows_nothing(&self) -> bool {
        self.newest == 0 && self.abstain.is_none()
    }

    /// The highest height at which anything was signed.
    pub(crate) fn newest(&self) -> u64 {
        self.newest
    }

    /// Signs nothing up to and including a height; synced on return.
    pub(crate) fn abstain_through(&mut self, height: u64) -> Result<(), JournalError> {
        self.append(&Intent { kind: Kind::Abstain, height, round: -1, block: None, digest: [0; 32] })?;
        self.abstain = self.abstain.max(Some(height));
        Ok(())
    }

    /// Records an intent, synced, or refuses it. On `Ok` the caller may sign.
    pub(crate) fn admit(&mut self, intent: &Intent) -> Result<(), JournalError> {
        if self.poisoned {
            return Err(JournalError::Poisoned(self.path.clone()));
        }
        let step = (intent.height, intent.round, intent.kind);
        match self.steps.get(&step) {
            Some(digest) if *digest == intent.digest => return Ok(()),
            Some(_) => {
                self.abstain_through(intent.height)?;
                return Err(JournalError::Conflict { kind: intent.kind, height: intent.height, round: intent.round });
            }
            None => {}
        }
        if intent.height < self.newest || self.abstains_from(intent.height) {
            return Err(JournalError::Passed { height: intent.height, newest: self.newest, abstain: self.abstain });
        }
        self.append(intent)?;
        if intent.height > self.newest {
            self.newest = intent.height;
            self.steps.clear();
        }
        self.steps.insert(step, intent.digest);
        Ok(())
    }

    fn append(&mut self, intent: &Intent) -> Result<(), JournalError> {
        if self.poisoned {
            return Err(JournalError::Poisoned(self.path.clone()));
        }
        let begun = std::time::Instant::now();
        self.file.write_all(&encode(intent)).and_then(|()| self.file.sync_data()).map_err(|source| {
            self.poisoned = true;
            JournalError::Io { path: self.path.clone(), source }
        })?;
        crate::metrics::get().fsync("journal", begun.elapsed());
        Ok(())
    }
}

fn header(chain_id: &[u8; 32], public_key: &[u8; 32]) -> Vec<u8> {
    [MAGIC.as_slice(), chain_id, public_key].concat()
}

fn read_file(path: &Path) -> Result<Option<Vec<u8>>, JournalError> {
    match std::fs::read(path) {
        Ok(bytes) => Ok(Some(bytes)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(source) => Err(JournalError::Io { path: path.to_owned(), source }),
    }
}

/// The records of a journal's bytes, and whether the last one was torn.
fn parse(path: &Path, bytes: &[u8], header: &[u8]) -> Result<(Vec<Intent>, bool), JournalError> {
    let corrupt = |offset| JournalError::Corrupt { path: path.to_owned(), offset };
    if bytes.len() < header.len() {
        return Err(corrupt(0));
    }
    let Some(body) = bytes.strip_prefix(header) else {
        let (of_chain, key) = header.split_at(HEADER_LEN - 32);
        let found = bytes.strip_prefix(of_chain).and_then(|rest| rest.first_chunk::<32>());
        return Err(match found {
            Some(found) if found != key => JournalError::OtherKey { path: path.to_owned(), key: *found },
            _ => JournalError::Foreign(path.to_owned()),
        });
    };
    let records = read_records(body).map_err(|offset| corrupt(HEADER_LEN + offset))?;
    let torn = records.len() * RECORD_LEN != body.len();
    Ok((records, torn))
}

/// The highest height that was signed at, and up to which height nothing is signed.
fn limits(records: &[Intent]) -> (u64, Option<u64>) {
    let (abstained, signed): (Vec<&Intent>, Vec<&Intent>) =
        records.iter().partition(|intent| intent.kind == Kind::Abstain);
    let newest = signed.iter().map(|intent| intent.height).max().unwrap_or(0);
    (newest, abstained.iter().map(|intent| intent.height).max())
}

fn encode(intent: &Intent) -> [u8; RECORD_LEN] {
    let mut record = Vec::with_capacity(RECORD_LEN);
    record.push(intent.kind as u8);
    record.extend_from_slice(&intent.height.to_be_bytes());
    record.extend_from_slice(&intent.round.to_be_bytes());
    record.push(u8::from(intent.block.is_some()));
    record.extend_from_slice(&intent.block.unwrap_or_default());
    record.extend_from_slice(&intent.digest);
    let checksum = blake3::hash(&record);
    record.extend_from_slice(&checksum.as_bytes()[..CHECKSUM_LEN]);
    record.try_into().expect("the fields above add up to RECORD_LEN")
}

fn decode(record: &[u8; RECORD_LEN]) -> Option<Intent> {
    let (body, checksum) = record.split_at(RECORD_LEN - CHECKSUM_LEN);
    if &blake3::hash(body).as_bytes()[..CHECKSUM_LEN] != checksum {
        return None;
    }
    let id: [u8; 32] = body[18..50].try_into().ok()?;
    Some(Intent {
        kind: Kind::from_byte(body[0])?,
        height: u64::from_be_bytes(body[1..9].try_into().ok()?),
        round: i64::from_be_bytes(body[9..17].try_into().ok()?),
        block: (body[17] == 1).then_some(id),
        digest: body[50..82].try_into().ok()?,
    })
}

/// All records, or the offset of damage that is not the torn last record: each record is synced
/// before the next is written, so a crash can spoil at most the last one, and nothing was signed
/// under it.
fn read_records(bytes: &[u8]) -> Result<Vec<Intent>, usize> {
    let (whole, torn) = bytes.as_chunks::<RECORD_LEN>();
    let mut records = Vec::with_capacity(whole.len());
    for (index, record) in whole.iter().enumerate() {
        match decode(record) {
            Some(intent) => records.push(intent),
            None if index + 1 == whole.len() && torn.is_empty() => break,
            None => return Err(index * RECORD_LEN),
        }
    }
    Ok(records)
}

/// Replaces the file by header and records atomically; a crash leaves the old or the new file.
fn rewrite(path: &Path, header: &[u8], records: &[Intent]) -> io::Result<File> {
    let temporary = path.with_extension("new");
    let mut file = File::create(&temporary)?;
    file.write_all(header)?;
    for record in records {
        file.write_all(&encode(record))?;
    }
    file.sync_all()?;
    std::fs::rename(&temporary, path)?;
    if let Some(folder) = path.parent() {
        File::open(folder)?.sync_all()?;
    }
    let mut file = OpenOptions::new().read(true).write(true).open(path)?;
    file.seek(SeekFrom::End(0))?;
    Ok(file)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    const CHAIN: [u8; 32] = [1; 32];
    const KEY: [u8; 32] = [2; 32];

    fn open(path: &Path) -> Result<Journal, JournalError> {
        Journal::open(path, &CHAIN, &KEY, false)
    }

    fn fresh() -> (tempfile::TempDir, PathBuf, Journal) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("signer.journal");
        let journal = Journal::open(&path, &CHAIN, &KEY, true).unwrap();
        (folder, path, journal)
    }

    fn intent(height: u64, round: i64, kind: Kind, content: u8) -> Intent {
        Intent { kind, height, round, block: Some([content; 32]), digest: [content; 32] }
    }

    #[test]
    fn a_second_content_for_one_step_is_refused_even_after_a_restart() {
        let (_folder, path, mut journal) = fresh();
        let first = intent(5, 0, Kind::Prevote, 1);
        journal.admit(&first).unwrap();
        journal.admit(&first).unwrap();
        journal.admit(&intent(5, 0, Kind::Precommit, 2)).unwrap();
        journal.admit(&intent(5, 1, Kind::Prevote, 2)).unwrap();
        drop(journal);

        let mut journal = open(&path).unwrap();
        journal.admit(&first).unwrap();
        assert_eq!(journal.observe_through(5), None);
        let error = journal.admit(&intent(5, 0, Kind::Prevote, 2)).unwrap_err();
        assert!(matches!(error, JournalError::Conflict { height: 5, round: 0, .. }), "{error}");
        drop(journal);

        let mut journal = open(&path).unwrap();
        assert_eq!(journal.observe_through(5), Some(5), "the height is given up");
        assert_eq!(journal.observe_through(6), None);
        journal.admit(&intent(5, 7, Kind::Prevote, 2)).unwrap_err();
        journal.admit(&intent(6, 0, Kind::Prevote, 2)).unwrap();
    }

    #[test]
    fn nothing_is_signed_below_the_newest_height() {
        let (_folder, path, mut journal) = fresh();
        journal.admit(&intent(8, 0, Kind::Prevote, 1)).unwrap();
        journal.admit(&intent(9, 0, Kind::Prevote, 1)).unwrap();
        for mut journal in [journal, open(&path).unwrap()] {
            let error = journal.admit(&intent(8, 0, Kind::Precommit, 1)).unwrap_err();
            assert!(matches!(error, JournalError::Passed { newest: 9, .. }), "{error}");
            assert_eq!(journal.observe_through(7), Some(9));
        }
    }

    #[test]
    fn a_torn_tail_is_dropped_and_other_damage_is_fatal() {
        let (_folder, path, mut journal) = fresh();
        for round in 0..3 {
            journal.admit(&intent(4, round, Kind::Prevote, 1)).unwrap();
        }
        drop(journal);
        let whole = std::fs::read(&path).unwrap();
        assert_eq!(whole.len(), HEADER_LEN + 3 * RECORD_LEN);

        for cut in 1..RECORD_LEN {
            std::fs::write(&path, &whole[..whole.len() - cut]).unwrap();
            let mut journal = open(&path).unwrap();
            assert_eq!(journal.steps.len(), 2);
            journal.admit(&intent(4, 2, Kind::Prevote, 9)).unwrap();
        }
        let mut spoilt = whole.clone();
        *spoilt.last_mut().unwrap() ^= 1;
        std::fs::write(&path, &spoilt).unwrap();
        assert_eq!(open(&path).unwrap().steps.len(), 2);

        let mut damaged = whole.clone();
        damaged[HEADER_LEN + 3] ^= 1;
        std::fs::write(&path, &damaged).unwrap();
        assert!(matches!(open(&path), Err(JournalError::Corrupt { offset, .. }) if offset == HEADER_LEN));
    }

    #[test]
    fn a_missing_or_foreign_journal_is_not_replaced() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("signer.journal");
        assert!(matches!(open(&path), Err(JournalError::Missing(_))));
        assert!(!path.exists());
        Journal::open(&path, &CHAIN, &KEY, true).unwrap();
        let other = Journal::open(&path, &[3; 32], &KEY, true);
        assert!(matches!(other, Err(JournalError::Foreign(_))));
        let rotated = Journal::open(&path, &CHAIN, &[4; 32], true);
        assert!(matches!(rotated, Err(JournalError::OtherKey { key: KEY, .. })));
    }

    #[test]
    fn an_empty_or_cut_journal_is_damage_and_not_a_new_one() {
        let (_folder, path, journal) = fresh();
        drop(journal);
        let whole = std::fs::read(&path).unwrap();
        for length in 0..HEADER_LEN {
            std::fs::write(&path, &whole[..length]).unwrap();
            let refused = Journal::open(&path, &CHAIN, &KEY, true);
            assert!(matches!(refused, Err(JournalError::Corrupt { offset: 0, .. })), "{length}");
            assert_eq!(std::fs::metadata(&path).unwrap().len(), length as u64, "left as it was");
        }
    }

    #[test]
    fn a_failed_write_is_followed_by_no_signature() {
        let (_folder, path, mut journal) = fresh();
        journal.admit(&intent(3, 0, Kind::Prevote, 1)).unwrap();
        // Every write to this device fails for want of space.
        journal.file = OpenOptions::new().write(true).open("/dev/full").unwrap();
        let failed = journal.admit(&intent(3, 0, Kind::Precommit, 1));
        assert!(matches!(failed, Err(JournalError::Io { .. })), "{failed:?}");
        // The disk has room again; what the file holds is not known, so nothing is signed, old or new.
        journal.file = OpenOptions::new().append(true).open(&path).unwrap();
        for again in [intent(3, 0, Kind::Prevote, 1), intent(3, 0, Kind::Precommit, 1), intent(4, 0, Kind::Prevote, 1)]
        {
            assert!(matches!(journal.admit(&again), Err(JournalError::Poisoned(_))));
        }
        assert!(matches!(journal.abstain_through(9), Err(JournalError::Poisoned(_))));
        open(&path).unwrap().admit(&intent(3, 0, Kind::Precommit, 2)).unwrap();
    }

    #[test]
    fn looking_tells_conflicts_and_a_torn_end_and_changes_nothing() {
        let (_folder, path, mut journal) = fresh();
        assert_eq!(inspect(Path::new("/nowhere/journal"), &CHAIN, &KEY).unwrap(), None);
        journal.admit(&intent(8, 0, Kind::Prevote, 1)).unwrap();
        journal.admit(&intent(9, 0, Kind::Prevote, 1)).unwrap();
        let mut bytes = std::fs::read(&path).unwrap();
        bytes.extend(encode(&intent(8, 0, Kind::Prevote, 2)));
        bytes.extend([0; 5]);
        std::fs::write(&path, &bytes).unwrap();
        let contents = inspect(&path, &CHAIN, &KEY).unwrap().unwrap();
        let expected =
            Contents { records: 3, newest: 9, abstain: None, torn: true, conflicts: vec![(8, 0, Kind::Prevote)] };
        assert_eq!(contents, expected);
        assert_eq!(std::fs::read(&path).unwrap(), bytes);
    }

    #[test]
    fn opening_compacts_to_the_newest_height() {
        let (_folder, path, mut journal) = fresh();
        for height in 1..50 {
            journal.admit(&intent(height, 0, Kind::Precommit, 1)).unwrap();
        }
        drop(journal);
        open(&path).unwrap();
        let length = std::fs::metadata(&path).unwrap().len();
        assert_eq!(length as usize, HEADER_LEN + RECORD_LEN);
    }
}
