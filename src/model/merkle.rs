//! The Merkle tree over the entries of the log (RFC 6962, section 2.1): what makes a changed, missing or moved entry
//! show, and lets one entry be proven to somebody who holds only a root.

use sha2::{Digest as _, Sha256};

pub type Hash = [u8; 32];

/// Hashes of a full tile (C2SP tlog-tiles): the tree is kept and served in rows of so many.
pub const TILE: u64 = 256;
/// Levels of the tree in one tile.
pub const TILE_LEVELS: u32 = 8;

/// A tile's number as tlog-tiles writes it in a path: groups of three digits, all but the last with an `x`.
pub fn tile_path(number: u64) -> String {
    match number / 1000 {
        0 => format!("{number:03}"),
        above => {
            let before = tile_path(above);
            let (head, last) = before.rsplit_once('/').map_or(("", &*before), |(head, last)| (head, last));
            let head = if head.is_empty() { String::new() } else { format!("{head}/") };
            format!("{head}x{last}/{:03}", number % 1000)
        }
    }
}

/// The hash of an entry.
pub fn leaf(entry: &[u8]) -> Hash {
    let mut hash = Sha256::new();
    hash.update([0]);
    hash.update(entry);
    hash.finalize().into()
}

/// The hash over two subtrees.
pub fn node(left: &Hash, right: &Hash) -> Hash {
    let mut hash = Sha256::new();
    hash.update([1]);
    hash.update(left);
    hash.update(right);
    hash.finalize().into()
}

/// Joins roots of perfect subtrees, the largest first, to the root of the tree they make up.
pub fn join(roots: &[Hash]) -> Hash {
    match roots.split_last() {
        None => Sha256::digest([]).into(),
        Some((last, rest)) => rest.iter().rev().fold(*last, |right, left| node(left, &right)),
    }
}

/// The right edge of a growing tree: all that is needed to append to it and to know its root.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Frontier {
    size: u64,
    /// Roots of the perfect subtrees, the largest first: one for each bit of the size.
    roots: Vec<Hash>,
}

impl Frontier {
    pub fn size(&self) -> u64 {
        self.size
    }

    pub fn push(&mut self, leaf: Hash) {
        self.push_subtree(0, leaf);
    }

    /// Appends `2^level` entries at once, by the root over them. So many must go into the size without a rest.
    pub fn push_subtree(&mut self, level: u32, root: Hash) {
        let (mut hash, mut size) = (root, self.size >> level);
        while size & 1 == 1
            && let Some(left) = self.roots.pop()
        {
            hash = node(&left, &hash);
            size >>= 1;
        }
        self.roots.push(hash);
        self.size += 1 << level;
    }

    pub fn root(&self) -> Hash {
        join(&self.roots)
    }

    /// The roots, one after the other, as they are stored beside the size.
    pub fn to_bytes(&self) -> Vec<u8> {
        self.roots.concat()
    }

    /// `None` if the bytes are not the edge of a tree of this size.
    pub fn from_bytes(size: u64, bytes: &[u8]) -> Option<Self> {
        let (roots, rest) = bytes.as_chunks::<32>();
        let fits = rest.is_empty() && roots.len() == size.count_ones() as usize;
        fits.then(|| Self { size, roots: roots.to_vec() })
    }
}

/// A perfect subtree: `2^level` entries from `index * 2^level` on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Subtree {
    pub level: u32,
    pub index: u64,
}

impl Subtree {
    /// The tile that holds its root, and where in the tile the subtree's hashes lie.
    pub fn in_tile(self) -> (u32, u64, std::ops::Range<usize>) {
        let below = self.level % TILE_LEVELS;
        let first = self.index << below;
        let start = usize::try_from(first % TILE).unwrap_or_default();
        (self.level / TILE_LEVELS, first / TILE, start..start + (1 << below))
    }
}

/// The entries `start..end` as perfect subtrees, in order. `start` is a multiple of the largest power of two that fits.
fn subtrees(mut start: u64, end: u64) -> Vec<Subtree> {
    let mut found = Vec::new();
    while start < end {
        let level = (end - start).ilog2();
        found.push(Subtree { level, index: start >> level });
        start += 1 << level;
    }
    found
}

/// Where a tree of `size` > 1 entries is split: the largest power of two below its size.
fn split(size: u64) -> u64 {
    1 << (size - 1).ilog2()
}

/// What a proof is made of: for each of its hashes the subtrees to join.
pub type Parts = Vec<Vec<Subtree>>;

/// The parts that prove entry `index` to be in the tree of `size` (RFC 6962, 2.1.1). `None` if it is not.
pub fn inclusion(index: u64, size: u64) -> Option<Parts> {
    if index >= size {
        return None;
    }
    let (mut start, mut end, mut parts) = (0, size, Vec::new());
    while end - start > 1 {
        let middle = start + split(end - start);
        if index < middle {
            parts.push(subtrees(middle, end));
            end = middle;
        } else {
            parts.push(subtrees(start, middle));
            start = middle;
        }
    }
    parts.reverse();
    Some(parts)
}

/// The parts that prove the tree of `old` entries to be the beginning of that of `new` (RFC 6962, 2.1.2).
pub fn consistency(old: u64, new: u64) -> Option<Parts> {
    if old > new {
        return None;
    }
    if old == 0 || old == new {
        return Some(Vec::new());
    }
    let (mut start, mut end, mut parts) = (0, new, Vec::new());
    while end != old {
        let middle = start + split(end - start);
        if old <= middle {
            parts.push(subtrees(middle, end));
            end = middle;
        } else {
            parts.push(subtrees(start, middle));
            start = middle;
        }
    }
    // The old root itself is known to whoever checks; a part of it is not.
    if start > 0 {
        parts.push(subtrees(start, end));
    }
    parts.reverse();
    Some(parts)
}

/// Whether a proof shows that `leaf` is entry `index` of the tree with this size and root (RFC 9162, 2.1.3.2).
pub fn verify_inclusion(leaf: Hash, index: u64, size: u64, proof: &[Hash], root: &Hash) -> bool {
    if index >= size {
        return false;
    }
    let (mut at, mut last, mut hash) = (index, size - 1, leaf);
    for sibling in proof {
        if last == 0 {
            return false;
        }
        if at & 1 == 1 || at == last {
            hash = node(sibling, &hash);
            while at & 1 == 0 && at != 0 {
                at >>= 1;
                last >>= 1;
            }
        } else {
            hash = node(&hash, sibling);
        }
        at >>= 1;
        last >>= 1;
    }
    last == 0 && hash == *root
}

/// Whether a proof shows that the tree `old` is the beginning of `new`, each a size and a root (RFC 9162, 2.1.4.2).
pub fn verify_consistency(old: (u64, Hash), new: (u64, Hash), proof: &[Hash]) -> bool {
    let ((old_size, old_root), (new_size, new_root)) = (old, new);
    if old_size == new_size {
        return proof.is_empty() && old_root == new_root;
    }
    if old_size > new_size {
        return false;
    }
    if old_size == 0 {
        return proof.is_empty() && old_root == join(&[]);
    }
    let mut hashes = proof.iter();
    let (mut at, mut last) = (old_size - 1, new_size - 1);
    let mut seed = old_root;
    if !old_size.is_power_of_two() {
        let Some(first) = hashes.next() else { return false };
        seed = *first;
    }
    while at & 1 == 1 {
        at >>= 1;
        last >>= 1;
    }
    let (mut from_old, mut from_new) = (seed, seed);
    for hash in hashes {
        if last == 0 {
            return false;
        }
        if at & 1 == 1 || at == last {
            from_old = node(hash, &from_old);
            from_new = node(hash, &from_new);
            while at & 1 == 0 && at != 0 {
                at >>= 1;
                last >>= 1;
            }
        } else {
            from_new = node(&from_new, hash);
        }
        at >>= 1;
        last >>= 1;
    }
    last == 0 && from_old == old_root && from_new == new_root
}

#[cfg(test)]
mod tests {
    use super::*;

    fn leaves(size: u64) -> Vec<Hash> {
        (0..size).map(|number| leaf(&number.to_be_bytes())).collect()
    }

    /// The definition, word for word: MTH of RFC 6962.
    fn defined(leaves: &[Hash]) -> Hash {
        match leaves {
            [] => join(&[]),
            [one] => *one,
            many => {
                let (left, right) = many.split_at(split(many.len() as u64) as usize);
                node(&defined(left), &defined(right))
            }
        }
    }

    fn proof(leaves: &[Hash], parts: &Parts) -> Vec<Hash> {
        let hash = |subtree: &Subtree| {
            let start = (subtree.index << subtree.level) as usize;
            defined(&leaves[start..start + (1 << subtree.level)])
        };
        parts.iter().map(|part| join(&part.iter().map(hash).collect::<Vec<_>>())).collect()
    }

    #[test]
    fn known_roots() {
        // The empty tree and the tree of one empty entry, as RFC 6962's test vectors have them.
        let hex = |hash: &Hash| super::super::digest::hex(hash);
        assert_eq!(hex(&join(&[])), "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
        assert_eq!(hex(&leaf(b"")), "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d");
    }

    #[test]
    fn a_growing_tree_has_the_defined_root_and_can_be_stored() {
        let all = leaves(300);
        let mut frontier = Frontier::default();
        for size in 0..=300usize {
            assert_eq!(frontier.root(), defined(&all[..size]), "{size}");
            let stored = Frontier::from_bytes(size as u64, &frontier.to_bytes());
            assert_eq!(stored.as_ref(), Some(&frontier));
            assert_eq!(Frontier::from_bytes(size as u64 + 1, &frontier.to_bytes()).is_some(), {
                (size + 1).count_ones() == size.count_ones()
            });
            if size < 300 {
                frontier.push(all[size]);
            }
        }
        let mut by_tiles = Frontier::default();
        by_tiles.push_subtree(TILE_LEVELS, defined(&all[..256]));
        all[256..].iter().for_each(|leaf| by_tiles.push(*leaf));
        assert_eq!(by_tiles, frontier);
    }

    #[test]
    fn proofs_prove_what_is_and_nothing_else() {
        for size in 1..70u64 {
            let all = leaves(size);
            let root = defined(&all);
            for index in 0..size {
                let proof = proof(&all, &inclusion(index, size).unwrap());
                assert!(verify_inclusion(all[index as usize], index, size, &proof, &root), "{index} {size}");
                assert!(!verify_inclusion(leaf(b"other"), index, size, &proof, &root));
                assert!(
                    !verify_inclusion(all[index as usize], (index + 1) % size, size, &proof, &root)
                        || size == 1
                );
                if let Some((_, short)) = proof.split_last() {
                    assert!(!verify_inclusion(all[index as usize], index, size, short, &root));
                }
            }
            assert_eq!(inclusion(size, size), None);
            for old in 0..=size {
                let old_root = defined(&all[..old as usize]);
                let proof = proof(&all, &consistency(old, size).unwrap());
                assert!(verify_consistency((old, old_root), (size, root), &proof), "{old} {size}");
                if old > 0 {
                    assert!(!verify_consistency((old, leaf(b"other")), (size, root), &proof));
                }
                if old > 0 && old < size {
                    assert!(!verify_consistency((old, old_root), (size, leaf(b"other")), &proof));
                }
            }
            assert_eq!(consistency(size + 1, size), None);
        }
    }

    #[test]
    fn tile_numbers_are_written_in_groups() {
        for (number, path) in [(0, "000"), (67, "067"), (1234, "x001/234"), (1_234_067, "x001/x234/067")] {
            assert_eq!(tile_path(number), path);
        }
    }

    #[test]
    fn subtrees_lie_in_tiles() {
        assert_eq!(Subtree { level: 0, index: 300 }.in_tile(), (0, 1, 44..45));
        assert_eq!(Subtree { level: 7, index: 3 }.in_tile(), (0, 1, 128..256));
        assert_eq!(Subtree { level: 8, index: 300 }.in_tile(), (1, 1, 44..45));
        assert_eq!(Subtree { level: 10, index: 2 }.in_tile(), (1, 0, 8..12));
    }
}
