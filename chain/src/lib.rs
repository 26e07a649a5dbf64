//! The rules of the ledger: what a submission may do to the state, and how a block of submissions
//! becomes a header, records and a new state.
//!
//! Everything here is a pure function of its arguments. There is no disk, network, clock, randomness or
//! async: [`execute()`] reads through a [`View`] and gives back a [`ChangeSet`], which the node's store
//! writes in one atomic batch. Byte formats of records, headers and proofs live in `qz-evidence`; who
//! decides blocks and when is the node's business.

pub mod block;
pub mod changes;
pub mod execute;
pub mod generations;
pub mod genesis;
pub mod governance;
pub mod memory;
mod overlay;
pub mod proof;
pub mod reject;
mod rules;
pub mod state;
pub mod tree;
pub mod verified;
pub mod view;

pub use block::Block;
pub use changes::{ChangeSet, NewRecord, ReplayEntry};
pub use execute::{Admission, Admitted, BlockError, ExecuteError, Proposed, Refusal, admit, execute, propose};
pub use genesis::genesis_state;
pub use governance::{Member, SUPPORTED_PROTOCOL, UnsupportedProtocol, Upgrade, pending_upgrade};
pub use memory::MemoryView;
pub use proof::state_proof;
pub use reject::Reject;
pub use state::{Subject, SubjectState};
pub use verified::Verified;
pub use view::{View, ViewError};
