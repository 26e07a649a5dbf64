//! The tree over the records of one block.
//!
//! Leaf: BLAKE3(0x00 ‖ record bytes). Node: BLAKE3(0x01 ‖ left ‖ right). The leaves are padded to
//! max(2, next power of two) with the pad leaf BLAKE3(0x02), and the header carries the record count,
//! so that no two lists of records share a root.
//!
//! `merkle_light` only *produces* roots and paths. Its own `Proof::validate` accepts truncated paths
//! and its trees duplicate odd leaves, which is why the padding and the verifier are ours: the verifier
//! takes (index, count, path) and knows from the count how long the path must be.

use crate::hash::{Hash32, blake3};
use merkle_light::hash::Algorithm;
use merkle_light::merkle::MerkleTree;
use std::hash::Hasher;

/// Hash of a record, which is its leaf.
pub fn record_hash(record: &[u8]) -> Hash32 {
    blake3(&[&[0x00], record])
}

fn node(left: &Hash32, right: &Hash32) -> Hash32 {
    blake3(&[&[0x01], &left.0, &right.0])
}

fn pad_leaf() -> Hash32 {
    blake3(&[&[0x02]])
}

/// Leaves of the padded tree for `count` records.
fn padded(count: u32) -> u64 {
    u64::from(count).max(2).next_power_of_two()
}

impl AsRef<[u8]> for Hash32 {
    fn as_ref(&self) -> &[u8] {
        &self.0
    }
}

/// The algorithm handed to `merkle_light`: leaves are hashed already, so `leaf` is the identity.
#[derive(Default, Clone)]
struct RecordsAlgorithm(blake3::Hasher);

impl Hasher for RecordsAlgorithm {
    fn write(&mut self, bytes: &[u8]) {
        self.0.update(bytes);
    }
    fn finish(&self) -> u64 {
        u64::from_le_bytes(self.0.finalize().as_bytes()[..8].try_into().expect("8 of 32 bytes"))
    }
}

impl Algorithm<Hash32> for RecordsAlgorithm {
    fn hash(&mut self) -> Hash32 {
        Hash32(*self.0.finalize().as_bytes())
    }
    fn leaf(&mut self, leaf: Hash32) -> Hash32 {
        leaf
    }
    fn node(&mut self, left: Hash32, right: Hash32) -> Hash32 {
        node(&left, &right)
    }
}

/// The tree of one block, for its producer.
pub struct RecordsTree {
    tree: MerkleTree<Hash32, RecordsAlgorithm>,
    count: u32,
}

impl RecordsTree {
    /// Builds the tree from the record hashes in order.
    pub fn new(hashes: &[Hash32]) -> Self {
        let count = u32::try_from(hashes.len()).expect("a block has far fewer than 2^32 records");
        let pads = padded(count) - u64::from(count);
        let leaves = hashes.iter().copied().chain((0..pads).map(|_| pad_leaf()));
        Self { tree: MerkleTree::from_iter(leaves), count }
    }

    /// The root that the header carries.
    pub fn root(&self) -> Hash32 {
        self.tree.root()
    }

    /// Sibling hashes from the leaf upwards, or nothing if there is no such record.
    pub fn path(&self, index: u32) -> Option<Vec<Hash32>> {
        if index >= self.count {
            return None;
        }
        let proof = self.tree.gen_proof(usize::try_from(index).ok()?);
        let lemma = proof.lemma();
        Some(lemma[1..lemma.len() - 1].to_vec())
    }
}

/// Root that record `hash` at `index` of `count` has under `path`; nothing if index or length is wrong.
pub fn root_from_path(hash: &Hash32, index: u32, count: u32, path: &[Hash32]) -> Option<Hash32> {
    if index >= count || path.len() != usize::try_from(padded(count).trailing_zeros()).ok()? {
        return None;
    }
    let mut position = index;
    Some(path.iter().fold(*hash, |current, sibling| {
        let parent = if position & 1 == 0 { node(&current, sibling) } else { node(sibling, &current) };
        position >>= 1;
        parent
    }))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn hashes(n: u32) -> Vec<Hash32> {
        (0..n).map(|i| record_hash(&i.to_be_bytes())).collect()
    }

    #[test]
    fn every_path_up_to_130_verifies_and_every_mutation_fails() {
        for count in 1..=130u32 {
            let leaves = hashes(count);
            let tree = RecordsTree::new(&leaves);
            let root = Some(tree.root());
            for index in 0..count {
                let leaf = &leaves[index as usize];
                let path = tree.path(index).unwrap();
                assert_eq!(root_from_path(leaf, index, count, &path), root, "{index} of {count}");
                assert_ne!(root_from_path(leaf, index ^ 1, count, &path), root);
                assert_eq!(root_from_path(leaf, index, count, &path[1..]), None);
                assert_eq!(root_from_path(leaf, index, count, &[&path[..], &path[..1]].concat()), None);
                for i in 0..path.len() {
                    let mut flipped = path.clone();
                    flipped[i].0[31] ^= 1;
                    assert_ne!(root_from_path(leaf, index, count, &flipped), root);
                    if i > 0 && path[i] != path[i - 1] {
                        let mut swapped = path.clone();
                        swapped.swap(i, i - 1);
                        assert_ne!(root_from_path(leaf, index, count, &swapped), root);
                    }
                }
            }
            assert_eq!(tree.path(count), None);
        }
    }

    #[test]
    fn lists_that_plain_merkle_light_confuses_have_different_roots() {
        let [a, b, c] = hashes(3).try_into().unwrap();
        assert_ne!(RecordsTree::new(&[a, b, c]).root(), RecordsTree::new(&[a, b, c, c]).root());
        assert_ne!(RecordsTree::new(&[]).root(), RecordsTree::new(&[a]).root());
        assert_ne!(RecordsTree::new(&[a]).root(), RecordsTree::new(&[a, a]).root());
    }

    #[test]
    fn pads_and_inner_nodes_are_no_records() {
        let leaves = hashes(3);
        let tree = RecordsTree::new(&leaves);
        let inner = node(&leaves[0], &leaves[1]);
        let right = node(&leaves[2], &pad_leaf());
        assert_eq!(root_from_path(&pad_leaf(), 3, 3, &[leaves[2], inner]), None);
        assert_eq!(root_from_path(&inner, 0, 3, &[right]), None);
        assert_eq!(tree.root(), node(&inner, &right));
    }
}
