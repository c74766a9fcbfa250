//! The reading end: entries, bundles, tiles, roots, proofs.

use std::{
    io,
    sync::{Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard},
};

use encrytrust_protocol::{EntryId, Sha256Hash, TreeHead};

use super::{HASH, LEVELS, LogError, TILE_WIDTH};
use crate::{
    disk::{Disk, DiskFile, read_vec},
    tree::Nodes,
};

/// Every sixteenth entry's place in the file is remembered: half a byte of memory for each entry,
/// and at most sixteen entries are read to find one.
pub(super) const STRIDE: u64 = 16;

/// A file and what to call it in an error.
#[derive(Debug)]
pub(crate) struct NamedFile {
    pub(crate) path: String,
    pub(crate) file: Arc<dyn DiskFile>,
}

impl NamedFile {
    pub(crate) fn open(disk: &dyn Disk, path: String) -> Result<Self, LogError> {
        match disk.open(&path) {
            Ok(file) => Ok(Self { path, file }),
            Err(source) => Err(LogError::Disk { file: path, source }),
        }
    }

    fn named<T>(&self, result: io::Result<T>) -> Result<T, LogError> {
        result.map_err(|source| LogError::Disk { file: self.path.clone(), source })
    }

    pub(crate) fn append(&self, bytes: &[u8]) -> Result<(), LogError> {
        self.named(self.file.append(bytes))
    }

    pub(crate) fn sync(&self) -> Result<(), LogError> {
        self.named(self.file.sync())
    }

    pub(crate) fn truncate(&self, len: u64) -> Result<(), LogError> {
        self.named(self.file.truncate(len))
    }

    pub(crate) fn len(&self) -> Result<u64, LogError> {
        self.named(self.file.len())
    }

    pub(crate) fn read_whole(&self) -> Result<Vec<u8>, LogError> {
        self.read(0, self.len()?)
    }

    pub(crate) fn read(&self, offset: u64, len: u64) -> Result<Vec<u8>, LogError> {
        let len = usize::try_from(len).expect("no file part that is read at once exceeds memory");
        self.named(read_vec(&*self.file, offset, len))
    }
}

/// What the writer and its readers share.
#[derive(Debug)]
pub(super) struct Files {
    pub(super) name: String,
    pub(super) entries: Arc<NamedFile>,
    pub(super) hashes: [NamedFile; LEVELS],
    pub(super) extent: RwLock<Extent>,
}

/// How far the log is committed.
#[derive(Debug, Default)]
pub(super) struct Extent {
    /// Entries.
    pub(super) size: u64,
    /// Bytes of `entries`.
    pub(super) end: u64,
    /// Where entries 0, [`STRIDE`], 2·[`STRIDE`], … begin.
    pub(super) signposts: Vec<u64>,
    pub(super) midway: Midway,
}

/// The nodes halfway up each tile, at heights 4, 12 and 20: two bytes of memory for each entry, and
/// a proof hashes a tenth of what it would without them.
#[derive(Debug, Default)]
pub(super) struct Midway([Vec<Sha256Hash>; LEVELS]);

impl Midway {
    const HEIGHT: u8 = 4;

    /// Takes note of a node that the tree completed, in the order of the leaves.
    pub(super) fn completed(&mut self, height: u8, hash: &Sha256Hash) {
        if let (Self::HEIGHT, Some(nodes)) = (height % 8, self.0.get_mut(usize::from(height / 8))) {
            nodes.push(*hash);
        }
    }

    pub(super) fn append(&mut self, mut later: Self) {
        self.0.iter_mut().zip(&mut later.0).for_each(|(nodes, later)| nodes.append(later));
    }

    /// The nodes below a node of a tile, if it is so high and they are all known.
    fn below(&self, level: usize, rest: usize, n: u64) -> Option<Vec<u8>> {
        let width = 1 << rest.checked_sub(usize::from(Self::HEIGHT))?;
        let from = usize::try_from(n).ok()?.checked_mul(width)?;
        let nodes = self.0[level].get(from..from.checked_add(width)?)?;
        Some(nodes.iter().flat_map(|node| *node.as_bytes()).collect())
    }
}

impl Extent {
    /// Adds the entry that stands between two offsets.
    pub(super) fn add(&mut self, start: u64, end: u64) {
        if self.size.is_multiple_of(STRIDE) {
            self.signposts.push(start);
        }
        self.size += 1;
        self.end = end;
    }
}

impl Files {
    /// Opens the files; nothing of them counts as committed yet.
    pub(super) fn open(disk: &dyn Disk, name: &str) -> Result<Self, LogError> {
        let open = |file: &str| {
            let path = if name == "." { file.to_owned() } else { format!("{name}/{file}") };
            NamedFile::open(disk, path)
        };
        let entries = Arc::new(open("entries")?);
        let hashes = [open("hashes.0")?, open("hashes.1")?, open("hashes.2")?];
        Ok(Self { name: name.to_owned(), entries, hashes, extent: RwLock::default() })
    }

    pub(super) fn extent(&self) -> RwLockReadGuard<'_, Extent> {
        self.extent.read().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn extent_mut(&self) -> RwLockWriteGuard<'_, Extent> {
        self.extent.write().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Reads the committed part of a log.
#[derive(Debug, Clone)]
pub struct LogReader(Arc<Files>);

impl LogReader {
    pub(super) fn new(files: Arc<Files>) -> Self {
        Self(files)
    }

    /// Committed entries.
    pub fn size(&self) -> u64 {
        self.0.extent().size
    }

    /// The entry at an index.
    pub fn entry(&self, index: u64) -> Result<Vec<u8>, LogError> {
        self.reaches(index.saturating_add(1), || format!("entry {index}"))?;
        let group = self.group(index / STRIDE)?;
        let skipped = skip(&group, index % STRIDE).ok_or_else(|| self.torn(index))?;
        let (length, rest) = skipped.split_first_chunk().ok_or_else(|| self.torn(index))?;
        let entry = rest.get(..usize::from(u16::from_be_bytes(*length)));
        Ok(entry.ok_or_else(|| self.torn(index))?.to_vec())
    }

    /// The hash of the leaf at an index: the entry's name.
    pub fn leaf_hash(&self, index: u64) -> Result<EntryId, LogError> {
        Ok(EntryId::from(*self.node(0, index)?.as_bytes()))
    }

    /// `width` entries from entry 256·`n` on, each behind its length: the body of
    /// `tile/entries/<n>[.p/<width>]` (C2SP tlog-tiles).
    pub fn bundle(&self, n: u64, width: u64) -> Result<Vec<u8>, LogError> {
        let (from, to) = self.tile_range(0, n, width)?;
        let start = self.offset(from)?;
        self.0.entries.read(start, self.offset(to)? - start)
    }

    /// `width` hashes from hash 256·`n` of a level on: the body of `tile/<level>/<n>[.p/<width>]`
    /// (C2SP tlog-tiles).
    pub fn tile(&self, level: u8, n: u64, width: u64) -> Result<Vec<u8>, LogError> {
        let (from, to) = self.tile_range(level, n, width)?;
        if let Some(file) = self.0.hashes.get(usize::from(level)) {
            return file.read(from * HASH, (to - from) * HASH);
        }
        let hashes = (from..to).map(|i| Ok(*self.node(8 * level, i)?.as_bytes()));
        Ok(hashes.collect::<Result<Vec<_>, LogError>>()?.concat())
    }

    /// The tree over the first `size` entries.
    pub fn head_at(&self, size: u64) -> Result<TreeHead, LogError> {
        Ok(TreeHead { size, root: self.tree_hash(size)? })
    }

    /// The root of the tree over the first `size` entries.
    pub fn tree_hash(&self, size: u64) -> Result<Sha256Hash, LogError> {
        self.reaches(size, || format!("a tree of {size}"))?;
        self.root(size)
    }

    /// Proof that the tree over `size` entries has the one at `index`: sibling hashes, leaf first.
    pub fn prove_inclusion(&self, index: u64, size: u64) -> Result<Vec<Sha256Hash>, LogError> {
        self.reaches(size, || format!("a tree of {size}"))?;
        Nodes::prove_inclusion(self, index, size)
    }

    /// Proof that the tree over `new` entries begins with the tree over `old`.
    pub fn prove_consistency(&self, old: u64, new: u64) -> Result<Vec<Sha256Hash>, LogError> {
        self.reaches(new, || format!("a tree of {new}"))?;
        Nodes::prove_consistency(self, old, new)
    }

    fn reaches(&self, size: u64, what: impl FnOnce() -> String) -> Result<(), LogError> {
        let committed = self.size();
        if size <= committed {
            return Ok(());
        }
        Err(LogError::Beyond { what: what(), size: committed })
    }

    /// The indexes a tile spans on its level, if all are there.
    fn tile_range(&self, level: u8, n: u64, width: u64) -> Result<(u64, u64), LogError> {
        let size = self.size();
        let there = size.checked_shr(8 * u32::from(level)).unwrap_or(0);
        let range =
            n.checked_mul(TILE_WIDTH).and_then(|from| Some((from, from.checked_add(width)?)));
        match range {
            Some((from, to)) if (1..=TILE_WIDTH).contains(&width) && to <= there => Ok((from, to)),
            _ => {
                let what = format!("tile {n} of level {level}, {width} wide,");
                Err(LogError::Beyond { what, size })
            }
        }
    }

    /// Where an entry begins; for the index after the last, where it will.
    pub(super) fn offset(&self, index: u64) -> Result<u64, LogError> {
        let (number, within) = (index / STRIDE, index % STRIDE);
        let start = {
            let extent = self.0.extent();
            if index == extent.size {
                return Ok(extent.end);
            }
            extent.signposts[position(number)]
        };
        let group = self.group(number)?;
        let rest = skip(&group, within).ok_or_else(|| self.torn(index))?;
        Ok(start + (group.len() - rest.len()) as u64)
    }

    /// The bytes of one stride of entries.
    fn group(&self, number: u64) -> Result<Vec<u8>, LogError> {
        let (from, to) = {
            let extent = self.0.extent();
            let at = position(number);
            (extent.signposts[at], extent.signposts.get(at + 1).copied().unwrap_or(extent.end))
        };
        self.0.entries.read(from, to - from)
    }

    fn torn(&self, index: u64) -> LogError {
        LogError::Contradiction {
            file: self.0.entries.path.clone(),
            offset: self.0.extent().signposts[position(index / STRIDE)],
            found: format!("entry {index} is cut short"),
            expected: "it was whole when the log was opened".into(),
        }
    }
}

fn position(number: u64) -> usize {
    usize::try_from(number).expect("signposts are in memory, so their count fits")
}

/// What follows `count` length-prefixed entries.
fn skip(mut bytes: &[u8], count: u64) -> Option<&[u8]> {
    for _ in 0..count {
        let (length, rest) = bytes.split_first_chunk()?;
        bytes = rest.get(usize::from(u16::from_be_bytes(*length))..)?;
    }
    Some(bytes)
}

impl Nodes for LogReader {
    type Error = LogError;

    /// Takes the nearest nodes below that are at hand and hashes up the remaining heights.
    fn node(&self, height: u8, n: u64) -> Result<Sha256Hash, LogError> {
        let level = usize::from(height / 8).min(LEVELS - 1);
        let rest = usize::from(height) - 8 * level;
        let width = 1 << rest;
        let fits =
            n.checked_add(1).and_then(|next| next.checked_mul(1u64.checked_shl(height.into())?));
        let beyond = || format!("node {n} of height {height}");
        self.reaches(fits.unwrap_or(u64::MAX), beyond)?;
        let halfway = self.0.extent().midway.below(level, rest, n);
        let hashes = match halfway {
            Some(hashes) => hashes,
            None => self.0.hashes[level].read(n * width * HASH, width * HASH)?,
        };
        Ok(crate::tree::ours(tlog_tiles::Tile::subtree_hash(&hashes)))
    }
}
