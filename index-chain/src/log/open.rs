//! Opening: which of the bytes on disk are the log.
//!
//! Everything at or below the *floor* must be there and right: the sizes of the last sealed block,
//! and every full tile whose root stands in `hashes.1` (roots are written only after the sync that
//! acknowledged their leaves). A fault there is a [`LogError::Contradiction`] and the log stays
//! closed. Above the floor, the log is the longest run of entries that match their leaf hashes;
//! what follows is a torn tail. It is cut off, and the bytes are kept beside the file as
//! `<file>.torn-<offset>`.

use std::sync::Arc;

use encrytrust_protocol::{EntryId, TreeHead};

use super::{
    HASH, Log, LogError, Pending, TILE_WIDTH,
    reader::{Extent, Files, NamedFile},
    scan::Scan,
};
use crate::{disk::Disk, tree::Frontier};

/// What opening found and did.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Recovery {
    /// Torn tails, cut off and kept.
    pub cut: Vec<Cut>,
    /// Derived files that were completed or corrected.
    pub rebuilt: Vec<String>,
}

/// A torn tail.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cut {
    /// The file it was cut from.
    pub file: String,
    /// Where.
    pub offset: u64,
    /// How many bytes.
    pub bytes: u64,
    /// The file that has them now.
    pub kept_as: String,
}

impl Recovery {
    /// Whether the files were as a clean stop leaves them.
    pub fn is_clean(&self) -> bool {
        self.cut.is_empty() && self.rebuilt.is_empty()
    }

    pub(crate) fn merge(&mut self, other: Self) {
        self.cut.extend(other.cut);
        self.rebuilt.extend(other.rebuilt);
    }
}

pub(super) fn open(
    disk: Arc<dyn Disk>,
    name: &str,
    sealed: Option<&TreeHead>,
) -> Result<(Log, Recovery), LogError> {
    let files = Files::open(&*disk, name)?;
    let Files { entries, hashes, .. } = &files;
    let floor = Floor::find(sealed, hashes)?;
    let found = read_all(entries, &hashes[0], &floor)?;

    let mut recovery = Recovery::default();
    recovery.cut.extend(cut_tail(&*disk, entries, found.extent.end)?);
    recovery.cut.extend(cut_tail(&*disk, &hashes[0], found.extent.size * HASH)?);
    // What a killed process wrote may be in memory only; before it can be sealed, it is on disk.
    entries.sync()?;
    hashes[0].sync()?;
    for (file, roots) in hashes[1..].iter().zip(&found.roots) {
        if repair(file, roots)? {
            recovery.rebuilt.push(file.path.clone());
        }
    }

    *files.extent_mut() = found.extent;
    let log = Log {
        _disk: disk,
        files: Arc::new(files),
        frontier: found.frontier,
        pending: Pending::default(),
        failed: false,
    };
    Ok((log, recovery))
}

/// Up to where the log must be whole, and who says so.
struct Floor<'a> {
    sealed: Option<&'a TreeHead>,
    /// Entries below the last full tile with a root on disk.
    tiled: u64,
}

impl<'a> Floor<'a> {
    fn find(sealed: Option<&'a TreeHead>, hashes: &[NamedFile]) -> Result<Self, LogError> {
        let stored = hashes[1].len()? / HASH;
        let bytes = hashes[1].read(0, stored * HASH)?;
        // Never synced, so its end may be zeros; a root is not.
        let roots = bytes.as_chunks::<32>().0;
        let whole = roots.iter().rposition(|root| *root != [0; 32]).map_or(0, |last| last + 1);
        Ok(Self { sealed, tiled: whole as u64 * TILE_WIDTH })
    }

    /// Why an index must be there, or `None` above the floor.
    fn covers(&self, index: u64) -> Option<String> {
        match self.sealed {
            Some(head) if index < head.size => {
                Some(format!("the last block seals {} entries", head.size))
            }
            _ if index < self.tiled => Some(format!("{} entries were acknowledged", self.tiled)),
            _ => None,
        }
    }
}

struct Found {
    extent: Extent,
    frontier: Frontier,
    /// Roots of full tiles of level 0 and 1.
    roots: [Vec<u8>; 2],
}

/// Reads entries and leaf hashes side by side, as far as they agree.
fn read_all(
    entries: &Arc<NamedFile>,
    leaves: &NamedFile,
    floor: &Floor<'_>,
) -> Result<Found, LogError> {
    let count = leaves.len()? / HASH;
    let mut found = Found {
        extent: Extent::default(),
        frontier: Frontier::new(),
        roots: [Vec::new(), Vec::new()],
    };
    check_seal(&found, floor, leaves)?;
    let mut scan = Scan::new(Arc::clone(entries), 0)?;
    loop {
        let first = found.extent.size;
        let batch = scan.next(count - first)?;
        if batch.len() == 0 {
            let fault = if first < count {
                Contradiction::cut_short(entries, scan.offset(), first)
            } else {
                Contradiction::missing(leaves, first)
            };
            fault.refuse_if_covered(floor, first)?;
            return Ok(found);
        }
        let stored = leaves.read(first * HASH, batch.len() as u64 * HASH)?;
        let stored = stored.as_chunks::<32>().0;
        for (i, (computed, stored)) in batch.leaf_hashes().iter().zip(stored).enumerate() {
            let (index, at) = (first + i as u64, batch.offset_of(i));
            if computed.as_bytes() != stored {
                let stored = EntryId::from(*stored);
                Contradiction::mismatch(entries, at, index, computed, &stored)
                    .refuse_if_covered(floor, index)?;
                return Ok(found);
            }
            found.extent.add(at, batch.offset_of(i + 1));
            found.frontier.push_with(computed, |height, hash| match height {
                8 => found.roots[0].extend_from_slice(hash.as_bytes()),
                16 => found.roots[1].extend_from_slice(hash.as_bytes()),
                _ => found.extent.midway.completed(height, hash),
            });
            check_seal(&found, floor, leaves)?;
        }
    }
}

/// At the sealed size, the tree must be the sealed one.
fn check_seal(found: &Found, floor: &Floor<'_>, leaves: &NamedFile) -> Result<(), LogError> {
    let Some(sealed) = floor.sealed.filter(|head| head.size == found.frontier.size()) else {
        return Ok(());
    };
    let head = found.frontier.head();
    if head == *sealed {
        return Ok(());
    }
    Err(LogError::Contradiction {
        file: leaves.path.clone(),
        offset: head.size * HASH,
        found: format!("the first {} entries have the root {}", head.size, head.root),
        expected: format!("the last block names {}", sealed.root),
    })
}

/// A fault that is a torn tail or a reason to stay closed, depending on where it is.
struct Contradiction {
    file: String,
    offset: u64,
    found: String,
}

impl Contradiction {
    fn mismatch(
        entries: &NamedFile,
        offset: u64,
        index: u64,
        computed: &EntryId,
        stored: &EntryId,
    ) -> Self {
        let found = format!("entry {index} hashes to {computed}, its leaf hash is {stored}");
        Self { file: entries.path.clone(), offset, found }
    }

    fn cut_short(entries: &NamedFile, offset: u64, index: u64) -> Self {
        Self { file: entries.path.clone(), offset, found: format!("entry {index} is cut short") }
    }

    fn missing(leaves: &NamedFile, index: u64) -> Self {
        let found = format!("it ends before entry {index}");
        Self { file: leaves.path.clone(), offset: index * HASH, found }
    }

    fn refuse_if_covered(self, floor: &Floor<'_>, index: u64) -> Result<(), LogError> {
        let Some(expected) = floor.covers(index) else { return Ok(()) };
        let Self { file, offset, found } = self;
        Err(LogError::Contradiction { file, offset, found, expected })
    }
}

/// Cuts a file at `len`, after writing what is cut beside it.
pub(crate) fn cut_tail(
    disk: &dyn Disk,
    file: &NamedFile,
    len: u64,
) -> Result<Option<Cut>, LogError> {
    let end = file.len()?;
    if end <= len {
        return Ok(None);
    }
    let tail = file.read(len, end - len)?;
    let kept_as = keep(disk, &format!("{}.torn-{len}", file.path), &tail)?;
    file.truncate(len)?;
    Ok(Some(Cut { file: file.path.clone(), offset: len, bytes: end - len, kept_as }))
}

/// Writes evidence under a name that no earlier evidence has.
fn keep(disk: &dyn Disk, path: &str, content: &[u8]) -> Result<String, LogError> {
    let mut name = path.to_owned();
    let named = |name: &str, source| LogError::Disk { file: name.to_owned(), source };
    let mut attempt = 1;
    while let Some(earlier) = disk.read(&name).map_err(|e| named(&name, e))? {
        if earlier == content {
            return Ok(name);
        }
        attempt += 1;
        name = format!("{path}.{attempt}");
    }
    disk.replace(&name, content).map_err(|e| named(&name, e))?;
    Ok(name)
}

/// Makes a derived file hold exactly `roots`; answers whether it did not.
fn repair(file: &NamedFile, roots: &[u8]) -> Result<bool, LogError> {
    let stored = file.read_whole()?;
    if stored == roots {
        return Ok(false);
    }
    let same = stored.iter().zip(roots).take_while(|(a, b)| a == b).count();
    file.truncate(same as u64)?;
    file.append(&roots[same..])?;
    Ok(true)
}
