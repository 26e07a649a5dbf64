//! The state machine of contracts, apart from who may give which command.

use crate::reject::Reject;
use crate::state::{ContractState, Dispute, MAX_AMENDMENTS, MAX_OBLIGATIONS, Obligation, SignedSlot};
use qz_evidence::payload::{ContractOpened, FulfilmentStep, RulingEffect, Slot};
use qz_evidence::state_proof::Status;
use qz_evidence::{Hash32, OrgId, SubjectId};

/// Most slots of a contract.
const MAX_SLOTS: usize = 32;
/// 甲方, 乙方, 丙方, 丁方, other.
const SLOT_ROLES: [u8; 5] = [1, 2, 3, 4, 9];

/// What may happen to a contract after its opening.
#[derive(Clone, Debug)]
pub(super) enum Command {
    FixVersion {
        number: u32,
        document: Hash32,
    },
    Sign {
        slot: u8,
        version: Hash32,
        key: SubjectId,
    },
    Decline {
        slot: u8,
    },
    Complete {
        document: Hash32,
    },
    Amend {
        amendment: SubjectId,
    },
    Fulfil {
        obligation: u16,
        step: FulfilmentStep,
        by: SubjectId,
    },
    Terminate,
    Void,
    /// `vacant`: the forum of a pending dispute is no longer a court or arbitration body of the ledger.
    Dispute {
        forum: OrgId,
        vacant: bool,
    },
    Rule {
        effect: RulingEffect,
    },
    Archive {
        package: Hash32,
    },
    /// A fact about the contract that changes nothing.
    Note,
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
        // Performance goes on until the forum says otherwise, if there was something to perform.
        (Status::Disputed, Command::Fulfil { obligation, step, by }) if was_in_force(&state) => {
            fulfil(contract, state, Obligation { number: obligation, step, by })
        }
        // What all agree on ends a dispute too.
        (Status::Signed | Status::Completed | Status::Disputed, Command::Terminate) => {
            Ok(ContractState { status: Status::Terminated, dispute: None, ..state })
        }
        (Status::Opened | Status::Signing | Status::Signed | Status::Completed | Status::Disputed, Command::Void) => {
            Ok(ContractState { status: Status::Voided, dispute: None, ..state })
        }
        (before @ (Status::Signed | Status::Completed | Status::Terminated), Command::Dispute { forum, .. }) => {
            Ok(dispute(state, forum, before))
        }
        // What was voided before all had signed never was a contract: no ruling can put it in force.
        (before @ Status::Voided, Command::Dispute { forum, .. }) if state.is_fully_signed() => {
            Ok(dispute(state, forum, before))
        }
        (Status::Disputed, Command::Dispute { forum, vacant }) => move_dispute(contract, state, forum, vacant),
        (Status::Disputed, Command::Rule { effect }) => Ok(rule(state, effect)),
        (Status::Completed | Status::Declined | Status::Terminated | Status::Voided, Command::Archive { package }) => {
            Ok(ContractState { archived: Some(package), ..state })
        }
        (_, Command::Note) => Ok(state),
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

fn dispute(state: ContractState, forum: OrgId, before: Status) -> ContractState {
    ContractState { status: Status::Disputed, dispute: Some(Dispute { forum, before }), ..state }
}

fn was_in_force(state: &ContractState) -> bool {
    state.dispute.as_ref().is_some_and(|dispute| dispute.before == Status::Completed)
}

/// Another forum takes a pending dispute only when the first cannot rule any more.
fn move_dispute(
    contract: SubjectId, state: ContractState, forum: OrgId, vacant: bool,
) -> Result<ContractState, Reject> {
    match state.dispute {
        Some(Dispute { before, .. }) if vacant => Ok(dispute(state, forum, before)),
        _ => Err(Reject::ContractDisputePending { contract }),
    }
}

fn rule(state: ContractState, effect: RulingEffect) -> ContractState {
    let status = match effect {
        RulingEffect::Interim => return state,
        // It may have been disputed before its final file was committed.
        RulingEffect::InForce if state.final_document.is_none() => Status::Signed,
        RulingEffect::InForce => Status::Completed,
        RulingEffect::Terminated => Status::Terminated,
        RulingEffect::Void => Status::Voided,
    };
    ContractState { status, dispute: None, ..state }
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
mod tests;
