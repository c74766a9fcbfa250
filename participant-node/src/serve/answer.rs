//! One sealed request in, one sealed and signed reply out (white paper, section 6.5).
//!
//! The checks, in order; the first that fails is the refusal:
//!
//! 1. the packet opens with one of the pool's keys;
//! 2. the request inside is well-formed and its signature holds;
//! 3. it is for this market, and made just now;
//! 4. the key that signed it is active, by the platform's fresh signed word;
//! 5. the offer is this node's, stands, and is within its time;
//! 6. the price is the offer's, and the key asked is the offer's;
//! 7. the request was not answered before;
//! 8. the row is still in the source, and is what was offered.
//!
//! The trade is in the vault, on disk, before the reply leaves. Nothing of a record, and no
//! subject, is ever logged.

use std::sync::Arc;

use encrytrust_keys::{
    pool::{KeyRing, PoolKey},
    seal::{SealContext, SealError, seal},
};
use encrytrust_protocol::{
    CLOCK_SKEW_MAX, Delivery, KeyState, Problem, Record, Reply, Request, SealedPacket, Signed,
    Verified,
};

use super::{Server, keys::Word};
use crate::{
    blocking,
    client::short,
    files::now,
    vault::{DeliveryEvent, Held, Terms},
};

/// The most bytes a sealed request has.
pub(crate) const PACKET_MAX: usize = encrytrust_protocol::RelayPackets::PACKET_BYTES_MAX;

/// Binds neither seal to anything more than its `info` does.
pub(crate) const NO_AAD: &[u8] = b"";

impl Server {
    /// Answers a sealed request.
    pub(crate) async fn answer(&self, packet: &[u8]) -> Result<Vec<u8>, Problem> {
        let (request, key) = self.read(packet).await?;
        let trade = request.id();
        match self.fulfil(&request, &key).await {
            Ok(reply) => {
                let offer = request.message().offer;
                tracing::info!(trade = short(&trade), %offer, "delivered");
                Ok(reply)
            }
            Err(problem) => {
                let (slug, buyer) = (problem.slug(), request.signer());
                tracing::warn!(trade = short(&trade), slug, %buyer, "refused: {}", problem.detail);
                Err(problem)
            }
        }
    }

    /// Steps 1 and 2.
    async fn read(&self, packet: &[u8]) -> Result<(Verified<Request>, PoolKey), Problem> {
        let refuse = |problem: Problem| {
            tracing::warn!(slug = problem.slug(), "refused: {}", problem.detail);
            problem
        };
        if packet.len() > PACKET_MAX {
            let why = format!("{} bytes; a sealed request has at most {PACKET_MAX}", packet.len());
            return Err(refuse(Problem::new(413, "too-large", why)));
        }
        let packet = SealedPacket::decode(packet)
            .map_err(|e| refuse(Problem::new(400, "malformed", e.to_string())))?;
        let server = self.clone();
        let slot = self.opening.acquire().await;
        let opened = blocking(move || server.open_with_any_key(&packet)).await;
        drop(slot);
        let (plain, key) = opened.ok_or_else(|| {
            let why = "this packet was not sealed to a key of this node, or was changed on the way";
            let next =
                "seal the request to the HPKE key that the platform names for the offer's key";
            refuse(Problem::new(400, "not-for-this-node", why).with_next(next))
        })?;
        let signed = Signed::<Request>::decode(&plain)
            .map_err(|e| refuse(Problem::new(400, "malformed", e.to_string())))?;
        let request = signed.verify().map_err(|e| {
            let why = format!("{e}: changed on the way, or not signed by its buyer");
            refuse(Problem::new(403, "bad-signature", why))
        })?;
        Ok((request, key))
    }

    /// Tries the keys at hand, then those another process may have added since.
    fn open_with_any_key(&self, packet: &SealedPacket) -> Option<(Vec<u8>, PoolKey)> {
        let opened = self.open_with(&self.node.ring(), packet);
        opened.or_else(|| match self.node.newer_ring() {
            Ok(ring) => self.open_with(&*ring?, packet),
            Err(error) => {
                tracing::error!("the pool cannot be read: {error}");
                None
            }
        })
    }

    fn open_with(&self, ring: &KeyRing, packet: &SealedPacket) -> Option<(Vec<u8>, PoolKey)> {
        let market = self.node.market();
        let mut keys = ring.keys().iter().filter(|key| key.seal_key().suite() == packet.suite);
        keys.find_map(|key| {
            let context = SealContext::Request { market, provider: key.public() };
            let plain: Result<_, SealError> = key.seal_key().open(&context, NO_AAD, packet);
            plain.ok().map(|plain| (plain.to_vec(), key.clone()))
        })
    }

    /// Steps 3 to 8.
    async fn fulfil(&self, request: &Verified<Request>, key: &PoolKey) -> Result<Vec<u8>, Problem> {
        self.check_fresh(request)?;
        self.check_buyer(request).await?;
        let (held, place) = self.check_offer(request, key)?;
        // The trade's place is taken first: of two identical requests one goes on.
        let trade = request.id();
        if !self.trades.begin(trade) {
            let why = "this request was answered before";
            let next = "make a new request; each is answered once";
            return Err(Problem::new(409, "replay", why).with_next(next));
        }
        let delivered = self.deliver(request, key, &held, &place).await;
        if delivered.is_err() {
            self.trades.give_back(&trade);
        }
        delivered
    }

    /// Step 3.
    fn check_fresh(&self, request: &Verified<Request>) -> Result<(), Problem> {
        let (message, now) = (request.message(), now());
        if message.market != *self.node.market() {
            let why =
                format!("for market {}; this node is on {}", message.market, self.node.market());
            return Err(Problem::new(403, "other-market", why));
        }
        if message.at.abs_diff(now) > CLOCK_SKEW_MAX {
            let why = format!("made at {}, it is {now}", message.at);
            let next = "make a new request, and set the buyer's clock";
            return Err(Problem::new(403, "stale", why).with_next(next));
        }
        Ok(())
    }

    /// Step 4.
    async fn check_buyer(&self, request: &Verified<Request>) -> Result<(), Problem> {
        let buyer = request.signer();
        match self.keys.state(self.node.platform(), &buyer).await {
            Word::Key(KeyState::Active) => Ok(()),
            Word::Key(KeyState::Suspended) => {
                let why = format!("key {buyer} belongs to a participant that is not approved");
                Err(Problem::new(403, "key-suspended", why))
            }
            Word::Unknown => {
                let why = format!("key {buyer} is in no pool of this market");
                let next = "register the key with the platform: ets node keys add";
                Err(Problem::new(403, "key-unknown", why).with_next(next))
            }
            Word::Silence(why) => {
                let why = format!("the platform does not say whether key {buyer} is valid: {why}");
                Err(Problem::new(503, "platform-away", why).with_next("ask again in a minute"))
            }
        }
    }

    /// Steps 5 and 6.
    fn check_offer(
        &self,
        request: &Verified<Request>,
        key: &PoolKey,
    ) -> Result<(Arc<Held>, Arc<Terms>), Problem> {
        let message = request.message();
        let (held, place) = self.offers.find(&message.offer)?;
        let valid = held.terms.valid;
        if !valid.contains(now()) {
            let why = format!("the offer runs from {} until {}", valid.from, valid.until);
            return Err(
                Problem::new(410, "offer-expired", why).with_next("look the subject up again")
            );
        }
        if message.price != held.terms.price {
            let why = format!("the offer's price is {}, not {}", held.terms.price, message.price);
            return Err(Problem::new(409, "price", why));
        }
        if message.provider != held.key || key.public() != held.key {
            let why = format!("the offer was signed by {}, ask that key", held.key);
            return Err(Problem::new(409, "other-key", why));
        }
        Ok((held, place))
    }

    /// Step 8, and the reply.
    async fn deliver(
        &self,
        request: &Verified<Request>,
        key: &PoolKey,
        held: &Held,
        place: &Terms,
    ) -> Result<Vec<u8>, Problem> {
        let record = self.record(held, place).await?;
        let (message, trade) = (request.message(), request.id());
        let (offer, block) = (message.offer, message.block);
        let recipient = message.reply_key.clone();
        let sealed = blocking(move || {
            let context = SealContext::Reply { trade, offer, block };
            seal(&recipient, &context, NO_AAD, &record.encode())
        });
        let packet = sealed.await.map_err(|e| Problem::new(400, "bad-reply-key", e.to_string()))?;
        let at = now();
        let delivery = key.sign_delivery(Delivery {
            market: message.market.clone(),
            trade,
            offer,
            buyer: request.signer(),
            block,
            price: message.price,
            packet: packet.hash(),
            at,
        });
        let delivery = delivery.map_err(internal)?;
        let event =
            DeliveryEvent { trade, offer, buyer: request.signer(), price: message.price, at };
        self.trades.record(event).await.map_err(internal)?;
        Ok(Reply { delivery: delivery.bytes().to_vec().into(), packet }.encode())
    }

    /// Reads the row again and makes sure it is what was offered.
    async fn record(&self, held: &Held, place: &Terms) -> Result<Record, Problem> {
        let changed = |what: &str| {
            let why = format!("{what} since this was offered; the provider must publish again");
            Problem::new(409, "source-changed", why).with_next("look the subject up again later")
        };
        let source = self.sources.of(&held.terms, place).await.map_err(|e| {
            tracing::error!("the source of an offer cannot be read: {e}");
            let why = "the provider's data source is away";
            Problem::new(503, "source-away", why).with_next("ask again later")
        })?;
        let rows = source.fetch(&held.row).await.map_err(|e| {
            tracing::error!("a row cannot be read: {e}");
            Problem::new(503, "source-away", "the provider's data source is away")
        })?;
        let [row] = <[_; 1]>::try_from(rows).map_err(|rows| match rows.len() {
            0 => changed("the row left the source"),
            _ => changed("a second row about the same subject came into the source"),
        })?;
        let values = row.values.map_err(|_| changed("a column got another type"))?;
        let record = self.node.vault_key().record(&held.terms.dataset, &held.tag, values);
        if record.commitment() != held.commitment {
            return Err(changed("the row changed in the source"));
        }
        Ok(record)
    }
}

fn internal(error: impl std::fmt::Display) -> Problem {
    tracing::error!("a reply could not be made: {error}");
    Problem::new(500, "internal", "the provider's node has a fault; its log says which")
}

/// What a refusal travels as when only bytes can.
pub(crate) fn refusal(problem: &Problem) -> Vec<u8> {
    serde_json::to_vec(problem).expect("a problem has text and numbers only")
}

/// Whether an answer is a refusal: JSON begins with a brace, a reply with a CBOR map.
pub(crate) fn read_refusal(answer: &[u8]) -> Option<Problem> {
    answer.starts_with(b"{").then(|| serde_json::from_slice(answer).ok()).flatten()
}
