//! Complete histories: what the store assembles is proven complete, and nothing can be left out, put in
//! another order or passed off as newer than it is.

#![allow(clippy::unwrap_used)]

mod node;

use node::Node;
use node::ledger::{actor, commitments, genesis_with, key, org, relay};
use qz_chain::View;
use qz_evidence::bundle::Bundle;
use qz_evidence::codec::{Bytes, Format};
use qz_evidence::header::Header;
use qz_evidence::payload::{AuditAnchored, Payload, SealKind, SealMade, SealRef};
use qz_evidence::record::Record;
use qz_evidence::submission::Parsed;
use qz_evidence::verify::TrustInputs;
use qz_evidence::verify::history::{History, HistoryError, history, join};
use qz_evidence::{Hash32, Height, SubjectId, decode_strict, encode};
use qz_store::{HistoryRange, StoreError};

const LATER_MS: u64 = 1_800_000_000_000;

fn check(bundle: &Bundle, subject: &SubjectId) -> Result<History, HistoryError> {
    let genesis = genesis_with(node::WINDOW, true);
    history(&encode(bundle), &TrustInputs::new(genesis.bytes(), LATER_MS), subject)
}

fn range(from: u64, to: u64) -> HistoryRange {
    HistoryRange { from: Some(from), to: Some(to), head: None }
}

/// A seal that was made, suspended, resumed, suspended and so on, among deposits.
fn seal(node: &mut Node, records: u64) -> SubjectId {
    let registration = node.ledger.registration("a", "notary");
    let owner = node.ledger.created(&registration);
    node.block(&[registration]);
    let made = Payload::SealMade(SealMade { owner, kind: SealKind::Official });
    let commitments = commitments(&["imprint.sha256", "certificate.sha256"]);
    let made = node.ledger.submission(made, commitments, &[(owner, &key("a"))]);
    let seal = node.ledger.created(&made);
    node.block(&[made]);
    for n in 1..records {
        let fields = SealRef { seal };
        let payload = if n % 2 == 1 { Payload::SealSuspended(fields) } else { Payload::SealResumed(fields) };
        let mut submissions = node.deposits(usize::try_from(n % 3).unwrap());
        submissions.push(node.ledger.submission(payload, vec![], &[(owner, &key("a"))]));
        node.block(&submissions);
    }
    seal
}

#[test]
fn a_history_is_complete_under_every_head_and_in_parts() {
    let folder = tempfile::tempdir().unwrap();
    let mut node = Node::new(folder.path());
    let seal = seal(&mut node, 12);
    let tip = node.store.tip_height().unwrap();
    let whole = check(&node.store.history(&seal, HistoryRange::default()).unwrap(), &seal).unwrap();
    whole.complete().unwrap();
    assert_eq!((whole.records(), whole.shown.len(), whole.head.height), (12, 12, tip));
    assert_eq!(
        whole.shown.iter().map(|record| record.kind).take(3).collect::<Vec<_>>(),
        ["seal.made", "seal.suspended", "seal.resumed"]
    );
    let words = whole.words();
    assert!(words.en.contains(&format!("all 12 records of subject {seal} as of block {tip}")), "{}", words.en);
    assert!(words.zh.contains("共 12 条记录，已全部列出"), "{}", words.zh);
    // Under older heads there were fewer records, and that was all.
    for head in 2..=tip.0 {
        let range = HistoryRange { head: Some(Height(head)), ..HistoryRange::default() };
        let then = check(&node.store.history(&seal, range).unwrap(), &seal).unwrap();
        then.complete().unwrap();
        assert_eq!((then.records(), then.head.height), (head - 1, Height(head)));
        assert_eq!(then.shown, whole.shown[..then.shown.len()]);
    }
    // In parts: each without a gap, none complete, together the whole.
    let parts = [(0, 4), (5, 5), (6, 11)].map(|(from, to)| {
        let part = check(&node.store.history(&seal, range(from, to)).unwrap(), &seal).unwrap();
        let (first, last) = (part.shown.first().unwrap().sequence, part.shown.last().unwrap().sequence);
        assert_eq!((first, last), (from, to));
        let missing = if from > 0 { 0 } else { to + 1 };
        let incomplete = part.complete();
        assert!(
            matches!(incomplete, Err(HistoryError::Missing { sequence, records: 12 }) if sequence == missing),
            "{incomplete:?}"
        );
        assert!(part.words().en.contains("without a gap"));
        part
    });
    let [first, second, third] = parts;
    assert_eq!(join(vec![third.clone(), first.clone(), second.clone()]).unwrap(), whole);
    assert_eq!(join(vec![first.clone(), whole.clone(), second.clone()]).unwrap(), whole, "overlapping");
    let gap = join(vec![first.clone(), third]);
    assert!(matches!(gap, Err(HistoryError::Missing { sequence: 5, records: 12 })), "{gap:?}");
    assert!(matches!(join(vec![]), Err(HistoryError::NoPart)));
    // Parts of different heads are no whole: something may have happened in between.
    let deposits = node.deposits(1);
    node.block(&deposits);
    let newer = check(&node.store.history(&seal, range(6, 11)).unwrap(), &seal).unwrap();
    assert!(matches!(join(vec![first, second, newer]), Err(HistoryError::OtherHead)));
}

#[test]
fn nothing_can_be_left_out_or_put_elsewhere() {
    let folder = tempfile::tempdir().unwrap();
    let mut node = Node::new(folder.path());
    let seal = seal(&mut node, 9);
    let good = node.store.history(&seal, HistoryRange::default()).unwrap();
    let older = HistoryRange { head: Some(Height(6)), ..HistoryRange::default() };
    let older = node.store.history(&seal, older).unwrap();
    let deposit = node.store.view().unwrap().records_of_block(Height(6)).unwrap()[0].hash;
    let deposit = node.store.proof(&[deposit], &[], None).unwrap().entries.remove(0);

    // Any one record, any two, all but one.
    for left_out in 0..9 {
        let mut bundle = good.clone();
        bundle.entries.remove(left_out);
        let refused = check(&bundle, &seal).and_then(|history| history.complete());
        let Err(HistoryError::Missing { sequence, records: 9 }) = refused else { panic!("{left_out}: {refused:?}") };
        assert_eq!(sequence, u64::try_from(left_out).unwrap());
        let mut only = good.clone();
        only.entries = vec![good.entries[left_out].clone()];
        let refused = check(&only, &seal).and_then(|history| history.complete());
        assert!(matches!(refused, Err(HistoryError::Missing { .. })), "{refused:?}");
    }
    let invalid = |bundle: &Bundle| match check(bundle, &seal) {
        Err(HistoryError::Invalid(report)) => report.failed_step().unwrap().n,
        other => panic!("{other:?}"),
    };
    // Another order, a record twice.
    let mut swapped = good.clone();
    swapped.entries.swap(3, 4);
    assert_eq!(invalid(&swapped), 1);
    let mut twice = good.clone();
    twice.entries.insert(3, good.entries[3].clone());
    assert_eq!(invalid(&twice), 1);
    // A record that says to stand elsewhere, so that the gap behind it closes.
    let mut renumbered = good.clone();
    renumbered.entries.remove(4);
    let mut record: Record = decode_strict(&renumbered.entries[4].record).unwrap();
    record.links[0].sequence = 4;
    renumbered.entries[4].record = Bytes(encode(&record));
    assert_eq!(invalid(&renumbered), 6);
    // Somebody else's record in the gap.
    let mut stuffed = good.clone();
    stuffed.entries[4] = deposit;
    stuffed.entries.sort_by_key(|entry| decode_strict::<Record>(&entry.record).map(|r| (r.height, r.index)).unwrap());
    let refused = check(&stuffed, &seal);
    assert!(matches!(refused, Err(HistoryError::Missing { sequence: 4, records: 9 })), "{refused:?}");
    // The state of an older block under the newer head, with the records of then.
    let mut shorter = older.clone();
    (shorter.head, shorter.commit) = (good.head.clone(), good.commit.clone());
    assert_ne!(invalid(&shorter), 0);
    let mut old_state = good.clone();
    old_state.states.clone_from(&older.states);
    old_state.entries.truncate(older.entries.len());
    assert_eq!(invalid(&old_state), 8);
    // No state, or another subject's.
    let mut stateless = good.clone();
    stateless.states.clear();
    assert!(matches!(check(&stateless, &seal), Err(HistoryError::NoState(_))));
    // The absence of another subject does not hide this one.
    let stranger = SubjectId(Hash32([9; 32]));
    let mut absent = node.store.history(&stranger, HistoryRange::default()).unwrap();
    assert!(check(&absent, &stranger).unwrap().state.is_none());
    absent.states[0].subject = seal;
    assert_eq!(invalid(&absent), 8);
}

#[test]
fn an_old_head_is_valid_but_says_so_and_can_be_refused() {
    let folder = tempfile::tempdir().unwrap();
    let mut node = Node::new(folder.path());
    let seal = seal(&mut node, 9);
    let range = HistoryRange { head: Some(Height(6)), ..HistoryRange::default() };
    let old = node.store.history(&seal, range).unwrap();
    let shown = check(&old, &seal).unwrap();
    shown.complete().unwrap();
    assert!(shown.words().en.contains("as of block 6 "), "{}", shown.words().en);
    let genesis = genesis_with(node::WINDOW, true);
    let head: Header = decode_strict(&old.head).unwrap();
    let fresh = |age, as_of_ms| {
        let trust = TrustInputs::new(genesis.bytes(), as_of_ms).with_max_age(Some(age));
        match history(&encode(&old), &trust, &seal) {
            Ok(_) => 0,
            Err(HistoryError::Invalid(report)) => report.failed_step().unwrap().n,
            Err(other) => panic!("{other:?}"),
        }
    };
    assert_eq!(fresh(1000, head.time_ms + 1001), 8);
    assert_eq!(fresh(0, head.time_ms + 1), 8);
}

#[test]
fn absence_and_emptiness_are_proven_too() {
    let folder = tempfile::tempdir().unwrap();
    let mut node = Node::new(folder.path());
    let seal = seal(&mut node, 3);
    let stranger = SubjectId(Hash32([9; 32]));
    let absent = check(&node.store.history(&stranger, HistoryRange::default()).unwrap(), &stranger).unwrap();
    absent.complete().unwrap();
    assert_eq!((absent.records(), &absent.state), (0, &None));
    let tip = node.store.tip_height().unwrap();
    assert!(absent.words().en.contains(&format!("as of block {tip} there is no subject {stranger}")));
    // Before it was made, the seal was absent as well.
    let before = HistoryRange { head: Some(Height(1)), ..HistoryRange::default() };
    assert!(check(&node.store.history(&seal, before).unwrap(), &seal).unwrap().state.is_none());
    // An organisation of the genesis exists and has no record yet.
    let court = SubjectId::of_organisation(&node.ledger.chain_id(), &org("court"));
    let empty = check(&node.store.history(&court, HistoryRange::default()).unwrap(), &court).unwrap();
    empty.complete().unwrap();
    assert!(empty.state.is_some() && empty.shown.is_empty());
    for (subject, from, to, records) in
        [(seal, 0, 3, 3), (seal, 2, 1, 3), (seal, 9, 9, 3), (stranger, 0, 0, 0), (court, 0, 0, 0)]
    {
        let refused = node.store.history(&subject, range(from, to));
        assert!(matches!(refused, Err(StoreError::HistoryRange { records: n, .. }) if n == records), "{refused:?}");
    }
}

#[test]
fn what_one_proof_cannot_hold_is_refused_early_and_proven_in_parts() {
    let folder = tempfile::tempdir().unwrap();
    let mut node = Node::new(folder.path());
    let log = SubjectId::of_audit_log(&node.ledger.chain_id(), &org("court"));
    let office = SubjectId::of_organisation(&node.ledger.chain_id(), &org("court"));
    let most = usize::try_from(node.ledger.view.params().unwrap().max_block_records).unwrap();
    let anchors: Vec<Parsed> = (1..=4100u64)
        .map(|size| {
            let fields = AuditAnchored { organisation: org("court"), size, root: Hash32([1; 32]) };
            let mut body = node.ledger.body(Payload::AuditAnchored(fields), vec![]);
            // Two blocks may be needed, or ten.
            body.expiry = Height(node::WINDOW);
            relay(&body, vec![actor(&body, office, &key("court/office"))], "platform")
        })
        .collect();
    for block in anchors.chunks(most.min(1000)) {
        node.block(block);
    }
    let refused = node.store.history(&log, HistoryRange::default());
    let Err(StoreError::HistoryTooLarge { from: 0, to: 4099, fits }) = refused else { panic!("{refused:?}") };
    assert_eq!(fits, 4095);
    let parts = [(0, fits), (fits + 1, 4099)].map(|(from, to)| {
        let bundle = node.store.history(&log, range(from, to)).unwrap();
        assert!(encode(&bundle).len() <= Bundle::MAX_BYTES);
        check(&bundle, &log).unwrap()
    });
    let whole = join(parts.to_vec()).unwrap();
    whole.complete().unwrap();
    assert_eq!(whole.records(), 4100);
}

/// Changed bytes are refused, or change nothing of what is proven.
#[test]
fn no_changed_byte_changes_a_history() {
    let folder = tempfile::tempdir().unwrap();
    let mut node = Node::new(folder.path());
    let seal = seal(&mut node, 6);
    let good = encode(&node.store.history(&seal, HistoryRange::default()).unwrap());
    let genesis = genesis_with(node::WINDOW, true);
    let trust = TrustInputs::new(genesis.bytes(), LATER_MS);
    let expected = history(&good, &trust, &seal).unwrap();
    // Every 7th byte, with another bit each time; and cut off or added bytes.
    let flipped = (0..good.len()).step_by(7).map(|position| {
        let mut bytes = good.clone();
        bytes[position] ^= 1 << (position % 8);
        bytes
    });
    let cut = (0..good.len()).step_by(97).map(|length| good[..length].to_vec());
    let mut accepted = 0;
    for bytes in flipped.chain(cut).chain([[&good[..], &[0]].concat()]) {
        if let Ok(history) = history(&bytes, &trust, &seal) {
            assert_eq!(history, expected);
            accepted += 1;
        }
    }
    // Only the round of a vote could be indifferent, and it is signed: nothing is.
    assert_eq!(accepted, 0);
}
