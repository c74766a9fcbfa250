//! The file of blocks: `u32be length ‖ COSE block`, one after the other.

use std::sync::{Arc, PoisonError, RwLock};

use encrytrust_protocol::{Block, Market, Message, PublicKey, Signed, Verified};

use crate::{
    block::{block_hash, follows},
    disk::Disk,
    log::{LogError, NamedFile, Recovery, cut_tail},
};

/// The writing end.
#[derive(Debug)]
pub(crate) struct Blocks {
    reader: BlockReader,
    last: Option<Verified<Block>>,
    failed: bool,
}

/// Reads sealed blocks: cheap to clone, fit for other threads.
#[derive(Debug, Clone)]
pub struct BlockReader(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    file: NamedFile,
    /// Where each record begins, and where the next will.
    offsets: RwLock<Vec<u64>>,
}

impl BlockReader {
    /// How many blocks there are; the last has this height less one.
    pub fn count(&self) -> u64 {
        self.0.offsets.read().unwrap_or_else(PoisonError::into_inner).len() as u64 - 1
    }

    /// The COSE bytes of a block, or `None` above the last.
    pub fn bytes(&self, height: u64) -> Result<Option<Vec<u8>>, LogError> {
        let (from, to) = {
            let offsets = self.0.offsets.read().unwrap_or_else(PoisonError::into_inner);
            let at = usize::try_from(height).unwrap_or(usize::MAX);
            match (offsets.get(at), offsets.get(at.saturating_add(1))) {
                (Some(from), Some(to)) => (*from, *to),
                _ => return Ok(None),
            }
        };
        self.0.file.read(from + 4, to - from - 4).map(Some)
    }

    /// A block, read and its signature checked, or `None` above the last.
    pub fn block(&self, height: u64) -> Result<Option<Verified<Block>>, LogError> {
        let Some(bytes) = self.bytes(height)? else { return Ok(None) };
        let verified = Signed::<Block>::decode(&bytes).map_err(|e| e.to_string());
        let verified = verified.and_then(|signed| signed.verify().map_err(|e| e.to_string()));
        verified.map(Some).map_err(|found| LogError::Contradiction {
            file: self.0.file.path.clone(),
            offset: self.0.offsets.read().unwrap_or_else(PoisonError::into_inner)
                [usize::try_from(height).expect("it was found in memory above")],
            found,
            expected: format!("block {height} was sealed"),
        })
    }
}

impl Blocks {
    /// Reads the file: every link, and the signature of the last block, which covers the rest.
    ///
    /// A record that is cut short, or does not decode and ends the file, was never acknowledged
    /// and is cut off, unless a checkpoint names it: `published` blocks must be there. Any other
    /// fault is a contradiction.
    pub(crate) fn open(
        disk: &dyn Disk,
        market: &Market,
        platform: PublicKey,
        published: u64,
    ) -> Result<(Self, Recovery), LogError> {
        let file = NamedFile::open(disk, "blocks".into())?;
        let len = file.len()?;
        let mut offsets = vec![0];
        let mut offset = 0;
        let mut last: Option<Signed<Block>> = None;
        while offset < len {
            let record = match Record::read(&file, offset, len)? {
                Record::Whole(bytes) => bytes,
                Record::Torn => break,
            };
            let end = offset + 4 + record.len() as u64;
            let height = offsets.len() as u64 - 1;
            let contradiction = |found: String| LogError::Contradiction {
                file: file.path.clone(),
                offset,
                found: format!("block {height}: {found}"),
                expected: "it was sealed".into(),
            };
            let block = match Signed::<Block>::decode(&record) {
                Ok(block) => block,
                Err(_) if end == len => break,
                Err(e) => return Err(contradiction(e.to_string())),
            };
            let previous = last.as_ref().map(|p| (p.unverified(), block_hash(p.bytes())));
            follows(block.unverified(), previous, market)
                .map_err(|e| contradiction(e.to_string()))?;
            last = Some(block);
            offset = end;
            offsets.push(offset);
        }
        let whole = offsets.len() as u64 - 1;
        if whole < published {
            return Err(LogError::Contradiction {
                file: file.path,
                offset,
                found: format!("block {whole} is not there or cut short"),
                expected: format!("a checkpoint names block {}", published - 1),
            });
        }
        let cut = cut_tail(disk, &file, offset)?;
        // The last block may be in memory only; before it is published, it is on disk.
        file.sync()?;
        let recovery = Recovery { cut: cut.into_iter().collect(), rebuilt: Vec::new() };
        let contradiction = |found: String| LogError::Contradiction {
            file: file.path.clone(),
            offset: offsets[offsets.len().saturating_sub(2)],
            found,
            expected: format!("{platform} seals this chain"),
        };
        let last = match last {
            None => None,
            Some(signed) => {
                let verified = signed.verify().map_err(|e| contradiction(e.to_string()))?;
                let named = verified.message().producer;
                if verified.signer() != platform || named != platform {
                    return Err(contradiction(format!("the last block is by {named}")));
                }
                Some(verified)
            }
        };
        let shared = Shared { file, offsets: RwLock::new(offsets) };
        Ok((Self { reader: BlockReader(Arc::new(shared)), last, failed: false }, recovery))
    }

    pub(crate) fn last(&self) -> Option<&Verified<Block>> {
        self.last.as_ref()
    }

    pub(crate) fn reader(&self) -> BlockReader {
        self.reader.clone()
    }

    /// Writes blocks that follow the last, durably, and shows them to readers. After an error
    /// nothing more can be written until the file is opened again.
    pub(crate) fn append(&mut self, blocks: &[Verified<Block>]) -> Result<(), LogError> {
        let shared = &self.reader.0;
        if self.failed {
            return Err(LogError::Failed { log: shared.file.path.clone() });
        }
        let Some(last) = blocks.last().cloned() else { return Ok(()) };
        self.failed = true;
        let mut records = Vec::new();
        let mut ends = Vec::with_capacity(blocks.len());
        for block in blocks {
            let length = block.bytes().len();
            let length = u32::try_from(length).expect("a block has at most Block::LIMIT bytes");
            records.extend_from_slice(&length.to_be_bytes());
            records.extend_from_slice(block.bytes());
            ends.push(records.len() as u64);
        }
        shared.file.append(&records)?;
        shared.file.sync()?;
        let mut offsets = shared.offsets.write().unwrap_or_else(PoisonError::into_inner);
        let start = *offsets.last().expect("the list starts with the first record's place");
        offsets.extend(ends.into_iter().map(|end| start + end));
        drop(offsets);
        self.last = Some(last);
        self.failed = false;
        Ok(())
    }
}

/// What stands at a place in the file.
pub(crate) enum Record {
    Whole(Vec<u8>),
    /// Cut short by the end of the file, or zeros up to it.
    Torn,
}

impl Record {
    pub(crate) fn read(file: &NamedFile, offset: u64, len: u64) -> Result<Self, LogError> {
        if len - offset < 4 {
            return Ok(Self::Torn);
        }
        let prefix = file.read(offset, 4)?;
        let length = u64::from(u32::from_be_bytes([prefix[0], prefix[1], prefix[2], prefix[3]]));
        let room = len - offset - 4;
        if length == 0 && file.read(offset, len - offset)?.iter().all(|byte| *byte == 0) {
            return Ok(Self::Torn);
        }
        if length == 0 || length > Block::LIMIT as u64 {
            return Err(LogError::Contradiction {
                file: file.path.clone(),
                offset,
                found: format!("a record of {length} bytes"),
                expected: format!("a block has 1 to {} bytes", Block::LIMIT),
            });
        }
        if room < length {
            return Ok(Self::Torn);
        }
        file.read(offset + 4, length).map(Self::Whole)
    }
}
