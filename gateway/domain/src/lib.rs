//! The gateway's rules and texts: what each operation says on the ledger, which request a contract
//! admits in which state, and what a proof says about a contract.
//!
//! Pure: no clock, no randomness, no disk, no network; times and salts are passed in. The ledger has
//! rules of its own and the last word; the ones here refuse early and in plain words.

pub mod compose;
pub mod contract;
pub mod identity;
pub mod operation;
pub mod proven;
pub mod publication;
pub mod refusal;

pub use refusal::{Blame, Refusal};
