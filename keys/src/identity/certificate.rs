//! One certificate: what it says, and what a valid one can vouch for.

use encrytrust_protocol::{
    Algorithm, BadSignature, CertificateId, Message, ParticipantId, Signed, UnixSeconds, Verified,
};
use rustls_pki_types::CertificateDer;
use sha2::{Digest, Sha256};
use webpki::EndEntityCert;
use x509_parser::{
    certificate::X509Certificate, extensions::ParsedExtension, prelude::FromDer, time::ASN1Time,
    x509::X509Name,
};

use super::{IdentityError, key::IdentityPublicKey};

/// A certificate that [`Trust::validate`](super::Trust::validate) accepted at some time.
#[derive(Clone, PartialEq, Eq)]
pub struct ValidCertificate(pub(super) Certificate);

impl ValidCertificate {
    /// Its name: SHA-256 of the DER.
    pub fn id(&self) -> CertificateId {
        self.0.id
    }

    /// Its holder's name on every market: SHA-256 of the SubjectPublicKeyInfo.
    pub fn participant(&self) -> ParticipantId {
        self.0.participant
    }

    /// The holder's distinguished name, for people to read; control characters replaced.
    pub fn subject(&self) -> &str {
        &self.0.subject
    }

    /// The issuer's distinguished name, likewise.
    pub fn issuer(&self) -> &str {
        &self.0.issuer
    }

    /// The first second it is valid at.
    pub fn not_before(&self) -> UnixSeconds {
        self.0.not_before
    }

    /// The last second it is valid at.
    pub fn not_after(&self) -> UnixSeconds {
        self.0.not_after
    }

    /// Whether its holder made it without a CA.
    pub fn is_self_signed(&self) -> bool {
        self.0.self_signed
    }

    /// What its key signs with.
    pub fn algorithm(&self) -> Algorithm {
        self.0.key.algorithm()
    }

    /// Checks a message that this certificate's key should have signed.
    pub fn verify<M: Message<Signer = CertificateId>>(
        &self,
        signed: Signed<M>,
    ) -> Result<Verified<M>, BadSignature> {
        let ours = signed.claimed_signer() == self.0.id;
        signed.verify_by(|algorithm, message, signature| {
            ours && self.0.key.verify(algorithm, message, signature)
        })
    }
}

impl std::fmt::Debug for ValidCertificate {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "ValidCertificate({} of {:?})", self.0.id, self.0.subject)
    }
}

/// A certificate whose key, usage and names were read; who issued it is not established.
#[derive(Clone, PartialEq, Eq)]
pub(super) struct Certificate {
    id: CertificateId,
    participant: ParticipantId,
    key: IdentityPublicKey,
    subject: String,
    issuer: String,
    not_before: UnixSeconds,
    not_after: UnixSeconds,
    self_signed: bool,
}

impl Certificate {
    /// Reads the leaf of a chain.
    pub(super) fn read(der: &[u8]) -> Result<Self, IdentityError> {
        let x509 = parse(der)?;
        let spki = x509.public_key();
        let key = IdentityPublicKey::from_spki(spki.raw).ok_or_else(|| {
            let found = format!("a certificate for a key of type {}", spki.algorithm.algorithm);
            IdentityError::UnsupportedAlgorithm { found }
        })?;
        check_usage(&x509)?;
        Ok(Self {
            id: CertificateId::from(sha256(der)),
            participant: ParticipantId::from(sha256(spki.raw)),
            key,
            subject: readable(x509.subject()),
            issuer: readable(x509.issuer()),
            not_before: seconds(x509.validity().not_before),
            not_after: seconds(x509.validity().not_after),
            self_signed: is_self_signed(&x509)?,
        })
    }

    pub(super) fn id(&self) -> CertificateId {
        self.id
    }

    pub(super) fn participant(&self) -> ParticipantId {
        self.participant
    }

    pub(super) fn key(&self) -> IdentityPublicKey {
        self.key
    }

    pub(super) fn is_self_signed(&self) -> bool {
        self.self_signed
    }

    /// RFC 5280, section 4.1.2.5: both ends of the validity belong to it.
    pub(super) fn check_time(&self, now: UnixSeconds) -> Result<(), IdentityError> {
        if now < self.not_before {
            return Err(IdentityError::NotYetValid { not_before: self.not_before, now });
        }
        if now > self.not_after {
            return Err(IdentityError::Expired { not_after: self.not_after, now });
        }
        Ok(())
    }
}

fn malformed(why: impl Into<String>) -> IdentityError {
    IdentityError::Malformed { place: 1, why: why.into() }
}

/// Two parsers must agree: `x509-parser` says what is in the certificate, `rustls-webpki` is strict
/// about DER, so that nobody can respell a certificate in the parts its signature does not cover.
fn parse(der: &[u8]) -> Result<X509Certificate<'_>, IdentityError> {
    let (rest, x509) = X509Certificate::from_der(der).map_err(|e| malformed(e.to_string()))?;
    if !rest.is_empty() {
        return Err(malformed(format!("{} bytes after its end", rest.len())));
    }
    for extension in x509.extensions() {
        let parsed = extension.parsed_extension();
        if matches!(parsed, ParsedExtension::ParseError { .. }) {
            return Err(malformed(format!("extension {} cannot be read", extension.oid)));
        }
        if extension.critical && !is_understood(parsed) {
            return Err(malformed(format!("critical extension {} is unknown", extension.oid)));
        }
    }
    EndEntityCert::try_from(&CertificateDer::from(der)).map_err(|e| malformed(e.to_string()))?;
    Ok(x509)
}

/// The extensions whose meaning is enforced here or by `rustls-webpki`, or concerns CAs only.
fn is_understood(extension: &ParsedExtension<'_>) -> bool {
    matches!(
        extension,
        ParsedExtension::KeyUsage(_)
            | ParsedExtension::ExtendedKeyUsage(_)
            | ParsedExtension::BasicConstraints(_)
            | ParsedExtension::SubjectAlternativeName(_)
            | ParsedExtension::NameConstraints(_)
    )
}

fn check_usage(x509: &X509Certificate<'_>) -> Result<(), IdentityError> {
    let twice = |_| malformed("an extension stands in it twice");
    let usage = x509.key_usage().map_err(twice)?;
    if usage.is_some_and(|u| !u.value.digital_signature()) {
        return Err(IdentityError::WrongKeyUsage { why: "keyUsage lacks digitalSignature" });
    }
    let extended = x509.extended_key_usage().map_err(twice)?;
    if extended.is_some_and(|u| !(u.value.client_auth || u.value.any)) {
        return Err(IdentityError::WrongKeyUsage { why: "extKeyUsage lacks clientAuth" });
    }
    Ok(())
}

/// Whether it is its own issuer. One that says so and is not signed by its own key is an error.
fn is_self_signed(x509: &X509Certificate<'_>) -> Result<bool, IdentityError> {
    if x509.subject().as_raw() != x509.issuer().as_raw() {
        return Ok(false);
    }
    let why = "it names itself as its issuer, but its own key did not sign it";
    x509.verify_signature(None)
        .map(|()| true)
        .map_err(|_| IdentityError::BrokenChain { why: why.to_owned() })
}

fn readable(name: &X509Name<'_>) -> String {
    let text = name.to_string();
    text.chars().map(|c| if c.is_control() { '\u{fffd}' } else { c }).take(400).collect()
}

/// Times before 1970 count as 1970.
fn seconds(time: ASN1Time) -> UnixSeconds {
    UnixSeconds::try_from(time.timestamp()).unwrap_or(0)
}

fn sha256(bytes: &[u8]) -> [u8; 32] {
    Sha256::digest(bytes).into()
}
