//! What can go wrong with the store.

use qz_evidence::{Hash32, Height, SubjectId};
use std::path::PathBuf;
use thiserror::Error;

/// What the system says when the disk is full; RocksDB passes it on in words only.
const NO_SPACE: &str = "No space left on device";

/// Errors of the store.
#[derive(Debug, Error)]
pub enum StoreError {
    /// The database cannot be opened.
    #[error("the database in {path} cannot be opened")]
    Open {
        /// Its folder.
        path: PathBuf,
        /// RocksDB's words.
        #[source]
        source: rocksdb::Error,
    },
    /// The write-ahead log is damaged before its end, so final blocks may be missing. Nothing was changed.
    /// Opening with [`crate::Recovery::AcceptLoss`] keeps what precedes the damage; the node must then
    /// fetch the rest from its peers before it votes.
    #[error("the write-ahead log in {path} is damaged")]
    WriteAheadLog {
        /// The database's folder.
        path: PathBuf,
        /// RocksDB's words.
        #[source]
        source: rocksdb::Error,
    },
    /// There is no ledger to look at.
    #[error("there is no ledger in {path}")]
    NoLedger {
        /// The folder.
        path: PathBuf,
    },
    /// Files of a database without the one that says which count: opening it would begin an empty one in
    /// their place.
    #[error("the database in {path} has lost its file CURRENT")]
    Headless {
        /// The database's folder.
        path: PathBuf,
    },
    /// The file that says which tables count has lost its end: opening the database would delete tables.
    #[error("the manifest of the database in {path} has lost its end: {reason}")]
    Manifest {
        /// The database's folder.
        path: PathBuf,
        /// How that shows.
        reason: &'static str,
    },
    /// RocksDB failed.
    #[error("the database failed to {action}")]
    Database {
        /// What it was doing.
        action: &'static str,
        /// RocksDB's words.
        #[source]
        source: rocksdb::Error,
    },
    /// Something that must be there is not, or cannot be decoded. Stop the node and restore or refetch.
    #[error("the database is damaged at {family}/{key}: {reason}")]
    Corrupt {
        /// The column family.
        family: &'static str,
        /// The key, in hexadecimal.
        key: String,
        /// What is wrong.
        reason: String,
    },
    /// The folder holds another ledger.
    #[error("the database in {path} belongs to ledger {found}, not to {expected}")]
    OtherLedger {
        /// The database's folder.
        path: PathBuf,
        /// Its chain id.
        found: Hash32,
        /// The genesis' chain id.
        expected: Hash32,
    },
    /// A block was skipped.
    #[error("block {given} cannot follow block {tip}")]
    Gap {
        /// The last block.
        tip: Height,
        /// The one given.
        given: Height,
    },
    /// Changes, block and certificate do not belong together, or not on top of this ledger.
    #[error("block {height} does not fit: {reason}")]
    Mismatch {
        /// The height.
        height: Height,
        /// What does not fit.
        reason: &'static str,
    },
    /// A proof was asked for a record that the ledger does not have.
    #[error("there is no record {0}")]
    UnknownRecord(Hash32),
    /// A proof was asked under a block before the record.
    #[error("record {record} of block {recorded} cannot be proved under the older block {head}")]
    RecordAfterHead {
        /// The record.
        record: Hash32,
        /// Its block.
        recorded: Height,
        /// The head asked for.
        head: Height,
    },
    /// There is no final block of this height (none at all, if 0).
    #[error("there is no final block {0} to prove anything under")]
    NoSuchHead(Height),
    /// States of this height are pruned.
    #[error("the state of height {height} is pruned; the oldest kept is {oldest}")]
    Pruned {
        /// The height asked for.
        height: Height,
        /// The oldest kept.
        oldest: Height,
    },
    /// More records than one bundle may prove.
    #[error("{found} records were asked for, a proof covers at most {limit}")]
    TooManyRecords {
        /// Asked for.
        found: usize,
        /// Allowed.
        limit: usize,
    },
    /// A part of a history that does not exist.
    #[error(
        "subject {subject} has {records} records, numbered from 0, as of that block; {from} to {to} are not among them"
    )]
    HistoryRange {
        /// The subject.
        subject: SubjectId,
        /// Its records.
        records: u64,
        /// First one asked for.
        from: u64,
        /// Last one asked for.
        to: u64,
    },
    /// More than one bundle can hold.
    #[error("the history from {from} to {to} does not fit one proof, {from} to {fits} does: ask for it in parts")]
    HistoryTooLarge {
        /// First record asked for.
        from: u64,
        /// Last record asked for.
        to: u64,
        /// Last record that fits.
        fits: u64,
    },
    /// The state tree gave no proof.
    #[error("the state of subject {subject} cannot be proved")]
    StateProof {
        /// The subject.
        subject: SubjectId,
        /// Why.
        #[source]
        source: qz_chain::ViewError,
    },
    /// A block could not be executed again, for no fault of its own.
    #[error("block {height} cannot be executed again")]
    Replay {
        /// Its height.
        height: Height,
        /// Why.
        #[source]
        source: qz_chain::ViewError,
    },
    /// The state could not be read.
    #[error("the state of the ledger cannot be read")]
    State(#[source] qz_chain::ViewError),
    /// The genesis gave no state.
    #[error("the state of the genesis cannot be computed")]
    Genesis(#[source] qz_chain::ViewError),
}

impl StoreError {
    /// Is the database itself damaged, so that it must be repaired or fetched again? Neither a full disk nor
    /// a database in use is damage.
    pub fn is_damage(&self) -> bool {
        match self {
            Self::WriteAheadLog { .. } | Self::Headless { .. } | Self::Manifest { .. } | Self::Corrupt { .. } => true,
            Self::Open { source, .. } | Self::Database { source, .. } => {
                let words = source.to_string();
                !words.contains(NO_SPACE) && !words.contains("lock file") && !words.contains("lock hold")
            }
            _ => false,
        }
    }

    /// Did the disk have no room?
    pub fn is_disk_full(&self) -> bool {
        match self {
            Self::Open { source, .. } | Self::Database { source, .. } | Self::WriteAheadLog { source, .. } => {
                source.to_string().contains(NO_SPACE)
            }
            _ => false,
        }
    }

    /// For `map_err`.
    pub(crate) fn database(action: &'static str) -> impl FnOnce(rocksdb::Error) -> Self {
        move |source| Self::Database { action, source }
    }

    /// A damaged entry.
    pub(crate) fn corrupt(family: &'static str, key: &[u8], reason: impl ToString) -> Self {
        Self::Corrupt { family, key: hex::encode(key), reason: reason.to_string() }
    }
}
