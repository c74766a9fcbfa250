use encrytrust_protocol::{Algorithm, HpkeKey, Suite};

use super::*;
use crate::{identity::Identity, pool::PoolKey};

const NOW: UnixSeconds = 1_800_000_000;

fn market() -> Market {
    Market::new("market.example").unwrap()
}

fn identity() -> (Identity, ValidCertificate) {
    let identity = Identity::generate(Algorithm::Ed25519, "Bank", NOW).unwrap();
    let certificate = Trust::self_signed().validate(identity.chain(), NOW).unwrap();
    (identity, certificate)
}

fn bindings(count: usize) -> Vec<Verified<KeyBinding>> {
    let bind = |_| PoolKey::generate(Suite::X25519).sign_binding(&market(), NOW).unwrap();
    (0..count).map(bind).collect()
}

fn verify(
    pool: &Verified<Pool>,
    bindings: &[Verified<KeyBinding>],
    certificate: &ValidCertificate,
) -> Result<usize, MembershipError> {
    let bytes = PoolSubmission::encode(pool, bindings);
    let submission = PoolSubmission::decode(&bytes)?;
    submission.verify(certificate).map(|(_, keys)| keys.len())
}

#[test]
fn an_identity_claims_its_keys() {
    let (bank, certificate) = identity();
    let keys = bindings(40);
    let pool = bank.sign_pool(&market(), &keys, NOW).unwrap();
    assert_eq!(verify(&pool, &keys, &certificate), Ok(40));
    let bytes = PoolSubmission::encode(&pool, &keys);
    let claimed = PoolSubmission::decode(&bytes).unwrap().claimed_participant();
    assert_eq!(claimed, bank.participant());
}

#[test]
fn a_join_is_verified_by_the_certificate_it_brings() {
    let (bank, _) = identity();
    let join = bank.sign_join(&market(), "Bank", NOW).unwrap();
    let read = || Signed::<Join>::decode(join.bytes()).unwrap();
    assert!(verify_join(read(), &Trust::self_signed(), NOW).is_ok());
    let late = verify_join(read(), &Trust::self_signed(), NOW + 3 * 365 * 86_400);
    assert!(matches!(late, Err(MembershipError::Identity(IdentityError::Expired { .. }))));
    let mut forged = join.bytes().to_vec();
    *forged.last_mut().unwrap() ^= 1;
    let forged = Signed::<Join>::decode(&forged).unwrap();
    let result = verify_join(forged, &Trust::self_signed(), NOW);
    assert!(matches!(result, Err(MembershipError::Signature(_))));
}

#[test]
fn keys_of_others_cannot_be_claimed() {
    let ((bank, certificate), (_, thief)) = (identity(), identity());
    let keys = bindings(2);
    let pool = bank.sign_pool(&market(), &keys, NOW).unwrap();
    assert!(matches!(verify(&pool, &keys, &thief), Err(MembershipError::Signature(_))));
    // Without the keys there is no binding: a changed signature is noticed.
    let mut bytes = PoolSubmission::encode(&pool, &keys);
    *bytes.last_mut().unwrap() ^= 1;
    let result = PoolSubmission::decode(&bytes).unwrap().verify(&certificate);
    assert!(matches!(result, Err(MembershipError::OtherBinding { .. })));
}

#[test]
fn list_and_bindings_belong_together() {
    let (bank, certificate) = identity();
    let keys = bindings(3);
    let pool = bank.sign_pool(&market(), &keys, NOW).unwrap();
    let count = |sent: &[_]| verify(&pool, sent, &certificate).unwrap_err();
    assert_eq!(count(&keys[..2]), MembershipError::Count { listed: 3, found: 2 });
    let mut swapped = keys.clone();
    swapped.swap(0, 1);
    assert!(matches!(count(&swapped), MembershipError::OtherBinding { .. }));
}

#[test]
fn keys_bound_to_another_market_are_refused() {
    let (bank, certificate) = identity();
    let keys = bindings(1);
    let other = Market::new("other.example").unwrap();
    let pool = bank.sign_pool(&other, &keys, NOW).unwrap();
    let error = verify(&pool, &keys, &certificate).unwrap_err();
    assert!(matches!(error, MembershipError::OtherMarket { .. }));
}

#[test]
fn keys_nothing_can_be_sealed_to_are_refused() {
    let (bank, certificate) = identity();
    let key = ed25519_dalek::SigningKey::from_bytes(&[1; 32]);
    let hpke = HpkeKey { suite: Suite::X25519, key: vec![0; 32].into() };
    let binding = crate::signing::sign(&key, KeyBinding { market: market(), hpke, at: NOW });
    let keys = [binding.unwrap()];
    let pool = bank.sign_pool(&market(), &keys, NOW).unwrap();
    let error = verify(&pool, &keys, &certificate).unwrap_err();
    assert!(matches!(error, MembershipError::HpkeKey { .. }));
}

#[test]
fn damaged_submissions_are_refused() {
    let (bank, _) = identity();
    let keys = bindings(1);
    let pool = bank.sign_pool(&market(), &keys, NOW).unwrap();
    let bytes = PoolSubmission::encode(&pool, &keys);
    for cut in 0..bytes.len() {
        if cut != pool.bytes().len() {
            assert!(PoolSubmission::decode(&bytes[..cut]).is_err(), "{cut}");
        }
    }
    assert!(PoolSubmission::decode(&vec![0; PoolSubmission::BYTES_MAX + 1]).is_err());
}
