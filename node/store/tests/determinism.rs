//! The same blocks on disk, in memory and on replay: every change, root, header, subject and stored byte
//! is the same. `chain/tests/determinism.rs` does it with many more steps without a disk.

#![allow(clippy::unwrap_used)]

mod node;

use node::WINDOW;
use node::ledger::random::{Step, World, step};
use node::ledger::{certificate, genesis_with, proposer};
use proptest::prelude::*;
use proptest::test_runner::RngSeed;
use qz_chain::{Block, MemoryView, Verified, View, execute, propose};
use qz_evidence::genesis::Genesis;
use qz_evidence::{decode_strict, encode};
use qz_store::Store;
use std::collections::BTreeMap;
use std::path::Path;

/// Executes an encoded block on the store and commits it; gives what it changed.
fn append(store: &Store, block: &[u8]) -> qz_chain::ChangeSet {
    let decoded: Block = decode_strict(block).unwrap();
    let changes = execute(&store.view().unwrap(), &decoded, &Verified::default()).unwrap();
    let chain_id = store.view().unwrap().chain_id();
    store.commit(&changes, &certificate(&chain_id, changes.height, changes.block_id)).unwrap();
    changes
}

/// Every key and value of a closed store.
fn contents(path: &Path) -> BTreeMap<(String, Vec<u8>), Vec<u8>> {
    let options = rocksdb::Options::default();
    let families = rocksdb::DB::list_cf(&options, path).unwrap();
    let db = rocksdb::DB::open_cf_for_read_only(&options, path, &families, false).unwrap();
    let mut contents = BTreeMap::new();
    for family in families {
        for entry in db.iterator_cf(db.cf_handle(&family).unwrap(), rocksdb::IteratorMode::Start) {
            let (key, value) = entry.unwrap();
            contents.insert((family.clone(), key.into_vec()), value.into_vec());
        }
    }
    contents
}

fn run(steps: &[Step]) {
    let genesis: Genesis = genesis_with(WINDOW, true);
    let folders = [tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap()];
    let mut world = World::new(WINDOW);
    let mut store = Store::open(folders[0].path(), &genesis).unwrap();
    let mut memory = MemoryView::new(&genesis).unwrap();
    let mut blocks: Vec<Vec<u8>> = vec![];
    for block in world.ledger.blocks.clone() {
        let changes = append(&store, &encode(&block));
        memory.apply(&changes).unwrap();
        blocks.push(encode(&block));
    }
    for (round, now) in steps.chunks(6).enumerate() {
        let submissions = if now[0].size() % 5 == 0 { vec![] } else { world.submissions(now) };
        // The proposer reads from the disk, the validator from memory.
        let view = store.view().unwrap();
        let time = view.tip().unwrap().time_ms + 10;
        let proposed = propose(&view, &submissions, time, proposer("notary"), &Verified::default()).unwrap();
        drop(view);
        let executed = execute(&memory, &proposed.block, &Verified::default()).unwrap();
        assert_eq!(executed, proposed.changes, "disk and memory disagree");
        assert_eq!(append(&store, &encode(&proposed.block)), executed);
        memory.apply(&executed).unwrap();
        world.ledger.view.apply(&executed).unwrap();
        world.ledger.blocks.push(proposed.block.clone());
        blocks.push(encode(&proposed.block));
        if round % 7 == 3 {
            drop(store);
            store = Store::open(folders[0].path(), &genesis).unwrap();
        }
        same(&store, &memory, &executed.subjects.iter().map(|(id, _)| *id).collect::<Vec<_>>());
    }
    drop(store);
    // On replay from the genesis, on another disk: every stored byte is the same.
    let again = Store::open(folders[1].path(), &genesis).unwrap();
    for block in &blocks {
        append(&again, block);
    }
    drop(again);
    let [first, second] = folders.each_ref().map(|folder| contents(folder.path()));
    for (key, value) in &first {
        assert_eq!(second.get(key), Some(value), "{key:?}");
    }
    assert_eq!(first.len(), second.len());
}

fn same(store: &Store, memory: &MemoryView, subjects: &[qz_evidence::SubjectId]) {
    let view = store.view().unwrap();
    let tip = view.tip().unwrap();
    assert_eq!(tip, memory.tip().unwrap());
    assert_eq!(view.frontier().unwrap(), memory.frontier().unwrap());
    for id in subjects {
        assert_eq!(store.subject(id).unwrap().as_ref(), memory.subject(id).unwrap().as_deref());
        let proof = qz_chain::state_proof(&view, tip.height, id).unwrap();
        assert_eq!(proof, qz_chain::state_proof(memory, tip.height, id).unwrap());
        assert_eq!(proof.root(), Some(tip.state_root));
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 3, rng_seed: RngSeed::Fixed(0xd15c), failure_persistence: None, ..ProptestConfig::default() })]
    #[test]
    fn disk_memory_and_replay_agree(steps in prop::collection::vec(step(), 120..240)) {
        run(&steps);
    }
}
