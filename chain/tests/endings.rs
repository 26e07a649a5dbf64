//! How contracts end and what others record about them: terminated, voided, disputed, ruled, archived,
//! notarised, retrieved; and audit logs.

#![allow(clippy::unwrap_used)]

mod ledger;

use ledger::story::Story;
use ledger::{commitment, commitments, key, org, relay};
use qz_chain::SubjectState;
use qz_chain::state::{AuditLogState, ContractState, Dispute};
use qz_evidence::payload::{
    AuditAnchored, ContractDisputed, ContractRef, ContractRuled, EvidenceDeposited, KeyRef, NotarisationRegistered,
    Payload, RetrievalMade, RulingEffect, RulingForm, SealAuthorised,
};
use qz_evidence::state_proof::Status;
use qz_evidence::submission::Parsed;
use qz_evidence::{Hash32, SubjectId};

const DEED: [&str; 2] = ["number", "document.sha256"];

fn dispute(contract: SubjectId, forum: &str) -> Payload {
    Payload::ContractDisputed(ContractDisputed { contract, forum: org(forum) })
}

fn ruling(story: &mut Story, contract: SubjectId, form: RulingForm, effect: RulingEffect, office: &str) -> Parsed {
    story.by_office(Payload::ContractRuled(ContractRuled { contract, form, effect }), commitments(&DEED), office)
}

fn contract_state(story: &Story, contract: SubjectId) -> ContractState {
    let SubjectState::Contract(state) = story.ledger.state(contract) else { unreachable!() };
    state
}

#[test]
fn every_party_ends_a_contract_and_nobody_else() {
    let mut story = Story::new();
    let [a, b, person] = story.parties();
    let clerk = (story.clerk, "clerk");
    let may_use = SealAuthorised { seal: story.seal_a, key: story.clerk, count: None, until: None };
    story.seal_command(Payload::SealAuthorised(may_use));
    let contract = story.complete(None);
    for payload in
        [Payload::ContractTerminated(ContractRef { contract }), Payload::ContractVoided(ContractRef { contract })]
    {
        let cases = [
            (vec![], "contract.party_missing"),
            (vec![a, b], "contract.party_missing"),
            (vec![a, b, b], "contract.party_missing"),
            (vec![a, b, person, a], "actor.count"),
            // Whoever may use a party's seal is no party.
            (vec![clerk, b, person], "actor.not_entitled"),
            (vec![a, b, person, clerk], "actor.not_entitled"),
            (vec![a, b, (person.0, "b")], "actor.signature"),
            (vec![person, a, b], "accepted"),
        ];
        for (actors, code) in cases {
            let submission = story.by(payload.clone(), &[], &actors);
            assert_eq!(story.ledger.refusal(&submission), code, "{actors:?}");
        }
    }
    // A party that lost its key cannot be left out.
    let revoked = story.by(Payload::KeyRevoked(KeyRef { subject: person.0 }), &[], &[person]);
    story.ledger.record(&revoked);
    let voided = Payload::ContractVoided(ContractRef { contract });
    let without = story.by(voided.clone(), &[], &[a, b]);
    assert_eq!(story.ledger.refusal(&without), "contract.party_missing");
    let with = story.by(voided, &[], &[a, b, person]);
    assert_eq!(story.ledger.refusal(&with), "key.revoked");
}

#[test]
fn a_dispute_goes_to_a_forum_whose_ruling_ends_it() {
    use RulingEffect::{InForce, Interim, Terminated, Void};
    use RulingForm::{Award, Judgment, Mediation, Order};
    let mut story = Story::new();
    let [a, ..] = story.parties();
    let contract = story.complete(None);
    for (forum, actors, code) in [
        ("notary", vec![a], "contract.forum"),
        ("stranger", vec![a], "contract.forum"),
        ("court", vec![(story.clerk, "clerk")], "actor.not_entitled"),
        ("court", vec![], "actor.count"),
        ("court", vec![a], "accepted"),
    ] {
        let submission = story.by(dispute(contract, forum), &[], &actors);
        assert_eq!(story.ledger.refusal(&submission), code, "{forum} {actors:?}");
    }
    let early = ruling(&mut story, contract, Judgment, Void, "court");
    assert_eq!(story.ledger.refusal(&early), "contract.status");
    let raised = story.by(dispute(contract, "court"), &["description"], &[a]);
    story.ledger.record(&raised);
    let state = contract_state(&story, contract);
    assert_eq!(state.dispute, Some(Dispute { forum: org("court"), before: Status::Completed }));
    let elsewhere = story.by(dispute(contract, "arbitration"), &[], &[a]);
    assert_eq!(story.ledger.refusal(&elsewhere), "contract.dispute_pending");

    for (form, effect, office, code) in [
        (Judgment, Void, "arbitration", "actor.not_entitled"),
        (Judgment, Void, "notary", "actor.not_entitled"),
        (Award, Void, "court", "contract.ruling_form"),
        (Judgment, Interim, "court", "contract.ruling_interim"),
        (Mediation, Interim, "court", "contract.ruling_interim"),
        (Order, Interim, "court", "accepted"),
        (Order, InForce, "court", "accepted"),
        (Mediation, Terminated, "court", "accepted"),
        (Judgment, Void, "court", "accepted"),
    ] {
        let submission = ruling(&mut story, contract, form, effect, office);
        assert_eq!(story.ledger.refusal(&submission), code, "{form:?} {effect:?} {office}");
    }
    let payload = Payload::ContractRuled(ContractRuled { contract, form: Judgment, effect: Void });
    for committed in [&["number"][..], &["document.sha256"], &[]] {
        let submission = story.by_office(payload.clone(), commitments(committed), "court");
        assert_eq!(story.ledger.refusal(&submission), "commitment.missing", "{committed:?}");
    }
    let forged = {
        let office = SubjectId::of_organisation(&story.ledger.chain_id(), &org("court"));
        story.ledger.submission(payload, commitments(&DEED), &[(office, &key("arbitration/office"))])
    };
    assert_eq!(story.ledger.refusal(&forged), "actor.signature");

    // An order on procedure, then the judgment, then the appeal before another forum, which restores it.
    for (form, effect, after) in [(Order, Interim, Status::Disputed), (Judgment, Void, Status::Voided)] {
        let submission = ruling(&mut story, contract, form, effect, "court");
        story.ledger.record(&submission);
        assert_eq!(story.status(contract), after);
    }
    let appeal = story.by(dispute(contract, "arbitration"), &[], &[a]);
    story.ledger.record(&appeal);
    for form in [Judgment, Order] {
        let submission = ruling(&mut story, contract, form, InForce, "arbitration");
        assert_eq!(story.ledger.refusal(&submission), "contract.ruling_form");
    }
    let award = ruling(&mut story, contract, Award, InForce, "arbitration");
    story.ledger.record(&award);
    let state = contract_state(&story, contract);
    assert_eq!((state.status, state.dispute), (Status::Completed, None));
}

#[test]
fn platforms_archive_what_is_over_or_completed() {
    let mut story = Story::new();
    for (status, contract) in story.contracts_of_every_state() {
        let payload = Payload::ContractArchived(ContractRef { contract });
        let package = || vec![commitment("document.sha256", "package")];
        let body = story.ledger.body(payload.clone(), package());
        assert_eq!(story.ledger.refusal(&relay(&body, vec![], "notary")), "relay.role");
        let may = matches!(status, Status::Completed | Status::Declined | Status::Terminated | Status::Voided);
        let expected = if may { "accepted" } else { "contract.status" };
        assert_eq!(story.ledger.refusal(&relay(&body, vec![], "platform")), expected, "{status:?}");
        if may {
            let without = story.ledger.submission(payload.clone(), vec![], &[]);
            assert_eq!(story.ledger.refusal(&without), "commitment.missing");
            let with_actor = story.ledger.submission(payload, package(), &[(story.a, &key("a"))]);
            assert_eq!(story.ledger.refusal(&with_actor), "actor.count");
            story.ledger.record(&relay(&body, vec![], "platform"));
            let state = contract_state(&story, contract);
            assert_eq!((state.status, state.archived), (status, Some(package()[0].hash)));
        }
    }
}

#[test]
fn notaries_register_deeds_on_contracts_and_deposits_of_any_state() {
    let mut story = Story::new();
    let deposit = Payload::EvidenceDeposited(EvidenceDeposited { about: None });
    let deposit = story.ledger.submission(deposit, vec![commitment("document.sha256", "photo")], &[]);
    story.ledger.record(&deposit);
    let evidence = story.ledger.created(&deposit);
    let mut subjects = story.contracts_of_every_state();
    subjects.push((Status::Recorded, evidence));
    let on = |subject| Payload::NotarisationRegistered(NotarisationRegistered { subject });
    for (status, subject) in subjects {
        let before = story.ledger.subject(subject);
        let deed = story.by_office(on(subject), commitments(&DEED), "notary");
        story.ledger.record(&deed);
        let after = story.ledger.subject(subject);
        assert_eq!((&after.state, after.records), (&before.state, before.records + 1), "{status:?}");
    }
    for (subject, committed, office, code) in [
        (evidence, &DEED[..], "court", "office.role"),
        (evidence, &["number"], "notary", "commitment.missing"),
        (evidence, &["document.sha256"], "notary", "commitment.missing"),
        (story.a, &DEED, "notary", "subject.type"),
        (story.seal_a, &DEED, "notary", "subject.type"),
        (SubjectId::default(), &DEED, "notary", "subject.unknown"),
    ] {
        let submission = story.by_office(on(subject), commitments(committed), office);
        assert_eq!(story.ledger.refusal(&submission), code, "{subject} {office}");
    }
    let by_a_person = story.by(on(evidence), &DEED, &[(story.a, "a")]);
    assert_eq!(story.ledger.refusal(&by_a_person), "office.role");
    let by_nobody = story.by(on(evidence), &DEED, &[]);
    assert_eq!(story.ledger.refusal(&by_nobody), "actor.count");
}

#[test]
fn courts_retrieve_one_to_four_contracts_of_any_state() {
    let mut story = Story::new();
    let contracts: Vec<_> = story.contracts_of_every_state().into_iter().map(|(_, contract)| contract).collect();
    let of = |contracts: &[SubjectId]| Payload::RetrievalMade(RetrievalMade { contracts: contracts.to_vec() });
    for page in contracts.chunks(4) {
        let before: Vec<_> = page.iter().map(|contract| story.ledger.subject(*contract)).collect();
        let retrieval = story.by_office(of(page), commitments(&["number"]), "court");
        story.ledger.record(&retrieval);
        for (contract, before) in page.iter().zip(before) {
            let after = story.ledger.subject(*contract);
            assert_eq!((after.state, after.records), (before.state, before.records + 1));
        }
    }
    let twice = [contracts[0], contracts[1], contracts[0]];
    for (contracts, committed, office, code) in [
        (&contracts[..0], &["number"][..], "court", "retrieval.count"),
        (&contracts[..5], &["number"], "court", "retrieval.count"),
        (&twice, &["number"], "court", "retrieval.repeated"),
        (&contracts[..2], &[], "court", "commitment.missing"),
        (&contracts[..2], &["number"], "arbitration", "office.role"),
        (&[story.seal_a], &["number"], "court", "subject.type"),
        (&[SubjectId::default()], &["number"], "court", "subject.unknown"),
    ] {
        let submission = story.by_office(of(contracts), commitments(committed), office);
        assert_eq!(story.ledger.refusal(&submission), code, "{} {office}", contracts.len());
    }
}

#[test]
fn audit_logs_only_grow() {
    let mut story = Story::new();
    let anchor = |of: &str, size, root| {
        Payload::AuditAnchored(AuditAnchored { organisation: org(of), size, root: Hash32([root; 32]) })
    };
    let log = SubjectId::of_audit_log(&story.ledger.chain_id(), &org("platform"));
    for (size, root, code) in [
        (0, 1, "audit.not_grown"),
        (10, 1, "accepted"),
        (10, 1, "audit.not_grown"),
        (10, 2, "audit.not_grown"),
        (9, 2, "audit.not_grown"),
        (11, 2, "accepted"),
    ] {
        let submission = story.by_office(anchor("platform", size, root), vec![], "platform");
        assert_eq!(story.ledger.refusal(&submission), code, "{size}");
        if code == "accepted" {
            story.ledger.record(&submission);
            let expected = AuditLogState { organisation: org("platform"), size, root: Hash32([root; 32]) };
            assert_eq!(story.ledger.state(log), SubjectState::AuditLog(expected));
        }
    }
    assert_eq!(story.ledger.subject(log).records, 2, "one log, continued");
    let for_another = story.by_office(anchor("platform", 99, 3), vec![], "court");
    assert_eq!(story.ledger.refusal(&for_another), "actor.not_entitled");
    let unknown = story.by_office(anchor("stranger", 99, 3), vec![], "court");
    assert_eq!(story.ledger.refusal(&unknown), "office.unknown");
    let own = story.by_office(anchor("court", 1, 3), vec![], "court");
    assert_eq!(story.ledger.refusal(&own), "accepted");
    // Two anchors in one block see each other.
    let two = [5, 5].map(|size| story.by_office(anchor("court", size, 3), vec![], "court"));
    assert_eq!(story.ledger.block(&two).iter().map(|r| r.code()).collect::<Vec<_>>(), ["audit.not_grown"]);
}
