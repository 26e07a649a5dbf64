//! What a refusal leaves behind (nothing), and what a hostile or lazy relay can do (nothing either).

#![allow(clippy::unwrap_used)]

mod ledger;

use ledger::story::Story;
use ledger::{Ledger, MEMBERS, actor, commitment, commitments, key, key_slot, org, proposer, relay, seal_slot};
use qz_chain::{Proposed, Verified, View, propose};
use qz_evidence::keys::PublicKey;
use qz_evidence::payload::{
    ContractDisputed, ContractRef, ContractSigned, ContractSlotRef, EvidenceDeposited, GroupRule, KeyRef, KeyRotated,
    NotarisationRegistered, Payload, RetrievalMade, SealAuthorised, SealRef,
};
use qz_evidence::state_proof::Status;
use qz_evidence::submission::{Body, Parsed};
use qz_evidence::{Height, SubjectId};

/// What a block of these brings, at a fixed time.
fn proposed(ledger: &Ledger, submissions: &[&Parsed]) -> Proposed {
    let now = ledger.view.tip().unwrap().time_ms + 500;
    propose(&ledger.view, submissions.iter().copied(), now, proposer("court"), &Verified::default()).unwrap()
}

/// One submission per refusal: some are refused at once, some after several subjects have been read.
fn refused(story: &mut Story) -> Vec<(Parsed, &'static str)> {
    let [a, b, person] = story.parties();
    let (seal, seal_b) = (story.seal_a, story.seal_b);
    let slots = vec![seal_slot(seal, 1, 1), seal_slot(seal_b, 2, 1), key_slot(person.0, 3, 2)];
    let contract = story.contract(slots, vec![], None);
    let completed = story.complete(None);
    story.seal_command(Payload::SealSuspended(SealRef { seal }));
    let version = commitment("document.sha256", "version").hash;
    let signed = |slot, seal| Payload::ContractSigned(ContractSigned { contract, slot, version, seal });
    let to_be_signed = &["to_be_signed.sha256"][..];
    vec![
        (story.by(signed(0, Some(seal)), to_be_signed, &[a]), "seal.suspended"),
        (story.by(signed(1, Some(seal_b)), to_be_signed, &[(b.0, "a")]), "actor.signature"),
        (story.by(signed(1, Some(seal_b)), &[], &[b]), "commitment.missing"),
        (story.by(signed(2, None), to_be_signed, &[person]), "contract.slot_order"),
        (
            story.by(Payload::ContractDeclined(ContractSlotRef { contract, slot: 9 }), &[], &[a]),
            "contract.slot_unknown",
        ),
        (story.by(Payload::ContractTerminated(ContractRef { contract }), &[], &[a, b, person]), "contract.status"),
        (story.by(Payload::ContractVoided(ContractRef { contract }), &[], &[a, b]), "contract.party_missing"),
        (
            story.by(
                Payload::ContractDisputed(ContractDisputed { contract: completed, forum: org("notary") }),
                &[],
                &[a],
            ),
            "contract.forum",
        ),
        // The first contract exists, the second does not: the first is not touched either.
        (
            story.by_office(
                Payload::RetrievalMade(RetrievalMade { contracts: vec![completed, SubjectId::default()] }),
                commitments(&["number"]),
                "court",
            ),
            "subject.unknown",
        ),
        (
            story.by_office(
                Payload::NotarisationRegistered(NotarisationRegistered { subject: completed }),
                commitments(&["number"]),
                "notary",
            ),
            "commitment.missing",
        ),
        (
            story.by(
                Payload::SealAuthorised(SealAuthorised { seal, key: b.0, count: Some(1), until: None }),
                &[],
                &[a],
            ),
            "seal.suspended",
        ),
        (
            story.by(
                Payload::KeyRotated(KeyRotated {
                    subject: a.0,
                    key: PublicKey::ed25519(key("b").verifying_key().to_bytes()),
                }),
                &[],
                &[a, (a.0, "clerk")],
            ),
            "actor.signature",
        ),
    ]
}

#[test]
fn a_refused_submission_leaves_no_trace() {
    let mut story = Story::new();
    let table = refused(&mut story);
    let deposit = |story: &mut Story, content| {
        let payload = Payload::EvidenceDeposited(EvidenceDeposited { about: None });
        story.ledger.submission(payload, vec![commitment("document.sha256", content)], &[])
    };
    let (before, after) = (deposit(&mut story, "before"), deposit(&mut story, "after"));
    let root = story.ledger.view.tip().unwrap().state_root;
    let without = proposed(&story.ledger, &[&before, &after]);
    let empty = proposed(&story.ledger, &[]);
    for (submission, code) in &table {
        let alone = proposed(&story.ledger, &[submission]);
        assert_eq!(alone.rejected.iter().map(|(_, reject)| reject.code()).collect::<Vec<_>>(), [*code]);
        // Header, records, subjects, tree nodes, replay window: everything is that of an empty block.
        assert_eq!((&alone.block, &alone.changes), (&empty.block, &empty.changes), "{code}");
        assert_eq!(alone.changes.state_root, root);
        let between = proposed(&story.ledger, &[&before, submission, &after]);
        assert_eq!((&between.block, &between.changes), (&without.block, &without.changes), "{code}");
    }
    // All of them together, and each may be tried again: its number is not used up.
    let everything: Vec<_> = table.iter().map(|(submission, _)| submission).collect();
    let together = proposed(&story.ledger, &everything);
    assert_eq!((&together.block, &together.changes), (&empty.block, &empty.changes));
    assert_eq!(together.rejected.len(), table.len());
    story.ledger.block(&[]);
    for (submission, code) in &table {
        assert_eq!(story.ledger.refusal(submission), *code);
    }
}

#[test]
fn a_seal_suspended_at_a_height_cannot_sign_at_the_next_whoever_relays() {
    let mut story = Story::new();
    let seal = story.seal_a;
    let a = (story.a, "a");
    let contracts = [(); 2].map(|()| story.contract(story.slots(), vec![], None));
    let suspension = story.by(Payload::SealSuspended(SealRef { seal }), &[], &[a]);
    let [first, second] = contracts.map(|contract| story.ledger.signing(contract, 0, a, Some(seal)));
    // In one block it depends on the order: what stands before the suspension signs, what stands behind
    // does not.
    let rejected = story.ledger.block(&[first, suspension, second.clone()]);
    assert_eq!(rejected.iter().map(|r| r.code()).collect::<Vec<_>>(), ["seal.suspended"]);
    let suspended_at = story.ledger.height();
    for (member, _) in MEMBERS {
        let submission = relay(second.body(), second.submission().actors.clone(), member);
        assert_eq!(story.ledger.refusal(&submission), "seal.suspended", "{member} at {}", suspended_at.next());
    }
    for _ in 0..3 {
        story.ledger.block(&[]);
        assert_eq!(story.ledger.refusal(&second), "seal.suspended");
    }
}

#[test]
fn a_party_that_one_member_ignores_takes_the_same_body_to_another() {
    let mut story = Story::new();
    let a = (story.a, "a");
    let contract = story.contract(vec![key_slot(story.a, 1, 1)], vec![], None);
    let by_platform = story.ledger.signing(contract, 0, a, None);
    let body: Body = by_platform.body().clone();
    let actors = by_platform.submission().actors.clone();
    // The platform sits on it; the party hands the same signed bytes to the notary.
    let by_notary = relay(&body, actors.clone(), "notary");
    assert_eq!(by_notary.digest(), by_platform.digest());
    story.ledger.record(&by_notary);
    assert_eq!(story.status(contract), Status::Signed);
    assert_eq!(story.ledger.refusal(&by_platform), "submission.duplicate", "the platform wakes up");
    assert_eq!(story.ledger.refusal(&relay(&body, actors, "court")), "submission.duplicate");
    // Two members in one block: the first counts.
    let deposit = Payload::EvidenceDeposited(EvidenceDeposited { about: Some(contract) });
    let body = story.ledger.body(deposit, vec![commitment("document.sha256", "x")]);
    let both = ["court", "platform"].map(|member| relay(&body, vec![], member));
    let rejected = story.ledger.block(&both);
    assert_eq!(rejected.iter().map(|r| r.code()).collect::<Vec<_>>(), ["submission.duplicate"]);
    let recorded = Parsed::new(&story.ledger.blocks.last().unwrap().submissions[0]).unwrap();
    assert_eq!(recorded.submission().relay, org("court"));
    // The created subject is the same whoever relayed.
    assert_eq!(story.ledger.created(&both[0]), story.ledger.created(&both[1]));
}

#[test]
fn a_rotated_key_signs_under_the_same_subject_and_the_old_one_does_not() {
    let mut story = Story::new();
    let (a, renewed) = ((story.a, "a"), (story.a, "a renewed"));
    let contract = story.contract(vec![key_slot(story.a, 1, 1), seal_slot(story.seal_a, 2, 1)], vec![], None);
    let new_key = PublicKey::ed25519(key("a renewed").verifying_key().to_bytes());
    let signed_before = story.ledger.signing(contract, 0, a, None);
    let rotated = Payload::KeyRotated(KeyRotated { subject: story.a, key: new_key });
    let rotation = story.by(rotated, &[], &[a, renewed]);
    // Behind the rotation, even in its block, what the old key signed is worth nothing.
    let rejected = story.ledger.block(&[rotation, signed_before.clone()]);
    assert_eq!(rejected.iter().map(|r| r.code()).collect::<Vec<_>>(), ["actor.signature"]);
    assert_eq!(story.ledger.refusal(&signed_before), "actor.signature");
    let with_seal = story.ledger.signing(contract, 1, a, Some(story.seal_a));
    assert_eq!(story.ledger.refusal(&with_seal), "actor.signature");
    let now = [
        story.ledger.signing(contract, 0, renewed, None),
        story.ledger.signing(contract, 1, renewed, Some(story.seal_a)),
    ];
    assert_eq!(story.ledger.block(&now), []);
    assert_eq!(story.status(contract), Status::Signed);
    let revoked = story.by(Payload::KeyRevoked(KeyRef { subject: story.a }), &[], &[renewed]);
    story.ledger.record(&revoked);
    let disputed = Payload::ContractDisputed(ContractDisputed { contract, forum: org("court") });
    let late = story.by(disputed, &[], &[renewed]);
    assert_eq!(story.ledger.refusal(&late), "key.revoked");
}

#[test]
fn n_of_m_and_order_groups_hold_together() {
    let mut story = Story::new();
    let [a, b, person] = story.parties();
    let clerk = (story.clerk, "clerk");
    let slots = vec![key_slot(a.0, 1, 1), key_slot(b.0, 2, 1), key_slot(person.0, 3, 1), key_slot(clerk.0, 4, 7)];
    let contract = story.contract(slots, vec![GroupRule { group: 1, required: 2 }], None);
    let signatures = [a, b, person, clerk].map(|signer| {
        let slot = [a, b, person, clerk].iter().position(|other| *other == signer).unwrap();
        story.ledger.signing(contract, u8::try_from(slot).unwrap(), signer, None)
    });
    let [by_a, by_b, by_person, by_clerk] = &signatures;
    story.ledger.record(by_person);
    assert_eq!(story.ledger.refusal(by_clerk), "contract.slot_order", "one of two");
    // The second of the group and the next group in one block.
    assert_eq!(story.ledger.block(&[by_a.clone(), by_clerk.clone()]), []);
    assert_eq!(story.status(contract), Status::Signed);
    assert_eq!(story.ledger.refusal(by_b), "contract.status", "enough have signed");
}

#[test]
fn expiry_and_relay_hold_for_every_kind() {
    let mut story = Story::new();
    let (template, _) = refused(&mut story).remove(0);
    let body = Body { expiry: Height(story.ledger.height().0), ..template.body().clone() };
    let actors = vec![actor(&body, story.a, &key("a"))];
    assert_eq!(story.ledger.refusal(&relay(&body, actors, "court")), "submission.expired");
}
