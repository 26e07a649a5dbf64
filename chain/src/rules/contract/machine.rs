//! The state machine of contracts, apart from who may give which command.

use crate::reject::Reject;
use crate::state::{ContractState, MAX_AMENDMENTS, MAX_OBLIGATIONS, Obligation, SignedSlot};
use qz_evidence::payload::{ContractOpened, FulfilmentStep, Slot};
use qz_evidence::state_proof::Status;
use qz_evidence::{Hash32, SubjectId};

/// Most slots of a contract.
const MAX_SLOTS: usize = 32;
/// 甲方, 乙方, 丙方, 丁方, other.
const SLOT_ROLES: [u8; 5] = [1, 2, 3, 4, 9];

/// What may happen to a contract after its opening.
#[derive(Clone, Debug)]
pub(super) enum Command {
    FixVersion { number: u32, document: Hash32 },
    Sign { slot: u8, version: Hash32, key: SubjectId },
    Decline { slot: u8 },
    Complete { document: Hash32 },
    Amend { amendment: SubjectId },
    Fulfil { obligation: u16, step: FulfilmentStep, by: SubjectId },
}

/// The state machine.
pub(super) fn next(contract: SubjectId, state: ContractState, command: Command) -> Result<ContractState, Reject> {
    match (state.status, command) {
        (Status::Opened, Command::FixVersion { number, document }) => fix_version(state, number, document),
        (Status::Signing, Command::FixVersion { .. }) if !state.signed.is_empty() => {
            Err(Reject::ContractPartlySigned { contract })
        }
        (Status::Signing, Command::FixVersion { number, document }) => fix_version(state, number, document),
        (Status::Signing, Command::Sign { slot, version, key }) => sign(state, slot, version, key),
        (Status::Signing, Command::Decline { slot }) => {
            unsigned_slot(&state, slot)?;
            Ok(ContractState { status: Status::Declined, ..state })
        }
        (Status::Signed, Command::Complete { document }) => {
            Ok(ContractState { status: Status::Completed, final_document: Some(document), ..state })
        }
        (Status::Completed, Command::Amend { amendment }) => amend(contract, state, amendment),
        (Status::Completed, Command::Fulfil { obligation, step, by }) => {
            fulfil(contract, state, Obligation { number: obligation, step, by })
        }
        (status, _) => Err(Reject::ContractStatus { contract, status }),
    }
}

/// A slot of the contract.
pub(super) fn slot(state: &ContractState, slot: u8) -> Result<&Slot, Reject> {
    state.slots.get(usize::from(slot)).ok_or(Reject::ContractSlotUnknown { slot })
}

fn unsigned_slot(state: &ContractState, index: u8) -> Result<&Slot, Reject> {
    let found = slot(state, index)?;
    if state.is_signed(index) { Err(Reject::ContractSlotSigned { slot: index }) } else { Ok(found) }
}

fn fix_version(state: ContractState, number: u32, document: Hash32) -> Result<ContractState, Reject> {
    let expected = state.version.saturating_add(1);
    if number != expected {
        return Err(Reject::ContractVersionNumber { expected, found: number });
    }
    Ok(ContractState { status: Status::Signing, version: number, document: Some(document), ..state })
}

fn sign(mut state: ContractState, index: u8, version: Hash32, key: SubjectId) -> Result<ContractState, Reject> {
    let group = unsigned_slot(&state, index)?.group;
    if state.document != Some(version) {
        return Err(Reject::ContractVersionOther);
    }
    let lower = state.slots.iter().map(|s| s.group).filter(|g| *g < group);
    if let Some(waiting) = lower.filter(|g| !state.group_is_satisfied(*g)).min() {
        return Err(Reject::ContractSlotOrder { slot: index, group: waiting });
    }
    let position = state.signed.partition_point(|s| s.slot < index);
    state.signed.insert(position, SignedSlot { slot: index, key });
    let status = if state.is_fully_signed() { Status::Signed } else { Status::Signing };
    Ok(ContractState { status, ..state })
}

fn amend(contract: SubjectId, mut state: ContractState, amendment: SubjectId) -> Result<ContractState, Reject> {
    if state.amendments.contains(&amendment) {
        return Err(Reject::ContractAmendmentRepeated { amendment });
    }
    if state.amendments.len() >= MAX_AMENDMENTS {
        return Err(Reject::ContractLimit { contract, what: "amendments", limit: MAX_AMENDMENTS });
    }
    state.amendments.push(amendment);
    Ok(state)
}

/// Due → (Overdue) → Performed → Accepted; recording that an obligation is due is optional. Another key
/// than the one that performed accepts.
fn fulfil(contract: SubjectId, mut state: ContractState, recorded: Obligation) -> Result<ContractState, Reject> {
    use FulfilmentStep::{Accepted, Due, Overdue, Performed};
    let Obligation { number, step, by } = recorded;
    let found = state.obligations.binary_search_by_key(&number, |o| o.number);
    let current = found.ok().map(|position| state.obligations[position].step);
    match (current, step) {
        (None, Due | Performed)
        | (Some(Due), Overdue)
        | (Some(Due | Overdue), Performed)
        | (Some(Performed), Accepted) => {}
        _ => return Err(Reject::ContractFulfilmentStep { obligation: number }),
    }
    match found {
        Ok(position) if step == Accepted && state.obligations[position].by == by => {
            return Err(Reject::ContractFulfilmentSelf { obligation: number });
        }
        Ok(position) => state.obligations[position] = recorded,
        Err(_) if state.obligations.len() >= MAX_OBLIGATIONS => {
            return Err(Reject::ContractLimit { contract, what: "obligations", limit: MAX_OBLIGATIONS });
        }
        Err(position) => state.obligations.insert(position, recorded),
    }
    Ok(state)
}

/// The form of an opening: slots and n-of-m rules.
pub(super) fn check_opening(fields: &ContractOpened) -> Result<(), Reject> {
    let ContractOpened { slots, rules, .. } = fields;
    if !(1..=MAX_SLOTS).contains(&slots.len()) {
        return Err(Reject::ContractSlotCount { found: slots.len() });
    }
    for (index, slot) in slots.iter().enumerate() {
        if !SLOT_ROLES.contains(&slot.role) {
            return Err(Reject::ContractSlotRole { role: slot.role });
        }
        if slots[..index].iter().any(|s| s.subject == slot.subject) {
            return Err(Reject::ContractSlotRepeated { subject: slot.subject });
        }
    }
    for (index, rule) in rules.iter().enumerate() {
        let members = slots.iter().filter(|s| s.group == rule.group).count();
        let ascending = index == 0 || rules[index - 1].group < rule.group;
        if !ascending || !(1..=members).contains(&usize::from(rule.required)) {
            return Err(Reject::ContractGroupRule { group: rule.group });
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use Status::{Completed, Declined, Opened, Signed, Signing, Terminated};
    use qz_evidence::payload::{GroupRule, SlotKind};

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
        }
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
                before.obligations =
                    current.map(|step| Obligation { number: 5, step, by: id(1) }).into_iter().collect();
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
            let rules =
                rules.iter().map(|(group, required)| GroupRule { group: *group, required: *required }).collect();
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
}
