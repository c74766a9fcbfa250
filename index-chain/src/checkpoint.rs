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
    note::{Note, NoteError, Signed, Vkey},
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
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        let found = Self::ALL.into_iter().find(|log| log.as_str() == text);
        found.ok_or_else(|| format!("no log {text:?}; there are index and trades"))
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
    pub fn witnesses(&self, known: &[Vkey]) -> Result<Vec<Signed>, NoteError> {
        self.note.verify(known)
    }

    /// Adds a witness's answer to [`add-checkpoint`](crate::witness).
    pub fn add_cosignatures(
        &mut self,
        answer: &[u8],
        known: &[Vkey],
    ) -> Result<Vec<Signed>, NoteError> {
        self.note.merge(answer, known)
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    pub(crate) fn key(seed: u8) -> PlatformKey {
        PlatformKey::from_seed(&[seed; 32])
    }

    pub(crate) fn market() -> Market {
        Market::new("market.example").unwrap()
    }

    fn block() -> Verified<Block> {
        let head = |size, byte| TreeHead { size, root: Sha256Hash::from([byte; 32]) };
        let block = Block {
            market: market(),
            height: 12,
            previous: BlockHash::from([1; 32]),
            index: head(1000, 2),
            trades: TreeHead::empty(),
            time: 1_800_000_000_000,
            producer: key(1).public(),
            randomness: Sha256Hash::from([3; 32]),
        };
        key(1).sign_block(block).unwrap()
    }

    #[test]
    fn a_checkpoint_names_its_log_its_tree_and_its_block() {
        let signed = SignedCheckpoint::sign(LogName::Index, &block(), &key(1));
        let text = signed.text().to_owned();
        let lines: Vec<_> = text.lines().collect();
        assert_eq!(lines[..2], ["market.example/index", "1000"]);
        assert!(lines[3].starts_with("block 12 "));

        let vkey = LogName::Index.vkey(&market(), key(1).public());
        let opened = SignedCheckpoint::open(&signed.to_bytes(), &vkey).unwrap();
        assert_eq!(opened.checkpoint(), signed.checkpoint());
        assert_eq!(opened.checkpoint().block, BlockRef::from(&block()));
        assert_eq!(opened.to_bytes(), signed.to_bytes());
        let again = SignedCheckpoint::sign(LogName::Index, &block(), &key(1));
        assert_eq!(again.to_bytes(), signed.to_bytes(), "to the same bytes");
    }

    #[test]
    fn one_log_does_not_pass_for_the_other() {
        let trades = SignedCheckpoint::sign(LogName::Trades, &block(), &key(1)).to_bytes();
        let index = LogName::Index.vkey(&market(), key(1).public());
        let refused = SignedCheckpoint::open(&trades, &index);
        assert!(matches!(refused, Err(CheckpointError::Note(NoteError::Unsigned { .. }))));

        let text = Checkpoint::of(LogName::Trades, &block()).to_string();
        let note =
            Note::sign(text, &index, |text| key(1).sign_checkpoint_note(text).unwrap()).unwrap();
        let refused = SignedCheckpoint::open(&note.to_bytes(), &index);
        assert!(matches!(refused, Err(CheckpointError::Origin { .. })));
    }

    #[test]
    fn malformed_checkpoints_are_refused() {
        let good = Checkpoint::of(LogName::Index, &block()).to_string();
        assert!(Checkpoint::parse(&good).is_ok());
        for bad in [
            good.replace("block 12", "block 012"),
            good.replace("block 12", "block +12"),
            good.replace("block 12 ", "block 12"),
            good.replace("1000", "01000"),
            good.replace("1000", "18446744073709551615"),
            good.replace("1000", "0"),
            good.lines().take(3).map(|line| format!("{line}\n")).collect(),
            good.trim_end().to_owned(),
            String::new(),
        ] {
            assert!(Checkpoint::parse(&bad).is_err(), "{bad:?}");
        }
    }
}
