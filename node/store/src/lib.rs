//! The node's ledger on disk: blocks, records, subjects, the state tree and the history, in one RocksDB.
//!
//! This crate is the only user of RocksDB. It writes what `qz-chain` computes and never decides a rule;
//! committing checks no certificate's signatures (the consensus driver does; [`Store::inspect`] checks all). One block is one synced,
//! atomic write batch ([`Store::commit`]); a [`StoreView`] is a consistent picture of one height.
//! Damage is never read as absence: what must be there and is not is a [`StoreError::Corrupt`].

mod commit;
mod consensus;
mod error;
pub mod failpoint;
mod governance;
mod history;
mod inspect;
mod keys;
mod node_cache;
mod open;
mod proof;
mod prune;
mod read;
mod recent;
mod snapshot;
mod view;

pub use error::StoreError;
pub use governance::Epoch;
pub use history::HistoryRange;
pub use inspect::{Finding, Findings, Inspection, Progress};
pub use keys::KeyValue;
pub use open::{Recovery, Store};
pub use read::{StoreView, StoredRecord};
pub use snapshot::{SnapshotError, SnapshotInfo};
