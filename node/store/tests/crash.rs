//! Crashes and damaged logs: nothing that was committed is lost, nothing is half there, and no damage
//! passes for a shorter ledger.

#![allow(clippy::unwrap_used)]

mod node;

use node::ledger::Ledger;
use node::{Node, WINDOW, genesis};
use qz_chain::{Block, Verified, View, execute};
use qz_evidence::{Height, decode_strict};
use qz_store::{Recovery, Store, StoreError};
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// Executes all blocks of a store from the genesis on; gives a node that goes on from there.
fn replay(store: Store) -> Node {
    let mut ledger = Ledger::with(WINDOW, true);
    let tip = store.tip_height().unwrap();
    for height in (1..=tip.0).map(Height) {
        let block: Block = decode_strict(&store.block_bytes(height).unwrap().unwrap()).unwrap();
        store.commit_certificate(height).unwrap().unwrap();
        let changes = execute(&ledger.view, &block, &Verified::default()).unwrap();
        for record in &changes.records {
            assert_eq!(store.record(&record.hash).unwrap().unwrap().bytes, record.bytes);
        }
        ledger.view.apply(&changes).unwrap();
        ledger.blocks.push(block);
    }
    assert_eq!(ledger.view.tip().unwrap(), store.view().unwrap().tip().unwrap());
    ledger.skip_numbers(1000 * u32::try_from(tip.0).unwrap());
    Node { store, ledger }
}

fn copy(from: &Path, to: &Path) {
    for entry in std::fs::read_dir(from).unwrap() {
        let path = entry.unwrap().path();
        std::fs::copy(&path, to.join(path.file_name().unwrap())).unwrap();
    }
}

fn newest_log(folder: &Path) -> PathBuf {
    let files = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    files.filter(|path| path.extension().is_some_and(|e| e == "log")).max().unwrap()
}

/// Six blocks, all still in the log.
fn six_blocks() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    let mut node = Node::new(folder.path());
    for _ in 0..6 {
        let deposits = node.deposits(4);
        node.block(&deposits);
    }
    assert!(!node.store.log_was_torn());
    folder
}

#[test]
fn an_incomplete_last_write_is_dropped_and_told() {
    let original = six_blocks();
    for cut in [1, 5, 100, 1000] {
        let folder = tempfile::tempdir().unwrap();
        copy(original.path(), folder.path());
        let log = newest_log(folder.path());
        let bytes = std::fs::read(&log).unwrap();
        std::fs::write(&log, &bytes[..bytes.len() - cut]).unwrap();
        let store = Store::open(folder.path(), &genesis()).unwrap();
        assert!(store.log_was_torn(), "{cut}");
        let mut node = replay(store);
        assert_eq!(node.store.tip_height().unwrap(), Height(5), "{cut}");
        let deposits = node.deposits(2);
        assert_eq!(node.block(&deposits).height, Height(6));
        drop(node);
        // Repaired: the next opening is an ordinary one.
        let store = Store::open(folder.path(), &genesis()).unwrap();
        assert!(!store.log_was_torn());
        assert_eq!(replay(store).store.tip_height().unwrap(), Height(6));
    }
}

#[test]
fn damage_before_the_end_is_refused_and_survived_only_on_request() {
    let original = six_blocks();
    let length = std::fs::read(newest_log(original.path())).unwrap().len();
    for position in (1..10).map(|i| i * length / 10) {
        let folder = tempfile::tempdir().unwrap();
        copy(original.path(), folder.path());
        let log = newest_log(folder.path());
        let mut bytes = std::fs::read(&log).unwrap();
        bytes[position] ^= 1;
        std::fs::write(&log, bytes).unwrap();
        // Twice: refusing changes nothing.
        for _ in 0..2 {
            let refused = Store::open(folder.path(), &genesis());
            assert!(matches!(refused, Err(StoreError::WriteAheadLog { .. })), "{position}: {refused:?}");
        }
        let mut node = replay(Store::open_with(folder.path(), &genesis(), Recovery::AcceptLoss).unwrap());
        let tip = node.store.tip_height().unwrap();
        assert!(tip < Height(6), "{tip}");
        let deposits = node.deposits(1);
        assert_eq!(node.block(&deposits).height, tip.next());
    }
}

/// The test runs itself as the process that is killed.
#[test]
fn blocks_reported_as_committed_survive_kill_9() {
    const CHILD: &str = "QZ_STORE_TEST_FOLDER";
    if let Some(folder) = std::env::var_os(CHILD) {
        let mut node = replay(Store::open(Path::new(&folder), &genesis()).unwrap());
        loop {
            let deposits = node.deposits(5);
            println!("committed {}", node.block(&deposits).height);
        }
    }
    let folder = tempfile::tempdir().unwrap();
    let mut reported = Height(0);
    for round in 0..4 {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "blocks_reported_as_committed_survive_kill_9", "--nocapture"])
            .env(CHILD, folder.path())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let heights = lines.filter_map(|line| line.unwrap().split("committed ").nth(1)?.parse().ok());
        reported = heights.take(5 + 3 * round).map(Height).last().unwrap();
        child.kill().unwrap();
        child.wait().unwrap();
        let node = replay(Store::open(folder.path(), &genesis()).unwrap());
        let tip = node.store.tip_height().unwrap();
        assert!(tip >= reported, "block {reported} was reported as committed, the store has {tip}");
    }
    assert!(reported.0 >= 30, "{reported}");
}
