//! Blocks: what links the two logs in time (white paper, section 6.4).
//!
//! A block names both tree heads and the block before it, and whoever produced it signs it. What
//! is in it is a function of its inputs alone, so that one day several producers can build the
//! same block and agree on it.

use encrytrust_protocol::{
    Block, BlockHash, Market, PublicKey, Sha256Hash, TreeHead, UnixMillis, Verified,
};
use sha2::{Digest, Sha256};

use crate::checkpoint::{BlockRef, LogName};

/// Why one block does not follow another.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum LinkError {
    /// Of another market.
    #[error("it is a block of {found}, not of {expected}")]
    Market {
        /// Whose chain this is.
        expected: Market,
        /// Named by the block.
        found: Market,
    },
    /// Not the next height.
    #[error("its height is {found}; {expected} comes next")]
    Height {
        /// The height that is due.
        expected: u64,
        /// Named by the block.
        found: u64,
    },
    /// Linked to another block.
    #[error("it follows block {found}; the one before it is {expected}")]
    Previous {
        /// The hash of the block before.
        expected: BlockHash,
        /// Named by the block.
        found: BlockHash,
    },
    /// A log lost entries.
    #[error("its {log} log has {found} entries, {before} at the block before")]
    Shrunk {
        /// Which log.
        log: LogName,
        /// Entries at the block before.
        before: u64,
        /// Named by the block.
        found: u64,
    },
    /// Two trees of one size.
    #[error("its {log} log of {size} entries has the root {found}, {before} at the block before")]
    TwoTrees {
        /// Which log.
        log: LogName,
        /// The size of both.
        size: u64,
        /// The root at the block before.
        before: Sha256Hash,
        /// Named by the block.
        found: Sha256Hash,
    },
    /// Time ran backwards.
    #[error("it was built at {found} ms, {before} ms at the block before")]
    Time {
        /// The block before.
        before: UnixMillis,
        /// Named by the block.
        found: UnixMillis,
    },
    /// Produced or signed by somebody else.
    #[error("it names {producer} as its producer and is signed by {signer}; {expected} produces")]
    Producer {
        /// Who may.
        expected: PublicKey,
        /// Named by the block.
        producer: PublicKey,
        /// The signer of the block.
        signer: PublicKey,
    },
}

/// SHA-256 of a block's COSE bytes.
pub fn block_hash(bytes: &[u8]) -> BlockHash {
    let hash: [u8; 32] = Sha256::digest(bytes).into();
    BlockHash::from(hash)
}

/// The inputs of a block, besides the block before it.
#[derive(Debug, Clone)]
pub struct Inputs {
    /// Where the index of offers stands.
    pub index: TreeHead,
    /// Where the log of trades stands.
    pub trades: TreeHead,
    /// The time by the producer's clock, Unix milliseconds.
    pub time: UnixMillis,
    /// Who builds the block.
    pub producer: PublicKey,
    /// 32 bytes from the operating system's generator.
    pub randomness: Sha256Hash,
}

/// The block that follows `previous`, or the first of a market.
///
/// A clock that was set back does not set the chain back: the block then has its predecessor's
/// time.
pub fn next_block(market: &Market, previous: Option<&Verified<Block>>, inputs: &Inputs) -> Block {
    let link = previous.map(|p| (p.message().height + 1, p.hash(), p.message().time));
    let (height, previous, not_before) = link.unwrap_or((0, BlockHash::NONE, 0));
    let Inputs { index, trades, time, producer, randomness } = *inputs;
    let (market, time) = (market.clone(), time.max(not_before));
    Block { market, height, previous, index, trades, time, producer, randomness }
}

/// Checks that a block, whose signature is verified, is produced by `platform` and follows
/// `previous`.
pub fn verify_link(
    block: &Verified<Block>,
    previous: Option<&Verified<Block>>,
    market: &Market,
    platform: PublicKey,
) -> Result<(), LinkError> {
    let (producer, signer) = (block.message().producer, block.signer());
    if producer != platform || signer != platform {
        return Err(LinkError::Producer { expected: platform, producer, signer });
    }
    let previous = previous.map(|p| (p.message(), p.hash()));
    follows(block.message(), previous, market)
}

/// [`verify_link`] without the producer, for whoever has the signature of a later block: it covers
/// this one through the hashes between.
pub(crate) fn follows(
    block: &Block,
    previous: Option<(&Block, BlockHash)>,
    market: &Market,
) -> Result<(), LinkError> {
    if block.market != *market {
        let (expected, found) = (market.clone(), block.market.clone());
        return Err(LinkError::Market { expected, found });
    }
    let (height, hash) = previous.map_or((0, BlockHash::NONE), |(p, hash)| (p.height + 1, hash));
    if block.height != height {
        return Err(LinkError::Height { expected: height, found: block.height });
    }
    if block.previous != hash {
        return Err(LinkError::Previous { expected: hash, found: block.previous });
    }
    let Some((before, _)) = previous else { return Ok(()) };
    if block.time < before.time {
        return Err(LinkError::Time { before: before.time, found: block.time });
    }
    for log in LogName::ALL {
        let (old, new) = (log.head(before), log.head(block));
        if new.size < old.size {
            return Err(LinkError::Shrunk { log, before: old.size, found: new.size });
        }
        if new.size == old.size && new.root != old.root {
            let (size, before, found) = (new.size, old.root, new.root);
            return Err(LinkError::TwoTrees { log, size, before, found });
        }
    }
    Ok(())
}

impl BlockRef {
    /// The reference to a block in its COSE bytes.
    pub fn of(height: u64, bytes: &[u8]) -> Self {
        Self { height, hash: block_hash(bytes) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::checkpoint::tests::{key, market};

    fn inputs(size: u64, root: u8, time: UnixMillis) -> Inputs {
        let root = Sha256Hash::from([root; 32]);
        Inputs {
            index: TreeHead { size, root },
            trades: TreeHead::empty(),
            time,
            producer: key(1).public(),
            randomness: Sha256Hash::from([9; 32]),
        }
    }

    fn chain_of_two() -> (Verified<Block>, Block) {
        let first = next_block(&market(), None, &inputs(5, 1, 100));
        let first = key(1).sign_block(first).unwrap();
        let second = next_block(&market(), Some(&first), &inputs(7, 2, 90));
        (first, second)
    }

    #[test]
    fn a_block_follows_the_one_before() {
        let (first, second) = chain_of_two();
        assert_eq!((second.height, second.time), (1, 100), "time stands still, at worst");
        let second = key(1).sign_block(second).unwrap();
        let platform = key(1).public();
        assert_eq!(verify_link(&first, None, &market(), platform), Ok(()));
        assert_eq!(verify_link(&second, Some(&first), &market(), platform), Ok(()));
        assert!(matches!(
            verify_link(&second, None, &market(), platform),
            Err(LinkError::Height { expected: 0, found: 1 })
        ));
        assert!(matches!(
            verify_link(&second, Some(&first), &market(), key(2).public()),
            Err(LinkError::Producer { .. })
        ));
    }

    #[test]
    fn what_does_not_follow_is_refused_by_name() {
        let (first, second) = chain_of_two();
        let refused = |change: &dyn Fn(&mut Block)| {
            let mut block = second.clone();
            change(&mut block);
            follows(&block, Some((first.message(), first.hash())), &market()).unwrap_err()
        };
        use LinkError::{Height, Market, Previous, Shrunk, Time, TwoTrees};
        let elsewhere: encrytrust_protocol::Market = "other.example".parse().unwrap();
        assert!(matches!(refused(&|b| b.market = elsewhere.clone()), Market { .. }));
        assert!(matches!(refused(&|b| b.height = 2), Height { .. }));
        assert!(matches!(refused(&|b| b.previous = BlockHash::from([1; 32])), Previous { .. }));
        assert!(matches!(refused(&|b| b.time = 99), Time { .. }));
        assert!(matches!(refused(&|b| b.index.size = 4), Shrunk { log: LogName::Index, .. }));
        assert!(matches!(refused(&|b| b.index.size = 5), TwoTrees { size: 5, .. }));
        let other = Sha256Hash::from([4; 32]);
        assert!(matches!(
            refused(&|b| b.trades.root = other),
            TwoTrees { log: LogName::Trades, .. }
        ));
    }
}
