//! A verified copy of somebody else's chain, grown by what is fetched.
//!
//! This module fetches nothing. It says what to fetch, checks the bytes against what the platform
//! signed, and appends them to the same flat files that [`crate::chain`] writes; so a copy can be
//! [audited](crate::audit), searched, and served again.
//!
//! ```text
//! 1. copy.add_blocks(blocks from copy.blocks_from() on)
//! 2. for each log: copy.consider(log, checkpoint note)    UpToDate, Behind, or Grow(plan)
//! 3.     copy.grow(plan, the tiles it names)              consistent with what is here?
//! 4.     growth.push(bundle) for each of growth.bundles() checked one by one, and kept
//! 5.     growth.finish()                                  the checkpoint is stored
//! ```
//!
//! Step 3 decides before anything is downloaded whether the new tree begins with the old one. If
//! it does not, the platform has signed two histories: [`CopyError::SplitView`] carries the
//! [`Evidence`], which convinces anyone who has the platform's key. Bundles that were pushed before
//! an interruption are not fetched again.

mod evidence;
mod growth;

use std::{path::Path, sync::Arc};

use encrytrust_protocol::{Block, Market, PublicKey, Signed, TreeHead, Verified};

pub use evidence::{Evidence, NoEvidence};
pub use growth::Growth;

use crate::{
    block::verify_link,
    chain::{BlockReader, Blocks, ChainError, checkpoint_file, stored},
    checkpoint::{Checkpoint, CheckpointError, LogName, SignedCheckpoint},
    disk::{Dir, Disk},
    log::{Log, LogError, LogReader, Recovery, TILE_WIDTH},
    tiles::{BadTiles, Resource, authenticate, peaks, wanted},
    tree::Frontier,
};

/// Why a copy does not grow.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CopyError {
    /// A file of the copy could not be written or read, or contradicts another.
    #[error(transparent)]
    Local(#[from] LogError),
    /// A checkpoint kept in the copy is damaged.
    #[error(transparent)]
    Chain(#[from] ChainError),
    /// What was served as a checkpoint is none of this platform's.
    #[error("the {log} checkpoint served: {source}")]
    Checkpoint {
        /// Which log.
        log: LogName,
        /// What is wrong with it.
        source: CheckpointError,
    },
    /// What was served as a block is none, or does not follow.
    #[error("block {height} as served: {why}")]
    Block {
        /// The height that was due.
        height: u64,
        /// What is wrong with it.
        why: String,
    },
    /// The tiles served are not of the tree the platform signed.
    #[error(transparent)]
    Tiles(#[from] BadTiles),
    /// A bundle served does not hold the entries of the tree the platform signed.
    #[error("the {log} bundle {n} as served: {why}")]
    Bundle {
        /// Which log.
        log: LogName,
        /// Which bundle.
        n: u64,
        /// What is wrong with it.
        why: String,
    },
    /// The checkpoint's block was not added first, or is another.
    #[error("the {log} checkpoint names {named}, which is not among the blocks of this copy")]
    UnknownBlock {
        /// Which log.
        log: LogName,
        /// The block it names.
        named: String,
    },
    /// The unfinished end of the copy was of another tree and is gone: start over.
    #[error("what an interrupted download of {log} left did not fit and was dropped; try again")]
    Dropped {
        /// Which log.
        log: LogName,
    },
    /// The platform signed two histories.
    #[error("the platform signed two histories: {0}")]
    SplitView(Box<Evidence>),
}

/// What a checkpoint means for a copy.
#[derive(Debug)]
pub enum Considered {
    /// The copy has this tree and this block.
    UpToDate,
    /// The copy has more, and this is a part of it: an older answer, from a cache perhaps.
    Behind,
    /// There is more to fetch.
    Grow(Plan),
}

/// How a log of a copy grows to a checkpoint.
#[derive(Debug, Clone)]
pub struct Plan {
    log: LogName,
    checkpoint: SignedCheckpoint,
    /// Entries that are here already.
    from: u64,
    /// What to fetch for [`Copy::grow`], in this order.
    pub tiles: Vec<Resource>,
}

/// The writing end of a copy.
#[derive(Debug)]
pub struct Copy {
    disk: Arc<dyn Disk>,
    market: Market,
    platform: PublicKey,
    logs: [Log; 2],
    blocks: Blocks,
    heads: [Option<SignedCheckpoint>; 2],
}

impl Copy {
    /// Opens the copy in a directory, or starts one; locks the directory.
    pub fn open(
        dir: impl AsRef<Path>,
        market: &Market,
        platform: PublicKey,
    ) -> Result<(Self, Recovery), CopyError> {
        let dir = dir.as_ref();
        let disk = Dir::exclusive(dir)
            .map_err(|source| LogError::Disk { file: dir.display().to_string(), source })?;
        Self::open_on(Arc::new(disk), market, platform)
    }

    /// Opens the copy on a disk.
    pub fn open_on(
        disk: Arc<dyn Disk>,
        market: &Market,
        platform: PublicKey,
    ) -> Result<(Self, Recovery), CopyError> {
        let [index, trades] = LogName::ALL.map(|log| stored(&*disk, log, market, platform));
        let heads = [index?, trades?];
        let height = |c: &SignedCheckpoint| c.checkpoint().block.height;
        let published = heads.iter().flatten().map(|c| height(c) + 1).max().unwrap_or(0);
        let (blocks, mut recovery) = Blocks::open(&*disk, market, platform, published)?;
        let open = |log: LogName| {
            let head = heads[log as usize].as_ref().map(SignedCheckpoint::head);
            Log::open_on(Arc::clone(&disk), log.as_str(), head.as_ref())
        };
        let [(index, cut), (trades, cut_too)] = [open(LogName::Index)?, open(LogName::Trades)?];
        recovery.merge(cut);
        recovery.merge(cut_too);
        let (market, logs) = (market.clone(), [index, trades]);
        Ok((Self { disk, market, platform, logs, blocks, heads }, recovery))
    }

    /// Reads a log of the copy. Entries above the [checkpoint](Self::checkpoint) are of a download
    /// that is not finished.
    pub fn log(&self, log: LogName) -> LogReader {
        self.logs[log as usize].reader()
    }

    /// Reads the copy's blocks.
    pub fn blocks(&self) -> BlockReader {
        self.blocks.reader()
    }

    /// The checkpoint up to which a log is complete and checked.
    pub fn checkpoint(&self, log: LogName) -> Option<&SignedCheckpoint> {
        self.heads[log as usize].as_ref()
    }

    /// The height from which to fetch blocks: the last one here, once more, so that a platform
    /// that has changed its past shows it.
    pub fn blocks_from(&self) -> u64 {
        self.blocks.reader().count().saturating_sub(1)
    }

    /// Adds consecutive blocks as fetched, from [`blocks_from`](Self::blocks_from) on: all that
    /// come before the first one at fault.
    pub fn add_blocks(&mut self, blocks: &[impl AsRef<[u8]>]) -> Result<(), CopyError> {
        let mut new: Vec<Verified<Block>> = Vec::new();
        let from = self.blocks_from();
        let checked = blocks.iter().zip(from..).try_for_each(|(bytes, height)| {
            let last = new.last().or(self.blocks.last());
            new.extend(self.next_block(height, bytes.as_ref(), last)?);
            Ok(())
        });
        self.blocks.append(&new)?;
        checked
    }

    /// A block as fetched, if it is new and follows `last`.
    fn next_block(
        &self,
        height: u64,
        bytes: &[u8],
        last: Option<&Verified<Block>>,
    ) -> Result<Option<Verified<Block>>, CopyError> {
        let refuse = |why: String| CopyError::Block { height, why };
        let here = self.blocks.reader().bytes(height)?;
        if here.as_deref() == Some(bytes) {
            return Ok(None);
        }
        if let Some(here) = here {
            let evidence = Evidence::blocks(here, bytes.to_vec());
            let checked = evidence.check(&self.market, self.platform);
            checked.map_err(|e| refuse(e.to_string()))?;
            return Err(CopyError::SplitView(Box::new(evidence)));
        }
        let block = Signed::<Block>::decode(bytes).map_err(|e| refuse(e.to_string()))?;
        let block = block.verify().map_err(|e| refuse(e.to_string()))?;
        verify_link(&block, last, &self.market, self.platform)
            .map_err(|e| refuse(e.to_string()))?;
        Ok(Some(block))
    }

    /// What a checkpoint, as fetched, means for this copy.
    pub fn consider(&self, log: LogName, note: &[u8]) -> Result<Considered, CopyError> {
        let vkey = log.vkey(&self.market, self.platform);
        let checkpoint = SignedCheckpoint::open(note, &vkey)
            .map_err(|source| CopyError::Checkpoint { log, source })?;
        let (new, here) = (checkpoint.head(), &self.logs[log as usize]);
        let mut head = TreeHead::empty();
        if let Some(old) = self.checkpoint(log) {
            head = old.head();
            if new.size <= head.size && here.reader().tree_hash(new.size)? != new.root {
                return Err(self.two_trees(log, &checkpoint, old));
            }
            let height = |c: &SignedCheckpoint| c.checkpoint().block.height;
            let (then, now) = (height(old), height(&checkpoint));
            if now < then || new.size < head.size {
                return Ok(Considered::Behind);
            }
            if now == then && new.size == head.size {
                return Ok(Considered::UpToDate);
            }
        }
        let from = here.head().size;
        let tiles = wanted(&new, &nodes(head.size, from, new.size));
        Ok(Considered::Grow(Plan { log, checkpoint, from, tiles }))
    }

    /// Starts to grow a log, given the plan's tiles. What is here must be the beginning of the new
    /// tree; then whatever is missing can be [pushed](Growth::push).
    pub fn grow(&mut self, plan: Plan, tiles: Vec<Vec<u8>>) -> Result<Growth<'_>, CopyError> {
        let Plan { log, checkpoint, from, tiles: resources } = plan;
        let head = self.checkpoint(log).map_or_else(TreeHead::empty, SignedCheckpoint::head);
        let new = checkpoint.head();
        let tiles: Vec<_> = resources.into_iter().zip(tiles).collect();
        let nodes = nodes(head.size, from, new.size);
        let hashes = authenticate(&new, &nodes, &tiles)?;

        let (old_peaks, rest) = hashes.split_at(peaks(head.size).len());
        let old_root = Frontier::from_peaks(head.size, old_peaks).head();
        if old_root != head {
            let old = self.checkpoint(log).expect("the empty tree is the beginning of every tree");
            let evidence = Evidence::heads(log, old, &checkpoint, tiles);
            return Err(CopyError::SplitView(Box::new(evidence)));
        }
        let kept = peaks(from.min(new.size));
        let (kept_peaks, tile_roots) = rest.split_at(kept.len());
        let kept = Frontier::from_peaks(from.min(new.size), kept_peaks).head();
        if from > new.size || kept != self.logs[log as usize].head() {
            self.rewind(log, &head)?;
            return Err(CopyError::Dropped { log });
        }
        Ok(Growth::new(self, log, checkpoint, tile_roots.to_vec()))
    }

    /// Drops what an unfinished download left above a checkpoint.
    fn rewind(&mut self, log: LogName, head: &TreeHead) -> Result<(), CopyError> {
        let number = log as usize;
        self.logs[number].rewind(head.size)?;
        let (reopened, _) = Log::open_on(Arc::clone(&self.disk), log.as_str(), Some(head))?;
        self.logs[number] = reopened;
        Ok(())
    }

    /// Evidence from what is here: the smaller tree is not the beginning of the larger.
    fn two_trees(
        &self,
        log: LogName,
        smaller: &SignedCheckpoint,
        larger: &SignedCheckpoint,
    ) -> CopyError {
        let reader = self.log(log);
        let resources = wanted(&larger.head(), &peaks(smaller.head().size));
        let read = |resource: Resource| match resource {
            Resource::Tile { level, n, width } => Ok((resource, reader.tile(level, n, width)?)),
            Resource::Bundle { n, width } => Ok((resource, reader.bundle(n, width)?)),
        };
        match resources.into_iter().map(read).collect::<Result<Vec<_>, LogError>>() {
            Ok(tiles) => {
                CopyError::SplitView(Box::new(Evidence::heads(log, smaller, larger, tiles)))
            }
            Err(e) => e.into(),
        }
    }

    /// Stores the checkpoint of a log that has grown to it.
    fn publish(&mut self, log: LogName, checkpoint: SignedCheckpoint) -> Result<(), CopyError> {
        let claimed = checkpoint.checkpoint();
        let block = self.blocks.reader().block(claimed.block.height)?;
        if block.is_none_or(|block| Checkpoint::of(log, &block) != *claimed) {
            return Err(CopyError::UnknownBlock { log, named: claimed.block.to_string() });
        }
        let file = checkpoint_file(log);
        self.disk
            .replace(&file, &checkpoint.to_bytes())
            .map_err(|source| LogError::Disk { file, source })?;
        self.heads[log as usize] = Some(checkpoint);
        Ok(())
    }
}

/// The nodes to see of the new tree: those of the last signed tree, those of what is here, and
/// the root of every full bundle to fetch.
fn nodes(head: u64, from: u64, new: u64) -> Vec<(u8, u64)> {
    let here = from.min(new);
    let bundles = (here / TILE_WIDTH..new / TILE_WIDTH).map(|n| (8, n));
    peaks(head.min(new)).into_iter().chain(peaks(here)).chain(bundles).collect()
}

#[cfg(test)]
mod tests;
