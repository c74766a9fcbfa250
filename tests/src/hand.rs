//! Somebody who speaks the protocol by hand, and so can say what no node of ours would say.

use anyhow::{Context, Result};
use encrytrust_keys::{
    files,
    identity::Identity,
    membership::PoolSubmission,
    pool::{KeyRing, PoolKey},
    tags::BlindedIds,
};
use encrytrust_participant_node::Node;
use encrytrust_protocol::{
    Algorithm, BlockHash, Column, ColumnKind, Commitment, Delivery, Description, Market, Offer,
    OfferId, Outcome, ParticipantId, PublicKey, Receipt, RelayPoll, Request, Sha256Hash, Subject,
    SubjectTag, Suite, TagRequest, TagScheme, TradeId, UnixSeconds, Validity, Verified, Withdrawal,
};

use crate::clock::{fresh, nonce, now};

/// An identity and a pool of keys.
#[derive(Debug)]
pub struct Hand {
    /// The market it is on.
    pub market: Market,
    /// Its name.
    pub name: String,
    /// Its certificate and key.
    pub identity: Identity,
    /// Its pool.
    pub keys: Vec<PoolKey>,
}

impl Hand {
    /// Somebody new, with one key.
    pub fn new(market: &Market, name: &str) -> Result<Self> {
        Self::certified(market, name, now())
    }

    /// Somebody whose certificate of two years was made at some time.
    pub fn certified(market: &Market, name: &str, at: UnixSeconds) -> Result<Self> {
        Ok(Self {
            market: market.clone(),
            name: name.to_owned(),
            identity: Identity::generate(Algorithm::Ed25519, name, at)?,
            keys: vec![PoolKey::generate(Suite::X25519)],
        })
    }

    /// Whoever has a node's secrets can do what the node can, and more.
    pub fn steal(node: &Node) -> Result<Self> {
        let keys = node.dir().join("keys");
        let ring: KeyRing = files::load(&keys.join("pool.keys"), None)?;
        Ok(Self {
            market: node.market().clone(),
            name: node.name().to_owned(),
            identity: files::load(&keys.join("identity.key"), None)?,
            keys: ring.keys().to_vec(),
        })
    }

    /// Its name on the market.
    pub fn id(&self) -> ParticipantId {
        self.identity.participant()
    }

    /// Its first key.
    pub fn key(&self) -> &PoolKey {
        &self.keys[0]
    }

    /// The public half of its first key.
    pub fn public(&self) -> PublicKey {
        self.key().public()
    }

    /// The key of its pool with this public half.
    pub fn key_of(&self, public: &PublicKey) -> Result<&PoolKey> {
        self.keys.iter().find(|key| key.public() == *public).context("not a key of this pool")
    }

    /// A request to join, signed at some time.
    pub fn join(&self, at: UnixSeconds) -> Result<Vec<u8>> {
        Ok(self.identity.sign_join(&self.market, &self.name, at)?.bytes().to_vec())
    }

    /// All its keys, claimed at some time.
    pub fn pool(&self, at: UnixSeconds) -> Result<Vec<u8>> {
        let bindings = self.keys.iter().map(|key| key.sign_binding(&self.market, at));
        let bindings = bindings.collect::<Result<Vec<_>, _>>()?;
        let pool = self.identity.sign_pool(&self.market, &bindings, at)?;
        Ok(PoolSubmission::encode(&pool, &bindings))
    }

    /// An offer that could be signed: about somebody, good for a day.
    pub fn terms(&self, tag: SubjectTag) -> Offer {
        Offer {
            market: self.market.clone(),
            subject: Subject { scheme: TagScheme::Voprf, tag },
            description: Description {
                title: format!("What {} knows", self.name),
                columns: vec![Column { name: "amount".into(), kind: ColumnKind::Integer }],
                text: String::new(),
            },
            commitment: Commitment::from(fresh()),
            price: 5,
            endpoint: None,
            valid: Validity { from: now() - 60, until: now() + 86_400 },
            supersedes: None,
        }
    }

    /// An offer about somebody new.
    pub fn offer(&self) -> Result<Verified<Offer>> {
        self.sign(self.terms(SubjectTag::from(fresh())))
    }

    /// Signs an offer with its first key.
    pub fn sign(&self, offer: Offer) -> Result<Verified<Offer>> {
        Ok(self.key().sign_offer(offer)?)
    }

    /// An offer that replaces another.
    pub fn update(&self, old: &Verified<Offer>) -> Result<Verified<Offer>> {
        let tag = old.message().subject.tag;
        self.sign(Offer { supersedes: Some(old.id()), ..self.terms(tag) })
    }

    /// The end of an offer, said at some time.
    pub fn withdrawal(
        &self,
        old: &Verified<Offer>,
        at: UnixSeconds,
    ) -> Result<Verified<Withdrawal>> {
        let (subject, withdraws) = (old.message().subject, old.id());
        let withdrawal = Withdrawal { market: self.market.clone(), subject, withdraws, at };
        Ok(self.key().sign_withdrawal(withdrawal)?)
    }

    /// Asks, under one of its keys, for `count` guesses at subject IDs to be evaluated.
    pub fn guesses(
        &self,
        key: &PoolKey,
        count: usize,
        at: UnixSeconds,
    ) -> Result<Verified<TagRequest>> {
        let guess = |n| encrytrust_keys::subject::SubjectId::new(&format!("ZZ-{n:06}"));
        let ids = (0..count).map(guess).collect::<Result<Vec<_>, _>>()?;
        let blinded = BlindedIds::blind(ids)?.elements().to_vec().into();
        let request = TagRequest { market: self.market.clone(), blinded, nonce: nonce(), at };
        Ok(key.sign_tag_request(request)?)
    }

    /// Asks the relay what waits for its first key.
    pub fn poll(&self, at: UnixSeconds) -> Result<Verified<RelayPoll>> {
        let poll = RelayPoll { market: self.market.clone(), nonce: nonce(), at };
        Ok(self.key().sign_relay_poll(poll)?)
    }

    /// Asks a provider for what it offers.
    pub fn request(
        &self,
        offer: &Verified<Offer>,
        block: BlockHash,
        reply_key: &encrytrust_keys::seal::SealKey,
    ) -> Request {
        Request {
            market: self.market.clone(),
            offer: offer.id(),
            block,
            provider: offer.signer(),
            reply_key: reply_key.public().clone(),
            price: offer.message().price,
            nonce: nonce(),
            at: now(),
        }
    }

    /// As the buyer, signs what a provider says it delivered.
    pub fn receipt(
        &self,
        provider: &Self,
        offer: OfferId,
        trade: TradeId,
        outcome: Outcome,
    ) -> Result<Verified<Receipt>> {
        let delivery = provider.key().sign_delivery(Delivery {
            market: self.market.clone(),
            trade,
            offer,
            buyer: self.public(),
            block: BlockHash::from([7; 32]),
            price: 5,
            packet: Sha256Hash::from([8; 32]),
            at: now(),
        })?;
        let (delivery, market) = (delivery.bytes().to_vec().into(), self.market.clone());
        Ok(self.key().sign_receipt(Receipt { market, delivery, outcome, at: now() })?)
    }
}
