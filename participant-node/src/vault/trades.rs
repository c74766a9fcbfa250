//! What was delivered and what was bought, one entry each.

use encrytrust_protocol::{OfferId, Outcome, PublicKey, TradeId, UnixSeconds};
use minicbor::{Decode, Encode, bytes::ByteVec};

/// A request was answered. Written before the answer leaves.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub(crate) struct DeliveryEvent {
    #[n(0)]
    pub(crate) trade: TradeId,
    #[n(1)]
    pub(crate) offer: OfferId,
    #[n(2)]
    pub(crate) buyer: PublicKey,
    #[n(3)]
    pub(crate) price: u64,
    #[n(4)]
    pub(crate) at: UnixSeconds,
}

/// What became of a purchase.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub(crate) enum PurchaseEvent {
    /// A reply was received and judged; its receipt is owed.
    #[n(0)]
    Judged(#[n(0)] JudgedEvent),
    /// The receipt is on the log of trades.
    #[n(1)]
    Settled {
        #[n(0)]
        trade: TradeId,
        /// Its place there.
        #[n(1)]
        index: u64,
    },
    /// The platform refused the receipt.
    #[n(2)]
    Dropped {
        #[n(0)]
        trade: TradeId,
    },
}

/// A reply that was received and judged.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub(crate) struct JudgedEvent {
    #[n(0)]
    pub(crate) trade: TradeId,
    #[n(1)]
    pub(crate) offer: OfferId,
    #[n(2)]
    pub(crate) provider: PublicKey,
    #[n(3)]
    pub(crate) price: u64,
    #[n(4)]
    pub(crate) outcome: Outcome,
    /// The signed receipt.
    #[n(5)]
    pub(crate) receipt: ByteVec,
    #[n(6)]
    pub(crate) at: UnixSeconds,
}
