//! Bundle by bundle, each checked before it is kept.

use encrytrust_protocol::{EntryId, Sha256Hash, leaf_hash};

use super::{Copy, CopyError};
use crate::{
    checkpoint::{LogName, SignedCheckpoint},
    log::TILE_WIDTH,
    tiles::Resource,
    tree::Frontier,
};

/// Bundles between two syncs.
const COMMIT: u64 = 64;

/// A log of a copy on its way to a checkpoint.
#[derive(Debug)]
pub struct Growth<'c> {
    copy: &'c mut Copy,
    log: LogName,
    checkpoint: SignedCheckpoint,
    /// The root of every full bundle to come, of the signed tree.
    roots: Vec<Sha256Hash>,
    /// The first bundle that was missing, in part or whole.
    first: u64,
    /// The next bundle.
    next: u64,
}

impl<'c> Growth<'c> {
    pub(super) fn new(
        copy: &'c mut Copy,
        log: LogName,
        checkpoint: SignedCheckpoint,
        roots: Vec<Sha256Hash>,
    ) -> Self {
        let first = copy.logs[log as usize].next_index() / TILE_WIDTH;
        Self { copy, log, checkpoint, roots, first, next: first }
    }

    /// The bundles to fetch and push, in this order; fetch several at once if you like.
    pub fn bundles(&self) -> impl Iterator<Item = Resource> + use<> {
        let size = self.checkpoint.head().size;
        let here = self.copy.logs[self.log as usize].next_index();
        let end = if here < size { size.div_ceil(TILE_WIDTH) } else { self.next };
        (self.next..end).map(move |n| Resource::Bundle { n, width: width(n, size) })
    }

    /// Checks the next bundle against the signed tree and keeps it.
    pub fn push(&mut self, bundle: &[u8]) -> Result<(), CopyError> {
        let (n, log) = (self.next, self.log);
        let refuse = |why: String| CopyError::Bundle { log, n, why };
        let size = self.checkpoint.head().size;
        if n >= size.div_ceil(TILE_WIDTH) {
            return Err(refuse(format!("the signed tree of {size} entries ends before it")));
        }
        let width = width(n, size);
        let entries = split(bundle, width).map_err(refuse)?;
        let leaves: Vec<EntryId> = entries.iter().map(|entry| leaf_hash(entry)).collect();
        let here = &mut self.copy.logs[log as usize];
        let known = here.next_index() - n * TILE_WIDTH;
        let at = usize::try_from(known).expect("at most a bundle's width");
        if width < TILE_WIDTH {
            // The last bundle: with it, the tree must be the signed one.
            here.commit()?;
            let mut tree = here.frontier().clone();
            leaves[at..].iter().for_each(|leaf| tree.push(leaf));
            if tree.head() != self.checkpoint.head() {
                let (made, signed) = (tree.head().root, self.checkpoint.head().root);
                return Err(refuse(format!(
                    "its entries make the root {made}, signed is {signed}"
                )));
            }
        } else {
            let root = root(&leaves);
            let expected = usize::try_from(n - self.first).ok().and_then(|i| self.roots.get(i));
            if expected != Some(&root) {
                return Err(refuse(format!(
                    "its entries make {root}, which the signed tree has not"
                )));
            }
        }
        here.append(&entries[at..])?;
        self.next += 1;
        if self.next.is_multiple_of(COMMIT) {
            here.commit()?;
        }
        Ok(())
    }

    /// How many entries are here, and how many there will be.
    pub fn progress(&self) -> (u64, u64) {
        (self.copy.logs[self.log as usize].next_index(), self.checkpoint.head().size)
    }

    /// Makes everything durable and stores the checkpoint. Its block must have been
    /// [added](Copy::add_blocks).
    pub fn finish(self) -> Result<(), CopyError> {
        let head = self.copy.logs[self.log as usize].commit()?;
        if head != self.checkpoint.head() {
            let why = format!("{} of {} entries are here", head.size, self.checkpoint.head().size);
            return Err(CopyError::Bundle { log: self.log, n: self.next, why });
        }
        self.copy.publish(self.log, self.checkpoint)
    }
}

fn width(n: u64, size: u64) -> u64 {
    TILE_WIDTH.min(size - n * TILE_WIDTH)
}

fn root(leaves: &[EntryId]) -> Sha256Hash {
    let mut tree = Frontier::new();
    leaves.iter().for_each(|leaf| tree.push(leaf));
    tree.head().root
}

/// Cuts a bundle into exactly `count` entries.
fn split(mut bundle: &[u8], count: u64) -> Result<Vec<&[u8]>, String> {
    let mut entries = Vec::new();
    for i in 0..count {
        let cut = || format!("it ends within entry {i} of {count}");
        let (length, rest) = bundle.split_first_chunk().ok_or_else(cut)?;
        let entry = rest.split_at_checked(usize::from(u16::from_be_bytes(*length)));
        let (entry, rest) = entry.ok_or_else(cut)?;
        entries.push(entry);
        bundle = rest;
    }
    match bundle.len() {
        0 => Ok(entries),
        more => Err(format!("{more} bytes follow its {count} entries")),
    }
}
