//! The few things a log asks of a disk, so that a test can stand in for one that fails.
//!
//! A [`Disk`] is a directory of append-only files. Three rules make everything above it simple:
//!
//! - [`DiskFile::append`] may be lost, or kept in part, until [`DiskFile::sync`] has returned.
//! - A failed `append` or `sync` leaves the file in an unknown state: the caller stops and reopens.
//!   (After a failed `fsync` Linux forgets the dirty pages; asking again would lie.)
//! - [`Disk::replace`] is all or nothing and durable when it returns.
//!
//! [`Dir`] is the real thing; [`FaultyDisk`] keeps files in memory, counts every operation and
//! fails the one it is told to.

mod dir;
mod faulty;

use std::{fmt, io, sync::Arc};

pub use dir::Dir;
pub use faulty::{Fault, FaultyDisk, Operation, Survive};

/// A directory that holds a log. Paths are relative, with `/` between the parts.
pub trait Disk: fmt::Debug + Send + Sync {
    /// Opens a file for appending and reading; creates it, durably, when it is missing.
    fn open(&self, path: &str) -> io::Result<Arc<dyn DiskFile>>;

    /// The whole content of a file, or `None` when there is no such file.
    fn read(&self, path: &str) -> io::Result<Option<Vec<u8>>>;

    /// Puts `content` in place of a file's content: afterwards, whatever happens, a reader finds
    /// either the old content or the new, and the new once this has returned.
    fn replace(&self, path: &str, content: &[u8]) -> io::Result<()>;
}

/// A file that grows at its end.
pub trait DiskFile: fmt::Debug + Send + Sync {
    /// Its length in bytes, unsynced bytes included.
    fn len(&self) -> io::Result<u64>;

    /// Whether it has no bytes.
    fn is_empty(&self) -> io::Result<bool> {
        Ok(self.len()? == 0)
    }

    /// Fills `buffer` from `offset` on; an end of file before that is an error.
    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> io::Result<()>;

    /// Writes at the end.
    fn append(&self, bytes: &[u8]) -> io::Result<()>;

    /// Returns when every byte appended so far survives a power cut.
    fn sync(&self) -> io::Result<()>;

    /// Cuts the file to its first `len` bytes, durably.
    fn truncate(&self, len: u64) -> io::Result<()>;
}

/// Reads `len` bytes from `offset`.
pub(crate) fn read_vec(file: &dyn DiskFile, offset: u64, len: usize) -> io::Result<Vec<u8>> {
    let mut buffer = vec![0; len];
    file.read_at(offset, &mut buffer)?;
    Ok(buffer)
}
