//! A COSE library (PyPI `cwt`) verifies signatures of every kind of message.

use std::fs;

use encrytrust_protocol::domain;
use serde_json::Value as Json;

use crate::{accepted, refused, run, vector};

fn verify(bytes: &[u8], typ: &str) -> std::process::Output {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("message.cose");
    fs::write(&file, bytes).unwrap();
    run("verify_offer_cose.py", &[file.as_os_str(), "--typ".as_ref(), typ.as_ref()])
}

#[test]
fn a_cose_library_verifies_what_we_sign() {
    let signed = [
        ("offer", domain::OFFER),
        ("withdrawal", domain::WITHDRAWAL),
        ("request", domain::REQUEST),
        ("delivery", domain::DELIVERY),
        ("receipt", domain::RECEIPT),
        ("block", domain::BLOCK),
    ];
    for (name, typ) in signed {
        let answer = accepted(&verify(&vector(&format!("{name}/valid.json")), typ));
        let answer: Json = serde_json::from_str(&answer).unwrap();
        assert_eq!(answer["typ"], typ);
    }
}

#[test]
fn a_cose_library_refuses_what_we_refuse() {
    for name in ["payload_bit_flipped", "signature_bit_flipped", "aad_of_receipt", "truncated"] {
        let bytes = vector(&format!("offer/{name}.json"));
        assert!(!refused(&verify(&bytes, domain::OFFER)).is_empty(), "{name}");
    }
}
