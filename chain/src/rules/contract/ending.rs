//! Contracts that end or are dealt with by others: terminated, voided, disputed, ruled, archived, and
//! noted by a notary or a court.

use super::machine::{Command, next};
use super::{Context, Outcome, one, parties, relayed_by_platform, sole_party};
use crate::overlay::Refusal;
use crate::reject::Reject;
use crate::state::{ContractState, Dispute, OrganisationState, SubjectState};
use crate::view::View;
use qz_evidence::commitment::name;
use qz_evidence::genesis::Role;
use qz_evidence::keys::PublicKey;
use qz_evidence::payload::{ContractDisputed, ContractRef, ContractRuled, RulingEffect, RulingForm};
use qz_evidence::{OrgId, SubjectId};

/// Actors: every party.
pub(in crate::rules) fn terminated<V: View>(c: &Context<'_, '_, V>, fields: &ContractRef) -> Result<Outcome, Refusal> {
    by_every_party(c, fields.contract, Command::Terminate)
}

/// Actors: every party.
pub(in crate::rules) fn voided<V: View>(c: &Context<'_, '_, V>, fields: &ContractRef) -> Result<Outcome, Refusal> {
    by_every_party(c, fields.contract, Command::Void)
}

/// Actor: a party's key. The forum is a member with the court or the arbitration role.
pub(in crate::rules) fn disputed<V: View>(
    c: &Context<'_, '_, V>, fields: &ContractDisputed,
) -> Result<Outcome, Refusal> {
    let ContractDisputed { contract, forum } = fields;
    let state = c.overlay.contract(contract)?;
    let (_, keys) = sole_party(c, &state)?;
    if !is_forum(c, forum)? {
        return Err(Reject::ContractForum { forum: forum.clone() }.into());
    }
    let vacant = match &state.dispute {
        Some(Dispute { forum, .. }) => !is_forum(c, forum)?,
        None => false,
    };
    one(*contract, state, keys, Command::Dispute { forum: forum.clone(), vacant })
}

/// Actor: the office of the forum that the dispute went to, which still has a role that this form needs.
pub(in crate::rules) fn ruled<V: View>(c: &Context<'_, '_, V>, fields: &ContractRuled) -> Result<Outcome, Refusal> {
    let ContractRuled { contract, form, effect } = *fields;
    let state = c.overlay.contract(&contract)?;
    let Some(Dispute { forum, .. }) = state.dispute.clone() else {
        return Err(Reject::ContractStatus { contract, status: state.status }.into());
    };
    let (office, keys) = c.office_of(&forum)?;
    if !may_issue(&office, form) {
        return Err(Reject::ContractRulingForm { forum, form }.into());
    }
    if effect == RulingEffect::Interim && form != RulingForm::Order {
        return Err(Reject::ContractRulingInterim { form }.into());
    }
    c.commitment(name::NUMBER)?;
    c.commitment(name::DOCUMENT)?;
    one(contract, state, keys, Command::Rule { effect })
}

/// No actors; the relay is a platform. May be repeated: what was archived last counts.
pub(in crate::rules) fn archived<V: View>(c: &Context<'_, '_, V>, fields: &ContractRef) -> Result<Outcome, Refusal> {
    let state = c.overlay.contract(&fields.contract)?;
    relayed_by_platform(c)?;
    let command = Command::Archive { package: c.commitment(name::DOCUMENT)? };
    one(fields.contract, state, vec![], command)
}

/// A fact about the contract, such as a notarial deed, takes its place among its records and changes
/// nothing.
pub(in crate::rules) fn note(contract: SubjectId, state: ContractState) -> Result<SubjectState, Reject> {
    next(contract, state, Command::Note).map(SubjectState::Contract)
}

fn is_forum<V: View>(c: &Context<'_, '_, V>, forum: &OrgId) -> Result<bool, Refusal> {
    let organisation = c.overlay.organisation(forum)?;
    Ok(organisation.is_some_and(|o| o.has(Role::Court) || o.has(Role::Arbitration)))
}

fn may_issue(office: &OrganisationState, form: RulingForm) -> bool {
    match form {
        RulingForm::Judgment | RulingForm::Order => office.has(Role::Court),
        RulingForm::Award => office.has(Role::Arbitration),
        RulingForm::Mediation => office.has(Role::Court) || office.has(Role::Arbitration),
    }
}

fn by_every_party<V: View>(c: &Context<'_, '_, V>, contract: SubjectId, command: Command) -> Result<Outcome, Refusal> {
    let state = c.overlay.contract(&contract)?;
    let keys = every_party(c, contract, &state)?;
    one(contract, state, keys, command)
}

/// The actors are all who hold a slot, signed or not, each once and in any order; gives their keys.
fn every_party<V: View>(
    c: &Context<'_, '_, V>, contract: SubjectId, state: &ContractState,
) -> Result<Vec<PublicKey>, Refusal> {
    let parties = parties(c, state)?;
    if let Some(stranger) = c.actors.iter().find(|actor| !parties.contains(&actor.subject)) {
        return Err(Reject::ActorNotEntitled { subject: stranger.subject }.into());
    }
    if let Some(party) = parties.iter().find(|party| c.actors.iter().all(|actor| actor.subject != **party)) {
        return Err(Reject::ContractPartyMissing { contract, party: *party }.into());
    }
    if c.actors.len() != parties.len() {
        return Err(Reject::ActorCount { needed: parties.len(), found: c.actors.len() }.into());
    }
    c.actors.iter().map(|actor| c.active_key(&actor.subject)).collect()
}
