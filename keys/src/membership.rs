//! What an identity sends to a market, and how the market believes it.
//!
//! Joining is one signed message that carries the certificate chain. Adding keys is a signed list
//! of names followed by the named [`KeyBinding`]s themselves, each signed by the key it binds: so
//! nobody can claim a key that somebody else holds.
//!
//! # Example
//!
//! ```
//! use encrytrust_keys::{
//!     identity::{Identity, Trust},
//!     membership::{PoolSubmission, verify_join},
//!     pool::PoolKey,
//! };
//! use encrytrust_protocol::{Algorithm, Join, Market, Signed, Suite};
//!
//! // The participant.
//! let (market, now) = (Market::new("market.example")?, 1_700_000_000);
//! let bank = Identity::generate(Algorithm::Es256, "Bank of Examples", now)?;
//! let join = bank.sign_join(&market, "Bank of Examples", now)?;
//! let binding = PoolKey::generate(Suite::XWing).sign_binding(&market, now)?;
//! let pool = bank.sign_pool(&market, &[binding.clone()], now)?;
//! let wire = PoolSubmission::encode(&pool, &[binding]);
//!
//! // The market.
//! let signed = Signed::<Join>::decode(join.bytes())?;
//! let (_, certificate) = verify_join(signed, &Trust::self_signed(), now)?;
//! let (pool, keys) = PoolSubmission::decode(&wire)?.verify(&certificate)?;
//! assert_eq!(pool.message().participant, certificate.participant());
//! assert_eq!(keys.len(), 1);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

use encrytrust_protocol::{
    BadSignature, DecodeError, EntryId, Join, KeyBinding, Market, Message, ParticipantId, Pool,
    PublicKey, Signed, UnixSeconds, Verified, split_sequence,
};

use crate::{
    identity::{IdentityError, Trust, ValidCertificate},
    seal::{self, SealError},
};

/// Why a message of an identity was not believed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum MembershipError {
    /// It cannot be read.
    #[error(transparent)]
    Decode(#[from] DecodeError),
    /// Its certificate is not accepted.
    #[error(transparent)]
    Identity(#[from] IdentityError),
    /// It is not signed by whom it names.
    #[error(transparent)]
    Signature(#[from] BadSignature),
    /// The list is of somebody else than the certificate's holder.
    #[error("the key pool of {named} is signed by {signer}")]
    OtherParticipant {
        /// Whose pool the list says it is.
        named: ParticipantId,
        /// Whose certificate signed it.
        signer: ParticipantId,
    },
    /// The list and the bindings that follow it differ in number.
    #[error("{listed} key bindings listed, {found} sent")]
    Count {
        /// Names in the signed list.
        listed: usize,
        /// Bindings after it.
        found: usize,
    },
    /// A binding is not the one the list names in its place.
    #[error("key binding {found} stands where {listed} is listed")]
    OtherBinding {
        /// Its name in the signed list.
        listed: EntryId,
        /// The name of what was sent.
        found: EntryId,
    },
    /// A key bound for another market than the list is for.
    #[error("key {key} is bound to {found}, the pool to {expected}")]
    OtherMarket {
        /// The pool key.
        key: PublicKey,
        /// The market in its binding.
        found: Market,
        /// The market in the list.
        expected: Market,
    },
    /// A binding to bytes that nothing can be sealed to.
    #[error("key {key}: {source}")]
    HpkeKey {
        /// The pool key.
        key: PublicKey,
        /// What is wrong with its HPKE key.
        source: SealError,
    },
}

/// Validates the certificate chain in a request to join, then the signature by its leaf.
pub fn verify_join(
    signed: Signed<Join>,
    trust: &Trust,
    now: UnixSeconds,
) -> Result<(Verified<Join>, ValidCertificate), MembershipError> {
    let chain: Vec<&[u8]> = signed.unverified().chain.iter().map(|der| der.as_slice()).collect();
    let certificate = trust.validate(&chain, now)?;
    Ok((certificate.verify(signed)?, certificate))
}

/// A list of pool keys and their bindings, well-formed; whoever signed them is not known yet.
#[derive(Clone, Debug)]
pub struct PoolSubmission {
    pool: Signed<Pool>,
    bindings: Vec<Signed<KeyBinding>>,
}

impl PoolSubmission {
    /// The most bytes a submission has.
    pub const BYTES_MAX: usize = Pool::LIMIT + Pool::KEYS_MAX * KeyBinding::LIMIT;

    /// Its bytes: a CBOR sequence (RFC 8742) of the list and the bindings in the list's order.
    pub fn encode(pool: &Verified<Pool>, bindings: &[Verified<KeyBinding>]) -> Vec<u8> {
        let items = bindings.iter().map(Verified::bytes);
        std::iter::once(pool.bytes()).chain(items).flatten().copied().collect()
    }

    /// Reads a submission; no signature is checked.
    pub fn decode(bytes: &[u8]) -> Result<Self, MembershipError> {
        let (what, size, limit) = ("key pool submission", bytes.len(), Self::BYTES_MAX);
        if size > limit {
            return Err(DecodeError::TooLong { what, size, limit }.into());
        }
        let items = split_sequence(bytes, 1 + Pool::KEYS_MAX)?;
        let mut items = items.into_iter();
        let pool = Signed::decode(items.next().unwrap_or_default())?;
        let bindings = items.map(Signed::decode).collect::<Result<_, _>>()?;
        Ok(Self { pool, bindings })
    }

    /// Whose pool it says it is: whose certificate to verify it with.
    pub fn claimed_participant(&self) -> ParticipantId {
        self.pool.unverified().participant
    }

    /// Checks that the holder of this certificate claims these keys, and that each key's holder
    /// agrees.
    pub fn verify(
        self,
        certificate: &ValidCertificate,
    ) -> Result<(Verified<Pool>, Vec<Verified<KeyBinding>>), MembershipError> {
        let pool = certificate.verify(self.pool)?;
        let list = pool.message();
        let (named, signer) = (list.participant, certificate.participant());
        if named != signer {
            return Err(MembershipError::OtherParticipant { named, signer });
        }
        let (listed, found) = (list.bindings.len(), self.bindings.len());
        if listed != found {
            return Err(MembershipError::Count { listed, found });
        }
        for (listed, binding) in list.bindings.iter().zip(&self.bindings) {
            check_binding(list, *listed, binding)?;
        }
        let bindings = self.bindings.into_iter().map(Signed::verify).collect::<Result<_, _>>()?;
        Ok((pool, bindings))
    }
}

fn check_binding(
    list: &Pool,
    listed: EntryId,
    binding: &Signed<KeyBinding>,
) -> Result<(), MembershipError> {
    let (found, key) = (binding.id(), binding.claimed_signer());
    if found != listed {
        return Err(MembershipError::OtherBinding { listed, found });
    }
    let binding = binding.unverified();
    if binding.market != list.market {
        let (found, expected) = (binding.market.clone(), list.market.clone());
        return Err(MembershipError::OtherMarket { key, found, expected });
    }
    seal::check_public_key(&binding.hpke).map_err(|source| MembershipError::HpkeKey { key, source })
}

#[cfg(test)]
mod tests;
