//! The engine's `Context`: heights, addresses, values, proposals, votes and validator sets.
//!
//! A value is a block id only (`ProposalAndParts` mode: the block itself travels as proposal
//! parts). What is signed for a vote is defined by `qz-evidence`, because offline verifiers rebuild
//! it; what is signed for a proposal never leaves the engine and is defined here.

use std::fmt;

use borsh::{BorshDeserialize, BorshSerialize};
use malachitebft_core_types::{
    self as core, LinearTimeouts, NilOrVal, Round, SignedExtension, SigningScheme, VoteType,
};
use qz_evidence::hash::tag;
use qz_evidence::{Hash32, commit};

/// Height of a block; the first decided block is 1, genesis is 0.
#[derive(Copy, Clone, Default, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, BorshSerialize, BorshDeserialize)]
pub struct Height(pub u64);

impl fmt::Display for Height {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl core::Height for Height {
    const ZERO: Self = Height(0);
    const INITIAL: Self = Height(1);

    fn increment_by(&self, n: u64) -> Self {
        Height(self.0.saturating_add(n))
    }

    fn decrement_by(&self, n: u64) -> Option<Self> {
        self.0.checked_sub(n).map(Height)
    }

    fn as_u64(&self) -> u64 {
        self.0
    }
}

/// Address of a validator: BLAKE3 of its Ed25519 public key.
#[derive(Copy, Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, BorshSerialize, BorshDeserialize)]
pub struct Address(pub [u8; 32]);

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&hex::encode(self.0))
    }
}

impl core::Address for Address {}

/// Id of a block: SHA-256 of its header bytes.
#[derive(Copy, Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, BorshSerialize, BorshDeserialize)]
pub struct BlockId(pub [u8; 32]);

impl fmt::Display for BlockId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&hex::encode(&self.0[..8]))
    }
}

/// What the engine decides on: a block id.
#[derive(Copy, Clone, Debug, PartialEq, Eq, PartialOrd, Ord, BorshSerialize, BorshDeserialize)]
pub struct Value {
    /// The block decided on.
    pub id: BlockId,
}

impl core::Value for Value {
    type Id = BlockId;

    fn id(&self) -> BlockId {
        self.id
    }
}

/// A proposer's announcement of a value for a round.
#[derive(Clone, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct Proposal {
    /// Height to decide.
    pub height: Height,
    /// Round of the height.
    pub round: Round,
    /// What is proposed.
    pub value: Value,
    /// Round of the proof-of-lock, nil for a first proposal.
    pub pol_round: Round,
    /// Who proposes.
    pub address: Address,
}

impl Proposal {
    /// Bytes that a proposer signs.
    pub fn sign_bytes(&self, chain_id: &Hash32) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(tag::PROPOSAL.len() + 32 + 24 + 64);
        bytes.extend_from_slice(tag::PROPOSAL);
        bytes.extend_from_slice(&chain_id.0);
        bytes.extend_from_slice(&self.height.0.to_be_bytes());
        bytes.extend_from_slice(&self.round.as_i64().to_be_bytes());
        bytes.extend_from_slice(&self.pol_round.as_i64().to_be_bytes());
        bytes.extend_from_slice(&self.value.id.0);
        bytes.extend_from_slice(&self.address.0);
        bytes
    }
}

impl core::Proposal<Ctx> for Proposal {
    fn height(&self) -> Height {
        self.height
    }

    fn round(&self) -> Round {
        self.round
    }

    fn value(&self) -> &Value {
        &self.value
    }

    fn take_value(self) -> Value {
        self.value
    }

    fn pol_round(&self) -> Round {
        self.pol_round
    }

    fn validator_address(&self) -> &Address {
        &self.address
    }
}

/// One piece of a proposed block on its way to the other validators.
#[derive(Clone, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub enum Part {
    /// First: which proposal this is.
    Init {
        /// Height to decide.
        height: Height,
        /// Round of the height.
        round: Round,
        /// Round of the proof-of-lock, nil for a first proposal.
        pol_round: Round,
        /// Original proposer of the block, not the one who streams it again.
        proposer: Address,
    },
    /// A run of block bytes.
    Data(Vec<u8>),
    /// Last: the block id that the bytes must hash to.
    Fin(BlockId),
}

impl fmt::Debug for Part {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Part::Init { height, round, .. } => write!(f, "Init({height}/{round})"),
            Part::Data(data) => write!(f, "Data({} bytes)", data.len()),
            Part::Fin(id) => write!(f, "Fin({id})"),
        }
    }
}

impl core::ProposalPart<Ctx> for Part {
    fn is_first(&self) -> bool {
        matches!(self, Part::Init { .. })
    }

    fn is_last(&self) -> bool {
        matches!(self, Part::Fin(_))
    }
}

/// A prevote or precommit.
#[derive(Clone, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct Vote {
    /// Prevote or precommit.
    pub kind: VoteType,
    /// Height to decide.
    pub height: Height,
    /// Round of the height.
    pub round: Round,
    /// The block voted for, or none.
    pub value: NilOrVal<BlockId>,
    /// Who votes.
    pub address: Address,
}

impl Vote {
    /// Bytes that a validator signs; frozen by golden vectors in `qz-evidence`.
    pub fn sign_bytes(&self, chain_id: &Hash32) -> Vec<u8> {
        let kind = match self.kind {
            VoteType::Prevote => commit::VoteType::Prevote,
            VoteType::Precommit => commit::VoteType::Precommit,
        };
        let id = match &self.value {
            NilOrVal::Nil => None,
            NilOrVal::Val(id) => Some(Hash32(id.0)),
        };
        commit::vote_message(
            chain_id,
            kind,
            qz_evidence::Height(self.height.0),
            self.round.as_i64(),
            id.as_ref(),
            &Hash32(self.address.0),
        )
    }
}

impl core::Vote<Ctx> for Vote {
    fn height(&self) -> Height {
        self.height
    }

    fn round(&self) -> Round {
        self.round
    }

    fn value(&self) -> &NilOrVal<BlockId> {
        &self.value
    }

    fn take_value(self) -> NilOrVal<BlockId> {
        self.value
    }

    fn vote_type(&self) -> VoteType {
        self.kind
    }

    fn validator_address(&self) -> &Address {
        &self.address
    }

    fn extension(&self) -> Option<&SignedExtension<Ctx>> {
        None
    }

    fn take_extension(&mut self) -> Option<SignedExtension<Ctx>> {
        None
    }

    fn extend(self, _extension: SignedExtension<Ctx>) -> Self {
        self
    }
}

/// Ed25519 public key of a validator.
#[derive(Copy, Clone, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct PublicKey(pub [u8; 32]);

/// Ed25519 signature.
#[derive(Copy, Clone, Debug, PartialEq, Eq, PartialOrd, Ord, BorshSerialize, BorshDeserialize)]
pub struct Signature(pub [u8; 64]);

/// The wrong number of bytes for a key or signature.
#[derive(Debug, thiserror::Error)]
#[error("{what} must have {expected} bytes, not {got}")]
pub struct LengthError {
    what: &'static str,
    expected: usize,
    got: usize,
}

/// Ed25519 as the engine's signing scheme.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ed25519;

impl SigningScheme for Ed25519 {
    type DecodingError = LengthError;
    type Signature = Signature;
    type PublicKey = PublicKey;
    type PrivateKey = ed25519_dalek::SigningKey;

    fn decode_signature(bytes: &[u8]) -> Result<Signature, LengthError> {
        exact(bytes, "signature").map(Signature)
    }

    fn encode_signature(signature: &Signature) -> Vec<u8> {
        signature.0.to_vec()
    }

    fn decode_public_key(bytes: &[u8]) -> Result<PublicKey, LengthError> {
        exact(bytes, "public key").map(PublicKey)
    }

    fn encode_public_key(key: &PublicKey) -> Vec<u8> {
        key.0.to_vec()
    }
}

/// `bytes` as an array, or an error that names both lengths.
pub fn exact<const N: usize>(bytes: &[u8], what: &'static str) -> Result<[u8; N], LengthError> {
    bytes.try_into().map_err(|_| LengthError { what, expected: N, got: bytes.len() })
}

/// A validator of one height.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Validator {
    /// Address of its key.
    pub address: Address,
    /// Key of its signatures.
    pub key: PublicKey,
    /// Its weight in a quorum.
    pub power: u64,
}

impl core::Validator<Ctx> for Validator {
    fn address(&self) -> &Address {
        &self.address
    }

    fn public_key(&self) -> &PublicKey {
        &self.key
    }

    fn voting_power(&self) -> u64 {
        self.power
    }
}

/// The validators of one height, sorted by address; never empty.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ValidatorSet(Vec<Validator>);

impl ValidatorSet {
    /// The engine's form of a set; the ledger's sets are sorted by address and never empty.
    pub fn of(set: &qz_evidence::validators::ValidatorSet) -> Self {
        let validators = set.validators().iter().map(|validator| Validator {
            address: Address(validator.address().0),
            key: PublicKey(validator.key.0),
            power: validator.power,
        });
        Self(validators.collect())
    }

    /// Round-robin over height and round, so that consecutive rounds and heights differ.
    pub fn proposer(&self, height: Height, round: Round) -> &Validator {
        let count = self.0.len() as u64;
        let turn = height.0 % count + u64::from(round.as_u32().unwrap_or(0)) % count;
        &self.0[(turn % count) as usize]
    }
}

impl core::ValidatorSet<Ctx> for ValidatorSet {
    fn count(&self) -> usize {
        self.0.len()
    }

    fn total_voting_power(&self) -> u64 {
        self.0.iter().map(|validator| validator.power).sum()
    }

    fn get_by_address(&self, address: &Address) -> Option<&Validator> {
        self.0.iter().find(|validator| &validator.address == address)
    }

    fn get_by_index(&self, index: usize) -> Option<&Validator> {
        self.0.get(index)
    }
}

/// The engine's view of this chain.
#[derive(Clone, Debug)]
pub struct Ctx;

impl core::Context for Ctx {
    type Address = Address;
    type Height = Height;
    type ProposalPart = Part;
    type Proposal = Proposal;
    type Validator = Validator;
    type ValidatorSet = ValidatorSet;
    type Timeouts = LinearTimeouts;
    type Value = Value;
    type Vote = Vote;
    type Extension = ();
    type SigningScheme = Ed25519;

    fn select_proposer<'a>(&self, validators: &'a ValidatorSet, height: Height, round: Round) -> &'a Validator {
        validators.proposer(height, round)
    }

    fn new_proposal(&self, height: Height, round: Round, value: Value, pol_round: Round, address: Address) -> Proposal {
        Proposal { height, round, value, pol_round, address }
    }

    fn new_prevote(&self, height: Height, round: Round, value: NilOrVal<BlockId>, address: Address) -> Vote {
        Vote { kind: VoteType::Prevote, height, round, value, address }
    }

    fn new_precommit(&self, height: Height, round: Round, value: NilOrVal<BlockId>, address: Address) -> Vote {
        Vote { kind: VoteType::Precommit, height, round, value, address }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn proposers_take_turns_over_heights_and_rounds() {
        let organisation = qz_evidence::OrgId::new("member").unwrap();
        let validators = (0u8..4).map(|i| qz_evidence::validators::Validator {
            organisation: organisation.clone(),
            key: Hash32([i; 32]),
            power: 1,
        });
        let set = qz_evidence::validators::ValidatorSet::new(validators.collect()).unwrap();
        let set = ValidatorSet::of(&set);
        let at = |height, round| set.proposer(Height(height), Round::new(round)).address;
        let first: std::collections::BTreeSet<_> = (1..5).map(|height| at(height, 0)).collect();
        assert_eq!(first.len(), 4);
        assert_eq!(at(1, 1), at(2, 0));
        assert_eq!(at(u64::MAX, u32::MAX), at(u64::MAX % 4 + u64::from(u32::MAX % 4), 0));
        assert!(set.0.is_sorted_by_key(|validator| validator.address));
    }

    #[test]
    fn proposal_bytes_are_fixed_width_and_tagged() {
        let proposal = Proposal {
            height: Height(7),
            round: Round::new(2),
            value: Value { id: BlockId([3; 32]) },
            pol_round: Round::Nil,
            address: Address([4; 32]),
        };
        let bytes = proposal.sign_bytes(&Hash32([9; 32]));
        assert_eq!(bytes.len(), 14 + 32 + 8 + 8 + 8 + 32 + 32);
        assert!(bytes.starts_with(b"qz/proposal/v1"));
        assert_eq!(&bytes[46 + 16..46 + 24], &[0xff; 8], "a nil round is -1");
    }
}
