//! Golden bytes of the formats of this crate. A change here is a change of the ledger: every node must
//! make it at the same height.

#![allow(clippy::unwrap_used)]

mod ledger;

use ledger::{Ledger, commitment, key_slot, org};
use proptest::prelude::*;
use qz_chain::governance::{GovernanceState, Upgrade};
use qz_chain::state::{
    AuditLogState, Authorisation, ContractState, Dispute, EvidenceState, KeyState, Obligation, OrganisationState,
    SealState, SignedSlot,
};
use qz_chain::{Subject, SubjectState, View};
use qz_evidence::genesis::Role;
use qz_evidence::hash::sha256;
use qz_evidence::keys::PublicKey;
use qz_evidence::payload::{EvidenceDeposited, FulfilmentStep, GroupRule, Payload, SealKind};
use qz_evidence::state_proof::Status;
use qz_evidence::{Hash32, Height, SubjectId, encode};

fn id(n: u8) -> SubjectId {
    SubjectId(Hash32([n; 32]))
}

fn organisation() -> SubjectState {
    SubjectState::Organisation(OrganisationState {
        id: org("notary"),
        status: Status::Active,
        roles: vec![Role::Notary, Role::Attestor],
        office_key: Hash32([1; 32]),
        relay_key: Hash32([2; 32]),
        organisation: Hash32([3; 32]),
    })
}

fn key_state() -> SubjectState {
    let key = PublicKey::ed25519([4; 32]);
    SubjectState::Key(KeyState { status: Status::Revoked, key, attestor: org("notary") })
}

fn seal() -> SubjectState {
    SubjectState::Seal(SealState {
        status: Status::Suspended,
        owner: id(5),
        kind: SealKind::Contract,
        authorisations: vec![
            Authorisation { key: id(6), count_left: Some(3), until: None },
            Authorisation { key: id(7), count_left: None, until: Some(Height(1000)) },
        ],
    })
}

fn contract() -> SubjectState {
    SubjectState::Contract(ContractState {
        status: Status::Completed,
        initiator: id(8),
        slots: vec![key_slot(id(9), 1, 1), key_slot(id(10), 2, 1)],
        rules: vec![GroupRule { group: 1, required: 1 }],
        amends: Some(id(11)),
        version: 2,
        document: Some(Hash32([12; 32])),
        signed: vec![SignedSlot { slot: 1, key: id(10) }],
        final_document: Some(Hash32([13; 32])),
        obligations: vec![Obligation { number: 300, step: FulfilmentStep::Performed, by: id(9) }],
        amendments: vec![id(14)],
        dispute: None,
        archived: None,
    })
}

fn evidence() -> SubjectState {
    SubjectState::Evidence(EvidenceState { document: Hash32([15; 32]), about: None })
}

fn governance() -> SubjectState {
    SubjectState::Governance(GovernanceState {
        members: vec![org("court"), org("notary")],
        validators: Hash32([21; 32]),
        params: Hash32([22; 32]),
        upgrade: Some(Upgrade { version: 2, height: Height(1000) }),
        replay_window: 20_000,
        replay_from: Height(7),
    })
}

fn audit_log() -> SubjectState {
    SubjectState::AuditLog(AuditLogState { organisation: org("court"), size: 300, root: Hash32([16; 32]) })
}

/// In dispute, and archived before that.
fn disputed() -> SubjectState {
    let SubjectState::Contract(completed) = contract() else { unreachable!() };
    SubjectState::Contract(ContractState {
        status: Status::Disputed,
        dispute: Some(Dispute { forum: org("arbitration"), before: Status::Completed }),
        archived: Some(Hash32([17; 32])),
        ..completed
    })
}

fn lines() -> Vec<String> {
    let mut lines = state_lines(&[organisation(), key_state(), seal(), contract(), evidence()]);
    lines.extend(whole_ledger());
    lines.extend(state_lines(&[audit_log(), disputed()]));
    lines.extend(state_lines(&[governance()]));
    lines
}

fn state_lines(states: &[SubjectState]) -> Vec<String> {
    let mut lines = vec![];
    for state in states {
        let name = format!("{:?}", state.subject_type()).to_lowercase();
        let subject = Subject::new(3, Hash32([1; 32]), state.clone());
        lines.push(format!("state {name} {}", hex::encode(encode(state))));
        lines.push(format!("state-digest {name} {}", state.digest()));
        lines.push(format!("head {name} {}", hex::encode(encode(&subject.head()))));
        lines.push(format!("stored-subject {name} {}", hex::encode(subject.to_bytes())));
    }
    lines
}

/// A key, a seal, a deposit and a contract in three blocks, then an empty block.
fn whole_ledger() -> Vec<String> {
    let mut ledger = Ledger::new();
    let mut lines = vec![format!("ledger chain-id {}", ledger.chain_id())];
    let mut block = |ledger: &Ledger| {
        let header = ledger.view.tip().unwrap();
        lines.push(format!("ledger header {} {}", header.height, hex::encode(encode(&header))));
        if let Some(block) = ledger.blocks.last() {
            lines.push(format!("ledger block {} sha256 {}", header.height, sha256(&[&encode(block)])));
        }
    };
    block(&ledger);
    let owner = ledger.register("a");
    block(&ledger);
    let seal = ledger.make_seal(owner, "a");
    block(&ledger);
    let about = Payload::EvidenceDeposited(EvidenceDeposited { about: Some(seal) });
    let deposit = ledger.submission(about, vec![commitment("document.sha256", "x")], &[]);
    let opening = ledger.opening((owner, "a"), vec![key_slot(owner, 1, 1)], vec![], None);
    assert_eq!(ledger.block(&[deposit, opening]), []);
    block(&ledger);
    ledger.block(&[]);
    block(&ledger);
    lines.push(format!("ledger last-block {}", hex::encode(encode(ledger.blocks.last().unwrap()))));
    lines
}

#[test]
fn golden_vectors() {
    let actual = lines().join("\n") + "\n";
    let path = concat!(env!("CARGO_TARGET_TMPDIR"), "/chain-vectors.txt");
    std::fs::write(path, &actual).unwrap();
    let golden = include_str!("../vectors/ledger.txt");
    for (actual, golden) in actual.lines().zip(golden.lines()) {
        assert_eq!(actual, golden, "the bytes changed; what they are now stands in {path}");
    }
    assert_eq!(actual.len(), golden.len(), "what the vectors are now stands in {path}");
}

fn any_id() -> impl Strategy<Value = SubjectId> {
    any::<[u8; 32]>().prop_map(|bytes| SubjectId(Hash32(bytes)))
}

fn any_seal() -> impl Strategy<Value = SubjectState> {
    let status = prop::sample::select(vec![Status::Active, Status::Suspended, Status::Destroyed]);
    let kind = prop::sample::select(vec![SealKind::Official, SealKind::Finance, SealKind::Personal]);
    let authorisation = (any_id(), any::<Option<u32>>(), any::<Option<u64>>())
        .prop_map(|(key, count_left, until)| Authorisation { key, count_left, until: until.map(Height) });
    (status, any_id(), kind, prop::collection::vec(authorisation, 0..64)).prop_map(
        |(status, owner, kind, authorisations)| SubjectState::Seal(SealState { status, owner, kind, authorisations }),
    )
}

fn any_contract() -> impl Strategy<Value = SubjectState> {
    let slot = (any_id(), 1u8..5, any::<u8>()).prop_map(|(subject, role, group)| key_slot(subject, role, group));
    let rule = (any::<u8>(), any::<u8>()).prop_map(|(group, required)| GroupRule { group, required });
    let signed = (any::<u8>(), any_id()).prop_map(|(slot, key)| SignedSlot { slot, key });
    let step = prop::sample::select(vec![FulfilmentStep::Due, FulfilmentStep::Accepted]);
    let obligation = (any::<u16>(), step, any::<[u8; 32]>()).prop_map(|(number, step, by)| Obligation {
        number,
        step,
        by: SubjectId(Hash32(by)),
    });
    (
        any_id(),
        prop::collection::vec(slot, 1..32),
        prop::collection::vec(rule, 0..4),
        any::<u32>(),
        prop::option::of(any::<[u8; 32]>()),
        prop::collection::vec(signed, 0..32),
        prop::collection::vec(obligation, 0..256),
        prop::collection::vec(any_id(), 0..64),
    )
        .prop_map(|(initiator, slots, rules, version, document, signed, obligations, amendments)| {
            SubjectState::Contract(ContractState {
                status: Status::Completed,
                initiator,
                slots,
                rules,
                amends: amendments.first().copied(),
                version,
                document: document.map(Hash32),
                signed,
                final_document: document.map(Hash32),
                obligations,
                amendments,
                dispute: document
                    .map(|_| Dispute { forum: org("an-organisation-with-a-long-id-0"), before: Status::Terminated }),
                archived: document.map(Hash32),
            })
        })
}

proptest! {
    #[test]
    fn every_state_reads_back_and_fits(state in prop_oneof![any_seal(), any_contract()], records: u64, flip in any::<usize>()) {
        let subject = Subject::new(records, Hash32([7; 32]), state);
        let bytes = subject.to_bytes();
        prop_assert_eq!(&Subject::from_bytes(&bytes).unwrap(), &subject);
        let mut changed = bytes.clone();
        changed[flip % bytes.len()] ^= 1;
        prop_assert!(Subject::from_bytes(&changed).map_or(true, |other| other != subject));
    }
}
