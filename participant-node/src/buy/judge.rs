//! Is this what was offered? The white paper's order: the provider's signature first, then the
//! seal, then the commitment.
//!
//! Two kinds of fault come out. A reply whose statement is not the provider's, or not about this
//! request, proves nothing against the provider: anybody between could have made it. From there
//! on, the provider has signed for these very bytes; whatever is wrong with them is a *mismatch*,
//! and the statement, the packet and the one-time reply key together prove it to anyone.

use encrytrust_keys::seal::{SealContext, SealKey};
use encrytrust_protocol::{
    CLOCK_SKEW_MAX, DecodeError, Delivery, Offer, Record, Reply, Request, Signed, Verified,
};

use crate::{files::now, serve::answer::NO_AAD};

/// What a buyer holds against a reply.
pub(super) struct Asked<'a> {
    pub(super) offer: &'a Verified<Offer>,
    pub(super) request: &'a Verified<Request>,
    pub(super) reply_key: &'a SealKey,
}

/// What a reply came to, once the provider's signature on it holds.
pub(super) struct Judged {
    pub(super) delivery: Verified<Delivery>,
    /// The record, or what is wrong with what was delivered instead.
    pub(super) record: Result<Record, String>,
}

impl Asked<'_> {
    /// Judges a reply. `Err` is a reply that the provider did not sign for this request.
    pub(super) fn judge(&self, reply: &[u8]) -> Result<Judged, String> {
        let reply = Reply::decode(reply).map_err(|e| e.to_string())?;
        let delivery = self.statement(&reply)?;
        Ok(Judged { delivery, record: self.record(&reply) })
    }

    /// The provider's signature, on a statement about this request and this packet.
    fn statement(&self, reply: &Reply) -> Result<Verified<Delivery>, String> {
        let signed = Signed::<Delivery>::decode(&reply.delivery).map_err(|e| e.to_string())?;
        let delivery = signed.verify().map_err(|e| e.to_string())?;
        let (said, request) = (delivery.message(), self.request.message());
        let expected = Delivery {
            market: request.market.clone(),
            trade: self.request.id(),
            offer: self.offer.id(),
            buyer: self.request.signer(),
            block: request.block,
            price: request.price,
            packet: reply.packet.hash(),
            at: said.at,
        };
        if delivery.signer() != self.offer.signer() {
            return Err(format!(
                "the reply is signed by {}, not by the offer's key",
                delivery.signer()
            ));
        }
        if *said != expected {
            return Err("the reply's statement is about another request or another packet".into());
        }
        if said.at.abs_diff(now()) > CLOCK_SKEW_MAX {
            return Err(format!("the reply was signed at {}; compare the clocks", said.at));
        }
        Ok(delivery)
    }

    /// The seal, then the commitment and the columns.
    fn record(&self, reply: &Reply) -> Result<Record, String> {
        let request = self.request.message();
        let context = SealContext::Reply {
            trade: self.request.id(),
            offer: self.offer.id(),
            block: request.block,
        };
        let plain = self.reply_key.open(&context, NO_AAD, &reply.packet);
        let plain = plain.map_err(|e| format!("the packet does not open: {e}"))?;
        let unread = |e: DecodeError| format!("the packet does not hold a record: {e}");
        let record = Record::decode(&plain).map_err(unread)?;
        let (found, offered) = (record.commitment(), self.offer.message().commitment);
        if found != offered {
            return Err(format!("the record's commitment is {found}, the offer's is {offered}"));
        }
        let columns = &self.offer.message().description.columns;
        record
            .matches(columns)
            .map_err(|e| format!("the record is not of the offer's columns: {e}"))?;
        Ok(record)
    }
}
