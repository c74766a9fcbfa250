//! What the platform remembers of a certificate once `encrytrust-keys` has validated it.

use std::{fs, io, path::PathBuf};

use encrytrust_keys::identity::{IdentityError, Trust};
use encrytrust_protocol::{CertificateId, ParticipantId, UnixSeconds};
use sha2::{Digest, Sha256};
use x509_parser::{certificate::X509Certificate, prelude::FromDer};

use crate::config::IdentityPolicy;

/// Whose certificates are taken could not be established.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TrustError {
    /// The CA file could not be read.
    #[error("{}: {source}", path.display())]
    Io {
        /// Which file.
        path: PathBuf,
        /// What the operating system said.
        source: io::Error,
    },
    /// The CA file holds something else.
    #[error("{}: {source}", path.display())]
    Certificates {
        /// Which file.
        path: PathBuf,
        /// What is wrong with it.
        source: IdentityError,
    },
    /// Nobody could ever join.
    #[error("identity: neither self_signed nor a ca_file, so nobody could join; set one of them")]
    Nobody,
}

/// The certificates a policy takes.
pub(crate) fn trust(policy: &IdentityPolicy) -> Result<Trust, TrustError> {
    let Some(path) = &policy.ca_file else {
        return if policy.self_signed { Ok(Trust::self_signed()) } else { Err(TrustError::Nobody) };
    };
    let pem = fs::read(path).map_err(|source| TrustError::Io { path: path.clone(), source })?;
    let trust = Trust::roots(&pem)
        .map_err(|source| TrustError::Certificates { path: path.clone(), source })?;
    Ok(if policy.self_signed { trust.or_self_signed() } else { trust })
}

/// The facts of a leaf certificate. Reading them decides nothing: whom to trust may change, what a
/// certificate says does not.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Leaf {
    pub(crate) certificate: CertificateId,
    pub(crate) participant: ParticipantId,
    /// First second.
    pub(crate) not_before: UnixSeconds,
    /// Last second.
    pub(crate) not_after: UnixSeconds,
}

impl Leaf {
    pub(crate) fn read(der: &[u8]) -> Option<Self> {
        let (_, x509) = X509Certificate::from_der(der).ok()?;
        let sha256 = |bytes: &[u8]| -> [u8; 32] { Sha256::digest(bytes).into() };
        // Times before 1970 count as 1970.
        let seconds = |timestamp: i64| UnixSeconds::try_from(timestamp).unwrap_or(0);
        Some(Self {
            certificate: sha256(der).into(),
            participant: sha256(x509.public_key().raw).into(),
            not_before: seconds(x509.validity().not_before.timestamp()),
            not_after: seconds(x509.validity().not_after.timestamp()),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use encrytrust_keys::identity::Identity;
    use encrytrust_protocol::Algorithm;

    #[test]
    fn a_leaf_reads_as_it_was_validated() {
        let identity = Identity::generate(Algorithm::Es256, "Bank", 1_700_000_000).unwrap();
        let valid = Trust::self_signed().validate(identity.chain(), 1_700_000_000).unwrap();
        let leaf = Leaf::read(&identity.chain()[0]).unwrap();
        assert_eq!(leaf.certificate, valid.id());
        assert_eq!(leaf.participant, valid.participant());
        assert_eq!(leaf.not_after, valid.not_after());
        assert!((leaf.not_before..=leaf.not_after).contains(&1_700_000_000));
        assert_eq!(Leaf::read(b"not a certificate"), None);
    }
}
