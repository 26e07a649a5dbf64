//! Keys of persons and handling persons: registered with an attestation, rotated, revoked.

use super::{Context, Outcome};
use crate::overlay::Refusal;
use crate::reject::Reject;
use crate::state::{KeyState, SubjectState};
use crate::view::View;
use qz_evidence::SubjectId;
use qz_evidence::commitment::name;
use qz_evidence::keys::{Algorithm, PublicKey};
use qz_evidence::payload::{KeyRef, KeyRegistered, KeyRotated};
use qz_evidence::state_proof::Status;

/// What may happen to a key.
pub(super) enum Command {
    Rotate(PublicKey),
    Revoke,
}

/// The state machine of keys.
pub(super) fn next(subject: SubjectId, state: KeyState, command: Command) -> Result<KeyState, Reject> {
    match (state.status, command) {
        (Status::Active, Command::Rotate(key)) if key == state.key => Err(Reject::KeyUnchanged { subject }),
        (Status::Active, Command::Rotate(key)) => Ok(KeyState { key, ..state }),
        (Status::Active, Command::Revoke) => Ok(KeyState { status: Status::Revoked, ..state }),
        (_, Command::Rotate(_) | Command::Revoke) => Err(Reject::KeyRevoked { subject }),
    }
}

fn check_new_key(key: &PublicKey) -> Result<(), Reject> {
    match key.algorithm {
        Algorithm::WebAuthn => Err(Reject::AlgorithmNotYet),
        Algorithm::Ed25519 | Algorithm::Es256 if key.is_well_formed() => Ok(()),
        Algorithm::Ed25519 | Algorithm::Es256 => Err(Reject::KeyMalformed),
    }
}

/// Actors: the new key itself, then the attestor's office.
pub(super) fn registered<V: View>(c: &Context<'_, '_, V>, fields: &KeyRegistered) -> Result<Outcome, Refusal> {
    let [holder, office] = c.actors()?;
    check_new_key(&fields.key)?;
    for needed in [name::NAME, name::ID_CODE, name::IDENTITY_CHECK] {
        c.commitment(needed)?;
    }
    let (attestor, office_key) = c.attestor(&fields.attestor)?;
    c.check_foreign(&fields.attestor)?;
    for (actor, expected) in [(holder, c.created), (office, attestor)] {
        if actor.subject != expected {
            return Err(Reject::ActorNotEntitled { subject: actor.subject }.into());
        }
    }
    let state = KeyState { status: Status::Active, key: fields.key.clone(), attestor: fields.attestor.clone() };
    Ok(Outcome::creates(vec![fields.key.clone(), office_key], c.created, SubjectState::Key(state)))
}

/// Actors: the old key or the office of the key's attestor; then the new key, under the same subject.
pub(super) fn rotated<V: View>(c: &Context<'_, '_, V>, fields: &KeyRotated) -> Result<Outcome, Refusal> {
    let state = c.overlay.key(&fields.subject)?;
    let [authority, new_key] = c.actors()?;
    check_new_key(&fields.key)?;
    let authority_key = holder_or_attestor(c, &authority.subject, &fields.subject, &state)?;
    if authority.subject != fields.subject {
        // The attestor vouches for the new key as for a first one.
        c.check_foreign(&state.attestor)?;
    }
    if new_key.subject != fields.subject {
        return Err(Reject::ActorNotEntitled { subject: new_key.subject }.into());
    }
    let state = next(fields.subject, state, Command::Rotate(fields.key.clone()))?;
    let touched = vec![(fields.subject, SubjectState::Key(state))];
    Ok(Outcome::changes(vec![authority_key, fields.key.clone()], touched))
}

/// Actor: the key itself or the office of its attestor.
pub(super) fn revoked<V: View>(c: &Context<'_, '_, V>, fields: &KeyRef) -> Result<Outcome, Refusal> {
    let state = c.overlay.key(&fields.subject)?;
    let [authority] = c.actors()?;
    let authority_key = holder_or_attestor(c, &authority.subject, &fields.subject, &state)?;
    let state = next(fields.subject, state, Command::Revoke)?;
    Ok(Outcome::changes(vec![authority_key], vec![(fields.subject, SubjectState::Key(state))]))
}

/// Only the organisation that attested to a key may end or replace it, not any attestor.
fn holder_or_attestor<V: View>(
    c: &Context<'_, '_, V>, actor: &SubjectId, subject: &SubjectId, state: &KeyState,
) -> Result<PublicKey, Refusal> {
    if actor == subject {
        return Ok(state.key.clone());
    }
    if *actor == SubjectId::of_organisation(&c.overlay.chain_id, &state.attestor) {
        return Ok(c.attestor(&state.attestor)?.1);
    }
    Err(Reject::ActorNotEntitled { subject: *actor }.into())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::rules::spec_table;
    use qz_evidence::{Hash32, OrgId};

    #[test]
    fn transitions() {
        let subject = SubjectId(Hash32([1; 32]));
        let state = |status, byte| KeyState {
            status,
            key: PublicKey::ed25519([byte; 32]),
            attestor: OrgId::new("notary").unwrap(),
        };
        let rotate = |byte| Command::Rotate(PublicKey::ed25519([byte; 32]));
        let table = [
            (state(Status::Active, 1), rotate(2), Ok(state(Status::Active, 2))),
            (state(Status::Active, 1), rotate(1), Err(Reject::KeyUnchanged { subject })),
            (state(Status::Active, 1), Command::Revoke, Ok(state(Status::Revoked, 1))),
            (state(Status::Revoked, 1), rotate(2), Err(Reject::KeyRevoked { subject })),
            (state(Status::Revoked, 1), Command::Revoke, Err(Reject::KeyRevoked { subject })),
        ];
        for (state, command, expected) in table {
            assert_eq!(next(subject, state, command), expected);
        }
        let states = [Status::Active, Status::Revoked];
        let mut found = spec_table::Transitions::new();
        for status in states {
            for (kind, command) in [("key.rotated", rotate(9)), ("key.revoked", Command::Revoke)] {
                let after = next(subject, state(status, 1), command).map(|state| state.status);
                let after = after.into_iter().map(spec_table::name).collect();
                found.insert((kind.to_owned(), spec_table::name(status)), after);
            }
        }
        spec_table::compare(&spec_table::read("key", &states), &found);
    }
}
