//! The vectors, each made from fixed keys.

use ed25519_dalek::{Signer, SigningKey};
use encrytrust_protocol::*;

/// One fact about the wire format.
pub(crate) struct Vector {
    pub(crate) message: &'static str,
    pub(crate) name: &'static str,
    pub(crate) about: &'static str,
    pub(crate) bytes: Vec<u8>,
}

pub(crate) fn key() -> SigningKey {
    SigningKey::from_bytes(&[7; 32])
}

pub(crate) fn seal<M: Message<Signer = PublicKey>>(message: M) -> Vec<u8> {
    let key = key();
    let sealed = Signed::seal(message, PublicKey::from(&key), |tbs| key.sign(tbs).to_vec());
    sealed.expect("the vector's message is within limits").bytes().to_vec()
}

fn seal_by_certificate<M: Message<Signer = CertificateId>>(message: M) -> Vec<u8> {
    let sealed =
        Signed::seal(message, CertificateId::from([9; 32]), |tbs| key().sign(tbs).to_vec());
    sealed.expect("the vector's message is within limits").bytes().to_vec()
}

fn market() -> Market {
    Market::new("market.example").expect("a good name")
}

pub(crate) fn offer() -> Offer {
    Offer {
        market: market(),
        subject: Subject { scheme: TagScheme::Voprf, tag: SubjectTag::from([1; 32]) },
        description: Description {
            title: "Credit history".into(),
            columns: vec![
                Column { name: "credit_amount".into(), kind: ColumnKind::Integer },
                Column { name: "purpose".into(), kind: ColumnKind::Text },
            ],
            text: "Consumer credit, one row a person.".into(),
        },
        commitment: Commitment::from([2; 32]),
        price: 5,
        endpoint: Some("https://bank.example/".into()),
        valid: Validity { from: 1_700_000_000, until: 1_731_536_000 },
        supersedes: None,
    }
}

fn hpke(suite: Suite) -> HpkeKey {
    HpkeKey { suite, key: vec![4; suite.public_key_len()].into() }
}

/// An envelope written by hand, for what [`Signed::seal`] refuses to write.
pub(crate) fn by_hand(
    protected: &str,
    unprotected: &str,
    payload: &[u8],
    signature: &[u8],
) -> Vec<u8> {
    let protected = hex::decode(protected.replace(' ', "")).expect("hex");
    let mut e = minicbor::Encoder::new(Vec::new());
    e.tag(minicbor::data::Tag::new(18)).unwrap().array(4).unwrap();
    e.bytes(&protected).unwrap();
    e.writer_mut().extend(hex::decode(unprotected).expect("hex"));
    e.bytes(payload).unwrap().bytes(signature).unwrap();
    e.into_writer()
}

/// Deterministic CBOR of the protected headers, with each part replaceable.
pub(crate) fn protected(alg: &str, kid: &[u8], typ: &str) -> String {
    let typ_head = match typ.len() {
        0..24 => format!("{:02x}", 0x60 + typ.len()),
        _ => format!("78{:02x}", typ.len()),
    };
    format!("a3 01 {alg} 04 5820 {} 10 {typ_head} {}", hex::encode(kid), hex::encode(typ))
}

fn to_be_signed(protected_hex: &str, aad: &str, payload: &[u8]) -> Vec<u8> {
    let protected = hex::decode(protected_hex.replace(' ', "")).expect("hex");
    let mut tbs = minicbor::Encoder::new(Vec::new());
    tbs.array(4).unwrap().str("Signature1").unwrap().bytes(&protected).unwrap();
    tbs.bytes(aad.as_bytes()).unwrap().bytes(payload).unwrap();
    tbs.into_writer()
}

fn signed_by_hand(protected_hex: &str, aad: &str, payload: &[u8], key: &SigningKey) -> Vec<u8> {
    let signature = key.sign(&to_be_signed(protected_hex, aad, payload)).to_bytes();
    by_hand(protected_hex, "a0", payload, &signature)
}

pub(crate) fn valid_ones() -> Vec<Vector> {
    let valid =
        |message, bytes| Vector { message, name: "valid", about: "A sound message.", bytes };
    let delivery = seal(Delivery {
        market: market(),
        trade: EntryId::from([5; 32]),
        offer: EntryId::from([6; 32]),
        buyer: PublicKey::from(&key()),
        block: BlockHash::from([8; 32]),
        price: 5,
        packet: Sha256Hash::from([3; 32]),
        at: 1_700_000_100,
    });
    vec![
        valid("offer", seal(offer())),
        valid(
            "withdrawal",
            seal(Withdrawal {
                market: market(),
                subject: offer().subject,
                withdraws: EntryId::from([6; 32]),
                at: 1_700_000_050,
            }),
        ),
        valid(
            "request",
            seal(Request {
                market: market(),
                offer: EntryId::from([6; 32]),
                block: BlockHash::from([8; 32]),
                provider: PublicKey::from(&key()),
                reply_key: hpke(Suite::X25519),
                price: 5,
                nonce: Nonce::from([1; 16]),
                at: 1_700_000_090,
            }),
        ),
        valid("record", record().encode()),
        valid("delivery", delivery.clone()),
        valid(
            "receipt",
            seal(Receipt {
                market: market(),
                delivery: delivery.into(),
                outcome: Outcome::Accepted,
                at: 1_700_000_110,
            }),
        ),
        valid(
            "key-binding",
            seal(KeyBinding { market: market(), hpke: hpke(Suite::XWing), at: 1_700_000_000 }),
        ),
        valid(
            "pool",
            seal_by_certificate(Pool {
                market: market(),
                participant: ParticipantId::from([3; 32]),
                bindings: vec![EntryId::from([1; 32]), EntryId::from([2; 32])],
                at: 1_700_000_000,
            }),
        ),
        valid(
            "join",
            seal_by_certificate(Join {
                market: market(),
                name: "First Bank".into(),
                chain: vec![vec![0x30, 0x00].into()],
                at: 1_700_000_000,
            }),
        ),
        valid(
            "admin-command",
            seal(AdminCommand {
                market: market(),
                action: AdminAction::Approve,
                participant: ParticipantId::from([3; 32]),
                reason: "Papers seen.".into(),
                nonce: Nonce::from([1; 16]),
                at: 1_700_000_000,
            }),
        ),
        valid(
            "admin-query",
            seal(AdminQuery { market: market(), nonce: Nonce::from([1; 16]), at: 1_700_000_000 }),
        ),
        valid(
            "key-status",
            seal(KeyStatus {
                market: market(),
                key: PublicKey::from([4; 32]),
                state: KeyState::Active,
                at: 1_700_000_000,
                until: 1_700_000_060,
            }),
        ),
        valid(
            "platform-info",
            seal(PlatformInfo {
                market: market(),
                tag_key: [5; 32].into(),
                genesis: BlockHash::from([8; 32]),
                block_interval: 1000,
                at: 1_700_000_000,
            }),
        ),
        valid(
            "block",
            seal(Block {
                market: market(),
                height: 0,
                previous: BlockHash::NONE,
                index: TreeHead::empty(),
                trades: TreeHead::empty(),
                time: 1_700_000_000_000,
                producer: PublicKey::from(&key()),
                randomness: Sha256Hash::from([3; 32]),
            }),
        ),
        valid(
            "tag-request",
            seal(TagRequest {
                market: market(),
                blinded: vec![7; 64].into(),
                nonce: Nonce::from([1; 16]),
                at: 1_700_000_000,
            }),
        ),
        valid(
            "relay-poll",
            seal(RelayPoll { market: market(), nonce: Nonce::from([1; 16]), at: 1_700_000_000 }),
        ),
    ]
}

pub(crate) fn broken_offers() -> Vec<Vector> {
    let good = seal(offer());
    let key = key();
    let kid = PublicKey::from(&key);
    let payload = encode(&offer());
    let headers = protected("27", kid.as_ref(), domain::OFFER);
    let broken = |name, about, bytes| Vector { message: "offer", name, about, bytes };
    let with = |change: fn(&mut Offer)| {
        let mut changed = offer();
        change(&mut changed);
        signed_by_hand(&headers, domain::OFFER, &encode(&changed), &key)
    };
    let flipped = |at: usize| {
        let mut bytes = good.clone();
        bytes[at] ^= 1;
        bytes
    };
    let small_order = PublicKey::from([0; 32]);
    vec![
        broken("truncated", "The last byte is missing.", good[..good.len() - 1].to_vec()),
        broken("trailing_byte", "One byte follows the end.", [&good[..], &[0]].concat()),
        broken("empty", "Nothing at all.", vec![]),
        broken("oversized", "One byte more than a log entry may have.", {
            let mut long = offer();
            long.description.text = "x".repeat(65_600);
            signed_by_hand(&headers, domain::OFFER, &encode(&long), &key)
        }),
        broken("untagged", "A COSE_Sign1 without its tag 18.", good[1..].to_vec()),
        broken("signature_bit_flipped", "One bit of the signature.", flipped(good.len() - 1)),
        broken("payload_bit_flipped", "One bit of the commitment.", {
            let at = good.windows(32).position(|w| w == [2; 32]).expect("the commitment is there");
            flipped(at)
        }),
        broken("signature_s_not_reduced", "S + L instead of S: malleated (RFC 8032, 5.1.7).", {
            let mut bytes = good.clone();
            let at = bytes.len() - 32;
            add_group_order(&mut bytes[at..]);
            bytes
        }),
        broken(
            "signature_r_off_the_subgroup",
            "A point of order 2 added to R by the signer: a batch may accept it, by chance.",
            off_the_subgroup(&headers, &payload, &key),
        ),
        broken(
            "signed_by_another_key",
            "The kid names one key, another one signed.",
            signed_by_hand(&headers, domain::OFFER, &payload, &SigningKey::from_bytes(&[8; 32])),
        ),
        broken("key_low_order", "A kid of small order, for which forging is free.", {
            let headers = protected("27", small_order.as_ref(), domain::OFFER);
            by_hand(&headers, "a0", &payload, &[0; 64])
        }),
        broken(
            "signed_under_receipt_typ",
            "An offer's payload under a receipt's label.",
            signed_by_hand(
                &protected("27", kid.as_ref(), domain::RECEIPT),
                domain::RECEIPT,
                &payload,
                &key,
            ),
        ),
        broken(
            "aad_of_receipt",
            "The typ says offer, the signature was made for a receipt.",
            signed_by_hand(&headers, domain::RECEIPT, &payload, &key),
        ),
        broken(
            "alg_es256",
            "A pool key that claims ECDSA.",
            signed_by_hand(
                &protected("26", kid.as_ref(), domain::OFFER),
                domain::OFFER,
                &payload,
                &key,
            ),
        ),
        broken(
            "kid_short",
            "A kid of 31 bytes.",
            signed_by_hand(
                &protected("27", &kid.as_ref()[1..], domain::OFFER).replace("5820", "581f"),
                domain::OFFER,
                &payload,
                &key,
            ),
        ),
        broken("header_order", "Protected headers out of order: 4, 1, 16.", {
            let typ = format!("10 78{:02x} {}", domain::OFFER.len(), hex::encode(domain::OFFER));
            let headers = format!("a3 04 5820 {} 01 27 {typ}", hex::encode(kid));
            signed_by_hand(&headers, domain::OFFER, &payload, &key)
        }),
        broken("header_extra", "A content type beside the typ.", {
            let headers = headers.replacen("a3 01 27", "a4 01 27 03 00", 1);
            signed_by_hand(&headers, domain::OFFER, &payload, &key)
        }),
        broken("header_unprotected", "An unprotected header, which no signature covers.", {
            let signed = signed_by_hand(&headers, domain::OFFER, &payload, &key);
            let signature = &signed[signed.len() - 64..];
            by_hand(&headers, "a1044100", &payload, signature)
        }),
        broken("length_not_shortest", "The payload's first number in two bytes instead of one.", {
            let mut long = payload.clone();
            long.splice(1..2, [0x18, 0x00]);
            signed_by_hand(&headers, domain::OFFER, &long, &key)
        }),
        broken("field_unknown", "A ninth field that no version defines.", {
            let mut more = payload.clone();
            more[0] += 1;
            more.extend([0x18, 0x63, 0x00]);
            signed_by_hand(&headers, domain::OFFER, &more, &key)
        }),
        broken("field_missing", "No market.", {
            let mut less = payload.clone();
            less[0] -= 1;
            less.drain(1..3 + market().as_str().len());
            signed_by_hand(&headers, domain::OFFER, &less, &key)
        }),
        broken("title_empty", "A title of no bytes.", with(|o| o.description.title.clear())),
        broken("title_control_character", "A bell in the title.", {
            with(|o| o.description.title.push('\u{7}'))
        }),
        broken("columns_none", "A record of nothing.", with(|o| o.description.columns.clear())),
        broken("column_twice", "Two columns of one name.", {
            with(|o| o.description.columns[1].name = o.description.columns[0].name.clone())
        }),
        broken("price_above_limit", "More credits than there can be.", {
            with(|o| o.price = Offer::PRICE_MAX + 1)
        }),
        broken("endpoint_not_http", "An address no node answers at.", {
            with(|o| o.endpoint = Some("ftp://bank.example/".into()))
        }),
        broken("ends_before_it_begins", "An empty validity.", {
            with(|o| o.valid = Validity { from: 2, until: 1 })
        }),
        broken("runs_too_long", "A century of validity.", {
            with(|o| o.valid.until = o.valid.from + 100 * 366 * 86_400)
        }),
        broken("market_name_upper_case", "A name outside the alphabet.", {
            let mut bytes = payload.clone();
            bytes[3] = b'M';
            signed_by_hand(&headers, domain::OFFER, &bytes, &key)
        }),
    ]
}

/// What the offer in these vectors might sell.
pub(crate) fn record() -> Record {
    Record::new([6; 32], vec![Value::Integer(1169), Value::Text("radio/television".into())])
}

pub(crate) fn broken_records() -> Vec<Vector> {
    let good = record().encode();
    let broken = |name, about, bytes| Vector { message: "record", name, about, bytes };
    vec![
        broken("truncated", "The last byte is missing.", good[..good.len() - 1].to_vec()),
        broken("trailing_byte", "One byte follows the end.", [&good[..], &[0]].concat()),
        broken("salt_short", "A salt of 31 bytes.", {
            let mut bytes = good.clone();
            bytes[3] = 31;
            bytes.remove(4);
            bytes
        }),
        broken("value_of_no_type", "A floating-point number.", {
            let mut bytes = good[..good.len() - 17].to_vec();
            bytes.extend([0xf9, 0x3c, 0x00]);
            bytes
        }),
    ]
}

/// Signs with R moved by the point of order 2, which only whoever holds the key can do.
fn off_the_subgroup(headers: &str, payload: &[u8], key: &SigningKey) -> Vec<u8> {
    use curve25519_dalek::{constants::EIGHT_TORSION, edwards::EdwardsPoint, scalar::Scalar};
    use sha2::{Digest, Sha512};

    let tbs = to_be_signed(headers, domain::OFFER, payload);
    let nonce = Scalar::from(42_u8);
    let moved = EdwardsPoint::mul_base(&nonce) + EIGHT_TORSION[4];
    let r = moved.compress().to_bytes();
    let challenge = Sha512::new().chain_update(r).chain_update(PublicKey::from(key));
    let challenge = challenge.chain_update(&tbs).finalize().into();
    let s = nonce + Scalar::from_bytes_mod_order_wide(&challenge) * key.to_scalar();
    by_hand(headers, "a0", payload, &[r, s.to_bytes()].concat())
}

/// Adds the order of the Ed25519 group (RFC 8032, section 5.1) to a little-endian scalar.
fn add_group_order(scalar: &mut [u8]) {
    let order = hex::decode("edd3f55c1a631258d69cf7a2def9de1400000000000000000000000000000010");
    let mut carry = 0;
    for (digit, add) in scalar.iter_mut().zip(order.expect("hex")) {
        let sum = u16::from(*digit) + u16::from(add) + carry;
        *digit = sum as u8;
        carry = sum >> 8;
    }
}
