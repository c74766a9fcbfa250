//! What entries of the two public logs do to the derived state. Serving and rebuilding both go
//! through here, so they cannot disagree.

use std::collections::HashMap;

use encrytrust_protocol::{
    DecodeError, Delivery, EntryId, IndexEntry, Message, Offer, OfferId, Receipt, Signed,
    SubjectTag, TradeId, Verified, Withdrawal,
};

use super::{Applied, Slot, Standing, State, StateError, Truth, key, prefix, subject_key};

/// Entries in one batch: sled lets nobody read while it applies one.
const BATCH: usize = 256;

/// What one entry does, in the least memory that says it.
pub(crate) trait Fact {
    /// The log it comes from.
    const LOG: Truth;

    /// The entry's name.
    fn id(&self) -> EntryId;

    /// Its writes, when it stands at `index`.
    fn write(&self, index: u64, changes: &mut Changes<'_>) -> Result<(), StateError>;
}

/// An entry of the index.
#[derive(Clone, Copy, Debug)]
pub(crate) struct IndexFact {
    id: EntryId,
    /// The subject of an offer; a withdrawal is listed under none.
    about: Option<SubjectTag>,
    /// The offer it supersedes or withdraws.
    ends: Option<OfferId>,
}

/// An entry of the trades log.
#[derive(Clone, Copy, Debug)]
pub(crate) struct TradeFact {
    id: EntryId,
    trade: TradeId,
}

/// Writes on their way into one batch, visible to those that follow in it.
pub(crate) struct Changes<'a> {
    state: &'a State,
    batch: sled::Batch,
    slots: HashMap<EntryId, Slot>,
}

impl IndexFact {
    /// What an admitted entry does.
    pub(crate) fn of(id: EntryId, entry: &IndexEntry) -> Self {
        let about = matches!(entry, IndexEntry::Offer(_)).then(|| entry.subject().tag);
        Self { id, about, ends: entry.ends() }
    }

    /// What an entry of the log does. Its signature was checked when it was admitted.
    pub(crate) fn read(id: EntryId, bytes: &[u8]) -> Result<Self, DecodeError> {
        match Signed::<Offer>::decode(bytes) {
            Ok(offer) => {
                let offer = offer.unverified();
                Ok(Self { id, about: Some(offer.subject.tag), ends: offer.supersedes })
            }
            Err(DecodeError::WrongTyp { found, .. }) if found == Withdrawal::TYP => {
                let withdrawal = Signed::<Withdrawal>::decode(bytes)?;
                Ok(Self { id, about: None, ends: Some(withdrawal.unverified().withdraws) })
            }
            Err(e) => Err(e),
        }
    }
}

impl TradeFact {
    /// What an admitted receipt does.
    pub(crate) fn of(receipt: &Verified<Receipt>, delivery: &Delivery) -> Self {
        Self { id: receipt.id(), trade: delivery.trade }
    }

    /// What an entry of the log does.
    pub(crate) fn read(id: EntryId, bytes: &[u8]) -> Result<Self, DecodeError> {
        let receipt = Signed::<Receipt>::decode(bytes)?;
        let delivery = Signed::<Delivery>::decode(&receipt.unverified().delivery)?;
        Ok(Self { id, trade: delivery.unverified().trade })
    }
}

impl Fact for IndexFact {
    const LOG: Truth = Truth::Index;

    fn id(&self) -> EntryId {
        self.id
    }

    fn write(&self, index: u64, changes: &mut Changes<'_>) -> Result<(), StateError> {
        let standing = if self.about.is_some() { Standing::Current } else { Standing::Withdrawal };
        changes.set_slot(self.id, Slot { index, standing });
        if let Some(tag) = &self.about {
            changes.batch.insert(subject_key(tag, index), &[]);
        }
        if let Some(ended) = self.ends
            && let Some(slot) = changes.slot(&ended)?
        {
            let standing =
                if self.about.is_some() { Standing::Superseded } else { Standing::Withdrawn };
            changes.set_slot(ended, Slot { standing, ..slot });
        }
        Ok(())
    }
}

impl Fact for TradeFact {
    const LOG: Truth = Truth::Trades;

    fn id(&self) -> EntryId {
        self.id
    }

    fn write(&self, index: u64, changes: &mut Changes<'_>) -> Result<(), StateError> {
        let at = index.to_be_bytes();
        changes.batch.insert(key(prefix::RECEIPT, self.id.as_bytes()), &at);
        changes.batch.insert(key(prefix::TRADE, self.trade.as_bytes()), &at);
        Ok(())
    }
}

impl Changes<'_> {
    fn slot(&self, id: &EntryId) -> Result<Option<Slot>, StateError> {
        match self.slots.get(id) {
            Some(slot) => Ok(Some(*slot)),
            None => self.state.slot(id),
        }
    }

    fn set_slot(&mut self, id: EntryId, slot: Slot) {
        self.batch.insert(key(prefix::OFFER, id.as_bytes()), &slot.write());
        self.slots.insert(id, slot);
    }
}

impl State {
    /// Applies a run of a log's entries, the first of which is at index `first`.
    pub(crate) fn apply<F: Fact>(&self, first: u64, facts: &[F]) -> Result<(), StateError> {
        let mut index = first;
        for chunk in facts.chunks(BATCH) {
            let slots = HashMap::with_capacity(chunk.len());
            let mut changes = Changes { state: self, batch: sled::Batch::default(), slots };
            for fact in chunk {
                fact.write(index, &mut changes)?;
                index += 1;
            }
            let last = chunk[chunk.len() - 1].id();
            let mut batch = changes.batch;
            batch.insert(&[prefix::APPLIED, F::LOG.letter()], Applied::write(index, &last));
            self.db.apply_batch(batch)?;
        }
        Ok(())
    }
}
