//! Contracts from opening to fulfilment on a ledger in memory, and who is refused on the way.

#![allow(clippy::unwrap_used)]

mod ledger;

use ledger::story::Story;
use ledger::{actor, commitment, commitments, key, key_slot, relay, seal_slot};
use qz_chain::{SubjectState, View};
use qz_evidence::Height;
use qz_evidence::payload::{
    ContractAmended, ContractFulfilment, ContractRef, ContractSlotRef, FulfilmentStep, GroupRule, KeyRef, Payload,
    SealAuthorised, SealKeyRef, SealRef,
};
use qz_evidence::state_proof::Status;

#[test]
fn a_contract_is_signed_completed_amended_and_fulfilled() {
    let mut story = Story::new();
    let contract = story.complete(None);
    assert_eq!(story.status(contract), Status::Completed);
    let seal = story.ledger.view.subject(&story.seal_a).unwrap().unwrap();
    assert_eq!(seal.records, 2, "made and used: signing touches the seal too");

    let amendment = story.complete(Some(contract));
    let amended = Payload::ContractAmended(ContractAmended { contract, amendment });
    let by_b = story.ledger.submission(amended.clone(), vec![], &[(story.b, &key("b"))]);
    assert_eq!(story.ledger.refusal(&by_b), "actor.not_entitled");
    let by_a = story.ledger.submission(amended, vec![], &[(story.a, &key("a"))]);
    story.ledger.record(&by_a);
    let SubjectState::Contract(state) = story.ledger.state(contract) else { unreachable!() };
    assert_eq!(state.amendments, [amendment]);

    let paid = |step| Payload::ContractFulfilment(ContractFulfilment { contract, obligation: 1, step });
    let receipt = || commitments(&["receipt.sha256"]);
    let by_clerk = story.ledger.submission(paid(FulfilmentStep::Performed), receipt(), &[(story.clerk, &key("clerk"))]);
    assert_eq!(story.ledger.refusal(&by_clerk), "actor.not_entitled");
    for (step, by, name) in [
        (FulfilmentStep::Due, story.person, "person"),
        (FulfilmentStep::Performed, story.a, "a"),
        (FulfilmentStep::Accepted, story.b, "b"),
    ] {
        let submission = story.ledger.submission(paid(step), receipt(), &[(by, &key(name))]);
        story.ledger.record(&submission);
    }
}

#[test]
fn order_groups_versions_and_slots_bind() {
    let mut story = Story::new();
    let (person, a) = ((story.person, "person"), (story.a, "a"));
    let seal_a = Some(story.seal_a);
    let contract = story.contract(story.slots(), vec![GroupRule { group: 1, required: 1 }], None);
    let early = story.ledger.signing(contract, 2, person, None);
    assert_eq!(story.ledger.refusal(&early), "contract.slot_order");
    let wrong_key = story.ledger.signing(contract, 2, a, None);
    assert_eq!(story.ledger.refusal(&wrong_key), "actor.not_entitled");
    let no_seal = story.ledger.signing(contract, 0, a, None);
    assert_eq!(story.ledger.refusal(&no_seal), "contract.seal_of_slot");
    let seal_b = Some(story.seal_b);
    let other_seal = story.ledger.signing(contract, 0, a, seal_b);
    assert_eq!(story.ledger.refusal(&other_seal), "contract.seal_of_slot");
    let unknown = story.ledger.signing(contract, 3, a, seal_a);
    assert_eq!(story.ledger.refusal(&unknown), "contract.slot_unknown");

    let first = story.ledger.signing(contract, 0, a, seal_a);
    story.ledger.record(&first);
    let again = story.ledger.signing(contract, 0, a, seal_a);
    assert_eq!(story.ledger.refusal(&again), "contract.slot_signed");
    let other_version = story.ledger.fixing(a, contract, 2);
    assert_eq!(story.ledger.refusal(&other_version), "contract.partly_signed");
    let too_soon = story.ledger.completion(contract);
    assert_eq!(story.ledger.refusal(&too_soon), "contract.status");
    // One of two is enough for group 1.
    let last = story.ledger.signing(contract, 2, person, None);
    story.ledger.record(&last);
    assert_eq!(story.status(contract), Status::Signed);
}

#[test]
fn completion_needs_a_platform_a_document_and_no_actor() {
    let mut story = Story::new();
    let contract = story.contract(vec![key_slot(story.person, 1, 1)], vec![], None);
    let person = (story.person, "person");
    let signature = story.ledger.signing(contract, 0, person, None);
    story.ledger.record(&signature);
    let payload = || Payload::ContractCompleted(ContractRef { contract });
    let document = || vec![commitment("document.sha256", "final")];
    let body = story.ledger.body(payload(), document());
    assert_eq!(story.ledger.refusal(&relay(&body, vec![], "notary")), "relay.role");
    let with_actor = story.ledger.submission(payload(), document(), &[(story.a, &key("a"))]);
    assert_eq!(story.ledger.refusal(&with_actor), "actor.count");
    let without_document = story.ledger.submission(payload(), vec![], &[]);
    assert_eq!(story.ledger.refusal(&without_document), "commitment.missing");
    assert_eq!(story.ledger.refusal(&relay(&body, vec![], "platform")), "accepted");
}

#[test]
fn only_parties_decline_and_a_declined_contract_is_over() {
    let mut story = Story::new();
    let contract = story.contract(story.slots(), vec![], None);
    let payload = Payload::ContractDeclined(ContractSlotRef { contract, slot: 1 });
    let by_a = story.ledger.submission(payload.clone(), vec![], &[(story.a, &key("a"))]);
    assert_eq!(story.ledger.refusal(&by_a), "seal.not_authorised");
    let by_b = story.ledger.submission(payload, vec![], &[(story.b, &key("b"))]);
    story.ledger.record(&by_b);
    assert_eq!(story.status(contract), Status::Declined);
    let seal_a = Some(story.seal_a);
    let a = (story.a, "a");
    let late = story.ledger.signing(contract, 0, a, seal_a);
    assert_eq!(story.ledger.refusal(&late), "contract.status");
}

#[test]
fn authorisations_are_counted_and_end() {
    let mut story = Story::new();
    let (seal, clerk) = (story.seal_a, (story.clerk, "clerk"));
    let authorise = |count, until| Payload::SealAuthorised(SealAuthorised { seal, key: clerk.0, count, until });
    let slots = vec![seal_slot(seal, 1, 1), key_slot(story.person, 2, 1)];
    let contracts: Vec<_> = (0..3).map(|_| story.contract(slots.clone(), vec![], None)).collect();

    let stranger = story.ledger.signing(contracts[0], 0, clerk, Some(seal));
    assert_eq!(story.ledger.refusal(&stranger), "seal.not_authorised");
    for empty in [authorise(Some(0), None), authorise(None, Some(Height(1)))] {
        let submission = story.ledger.submission(empty, vec![], &[(story.a, &key("a"))]);
        assert_eq!(story.ledger.refusal(&submission), "seal.authorisation_empty");
    }
    let by_clerk = story.ledger.submission(authorise(None, None), vec![], &[(story.clerk, &key("clerk"))]);
    assert_eq!(story.ledger.refusal(&by_clerk), "actor.not_entitled");

    story.seal_command(authorise(Some(2), None));
    // Both uses in one block; the third in the same block is refused.
    let signatures: Vec<_> = contracts.iter().map(|c| story.ledger.signing(*c, 0, clerk, Some(seal))).collect();
    let rejected = story.ledger.block(&signatures);
    assert_eq!(rejected.iter().map(|r| r.code()).collect::<Vec<_>>(), ["seal.uses_exhausted"]);

    let end = Height(story.ledger.height().0 + 2);
    story.seal_command(authorise(None, Some(end)));
    let last_moment = story.ledger.signing(contracts[2], 0, clerk, Some(seal));
    assert_eq!(story.ledger.refusal(&last_moment), "accepted");
    story.ledger.block(&[]);
    assert_eq!(story.ledger.refusal(&last_moment), "seal.authorisation_ended");
    story.seal_command(Payload::SealRevoked(SealKeyRef { seal, key: clerk.0 }));
    assert_eq!(story.ledger.refusal(&last_moment), "seal.not_authorised");
}

#[test]
fn a_seal_whose_owner_lost_its_key_cannot_sign() {
    let mut story = Story::new();
    let (seal, clerk) = (story.seal_a, (story.clerk, "clerk"));
    let contract = story.contract(vec![seal_slot(seal, 1, 1), key_slot(story.person, 2, 1)], vec![], None);
    story.seal_command(Payload::SealAuthorised(SealAuthorised { seal, key: clerk.0, count: None, until: None }));
    let signature = story.ledger.signing(contract, 0, clerk, Some(seal));
    assert_eq!(story.ledger.refusal(&signature), "accepted");
    let revoked = Payload::KeyRevoked(KeyRef { subject: story.a });
    let revocation = story.ledger.submission(revoked, vec![], &[(story.a, &key("a"))]);
    story.ledger.record(&revocation);
    assert_eq!(story.ledger.refusal(&signature), "key.revoked");
}

#[test]
fn a_suspended_or_destroyed_seal_cannot_sign_whoever_relays() {
    let mut story = Story::new();
    let (seal, a) = (story.seal_a, (story.a, "a"));
    let contract = story.contract(story.slots(), vec![], None);
    story.seal_command(Payload::SealSuspended(SealRef { seal }));
    let signature = story.ledger.signing(contract, 0, a, Some(seal));
    assert_eq!(story.ledger.refusal(&signature), "seal.suspended");
    let body = signature.body().clone();
    let by_court = relay(&body, vec![actor(&body, story.a, &key("a"))], "court");
    assert_eq!(story.ledger.refusal(&by_court), "seal.suspended");
    story.seal_command(Payload::SealResumed(SealRef { seal }));
    assert_eq!(story.ledger.refusal(&by_court), "accepted");
    story.seal_command(Payload::SealDestroyed(SealRef { seal }));
    assert_eq!(story.ledger.refusal(&by_court), "seal.destroyed");
}

#[test]
fn amendments_need_all_parties_and_the_right_original() {
    let mut story = Story::new();
    let original = story.complete(None);
    let unrelated = story.complete(None);
    let fewer = story.contract(vec![seal_slot(story.seal_a, 1, 1)], vec![], Some(original));
    let seal_a = Some(story.seal_a);
    let a = (story.a, "a");
    let amend = |amendment| Payload::ContractAmended(ContractAmended { contract: original, amendment });
    let unsigned = story.ledger.submission(amend(fewer), vec![], &[(story.a, &key("a"))]);
    assert_eq!(story.ledger.refusal(&unsigned), "contract.status");
    for submission in [story.ledger.signing(fewer, 0, a, seal_a), story.ledger.completion(fewer)] {
        story.ledger.record(&submission);
    }
    assert_eq!(story.ledger.refusal(&unsigned), "contract.amendment_parties");
    // All parties have a slot, but a rule of the amendment lets A alone sign for all.
    let alone = vec![GroupRule { group: 1, required: 1 }];
    let slots = vec![seal_slot(story.seal_a, 1, 1), seal_slot(story.seal_b, 2, 1), key_slot(story.person, 3, 1)];
    let one_sided = story.contract(slots, alone, Some(original));
    for submission in [story.ledger.signing(one_sided, 0, a, seal_a), story.ledger.completion(one_sided)] {
        story.ledger.record(&submission);
    }
    let by_one = story.ledger.submission(amend(one_sided), vec![], &[(story.a, &key("a"))]);
    assert_eq!(story.ledger.refusal(&by_one), "contract.amendment_parties");
    let other = story.ledger.submission(amend(unrelated), vec![], &[(story.a, &key("a"))]);
    assert_eq!(story.ledger.refusal(&other), "contract.amendment_other");
    let of_unsigned = story.contract(story.slots(), vec![], None);
    let opening = story.ledger.opening(a, story.slots(), vec![], Some(of_unsigned));
    assert_eq!(story.ledger.refusal(&opening), "contract.status");
}
