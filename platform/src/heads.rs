//! The published state of both logs, as every answer refers to it.

use std::sync::Arc;

use actix_web::web::Bytes;
use encrytrust_index_chain::{
    chain::SealedBlock,
    checkpoint::{LogName, SignedCheckpoint},
    note::Vkey,
};

/// The last sealed block with its two checkpoints, ready to be served. Cheap to clone.
#[derive(Clone, Debug)]
pub(crate) struct Heads(Arc<[Head; 2]>);

/// One log's checkpoint.
#[derive(Clone, Debug)]
pub(crate) struct Head {
    pub(crate) checkpoint: SignedCheckpoint,
    /// The note's bytes.
    pub(crate) served: Bytes,
}

impl Heads {
    pub(crate) fn of_block(sealed: &SealedBlock) -> Self {
        Self(Arc::new(LogName::ALL.map(|log| Head::new(sealed.checkpoint(log).clone()))))
    }

    /// Adds a witness's answer to a checkpoint, if that is still the one being served.
    pub(crate) fn cosign(
        &mut self,
        log: LogName,
        seen: &SignedCheckpoint,
        answer: &[u8],
        witness: &Vkey,
    ) -> bool {
        let mut checkpoint = self.of(log).checkpoint.clone();
        if checkpoint.checkpoint() != seen.checkpoint() {
            return false;
        }
        let known = std::slice::from_ref(witness);
        if !checkpoint.add_cosignatures(answer, known).is_ok_and(|added| !added.is_empty()) {
            return false;
        }
        let heads = LogName::ALL.map(|each| {
            let head = self.of(each);
            if each == log { Head::new(checkpoint.clone()) } else { head.clone() }
        });
        self.0 = Arc::new(heads);
        true
    }

    pub(crate) fn of(&self, log: LogName) -> &Head {
        &self.0[log as usize]
    }

    /// Height of the block.
    pub(crate) fn height(&self) -> u64 {
        self.0[0].checkpoint.checkpoint().block.height
    }
}

impl Head {
    fn new(checkpoint: SignedCheckpoint) -> Self {
        let served = Bytes::from(checkpoint.to_bytes());
        Self { checkpoint, served }
    }

    /// Entries under the checkpoint.
    pub(crate) fn size(&self) -> u64 {
        self.checkpoint.head().size
    }

    /// The note as text.
    pub(crate) fn text(&self) -> String {
        String::from_utf8_lossy(&self.served).into_owned()
    }
}
