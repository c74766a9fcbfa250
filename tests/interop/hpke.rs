//! HPKE libraries (PyPI `pyhpke` and npm `@hpke/core`) open what we seal, now and not from a file.

use std::fs;

use encrytrust_keys::seal::{SealContext, SealKey, seal};
use encrytrust_protocol::{BlockHash, EntryId, Record, SealedPacket, Suite, Value};
use serde_json::json;

use crate::{accepted, refused, run};

fn open(script: &str, key: &SealKey, info: &[u8], packet: &SealedPacket) -> std::process::Output {
    let kem = match packet.suite {
        Suite::X25519 => 0x0020,
        Suite::XWing => 0x647a,
    };
    let request = json!({
        "kem": kem,
        "kdf": 1,
        "aead": 3,
        "secret_key": key.expose(|secret| hex::encode(secret)),
        "enc": hex::encode(&**packet.enc),
        "ciphertext": hex::encode(&**packet.ciphertext),
        "info": hex::encode(info),
        "aad": "",
    });
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("packet.json");
    fs::write(&file, request.to_string()).unwrap();
    run(script, &[file])
}

#[test]
fn hpke_libraries_open_a_reply_and_nothing_else() {
    let record = Record::new([9; 32], vec![Value::Integer(1169), Value::Text("own".into())]);
    let context = SealContext::Reply {
        trade: EntryId::from([1; 32]),
        offer: EntryId::from([2; 32]),
        block: BlockHash::from([3; 32]),
    };
    for suite in [Suite::X25519, Suite::XWing] {
        let key = SealKey::generate(suite);
        let packet = seal(key.public(), &context, b"", &record.encode()).unwrap();
        let another_trade = SealContext::Reply {
            trade: EntryId::from([7; 32]),
            offer: EntryId::from([2; 32]),
            block: BlockHash::from([3; 32]),
        };
        for script in ["open_reply_hpke.py", "open_reply_hpke.mjs"] {
            let opened = accepted(&open(script, &key, &context.info(), &packet));
            assert_eq!(hex::decode(opened).unwrap(), record.encode(), "{script} {suite:?}");
            refused(&open(script, &key, &another_trade.info(), &packet));
        }
    }
}
