//! Seal a payload so that one key opens it, for one purpose.
//!
//! HPKE in base mode (RFC 9180), one message per encapsulation. Who sent it is told by the
//! signature inside, not by the seal. Two suites, both with HKDF-SHA256 and ChaCha20-Poly1305:
//! X-Wing, which holds as long as either ML-KEM-768 or X25519 does, and plain X25519 for peers
//! without it. A receiver opens only the suite of its own key.
//!
//! What a packet is *for* stands in the HPKE `info` and never on the wire: see [`SealContext`].
//!
//! # Caveats
//!
//! - The length of the plaintext shows.
//! - A pool key's HPKE key is long-lived: whoever steals it reads the *requests* sent to it. Replies
//!   go to a key made for one request, so they stay closed.
//!
//! # Example
//!
//! ```
//! use encrytrust_keys::seal::{SealContext, SealKey, seal};
//! use encrytrust_protocol::{BlockHash, EntryId, Suite};
//!
//! let reply_key = SealKey::generate(Suite::XWing);
//! let context = SealContext::Reply {
//!     trade: EntryId::from([1; 32]),
//!     offer: EntryId::from([2; 32]),
//!     block: BlockHash::from([3; 32]),
//! };
//! let packet = seal(reply_key.public(), &context, b"", b"a record")?;
//! assert_eq!(*reply_key.open(&context, b"", &packet)?, b"a record");
//! # Ok::<(), encrytrust_keys::seal::SealError>(())
//! ```

mod suite;

use std::fmt;

use encrytrust_protocol::{
    BlockHash, HpkeKey, Market, OfferId, PublicKey, Record, SealedPacket, Suite, TradeId,
    reply_info, request_info,
};
use zeroize::Zeroizing;

use crate::random;

/// The most bytes that can be sealed at once: the largest record.
pub const PLAINTEXT_MAX: usize = Record::BYTES_MAX;

/// Bytes the AEAD adds to a plaintext.
const TAG_LEN: usize = 16;

/// Why a payload could not be sealed or opened.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SealError {
    /// The recipient's bytes are no key of its suite, or one that leads everyone to one secret.
    #[error("the recipient's key is not a public key of suite {suite:?}")]
    BadKey {
        /// The suite it should belong to.
        suite: Suite,
    },
    /// More than is ever sealed.
    #[error("{size} bytes, more than the {limit} that are sealed at once")]
    TooLong {
        /// Bytes offered.
        size: usize,
        /// Bytes allowed.
        limit: usize,
    },
    /// Sealed under another suite than the one this key serves.
    #[error("sealed with {found:?}, but this key opens {expected:?}")]
    OtherSuite {
        /// The packet's suite.
        found: Suite,
        /// The key's suite.
        expected: Suite,
    },
    /// The authentication tag does not hold.
    #[error("not sealed to this key for this purpose, or changed on the way")]
    DoesNotOpen,
}

/// The purpose of a sealed payload and the facts it is bound to.
///
/// A packet opens only under the context it was sealed for, so a reply cannot be passed off as the
/// reply to another trade, offer or block, nor a request sent on to another provider or market.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SealContext<'a> {
    /// A buyer's request to a provider's pool key.
    Request {
        /// The market both are on.
        market: &'a Market,
        /// The provider's signing key, as the offer names it.
        provider: PublicKey,
    },
    /// A provider's reply to the one-time key in a request.
    Reply {
        /// The request being answered.
        trade: TradeId,
        /// The offer it is about.
        offer: OfferId,
        /// The block the request names.
        block: BlockHash,
    },
}

impl SealContext<'_> {
    /// The HPKE `info`.
    pub fn info(&self) -> Vec<u8> {
        match *self {
            Self::Request { market, provider } => request_info(market, provider),
            Self::Reply { trade, offer, block } => reply_info(trade, offer, block),
        }
    }
}

/// Seals `plaintext` to a recipient for the purpose that `context` names; `aad` is authenticated
/// and not sent.
pub fn seal(
    recipient: &HpkeKey,
    context: &SealContext<'_>,
    aad: &[u8],
    plaintext: &[u8],
) -> Result<SealedPacket, SealError> {
    if plaintext.len() > PLAINTEXT_MAX {
        return Err(SealError::TooLong { size: plaintext.len(), limit: PLAINTEXT_MAX });
    }
    let suite = recipient.suite;
    let (enc, ciphertext) = suite::seal(suite, &recipient.key, &context.info(), aad, plaintext)
        .map_err(|_| SealError::BadKey { suite })?;
    Ok(SealedPacket { suite, enc: enc.into(), ciphertext: ciphertext.into() })
}

/// Refuses bytes that nothing can be sealed to, before they are relied on.
pub fn check_public_key(key: &HpkeKey) -> Result<(), SealError> {
    suite::check_public(key.suite, &key.key).map_err(|_| SealError::BadKey { suite: key.suite })
}

/// The secret half: opens what was sealed to [`SealKey::public`].
#[derive(Clone)]
pub struct SealKey {
    secret: Zeroizing<[u8; 32]>,
    public: HpkeKey,
}

impl SealKey {
    /// A fresh key from the operating system's randomness.
    pub fn generate(suite: Suite) -> Self {
        Self::from_secret(suite, &random::secret())
    }

    /// The key whose 32 secret bytes these are: an X25519 scalar, or the X-Wing seed.
    pub fn from_secret(suite: Suite, secret: &[u8; 32]) -> Self {
        let public = HpkeKey { suite, key: suite::public_of(suite, secret).into() };
        Self { secret: Zeroizing::new(*secret), public }
    }

    /// The suite it belongs to.
    pub fn suite(&self) -> Suite {
        self.public.suite
    }

    /// The public half.
    pub fn public(&self) -> &HpkeKey {
        &self.public
    }

    /// Lends the 32 secret bytes: to store them, or to reveal a one-time reply key in a dispute.
    pub fn expose<R>(&self, reader: impl FnOnce(&[u8; 32]) -> R) -> R {
        reader(&self.secret)
    }

    /// Opens a packet that was sealed to this key for this purpose.
    pub fn open(
        &self,
        context: &SealContext<'_>,
        aad: &[u8],
        packet: &SealedPacket,
    ) -> Result<Zeroizing<Vec<u8>>, SealError> {
        let (found, expected) = (packet.suite, self.suite());
        if found != expected {
            return Err(SealError::OtherSuite { found, expected });
        }
        let (size, limit) = (packet.ciphertext.len(), PLAINTEXT_MAX + TAG_LEN);
        if size > limit {
            return Err(SealError::TooLong { size, limit });
        }
        let info = context.info();
        suite::open(expected, &self.secret, &packet.enc, &info, aad, &packet.ciphertext)
            .map(Zeroizing::new)
            .map_err(|_| SealError::DoesNotOpen)
    }
}

impl fmt::Debug for SealKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SealKey({:?}, <redacted>)", self.suite())
    }
}

#[cfg(test)]
mod tests;
