//! Commit, reads and proofs of a store on disk.
//!
//! `make bench` measures; `cargo test` runs each of them once.
#![allow(clippy::unwrap_used, missing_docs)]

#[path = "../tests/node/mod.rs"]
mod node;

use divan::counter::ItemsCount;
use divan::{Bencher, black_box};
use node::Node;
use qz_chain::View;
use qz_evidence::Hash32;
use std::cell::RefCell;

fn main() {
    divan::main();
}

/// One synced batch with so many records.
#[divan::bench(args = [1, 64, 256], sample_count = 10, sample_size = 1)]
fn commit(bencher: Bencher, records: usize) {
    let folder = tempfile::tempdir().unwrap();
    let node = RefCell::new(Node::new(folder.path()));
    bencher
        .counter(ItemsCount::new(records))
        .with_inputs(|| {
            let mut node = node.borrow_mut();
            let deposits = node.deposits(records);
            node.next(&deposits)
        })
        .bench_local_values(|(changes, certificate)| {
            let mut node = node.borrow_mut();
            node.store.commit(&changes, &certificate).unwrap();
            node.ledger.view.apply(&changes).unwrap();
        });
}

/// A store with a few blocks, and the hash of its first record.
fn filled(folder: &std::path::Path) -> (Node, Hash32) {
    let mut node = Node::new(folder);
    let deposits = node.deposits(64);
    let first = node.block(&deposits).records[0].hash;
    for _ in 0..8 {
        let deposits = node.deposits(64);
        node.block(&deposits);
    }
    (node, first)
}

/// What every request begins with.
#[divan::bench]
fn view(bencher: Bencher) {
    let folder = tempfile::tempdir().unwrap();
    let (node, _) = filled(folder.path());
    bencher.bench_local(|| node.store.view().unwrap().tip_height());
}

#[divan::bench]
fn read_subject(bencher: Bencher) {
    let folder = tempfile::tempdir().unwrap();
    let (node, first) = filled(folder.path());
    let subject = node.store.record(&first).unwrap().unwrap().decode().unwrap().links[0].subject;
    let view = node.store.view().unwrap();
    bencher.bench_local(|| view.subject(black_box(&subject)).unwrap());
}

/// A bundle of one record with the state of its subject.
#[divan::bench]
fn proof(bencher: Bencher) {
    let folder = tempfile::tempdir().unwrap();
    let (node, first) = filled(folder.path());
    let subject = node.store.record(&first).unwrap().unwrap().decode().unwrap().links[0].subject;
    bencher.bench_local(|| node.store.proof(black_box(&[first]), &[subject], None).unwrap());
}
