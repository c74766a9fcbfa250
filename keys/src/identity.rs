//! Who stands behind a pool of keys: an X.509 certificate (white paper, section 6.2).
//!
//! The certificate is issued by a CA the market trusts, or made by the participant itself. Its key
//! is Ed25519 or ECDSA on P-256 and signs two kinds of messages only: the request to join a market
//! and the lists of pool keys. The participant's name on the market, its
//! [`ParticipantId`](encrytrust_protocol::ParticipantId), is the SHA-256 of the public key
//! (SubjectPublicKeyInfo), so a renewed certificate for the same key is the same participant.
//!
//! # What makes a certificate valid
//!
//! | rule | chain to a CA | self-signed |
//! |---|---|---|
//! | signature | path to a root of [`Trust`], by `rustls-webpki` | its own key's, by `x509-parser` |
//! | now within its validity | every certificate of the path | yes |
//! | `keyUsage`, if present, has `digitalSignature` | yes | yes |
//! | `extKeyUsage`, if present, has `clientAuth` or `any` | `clientAuth` | yes |
//! | unknown critical extension | refused | refused |
//!
//! The time is an input everywhere. Revocation lists are not fetched: the administrator suspends
//! a participant, and that takes effect at once.
//!
//! # Example
//!
//! ```
//! use encrytrust_keys::identity::{Identity, Trust};
//! use encrytrust_protocol::{Algorithm, Market};
//!
//! let now = 1_700_000_000;
//! let bank = Identity::generate(Algorithm::Ed25519, "Bank of Examples", now)?;
//! let join = bank.sign_join(&Market::new("market.example")?, "Bank of Examples", now)?;
//!
//! let trust = Trust::self_signed();
//! let certificate = trust.validate(bank.chain(), now + 60)?;
//! assert_eq!(certificate.participant(), bank.participant());
//! assert_eq!(join.signer(), certificate.id());
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod certificate;
mod key;
mod own;
mod trust;

use encrytrust_protocol::UnixSeconds;

pub use self::certificate::ValidCertificate;
pub use self::own::Identity;
pub use self::trust::Trust;

/// Why a certificate or its key was not accepted.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum IdentityError {
    /// A file that does not hold what it should.
    #[error("no {what} in this PEM: {why}")]
    Pem {
        /// What was looked for.
        what: &'static str,
        /// Why it was not found.
        why: String,
    },
    /// Not a certificate, or one with parts that contradict each other.
    #[error("certificate {place}: {why}")]
    Malformed {
        /// Where in the chain, from 1: the leaf.
        place: usize,
        /// What is wrong with it.
        why: String,
    },
    /// Its time is over.
    #[error("the certificate expired at {not_after} (Unix time), it is {now}; renew it")]
    Expired {
        /// Its last second.
        not_after: UnixSeconds,
        /// The time it was checked at.
        now: UnixSeconds,
    },
    /// Its time has not come.
    #[error(
        "the certificate is valid from {not_before} (Unix time), it is {now}; \
         check the clock or wait"
    )]
    NotYetValid {
        /// Its first second.
        not_before: UnixSeconds,
        /// The time it was checked at.
        now: UnixSeconds,
    },
    /// It may not be used to sign messages.
    #[error("the certificate is not for signing as a client: {why}")]
    WrongKeyUsage {
        /// Which usage is missing.
        why: &'static str,
    },
    /// A key or signature of another kind.
    #[error("{found} is not supported; use Ed25519 or ECDSA on P-256 (prime256v1)")]
    UnsupportedAlgorithm {
        /// What was found, by name or object identifier.
        found: String,
    },
    /// No path from the certificate to a root the market trusts.
    #[error("no chain from the certificate to a trusted CA: {why}")]
    BrokenChain {
        /// Where the path ends.
        why: String,
    },
    /// Made by the participant itself, on a market that wants a CA.
    #[error("the certificate is self-signed; this market accepts those of its CAs only")]
    SelfSigned,
    /// The private key belongs to another certificate.
    #[error("the private key does not match the certificate")]
    KeyMismatch,
}

#[cfg(test)]
mod tests;
