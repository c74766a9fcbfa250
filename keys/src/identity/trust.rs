//! Whose certificates a market accepts.

use std::time::Duration;

use encrytrust_protocol::UnixSeconds;
use rustls_pki_types::{
    CertificateDer, SignatureVerificationAlgorithm, TrustAnchor, UnixTime, pem::PemObject,
};
use webpki::{EndEntityCert, Error as WebpkiError, KeyUsage, ring};

use super::{IdentityError, ValidCertificate, certificate::Certificate};

/// The most certificates in a chain, the leaf included.
const CHAIN_MAX: usize = 5;

/// What CAs may sign certificates with. The identity's own key is Ed25519 or P-256 in any case.
static CA_ALGORITHMS: &[&dyn SignatureVerificationAlgorithm] = &[
    ring::ED25519,
    ring::ECDSA_P256_SHA256,
    ring::ECDSA_P256_SHA384,
    ring::ECDSA_P384_SHA256,
    ring::ECDSA_P384_SHA384,
    ring::RSA_PKCS1_2048_8192_SHA256,
    ring::RSA_PKCS1_2048_8192_SHA384,
    ring::RSA_PKCS1_2048_8192_SHA512,
    ring::RSA_PSS_2048_8192_SHA256_LEGACY_KEY,
    ring::RSA_PSS_2048_8192_SHA384_LEGACY_KEY,
    ring::RSA_PSS_2048_8192_SHA512_LEGACY_KEY,
];

/// The CAs a market trusts, and whether it takes self-signed certificates too.
///
/// With self-signed ones it is the administrator's approval alone that ties a participant to the
/// real world.
#[derive(Clone, Debug)]
pub struct Trust {
    roots: Vec<TrustAnchor<'static>>,
    self_signed: bool,
}

impl Trust {
    /// Self-signed certificates, and no CA.
    pub fn self_signed() -> Self {
        Self { roots: Vec::new(), self_signed: true }
    }

    /// The CAs whose root certificates stand in this PEM, and nobody else.
    pub fn roots(pem: &[u8]) -> Result<Self, IdentityError> {
        let mut roots = Vec::new();
        for (index, der) in read_pem(pem)?.iter().enumerate() {
            let anchor = webpki::anchor_from_trusted_cert(der)
                .map_err(|e| IdentityError::Malformed { place: index + 1, why: e.to_string() })?;
            roots.push(anchor.to_owned());
        }
        Ok(Self { roots, self_signed: false })
    }

    /// The same CAs, and self-signed certificates beside them.
    pub fn or_self_signed(self) -> Self {
        Self { self_signed: true, ..self }
    }

    /// Validates a chain, leaf first, at a time.
    pub fn validate<C: AsRef<[u8]>>(
        &self,
        chain: &[C],
        now: UnixSeconds,
    ) -> Result<ValidCertificate, IdentityError> {
        let [leaf, rest @ ..] = chain else {
            return Err(IdentityError::BrokenChain { why: "it is empty".to_owned() });
        };
        if chain.len() > CHAIN_MAX {
            let why = format!("{} certificates, more than {CHAIN_MAX}", chain.len());
            return Err(IdentityError::BrokenChain { why });
        }
        let certificate = Certificate::read(leaf.as_ref())?;
        certificate.check_time(now)?;
        if certificate.is_self_signed() {
            if !self.self_signed {
                return Err(IdentityError::SelfSigned);
            }
            if !rest.is_empty() {
                let why = "it goes on after a self-signed certificate".to_owned();
                return Err(IdentityError::BrokenChain { why });
            }
        } else {
            self.find_path(leaf.as_ref(), rest, now)?;
        }
        Ok(ValidCertificate(certificate))
    }

    fn find_path<C: AsRef<[u8]>>(
        &self,
        leaf: &[u8],
        rest: &[C],
        now: UnixSeconds,
    ) -> Result<(), IdentityError> {
        let leaf = CertificateDer::from(leaf);
        let rest: Vec<_> = rest.iter().map(|der| CertificateDer::from(der.as_ref())).collect();
        let time = UnixTime::since_unix_epoch(Duration::from_secs(now));
        EndEntityCert::try_from(&leaf)
            .and_then(|leaf| {
                let usage = KeyUsage::client_auth();
                let (roots, none) = (&self.roots, None);
                leaf.verify_for_usage(CA_ALGORITHMS, roots, &rest, time, usage, None, none)
                    .map(drop)
            })
            .map_err(|e| explain(e, now))
    }
}

/// Certificates of a PEM text, in its order.
pub(super) fn read_pem(pem: &[u8]) -> Result<Vec<CertificateDer<'static>>, IdentityError> {
    let what = "certificate";
    let certificates = CertificateDer::pem_slice_iter(pem)
        .collect::<Result<Vec<_>, _>>()
        .map_err(|e| IdentityError::Pem { what, why: e.to_string() })?;
    if certificates.is_empty() {
        let why = "a block \"BEGIN CERTIFICATE\" is expected".to_owned();
        return Err(IdentityError::Pem { what, why });
    }
    Ok(certificates)
}

/// The leaf's own time and usage are checked before; what is named here lies further up the path.
fn explain(error: WebpkiError, now: UnixSeconds) -> IdentityError {
    match error {
        WebpkiError::CertExpired { not_after, .. } => {
            IdentityError::Expired { not_after: not_after.as_secs(), now }
        }
        WebpkiError::CertNotValidYet { not_before, .. } => {
            IdentityError::NotYetValid { not_before: not_before.as_secs(), now }
        }
        WebpkiError::RequiredEkuNotFoundContext(_) => {
            IdentityError::WrongKeyUsage { why: "extKeyUsage lacks clientAuth" }
        }
        WebpkiError::UnknownIssuer => {
            let why = "the last certificate's issuer is not among the market's CAs".to_owned();
            IdentityError::BrokenChain { why }
        }
        other => IdentityError::BrokenChain { why: other.to_string() },
    }
}
