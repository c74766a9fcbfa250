//! The one place where a raw signature over a message is made.

use ed25519_dalek::{Signer, SigningKey};
use encrytrust_protocol::{EncodeError, Message, PublicKey, Signed, Verified};
use zeroize::Zeroizing;

use crate::random;

/// Why a message was not signed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SignError {
    /// It breaks a limit of the protocol.
    #[error(transparent)]
    Message(#[from] EncodeError),
    /// It names a signer, and that is somebody else.
    #[error("this {what} names {named} as its maker; the key at hand is {key}")]
    OtherSigner {
        /// The kind of message.
        what: &'static str,
        /// The key it names.
        named: PublicKey,
        /// The key that was to sign.
        key: PublicKey,
    },
    /// Not the text of a signed note (C2SP signed-note).
    #[error("not a note: a text of printable lines that ends with a newline is expected")]
    NotANote,
}

/// Signs a message for the purpose its type stands for. Callers are the verbs of the keys.
pub(crate) fn sign<M: Message<Signer = PublicKey>>(
    key: &SigningKey,
    message: M,
) -> Result<Verified<M>, SignError> {
    Ok(Signed::seal(message, PublicKey::from(key), |tbs| key.sign(tbs).to_vec())?)
}

/// A fresh Ed25519 key from the operating system's randomness.
pub(crate) fn generate() -> SigningKey {
    SigningKey::from_bytes(&random::secret())
}

/// The seed of RFC 8032, section 5.1.5.
pub(crate) fn seed_of(key: &SigningKey) -> Zeroizing<Vec<u8>> {
    Zeroizing::new(key.as_bytes().to_vec())
}

/// The key with this seed, unless the seed is of another length.
pub(crate) fn from_seed(seed: &[u8]) -> Option<SigningKey> {
    seed.try_into().ok().map(SigningKey::from_bytes)
}
