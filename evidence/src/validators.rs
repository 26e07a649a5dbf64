//! Validator sets.

use crate::codec::{Format, encode};
use crate::format_tag;
use crate::hash::{Hash32, blake3, sha256, tag};
use crate::ids::OrgId;
use minicbor::{Decode, Encode};

format_tag!(
    /// Tag of a validator set.
    ValidatorSetTag = "qz/validator-set/v1"
);

/// Most validators of a set.
pub const MAX_VALIDATORS: usize = 128;
/// Largest voting power of one validator; keeps every sum far from overflow.
pub const MAX_POWER: u64 = 1_000_000;

/// A validator.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct Validator {
    /// The organisation that runs it.
    #[n(0)]
    pub organisation: OrgId,
    /// Its consensus key (Ed25519).
    #[n(1)]
    pub key: Hash32,
    /// Its voting power, 1 ..= [`MAX_POWER`].
    #[n(2)]
    pub power: u64,
}

impl Validator {
    /// The address by which votes name it.
    pub fn address(&self) -> Hash32 {
        address(&self.key)
    }
}

/// Address of a consensus key: BLAKE3 of its 32 bytes.
pub fn address(key: &Hash32) -> Hash32 {
    blake3(&[&key.0])
}

/// The validators of an epoch, ascending by address, each key once.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct ValidatorSet {
    /// Format tag.
    #[n(0)]
    tag: ValidatorSetTag,
    /// The validators.
    #[n(1)]
    validators: Vec<Validator>,
}

impl Format for ValidatorSet {
    const NAME: &'static str = "validator set";
    const MAX_BYTES: usize = 16 * 1024;
}

impl ValidatorSet {
    /// Sorts by address; nothing if empty, too large, a key stands twice or a power is out of range.
    pub fn new(mut validators: Vec<Validator>) -> Option<Self> {
        validators.sort_by_key(Validator::address);
        let set = Self { tag: ValidatorSetTag, validators };
        set.is_well_formed().then_some(set)
    }

    /// Holds for every set that [`ValidatorSet::new`] made; decoded sets must be asked.
    pub fn is_well_formed(&self) -> bool {
        (1..=MAX_VALIDATORS).contains(&self.validators.len())
            && self.validators.iter().all(|v| (1..=MAX_POWER).contains(&v.power))
            && self.validators.windows(2).all(|pair| pair[0].address() < pair[1].address())
    }

    /// The validators, ascending by address.
    pub fn validators(&self) -> &[Validator] {
        &self.validators
    }

    /// The validator of this address.
    pub fn by_address(&self, address: &Hash32) -> Option<&Validator> {
        self.validators.iter().find(|v| v.address() == *address)
    }

    /// Sum of all powers.
    pub fn total_power(&self) -> u64 {
        self.validators.iter().map(|v| v.power).sum()
    }

    /// The hash that headers carry.
    pub fn hash(&self) -> Hash32 {
        sha256(&[tag::VALIDATORS, &encode(self)])
    }
}
