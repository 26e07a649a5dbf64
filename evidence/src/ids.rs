//! Typed identifiers: a height, an organisation, a subject and a submission never mix.

use crate::hash::{Hash32, sha256, tag};
use minicbor::{Decode, Encode};
use std::fmt;

/// Height of a block; 0 is the header that derives from the genesis.
#[derive(
    Clone,
    Copy,
    Debug,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    Hash,
    Encode,
    Decode,
    Default,
    serde::Serialize,
    serde::Deserialize,
)]
#[cbor(transparent)]
#[serde(transparent)]
pub struct Height(#[n(0)] pub u64);

impl Height {
    /// The height after this one.
    pub fn next(self) -> Self {
        Self(self.0 + 1)
    }
}

impl fmt::Display for Height {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// The place of something that became final, as text `HEIGHT.INDEX` of a record and `HEIGHT` of a block, which
/// follows its records.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EventId {
    /// Height of the block.
    pub height: u64,
    /// Index of the record in it; nothing for the block itself.
    pub index: Option<u32>,
}

impl fmt::Display for EventId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.index {
            Some(index) => write!(f, "{}.{index}", self.height),
            None => write!(f, "{}", self.height),
        }
    }
}

impl std::str::FromStr for EventId {
    type Err = std::num::ParseIntError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text.split_once('.') {
            Some((height, index)) => Ok(Self { height: height.parse()?, index: Some(index.parse()?) }),
            None => Ok(Self { height: text.parse()?, index: None }),
        }
    }
}

/// An organisation of the consortium: 1–32 characters of `a-z`, `0-9`, `-`, given in the genesis.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize)]
#[serde(transparent)]
pub struct OrgId(String);

impl OrgId {
    /// Checks the form.
    pub fn new(text: &str) -> Option<Self> {
        let ok = (1..=32).contains(&text.len())
            && text.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-');
        ok.then(|| Self(text.to_owned()))
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl<'de> serde::Deserialize<'de> for OrgId {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        Self::new(&text).ok_or_else(|| serde::de::Error::custom("an organisation id is 1-32 of a-z, 0-9, -"))
    }
}

impl fmt::Display for OrgId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl<C> Encode<C> for OrgId {
    fn encode<W: minicbor::encode::Write>(
        &self, e: &mut minicbor::Encoder<W>, _: &mut C,
    ) -> Result<(), minicbor::encode::Error<W::Error>> {
        e.str(&self.0)?;
        Ok(())
    }
}

impl<'b, C> Decode<'b, C> for OrgId {
    fn decode(d: &mut minicbor::Decoder<'b>, _: &mut C) -> Result<Self, minicbor::decode::Error> {
        Self::new(d.str()?).ok_or_else(|| minicbor::decode::Error::message("not an organisation id"))
    }
}

/// What has a state machine and a gap-free sequence of records: a contract, a seal, a key, an
/// organisation, an audit log or the consortium's governance.
#[derive(
    Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Encode, Decode, serde::Serialize, serde::Deserialize, Default,
)]
#[cbor(transparent)]
#[serde(transparent)]
pub struct SubjectId(#[n(0)] pub Hash32);

impl SubjectId {
    /// The subject that the record of this body creates. It hangs on the whole body, so that nobody can
    /// take the id first, and it is the same whichever member relays the submission.
    pub fn created_by(chain_id: &Hash32, body_digest: &Hash32) -> Self {
        Self(sha256(&[tag::SUBJECT, &chain_id.0, &body_digest.0]))
    }

    /// The subject of an organisation; its key is the organisation's office key.
    pub fn of_organisation(chain_id: &Hash32, org: &OrgId) -> Self {
        Self(sha256(&[tag::ORG_SUBJECT, &chain_id.0, org.as_str().as_bytes()]))
    }

    /// The audit log of an organisation: one for each, for as long as the ledger lasts.
    pub fn of_audit_log(chain_id: &Hash32, org: &OrgId) -> Self {
        Self(sha256(&[tag::AUDIT_LOG, &chain_id.0, org.as_str().as_bytes()]))
    }

    /// The subject of the consortium's governance: every change of it is one of its records.
    pub fn governance(chain_id: &Hash32) -> Self {
        Self(sha256(&[tag::GOVERNANCE_SUBJECT, &chain_id.0]))
    }
}

impl fmt::Display for SubjectId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl fmt::Debug for SubjectId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// The author's own number of a submission, 16 random bytes; makes retries safe.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Encode, Decode)]
#[cbor(transparent)]
pub struct SubmissionId(
    #[n(0)]
    #[cbor(with = "minicbor::bytes")]
    pub [u8; 16],
);

impl fmt::Display for SubmissionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&hex::encode(self.0))
    }
}

impl fmt::Debug for SubmissionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}")
    }
}
