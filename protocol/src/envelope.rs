//! The envelope every message travels in: `COSE_Sign1` (RFC 9052, section 4.2).

use std::{collections::HashMap, fmt, marker::PhantomData, sync::Arc};

use coset::{
    CoseSign1, CoseSign1Builder, Header, HeaderBuilder, Label, RegisteredLabelWithPrivate,
    TaggedCborSerializable, cbor::Value as CborValue, iana,
};
use minicbor::{Decode, Encode, bytes::ByteSlice};
use sha2::{Digest, Sha256};

use crate::{CertificateId, DecodeError, EntryId, PublicKey, cbor};

/// A message that is signed for exactly one purpose.
pub trait Message: Encode<()> + for<'b> Decode<'b, ()> + Sized {
    /// The purpose: protected `typ` header and external AAD. See [`crate::domain`].
    const TYP: &'static str;

    /// What to call it in an error.
    const NAME: &'static str;

    /// The most bytes a signed message of this kind may have.
    const LIMIT: usize;

    /// Who signs it: a key of a pool, or an identity's certificate.
    type Signer: SignerId;

    /// Refuses what the shape allows and the protocol does not: limits, empty ranges, duplicates.
    fn check(&self) -> Result<(), DecodeError>;
}

/// What the `kid` header names.
pub trait SignerId: Copy + Eq + fmt::Debug + fmt::Display + AsRef<[u8]> + Send + Sync {
    /// Reads the `kid` header.
    fn from_kid(kid: &[u8]) -> Option<Self>;
    /// Whether this kind of signer may use the algorithm.
    fn allows(algorithm: Algorithm) -> bool;
}

impl SignerId for PublicKey {
    fn from_kid(kid: &[u8]) -> Option<Self> {
        Self::try_from(kid).ok()
    }
    fn allows(algorithm: Algorithm) -> bool {
        algorithm == Algorithm::Ed25519
    }
}

impl SignerId for CertificateId {
    fn from_kid(kid: &[u8]) -> Option<Self> {
        Self::try_from(kid).ok()
    }
    fn allows(_: Algorithm) -> bool {
        true
    }
}

/// The signature algorithms of the protocol, by their COSE registration (RFC 9053).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Algorithm {
    /// `EdDSA` (-8) with an Ed25519 key.
    Ed25519,
    /// `ES256` (-7): ECDSA on P-256 with SHA-256, signature as r ‖ s.
    Es256,
}

impl Algorithm {
    fn label(self) -> iana::Algorithm {
        match self {
            Self::Ed25519 => iana::Algorithm::EdDSA,
            Self::Es256 => iana::Algorithm::ES256,
        }
    }

    fn from_header(header: &Header) -> Option<Self> {
        [Self::Ed25519, Self::Es256]
            .into_iter()
            .find(|a| header.alg == Some(RegisteredLabelWithPrivate::Assigned(a.label())))
    }
}

/// A message that could not be written, because it would not be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("this {what} would be refused by every reader: {source}")]
pub struct EncodeError {
    what: &'static str,
    source: DecodeError,
}

/// The signature is not this signer's over this message for this purpose.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the signature on this {what} is not that of {signer}")]
pub struct BadSignature {
    /// The kind of message.
    pub what: &'static str,
    /// The signer it names, in hex.
    pub signer: String,
}

/// A message in its envelope, well-formed and within limits; whoever signed it is not known yet.
#[derive(Clone)]
pub struct Signed<M: Message> {
    message: M,
    signer: M::Signer,
    algorithm: Algorithm,
    bytes: Arc<[u8]>,
    /// Where the payload's byte string begins in `bytes`, its length included.
    payload_at: usize,
}

/// A message whose signature was checked.
#[derive(Clone)]
pub struct Verified<M: Message> {
    signed: Signed<M>,
    _checked: PhantomData<()>,
}

/// Bytes of a signature, whichever the algorithm.
const SIGNATURE: usize = 64;

/// Bytes that CBOR takes to write a byte string of a length.
fn byte_string_len(len: usize) -> usize {
    let head = match len {
        0..24 => 1,
        24..0x100 => 2,
        0x100..0x1_0000 => 3,
        _ => 5,
    };
    head + len
}

/// RFC 9596, section 2.
const TYP_HEADER: i64 = 16;

fn protected(algorithm: Algorithm, kid: &[u8], typ: &str) -> Header {
    HeaderBuilder::new()
        .algorithm(algorithm.label())
        .key_id(kid.to_vec())
        .value(TYP_HEADER, CborValue::Text(typ.to_owned()))
        .build()
}

fn typ_of(header: &Header) -> &str {
    let found = header.rest.iter().find(|(label, _)| *label == Label::Int(TYP_HEADER));
    found.and_then(|(_, value)| value.as_text()).unwrap_or("")
}

fn parse(what: &'static str, bytes: &[u8]) -> Result<CoseSign1, DecodeError> {
    CoseSign1::from_tagged_slice(bytes)
        .map_err(|e| DecodeError::Shape { what, why: format!("not a COSE_Sign1: {e}") })
}

/// What an envelope says it was signed for, before it is read as that.
pub fn peek_typ(bytes: &[u8], limit: usize) -> Result<String, DecodeError> {
    let what = "signed message";
    if bytes.len() > limit {
        return Err(DecodeError::TooLong { what, size: bytes.len(), limit });
    }
    Ok(typ_of(&parse(what, bytes)?.protected.header).to_owned())
}

/// RFC 6962, section 2.1: the hash of a leaf, SHA-256(0x00 ‖ entry).
pub fn leaf_hash(entry: &[u8]) -> EntryId {
    let hash: [u8; 32] = Sha256::new().chain_update([0]).chain_update(entry).finalize().into();
    EntryId::from(hash)
}

impl<M: Message> Signed<M> {
    /// Reads an envelope: size, purpose, shape, deterministic form, limits. Not the signature.
    pub fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        let what = M::NAME;
        if bytes.len() > M::LIMIT {
            return Err(DecodeError::TooLong { what, size: bytes.len(), limit: M::LIMIT });
        }
        let cose = parse(what, bytes)?;
        let header = &cose.protected.header;
        let typ = typ_of(header);
        if typ != M::TYP {
            return Err(DecodeError::WrongTyp { expected: M::TYP, found: typ.to_owned() });
        }
        let algorithm = Algorithm::from_header(header)
            .filter(|a| M::Signer::allows(*a))
            .ok_or_else(|| DecodeError::limit("alg", "not an algorithm this signer may use"))?;
        let signer = M::Signer::from_kid(&header.key_id)
            .ok_or_else(|| DecodeError::limit("kid", "32 bytes expected"))?;
        if cose.signature.len() != SIGNATURE {
            return Err(DecodeError::limit("signature", "64 bytes expected"));
        }
        let payload = cose.payload.as_deref().unwrap_or_default();
        let message: M = cbor::decode(what, payload, M::LIMIT)?;
        // Writing it again is the check of everything else: protected headers in one order and no
        // others, empty unprotected headers, shortest lengths, nothing after the end.
        let signed = Self::assemble(message, signer, algorithm, cose.signature);
        if *signed.bytes != *bytes {
            return Err(DecodeError::NotDeterministic { what });
        }
        signed.message.check()?;
        Ok(signed)
    }

    /// Signs a message for its purpose; `sign` receives the `Sig_structure` of RFC 9052, section
    /// 4.4, and returns 64 bytes. Products call the verbs of `encrytrust-keys` instead.
    pub fn seal(
        message: M,
        signer: M::Signer,
        sign: impl FnOnce(&[u8]) -> Vec<u8>,
    ) -> Result<Verified<M>, EncodeError> {
        Self::seal_with(message, signer, Algorithm::Ed25519, sign)
    }

    /// [`Signed::seal`] with a choice of algorithm, for identities.
    pub fn seal_with(
        message: M,
        signer: M::Signer,
        algorithm: Algorithm,
        sign: impl FnOnce(&[u8]) -> Vec<u8>,
    ) -> Result<Verified<M>, EncodeError> {
        let refuse = |source| EncodeError { what: M::NAME, source };
        message.check().map_err(refuse)?;
        let mut signed = Self::assemble(message, signer, algorithm, vec![0; SIGNATURE]);
        let signature = sign(&signed.tbs());
        let bytes = Arc::get_mut(&mut signed.bytes).expect("not shared yet");
        let signature_at = bytes.len() - SIGNATURE;
        bytes[signature_at..].copy_from_slice(&signature);
        if signed.bytes.len() > M::LIMIT {
            let size = signed.bytes.len();
            let error = DecodeError::TooLong { what: M::NAME, size, limit: M::LIMIT };
            return Err(refuse(error));
        }
        Ok(Verified { signed, _checked: PhantomData })
    }

    fn assemble(message: M, signer: M::Signer, algorithm: Algorithm, signature: Vec<u8>) -> Self {
        let payload = cbor::encode(&message);
        let behind = byte_string_len(payload.len()) + byte_string_len(signature.len());
        let cose = CoseSign1Builder::new()
            .protected(protected(algorithm, signer.as_ref(), M::TYP))
            .payload(payload)
            .signature(signature)
            .build();
        let bytes: Arc<[u8]> =
            cose.to_tagged_vec().expect("an envelope of byte strings can be written").into();
        let payload_at = bytes.len() - behind;
        Self { message, signer, algorithm, bytes, payload_at }
    }

    /// The message, unverified: good for routing and for saying what was refused.
    pub fn unverified(&self) -> &M {
        &self.message
    }

    /// The signer it names, unverified.
    pub fn claimed_signer(&self) -> M::Signer {
        self.signer
    }

    /// The exact bytes.
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// The message's name: the RFC 6962 leaf hash of its bytes.
    pub fn id(&self) -> EntryId {
        leaf_hash(&self.bytes)
    }

    /// The `Sig_structure` (RFC 9052, section 4.4): what is signed stands in the envelope already,
    /// each part behind its length, and only the label is put between.
    fn tbs(&self) -> Vec<u8> {
        let (tag_and_array, unprotected) = (2, 1);
        let protected = &self.bytes[tag_and_array..self.payload_at - unprotected];
        let payload = &self.bytes[self.payload_at..self.bytes.len() - byte_string_len(SIGNATURE)];
        let mut tbs = Vec::with_capacity(64 + M::TYP.len() + self.bytes.len());
        tbs.extend_from_slice(b"\x84\x6aSignature1");
        tbs.extend_from_slice(protected);
        tbs.extend(
            minicbor::to_vec(<&ByteSlice>::from(M::TYP.as_bytes())).expect("a Vec takes all"),
        );
        tbs.extend_from_slice(payload);
        tbs
    }

    fn signature(&self) -> &[u8] {
        &self.bytes[self.bytes.len() - SIGNATURE..]
    }

    fn bad(&self) -> BadSignature {
        BadSignature { what: M::NAME, signer: self.signer.to_string() }
    }

    fn into_verified(self) -> Verified<M> {
        Verified { signed: self, _checked: PhantomData }
    }
}

impl<M: Message<Signer = PublicKey>> Signed<M> {
    /// Checks the Ed25519 signature, strictly: no small-order key, no malleable encoding.
    pub fn verify(self) -> Result<Verified<M>, BadSignature> {
        let check = || {
            let key = ed25519_dalek::VerifyingKey::from_bytes(self.signer.as_bytes()).ok()?;
            let signature = ed25519_dalek::Signature::from_slice(self.signature()).ok()?;
            key.verify_strict(&self.tbs(), &signature).ok()
        };
        if check().is_some() { Ok(self.into_verified()) } else { Err(self.bad()) }
    }
}

impl<M: Message<Signer = CertificateId>> Signed<M> {
    /// Checks the signature with the key of the certificate that the `kid` names; `check` gets the
    /// algorithm, the `Sig_structure` and the signature. `encrytrust-keys` calls it after it has
    /// validated the certificate.
    pub fn verify_by(
        self,
        check: impl FnOnce(Algorithm, &[u8], &[u8]) -> bool,
    ) -> Result<Verified<M>, BadSignature> {
        if check(self.algorithm, &self.tbs(), self.signature()) {
            Ok(self.into_verified())
        } else {
            Err(self.bad())
        }
    }
}

impl<M: Message> Verified<M> {
    /// What was said.
    pub fn message(&self) -> &M {
        &self.signed.message
    }

    /// Who said it.
    pub fn signer(&self) -> M::Signer {
        self.signed.signer
    }

    /// The exact bytes, signature included.
    pub fn bytes(&self) -> &[u8] {
        &self.signed.bytes
    }

    /// The exact bytes, shared.
    pub fn shared_bytes(&self) -> Arc<[u8]> {
        Arc::clone(&self.signed.bytes)
    }

    /// The message's name: the RFC 6962 leaf hash of its bytes.
    pub fn id(&self) -> EntryId {
        self.signed.id()
    }

    /// The message alone.
    pub fn into_message(self) -> M {
        self.signed.message
    }
}

/// Verifies many signatures at once, about twice as fast as one by one; answers each.
///
/// For reading a log again, not for letting anything into one. The batch equation (Bernstein et
/// al., "High-speed high-security signatures", section 5) accepts whatever [`Signed::verify`]
/// accepts, and by chance also a signature whose signer added a point of small order to it:
/// nobody but the holder of the key can make one, but a verifier of its own may refuse it. A batch
/// that fails is verified one by one, so a culprit is named and its neighbours are not.
pub fn verify_batch<M: Message<Signer = PublicKey>>(
    batch: Vec<Signed<M>>,
) -> Vec<Result<Verified<M>, BadSignature>> {
    if batch_holds(&batch) {
        batch.into_iter().map(|signed| Ok(signed.into_verified())).collect()
    } else {
        batch.into_iter().map(Signed::verify).collect()
    }
}

fn batch_holds<M: Message<Signer = PublicKey>>(batch: &[Signed<M>]) -> bool {
    // Neighbours in a log are often by the same few signers.
    let mut known = HashMap::new();
    let mut keys = Vec::with_capacity(batch.len());
    let mut signatures = Vec::with_capacity(batch.len());
    for signed in batch {
        let key = known.entry(signed.signer).or_insert_with_key(|signer| {
            let key = ed25519_dalek::VerifyingKey::from_bytes(signer.as_bytes()).ok();
            key.filter(|key| !key.is_weak())
        });
        let signature = ed25519_dalek::Signature::from_slice(signed.signature());
        let (Some(key), Ok(signature)) = (*key, signature) else { return false };
        keys.push(key);
        signatures.push(signature);
    }
    let texts: Vec<Vec<u8>> = batch.iter().map(Signed::tbs).collect();
    let texts: Vec<&[u8]> = texts.iter().map(Vec::as_slice).collect();
    ed25519_dalek::verify_batch(&texts, &signatures, &keys).is_ok()
}

impl<M: Message> fmt::Debug for Signed<M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Signed<{}>({} by {})", M::NAME, self.id(), self.signer)
    }
}

impl<M: Message> fmt::Debug for Verified<M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Verified<{}>({} by {})", M::NAME, self.id(), self.signer())
    }
}
