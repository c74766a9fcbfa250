//! `vectors/<message>/<what it breaks>.json`: one file a fact about the wire format, and
//! `docs/spec/<message>.md`: the same bytes cut line by line.
//!
//! Both are made here from fixed keys, so a changed file is a changed format and shows in review.
//! `make vectors` writes them; the tests fail when a file differs from what is made, and when
//! reading its bytes does not end as it says.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on stops here")]

mod dissect;
mod made;

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
};

use ed25519_dalek::{Signer, SigningKey};
use encrytrust_protocol::*;
use made::*;
use serde_json::{Value as Json, json};

/// How a reading must end: with the message's id, or with this refusal. (A record has no id; its
/// commitment stands there.)
type Expected = Result<String, String>;

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
        "record" => {
            let record = Record::decode(bytes).map_err(|e| e.to_string())?;
            Ok(record.commitment().to_string())
        }
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
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// Compares a file with what it should be; under `make vectors`, writes it first.
fn check_file(path: &Path, made: &str) {
    if std::env::var_os("UPDATE_VECTORS").is_some() {
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, made).unwrap();
    }
    let kept = fs::read_to_string(path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
    assert_eq!(kept, made, "{}: the format changed; see `make vectors`", path.display());
}

#[test]
fn every_vector_is_as_it_was_and_reads_as_it_says() {
    for vector in valid_ones().iter().chain(&broken_offers()).chain(&broken_records()) {
        let path = root().join(format!("vectors/{}/{}.json", vector.message, vector.name));
        let made = file_text(vector);
        check_file(&path, &made);
        let kept: Json = serde_json::from_str(&made).unwrap();
        let reads = if vector.name == "valid" { "id" } else { "refused" };
        assert!(kept.get(reads).is_some(), "{} must be {reads}: {kept}", path.display());
    }
}

/// A spec page opens with the valid vector and shows it dissected, each between its marks.
#[test]
fn every_spec_page_shows_its_vector() {
    for vector in valid_ones() {
        let path = root().join(format!("docs/spec/{}.md", vector.message));
        let page = fs::read_to_string(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
        let page = between(&page, "example", &dissect::whole(&vector.bytes));
        let page = between(&page, "dissected", &dissect::cut(vector.message, &vector.bytes));
        check_file(&path, &page);
    }
}

/// The page with the text between `<!-- mark -->` and `<!-- /mark -->` replaced.
fn between(page: &str, mark: &str, text: &str) -> String {
    let (open, close) = (format!("<!-- {mark} -->\n"), format!("<!-- /{mark} -->"));
    let (before, rest) = page.split_once(&open).unwrap_or_else(|| panic!("no {open} in:\n{page}"));
    let (_, after) = rest.split_once(&close).unwrap_or_else(|| panic!("no {close}"));
    format!("{before}{open}```text\n{text}```\n{close}{after}")
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

/// Why intake does not use batches: in half of them, this one goes through.
#[test]
fn a_batch_accepts_by_chance_what_a_reader_refuses() {
    let name = "signature_r_off_the_subgroup";
    let vectors = broken_offers();
    let bytes = &vectors.iter().find(|v| v.name == name).expect("listed").bytes;
    let signed = Signed::<Offer>::decode(bytes).unwrap();
    assert!(signed.clone().verify().is_err());
    // The coefficients of a batch follow from what is in it, so each size is another chance.
    let good = Signed::<Offer>::decode(&seal(offer())).unwrap();
    let with_neighbours = |count| {
        let batch = std::iter::once(signed.clone()).chain(std::iter::repeat_n(good.clone(), count));
        verify_batch(batch.collect())[0].is_ok()
    };
    assert!((0..64).any(with_neighbours));
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
