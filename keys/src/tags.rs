//! Pseudonyms for subjects that only a market's platform can help to make.
//!
//! A hash of an ID-card number is no pseudonym: whoever hashes every possible number finds the
//! person. So a [`SubjectTag`] is the output of an oblivious pseudorandom function (RFC 9497,
//! ristretto255-SHA512, verifiable mode): computing it takes the platform's key, and the platform
//! sees blinded points that tell it nothing.
//!
//! # Flow
//!
//! ```text
//! client  BlindedIds::blind(ids)  ── elements, 32 bytes each ──▶  TagKey::evaluate   platform
//! client  BlindedIds::finalize    ◀── evaluated elements, one proof for all ──
//! ```
//!
//! [`BlindedIds::finalize`] checks the proof against the public key in the platform's signed
//! description. A platform that answered one client under a key of its own would otherwise
//! recognise that client's tags later.
//!
//! # Caveats
//!
//! - The platform can try IDs itself. Rate limits bind everyone else.
//! - Losing the key, or changing it, changes every tag of the market.
//! - [`sha256_tag`] is the white paper's plain hash, for markets that must interoperate with it. It
//!   is found by trying IDs.
//!
//! # Example
//!
//! ```
//! use encrytrust_keys::{subject::SubjectId, tags::{BlindedIds, TagKey}};
//!
//! let platform = TagKey::generate();
//! let ids = vec![SubjectId::new("110101 19900307")?];
//!
//! let blinded = BlindedIds::blind(ids)?;
//! let answer = platform.evaluate(blinded.elements())?;
//! let tags = blinded.finalize(&platform.public(), &answer.evaluated, &answer.proof)?;
//! assert_eq!(tags.len(), 1);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

use std::fmt;

use encrytrust_protocol::{SubjectTag, TagAnswer, TagRequest};
use sha2::{Digest, Sha256};
use voprf::{
    BlindedElement, EvaluationElement, Group, Proof, Ristretto255, VoprfClient, VoprfServer,
};
use zeroize::Zeroizing;

use crate::{
    random::{self, OsRandom},
    subject::SubjectId,
};

/// The most IDs in one batch.
pub const BATCH_MAX: usize = TagRequest::ELEMENTS_MAX;

/// Bytes of a group element on the wire.
const ELEMENT_LEN: usize = 32;

/// Why tags could not be made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum TagError {
    /// An empty batch, or one of more than [`BATCH_MAX`].
    #[error("a batch of {count} subject IDs; send 1 to {BATCH_MAX} at once")]
    BatchSize {
        /// How many were given.
        count: usize,
    },
    /// The client sent something that is not a ristretto255 element, or the identity.
    #[error("blinded element {index} of the client is not a ristretto255 element")]
    BadBlinded {
        /// Which one, from 0.
        index: usize,
    },
    /// The platform sent something that is not a ristretto255 element, or the identity.
    #[error("evaluated element {index} of the platform is not a ristretto255 element")]
    BadEvaluated {
        /// Which one, from 0.
        index: usize,
    },
    /// The platform answered another number of elements than it was asked for.
    #[error("the platform evaluated {found} elements of {expected}")]
    Count {
        /// Elements sent.
        expected: usize,
        /// Elements answered.
        found: usize,
    },
    /// The platform did not use the key it published, or the answer was changed on the way.
    #[error("the platform's proof does not hold under its published subject-tag key")]
    BadProof,
    /// Bytes that are no key.
    #[error("not a subject-tag key: 32 bytes of a ristretto255 {what} expected")]
    BadKey {
        /// `"scalar"` or `"element"`.
        what: &'static str,
    },
}

/// The platform's secret key for subject tags.
pub struct TagKey(VoprfServer<Ristretto255>);

/// The public half, by which a client checks that everybody gets tags under the same key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct TagPublicKey([u8; ELEMENT_LEN]);

/// IDs that wait for the platform's answer, with the blinds that will undo the blinding.
pub struct BlindedIds {
    ids: Vec<SubjectId>,
    clients: Vec<VoprfClient<Ristretto255>>,
    elements: Vec<u8>,
}

impl TagKey {
    /// A fresh key from the operating system's randomness.
    pub fn generate() -> Self {
        Self::from_seed(&random::secret(), b"")
    }

    /// RFC 9497, section 3.2.1, `DeriveKeyPair`.
    fn from_seed(seed: &[u8; 32], info: &[u8]) -> Self {
        let server = VoprfServer::new_from_seed(seed, info)
            .expect("256 attempts give a scalar that is not zero, and the info is short");
        Self(server)
    }

    /// The key whose scalar these bytes are (little-endian, canonical, not zero).
    pub fn from_secret(secret: &[u8]) -> Result<Self, TagError> {
        let bad = TagError::BadKey { what: "scalar" };
        VoprfServer::new_with_key(secret).map(Self).map_err(|_| bad)
    }

    /// Lends the scalar, to store it.
    pub fn expose<R>(&self, reader: impl FnOnce(&[u8; 32]) -> R) -> R {
        // The serialization is the scalar and then the public element.
        let bytes = Zeroizing::new(<[u8; 64]>::from(self.0.serialize()));
        let (secret, _) = bytes.split_first_chunk().expect("64 bytes hold 32");
        reader(secret)
    }

    /// The public half.
    pub fn public(&self) -> TagPublicKey {
        TagPublicKey(Ristretto255::serialize_elem(self.0.get_public_key()).into())
    }

    /// Evaluates a batch of blinded elements, 32 bytes each, and proves that all were evaluated
    /// under this key.
    pub fn evaluate(&self, blinded: &[u8]) -> Result<TagAnswer, TagError> {
        self.evaluate_with(blinded, &mut OsRandom)
    }

    fn evaluate_with<R: rand_core::RngCore + rand_core::CryptoRng>(
        &self,
        blinded: &[u8],
        proof_randomness: &mut R,
    ) -> Result<TagAnswer, TagError> {
        check_batch(blinded.len().div_ceil(ELEMENT_LEN))?;
        let blinded = read_elements(blinded, BlindedElement::deserialize)
            .map_err(|index| TagError::BadBlinded { index })?;
        let result = self
            .0
            .batch_blind_evaluate(proof_randomness, &blinded)
            .expect("the batch is shorter than 2^16");
        let evaluated = result.messages.iter().flat_map(EvaluationElement::serialize);
        Ok(TagAnswer {
            evaluated: evaluated.collect::<Vec<u8>>().into(),
            proof: result.proof.serialize().to_vec().into(),
        })
    }
}

impl TagPublicKey {
    /// Reads a public key: a ristretto255 element that is not the identity.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, TagError> {
        let bad = TagError::BadKey { what: "element" };
        let key = Self(bytes.try_into().map_err(|_| bad)?);
        key.element().map(|_| key)
    }

    /// Its encoding.
    pub fn as_bytes(&self) -> &[u8; ELEMENT_LEN] {
        &self.0
    }

    fn element(&self) -> Result<<Ristretto255 as Group>::Elem, TagError> {
        Ristretto255::deserialize_elem(&self.0).map_err(|_| TagError::BadKey { what: "element" })
    }
}

impl BlindedIds {
    /// Blinds 1 to [`BATCH_MAX`] IDs, each with a blind of its own.
    pub fn blind(ids: Vec<SubjectId>) -> Result<Self, TagError> {
        check_batch(ids.len())?;
        let mut clients = Vec::with_capacity(ids.len());
        let mut elements = Vec::with_capacity(ids.len() * ELEMENT_LEN);
        for id in &ids {
            let blinded = VoprfClient::blind(id.as_bytes(), &mut OsRandom)
                .expect("a subject ID is not empty and shorter than 2^16 bytes");
            elements.extend_from_slice(&blinded.message.serialize());
            clients.push(blinded.state);
        }
        Ok(Self { ids, clients, elements })
    }

    /// What to send: the blinded elements, 32 bytes each, one after the other.
    pub fn elements(&self) -> &[u8] {
        &self.elements
    }

    /// How many IDs are waiting.
    pub fn len(&self) -> usize {
        self.ids.len()
    }

    /// Never: an empty batch is not made.
    pub fn is_empty(&self) -> bool {
        self.ids.is_empty()
    }

    /// Checks the platform's proof and removes the blinds; the tags are in the order of the IDs.
    pub fn finalize(
        self,
        key: &TagPublicKey,
        evaluated: &[u8],
        proof: &[u8],
    ) -> Result<Vec<SubjectTag>, TagError> {
        let (expected, found) = (self.clients.len(), evaluated.len().div_ceil(ELEMENT_LEN));
        if expected != found {
            return Err(TagError::Count { expected, found });
        }
        let evaluated = read_elements(evaluated, EvaluationElement::deserialize)
            .map_err(|index| TagError::BadEvaluated { index })?;
        let proof = Proof::deserialize(proof).map_err(|_| TagError::BadProof)?;
        let inputs: Vec<&[u8]> = self.ids.iter().map(SubjectId::as_bytes).collect();
        VoprfClient::batch_finalize(&inputs, &self.clients, &evaluated, &proof, key.element()?)
            .map_err(|_| TagError::BadProof)?
            .map(|output| Ok(tag_of_output(&output.map_err(|_| TagError::BadProof)?)))
            .collect()
    }
}

/// SHA-256 of the canonical ID: the tag of the white paper, section 6.3.
pub fn sha256_tag(id: &SubjectId) -> SubjectTag {
    SubjectTag::from(<[u8; 32]>::from(Sha256::digest(id.as_bytes())))
}

fn tag_of_output(output: &[u8]) -> SubjectTag {
    let first = output.first_chunk::<32>().expect("SHA-512 gives 64 bytes");
    SubjectTag::from(*first)
}

fn check_batch(count: usize) -> Result<(), TagError> {
    if (1..=BATCH_MAX).contains(&count) { Ok(()) } else { Err(TagError::BatchSize { count }) }
}

/// Cuts bytes into elements; the error is the index of the first that is none.
fn read_elements<T>(
    bytes: &[u8],
    read: impl Fn(&[u8]) -> voprf::Result<T>,
) -> Result<Vec<T>, usize> {
    let chunks = bytes.chunks(ELEMENT_LEN).enumerate();
    chunks.map(|(index, chunk)| read(chunk).map_err(|_| index)).collect()
}

impl fmt::Debug for TagKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("TagKey(<redacted>)")
    }
}

impl fmt::Debug for BlindedIds {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "BlindedIds({}, <redacted>)", self.ids.len())
    }
}

#[cfg(test)]
mod tests;
