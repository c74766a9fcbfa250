//! `vectors/<message>/<what it breaks>.json`: one file a fact about the wire format.
//!
//! Every file is made here from fixed keys, so a changed file is a changed format and shows in
//! review. `make vectors` writes them; the test fails when a file differs from what is made, and
//! when reading its bytes does not end as it says.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on stops here")]

use std::{collections::BTreeMap, fs, path::PathBuf};

use ed25519_dalek::{Signer, SigningKey};
use encrytrust_protocol::*;
use serde_json::{Value as Json, json};

/// How a reading must end: with the message's id, or with this refusal.
type Expected = Result<String, String>;

struct Vector {
    message: &'static str,
    name: &'static str,
    about: &'static str,
    bytes: Vec<u8>,
}

fn key() -> SigningKey {
    SigningKey::from_bytes(&[7; 32])
}

fn seal<M: Message<Signer = PublicKey>>(message: M) -> Vec<u8> {
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

fn offer() -> Offer {
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
fn by_hand(protected: &str, unprotected: &str, payload: &[u8], signature: &[u8]) -> Vec<u8> {
    let protected = hex::decode(protected.replace(' ', "")).expect("hex");
    let mut e = minicbor::Encoder::new(Vec::new());
    e.tag(minicbor::data::Tag::new(18)).unwrap().array(4).unwrap();
    e.bytes(&protected).unwrap();
    e.writer_mut().extend(hex::decode(unprotected).expect("hex"));
    e.bytes(payload).unwrap().bytes(signature).unwrap();
    e.into_writer()
}

/// Deterministic CBOR of the protected headers, with each part replaceable.
fn protected(alg: &str, kid: &[u8], typ: &str) -> String {
    let typ_head = match typ.len() {
        0..24 => format!("{:02x}", 0x60 + typ.len()),
        _ => format!("78{:02x}", typ.len()),
    };
    format!("a3 01 {alg} 04 5820 {} 10 {typ_head} {}", hex::encode(kid), hex::encode(typ))
}

fn signed_by_hand(protected_hex: &str, aad: &str, payload: &[u8], key: &SigningKey) -> Vec<u8> {
    let protected = hex::decode(protected_hex.replace(' ', "")).expect("hex");
    let mut tbs = minicbor::Encoder::new(Vec::new());
    tbs.array(4).unwrap().str("Signature1").unwrap().bytes(&protected).unwrap();
    tbs.bytes(aad.as_bytes()).unwrap().bytes(payload).unwrap();
    let signature = key.sign(&tbs.into_writer()).to_bytes();
    by_hand(protected_hex, "a0", payload, &signature)
}

fn valid_ones() -> Vec<Vector> {
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
                reply_key: hpke(Suite::XWing),
                price: 5,
                nonce: Nonce::from([1; 16]),
                at: 1_700_000_090,
            }),
        ),
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
            seal(KeyBinding { market: market(), hpke: hpke(Suite::X25519), at: 1_700_000_000 }),
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

fn broken_offers() -> Vec<Vector> {
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

fn read_signed<M: Message<Signer = PublicKey>>(bytes: &[u8]) -> Expected {
    let signed = Signed::<M>::decode(bytes).map_err(|e| e.to_string())?;
    signed.verify().map(|v| v.id().to_string()).map_err(|e| e.to_string())
}

/// What certificates sign is read here and verified where certificates are: in `keys`.
fn read_shape<M: Message<Signer = CertificateId>>(bytes: &[u8]) -> Expected {
    Signed::<M>::decode(bytes).map(|s| s.id().to_string()).map_err(|e| e.to_string())
}

fn read(message: &str, bytes: &[u8]) -> Expected {
    match message {
        "offer" => read_signed::<Offer>(bytes),
        "withdrawal" => read_signed::<Withdrawal>(bytes),
        "request" => read_signed::<Request>(bytes),
        "delivery" => read_signed::<Delivery>(bytes),
        "receipt" => read_signed::<Receipt>(bytes),
        "key-binding" => read_signed::<KeyBinding>(bytes),
        "pool" => read_shape::<Pool>(bytes),
        "join" => read_shape::<Join>(bytes),
        "admin-command" => read_signed::<AdminCommand>(bytes),
        "admin-query" => read_signed::<AdminQuery>(bytes),
        "key-status" => read_signed::<KeyStatus>(bytes),
        "platform-info" => read_signed::<PlatformInfo>(bytes),
        "block" => read_signed::<Block>(bytes),
        "tag-request" => read_signed::<TagRequest>(bytes),
        "relay-poll" => read_signed::<RelayPoll>(bytes),
        other => panic!("no reader for {other}"),
    }
}

fn file_text(vector: &Vector) -> String {
    let mut file = BTreeMap::from([
        ("about", json!(vector.about)),
        ("bytes", json!(hex::encode(&vector.bytes))),
    ]);
    match read(vector.message, &vector.bytes) {
        Ok(id) => file.insert("id", json!(id)),
        Err(refusal) => file.insert("refused", json!(refusal)),
    };
    serde_json::to_string_pretty(&file).expect("strings") + "\n"
}

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../vectors")
}

#[test]
fn every_vector_is_as_it_was_and_reads_as_it_says() {
    let write = std::env::var_os("UPDATE_VECTORS").is_some();
    for vector in valid_ones().iter().chain(&broken_offers()) {
        let path = root().join(vector.message).join(format!("{}.json", vector.name));
        let made = file_text(vector);
        if write {
            fs::create_dir_all(path.parent().expect("in a folder")).expect("folder made");
            fs::write(&path, &made).expect("vector written");
        }
        let kept = fs::read_to_string(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
        assert_eq!(kept, made, "{}: the format changed; see `make vectors`", path.display());
        let kept: Json = serde_json::from_str(&kept).expect("JSON");
        let reads = if vector.name == "valid" { "id" } else { "refused" };
        assert!(kept.get(reads).is_some(), "{} must be {reads}: {kept}", path.display());
    }
}

#[test]
fn a_broken_batch_names_its_culprit_alone() {
    let good = seal(offer());
    let mut bad = good.clone();
    *bad.last_mut().expect("not empty") ^= 1;
    let batch = [&good, &bad, &good].map(|b| Signed::<Offer>::decode(b).expect("well-formed"));
    let verdicts: Vec<bool> = verify_batch(batch.to_vec()).iter().map(Result::is_ok).collect();
    assert_eq!(verdicts, [true, false, true]);
}

#[test]
fn a_batch_takes_no_key_of_small_order() {
    let headers = protected("27", &[0; 32], domain::OFFER);
    let forged = by_hand(&headers, "a0", &encode(&offer()), &[0; 64]);
    let batch = vec![Signed::<Offer>::decode(&forged).expect("well-formed")];
    assert!(verify_batch(batch)[0].is_err());
}

#[test]
fn a_receipt_binds_both_sides() {
    let buyer = SigningKey::from_bytes(&[1; 32]);
    let vectors = valid_ones();
    let bytes = &vectors.iter().find(|v| v.message == "receipt").expect("listed").bytes;
    let receipt = Signed::<Receipt>::decode(bytes).unwrap().verify().unwrap();
    assert!(receipt.delivery().is_ok());

    let stolen = receipt.message().clone();
    let stolen =
        Signed::seal(stolen, PublicKey::from(&buyer), |tbs| buyer.sign(tbs).to_vec()).unwrap();
    assert!(matches!(stolen.delivery(), Err(ReceiptError::NotTheBuyer { .. })));
}
