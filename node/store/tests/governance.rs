//! A consortium that changes: what the store keeps of it, and that offline verifiers follow.

#![allow(clippy::unwrap_used)]

mod node;

use node::ledger::{Ledger, card_with, commitments, genesis_with, member_key, org, public};
use node::{Node, WINDOW, genesis};
use qz_chain::{Member, View};
use qz_evidence::bundle::Bundle;
use qz_evidence::codec::Bytes;
use qz_evidence::commit::CommitCertificate;
use qz_evidence::genesis::{Card, Organisation, Role};
use qz_evidence::payload::{Change, EvidenceDeposited, Payload};
use qz_evidence::state_proof::Status;
use qz_evidence::submission::Parsed;
use qz_evidence::validators::{Validator, ValidatorSet};
use qz_evidence::verify::{Report, TrustInputs, Verdict, verify};
use qz_evidence::{Hash32, Height, SubjectId, decode_strict, encode};
use qz_store::Store;

fn put(card: &Card) -> Change {
    Change::PutOrganisation(Bytes(encode(card)))
}

fn card(name: &str, keys: &str) -> Card {
    card_with(name, &[Role::Platform, Role::Attestor], keys, |o: &mut Organisation| o.name_zh = format!("机构{keys}"))
}

fn set(names: &[&str]) -> Change {
    let validator =
        |name: &&str| Validator { organisation: org(name), key: public(&member_key(name, "consensus")), power: 1 };
    Change::SetValidators(ValidatorSet::new(names.iter().map(validator).collect()).unwrap().validators().to_vec())
}

fn deposit(ledger: &mut Ledger, member: &str, keys: &str) -> Parsed {
    let body =
        ledger.body(Payload::EvidenceDeposited(EvidenceDeposited { about: None }), commitments(&["document.sha256"]));
    let key = member_key(keys, "relay");
    let unsigned =
        qz_evidence::submission::UnsignedSubmission::new(&body, vec![], org(member), key.verifying_key().to_bytes());
    let signature = ed25519_dalek::Signer::sign(&key, &unsigned.relay_message()).to_bytes();
    Parsed::new(&encode(&unsigned.signed(signature))).unwrap()
}

/// Four epochs: a fifth member is admitted and validates, its consensus key is replaced, arbitration leaves;
/// and the relay key of the fifth is replaced twice (with `fifth 2`, then back by another card).
struct Story {
    node: Node,
    /// Deposits relayed by the fifth under each of its keys, and by the court, with their heights.
    deposits: Vec<Hash32>,
}

fn story(folder: &std::path::Path) -> Story {
    let mut node = Node::new(folder);
    let mut deposits = vec![];
    let mut record = |node: &mut Node, member: &str, keys: &str| {
        let submission = deposit(&mut node.ledger, member, keys);
        deposits.push(node.block(&[submission]).records[0].hash);
    };
    record(&mut node, "court", "court");
    let admit = node.ledger.agreed(put(&card("fifth", "fifth")));
    node.block(&[admit]);
    record(&mut node, "fifth", "fifth");
    let join = node.ledger.agreed(set(&["arbitration", "court", "fifth", "notary", "platform"]));
    node.block(&[join]);
    node.block(&[]);
    let rotate = node.ledger.agreed(put(&card("fifth", "fifth 2")));
    node.block(&[rotate]);
    record(&mut node, "fifth", "fifth 2");
    let leave = node.ledger.change(Change::RemoveOrganisation(org("arbitration")), &["court", "notary", "platform"]);
    node.block(&[leave]);
    record(&mut node, "fifth", "fifth 2");
    node.block(&[]);
    Story { node, deposits }
}

fn check(bundle: &Bundle) -> Report {
    let genesis = genesis_with(WINDOW, true);
    let trust = TrustInputs::new(genesis.bytes(), 1_800_000_000_000);
    verify(&encode(bundle), &trust, &[])
}

fn failed(bundle: &Bundle) -> Option<u8> {
    check(bundle).failed_step().map(|step| step.n)
}

#[test]
fn the_store_knows_every_epoch_and_member_also_after_it_was_closed() {
    let folder = tempfile::tempdir().unwrap();
    let Story { node, .. } = story(folder.path());
    let Node { store, ledger } = node;
    drop(store);
    let store = Store::open(folder.path(), &genesis()).unwrap();
    let view = store.view().unwrap();
    assert_eq!(view.next_epoch().unwrap(), 3);
    let epochs: Vec<_> = (0..=3).map(|n| view.epoch(n).unwrap().unwrap()).collect();
    assert_eq!(epochs.iter().map(|e| e.first.0).collect::<Vec<_>>(), [0, 5, 7, 9]);
    assert_eq!(epochs.iter().map(|e| e.validators.validators().len()).collect::<Vec<_>>(), [4, 5, 5, 4]);
    assert_eq!(view.epoch(4).unwrap(), None);
    let chain = store.chain_id();
    for height in (1..=view.tip_height().0).map(Height) {
        let header = view.header(height).unwrap().unwrap();
        let set = view.validators_of(height).unwrap().unwrap();
        assert_eq!(set.hash(), header.validators_hash, "{height}");
        let commit: CommitCertificate = view.commit_certificate(height).unwrap().unwrap();
        commit.verify(&chain, height, &header.block_id(), &set).unwrap();
    }
    assert_eq!(view.validators_of(view.tip_height().next()).unwrap().unwrap(), view.validators().unwrap());
    assert_eq!(view.members().unwrap(), ledger.view.organisations().unwrap());
    let arbitration = view.member(&org("arbitration")).unwrap().unwrap();
    assert_eq!((arbitration.status, arbitration.since), (Status::Revoked, Height(8)));
    let fifth: Member = view.member(&org("fifth")).unwrap().unwrap();
    assert_eq!(fifth.organisation.name_zh, "机构fifth 2");
    assert_eq!(view.member(&org("nobody")).unwrap(), None);
    let inspection = store.inspect(&genesis(), &mut |_, _, _| {});
    assert!(inspection.findings.is_empty(), "{:?}", inspection.findings.kept);
}

#[test]
fn proofs_lead_from_the_genesis_through_every_epoch() {
    let folder = tempfile::tempdir().unwrap();
    let Story { node, deposits } = story(folder.path());
    let view = node.store.view().unwrap();
    let governance = SubjectId::governance(&node.store.chain_id());
    // Under every head since the deposit was recorded, whatever its epoch.
    for (index, deposit) in deposits.iter().enumerate() {
        let recorded = view.record(deposit).unwrap().unwrap().height;
        for head in (recorded.0..=view.tip_height().0).map(Height) {
            let bundle = view.proof(&[*deposit], &[governance], Some(head)).unwrap();
            let epoch = view.header(head).unwrap().unwrap().epoch;
            assert_eq!(bundle.hand_overs.len() as u64, epoch);
            let report = check(&bundle);
            assert_eq!(report.verdict, Verdict::ValidUnanchored, "{index} under {head}: {:?}", report.failed_step());
        }
    }
    // The relay's admission and its new card came along, so its name is known.
    let bundle = view.proof(&deposits[3..], &[], None).unwrap();
    assert_eq!(bundle.entries.len(), 3, "the deposit, the admission and the new card");
    let report = check(&bundle);
    let named = |members: &[qz_evidence::verify::Member]| members.iter().any(|m| m.name_zh == "机构fifth 2");
    assert!(named(&report.organisations) && named(&report.finalised_by));
    assert!(report.steps[3].detail_zh.contains("机构fifth 2") && report.steps[2].detail_en.contains("3 hand-overs"));
    assert!(report.assumptions.iter().any(|note| note.en.contains("governance records shown here")));
    // A proof that shows no admission gives the id.
    let bundle = view.proof(&deposits[..1], &[], None).unwrap();
    let report = check(&bundle);
    assert_eq!(report.verdict, Verdict::ValidUnanchored);
    assert!(report.finalised_by.iter().any(|member| member.name_zh == "fifth"));
}

#[test]
fn every_attack_on_the_hand_overs_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let Story { node, deposits } = story(folder.path());
    let view = node.store.view().unwrap();
    let good = view.proof(&deposits[..1], &[], None).unwrap();
    assert_eq!(failed(&good), None);
    type Attack = (&'static str, fn(&mut Bundle));
    let attacks: [Attack; 11] = [
        ("the first is omitted", |b| drop(b.hand_overs.remove(0))),
        ("one between is omitted", |b| drop(b.hand_overs.remove(1))),
        ("the last is omitted", |b| drop(b.hand_overs.pop())),
        ("all are omitted", |b| b.hand_overs.clear()),
        ("one twice", |b| b.hand_overs.insert(1, b.hand_overs[0].clone())),
        ("two are swapped", |b| b.hand_overs.swap(0, 1)),
        ("reversed", |b| b.hand_overs.reverse()),
        ("another next set", |b| b.hand_overs[0].next = b.hand_overs[1].next.clone()),
        ("another commit", |b| b.hand_overs[0].commit = b.hand_overs[1].commit.clone()),
        ("a flipped history sibling", |b| b.hand_overs[1].history_path[0].0[0] ^= 1),
        ("no history path", |b| b.hand_overs[2].history_path.clear()),
    ];
    for (what, attack) in attacks {
        let mut bundle = good.clone();
        attack(&mut bundle);
        assert_eq!(failed(&bundle), Some(3), "{what}");
    }
    // Two thirds of the next set are not two thirds of the one that hands over.
    let mut bundle = good.clone();
    let header: qz_evidence::header::Header = decode_strict(&bundle.hand_overs[0].header).unwrap();
    let chain = node.store.chain_id();
    let next = ["court", "fifth", "notary", "platform"];
    let commit = node::ledger::certificate_by(&next, &chain, header.height, header.block_id());
    bundle.hand_overs[0].commit = Bytes(encode(&commit));
    assert_eq!(failed(&bundle), Some(3), "signed by the next set");
    let two = node::ledger::certificate_by(&next[2..], &chain, header.height, header.block_id());
    bundle.hand_overs[0].commit = Bytes(encode(&two));
    assert_eq!(failed(&bundle), Some(3), "half of the set");
    // The head signed by an earlier set.
    let mut bundle = good;
    let head: qz_evidence::header::Header = decode_strict(&bundle.head).unwrap();
    let first = ["arbitration", "court", "notary", "platform"];
    bundle.commit = Bytes(encode(&node::ledger::certificate_by(&first, &chain, head.height, head.block_id())));
    assert_eq!(failed(&bundle), Some(4), "signed by the first set");
}

#[test]
fn relay_keys_must_be_shown_to_have_been_in_force() {
    let folder = tempfile::tempdir().unwrap();
    let Story { node, deposits } = story(folder.path());
    let view = node.store.view().unwrap();
    let without = |deposit: Hash32, hidden: &[&str]| {
        let mut bundle = view.proof(&[deposit], &[], None).unwrap();
        bundle.entries.retain(|entry| {
            let record: qz_evidence::record::Record = decode_strict(&entry.record).unwrap();
            let parsed = Parsed::without_relay_check(&record.submission).unwrap();
            !hidden.contains(&parsed.body().payload.kind().name)
        });
        bundle
    };
    // Relayed by the fifth, but nothing shows that it is a member.
    assert_eq!(failed(&without(deposits[1], &["governance.changed"])), Some(7));
    assert_eq!(failed(&without(deposits[1], &[])), None);
    // Only its admission is shown, not the card with the key that was in force.
    let mut bundle = without(deposits[2], &[]);
    assert_eq!(bundle.entries.len(), 3);
    bundle.entries.remove(1);
    assert_eq!(failed(&bundle), Some(7));
}

#[test]
fn there_and_back_again_is_two_hand_overs() {
    let folder = tempfile::tempdir().unwrap();
    let mut node = Node::new(folder.path());
    let first = deposit(&mut node.ledger, "court", "court");
    let first = node.block(&[first]).records[0].hash;
    for names in [&["court", "notary", "platform"][..], &["arbitration", "court", "notary", "platform"]] {
        let change = node.ledger.agreed(set(names));
        node.block(&[change]);
    }
    node.block(&[]);
    let view = node.store.view().unwrap();
    let head = view.tip_header().unwrap();
    assert_eq!((head.epoch, head.validators_hash), (2, genesis().validators().hash()));
    let good = view.proof(&[first], &[], None).unwrap();
    assert_eq!(failed(&good), None);
    // The head's set is the genesis' own again, and yet the way there has to be shown.
    let mut bundle = good.clone();
    bundle.hand_overs.clear();
    assert_eq!(failed(&bundle), Some(3));
    let mut bundle = good;
    bundle.hand_overs.pop();
    assert_eq!(failed(&bundle), Some(3));
}

#[test]
fn a_replay_on_another_store_gives_the_same_consortium() {
    let (one, two) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let Story { node, .. } = story(one.path());
    let view = node.store.view().unwrap();
    let copy = Store::open(two.path(), &genesis()).unwrap();
    for height in (1..=view.tip_height().0).map(Height) {
        let bytes = view.block_bytes(height).unwrap().unwrap();
        let changes = {
            let view = copy.view().unwrap();
            qz_chain::execute(&view, &decode_strict(&bytes).unwrap(), &qz_chain::Verified::default()).unwrap()
        };
        copy.commit(&changes, &view.commit_certificate(height).unwrap().unwrap()).unwrap();
    }
    let copied = copy.view().unwrap();
    assert_eq!(copied.tip_header().unwrap(), view.tip_header().unwrap());
    assert_eq!(copied.members().unwrap(), view.members().unwrap());
    for number in 0..=view.next_epoch().unwrap() {
        assert_eq!(copied.epoch(number).unwrap(), view.epoch(number).unwrap());
    }
}
