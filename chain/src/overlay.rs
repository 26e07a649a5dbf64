//! A view with the changes of the block under construction on top, so that its submissions see each other.

use crate::governance::{Consortium, Replay, Upgrade, governance_state};
use crate::reject::Reject;
use crate::state::{ContractState, KeyState, OrganisationState, SealState, Subject, SubjectState};
use crate::view::{View, ViewError};
use qz_evidence::state_proof::SubjectType;
use qz_evidence::{Hash32, OrgId, SubjectId, SubmissionId};
use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
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
    subjects: BTreeMap<SubjectId, Subject>,
    /// What was read from the view before: organisations and keys are asked for again and again.
    read: RefCell<BTreeMap<SubjectId, Option<Subject>>>,
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
        self.subjects.insert(id, subject);
    }

    pub fn into_parts(self) -> (BTreeMap<SubjectId, Subject>, Option<Consortium>) {
        (self.subjects, self.consortium)
    }

    pub fn find(&self, id: &SubjectId) -> Result<Option<Subject>, ViewError> {
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

    fn state(&self, id: &SubjectId) -> Result<SubjectState, Refusal> {
        let subject = self.find(id)?.ok_or(Reject::SubjectUnknown { subject: *id })?;
        Ok(subject.state)
    }

    pub fn key(&self, id: &SubjectId) -> Result<KeyState, Refusal> {
        match self.state(id)? {
            SubjectState::Key(key) => Ok(key),
            other => Err(wrong_type(id, &other, SubjectType::Key)),
        }
    }

    pub fn seal(&self, id: &SubjectId) -> Result<SealState, Refusal> {
        match self.state(id)? {
            SubjectState::Seal(seal) => Ok(seal),
            other => Err(wrong_type(id, &other, SubjectType::Seal)),
        }
    }

    pub fn contract(&self, id: &SubjectId) -> Result<ContractState, Refusal> {
        match self.state(id)? {
            SubjectState::Contract(contract) => Ok(contract),
            other => Err(wrong_type(id, &other, SubjectType::Contract)),
        }
    }

    pub fn organisation(&self, id: &OrgId) -> Result<Option<OrganisationState>, ViewError> {
        let subject = SubjectId::of_organisation(&self.chain_id, id);
        match self.find(&subject)?.map(|s| s.state) {
            Some(SubjectState::Organisation(organisation)) => Ok(Some(organisation)),
            Some(_) => Err(ViewError::new(format!("the subject of organisation {id} is not an organisation"))),
            None => Ok(None),
        }
    }
}

fn wrong_type(id: &SubjectId, found: &SubjectState, expected: SubjectType) -> Refusal {
    Reject::SubjectType { subject: *id, found: found.subject_type(), expected }.into()
}
