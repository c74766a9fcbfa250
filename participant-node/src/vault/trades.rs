//! What was delivered and what was bought, one entry each.

use encrytrust_protocol::{OfferId, Outcome, PublicKey, TradeId, UnixSeconds};
use minicbor::{Decode, Encode};

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

/// A record was received and judged, and the receipt is on the log of trades.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub(crate) struct PurchaseEvent {
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
    /// The receipt's place in the log of trades.
    #[n(5)]
    pub(crate) receipt: u64,
    #[n(6)]
    pub(crate) at: UnixSeconds,
}
