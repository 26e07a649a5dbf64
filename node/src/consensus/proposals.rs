//! Proposals of the height in progress, durable before the engine hears of them: the block, for
//! which rounds it was proposed, and the verdict on it.
//!
//! A verdict is final. Only valid blocks are ever handed to the engine: a block that is refused here
//! is treated as if it had not arrived (the engine then votes nil), because a certificate on a value
//! that was called invalid would block the engine for good.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use borsh::{BorshDeserialize, BorshSerialize};
use malachitebft_app_channel::app::types::ProposedValue;
use malachitebft_core_types::Round;

use super::context::{BlockId, Ctx, Height};
use crate::ledger::{Ledger, LedgerError};

/// Verdict on the exact bytes of a proposed block.
#[derive(Clone, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub(crate) enum Verdict {
    /// Executes on its parent to the roots in its header.
    Valid,
    /// Its time was not within the bound of this validator's clock when it arrived. May still be
    /// decided: with a proof-of-lock or a certificate the time is not looked at.
    Untimely,
    /// Breaks a rule.
    Refused(String),
}

/// The store's scratch area, seen as proposals.
#[derive(Clone, Debug)]
pub(crate) struct Proposals {
    ledger: Arc<Ledger>,
    /// Everything below this height is forgotten, so that nobody looks there again.
    forgotten: Arc<AtomicU64>,
}

/// What a scratch key leads to; heights come first in the key so that a range ends a height.
#[derive(Copy, Clone)]
enum Area {
    Block = 0,
    Proposed = 1,
    Verdict = 2,
}

fn prefix(height: Height, area: Area) -> Vec<u8> {
    let mut key = height.0.to_be_bytes().to_vec();
    key.push(area as u8);
    key
}

fn block_key(height: Height, id: &BlockId) -> Vec<u8> {
    [prefix(height, Area::Block), id.0.to_vec()].concat()
}

fn round_prefix(height: Height, round: Round) -> Vec<u8> {
    [prefix(height, Area::Proposed), round.as_i64().to_be_bytes().to_vec()].concat()
}

fn verdict_key(height: Height, bytes: &[u8]) -> Vec<u8> {
    [prefix(height, Area::Verdict), blake3::hash(bytes).as_bytes().to_vec()].concat()
}

impl Proposals {
    /// The proposals kept in `ledger`'s store.
    pub(crate) fn new(ledger: Arc<Ledger>) -> Self {
        Self { ledger, forgotten: Arc::default() }
    }

    /// Persists a valid block and the proposal that names it; synced on return.
    pub(crate) fn save(&self, proposed: &ProposedValue<Ctx>, block: &[u8]) -> Result<(), LedgerError> {
        let height = proposed.height;
        let proposed_key = [round_prefix(height, proposed.round), proposed.value.id.0.to_vec()].concat();
        self.ledger.scratch_put(&[
            (block_key(height, &proposed.value.id), block.to_vec()),
            (proposed_key, to_bytes(proposed)),
            (verdict_key(height, block), to_bytes(&Verdict::Valid)),
        ])
    }

    /// Persists a verdict other than valid; synced on return.
    pub(crate) fn refuse(&self, height: Height, block: &[u8], verdict: &Verdict) -> Result<(), LedgerError> {
        self.ledger.scratch_put(&[(verdict_key(height, block), to_bytes(verdict))])
    }

    /// The verdict on these bytes, if one was made.
    pub(crate) fn verdict(&self, height: Height, block: &[u8]) -> Result<Option<Verdict>, LedgerError> {
        self.ledger.scratch_get(&verdict_key(height, block))?.map(|bytes| from_bytes(&bytes)).transpose()
    }

    /// The valid block of this id, if it is here.
    pub(crate) fn block(&self, height: Height, id: &BlockId) -> Result<Option<Vec<u8>>, LedgerError> {
        self.ledger.scratch_get(&block_key(height, id))
    }

    /// All valid proposals for a round.
    pub(crate) fn of_round(&self, height: Height, round: Round) -> Result<Vec<ProposedValue<Ctx>>, LedgerError> {
        self.ledger.scratch_scan(&round_prefix(height, round))?.iter().map(|(_, bytes)| from_bytes(bytes)).collect()
    }

    /// Forgets everything up to and including a height.
    pub(crate) fn forget_through(&self, height: Height) -> Result<(), LedgerError> {
        let end = height.0.saturating_add(1);
        let from = self.forgotten.load(Ordering::Relaxed);
        self.ledger.scratch_delete(&from.to_be_bytes(), &end.to_be_bytes())?;
        self.forgotten.fetch_max(end, Ordering::Relaxed);
        Ok(())
    }
}

fn to_bytes<T: BorshSerialize>(value: &T) -> Vec<u8> {
    borsh::to_vec(value).expect("writing to memory cannot fail")
}

fn from_bytes<T: BorshDeserialize>(bytes: &[u8]) -> Result<T, LedgerError> {
    T::try_from_slice(bytes).map_err(|source| LedgerError::Scratch { source })
}
