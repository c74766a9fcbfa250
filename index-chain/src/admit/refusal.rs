//! Why an entry may not be appended, each reason under a stable name.

use encrytrust_protocol::{Market, OfferId, PublicKey, ReceiptError, TradeId, UnixSeconds};

/// Why an entry may not be appended.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Refusal {
    /// It belongs elsewhere.
    #[error("it is for the market {found}; this is {expected}")]
    WrongMarket {
        /// This market.
        expected: Market,
        /// Named by the entry.
        found: Market,
    },
    /// Nobody here vouches for its signer.
    #[error("its signer {0} is not in the pool of an approved participant")]
    KeyNotAdmitted(PublicKey),
    /// Its signer's participant is suspended.
    #[error("the participant that holds its signer {0} is suspended")]
    KeySuspended(PublicKey),
    /// Over before it was published.
    #[error("the offer ended at {until}; it is {now} (Unix seconds)")]
    OfferEnded {
        /// Its first second after.
        until: UnixSeconds,
        /// When it came.
        now: UnixSeconds,
    },
    /// Published before its time.
    #[error("the offer begins at {from}; it is {now} (Unix seconds)")]
    OfferNotBegun {
        /// Its first second.
        from: UnixSeconds,
        /// When it came.
        now: UnixSeconds,
    },
    /// Signed later than now.
    #[error("it says it was signed at {at}; it is {now} (Unix seconds): set the signer's clock")]
    FromTheFuture {
        /// When it says it was signed.
        at: UnixSeconds,
        /// When it came.
        now: UnixSeconds,
    },
    /// It refers to nothing.
    #[error("there is no offer {0} in the index")]
    OfferUnknown(OfferId),
    /// A newer offer is in the way.
    #[error("the offer {0} was superseded; refer to the newest one")]
    OfferSuperseded(OfferId),
    /// Withdrawn offers stay so.
    #[error("the offer {0} was withdrawn; publish a new one that supersedes nothing")]
    OfferWithdrawn(OfferId),
    /// Only its signer ends an offer.
    #[error("the offer {offer} is {owner}'s; {signer} cannot end it")]
    OtherSigner {
        /// The offer to be ended.
        offer: OfferId,
        /// Who signed that.
        owner: PublicKey,
        /// Who wants to end it.
        signer: PublicKey,
    },
    /// An offer is ended under its own subject.
    #[error("the offer {0} is about another subject")]
    OtherSubject(OfferId),
    /// A receipt whose halves do not belong together.
    #[error("the receipt is unsound: {0}")]
    ReceiptUnsound(#[from] ReceiptError),
    /// Delivered by somebody who offered nothing.
    #[error("the delivery is signed by {signer}; the offer is {owner}'s")]
    OtherProvider {
        /// Who signed the offer.
        owner: PublicKey,
        /// Who signed the delivery.
        signer: PublicKey,
    },
    /// The first receipt of a trade is the one that counts.
    #[error("the trade {trade} ended with the receipt at index {index}")]
    TradeEnded {
        /// The trade.
        trade: TradeId,
        /// Where its receipt stands.
        index: u64,
    },
}

impl Refusal {
    /// The stable name of this kind of refusal: the last part of a problem document's `type`.
    pub fn slug(&self) -> &'static str {
        match self {
            Self::WrongMarket { .. } => "wrong-market",
            Self::KeyNotAdmitted(_) => "key-not-admitted",
            Self::KeySuspended(_) => "key-suspended",
            Self::OfferEnded { .. } => "offer-ended",
            Self::OfferNotBegun { .. } => "offer-not-begun",
            Self::FromTheFuture { .. } => "from-the-future",
            Self::OfferUnknown(_) => "offer-unknown",
            Self::OfferSuperseded(_) => "offer-superseded",
            Self::OfferWithdrawn(_) => "offer-withdrawn",
            Self::OtherSigner { .. } => "other-signer",
            Self::OtherSubject(_) => "other-subject",
            Self::ReceiptUnsound(_) => "receipt-unsound",
            Self::OtherProvider { .. } => "other-provider",
            Self::TradeEnded { .. } => "trade-ended",
        }
    }
}
