//! A manifest that has lost its end, at whatever record: the database is refused without losing a table, or the
//! inspection finds what is missing; it never passes for an older or emptier ledger.

#![allow(clippy::unwrap_used)]

mod node;

use node::{Node, genesis};
use qz_store::Store;
use std::path::{Path, PathBuf};

/// Bytes of a block of RocksDB's log format, and of a record's header in it.
const BLOCK: usize = 32 * 1024;
const HEADER: usize = 7;

/// The file that says which tables count.
fn manifest(folder: &Path) -> PathBuf {
    folder.join(std::fs::read_to_string(folder.join("CURRENT")).unwrap().trim())
}

/// Where the records of a manifest end: checksum 4, length 2, type 1, then the record.
fn record_ends(bytes: &[u8]) -> Vec<u64> {
    let (mut at, mut ends) = (0, vec![]);
    while at + HEADER <= bytes.len() {
        let left = BLOCK - at % BLOCK;
        if left < HEADER {
            at += left;
            continue;
        }
        at += HEADER + usize::from(u16::from_le_bytes([bytes[at + 4], bytes[at + 5]]));
        ends.push(at as u64);
    }
    ends
}

fn tables(folder: &Path) -> Vec<String> {
    let names = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let mut tables: Vec<_> = names.filter(|name| name.ends_with(".sst")).collect();
    tables.sort();
    tables
}

fn copy(from: &Path) -> tempfile::TempDir {
    let to = tempfile::tempdir().unwrap();
    for entry in std::fs::read_dir(from).unwrap() {
        let path = entry.unwrap().path();
        std::fs::copy(&path, to.path().join(path.file_name().unwrap())).unwrap();
    }
    to
}

/// Shortens the manifest to every length at which it may still make sense, and some at which it is torn.
fn check_every_length(folder: &Path) {
    let bytes = std::fs::read(manifest(folder)).unwrap();
    let ends = record_ends(&bytes);
    let (whole, shorter) = ends.split_last().unwrap();
    assert_eq!(*whole, bytes.len() as u64);
    assert!(shorter.len() > 15, "{ends:?}");
    // Whole, it opens.
    let tip = Store::open(copy(folder).path(), &genesis()).unwrap().tip_height().unwrap();
    let mut opened = 0;
    let torn = shorter.iter().step_by(4).map(|end| end + 3);
    for keep in shorter.iter().copied().chain(torn) {
        let broken = copy(folder);
        let before = tables(broken.path());
        std::fs::OpenOptions::new().write(true).open(manifest(broken.path())).unwrap().set_len(keep).unwrap();
        match Store::open_to_inspect(broken.path(), &genesis()) {
            Err(inspected) => assert!(inspected.is_damage(), "{keep}: {inspected}"),
            // A column may name a table that a compaction has deleted: reading finds that. What the last
            // records say may be in a log as well that was not deleted yet: then nothing is lost.
            Ok((store, findings)) => {
                let inspection = store.inspect(&genesis(), &mut |_, _, _| ());
                let is_clean = findings.is_empty() && inspection.findings.is_empty();
                assert!(!is_clean || inspection.tip == tip, "{keep}: passes for a ledger to {}", inspection.tip);
                opened += 1;
                continue;
            }
        }
        // Twice: refusing changes nothing.
        for _ in 0..2 {
            let opened = Store::open(broken.path(), &genesis()).unwrap_err();
            assert!(opened.is_damage(), "{keep}: {opened}");
        }
        assert_eq!(tables(broken.path()), before, "{keep}: a table was deleted");
    }
    assert!(opened < shorter.len() / 4, "{opened} of {} lengths still open", shorter.len());
}

fn blocks(node: &mut Node) {
    for _ in 0..3 {
        let deposits = node.deposits(4);
        node.block(&deposits);
    }
}

#[test]
fn a_manifest_without_its_end_is_refused_while_all_is_in_the_log() {
    let folder = tempfile::tempdir().unwrap();
    blocks(&mut Node::new(folder.path()));
    check_every_length(folder.path());
}

#[test]
fn a_manifest_without_its_end_is_refused_when_tables_were_written() {
    let folder = tempfile::tempdir().unwrap();
    let mut node = Node::new(folder.path());
    for _ in 0..2 {
        blocks(&mut node);
        node.store.flush().unwrap();
    }
    blocks(&mut node);
    drop(node);
    check_every_length(folder.path());
}

#[test]
fn a_new_database_that_was_never_written_to_is_begun_again() {
    let folder = tempfile::tempdir().unwrap();
    drop(Node::new(folder.path()));
    // As a process leaves it that is killed before the first write: columns are made one by one.
    let logs = std::fs::read_dir(folder.path()).unwrap().map(|entry| entry.unwrap().path());
    for log in logs.filter(|path| path.extension().is_some_and(|extension| extension == "log")) {
        std::fs::write(log, b"").unwrap();
    }
    let file = manifest(folder.path());
    let ends = record_ends(&std::fs::read(&file).unwrap());
    std::fs::OpenOptions::new().write(true).open(&file).unwrap().set_len(ends[5]).unwrap();
    blocks(&mut Node::new(folder.path()));
}
