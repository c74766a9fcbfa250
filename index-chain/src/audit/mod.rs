//! Checking a chain from its first block, with nothing but its files and the platform's key.
//!
//! An [`Auditor`] reads a directory in the layout of [`crate::chain`], a platform's own or a
//! [`Copy`](crate::copy::Copy) of it, and changes nothing. It takes nobody's word:
//!
//! 1. **Checkpoints**: the platform's signature on each, and known witnesses' cosignatures.
//! 2. **Blocks**: every link and signature; each checkpoint is what its block says; every
//!    checkpoint this auditor [has seen before](Auditor::has_seen) is of this chain.
//! 3. **Index** and **trades**: every entry hashes to its leaf hash; the tree's root is the one
//!    named at *every* block; every stored tile root is right; every entry decodes and is signed;
//!    every entry was [admissible](crate::admit) between its blocks; both halves of every receipt
//!    hold and settle an offer that stood in the index by then.
//! 4. **Own offers**: those the auditor [asks for](Auditor::expects) are there.
//!
//! The first thing that does not hold is the [`Fault`]: where it is, what is there, and what says
//! otherwise. Entries above the last block are promised by nobody yet and are left out.
//!
//! # Cost
//!
//! Signatures are checked in batches on all cores, and dominate. Memory is about a hundred bytes
//! for each index entry (its name and what became of it), and a few megabytes.
//!
//! # Caveats
//!
//! - Whether a key was admitted when it signed is the platform's private knowledge: an auditor
//!   cannot check it.
//! - A copy that is whole and consistent may still be one of two that a platform shows to
//!   different people. Witnesses, and keeping the heads one has seen, are what shows that.

mod blocks;
mod entries;
mod fault;
mod replay;

use std::{fmt, path::Path, time::Duration};

use encrytrust_protocol::{Market, OfferId, PublicKey};

pub use fault::{AuditError, Fault, FaultKind, Place};

use crate::{
    chain::checkpoint_file,
    checkpoint::{BlockRef, LogName, SignedCheckpoint},
    disk::{Dir, Disk},
    log::LogError,
    note::{SignedBy, Vkey},
};
use replay::{Offers, Receipts};

/// What to check, and against what.
pub struct Auditor<'a> {
    market: Market,
    platform: PublicKey,
    witnesses: Vec<Vkey>,
    seen: Vec<SignedCheckpoint>,
    own: Vec<OfferId>,
    clock: Box<dyn Fn() -> Duration + 'a>,
    progress: Box<dyn FnMut(Progress) + 'a>,
}

/// A part of the audit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stage {
    /// Signatures and cosignatures of the two checkpoints.
    Checkpoints,
    /// Links and signatures of all blocks.
    Blocks,
    /// Entries of the index.
    Index,
    /// Entries of the trades log.
    Trades,
    /// Offers that must be there.
    OwnOffers,
}

impl fmt::Display for Stage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Checkpoints => "checkpoints",
            Self::Blocks => "blocks",
            Self::Index => "index",
            Self::Trades => "trades",
            Self::OwnOffers => "own offers",
        })
    }
}

/// How far a stage has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Progress {
    /// Which stage.
    pub stage: Stage,
    /// Things checked in it so far.
    pub done: u64,
    /// Things to check in it, as far as is known.
    pub total: u64,
}

/// What one stage checked, and how long it took.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StageReport {
    /// Which stage.
    pub stage: Stage,
    /// Things checked: checkpoints, blocks, entries, offers.
    pub checked: u64,
    /// Signatures verified.
    pub signatures: u64,
    /// By the clock that was given; zero without one.
    pub time: Duration,
}

impl StageReport {
    /// Things checked per second; `None` when no time was measured.
    pub fn rate(&self) -> Option<f64> {
        let seconds = self.time.as_secs_f64();
        (seconds > 0.0).then(|| self.checked as f64 / seconds)
    }
}

/// An audit that found no fault.
#[derive(Debug, Clone)]
pub struct Report {
    /// The last block.
    pub last_block: BlockRef,
    /// Blocks.
    pub blocks: u64,
    /// Entries of the index below the last block.
    pub index_entries: u64,
    /// Offers among them.
    pub offers: u64,
    /// Offers that nothing has ended (some may have expired).
    pub current_offers: u64,
    /// Withdrawals among them.
    pub withdrawals: u64,
    /// Receipts: entries of the trades log below the last block.
    pub receipts: u64,
    /// Bytes of entries read.
    pub bytes: u64,
    /// Own offers found.
    pub own_offers: u64,
    /// Checkpoints seen earlier that this chain continues.
    pub seen: u64,
    /// The checkpoints: keep them, and show them to the next audit.
    pub checkpoints: [SignedCheckpoint; 2],
    /// The known witnesses' cosignatures on each.
    pub witnesses: [Vec<SignedBy>; 2],
    /// Stage by stage.
    pub stages: Vec<StageReport>,
}

impl<'a> Auditor<'a> {
    /// An auditor of one market, which trusts this platform key and nothing else.
    pub fn new(market: Market, platform: PublicKey) -> Self {
        Self {
            market,
            platform,
            witnesses: Vec::new(),
            seen: Vec::new(),
            own: Vec::new(),
            clock: Box::new(|| Duration::ZERO),
            progress: Box::new(|_| {}),
        }
    }

    /// Knows these witnesses: a cosignature of theirs that does not verify is a fault.
    #[must_use]
    pub fn knows_witnesses(mut self, witnesses: impl IntoIterator<Item = Vkey>) -> Self {
        self.witnesses.extend(witnesses);
        self
    }

    /// Has seen these checkpoints in earlier audits: the chain must continue them.
    #[must_use]
    pub fn has_seen(mut self, checkpoints: impl IntoIterator<Item = SignedCheckpoint>) -> Self {
        self.seen.extend(checkpoints);
        self
    }

    /// Expects these offers, its own, to be in the index.
    #[must_use]
    pub fn expects(mut self, offers: impl IntoIterator<Item = OfferId>) -> Self {
        self.own.extend(offers);
        self
    }

    /// Measures stages by this clock: the time since some fixed moment.
    #[must_use]
    pub fn timed_by(mut self, clock: impl Fn() -> Duration + 'a) -> Self {
        self.clock = Box::new(clock);
        self
    }

    /// Tells how far it has come, some dozen times a second.
    #[must_use]
    pub fn reporting_to(mut self, progress: impl FnMut(Progress) + 'a) -> Self {
        self.progress = Box::new(progress);
        self
    }

    /// Checks the chain in a directory.
    pub fn audit(self, dir: impl AsRef<Path>) -> Result<Report, AuditError> {
        self.audit_on(&Dir::read_only(dir.as_ref()))
    }

    /// Checks the chain on a disk.
    pub fn audit_on(mut self, disk: &dyn Disk) -> Result<Report, AuditError> {
        let mut stages = Stages { reports: Vec::new(), since: (self.clock)() };

        let (index, index_witnesses) = self.checkpoint(disk, LogName::Index)?;
        let (trades, trades_witnesses) = self.checkpoint(disk, LogName::Trades)?;
        let (checkpoints, witnesses) = ([index, trades], [index_witnesses, trades_witnesses]);
        let cosigned = witnesses.iter().flatten().count() as u64;
        stages.end(Stage::Checkpoints, 2, 2 + cosigned, &self.clock);

        let seen = self.seen.len() as u64;
        let chain = self.blocks(disk, &checkpoints)?;
        stages.end(Stage::Blocks, chain.count, chain.count, &self.clock);

        let mut offers = Offers::new(self.market.clone());
        let bytes = self.entries(disk, LogName::Index, &chain, &mut offers)?;
        stages.end(Stage::Index, chain.sizes[0], chain.sizes[0], &self.clock);

        let mut receipts = Receipts::new(&offers);
        let more_bytes = self.entries(disk, LogName::Trades, &chain, &mut receipts)?;
        stages.end(Stage::Trades, chain.sizes[1], 2 * chain.sizes[1], &self.clock);

        for id in &self.own {
            if !offers.has(id) {
                return Err(Fault::own_offer(id, chain.sizes[0]).into());
            }
        }
        let own_offers = self.own.len() as u64;
        stages.end(Stage::OwnOffers, own_offers, 0, &self.clock);

        Ok(Report {
            last_block: chain.last,
            blocks: chain.count,
            index_entries: chain.sizes[0],
            offers: offers.offers,
            current_offers: offers.current,
            withdrawals: offers.withdrawals,
            receipts: chain.sizes[1],
            bytes: bytes + more_bytes,
            own_offers,
            seen,
            checkpoints,
            witnesses,
            stages: stages.reports,
        })
    }

    /// Reads a checkpoint and checks every signature on it that it knows.
    fn checkpoint(
        &self,
        disk: &dyn Disk,
        log: LogName,
    ) -> Result<(SignedCheckpoint, Vec<SignedBy>), AuditError> {
        let file = checkpoint_file(log);
        let note = match disk.read(&file) {
            Ok(Some(note)) => note,
            Ok(None) => return Err(Fault::no_checkpoint(file).into()),
            Err(source) => return Err(LogError::Disk { file, source }.into()),
        };
        let refuse = |kind, why: String| Fault::checkpoint(kind, file.clone(), log, why);
        let signed = SignedCheckpoint::open(&note, &log.vkey(&self.market, self.platform))
            .map_err(|e| refuse(FaultKind::Checkpoint, e.to_string()))?;
        let witnesses = signed
            .witnesses(&self.witnesses)
            .map_err(|e| refuse(FaultKind::Witness, e.to_string()))?;
        Ok((signed, witnesses))
    }

    fn tell(&mut self, stage: Stage, done: u64, total: u64) {
        (self.progress)(Progress { stage, done, total });
    }
}

struct Stages {
    reports: Vec<StageReport>,
    since: Duration,
}

impl Stages {
    fn end(&mut self, stage: Stage, checked: u64, signatures: u64, clock: &dyn Fn() -> Duration) {
        let now = clock();
        let time = now.saturating_sub(self.since);
        self.reports.push(StageReport { stage, checked, signatures, time });
        self.since = now;
    }
}

impl fmt::Debug for Auditor<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { market, platform, witnesses, seen, own, .. } = self;
        let (witnesses, seen, own) = (witnesses.len(), seen.len(), own.len());
        write!(
            f,
            "Auditor({market}, {platform}; {witnesses} witnesses, {seen} heads, {own} offers)"
        )
    }
}

#[cfg(test)]
mod tests;
