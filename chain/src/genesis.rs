//! Height 0: the header and state that derive from the genesis, the same for everybody.

use crate::changes::ChangeSet;
use crate::governance::Member;
use crate::memory::MemoryTree;
use crate::state::{OrganisationState, Subject, SubjectState};
use crate::view::ViewError;
use qz_evidence::genesis::Genesis;
use qz_evidence::header::{Header, HeaderTag, block_id};
use qz_evidence::history::{Frontier, empty_root, leaf_hash};
use qz_evidence::records_tree::RecordsTree;
use qz_evidence::state_proof::Status;
use qz_evidence::{Hash32, Height, SubjectId, encode};

/// Header 0 and the organisations as subjects.
pub fn genesis_state(genesis: &Genesis) -> Result<(Header, ChangeSet), ViewError> {
    let chain_id = genesis.chain_id();
    let mut subjects: Vec<_> = genesis
        .organisations()
        .iter()
        .map(|organisation| {
            let state = SubjectState::Organisation(OrganisationState::new(organisation));
            (SubjectId::of_organisation(&chain_id, &organisation.id), Subject::new(0, Hash32::ZERO, state))
        })
        .collect();
    subjects.sort_by_key(|(id, _)| *id);
    let heads: Vec<_> = subjects.iter().map(|(id, subject)| (*id, subject.head())).collect();
    let (state_root, tree) = crate::tree::put(&MemoryTree::default(), Height(0), &heads)?;
    let members = genesis.organisations().iter().zip(&genesis.body().cards).map(|(organisation, card)| Member {
        card: encode(card),
        organisation: organisation.clone(),
        status: Status::Active,
        since: Height(0),
    });
    let validators = genesis.validators();
    let params = &genesis.body().params;
    let header = Header {
        tag: HeaderTag,
        chain_id,
        height: Height(0),
        epoch: 0,
        time_ms: genesis.body().time_ms,
        previous: Hash32::ZERO,
        record_count: 0,
        records_root: RecordsTree::new(&[]).root(),
        state_root,
        history_size: 0,
        history_root: empty_root(),
        validators_hash: validators.hash(),
        next_validators_hash: validators.hash(),
        params_hash: params.hash(),
        proposer: Hash32::ZERO,
    };
    let bytes = encode(&header);
    let mut frontier = Frontier::default();
    let leaf = leaf_hash(&bytes);
    let inner = frontier.append(leaf);
    let changes = ChangeSet {
        height: Height(0),
        block_id: block_id(&bytes),
        header: bytes,
        state_root,
        records: vec![],
        subjects,
        tree,
        history_nodes: std::iter::once((0, 0, leaf)).chain(inner).collect(),
        frontier,
        replay: vec![],
        params: Some(params.clone()),
        validators: Some(validators.clone()),
        epoch: 0,
        organisations: members.collect(),
        pending_upgrade: None,
    };
    Ok((header, changes))
}
