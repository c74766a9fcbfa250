use std::sync::Arc;

use super::*;
use crate::{
    checkpoint::tests::{key, market},
    disk::{FaultyDisk, Survive},
    note::{
        Vkey,
        tests::{cosignature_line, key as witness_key},
    },
    proof::TlogProof,
};

fn platform() -> PublicKey {
    key(1).public()
}

fn open(disk: &FaultyDisk) -> Result<(Chain, Recovery), ChainError> {
    Chain::open_on(Arc::new(disk.clone()), &market(), platform())
}

fn seal(chain: &mut Chain, time: u64) -> Arc<SealedBlock> {
    chain.seal(time, Sha256Hash::from([time as u8; 32]), &key(1)).unwrap()
}

fn chain_of(blocks: u64) -> (FaultyDisk, Chain) {
    let disk = FaultyDisk::new();
    let mut chain = open(&disk).unwrap().0;
    for i in 0..blocks {
        let entries: Vec<_> = (0..5).map(|n| format!("entry {i}/{n}")).collect();
        chain.append(LogName::Index, &entries).unwrap();
        if i % 2 == 0 {
            chain.append(LogName::Trades, &entries[..1]).unwrap();
        }
        seal(&mut chain, 1_000 * i);
    }
    (disk, chain)
}

fn contradiction(disk: &FaultyDisk) -> (String, u64) {
    match open(disk) {
        Err(ChainError::Log(LogError::Contradiction { file, offset, .. })) => (file, offset),
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_chain_comes_back_as_it_was() {
    let (disk, chain) = chain_of(4);
    let before = chain.reader().sealed().unwrap();
    let (chain, recovery) = open(&disk).unwrap();
    assert!(recovery.is_clean() && chain.is_published());
    let reader = chain.reader();
    let after = reader.sealed().unwrap();
    assert_eq!(after.reference(), before.reference());
    assert_eq!(reader.blocks().count(), 4);
    assert_eq!(reader.blocks().block(3).unwrap().unwrap().hash(), after.reference().hash);
    assert!(reader.blocks().bytes(4).unwrap().is_none());
    assert!(reader.blocks().bytes(u64::MAX).unwrap().is_none());
    assert_eq!(after.checkpoint(LogName::Index).head().size, 20);
    assert_eq!(after.checkpoint(LogName::Trades).head().size, 2);
}

#[test]
fn a_new_chain_has_nothing_to_publish() {
    let (mut chain, _) = open(&FaultyDisk::new()).unwrap();
    assert!(!chain.is_published());
    assert!(chain.publish(&key(1)).unwrap().is_none());
    let sealed = seal(&mut chain, 5);
    assert_eq!(sealed.block.message().index, encrytrust_protocol::TreeHead::empty());
}

#[test]
fn only_the_platform_seals() {
    let (_, mut chain) = chain_of(1);
    let refused = chain.seal(9, Sha256Hash::from([0; 32]), &key(2));
    assert!(matches!(refused, Err(ChainError::Link(LinkError::Producer { .. }))));
}

#[test]
fn contradictions_keep_the_chain_closed() {
    let (disk, _) = chain_of(3);
    let tampered = |file: &str, change: fn(&mut Vec<u8>)| {
        let disk = disk.restart(Survive::PageCache);
        disk.tamper(file, change);
        disk
    };
    // A block in the middle, the last one, all of them.
    let flipped = tampered("blocks", |b| b[40] ^= 1);
    assert_eq!(contradiction(&flipped).0, "blocks");
    let lost = tampered("blocks", |b| b.truncate(b.len() - 1));
    assert_eq!(contradiction(&lost).0, "blocks");
    assert_eq!(contradiction(&tampered("blocks", Vec::clear)), ("blocks".into(), 0));
    let flipped_last = tampered("blocks", |b| *b.last_mut().unwrap() ^= 1);
    assert_eq!(contradiction(&flipped_last).0, "blocks");
    // An entry below the last block.
    assert_eq!(
        contradiction(&tampered("trades/entries", |b| b[2] ^= 1)),
        ("trades/entries".into(), 0)
    );
    // A checkpoint of another history.
    let (other, _) = {
        let disk = FaultyDisk::new();
        let mut chain = open(&disk).unwrap().0;
        chain.append(LogName::Index, &["another"]).unwrap();
        seal(&mut chain, 1);
        (disk, ())
    };
    let foreign = disk.restart(Survive::PageCache);
    let note = other.read("checkpoint.index").unwrap().unwrap();
    foreign.tamper("checkpoint.index", |b| *b = note);
    assert_eq!(contradiction(&foreign), ("checkpoint.index".into(), 0));
    // A checkpoint nobody signed.
    let forged = tampered("checkpoint.index", |b| b[25] ^= 1);
    assert!(matches!(open(&forged), Err(ChainError::Checkpoint { .. })));
    // Another platform's chain.
    let disk: Arc<dyn Disk> = Arc::new(disk);
    assert!(Chain::open_on(disk, &market(), key(2).public()).is_err());
}

#[test]
fn cosignatures_are_published_until_the_next_block() {
    let (disk, mut chain) = chain_of(2);
    let witness = Vkey::witness("witness.example", (&witness_key(9)).into()).unwrap();
    let known = [witness.clone()];
    let stale = (**chain.reader().sealed().as_ref().unwrap()).clone();
    let mut cosigned = stale.checkpoint(LogName::Index).clone();
    let answer = cosignature_line(&witness, &witness_key(9), 77, cosigned.text());
    cosigned.add_cosignatures(&answer, &known).unwrap();
    chain.publish_cosigned(LogName::Index, cosigned.clone()).unwrap();

    let reader = open(&disk).unwrap().0.reader();
    let sealed = reader.sealed().unwrap();
    let seen = sealed.checkpoint(LogName::Index).witnesses(&known).unwrap();
    assert_eq!(seen[0].at, Some(77));

    let proof = TlogProof::new(reader.log(LogName::Index), 3, sealed.checkpoint(LogName::Index));
    let proof = TlogProof::parse(proof.unwrap().encode().as_bytes()).unwrap();
    let vkey = LogName::Index.vkey(&market(), platform());
    let entry = reader.log(LogName::Index).entry(3).unwrap();
    assert_eq!(proof.verify(&entry, &vkey, &known, 1).unwrap().witnesses, seen);

    seal(&mut chain, 9_000);
    let refused = chain.publish_cosigned(LogName::Index, cosigned);
    assert!(matches!(refused, Err(ChainError::NotTheLast { found: 1, last: 2 })));
}
