//! Epochs and members: who decided which height, who hands over to whom, and who belongs to the consortium.
//!
//! Nothing of this is ever forgotten: a commit of any age can be verified, and every bundle carries the
//! hand-overs from the genesis on.

use crate::error::StoreError;
use crate::keys;
use crate::read::StoreView;
use qz_chain::governance::{Replay, pending_upgrade, replay};
use qz_chain::{Member, Upgrade};
use qz_evidence::bundle::HandOver;
use qz_evidence::codec::Bytes;
use qz_evidence::validators::ValidatorSet;
use qz_evidence::{Height, OrgId, decode_strict, encode};

/// The heights that one validator set decides.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Epoch {
    /// Its number, from 0.
    pub number: u64,
    /// Its first height.
    pub first: Height,
    /// Its validators.
    pub validators: ValidatorSet,
}

impl StoreView<'_> {
    /// Members, present and former, ascending by id.
    pub fn members(&self) -> Result<Vec<Member>, StoreError> {
        let member = |entry: Result<(Vec<u8>, Vec<u8>), StoreError>| {
            let (key, bytes) = entry?;
            decode_member(&key, &bytes)
        };
        self.scan(keys::ORGANISATIONS, &[]).map(member).collect()
    }

    /// One of them.
    pub fn member(&self, id: &OrgId) -> Result<Option<Member>, StoreError> {
        let key = id.as_str().as_bytes();
        self.get(keys::ORGANISATIONS, key)?.map(|bytes| decode_member(key, &bytes)).transpose()
    }

    /// The upgrade that has not taken effect yet.
    pub fn pending_upgrade(&self) -> Result<Option<Upgrade>, StoreError> {
        pending_upgrade(self).map_err(StoreError::State)
    }

    /// Which recorded submissions count against replays at the next height.
    pub(crate) fn replay(&self) -> Result<Replay, StoreError> {
        replay(self).map_err(StoreError::State)
    }

    /// The epoch of the height after the tip.
    pub fn next_epoch(&self) -> Result<u64, StoreError> {
        let tip = self.tip_header()?;
        Ok(tip.epoch + u64::from(tip.next_validators_hash != tip.validators_hash))
    }

    /// An epoch that has begun, or begins at the next height.
    pub fn epoch(&self, number: u64) -> Result<Option<Epoch>, StoreError> {
        if number > self.next_epoch()? {
            return Ok(None);
        }
        let key = keys::epoch(number);
        let bytes = self.must(keys::EPOCHS, &key)?;
        let corrupt = |reason: &dyn std::fmt::Display| StoreError::corrupt(keys::EPOCHS, &key, reason);
        let (first, set) = bytes.split_at_checked(8).ok_or_else(|| corrupt(&"too short"))?;
        let first = keys::height_from(first).ok_or_else(|| corrupt(&"no height"))?;
        let validators: ValidatorSet = decode_strict(set).map_err(|error| corrupt(&error))?;
        if !validators.is_well_formed() {
            return Err(corrupt(&"not a valid set of validators"));
        }
        Ok(Some(Epoch { number, first, validators }))
    }

    /// The validators that decide a height; nothing above the next height.
    pub fn validators_of(&self, height: Height) -> Result<Option<ValidatorSet>, StoreError> {
        let (number, expected) = match self.header(height)? {
            Some(header) => (header.epoch, header.validators_hash),
            None if height == self.tip_height().next() => (self.next_epoch()?, self.tip_header()?.next_validators_hash),
            None => return Ok(None),
        };
        let epoch = self.epoch(number)?;
        match epoch {
            Some(epoch) if epoch.validators.hash() == expected => Ok(Some(epoch.validators)),
            _ => {
                let reason = "the header names another validator set than the stored one of its epoch";
                Err(StoreError::corrupt(keys::EPOCHS, &keys::epoch(number), reason))
            }
        }
    }

    /// The hand-overs that lead from epoch `from` to that of the block `head`, with their paths in its
    /// history.
    pub fn hand_overs(&self, from: u64, head: Height) -> Result<Vec<HandOver>, StoreError> {
        let to = self.header(head)?.ok_or(StoreError::NoSuchHead(head))?.epoch;
        (from..to).map(|epoch| self.hand_over(epoch, head)).collect()
    }

    /// From this epoch to the next.
    fn hand_over(&self, epoch: u64, head: Height) -> Result<HandOver, StoreError> {
        let missing = || StoreError::corrupt(keys::EPOCHS, &keys::epoch(epoch + 1), "missing");
        let next = self.epoch(epoch + 1)?.ok_or_else(missing)?;
        let last = Height(next.first.0.checked_sub(1).ok_or_else(missing)?);
        let header = self.header_bytes(last)?.ok_or(StoreError::NoSuchHead(last))?;
        let commit = self.commit_bytes(last)?.ok_or(StoreError::NoSuchHead(last))?;
        Ok(HandOver {
            header: Bytes(header),
            commit: Bytes(commit),
            next: Bytes(encode(&next.validators)),
            history_path: self.history_path(last, head)?,
        })
    }
}

fn decode_member(key: &[u8], bytes: &[u8]) -> Result<Member, StoreError> {
    let member = Member::from_bytes(bytes).map_err(|error| StoreError::corrupt(keys::ORGANISATIONS, key, error))?;
    if member.id().as_str().as_bytes() != key {
        return Err(StoreError::corrupt(keys::ORGANISATIONS, key, "holds another organisation"));
    }
    Ok(member)
}
