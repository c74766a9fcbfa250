//! An append-only log in flat files, laid out so that a C2SP tile is a slice of a file.
//!
//! ```text
//! <name>/entries    u16be length ‖ entry, …    any entry bundle is a slice of this file
//! <name>/hashes.0   32-byte leaf hashes         any level-0 tile is a slice of this one,
//! <name>/hashes.1   roots of full 256-leaf tiles     and of these two
//! <name>/hashes.2   roots of full 65,536-leaf tiles
//! ```
//!
//! A leaf hash is also its entry's checksum: [opening](Log::open) a log reads it whole, compares
//! each entry with its leaf hash and each tile with its root, so nothing is ever served that was
//! not checked since the start. `hashes.1` and `hashes.2` are derived, never synced, and repaired
//! in passing. Tiles of level 3 and above, which begin at 16 million entries, are computed from
//! `hashes.2` when asked for.
//!
//! # Durability
//!
//! [`Log::append`] buffers; [`Log::commit`] writes entries, then leaf hashes, syncs both files and
//! only then lets readers see them: many appends share one commit (group commit). What a crash
//! leaves behind at each step is the table in [`crate::crash`].
//!
//! # Concurrency
//!
//! One [`Log`] writes; any number of [`LogReader`]s, on other threads, read what is committed,
//! with `pread` and without waiting for the writer's disk.

mod open;
mod reader;
mod scan;

use std::{io, ops::Range, path::Path, sync::Arc};

use encrytrust_protocol::{ENTRY_BYTES_MAX, TreeHead, leaf_hash};

pub(crate) use open::cut_tail;
pub use open::{Cut, Recovery};
pub use reader::LogReader;
pub(crate) use reader::NamedFile;
pub(crate) use scan::{Batch, Scan, Scanned};

use crate::{
    disk::{Dir, Disk},
    tree::{Frontier, ProofError},
};
use reader::{Files, Midway, STRIDE};

/// Hashes in a full tile, entries in a full bundle.
pub const TILE_WIDTH: u64 = 256;

/// Levels of tiles kept in files.
const LEVELS: usize = 3;

/// Bytes in a hash.
pub(crate) const HASH: u64 = 32;

/// Why a log does not do what it was asked.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LogError {
    /// The disk refused.
    #[error("{file}: {source}")]
    Disk {
        /// The file, relative to the log's disk.
        file: String,
        /// What the operating system said.
        source: io::Error,
    },
    /// A write failed earlier, so what is on disk is unknown until the log is opened again.
    #[error("an earlier write to {log} failed; open the log again to find what was kept")]
    Failed {
        /// The log.
        log: String,
    },
    /// What was acknowledged, or sealed in a block, is not what the files hold. The log stays
    /// closed.
    #[error(
        "{file}, at byte {offset}: {found}, but {expected}; \
         restore the file from a copy of the log or a backup"
    )]
    Contradiction {
        /// The file, relative to the log's disk.
        file: String,
        /// Where in it.
        offset: u64,
        /// What is there.
        found: String,
        /// What says otherwise.
        expected: String,
    },
    /// An entry that no bundle can hold.
    #[error("an entry of {bytes} bytes; a log holds at most {ENTRY_BYTES_MAX}")]
    TooLong {
        /// Its length.
        bytes: usize,
    },
    /// Asked for something that is not in the log, or not yet.
    #[error("{what} is not in a log of {size} entries")]
    Beyond {
        /// What was asked for.
        what: String,
        /// The committed size.
        size: u64,
    },
    /// No such proof exists.
    #[error(transparent)]
    Proof(#[from] ProofError),
}

/// The writing end of a log.
#[derive(Debug)]
pub struct Log {
    /// Kept for the lock it holds.
    _disk: Arc<dyn Disk>,
    files: Arc<Files>,
    /// The committed tree.
    frontier: Frontier,
    pending: Pending,
    failed: bool,
}

/// Appended, not committed.
#[derive(Debug, Default)]
struct Pending {
    entries: Vec<u8>,
    leaves: Vec<u8>,
    /// Where each [`STRIDE`]th entry begins.
    signposts: Vec<u64>,
}

impl Log {
    /// Opens the log in a directory of its own, or starts one; locks the directory.
    ///
    /// ```
    /// # let home = tempfile::tempdir()?;
    /// use encrytrust_index_chain::log::Log;
    ///
    /// let (mut log, recovery) = Log::open(home.path())?;
    /// assert!(recovery.is_clean());
    /// assert_eq!(log.append(&["first", "second"])?, 0..2);
    /// assert_eq!(log.reader().size(), 0, "nothing is there before it is on disk");
    /// log.commit()?;
    /// assert_eq!(log.reader().entry(1)?, b"second");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn open(dir: impl AsRef<Path>) -> Result<(Self, Recovery), LogError> {
        let dir = dir.as_ref();
        let disk = Dir::exclusive(dir)
            .map_err(|source| LogError::Disk { file: dir.display().to_string(), source })?;
        Self::open_on(Arc::new(disk), ".", None)
    }

    /// Opens the log `name` on a disk. `sealed` is the head up to which it must be whole.
    pub fn open_on(
        disk: Arc<dyn Disk>,
        name: &str,
        sealed: Option<&TreeHead>,
    ) -> Result<(Self, Recovery), LogError> {
        open::open(disk, name, sealed)
    }

    /// Adds entries behind those already there and says which indexes they will have. They are
    /// not in the log, and not to be acknowledged, until [`commit`](Self::commit) has returned.
    ///
    /// All are added or none.
    pub fn append(&mut self, entries: &[impl AsRef<[u8]>]) -> Result<Range<u64>, LogError> {
        self.usable()?;
        if let Some(long) = entries.iter().find(|e| e.as_ref().len() > ENTRY_BYTES_MAX) {
            return Err(LogError::TooLong { bytes: long.as_ref().len() });
        }
        let first = self.next_index();
        let mut end = self.files.extent().end + self.pending.entries.len() as u64;
        for (entry, index) in entries.iter().map(AsRef::as_ref).zip(first..) {
            if index % STRIDE == 0 {
                self.pending.signposts.push(end);
            }
            let length = u16::try_from(entry.len()).expect("compared with ENTRY_BYTES_MAX above");
            self.pending.entries.extend_from_slice(&length.to_be_bytes());
            self.pending.entries.extend_from_slice(entry);
            self.pending.leaves.extend_from_slice(leaf_hash(entry).as_bytes());
            end += 2 + entry.len() as u64;
        }
        Ok(first..self.next_index())
    }

    /// Makes everything appended durable and visible, and answers the new head.
    ///
    /// After an error the log refuses further work: what reached the disk is known only by
    /// opening it again.
    pub fn commit(&mut self) -> Result<TreeHead, LogError> {
        self.usable()?;
        let pending = std::mem::take(&mut self.pending);
        if pending.leaves.is_empty() {
            return Ok(self.head());
        }
        self.failed = true;
        let [leaves, tiles @ ..] = &self.files.hashes;
        let entries = &self.files.entries;
        entries.append(&pending.entries)?;
        leaves.append(&pending.leaves)?;
        entries.sync()?;
        leaves.sync()?;

        let (mut roots, mut midway) = ([Vec::new(), Vec::new()], Midway::default());
        for leaf in pending.leaves.as_chunks::<32>().0 {
            self.frontier.push_with(&(*leaf).into(), |height, hash| match height {
                8 => roots[0].extend_from_slice(hash.as_bytes()),
                16 => roots[1].extend_from_slice(hash.as_bytes()),
                _ => midway.completed(height, hash),
            });
        }
        for (file, roots) in tiles.iter().zip(roots).filter(|(_, roots)| !roots.is_empty()) {
            file.append(&roots)?;
        }

        let mut extent = self.files.extent_mut();
        extent.size = self.frontier.size();
        extent.end += pending.entries.len() as u64;
        extent.signposts.extend(pending.signposts);
        extent.midway.append(midway);
        drop(extent);
        self.failed = false;
        Ok(self.head())
    }

    /// Forgets what was appended and not committed.
    pub fn discard(&mut self) {
        self.pending = Pending::default();
    }

    /// The committed tree.
    pub fn head(&self) -> TreeHead {
        self.frontier.head()
    }

    /// The index the next entry will have.
    pub fn next_index(&self) -> u64 {
        self.frontier.size() + self.pending.leaves.len() as u64 / HASH
    }

    /// A reading end: cheap to clone, fit for other threads.
    pub fn reader(&self) -> LogReader {
        LogReader::new(Arc::clone(&self.files))
    }

    /// The committed tree, to grow a copy of it.
    pub(crate) fn frontier(&self) -> &Frontier {
        &self.frontier
    }

    /// Cuts the log to its first `size` entries; it must be opened again afterwards. Only a copy
    /// does this, above what it has published.
    pub(crate) fn rewind(&mut self, size: u64) -> Result<(), LogError> {
        self.usable()?;
        let end = self.reader().offset(size)?;
        self.failed = true;
        let [leaves, tiles, more] = &self.files.hashes;
        more.truncate((size >> 16) * HASH)?;
        tiles.truncate((size >> 8) * HASH)?;
        leaves.truncate(size * HASH)?;
        self.files.entries.truncate(end)
    }

    fn usable(&self) -> Result<(), LogError> {
        if self.failed { Err(LogError::Failed { log: self.files.name.clone() }) } else { Ok(()) }
    }
}

#[cfg(test)]
mod tests;
