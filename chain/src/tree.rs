//! The state tree as `jmt` maintains it, with BLAKE3: key = subject id, value = encoded head of the
//! subject, version = height. What its hashes are is fixed in [`qz_evidence::state_proof`].

use crate::view::ViewError;
use jmt::storage::{NibblePath, NodeKey, StaleNodeIndex, TreeReader, TreeUpdateBatch};
use jmt::{JellyfishMerkleTree, KeyHash, SimpleHasher};
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

/// Puts the heads at version `height` on top of version `height − 1`. Gives the new root.
pub(crate) fn put<R: TreeReader>(
    reader: &R, height: Height, heads: &[(SubjectId, SubjectHead)],
) -> Result<(Hash32, TreeUpdateBatch), ViewError> {
    let values = heads.iter().map(|(subject, head)| (key_of(subject), Some(encode(head))));
    let (roots, mut batch) = tree(reader).put_value_sets([values], height.0).map_err(ViewError::new)?;
    if let (true, Some(previous)) = (heads.is_empty(), height.0.checked_sub(1)) {
        // An unchanged tree gets a copy of its root at the new version; `jmt` forgets to call the old stale.
        let node_key = root_key(Height(previous));
        batch.stale_node_index_batch.insert(StaleNodeIndex { stale_since_version: height.0, node_key });
    }
    let root = roots.first().ok_or_else(|| ViewError::new("the state tree gave no root"))?;
    Ok((Hash32(root.0), batch))
}
