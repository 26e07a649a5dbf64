//! Admission, execution and the state tree, on a ledger in memory.
//!
//! `make bench` measures; `cargo test` runs each of them once.
#![allow(clippy::unwrap_used, missing_docs)]

#[path = "../tests/ledger/mod.rs"]
mod ledger;

use divan::counter::ItemsCount;
use divan::{Bencher, black_box};
use ledger::{Ledger, commitments, key, proposer};
use qz_chain::memory::MemoryTree;
use qz_chain::{Verified, admit, execute, propose, tree};
use qz_evidence::hash::blake3;
use qz_evidence::payload::{EvidenceDeposited, Payload, SealKind, SealMade};
use qz_evidence::state_proof::{HeadTag, Status, SubjectHead, SubjectType};
use qz_evidence::submission::Parsed;
use qz_evidence::{Hash32, Height, SubjectId, encode};

/// Records of a block.
const RECORDS: usize = 256;

fn main() {
    divan::main();
}

/// Half deposits (one signature), half seals made by their owner (two).
fn submissions(ledger: &mut Ledger) -> Vec<Parsed> {
    let owner = ledger.register("owner");
    let one = |i: usize| {
        if i.is_multiple_of(2) {
            let payload = Payload::EvidenceDeposited(EvidenceDeposited { about: None });
            ledger.submission(payload, commitments(&["document.sha256"]), &[])
        } else {
            let payload = Payload::SealMade(SealMade { owner, kind: SealKind::Contract });
            let names = commitments(&["certificate.sha256", "imprint.sha256"]);
            ledger.submission(payload, names, &[(owner, &key("owner"))])
        }
    };
    (0..RECORDS).map(one).collect()
}

fn verdicts(ledger: &Ledger, submissions: &[Parsed]) -> Verified {
    let verified = Verified::default();
    for parsed in submissions {
        let admitted = admit(&ledger.view, parsed, &verified).unwrap();
        verified.insert(admitted.verification);
    }
    verified
}

/// A submission with two signatures, never seen before.
#[divan::bench]
fn admit_new(bencher: Bencher) {
    let mut ledger = Ledger::new();
    let submissions = submissions(&mut ledger);
    bencher.bench_local(|| admit(&ledger.view, black_box(&submissions[1]), &Verified::default()).unwrap());
}

/// The same again after each block: signatures are known.
#[divan::bench]
fn admit_again(bencher: Bencher) {
    let mut ledger = Ledger::new();
    let submissions = submissions(&mut ledger);
    let verified = verdicts(&ledger, &submissions);
    bencher.bench_local(|| admit(&ledger.view, black_box(&submissions[1]), &verified).unwrap());
}

#[divan::bench(sample_count = 20)]
fn propose_256(bencher: Bencher) {
    let mut ledger = Ledger::new();
    let submissions = submissions(&mut ledger);
    let verified = verdicts(&ledger, &submissions);
    let build = || propose(&ledger.view, black_box(&submissions), u64::MAX / 2, proposer("court"), &verified).unwrap();
    assert_eq!(build().changes.records.len(), RECORDS);
    bencher.counter(ItemsCount::new(RECORDS)).bench_local(build);
}

#[divan::bench(args = [true, false], sample_count = 20)]
fn execute_256(bencher: Bencher, signatures_known: bool) {
    let mut ledger = Ledger::new();
    let submissions = submissions(&mut ledger);
    let block = ledger.propose(&submissions).block;
    let verified = if signatures_known { verdicts(&ledger, &submissions) } else { Verified::default() };
    bencher
        .counter(ItemsCount::new(RECORDS))
        .bench_local(|| execute(&ledger.view, black_box(&block), &verified).unwrap());
}

/// Updates of a tree of 10,000 subjects in one batch, half of them of new subjects.
#[divan::bench(args = [1, 16, 128, 1024], sample_count = 20)]
fn state_tree(bencher: Bencher, updates: u32) {
    const SUBJECTS: u32 = 10_000;
    let subject = |n: u32| SubjectId(blake3(&[&n.to_be_bytes()]));
    let head = |n: u32| SubjectHead {
        tag: HeadTag,
        subject_type: SubjectType::Evidence,
        status: Status::Recorded,
        records: 1,
        last_record: Hash32([7; 32]),
        state_digest: blake3(&[b"state", &n.to_be_bytes()]),
    };
    let mut nodes = MemoryTree::default();
    let all: Vec<_> = (0..SUBJECTS).map(|n| (subject(n), head(n))).collect();
    nodes.apply(&tree::put(&nodes, Height(0), &all).unwrap().1).unwrap();
    let number = |i: u32| if i.is_multiple_of(2) { (i * 37) % SUBJECTS } else { SUBJECTS + i };
    let batch: Vec<_> = (0..updates).map(|i| (subject(number(i)), head(i))).collect();
    bencher
        .counter(ItemsCount::new(batch.len()))
        .bench_local(|| tree::put(&nodes, Height(1), black_box(&batch)).unwrap().0);
}

#[divan::bench]
fn encode_block(bencher: Bencher) {
    let mut ledger = Ledger::new();
    let submissions = submissions(&mut ledger);
    let block = ledger.propose(&submissions).block;
    bencher.counter(ItemsCount::new(RECORDS)).bench_local(|| encode(black_box(&block)));
}
