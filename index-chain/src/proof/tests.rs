use proptest::prelude::*;

use super::*;
use crate::{
    checkpoint::{LogName, tests::market},
    note::tests::{cosignature_line, key as witness_key},
    sample::{Bench, platform},
};

fn proven() -> (TlogProof, Vec<u8>, Vkey) {
    let reader = Bench::new().chain.reader();
    let (log, sealed) = (LogName::Index, reader.sealed().unwrap());
    let proof = TlogProof::new(reader.log(log), 77, sealed.checkpoint(log)).unwrap();
    (proof, reader.log(log).entry(77).unwrap(), log.vkey(&market(), platform()))
}

#[test]
fn a_file_proves_its_entry_and_no_other() {
    let (proof, entry, vkey) = proven();
    let file = proof.encode();
    let head = "c2sp.org/tlog-proof@v1\nindex 77\n";
    assert!(file.starts_with(head), "{file}");
    assert!(file.contains("\n\nmarket.example/index\n302\n"), "{file}");
    let read = TlogProof::parse(file.as_bytes()).unwrap();
    assert_eq!(read.encode(), file);
    let proven = read.verify(&entry, &vkey, &[], 0).unwrap();
    assert_eq!(proven.checkpoint.head.size, 302);
    let other = read.verify(b"another entry", &vkey, &[], 0);
    assert!(matches!(other, Err(TlogProofError::Inclusion { index: 77, .. })));
    let moved = TlogProof::parse(file.replace("index 77", "index 78").as_bytes()).unwrap();
    assert!(moved.verify(&entry, &vkey, &[], 0).is_err());
    let trades = LogName::Trades.vkey(&market(), platform());
    let elsewhere = read.verify(&entry, &trades, &[], 0);
    assert!(matches!(elsewhere, Err(TlogProofError::Checkpoint(_))));
}

#[test]
fn a_quorum_of_witnesses_can_be_asked_for() {
    let (mut proof, entry, vkey) = proven();
    let known = [Vkey::witness("witness.example", (&witness_key(9)).into()).unwrap()];
    let alone = proof.verify(&entry, &vkey, &known, 1);
    assert_eq!(alone, Err(TlogProofError::Witnesses { have: 0, need: 1 }));
    let line = cosignature_line(&known[0], &witness_key(9), 5, proof.note.text());
    proof.note.merge(&line, &known).unwrap();
    proof.extra = Some(b"anything".to_vec());
    let read = TlogProof::parse(proof.encode().as_bytes()).unwrap();
    assert_eq!(read.extra.as_deref(), Some(&b"anything"[..]));
    assert_eq!(read.verify(&entry, &vkey, &known, 1).unwrap().witnesses.len(), 1);
}

#[test]
fn the_example_of_the_specification_has_this_shape() {
    let note = String::from_utf8(proven().0.note.to_bytes()).unwrap();
    let file = format!(
        "c2sp.org/tlog-proof@v1\nextra YWdlLXYxLjIuMS1kYXJ3aW4tYXJtNjQudGFyLmd6\nindex 73894\n\
         gSKyXoYZUgZ6jduWYrkDOARinOMGJveXjgMkBTcdPlQ=\n\
         B95lDa8R83lS8n0eG+o0buTxRKQTYFi//1U8anccXmA=\n\n{note}"
    );
    let read = TlogProof::parse(file.as_bytes()).unwrap();
    assert_eq!((read.index, read.hashes.len()), (73_894, 2));
    assert_eq!(read.extra.as_deref(), Some(&b"age-v1.2.1-darwin-arm64.tar.gz"[..]));
    assert_eq!(read.encode(), file);
}

#[test]
fn malformed_files_are_refused_by_line() {
    let file = proven().0.encode();
    let line_of = |bad: &str| match TlogProof::parse(bad.as_bytes()) {
        Err(TlogProofError::Malformed { line, .. }) => line,
        other => panic!("{bad:?}: {other:?}"),
    };
    assert_eq!(line_of(""), 1);
    assert_eq!(line_of(&file.replace("@v1", "@v2")), 1);
    assert_eq!(line_of(&file.replace("index 77", "index 077")), 2);
    assert_eq!(line_of(&file.replace("index 77", "index -1")), 2);
    assert_eq!(line_of(&file.replace("index 77", "extra ?\nindex 77")), 2);
    assert_eq!(line_of(&file.replace("index 77", "index 77\nAAAA")), 3);
    let hash = format!("{}=\n", "A".repeat(43));
    let many = format!("index 77\n{}", hash.repeat(PROOF_HASHES_MAX));
    assert_eq!(line_of(&file.replace("index 77\n", &many)), PROOF_HASHES_MAX + 3);
    assert_eq!(line_of(&"x".repeat(PROOF_BYTES_MAX + 1)), 1);
    let unsigned = file.split("\n\n").take(2).collect::<Vec<_>>().join("\n\n");
    assert!(TlogProof::parse(unsigned.as_bytes()).is_err());
}

proptest! {
    #[test]
    fn no_bytes_make_the_parser_panic(bytes in prop::collection::vec(any::<u8>(), 0..400)) {
        let _ = TlogProof::parse(&bytes);
        let _ = TlogProof::parse(&[b"c2sp.org/tlog-proof@v1\nindex 1\n", &bytes[..]].concat());
        let _ = Note::parse(&bytes);
        let _ = Checkpoint::parse(&String::from_utf8_lossy(&bytes));
    }
}
