//! Nodes of the state tree that were written or read lately. Every block reads the path to each subject that it
//! changes, and the blocks before have just written most of it.
//!
//! A node's key carries the version that wrote it, so a node never changes and nothing here can be old. What a
//! block makes stale is forgotten, since no later block reads it. Only speed depends on all this: what is forgotten is
//! read from the database again.

use jmt::storage::{Node, NodeKey, TreeUpdateBatch};
use qz_chain::generations::Generations;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// Nodes of a generation: leaves of about 200 bytes mostly, and inner nodes of at most about 1 KiB.
const CAPACITY: usize = 131_072;

/// A bounded set of the latest nodes.
pub(crate) struct NodeCache(Mutex<Generations<NodeKey, Node>>);

impl Default for NodeCache {
    fn default() -> Self {
        Self(Mutex::new(Generations::new(CAPACITY)))
    }
}

impl NodeCache {
    /// Remembers the nodes of a block that is in the database, and forgets those it replaced.
    pub(crate) fn commit(&self, tree: &TreeUpdateBatch) {
        let mut nodes = self.nodes();
        for stale in &tree.stale_node_index_batch {
            nodes.remove(&stale.node_key);
        }
        for (key, node) in tree.node_batch.nodes() {
            nodes.put(key.clone(), node.clone());
        }
    }

    /// Remembers a node that is in the database.
    pub(crate) fn put(&self, key: &NodeKey, node: &Node) {
        self.nodes().put(key.clone(), node.clone());
    }

    /// The node of this key, if it is remembered.
    pub(crate) fn get(&self, key: &NodeKey) -> Option<Node> {
        self.nodes().get(key).cloned()
    }

    fn nodes(&self) -> MutexGuard<'_, Generations<NodeKey, Node>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use jmt::storage::{NodeBatch, StaleNodeIndex};
    use qz_chain::tree::root_key;
    use qz_evidence::Height;

    #[test]
    fn what_a_block_replaces_is_forgotten() {
        let cache = NodeCache::default();
        let (before, after) = (root_key(Height(1)), root_key(Height(2)));
        cache.put(&before, &Node::Null);
        assert_eq!(cache.get(&before), Some(Node::Null));
        let tree = TreeUpdateBatch {
            node_batch: NodeBatch::new([(after.clone(), Node::Null)].into(), [].into()),
            stale_node_index_batch: [StaleNodeIndex { stale_since_version: 2, node_key: before.clone() }].into(),
            ..Default::default()
        };
        cache.commit(&tree);
        assert_eq!(cache.get(&before), None);
        assert_eq!(cache.get(&after), Some(Node::Null));
    }
}
