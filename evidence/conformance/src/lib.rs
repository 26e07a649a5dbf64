//! Vectors for verifiers of evidence: files that must be accepted, and attacks that must be refused, each
//! with the step of `docs/SPEC.md` §11 that refuses it. Deterministic: the same bytes on every run.
//!
//! The ledgers behind them are made from the formats alone, by keys that everybody knows; members acting
//! together sign whatever the attack needs. Nothing here verifies.
#![allow(clippy::unwrap_used)] // A tool for tests: what it makes is made of constants.

#[path = "../../tests/ledger/mod.rs"]
mod ledger;

mod algorithms;
mod anchors;
mod answers;
pub mod attacks;
mod between;
mod bundles;
pub mod c2sp;
mod documents;
mod encoding;
mod epochs;
mod pdf;
mod records;
mod relays;
mod scene;
mod signing;
mod sm2;
mod updates;
mod vector;

pub use scene::{SealHistory, seal_history};
pub use vector::{Expect, Outcome, Vector};

/// All vectors, each name once.
pub fn all() -> Vec<Vector> {
    let mut all = vec![];
    all.extend(bundles::vectors());
    all.extend(encoding::vectors());
    all.extend(epochs::vectors());
    all.extend(records::vectors());
    all.extend(relays::vectors());
    all.extend(documents::vectors());
    all.extend(signing::vectors());
    all.extend(between::vectors());
    all.extend(sm2::documents());
    all.extend(updates::vectors());
    all.extend(anchors::vectors());
    all
}
