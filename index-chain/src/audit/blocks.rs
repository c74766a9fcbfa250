//! The second stage: every block, its link and its signature.

use std::collections::BTreeMap;

use encrytrust_protocol::{Block, BlockHash, PublicKey, Signed, verify_batch};
use rayon::prelude::*;

use super::{AuditError, Auditor, Fault, FaultKind, Stage};
use crate::{
    block::{block_hash, follows},
    chain::{Record, checkpoint_file},
    checkpoint::{BlockRef, LogName, SignedCheckpoint},
    disk::Disk,
    log::{LogError, NamedFile},
};

/// Blocks whose signatures are verified together on one core.
const BATCH: usize = 64;

/// Reads the file of blocks from the first to the last whole one.
pub(super) struct BlockWalk {
    file: NamedFile,
    len: u64,
    offset: u64,
    height: u64,
}

/// A block as it stands in the file.
pub(super) struct Stored {
    pub(super) block: Signed<Block>,
    pub(super) offset: u64,
}

impl BlockWalk {
    pub(super) fn new(disk: &dyn Disk) -> Result<Self, LogError> {
        let file = NamedFile::open(disk, "blocks".into())?;
        let len = file.len()?;
        Ok(Self { file, len, offset: 0, height: 0 })
    }

    /// The next block, or `None` where the file ends, be it in the middle of a record that its
    /// writer has not finished.
    pub(super) fn next(&mut self) -> Result<Option<Stored>, AuditError> {
        let (offset, height) = (self.offset, self.height);
        if offset >= self.len {
            return Ok(None);
        }
        let fault = |found: String| {
            Fault::block(FaultKind::Decode, height, offset, found, "a signed block was to be here")
        };
        let bytes = match Record::read(&self.file, offset, self.len) {
            Ok(Record::Whole(bytes)) => bytes,
            Ok(Record::Torn) => return Ok(None),
            Err(LogError::Contradiction { found, .. }) => return Err(fault(found).into()),
            Err(e) => return Err(e.into()),
        };
        let block = Signed::decode(&bytes).map_err(|e| fault(e.to_string()))?;
        self.offset += 4 + bytes.len() as u64;
        self.height += 1;
        Ok(Some(Stored { block, offset }))
    }
}

/// What the later stages need to know of the blocks.
pub(super) struct Blocks {
    pub(super) count: u64,
    pub(super) last: BlockRef,
    /// Entries below the last block: index, trades.
    pub(super) sizes: [u64; 2],
}

impl Auditor<'_> {
    pub(super) fn blocks(
        &mut self,
        disk: &dyn Disk,
        checkpoints: &[SignedCheckpoint; 2],
    ) -> Result<Blocks, AuditError> {
        let seen = std::mem::take(&mut self.seen);
        let mut claims = claims(checkpoints, &seen);
        let mut walk = BlockWalk::new(disk)?;
        let mut previous: Option<(Block, BlockHash)> = None;
        let mut batch = Vec::new();
        while let Some(Stored { block, offset }) = walk.next()? {
            let (height, hash) = (walk.height - 1, block_hash(block.bytes()));
            let before = previous.as_ref().map(|(block, hash)| (block, *hash));
            if let Err(e) = follows(block.unverified(), before, &self.market) {
                // A changed block breaks the link after it: its own signature says so first.
                signatures(self.platform, &batch)?;
                let broken = "blocks follow one another";
                let fault = Fault::block(FaultKind::Link, height, offset, e.to_string(), broken);
                return Err(fault.into());
            }
            for claim in claims.remove(&height).unwrap_or_default() {
                claim.check(block.unverified(), hash, offset)?;
            }
            previous = Some((block.unverified().clone(), hash));
            batch.push((offset, block));
            if batch.len() == BATCH * 64 {
                signatures(self.platform, &std::mem::take(&mut batch))?;
                self.tell(Stage::Blocks, walk.height, walk.len.div_ceil(walk.offset / walk.height));
            }
        }
        signatures(self.platform, &batch)?;
        self.tell(Stage::Blocks, walk.height, walk.height);
        if let Some((height, claims)) = claims.pop_first() {
            let claim = claims.first().expect("a height is listed for the claims on it");
            let found = format!("the file has {} blocks", walk.height);
            let expected = claim.to_string();
            return Err(Fault::block(claim.kind(), height, walk.offset, found, expected).into());
        }
        let (last, hash) = previous.expect("the checkpoints' blocks were found");
        let sizes = LogName::ALL.map(|log| log.head(&last).size);
        Ok(Blocks { count: walk.height, last: BlockRef { height: last.height, hash }, sizes })
    }
}

fn signatures(platform: PublicKey, blocks: &[(u64, Signed<Block>)]) -> Result<(), AuditError> {
    blocks.par_chunks(BATCH).try_for_each(|chunk| {
        let signed = chunk.iter().map(|(_, block)| block.clone()).collect();
        for (verified, (offset, block)) in verify_batch(signed).into_iter().zip(chunk) {
            let height = block.unverified().height;
            let fault = |found: String| {
                let expected = format!("the platform's key is {platform}");
                Fault::block(FaultKind::Signature, height, *offset, found, expected)
            };
            let block = verified.map_err(|e| fault(e.to_string()))?;
            let (signer, named) = (block.signer(), block.message().producer);
            if signer != platform || named != platform {
                return Err(fault(format!("signed by {signer}, produced by {named}")).into());
            }
        }
        Ok(())
    })
}

/// Which checkpoints speak of which block.
fn claims<'c>(
    stored: &'c [SignedCheckpoint],
    seen: &'c [SignedCheckpoint],
) -> BTreeMap<u64, Vec<Claim<'c>>> {
    let stored = stored.iter().map(|checkpoint| Claim { checkpoint, seen_before: false });
    let seen = seen.iter().map(|checkpoint| Claim { checkpoint, seen_before: true });
    let mut claims = BTreeMap::<_, Vec<_>>::new();
    for claim in stored.chain(seen) {
        claims.entry(claim.checkpoint.checkpoint().block.height).or_default().push(claim);
    }
    claims
}

/// A checkpoint says what a block is.
struct Claim<'a> {
    checkpoint: &'a SignedCheckpoint,
    /// By this auditor, in an earlier audit.
    seen_before: bool,
}

impl Claim<'_> {
    fn kind(&self) -> FaultKind {
        if self.seen_before { FaultKind::History } else { FaultKind::Checkpoint }
    }

    fn check(&self, block: &Block, hash: BlockHash, offset: u64) -> Result<(), AuditError> {
        let claimed = self.checkpoint.checkpoint();
        let log = LogName::ALL.into_iter().find(|log| claimed.origin == log.origin(&block.market));
        let head = log.map(|log| log.head(block));
        if claimed.block.hash == hash && head == Some(claimed.head) {
            return Ok(());
        }
        let found = match (log, head) {
            (Some(log), Some(head)) => {
                format!("{log} has {} entries and root {}, {hash}", head.size, head.root)
            }
            _ => format!("a block of {}, {hash}", block.market),
        };
        Err(Fault::block(self.kind(), block.height, offset, found, self.to_string()).into())
    }
}

impl std::fmt::Display for Claim<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let crate::checkpoint::Checkpoint { origin, head, block } = self.checkpoint.checkpoint();
        let whose = match LogName::ALL.into_iter().find(|log| origin.ends_with(log.as_str())) {
            Some(log) if !self.seen_before => checkpoint_file(log),
            _ => "a checkpoint this auditor saw before".to_owned(),
        };
        let (size, root, BlockRef { height, hash }) = (head.size, head.root, block);
        write!(
            f,
            "{whose} says {origin} has {size} entries and root {root} at block {height}, {hash}"
        )
    }
}
