//! Subjects and the state tree: the root of all subjects as of the tip, and every version of the tree
//! that is kept.

use super::{Findings, Inspection, Progress};
use crate::error::StoreError;
use crate::keys;
use crate::read::StoreView;
use jmt::KeyHash;
use jmt::storage::{NibblePath, Node, NodeKey};
use qz_chain::Subject;
use qz_chain::tree::{Blake3Hasher, root_key};
use qz_evidence::hash::blake3;
use qz_evidence::state_proof::whole_root;
use qz_evidence::{Hash32, Height, SubjectId, encode};
use std::collections::HashSet;

/// How often progress is told, in subjects or heights.
const TELL_EVERY: u64 = 4096;

/// Checks subjects and tree.
pub(super) fn check(view: &StoreView<'_>, inspection: &mut Inspection, progress: &mut Progress<'_>) {
    let findings = &mut inspection.findings;
    match subjects(view, findings, progress) {
        Ok(subjects) => inspection.subjects = subjects,
        Err(error) => findings.add_error(None, keys::SUBJECTS, &error),
    }
    let mut tree = Tree { view, visited: HashSet::new() };
    match tree.walk(findings, progress) {
        Ok(()) => {}
        Err(error) => findings.add_error(None, keys::TREE_NODES, &error),
    }
    inspection.tree_nodes = tree.visited.len() as u64;
}

/// Every subject decodes and ends where its sequence ends; all together give the tip's state root.
fn subjects(view: &StoreView<'_>, findings: &mut Findings, progress: &mut Progress<'_>) -> Result<u64, StoreError> {
    let mut heads = vec![];
    for entry in view.scan(keys::SUBJECTS, &[]) {
        let (key, value) = entry?;
        let count = heads.len() as u64;
        if count.is_multiple_of(TELL_EVERY) {
            progress("subjects", count, count);
        }
        let Some(id) = keys::hash_from(&key).map(SubjectId) else {
            findings.add(None, keys::SUBJECTS, &key, "malformed key");
            continue;
        };
        let (written, subject) = match keys::subject(&value) {
            Ok(found) => found,
            Err(error) => {
                findings.add(None, keys::SUBJECTS, &key, error);
                continue;
            }
        };
        end_of_sequence(view, &id, &subject, findings)?;
        if view.get(keys::TREE_VALUES, &keys::tree_value(&KeyHash(id.0.0), written.0))?.is_none() {
            findings.add(Some(written), keys::SUBJECTS, &key, "not the height that last changed it");
        }
        heads.push((id, blake3(&[&encode(&subject.head())])));
    }
    let tip = view.tip_header()?;
    if whole_root(&heads) != Some(tip.state_root) {
        let problem = format!("the {} subjects do not give the state root of the last block", heads.len());
        findings.add(Some(tip.height), keys::SUBJECTS, &[], problem);
    }
    Ok(heads.len() as u64)
}

fn end_of_sequence(
    view: &StoreView<'_>, id: &SubjectId, subject: &Subject, findings: &mut Findings,
) -> Result<(), StoreError> {
    let last = match subject.records.checked_sub(1) {
        None => Some(Hash32::ZERO),
        Some(last) => view.get(keys::SEQUENCES, &keys::sequence(id, last))?.as_deref().and_then(keys::hash_from),
    };
    if last != Some(subject.last_record) {
        findings.add(None, keys::SUBJECTS, &id.0.0, "its last record is not the end of its sequence");
    }
    let next = keys::sequence(id, subject.records);
    if view.get(keys::SEQUENCES, &next)?.is_some() {
        findings.add(None, keys::SEQUENCES, &next, "the subject has fewer records");
    }
    Ok(())
}

/// The versions of the state tree. A node belongs to many versions and is visited once.
struct Tree<'a, 's> {
    view: &'a StoreView<'s>,
    visited: HashSet<Vec<u8>>,
}

impl Tree<'_, '_> {
    fn walk(&mut self, findings: &mut Findings, progress: &mut Progress<'_>) -> Result<(), StoreError> {
        let (oldest, tip) = (self.view.pruned()?, self.view.tip_height());
        for version in (oldest.0..=tip.0).map(Height) {
            if version.0.is_multiple_of(TELL_EVERY) || version == oldest {
                progress("state tree", version.0 - oldest.0, tip.0 - oldest.0);
            }
            // A header that is missing or unreadable is told with the blocks.
            if let Ok(Some(header)) = self.view.header(version) {
                self.version(version, header.state_root, findings)?;
            }
        }
        let stored = self.view.count(keys::TREE_NODES)?;
        let visited = self.visited.len() as u64;
        if stored != visited && findings.is_empty() {
            let problem = format!("{stored} nodes, {visited} belong to a version that is kept");
            findings.add(None, keys::TREE_NODES, &[], problem);
        }
        Ok(())
    }

    fn version(&mut self, version: Height, root: Hash32, findings: &mut Findings) -> Result<(), StoreError> {
        let mut open = vec![(root_key(version), root.0)];
        while let Some((key, expected)) = open.pop() {
            let bytes = keys::tree_node(&key);
            if self.visited.contains(&bytes) {
                continue;
            }
            let node = match self.view.stored_node(&key) {
                Ok(Some(node)) => node,
                Ok(None) => {
                    findings.add(Some(version), keys::TREE_NODES, &bytes, "missing");
                    continue;
                }
                Err(error) => {
                    findings.add(Some(version), keys::TREE_NODES, &bytes, error);
                    continue;
                }
            };
            if hash_of(&node) != expected {
                findings.add(Some(version), keys::TREE_NODES, &bytes, "another hash than its parent or header names");
            }
            match &node {
                Node::Null => {}
                Node::Leaf(leaf) => {
                    let value = self.view.newest_value(&leaf.key_hash(), key.version())?.map(|(_, value)| value);
                    let as_stored = value.map(|value| {
                        let parts: [&[u8]; 3] = [b"JMT::LeafNode", &leaf.key_hash().0, &blake3(&[&value]).0];
                        blake3(&parts).0
                    });
                    if as_stored != Some(hash_of(&node)) {
                        let value_key = keys::tree_value(&leaf.key_hash(), key.version());
                        findings.add(Some(version), keys::TREE_VALUES, &value_key, "missing, or not the leaf's value");
                    }
                }
                Node::Internal(internal) => {
                    for (nibble, child) in internal.children_sorted() {
                        let path: NibblePath = key.nibble_path().nibbles().chain(std::iter::once(nibble)).collect();
                        open.push((NodeKey::new(child.version, path), child.hash));
                    }
                }
            }
            self.visited.insert(bytes);
        }
        Ok(())
    }
}

fn hash_of(node: &Node) -> [u8; 32] {
    match node {
        Node::Null => *b"SPARSE_MERKLE_PLACEHOLDER_HASH__",
        Node::Internal(node) => node.hash::<Blake3Hasher>(),
        Node::Leaf(leaf) => leaf.hash::<Blake3Hasher>(),
    }
}
