//! The many keys a participant trades under (white paper, section 6.2).
//!
//! A pool key is an Ed25519 key that signs and an HPKE key that opens. Offers name one, requests
//! are signed by one, and nothing public says which of them belong together. A [`KeyRing`] is the
//! participant's own list of them, kept in one secret file.
//!
//! # Example
//!
//! ```
//! use encrytrust_keys::pool::{KeyRing, PoolKey};
//! use encrytrust_protocol::{Market, Suite};
//!
//! let mut ring = KeyRing::default();
//! ring.add(PoolKey::generate(Suite::XWing));
//!
//! let market = Market::new("market.example")?;
//! let binding = ring.keys()[0].sign_binding(&market, 1_700_000_000)?;
//! assert!(ring.get(&binding.signer()).is_some());
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

use std::{collections::HashMap, fmt};

use ed25519_dalek::SigningKey;
use encrytrust_protocol::{
    Delivery, HpkeKey, KeyBinding, Market, Offer, PublicKey, Receipt, RelayPoll, Request, Suite,
    TagRequest, UnixSeconds, Verified, Withdrawal,
};
use minicbor::{Decoder, Encoder};
use zeroize::Zeroizing;

use crate::{
    files::Stored,
    seal::SealKey,
    signing::{self, SignError},
};

/// One key of a participant's pool: an Ed25519 key and the HPKE key that goes with it.
#[derive(Clone)]
pub struct PoolKey {
    signing: SigningKey,
    seal: SealKey,
}

impl PoolKey {
    /// A fresh key from the operating system's randomness.
    pub fn generate(suite: Suite) -> Self {
        Self { signing: signing::generate(), seal: SealKey::generate(suite) }
    }

    /// The key with this RFC 8032 seed and this HPKE key.
    pub fn from_parts(seed: &[u8; 32], seal: SealKey) -> Self {
        Self { signing: SigningKey::from_bytes(seed), seal }
    }

    /// The public key it signs under.
    pub fn public(&self) -> PublicKey {
        PublicKey::from(&self.signing)
    }

    /// The public key that seals to it.
    pub fn hpke(&self) -> &HpkeKey {
        self.seal.public()
    }

    /// The secret key that opens what was sealed to it.
    pub fn seal_key(&self) -> &SealKey {
        &self.seal
    }

    /// States which HPKE key goes with this key, and thereby proves that its holder has it.
    pub fn sign_binding(
        &self,
        market: &Market,
        at: UnixSeconds,
    ) -> Result<Verified<KeyBinding>, SignError> {
        let hpke = self.hpke().clone();
        signing::sign(&self.signing, KeyBinding { market: market.clone(), hpke, at })
    }

    /// Signs an offer.
    pub fn sign_offer(&self, offer: Offer) -> Result<Verified<Offer>, SignError> {
        signing::sign(&self.signing, offer)
    }

    /// Signs the end of an offer.
    pub fn sign_withdrawal(
        &self,
        withdrawal: Withdrawal,
    ) -> Result<Verified<Withdrawal>, SignError> {
        signing::sign(&self.signing, withdrawal)
    }

    /// Signs, as a buyer, a request for a record.
    pub fn sign_request(&self, request: Request) -> Result<Verified<Request>, SignError> {
        signing::sign(&self.signing, request)
    }

    /// Signs, as a provider, what was sent in answer to a request.
    pub fn sign_delivery(&self, delivery: Delivery) -> Result<Verified<Delivery>, SignError> {
        signing::sign(&self.signing, delivery)
    }

    /// Signs, as a buyer, what was received.
    pub fn sign_receipt(&self, receipt: Receipt) -> Result<Verified<Receipt>, SignError> {
        signing::sign(&self.signing, receipt)
    }

    /// Signs a request for subject tags.
    pub fn sign_tag_request(&self, request: TagRequest) -> Result<Verified<TagRequest>, SignError> {
        signing::sign(&self.signing, request)
    }

    /// Signs the question which requests wait at the relay for this key.
    pub fn sign_relay_poll(&self, poll: RelayPoll) -> Result<Verified<RelayPoll>, SignError> {
        signing::sign(&self.signing, poll)
    }
}

impl fmt::Debug for PoolKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PoolKey({}, <redacted>)", self.public())
    }
}

/// A participant's pool keys, in the order they were made.
#[derive(Clone, Debug, Default)]
pub struct KeyRing {
    keys: Vec<PoolKey>,
    places: HashMap<PublicKey, usize>,
}

impl KeyRing {
    /// Adds a key; one that is there already is not added twice.
    pub fn add(&mut self, key: PoolKey) {
        let place = self.keys.len();
        if let std::collections::hash_map::Entry::Vacant(entry) = self.places.entry(key.public()) {
            entry.insert(place);
            self.keys.push(key);
        }
    }

    /// Every key, oldest first.
    pub fn keys(&self) -> &[PoolKey] {
        &self.keys
    }

    /// The key with this public half.
    pub fn get(&self, public: &PublicKey) -> Option<&PoolKey> {
        self.places.get(public).and_then(|place| self.keys.get(*place))
    }
}

/// Bytes of one key in [`KeyRing`]'s encoding: two secrets of 32 bytes, a suite, and their heads.
const KEY_BYTES_MAX: usize = 1 + 34 + 3 + 34;

/// A CBOR array of `[Ed25519 seed, HPKE KEM id, HPKE secret]`: the public halves follow from it.
impl Stored for KeyRing {
    const KIND: &'static str = "pool";

    fn to_secret_bytes(&self) -> Zeroizing<Vec<u8>> {
        // Room for everything at once: growing would leave copies of the secrets behind.
        let room = 9 + self.keys.len() * KEY_BYTES_MAX;
        let mut encoder = Encoder::new(Vec::with_capacity(room));
        let mut write = || {
            encoder.array(self.keys.len() as u64)?;
            for key in &self.keys {
                encoder.array(3)?.bytes(key.signing.as_bytes())?.encode(key.seal.suite())?;
                key.seal.expose(|secret| encoder.bytes(secret).map(drop))?;
            }
            Ok::<(), minicbor::encode::Error<std::convert::Infallible>>(())
        };
        write().expect("writing to a Vec does not fail");
        Zeroizing::new(encoder.into_writer())
    }

    fn from_secret_bytes(bytes: &[u8]) -> Option<Self> {
        let mut decoder = Decoder::new(bytes);
        let mut ring = Self::default();
        for _ in 0..decoder.array().ok()?? {
            let Some(3) = decoder.array().ok()? else { return None };
            let seed: &[u8; 32] = decoder.bytes().ok()?.try_into().ok()?;
            let suite: Suite = decoder.decode().ok()?;
            let secret: &[u8; 32] = decoder.bytes().ok()?.try_into().ok()?;
            ring.add(PoolKey::from_parts(seed, SealKey::from_secret(suite, secret)));
        }
        (decoder.position() == bytes.len()).then_some(ring)
    }
}

#[cfg(test)]
mod tests {
    use encrytrust_protocol::{
        Column, ColumnKind, Description, Message, Nonce, Outcome, Signed, Subject, TagScheme,
        Validity,
    };

    use super::*;
    use crate::{files, tags::BATCH_MAX};

    fn market() -> Market {
        Market::new("market.example").unwrap()
    }

    fn ring() -> KeyRing {
        let mut ring = KeyRing::default();
        for suite in [Suite::XWing, Suite::X25519, Suite::XWing] {
            ring.add(PoolKey::generate(suite));
        }
        ring
    }

    /// The bytes read back as the message the verb is for, signed by the key.
    fn reads<M: Message<Signer = PublicKey>>(
        key: &PoolKey,
        signed: Result<Verified<M>, SignError>,
    ) {
        let signed = signed.unwrap();
        let read = Signed::<M>::decode(signed.bytes()).unwrap().verify().unwrap();
        assert_eq!((read.signer(), read.id()), (key.public(), signed.id()));
    }

    #[test]
    fn every_verb_signs_its_message() {
        let key = PoolKey::generate(Suite::X25519);
        let subject = Subject { scheme: TagScheme::Voprf, tag: [1; 32].into() };
        let column = Column { name: "amount".into(), kind: ColumnKind::Integer };
        let (hash, nonce) = ([2; 32], Nonce::from([3; 16]));
        reads(&key, key.sign_binding(&market(), 1));
        reads(
            &key,
            key.sign_offer(Offer {
                market: market(),
                subject,
                description: Description {
                    title: "Credit history".into(),
                    columns: vec![column],
                    text: String::new(),
                },
                commitment: hash.into(),
                price: 5,
                endpoint: None,
                valid: Validity { from: 1, until: 2 },
                supersedes: None,
            }),
        );
        reads(
            &key,
            key.sign_withdrawal(Withdrawal {
                market: market(),
                subject,
                withdraws: hash.into(),
                at: 1,
            }),
        );
        reads(
            &key,
            key.sign_request(Request {
                market: market(),
                offer: hash.into(),
                block: hash.into(),
                provider: hash.into(),
                reply_key: SealKey::generate(Suite::XWing).public().clone(),
                price: 5,
                nonce,
                at: 1,
            }),
        );
        let delivery = key.sign_delivery(Delivery {
            market: market(),
            trade: hash.into(),
            offer: hash.into(),
            buyer: key.public(),
            block: hash.into(),
            price: 5,
            packet: hash.into(),
            at: 1,
        });
        let bytes = delivery.as_ref().unwrap().bytes().to_vec();
        reads(&key, delivery);
        let receipt = key.sign_receipt(Receipt {
            market: market(),
            delivery: bytes.into(),
            outcome: Outcome::Accepted,
            at: 1,
        });
        assert!(receipt.as_ref().unwrap().delivery().is_ok());
        reads(&key, receipt);
        let blinded = vec![0; 32 * BATCH_MAX].into();
        reads(&key, key.sign_tag_request(TagRequest { market: market(), blinded, nonce, at: 1 }));
        reads(&key, key.sign_relay_poll(RelayPoll { market: market(), nonce, at: 1 }));
    }

    #[test]
    fn what_breaks_a_limit_is_not_signed() {
        let blinded = vec![0; 31].into();
        let request = TagRequest { market: market(), blinded, nonce: Nonce::from([3; 16]), at: 1 };
        let error = PoolKey::generate(Suite::X25519).sign_tag_request(request).unwrap_err();
        assert!(matches!(error, SignError::Message(_)));
    }

    #[test]
    fn a_ring_survives_its_file() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("pool.key");
        let ring = ring();
        files::create(&path, &ring, None).unwrap();
        let read: KeyRing = files::load(&path, None).unwrap();
        for (a, b) in ring.keys().iter().zip(read.keys()) {
            assert_eq!((a.public(), a.hpke()), (b.public(), b.hpke()));
            assert!(read.get(&a.public()).is_some());
        }
        assert_eq!(read.keys().len(), 3);
        assert!(read.get(&PublicKey::from([0; 32])).is_none());
    }

    #[test]
    fn a_ring_is_compact_and_read_strictly() {
        let bytes = ring().to_secret_bytes();
        assert!(bytes.len() <= 9 + 3 * KEY_BYTES_MAX);
        for cut in 0..bytes.len() {
            assert!(KeyRing::from_secret_bytes(&bytes[..cut]).is_none(), "{cut}");
        }
        let longer = [&bytes[..], &[0]].concat();
        assert!(KeyRing::from_secret_bytes(&longer).is_none());
        assert_eq!(KeyRing::from_secret_bytes(&[0x80]).unwrap().keys().len(), 0);
    }

    #[test]
    fn a_key_is_not_added_twice() {
        let mut ring = ring();
        ring.add(ring.keys()[1].clone());
        assert_eq!(ring.keys().len(), 3);
    }

    #[test]
    fn debug_shows_no_secret() {
        let key = PoolKey::from_parts(&[7; 32], SealKey::generate(Suite::X25519));
        assert!(!format!("{key:?}").contains(&hex::encode([7; 32])));
    }
}
