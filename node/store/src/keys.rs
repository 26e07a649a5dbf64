//! Every column family and the form of its keys. Numbers are big endian, so that keys sort by them.

use jmt::KeyHash;
use jmt::storage::NodeKey;
use qz_chain::Subject;
use qz_evidence::{Hash32, Height, OrgId, SubjectId, SubmissionId};

/// Single values of the ledger, under the keys in [`meta`].
pub(crate) const META: &str = "meta";
/// Height → encoded header.
pub(crate) const HEADERS: &str = "headers";
/// Height → encoded commit certificate; none for height 0.
pub(crate) const COMMITS: &str = "commits";
/// Place → encoded record. A block is its header and the submissions of its records, so it is not stored again.
pub(crate) const RECORDS: &str = "records";
/// Record hash → place.
pub(crate) const RECORD_PLACES: &str = "record_places";
/// Body digest → place.
pub(crate) const BODIES: &str = "bodies";
/// Relay and submission id → height, within the replay window.
pub(crate) const RELAYED: &str = "relayed";
/// Subject → height of the block that last changed it, then its state as of the tip.
pub(crate) const SUBJECTS: &str = "subjects";
/// Subject and sequence number → record hash.
pub(crate) const SEQUENCES: &str = "sequences";
/// Node of the state tree → the node (borsh).
pub(crate) const TREE_NODES: &str = "tree_nodes";
/// Subject and version → the value in the state tree.
pub(crate) const TREE_VALUES: &str = "tree_values";
/// Height since which parts of the state tree are stale → which ([`StaleList`]). One value for a block: an entry
/// for every part would be a third of all that a block writes.
pub(crate) const TREE_STALE: &str = "tree_stale";
/// Perfect node of the history tree → its hash.
pub(crate) const HISTORY: &str = "history";
/// Epoch → its first height and its validator set.
pub(crate) const EPOCHS: &str = "epochs";
/// Organisation id → member, present or former.
pub(crate) const ORGANISATIONS: &str = "organisations";
/// The consensus driver's own notes; keys and values are its business.
pub(crate) const CONSENSUS: &str = "consensus";

/// All of them.
pub(crate) const FAMILIES: [&str; 16] = [
    META,
    HEADERS,
    COMMITS,
    RECORDS,
    RECORD_PLACES,
    BODIES,
    RELAYED,
    SUBJECTS,
    SEQUENCES,
    TREE_NODES,
    TREE_VALUES,
    TREE_STALE,
    HISTORY,
    EPOCHS,
    ORGANISATIONS,
    CONSENSUS,
];

/// Keys of [`META`].
pub(crate) mod meta {
    /// Version of this file's forms.
    pub const FORMAT: &[u8] = b"format";
    /// The ledger's id.
    pub const CHAIN_ID: &[u8] = b"chain_id";
    /// The genesis document.
    pub const GENESIS: &[u8] = b"genesis";
    /// Height of the last block. It is written in the same batch as the block.
    pub const TIP: &[u8] = b"tip";
    /// Peaks of the history frontier including the tip.
    pub const FRONTIER: &[u8] = b"frontier";
    /// States of earlier heights are forgotten; absent before anything was.
    pub const PRUNED: &[u8] = b"pruned";
    /// Parameters from the next height on.
    pub const PARAMS: &[u8] = b"params";
    /// Validators from the next height on.
    pub const VALIDATORS: &[u8] = b"validators";
}

/// Value of [`meta::FORMAT`].
pub(crate) const FORMAT: &[u8] = b"qz-store 4";

/// A key and its value.
pub type KeyValue = (Vec<u8>, Vec<u8>);

/// Where a record stands: block and index in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Place {
    pub height: Height,
    pub index: u32,
}

impl Place {
    pub fn to_bytes(self) -> [u8; 12] {
        let mut bytes = [0; 12];
        bytes[..8].copy_from_slice(&height(self.height));
        bytes[8..].copy_from_slice(&self.index.to_be_bytes());
        bytes
    }

    pub fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let (height, index) = bytes.split_at_checked(8)?;
        Some(Self { height: height_from(height)?, index: u32::from_be_bytes(index.try_into().ok()?) })
    }
}

pub(crate) fn height(height: Height) -> [u8; 8] {
    height.0.to_be_bytes()
}

pub(crate) fn height_from(bytes: &[u8]) -> Option<Height> {
    Some(Height(u64::from_be_bytes(bytes.try_into().ok()?)))
}

/// A value of [`SUBJECTS`]: the height of the block that last changed the subject, and its state.
pub(crate) fn subject(bytes: &[u8]) -> Result<(Height, Subject), String> {
    let (written, subject) = bytes.split_at_checked(8).ok_or("shorter than a height")?;
    let written = height_from(written).ok_or("no height")?;
    Ok((written, Subject::from_bytes(subject).map_err(|error| error.to_string())?))
}

pub(crate) fn hash_from(bytes: &[u8]) -> Option<Hash32> {
    Some(Hash32(bytes.try_into().ok()?))
}

/// The id comes last and has a fixed length, so no two pairs share a key.
pub(crate) fn relayed(relay: &OrgId, id: &SubmissionId) -> Vec<u8> {
    [relay.as_str().as_bytes(), &id.0].concat()
}

pub(crate) fn sequence(subject: &SubjectId, sequence: u64) -> [u8; 40] {
    let mut bytes = [0; 40];
    bytes[..32].copy_from_slice(&subject.0.0);
    bytes[32..].copy_from_slice(&sequence.to_be_bytes());
    bytes
}

pub(crate) fn epoch(epoch: u64) -> [u8; 8] {
    epoch.to_be_bytes()
}

pub(crate) fn history(level: u32, index: u64) -> [u8; 12] {
    let mut bytes = [0; 12];
    bytes[..4].copy_from_slice(&level.to_be_bytes());
    bytes[4..].copy_from_slice(&index.to_be_bytes());
    bytes
}

/// Version first, so that pruning deletes what lies together.
pub(crate) fn tree_node(key: &NodeKey) -> Vec<u8> {
    let path = borsh::to_vec(key.nibble_path()).expect("borsh into a Vec cannot fail");
    [&key.version().to_be_bytes()[..], &path].concat()
}

pub(crate) fn tree_value(key: &KeyHash, version: u64) -> [u8; 40] {
    let mut bytes = [0; 40];
    bytes[..32].copy_from_slice(&key.0);
    bytes[32..].copy_from_slice(&version.to_be_bytes());
    bytes
}

/// What became stale.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Stale {
    /// A key of [`TREE_NODES`].
    Node(Vec<u8>),
    /// A key of [`TREE_VALUES`].
    Value(Vec<u8>),
}

/// Value of [`TREE_STALE`]: one after the other kind, length (2 bytes) and key.
#[derive(Debug, Default)]
pub(crate) struct StaleList(pub Vec<u8>);

impl StaleList {
    pub fn push(&mut self, stale: &Stale) {
        let (kind, key) = match stale {
            Stale::Node(key) => (b'n', key),
            Stale::Value(key) => (b'v', key),
        };
        let length = u16::try_from(key.len()).expect("keys of the tree have less than a hundred bytes");
        self.0.push(kind);
        self.0.extend_from_slice(&length.to_be_bytes());
        self.0.extend_from_slice(key);
    }

    /// What is listed; none if the bytes have another form.
    pub fn read(mut bytes: &[u8]) -> Option<Vec<Stale>> {
        let mut all = vec![];
        while let Some((head, rest)) = bytes.split_first_chunk::<3>() {
            let (key, rest) = rest.split_at_checked(usize::from(u16::from_be_bytes([head[1], head[2]])))?;
            all.push(match head[0] {
                b'n' => Stale::Node(key.to_vec()),
                b'v' => Stale::Value(key.to_vec()),
                _ => return None,
            });
            bytes = rest;
        }
        bytes.is_empty().then_some(all)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn keys_read_back_and_sort_by_number() {
        let place = |height, index| Place { height: Height(height), index };
        assert_eq!(Place::from_bytes(&place(7, 300).to_bytes()), Some(place(7, 300)));
        assert!(place(1, 300).to_bytes() < place(2, 0).to_bytes());
        assert!(place(2, 255).to_bytes() < place(2, 256).to_bytes());
        assert_eq!(Place::from_bytes(&[0; 11]), None);
        let all = vec![Stale::Node(vec![1, 2]), Stale::Value(vec![])];
        let mut list = StaleList::default();
        all.iter().for_each(|stale| list.push(stale));
        assert_eq!(StaleList::read(&list.0), Some(all));
        assert_eq!(StaleList::read(&[]), Some(vec![]));
        for wrong in [&list.0[..4], &[b'n', 0, 1], &[b'x', 0, 0], b"n"] {
            assert_eq!(StaleList::read(wrong), None);
        }
        let subject = SubjectId(Hash32([1; 32]));
        assert!(sequence(&subject, 255) < sequence(&subject, 256));
    }
}
