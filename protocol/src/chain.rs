//! What links the two logs: blocks (white paper, section 6.4).

use minicbor::{Decode, Encode};

use crate::{
    BlockHash, DecodeError, Market, Message, PublicKey, Sha256Hash, UnixMillis, Verified, domain,
};
use sha2::{Digest, Sha256};

/// The state of one RFC 6962 Merkle tree.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct TreeHead {
    /// Entries in the tree.
    #[n(0)]
    pub size: u64,
    /// Merkle tree hash over them.
    #[n(1)]
    pub root: Sha256Hash,
}

impl TreeHead {
    /// The head of the tree without entries: SHA-256 of nothing.
    pub fn empty() -> Self {
        let root: [u8; 32] = Sha256::digest([]).into();
        Self { size: 0, root: Sha256Hash::from(root) }
    }
}

/// A block: where both logs stood, linked to the block before.
///
/// Everything in it is an input of whoever builds it, so that several producers can agree on one.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct Block {
    /// The market whose chain it extends.
    #[n(0)]
    pub market: Market,
    /// 0 for the first.
    #[n(1)]
    pub height: u64,
    /// The block before; [`BlockHash::NONE`] at height 0.
    #[n(2)]
    pub previous: BlockHash,
    /// Where the index of offers stood.
    #[n(3)]
    pub index: TreeHead,
    /// Where the log of trades stood.
    #[n(4)]
    pub trades: TreeHead,
    /// When it was built, Unix milliseconds; never before the previous block's.
    #[n(5)]
    pub time: UnixMillis,
    /// Who built it.
    #[n(6)]
    pub producer: PublicKey,
    /// 32 bytes that nobody knew before the block: for fair choices that follow it.
    #[n(7)]
    pub randomness: Sha256Hash,
}

impl Message for Block {
    const TYP: &'static str = domain::BLOCK;
    const NAME: &'static str = "block";
    const LIMIT: usize = 1024;
    type Signer = PublicKey;

    fn check(&self) -> Result<(), DecodeError> {
        if (self.height == 0) != (self.previous == BlockHash::NONE) {
            return Err(DecodeError::limit("previous", "none at height 0, and only there"));
        }
        Ok(())
    }
}

impl Verified<Block> {
    /// SHA-256 of the block's bytes: what the next block and the checkpoints name.
    pub fn hash(&self) -> BlockHash {
        let hash: [u8; 32] = Sha256::digest(self.bytes()).into();
        BlockHash::from(hash)
    }
}
