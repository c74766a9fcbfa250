//! Ask for a record, and hold the provider to its offer.

use std::path::Path;

use encrytrust_keys::{
    pool::PoolKey,
    seal::{SealContext, SealKey, seal},
};
use encrytrust_protocol::{
    HpkeKey, KeyState, Offer, OfferId, Outcome, Receipt, Record, Reply, Request, Suite, Verified,
    api::OfferState,
};
use serde_json::{Map, Value as Json, json};
use zeroize::Zeroizing;

use super::judge::{Asked, Judged};
use crate::{
    client::{CheckedOffer, ClientError, Http, Media, nonce},
    error::NodeError,
    files::{self, now},
    node::Node,
    report::Purchase,
    serve::answer::{NO_AAD, read_refusal},
    vault::{JudgedEvent, PurchaseEvent},
};

/// Everything said in one trade, kept until it is judged.
struct Trade {
    offer: Verified<Offer>,
    request: Verified<Request>,
    key: PoolKey,
    reply_key: SealKey,
    reply: Vec<u8>,
}

impl Node {
    /// Asks the provider of an offer for the record, verifies that it is the one offered, writes
    /// it to `out` (mode 0600), and leaves a receipt on the log of trades.
    ///
    /// A record that is not the one offered is not written. The proof of that, the one-time reply
    /// key among it, is kept in `evidence/`, and the receipt on the log says so.
    pub async fn get(&self, offer: OfferId, out: &Path) -> Result<Purchase, NodeError> {
        self.settle_debts().await?;
        let offer = self.takeable(&offer).await?;
        let trade = self.ask(offer).await?;
        let asked =
            Asked { offer: &trade.offer, request: &trade.request, reply_key: &trade.reply_key };
        let judged = asked.judge(&trade.reply);
        let judged = judged.map_err(|why| NodeError::untrue(trade.provider(), why))?;
        let outcome = if judged.record.is_ok() { Outcome::Accepted } else { Outcome::Mismatch };
        let receipt = self.receipt(&trade, &judged, outcome)?;
        match &judged.record {
            Ok(record) => self.accept(&trade, &judged, record, &receipt, out).await,
            Err(why) => Err(self.convict(&trade, &judged, why, &receipt).await?),
        }
    }

    /// An offer that stands: from the copy if it is there, else from the platform.
    async fn takeable(&self, id: &OfferId) -> Result<Verified<Offer>, NodeError> {
        let CheckedOffer { state, offer, .. } = match self.offer_in_copy(id).await? {
            Some(checked) => checked,
            None => self.platform().offer(id).await?.1,
        };
        let state = match state {
            OfferState::Current if offer.message().valid.contains(now()) => return Ok(offer),
            OfferState::Current | OfferState::Expired => "is not within its time",
            OfferState::Superseded => "was replaced by a newer one",
            OfferState::Withdrawn => "was withdrawn",
        };
        Err(NodeError::Gone { offer: *id, state })
    }

    async fn ask(&self, offer: Verified<Offer>) -> Result<Trade, NodeError> {
        let provider = offer.signer();
        let (status, binding) = self.platform().key(&provider).await?;
        if status.message().state != KeyState::Active {
            let why = format!("the platform says that the offer's key {provider} is suspended");
            return Err(NodeError::Refused(why));
        }
        if self.platform().newest_block().is_none() {
            self.platform().checkpoint(encrytrust_index_chain::checkpoint::LogName::Index).await?;
        }
        let block = self.platform().newest_block();
        let block =
            block.ok_or_else(|| NodeError::Refused("the market has no block yet".into()))?;
        let (key, reply_key) = (self.some_key()?, SealKey::generate(Suite::XWing));
        let request = key.sign_request(Request {
            market: self.market().clone(),
            offer: offer.id(),
            block,
            provider,
            reply_key: reply_key.public().clone(),
            price: offer.message().price,
            nonce: nonce()?,
            at: now(),
        });
        let request = request.map_err(|e| NodeError::Usage(e.to_string()))?;
        let reply = self.send(&offer, &binding.message().hpke, &request).await?;
        Ok(Trade { offer, request, key, reply_key, reply })
    }

    /// Seals the request to the provider and brings the reply back.
    async fn send(
        &self,
        offer: &Verified<Offer>,
        recipient: &HpkeKey,
        request: &Verified<Request>,
    ) -> Result<Vec<u8>, NodeError> {
        let provider = offer.signer();
        let context = SealContext::Request { market: self.market(), provider };
        let packet = seal(recipient, &context, NO_AAD, request.bytes());
        let packet = packet.map_err(|e| NodeError::untrue(format!("key {provider}"), e))?.encode();
        let answered = match &offer.message().endpoint {
            Some(endpoint) => {
                let node = Http::new(endpoint, &format!("the provider {provider}"))?;
                node.post_once("v1/requests", (Media::Octets, &packet), Reply::BYTES_MAX).await
            }
            None => self.platform().relay_ask(&provider, &packet).await,
        };
        let refused = |problem| NodeError::Provider { provider: provider.to_string(), problem };
        match answered {
            Ok(reply) => match read_refusal(&reply) {
                Some(problem) => Err(refused(Box::new(problem))),
                None => Ok(reply),
            },
            Err(ClientError::Refused { problem, .. }) if offer.message().endpoint.is_some() => {
                Err(refused(problem))
            }
            Err(error) => Err(error.into()),
        }
    }

    /// The receipt, signed, and noted as owed.
    fn receipt(
        &self,
        trade: &Trade,
        judged: &Judged,
        outcome: Outcome,
    ) -> Result<Verified<Receipt>, NodeError> {
        let at = now();
        let receipt = trade.key.sign_receipt(Receipt {
            market: self.market().clone(),
            delivery: judged.delivery.bytes().to_vec().into(),
            outcome,
            at,
        });
        let receipt = receipt.map_err(|e| NodeError::Usage(e.to_string()))?;
        self.note_purchase(PurchaseEvent::Judged(JudgedEvent {
            trade: trade.request.id(),
            offer: trade.offer.id(),
            provider: trade.offer.signer(),
            price: trade.offer.message().price,
            outcome,
            receipt: receipt.bytes().to_vec().into(),
            at,
        }))?;
        Ok(receipt)
    }

    /// Writes the record, then leaves the receipt, then writes where the receipt is.
    async fn accept(
        &self,
        trade: &Trade,
        judged: &Judged,
        record: &Record,
        receipt: &Verified<Receipt>,
        out: &Path,
    ) -> Result<Purchase, NodeError> {
        trade.write(record, None, out)?;
        let index = self.settle(receipt, trade.request.id()).await.map_err(|source| {
            NodeError::Unsettled { out: out.display().to_string(), source: Box::new(source) }
        })?;
        trade.write(record, Some(index), out)?;
        let description = &trade.offer.message().description;
        Ok(Purchase {
            offer: trade.offer.id(),
            provider: trade.offer.signer(),
            trade: trade.request.id(),
            columns: description.columns.clone(),
            price: trade.offer.message().price,
            receipt: index,
            receipt_id: receipt.id(),
            out: out.to_owned(),
            at: judged.delivery.message().at,
        })
    }

    /// Keeps what convicts the provider, and says it on the log of trades.
    async fn convict(
        &self,
        trade: &Trade,
        judged: &Judged,
        why: &str,
        receipt: &Verified<Receipt>,
    ) -> Result<NodeError, NodeError> {
        let reply_key = trade.reply_key.expose(|secret| hex::encode(secret));
        let files = [
            ("what.txt", format!("{why}\n").into_bytes()),
            ("offer.cose", trade.offer.bytes().to_vec()),
            ("request.cose", trade.request.bytes().to_vec()),
            ("delivery.cose", judged.delivery.bytes().to_vec()),
            ("reply.cbor", trade.reply.clone()),
            ("reply-key.hex", format!("{reply_key}\n").into_bytes()),
            ("receipt.cose", receipt.bytes().to_vec()),
        ];
        let folder = files::evidence(self.dir(), "mismatch", &files);
        let folder = folder.map_err(|e| NodeError::state(self.dir().join("evidence"), e))?;
        if let Err(error) = self.settle(receipt, trade.request.id()).await {
            tracing::warn!("the receipt of a mismatch is owed: {error}");
        }
        Ok(NodeError::Mismatch {
            provider: trade.offer.signer().to_string(),
            why: why.to_owned(),
            evidence: folder.display().to_string(),
        })
    }
}

impl Trade {
    fn provider(&self) -> String {
        format!("the provider {}", self.offer.signer())
    }

    /// The record with all it takes to check it again, for its owner's eyes.
    fn write(&self, record: &Record, receipt: Option<u64>, out: &Path) -> Result<(), NodeError> {
        let columns = &self.offer.message().description.columns;
        let values = columns.iter().zip(record.values());
        let values: Map<String, Json> =
            values.map(|(column, value)| (column.name.clone(), json!(value))).collect();
        let text = serde_json::to_vec_pretty(&json!({
            "offer": self.offer.id(),
            "provider": self.offer.signer(),
            "title": self.offer.message().description.title,
            "columns": columns,
            "record": values,
            "salt": hex::encode(record.salt()),
            "commitment": record.commitment(),
            "price": self.offer.message().price,
            "trade": self.request.id(),
            "receipt": receipt,
        }));
        let text = Zeroizing::new(text.map_err(|e| NodeError::state(out, e))?);
        files::replace(out, &text, 0o600).map_err(|e| NodeError::state(out, e))
    }
}
