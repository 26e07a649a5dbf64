//! What `qz-chain` reads through: [`View`] and the state tree's [`TreeReader`].

use crate::error::StoreError;
use crate::keys;
use crate::read::StoreView;
use jmt::storage::{LeafNode, Node, NodeKey, TreeReader};
use jmt::{KeyHash, OwnedValue, Version};
use qz_chain::{Member, Subject, View, ViewError};
use qz_evidence::genesis::Params;
use qz_evidence::header::Header;
use qz_evidence::history::Frontier;
use qz_evidence::validators::ValidatorSet;
use qz_evidence::{Hash32, Height, OrgId, SubjectId, SubmissionId};
use std::sync::Arc;

impl StoreView<'_> {
    /// The node as it is in the database.
    pub(crate) fn stored_node(&self, key: &NodeKey) -> Result<Option<Node>, StoreError> {
        let key = keys::tree_node(key);
        let Some(bytes) = self.get(keys::TREE_NODES, &key)? else { return Ok(None) };
        let node = borsh::from_slice(&bytes).map_err(|error| StoreError::corrupt(keys::TREE_NODES, &key, error))?;
        Ok(Some(node))
    }

    /// The subject as it is in the database; it is remembered.
    fn read_subject(&self, id: &SubjectId) -> Result<Option<(Height, Arc<Subject>)>, StoreError> {
        let found = self.stored_subject(id)?.map(|(written, subject)| (written, Arc::new(subject)));
        self.store.recent().learn_subject(*id, found.clone(), self.tip_height());
        Ok(found)
    }

    /// The height of the block that last changed a subject, if it exists: the version of its value in the state tree.
    pub(crate) fn written(&self, id: &SubjectId) -> Result<Option<Height>, StoreError> {
        if let Some(known) = self.store.recent().written(id, self.tip_height()) {
            return Ok(known);
        }
        Ok(self.read_subject(id)?.map(|(written, _)| written))
    }
}

impl TreeReader for StoreView<'_> {
    fn get_node_option(&self, key: &NodeKey) -> anyhow::Result<Option<Node>> {
        if let Some(node) = self.store.nodes.get(key) {
            return Ok(Some(node));
        }
        let node = self.stored_node(key)?;
        if let Some(node) = &node {
            self.store.nodes.put(key, node);
        }
        Ok(node)
    }

    fn get_value_option(&self, max_version: Version, key: KeyHash) -> anyhow::Result<Option<OwnedValue>> {
        Ok(self.newest_value(&key, max_version)?.map(|(_, value)| value))
    }

    fn get_rightmost_leaf(&self) -> anyhow::Result<Option<(NodeKey, LeafNode)>> {
        anyhow::bail!("restoring a state tree from its leaves is not supported")
    }
}

impl View for StoreView<'_> {
    fn chain_id(&self) -> Hash32 {
        self.store.chain_id
    }
    fn tip(&self) -> Result<Header, ViewError> {
        self.tip_header().map_err(ViewError::new)
    }
    fn frontier(&self) -> Result<Frontier, ViewError> {
        self.stored_frontier().map_err(ViewError::new)
    }
    fn validators(&self) -> Result<ValidatorSet, ViewError> {
        self.stored_validators().map_err(ViewError::new)
    }
    fn params(&self) -> Result<Params, ViewError> {
        self.stored_params().map_err(ViewError::new)
    }
    fn organisations(&self) -> Result<Vec<Member>, ViewError> {
        self.members().map_err(ViewError::new)
    }
    fn subject(&self, id: &SubjectId) -> Result<Option<Arc<Subject>>, ViewError> {
        if let Some(known) = self.store.recent().subject(id, self.tip_height()) {
            return Ok(known);
        }
        Ok(self.read_subject(id).map_err(ViewError::new)?.map(|(_, subject)| subject))
    }
    fn recorded_body(&self, digest: &Hash32) -> Result<Option<Height>, ViewError> {
        let tip = self.tip_height();
        if let Some(known) = self.store.recent().body(digest, tip) {
            return Ok(known);
        }
        let height = self.place(keys::BODIES, digest).map_err(ViewError::new)?.map(|place| place.height);
        self.store.recent().learn_body(*digest, height, tip);
        Ok(height)
    }
    fn recorded_id(&self, relay: &OrgId, id: &SubmissionId) -> Result<Option<Height>, ViewError> {
        let (key, tip) = (keys::relayed(relay, id), self.tip_height());
        if let Some(known) = self.store.recent().id(&key, tip) {
            return Ok(known);
        }
        let height = match self.get(keys::RELAYED, &key).map_err(ViewError::new)? {
            None => None,
            Some(bytes) => {
                let no_height = || ViewError::new(StoreError::corrupt(keys::RELAYED, &key, "no height"));
                Some(keys::height_from(&bytes).ok_or_else(no_height)?)
            }
        };
        self.store.recent().learn_id(key, height, tip);
        Ok(height)
    }
}
