//! What a platform that signs two histories leaves in its clients' hands.

use std::fmt;

use encrytrust_protocol::{Block, Market, PublicKey, Signed};

use crate::{
    checkpoint::{LogName, SignedCheckpoint},
    tiles::{Resource, authenticate, peaks},
    tree::Frontier,
};

/// Two things a platform signed that no one history contains. Anyone who has the platform's key
/// can [check](Self::check) it; nobody can make it without the platform's private key.
#[derive(Debug, Clone)]
pub enum Evidence {
    /// Two checkpoints of one log, of which the smaller tree is not the beginning of the larger.
    Heads {
        /// Which log.
        log: LogName,
        /// The note of the smaller tree.
        smaller: Vec<u8>,
        /// The note of the larger, or another one of the same size.
        larger: Vec<u8>,
        /// Tiles of the larger tree: they show the first part of it to be another tree.
        tiles: Vec<(Resource, Vec<u8>)>,
    },
    /// Two blocks of one height.
    Blocks {
        /// One.
        here: Vec<u8>,
        /// The other.
        served: Vec<u8>,
    },
}

/// What was presented as evidence shows nothing.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("this is no evidence: {0}")]
pub struct NoEvidence(String);

impl NoEvidence {
    fn because(why: impl fmt::Display) -> Self {
        Self(why.to_string())
    }
}

impl Evidence {
    pub(super) fn heads(
        log: LogName,
        smaller: &SignedCheckpoint,
        larger: &SignedCheckpoint,
        tiles: Vec<(Resource, Vec<u8>)>,
    ) -> Self {
        Self::Heads { log, smaller: smaller.to_bytes(), larger: larger.to_bytes(), tiles }
    }

    pub(super) fn blocks(here: Vec<u8>, served: Vec<u8>) -> Self {
        Self::Blocks { here, served }
    }

    /// Checks that this platform signed both, and that they exclude each other; says why not.
    pub fn check(&self, market: &Market, platform: PublicKey) -> Result<(), NoEvidence> {
        match self {
            Self::Heads { log, smaller, larger, tiles } => {
                let vkey = log.vkey(market, platform);
                let open = |note: &[u8]| SignedCheckpoint::open(note, &vkey);
                let smaller = open(smaller).map_err(NoEvidence::because)?.head();
                let larger = open(larger).map_err(NoEvidence::because)?.head();
                if smaller.size > larger.size {
                    return Err(NoEvidence::because("the smaller tree is the larger"));
                }
                let hashes = authenticate(&larger, &peaks(smaller.size), tiles);
                let hashes = hashes.map_err(NoEvidence::because)?;
                if Frontier::from_peaks(smaller.size, &hashes).head() == smaller {
                    return Err(NoEvidence::because(
                        "the smaller tree is the beginning of the larger",
                    ));
                }
                Ok(())
            }
            Self::Blocks { here, served } => {
                let open = |bytes: &[u8]| {
                    let block = Signed::<Block>::decode(bytes).map_err(NoEvidence::because)?;
                    block.verify().map_err(NoEvidence::because)
                };
                let (here, served) = (open(here)?, open(served)?);
                for block in [&here, &served] {
                    if block.signer() != platform || block.message().market != *market {
                        let market = &block.message().market;
                        return Err(NoEvidence::because(format!("a block of {market}")));
                    }
                }
                if here.message().height != served.message().height {
                    return Err(NoEvidence::because("two blocks of two heights"));
                }
                if here.message() == served.message() {
                    return Err(NoEvidence::because("one block, signed twice"));
                }
                Ok(())
            }
        }
    }

    /// Its parts as files, by name: keep them together.
    pub fn files(&self) -> Vec<(String, Vec<u8>)> {
        match self {
            Self::Heads { log, smaller, larger, tiles } => {
                let mut files = vec![
                    (format!("{log}/smaller-checkpoint"), smaller.clone()),
                    (format!("{log}/larger-checkpoint"), larger.clone()),
                ];
                let tiles =
                    tiles.iter().map(|(tile, bytes)| (format!("{log}/{tile}"), bytes.clone()));
                files.extend(tiles);
                files
            }
            Self::Blocks { here, served } => {
                vec![
                    ("block-here.cose".into(), here.clone()),
                    ("block-served.cose".into(), served.clone()),
                ]
            }
        }
    }
}

impl fmt::Display for Evidence {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Heads { log, smaller, larger, .. } => {
                let (a, b) = (String::from_utf8_lossy(smaller), String::from_utf8_lossy(larger));
                write!(f, "two trees of {log}, one not the beginning of the other:\n{a}\nand\n{b}")
            }
            Self::Blocks { here, served } => {
                let height = Signed::<Block>::decode(here).map_or(0, |b| b.unverified().height);
                let (a, b) = (crate::block::block_hash(here), crate::block::block_hash(served));
                write!(f, "two blocks of height {height}: {a} and {b}")
            }
        }
    }
}
