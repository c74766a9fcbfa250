use encrytrust_protocol::{Algorithm, Join, Market, Signed};
use rcgen::{
    BasicConstraints, CertificateParams, CustomExtension, DnType, ExtendedKeyUsagePurpose, IsCa,
    Issuer, KeyPair, KeyUsagePurpose,
};
use rustls_pki_types::CertificateDer;

use super::*;
use crate::files::Stored;

/// Within the validity of everything in `testdata/x509`: 2027-01-15.
const NOW: UnixSeconds = 1_800_000_000;

const YEAR: UnixSeconds = 365 * 86_400;

macro_rules! testdata {
    ($name:literal) => {
        include_bytes!(concat!("../../testdata/x509/", $name))
    };
}

fn market() -> Market {
    Market::new("market.example").unwrap()
}

/// A chain of rcgen's making: a root, and a leaf under it that `change` may spoil.
fn issued(change: impl FnOnce(&mut CertificateParams)) -> (Trust, CertificateDer<'static>) {
    let root_key = KeyPair::generate_for(&rcgen::PKCS_ECDSA_P256_SHA256).unwrap();
    let mut root = params("Root");
    root.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    root.key_usages = vec![KeyUsagePurpose::KeyCertSign];
    let root_certificate = root.self_signed(&root_key).unwrap();
    let mut leaf = params("Leaf");
    leaf.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    change(&mut leaf);
    let leaf_key = KeyPair::generate_for(&rcgen::PKCS_ED25519).unwrap();
    let leaf = leaf.signed_by(&leaf_key, &Issuer::new(root, root_key)).unwrap();
    (Trust::roots(root_certificate.pem().as_bytes()).unwrap(), leaf.der().clone())
}

fn params(name: &str) -> CertificateParams {
    let mut params = CertificateParams::default();
    params.distinguished_name = rcgen::DistinguishedName::new();
    params.distinguished_name.push(DnType::CommonName, name);
    params.not_before = rcgen::date_time_ymd(2026, 1, 1);
    params.not_after = rcgen::date_time_ymd(2028, 1, 1);
    params
}

/// A self-signed certificate that `change` may spoil.
fn self_made(change: impl FnOnce(&mut CertificateParams)) -> CertificateDer<'static> {
    let mut params = params("Self");
    change(&mut params);
    let key = KeyPair::generate_for(&rcgen::PKCS_ED25519).unwrap();
    params.self_signed(&key).unwrap().der().clone()
}

fn validate(trust: &Trust, leaf: &CertificateDer<'_>) -> Result<ValidCertificate, IdentityError> {
    trust.validate(std::slice::from_ref(leaf), NOW)
}

fn join(identity: &Identity) -> Signed<Join> {
    let signed = identity.sign_join(&market(), "Somebody", NOW).unwrap();
    Signed::decode(signed.bytes()).unwrap()
}

#[test]
fn both_algorithms_sign_what_their_certificates_verify() {
    for algorithm in [Algorithm::Ed25519, Algorithm::Es256] {
        let identity = Identity::generate(algorithm, "Bank of Examples", NOW).unwrap();
        let certificate = Trust::self_signed().validate(identity.chain(), NOW).unwrap();
        assert_eq!(certificate.algorithm(), algorithm);
        assert_eq!(certificate.subject(), "CN=Bank of Examples");
        assert_eq!(certificate.participant(), identity.participant());
        assert_eq!(certificate.id(), identity.certificate_id());
        assert!(certificate.is_self_signed());
        assert!(certificate.verify(join(&identity)).is_ok());

        let other = Identity::generate(algorithm, "Bank of Examples", NOW).unwrap();
        assert!(certificate.verify(join(&other)).is_err());
    }
}

#[test]
fn a_forged_signature_under_the_right_name_is_refused() {
    for algorithm in [Algorithm::Ed25519, Algorithm::Es256] {
        let identity = Identity::generate(algorithm, "Bank", NOW).unwrap();
        let certificate = Trust::self_signed().validate(identity.chain(), NOW).unwrap();
        let good = identity.sign_join(&market(), "Somebody", NOW).unwrap();
        let mut bytes = good.bytes().to_vec();
        *bytes.last_mut().unwrap() ^= 1;
        let forged = Signed::<Join>::decode(&bytes).unwrap();
        assert!(certificate.verify(forged).is_err());
    }
}

#[test]
fn a_generated_certificate_lasts_two_years() {
    let identity = Identity::generate(Algorithm::Ed25519, "Bank", NOW).unwrap();
    let at = |now| Trust::self_signed().validate(identity.chain(), now).map(drop);
    assert_eq!(at(NOW - 300), Ok(()));
    assert!(matches!(at(NOW - 301), Err(IdentityError::NotYetValid { .. })));
    let not_after = NOW - 300 + 2 * YEAR;
    assert_eq!(at(not_after), Ok(()));
    assert_eq!(at(not_after + 1), Err(IdentityError::Expired { not_after, now: not_after + 1 }));
    assert_eq!(identity.check_time(NOW), Ok(()));
    assert!(identity.check_time(0).is_err());
}

#[test]
fn identities_survive_pem_and_file() {
    for algorithm in [Algorithm::Ed25519, Algorithm::Es256] {
        let identity = Identity::generate(algorithm, "Bank", NOW).unwrap();
        let (chain, key) = (identity.chain_pem(), identity.key_pem());
        let read = Identity::from_pem(chain.as_bytes(), key.as_bytes()).unwrap();
        assert_eq!(read.chain(), identity.chain());
        let read = Identity::from_secret_bytes(&identity.to_secret_bytes()).unwrap();
        let certificate = Trust::self_signed().validate(identity.chain(), NOW).unwrap();
        assert!(certificate.verify(join(&read)).is_ok());
        assert!(!format!("{identity:?}").contains("PRIVATE"));
    }
}

#[test]
fn openssl_made_identities_are_read() {
    let own =
        Identity::from_pem(testdata!("self_ed25519.pem"), testdata!("self_ed25519.key")).unwrap();
    let certificate = Trust::self_signed().validate(own.chain(), NOW).unwrap();
    assert_eq!(certificate.subject(), "CN=Self Made");
    assert!(certificate.verify(join(&own)).is_ok());

    let bank =
        Identity::from_pem(testdata!("leaf_p256_chain.pem"), testdata!("leaf_p256.key")).unwrap();
    let trust = Trust::roots(testdata!("root.pem")).unwrap();
    let certificate = trust.validate(bank.chain(), NOW).unwrap();
    assert_eq!(certificate.subject(), "O=Bank of Examples, CN=Data Desk");
    assert_eq!(certificate.issuer(), "O=Example, CN=Example Issuing CA");
    assert!(!certificate.is_self_signed());
    assert!(certificate.verify(join(&bank)).is_ok());
    assert!(trust.validate(bank.chain(), NOW + 30 * YEAR).is_err());
}

#[test]
fn keys_in_other_clothes_are_told_what_to_wear() {
    let chain = testdata!("leaf_p256_chain.pem");
    let error = |key: &[u8]| Identity::from_pem(chain, key).unwrap_err();
    assert!(error(testdata!("leaf_p256_sec1.key")).to_string().contains("openssl pkcs8 -topk8"));
    assert!(error(b"").to_string().contains("no PKCS#8 private key"));
    assert_eq!(error(testdata!("self_ed25519.key")), IdentityError::KeyMismatch);
    assert!(matches!(error(testdata!("self_rsa.key")), IdentityError::UnsupportedAlgorithm { .. }));
    let error = Identity::from_pem(b"", testdata!("leaf_p256.key")).unwrap_err();
    assert!(matches!(error, IdentityError::Pem { what: "certificate", .. }));
}

#[test]
fn a_chain_must_lead_to_a_trusted_root() {
    let bank =
        Identity::from_pem(testdata!("leaf_p256_chain.pem"), testdata!("leaf_p256.key")).unwrap();
    let trust = Trust::roots(testdata!("root.pem")).unwrap();
    let (other_trust, _) = issued(|_| {});
    let broken = |result: Result<ValidCertificate, _>| {
        assert!(matches!(result, Err(IdentityError::BrokenChain { .. })), "{result:?}");
    };
    broken(other_trust.validate(bank.chain(), NOW));
    broken(Trust::self_signed().validate(bank.chain(), NOW));
    broken(trust.validate(&bank.chain()[..1], NOW));
    broken(trust.validate(&[bank.chain(), bank.chain(), bank.chain()].concat(), NOW));
    broken(trust.validate::<CertificateDer<'_>>(&[], NOW));
    // The intermediate is itself a sound certificate, but a CA's.
    assert!(trust.validate(&bank.chain()[1..], NOW).is_err());
}

#[test]
fn self_signed_ones_only_where_they_are_welcome() {
    let own = Identity::generate(Algorithm::Ed25519, "Bank", NOW).unwrap();
    let roots = Trust::roots(testdata!("root.pem")).unwrap();
    assert_eq!(roots.validate(own.chain(), NOW), Err(IdentityError::SelfSigned));
    assert!(roots.or_self_signed().validate(own.chain(), NOW).is_ok());
    let longer = [own.chain(), own.chain()].concat();
    assert!(matches!(
        Trust::self_signed().validate(&longer, NOW),
        Err(IdentityError::BrokenChain { .. })
    ));
}

#[test]
fn time_binds_issued_certificates_too() {
    let (trust, leaf) = issued(|_| {});
    assert!(validate(&trust, &leaf).is_ok());
    let at = |now| trust.validate(std::slice::from_ref(&leaf), now);
    assert!(matches!(at(NOW + 2 * YEAR), Err(IdentityError::Expired { .. })));
    assert!(matches!(at(NOW - 2 * YEAR), Err(IdentityError::NotYetValid { .. })));
    // The root lasts until 2028, so a leaf that outlives it does not help.
    let (trust, leaf) = issued(|leaf| leaf.not_after = rcgen::date_time_ymd(2040, 1, 1));
    assert!(trust.validate(std::slice::from_ref(&leaf), NOW).is_ok());
}

#[test]
fn usage_is_enforced_when_it_is_stated() {
    let wrong = |params: fn(&mut CertificateParams)| {
        let (trust, leaf) = issued(params);
        let issued = validate(&trust, &leaf);
        assert!(matches!(issued, Err(IdentityError::WrongKeyUsage { .. })), "{issued:?}");
        let own = validate(&Trust::self_signed(), &self_made(params));
        assert!(matches!(own, Err(IdentityError::WrongKeyUsage { .. })), "{own:?}");
    };
    wrong(|params| params.key_usages = vec![KeyUsagePurpose::KeyAgreement]);
    wrong(|params| params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth]);
    let right = |params: fn(&mut CertificateParams)| {
        let (trust, leaf) = issued(params);
        assert!(validate(&trust, &leaf).is_ok());
        assert!(validate(&Trust::self_signed(), &self_made(params)).is_ok());
    };
    right(|params| params.key_usages = vec![]);
    right(|params| params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth]);
}

#[test]
fn unknown_critical_extensions_are_refused() {
    let spoil = |critical: bool| {
        self_made(|params| {
            let mut extension = CustomExtension::from_oid_content(&[1, 2, 3, 4], vec![5, 0]);
            extension.set_criticality(critical);
            params.custom_extensions.push(extension);
        })
    };
    assert!(validate(&Trust::self_signed(), &spoil(false)).is_ok());
    let error = validate(&Trust::self_signed(), &spoil(true)).unwrap_err();
    assert!(error.to_string().contains("1.2.3.4"), "{error}");
}

#[test]
fn other_key_types_are_refused() {
    let key = KeyPair::generate_for(&rcgen::PKCS_ECDSA_P384_SHA384).unwrap();
    let leaf = params("Self").self_signed(&key).unwrap();
    let error = validate(&Trust::self_signed(), leaf.der()).unwrap_err();
    assert!(matches!(error, IdentityError::UnsupportedAlgorithm { .. }));
    let rsa = trust::read_pem(testdata!("self_rsa.pem")).unwrap();
    let error = Trust::self_signed().validate(&rsa, NOW).unwrap_err();
    assert!(error.to_string().contains("1.2.840.113549.1.1.1"), "{error}");
}

#[test]
fn no_byte_of_a_self_signed_certificate_can_change() {
    let own = Identity::generate(Algorithm::Es256, "Bank", NOW).unwrap();
    let good = own.chain()[0].to_vec();
    for at in 0..good.len() {
        let mut bad = good.clone();
        bad[at] ^= 1;
        assert!(Trust::self_signed().validate(&[bad], NOW).is_err(), "byte {at}");
    }
    for cut in 0..good.len() {
        assert!(Trust::self_signed().validate(&[&good[..cut]], NOW).is_err(), "cut at {cut}");
    }
    let longer = [&good[..], &[0]].concat();
    assert!(Trust::self_signed().validate(&[longer], NOW).is_err());
}

#[test]
fn names_cannot_write_on_the_terminal() {
    let own = Identity::generate(Algorithm::Ed25519, "Bank\u{1b}[2J\n", NOW).unwrap();
    let certificate = Trust::self_signed().validate(own.chain(), NOW).unwrap();
    assert_eq!(certificate.subject(), "CN=Bank\u{fffd}[2J\u{fffd}");
}
