//! Blocks on disk: reopening, crashes, repeated and misplaced commits, damage, pruning and proofs.

#![allow(clippy::unwrap_used)]

mod node;

use node::ledger::{commitments, genesis_with, key};
use node::{Node, WINDOW, deposit, genesis};
use qz_chain::{Block, Verified, View, execute};
use qz_evidence::bundle::Bundle;
use qz_evidence::commit::CommitCertificate;
use qz_evidence::genesis::Genesis;
use qz_evidence::header::Header;
use qz_evidence::history::{leaf_hash, root_from_path};
use qz_evidence::payload::{Payload, SealKind, SealMade, SealRef};
use qz_evidence::record::Record;
use qz_evidence::records_tree::{self, record_hash};
use qz_evidence::state_proof::SubjectHead;
use qz_evidence::submission::Parsed;
use qz_evidence::verify::{TrustInputs, Verdict, verify};
use qz_evidence::{Hash32, Height, SubjectId, decode_strict, encode};
use qz_store::{Store, StoreError};

/// Checks a bundle as a stranger would, and gives what its entries and states say.
fn check(bundle: &Bundle, genesis: &Genesis) -> (Vec<Record>, Vec<Option<SubjectHead>>) {
    let bytes = encode(bundle);
    let bundle: Bundle = decode_strict(&bytes).unwrap();
    let head: Header = decode_strict(&bundle.head).unwrap();
    let commit: CommitCertificate = decode_strict(&bundle.commit).unwrap();
    commit.verify(&genesis.chain_id(), head.height, &head.block_id(), genesis.validators()).unwrap();
    let records = bundle.entries.iter().map(|entry| {
        let record: Record = decode_strict(&entry.record).unwrap();
        let header: Header = decode_strict(&entry.header).unwrap();
        let hash = record_hash(&entry.record);
        let root = records_tree::root_from_path(&hash, record.index, header.record_count, &entry.records_path);
        assert_eq!(root, Some(header.records_root));
        if entry.header == bundle.head {
            assert_eq!(entry.history_path, []);
        } else {
            let root =
                root_from_path(&leaf_hash(&entry.header), header.height.0, head.history_size, &entry.history_path);
            assert_eq!(root, Some(head.history_root));
        }
        record
    });
    let records = records.collect();
    let states = bundle.states.iter().map(|proof| {
        assert_eq!(proof.root(), Some(head.state_root));
        proof.head.as_ref().map(|head| decode_strict(head).unwrap())
    });
    (records, states.collect())
}

#[test]
fn a_reopened_store_goes_on_where_it_was() {
    let folder = tempfile::tempdir().unwrap();
    let mut node = Node::new(folder.path());
    let registration = node.ledger.registration("a", "notary");
    let subject = node.ledger.created(&registration);
    let changes = node.block(std::slice::from_ref(&registration));
    for _ in 0..5 {
        let deposits = node.deposits(7);
        node.block(&deposits);
        node.block(&[]);
    }
    let Node { store, mut ledger } = node;
    let tip = store.tip_height().unwrap();
    // Dropped without any farewell: a store has no close of its own.
    drop(store);
    let store = Store::open(folder.path(), &ledger.genesis).unwrap();
    {
        let view = store.view().unwrap();
        assert_eq!(view.tip().unwrap(), ledger.view.tip().unwrap());
        assert_eq!(view.frontier().unwrap(), ledger.view.frontier().unwrap());
        assert_eq!(view.params().unwrap(), ledger.view.params().unwrap());
        assert_eq!(view.validators().unwrap(), ledger.view.validators().unwrap());
        assert_eq!(view.recorded_body(&registration.digest()).unwrap(), Some(Height(1)));
        let (relay, id) = (&registration.submission().relay, &registration.body().id);
        assert_eq!(view.recorded_id(relay, id).unwrap(), Some(Height(1)));
        assert_eq!(view.subject(&subject).unwrap(), ledger.view.subject(&subject).unwrap());
    }
    // Every way to a record.
    let record = store.record_of_submission(&registration.digest()).unwrap().unwrap();
    assert_eq!((record.hash, &record.bytes), (changes.records[0].hash, &changes.records[0].bytes));
    assert_eq!(store.record(&record.hash).unwrap().as_ref(), Some(&record));
    let view = store.view().unwrap();
    assert_eq!(view.record_at(Height(1), 0).unwrap().as_ref(), Some(&record));
    assert_eq!(view.records_of_block(Height(1)).unwrap(), std::slice::from_ref(&record));
    assert_eq!(view.records_of_subject(&subject, 0, 10).unwrap(), [(0, record.hash)]);
    assert_eq!(view.records_of_subject(&subject, 1, 10).unwrap(), []);
    // Absent is absent, not an error.
    assert_eq!(view.record_at(Height(1), 1).unwrap(), None);
    assert_eq!(view.record(&Hash32::ZERO).unwrap(), None);
    assert_eq!(view.header(tip.next()).unwrap(), None);
    assert_eq!(view.block_bytes(Height(0)).unwrap(), None);
    assert_eq!(view.commit_certificate(Height(0)).unwrap(), None);
    assert_eq!(view.validators_of(tip.next()).unwrap().as_ref(), Some(genesis().validators()));
    assert_eq!(view.validators_of(Height(1)).unwrap().as_ref(), Some(genesis().validators()));
    assert_eq!(view.validators_of(tip.next().next()).unwrap(), None);
    drop(view);
    let more = vec![deposit(&mut ledger)];
    let mut node = Node { store, ledger };
    assert_eq!(node.block(&more).height, tip.next());
    // What it stored makes another ledger of the same state.
    let mut copy = qz_chain::MemoryView::new(&genesis()).unwrap();
    for height in (1..=tip.0 + 1).map(Height) {
        let block: Block = decode_strict(&node.store.block_bytes(height).unwrap().unwrap()).unwrap();
        let commit = node.store.commit_certificate(height).unwrap().unwrap();
        commit.verify(&copy.chain_id(), height, &block.id(), &copy.validators().unwrap()).unwrap();
        let changes = execute(&copy, &block, &Verified::default()).unwrap();
        copy.apply(&changes).unwrap();
    }
    assert_eq!(copy.tip().unwrap(), node.store.view().unwrap().tip().unwrap());
}

#[test]
fn repeated_commits_are_accepted_and_misplaced_ones_refused() {
    let folder = tempfile::tempdir().unwrap();
    let mut node = Node::new(folder.path());
    let deposits = node.deposits(3);
    let (first, commit) = node.next(&deposits);
    let other_deposits = node.deposits(2);
    let (rival, rival_commit) = node.next(&other_deposits);
    node.store.commit(&first, &commit).unwrap();
    node.store.commit(&first, &commit).unwrap();
    assert_eq!(node.store.tip_height().unwrap(), Height(1));
    let refused = node.store.commit(&rival, &rival_commit);
    assert!(matches!(refused, Err(StoreError::Mismatch { .. })), "{refused:?}");

    node.ledger.view.apply(&first).unwrap();
    let (second, second_commit) = node.next(&[]);
    // Another block's certificate, another block's header, none at all.
    let other_header = qz_chain::ChangeSet { header: first.header.clone(), ..second.clone() };
    let no_header = qz_chain::ChangeSet { header: vec![0], ..second.clone() };
    for (changes, commit) in [(&second, &commit), (&other_header, &second_commit), (&no_header, &second_commit)] {
        let refused = node.store.commit(changes, commit);
        assert!(matches!(refused, Err(StoreError::Mismatch { .. })), "{refused:?}");
    }
    // A block whose parent another store has.
    let other_folder = tempfile::tempdir().unwrap();
    let other = Node::new(other_folder.path());
    let gap = other.store.commit(&second, &second_commit);
    assert!(matches!(gap, Err(StoreError::Gap { tip: Height(0), given: Height(2) })), "{gap:?}");
    other.store.commit(&rival, &rival_commit).unwrap();
    let refused = other.store.commit(&second, &second_commit);
    assert!(matches!(refused, Err(StoreError::Mismatch { .. })), "{refused:?}");
}

/// What views ask for is kept in memory; each view must go on seeing its own height, whatever was asked through
/// an older or newer one before.
#[test]
fn views_of_several_heights_see_their_own_subjects_bodies_and_numbers() {
    let folder = tempfile::tempdir().unwrap();
    let mut node = Node::new(folder.path());
    let subject = qz_evidence::SubjectId::of_organisation(&node.ledger.chain_id(), &node::ledger::org("notary"));
    let mut expected = vec![];
    let mut deposits = vec![];
    for height in 0..4u64 {
        expected.push(node.ledger.view.subject(&subject).unwrap());
        deposits.push((height + 1, node.deposits(1).remove(0)));
        // One view is asked before the next block is there, and so its answers are remembered.
        let before = node.store.view().unwrap();
        let (_, deposit) = deposits.last().unwrap();
        assert_eq!(before.recorded_body(&deposit.digest()).unwrap(), None);
        assert_eq!(before.subject(&subject).unwrap(), expected[height as usize]);
        let changes = {
            let (changes, commit) = node.next(std::slice::from_ref(deposit));
            node.store.commit(&changes, &commit).unwrap();
            changes
        };
        node.ledger.view.apply(&changes).unwrap();
        let after = node.store.view().unwrap();
        for (view, tip) in [(&before, height), (&after, height + 1), (&before, height)] {
            for (at, deposit) in &deposits {
                let seen = (*at <= tip).then_some(Height(*at));
                let (relay, id) = (&deposit.submission().relay, &deposit.body().id);
                assert_eq!(view.recorded_body(&deposit.digest()).unwrap(), seen, "body of {at} at {tip}");
                assert_eq!(view.recorded_id(relay, id).unwrap(), seen, "number of {at} at {tip}");
            }
            let touched = &changes.records[0].links[0].subject;
            let known = view.subject(touched).unwrap();
            assert_eq!(known.is_some(), tip > height, "{tip}");
        }
        assert_eq!(after.subject(&subject).unwrap(), node.ledger.view.subject(&subject).unwrap());
    }
}

#[test]
fn another_ledger_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    drop(Node::new(folder.path()));
    let refused = Store::open(folder.path(), &genesis_with(WINDOW + 1, true));
    assert!(matches!(refused, Err(StoreError::OtherLedger { .. })), "{refused:?}");
}

#[test]
fn proofs_of_old_and_new_records_hold_under_old_and_new_heads() {
    let folder = tempfile::tempdir().unwrap();
    let mut node = Node::new(folder.path());
    let genesis = genesis();
    let registration = node.ledger.registration("a", "notary");
    let subject = node.ledger.created(&registration);
    let mut hashes = vec![node.block(&[registration]).records[0].hash];
    for count in [1, 2, 3, 8, 0, 5] {
        let deposits = node.deposits(count);
        hashes.extend(node.block(&deposits).records.iter().map(|record| record.hash));
    }
    let unknown = SubjectId(Hash32([9; 32]));
    let (records, states) = check(&node.store.proof(&hashes, &[subject, unknown], None).unwrap(), &genesis);
    assert_eq!(records.len(), 20);
    let mut found = states.iter().flatten();
    assert_eq!(found.next().unwrap().records, 1);
    assert_eq!(found.next(), None);
    // Under every earlier head; the record of the head's own block has an empty history path.
    for head in 1..=7 {
        let bundle = node.store.proof(&hashes[..1], &[subject], Some(Height(head))).unwrap();
        assert_eq!(check(&bundle, &genesis).0.len(), 1);
        assert_eq!(bundle.entries[0].history_path.is_empty(), head == 1);
    }
    let too_late = node.store.proof(&hashes, &[], Some(Height(3)));
    assert!(matches!(too_late, Err(StoreError::RecordAfterHead { .. })), "{too_late:?}");
    assert!(matches!(node.store.proof(&[Hash32::ZERO], &[], None), Err(StoreError::UnknownRecord(_))));
    assert!(matches!(node.store.proof(&[], &[], Some(Height(8))), Err(StoreError::NoSuchHead(_))));
    assert!(matches!(node.store.proof(&[], &[], Some(Height(0))), Err(StoreError::NoSuchHead(_))));
}

#[test]
fn the_verifier_accepts_what_the_store_assembles() {
    let folder = tempfile::tempdir().unwrap();
    let mut node = Node::new(folder.path());
    let registration = node.ledger.registration("a", "notary");
    let subject = node.ledger.created(&registration);
    let first = node.block(&[registration]).records[0].hash;
    let made = SealMade { owner: subject, kind: SealKind::Official };
    let made = node.ledger.submission(
        Payload::SealMade(made),
        commitments(&["imprint.sha256", "certificate.sha256"]),
        &[(subject, &key("a"))],
    );
    let seal = node.ledger.created(&made);
    let second = node.block(&[made]).records[0].hash;
    let bundle = node.store.proof(&[first, second], &[subject, seal], None).unwrap();
    let genesis = genesis();
    let trust = TrustInputs::new(genesis.bytes(), 1_800_000_000_000);
    let report = verify(&encode(&bundle), &trust, &[]);
    assert_eq!(report.verdict, Verdict::ValidUnanchored, "{:#?}", report.steps);
}

#[test]
fn old_states_are_pruned_and_the_rest_stays_provable() {
    let folder = tempfile::tempdir().unwrap();
    let mut node = Node::new(folder.path());
    let registration = node.ledger.registration("a", "notary");
    let subject = node.ledger.created(&registration);
    let hash = node.block(&[registration]).records[0].hash;
    for round in 0..40 {
        let deposits = node.deposits(round % 3);
        node.block(&deposits);
    }
    let tip = node.store.tip_height().unwrap();
    let view = node.store.view().unwrap();
    let oldest = view.oldest_state().unwrap();
    assert_eq!(oldest, Height(tip.0 - WINDOW));
    for head in 1..=tip.0 {
        let proof = view.proof(&[hash], &[subject], Some(Height(head)));
        if Height(head) < oldest {
            assert!(matches!(proof, Err(StoreError::Pruned { .. })), "{proof:?}");
            // The record itself is provable for ever.
            check(&view.proof(&[hash], &[], Some(Height(head))).unwrap(), &genesis());
        } else {
            check(&proof.unwrap(), &genesis());
        }
    }
    // The number of the first submission is forgotten, its body is not.
    let parsed = Parsed::new(&view.record(&hash).unwrap().unwrap().decode().unwrap().submission).unwrap();
    assert_eq!(view.recorded_id(&parsed.submission().relay, &parsed.body().id).unwrap(), None);
    assert_eq!(view.recorded_body(&parsed.digest()).unwrap(), Some(Height(1)));
}

#[test]
fn what_the_window_does_not_need_is_deleted() {
    let folder = tempfile::tempdir().unwrap();
    let mut node = Node::new(folder.path());
    let registration = node.ledger.registration("a", "notary");
    let owner = node.ledger.created(&registration);
    node.block(&[registration]);
    let made = SealMade { owner, kind: SealKind::Official };
    let commitments = commitments(&["imprint.sha256", "certificate.sha256"]);
    let made = node.ledger.submission(Payload::SealMade(made), commitments, &[(owner, &key("a"))]);
    let seal = node.ledger.created(&made);
    node.block(&[made]);
    // One seal changes in every block but each third, which is empty: the state does not grow.
    let toggle = |node: &mut Node, round: u64| {
        let seal = SealRef { seal };
        let payload = if round % 3 == 1 { Payload::SealSuspended(seal) } else { Payload::SealResumed(seal) };
        let submissions = if round.is_multiple_of(3) {
            vec![]
        } else {
            vec![node.ledger.submission(payload, vec![], &[(owner, &key("a"))])]
        };
        node.block(&submissions);
    };
    let count = |family: &str| {
        let options = rocksdb::Options::default();
        let families = rocksdb::DB::list_cf(&options, folder.path()).unwrap();
        let db = rocksdb::DB::open_cf_for_read_only(&options, folder.path(), families, false).unwrap();
        db.iterator_cf(db.cf_handle(family).unwrap(), rocksdb::IteratorMode::Start).count()
    };
    let families = ["tree_nodes", "tree_values", "tree_stale", "relayed"];
    (1..=3 * WINDOW).for_each(|round| toggle(&mut node, round));
    let before = families.map(count);
    (1..=3 * WINDOW).for_each(|round| toggle(&mut node, round));
    assert_eq!(families.map(count), before);
    assert!(before[0] > 16 && before[1] > 8, "the window itself is kept: {before:?}");
    let (_, states) = check(&node.store.proof(&[], &[owner, seal], None).unwrap(), &genesis());
    assert_eq!(states.iter().flatten().count(), 2, "what never changed since is kept too");
}

#[test]
fn a_view_stays_at_its_height() {
    let folder = tempfile::tempdir().unwrap();
    let mut node = Node::new(folder.path());
    node.block(&[]);
    let (changes, commit) = {
        let deposits = node.deposits(4);
        node.next(&deposits)
    };
    let before = node.store.view().unwrap();
    node.store.commit(&changes, &commit).unwrap();
    assert_eq!(before.tip_height(), Height(1));
    assert_eq!(before.tip().unwrap().height, Height(1));
    assert_eq!(before.frontier().unwrap().size(), 2);
    assert_eq!(before.record(&changes.records[0].hash).unwrap(), None);
    assert_eq!(node.store.view().unwrap().tip_height(), Height(2));
}

#[test]
fn the_consensus_area_is_durable_and_apart() {
    let folder = tempfile::tempdir().unwrap();
    let node = Node::new(folder.path());
    let entry = |key: &[u8], value: &[u8]| (key.to_vec(), value.to_vec());
    let entries = [entry(b"1/a", b"x"), entry(b"1/b", b"y"), entry(b"2/a", b"z")];
    node.store.consensus_put(&entries).unwrap();
    drop(node);
    let node = Node::new(folder.path());
    assert_eq!(node.store.consensus_scan(b"1/").unwrap(), entries[..2]);
    assert_eq!(node.store.consensus_get(b"2/a").unwrap(), Some(b"z".to_vec()));
    node.store.consensus_delete_range(b"1/", b"2/").unwrap();
    assert_eq!(node.store.consensus_scan(b"").unwrap(), entries[2..]);
}

#[test]
fn damage_is_an_error_and_never_an_absence() {
    let folder = tempfile::tempdir().unwrap();
    let mut node = Node::new(folder.path());
    let deposits = node.deposits(3);
    let records = node.block(&deposits).records;
    drop(node);
    // Somebody deletes a record and a header behind the store's back.
    {
        let families = rocksdb::DB::list_cf(&rocksdb::Options::default(), folder.path()).unwrap();
        let db = rocksdb::DB::open_cf(&rocksdb::Options::default(), folder.path(), families).unwrap();
        let place = [&1u64.to_be_bytes()[..], &1u32.to_be_bytes()].concat();
        db.delete_cf(db.cf_handle("records").unwrap(), place).unwrap();
        db.delete_cf(db.cf_handle("headers").unwrap(), 0u64.to_be_bytes()).unwrap();
        let foreign = [&1u64.to_be_bytes()[..], &2u32.to_be_bytes()].concat();
        db.put_cf(db.cf_handle("records").unwrap(), foreign, b"other").unwrap();
    }
    let store = Store::open(folder.path(), &genesis()).unwrap();
    let corrupt =
        |result: Result<bool, StoreError>| assert!(matches!(result, Err(StoreError::Corrupt { .. })), "{result:?}");
    corrupt(store.record(&records[1].hash).map(|r| r.is_some()));
    corrupt(store.record_of_submission(&records[1].body_digest).map(|r| r.is_some()));
    corrupt(store.header(Height(0)).map(|h| h.is_some()));
    corrupt(store.record(&records[2].hash).map(|r| r.is_some()));
    corrupt(store.proof(&[records[0].hash], &[], None).map(|_| true));
    assert!(store.record(&records[0].hash).unwrap().is_some());
}
