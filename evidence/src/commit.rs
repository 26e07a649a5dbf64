//! Votes and commit certificates: what makes a block final.

use crate::codec::{Bytes, Format};
use crate::format_tag;
use crate::hash::{Hash32, tag};
use crate::ids::{Height, OrgId};
use crate::keys::verify_ed25519;
use crate::validators::{MAX_VALIDATORS, ValidatorSet};
use minicbor::{Decode, Encode};
use thiserror::Error;

format_tag!(
    /// Tag of a commit certificate.
    CommitTag = "qz/commit-certificate/v1"
);

/// Type byte of a vote.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum VoteType {
    /// First vote of a round; never in a certificate.
    Prevote = 1,
    /// Second vote of a round; more than two thirds of them make a block final.
    Precommit = 2,
}

/// The bytes that a validator signs: `"qz/vote/v1" ‖ chain id ‖ type ‖ height (8, BE) ‖ round (8, BE,
/// signed) ‖ 0x01 ‖ block id ‖ address`; a nil vote has 0x00 and no block id.
pub fn vote_message(
    chain_id: &Hash32, vote: VoteType, height: Height, round: i64, block_id: Option<&Hash32>, address: &Hash32,
) -> Vec<u8> {
    let mut message = Vec::with_capacity(128);
    message.extend_from_slice(tag::VOTE);
    message.extend_from_slice(&chain_id.0);
    message.push(vote as u8);
    message.extend_from_slice(&height.0.to_be_bytes());
    message.extend_from_slice(&round.to_be_bytes());
    match block_id {
        None => message.push(0),
        Some(id) => {
            message.push(1);
            message.extend_from_slice(&id.0);
        }
    }
    message.extend_from_slice(&address.0);
    message
}

/// One validator's precommit.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct CommitSignature {
    /// The validator's address.
    #[n(0)]
    pub address: Hash32,
    /// Its signature (64 bytes) over [`vote_message`].
    #[n(1)]
    pub signature: Bytes,
}

/// Precommits of one height, round and block, ascending by address.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct CommitCertificate {
    /// Format tag.
    #[n(0)]
    pub tag: CommitTag,
    /// The height.
    #[n(1)]
    pub height: Height,
    /// The round, from 0.
    #[n(2)]
    pub round: u32,
    /// The block.
    #[n(3)]
    pub block_id: Hash32,
    /// The signatures.
    #[n(4)]
    pub signatures: Vec<CommitSignature>,
}

impl Format for CommitCertificate {
    const NAME: &'static str = "commit certificate";
    const MAX_BYTES: usize = 32 * 1024;
}

/// Why a commit certificate proves nothing.
#[derive(Debug, Error, PartialEq, Eq)]
pub enum CommitError {
    /// It is for another height.
    #[error("the certificate is for height {found}, not {expected}")]
    Height {
        /// The certificate's.
        found: Height,
        /// The header's.
        expected: Height,
    },
    /// It is for another block.
    #[error("the certificate is for block {found}, not {expected}")]
    Block {
        /// The certificate's.
        found: Hash32,
        /// The header's.
        expected: Hash32,
    },
    /// Addresses are not strictly ascending, so one may stand twice.
    #[error("signatures are not in ascending order of unique addresses")]
    Order,
    /// A signer is not in the validator set.
    #[error("{0} is not a validator of this height")]
    UnknownValidator(Hash32),
    /// A signature does not verify.
    #[error("the signature of validator {0} ({1}) does not verify")]
    Signature(Hash32, OrgId),
    /// Too little power signed.
    #[error("only {signed} of {total} voting power signed; more than two thirds are needed")]
    Power {
        /// Power that signed.
        signed: u64,
        /// Power of the set.
        total: u64,
    },
}

impl CommitCertificate {
    /// A certificate with its signatures in canonical order.
    pub fn new(height: Height, round: u32, block_id: Hash32, mut signatures: Vec<CommitSignature>) -> Self {
        signatures.sort_by_key(|s| s.address);
        Self { tag: CommitTag, height, round, block_id, signatures }
    }

    /// Checks that more than two thirds of `set` finalised this block; gives the organisations that did.
    pub fn verify(
        &self, chain_id: &Hash32, height: Height, block_id: &Hash32, set: &ValidatorSet,
    ) -> Result<Vec<OrgId>, CommitError> {
        if self.height != height {
            return Err(CommitError::Height { found: self.height, expected: height });
        }
        if self.block_id != *block_id {
            return Err(CommitError::Block { found: self.block_id, expected: *block_id });
        }
        let ascending = self.signatures.windows(2).all(|pair| pair[0].address < pair[1].address);
        if !ascending || self.signatures.len() > MAX_VALIDATORS {
            return Err(CommitError::Order);
        }
        let mut signed = 0;
        let mut organisations = vec![];
        for CommitSignature { address, signature } in &self.signatures {
            let validator = set.by_address(address).ok_or(CommitError::UnknownValidator(*address))?;
            let message =
                vote_message(chain_id, VoteType::Precommit, height, i64::from(self.round), Some(block_id), address);
            let verified = <[u8; 64]>::try_from(&signature[..])
                .is_ok_and(|signature| verify_ed25519(&validator.key.0, &message, &signature));
            if !verified {
                return Err(CommitError::Signature(*address, validator.organisation.clone()));
            }
            signed += validator.power;
            organisations.push(validator.organisation.clone());
        }
        let total = set.total_power();
        if 3 * u128::from(signed) <= 2 * u128::from(total) {
            return Err(CommitError::Power { signed, total });
        }
        organisations.sort();
        organisations.dedup();
        Ok(organisations)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::validators::Validator;
    use ed25519_dalek::{Signer, SigningKey};

    const CHAIN: Hash32 = Hash32([5; 32]);
    const BLOCK: Hash32 = Hash32([6; 32]);
    const HEIGHT: Height = Height(9);

    fn keys() -> Vec<SigningKey> {
        (1..=4).map(|i| SigningKey::from_bytes(&[i; 32])).collect()
    }

    fn set() -> ValidatorSet {
        let names = ["arbitration", "court", "notary", "platform"];
        let validators = keys().into_iter().zip(names).map(|(key, name)| Validator {
            organisation: OrgId::new(name).unwrap(),
            key: Hash32(key.verifying_key().to_bytes()),
            power: 1,
        });
        ValidatorSet::new(validators.collect()).unwrap()
    }

    fn vote(key: &SigningKey, vote: VoteType, height: Height, round: i64, chain: &Hash32) -> CommitSignature {
        let address = crate::validators::address(&Hash32(key.verifying_key().to_bytes()));
        let message = vote_message(chain, vote, height, round, Some(&BLOCK), &address);
        CommitSignature { address, signature: Bytes(key.sign(&message).to_bytes().to_vec()) }
    }

    fn precommits(n: usize) -> Vec<CommitSignature> {
        keys().iter().take(n).map(|key| vote(key, VoteType::Precommit, HEIGHT, 0, &CHAIN)).collect()
    }

    fn check(signatures: Vec<CommitSignature>) -> Result<Vec<OrgId>, CommitError> {
        CommitCertificate::new(HEIGHT, 0, BLOCK, signatures).verify(&CHAIN, HEIGHT, &BLOCK, &set())
    }

    #[test]
    fn more_than_two_thirds_are_needed() {
        assert_eq!(check(precommits(4)).unwrap().len(), 4);
        assert_eq!(check(precommits(3)).unwrap().len(), 3);
        assert_eq!(check(precommits(2)), Err(CommitError::Power { signed: 2, total: 4 }));
        // Exactly two thirds of a set of three is not enough.
        let three = ValidatorSet::new(set().validators()[..3].to_vec()).unwrap();
        let two = three.validators()[..2].iter().map(|v| {
            let key = keys().into_iter().find(|k| k.verifying_key().to_bytes() == v.key.0).unwrap();
            vote(&key, VoteType::Precommit, HEIGHT, 0, &CHAIN)
        });
        let certificate = CommitCertificate::new(HEIGHT, 0, BLOCK, two.collect());
        assert!(matches!(certificate.verify(&CHAIN, HEIGHT, &BLOCK, &three), Err(CommitError::Power { .. })));
    }

    #[test]
    fn votes_of_another_meaning_are_refused() {
        let key = &keys()[2];
        let wrong = [
            vote(key, VoteType::Prevote, HEIGHT, 0, &CHAIN),
            vote(key, VoteType::Precommit, Height(8), 0, &CHAIN),
            vote(key, VoteType::Precommit, HEIGHT, 1, &CHAIN),
            vote(key, VoteType::Precommit, HEIGHT, 0, &Hash32([0; 32])),
        ];
        for signature in wrong {
            let signatures = [precommits(2), vec![signature]].concat();
            assert!(matches!(check(signatures), Err(CommitError::Signature(..))));
        }
    }

    #[test]
    fn duplicates_and_strangers_are_refused() {
        let twice = [precommits(3), precommits(1)].concat();
        assert_eq!(check(twice), Err(CommitError::Order));
        let stranger = vote(&SigningKey::from_bytes(&[99; 32]), VoteType::Precommit, HEIGHT, 0, &CHAIN);
        assert!(matches!(check([precommits(3), vec![stranger]].concat()), Err(CommitError::UnknownValidator(_))));
    }
}
