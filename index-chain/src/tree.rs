//! The Merkle tree of RFC 6962, section 2.1: roots, inclusion and consistency.
//!
//! The algorithms are those of the `tlog_tiles` crate (a port of Go's `x/mod/sumdb/tlog`); this
//! module gives them our types, and bounds what reaches them. Own code is [`Frontier`]: the few
//! hashes that stand for a whole tree while it grows.
//!
//! A *node* `(height, n)` is the root of the complete subtree over the leaves
//! `n·2^height .. (n+1)·2^height`.

use std::cell::RefCell;

use encrytrust_protocol::{EntryId, Sha256Hash, TreeHead};
use tlog_tiles::{Error as TlogError, Hash as TlogHash, HashReader};

/// The largest tree this crate reasons about: 2^48 leaves, 89 years at 100,000 a second.
pub const SIZE_MAX: u64 = 1 << 48;

/// The most hashes a proof in a tree of [`SIZE_MAX`] leaves can have.
pub const PROOF_HASHES_MAX: usize = 64;

/// The root of the tree without leaves: SHA-256 of nothing.
pub const EMPTY_ROOT: [u8; 32] = tlog_tiles::EMPTY_HASH.0;

/// A proof that does not prove what it should.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ProofError {
    /// The proof leads to another root, or has a hash too many or too few.
    #[error("the proof does not lead to the root {root} of {size} entries")]
    Wrong {
        /// The tree's size.
        size: u64,
        /// The tree's root.
        root: Sha256Hash,
    },
    /// Nothing of this kind can be proved about such a tree.
    #[error("no proof can exist: {0}")]
    OutOfRange(String),
}

fn wrong(head: &TreeHead) -> ProofError {
    ProofError::Wrong { size: head.size, root: head.root }
}

/// The hash of an inner node, SHA-256(0x01 ‖ left ‖ right).
pub fn node_hash(left: &Sha256Hash, right: &Sha256Hash) -> Sha256Hash {
    ours(tlog_tiles::node_hash(theirs(left), theirs(right)))
}

/// Checks that the tree `head` has the entry of hash `leaf` at `index` (RFC 6962, section 2.1.1).
pub fn verify_inclusion(
    proof: &[Sha256Hash],
    index: u64,
    leaf: &EntryId,
    head: &TreeHead,
) -> Result<(), ProofError> {
    if index >= head.size || head.size > SIZE_MAX {
        let TreeHead { size, .. } = head;
        return Err(ProofError::OutOfRange(format!("entry {index} in a tree of {size}")));
    }
    if proof.len() > PROOF_HASHES_MAX {
        return Err(wrong(head));
    }
    let proof: Vec<_> = proof.iter().map(theirs).collect();
    let leaf = TlogHash(*leaf.as_bytes());
    tlog_tiles::check_record(&proof, head.size, theirs(&head.root), index, leaf)
        .map_err(|_| wrong(head))
}

/// Checks that the tree `new` begins with every entry of the tree `old` (RFC 6962, section 2.1.2).
pub fn verify_consistency(
    proof: &[Sha256Hash],
    old: &TreeHead,
    new: &TreeHead,
) -> Result<(), ProofError> {
    if old.size > new.size || new.size > SIZE_MAX {
        return Err(ProofError::OutOfRange(format!("{} entries grown to {}", old.size, new.size)));
    }
    if proof.len() > PROOF_HASHES_MAX {
        return Err(wrong(new));
    }
    if old.size == 0 {
        let empty = proof.is_empty() && *old.root.as_bytes() == EMPTY_ROOT;
        return if empty { Ok(()) } else { Err(wrong(old)) };
    }
    let proof: Vec<_> = proof.iter().map(theirs).collect();
    tlog_tiles::check_tree(&proof, new.size, theirs(&new.root), old.size, theirs(&old.root))
        .map_err(|_| wrong(new))
}

/// The nodes of some tree, wherever they are kept.
pub(crate) trait Nodes {
    type Error: From<ProofError>;

    /// The node `(height, n)`; asked only for nodes that are complete in the tree.
    fn node(&self, height: u8, n: u64) -> Result<Sha256Hash, Self::Error>;

    fn root(&self, size: u64) -> Result<Sha256Hash, Self::Error> {
        bounded(size)?;
        with_reader(self, |reader| tlog_tiles::tree_hash(size, reader)).map(ours)
    }

    fn prove_inclusion(&self, index: u64, size: u64) -> Result<Vec<Sha256Hash>, Self::Error> {
        bounded(size)?;
        if index >= size {
            let why = format!("entry {index} in a tree of {size}");
            return Err(ProofError::OutOfRange(why).into());
        }
        let proof = with_reader(self, |reader| tlog_tiles::prove_record(size, index, reader))?;
        Ok(proof.into_iter().map(ours).collect())
    }

    fn prove_consistency(&self, old: u64, new: u64) -> Result<Vec<Sha256Hash>, Self::Error> {
        bounded(new)?;
        if old > new {
            return Err(ProofError::OutOfRange(format!("{old} entries grown to {new}")).into());
        }
        if old == 0 {
            return Ok(Vec::new());
        }
        let proof = with_reader(self, |reader| tlog_tiles::prove_tree(new, old, reader))?;
        Ok(proof.into_iter().map(ours).collect())
    }
}

fn bounded(size: u64) -> Result<(), ProofError> {
    if size <= SIZE_MAX {
        return Ok(());
    }
    Err(ProofError::OutOfRange(format!("a tree of {size} entries, more than {SIZE_MAX}")))
}

/// Carries our error through `tlog_tiles`, whose reader can only return its own.
struct Reader<'a, N: Nodes + ?Sized>(&'a N, RefCell<Option<N::Error>>);

impl<N: Nodes + ?Sized> HashReader for Reader<'_, N> {
    fn read_hashes(&self, indexes: &[u64]) -> Result<Vec<TlogHash>, TlogError> {
        let read = |index: &u64| {
            let (height, n) = tlog_tiles::split_stored_hash_index(*index);
            self.0.node(height, n).map(|hash| theirs(&hash))
        };
        indexes.iter().map(read).collect::<Result<_, _>>().map_err(|e| {
            *self.1.borrow_mut() = Some(e);
            TlogError::BadMath
        })
    }
}

fn with_reader<N: Nodes + ?Sized, T>(
    nodes: &N,
    work: impl FnOnce(&Reader<'_, N>) -> Result<T, TlogError>,
) -> Result<T, N::Error> {
    let reader = Reader(nodes, RefCell::new(None));
    work(&reader).map_err(|e| {
        let ours = reader.1.take();
        ours.unwrap_or_else(|| ProofError::OutOfRange(e.to_string()).into())
    })
}

pub(crate) fn theirs(hash: &Sha256Hash) -> TlogHash {
    TlogHash(*hash.as_bytes())
}

pub(crate) fn ours(hash: TlogHash) -> Sha256Hash {
    Sha256Hash::from(hash.0)
}

/// A growing tree, remembered by the roots of its complete subtrees: at most 48 hashes.
///
/// Adding a leaf costs one hash on average and the root costs as many as there are subtrees, so a
/// root can be had at every block of a log of millions.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Frontier {
    size: u64,
    /// Largest subtree first: one for each bit set in `size`.
    peaks: Vec<Sha256Hash>,
}

impl Frontier {
    /// The tree without leaves.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds the next leaf.
    pub fn push(&mut self, leaf: &EntryId) {
        self.push_with(leaf, |_, _| {});
    }

    /// Adds the next leaf and shows every node `(height, hash)` this completes, the leaf itself
    /// (height 0) first.
    pub fn push_with(&mut self, leaf: &EntryId, mut completed: impl FnMut(u8, &Sha256Hash)) {
        let mut hash = Sha256Hash::from(*leaf.as_bytes());
        completed(0, &hash);
        let mut height = 0;
        while self.size >> height & 1 == 1 {
            let left = self.peaks.pop().expect("one peak for each bit set in the size");
            hash = node_hash(&left, &hash);
            height += 1;
            completed(height, &hash);
        }
        self.peaks.push(hash);
        self.size += 1;
    }

    /// The number of leaves.
    pub fn size(&self) -> u64 {
        self.size
    }

    /// Size and root.
    pub fn head(&self) -> TreeHead {
        let mut peaks = self.peaks.iter().rev();
        let root = match peaks.next() {
            None => Sha256Hash::from(EMPTY_ROOT),
            Some(last) => peaks.fold(*last, |right, left| node_hash(left, &right)),
        };
        TreeHead { size: self.size, root }
    }

    /// A tree of `size` leaves from the roots of its complete subtrees, largest first.
    pub(crate) fn from_peaks(size: u64, peaks: &[Sha256Hash]) -> Self {
        debug_assert_eq!(peaks.len(), size.count_ones() as usize);
        Self { size, peaks: peaks.to_vec() }
    }
}

#[cfg(test)]
pub(crate) mod tests;
