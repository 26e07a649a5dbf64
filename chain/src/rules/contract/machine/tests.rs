//! The machine against the tables of `docs/SPEC.md`, and case by case.

#![allow(clippy::unwrap_used)]

use super::*;
use crate::rules::spec_table;
use Status::{Completed, Declined, Disputed, Opened, Signed, Signing, Terminated, Voided};
use qz_evidence::payload::{GroupRule, SlotKind};
use std::collections::BTreeSet;

const CONTRACT: SubjectId = SubjectId(Hash32([9; 32]));
const V1: Hash32 = Hash32([1; 32]);
const V2: Hash32 = Hash32([2; 32]);

fn id(n: u8) -> SubjectId {
    SubjectId(Hash32([n; 32]))
}

/// Slots 0 and 1 in group 1 (one of two is enough), slots 2 and 3 in group 2 (all).
fn contract(status: Status, version: u32, signed: &[u8]) -> ContractState {
    let slot = |n, group| Slot { kind: SlotKind::Key, subject: id(n), role: 1, group };
    ContractState {
        status,
        initiator: id(0),
        slots: vec![slot(0, 1), slot(1, 1), slot(2, 2), slot(3, 2)],
        rules: vec![GroupRule { group: 1, required: 1 }],
        amends: None,
        version,
        document: (version > 0).then_some(V1),
        signed: signed.iter().map(|n| SignedSlot { slot: *n, key: id(*n) }).collect(),
        final_document: None,
        obligations: vec![],
        amendments: vec![],
        dispute: None,
        archived: None,
    }
}

fn forum(name: &str) -> OrgId {
    OrgId::new(name).unwrap()
}

/// Completed with its final file.
fn completed() -> ContractState {
    ContractState { final_document: Some(V2), ..contract(Completed, 1, &[0, 2, 3]) }
}

/// In dispute since it was in this state.
fn in_dispute(before: ContractState) -> ContractState {
    let dispute = Some(Dispute { forum: forum("court"), before: before.status });
    ContractState { status: Disputed, dispute, ..before }
}

#[test]
fn transitions() {
    let fix = |number| Command::FixVersion { number, document: V1 };
    let sign = |slot| Command::Sign { slot, version: V1, key: id(slot) };
    let refused = |status| Err(Reject::ContractStatus { contract: CONTRACT, status });
    let complete = || Command::Complete { document: V2 };
    let done = ContractState { final_document: Some(V2), ..contract(Completed, 1, &[0, 2, 3]) };
    let table = [
        (contract(Opened, 0, &[]), fix(1), Ok(contract(Signing, 1, &[]))),
        (contract(Opened, 0, &[]), fix(2), Err(Reject::ContractVersionNumber { expected: 1, found: 2 })),
        (contract(Signing, 1, &[]), fix(2), Ok(contract(Signing, 2, &[]))),
        (contract(Signing, 1, &[]), fix(1), Err(Reject::ContractVersionNumber { expected: 2, found: 1 })),
        (contract(Signing, 1, &[0]), fix(2), Err(Reject::ContractPartlySigned { contract: CONTRACT })),
        (contract(Signed, 1, &[0, 2, 3]), fix(2), refused(Signed)),
        (contract(Opened, 0, &[]), sign(0), refused(Opened)),
        (contract(Signing, 1, &[]), sign(0), Ok(contract(Signing, 1, &[0]))),
        (contract(Signing, 1, &[1]), sign(0), Ok(contract(Signing, 1, &[0, 1]))),
        (contract(Signing, 1, &[]), sign(2), Err(Reject::ContractSlotOrder { slot: 2, group: 1 })),
        (contract(Signing, 1, &[1]), sign(3), Ok(contract(Signing, 1, &[1, 3]))),
        (contract(Signing, 1, &[1, 3]), sign(2), Ok(contract(Signed, 1, &[1, 2, 3]))),
        (contract(Signing, 1, &[0]), sign(0), Err(Reject::ContractSlotSigned { slot: 0 })),
        (contract(Signing, 1, &[]), sign(4), Err(Reject::ContractSlotUnknown { slot: 4 })),
        (
            contract(Signing, 1, &[]),
            Command::Sign { slot: 0, version: V2, key: id(0) },
            Err(Reject::ContractVersionOther),
        ),
        (contract(Signed, 1, &[0, 2, 3]), sign(1), refused(Signed)),
        (contract(Declined, 1, &[]), sign(0), refused(Declined)),
        (contract(Signing, 1, &[0]), Command::Decline { slot: 3 }, Ok(contract(Declined, 1, &[0]))),
        (contract(Signing, 1, &[0]), Command::Decline { slot: 0 }, Err(Reject::ContractSlotSigned { slot: 0 })),
        (contract(Opened, 0, &[]), Command::Decline { slot: 0 }, refused(Opened)),
        (contract(Completed, 1, &[]), Command::Decline { slot: 0 }, refused(Completed)),
        (contract(Signed, 1, &[0, 2, 3]), complete(), Ok(done.clone())),
        (contract(Signing, 1, &[0]), complete(), refused(Signing)),
        (done.clone(), complete(), refused(Completed)),
        (
            done.clone(),
            Command::Amend { amendment: id(7) },
            Ok(ContractState { amendments: vec![id(7)], ..done.clone() }),
        ),
        (
            ContractState { amendments: vec![id(7)], ..done.clone() },
            Command::Amend { amendment: id(7) },
            Err(Reject::ContractAmendmentRepeated { amendment: id(7) }),
        ),
        (contract(Signed, 1, &[]), Command::Amend { amendment: id(7) }, refused(Signed)),
        (contract(Terminated, 1, &[]), Command::Amend { amendment: id(7) }, refused(Terminated)),
        (
            contract(Signed, 1, &[]),
            Command::Fulfil { obligation: 1, step: FulfilmentStep::Performed, by: id(1) },
            refused(Signed),
        ),
    ];
    for (before, command, expected) in table {
        assert_eq!(next(CONTRACT, before.clone(), command.clone()), expected, "{before:?} {command:?}");
    }
}

const STATES: [Status; 8] = [Opened, Signing, Signed, Completed, Declined, Terminated, Voided, Disputed];

/// Contracts of one state that differ in what else the machine looks at.
fn samples(status: Status) -> Vec<ContractState> {
    let with = |status, before: ContractState| ContractState { status, ..before };
    let obligation = Obligation { number: 1, step: FulfilmentStep::Performed, by: id(1) };
    match status {
        Opened => vec![contract(Opened, 0, &[])],
        Signing => vec![contract(Signing, 1, &[]), contract(Signing, 1, &[0, 2])],
        Signed => vec![contract(Signed, 1, &[0, 2, 3])],
        Completed => vec![completed(), ContractState { obligations: vec![obligation], ..completed() }],
        Declined => vec![contract(Declined, 1, &[0])],
        Terminated => vec![with(Terminated, contract(Signed, 1, &[0, 2, 3])), with(Terminated, completed())],
        Voided => vec![with(Voided, contract(Opened, 0, &[])), with(Voided, completed())],
        Disputed => {
            [contract(Signed, 1, &[0, 2, 3]), completed(), with(Terminated, completed()), with(Voided, completed())]
                .map(in_dispute)
                .to_vec()
        }
        other => unreachable!("{other:?} is no state of a contract"),
    }
}

/// Commands of every kind, in all variants that differ to the machine.
fn commands() -> Vec<(&'static str, Vec<Command>)> {
    use RulingEffect::{InForce, Interim, Void};
    let rule = |effect| Command::Rule { effect };
    let dispute = |vacant| Command::Dispute { forum: forum("arbitration"), vacant };
    vec![
        ("contract.version_fixed", [1, 2].map(|number| Command::FixVersion { number, document: V1 }).to_vec()),
        ("contract.signed", (0..4).map(|slot| Command::Sign { slot, version: V1, key: id(slot) }).collect()),
        ("contract.declined", (0..4).map(|slot| Command::Decline { slot }).collect()),
        ("contract.completed", vec![Command::Complete { document: V2 }]),
        ("contract.amended", vec![Command::Amend { amendment: id(7) }]),
        ("contract.fulfilment", vec![Command::Fulfil { obligation: 1, step: FulfilmentStep::Performed, by: id(1) }]),
        ("contract.terminated", vec![Command::Terminate]),
        ("contract.voided", vec![Command::Void]),
        ("contract.disputed", vec![dispute(false), dispute(true)]),
        ("contract.ruled", [Interim, InForce, RulingEffect::Terminated, Void].map(rule).to_vec()),
        ("contract.archived", vec![Command::Archive { package: V2 }]),
        ("notarisation.registered", vec![Command::Note]),
        ("retrieval.made", vec![Command::Note]),
    ]
}

#[test]
fn every_state_takes_the_kinds_of_the_specification() {
    let mut found = spec_table::Transitions::new();
    for status in STATES {
        for (kind, commands) in commands() {
            let mut after = BTreeSet::new();
            for (before, command) in samples(status).iter().flat_map(|s| commands.iter().map(move |c| (s, c))) {
                match next(CONTRACT, before.clone(), command.clone()) {
                    Ok(state) => drop(after.insert(spec_table::name(state.status))),
                    // With a state that allows the kind at all there may be another reason.
                    Err(Reject::ContractStatus { contract: CONTRACT, status: named }) => assert_eq!(named, status),
                    Err(_) => {}
                }
            }
            if after.is_empty() {
                for (before, command) in samples(status).iter().flat_map(|s| commands.iter().map(move |c| (s, c))) {
                    let refused = Err(Reject::ContractStatus { contract: CONTRACT, status });
                    assert_eq!(next(CONTRACT, before.clone(), command.clone()), refused, "{kind} {before:?}");
                }
            }
            found.insert((kind.to_owned(), spec_table::name(status)), after);
        }
    }
    spec_table::compare(&spec_table::read("contract", &STATES), &found);
}

#[test]
fn disputes_and_rulings() {
    use RulingEffect::{InForce, Interim, Void};
    let rule = |effect| Command::Rule { effect };
    let dispute = |name, vacant| Command::Dispute { forum: forum(name), vacant };
    let with = |status, before: ContractState| ContractState { status, ..before };
    let signed = || contract(Signed, 1, &[0, 2, 3]);
    let refused = |status| Err(Reject::ContractStatus { contract: CONTRACT, status });
    let moved = ContractState {
        dispute: Some(Dispute { forum: forum("arbitration"), before: Terminated }),
        ..in_dispute(with(Terminated, completed()))
    };
    let fulfil = || Command::Fulfil { obligation: 1, step: FulfilmentStep::Due, by: id(1) };
    let due = Obligation { number: 1, step: FulfilmentStep::Due, by: id(1) };
    let table = [
        (completed(), dispute("court", false), Ok(in_dispute(completed()))),
        (with(Terminated, completed()), dispute("court", false), Ok(in_dispute(with(Terminated, completed())))),
        (with(Voided, completed()), dispute("court", false), Ok(in_dispute(with(Voided, completed())))),
        // It never was a contract.
        (with(Voided, contract(Signing, 1, &[0])), dispute("court", false), refused(Voided)),
        (in_dispute(completed()), dispute("court", false), Err(Reject::ContractDisputePending { contract: CONTRACT })),
        (in_dispute(with(Terminated, completed())), dispute("arbitration", true), Ok(moved)),
        (in_dispute(completed()), rule(Interim), Ok(in_dispute(completed()))),
        (in_dispute(completed()), rule(InForce), Ok(completed())),
        (in_dispute(with(Terminated, completed())), rule(InForce), Ok(completed())),
        (in_dispute(with(Voided, completed())), rule(InForce), Ok(completed())),
        (in_dispute(signed()), rule(InForce), Ok(signed())),
        (in_dispute(with(Voided, signed())), rule(InForce), Ok(signed())),
        (in_dispute(completed()), rule(RulingEffect::Terminated), Ok(with(Terminated, completed()))),
        (in_dispute(completed()), rule(Void), Ok(with(Voided, completed()))),
        // A settlement ends the dispute.
        (in_dispute(completed()), Command::Terminate, Ok(with(Terminated, completed()))),
        (in_dispute(completed()), Command::Void, Ok(with(Voided, completed()))),
        // Performance goes on if there was something to perform.
        (in_dispute(completed()), fulfil(), Ok(ContractState { obligations: vec![due], ..in_dispute(completed()) })),
        (in_dispute(with(Terminated, completed())), fulfil(), refused(Disputed)),
        (in_dispute(completed()), Command::Amend { amendment: id(7) }, refused(Disputed)),
        (in_dispute(signed()), Command::Complete { document: V2 }, refused(Disputed)),
        // What was archived last counts.
        (
            ContractState { archived: Some(V1), ..completed() },
            Command::Archive { package: V2 },
            Ok(ContractState { archived: Some(V2), ..completed() }),
        ),
        (in_dispute(completed()), Command::Archive { package: V2 }, refused(Disputed)),
    ];
    for (before, command, expected) in table {
        assert_eq!(next(CONTRACT, before.clone(), command.clone()), expected, "{before:?} {command:?}");
    }
}

#[test]
fn fulfilment_steps() {
    use FulfilmentStep::{Accepted, Due, Overdue, Performed};
    let allowed = [
        (None, Due),
        (None, Performed),
        (Some(Due), Overdue),
        (Some(Due), Performed),
        (Some(Overdue), Performed),
        (Some(Performed), Accepted),
    ];
    for current in [None, Some(Due), Some(Overdue), Some(Performed), Some(Accepted)] {
        for step in [Due, Overdue, Performed, Accepted] {
            let mut before = contract(Completed, 1, &[]);
            before.obligations = current.map(|step| Obligation { number: 5, step, by: id(1) }).into_iter().collect();
            let after = next(CONTRACT, before.clone(), Command::Fulfil { obligation: 5, step, by: id(2) });
            if allowed.contains(&(current, step)) {
                assert_eq!(after.unwrap().obligations, [Obligation { number: 5, step, by: id(2) }]);
                if step == Accepted {
                    let own = next(CONTRACT, before, Command::Fulfil { obligation: 5, step, by: id(1) });
                    assert_eq!(own, Err(Reject::ContractFulfilmentSelf { obligation: 5 }));
                }
            } else {
                assert_eq!(after, Err(Reject::ContractFulfilmentStep { obligation: 5 }), "{current:?} {step:?}");
            }
        }
    }
}

#[test]
fn forms_of_openings() {
    let slot = |n, role, group| Slot { kind: SlotKind::Key, subject: id(n), role, group };
    let check = |slots: Vec<Slot>, rules: &[(u8, u8)]| {
        let rules = rules.iter().map(|(group, required)| GroupRule { group: *group, required: *required }).collect();
        check_opening(&ContractOpened { initiator: id(0), slots, rules, amends: None }).map_err(|r| r.code())
    };
    let many = |n: u8| (0..n).map(|i| slot(i, 9, 1)).collect::<Vec<_>>();
    assert_eq!(check(many(1), &[]), Ok(()));
    assert_eq!(check(many(32), &[(1, 32)]), Ok(()));
    assert_eq!(check(vec![], &[]), Err("contract.slot_count"));
    assert_eq!(check(many(33), &[]), Err("contract.slot_count"));
    assert_eq!(check(vec![slot(1, 1, 1), slot(1, 2, 2)], &[]), Err("contract.slot_repeated"));
    assert_eq!(check(vec![slot(1, 5, 1)], &[]), Err("contract.slot_role"));
    for rules in [&[(1, 0)][..], &[(1, 3)], &[(2, 1)], &[(1, 1), (1, 1)]] {
        assert_eq!(check(many(2), rules), Err("contract.group_rule"), "{rules:?}");
    }
    let two_groups = vec![slot(1, 1, 1), slot(2, 2, 2)];
    assert_eq!(check(two_groups.clone(), &[(1, 1), (2, 1)]), Ok(()));
    assert_eq!(check(two_groups, &[(2, 1), (1, 1)]), Err("contract.group_rule"));
}
