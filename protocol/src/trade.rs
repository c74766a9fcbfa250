//! A trade, message by message (white paper, section 6.5).
//!
//! ```text
//! buyer ── Request, sealed to the provider ──▶ provider
//! buyer ◀── Reply { Delivery, SealedPacket } ── provider
//! buyer ── Receipt { Delivery } ──▶ platform ──▶ trades log
//! ```
//!
//! The buyer makes a reply key for this one request and signs it with a key of its pool. So a
//! stolen pool key opens no past delivery, and in a dispute revealing that one reply key lets
//! anyone check what was delivered against the provider's signature and the offer's commitment.

use minicbor::{Decode, Encode, bytes::ByteVec};

use crate::{
    BadSignature, BlockHash, DecodeError, HpkeKey, Market, Message, Nonce, OfferId, PublicKey,
    Record, Sha256Hash, Signed, Suite, TradeId, UnixSeconds, Verified, cbor, domain,
};
use sha2::{Digest, Sha256};

/// A buyer asks for the record behind an offer.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct Request {
    /// The market the offer stands on.
    #[n(0)]
    pub market: Market,
    /// Which record is asked for.
    #[n(1)]
    pub offer: OfferId,
    /// The latest block the buyer has seen: the state of the index it relies on.
    #[n(2)]
    pub block: BlockHash,
    /// The key that signed the offer.
    #[n(3)]
    pub provider: PublicKey,
    /// Made for this request alone; the record is sealed to it.
    #[n(4)]
    pub reply_key: HpkeKey,
    /// The price the buyer accepts.
    #[n(5)]
    pub price: u64,
    /// Makes each request one of a kind.
    #[n(6)]
    pub nonce: Nonce,
    /// When it was made.
    #[n(7)]
    pub at: UnixSeconds,
}

/// A provider states what it sent in answer to which request.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct Delivery {
    /// The market the offer stands on.
    #[n(0)]
    pub market: Market,
    /// The request it answers.
    #[n(1)]
    pub trade: TradeId,
    /// The offer it fulfils.
    #[n(2)]
    pub offer: OfferId,
    /// The key that signed the request.
    #[n(3)]
    pub buyer: PublicKey,
    /// The block the buyer relied on.
    #[n(4)]
    pub block: BlockHash,
    /// What was agreed.
    #[n(5)]
    pub price: u64,
    /// SHA-256 of the [`SealedPacket`]'s bytes.
    #[n(6)]
    pub packet: Sha256Hash,
    /// When it was sent.
    #[n(7)]
    pub at: UnixSeconds,
}

/// HPKE ciphertext (RFC 9180, single-shot, base mode).
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct SealedPacket {
    /// The recipient's suite.
    #[n(0)]
    pub suite: Suite,
    /// The encapsulated key.
    #[n(1)]
    pub enc: ByteVec,
    /// The ciphertext with its tag.
    #[n(2)]
    pub ciphertext: ByteVec,
}

/// What a provider's node answers: the statement it signs, and the packet the statement is about.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct Reply {
    /// A signed [`Delivery`].
    #[n(0)]
    pub delivery: ByteVec,
    /// The record, sealed to the request's reply key.
    #[n(1)]
    pub packet: SealedPacket,
}

/// What the buyer found.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, Encode, Decode, serde::Serialize, serde::Deserialize,
)]
#[cbor(index_only)]
#[serde(rename_all = "lowercase")]
pub enum Outcome {
    /// The record opens the offer's commitment.
    #[n(0)]
    Accepted,
    /// The packet does not open, or the record is not the one that was offered.
    #[n(1)]
    Mismatch,
}

/// A trade's end, signed by both sides: the buyer signs the provider's signed delivery.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct Receipt {
    /// The market the offer stands on.
    #[n(0)]
    pub market: Market,
    /// The provider's signed [`Delivery`], byte for byte.
    #[n(1)]
    pub delivery: ByteVec,
    /// What the buyer found.
    #[n(2)]
    pub outcome: Outcome,
    /// When it was signed.
    #[n(3)]
    pub at: UnixSeconds,
}

/// A receipt whose halves are sound each and do not belong together, or are not sound.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ReceiptError {
    /// The provider's half cannot be read.
    #[error("the delivery inside: {0}")]
    Delivery(#[from] DecodeError),
    /// The provider's half is not signed by whom it names.
    #[error("the delivery inside: {0}")]
    Signature(#[from] BadSignature),
    /// The halves name two markets.
    #[error("receipt for {receipt}, delivery for {delivery}")]
    Markets {
        /// Named by the buyer.
        receipt: Market,
        /// Named by the provider.
        delivery: Market,
    },
    /// The receipt is signed by somebody else than the buyer the provider served.
    #[error("signed by {signer}, delivered to {buyer}")]
    NotTheBuyer {
        /// Who signed the receipt.
        signer: PublicKey,
        /// Whom the provider served.
        buyer: PublicKey,
    },
}

impl Verified<Receipt> {
    /// The provider's half, checked, and checked to belong to this one.
    pub fn delivery(&self) -> Result<Verified<Delivery>, ReceiptError> {
        let delivery = Signed::<Delivery>::decode(&self.message().delivery)?.verify()?;
        if delivery.message().market != self.message().market {
            return Err(ReceiptError::Markets {
                receipt: self.message().market.clone(),
                delivery: delivery.message().market.clone(),
            });
        }
        let buyer = delivery.message().buyer;
        if buyer != self.signer() {
            return Err(ReceiptError::NotTheBuyer { signer: self.signer(), buyer });
        }
        Ok(delivery)
    }
}

impl SealedPacket {
    /// The most bytes a packet has: a record and what sealing adds.
    pub const BYTES_MAX: usize = Record::BYTES_MAX + 4096;

    /// SHA-256 of the packet's bytes, as a [`Delivery`] states it.
    pub fn hash(&self) -> Sha256Hash {
        let hash: [u8; 32] = Sha256::digest(cbor::encode(self)).into();
        Sha256Hash::from(hash)
    }

    /// Its bytes.
    pub fn encode(&self) -> Vec<u8> {
        cbor::encode(self)
    }

    /// Reads a packet and checks the encapsulated key's length against its suite.
    pub fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        let packet: Self = cbor::decode("sealed packet", bytes, Self::BYTES_MAX)?;
        packet.check()?;
        Ok(packet)
    }

    fn check(&self) -> Result<(), DecodeError> {
        if self.enc.len() != self.suite.enc_len() {
            let why = format!("{} bytes expected", self.suite.enc_len());
            return Err(DecodeError::limit("enc", why));
        }
        Ok(())
    }
}

impl Reply {
    /// The most bytes a reply has.
    pub const BYTES_MAX: usize = SealedPacket::BYTES_MAX + Delivery::LIMIT + 64;

    /// Its bytes.
    pub fn encode(&self) -> Vec<u8> {
        cbor::encode(self)
    }

    /// Reads a reply. The statement inside is yet to be decoded and verified, and its
    /// [`Delivery::packet`] to be compared with the packet's [`hash`](SealedPacket::hash).
    pub fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        let reply: Self = cbor::decode("reply", bytes, Self::BYTES_MAX)?;
        reply.packet.check()?;
        Ok(reply)
    }
}

impl Message for Request {
    const TYP: &'static str = domain::REQUEST;
    const NAME: &'static str = "request";
    const LIMIT: usize = 4096;
    type Signer = PublicKey;

    fn check(&self) -> Result<(), DecodeError> {
        self.reply_key.check()
    }
}

impl Message for Delivery {
    const TYP: &'static str = domain::DELIVERY;
    const NAME: &'static str = "delivery";
    const LIMIT: usize = 1024;
    type Signer = PublicKey;

    fn check(&self) -> Result<(), DecodeError> {
        Ok(())
    }
}

impl Message for Receipt {
    const TYP: &'static str = domain::RECEIPT;
    const NAME: &'static str = "receipt";
    const LIMIT: usize = 2048;
    type Signer = PublicKey;

    fn check(&self) -> Result<(), DecodeError> {
        if self.delivery.is_empty() {
            return Err(DecodeError::limit("delivery", "missing"));
        }
        Ok(())
    }
}

/// The `info` of a sealed reply binds it to its trade: purpose, trade, offer, block, as a
/// deterministic CBOR array.
pub fn reply_info(trade: TradeId, offer: OfferId, block: BlockHash) -> Vec<u8> {
    info(domain::SEAL_REPLY, &[trade.as_ref(), offer.as_ref(), block.as_ref()])
}

/// The `info` of a sealed request binds it to its recipient: purpose, market, provider's key.
pub fn request_info(market: &Market, provider: PublicKey) -> Vec<u8> {
    info(domain::SEAL_REQUEST, &[market.as_str().as_bytes(), provider.as_ref()])
}

fn info(purpose: &str, context: &[&[u8]]) -> Vec<u8> {
    let mut e = minicbor::Encoder::new(Vec::new());
    let write = |e: &mut minicbor::Encoder<Vec<u8>>| {
        e.array(1 + context.len() as u64)?.str(purpose)?;
        for part in context {
            e.bytes(part)?;
        }
        Ok::<(), minicbor::encode::Error<std::convert::Infallible>>(())
    };
    write(&mut e).expect("writing to a Vec does not fail");
    e.into_writer()
}
