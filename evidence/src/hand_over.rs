//! From the validators of the genesis to those of a later block: each epoch's last header names the next
//! set and is signed by the one before. Used by the verification of bundles and by whoever checks a single
//! header; what the header says otherwise is not looked at here.

use crate::bundle::HandOver;
use crate::codec::{CodecError, decode_strict};
use crate::commit::{CommitCertificate, CommitError};
use crate::hash::Hash32;
use crate::header::{Header, block_id};
use crate::history;
use crate::ids::Height;
use crate::validators::ValidatorSet;
use thiserror::Error;

/// Why hand-overs do not lead to a block.
#[derive(Debug, PartialEq, Eq, Error)]
pub enum HandOverError {
    /// One of them does not hold.
    #[error("hand-over {number}: {fault}")]
    Invalid {
        /// Which, from 0.
        number: usize,
        /// Why.
        fault: HandOverFault,
    },
    /// They lead to another set than the block's.
    #[error("the head block's validator set is not the one handed over (a hand-over is missing or forged)")]
    OtherSet,
}

/// What is wrong with a hand-over.
#[derive(Debug, PartialEq, Eq, Error)]
pub enum HandOverFault {
    /// Not in its canonical form.
    #[error(transparent)]
    Codec(#[from] CodecError),
    /// Its header is of another ledger, epoch or set.
    #[error("it does not continue the epoch before it")]
    Epoch,
    /// Not above the one before, or not below the block.
    #[error("its height is out of order")]
    Height,
    /// Its header is not final.
    #[error(transparent)]
    Commit(#[from] CommitError),
    /// The set is another than its header names, or none.
    #[error("the next validator set is not the one that the header names")]
    Next,
    /// Its header keeps the set.
    #[error("its header hands nothing over: the epoch goes on")]
    Nothing,
    /// Its header is no ancestor of the block.
    #[error("its header is not in the head block's history")]
    History,
}

/// The validators that decide the block `head` of the ledger `chain_id`, as `hand_overs` prove it from those
/// of the genesis on: one for each epoch before the block's, ascending.
pub fn validators_of(
    chain_id: &Hash32, genesis: &ValidatorSet, hand_overs: &[HandOver], head: &Header,
) -> Result<ValidatorSet, HandOverError> {
    let mut set = genesis.clone();
    let mut last = None;
    for (number, hand_over) in hand_overs.iter().enumerate() {
        let (next, height) = step(chain_id, &set, number as u64, hand_over, last, head)
            .map_err(|fault| HandOverError::Invalid { number, fault })?;
        (set, last) = (next, Some(height));
    }
    if head.epoch != hand_overs.len() as u64 || head.validators_hash != set.hash() {
        return Err(HandOverError::OtherSet);
    }
    Ok(set)
}

/// One hand-over: the set that follows, and the height of its header.
fn step(
    chain_id: &Hash32, set: &ValidatorSet, epoch: u64, hand_over: &HandOver, last: Option<Height>, head: &Header,
) -> Result<(ValidatorSet, Height), HandOverFault> {
    let header: Header = decode_strict(&hand_over.header)?;
    let commit: CommitCertificate = decode_strict(&hand_over.commit)?;
    let next: ValidatorSet = decode_strict(&hand_over.next)?;
    if header.chain_id != *chain_id || header.epoch != epoch || header.validators_hash != set.hash() {
        return Err(HandOverFault::Epoch);
    }
    if last.is_some_and(|last| header.height <= last) || header.height >= head.height {
        return Err(HandOverFault::Height);
    }
    commit.verify(chain_id, header.height, &block_id(&hand_over.header), set)?;
    if !next.is_well_formed() || next.hash() != header.next_validators_hash {
        return Err(HandOverFault::Next);
    }
    if header.next_validators_hash == header.validators_hash {
        return Err(HandOverFault::Nothing);
    }
    let leaf = history::leaf_hash(&hand_over.header);
    let root = history::root_from_path(&leaf, header.height.0, head.history_size, &hand_over.history_path);
    if root != Some(head.history_root) {
        return Err(HandOverFault::History);
    }
    Ok((next, header.height))
}
