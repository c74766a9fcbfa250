//! Reading a whole log from front to back, a few megabytes at a time.

use std::{ops::Range, sync::Arc};

use encrytrust_protocol::{EntryId, leaf_hash};
use rayon::prelude::*;

use super::{
    LogError, LogReader,
    reader::{Files, NamedFile},
};
use crate::disk::Disk;

/// Bytes read at once.
const CHUNK: u64 = 4 << 20;

/// Walks `entries` in batches of whole entries.
#[derive(Debug)]
pub(crate) struct Scan {
    entries: Arc<NamedFile>,
    /// Where the next entry begins.
    offset: u64,
    /// Where the file ends.
    end: u64,
}

/// The files of a log that somebody else writes. What has been scanned, and found right, can be
/// read at random like a log of one's own.
#[derive(Debug)]
pub(crate) struct Scanned(Arc<Files>);

impl Scanned {
    pub(crate) fn open(disk: &dyn Disk, name: &str) -> Result<Self, LogError> {
        Ok(Self(Arc::new(Files::open(disk, name)?)))
    }

    pub(crate) fn entries(&self) -> Arc<NamedFile> {
        Arc::clone(&self.0.entries)
    }

    /// The file of a level.
    pub(crate) fn hashes(&self, level: usize) -> &NamedFile {
        &self.0.hashes[level]
    }

    /// Takes in the entries that follow.
    pub(crate) fn extend(&self, batch: &Batch) {
        let mut extent = self.0.extent_mut();
        for i in 0..batch.len() {
            extent.add(batch.offset_of(i), batch.offset_of(i + 1));
        }
    }

    pub(crate) fn reader(&self) -> LogReader {
        LogReader::new(Arc::clone(&self.0))
    }
}

/// Consecutive whole entries.
#[derive(Debug)]
pub(crate) struct Batch {
    /// Where the first one's length stands in the file.
    pub(crate) offset: u64,
    bytes: Vec<u8>,
    spans: Vec<Range<usize>>,
}

impl Scan {
    pub(crate) fn new(entries: Arc<NamedFile>, offset: u64) -> Result<Self, LogError> {
        let end = entries.len()?;
        Ok(Self { entries, offset, end })
    }

    /// Where the next entry begins.
    pub(crate) fn offset(&self) -> u64 {
        self.offset
    }

    /// The next entries, at most `max`; none when the file ends or holds only part of one.
    pub(crate) fn next(&mut self, max: u64) -> Result<Batch, LogError> {
        let mut bytes = self.entries.read(self.offset, CHUNK.min(self.end - self.offset))?;
        let mut spans = Vec::new();
        let mut at = 0;
        while (spans.len() as u64) < max {
            let Some((length, rest)) = bytes[at..].split_first_chunk() else { break };
            let length = usize::from(u16::from_be_bytes(*length));
            if rest.len() < length {
                break;
            }
            spans.push(at + 2..at + 2 + length);
            at += 2 + length;
        }
        bytes.truncate(at);
        let batch = Batch { offset: self.offset, bytes, spans };
        self.offset += at as u64;
        Ok(batch)
    }
}

impl Batch {
    pub(crate) fn len(&self) -> usize {
        self.spans.len()
    }

    pub(crate) fn entry(&self, i: usize) -> &[u8] {
        &self.bytes[self.spans[i].clone()]
    }

    /// Where entry `i`'s length stands in the file; for `i` = `len()`, where the batch ends.
    pub(crate) fn offset_of(&self, i: usize) -> u64 {
        let within = self.spans.get(i).map_or(self.bytes.len(), |span| span.start - 2);
        self.offset + within as u64
    }

    /// Every entry's leaf hash, computed on all cores.
    pub(crate) fn leaf_hashes(&self) -> Vec<EntryId> {
        self.spans.par_iter().map(|span| leaf_hash(&self.bytes[span.clone()])).collect()
    }
}
