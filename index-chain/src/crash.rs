//! Every point at which a crash can interrupt the writing of a chain, and what is found there.
//!
//! One round of work is: append to both logs, commit, seal. [`CRASH_POINTS`] lists its operations
//! on disk in the order they happen; the test in this module performs the round on a disk that
//! fails at each of them in each way, opens the chain again after a killed process and after a
//! power cut, and checks the promises:
//!
//! - an acknowledged entry is there, exactly once, at its index;
//! - an entry that was not acknowledged is there whole, or not at all;
//! - the checkpoint does not go back, and after `publish` it names the last block;
//! - no two trees of one size are ever signed, whatever is appended afterwards.

use crate::disk::Operation;

/// One operation of the round.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CrashPoint {
    /// The file.
    pub file: &'static str,
    /// What is done to it.
    pub operation: Operation,
    /// What a chain opened afterwards holds.
    pub recovery: &'static str,
}

const fn at(file: &'static str, operation: Operation, recovery: &'static str) -> CrashPoint {
    CrashPoint { file, operation, recovery }
}

/// The round, in order. From [`DECISION`] on, a crash no longer prevents the block.
pub const CRASH_POINTS: &[CrashPoint] = {
    use Operation::{Append, Replace, Sync};
    &[
        at("index/entries", Append, "entries without leaf hashes are cut off"),
        at("index/hashes.0", Append, "entries are kept as far as they match their leaf hashes"),
        at("index/entries", Sync, "as above; a power cut may take either file's tail, or both"),
        at("index/hashes.0", Sync, "all new entries, if this much reached the disk"),
        // Here commit returns for `index`: from now on its entries are promised.
        at("index/hashes.1", Append, "all new entries; roots of tiles are computed again"),
        at("trades/entries", Append, "as for index"),
        at("trades/hashes.0", Append, "as for index"),
        at("trades/entries", Sync, "as for index"),
        at("trades/hashes.0", Sync, "as for index"),
        at("blocks", Append, "no block, or a torn one, which is cut off; or the block, whole"),
        at("blocks", Sync, "the same: nothing was signed for anyone to see"),
        at("checkpoint.index", Replace, "the block; both checkpoints are signed again, alike"),
        at("checkpoint.trades", Replace, "the block; both checkpoints are signed again, alike"),
    ]
};

/// The position in [`CRASH_POINTS`] of the operation that makes a block final.
pub const DECISION: usize = 10;

#[cfg(test)]
mod tests;
