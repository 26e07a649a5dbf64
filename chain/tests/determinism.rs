//! The same blocks give the same everything: on the proposer, on another machine, with and without
//! remembered verdicts, and on replay from genesis. `node/store/tests/determinism.rs` does the same with
//! a store on disk.

#![allow(clippy::unwrap_used)]

mod ledger;

use ledger::random::{Step, World, step};
use ledger::{genesis_with, proposer};
use proptest::prelude::*;
use proptest::strategy::ValueTree;
use proptest::test_runner::{RngSeed, TestRunner};
use qz_chain::{Block, MemoryView, Refusal, Verified, View, admit, execute, propose};
use qz_evidence::submission::Parsed;
use qz_evidence::{decode_strict, encode};
use std::collections::{BTreeMap, BTreeSet};

const WINDOW: u64 = 24;
/// Steps per block at most.
const BLOCK: usize = 9;

/// Codes of the refusals and names of the kinds that were accepted, with how often.
#[derive(Default)]
struct Seen {
    refused: BTreeMap<&'static str, usize>,
    accepted: BTreeMap<&'static str, usize>,
}

/// Runs the steps and compares after every block; then everything again from the genesis.
fn run(steps: &[Step], seen: &mut Seen) -> Vec<Block> {
    let mut world = World::new(WINDOW);
    let genesis = genesis_with(WINDOW, true);
    let mut other = MemoryView::new(&genesis).unwrap();
    for block in &world.ledger.blocks {
        let changes = execute(&other, block, &Verified::default()).unwrap();
        other.apply(&changes).unwrap();
    }
    let mut rest = steps;
    while !rest.is_empty() {
        // The first step's numbers say how many go into one block; none at times.
        let size = (rest[0].size() % (BLOCK + 1)).min(rest.len());
        let (now, later) = rest.split_at(size.max(1));
        let submissions = if size == 0 { vec![] } else { world.submissions(now) };
        rest = later;
        block(&mut world, &mut other, &submissions, seen);
    }
    replay(&world);
    world.ledger.blocks
}

fn block(world: &mut World, other: &mut MemoryView, submissions: &[Parsed], seen: &mut Seen) {
    let view = &world.ledger.view;
    let verified = Verified::default();
    for submission in submissions {
        match admit(view, submission, &verified) {
            Ok(admitted) => verified.insert(admitted.verification),
            Err(Refusal::Rejected(_)) => {}
            Err(Refusal::View(error)) => panic!("{error:?}"),
        }
    }
    let now = view.tip().unwrap().time_ms + 500;
    let proposed = propose(view, submissions, now, proposer("court"), &verified).unwrap();
    for (_, reject) in &proposed.rejected {
        *seen.refused.entry(reject.code()).or_default() += 1;
    }
    for bytes in &proposed.block.submissions {
        let kind = Parsed::new(bytes).unwrap().body().payload.kind().name;
        *seen.accepted.entry(kind).or_default() += 1;
    }
    // What is on the wire, on a machine that has verified nothing yet.
    let received: Block = decode_strict(&encode(&proposed.block)).unwrap();
    let executed = execute(other, &received, &Verified::default()).unwrap();
    assert_eq!(executed, proposed.changes, "the proposer's changes are the executor's");
    assert_eq!(execute(view, &received, &verified).unwrap(), executed, "and with remembered verdicts");
    // What was refused left no trace: the block of only the accepted ones is the same.
    let accepted: Vec<_> = proposed.block.submissions.iter().map(|bytes| Parsed::new(bytes).unwrap()).collect();
    let without = propose(view, &accepted, now, proposer("court"), &Verified::default()).unwrap();
    assert_eq!((&without.block, &without.changes, without.rejected.len()), (&proposed.block, &proposed.changes, 0));
    other.apply(&executed).unwrap();
    world.ledger.view.apply(&executed).unwrap();
    world.ledger.blocks.push(received);
    same(&world.ledger.view, other, &executed.subjects.iter().map(|(id, _)| *id).collect::<Vec<_>>());
}

fn same(one: &MemoryView, other: &MemoryView, subjects: &[qz_evidence::SubjectId]) {
    let tip = one.tip().unwrap();
    assert_eq!(tip, other.tip().unwrap());
    assert_eq!(one.frontier().unwrap(), other.frontier().unwrap());
    for id in subjects {
        let subject = one.subject(id).unwrap();
        assert_eq!(subject, other.subject(id).unwrap());
        let proofs = [one, other].map(|view| qz_chain::state_proof(view, tip.height, id).unwrap());
        assert_eq!(proofs[0], proofs[1]);
        assert_eq!(proofs[0].root(), Some(tip.state_root));
        assert_eq!(proofs[0].head.as_ref().map(|head| head.0.clone()), subject.map(|s| encode(&s.head())));
    }
}

/// From genesis, by a machine that knows nothing but the blocks.
fn replay(world: &World) {
    let mut again = MemoryView::new(&genesis_with(WINDOW, true)).unwrap();
    let mut touched = BTreeSet::new();
    for block in &world.ledger.blocks {
        let changes = execute(&again, block, &Verified::default()).unwrap();
        assert_eq!(changes.header, block.header.0);
        touched.extend(changes.subjects.iter().map(|(id, _)| *id));
        again.apply(&changes).unwrap();
    }
    same(&world.ledger.view, &again, &touched.into_iter().collect::<Vec<_>>());
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 12, rng_seed: RngSeed::Fixed(0x5eed), failure_persistence: None, ..ProptestConfig::default() })]
    #[test]
    fn the_same_blocks_give_the_same_state_everywhere(steps in prop::collection::vec(step(), 1..160)) {
        run(&steps, &mut Seen::default());
    }
}

#[test]
fn a_long_stream_reaches_every_kind_and_most_refusals() {
    let mut runner = TestRunner::deterministic();
    let steps = prop::collection::vec(step(), 1500).new_tree(&mut runner).unwrap().current();
    let mut seen = Seen::default();
    let blocks = run(&steps, &mut seen);
    let kinds: BTreeSet<_> = seen.accepted.keys().copied().collect();
    let expected: BTreeSet<_> = KINDS.into_iter().collect();
    assert_eq!(kinds, expected, "accepted {:?}\nrefused {:?}", seen.accepted, seen.refused);
    assert!(seen.refused.len() >= 30, "{:?}", seen.refused);
    assert!(blocks.len() > 100);
    // Once more, from the same steps: the same bytes.
    assert_eq!(run(&steps, &mut Seen::default()), blocks);
}

const KINDS: [&str; 26] = [
    "contract.opened",
    "contract.version_fixed",
    "contract.signed",
    "contract.declined",
    "contract.completed",
    "contract.amended",
    "contract.fulfilment",
    "contract.terminated",
    "contract.voided",
    "contract.disputed",
    "contract.ruled",
    "contract.archived",
    "seal.made",
    "seal.authorised",
    "seal.revoked",
    "seal.suspended",
    "seal.resumed",
    "seal.destroyed",
    "key.registered",
    "key.rotated",
    "key.revoked",
    "evidence.deposited",
    "notarisation.registered",
    "retrieval.made",
    "audit.anchored",
    "governance.changed",
];
