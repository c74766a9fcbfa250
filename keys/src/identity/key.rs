//! The two kinds of identity keys.

use ed25519_dalek::{
    Signer as _,
    pkcs8::{DecodePrivateKey, DecodePublicKey, EncodePrivateKey, KeypairBytes},
};
use encrytrust_protocol::Algorithm;
use p256::{
    ecdsa::signature::{Signer as _, Verifier as _},
    pkcs8::{
        DecodePrivateKey as _, DecodePublicKey as _, EncodePrivateKey as _, LineEnding,
        PrivateKeyInfo,
    },
};
use zeroize::Zeroizing;

use super::IdentityError;
use crate::{random, signing};

/// An identity's private key.
#[derive(Clone)]
pub(super) enum IdentityKey {
    Ed25519(ed25519_dalek::SigningKey),
    Es256(p256::ecdsa::SigningKey),
}

/// An identity's public key.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum IdentityPublicKey {
    Ed25519(ed25519_dalek::VerifyingKey),
    Es256(p256::ecdsa::VerifyingKey),
}

impl IdentityKey {
    pub(super) fn generate(algorithm: Algorithm) -> Self {
        match algorithm {
            Algorithm::Ed25519 => Self::Ed25519(signing::generate()),
            Algorithm::Es256 => loop {
                // All but one in 2^32 candidates lie between zero and the group's order.
                if let Ok(key) = p256::ecdsa::SigningKey::from_slice(&*random::secret::<32>()) {
                    break Self::Es256(key);
                }
            },
        }
    }

    /// Reads PKCS#8 (RFC 5958), DER.
    pub(super) fn from_pkcs8(der: &[u8]) -> Result<Self, IdentityError> {
        if let Ok(key) = ed25519_dalek::SigningKey::from_pkcs8_der(der) {
            return Ok(Self::Ed25519(key));
        }
        if let Ok(key) = p256::SecretKey::from_pkcs8_der(der) {
            return Ok(Self::Es256(key.into()));
        }
        Err(match PrivateKeyInfo::try_from(der) {
            Ok(info) => {
                let found = format!("a private key of type {}", info.algorithm.oid);
                IdentityError::UnsupportedAlgorithm { found }
            }
            Err(why) => IdentityError::Pem { what: "PKCS#8 private key", why: why.to_string() },
        })
    }

    /// PKCS#8, PEM; version 1, which every OpenSSL reads.
    pub(super) fn to_pem(&self) -> Zeroizing<String> {
        let pem = match self {
            Self::Ed25519(key) => KeypairBytes { secret_key: key.to_bytes(), public_key: None }
                .to_pkcs8_pem(Default::default())
                .map_err(drop),
            Self::Es256(key) => {
                p256::SecretKey::from(key).to_pkcs8_pem(LineEnding::LF).map_err(drop)
            }
        };
        pem.expect("a key can be written as PKCS#8")
    }

    pub(super) fn algorithm(&self) -> Algorithm {
        match self {
            Self::Ed25519(_) => Algorithm::Ed25519,
            Self::Es256(_) => Algorithm::Es256,
        }
    }

    pub(super) fn public(&self) -> IdentityPublicKey {
        match self {
            Self::Ed25519(key) => IdentityPublicKey::Ed25519(key.verifying_key()),
            Self::Es256(key) => IdentityPublicKey::Es256(*key.verifying_key()),
        }
    }

    /// 64 bytes as COSE wants them: Ed25519 (RFC 9053, section 2.2), or r ‖ s (section 2.1) with
    /// the nonce of RFC 6979.
    pub(super) fn sign(&self, message: &[u8]) -> Vec<u8> {
        match self {
            Self::Ed25519(key) => key.sign(message).to_vec(),
            Self::Es256(key) => {
                let signature: p256::ecdsa::Signature = key.sign(message);
                signature.to_vec()
            }
        }
    }
}

impl IdentityPublicKey {
    /// Reads a SubjectPublicKeyInfo, DER; `None` if it is of another kind.
    pub(super) fn from_spki(der: &[u8]) -> Option<Self> {
        if let Ok(key) = ed25519_dalek::VerifyingKey::from_public_key_der(der) {
            return Some(Self::Ed25519(key));
        }
        p256::ecdsa::VerifyingKey::from_public_key_der(der).ok().map(Self::Es256)
    }

    pub(super) fn algorithm(&self) -> Algorithm {
        match self {
            Self::Ed25519(_) => Algorithm::Ed25519,
            Self::Es256(_) => Algorithm::Es256,
        }
    }

    /// Whether `signature` is this key's under this algorithm.
    pub(super) fn verify(&self, algorithm: Algorithm, message: &[u8], signature: &[u8]) -> bool {
        let check = || match (self, algorithm) {
            (Self::Ed25519(key), Algorithm::Ed25519) => {
                let signature = ed25519_dalek::Signature::from_slice(signature).ok()?;
                key.verify_strict(message, &signature).ok()
            }
            (Self::Es256(key), Algorithm::Es256) => {
                let signature = p256::ecdsa::Signature::from_slice(signature).ok()?;
                key.verify(message, &signature).ok()
            }
            _ => None,
        };
        check().is_some()
    }
}

/// An identity key as `rcgen` wants it, to sign its own certificate.
pub(super) struct SelfIssuer<'a> {
    key: &'a IdentityKey,
    public: Vec<u8>,
}

impl<'a> SelfIssuer<'a> {
    pub(super) fn new(key: &'a IdentityKey) -> Self {
        let public = match key.public() {
            IdentityPublicKey::Ed25519(key) => key.to_bytes().to_vec(),
            IdentityPublicKey::Es256(key) => key.to_encoded_point(false).as_bytes().to_vec(),
        };
        Self { key, public }
    }
}

impl rcgen::PublicKeyData for SelfIssuer<'_> {
    fn der_bytes(&self) -> &[u8] {
        &self.public
    }

    fn algorithm(&self) -> &'static rcgen::SignatureAlgorithm {
        match self.key.algorithm() {
            Algorithm::Ed25519 => &rcgen::PKCS_ED25519,
            Algorithm::Es256 => &rcgen::PKCS_ECDSA_P256_SHA256,
        }
    }
}

impl rcgen::SigningKey for SelfIssuer<'_> {
    fn sign(&self, message: &[u8]) -> Result<Vec<u8>, rcgen::Error> {
        Ok(match self.key {
            IdentityKey::Ed25519(_) => self.key.sign(message),
            IdentityKey::Es256(key) => {
                let signature: p256::ecdsa::DerSignature = key.sign(message);
                signature.as_bytes().to_vec()
            }
        })
    }
}
