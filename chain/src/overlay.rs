//! A view with the changes of the block under construction on top, so that its submissions see each other.

use crate::governance::{Consortium, Replay, Upgrade, governance_state};
use crate::reject::Reject;
use crate::state::{ContractState, KeyState, OrganisationState, SealState, Subject, SubjectState};
use crate::view::{View, ViewError};
use qz_evidence::state_proof::SubjectType;
use qz_evidence::{Hash32, OrgId, SubjectId, SubmissionId};
use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use thiserror::Error;

/// Why a submission does not apply: its own fault, or this machine's.
#[derive(Debug, Error)]
pub enum Refusal {
    /// The rules refuse it.
    #[error(transparent)]
    Rejected(#[from] Reject),
    /// The state cannot be read.
    #[error(transparent)]
    View(#[from] ViewError),
}

pub(crate) struct Overlay<'v, V> {
    pub view: &'v V,
    pub chain_id: Hash32,
    /// Which recorded submissions count against replays.
    pub replay: Replay,
    /// The upgrade that was decided last, as of the tip; it may have taken effect.
    pub upgrade: Option<Upgrade>,
    /// The consortium, once a submission of this block changed it.
    consortium: Option<Consortium>,
    subjects: BTreeMap<SubjectId, Arc<Subject>>,
    /// What was read from the view before: organisations and keys are asked for again and again.
    read: RefCell<BTreeMap<SubjectId, Option<Arc<Subject>>>>,
    bodies: BTreeSet<Hash32>,
    ids: BTreeSet<(OrgId, SubmissionId)>,
}

impl<'v, V: View> Overlay<'v, V> {
    pub fn new(view: &'v V) -> Result<Self, ViewError> {
        let (subjects, read, bodies, ids) = Default::default();
        let state = governance_state(view)?;
        let replay = match &state {
            Some(state) => state.replay(),
            None => Replay::since_genesis(&view.params()?),
        };
        let upgrade = state.and_then(|state| state.upgrade);
        Ok(Self { view, chain_id: view.chain_id(), replay, upgrade, consortium: None, subjects, read, bodies, ids })
    }

    /// The consortium after the submissions so far.
    pub fn consortium(&self) -> Result<Consortium, ViewError> {
        match &self.consortium {
            Some(consortium) => Ok(consortium.clone()),
            None => Consortium::of(self.view),
        }
    }

    pub fn put_consortium(&mut self, consortium: Consortium) {
        self.consortium = Some(consortium);
    }

    pub fn has_body(&self, digest: &Hash32) -> bool {
        self.bodies.contains(digest)
    }

    pub fn has_id(&self, relay: &OrgId, id: &SubmissionId) -> bool {
        self.ids.contains(&(relay.clone(), *id))
    }

    pub fn remember(&mut self, digest: Hash32, relay: OrgId, id: SubmissionId) {
        self.bodies.insert(digest);
        self.ids.insert((relay, id));
    }

    pub fn put(&mut self, id: SubjectId, subject: Subject) {
        self.subjects.insert(id, Arc::new(subject));
    }

    /// The changed subjects, ascending, and the consortium if it was changed.
    pub fn into_parts(self) -> (Vec<(SubjectId, Subject)>, Option<Consortium>) {
        let subjects = self.subjects.into_iter();
        (subjects.map(|(id, subject)| (id, Arc::unwrap_or_clone(subject))).collect(), self.consortium)
    }

    pub fn find(&self, id: &SubjectId) -> Result<Option<Arc<Subject>>, ViewError> {
        if let Some(subject) = self.subjects.get(id) {
            return Ok(Some(subject.clone()));
        }
        if let Some(known) = self.read.borrow().get(id) {
            return Ok(known.clone());
        }
        let found = self.view.subject(id)?;
        self.read.borrow_mut().insert(*id, found.clone());
        Ok(found)
    }

    fn known(&self, id: &SubjectId) -> Result<Arc<Subject>, Refusal> {
        Ok(self.find(id)?.ok_or(Reject::SubjectUnknown { subject: *id })?)
    }

    pub fn key(&self, id: &SubjectId) -> Result<KeyState, Refusal> {
        match &self.known(id)?.state {
            SubjectState::Key(key) => Ok(key.clone()),
            other => Err(wrong_type(id, other, SubjectType::Key)),
        }
    }

    pub fn seal(&self, id: &SubjectId) -> Result<SealState, Refusal> {
        match &self.known(id)?.state {
            SubjectState::Seal(seal) => Ok(seal.clone()),
            other => Err(wrong_type(id, other, SubjectType::Seal)),
        }
    }

    pub fn contract(&self, id: &SubjectId) -> Result<ContractState, Refusal> {
        match &self.known(id)?.state {
            SubjectState::Contract(contract) => Ok(contract.clone()),
            other => Err(wrong_type(id, other, SubjectType::Contract)),
        }
    }

    pub fn organisation(&self, id: &OrgId) -> Result<Option<Organisation>, ViewError> {
        let subject = SubjectId::of_organisation(&self.chain_id, id);
        let Some(found) = self.find(&subject)? else { return Ok(None) };
        let no_organisation = || ViewError::new(format!("the subject of organisation {id} is not an organisation"));
        Organisation::of(found).map(Some).ok_or_else(no_organisation)
    }
}

/// An organisation's state, where it is kept: each submission asks for its relay's, and a copy of that costs more than
/// the rest of the question.
pub(crate) struct Organisation(Arc<Subject>);

impl Organisation {
    fn of(subject: Arc<Subject>) -> Option<Self> {
        matches!(subject.state, SubjectState::Organisation(_)).then_some(Self(subject))
    }
}

impl std::ops::Deref for Organisation {
    type Target = OrganisationState;

    fn deref(&self) -> &OrganisationState {
        match &self.0.state {
            SubjectState::Organisation(organisation) => organisation,
            other => unreachable!("{:?} was taken for an organisation", other.subject_type()),
        }
    }
}

fn wrong_type(id: &SubjectId, found: &SubjectState, expected: SubjectType) -> Refusal {
    Reject::SubjectType { subject: *id, found: found.subject_type(), expected }.into()
}
