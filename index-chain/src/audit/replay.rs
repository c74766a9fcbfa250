//! What entries do to a market, replayed by the rules that admitted them.

use std::collections::HashMap;

use encrytrust_protocol::{
    BadSignature, DecodeError, EntryId, IndexEntry, Market, Message, Offer, OfferId, PublicKey,
    Receipt, Signed, TradeId, Verified, Withdrawal, verify_batch,
};

use super::{
    AuditError, FaultKind,
    entries::{Contents, Sealed},
    fault::Unplaced,
};
use crate::{
    admit::{
        KeyStanding, OfferState, Settlement, Standing, Verdict, View, admit, admit_settlement,
    },
    log::{LogError, LogReader, Scanned},
};

/// The index as far as it has been read: forty bytes for each entry.
pub(super) struct Offers {
    market: Market,
    /// Where an entry stands, and in the low bits what it is.
    known: HashMap<EntryId, u64>,
    entries: Option<LogReader>,
    pub(super) offers: u64,
    pub(super) current: u64,
    pub(super) withdrawals: u64,
}

/// The low two bits of an entry in [`Offers::known`].
const CURRENT: u64 = 0;
const SUPERSEDED: u64 = 1;
const WITHDRAWN: u64 = 2;
const WITHDRAWAL: u64 = 3;

impl Offers {
    pub(super) fn new(market: Market) -> Self {
        let (known, entries) = (HashMap::new(), None);
        Self { market, known, entries, offers: 0, current: 0, withdrawals: 0 }
    }

    pub(super) fn has(&self, id: &OfferId) -> bool {
        self.known.get(id).is_some_and(|at| at & 3 != WITHDRAWAL)
    }

    /// The state of an offer among the first `below` entries.
    fn state(&self, id: &OfferId, below: u64) -> Result<Option<OfferState>, LogError> {
        let Some(at) = self.known.get(id).filter(|at| **at >> 2 < below) else { return Ok(None) };
        let standing = match at & 3 {
            CURRENT => Standing::Current,
            SUPERSEDED => Standing::Superseded,
            WITHDRAWN => Standing::Withdrawn,
            _ => return Ok(None),
        };
        let reader = self.entries.as_ref().expect("an entry is known after it was read");
        let bytes = reader.entry(at >> 2)?;
        let offer = Signed::<Offer>::decode(&bytes).ok();
        Ok(offer.map(|offer| {
            let (signer, subject) = (offer.claimed_signer(), offer.unverified().subject);
            OfferState { signer, subject, standing }
        }))
    }
}

impl View for Offers {
    type Error = LogError;

    fn market(&self) -> &Market {
        &self.market
    }

    fn position(&self, entry: &EntryId) -> Result<Option<u64>, LogError> {
        Ok(self.known.get(entry).map(|at| at >> 2))
    }

    fn offer(&self, offer: &OfferId) -> Result<Option<OfferState>, LogError> {
        self.state(offer, u64::MAX)
    }

    fn trade(&self, _: &TradeId) -> Result<Option<u64>, LogError> {
        Ok(None)
    }

    fn key(&self, _: &PublicKey) -> Result<KeyStanding, LogError> {
        Ok(KeyStanding::Admitted)
    }
}

impl Contents for Offers {
    type Entry = IndexEntry;

    fn verify(chunk: &[&[u8]]) -> Result<Vec<IndexEntry>, (usize, Unplaced)> {
        let (mut offers, mut withdrawals) = (Vec::new(), Vec::new());
        let mut kinds = Vec::with_capacity(chunk.len());
        for (i, bytes) in chunk.iter().enumerate() {
            // Most entries are offers: to try that first is cheaper than to look.
            match Signed::<Offer>::decode(bytes) {
                Ok(offer) => {
                    offers.push(offer);
                    kinds.push(true);
                }
                Err(DecodeError::WrongTyp { found, .. }) if found == Withdrawal::TYP => {
                    let withdrawal = Signed::<Withdrawal>::decode(bytes);
                    withdrawals.push(withdrawal.map_err(|e| (i, malformed(&e)))?);
                    kinds.push(false);
                }
                Err(e) => return Err((i, malformed(&e))),
            }
        }
        let mut offers = verify_batch(offers).into_iter();
        let mut withdrawals = verify_batch(withdrawals).into_iter();
        let next = |(i, is_offer): (usize, bool)| {
            let verified = if is_offer {
                offers.next().map(|offer| offer.map(IndexEntry::Offer))
            } else {
                withdrawals.next().map(|withdrawal| withdrawal.map(IndexEntry::Withdrawal))
            };
            let verified = verified.expect("a batch answers for each signature");
            verified.map_err(|e| (i, forged(&e)))
        };
        kinds.into_iter().enumerate().map(next).collect()
    }

    fn replay(
        &mut self,
        entry: &IndexEntry,
        id: EntryId,
        index: u64,
        sealed: &Sealed<'_>,
    ) -> Result<Option<Unplaced>, AuditError> {
        let verdict = admit(entry, self, sealed.moment)?;
        if let Some(fault) = inadmissible(&verdict, sealed) {
            return Ok(Some(fault));
        }
        let ended = match entry {
            IndexEntry::Offer(_) => {
                self.offers += 1;
                self.current += 1;
                self.known.insert(id, index << 2 | CURRENT);
                SUPERSEDED
            }
            IndexEntry::Withdrawal(_) => {
                self.withdrawals += 1;
                self.known.insert(id, index << 2 | WITHDRAWAL);
                WITHDRAWN
            }
        };
        if let Some(at) = entry.ends().and_then(|offer| self.known.get_mut(&offer)) {
            *at = *at & !3 | ended;
            self.current -= 1;
        }
        Ok(None)
    }

    fn scanned(&mut self, scanned: &Scanned) {
        self.entries = Some(scanned.reader());
    }
}

/// The trades log as far as it has been read, over the whole index.
pub(super) struct Receipts<'a> {
    offers: &'a Offers,
    /// Entries of the index below the block in question.
    below: u64,
    positions: HashMap<EntryId, u64>,
    trades: HashMap<TradeId, u64>,
}

impl<'a> Receipts<'a> {
    pub(super) fn new(offers: &'a Offers) -> Self {
        let (positions, trades) = (HashMap::new(), HashMap::new());
        Self { offers, below: 0, positions, trades }
    }
}

impl View for Receipts<'_> {
    type Error = LogError;

    fn market(&self) -> &Market {
        &self.offers.market
    }

    fn position(&self, entry: &EntryId) -> Result<Option<u64>, LogError> {
        Ok(self.positions.get(entry).copied())
    }

    fn offer(&self, offer: &OfferId) -> Result<Option<OfferState>, LogError> {
        self.offers.state(offer, self.below)
    }

    fn trade(&self, trade: &TradeId) -> Result<Option<u64>, LogError> {
        Ok(self.trades.get(trade).copied())
    }

    fn key(&self, _: &PublicKey) -> Result<KeyStanding, LogError> {
        Ok(KeyStanding::Admitted)
    }
}

impl Contents for Receipts<'_> {
    type Entry = Settlement;

    fn verify(chunk: &[&[u8]]) -> Result<Vec<Settlement>, (usize, Unplaced)> {
        let decode = |(i, bytes): (usize, &&[u8])| {
            Signed::<Receipt>::decode(bytes).map_err(|e| (i, malformed(&e)))
        };
        let receipts = chunk.iter().enumerate().map(decode).collect::<Result<Vec<_>, _>>()?;
        let settle = |(i, receipt): (usize, Result<Verified<Receipt>, BadSignature>)| {
            let receipt = receipt.map_err(|e| (i, forged(&e)))?;
            Settlement::of(receipt).map_err(|e| {
                (
                    i,
                    Unplaced::new(
                        FaultKind::Signature,
                        e.to_string(),
                        "a receipt is signed by both sides",
                    ),
                )
            })
        };
        verify_batch(receipts).into_iter().enumerate().map(settle).collect()
    }

    fn replay(
        &mut self,
        entry: &Settlement,
        id: EntryId,
        index: u64,
        sealed: &Sealed<'_>,
    ) -> Result<Option<Unplaced>, AuditError> {
        self.below = sealed.block.index.size;
        let verdict = admit_settlement(entry, self, sealed.moment)?;
        if let Some(fault) = inadmissible(&verdict, sealed) {
            return Ok(Some(fault));
        }
        self.positions.insert(id, index);
        self.trades.insert(entry.trade(), index);
        Ok(None)
    }

    fn scanned(&mut self, _: &Scanned) {}
}

fn inadmissible(verdict: &Verdict, sealed: &Sealed<'_>) -> Option<Unplaced> {
    let sealed = format!("block {} seals it", sealed.block.height);
    match verdict {
        Verdict::New => None,
        Verdict::Present(at) => {
            let found = format!("the same bytes as entry {at}");
            Some(Unplaced::new(FaultKind::Duplicate, found, sealed))
        }
        Verdict::Refused(why) => {
            let found = format!("it may not stand here ({}): {why}", why.slug());
            Some(Unplaced::new(FaultKind::Admission, found, sealed))
        }
    }
}

fn malformed(e: &DecodeError) -> Unplaced {
    Unplaced::new(FaultKind::Decode, e.to_string(), "only well-formed entries are admitted")
}

fn forged(e: &BadSignature) -> Unplaced {
    Unplaced::new(FaultKind::Signature, e.to_string(), "only signed entries are admitted")
}
