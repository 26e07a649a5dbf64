//! Checking a store: a good one has no findings, and whatever entry is changed, missing or added is found
//! and named. Snapshots of it are believed in nothing.

#![allow(clippy::unwrap_used)]

mod node;

use node::{Node, WINDOW, deposit, genesis};
use qz_evidence::{Height, SubjectId};
use qz_store::{Findings, Inspection, Store};
use rocksdb::{DB, IteratorMode, Options};
use std::path::{Path, PathBuf};

const BLOCKS: u64 = 2 * WINDOW + 5;

/// Blocks of every kind that storage tells apart: empty ones, several records of one subject, bodies and
/// numbers that are used again after the window, and enough of them for pruning.
fn ledger(folder: &Path) {
    let mut node = Node::new(folder);
    let registration = node.ledger.registration("a", "notary");
    let subject = node.ledger.created(&registration);
    node.block(std::slice::from_ref(&registration));
    let revived = [deposit(&mut node.ledger)];
    node.block(&revived);
    for number in 3..=BLOCKS {
        let deposits = node.deposits(usize::try_from(number % 4).unwrap());
        node.block(&deposits);
    }
    assert!(node.store.subject(&subject).unwrap().is_some());
    assert!(node.store.view().unwrap().oldest_state().unwrap() > Height(0));
}

fn inspect(folder: &Path) -> Inspection {
    let (store, findings) = Store::open_to_inspect(folder, &genesis()).unwrap();
    assert!(findings.is_empty());
    store.inspect(&genesis(), &mut |_, _, _| ())
}

fn copy(from: &Path) -> tempfile::TempDir {
    let to = tempfile::tempdir().unwrap();
    for entry in std::fs::read_dir(from).unwrap() {
        let path = entry.unwrap().path();
        std::fs::copy(&path, to.path().join(path.file_name().unwrap())).unwrap();
    }
    to
}

/// Opens the database behind the store's back.
fn behind(folder: &Path) -> DB {
    let options = Options::default();
    let families = DB::list_cf(&options, folder).unwrap();
    DB::open_cf(&options, folder, families).unwrap()
}

fn columns(findings: &Findings) -> Vec<&'static str> {
    findings.kept.iter().map(|finding| finding.column).collect()
}

/// Middle and last entry of a column.
fn samples(db: &DB, column: &str) -> Vec<(Vec<u8>, Vec<u8>)> {
    let entries: Vec<_> = db
        .iterator_cf(db.cf_handle(column).unwrap(), IteratorMode::Start)
        .map(|entry| entry.map(|(key, value)| (key.into_vec(), value.into_vec())).unwrap())
        .collect();
    assert!(!entries.is_empty(), "{column} is empty");
    [entries.len() / 2, entries.len() - 1].map(|index| entries[index].clone()).to_vec()
}

const CHANGES: [&str; 4] = ["flip first", "cut", "flip last", "delete"];

const COLUMNS: [&str; 13] = [
    "epochs",
    "organisations",
    "headers",
    "commits",
    "records",
    "record_places",
    "bodies",
    "relayed",
    "subjects",
    "sequences",
    "tree_nodes",
    "tree_values",
    "history",
];

#[test]
fn a_good_store_has_no_findings_and_replays() {
    let folder = tempfile::tempdir().unwrap();
    ledger(folder.path());
    let inspection = inspect(folder.path());
    assert_eq!(inspection.findings.kept, []);
    assert_eq!(inspection.tip, Height(BLOCKS));
    assert!(inspection.records > 40 && inspection.subjects > 40 && inspection.tree_nodes > 40, "{inspection:?}");
    // Four validators a block, a relay a record, and the attestor of the key.
    assert!(inspection.signatures > 4 * BLOCKS + inspection.records);
    let (store, _) = Store::open_to_inspect(folder.path(), &genesis()).unwrap();
    let scratch = tempfile::tempdir().unwrap();
    let findings = store.replay(&genesis(), &scratch.path().join("replay"), &mut |_, _, _| ()).unwrap();
    assert_eq!(findings.kept, []);
}

#[test]
fn every_changed_or_missing_entry_is_found_in_its_column() {
    let original = tempfile::tempdir().unwrap();
    ledger(original.path());
    for column in COLUMNS {
        let some = samples(&behind(copy(original.path()).path()), column);
        for ((key, value), changes) in some.into_iter().zip([&CHANGES[..], &CHANGES[2..]]) {
            for change in changes {
                let folder = copy(original.path());
                let db = behind(folder.path());
                let family = db.cf_handle(column).unwrap();
                let mut changed = value.clone();
                match *change {
                    "flip first" => changed[0] ^= 1,
                    "flip last" => *changed.last_mut().unwrap() ^= 1,
                    _ => drop(changed.pop()),
                }
                match *change {
                    "delete" => db.delete_cf(family, &key).unwrap(),
                    _ => db.put_cf(family, &key, &changed).unwrap(),
                }
                drop(db);
                let found = inspect(folder.path()).findings;
                let what = format!("{column}/{}: {change}", hex::encode(&key));
                assert!(!found.is_empty(), "{what} was not found");
                // A header that is not the block's any more may as well be called the block's fault.
                let named = columns(&found).contains(&column)
                    || (column == "headers"
                        && found.kept.iter().any(|f| f.height.is_some_and(|h| key == h.0.to_be_bytes())));
                assert!(named, "{what} was found as {:?}", found.kept);
            }
        }
    }
}

#[test]
fn entries_that_nothing_accounts_for_are_found() {
    let original = tempfile::tempdir().unwrap();
    ledger(original.path());
    for column in COLUMNS.into_iter().filter(|column| *column != "tree_values") {
        let folder = copy(original.path());
        let db = behind(folder.path());
        let family = db.cf_handle(column).unwrap();
        let (mut key, value) = samples(&db, column).swap_remove(0);
        // A key of the same form that is not there.
        while db.get_cf(family, &key).unwrap().is_some() {
            let last = key.last_mut().unwrap();
            *last = last.wrapping_add(1);
            if *last == 0 {
                key[0] ^= 0x40;
            }
        }
        db.put_cf(family, &key, value).unwrap();
        drop(db);
        let found = inspect(folder.path()).findings;
        assert!(columns(&found).contains(&column), "{column}/{} was found as {:?}", hex::encode(&key), found.kept);
    }
}

#[test]
fn the_meta_column_is_checked() {
    let original = tempfile::tempdir().unwrap();
    ledger(original.path());
    for key in ["genesis", "tip", "frontier", "validators", "params"] {
        let folder = copy(original.path());
        let db = behind(folder.path());
        let family = db.cf_handle("meta").unwrap();
        let mut value = db.get_cf(family, key).unwrap().unwrap();
        *value.last_mut().unwrap() ^= 1;
        db.put_cf(family, key, value).unwrap();
        drop(db);
        assert!(!inspect(folder.path()).findings.is_empty(), "{key}");
    }
}

#[test]
fn a_replay_finds_a_block_that_does_not_execute() {
    let original = tempfile::tempdir().unwrap();
    ledger(original.path());
    let db = behind(original.path());
    // The first record of block 7; a third of the way in stands its submission.
    let family = db.cf_handle("records").unwrap();
    let key = [&7u64.to_be_bytes()[..], &[0; 4]].concat();
    let mut record = db.get_cf(family, &key).unwrap().unwrap();
    let middle = record.len() / 3;
    record[middle] ^= 1;
    db.put_cf(family, key, record).unwrap();
    drop(db);
    let (store, _) = Store::open_to_inspect(original.path(), &genesis()).unwrap();
    let scratch = tempfile::tempdir().unwrap();
    let findings = store.replay(&genesis(), &scratch.path().join("replay"), &mut |_, _, _| ()).unwrap();
    assert_eq!(findings.kept.first().and_then(|finding| finding.height), Some(Height(7)), "{findings:?}");
}

#[test]
fn a_damaged_log_is_told_and_looking_changes_nothing() {
    let original = tempfile::tempdir().unwrap();
    ledger(original.path());
    let log: PathBuf = std::fs::read_dir(original.path())
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .find(|path| path.extension().is_some_and(|extension| extension == "log"))
        .unwrap();
    let whole = std::fs::read(&log).unwrap();
    let mut damaged = whole.clone();
    damaged[whole.len() / 2] ^= 1;
    std::fs::write(&log, &damaged).unwrap();
    for _ in 0..2 {
        let (store, findings) = Store::open_to_inspect(original.path(), &genesis()).unwrap();
        assert_eq!(columns(&findings), ["log"]);
        let inspection = store.inspect(&genesis(), &mut |_, _, _| ());
        assert!(inspection.tip < Height(BLOCKS));
        assert_eq!(inspection.findings.kept, [], "what precedes the damage is whole");
    }
    assert_eq!(std::fs::read(&log).unwrap(), damaged);
    std::fs::write(&log, &whole[..whole.len() - 3]).unwrap();
    let (store, findings) = Store::open_to_inspect(original.path(), &genesis()).unwrap();
    assert!(findings.is_empty() && store.log_was_torn(), "a torn end is no damage");
}

#[test]
fn a_snapshot_gives_the_same_ledger_and_a_changed_one_none() {
    let original = tempfile::tempdir().unwrap();
    ledger(original.path());
    let (store, _) = Store::open_to_inspect(original.path(), &genesis()).unwrap();
    let mut file = vec![];
    let exported = store.export(&mut file, &mut |_, _, _| ()).unwrap();
    assert_eq!(exported.height, Height(BLOCKS));
    let mut again = vec![];
    assert_eq!(store.export(&mut again, &mut |_, _, _| ()).unwrap(), exported);
    assert_eq!(file, again, "the same ledger gives the same bytes");

    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("data");
    let (imported, info) = Store::import(&path, &genesis(), &file[..], &mut |_, _, _| ()).unwrap();
    assert_eq!(info, exported);
    assert_eq!(imported.inspect(&genesis(), &mut |_, _, _| ()).findings.kept, []);
    imported.finish_import().unwrap();
    // An ordinary store from then on, in which nothing is missing.
    let reopened = Store::open(&path, &genesis()).unwrap();
    assert_eq!(reopened.tip_height().unwrap(), Height(BLOCKS));
    let mut third = vec![];
    reopened.export(&mut third, &mut |_, _, _| ()).unwrap();
    assert_eq!(third, file);
    let unknown = SubjectId(qz_evidence::Hash32([7; 32]));
    assert_eq!(reopened.subject(&unknown).unwrap(), None);

    let refused = |bytes: &[u8]| {
        let folder = tempfile::tempdir().unwrap();
        Store::import(&folder.path().join("data"), &genesis(), bytes, &mut |_, _, _| ()).err().map(|e| e.to_string())
    };
    for position in (0..file.len()).step_by(file.len() / 60) {
        let mut changed = file.clone();
        changed[position] ^= 1;
        assert!(refused(&changed).is_some(), "byte {position}");
    }
    assert!(refused(&file[..file.len() - 1]).is_some());
    assert!(refused(&[&file[..], b"x"].concat()).unwrap().contains("follow"));
    assert!(refused(b"").is_some());
}
