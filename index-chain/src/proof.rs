//! `.tlog-proof` files: everything needed to check offline that an entry is in a log
//! (<https://c2sp.org/tlog-proof>).
//!
//! ```text
//! c2sp.org/tlog-proof@v1
//! index 73894
//! gSKyXoYZUgZ6jduWYrkDOARinOMGJveXjgMkBTcdPlQ=      sibling hashes, leaf first
//! B95lDa8R83lS8n0eG+o0buTxRKQTYFi//1U8anccXmA=
//!
//! market.example/index                              the checkpoint, verbatim
//! 109482
//! …
//! ```
//!
//! The reader holds the entry itself and the log's vkey; the file proves the rest.

use base64::prelude::{BASE64_STANDARD, Engine};
use encrytrust_protocol::{EntryId, Sha256Hash, leaf_hash};

use crate::{
    checkpoint::{Checkpoint, CheckpointError, SignedCheckpoint},
    log::{LogError, LogReader},
    note::{NOTE_BYTES_MAX, Note, SignedBy, Vkey},
    tree::{PROOF_HASHES_MAX, ProofError, verify_inclusion},
};

/// The first line.
const MAGIC: &str = "c2sp.org/tlog-proof@v1";

/// The longest extra data that is read, in bytes.
pub const EXTRA_BYTES_MAX: usize = 64 << 10;

/// The longest file that is read, in bytes.
pub const PROOF_BYTES_MAX: usize = 2 * EXTRA_BYTES_MAX + NOTE_BYTES_MAX + 64 * 45;

/// Why a proof file proves nothing.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum TlogProofError {
    /// Not such a file.
    #[error("not a tlog-proof, line {line}: {why}")]
    Malformed {
        /// The line, from 1.
        line: usize,
        /// What is wrong with it.
        why: String,
    },
    /// The checkpoint inside is not the log's.
    #[error("the checkpoint inside: {0}")]
    Checkpoint(#[from] CheckpointError),
    /// The checkpoint holds, and the entry is not in its tree.
    #[error("this entry is not number {index} of that log: {source}")]
    Inclusion {
        /// The index the file names.
        index: u64,
        /// What failed.
        source: ProofError,
    },
    /// Fewer witnesses cosigned than are asked for.
    #[error("{have} known witnesses cosigned the checkpoint; {need} are asked for")]
    Witnesses {
        /// Valid cosignatures by known witnesses.
        have: usize,
        /// How many the verifier wants.
        need: usize,
    },
}

/// A proof as its file has it; nothing in it is checked yet.
#[derive(Debug, Clone)]
pub struct TlogProof {
    /// Which entry.
    pub index: u64,
    /// Sibling hashes, leaf first.
    pub hashes: Vec<Sha256Hash>,
    /// Data for the application, unauthenticated.
    pub extra: Option<Vec<u8>>,
    /// The signed checkpoint.
    note: Note,
}

/// What a proof proved.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Proven {
    /// The checkpoint whose tree has the entry.
    pub checkpoint: Checkpoint,
    /// The known witnesses that cosigned it.
    pub witnesses: Vec<SignedBy>,
}

impl TlogProof {
    /// Proves that the entry at `index` is in the tree of `checkpoint`.
    pub fn new(
        log: &LogReader,
        index: u64,
        checkpoint: &SignedCheckpoint,
    ) -> Result<Self, LogError> {
        let hashes = log.prove_inclusion(index, checkpoint.head().size)?;
        Ok(Self { index, hashes, extra: None, note: checkpoint.note().clone() })
    }

    /// Writes the file.
    pub fn encode(&self) -> String {
        let mut text = format!("{MAGIC}\n");
        if let Some(extra) = &self.extra {
            text.push_str(&format!("extra {}\n", BASE64_STANDARD.encode(extra)));
        }
        text.push_str(&format!("index {}\n", self.index));
        for hash in &self.hashes {
            text.push_str(&BASE64_STANDARD.encode(hash));
            text.push('\n');
        }
        text.push('\n');
        text.push_str(&String::from_utf8_lossy(&self.note.to_bytes()));
        text
    }

    /// Reads a file.
    pub fn parse(bytes: &[u8]) -> Result<Self, TlogProofError> {
        let mut number = 1;
        let fault = |line, why: String| TlogProofError::Malformed { line, why };
        if bytes.len() > PROOF_BYTES_MAX {
            return Err(fault(1, format!("{} bytes; at most {PROOF_BYTES_MAX}", bytes.len())));
        }
        let text = str::from_utf8(bytes).map_err(|e| fault(1, e.to_string()))?;
        let (head, note) = text
            .split_once("\n\n")
            .ok_or_else(|| fault(1, "no empty line before the checkpoint".into()))?;
        let mut lines = head.split('\n').peekable();
        if lines.next() != Some(MAGIC) {
            return Err(fault(1, format!("{MAGIC:?} expected")));
        }
        let decode =
            |line, text: &str| BASE64_STANDARD.decode(text).map_err(|e| fault(line, e.to_string()));
        let mut extra = None;
        if let Some(data) = lines.next_if(|l| l.starts_with("extra ")) {
            number += 1;
            let data = decode(number, &data["extra ".len()..])?;
            if data.len() > EXTRA_BYTES_MAX {
                return Err(fault(number, format!("{} bytes of extra data", data.len())));
            }
            extra = Some(data);
        }
        number += 1;
        let index = lines.next().and_then(|line| line.strip_prefix("index ")).and_then(decimal);
        let index = index.ok_or_else(|| fault(number, "\"index <number>\" expected".into()))?;
        let mut hashes = Vec::new();
        for line in lines {
            number += 1;
            if hashes.len() == PROOF_HASHES_MAX {
                return Err(fault(number, format!("more than {PROOF_HASHES_MAX} hashes")));
            }
            let hash = Sha256Hash::try_from(decode(number, line)?.as_slice());
            hashes.push(hash.map_err(|e| fault(number, e.to_string()))?);
        }
        let note = Note::parse(note.as_bytes()).map_err(CheckpointError::from)?;
        Ok(Self { index, hashes, extra, note })
    }

    /// Checks that `entry` is in the log whose key is `log`, and that at least `quorum` of the
    /// known witnesses have seen the checkpoint.
    pub fn verify(
        &self,
        entry: &[u8],
        log: &Vkey,
        witnesses: &[Vkey],
        quorum: usize,
    ) -> Result<Proven, TlogProofError> {
        self.verify_leaf(&leaf_hash(entry), log, witnesses, quorum)
    }

    /// [`verify`](Self::verify) for whoever knows an entry by its leaf hash.
    pub fn verify_leaf(
        &self,
        leaf: &EntryId,
        log: &Vkey,
        witnesses: &[Vkey],
        quorum: usize,
    ) -> Result<Proven, TlogProofError> {
        let signed = SignedCheckpoint::open(&self.note.to_bytes(), log)?;
        let seen_by = signed.witnesses(witnesses).map_err(CheckpointError::from)?;
        if seen_by.len() < quorum {
            return Err(TlogProofError::Witnesses { have: seen_by.len(), need: quorum });
        }
        verify_inclusion(&self.hashes, self.index, leaf, &signed.head())
            .map_err(|source| TlogProofError::Inclusion { index: self.index, source })?;
        Ok(Proven { checkpoint: signed.checkpoint().clone(), witnesses: seen_by })
    }
}

fn decimal(text: &str) -> Option<u64> {
    let number: u64 = text.parse().ok()?;
    (number.to_string() == text).then_some(number)
}

#[cfg(test)]
mod tests;
