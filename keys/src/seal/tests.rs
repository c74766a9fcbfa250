use proptest::prelude::*;
use serde_json::Value;

use super::*;

const SUITES: [Suite; 2] = [Suite::XWing, Suite::X25519];

fn hex_of(vector: &Value, field: &str) -> Vec<u8> {
    hex::decode(vector[field].as_str().unwrap()).unwrap()
}

fn array(bytes: &[u8]) -> [u8; 32] {
    bytes.try_into().unwrap()
}

fn reply(trade: u8, offer: u8, block: u8) -> SealContext<'static> {
    SealContext::Reply {
        trade: [trade; 32].into(),
        offer: [offer; 32].into(),
        block: [block; 32].into(),
    }
}

#[test]
fn published_base_mode_vectors_open() {
    for (suite, text) in [
        (Suite::X25519, include_str!("../../../vectors/hpke/x25519_chacha20poly1305.json")),
        (Suite::XWing, include_str!("../../../vectors/hpke/xwing_chacha20poly1305.json")),
    ] {
        let v: Value = serde_json::from_str(text).unwrap();
        let key = SealKey::from_secret(suite, &array(&hex_of(&v, "skRm")));
        assert_eq!(**key.public().key, hex_of(&v, "pkRm"));
        let [enc, info, aad, ct] = ["enc", "info", "aad", "ct"].map(|f| hex_of(&v, f));
        let opened = key.expose(|secret| suite::open(suite, secret, &enc, &info, &aad, &ct));
        assert_eq!(opened.unwrap(), hex_of(&v, "pt"));
    }
}

/// Packets that other HPKE libraries open too: see their `source`.
#[test]
fn packets_of_this_protocol_open() {
    for text in [
        include_str!("../../../vectors/hpke/request_x25519.json"),
        include_str!("../../../vectors/hpke/request_xwing.json"),
        include_str!("../../../vectors/hpke/reply_x25519.json"),
        include_str!("../../../vectors/hpke/reply_xwing.json"),
    ] {
        let v: Value = serde_json::from_str(text).unwrap();
        let id = |field| array(&hex_of(&v["context"], field));
        let market;
        let context = if v["purpose"] == "request" {
            market = Market::new(v["context"]["market"].as_str().unwrap()).unwrap();
            SealContext::Request { market: &market, provider: id("provider").into() }
        } else {
            let [trade, offer] = ["trade", "offer"].map(|field| id(field).into());
            SealContext::Reply { trade, offer, block: id("block").into() }
        };
        assert_eq!(context.info(), hex_of(&v, "info"));
        let packet = SealedPacket::decode(&hex_of(&v, "packet")).unwrap();
        let key = SealKey::from_secret(packet.suite, &array(&hex_of(&v, "secret_key")));
        assert_eq!(**key.public().key, hex_of(&v, "public_key"));
        assert_eq!(*key.open(&context, b"", &packet).unwrap(), hex_of(&v, "plaintext"));
    }
}

#[test]
fn x_wing_draft_vectors() {
    use hpke::{Deserializable, Kem, kem::XWing};
    let text = include_str!("../../../vectors/hpke/xwing_kem.json");
    let file: Value = serde_json::from_str(text).unwrap();
    for v in file["vectors"].as_array().unwrap() {
        let secret = hex_of(v, "sk");
        let key = SealKey::from_secret(Suite::XWing, &array(&secret));
        assert_eq!(**key.public().key, hex_of(v, "pk"));
        let secret = <XWing as Kem>::PrivateKey::from_bytes(&secret).unwrap();
        let enc = <XWing as Kem>::EncappedKey::from_bytes(&hex_of(v, "ct")).unwrap();
        assert_eq!(XWing::decap(&secret, None, &enc).unwrap().0.to_vec(), hex_of(v, "ss"));
    }
}

#[test]
fn lengths_are_those_of_the_protocol() {
    for suite in SUITES {
        let key = SealKey::generate(suite);
        assert_eq!(key.public().key.len(), suite.public_key_len());
        let packet = seal(key.public(), &reply(1, 2, 3), b"", b"12345").unwrap();
        assert_eq!(packet.enc.len(), suite.enc_len());
        assert_eq!(packet.ciphertext.len(), 5 + TAG_LEN);
        assert_eq!(SealedPacket::decode(&packet.encode()), Ok(packet));
    }
}

#[test]
fn a_packet_opens_only_for_its_purpose() {
    let key = SealKey::generate(Suite::X25519);
    let packet = seal(key.public(), &reply(1, 2, 3), b"aad", b"record").unwrap();
    let open = |c: &SealContext<'_>, aad: &[u8]| key.open(c, aad, &packet).map(|p| p.to_vec());
    assert_eq!(open(&reply(1, 2, 3), b"aad"), Ok(b"record".to_vec()));
    for other in [reply(9, 2, 3), reply(1, 9, 3), reply(1, 2, 9)] {
        assert_eq!(open(&other, b"aad"), Err(SealError::DoesNotOpen));
    }
    assert_eq!(open(&reply(1, 2, 3), b"bad"), Err(SealError::DoesNotOpen));

    let market = Market::new("market.example").unwrap();
    let other_market = Market::new("other.example").unwrap();
    let request = |market, provider: u8| SealContext::Request {
        market,
        provider: PublicKey::from([provider; 32]),
    };
    assert_eq!(open(&request(&market, 7), b"aad"), Err(SealError::DoesNotOpen));
    let packet = seal(key.public(), &request(&market, 7), b"", b"request").unwrap();
    assert!(key.open(&request(&market, 7), b"", &packet).is_ok());
    assert!(key.open(&request(&market, 8), b"", &packet).is_err());
    assert!(key.open(&request(&other_market, 7), b"", &packet).is_err());
    assert!(SealKey::generate(Suite::X25519).open(&request(&market, 7), b"", &packet).is_err());
}

#[test]
fn bad_packets_are_named() {
    let key = SealKey::generate(Suite::X25519);
    let open = |packet: &SealedPacket| key.open(&reply(1, 2, 3), b"", packet).map(drop);
    let good = seal(key.public(), &reply(1, 2, 3), b"", b"x").unwrap();
    for cut in 0..good.ciphertext.len() {
        let ciphertext = good.ciphertext[..cut].to_vec().into();
        assert_eq!(open(&SealedPacket { ciphertext, ..good.clone() }), Err(SealError::DoesNotOpen));
    }
    for len in [0, 31, 33, 1120] {
        let enc = vec![9; len].into();
        assert_eq!(open(&SealedPacket { enc, ..good.clone() }), Err(SealError::DoesNotOpen));
    }
    let hybrid = SealKey::generate(Suite::XWing);
    let hybrid = seal(hybrid.public(), &reply(1, 2, 3), b"", b"x").unwrap();
    let error = SealError::OtherSuite { found: Suite::XWing, expected: Suite::X25519 };
    assert_eq!(open(&hybrid), Err(error));
    let ciphertext = vec![0; PLAINTEXT_MAX + TAG_LEN + 1].into();
    let error = open(&SealedPacket { ciphertext, ..good.clone() });
    assert!(matches!(error, Err(SealError::TooLong { .. })));
}

#[test]
fn the_largest_record_fits_and_one_byte_more_does_not() {
    let key = SealKey::generate(Suite::X25519);
    let big = vec![0; PLAINTEXT_MAX + 1];
    let error = seal(key.public(), &reply(1, 2, 3), b"", &big);
    assert!(matches!(error, Err(SealError::TooLong { .. })));
    let packet = seal(key.public(), &reply(1, 2, 3), b"", &big[1..]).unwrap();
    assert!(key.open(&reply(1, 2, 3), b"", &packet).is_ok());
    assert!(packet.encode().len() <= SealedPacket::BYTES_MAX);
}

#[test]
fn bad_public_keys_are_refused() {
    let refused = |suite, key: &[u8]| {
        let key = HpkeKey { suite, key: key.to_vec().into() };
        let error = Err(SealError::BadKey { suite });
        assert_eq!(check_public_key(&key), error);
        assert_eq!(seal(&key, &reply(1, 2, 3), b"", b"x").map(drop), error);
    };
    refused(Suite::X25519, &[1; 31]);
    refused(Suite::XWing, &[1; 32]);
    // The point of order one leads every sender to the same secret.
    refused(Suite::X25519, &[0; 32]);
    // Coefficients at or above q = 3329 have no meaning (FIPS 203, section 7.2).
    refused(Suite::XWing, &[0xff; 1216]);
    for suite in SUITES {
        assert_eq!(check_public_key(SealKey::generate(suite).public()), Ok(()));
    }
}

#[test]
fn debug_shows_no_secret() {
    let key = SealKey::from_secret(Suite::X25519, &[0x5a; 32]);
    assert_eq!(format!("{key:?}"), "SealKey(X25519, <redacted>)");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]

    #[test]
    fn what_is_sealed_opens(
        plaintext in prop::collection::vec(any::<u8>(), 0..2000),
        aad in prop::collection::vec(any::<u8>(), 0..64),
        hybrid: bool,
    ) {
        let key = SealKey::generate(if hybrid { Suite::XWing } else { Suite::X25519 });
        let packet = seal(key.public(), &reply(1, 2, 3), &aad, &plaintext).unwrap();
        prop_assert_eq!(&*key.open(&reply(1, 2, 3), &aad, &packet).unwrap(), &plaintext);
    }

    #[test]
    fn one_flipped_bit_does_not_open(at: prop::sample::Index, bit in 0..8u8, hybrid: bool) {
        let key = SealKey::generate(if hybrid { Suite::XWing } else { Suite::X25519 });
        let good = seal(key.public(), &reply(1, 2, 3), b"aad", b"a record").unwrap();
        let (mut enc, mut ciphertext) = (good.enc.to_vec(), good.ciphertext.to_vec());
        let at = at.index(enc.len() + ciphertext.len());
        match at.checked_sub(enc.len()) {
            Some(at) => ciphertext[at] ^= 1u8 << bit,
            None => enc[at] ^= 1u8 << bit,
        }
        let bad = SealedPacket { suite: good.suite, enc: enc.into(), ciphertext: ciphertext.into() };
        let opened = key.open(&reply(1, 2, 3), b"aad", &bad);
        prop_assert_eq!(opened, Err(SealError::DoesNotOpen), "byte {}", at);
    }
}
