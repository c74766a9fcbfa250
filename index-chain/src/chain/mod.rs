//! A market's chain: two logs, the blocks over them, and the checkpoints that publish them.
//!
//! ```text
//! <dir>/index/…  <dir>/trades/…    the logs (see crate::log)
//! <dir>/blocks                     u32be length ‖ COSE block, …
//! <dir>/checkpoint.index           the last published note of each log
//! <dir>/checkpoint.trades
//! ```
//!
//! # Sealing
//!
//! [`Chain::seal`] commits both logs, writes and syncs a block that names their heads, and only
//! then signs and publishes the two checkpoints. The synced block is the decision: a crash before
//! it leaves nothing signed, a crash after it leaves a block whose checkpoints
//! [`Chain::publish`] signs again, to the same bytes. So a checkpoint never goes back, and no two
//! trees of one size are ever signed. [`crate::crash`] lists every step, and a test stops at each.
//!
//! # Opening
//!
//! Blocks are checked link by link, the last one's signature covering the rest; both logs must
//! hold what it names, to the hash; the published checkpoints must name blocks that are there.
//! Entries above the last block are kept if they are whole (they may have been acknowledged), and
//! the next block seals them.

mod blocks;

use std::{
    path::Path,
    sync::{Arc, PoisonError, RwLock},
};

use encrytrust_keys::{SignError, platform::PlatformKey};
use encrytrust_protocol::{Block, Market, PublicKey, Sha256Hash, UnixMillis, Verified};

pub use blocks::BlockReader;
pub(crate) use blocks::{Blocks, Record};

use crate::{
    block::{Inputs, LinkError, next_block, verify_link},
    checkpoint::{BlockRef, CheckpointError, LogName, SignedCheckpoint},
    disk::{Dir, Disk},
    log::{Log, LogError, LogReader, Recovery},
};

/// Why a chain does not do what it was asked.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ChainError {
    /// A file could not be written or read, or contradicts another.
    #[error(transparent)]
    Log(#[from] LogError),
    /// The block would not follow the last one.
    #[error("the new block was not sealed: {0}")]
    Link(#[from] LinkError),
    /// The key does not sign such a block.
    #[error(transparent)]
    Sign(#[from] SignError),
    /// A stored or offered checkpoint is not this chain's.
    #[error("{file}: {source}")]
    Checkpoint {
        /// The file it stands in, or was to.
        file: String,
        /// What is wrong with it.
        source: CheckpointError,
    },
    /// The checkpoint offered is not that of the last block.
    #[error("a checkpoint of block {found}; the last block is {last}")]
    NotTheLast {
        /// Height named by the checkpoint.
        found: u64,
        /// Height of the last block.
        last: u64,
    },
}

/// A block and the two checkpoints that publish it.
#[derive(Debug, Clone)]
pub struct SealedBlock {
    /// The block.
    pub block: Verified<Block>,
    checkpoints: [SignedCheckpoint; 2],
}

impl SealedBlock {
    /// Signs the checkpoints of a block.
    fn sign(block: Verified<Block>, key: &PlatformKey) -> Self {
        let checkpoints = LogName::ALL.map(|log| SignedCheckpoint::sign(log, &block, key));
        Self { block, checkpoints }
    }

    /// The checkpoint of one log.
    pub fn checkpoint(&self, log: LogName) -> &SignedCheckpoint {
        &self.checkpoints[log as usize]
    }

    /// Height and hash.
    pub fn reference(&self) -> BlockRef {
        BlockRef::from(&self.block)
    }
}

/// The writing end of a market's chain.
#[derive(Debug)]
pub struct Chain {
    disk: Arc<dyn Disk>,
    market: Market,
    platform: PublicKey,
    logs: [Log; 2],
    blocks: Blocks,
    sealed: Arc<RwLock<Option<Arc<SealedBlock>>>>,
}

/// Reads a chain: cheap to clone, fit for other threads.
#[derive(Debug, Clone)]
pub struct ChainReader {
    logs: [LogReader; 2],
    blocks: BlockReader,
    sealed: Arc<RwLock<Option<Arc<SealedBlock>>>>,
}

impl ChainReader {
    /// One of its logs.
    pub fn log(&self, log: LogName) -> &LogReader {
        &self.logs[log as usize]
    }

    /// Its blocks.
    pub fn blocks(&self) -> &BlockReader {
        &self.blocks
    }

    /// The last block whose checkpoints are published.
    pub fn sealed(&self) -> Option<Arc<SealedBlock>> {
        self.sealed.read().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl Chain {
    /// Opens the chain in a directory, or starts one; locks the directory.
    ///
    /// When [`is_published`](Self::is_published) is false afterwards, call
    /// [`publish`](Self::publish) (after a crash) or [`seal`](Self::seal) (a new chain) before
    /// serving.
    pub fn open(
        dir: impl AsRef<Path>,
        market: &Market,
        platform: PublicKey,
    ) -> Result<(Self, Recovery), ChainError> {
        let dir = dir.as_ref();
        let disk = Dir::exclusive(dir)
            .map_err(|source| LogError::Disk { file: dir.display().to_string(), source })?;
        Self::open_on(Arc::new(disk), market, platform)
    }

    /// Opens the chain on a disk.
    pub fn open_on(
        disk: Arc<dyn Disk>,
        market: &Market,
        platform: PublicKey,
    ) -> Result<(Self, Recovery), ChainError> {
        let [index, trades] = LogName::ALL.map(|log| stored(&*disk, log, market, platform));
        let stored = [index?, trades?];
        let height = |c: &SignedCheckpoint| c.checkpoint().block.height;
        let published = stored.iter().flatten().map(|c| height(c) + 1).max().unwrap_or(0);

        let (blocks, mut recovery) = Blocks::open(&*disk, market, platform, published)?;
        for checkpoint in stored.iter().flatten() {
            agrees(checkpoint, &blocks.reader())?;
        }
        let open = |log: LogName| {
            let sealed = blocks.last().map(|block| log.head(block.message()));
            Log::open_on(Arc::clone(&disk), log.as_str(), sealed.as_ref())
        };
        let [(index, cut), (trades, cut_too)] = [open(LogName::Index)?, open(LogName::Trades)?];
        recovery.merge(cut);
        recovery.merge(cut_too);

        let sealed = match (blocks.last(), stored) {
            (Some(block), [Some(index), Some(trades)])
                if [&index, &trades].iter().all(|c| height(c) == block.message().height) =>
            {
                Some(Arc::new(SealedBlock { block: block.clone(), checkpoints: [index, trades] }))
            }
            _ => None,
        };
        let (market, logs) = (market.clone(), [index, trades]);
        let sealed = Arc::new(RwLock::new(sealed));
        Ok((Self { disk, market, platform, logs, blocks, sealed }, recovery))
    }

    /// Adds entries to a log: see [`Log::append`].
    pub fn append(
        &mut self,
        log: LogName,
        entries: &[impl AsRef<[u8]>],
    ) -> Result<std::ops::Range<u64>, ChainError> {
        Ok(self.logs[log as usize].append(entries)?)
    }

    /// Makes everything appended durable: see [`Log::commit`].
    pub fn commit(&mut self) -> Result<(), ChainError> {
        for log in &mut self.logs {
            log.commit()?;
        }
        Ok(())
    }

    /// Commits, seals what is committed in a block, and publishes it.
    ///
    /// After an error the chain must be opened again: whether the block was sealed is known only
    /// from the disk.
    pub fn seal(
        &mut self,
        time: UnixMillis,
        randomness: Sha256Hash,
        key: &PlatformKey,
    ) -> Result<Arc<SealedBlock>, ChainError> {
        self.commit()?;
        let [index, trades] = [self.logs[0].head(), self.logs[1].head()];
        let inputs = Inputs { index, trades, time, producer: key.public(), randomness };
        let block = key.sign_block(next_block(&self.market, self.blocks.last(), &inputs))?;
        verify_link(&block, self.blocks.last(), &self.market, self.platform)?;
        self.blocks.append(std::slice::from_ref(&block))?;
        self.put(SealedBlock::sign(block, key))
    }

    /// Whether the last block's checkpoints are published.
    pub fn is_published(&self) -> bool {
        self.sealed.read().unwrap_or_else(PoisonError::into_inner).is_some()
    }

    /// Signs and publishes the checkpoints of the last block once more. A chain without blocks has
    /// none.
    pub fn publish(&mut self, key: &PlatformKey) -> Result<Option<Arc<SealedBlock>>, ChainError> {
        let last = self.blocks.last().cloned();
        last.map(|block| self.put(SealedBlock::sign(block, key))).transpose()
    }

    /// Publishes the last block's checkpoint of one log again, with cosignatures on it.
    pub fn publish_cosigned(
        &mut self,
        log: LogName,
        checkpoint: SignedCheckpoint,
    ) -> Result<(), ChainError> {
        let found = checkpoint.checkpoint().block.height;
        let sealed = self.reader().sealed();
        match sealed {
            Some(sealed) if sealed.checkpoint(log).checkpoint() == checkpoint.checkpoint() => {
                let mut sealed = (*sealed).clone();
                sealed.checkpoints[log as usize] = checkpoint;
                self.put(sealed).map(|_| ())
            }
            _ => Err(ChainError::NotTheLast {
                found,
                last: self.blocks.reader().count().saturating_sub(1),
            }),
        }
    }

    /// Writes both checkpoint files, then shows the block to readers.
    fn put(&mut self, sealed: SealedBlock) -> Result<Arc<SealedBlock>, ChainError> {
        for log in LogName::ALL {
            let file = checkpoint_file(log);
            let note = sealed.checkpoint(log).to_bytes();
            self.disk.replace(&file, &note).map_err(|source| LogError::Disk { file, source })?;
        }
        let sealed = Arc::new(sealed);
        let shown = Some(Arc::clone(&sealed));
        *self.sealed.write().unwrap_or_else(PoisonError::into_inner) = shown;
        Ok(sealed)
    }

    /// The last block, published or not.
    pub fn last_block(&self) -> Option<&Verified<Block>> {
        self.blocks.last()
    }

    /// The index the next entry of a log will have.
    pub fn next_index(&self, log: LogName) -> u64 {
        self.logs[log as usize].next_index()
    }

    /// A reading end.
    pub fn reader(&self) -> ChainReader {
        ChainReader {
            logs: [self.logs[0].reader(), self.logs[1].reader()],
            blocks: self.blocks.reader(),
            sealed: Arc::clone(&self.sealed),
        }
    }

    /// The market.
    pub fn market(&self) -> &Market {
        &self.market
    }

    /// The key that seals.
    pub fn platform(&self) -> PublicKey {
        self.platform
    }
}

/// Where a log's checkpoint is kept.
pub(crate) fn checkpoint_file(log: LogName) -> String {
    format!("checkpoint.{log}")
}

/// Reads a stored checkpoint and checks whose it is.
pub(crate) fn stored(
    disk: &dyn Disk,
    log: LogName,
    market: &Market,
    platform: PublicKey,
) -> Result<Option<SignedCheckpoint>, ChainError> {
    let file = checkpoint_file(log);
    let note = match disk.read(&file) {
        Ok(note) => note,
        Err(source) => return Err(LogError::Disk { file, source }.into()),
    };
    let open = |note: Vec<u8>| SignedCheckpoint::open(&note, &log.vkey(market, platform));
    note.map(open).transpose().map_err(|source| ChainError::Checkpoint { file, source })
}

/// Checks that a stored checkpoint is what its block says.
fn agrees(stored: &SignedCheckpoint, blocks: &BlockReader) -> Result<(), ChainError> {
    let claimed = stored.checkpoint();
    let log = LogName::ALL.into_iter().find(|log| claimed.origin.ends_with(log.as_str()));
    let log = log.expect("it was opened under the origin of one of the logs");
    let BlockRef { height, .. } = claimed.block;
    let block = blocks.block(height)?;
    let block = block.expect("blocks up to the published height are there, or opening failed");
    let said = crate::checkpoint::Checkpoint::of(log, &block);
    if said == *claimed {
        return Ok(());
    }
    Err(ChainError::Log(LogError::Contradiction {
        file: checkpoint_file(log),
        offset: 0,
        found: format!(
            "{} entries, root {}, {}",
            claimed.head.size, claimed.head.root, claimed.block
        ),
        expected: format!(
            "block {height} has {} entries, root {}, {}",
            said.head.size, said.head.root, said.block
        ),
    }))
}

#[cfg(test)]
mod tests;
