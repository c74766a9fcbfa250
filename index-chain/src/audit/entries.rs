//! The third stage: every entry of a log, and the tree over them at every block.

use encrytrust_protocol::{Block, EntryId, Sha256Hash};
use rayon::prelude::*;

use super::{
    AuditError, Auditor, FaultKind, Stage,
    blocks::{BlockWalk, Blocks},
    fault::{Fault, Unplaced},
};
use crate::{
    admit::Moment,
    checkpoint::LogName,
    disk::Disk,
    log::{Batch, HASH, NamedFile, Scan, Scanned},
    tree::Frontier,
};

/// Entries decoded and verified together on one core.
const CHUNK: usize = 128;

/// Entries read together.
const BATCH: u64 = 8_192;

/// What the entries of a log are, and what they do to the market.
pub(super) trait Contents {
    /// An entry, decoded and its signatures verified.
    type Entry: Send;

    /// Decodes and verifies consecutive entries; a fault names one by its position.
    fn verify(chunk: &[&[u8]]) -> Result<Vec<Self::Entry>, (usize, Unplaced)>;

    /// Checks that an entry was admissible where it stands, and lets it act.
    fn replay(
        &mut self,
        entry: &Self::Entry,
        id: EntryId,
        index: u64,
        sealed: &Sealed<'_>,
    ) -> Result<Option<Unplaced>, AuditError>;

    /// The log's entries so far can be read here.
    fn scanned(&mut self, scanned: &Scanned);
}

/// The block that seals an entry.
pub(super) struct Sealed<'a> {
    pub(super) block: &'a Block,
    pub(super) moment: Moment,
}

impl Auditor<'_> {
    /// Checks a log up to the last block; answers the bytes of its entries.
    pub(super) fn entries<C: Contents>(
        &mut self,
        disk: &dyn Disk,
        log: LogName,
        chain: &Blocks,
        contents: &mut C,
    ) -> Result<u64, AuditError> {
        let stage = if log == LogName::Index { Stage::Index } else { Stage::Trades };
        let total = chain.sizes[log as usize];
        let scanned = Scanned::open(disk, log.as_str())?;
        contents.scanned(&scanned);
        let mut scan = Scan::new(scanned.entries(), 0)?;
        let mut tree = Tree::new(disk, log, &scanned)?;
        tree.meet_blocks()?;
        while tree.frontier.size() < total {
            let first = tree.frontier.size();
            let batch = scan.next(BATCH.min(total - first))?;
            if batch.len() == 0 {
                let file = scanned.entries();
                let found = format!("the file ends, or entry {first} is cut short");
                let expected = format!("the last block seals {total} entries");
                let fault = Unplaced::new(FaultKind::Missing, found, expected);
                return Err(tree.place(fault, &file, scan.offset(), first));
            }
            let leaves = tree.compare_leaves(&batch, first)?;
            let entries =
                verify::<C>(&batch).map_err(|(i, fault)| tree.blame(fault, &batch, first, i))?;
            scanned.extend(&batch);
            for (i, (entry, id)) in entries.iter().zip(leaves).enumerate() {
                let sealed = tree.sealing();
                if let Some(fault) = contents.replay(entry, id, first + i as u64, &sealed)? {
                    return Err(tree.blame(fault, &batch, first, i));
                }
                tree.grow(&id)?;
                tree.meet_blocks()?;
            }
            self.tell(stage, tree.frontier.size(), total);
        }
        Ok(scan.offset() - 2 * total)
    }
}

/// Decodes and verifies a batch on all cores; of several faults, names the first.
fn verify<C: Contents>(batch: &Batch) -> Result<Vec<C::Entry>, (usize, Unplaced)> {
    let entries: Vec<&[u8]> = (0..batch.len()).map(|i| batch.entry(i)).collect();
    let chunks: Vec<_> = entries.par_chunks(CHUNK).map(C::verify).collect();
    let mut verified = Vec::with_capacity(entries.len());
    for (number, chunk) in chunks.into_iter().enumerate() {
        verified.extend(chunk.map_err(|(i, fault)| (number * CHUNK + i, fault))?);
    }
    Ok(verified)
}

/// The tree as it grows, beside the blocks that name its roots and the files that store them.
struct Tree<'a> {
    disk: &'a dyn Disk,
    log: LogName,
    scanned: &'a Scanned,
    frontier: Frontier,
    /// Stored roots of full tiles of level 0 and 1.
    tiles: [Vec<u8>; 2],
    walk: BlockWalk,
    /// The next block to meet, and the time of the one before it.
    next: Option<Block>,
    previous_time: Option<u64>,
}

impl<'a> Tree<'a> {
    fn new(disk: &'a dyn Disk, log: LogName, scanned: &'a Scanned) -> Result<Self, AuditError> {
        let tiles = [scanned.hashes(1).read_whole()?, scanned.hashes(2).read_whole()?];
        let mut walk = BlockWalk::new(disk)?;
        let next = walk.next()?.map(|stored| stored.block.unverified().clone());
        let (frontier, previous_time) = (Frontier::new(), None);
        Ok(Self { disk, log, scanned, frontier, tiles, walk, next, previous_time })
    }

    fn compare_leaves(&self, batch: &Batch, first: u64) -> Result<Vec<EntryId>, AuditError> {
        let file = self.scanned.hashes(0);
        let there = file.len()? / HASH;
        let last = first + batch.len() as u64;
        if there < last {
            let found = format!("the file has {there} leaf hashes");
            let fault = Unplaced::new(FaultKind::Missing, found, "there is an entry for the next");
            return Err(self.place(fault, file, there * HASH, there));
        }
        let stored = file.read(first * HASH, batch.len() as u64 * HASH)?;
        let computed = batch.leaf_hashes();
        let differs = |(stored, computed): (&[u8; 32], &EntryId)| stored != computed.as_bytes();
        let stored = stored.as_chunks::<32>().0;
        if let Some(i) = stored.iter().zip(&computed).position(differs) {
            let fault = Fault::leaf(&computed[i], &EntryId::from(stored[i]));
            return Err(self.blame(fault, batch, first, i));
        }
        Ok(computed)
    }

    /// The block that seals the next entry.
    fn sealing(&self) -> Sealed<'_> {
        let block = self.next.as_ref().expect("the last block's size bounds the entries read");
        Sealed { block, moment: Moment::between(self.previous_time, block.time) }
    }

    /// Adds a leaf and compares the tile roots it completes with those in the files.
    fn grow(&mut self, leaf: &EntryId) -> Result<(), AuditError> {
        let mut wrong = None;
        let (index, tiles) = (self.frontier.size(), &self.tiles);
        self.frontier.push_with(leaf, |height, root| {
            if height == 8 || height == 16 {
                let level = usize::from(height / 8);
                let at = ((index + 1) >> height) - 1;
                let start = usize::try_from(at * HASH).unwrap_or(usize::MAX);
                let stored = tiles[level - 1].get(start..start.saturating_add(32));
                if stored != Some(root.as_bytes()) {
                    wrong = Some((level, at, *root, stored.map(<[u8]>::to_vec)));
                }
            }
        });
        let Some((level, at, root, stored)) = wrong else { return Ok(()) };
        let stored = stored.as_deref().and_then(|bytes| Sha256Hash::try_from(bytes).ok());
        let found = match stored {
            Some(stored) => format!("tile {at} of level {} is stored as {stored}", level - 1),
            None => format!("the root of tile {at} of level {} is not stored", level - 1),
        };
        let fault = Unplaced::new(FaultKind::Tile, found, format!("its hashes make {root}"));
        Err(self.place(fault, self.scanned.hashes(level), at * HASH, index))
    }

    /// Compares the tree with every block that names its size.
    fn meet_blocks(&mut self) -> Result<(), AuditError> {
        while let Some(block) = &self.next {
            let named = self.log.head(block);
            if named.size != self.frontier.size() {
                break;
            }
            let head = self.frontier.head();
            if named.root != head.root {
                let found = format!("the first {} entries have the root {}", head.size, head.root);
                let expected = format!("block {} names {}", block.height, named.root);
                let fault = Unplaced::new(FaultKind::Root, found, expected);
                let (file, offset) = (self.scanned.hashes(0), head.size * HASH);
                return Err(fault.at(self.log, file, offset, None, Some(block.height)));
            }
            self.previous_time = Some(block.time);
            self.next = self.walk.next()?.map(|stored| stored.block.unverified().clone());
        }
        Ok(())
    }

    fn blame(&self, fault: Unplaced, batch: &Batch, first: u64, i: usize) -> AuditError {
        self.place(fault, &self.scanned.entries(), batch.offset_of(i), first + i as u64)
    }

    fn place(&self, fault: Unplaced, file: &NamedFile, offset: u64, index: u64) -> AuditError {
        fault.at(self.log, file, offset, Some(index), self.block_of(index))
    }

    /// The height of the block that seals an entry.
    fn block_of(&self, index: u64) -> Option<u64> {
        let mut walk = BlockWalk::new(self.disk).ok()?;
        while let Ok(Some(stored)) = walk.next() {
            let block = stored.block.unverified();
            if self.log.head(block).size > index {
                return Some(block.height);
            }
        }
        None
    }
}
