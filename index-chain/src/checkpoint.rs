//! Checkpoints: a log's tree head as a signed note (<https://c2sp.org/tlog-checkpoint>).
//!
//! ```text
//! market.example/index                                  origin
//! 1000                                                  tree size
//! CsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=          root
//! block 12 mQ0Xk…=                                      the block that sealed it
//!
//! — market.example/index Az3grlgtzPICa5OS8npVmf1M…      the platform
//! — witness.example jWbPPwAAAABkGFDLEZMHwSRaJNiI…       a witness
//! ```
//!
//! The extension line ties the two logs together: it names the height and the SHA-256 of the one
//! block both checkpoints come from. Ed25519 is deterministic, so a checkpoint lost in a crash is
//! signed again to the same bytes.

use std::fmt;

use base64::prelude::{BASE64_STANDARD, Engine};
use encrytrust_keys::platform::PlatformKey;
use encrytrust_protocol::{Block, BlockHash, Market, PublicKey, Sha256Hash, TreeHead, Verified};

use crate::{
    note::{Note, NoteError, SignedBy, Vkey},
    tree::{EMPTY_ROOT, SIZE_MAX},
};

/// One of the two logs of a market.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum LogName {
    /// Offers and their withdrawals.
    Index,
    /// Receipts.
    Trades,
}

/// A market has two logs, and this is neither.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("no log {0:?}: there are index and trades")]
pub struct NoSuchLog(String);

impl LogName {
    /// Both, in the order blocks name them.
    pub const ALL: [Self; 2] = [Self::Index, Self::Trades];

    /// `index` or `trades`: the last part of the origin, the folder, the path on the platform.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Index => "index",
            Self::Trades => "trades",
        }
    }

    /// The checkpoint origin, `<market>/<log>`.
    pub fn origin(self, market: &Market) -> String {
        format!("{market}/{self}")
    }

    /// The log's vkey: the platform's key under the log's origin.
    pub fn vkey(self, market: &Market, platform: PublicKey) -> Vkey {
        Vkey::log(self.origin(market), platform).expect("a market's name is fit for a note")
    }

    /// Where a block says this log stood.
    pub fn head(self, block: &Block) -> TreeHead {
        match self {
            Self::Index => block.index,
            Self::Trades => block.trades,
        }
    }
}

impl fmt::Display for LogName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl std::str::FromStr for LogName {
    type Err = NoSuchLog;
    fn from_str(text: &str) -> Result<Self, NoSuchLog> {
        let found = Self::ALL.into_iter().find(|log| log.as_str() == text);
        found.ok_or_else(|| NoSuchLog(text.to_owned()))
    }
}

/// A block by height and hash.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BlockRef {
    /// 0 for the first.
    pub height: u64,
    /// SHA-256 of its COSE bytes.
    pub hash: BlockHash,
}

impl From<&Verified<Block>> for BlockRef {
    fn from(block: &Verified<Block>) -> Self {
        Self { height: block.message().height, hash: block.hash() }
    }
}

impl fmt::Display for BlockRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "block {} {}", self.height, BASE64_STANDARD.encode(self.hash))
    }
}

/// What a checkpoint says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Checkpoint {
    /// Which log.
    pub origin: String,
    /// Its size and root.
    pub head: TreeHead,
    /// The block that sealed it.
    pub block: BlockRef,
}

/// Why a checkpoint is not believed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum CheckpointError {
    /// Not signed, or not by the log.
    #[error(transparent)]
    Note(#[from] NoteError),
    /// Signed, and not a checkpoint.
    #[error("not a checkpoint: {0}")]
    Malformed(String),
    /// Of another log.
    #[error("a checkpoint of {found}, not of {expected}")]
    Origin {
        /// The origin that was asked for.
        expected: String,
        /// The origin on its first line.
        found: String,
    },
}

fn malformed(why: impl fmt::Display) -> CheckpointError {
    CheckpointError::Malformed(why.to_string())
}

impl Checkpoint {
    /// What a block says of one log.
    pub fn of(log: LogName, block: &Verified<Block>) -> Self {
        let message = block.message();
        Self { origin: log.origin(&message.market), head: log.head(message), block: block.into() }
    }

    /// Reads the text of a note.
    pub fn parse(text: &str) -> Result<Self, CheckpointError> {
        let parsed = tlog_tiles::Checkpoint::from_bytes(text.as_bytes()).map_err(malformed)?;
        let head = TreeHead { size: parsed.size(), root: Sha256Hash::from(parsed.hash().0) };
        if head.size > SIZE_MAX {
            return Err(malformed(format!("{} entries; a log has at most {SIZE_MAX}", head.size)));
        }
        if head.size == 0 && *head.root.as_bytes() != EMPTY_ROOT {
            return Err(malformed("an empty tree with the root of another"));
        }
        let block = parsed.extension().lines().find_map(parse_block);
        let block = block.ok_or_else(|| malformed("no line names the block that sealed it"))?;
        Ok(Self { origin: parsed.origin().to_owned(), head, block })
    }
}

fn parse_block(line: &str) -> Option<BlockRef> {
    let (height, hash) = line.strip_prefix("block ")?.split_once(' ')?;
    let hash = BASE64_STANDARD.decode(hash).ok()?;
    let block =
        BlockRef { height: height.parse().ok()?, hash: BlockHash::try_from(hash.as_slice()).ok()? };
    (block.to_string() == line).then_some(block)
}

/// The text that is signed.
impl fmt::Display for Checkpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let root = BASE64_STANDARD.encode(self.head.root);
        writeln!(f, "{}\n{}\n{root}\n{}", self.origin, self.head.size, self.block)
    }
}

/// A checkpoint with the log's signature on it, checked, and any number of cosignatures.
#[derive(Debug, Clone)]
pub struct SignedCheckpoint {
    checkpoint: Checkpoint,
    note: Note,
}

impl SignedCheckpoint {
    /// Signs what a block says of one log.
    pub fn sign(log: LogName, block: &Verified<Block>, key: &PlatformKey) -> Self {
        let checkpoint = Checkpoint::of(log, block);
        let vkey = log.vkey(&block.message().market, key.public());
        let sign = |text: &str| {
            key.sign_checkpoint_note(text).expect("a checkpoint is printable lines of text")
        };
        let note = Note::sign(checkpoint.to_string(), &vkey, sign)
            .expect("a checkpoint's text is fit for a note: origin, digits and base64");
        Self { checkpoint, note }
    }

    /// Reads a checkpoint and requires the log's signature and origin.
    pub fn open(bytes: &[u8], log: &Vkey) -> Result<Self, CheckpointError> {
        let note = Note::parse(bytes)?;
        note.verify_by(log)?;
        let checkpoint = Checkpoint::parse(note.text())?;
        if checkpoint.origin != log.name() {
            let (expected, found) = (log.name().to_owned(), checkpoint.origin);
            return Err(CheckpointError::Origin { expected, found });
        }
        Ok(Self { checkpoint, note })
    }

    /// What it says.
    pub fn checkpoint(&self) -> &Checkpoint {
        &self.checkpoint
    }

    /// Size and root.
    pub fn head(&self) -> TreeHead {
        self.checkpoint.head
    }

    /// The note as it is stored and served.
    pub fn to_bytes(&self) -> Vec<u8> {
        self.note.to_bytes()
    }

    pub(crate) fn note(&self) -> &Note {
        &self.note
    }

    /// The text that witnesses cosign.
    pub fn text(&self) -> &str {
        self.note.text()
    }

    /// The cosignatures by known witnesses.
    pub fn witnesses(&self, known: &[Vkey]) -> Result<Vec<SignedBy>, NoteError> {
        self.note.verify(known)
    }

    /// Adds a witness's answer to [`add-checkpoint`](crate::witness).
    pub fn add_cosignatures(
        &mut self,
        answer: &[u8],
        known: &[Vkey],
    ) -> Result<Vec<SignedBy>, NoteError> {
        self.note.merge(answer, known)
    }
}

#[cfg(test)]
pub(crate) mod tests;
