//! The derived state: everything that answers questions fast and can be read off the logs again.
//!
//! sled keeps it in one tree, so that one batch changes all of it and says how far it got:
//!
//! ```text
//! a ‖ log                    → entries applied ‖ name of the last one
//! o ‖ entry id               → index ‖ standing             every entry of the index
//! s ‖ subject tag ‖ index    → nothing                      every offer
//! r ‖ receipt id             → index                        every receipt
//! t ‖ trade id               → index of its receipt
//! k ‖ pool key               → KeyRecord
//! p ‖ participant id         → ParticipantRecord
//! d ‖ command id             → index                        every administrator's command
//! ```
//!
//! sled's own durability is not relied on: it may lose its newest writes in a power cut, and it
//! recovers to some earlier batch. [`catch_up`](crate::catch_up) compares what is applied with the
//! logs at every start.

mod apply;
mod members;
mod records;

use std::{cmp::Ordering, path::Path};

use encrytrust_protocol::{EntryId, OfferId, ParticipantId, PublicKey, SubjectTag, TradeId};

pub(crate) use apply::{Fact, IndexFact, TradeFact};
pub use members::MemberError;
pub(crate) use records::{Applied, KeyRecord, ParticipantRecord, Slot, Standing, Truth};

/// The derived state could not be read or written; deleting its directory is always safe.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StateError {
    /// sled failed.
    #[error("derived state: {0}; delete the sled directory and start again")]
    Sled(#[from] sled::Error),
    /// A value that this version did not write.
    #[error("derived state: the value under {key} is unreadable; delete the sled directory")]
    Unreadable {
        /// The key, hex.
        key: String,
    },
}

/// The derived state.
#[derive(Clone, Debug)]
pub(crate) struct State {
    db: sled::Db,
}

/// The first byte of each key.
mod prefix {
    pub(super) const APPLIED: u8 = b'a';
    pub(super) const OFFER: u8 = b'o';
    pub(super) const SUBJECT: u8 = b's';
    pub(super) const RECEIPT: u8 = b'r';
    pub(super) const TRADE: u8 = b't';
    pub(super) const KEY: u8 = b'k';
    pub(super) const PARTICIPANT: u8 = b'p';
    pub(super) const COMMAND: u8 = b'd';
}

fn key(prefix: u8, name: &[u8]) -> Vec<u8> {
    let mut key = Vec::with_capacity(1 + name.len());
    key.push(prefix);
    key.extend_from_slice(name);
    key
}

fn subject_key(tag: &SubjectTag, index: u64) -> Vec<u8> {
    let mut key = Vec::with_capacity(41);
    key.push(prefix::SUBJECT);
    key.extend_from_slice(tag.as_bytes());
    key.extend_from_slice(&index.to_be_bytes());
    key
}

fn unreadable(key: &[u8]) -> StateError {
    StateError::Unreadable { key: hex::encode(key) }
}

impl State {
    /// Opens or creates the state, with a bounded cache.
    pub(crate) fn open(path: &Path, cache_bytes: u64) -> Result<Self, StateError> {
        let db = sled::Config::new()
            .path(path)
            .cache_capacity(cache_bytes)
            .flush_every_ms(Some(1000))
            .open()?;
        Ok(Self { db })
    }

    fn get<T>(
        &self,
        key: &[u8],
        read: impl FnOnce(&[u8]) -> Option<T>,
    ) -> Result<Option<T>, StateError> {
        let Some(value) = self.db.get(key)? else { return Ok(None) };
        read(&value).map(Some).ok_or_else(|| unreadable(key))
    }

    /// How far a log has been applied.
    pub(crate) fn applied(&self, log: Truth) -> Result<Applied, StateError> {
        let applied = self.get(&[prefix::APPLIED, log.letter()], Applied::read)?;
        Ok(applied.unwrap_or_default())
    }

    /// Where an entry of the index stands.
    pub(crate) fn slot(&self, id: &EntryId) -> Result<Option<Slot>, StateError> {
        self.get(&key(prefix::OFFER, id.as_bytes()), Slot::read)
    }

    /// Where a receipt is.
    pub(crate) fn receipt(&self, id: &EntryId) -> Result<Option<u64>, StateError> {
        self.get(&key(prefix::RECEIPT, id.as_bytes()), records::read_u64)
    }

    /// Where a trade's receipt is.
    pub(crate) fn trade(&self, trade: &TradeId) -> Result<Option<u64>, StateError> {
        self.get(&key(prefix::TRADE, trade.as_bytes()), records::read_u64)
    }

    /// Where an administrator's command is.
    pub(crate) fn command(&self, id: &EntryId) -> Result<Option<u64>, StateError> {
        self.get(&key(prefix::COMMAND, id.as_bytes()), records::read_u64)
    }

    /// Whose key this is.
    pub(crate) fn key(&self, public: &PublicKey) -> Result<Option<KeyRecord>, StateError> {
        self.get(&key(prefix::KEY, public.as_bytes()), KeyRecord::read)
    }

    /// A participant.
    pub(crate) fn participant(
        &self,
        id: &ParticipantId,
    ) -> Result<Option<ParticipantRecord>, StateError> {
        self.get(&key(prefix::PARTICIPANT, id.as_bytes()), ParticipantRecord::read)
    }

    /// All participants, in the order they joined.
    pub(crate) fn participants(
        &self,
    ) -> Result<Vec<(ParticipantId, ParticipantRecord)>, StateError> {
        let mut all = Vec::new();
        for pair in self.db.scan_prefix([prefix::PARTICIPANT]) {
            let (key, value) = pair?;
            let id = ParticipantId::try_from(&key[1..]).map_err(|_| unreadable(&key))?;
            all.push((id, ParticipantRecord::read(&value).ok_or_else(|| unreadable(&key))?));
        }
        all.sort_by_key(|(_, record)| record.first_join);
        Ok(all)
    }

    /// The indexes of a tag's offers from `from` on and below `below`, oldest first.
    pub(crate) fn offers_about(
        &self,
        tag: &SubjectTag,
        from: u64,
        below: u64,
    ) -> impl Iterator<Item = Result<u64, StateError>> + use<> {
        self.db.range(subject_key(tag, from)..subject_key(tag, below)).keys().map(|key| {
            let key = key?;
            key.get(33..).and_then(records::read_u64).ok_or_else(|| unreadable(&key))
        })
    }

    /// Writes what sled still holds in memory to its files.
    pub(crate) fn flush(&self) -> Result<(), StateError> {
        self.db.flush()?;
        Ok(())
    }

    /// In how many keys two states differ.
    pub(crate) fn differences(&self, other: &Self) -> Result<u64, StateError> {
        let (mut ours, mut theirs) = (self.db.iter().peekable(), other.db.iter().peekable());
        let mut differences = 0;
        loop {
            let order = match (ours.peek(), theirs.peek()) {
                (None, None) => return Ok(differences),
                (Some(Ok((a, _))), Some(Ok((b, _)))) => a.cmp(b),
                (None, _) => Ordering::Greater,
                _ => Ordering::Less,
            };
            let ours = if order.is_le() { ours.next().transpose()? } else { None };
            let theirs = if order.is_ge() { theirs.next().transpose()? } else { None };
            differences += u64::from(ours != theirs);
        }
    }

    /// Bytes on disk.
    pub(crate) fn bytes_on_disk(&self) -> Result<u64, StateError> {
        Ok(self.db.size_on_disk()?)
    }

    /// The slot of an offer, if the entry is one.
    pub(crate) fn offer(&self, id: &OfferId) -> Result<Option<Slot>, StateError> {
        Ok(self.slot(id)?.filter(|slot| slot.standing != Standing::Withdrawal))
    }
}
