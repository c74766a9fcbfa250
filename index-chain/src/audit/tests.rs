use std::{collections::BTreeSet, sync::Arc};

use encrytrust_protocol::{EntryId, IndexEntry, Sha256Hash, Signed, Validity, Verified};

use super::*;
use crate::{
    chain::Chain,
    checkpoint::tests::{key, market},
    disk::{FaultyDisk, Survive},
    note::tests::{cosignature_line, key as witness_key},
    sample::{Bench, NOW, Sample, platform},
};

fn audit(bench: &Bench) -> Result<Report, AuditError> {
    auditor().audit_on(&bench.disk.clone())
}

/// The fault found after a file was changed.
fn tampered(bench: &Bench, file: &str, change: impl FnOnce(&mut Vec<u8>)) -> Fault {
    let disk = bench.disk.restart(Survive::PageCache);
    disk.tamper(file, change);
    fault(auditor().audit_on(&disk))
}

fn auditor<'a>() -> Auditor<'a> {
    Auditor::new(market(), platform())
}

fn fault(result: Result<Report, AuditError>) -> Fault {
    match result {
        Err(AuditError::Fault(fault)) => *fault,
        other => panic!("{other:?}"),
    }
}

/// Splits `u16be length ‖ entry` or `u32be length ‖ block` records.
fn records<const PREFIX: usize>(mut bytes: &[u8]) -> Vec<Vec<u8>> {
    let mut records = Vec::new();
    while !bytes.is_empty() {
        let length = bytes[..PREFIX].iter().fold(0, |n, byte| n << 8 | usize::from(*byte));
        records.push(bytes[..PREFIX + length].to_vec());
        bytes = &bytes[PREFIX + length..];
    }
    records
}

#[test]
fn a_sound_chain_is_reported_in_numbers() {
    let bench = Bench::new();
    let mut told = BTreeSet::new();
    let ticks = std::cell::Cell::new(0);
    let clock = || {
        ticks.set(ticks.get() + 1);
        Duration::from_secs(ticks.get())
    };
    let report = auditor()
        .expects([bench.id(5), bench.id(299)])
        .timed_by(clock)
        .reporting_to(|p| {
            assert!(p.done <= p.total);
            told.insert(p.stage.to_string());
        })
        .audit_on(&bench.disk.clone())
        .unwrap();
    assert_eq!((report.blocks, report.index_entries, report.receipts), (3, 302, 3));
    assert_eq!((report.offers, report.current_offers, report.withdrawals), (301, 299, 1));
    assert_eq!((report.own_offers, report.seen), (2, 0));
    assert_eq!(report.stages.len(), 5);
    assert_eq!(report.stages[2].rate(), Some(302.0));
    assert!(told.contains("blocks") && told.contains("index") && told.contains("trades"));
    let entries = ["index/entries", "trades/entries"].map(|f| bench.disk.read(f).unwrap().unwrap());
    assert_eq!(report.bytes, entries.concat().len() as u64 - 2 * 305);
}

#[test]
fn entries_above_the_last_block_are_left_out() {
    let mut bench = Bench::new();
    bench.chain.append(LogName::Index, &["not even an offer"]).unwrap();
    bench.chain.commit().unwrap();
    assert_eq!(audit(&bench).unwrap().index_entries, 302);
}

#[test]
fn a_changed_byte_is_found_wherever_it_is() {
    let bench = Bench::new();
    let entries = bench.disk.read("index/entries").unwrap().unwrap();
    let start = records::<2>(&entries)[..150].concat().len();

    let entry = tampered(&bench, "index/entries", |b| b[start + 40] ^= 1);
    assert_eq!(entry.kind, FaultKind::Leaf);
    let place = Place {
        file: "index/entries".into(),
        offset: Some(start as u64),
        log: Some(LogName::Index),
        index: Some(150),
        block: Some(1),
    };
    assert_eq!(entry.place, place);
    assert!(entry.expected.contains(&bench.id(150).to_string()), "{entry}");

    let leaf = tampered(&bench, "index/hashes.0", |b| b[32 * 150] ^= 1);
    assert_eq!((leaf.kind, leaf.place.index), (FaultKind::Leaf, Some(150)));

    let both = bench.disk.restart(Survive::PageCache);
    both.tamper("index/entries", |b| b[start + 40] ^= 1);
    let changed = both.read("index/entries").unwrap().unwrap();
    let changed = &records::<2>(&changed)[150][2..];
    let hash = *encrytrust_protocol::leaf_hash(changed).as_bytes();
    both.tamper("index/hashes.0", |b| b[32 * 150..32 * 151].copy_from_slice(&hash));
    let both = fault(auditor().audit_on(&both));
    let unreadable_or_unsigned = [FaultKind::Decode, FaultKind::Signature].contains(&both.kind);
    assert!(unreadable_or_unsigned && both.place.index == Some(150), "{both}");

    let tile = tampered(&bench, "index/hashes.1", |b| b[0] ^= 1);
    assert_eq!((tile.kind, tile.place.file.as_str()), (FaultKind::Tile, "index/hashes.1"));
    assert_eq!(tampered(&bench, "index/hashes.1", Vec::clear).kind, FaultKind::Tile);
    assert_eq!(tampered(&bench, "trades/entries", |b| b[9] ^= 1).place.log, Some(LogName::Trades));
}

#[test]
fn entries_swapped_with_their_hashes_do_not_make_the_tree() {
    let bench = Bench::new();
    let disk = bench.disk.restart(Survive::PageCache);
    disk.tamper("index/entries", |bytes| {
        let mut entries = records::<2>(bytes);
        entries.swap(120, 121);
        *bytes = entries.concat();
    });
    disk.tamper("index/hashes.0", |bytes| bytes[32 * 120..32 * 122].rotate_left(32));
    let fault = fault(auditor().audit_on(&disk));
    assert_eq!((fault.kind, fault.place.block), (FaultKind::Root, Some(1)));
    assert!(fault.found.starts_with("the first 201 entries have the root "), "{fault}");
}

#[test]
fn a_missing_tail_is_missed() {
    let bench = Bench::new();
    let cut = tampered(&bench, "index/entries", |b| b.truncate(b.len() - 1));
    assert_eq!((cut.kind, cut.place.index), (FaultKind::Missing, Some(301)));
    let cut = tampered(&bench, "index/hashes.0", |b| b.truncate(300 * 32 + 5));
    assert_eq!((cut.kind, cut.place.index), (FaultKind::Missing, Some(300)));
    let cut = tampered(&bench, "trades/entries", Vec::clear);
    assert_eq!((cut.kind, cut.place.block), (FaultKind::Missing, Some(0)));
}

#[test]
fn blocks_dropped_swapped_or_changed_break_the_chain() {
    let bench = Bench::new();
    let reordered = |change: fn(&mut Vec<Vec<u8>>)| {
        tampered(&bench, "blocks", |bytes| {
            let mut blocks = records::<4>(bytes);
            change(&mut blocks);
            *bytes = blocks.concat();
        })
    };
    let dropped = reordered(|blocks| drop(blocks.remove(1)));
    assert_eq!((dropped.kind, dropped.place.block), (FaultKind::Link, Some(1)));
    let swapped = reordered(|blocks| blocks.swap(1, 2));
    assert_eq!((swapped.kind, swapped.place.block), (FaultKind::Link, Some(1)));
    let last_dropped = reordered(|blocks| blocks.truncate(2));
    assert_eq!((last_dropped.kind, last_dropped.place.block), (FaultKind::Checkpoint, Some(2)));
    let signature = reordered(|blocks| *blocks[2].last_mut().unwrap() ^= 1);
    // The checkpoints name the hash of the block, signature included.
    assert_eq!((signature.kind, signature.place.block), (FaultKind::Checkpoint, Some(2)));
    let garbled = reordered(|blocks| blocks[1][30] ^= 0xff);
    assert_eq!((garbled.kind, garbled.place.block), (FaultKind::Signature, Some(1)));
    assert_eq!(tampered(&bench, "blocks", Vec::clear).kind, FaultKind::Checkpoint);
    let prefix = tampered(&bench, "blocks", |b| b[..4].copy_from_slice(&[0xff; 4]));
    assert_eq!((prefix.kind, prefix.place.offset), (FaultKind::Decode, Some(0)));
}

#[test]
fn blocks_by_another_key_are_refused() {
    let disk = FaultyDisk::new();
    let mut chain = Chain::open_on(Arc::new(disk.clone()), &market(), key(2).public()).unwrap().0;
    chain.seal(1, Sha256Hash::from([7; 32]), &key(2)).unwrap();
    // Checkpoints that the platform did sign, for what it did not seal.
    for log in LogName::ALL {
        let block = chain.last_block().unwrap();
        let note = SignedCheckpoint::sign(log, block, &key(1)).to_bytes();
        disk.tamper(&checkpoint_file(log), |b| *b = note);
    }
    let fault = fault(auditor().audit_on(&disk));
    assert_eq!((fault.kind, fault.place.block), (FaultKind::Signature, Some(0)));
}

#[test]
fn forged_and_missing_checkpoints_are_refused() {
    let bench = Bench::new();
    let forged = tampered(&bench, "checkpoint.index", |b| b[24] ^= 1);
    assert_eq!((forged.kind, forged.place.log), (FaultKind::Checkpoint, Some(LogName::Index)));
    let disk = bench.disk.restart(Survive::PageCache);
    let index = disk.read("checkpoint.index").unwrap().unwrap();
    let other = tampered(&bench, "checkpoint.trades", |b| *b = index);
    assert_eq!(other.kind, FaultKind::Checkpoint);
    assert!(matches!(
        auditor().audit_on(&FaultyDisk::new()),
        Err(AuditError::Fault(fault)) if fault.kind == FaultKind::Missing
    ));
}

#[test]
fn a_witness_that_did_not_sign_is_noticed() {
    let bench = Bench::new();
    let witness = Vkey::witness("witness.example", (&witness_key(9)).into()).unwrap();
    let with_line = |line: Vec<u8>| {
        let disk = bench.disk.restart(Survive::PageCache);
        disk.tamper("checkpoint.index", |note| note.extend(line));
        auditor().knows_witnesses([witness.clone()]).audit_on(&disk)
    };
    let sealed = bench.chain.reader().sealed().unwrap();
    let text = sealed.checkpoint(LogName::Index).text();
    let report = with_line(cosignature_line(&witness, &witness_key(9), 5, text)).unwrap();
    assert_eq!(report.witnesses[0][0].at, Some(5));
    let forged = fault(with_line(cosignature_line(&witness, &witness_key(8), 5, text)));
    assert_eq!(forged.kind, FaultKind::Witness);
}

#[test]
fn a_platform_that_seals_what_it_should_not_is_caught() {
    let (bank, thief, buyer) = (Sample::provider(1), Sample::provider(3), Sample::provider(2));
    let caught = |entries: &dyn Fn(&Bench) -> Vec<IndexEntry>| {
        let mut bench = Bench::new();
        let entries = entries(&bench);
        bench.index(&entries);
        bench.seal(NOW + 9);
        let fault = fault(audit(&bench));
        assert_eq!((fault.place.block, fault.place.log), (Some(3), Some(LogName::Index)));
        (fault.kind, fault.place.index.unwrap(), fault.found)
    };
    let (kind, index, found) = caught(&|b| vec![bank.offer(900, NOW, None), b.offers[7].clone()]);
    assert_eq!((kind, index), (FaultKind::Duplicate, 303));
    assert_eq!(found, "the same bytes as entry 7");
    let refused = |slug: &str, entry: &dyn Fn(&Bench) -> IndexEntry| {
        let (kind, index, found) = caught(&|b| vec![entry(b)]);
        assert_eq!((kind, index), (FaultKind::Admission, 302));
        assert!(found.contains(slug), "{found}");
    };
    refused("offer-superseded", &|b| bank.withdrawal(0, b.id(0), NOW));
    refused("offer-withdrawn", &|b| bank.offer(1, NOW, Some(b.id(1))));
    refused("other-signer", &|b| thief.offer(2, NOW, Some(b.id(2))));
    refused("other-subject", &|b| bank.offer(3, NOW, Some(b.id(2))));
    refused("offer-unknown", &|_| bank.offer(3, NOW, Some(EntryId::from([7; 32]))));
    let lapsed = Validity { from: 1_700_000_000, until: 1_700_000_001 };
    refused("offer-ended", &|_| bank.offer_with(3, |o| o.valid = lapsed));
    refused("wrong-market", &|_| {
        bank.offer_with(3, |o| o.market = "other.example".parse().unwrap())
    });

    let caught = |receipt: &dyn Fn(&Bench) -> Verified<encrytrust_protocol::Receipt>| {
        let mut bench = Bench::new();
        let receipt = receipt(&bench);
        bench.trades(&[receipt]);
        bench.seal(NOW + 9);
        let fault = fault(audit(&bench));
        let place = (fault.place.block, fault.place.log, fault.place.index);
        assert_eq!(place, (Some(3), Some(LogName::Trades), Some(3)));
        (fault.kind, fault.found)
    };
    let (_, found) = caught(&|_| buyer.receipt(&bank, EntryId::from([7; 32]), 9, NOW));
    assert!(found.contains("offer-unknown"), "{found}");
    let (_, found) = caught(&|b| buyer.receipt(&bank, b.id(9), 1, NOW));
    assert!(found.contains("trade-ended"), "{found}");
    let (_, found) = caught(&|b| buyer.receipt(&thief, b.id(9), 9, NOW));
    assert!(found.contains("other-provider"), "{found}");
    let (kind, _) = caught(&|b| thief.receipt_over(&buyer.receipt(&bank, b.id(9), 9, NOW), NOW));
    assert_eq!(kind, FaultKind::Signature);
}

#[test]
fn a_forged_entry_among_thousands_is_named() {
    let mut bench = Bench::new();
    let bank = Sample::provider(1);
    let mut entries: Vec<_> =
        (0..700).map(|i| bank.offer(1_000 + i, NOW, None).bytes().to_vec()).collect();
    *entries[444].last_mut().unwrap() ^= 1;
    bench.chain.append(LogName::Index, &entries).unwrap();
    bench.seal(NOW + 9);
    let fault = fault(audit(&bench));
    assert_eq!((fault.kind, fault.place.index), (FaultKind::Signature, Some(302 + 444)));
    assert!(Signed::<encrytrust_protocol::Offer>::decode(&entries[444]).is_ok());
}

#[test]
fn own_offers_must_be_there() {
    let bench = Bench::new();
    let hidden = Sample::provider(1).offer(5_000, NOW, None).id();
    let missed = fault(auditor().expects([bench.id(1), hidden]).audit_on(&bench.disk));
    assert_eq!(missed.kind, FaultKind::OwnOffer);
    assert!(missed.found.contains(&hidden.to_string()));
    let superseded = bench.id(0);
    assert!(auditor().expects([superseded]).audit_on(&bench.disk).is_ok());
}

#[test]
fn a_chain_seen_before_must_be_continued() {
    let mut bench = Bench::new();
    let report = audit(&bench).unwrap();
    bench.seal(NOW + 60);
    let again = auditor().has_seen(report.checkpoints.clone());
    assert_eq!(again.audit_on(&bench.disk.clone()).unwrap().seen, 2);

    // Another history, from the same platform.
    let mut other = Bench::new();
    other.seal(NOW + 61);
    other.seal(NOW + 62);
    let seen = audit(&bench).unwrap().checkpoints;
    let refused = auditor().has_seen(seen.clone()).audit_on(&other.disk.clone());
    let history = fault(refused);
    assert_eq!((history.kind, history.place.block), (FaultKind::History, Some(3)));
    assert!(history.expected.contains("saw before"), "{history}");

    // The same, rolled back.
    let rolled_back = auditor().has_seen(seen).audit_on(&Bench::new().disk);
    assert_eq!(fault(rolled_back).kind, FaultKind::History);
}
