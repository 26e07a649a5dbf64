//! The state tree costs what its subjects cost, not what their past costs.

#![allow(clippy::unwrap_used)]

mod node;

use node::{Node, WINDOW};
use qz_evidence::SubjectId;
use qz_evidence::payload::{KeyRef, KeyRotated, Payload};
use qz_evidence::submission::Parsed;
use std::path::Path;

/// Entries of a column family, read beside the open store.
fn count(path: &Path, family: &str) -> usize {
    let options = rocksdb::Options::default();
    let families = rocksdb::DB::list_cf(&options, path).unwrap();
    let db = rocksdb::DB::open_cf_for_read_only(&options, path, families, false).unwrap();
    db.iterator_cf(db.cf_handle(family).unwrap(), rocksdb::IteratorMode::Start).count()
}

#[test]
fn nodes_and_values_stay_proportional_to_the_subjects() {
    let folder = tempfile::tempdir().unwrap();
    let mut node = Node::new(folder.path());
    let window = usize::try_from(WINDOW).unwrap();
    let mut subjects: Vec<SubjectId> = ["arbitration", "court", "notary", "platform"]
        .map(|name| SubjectId::of_organisation(&node.ledger.chain_id(), &node::ledger::org(name)))
        .to_vec();
    let registration = node.ledger.registration("a", "notary");
    let person = node.ledger.created(&registration);
    subjects.push(person);
    node.block(&[registration]);
    let mut measured = vec![];
    for round in 0..5 {
        for _ in 0..10 {
            let deposits: Vec<Parsed> = node.deposits(8);
            subjects.extend(deposits.iter().map(|deposit| node.ledger.created(deposit)));
            node.block(&deposits);
        }
        // One subject changes again and again; then the window passes without anything.
        for turn in 0..20 {
            let [old, new] = [turn, turn + 1].map(|turn| match (round, turn) {
                (0, 0) => "a".to_owned(),
                (round, turn) => format!("key {}", round * 20 + turn),
            });
            let [old, new] = [old, new].map(|name| node::ledger::key(&name));
            let key = qz_evidence::keys::PublicKey::ed25519(new.verifying_key().to_bytes());
            let rotated = Payload::KeyRotated(KeyRotated { subject: person, key });
            let rotation = node.ledger.submission(rotated, vec![], &[(person, &old), (person, &new)]);
            node.block(&[rotation]);
        }
        for _ in 0..window + 2 {
            node.block(&[]);
        }
        let nodes = count(folder.path(), "tree_nodes");
        measured.push((subjects.len(), nodes));
        assert_eq!(count(folder.path(), "tree_values"), subjects.len(), "one value for each subject");
        // Leaves, fewer inner nodes than leaves, and the roots of the window.
        assert!((subjects.len()..=2 * subjects.len() + window + 1).contains(&nodes), "{measured:?}");
        assert!(count(folder.path(), "tree_stale") <= window + 2);
    }
    // Everybody is provable at the head, and so is who is not there.
    let tip = node.store.tip_height().unwrap();
    let root = node.store.header(tip).unwrap().unwrap().state_root;
    subjects.push(SubjectId::default());
    let proofs = node.store.view().unwrap().states(&subjects, tip).unwrap();
    assert!(proofs.iter().all(|proof| proof.root() == Some(root)));
    assert_eq!(proofs.iter().filter(|proof| proof.head.is_none()).count(), 1);
    // The last change of the person is there: the key of the last rotation may end it.
    let last = node::ledger::key("key 100");
    let revoked = Payload::KeyRevoked(KeyRef { subject: person });
    let revocation = node.ledger.submission(revoked, vec![], &[(person, &last)]);
    node.block(&[revocation]);
}
