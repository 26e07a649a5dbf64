//! Properties of codec, trees and proofs over generated input.
#![allow(clippy::unwrap_used)]

use proptest::collection::{btree_map, vec};
use proptest::prelude::*;
use qz_evidence::bundle::Bundle;
use qz_evidence::codec::{Bytes, decode_strict, encode};
use qz_evidence::commitment::{Commitment, Opening, commit};
use qz_evidence::genesis::Genesis;
use qz_evidence::hash::blake3;
use qz_evidence::payload::{ContractOpened, ContractSigned, GroupRule, Payload, Slot, SlotKind};
use qz_evidence::record::Record;
use qz_evidence::records_tree::{RecordsTree, record_hash, root_from_path};
use qz_evidence::state_proof::{OtherLeaf, StateProof};
use qz_evidence::submission::{Body, Parsed, Submission};
use qz_evidence::{Hash32, Height, SubjectId, SubmissionId};
use std::collections::BTreeMap;

fn hash() -> impl Strategy<Value = Hash32> {
    any::<[u8; 32]>().prop_map(Hash32)
}

fn slot() -> impl Strategy<Value = Slot> {
    (any::<bool>(), hash(), 1u8..=9, 0u8..4).prop_map(|(seal, subject, role, group)| Slot {
        kind: if seal { SlotKind::Seal } else { SlotKind::Key },
        subject: SubjectId(subject),
        role,
        group,
    })
}

fn payload() -> impl Strategy<Value = Payload> {
    let rules = vec((0u8..4, 1u8..4).prop_map(|(group, required)| GroupRule { group, required }), 0..3);
    let opened =
        (hash(), vec(slot(), 1..6), rules, proptest::option::of(hash())).prop_map(|(i, slots, rules, amends)| {
            let (initiator, amends) = (SubjectId(i), amends.map(SubjectId));
            Payload::ContractOpened(ContractOpened { initiator, slots, rules, amends })
        });
    let signed = (hash(), any::<u8>(), hash(), proptest::option::of(hash())).prop_map(|(c, slot, version, seal)| {
        Payload::ContractSigned(ContractSigned { contract: SubjectId(c), slot, version, seal: seal.map(SubjectId) })
    });
    prop_oneof![opened, signed]
}

fn body() -> impl Strategy<Value = Body> {
    let commitments = btree_map("[a-z_.0-9]{1,20}", hash(), 0..6)
        .prop_map(|map| map.into_iter().map(|(name, hash)| Commitment { name, hash }).collect::<Vec<_>>());
    (hash(), any::<[u8; 16]>(), any::<u64>(), payload(), commitments, any::<u64>()).prop_map(
        |(chain, id, expiry, payload, commitments, time)| {
            Body::new(chain, SubmissionId(id), Height(expiry), payload, commitments, time)
        },
    )
}

/// The sparse tree straight from its definition: nothing, one leaf, or two halves.
fn sparse_root(leaves: &[(Hash32, Hash32)], depth: usize) -> Hash32 {
    match leaves {
        [] => Hash32(*b"SPARSE_MERKLE_PLACEHOLDER_HASH__"),
        [(key, value)] => blake3(&[b"JMT::LeafNode", &key.0, &blake3(&[&value.0]).0]),
        many => {
            let (left, right): (Vec<_>, Vec<_>) = many.iter().partition(|(key, _)| !bit(key, depth));
            let (left, right) = (sparse_root(&left, depth + 1), sparse_root(&right, depth + 1));
            blake3(&[b"JMT::IntrnalNode", &left.0, &right.0])
        }
    }
}

fn bit(key: &Hash32, depth: usize) -> bool {
    key.0[depth / 8] >> (7 - depth % 8) & 1 == 1
}

fn sparse_proof(leaves: &BTreeMap<Hash32, Hash32>, subject: Hash32) -> StateProof {
    let mut rest: Vec<_> = leaves.iter().map(|(k, v)| (*k, *v)).collect();
    let mut siblings = vec![];
    while rest.len() > 1 {
        let depth = siblings.len();
        let (same, other): (Vec<_>, Vec<_>) =
            rest.into_iter().partition(|(key, _)| bit(key, depth) == bit(&subject, depth));
        siblings.push(sparse_root(&other, depth + 1));
        rest = same;
    }
    siblings.reverse();
    let own = rest.iter().find(|(key, _)| *key == subject).map(|(_, value)| Bytes(value.0.to_vec()));
    let other = match (&own, rest.first()) {
        (None, Some((key, value))) => Some(OtherLeaf { key: *key, value_hash: blake3(&[&value.0]) }),
        _ => None,
    };
    StateProof { subject: SubjectId(subject), head: own, other, siblings }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn bodies_round_trip_and_have_one_encoding(body in body(), position in any::<prop::sample::Index>(), flip in 1u8..) {
        let bytes = encode(&body);
        prop_assert_eq!(decode_strict::<Body>(&bytes).unwrap(), body.clone());
        let mut changed = bytes.clone();
        changed[position.index(bytes.len())] ^= flip;
        // Other bytes are refused, or they are another body: never the same content twice.
        if let Ok(other) = decode_strict::<Body>(&changed) {
            prop_assert_ne!(other, body);
        }
    }

    #[test]
    fn readers_never_panic(bytes in vec(any::<u8>(), 0..600)) {
        let _ = decode_strict::<Bundle>(&bytes);
        let _ = decode_strict::<Record>(&bytes);
        let _ = decode_strict::<Submission>(&bytes);
        let _ = Parsed::new(&bytes);
        let _ = Genesis::open(&bytes);
    }

    #[test]
    fn records_paths_hold_for_their_leaf_only(
        records in vec(vec(any::<u8>(), 0..40), 1..60), index in any::<prop::sample::Index>(), other in vec(any::<u8>(), 0..40),
    ) {
        let hashes: Vec<_> = records.iter().map(|r| record_hash(r)).collect();
        let count = hashes.len() as u32;
        let tree = RecordsTree::new(&hashes);
        let i = index.index(hashes.len());
        let path = tree.path(i as u32).unwrap();
        prop_assert_eq!(root_from_path(&hashes[i], i as u32, count, &path), Some(tree.root()));
        if record_hash(&other) != hashes[i] {
            prop_assert_ne!(root_from_path(&record_hash(&other), i as u32, count, &path), Some(tree.root()));
        }
    }

    #[test]
    fn state_proofs_show_membership_and_absence(
        leaves in btree_map(hash(), hash(), 0..40), stranger in hash(), pick in any::<prop::sample::Index>(),
    ) {
        let all: Vec<_> = leaves.iter().map(|(k, v)| (*k, *v)).collect();
        let root = sparse_root(&all, 0);
        prop_assume!(!leaves.contains_key(&stranger));
        let absence = sparse_proof(&leaves, stranger);
        prop_assert_eq!(absence.root(), Some(root));
        // The absence of one key says nothing about a present one.
        if !all.is_empty() {
            let (key, value) = all[pick.index(all.len())];
            let membership = sparse_proof(&leaves, key);
            prop_assert_eq!(membership.root(), Some(root));
            let hidden = StateProof { subject: SubjectId(key), ..absence };
            prop_assert_ne!(hidden.root(), Some(root));
            let altered = StateProof { head: Some(Bytes(blake3(&[&value.0]).0.to_vec())), ..membership.clone() };
            prop_assert_ne!(altered.root(), Some(root));
            let denied = StateProof {
                head: None,
                other: Some(OtherLeaf { key, value_hash: blake3(&[&value.0]) }),
                ..membership
            };
            prop_assert_eq!(denied.root(), None);
        }
    }

    #[test]
    fn commitments_bind_the_split_between_name_and_value(name in "[a-z]{1,30}", value in "[a-z]{1,30}", cut in 1usize..20, salt in any::<[u8; 32]>()) {
        let hash = Opening::new(&name, salt, &value).commitment().hash;
        let joined = format!("{name}{value}");
        let cut = cut.min(joined.len() - 1);
        let (left, right) = joined.split_at(cut);
        prop_assert_eq!(commit(left, &Hash32(salt), right.as_bytes()) == hash, left == name);
    }
}
