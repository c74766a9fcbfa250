//! What a platform says of itself, and its two services beside the logs: subject tags, relay.

use minicbor::{
    Decode, Encode,
    bytes::{ByteArray, ByteVec},
};

use crate::{BlockHash, DecodeError, Market, Message, Nonce, PublicKey, UnixSeconds, cbor, domain};

/// A platform describes itself; participants check it against the key they were given.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct PlatformInfo {
    /// The market's name.
    #[n(0)]
    pub market: Market,
    /// The public key of the subject-tag OPRF (a ristretto255 element, RFC 9497).
    #[n(1)]
    pub tag_key: ByteArray<32>,
    /// The first block of the chain.
    #[n(2)]
    pub genesis: BlockHash,
    /// Milliseconds between blocks when there is something to put in one.
    #[n(3)]
    pub block_interval: u64,
    /// When this was said.
    #[n(4)]
    pub at: UnixSeconds,
}

/// Blinded subject IDs to be evaluated (RFC 9497, section 3.3.2, verifiable mode).
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct TagRequest {
    /// On which market.
    #[n(0)]
    pub market: Market,
    /// Blinded elements, 32 bytes each, one after the other.
    #[n(1)]
    pub blinded: ByteVec,
    /// Makes each request one of a kind.
    #[n(2)]
    pub nonce: Nonce,
    /// When it was signed.
    #[n(3)]
    pub at: UnixSeconds,
}

/// The evaluated elements with one proof that all were evaluated under the platform's key.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct TagAnswer {
    /// Evaluated elements, 32 bytes each, in the request's order.
    #[n(0)]
    pub evaluated: ByteVec,
    /// DLEQ proof over the whole batch: c ‖ s, 64 bytes.
    #[n(1)]
    pub proof: ByteVec,
}

/// A node fetches the requests that wait at the relay for the key that signs this.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct RelayPoll {
    /// On which market.
    #[n(0)]
    pub market: Market,
    /// Makes each poll one of a kind.
    #[n(1)]
    pub nonce: Nonce,
    /// When it was signed.
    #[n(2)]
    pub at: UnixSeconds,
}

/// A sealed request that waits at the relay.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct RelayPacket {
    /// Where its reply belongs: known only to the relay and the node that fetched it.
    #[n(0)]
    pub id: Nonce,
    /// The sealed request.
    #[n(1)]
    pub packet: ByteVec,
}

/// What waited.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct RelayPackets {
    /// Oldest first.
    #[n(0)]
    pub packets: Vec<RelayPacket>,
}

impl TagRequest {
    /// The most IDs one request carries.
    pub const ELEMENTS_MAX: usize = 10_000;
}

impl TagAnswer {
    /// Its bytes.
    pub fn encode(&self) -> Vec<u8> {
        cbor::encode(self)
    }

    /// Reads an answer.
    pub fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        let answer: Self = cbor::decode("tag answer", bytes, TagRequest::ELEMENTS_MAX * 32 + 1024)?;
        elements(&answer.evaluated)?;
        if answer.proof.len() != 64 {
            return Err(DecodeError::limit("proof", "64 bytes expected"));
        }
        Ok(answer)
    }
}

impl RelayPackets {
    /// The most packets handed out at once.
    pub const COUNT_MAX: usize = 64;
    /// The most bytes one waiting packet has: a sealed request.
    pub const PACKET_BYTES_MAX: usize = 8192;

    /// Its bytes.
    pub fn encode(&self) -> Vec<u8> {
        cbor::encode(self)
    }

    /// Reads what waited.
    pub fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        cbor::decode("relay packets", bytes, Self::COUNT_MAX * (Self::PACKET_BYTES_MAX + 64))
    }
}

fn elements(bytes: &[u8]) -> Result<(), DecodeError> {
    let count = bytes.len() / 32;
    if !bytes.len().is_multiple_of(32) || !(1..=TagRequest::ELEMENTS_MAX).contains(&count) {
        let why = format!("1 to {} elements of 32 bytes", TagRequest::ELEMENTS_MAX);
        return Err(DecodeError::limit("elements", why));
    }
    Ok(())
}

impl Message for PlatformInfo {
    const TYP: &'static str = domain::PLATFORM_INFO;
    const NAME: &'static str = "platform description";
    const LIMIT: usize = 1024;
    type Signer = PublicKey;

    fn check(&self) -> Result<(), DecodeError> {
        Ok(())
    }
}

impl Message for TagRequest {
    const TYP: &'static str = domain::TAG_REQUEST;
    const NAME: &'static str = "tag request";
    const LIMIT: usize = Self::ELEMENTS_MAX * 32 + 1024;
    type Signer = PublicKey;

    fn check(&self) -> Result<(), DecodeError> {
        elements(&self.blinded)
    }
}

impl Message for RelayPoll {
    const TYP: &'static str = domain::RELAY_POLL;
    const NAME: &'static str = "relay poll";
    const LIMIT: usize = 1024;
    type Signer = PublicKey;

    fn check(&self) -> Result<(), DecodeError> {
        Ok(())
    }
}
