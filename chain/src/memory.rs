//! A ledger in memory: for tests, and for tools that need the state of a genesis without a disk. It keeps
//! every version and forgets all of it at exit; the node uses `qz-store`.

use crate::changes::ChangeSet;
use crate::genesis::genesis_state;
use crate::governance::Member;
use crate::state::Subject;
use crate::view::{View, ViewError};
use jmt::storage::{LeafNode, Node, NodeKey, TreeReader, TreeUpdateBatch};
use jmt::{KeyHash, OwnedValue, Version};
use qz_evidence::genesis::{Genesis, Params};
use qz_evidence::header::Header;
use qz_evidence::history::Frontier;
use qz_evidence::validators::ValidatorSet;
use qz_evidence::{Hash32, Height, OrgId, SubjectId, SubmissionId, decode_strict};
use std::collections::BTreeMap;
use std::sync::Arc;

/// Nodes and values of a state tree, every version.
#[derive(Debug, Default)]
pub struct MemoryTree {
    nodes: BTreeMap<NodeKey, Node>,
    values: BTreeMap<(KeyHash, Version), Option<OwnedValue>>,
}

impl MemoryTree {
    /// Adds what an update brought. Nothing is overwritten: a node key stands for one node for ever.
    pub fn apply(&mut self, batch: &TreeUpdateBatch) -> Result<(), ViewError> {
        for (key, node) in batch.node_batch.nodes() {
            if self.nodes.insert(key.clone(), node.clone()).is_some() {
                return Err(ViewError::new(format!("state tree node {key:?} written twice")));
            }
        }
        for ((version, key), value) in batch.node_batch.values() {
            self.values.insert((*key, *version), value.clone());
        }
        Ok(())
    }
}

#[cfg(test)]
impl MemoryTree {
    /// Without what an update made stale.
    pub(crate) fn without_stale(mut self, batch: &TreeUpdateBatch) -> Self {
        for stale in &batch.stale_node_index_batch {
            assert!(self.nodes.remove(&stale.node_key).is_some(), "{stale:?} was never there");
        }
        self
    }
}

impl TreeReader for MemoryTree {
    fn get_node_option(&self, key: &NodeKey) -> anyhow::Result<Option<Node>> {
        Ok(self.nodes.get(key).cloned())
    }

    fn get_value_option(&self, max_version: Version, key: KeyHash) -> anyhow::Result<Option<OwnedValue>> {
        let newest = self.values.range((key, 0)..=(key, max_version)).next_back();
        Ok(newest.and_then(|(_, value)| value.clone()))
    }

    fn get_rightmost_leaf(&self) -> anyhow::Result<Option<(NodeKey, LeafNode)>> {
        anyhow::bail!("restoring a state tree from its leaves is not supported")
    }
}

/// A ledger in memory.
#[derive(Debug)]
pub struct MemoryView {
    header: Header,
    frontier: Frontier,
    validators: ValidatorSet,
    params: Params,
    organisations: BTreeMap<OrgId, Member>,
    tree: MemoryTree,
    subjects: BTreeMap<SubjectId, Subject>,
    bodies: BTreeMap<Hash32, Height>,
    ids: BTreeMap<(OrgId, SubmissionId), Height>,
}

impl MemoryView {
    /// The ledger at height 0.
    pub fn new(genesis: &Genesis) -> Result<Self, ViewError> {
        let (header, changes) = genesis_state(genesis)?;
        let mut view = Self {
            header,
            frontier: Frontier::default(),
            validators: genesis.validators().clone(),
            params: genesis.body().params.clone(),
            organisations: BTreeMap::new(),
            tree: MemoryTree::default(),
            subjects: BTreeMap::new(),
            bodies: BTreeMap::new(),
            ids: BTreeMap::new(),
        };
        view.apply(&changes)?;
        Ok(view)
    }

    /// Moves on by one block.
    pub fn apply(&mut self, changes: &ChangeSet) -> Result<(), ViewError> {
        self.header = decode_strict(&changes.header).map_err(ViewError::new)?;
        self.frontier = changes.frontier.clone();
        self.tree.apply(&changes.tree)?;
        self.subjects.extend(changes.subjects.iter().cloned());
        for entry in &changes.replay {
            self.bodies.insert(entry.body_digest, changes.height);
            self.ids.insert((entry.relay.clone(), entry.id), changes.height);
        }
        self.organisations.extend(changes.organisations.iter().map(|member| (member.id().clone(), member.clone())));
        if let Some(params) = &changes.params {
            self.params = params.clone();
        }
        if let Some(validators) = &changes.validators {
            self.validators = validators.clone();
        }
        Ok(())
    }
}

impl TreeReader for MemoryView {
    fn get_node_option(&self, key: &NodeKey) -> anyhow::Result<Option<Node>> {
        self.tree.get_node_option(key)
    }

    fn get_value_option(&self, max_version: Version, key: KeyHash) -> anyhow::Result<Option<OwnedValue>> {
        self.tree.get_value_option(max_version, key)
    }

    fn get_rightmost_leaf(&self) -> anyhow::Result<Option<(NodeKey, LeafNode)>> {
        self.tree.get_rightmost_leaf()
    }
}

impl View for MemoryView {
    fn chain_id(&self) -> Hash32 {
        self.header.chain_id
    }
    fn tip(&self) -> Result<Header, ViewError> {
        Ok(self.header.clone())
    }
    fn frontier(&self) -> Result<Frontier, ViewError> {
        Ok(self.frontier.clone())
    }
    fn validators(&self) -> Result<ValidatorSet, ViewError> {
        Ok(self.validators.clone())
    }
    fn params(&self) -> Result<Params, ViewError> {
        Ok(self.params.clone())
    }
    fn organisations(&self) -> Result<Vec<Member>, ViewError> {
        Ok(self.organisations.values().cloned().collect())
    }
    fn subject(&self, id: &SubjectId) -> Result<Option<Arc<Subject>>, ViewError> {
        Ok(self.subjects.get(id).cloned().map(Arc::new))
    }
    fn recorded_body(&self, digest: &Hash32) -> Result<Option<Height>, ViewError> {
        Ok(self.bodies.get(digest).copied())
    }
    fn recorded_id(&self, relay: &OrgId, id: &SubmissionId) -> Result<Option<Height>, ViewError> {
        Ok(self.ids.get(&(relay.clone(), *id)).copied())
    }
}
