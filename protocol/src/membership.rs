//! Who takes part: identities, key pools, and the platform's word on them (white paper,
//! section 6.2).
//!
//! An identity is a certificate. It signs a [`Join`] once and a [`Pool`] whenever it adds keys.
//! Each key of a pool signs a [`KeyBinding`] itself, which proves possession and says which HPKE
//! key seals to it. Offers, requests and receipts are signed by pool keys; nothing public says
//! which keys belong together.

use minicbor::{Decode, Encode, bytes::ByteVec};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::{
    CertificateId, DecodeError, ENTRY_BYTES_MAX, EntryId, Market, Message, Nonce, ParticipantId,
    PublicKey, UnixSeconds, domain, offer::text_within,
};

/// An HPKE cipher suite (RFC 9180), named on the wire by its KEM's registered identifier.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Encode, Decode)]
#[cbor(index_only)]
pub enum Suite {
    /// DHKEM(X25519, HKDF-SHA256), HKDF-SHA256, ChaCha20-Poly1305.
    #[n(0x0020)]
    X25519,
    /// X-Wing (X25519 and ML-KEM-768, post-quantum hybrid), HKDF-SHA256, ChaCha20-Poly1305.
    #[n(0x647a)]
    XWing,
}

impl Suite {
    /// Bytes of a public key.
    pub const fn public_key_len(self) -> usize {
        match self {
            Self::X25519 => 32,
            Self::XWing => 1216,
        }
    }

    /// Bytes of an encapsulated key.
    pub const fn enc_len(self) -> usize {
        match self {
            Self::X25519 => 32,
            Self::XWing => 1120,
        }
    }
}

/// An HPKE public key with its suite.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct HpkeKey {
    /// How to seal to it.
    #[n(0)]
    pub suite: Suite,
    /// The public key.
    #[n(1)]
    pub key: ByteVec,
}

impl HpkeKey {
    pub(crate) fn check(&self) -> Result<(), DecodeError> {
        if self.key.len() != self.suite.public_key_len() {
            let why = format!("{} bytes expected", self.suite.public_key_len());
            return Err(DecodeError::limit("HPKE key", why));
        }
        Ok(())
    }
}

/// A pool key says which HPKE key seals to its holder.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct KeyBinding {
    /// Where the key will be used.
    #[n(0)]
    pub market: Market,
    /// What seals to its holder.
    #[n(1)]
    pub hpke: HpkeKey,
    /// When it was made.
    #[n(2)]
    pub at: UnixSeconds,
}

/// An identity claims pool keys: the names of their [`KeyBinding`]s, in order. The bindings follow
/// the signed list in one CBOR sequence.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct Pool {
    /// Where the keys will be used.
    #[n(0)]
    pub market: Market,
    /// Whose they are.
    #[n(1)]
    pub participant: ParticipantId,
    /// The bindings' ids, 1 to [`Pool::KEYS_MAX`] and all different.
    #[n(2)]
    pub bindings: Vec<EntryId>,
    /// When the list was signed.
    #[n(3)]
    pub at: UnixSeconds,
}

impl Pool {
    /// The most keys one list claims; more lists can follow at any time.
    pub const KEYS_MAX: usize = 1000;
}

/// An identity asks to take part.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct Join {
    /// The market to join.
    #[n(0)]
    pub market: Market,
    /// What the administrator will see, 1 to 100 bytes.
    #[n(1)]
    pub name: String,
    /// The identity's certificate and what leads from it to its CA, DER, leaf first, 1 to 5.
    #[n(2)]
    pub chain: Vec<ByteVec>,
    /// When it was signed.
    #[n(3)]
    pub at: UnixSeconds,
}

/// Where a participant stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum ParticipantState {
    /// Joined; an administrator has not decided.
    Pending,
    /// May publish, ask and be asked.
    Approved,
    /// May not.
    Suspended,
}

/// What an administrator decides.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode, Serialize, Deserialize)]
#[cbor(index_only)]
#[serde(rename_all = "lowercase")]
pub enum AdminAction {
    /// Let the participant in, or in again.
    #[n(0)]
    Approve,
    /// Stop its keys from being used.
    #[n(1)]
    Suspend,
}

/// An administrator decides on a participant.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct AdminCommand {
    /// On which market.
    #[n(0)]
    pub market: Market,
    /// What is decided.
    #[n(1)]
    pub action: AdminAction,
    /// On whom.
    #[n(2)]
    pub participant: ParticipantId,
    /// Why, at most 500 bytes.
    #[n(3)]
    pub reason: String,
    /// Makes each command one of a kind: a replayed one is recognised.
    #[n(4)]
    pub nonce: Nonce,
    /// When it was signed.
    #[n(5)]
    pub at: UnixSeconds,
}

/// An administrator asks who takes part.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct AdminQuery {
    /// On which market.
    #[n(0)]
    pub market: Market,
    /// Makes each query one of a kind.
    #[n(1)]
    pub nonce: Nonce,
    /// When it was signed.
    #[n(2)]
    pub at: UnixSeconds,
}

/// Whether a pool key may be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode, Serialize, Deserialize)]
#[cbor(index_only)]
#[serde(rename_all = "lowercase")]
pub enum KeyState {
    /// In the pool of an approved participant.
    #[n(0)]
    Active,
    /// In the pool of one that is not approved.
    #[n(1)]
    Suspended,
}

/// The platform's word on a key, good from `at` until `until`.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct KeyStatus {
    /// On which market.
    #[n(0)]
    pub market: Market,
    /// The key in question.
    #[n(1)]
    pub key: PublicKey,
    /// Whether it may be used.
    #[n(2)]
    pub state: KeyState,
    /// When this was said.
    #[n(3)]
    pub at: UnixSeconds,
    /// How long it may be relied on.
    #[n(4)]
    pub until: UnixSeconds,
}

impl Message for KeyBinding {
    const TYP: &'static str = domain::KEY_BINDING;
    const NAME: &'static str = "key binding";
    const LIMIT: usize = 4096;
    type Signer = PublicKey;

    fn check(&self) -> Result<(), DecodeError> {
        self.hpke.check()
    }
}

impl Message for Pool {
    const TYP: &'static str = domain::POOL;
    const NAME: &'static str = "key pool";
    const LIMIT: usize = ENTRY_BYTES_MAX;
    type Signer = CertificateId;

    fn check(&self) -> Result<(), DecodeError> {
        if !(1..=Self::KEYS_MAX).contains(&self.bindings.len()) {
            return Err(DecodeError::limit("bindings", format!("1 to {}", Self::KEYS_MAX)));
        }
        let distinct: std::collections::HashSet<_> = self.bindings.iter().collect();
        if distinct.len() != self.bindings.len() {
            return Err(DecodeError::limit("bindings", "one of them twice"));
        }
        Ok(())
    }
}

impl Message for Join {
    const TYP: &'static str = domain::JOIN;
    const NAME: &'static str = "join request";
    const LIMIT: usize = 32_768;
    type Signer = CertificateId;

    fn check(&self) -> Result<(), DecodeError> {
        text_within("name", &self.name, 1..=100)?;
        if !(1..=5).contains(&self.chain.len()) {
            return Err(DecodeError::limit("chain", "1 to 5 certificates"));
        }
        Ok(())
    }
}

impl Message for AdminCommand {
    const TYP: &'static str = domain::ADMIN_COMMAND;
    const NAME: &'static str = "administrator's command";
    const LIMIT: usize = 2048;
    type Signer = PublicKey;

    fn check(&self) -> Result<(), DecodeError> {
        text_within("reason", &self.reason, 0..=500)
    }
}

impl Message for AdminQuery {
    const TYP: &'static str = domain::ADMIN_QUERY;
    const NAME: &'static str = "administrator's query";
    const LIMIT: usize = 1024;
    type Signer = PublicKey;

    fn check(&self) -> Result<(), DecodeError> {
        Ok(())
    }
}

impl Message for KeyStatus {
    const TYP: &'static str = domain::KEY_STATUS;
    const NAME: &'static str = "key status";
    const LIMIT: usize = 1024;
    type Signer = PublicKey;

    fn check(&self) -> Result<(), DecodeError> {
        if self.at >= self.until {
            return Err(DecodeError::limit("until", "not after at"));
        }
        Ok(())
    }
}
