//! Which entries a log takes: the same rules for the platform before, and for an auditor after.
//!
//! A message that is [`Verified`] is well-formed and signed; whether it may stand in the log
//! depends on what stands there already. That is a [`View`]: the platform's is its database, an
//! auditor's the log as far as it has read. Time is a [`Moment`]: the platform knows when it
//! admits, an auditor only between which two blocks.
//!
//! | rule | refused as |
//! |---|---|
//! | it names this market | `wrong-market` |
//! | the very same bytes are not in the log | not refused: [`Verdict::Present`] |
//! | its key is in the pool of an approved participant | `key-not-admitted`, `key-suspended` |
//! | an offer has begun and not ended | `offer-not-begun`, `offer-ended` |
//! | a withdrawal or receipt is not from the future | `from-the-future` |
//! | the offer it replaces, withdraws or settles exists | `offer-unknown` |
//! | that offer is current | `offer-superseded`, `offer-withdrawn` |
//! | that offer has the same signer and the same subject | `other-signer`, `other-subject` |
//! | a receipt's halves belong together | `receipt-unsound` |
//! | a receipt's delivery is by the offer's signer | `other-provider` |
//! | a trade has one receipt | `trade-ended` |

mod refusal;
mod staging;

use encrytrust_protocol::{
    CLOCK_SKEW_MAX, Delivery, EntryId, IndexEntry, Market, OfferId, PublicKey, Receipt, Subject,
    TradeId, UnixMillis, UnixSeconds, Verified,
};

pub use refusal::Refusal;
pub use staging::Staging;

/// What the rules need to know of a market's state.
pub trait View {
    /// What can go wrong in looking it up.
    type Error;

    /// The market.
    fn market(&self) -> &Market;

    /// Where an entry stands in the log of its kind, if it does.
    fn position(&self, entry: &EntryId) -> Result<Option<u64>, Self::Error>;

    /// What became of an offer, if there is one of this name.
    fn offer(&self, offer: &OfferId) -> Result<Option<OfferState>, Self::Error>;

    /// Where the receipt that ended a trade stands, if one did.
    fn trade(&self, trade: &TradeId) -> Result<Option<u64>, Self::Error>;

    /// Whether a key may add entries. Auditors cannot know and say [`KeyStanding::Admitted`].
    fn key(&self, key: &PublicKey) -> Result<KeyStanding, Self::Error>;
}

/// What became of an offer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct OfferState {
    /// Who signed it.
    pub signer: PublicKey,
    /// Whom it is about.
    pub subject: Subject,
    /// Whether it still stands. Expiry is not recorded: it follows from the offer and the time.
    pub standing: Standing,
}

/// Whether an offer stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Standing {
    /// Nothing has ended it.
    Current,
    /// A newer offer has replaced it.
    Superseded,
    /// Its signer has withdrawn it.
    Withdrawn,
}

/// Whether a key may add entries.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KeyStanding {
    /// It is in the pool of an approved participant.
    Admitted,
    /// Its participant is suspended.
    Suspended,
    /// It is in no approved participant's pool.
    Unknown,
}

/// When an entry was admitted, as well as one knows: Unix seconds, both ends included.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Moment {
    earliest: UnixSeconds,
    latest: UnixSeconds,
}

impl Moment {
    /// Now.
    pub fn at(now: UnixSeconds) -> Self {
        Self { earliest: now, latest: now }
    }

    /// Between two blocks, give or take [`CLOCK_SKEW_MAX`]: a producer's clock may have been set.
    pub fn between(previous: Option<UnixMillis>, block: UnixMillis) -> Self {
        let earliest = previous.map_or(0, |ms| (ms / 1_000).saturating_sub(CLOCK_SKEW_MAX));
        Self { earliest, latest: block.div_ceil(1_000) }
    }

    /// The last second that a clock within the allowed skew can show.
    fn horizon(self) -> UnixSeconds {
        self.latest.saturating_add(CLOCK_SKEW_MAX)
    }
}

/// What the rules say.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// It may be appended.
    New,
    /// It is in the log already, at this index: sending it twice changes nothing.
    Present(u64),
    /// It may not be appended.
    Refused(Refusal),
}

/// Either the verdict of a rule or a failed lookup, so that rules can end early with `?`.
enum Stop<E> {
    Verdict(Verdict),
    Lookup(E),
}

impl<E> From<Refusal> for Stop<E> {
    fn from(refusal: Refusal) -> Self {
        Self::Verdict(Verdict::Refused(refusal))
    }
}

fn settle<E>(outcome: Result<(), Stop<E>>) -> Result<Verdict, E> {
    match outcome {
        Ok(()) => Ok(Verdict::New),
        Err(Stop::Verdict(verdict)) => Ok(verdict),
        Err(Stop::Lookup(e)) => Err(e),
    }
}

/// Judges an entry of the index.
pub fn admit<V: View>(entry: &IndexEntry, view: &V, moment: Moment) -> Result<Verdict, V::Error> {
    let judge = || {
        belongs(entry.market(), &entry.id(), entry.signer(), view)?;
        match entry {
            IndexEntry::Offer(offer) => {
                let valid = offer.message().valid;
                if valid.until <= moment.earliest {
                    let (until, now) = (valid.until, moment.earliest);
                    return Err(Refusal::OfferEnded { until, now }.into());
                }
                if valid.from > moment.horizon() {
                    let (from, now) = (valid.from, moment.latest);
                    return Err(Refusal::OfferNotBegun { from, now }.into());
                }
            }
            IndexEntry::Withdrawal(withdrawal) => not_later(withdrawal.message().at, moment)?,
        }
        let Some(ended) = entry.ends() else { return Ok(()) };
        let state = view.offer(&ended).map_err(Stop::Lookup)?;
        let state = state.ok_or(Refusal::OfferUnknown(ended))?;
        if state.signer != entry.signer() {
            let (owner, signer) = (state.signer, entry.signer());
            return Err(Refusal::OtherSigner { offer: ended, owner, signer }.into());
        }
        if state.subject != entry.subject() {
            return Err(Refusal::OtherSubject(ended).into());
        }
        match state.standing {
            Standing::Current => Ok(()),
            Standing::Superseded => Err(Refusal::OfferSuperseded(ended).into()),
            Standing::Withdrawn => Err(Refusal::OfferWithdrawn(ended).into()),
        }
    };
    settle(judge())
}

/// A receipt and the delivery inside it, both signatures checked, and checked to belong together.
#[derive(Debug, Clone)]
pub struct Settlement {
    receipt: Verified<Receipt>,
    delivery: Verified<Delivery>,
}

impl Settlement {
    /// Opens a receipt; what is unsound in itself is refused as [`Refusal::ReceiptUnsound`].
    pub fn of(receipt: Verified<Receipt>) -> Result<Self, Refusal> {
        let delivery = receipt.delivery()?;
        Ok(Self { receipt, delivery })
    }

    /// The buyer's half, around the other.
    pub fn receipt(&self) -> &Verified<Receipt> {
        &self.receipt
    }

    /// The provider's half.
    pub fn delivery(&self) -> &Verified<Delivery> {
        &self.delivery
    }

    /// The trade it ends.
    pub fn trade(&self) -> TradeId {
        self.delivery.message().trade
    }
}

/// Judges an entry of the trades log.
pub fn admit_settlement<V: View>(
    settlement: &Settlement,
    view: &V,
    moment: Moment,
) -> Result<Verdict, V::Error> {
    let Settlement { receipt, delivery } = settlement;
    let judge = || {
        belongs(&receipt.message().market, &receipt.id(), receipt.signer(), view)?;
        not_later(receipt.message().at, moment)?;
        let (offer, trade) = (delivery.message().offer, settlement.trade());
        let state = view.offer(&offer).map_err(Stop::Lookup)?;
        let owner = state.ok_or(Refusal::OfferUnknown(offer))?.signer;
        if owner != delivery.signer() {
            return Err(Refusal::OtherProvider { owner, signer: delivery.signer() }.into());
        }
        match view.trade(&trade).map_err(Stop::Lookup)? {
            Some(index) => Err(Refusal::TradeEnded { trade, index }.into()),
            None => Ok(()),
        }
    };
    settle(judge())
}

fn belongs<V: View>(
    market: &Market,
    id: &EntryId,
    signer: PublicKey,
    view: &V,
) -> Result<(), Stop<V::Error>> {
    if market != view.market() {
        let (expected, found) = (view.market().clone(), market.clone());
        return Err(Refusal::WrongMarket { expected, found }.into());
    }
    if let Some(index) = view.position(id).map_err(Stop::Lookup)? {
        return Err(Stop::Verdict(Verdict::Present(index)));
    }
    match view.key(&signer).map_err(Stop::Lookup)? {
        KeyStanding::Admitted => Ok(()),
        KeyStanding::Suspended => Err(Refusal::KeySuspended(signer).into()),
        KeyStanding::Unknown => Err(Refusal::KeyNotAdmitted(signer).into()),
    }
}

fn not_later(at: UnixSeconds, moment: Moment) -> Result<(), Refusal> {
    if at <= moment.horizon() {
        return Ok(());
    }
    Err(Refusal::FromTheFuture { at, now: moment.latest })
}

#[cfg(test)]
mod tests;
