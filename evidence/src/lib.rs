//! Formats, hashing, trees and verification of Qizheng evidence.
//!
//! This crate is the leaf of the workspace: everything that a stranger needs to check a proof years
//! later, and nothing else. It has no disk, no network, no clock, no randomness and no async, and it
//! builds for `wasm32-unknown-unknown`. Every byte format is described in `docs/SPEC.md` and frozen by
//! the golden vectors in `evidence/vectors/`.
//!
//! What is absent on purpose: the rules of the ledger (crate `qz-chain`), storage, signing keys at
//! rest, and any trust decision. Trust inputs (the genesis document above all) come from the caller.

pub mod batch;
pub mod bundle;
pub mod checkpoint;
pub mod codec;
pub mod commit;
pub mod commitment;
pub mod ed25519;
pub mod genesis;
pub mod governance;
pub mod hand_over;
pub mod hash;
pub mod header;
pub mod history;
pub mod ids;
pub mod keys;
mod known_keys;
pub mod note;
pub mod ocsp;
pub mod payload;
pub mod policy;
pub mod record;
pub mod records_tree;
pub mod retrieval;
pub mod revocation;
pub mod signed_data;
pub mod state_proof;
pub mod submission;
pub mod timestamp;
pub mod validators;
pub mod verify;
pub mod x509;

pub use codec::{CodecError, decode_strict, encode};
pub use hash::Hash32;
pub use ids::{EventId, Height, OrgId, SubjectId, SubmissionId};
