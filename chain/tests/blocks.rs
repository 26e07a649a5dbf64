//! Envelope rules, keys, the replay window, determinism and invalid blocks.

#![allow(clippy::unwrap_used)]

mod ledger;

use ledger::{Ledger, actor, commitment, genesis_with, key, proposer, public, relay};
use proptest::prelude::*;
use qz_chain::{Block, BlockError, ExecuteError, MemoryView, SubjectState, Verified, View, admit, execute, propose};
use qz_evidence::codec::Bytes;
use qz_evidence::keys::{Algorithm, PublicKey};
use qz_evidence::payload::{EvidenceDeposited, KeyRef, KeyRegistered, KeyRotated, Payload};
use qz_evidence::state_proof::Status;
use qz_evidence::submission::{Actor, Body, Parsed};
use qz_evidence::{Hash32, Height, OrgId, SubjectId, decode_strict, encode};

fn deposit(ledger: &mut Ledger, content: &str) -> Parsed {
    let payload = Payload::EvidenceDeposited(EvidenceDeposited { about: None });
    ledger.submission(payload, vec![commitment("document.sha256", content)], &[])
}

fn with_expiry(body: &Body, expiry: u64) -> Parsed {
    relay(&Body { expiry: Height(expiry), ..body.clone() }, vec![], "platform")
}

#[test]
fn expiry_chain_relay_and_kind_are_checked() {
    let mut ledger = Ledger::with(100, true);
    let body = deposit(&mut ledger, "x").body().clone();
    for (expiry, code) in
        [(0, "submission.expired"), (1, "accepted"), (101, "accepted"), (102, "submission.expiry_too_far")]
    {
        assert_eq!(ledger.refusal(&with_expiry(&body, expiry)), code, "{expiry}");
    }
    let other = Body { chain_id: Hash32([1; 32]), ..body.clone() };
    assert_eq!(ledger.refusal(&relay(&other, vec![], "platform")), "submission.other_ledger");

    let good = relay(&body, vec![], "platform").submission().clone();
    let envelope = |edit: &dyn Fn(&mut qz_evidence::submission::Submission)| {
        let mut submission = good.clone();
        edit(&mut submission);
        Parsed::without_relay_check(&encode(&submission)).unwrap()
    };
    let stranger = envelope(&|s| s.relay = OrgId::new("stranger").unwrap());
    assert_eq!(ledger.refusal(&stranger), "relay.unknown");
    let other_key = envelope(&|s| s.relay_key = public(&key("other")));
    assert_eq!(ledger.refusal(&other_key), "relay.key");
    let forged = envelope(&|s| s.relay_signature.0[0] ^= 1);
    assert_eq!(ledger.refusal(&forged), "relay.signature");
    let extra = relay(&body, vec![Actor { subject: SubjectId(Hash32([1; 32])), signature: Bytes(vec![]) }], "platform");
    assert_eq!(ledger.refusal(&extra), "actor.count");
}

#[test]
fn nothing_is_recorded_twice_within_the_window() {
    let mut ledger = Ledger::with(16, true);
    let first = deposit(&mut ledger, "x");
    let same_id = Body { expiry: Height(5), ..first.body().clone() };
    let second_expiry = |ledger: &Ledger| Body { expiry: Height(ledger.height().0 + 1), ..first.body().clone() };
    // In the same block.
    let rejected = ledger.block(&[first.clone(), first.clone(), relay(&same_id, vec![], "platform")]);
    assert_eq!(rejected.iter().map(|r| r.code()).collect::<Vec<_>>(), ["submission.duplicate", "submission.id_reused"]);
    // In later blocks; by another member the same body is still the same, the id is that member's own.
    assert_eq!(ledger.refusal(&first), "submission.duplicate");
    assert_eq!(ledger.refusal(&relay(first.body(), vec![], "court")), "submission.duplicate");
    assert_eq!(ledger.refusal(&relay(&same_id, vec![], "platform")), "submission.id_reused");
    assert_eq!(ledger.refusal(&relay(&same_id, vec![], "court")), "accepted");
    while ledger.height().0 < 16 {
        ledger.block(&[]);
    }
    // Recorded at 1 with window 16: the id is free again from height 18 on, and the body has expired.
    assert_eq!(ledger.refusal(&relay(&second_expiry(&ledger), vec![], "platform")), "submission.id_reused");
    ledger.block(&[]);
    assert_eq!(ledger.refusal(&relay(&second_expiry(&ledger), vec![], "platform")), "accepted");
    assert_eq!(ledger.refusal(&first), "submission.expired");
}

#[test]
fn key_registration_needs_holder_attestor_and_a_sound_key() {
    let mut ledger = Ledger::new();
    let good = ledger.registration("a", "notary");
    let body = good.body().clone();
    let actors = good.submission().actors.clone();
    let refusal = |ledger: &Ledger, actors: Vec<Actor>| ledger.refusal(&relay(&body, actors, "platform"));
    assert_eq!(refusal(&ledger, vec![]), "actor.count");
    assert_eq!(refusal(&ledger, vec![actors[0].clone()]), "actor.count");
    assert_eq!(refusal(&ledger, vec![actors[1].clone(), actors[0].clone()]), "actor.not_entitled");
    let forged = actor(&body, actors[1].subject, &key("not the office"));
    assert_eq!(refusal(&ledger, vec![actors[0].clone(), forged]), "actor.signature");
    assert_eq!(refusal(&ledger, actors), "accepted");

    let court = ledger.registration("a", "court");
    assert_eq!(ledger.refusal(&court), "attestor.role");
    let own = ledger.registration("a", "platform");
    assert_eq!(ledger.refusal(&own), "attestor.is_relay");
    let mut lenient = Ledger::with(1000, false);
    let own = lenient.registration("a", "platform");
    assert_eq!(lenient.refusal(&own), "accepted");

    let key_of = |algorithm, bytes: Vec<u8>| PublicKey { algorithm, bytes: Bytes(bytes) };
    for (key, code) in [
        (key_of(Algorithm::WebAuthn, vec![2; 33]), "algorithm.not_yet"),
        (key_of(Algorithm::Ed25519, [[1].as_slice(), &[0; 31]].concat()), "key.malformed"),
        (key_of(Algorithm::Es256, vec![9; 33]), "key.malformed"),
    ] {
        let Payload::KeyRegistered(fields) = &body.payload else { unreachable!() };
        let payload = Payload::KeyRegistered(KeyRegistered { key, ..fields.clone() });
        let body = Body { payload, ..body.clone() };
        let actors = good.submission().actors.clone();
        assert_eq!(ledger.refusal(&relay(&body, actors, "platform")), code);
    }
}

#[test]
fn es256_keys_act_like_ed25519_keys() {
    use p256::ecdsa::signature::Signer;
    use p256::ecdsa::{Signature, SigningKey};
    let mut ledger = Ledger::new();
    let holder = SigningKey::from_slice(&[3; 32]).unwrap();
    let bytes = Bytes(holder.verifying_key().to_sec1_point(true).as_bytes().to_vec());
    let key_state = PublicKey { algorithm: Algorithm::Es256, bytes };
    let sign = |body: &Body, subject| {
        let signature: Signature = holder.sign(&qz_evidence::submission::actor_message(&body.digest()));
        Actor { subject, signature: Bytes(signature.to_bytes().to_vec()) }
    };
    let template = ledger.registration("a", "notary");
    let payload = Payload::KeyRegistered(KeyRegistered { key: key_state, attestor: ledger::org("notary") });
    let body = Body { payload, ..template.body().clone() };
    let subject = SubjectId::created_by(&ledger.chain_id(), &body.digest());
    let office = actor(&body, template.submission().actors[1].subject, &key("notary/office"));
    let registration = relay(&body, vec![sign(&body, subject), office], "platform");
    ledger.record(&registration);
    let body = ledger.body(Payload::KeyRevoked(KeyRef { subject }), vec![]);
    let mut broken = sign(&body, subject);
    broken.signature.0[40] ^= 1;
    assert_eq!(ledger.refusal(&relay(&body, vec![broken], "platform")), "actor.signature");
    assert_eq!(ledger.refusal(&relay(&body, vec![sign(&body, subject)], "platform")), "accepted");
}

#[test]
fn keys_rotate_and_end() {
    let mut ledger = Ledger::new();
    let a = ledger.register("a");
    let new_key = PublicKey::ed25519(key("a2").verifying_key().to_bytes());
    let rotate = Payload::KeyRotated(KeyRotated { subject: a, key: new_key.clone() });
    let without_new = ledger.submission(rotate.clone(), vec![], &[(a, &key("a")), (a, &key("a"))]);
    assert_eq!(ledger.refusal(&without_new), "actor.signature");
    let rotation = ledger.submission(rotate, vec![], &[(a, &key("a")), (a, &key("a2"))]);
    ledger.record(&rotation);
    let SubjectState::Key(state) = ledger.state(a) else { unreachable!() };
    assert_eq!(state.key, new_key);

    let revoke = Payload::KeyRevoked(KeyRef { subject: a });
    let old_key = ledger.submission(revoke.clone(), vec![], &[(a, &key("a"))]);
    assert_eq!(ledger.refusal(&old_key), "actor.signature");
    let court = SubjectId::of_organisation(&ledger.chain_id(), &ledger::org("court"));
    let by_court = ledger.submission(revoke.clone(), vec![], &[(court, &key("court/office"))]);
    assert_eq!(ledger.refusal(&by_court), "actor.not_entitled");
    let notary = SubjectId::of_organisation(&ledger.chain_id(), &ledger::org("notary"));
    let by_attestor = ledger.submission(revoke.clone(), vec![], &[(notary, &key("notary/office"))]);
    // To vouch for a new key it must come through another member; to end one it need not.
    let next_key = PublicKey::ed25519(key("a3").verifying_key().to_bytes());
    let body = ledger.body(Payload::KeyRotated(KeyRotated { subject: a, key: next_key }), vec![]);
    let actors = vec![actor(&body, notary, &key("notary/office")), actor(&body, a, &key("a3"))];
    assert_eq!(ledger.refusal(&relay(&body, actors.clone(), "notary")), "attestor.is_relay");
    assert_eq!(ledger.refusal(&relay(&body, actors, "platform")), "accepted");
    let own_way = relay(by_attestor.body(), by_attestor.submission().actors.clone(), "notary");
    assert_eq!(ledger.refusal(&own_way), "accepted");
    ledger.record(&by_attestor);
    assert_eq!(ledger.state(a).status(), Status::Revoked);
    let again = ledger.submission(revoke, vec![], &[(a, &key("a2"))]);
    assert_eq!(ledger.refusal(&again), "key.revoked");
    let opening = ledger.opening((a, "a2"), vec![], vec![], None);
    assert_eq!(ledger.refusal(&opening), "key.revoked");
}

#[test]
fn a_verdict_is_used_only_for_the_same_bytes_and_keys() {
    let mut ledger = Ledger::new();
    let a = ledger.register("a");
    let revoke = ledger.submission(Payload::KeyRevoked(KeyRef { subject: a }), vec![], &[(a, &key("a"))]);
    let verified = Verified::default();
    verified.insert(admit(&ledger.view, &revoke, &verified).unwrap().verification);
    // The same submission with a broken actor signature is another one, whatever was verified before.
    let mut broken = revoke.submission().clone();
    broken.actors[0].signature.0[3] ^= 1;
    let broken = Parsed::without_relay_check(&encode(&broken)).unwrap();
    assert!(admit(&ledger.view, &broken, &verified).is_err());
    // After a rotation the verdict on the old key is worth nothing.
    let new_key = PublicKey::ed25519(key("a2").verifying_key().to_bytes());
    let rotate = Payload::KeyRotated(KeyRotated { subject: a, key: new_key });
    let rotation = ledger.submission(rotate, vec![], &[(a, &key("a")), (a, &key("a2"))]);
    ledger.record(&rotation);
    assert!(admit(&ledger.view, &revoke, &verified).is_err());
}

#[test]
fn the_same_blocks_give_the_same_roots_everywhere() {
    let mut ledger = Ledger::new();
    for name in ["a", "b", "c"] {
        let subject = ledger.register(name);
        ledger.make_seal(subject, name);
        let deposits: Vec<_> = (0..20).map(|i| deposit(&mut ledger, &format!("{name}{i}"))).collect();
        ledger.block(&deposits);
        ledger.block(&[]);
    }
    // Another node, from bytes, with another opinion of what it has verified already.
    let mut other = MemoryView::new(&genesis_with(1000, true)).unwrap();
    let mut roots = vec![];
    for block in &ledger.blocks {
        let block: Block = decode_strict(&encode(block)).unwrap();
        let changes = execute(&other, &block, &Verified::default()).unwrap();
        other.apply(&changes).unwrap();
        roots.push(changes.state_root);
        // Every subject it touched is provable at this version.
        for (subject, state) in &changes.subjects {
            let proof = qz_chain::state_proof(&other, changes.height, subject).unwrap();
            assert_eq!(proof.root(), Some(changes.state_root));
            assert_eq!(proof.head.unwrap().0, encode(&state.head()));
        }
    }
    assert_eq!(other.tip().unwrap(), ledger.view.tip().unwrap());
    assert_eq!(other.frontier().unwrap(), ledger.view.frontier().unwrap());
    // And again: the same roots.
    let mut third = MemoryView::new(&genesis_with(1000, true)).unwrap();
    for (block, root) in ledger.blocks.iter().zip(roots) {
        let changes = execute(&third, block, &Verified::default()).unwrap();
        assert_eq!(changes.state_root, root);
        third.apply(&changes).unwrap();
    }
}

#[test]
fn every_wrong_header_field_makes_a_block_invalid() {
    let mut ledger = Ledger::new();
    let submissions = [deposit(&mut ledger, "x"), deposit(&mut ledger, "y")];
    let good = ledger.propose(&submissions).block;
    let header = good.header().unwrap();
    let bytes = |block: &Block| block.submissions.iter().map(|b| b.0.clone()).collect::<Vec<_>>();
    let zero = Hash32::ZERO;
    let check =
        |header, submissions| match execute(&ledger.view, &Block::new(&header, submissions), &Verified::default()) {
            Err(ExecuteError::Block(BlockError::Field { field, .. })) => field,
            Err(ExecuteError::Block(BlockError::Proposer(_))) => "proposer",
            Err(ExecuteError::Block(BlockError::Time { .. })) => "time_ms",
            Err(ExecuteError::Block(BlockError::Rejected { .. })) => "rejected",
            Ok(_) => "valid",
            other => panic!("{other:?}"),
        };
    let h = || header.clone();
    use qz_evidence::header::Header;
    assert_eq!(check(h(), bytes(&good)), "valid");
    assert_eq!(check(Header { chain_id: zero, ..h() }, bytes(&good)), "chain_id");
    assert_eq!(check(Header { height: Height(2), ..h() }, bytes(&good)), "height");
    assert_eq!(check(Header { epoch: 1, ..h() }, bytes(&good)), "epoch");
    assert_eq!(check(Header { time_ms: 1_700_000_000_000, ..h() }, bytes(&good)), "time_ms");
    assert_eq!(check(Header { previous: zero, ..h() }, bytes(&good)), "previous");
    assert_eq!(check(Header { record_count: 3, ..h() }, bytes(&good)), "record_count");
    assert_eq!(check(Header { records_root: zero, ..h() }, bytes(&good)), "records_root");
    assert_eq!(check(Header { state_root: zero, ..h() }, bytes(&good)), "state_root");
    assert_eq!(check(Header { history_size: 0, ..h() }, bytes(&good)), "history_size");
    assert_eq!(check(Header { history_root: zero, ..h() }, bytes(&good)), "history_root");
    assert_eq!(check(Header { validators_hash: zero, ..h() }, bytes(&good)), "validators_hash");
    assert_eq!(check(Header { next_validators_hash: zero, ..h() }, bytes(&good)), "next_validators_hash");
    assert_eq!(check(Header { params_hash: zero, ..h() }, bytes(&good)), "params_hash");
    assert_eq!(check(Header { proposer: zero, ..h() }, bytes(&good)), "proposer");
    // Another validator may have proposed the same; later is fine too.
    assert_eq!(
        check(Header { proposer: proposer("notary"), time_ms: header.time_ms + 9, ..h() }, bytes(&good)),
        "valid"
    );
    // Submissions dropped, swapped, doubled.
    let [x, y] = <[Vec<u8>; 2]>::try_from(bytes(&good)).unwrap();
    assert_eq!(check(h(), vec![x.clone()]), "record_count");
    assert_eq!(check(h(), vec![y, x.clone()]), "records_root");
    assert_eq!(check(h(), vec![x.clone(), x]), "rejected");
}

#[test]
fn blocks_respect_the_parameters() {
    let mut ledger = Ledger::new();
    let limit = usize::try_from(ledger.genesis.body().params.max_block_records).unwrap();
    let deposits: Vec<_> = (0..limit + 5).map(|i| deposit(&mut ledger, &i.to_string())).collect();
    let proposed = ledger.propose(&deposits);
    assert_eq!(proposed.block.submissions.len(), limit);
    assert_eq!(proposed.rejected, []);
    let bytes = encode(&proposed.block).len();
    assert!(bytes <= usize::try_from(ledger.genesis.body().params.max_block_bytes).unwrap(), "{bytes}");
    let mut block = proposed.block.clone();
    block.submissions.push(Bytes(encode(deposits[limit].submission())));
    let too_many = execute(&ledger.view, &block, &Verified::default());
    assert!(matches!(too_many, Err(ExecuteError::Block(BlockError::TooManyRecords { .. }))), "{too_many:?}");
}

#[test]
fn the_time_of_a_block_always_grows() {
    let ledger = Ledger::new();
    let parent = ledger.view.tip().unwrap().time_ms;
    for (clock, expected) in [(0, parent + 1), (parent, parent + 1), (parent + 7, parent + 7)] {
        let proposed = propose(&ledger.view, [], clock, proposer("court"), &Verified::default()).unwrap();
        assert_eq!(proposed.block.header().unwrap().time_ms, expected);
    }
}

proptest! {
    #[test]
    fn any_submissions_round_trip_through_a_block(parts in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..200), 0..8), flip in any::<usize>()) {
        let header = Ledger::new().view.tip().unwrap();
        let block = Block::new(&header, parts);
        let bytes = encode(&block);
        let again: Block = decode_strict(&bytes).unwrap();
        prop_assert_eq!(&again, &block);
        // A changed byte is refused or another block.
        let mut changed = bytes.clone();
        changed[flip % bytes.len()] ^= 1;
        prop_assert!(decode_strict::<Block>(&changed).map_or(true, |other| other != block));
        let trailing = [&bytes[..], &[0]].concat();
        prop_assert!(decode_strict::<Block>(&trailing).is_err());
    }
}
