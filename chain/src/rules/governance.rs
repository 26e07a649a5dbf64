//! Changes of the consortium: every one needs the office signatures of a quorum of its members.
//!
//! There is no administrator: whoever is a member decides, k of n, with k in the parameters. A change sees
//! the changes before it in the same block; what it does to validators and parameters is in force from the
//! next height on.

use super::{Context, Outcome};
use crate::governance::{Consortium, Member, UPGRADE_NOTICE, Upgrade};
use crate::overlay::Refusal;
use crate::reject::Reject;
use crate::state::SubjectState;
use crate::view::View;
use qz_evidence::genesis::{GenesisError, MAX_ORGANISATIONS, Organisation, Params, authority_key, same_authority};
use qz_evidence::keys::PublicKey;
use qz_evidence::payload::{Change, GovernanceChanged};
use qz_evidence::state_proof::Status;
use qz_evidence::submission::{Actor, MAX_ACTORS};
use qz_evidence::validators::{Validator, ValidatorSet};
use qz_evidence::{Hash32, Height, OrgId, SubjectId, decode_strict};
use std::collections::BTreeMap;

/// Actors: offices of at least the quorum of active members, each once. Touches the governance subject, then
/// the organisation that is admitted, replaced or removed.
pub(super) fn changed<V: View>(c: &Context<'_, '_, V>, fields: &GovernanceChanged) -> Result<Outcome, Refusal> {
    let consortium = c.overlay.consortium()?;
    let chain_id = &c.overlay.chain_id;
    let actor_keys = approvals(chain_id, &consortium, c.params.governance_quorum, c.actors)?;
    let (consortium, member) = next(consortium, c.height, &fields.change)?;
    let mut touched = vec![(SubjectId::governance(chain_id), SubjectState::Governance(consortium.state()))];
    if let Some(member) = member {
        let state = SubjectState::Organisation(member.state());
        touched.push((SubjectId::of_organisation(chain_id, member.id()), state));
    }
    Ok(Outcome { actor_keys, touched, creates: false, consortium: Some(consortium) })
}

/// The office keys of the actors, who are enough.
fn approvals(
    chain_id: &Hash32, consortium: &Consortium, quorum: u32, actors: &[Actor],
) -> Result<Vec<PublicKey>, Reject> {
    let mut offices: BTreeMap<SubjectId, &Member> =
        consortium.active().map(|member| (SubjectId::of_organisation(chain_id, member.id()), member)).collect();
    let members = offices.len();
    let mut keys = vec![];
    for (i, actor) in actors.iter().enumerate() {
        match offices.remove(&actor.subject) {
            Some(member) => keys.push(PublicKey::ed25519(member.organisation.office_key.0)),
            None if actors[..i].iter().any(|earlier| earlier.subject == actor.subject) => {
                return Err(Reject::GovernanceSignedTwice { subject: actor.subject });
            }
            None => return Err(Reject::ActorNotEntitled { subject: actor.subject }),
        }
    }
    if keys.len() < usize::try_from(quorum).unwrap_or(usize::MAX) {
        return Err(Reject::GovernanceQuorum { needed: quorum, members, found: keys.len() });
    }
    Ok(keys)
}

/// The state machine: the consortium after a change, and the organisation that it is about.
pub(super) fn next(
    mut consortium: Consortium, height: Height, change: &Change,
) -> Result<(Consortium, Option<Member>), Reject> {
    // One that has taken effect is history; it stands in the parameters.
    consortium.upgrade = consortium.upgrade.filter(|upgrade| upgrade.height > height);
    let member = match change {
        Change::PutOrganisation(card) => Some(put(&mut consortium, height, card)?),
        Change::RemoveOrganisation(organisation) => Some(remove(&mut consortium, height, organisation)?),
        Change::SetValidators(validators) => {
            consortium.validators = new_validators(&consortium, validators)?;
            None
        }
        Change::SetParams(params) => {
            consortium.params = new_params(&consortium, params)?;
            consortium.replay = consortium.replay.with(&consortium.params, height);
            None
        }
        Change::Upgrade(version, at) => {
            consortium.upgrade = new_upgrade(&consortium, height, Upgrade { version: *version, height: *at })?;
            None
        }
    };
    Ok((consortium, member))
}

/// Admits an organisation, or puts a card in the place of a member's.
fn put(consortium: &mut Consortium, height: Height, card: &[u8]) -> Result<Member, Reject> {
    let member = Member::admitted(card, height).map_err(|error| Reject::GovernanceCard { reason: Box::new(error) })?;
    let organisation = &member.organisation;
    if consortium.active_member(member.id()).is_some_and(|now| now.card == card) {
        return Err(Reject::GovernanceUnchanged);
    }
    check_keys(consortium, organisation)?;
    check_authority(consortium, organisation)?;
    consortium.validators = with_card(&consortium.validators, organisation)?;
    consortium.put(member.clone());
    let members = consortium.active().count();
    if members > MAX_ORGANISATIONS {
        return Err(Reject::GovernanceMembers { limit: MAX_ORGANISATIONS });
    }
    Ok(member)
}

/// Every key is its own: not twice in the card, and no other member's.
fn check_keys(consortium: &Consortium, organisation: &Organisation) -> Result<(), Reject> {
    let keys = organisation.keys();
    for (i, (purpose, key)) in keys.iter().enumerate() {
        let within = keys[..i].iter().any(|(_, other)| other == key);
        let mut others = consortium.active().filter(|member| *member.id() != organisation.id);
        if within || others.any(|member| member.organisation.keys().iter().any(|(_, other)| other == key)) {
            return Err(Reject::GovernanceKeyShared { organisation: organisation.id.clone(), purpose });
        }
    }
    Ok(())
}

/// The TLS authority is a certificate, and no other member's, who could speak as this one. An organisation
/// may have none; then it has no access to other members' nodes.
fn check_authority(consortium: &Consortium, organisation: &Organisation) -> Result<(), Reject> {
    let authority = &organisation.tls_ca;
    let usable = authority.is_empty() || authority_key(authority).is_some();
    let mut others = consortium.active().filter(|member| *member.id() != organisation.id);
    if !usable || others.any(|member| same_authority(&member.organisation.tls_ca, authority)) {
        return Err(Reject::GovernanceAuthority { organisation: organisation.id.clone() });
    }
    Ok(())
}

/// The set with a validator's new key in the place of its old one, at the power that it has in the set; or
/// without it, if the card names no validator any more.
fn with_card(set: &ValidatorSet, organisation: &Organisation) -> Result<ValidatorSet, Reject> {
    let key = organisation.validator.as_ref().map(|card| card.consensus_key);
    let validators = set.validators().iter().filter_map(|validator| match key {
        _ if validator.organisation != organisation.id => Some(validator.clone()),
        Some(key) => Some(Validator { key, ..validator.clone() }),
        None => None,
    });
    ValidatorSet::new(validators.collect()).ok_or(Reject::GovernanceValidators)
}

fn remove(consortium: &mut Consortium, height: Height, id: &OrgId) -> Result<Member, Reject> {
    let unknown = || Reject::GovernanceMemberUnknown { organisation: id.clone() };
    let member = consortium.active_member(id).ok_or_else(unknown)?;
    let member = Member { status: Status::Revoked, since: height, ..member.clone() };
    let left = consortium.active().count() - 1;
    let needed = consortium.params.governance_quorum;
    if usize::try_from(needed).map_or(true, |needed| left < needed) {
        return Err(Reject::GovernanceTooFew { left, needed });
    }
    let validators = consortium.validators.validators().iter().filter(|validator| validator.organisation != *id);
    consortium.validators = ValidatorSet::new(validators.cloned().collect()).ok_or(Reject::GovernanceValidators)?;
    consortium.put(member.clone());
    Ok(member)
}

/// Every validator is an active member's, with the consensus key of its card.
fn new_validators(consortium: &Consortium, validators: &[Validator]) -> Result<ValidatorSet, Reject> {
    for Validator { organisation, key, .. } in validators {
        let card = consortium.active_member(organisation).and_then(|member| member.organisation.validator.as_ref());
        if card.is_none_or(|card| card.consensus_key != *key) {
            return Err(Reject::GovernanceValidatorUnknown { organisation: organisation.clone() });
        }
    }
    let set = ValidatorSet::new(validators.to_vec()).ok_or(Reject::GovernanceValidators)?;
    // In ascending order, so that what was signed is what is hashed.
    if set.validators() != validators {
        return Err(Reject::GovernanceValidators);
    }
    if set == consortium.validators {
        return Err(Reject::GovernanceUnchanged);
    }
    Ok(set)
}

/// Bounds as in a genesis, and the quorum is a majority: with less, a minority could hand the consortium
/// over to itself. The protocol version has a way of its own.
fn new_params(consortium: &Consortium, bytes: &[u8]) -> Result<Params, Reject> {
    let params: Params = decode_strict(bytes)
        .map_err(|error| Reject::GovernanceParams { reason: Box::new(GenesisError::Codec(error)) })?;
    let members = consortium.active().count();
    params.check(members).map_err(|error| Reject::GovernanceParams { reason: Box::new(error) })?;
    if params.protocol != consortium.params.protocol {
        return Err(Reject::GovernanceProtocol { found: params.protocol, expected: consortium.params.protocol });
    }
    let majority = (members / 2 + 1).min(MAX_ACTORS);
    if usize::try_from(params.governance_quorum).map_or(true, |quorum| quorum < majority) {
        return Err(Reject::GovernanceMajority { needed: majority, members });
    }
    if params == consortium.params {
        return Err(Reject::GovernanceUnchanged);
    }
    Ok(params)
}

/// The next version, with enough notice for everybody to install it. The version that is in force takes a
/// pending upgrade back.
fn new_upgrade(consortium: &Consortium, height: Height, asked: Upgrade) -> Result<Option<Upgrade>, Reject> {
    let earliest = Height(height.0.saturating_add(UPGRADE_NOTICE));
    let now = consortium.params.protocol;
    if consortium.upgrade == Some(asked) {
        return Err(Reject::GovernanceUnchanged);
    }
    match (asked.version, consortium.upgrade) {
        (version, Some(_)) if version == now => Ok(None),
        (version, _) if version > now && asked.height >= earliest => Ok(Some(asked)),
        _ => Err(Reject::GovernanceUpgrade { version: asked.version, now, earliest }),
    }
}
