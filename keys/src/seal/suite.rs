//! The suites, and the only code that names the `hpke` crate.

use encrytrust_protocol::Suite;
use hpke::{
    Deserializable, HpkeError, Kem, OpModeR, OpModeS, Serializable,
    aead::ChaCha20Poly1305,
    kdf::HkdfSha256,
    kem::{X25519HkdfSha256, XWing},
};

/// Calls a generic function with the suite's KEM.
macro_rules! with_kem {
    ($suite:expr, $function:ident($($argument:expr),*)) => {
        match $suite {
            Suite::XWing => $function::<XWing>($($argument),*),
            Suite::X25519 => $function::<X25519HkdfSha256>($($argument),*),
        }
    };
}

/// What sealing yields: the encapsulated key and the ciphertext.
type Sealed = (Vec<u8>, Vec<u8>);

pub(super) fn check_public(suite: Suite, public: &[u8]) -> Result<(), HpkeError> {
    with_kem!(suite, check_with(public))
}

pub(super) fn public_of(suite: Suite, secret: &[u8; 32]) -> Vec<u8> {
    with_kem!(suite, public_with(secret))
}

/// RFC 9180, section 6.1, `SealBase`.
pub(super) fn seal(
    suite: Suite,
    public: &[u8],
    info: &[u8],
    aad: &[u8],
    plaintext: &[u8],
) -> Result<Sealed, HpkeError> {
    with_kem!(suite, seal_with(public, info, aad, plaintext))
}

/// RFC 9180, section 6.1, `OpenBase`.
pub(super) fn open(
    suite: Suite,
    secret: &[u8; 32],
    enc: &[u8],
    info: &[u8],
    aad: &[u8],
    ciphertext: &[u8],
) -> Result<Vec<u8>, HpkeError> {
    with_kem!(suite, open_with(secret, enc, info, aad, ciphertext))
}

fn secret_key<K: Kem>(secret: &[u8; 32]) -> K::PrivateKey {
    K::PrivateKey::from_bytes(secret).expect("any 32 bytes are a secret of both KEMs")
}

/// A point of small order is refused when something is encapsulated to it (RFC 9180, section
/// 7.1.4), so that is what the check does.
fn check_with<K: Kem>(public: &[u8]) -> Result<(), HpkeError> {
    seal_with::<K>(public, b"", b"", b"").map(drop)
}

fn public_with<K: Kem>(secret: &[u8; 32]) -> Vec<u8> {
    K::sk_to_pk(&secret_key::<K>(secret)).to_bytes().to_vec()
}

fn seal_with<K: Kem>(
    public: &[u8],
    info: &[u8],
    aad: &[u8],
    plaintext: &[u8],
) -> Result<Sealed, HpkeError> {
    let public = K::PublicKey::from_bytes(public)?;
    let (enc, ciphertext) = hpke::single_shot_seal::<ChaCha20Poly1305, HkdfSha256, K>(
        &OpModeS::Base,
        &public,
        info,
        plaintext,
        aad,
    )?;
    Ok((enc.to_bytes().to_vec(), ciphertext))
}

fn open_with<K: Kem>(
    secret: &[u8; 32],
    enc: &[u8],
    info: &[u8],
    aad: &[u8],
    ciphertext: &[u8],
) -> Result<Vec<u8>, HpkeError> {
    let enc = K::EncappedKey::from_bytes(enc)?;
    hpke::single_shot_open::<ChaCha20Poly1305, HkdfSha256, K>(
        &OpModeR::Base,
        &secret_key::<K>(secret),
        &enc,
        info,
        ciphertext,
        aad,
    )
}
