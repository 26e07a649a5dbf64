//! A bounded map of what was put lately, for caches.

use std::borrow::Borrow;
use std::collections::HashMap;
use std::hash::Hash;

/// Holds between `capacity` and twice as many of the latest entries: when the young are that many they become the
/// old, and the old before them are forgotten. It keeps its memory: a map that begins anew would grow step by step,
/// moving everything and touching fresh pages each time.
#[derive(Debug)]
pub struct Generations<K, V> {
    capacity: usize,
    young: HashMap<K, V>,
    old: HashMap<K, V>,
}

impl<K: Eq + Hash, V> Generations<K, V> {
    /// An empty map.
    pub fn new(capacity: usize) -> Self {
        Self { capacity, young: HashMap::new(), old: HashMap::new() }
    }

    /// The value of a key, if it is not forgotten.
    pub fn get<Q: Eq + Hash + ?Sized>(&self, key: &Q) -> Option<&V>
    where
        K: Borrow<Q>,
    {
        self.young.get(key).or_else(|| self.old.get(key))
    }

    /// Puts a value in the place of an older one.
    pub fn put(&mut self, key: K, value: V) {
        if self.young.len() >= self.capacity {
            std::mem::swap(&mut self.young, &mut self.old);
            self.young.clear();
        }
        self.young.insert(key, value);
    }

    /// Forgets a key.
    pub fn remove<Q: Eq + Hash + ?Sized>(&mut self, key: &Q)
    where
        K: Borrow<Q>,
    {
        self.young.remove(key);
        self.old.remove(key);
    }

    /// How many entries there are, those that were put again counted twice.
    pub fn len(&self) -> usize {
        self.young.len() + self.old.len()
    }

    /// Is nothing remembered?
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn the_latest_are_kept_and_the_map_is_bounded() {
        let mut map = Generations::new(8);
        for key in 0..24 {
            map.put(key, key * 2);
        }
        assert_eq!(map.get(&23), Some(&46));
        assert_eq!(map.get(&15), Some(&30));
        assert_eq!(map.get(&0), None);
        assert!(map.len() <= 16 && !map.is_empty());
        assert!(map.young.capacity() >= 8, "memory is kept");
        // What stands in both is the younger, and goes from both.
        map.put(15, 1);
        assert_eq!(map.get(&15), Some(&1));
        map.remove(&15);
        assert_eq!(map.get(&15), None);
    }
}
