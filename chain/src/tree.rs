//! The state tree as `jmt` maintains it, with BLAKE3: key = subject id, value = encoded head of the
//! subject, version = height. What its hashes are is fixed in [`qz_evidence::state_proof`].

use crate::view::ViewError;
use jmt::storage::{NibblePath, NodeKey, StaleNodeIndex, TreeReader, TreeUpdateBatch};
use jmt::{JellyfishMerkleTree, KeyHash, OwnedValue, SimpleHasher};
use qz_evidence::state_proof::SubjectHead;
use qz_evidence::{Hash32, Height, SubjectId, encode};

/// BLAKE3 for `jmt`.
#[derive(Debug, Default)]
pub struct Blake3Hasher(blake3::Hasher);

impl SimpleHasher for Blake3Hasher {
    fn new() -> Self {
        Self::default()
    }
    fn update(&mut self, data: &[u8]) {
        self.0.update(data);
    }
    fn finalize(self) -> [u8; 32] {
        *self.0.finalize().as_bytes()
    }
}

/// The tree over a reader of its nodes.
pub(crate) fn tree<R: TreeReader>(reader: &R) -> JellyfishMerkleTree<'_, R, Blake3Hasher> {
    JellyfishMerkleTree::new(reader)
}

/// The tree's key of a subject.
pub(crate) fn key_of(subject: &SubjectId) -> KeyHash {
    KeyHash(subject.0.0)
}

/// Key of the root node of a version.
pub fn root_key(height: Height) -> NodeKey {
    NodeKey::new(height.0, NibblePath::from_iter(std::iter::empty()))
}

/// Puts the heads, each subject once, at version `height` on top of version `height − 1` (height 0 has at
/// least one). Gives the new root. The batch form of `jmt` takes half the time of one by one.
pub fn put<R: TreeReader>(
    reader: &R, height: Height, heads: &[(SubjectId, SubjectHead)],
) -> Result<(Hash32, TreeUpdateBatch), ViewError> {
    let tree = tree(reader);
    let (roots, batch) = match height.0.checked_sub(1) {
        Some(previous) if heads.is_empty() => {
            let nothing: [(KeyHash, Option<OwnedValue>); 0] = [];
            let (roots, mut batch) = tree.put_value_sets([nothing], height.0).map_err(ViewError::new)?;
            // The root was copied to the new version; `jmt` forgets to call the old one stale.
            let node_key = root_key(Height(previous));
            batch.stale_node_index_batch.insert(StaleNodeIndex { stale_since_version: height.0, node_key });
            (roots, batch)
        }
        _ => {
            let values = heads.iter().map(|(subject, head)| (key_of(subject), encode(head))).collect();
            tree.batch_put_value_sets(vec![values], None, height.0).map_err(ViewError::new)?
        }
    };
    let root = roots.first().ok_or_else(|| ViewError::new("the state tree gave no root"))?;
    Ok((Hash32(root.0), batch))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::memory::MemoryTree;
    use crate::state::{EvidenceState, Subject, SubjectState};
    use proptest::prelude::*;

    fn head(n: u64) -> SubjectHead {
        Subject::new(n, Hash32::ZERO, SubjectState::Evidence(EvidenceState { document: Hash32::ZERO, about: None }))
            .head()
    }

    /// Few different first bytes, so that paths are shared deeply and leaves split often.
    fn subject() -> impl Strategy<Value = SubjectId> {
        (0u8..4, 0u8..4, 0u8..=255).prop_map(|(a, b, c)| {
            let mut bytes = [0x5a; 32];
            (bytes[0], bytes[1], bytes[31]) = (a, b, c);
            SubjectId(Hash32(bytes))
        })
    }

    proptest! {
        #[test]
        fn a_batch_is_the_same_as_one_by_one(
            blocks in prop::collection::vec(prop::collection::btree_map(subject(), any::<u64>(), 0..12), 1..12)
        ) {
            let mut nodes = MemoryTree::default();
            let first = [(SubjectId(Hash32([9; 32])), head(0))];
            let hash_of = |head: &SubjectHead| qz_evidence::hash::blake3(&[&encode(head)]);
            let mut latest: std::collections::BTreeMap<_, _> = first.iter().map(|(id, head)| (*id, hash_of(head))).collect();
            nodes.apply(&put(&nodes, Height(0), &first).unwrap().1).unwrap();
            for (height, block) in (1u64..).zip(blocks) {
                let heads: Vec<_> = block.into_iter().map(|(id, n)| (id, head(n))).collect();
                let (root, batch) = put(&nodes, Height(height), &heads).unwrap();
                let values = heads.iter().map(|(id, head)| (key_of(id), Some(encode(head))));
                let (roots, one_by_one) = tree(&nodes).put_value_sets([values], height).unwrap();
                prop_assert_eq!(root.0, roots[0].0);
                latest.extend(heads.iter().map(|(id, head)| (*id, hash_of(head))));
                let whole: Vec<_> = latest.clone().into_iter().collect();
                prop_assert_eq!(qz_evidence::state_proof::whole_root(&whole), Some(root));
                prop_assert_eq!(&batch.node_batch, &one_by_one.node_batch);
                nodes.apply(&batch).unwrap();
                // Forgetting what is stale at once leaves exactly the current tree.
                let current = nodes.without_stale(&batch);
                for (id, _) in first.iter().chain(&heads) {
                    let proof = crate::state_proof(&current, Height(height), id).unwrap();
                    prop_assert_eq!(proof.root(), Some(root));
                    prop_assert!(proof.head.is_some());
                }
                nodes = current;
            }
        }
    }
}
