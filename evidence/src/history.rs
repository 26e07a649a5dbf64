//! The history tree over header bytes: a Merkle tree after RFC 9162 §2.1 with SHA-256.
//!
//! Leaf: SHA-256(0x00 ‖ header bytes). Node: SHA-256(0x01 ‖ left ‖ right). Header N carries the root
//! over headers 0 ..= N−1, so the header of a later height proves every earlier one.

use crate::hash::{Hash32, sha256};

/// Leaf hash of header bytes.
pub fn leaf_hash(header: &[u8]) -> Hash32 {
    sha256(&[&[0x00], header])
}

/// Inner node.
pub fn node_hash(left: &Hash32, right: &Hash32) -> Hash32 {
    sha256(&[&[0x01], &left.0, &right.0])
}

/// Root of the empty tree: SHA-256 of nothing.
pub fn empty_root() -> Hash32 {
    sha256(&[])
}

/// The roots of the perfect subtrees on the right edge of a tree: all that is needed to append.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Frontier {
    size: u64,
    /// Roots of perfect subtrees, largest first; their sizes are the binary digits of `size`.
    peaks: Vec<Hash32>,
}

impl Frontier {
    /// Restores a frontier from what [`Frontier::parts`] gave; nothing if the counts disagree.
    pub fn from_parts(size: u64, peaks: Vec<Hash32>) -> Option<Self> {
        (peaks.len() == usize::try_from(size.count_ones()).ok()?).then_some(Self { size, peaks })
    }

    /// Size and peaks.
    pub fn parts(&self) -> (u64, &[Hash32]) {
        (self.size, &self.peaks)
    }

    /// Leaves so far.
    pub fn size(&self) -> u64 {
        self.size
    }

    /// Appends a leaf. Returns the inner nodes that became complete as (level ≥ 1, index, hash); with the
    /// leaf itself as (0, size − 1) they are what a store keeps to make paths later.
    pub fn append(&mut self, leaf: Hash32) -> Vec<(u32, u64, Hash32)> {
        let mut completed = vec![];
        let mut current = leaf;
        let mut index = self.size;
        let mut level = 0;
        while index & 1 == 1 {
            let left = self.peaks.pop().expect("a peak for every binary digit of the size");
            current = node_hash(&left, &current);
            index >>= 1;
            level += 1;
            completed.push((level, index, current));
        }
        self.peaks.push(current);
        self.size += 1;
        completed
    }

    /// The root over all leaves so far.
    pub fn root(&self) -> Hash32 {
        let mut peaks = self.peaks.iter().rev();
        let Some(last) = peaks.next() else { return empty_root() };
        peaks.fold(*last, |right, left| node_hash(left, &right))
    }
}

/// Inclusion path of leaf `index` in the tree over the first `size` leaves, bottom up (RFC 9162 §2.1.3.1).
/// `perfect(level, index)` gives the node over leaves `index·2^level ..`, complete within the tree.
pub fn inclusion_path<E>(
    index: u64, size: u64, perfect: &mut impl FnMut(u32, u64) -> Result<Hash32, E>,
) -> Result<Vec<Hash32>, E> {
    let mut path = vec![];
    // Walk down from the root's range, remembering the sibling of each step; the path is that reversed.
    let (mut start, mut end) = (0, size);
    while end - start > 1 {
        let middle = start + split(end - start);
        if index < middle {
            path.push(range_root(middle, end, perfect)?);
            end = middle;
        } else {
            path.push(range_root(start, middle, perfect)?);
            start = middle;
        }
    }
    path.reverse();
    Ok(path)
}

/// Root over the first `size` leaves; `perfect` as for [`inclusion_path`].
pub fn root<E>(size: u64, perfect: &mut impl FnMut(u32, u64) -> Result<Hash32, E>) -> Result<Hash32, E> {
    if size == 0 { Ok(empty_root()) } else { range_root(0, size, perfect) }
}

/// Proof that the tree over the first `second` leaves continues the one over the first `first` of them,
/// 1 ≤ `first` ≤ `second`, bottom up (RFC 9162 §2.1.4.1); `perfect` as for [`inclusion_path`].
pub fn consistency_path<E>(
    first: u64, second: u64, perfect: &mut impl FnMut(u32, u64) -> Result<Hash32, E>,
) -> Result<Vec<Hash32>, E> {
    let mut path = vec![];
    // Walk down to where the first tree ends. While its right edge is the left edge of what remains, its
    // root is known to the verifier and left out.
    let (mut start, mut end, mut is_first_root) = (0, second, true);
    while end > first {
        let middle = start + split(end - start);
        if first <= middle {
            path.push(range_root(middle, end, perfect)?);
            end = middle;
        } else {
            path.push(range_root(start, middle, perfect)?);
            start = middle;
            is_first_root = false;
        }
    }
    if !is_first_root {
        path.push(range_root(start, end, perfect)?);
    }
    path.reverse();
    Ok(path)
}

/// Does the tree of `second` leaves with `second_root` continue the one of `first` leaves with
/// `first_root` (RFC 9162 §2.1.4.2)? The empty tree, whose continuation proves nothing, is refused.
pub fn is_consistent(first: u64, first_root: &Hash32, second: u64, second_root: &Hash32, path: &[Hash32]) -> bool {
    if first == 0 || first > second {
        return false;
    }
    if first == second {
        return path.is_empty() && first_root == second_root;
    }
    let mut path = path.iter();
    // The root of a perfect first tree is where the path begins, and known.
    let seed = if first.is_power_of_two() { Some(first_root) } else { path.next() };
    let Some(seed) = seed else { return false };
    let (mut position, mut last) = (first - 1, second - 1);
    while position & 1 == 1 {
        position >>= 1;
        last >>= 1;
    }
    let (mut of_first, mut of_second) = (*seed, *seed);
    for sibling in path {
        if last == 0 {
            return false;
        }
        if position & 1 == 1 || position == last {
            of_first = node_hash(sibling, &of_first);
            of_second = node_hash(sibling, &of_second);
            while position & 1 == 0 && position != 0 {
                position >>= 1;
                last >>= 1;
            }
        } else {
            of_second = node_hash(&of_second, sibling);
        }
        position >>= 1;
        last >>= 1;
    }
    last == 0 && of_first == *first_root && of_second == *second_root
}

/// Largest power of two below `n` (n ≥ 2).
fn split(n: u64) -> u64 {
    1 << (63 - (n - 1).leading_zeros())
}

fn range_root<E>(start: u64, end: u64, perfect: &mut impl FnMut(u32, u64) -> Result<Hash32, E>) -> Result<Hash32, E> {
    let length = end - start;
    if length.is_power_of_two() {
        let level = length.trailing_zeros();
        return perfect(level, start >> level);
    }
    let middle = start + split(length);
    let left = range_root(start, middle, perfect)?;
    let right = range_root(middle, end, perfect)?;
    Ok(node_hash(&left, &right))
}

/// Root that leaf hash `leaf` at `index` has in a tree of `size` leaves (RFC 9162 §2.1.3.2); nothing if
/// the index is outside or the path has a wrong length.
pub fn root_from_path(leaf: &Hash32, index: u64, size: u64, path: &[Hash32]) -> Option<Hash32> {
    if index >= size {
        return None;
    }
    let (mut position, mut last) = (index, size - 1);
    let mut current = *leaf;
    for sibling in path {
        if last == 0 {
            return None;
        }
        if position & 1 == 1 || position == last {
            current = node_hash(sibling, &current);
            while position & 1 == 0 && position != 0 {
                position >>= 1;
                last >>= 1;
            }
        } else {
            current = node_hash(&current, sibling);
        }
        position >>= 1;
        last >>= 1;
    }
    (last == 0).then_some(current)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use std::collections::HashMap;

    /// RFC 9162 §2.1.1, straight from its definition.
    fn reference_root(leaves: &[Hash32]) -> Hash32 {
        match leaves {
            [] => empty_root(),
            [one] => *one,
            many => {
                let (left, right) = many.split_at(split(many.len() as u64) as usize);
                node_hash(&reference_root(left), &reference_root(right))
            }
        }
    }

    #[test]
    fn frontier_and_every_path_up_to_130_agree_with_the_definition() {
        let mut frontier = Frontier::default();
        let mut nodes = HashMap::new();
        let mut leaves = vec![];
        for n in 0..130u64 {
            assert_eq!(frontier.root(), reference_root(&leaves));
            let leaf = leaf_hash(&n.to_be_bytes());
            leaves.push(leaf);
            nodes.insert((0, n), leaf);
            nodes.extend(frontier.append(leaf).into_iter().map(|(l, i, h)| ((l, i), h)));
            let (size, root) = (n + 1, reference_root(&leaves));
            for index in 0..size {
                let mut perfect = |level, i| nodes.get(&(level, i)).copied().ok_or(());
                let path = inclusion_path(index, size, &mut perfect).unwrap();
                let leaf = &leaves[index as usize];
                assert_eq!(root_from_path(leaf, index, size, &path), Some(root));
                assert_ne!(root_from_path(leaf, index + 1, size, &path), Some(root));
                assert_eq!(root_from_path(leaf, index, size, &[&path[..], &[root]].concat()), None);
                if let Some((_, shorter)) = path.split_last() {
                    assert_eq!(root_from_path(leaf, index, size, shorter), None);
                    let mut flipped = path.clone();
                    flipped[0].0[0] ^= 0x80;
                    assert_ne!(root_from_path(leaf, index, size, &flipped), Some(root));
                }
            }
        }
        let (size, peaks) = frontier.parts();
        assert_eq!(Frontier::from_parts(size, peaks.to_vec()), Some(frontier.clone()));
        assert_eq!(
            Frontier::from_parts(size + 1, peaks.to_vec()).is_some(),
            (size + 1).count_ones() == size.count_ones()
        );
    }

    #[test]
    fn every_tree_up_to_70_is_consistent_with_its_beginnings_and_with_nothing_else() {
        let mut frontier = Frontier::default();
        let mut nodes = HashMap::new();
        let mut roots = vec![empty_root()];
        for n in 0..70u64 {
            let leaf = leaf_hash(&n.to_be_bytes());
            nodes.insert((0, n), leaf);
            nodes.extend(frontier.append(leaf).into_iter().map(|(l, i, h)| ((l, i), h)));
            roots.push(frontier.root());
        }
        let mut perfect = |level, i| nodes.get(&(level, i)).copied().ok_or(());
        for second in 1..=70u64 {
            let second_root = roots[second as usize];
            assert_eq!(root(second, &mut perfect), Ok(second_root));
            for first in 1..=second {
                let first_root = roots[first as usize];
                let path = consistency_path(first, second, &mut perfect).unwrap();
                assert!(is_consistent(first, &first_root, second, &second_root, &path), "{first} {second}");
                assert!(!is_consistent(first, &roots[0], second, &second_root, &path));
                assert!(!is_consistent(first, &first_root, second, &roots[0], &path));
                assert!(!is_consistent(first, &first_root, second, &second_root, &[&path[..], &[first_root]].concat()));
                assert!(!is_consistent(second + 1, &first_root, second, &second_root, &path));
                if let Some((_, shorter)) = path.split_last() {
                    assert!(!is_consistent(first, &first_root, second, &second_root, shorter));
                    assert!(!is_consistent(first, &first_root, second, &second_root, &path[1..]));
                    for index in 0..path.len() {
                        let mut flipped = path.clone();
                        flipped[index].0[31] ^= 1;
                        assert!(!is_consistent(first, &first_root, second, &second_root, &flipped));
                    }
                }
            }
        }
        assert!(!is_consistent(0, &empty_root(), 1, &roots[1], &[]));
    }
}
