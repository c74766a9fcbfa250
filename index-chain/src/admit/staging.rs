//! Judging entries that refer to each other before any of them is in the log.

use std::collections::HashMap;

use encrytrust_protocol::{
    EntryId, IndexEntry, Market, OfferId, PublicKey, Receipt, TradeId, Verified,
};

use super::{
    KeyStanding, Moment, OfferState, Settlement, Standing, Verdict, View, admit, admit_settlement,
};

/// A view with entries on top that are admitted and not yet in it, so that the entries of one
/// request can refer to each other.
#[derive(Debug)]
pub struct Staging<'v, V> {
    base: &'v V,
    pub(super) positions: HashMap<EntryId, u64>,
    offers: HashMap<OfferId, OfferState>,
    pub(super) trades: HashMap<TradeId, u64>,
}

impl<'v, V: View> Staging<'v, V> {
    /// Nothing staged yet.
    pub fn new(base: &'v V) -> Self {
        let (positions, offers, trades) = Default::default();
        Self { base, positions, offers, trades }
    }

    /// Judges an index entry; if it is new, stages it as the one at `index`.
    pub fn admit(
        &mut self,
        entry: &IndexEntry,
        index: u64,
        moment: Moment,
    ) -> Result<Verdict, V::Error> {
        let verdict = admit(entry, self, moment)?;
        if verdict != Verdict::New {
            return Ok(verdict);
        }
        self.positions.insert(entry.id(), index);
        let (signer, subject) = (entry.signer(), entry.subject());
        let standing = match entry {
            IndexEntry::Offer(offer) => {
                let state = OfferState { signer, subject, standing: Standing::Current };
                self.offers.insert(offer.id(), state);
                Standing::Superseded
            }
            IndexEntry::Withdrawal(_) => Standing::Withdrawn,
        };
        if let Some(ended) = entry.ends() {
            self.offers.insert(ended, OfferState { signer, subject, standing });
        }
        Ok(verdict)
    }

    /// Judges a receipt; if it is new, stages it as the one at `index`.
    pub fn admit_receipt(
        &mut self,
        receipt: &Verified<Receipt>,
        index: u64,
        moment: Moment,
    ) -> Result<Verdict, V::Error> {
        let settlement = match Settlement::of(receipt.clone()) {
            Ok(settlement) => settlement,
            Err(refusal) => return Ok(Verdict::Refused(refusal)),
        };
        let verdict = admit_settlement(&settlement, self, moment)?;
        if verdict == Verdict::New {
            self.positions.insert(receipt.id(), index);
            self.trades.insert(settlement.trade(), index);
        }
        Ok(verdict)
    }
}

impl<V: View> View for Staging<'_, V> {
    type Error = V::Error;

    fn market(&self) -> &Market {
        self.base.market()
    }

    fn position(&self, entry: &EntryId) -> Result<Option<u64>, V::Error> {
        self.positions.get(entry).map_or_else(|| self.base.position(entry), |at| Ok(Some(*at)))
    }

    fn offer(&self, offer: &OfferId) -> Result<Option<OfferState>, V::Error> {
        self.offers.get(offer).map_or_else(|| self.base.offer(offer), |state| Ok(Some(*state)))
    }

    fn trade(&self, trade: &TradeId) -> Result<Option<u64>, V::Error> {
        self.trades.get(trade).map_or_else(|| self.base.trade(trade), |at| Ok(Some(*at)))
    }

    fn key(&self, key: &PublicKey) -> Result<KeyStanding, V::Error> {
        self.base.key(key)
    }
}
