//! How a database connection is protected: `sslmode` and `sslrootcert`, as `libpq` means them.
//!
//! | `sslmode` | encrypted | server's certificate |
//! |---|---|---|
//! | `disable` | no | |
//! | `prefer` (default) | if the server can | not checked |
//! | `require` | yes | checked if `sslrootcert` is given |
//! | `verify-ca`, `verify-full` | yes | checked, and its name too |
//!
//! Without `sslrootcert` a certificate is checked against the system's authorities. `verify-ca`
//! is as strict as `verify-full` here.

use std::sync::Arc;

use rustls::{
    ClientConfig, DigitallySignedStruct, RootCertStore, SignatureScheme,
    client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier},
    crypto::{CryptoProvider, verify_tls12_signature, verify_tls13_signature},
};
use rustls_pki_types::{CertificateDer, ServerName, UnixTime, pem::PemObject};
use tokio_postgres::{Client, Config, NoTls};
use tokio_postgres_rustls::MakeRustlsConnect;

use super::SourceError;

/// What a URL asks for.
#[derive(Debug, Clone)]
pub(super) enum Mode {
    /// In the clear.
    Plain,
    /// Under TLS, if the URL's `sslmode` says so or the server offers it.
    Tls(Arc<ClientConfig>),
}

impl Mode {
    /// Reads the TLS parameters of a connection URL; answers what they ask for, and the URL in
    /// the words the driver knows.
    pub(super) fn from_url(url: &str) -> Result<(Self, String), SourceError> {
        let (base, query) = url.split_once('?').unwrap_or((url, ""));
        let (mut mode, mut root, mut rest) = ("prefer", None, Vec::new());
        for parameter in query.split('&').filter(|p| !p.is_empty()) {
            match parameter.split_once('=') {
                Some(("sslmode", value)) => mode = value,
                Some(("sslrootcert", value)) => root = Some(value),
                _ => rest.push(parameter.to_owned()),
            }
        }
        let (checked, driver) = match mode {
            "disable" => (None, "disable"),
            "prefer" => (Some(false), "prefer"),
            "require" => (Some(root.is_some()), "require"),
            "verify-ca" | "verify-full" => (Some(true), "require"),
            other => {
                let known = "disable, prefer, require, verify-ca, verify-full";
                return Err(SourceError::Url(format!("sslmode={other} is none of {known}")));
            }
        };
        rest.push(format!("sslmode={driver}"));
        let tls = match checked {
            None => Self::Plain,
            Some(true) => Self::Tls(Arc::new(checking(root)?)),
            Some(false) => Self::Tls(Arc::new(encrypting()?)),
        };
        Ok((tls, format!("{base}?{}", rest.join("&"))))
    }
}

/// Connects, and drives the connection in a task of its own until the client is dropped.
pub(super) async fn connect(config: &Config, mode: &Mode) -> Result<Client, tokio_postgres::Error> {
    match mode {
        Mode::Plain => {
            let (client, connection) = config.connect(NoTls).await?;
            tokio::spawn(connection);
            Ok(client)
        }
        Mode::Tls(tls) => {
            let connector = MakeRustlsConnect::new(ClientConfig::clone(tls));
            let (client, connection) = config.connect(connector).await?;
            tokio::spawn(connection);
            Ok(client)
        }
    }
}

fn provider() -> Arc<CryptoProvider> {
    Arc::new(rustls::crypto::ring::default_provider())
}

fn builder() -> Result<rustls::ConfigBuilder<ClientConfig, rustls::WantsVerifier>, SourceError> {
    ClientConfig::builder_with_provider(provider())
        .with_safe_default_protocol_versions()
        .map_err(|e| SourceError::Url(e.to_string()))
}

fn checking(root_file: Option<&str>) -> Result<ClientConfig, SourceError> {
    let mut roots = RootCertStore::empty();
    match root_file {
        Some(file) => {
            let bad = |why: String| SourceError::Url(format!("sslrootcert={file}: {why}"));
            for certificate in
                CertificateDer::pem_file_iter(file).map_err(|e| bad(e.to_string()))?
            {
                let certificate = certificate.map_err(|e| bad(e.to_string()))?;
                roots.add(certificate).map_err(|e| bad(e.to_string()))?;
            }
        }
        None => {
            roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
        }
    }
    if roots.is_empty() {
        let why = "no authorities to check the server's certificate with; give sslrootcert=FILE";
        return Err(SourceError::Url(why.into()));
    }
    Ok(builder()?.with_root_certificates(roots).with_no_client_auth())
}

/// `sslmode=require` without authorities: who listens on the wire learns nothing, who stands in
/// its middle does. That is what the URL's author asked for.
fn encrypting() -> Result<ClientConfig, SourceError> {
    let verifier = Arc::new(AnyCertificate(provider()));
    let builder = builder()?.dangerous().with_custom_certificate_verifier(verifier);
    Ok(builder.with_no_client_auth())
}

/// Takes any certificate; the handshake must still be signed by its key.
#[derive(Debug)]
struct AnyCertificate(Arc<CryptoProvider>);

impl ServerCertVerifier for AnyCertificate {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let algorithms = &self.0.signature_verification_algorithms;
        verify_tls12_signature(message, certificate, signature, algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let algorithms = &self.0.signature_verification_algorithms;
        verify_tls13_signature(message, certificate, signature, algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_drivers_words_replace_libpqs() {
        let (mode, url) = Mode::from_url("postgres://h/db?sslmode=disable&a=b").unwrap();
        assert!(matches!(mode, Mode::Plain));
        assert_eq!(url, "postgres://h/db?a=b&sslmode=disable");
        let (mode, url) = Mode::from_url("postgres://h/db").unwrap();
        assert!(matches!(mode, Mode::Tls(_)));
        assert_eq!(url, "postgres://h/db?sslmode=prefer");
        assert!(Mode::from_url("postgres://h/db?sslmode=maybe").is_err());
        assert!(Mode::from_url("postgres://h/db?sslmode=verify-full&sslrootcert=/none").is_err());
    }
}
