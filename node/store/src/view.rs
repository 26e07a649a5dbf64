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

impl StoreView<'_> {
    /// The node as it is in the database.
    pub(crate) fn stored_node(&self, key: &NodeKey) -> Result<Option<Node>, StoreError> {
        let key = keys::tree_node(key);
        let Some(bytes) = self.get(keys::TREE_NODES, &key)? else { return Ok(None) };
        let node = borsh::from_slice(&bytes).map_err(|error| StoreError::corrupt(keys::TREE_NODES, &key, error))?;
        Ok(Some(node))
    }
}

impl TreeReader for StoreView<'_> {
    fn get_node_option(&self, key: &NodeKey) -> anyhow::Result<Option<Node>> {
        if let Some(node) = self.store.nodes.get(key) {
            return Ok(Some(node));
        }
        let node = self.stored_node(key)?;
        self.store.nodes.extend(node.iter().map(|node| (key, node)));
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
    fn subject(&self, id: &SubjectId) -> Result<Option<Subject>, ViewError> {
        self.stored_subject(id).map_err(ViewError::new)
    }
    fn recorded_body(&self, digest: &Hash32) -> Result<Option<Height>, ViewError> {
        Ok(self.place(keys::BODIES, digest).map_err(ViewError::new)?.map(|place| place.height))
    }
    fn recorded_id(&self, relay: &OrgId, id: &SubmissionId) -> Result<Option<Height>, ViewError> {
        let key = keys::relayed(relay, id);
        let Some(bytes) = self.get(keys::RELAYED, &key).map_err(ViewError::new)? else { return Ok(None) };
        let height = keys::height_from(&bytes)
            .ok_or_else(|| ViewError::new(StoreError::corrupt(keys::RELAYED, &key, "no height")))?;
        Ok(Some(height))
    }
}
