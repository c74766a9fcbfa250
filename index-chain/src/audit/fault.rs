//! What an audit found, to the byte.

use std::fmt;

use encrytrust_protocol::{EntryId, OfferId};

use crate::{
    checkpoint::LogName,
    log::{LogError, NamedFile},
};

/// What kind of thing does not hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum FaultKind {
    /// Something that must be there is not.
    Missing,
    /// A checkpoint is not signed by the platform, or is not what its block says.
    Checkpoint,
    /// A known witness's cosignature does not verify.
    Witness,
    /// A block does not follow the one before.
    Link,
    /// An entry does not hash to its leaf hash.
    Leaf,
    /// The entries do not make the tree a block names.
    Root,
    /// A stored tile root is not that of the tile.
    Tile,
    /// An entry or block is not well-formed.
    Decode,
    /// A signature does not verify.
    Signature,
    /// An entry should not have been admitted.
    Admission,
    /// An entry is there twice.
    Duplicate,
    /// One's own offer is not there.
    OwnOffer,
    /// This is not the chain that was seen before.
    History,
}

impl FaultKind {
    /// A stable name, for programs.
    pub fn slug(self) -> &'static str {
        match self {
            Self::Missing => "missing",
            Self::Checkpoint => "checkpoint",
            Self::Witness => "witness",
            Self::Link => "link",
            Self::Leaf => "leaf",
            Self::Root => "root",
            Self::Tile => "tile",
            Self::Decode => "decode",
            Self::Signature => "signature",
            Self::Admission => "admission",
            Self::Duplicate => "duplicate",
            Self::OwnOffer => "own-offer",
            Self::History => "history",
        }
    }
}

/// Where it is, as far as it is in one place.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Place {
    /// The file, relative to the audited directory.
    pub file: String,
    /// Where in the file.
    pub offset: Option<u64>,
    /// The log.
    pub log: Option<LogName>,
    /// The entry.
    pub index: Option<u64>,
    /// The block, or the block that seals the entry.
    pub block: Option<u64>,
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let (Some(log), Some(index)) = (self.log, self.index) {
            write!(f, "entry {index} of {log}, ")?;
        }
        if let Some(block) = self.block {
            write!(f, "block {block}, ")?;
        }
        f.write_str(&self.file)?;
        if let Some(offset) = self.offset {
            write!(f, " at byte {offset}")?;
        }
        Ok(())
    }
}

/// The first thing that does not hold: where it is, what is there, and what says otherwise.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{place}: {found}; {expected}")]
pub struct Fault {
    /// What kind of thing it is.
    pub kind: FaultKind,
    /// Where.
    pub place: Place,
    /// What is there.
    pub found: String,
    /// What contradicts it.
    pub expected: String,
}

/// How an audit ends without a [`Report`](super::Report).
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum AuditError {
    /// Something does not hold.
    #[error(transparent)]
    Fault(Box<Fault>),
    /// The files could not be read: nothing is said about the chain.
    #[error(transparent)]
    Unreadable(#[from] LogError),
}

impl From<Fault> for AuditError {
    fn from(fault: Fault) -> Self {
        Self::Fault(Box::new(fault))
    }
}

impl Fault {
    pub(super) fn no_checkpoint(file: String) -> Self {
        Self {
            kind: FaultKind::Missing,
            place: Place { file, ..Place::default() },
            found: "there is no such file".into(),
            expected: "a chain is published by its checkpoints".into(),
        }
    }

    pub(super) fn checkpoint(kind: FaultKind, file: String, log: LogName, found: String) -> Self {
        let place = Place { file, log: Some(log), ..Place::default() };
        let expected = "the note was to be signed by the keys this auditor knows".into();
        Self { kind, place, found, expected }
    }

    pub(super) fn own_offer(id: &OfferId, size: u64) -> Self {
        let log = LogName::Index;
        Self {
            kind: FaultKind::OwnOffer,
            place: Place { file: format!("{log}/entries"), log: Some(log), ..Place::default() },
            found: format!("no offer {id} among {size} entries"),
            expected: "this auditor published it".into(),
        }
    }

    pub(super) fn block(
        kind: FaultKind,
        height: u64,
        offset: u64,
        found: String,
        expected: impl Into<String>,
    ) -> Self {
        let (offset, block) = (Some(offset), Some(height));
        let place = Place { file: "blocks".into(), offset, block, ..Place::default() };
        Self { kind, place, found, expected: expected.into() }
    }

    /// An entry that is not what its leaf hash says.
    pub(super) fn leaf(computed: &EntryId, stored: &EntryId) -> Unplaced {
        Unplaced {
            kind: FaultKind::Leaf,
            found: format!("the entry hashes to {computed}"),
            expected: format!("its leaf hash is {stored}"),
        }
    }
}

/// A fault whose place its finder does not know.
#[derive(Debug)]
pub(super) struct Unplaced {
    pub(super) kind: FaultKind,
    pub(super) found: String,
    pub(super) expected: String,
}

impl Unplaced {
    pub(super) fn new(
        kind: FaultKind,
        found: impl Into<String>,
        expected: impl Into<String>,
    ) -> Self {
        Self { kind, found: found.into(), expected: expected.into() }
    }

    pub(super) fn at(
        self,
        log: LogName,
        file: &NamedFile,
        offset: u64,
        index: Option<u64>,
        block: Option<u64>,
    ) -> AuditError {
        let place =
            Place { file: file.path.clone(), offset: Some(offset), log: Some(log), index, block };
        let Self { kind, found, expected } = self;
        Fault { kind, place, found, expected }.into()
    }
}
