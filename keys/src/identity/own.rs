//! The participant's own identity: its certificate and the key that goes with it.

use std::{fmt, time::Duration};

use encrytrust_protocol::{
    Algorithm, CLOCK_SKEW_MAX, CertificateId, Join, KeyBinding, Market, Message, ParticipantId,
    Pool, Signed, UnixSeconds, Verified,
};
use p256::pkcs8::{LineEnding, der::pem};
use rustls_pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject};
use zeroize::Zeroizing;

use super::{
    IdentityError,
    certificate::Certificate,
    key::{IdentityKey, SelfIssuer},
    trust::read_pem,
};
use crate::{SignError, files::Stored};

/// How long a generated certificate is valid: two years.
const VALIDITY: Duration = Duration::from_secs(730 * 86_400);

/// A certificate with its private key.
#[derive(Clone)]
pub struct Identity {
    key: IdentityKey,
    chain: Vec<CertificateDer<'static>>,
    certificate: Certificate,
}

impl Identity {
    /// A fresh key with a self-signed certificate: CN = `name`, `digitalSignature`, two years.
    ///
    /// It is valid from a little before `now`, so that a reader whose clock is late takes it.
    pub fn generate(
        algorithm: Algorithm,
        name: &str,
        now: UnixSeconds,
    ) -> Result<Self, IdentityError> {
        let key = IdentityKey::generate(algorithm);
        let epoch = rcgen::date_time_ymd(1970, 1, 1);
        let not_before = epoch + Duration::from_secs(now.saturating_sub(CLOCK_SKEW_MAX));
        let mut params = rcgen::CertificateParams::default();
        params.not_before = not_before;
        params.not_after = not_before + VALIDITY;
        params.key_usages = vec![rcgen::KeyUsagePurpose::DigitalSignature];
        params.distinguished_name = rcgen::DistinguishedName::new();
        params.distinguished_name.push(rcgen::DnType::CommonName, name);
        let certificate = params
            .self_signed(&SelfIssuer::new(&key))
            .map_err(|e| IdentityError::Malformed { place: 1, why: e.to_string() })?;
        Self::from_parts(key, vec![certificate.der().clone()])
    }

    /// Reads a certificate chain, leaf first, and its PKCS#8 key. The two may be one text.
    pub fn from_pem(chain: &[u8], key: &[u8]) -> Result<Self, IdentityError> {
        let what = "PKCS#8 private key";
        let key = PrivateKeyDer::from_pem_slice(key).map(Zeroizing::new).map_err(|e| {
            let why = format!("{e:?}; an encrypted one is decrypted by: openssl pkcs8 -in KEY");
            IdentityError::Pem { what, why }
        })?;
        let PrivateKeyDer::Pkcs8(key) = &*key else {
            let why = "convert it with: openssl pkcs8 -topk8 -nocrypt -in KEY".to_owned();
            return Err(IdentityError::Pem { what, why });
        };
        let key = IdentityKey::from_pkcs8(key.secret_pkcs8_der())?;
        Self::from_parts(key, read_pem(chain)?)
    }

    fn from_parts(
        key: IdentityKey,
        chain: Vec<CertificateDer<'static>>,
    ) -> Result<Self, IdentityError> {
        let leaf = chain.first().map(AsRef::as_ref).unwrap_or_default();
        let certificate = Certificate::read(leaf)?;
        if certificate.key() != key.public() {
            return Err(IdentityError::KeyMismatch);
        }
        Ok(Self { key, chain, certificate })
    }

    /// Whether the certificate's own time includes `now`. Whether a market trusts its issuer, the
    /// market says.
    pub fn check_time(&self, now: UnixSeconds) -> Result<(), IdentityError> {
        self.certificate.check_time(now)
    }

    /// The participant's name on every market.
    pub fn participant(&self) -> ParticipantId {
        self.certificate.participant()
    }

    /// The certificate's name.
    pub fn certificate_id(&self) -> CertificateId {
        self.certificate.id()
    }

    /// The certificates, DER, leaf first.
    pub fn chain(&self) -> &[CertificateDer<'static>] {
        &self.chain
    }

    /// The certificates as PEM.
    pub fn chain_pem(&self) -> String {
        let encode = |der: &CertificateDer<'_>| {
            pem::encode_string("CERTIFICATE", LineEnding::LF, der)
                .expect("a certificate is far shorter than PEM's limits")
        };
        self.chain.iter().map(encode).collect()
    }

    /// The private key as PKCS#8 PEM.
    pub fn key_pem(&self) -> Zeroizing<String> {
        self.key.to_pem()
    }

    /// Asks a market to take part, under a name the administrator will see.
    pub fn sign_join(
        &self,
        market: &Market,
        name: &str,
        at: UnixSeconds,
    ) -> Result<Verified<Join>, SignError> {
        let chain = self.chain.iter().map(|der| der.to_vec().into()).collect();
        self.sign(Join { market: market.clone(), name: name.to_owned(), chain, at })
    }

    /// Claims pool keys, each by its own signed binding to the same market.
    pub fn sign_pool(
        &self,
        market: &Market,
        bindings: &[Verified<KeyBinding>],
        at: UnixSeconds,
    ) -> Result<Verified<Pool>, SignError> {
        let bindings = bindings.iter().map(Verified::id).collect();
        self.sign(Pool { market: market.clone(), participant: self.participant(), bindings, at })
    }

    fn sign<M: Message<Signer = CertificateId>>(
        &self,
        message: M,
    ) -> Result<Verified<M>, SignError> {
        let (signer, algorithm) = (self.certificate_id(), self.key.algorithm());
        Ok(Signed::seal_with(message, signer, algorithm, |tbs| self.key.sign(tbs))?)
    }
}

/// Certificates and key as one PEM text.
impl Stored for Identity {
    const KIND: &'static str = "identity";

    fn to_secret_bytes(&self) -> Zeroizing<Vec<u8>> {
        Zeroizing::new([self.chain_pem().as_bytes(), self.key_pem().as_bytes()].concat())
    }

    fn from_secret_bytes(bytes: &[u8]) -> Option<Self> {
        Self::from_pem(bytes, bytes).ok()
    }
}

impl fmt::Debug for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Identity({}, <redacted>)", self.participant())
    }
}
