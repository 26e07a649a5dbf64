//! Seals: made by an owner, authorised for keys, suspended, resumed, destroyed, and used in contracts.

use super::{Context, Outcome};
use crate::overlay::Refusal;
use crate::reject::Reject;
use crate::state::{Authorisation, MAX_AUTHORISATIONS, SealState, SubjectState};
use crate::view::View;
use qz_evidence::commitment::name;
use qz_evidence::payload::{SealAuthorised, SealKeyRef, SealMade, SealRef};
use qz_evidence::state_proof::Status;
use qz_evidence::{Height, SubjectId};

/// What may happen to a seal.
#[derive(Clone, Debug)]
pub(super) enum Command {
    Authorise(Authorisation),
    Revoke {
        key: SubjectId,
    },
    Suspend,
    Resume,
    Destroy,
    /// A key applies the seal to a contract.
    Use {
        key: SubjectId,
        height: Height,
    },
}

/// The state machine of seals.
pub(super) fn next(seal: SubjectId, state: SealState, command: Command) -> Result<SealState, Reject> {
    match (state.status, command) {
        (Status::Active, Command::Authorise(authorisation)) => authorise(seal, state, authorisation),
        (Status::Active, Command::Use { key, height }) => use_by(seal, state, key, height),
        (Status::Active | Status::Suspended, Command::Revoke { key }) => revoke(seal, state, key),
        (Status::Active, Command::Suspend) => Ok(SealState { status: Status::Suspended, ..state }),
        (Status::Suspended, Command::Resume) => Ok(SealState { status: Status::Active, ..state }),
        (Status::Active, Command::Resume) => Err(Reject::SealNotSuspended { seal }),
        (Status::Active | Status::Suspended, Command::Destroy) => {
            Ok(SealState { status: Status::Destroyed, authorisations: vec![], ..state })
        }
        (Status::Suspended, _) => Err(Reject::SealSuspended { seal }),
        (_, _) => Err(Reject::SealDestroyed { seal }),
    }
}

/// A new authorisation of the same key takes the place of the old.
fn authorise(seal: SubjectId, mut state: SealState, authorisation: Authorisation) -> Result<SealState, Reject> {
    match state.authorisations.binary_search_by_key(&authorisation.key, |a| a.key) {
        Ok(position) => state.authorisations[position] = authorisation,
        Err(_) if state.authorisations.len() >= MAX_AUTHORISATIONS => {
            return Err(Reject::SealAuthorisationLimit { seal, limit: MAX_AUTHORISATIONS });
        }
        Err(position) => state.authorisations.insert(position, authorisation),
    }
    Ok(state)
}

fn revoke(seal: SubjectId, mut state: SealState, key: SubjectId) -> Result<SealState, Reject> {
    match state.authorisations.binary_search_by_key(&key, |a| a.key) {
        Ok(position) => {
            state.authorisations.remove(position);
            Ok(state)
        }
        Err(_) => Err(Reject::SealNotAuthorised { seal, key }),
    }
}

/// The owner's own use is never counted.
fn use_by(seal: SubjectId, mut state: SealState, key: SubjectId, height: Height) -> Result<SealState, Reject> {
    if key == state.owner {
        return Ok(state);
    }
    let Some(authorisation) = state.authorisations.iter_mut().find(|a| a.key == key) else {
        return Err(Reject::SealNotAuthorised { seal, key });
    };
    if let Some(until) = authorisation.until.filter(|until| *until < height) {
        return Err(Reject::SealAuthorisationEnded { seal, key, until });
    }
    if let Some(left) = authorisation.count_left {
        authorisation.count_left = Some(left.checked_sub(1).ok_or(Reject::SealUsesExhausted { seal, key })?);
    }
    Ok(state)
}

/// Actor: the owner's key.
pub(super) fn made<V: View>(c: &Context<'_, '_, V>, fields: &SealMade) -> Result<Outcome, Refusal> {
    let keys = c.sole_actor(&fields.owner)?;
    c.commitment(name::IMPRINT)?;
    c.commitment(name::CERTIFICATE)?;
    let state = SealState { status: Status::Active, owner: fields.owner, kind: fields.kind, authorisations: vec![] };
    Ok(Outcome::creates(keys, c.created, SubjectState::Seal(state)))
}

/// Actor: the owner's key. The authorised key must be in force and the authorisation allow some use.
pub(super) fn authorised<V: View>(c: &Context<'_, '_, V>, fields: &SealAuthorised) -> Result<Outcome, Refusal> {
    if fields.count == Some(0) || fields.until.is_some_and(|until| until < c.height) {
        return Err(Reject::SealAuthorisationEmpty.into());
    }
    c.active_key(&fields.key)?;
    let authorisation = Authorisation { key: fields.key, count_left: fields.count, until: fields.until };
    by_owner(c, &fields.seal, Command::Authorise(authorisation))
}

/// Actor: the owner's key.
pub(super) fn revoked<V: View>(c: &Context<'_, '_, V>, fields: &SealKeyRef) -> Result<Outcome, Refusal> {
    by_owner(c, &fields.seal, Command::Revoke { key: fields.key })
}

/// Actor: the owner's key.
pub(super) fn suspended<V: View>(c: &Context<'_, '_, V>, fields: &SealRef) -> Result<Outcome, Refusal> {
    by_owner(c, &fields.seal, Command::Suspend)
}

/// Actor: the owner's key.
pub(super) fn resumed<V: View>(c: &Context<'_, '_, V>, fields: &SealRef) -> Result<Outcome, Refusal> {
    by_owner(c, &fields.seal, Command::Resume)
}

/// Actor: the owner's key.
pub(super) fn destroyed<V: View>(c: &Context<'_, '_, V>, fields: &SealRef) -> Result<Outcome, Refusal> {
    by_owner(c, &fields.seal, Command::Destroy)
}

fn by_owner<V: View>(c: &Context<'_, '_, V>, seal: &SubjectId, command: Command) -> Result<Outcome, Refusal> {
    let state = c.overlay.seal(seal)?;
    let keys = c.sole_actor(&state.owner)?;
    let state = next(*seal, state, command)?;
    Ok(Outcome::changes(keys, vec![(*seal, SubjectState::Seal(state))]))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rules::spec_table;
    use qz_evidence::Hash32;
    use qz_evidence::payload::SealKind;

    const SEAL: SubjectId = SubjectId(Hash32([1; 32]));
    const OWNER: SubjectId = SubjectId(Hash32([2; 32]));
    const CLERK: SubjectId = SubjectId(Hash32([3; 32]));

    fn state(status: Status, authorisations: &[Authorisation]) -> SealState {
        SealState { status, owner: OWNER, kind: SealKind::Official, authorisations: authorisations.to_vec() }
    }

    fn clerk(count_left: Option<u32>, until: Option<u64>) -> Authorisation {
        Authorisation { key: CLERK, count_left, until: until.map(Height) }
    }

    #[test]
    fn transitions() {
        use Status::{Active, Destroyed, Suspended};
        let at = |key, height| Command::Use { key, height: Height(height) };
        let two = [clerk(Some(2), Some(9))];
        let one = [clerk(Some(1), Some(9))];
        let none = [clerk(Some(0), Some(9))];
        let suspended = || Err(Reject::SealSuspended { seal: SEAL });
        let destroyed = || Err(Reject::SealDestroyed { seal: SEAL });
        let stranger = || Err(Reject::SealNotAuthorised { seal: SEAL, key: CLERK });
        let table = [
            (state(Active, &[]), Command::Authorise(two[0].clone()), Ok(state(Active, &two))),
            (state(Active, &none), Command::Authorise(two[0].clone()), Ok(state(Active, &two))),
            (state(Suspended, &[]), Command::Authorise(two[0].clone()), suspended()),
            (state(Destroyed, &[]), Command::Authorise(two[0].clone()), destroyed()),
            (state(Active, &two), Command::Revoke { key: CLERK }, Ok(state(Active, &[]))),
            (state(Suspended, &two), Command::Revoke { key: CLERK }, Ok(state(Suspended, &[]))),
            (state(Active, &[]), Command::Revoke { key: CLERK }, stranger()),
            (state(Destroyed, &[]), Command::Revoke { key: CLERK }, destroyed()),
            (state(Active, &two), Command::Suspend, Ok(state(Suspended, &two))),
            (state(Suspended, &two), Command::Suspend, suspended()),
            (state(Destroyed, &[]), Command::Suspend, destroyed()),
            (state(Suspended, &two), Command::Resume, Ok(state(Active, &two))),
            (state(Active, &two), Command::Resume, Err(Reject::SealNotSuspended { seal: SEAL })),
            (state(Destroyed, &[]), Command::Resume, destroyed()),
            (state(Active, &two), Command::Destroy, Ok(state(Destroyed, &[]))),
            (state(Suspended, &two), Command::Destroy, Ok(state(Destroyed, &[]))),
            (state(Destroyed, &[]), Command::Destroy, destroyed()),
            (state(Active, &two), at(OWNER, 5), Ok(state(Active, &two))),
            (state(Active, &two), at(CLERK, 5), Ok(state(Active, &one))),
            (state(Active, &one), at(CLERK, 9), Ok(state(Active, &none))),
            (state(Active, &none), at(CLERK, 9), Err(Reject::SealUsesExhausted { seal: SEAL, key: CLERK })),
            (
                state(Active, &two),
                at(CLERK, 10),
                Err(Reject::SealAuthorisationEnded { seal: SEAL, key: CLERK, until: Height(9) }),
            ),
            (state(Active, &[clerk(None, None)]), at(CLERK, 10), Ok(state(Active, &[clerk(None, None)]))),
            (state(Active, &[]), at(CLERK, 5), stranger()),
            (state(Suspended, &two), at(CLERK, 5), suspended()),
            (state(Suspended, &two), at(OWNER, 5), suspended()),
            (state(Destroyed, &[]), at(OWNER, 5), destroyed()),
        ];
        for (before, command, expected) in table {
            assert_eq!(next(SEAL, before.clone(), command.clone()), expected, "{before:?} {command:?}");
        }
    }

    #[test]
    fn every_state_takes_the_kinds_of_the_specification() {
        let states = [Status::Active, Status::Suspended, Status::Destroyed];
        let commands = [
            ("seal.authorised", Command::Authorise(clerk(None, None))),
            ("seal.revoked", Command::Revoke { key: CLERK }),
            ("seal.suspended", Command::Suspend),
            ("seal.resumed", Command::Resume),
            ("seal.destroyed", Command::Destroy),
            ("contract.signed", Command::Use { key: CLERK, height: Height(1) }),
        ];
        let mut found = spec_table::Transitions::new();
        for status in states {
            for (kind, command) in &commands {
                let authorisations = [clerk(Some(2), Some(9))];
                let after = next(SEAL, state(status, &authorisations), command.clone()).map(|state| state.status);
                let after = after.into_iter().map(spec_table::name).collect();
                found.insert(((*kind).to_owned(), spec_table::name(status)), after);
            }
        }
        spec_table::compare(&spec_table::read("seal", &states), &found);
    }

    #[test]
    fn authorisations_are_bounded_and_sorted() {
        let mut seal = state(Status::Active, &[]);
        for i in (0..MAX_AUTHORISATIONS).rev() {
            let key = SubjectId(Hash32([u8::try_from(i).unwrap_or(255); 32]));
            let authorisation = Authorisation { key, count_left: None, until: None };
            seal = next(SEAL, seal.clone(), Command::Authorise(authorisation)).unwrap_or(seal);
        }
        assert_eq!(seal.authorisations.len(), MAX_AUTHORISATIONS);
        assert!(seal.authorisations.windows(2).all(|pair| pair[0].key < pair[1].key));
        let extra = Authorisation { key: SubjectId(Hash32([200; 32])), count_left: None, until: None };
        let refused = next(SEAL, seal, Command::Authorise(extra));
        assert_eq!(refused, Err(Reject::SealAuthorisationLimit { seal: SEAL, limit: MAX_AUTHORISATIONS }));
    }
}
