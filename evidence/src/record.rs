//! Records: a submission with the place that execution gave it. A record is a leaf of the records tree.

use crate::codec::{Bytes, Format};
use crate::format_tag;
use crate::hash::Hash32;
use crate::ids::{Height, SubjectId};
use crate::keys::PublicKey;
use minicbor::{Decode, Encode};

format_tag!(
    /// Tag of a record.
    RecordTag = "qz/record/v1"
);

/// The record's place in the sequence of one subject.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct Link {
    /// The subject.
    #[n(0)]
    pub subject: SubjectId,
    /// Sequence number, without gaps, from 0.
    #[n(1)]
    pub sequence: u64,
    /// Hash of the subject's previous record; zero for sequence 0.
    #[n(2)]
    pub previous: Hash32,
}

/// A finalised submission. Its hash is the leaf hash of the records tree.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct Record {
    /// Format tag.
    #[n(0)]
    pub tag: RecordTag,
    /// Encoded [`crate::submission::Submission`], verbatim.
    #[n(1)]
    pub submission: Bytes,
    /// Height of the block.
    #[n(2)]
    pub height: Height,
    /// Index in the block.
    #[n(3)]
    pub index: u32,
    /// Public keys that execution resolved, one per actor, in the actors' order.
    #[n(4)]
    pub actor_keys: Vec<PublicKey>,
    /// Places in the sequences of the subjects touched, 1–6.
    #[n(5)]
    pub links: Vec<Link>,
}

impl Format for Record {
    const NAME: &'static str = "record";
    const MAX_BYTES: usize = 28 * 1024;
}
