//! The rules: from a parsed submission and the state to the states it brings about.
//!
//! [`apply`] checks what all kinds share (ledger, expiry, replay, relay) and hands over to the family of
//! the kind. A family looks up what it needs, says who must act, and asks the pure state machine of its
//! subject for the next state. Actor signatures are verified by the caller with the keys in [`Outcome`].

mod audit;
mod contract;
mod evidence;
mod governance;
mod key;
mod notarisation;
mod retrieval;
mod seal;
#[cfg(test)]
mod spec_table;

use crate::governance::Consortium;
use crate::overlay::{Organisation, Overlay, Refusal};
use crate::reject::Reject;
use crate::state::SubjectState;
use crate::view::View;
use qz_evidence::genesis::{Params, Role};
use qz_evidence::keys::PublicKey;
use qz_evidence::payload::Payload;
use qz_evidence::state_proof::Status;
use qz_evidence::submission::{Actor, Body, Parsed};
use qz_evidence::{Hash32, Height, OrgId, SubjectId};

/// What a submission that the rules accept brings about.
pub(crate) struct Outcome {
    /// The key with which each actor's signature must verify, in the actors' order.
    pub actor_keys: Vec<PublicKey>,
    /// New states of the subjects touched, in the order of the record's links.
    pub touched: Vec<(SubjectId, SubjectState)>,
    /// Is the first of them new?
    pub creates: bool,
    /// The consortium, if this changes it.
    pub consortium: Option<Consortium>,
}

impl Outcome {
    fn creates(actor_keys: Vec<PublicKey>, subject: SubjectId, state: SubjectState) -> Self {
        Self { actor_keys, touched: vec![(subject, state)], creates: true, consortium: None }
    }

    fn changes(actor_keys: Vec<PublicKey>, touched: Vec<(SubjectId, SubjectState)>) -> Self {
        Self { actor_keys, touched, creates: false, consortium: None }
    }
}

/// What the rules of one submission see.
struct Context<'a, 'v, V> {
    overlay: &'a Overlay<'v, V>,
    height: Height,
    params: &'a Params,
    relay: Organisation,
    body: &'a Body,
    actors: &'a [Actor],
    /// The subject that this submission creates, if its kind creates one.
    created: SubjectId,
}

/// Applies the rules to one submission for a block of this height.
pub(crate) fn apply<V: View>(
    overlay: &Overlay<'_, V>, height: Height, params: &Params, parsed: &Parsed,
) -> Result<Outcome, Refusal> {
    let body = parsed.body();
    let digest = parsed.digest();
    if body.chain_id != overlay.chain_id {
        return Err(Reject::OtherLedger.into());
    }
    let relay = &parsed.submission().relay;
    check_expiry(body.expiry, height, params)?;
    check_replay(overlay, height, relay, body, &digest)?;
    let context = Context {
        overlay,
        height,
        params,
        relay: relaying(overlay, relay, &parsed.submission().relay_key)?,
        body,
        actors: &parsed.submission().actors,
        created: SubjectId::created_by(&overlay.chain_id, &digest),
    };
    match &body.payload {
        Payload::ContractOpened(fields) => contract::opened(&context, fields),
        Payload::ContractVersionFixed(fields) => contract::version_fixed(&context, fields),
        Payload::ContractSigned(fields) => contract::signed(&context, fields),
        Payload::ContractDeclined(fields) => contract::declined(&context, fields),
        Payload::ContractCompleted(fields) => contract::completed(&context, fields),
        Payload::ContractAmended(fields) => contract::amended(&context, fields),
        Payload::ContractFulfilment(fields) => contract::fulfilment(&context, fields),
        Payload::ContractTerminated(fields) => contract::terminated(&context, fields),
        Payload::ContractVoided(fields) => contract::voided(&context, fields),
        Payload::ContractDisputed(fields) => contract::disputed(&context, fields),
        Payload::ContractRuled(fields) => contract::ruled(&context, fields),
        Payload::ContractArchived(fields) => contract::archived(&context, fields),
        Payload::SealMade(fields) => seal::made(&context, fields),
        Payload::SealAuthorised(fields) => seal::authorised(&context, fields),
        Payload::SealRevoked(fields) => seal::revoked(&context, fields),
        Payload::SealSuspended(fields) => seal::suspended(&context, fields),
        Payload::SealResumed(fields) => seal::resumed(&context, fields),
        Payload::SealDestroyed(fields) => seal::destroyed(&context, fields),
        Payload::KeyRegistered(fields) => key::registered(&context, fields),
        Payload::KeyRotated(fields) => key::rotated(&context, fields),
        Payload::KeyRevoked(fields) => key::revoked(&context, fields),
        Payload::EvidenceDeposited(fields) => evidence::deposited(&context, fields),
        Payload::NotarisationRegistered(fields) => notarisation::registered(&context, fields),
        Payload::RetrievalMade(fields) => retrieval::made(&context, fields),
        Payload::AuditAnchored(fields) => audit::anchored(&context, fields),
        Payload::GovernanceChanged(fields) => governance::changed(&context, fields),
    }
}

fn check_expiry(expiry: Height, height: Height, params: &Params) -> Result<(), Reject> {
    let latest = Height(height.0.saturating_add(params.window));
    match expiry {
        expiry if expiry < height => Err(Reject::Expired { expiry, height }),
        expiry if expiry > latest => Err(Reject::ExpiryTooFar { expiry, latest }),
        _ => Ok(()),
    }
}

/// A body that was recorded at height h had expiry ≤ h + window, so remembering it for the largest window
/// so far is enough for "never twice".
fn check_replay<V: View>(
    overlay: &Overlay<'_, V>, height: Height, relay: &OrgId, body: &Body, digest: &Hash32,
) -> Result<(), Refusal> {
    let in_window = |recorded: &Height| overlay.replay.counts(*recorded, height);
    if overlay.has_body(digest) {
        return Err(Reject::Duplicate { recorded: height }.into());
    }
    if let Some(recorded) = overlay.view.recorded_body(digest)?.filter(in_window) {
        return Err(Reject::Duplicate { recorded }.into());
    }
    if overlay.has_id(relay, &body.id) {
        return Err(Reject::IdReused { recorded: height }.into());
    }
    if let Some(recorded) = overlay.view.recorded_id(relay, &body.id)?.filter(in_window) {
        return Err(Reject::IdReused { recorded }.into());
    }
    Ok(())
}

fn relaying<V: View>(overlay: &Overlay<'_, V>, relay: &OrgId, key: &Hash32) -> Result<Organisation, Refusal> {
    match overlay.organisation(relay)? {
        Some(organisation) if organisation.status == Status::Active => {
            if organisation.relay_key != *key {
                return Err(Reject::RelayKey { relay: relay.clone() }.into());
            }
            if organisation.roles == [Role::Observer] {
                return Err(Reject::RelayObserver { relay: relay.clone() }.into());
            }
            Ok(organisation)
        }
        _ => Err(Reject::RelayUnknown { relay: relay.clone() }.into()),
    }
}

impl<V: View> Context<'_, '_, V> {
    /// Exactly this many actors, no fewer and no more.
    fn actors<const N: usize>(&self) -> Result<&[Actor; N], Reject> {
        self.actors.try_into().map_err(|_| Reject::ActorCount { needed: N, found: self.actors.len() })
    }

    /// The key of a key subject that is in force.
    fn active_key(&self, subject: &SubjectId) -> Result<PublicKey, Refusal> {
        let key = self.overlay.key(subject)?;
        match key.status {
            Status::Active => Ok(key.key),
            _ => Err(Reject::KeyRevoked { subject: *subject }.into()),
        }
    }

    /// The only actor is this key subject; gives its key.
    fn sole_actor(&self, expected: &SubjectId) -> Result<Vec<PublicKey>, Refusal> {
        let [actor] = self.actors()?;
        if actor.subject != *expected {
            return Err(Reject::ActorNotEntitled { subject: actor.subject }.into());
        }
        Ok(vec![self.active_key(expected)?])
    }

    /// The only actor is the office of a member with this role; gives its key.
    fn sole_office(&self, role: Role) -> Result<Vec<PublicKey>, Refusal> {
        let [actor] = self.actors()?;
        match self.overlay.find(&actor.subject)?.as_deref().map(|subject| &subject.state) {
            Some(SubjectState::Organisation(office)) if office.has(role) => Ok(vec![office.office()]),
            _ => Err(Reject::OfficeRole { subject: actor.subject, role }.into()),
        }
    }

    /// The only actor is the office of this organisation, a member; gives its key.
    fn office_of(&self, organisation: &OrgId) -> Result<(Organisation, Vec<PublicKey>), Refusal> {
        let [actor] = self.actors()?;
        let office = match self.overlay.organisation(organisation)? {
            Some(office) if office.status == Status::Active => office,
            _ => return Err(Reject::OfficeUnknown { organisation: organisation.clone() }.into()),
        };
        if actor.subject != SubjectId::of_organisation(&self.overlay.chain_id, organisation) {
            return Err(Reject::ActorNotEntitled { subject: actor.subject }.into());
        }
        let key = office.office();
        Ok((office, vec![key]))
    }

    /// Subject and office key of an organisation with the attestor role.
    fn attestor(&self, attestor: &OrgId) -> Result<(SubjectId, PublicKey), Refusal> {
        let organisation = self
            .overlay
            .organisation(attestor)?
            .ok_or_else(|| Reject::AttestorUnknown { attestor: attestor.clone() })?;
        if !organisation.has(Role::Attestor) {
            return Err(Reject::AttestorRole { attestor: attestor.clone() }.into());
        }
        Ok((SubjectId::of_organisation(&self.overlay.chain_id, attestor), organisation.office()))
    }

    /// Where the parameters want it, who vouches for a key is not who relays it.
    fn check_foreign(&self, attestor: &OrgId) -> Result<(), Reject> {
        if self.params.foreign_attestor && *attestor == self.relay.id {
            return Err(Reject::AttestorIsRelay { attestor: attestor.clone() });
        }
        Ok(())
    }

    /// A commitment that this kind needs.
    fn commitment(&self, name: &'static str) -> Result<Hash32, Reject> {
        self.body.commitment(name).copied().ok_or(Reject::CommitmentMissing { name })
    }
}
