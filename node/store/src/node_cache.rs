//! Nodes of the state tree that were written or read lately. Every block reads the path to each subject that it
//! changes, and the blocks before have just written most of it.
//!
//! A node's key carries the version that wrote it, so a node never changes and nothing here can be old. Only speed
//! depends on this: what is forgotten is read from the database again.

use jmt::storage::{Node, NodeKey};
use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// Nodes of a generation, about 1 KiB each.
const CAPACITY: usize = 16_384;

/// A bounded set of nodes; it holds between [`CAPACITY`] and twice as many of the latest.
#[derive(Default)]
pub(crate) struct NodeCache(Mutex<Generations>);

#[derive(Default)]
struct Generations {
    young: HashMap<NodeKey, Node>,
    old: HashMap<NodeKey, Node>,
}

impl NodeCache {
    /// Remembers nodes that are in the database.
    pub(crate) fn extend<'n>(&self, nodes: impl IntoIterator<Item = (&'n NodeKey, &'n Node)>) {
        let mut generations = self.generations();
        for (key, node) in nodes {
            generations.insert(key.clone(), node.clone());
        }
    }

    /// The node of this key, if it is remembered.
    pub(crate) fn get(&self, key: &NodeKey) -> Option<Node> {
        let generations = self.generations();
        generations.young.get(key).or_else(|| generations.old.get(key)).cloned()
    }

    fn generations(&self) -> MutexGuard<'_, Generations> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Generations {
    fn insert(&mut self, key: NodeKey, node: Node) {
        if self.young.len() >= CAPACITY {
            self.old = std::mem::take(&mut self.young);
        }
        self.young.insert(key, node);
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn the_latest_are_kept_and_the_set_is_bounded() {
        let cache = NodeCache::default();
        let key = |version| qz_chain::tree::root_key(qz_evidence::Height(version));
        for version in 0..(3 * CAPACITY as u64) {
            cache.extend([(&key(version), &Node::Null)]);
        }
        let newest = 3 * CAPACITY as u64 - 1;
        assert_eq!(cache.get(&key(newest)), Some(Node::Null));
        assert_eq!(cache.get(&key(newest - CAPACITY as u64)), Some(Node::Null));
        assert_eq!(cache.get(&key(0)), None);
        let generations = cache.generations();
        assert!(generations.young.len() + generations.old.len() <= 2 * CAPACITY);
    }
}
