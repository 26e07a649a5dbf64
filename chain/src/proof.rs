//! State proofs: `jmt` finds the siblings, the result is in the form of `qz-evidence`.

use crate::tree::{Blake3Hasher, key_of, tree};
use crate::view::ViewError;
use borsh::BorshDeserialize;
use jmt::proof::SparseMerkleProof;
use jmt::storage::TreeReader;
use qz_evidence::codec::Bytes;
use qz_evidence::state_proof::{OtherLeaf, StateProof};
use qz_evidence::{Hash32, Height, SubjectId};

/// A sibling as `jmt` serialises it; its own type is private.
#[derive(BorshDeserialize)]
enum Sibling {
    Null,
    Internal { left: [u8; 32], right: [u8; 32] },
    Leaf { key: [u8; 32], value_hash: [u8; 32] },
}

/// A leaf as `jmt` serialises it.
#[derive(BorshDeserialize)]
struct Leaf {
    key: [u8; 32],
    value_hash: [u8; 32],
}

/// Fields of `SparseMerkleProof` in borsh's order.
#[derive(BorshDeserialize)]
struct Exported {
    leaf: Option<Leaf>,
    siblings: Vec<Sibling>,
}

impl Sibling {
    fn hash(&self) -> Hash32 {
        let parts: [&[u8]; 3] = match self {
            Self::Null => return Hash32(*b"SPARSE_MERKLE_PLACEHOLDER_HASH__"),
            Self::Internal { left, right } => [b"JMT::IntrnalNode", left, right],
            Self::Leaf { key, value_hash } => [b"JMT::LeafNode", key, value_hash],
        };
        qz_evidence::hash::blake3(&parts)
    }
}

/// Membership or absence of a subject in the state tree after block `height`. The caller makes sure that
/// this version is not pruned: a missing node is an error here, never an absence.
pub fn state_proof<R: TreeReader>(reader: &R, height: Height, subject: &SubjectId) -> Result<StateProof, ViewError> {
    let (value, proof) = tree(reader).get_with_proof(key_of(subject), height.0).map_err(ViewError::new)?;
    let Exported { leaf, siblings } = export(&proof)?;
    let head = value.map(Bytes);
    let other = match (&head, leaf) {
        (None, Some(leaf)) => Some(OtherLeaf { key: Hash32(leaf.key), value_hash: Hash32(leaf.value_hash) }),
        _ => None,
    };
    Ok(StateProof { subject: *subject, head, other, siblings: siblings.iter().map(Sibling::hash).collect() })
}

fn export(proof: &SparseMerkleProof<Blake3Hasher>) -> Result<Exported, ViewError> {
    let bytes = borsh::to_vec(proof).map_err(ViewError::new)?;
    borsh::from_slice(&bytes).map_err(ViewError::new)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::memory::MemoryTree;
    use crate::state::{EvidenceState, Subject, SubjectState};
    use qz_evidence::encode;
    use qz_evidence::hash::sha256;
    use qz_evidence::state_proof::SubjectHead;

    fn id(n: u32) -> SubjectId {
        SubjectId(sha256(&[&n.to_be_bytes()]))
    }

    fn head(n: u32) -> SubjectHead {
        let state = SubjectState::Evidence(EvidenceState { document: Hash32([7; 32]), about: None });
        Subject::new(u64::from(n), Hash32::ZERO, state).head()
    }

    #[test]
    fn membership_and_absence_verify_with_the_evidence_verifier_at_every_version() {
        let mut tree = MemoryTree::default();
        let mut roots = vec![];
        for height in 0..60u32 {
            // Five new subjects and an update of an old one; every tenth block is empty.
            let mut heads: Vec<_> = (0..5).map(|i| (id(height * 5 + i), head(1))).collect();
            heads.push((id(height), head(height + 2)));
            if height % 10 == 9 {
                heads.clear();
            }
            heads.sort_by_key(|(id, _)| *id);
            heads.dedup_by_key(|(id, _)| *id);
            let (root, batch) = crate::tree::put(&tree, Height(u64::from(height)), &heads).unwrap();
            tree.apply(&batch).unwrap();
            roots.push(root);
        }
        let last = roots.len() - 1;
        assert_eq!(roots[8], roots[9], "an empty block changes nothing");
        let mut absent = 0;
        for (height, root) in [(last, roots[last]), (30, roots[30])] {
            for n in 0..400u32 {
                let proof = state_proof(&tree, Height(height as u64), &id(n)).unwrap();
                assert_eq!(proof.root(), Some(root), "{n} at {height}");
                absent += u32::from(proof.head.is_none());
                let mut forged = proof.clone();
                forged.head = if proof.head.is_some() { None } else { Some(Bytes(encode(&head(1)))) };
                assert_ne!(forged.root(), Some(root));
            }
        }
        assert!((300..700).contains(&absent), "{absent}");
    }
}
