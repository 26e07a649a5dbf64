//! The state tree: subject → head of the subject, as a sparse Merkle tree in the Jellyfish form.
//!
//! Leaf: BLAKE3("JMT::LeafNode" ‖ subject ‖ BLAKE3(head bytes)). Node: BLAKE3("JMT::IntrnalNode" ‖ left
//! ‖ right). An empty subtree is the 32 ASCII bytes `SPARSE_MERKLE_PLACEHOLDER_HASH__`. A leaf stands as
//! high as it is alone in its subtree. The crate `jmt` maintains the tree; this verifier is our own.

use crate::codec::Format;
use crate::format_tag;
use crate::hash::{Hash32, blake3};
use crate::ids::SubjectId;
use minicbor::{Decode, Encode};

format_tag!(
    /// Tag of a subject's head.
    HeadTag = "qz/subject-head/v1"
);

const LEAF: &[u8] = b"JMT::LeafNode";
const INNER: &[u8] = b"JMT::IntrnalNode";
const EMPTY: Hash32 = Hash32(*b"SPARSE_MERKLE_PLACEHOLDER_HASH__");

/// What a subject is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode, serde::Serialize, serde::Deserialize)]
#[cbor(index_only)]
#[serde(rename_all = "lowercase")]
pub enum SubjectType {
    /// An organisation of the consortium.
    #[n(1)]
    Organisation,
    /// A key of a person or handling person.
    #[n(2)]
    Key,
    /// A seal.
    #[n(3)]
    Seal,
    /// A contract.
    #[n(4)]
    Contract,
    /// A deposit of evidence.
    #[n(5)]
    Evidence,
    /// An audit log.
    #[n(6)]
    AuditLog,
    /// The consortium's governance; exists from its first change on.
    #[n(7)]
    Governance,
}

/// Where a subject stands: the value under its id in the state tree.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct SubjectHead {
    /// Format tag.
    #[n(0)]
    pub tag: HeadTag,
    /// What it is.
    #[n(1)]
    pub subject_type: SubjectType,
    /// Its state machine's state.
    #[n(2)]
    pub status: Status,
    /// Records so far (the last one's sequence + 1); 0 for organisations of the genesis.
    #[n(3)]
    pub records: u64,
    /// Hash of its last record; zero if there is none.
    #[n(4)]
    pub last_record: Hash32,
    /// BLAKE3("qz/state/v1" ‖ encoded state).
    #[n(5)]
    pub state_digest: Hash32,
}

impl Format for SubjectHead {
    const NAME: &'static str = "subject head";
    const MAX_BYTES: usize = 256;
}

/// States of all state machines; numbers never reused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode, serde::Serialize, serde::Deserialize)]
#[cbor(index_only)]
#[serde(rename_all = "lowercase")]
pub enum Status {
    /// Key, seal, organisation: in force.
    #[n(1)]
    Active,
    /// Seal: suspended.
    #[n(2)]
    Suspended,
    /// Seal: destroyed.
    #[n(3)]
    Destroyed,
    /// Key: revoked. Organisation: removed.
    #[n(4)]
    Revoked,
    /// Contract: opened, no version fixed.
    #[n(10)]
    Opened,
    /// Contract: a version is up for signing.
    #[n(11)]
    Signing,
    /// Contract: all needed slots are signed.
    #[n(12)]
    Signed,
    /// Contract: completed with its final file; in force.
    #[n(13)]
    Completed,
    /// Contract: a signer declined.
    #[n(14)]
    Declined,
    /// Contract: terminated 解除.
    #[n(15)]
    Terminated,
    /// Contract: voided 作废.
    #[n(16)]
    Voided,
    /// Contract: in dispute.
    #[n(17)]
    Disputed,
    /// Evidence and audit logs: recorded.
    #[n(20)]
    Recorded,
}

impl Status {
    /// Chinese and English words for this state.
    pub fn words(self) -> (&'static str, &'static str) {
        match self {
            Self::Active => ("有效", "active"),
            Self::Suspended => ("已停用", "suspended"),
            Self::Destroyed => ("已销毁", "destroyed"),
            Self::Revoked => ("已吊销", "revoked"),
            Self::Opened => ("已发起", "opened"),
            Self::Signing => ("签署中", "being signed"),
            Self::Signed => ("各方已签", "signed by all"),
            Self::Completed => ("已完成·有效", "completed, in force"),
            Self::Declined => ("已拒签", "declined"),
            Self::Terminated => ("已解除", "terminated"),
            Self::Voided => ("已作废", "voided"),
            Self::Disputed => ("争议中", "in dispute"),
            Self::Recorded => ("已存证", "recorded"),
        }
    }
}

/// A leaf that the proof shows instead of the subject's own (absence).
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct OtherLeaf {
    /// Its key.
    #[n(0)]
    pub key: Hash32,
    /// BLAKE3 of its value.
    #[n(1)]
    pub value_hash: Hash32,
}

/// Membership or absence of a subject under a state root.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct StateProof {
    /// The subject.
    #[n(0)]
    pub subject: SubjectId,
    /// Its encoded [`SubjectHead`]; absent when the subject does not exist.
    #[n(1)]
    pub head: Option<crate::codec::Bytes>,
    /// For absence: the leaf that stands in the subject's place, if one does.
    #[n(2)]
    pub other: Option<OtherLeaf>,
    /// Sibling hashes from the leaf upwards.
    #[n(3)]
    pub siblings: Vec<Hash32>,
}

fn leaf_hash(key: &Hash32, value_hash: &Hash32) -> Hash32 {
    blake3(&[LEAF, &key.0, &value_hash.0])
}

fn bit(key: &Hash32, depth: usize) -> bool {
    key.0[depth / 8] >> (7 - depth % 8) & 1 == 1
}

/// The root of a whole state: (subject, BLAKE3 of its encoded [`SubjectHead`]), strictly ascending by subject;
/// nothing if the order is another.
pub fn whole_root(heads: &[(SubjectId, Hash32)]) -> Option<Hash32> {
    let ascending = heads.windows(2).all(|pair| pair[0].0 < pair[1].0);
    ascending.then(|| subtree_root(heads, 0))
}

/// All of `heads` share the first `depth` bits; the recursion ends, because no two share all 256.
fn subtree_root(heads: &[(SubjectId, Hash32)], depth: usize) -> Hash32 {
    match heads {
        [] => EMPTY,
        [(subject, value_hash)] => leaf_hash(&subject.0, value_hash),
        _ => {
            let (left, right) = heads.split_at(heads.partition_point(|(subject, _)| !bit(&subject.0, depth)));
            blake3(&[INNER, &subtree_root(left, depth + 1).0, &subtree_root(right, depth + 1).0])
        }
    }
}

impl StateProof {
    /// The root under which this proof holds; nothing if its shape cannot hold under any root.
    pub fn root(&self) -> Option<Hash32> {
        let key = &self.subject.0;
        let depth = self.siblings.len();
        if depth > 256 {
            return None;
        }
        let start = match (&self.head, &self.other) {
            (Some(head), None) => leaf_hash(key, &blake3(&[head])),
            (None, None) => EMPTY,
            (None, Some(other)) => {
                let shares_path = (0..depth).all(|i| bit(key, i) == bit(&other.key, i));
                if other.key == *key || !shares_path {
                    return None;
                }
                leaf_hash(&other.key, &other.value_hash)
            }
            (Some(_), Some(_)) => return None,
        };
        Some(self.siblings.iter().enumerate().fold(start, |current, (i, sibling)| {
            let (left, right) = if bit(key, depth - 1 - i) { (sibling, &current) } else { (&current, sibling) };
            blake3(&[INNER, &left.0, &right.0])
        }))
    }
}
