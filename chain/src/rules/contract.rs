//! Contracts: opened, a version fixed, signed slot by slot, completed; then amended and fulfilled. How
//! they end, and how others deal with them, stands in [`ending`].

mod ending;
mod machine;

pub(super) use self::ending::{archived, disputed, note, ruled, terminated, voided};

use self::machine::{Command, check_opening, next, slot};
use super::{Context, Outcome, seal};
use crate::overlay::Refusal;
use crate::reject::Reject;
use crate::state::{ContractState, SealState, SignedSlot, SubjectState};
use crate::view::View;
use qz_evidence::SubjectId;
use qz_evidence::commitment::name;
use qz_evidence::genesis::Role;
use qz_evidence::keys::PublicKey;
use qz_evidence::payload::{
    ContractAmended, ContractFulfilment, ContractOpened, ContractRef, ContractSigned, ContractSlotRef,
    ContractVersionFixed, Slot, SlotKind,
};
use qz_evidence::state_proof::Status;
use std::collections::BTreeSet;

/// Actor: the initiator's key. Every key of a slot is in force, every seal of a slot not destroyed.
pub(super) fn opened<V: View>(c: &Context<'_, '_, V>, fields: &ContractOpened) -> Result<Outcome, Refusal> {
    let keys = c.sole_actor(&fields.initiator)?;
    check_opening(fields)?;
    for slot in &fields.slots {
        match slot.kind {
            SlotKind::Key => drop(c.active_key(&slot.subject)?),
            SlotKind::Seal if c.overlay.seal(&slot.subject)?.status == Status::Destroyed => {
                return Err(Reject::SealDestroyed { seal: slot.subject }.into());
            }
            SlotKind::Seal => {}
        }
    }
    if let Some(original) = fields.amends {
        let status = c.overlay.contract(&original)?.status;
        if status != Status::Completed {
            return Err(Reject::ContractStatus { contract: original, status }.into());
        }
    }
    let state = ContractState {
        status: Status::Opened,
        initiator: fields.initiator,
        slots: fields.slots.clone(),
        rules: fields.rules.clone(),
        amends: fields.amends,
        version: 0,
        document: None,
        signed: vec![],
        final_document: None,
        obligations: vec![],
        amendments: vec![],
        dispute: None,
        archived: None,
    };
    Ok(Outcome::creates(keys, c.created, SubjectState::Contract(state)))
}

/// Actor: the initiator's key.
pub(super) fn version_fixed<V: View>(
    c: &Context<'_, '_, V>, fields: &ContractVersionFixed,
) -> Result<Outcome, Refusal> {
    let state = c.overlay.contract(&fields.contract)?;
    let keys = c.sole_actor(&state.initiator)?;
    let command = Command::FixVersion { number: fields.version, document: c.commitment(name::DOCUMENT)? };
    one(fields.contract, state, keys, command)
}

/// Actor: the slot's key, or for a seal slot the seal's owner or a key with a live authorisation.
pub(super) fn signed<V: View>(c: &Context<'_, '_, V>, fields: &ContractSigned) -> Result<Outcome, Refusal> {
    let state = c.overlay.contract(&fields.contract)?;
    let signed = slot(&state, fields.slot)?.clone();
    c.commitment(name::TO_BE_SIGNED)?;
    let [actor] = c.actors()?;
    let key = actor.subject;
    let command = Command::Sign { slot: fields.slot, version: fields.version, key };
    match (signed.kind, fields.seal) {
        (SlotKind::Key, None) => {
            let keys = c.sole_actor(&signed.subject)?;
            one(fields.contract, state, keys, command)
        }
        (SlotKind::Seal, Some(seal)) if seal == signed.subject => {
            let keys = vec![c.active_key(&key)?];
            let state_of_seal = c.overlay.seal(&seal)?;
            // Once the owner's key is revoked nobody can suspend the seal, so nobody may use it either.
            c.active_key(&state_of_seal.owner)?;
            let used = seal::next(seal, state_of_seal, seal::Command::Use { key, height: c.height })?;
            let contract = next(fields.contract, state, command)?;
            let touched = vec![(fields.contract, SubjectState::Contract(contract)), (seal, SubjectState::Seal(used))];
            Ok(Outcome::changes(keys, touched))
        }
        (SlotKind::Key, Some(_)) | (SlotKind::Seal, _) => Err(Reject::ContractSealOfSlot { slot: fields.slot }.into()),
    }
}

/// Actor: as for signing, but a suspended seal or a used-up authorisation does not keep anyone from
/// declining, and no use is counted.
pub(super) fn declined<V: View>(c: &Context<'_, '_, V>, fields: &ContractSlotRef) -> Result<Outcome, Refusal> {
    let state = c.overlay.contract(&fields.contract)?;
    let declined = slot(&state, fields.slot)?.clone();
    let keys = match declined.kind {
        SlotKind::Key => c.sole_actor(&declined.subject)?,
        SlotKind::Seal => {
            let [actor] = c.actors()?;
            let SealState { owner, authorisations, .. } = c.overlay.seal(&declined.subject)?;
            if actor.subject != owner && !authorisations.iter().any(|a| a.key == actor.subject) {
                return Err(Reject::SealNotAuthorised { seal: declined.subject, key: actor.subject }.into());
            }
            vec![c.active_key(&actor.subject)?]
        }
    };
    one(fields.contract, state, keys, Command::Decline { slot: fields.slot })
}

/// No actors; the relay is a platform.
pub(super) fn completed<V: View>(c: &Context<'_, '_, V>, fields: &ContractRef) -> Result<Outcome, Refusal> {
    let state = c.overlay.contract(&fields.contract)?;
    relayed_by_platform(c)?;
    let command = Command::Complete { document: c.commitment(name::DOCUMENT)? };
    one(fields.contract, state, vec![], command)
}

/// Nobody acts but a member with the platform role, who relays.
fn relayed_by_platform<V: View>(c: &Context<'_, '_, V>) -> Result<(), Refusal> {
    let [] = c.actors()?;
    if !c.relay.has(Role::Platform) {
        return Err(Reject::RelayRole { relay: c.relay.id.clone(), role: Role::Platform }.into());
    }
    Ok(())
}

/// Actor: the initiator of the original. The amendment is completed and has at least the original's
/// parties. Touches both contracts.
pub(super) fn amended<V: View>(c: &Context<'_, '_, V>, fields: &ContractAmended) -> Result<Outcome, Refusal> {
    let ContractAmended { contract, amendment } = *fields;
    let original = c.overlay.contract(&contract)?;
    let change = c.overlay.contract(&amendment)?;
    let keys = c.sole_actor(&original.initiator)?;
    if change.amends != Some(contract) {
        return Err(Reject::ContractAmendmentOther { contract, amendment }.into());
    }
    if change.status != Status::Completed {
        return Err(Reject::ContractStatus { contract: amendment, status: change.status }.into());
    }
    if !has_parties_of(&change, &original) {
        return Err(Reject::ContractAmendmentParties { amendment }.into());
    }
    let original = next(contract, original, Command::Amend { amendment })?;
    let touched = vec![(contract, SubjectState::Contract(original)), (amendment, SubjectState::Contract(change))];
    Ok(Outcome::changes(keys, touched))
}

/// The amendment has every slot's subject of the original, and whoever signed the original signed it too:
/// an n-of-m rule of the amendment cannot leave out a party.
fn has_parties_of(amendment: &ContractState, original: &ContractState) -> bool {
    let slots = |state: &ContractState| state.slots.iter().map(|s| s.subject).collect::<BTreeSet<_>>();
    let signed = |state: &ContractState| {
        let subject = |s: &SignedSlot| state.slots.get(usize::from(s.slot)).map(|slot| slot.subject);
        state.signed.iter().filter_map(subject).collect::<BTreeSet<_>>()
    };
    slots(amendment).is_superset(&slots(original)) && signed(amendment).is_superset(&signed(original))
}

/// Actor: the key of a key slot, or the owner of a seal slot's seal.
pub(super) fn fulfilment<V: View>(c: &Context<'_, '_, V>, fields: &ContractFulfilment) -> Result<Outcome, Refusal> {
    let state = c.overlay.contract(&fields.contract)?;
    let (by, keys) = sole_party(c, &state)?;
    let command = Command::Fulfil { obligation: fields.obligation, step: fields.step, by };
    one(fields.contract, state, keys, command)
}

/// Who holds a slot: its key, or the owner of its seal. Whoever the owner lets use the seal is no party.
fn parties<V: View>(c: &Context<'_, '_, V>, state: &ContractState) -> Result<BTreeSet<SubjectId>, Refusal> {
    let holder = |slot: &Slot| match slot.kind {
        SlotKind::Key => Ok(slot.subject),
        SlotKind::Seal => Ok(c.overlay.seal(&slot.subject)?.owner),
    };
    state.slots.iter().map(holder).collect()
}

/// The only actor is a party; gives it with its key.
fn sole_party<V: View>(c: &Context<'_, '_, V>, state: &ContractState) -> Result<(SubjectId, Vec<PublicKey>), Refusal> {
    let [actor] = c.actors()?;
    if !parties(c, state)?.contains(&actor.subject) {
        return Err(Reject::ActorNotEntitled { subject: actor.subject }.into());
    }
    Ok((actor.subject, vec![c.active_key(&actor.subject)?]))
}

/// A command that touches the contract only.
fn one(contract: SubjectId, state: ContractState, keys: Vec<PublicKey>, command: Command) -> Result<Outcome, Refusal> {
    let state = next(contract, state, command)?;
    Ok(Outcome::changes(keys, vec![(contract, SubjectState::Contract(state))]))
}
