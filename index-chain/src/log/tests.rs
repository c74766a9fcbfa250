use proptest::prelude::*;

use super::*;
use crate::{
    disk::{FaultyDisk, Survive},
    tree::{tests::naive_root, verify_consistency, verify_inclusion},
};

fn entry(i: u64) -> Vec<u8> {
    format!("entry {i} ").repeat(1 + (i % 7) as usize).into_bytes()
}

fn entries(range: Range<u64>) -> Vec<Vec<u8>> {
    range.map(entry).collect()
}

fn log_of(size: u64) -> (FaultyDisk, Log) {
    let disk = FaultyDisk::new();
    let mut log = reopen(&disk).0;
    log.append(&entries(0..size)).unwrap();
    log.commit().unwrap();
    (disk, log)
}

fn reopen(disk: &FaultyDisk) -> (Log, Recovery) {
    Log::open_on(Arc::new(disk.clone()), "log", None).unwrap()
}

fn refusal(disk: &FaultyDisk, sealed: Option<&TreeHead>) -> (String, u64, String) {
    match Log::open_on(Arc::new(disk.clone()), "log", sealed) {
        Err(LogError::Contradiction { file, offset, found, .. }) => (file, offset, found),
        other => panic!("{other:?}"),
    }
}

#[test]
fn entries_come_back_by_index_bundle_and_tile() {
    let (disk, log) = log_of(700);
    for (log, _) in [(log, Recovery::default()), reopen(&disk)] {
        let reader = log.reader();
        assert_eq!(reader.size(), 700);
        for i in [0, 1, 15, 16, 255, 256, 699] {
            assert_eq!(reader.entry(i).unwrap(), entry(i));
            assert_eq!(reader.leaf_hash(i).unwrap(), leaf_hash(&entry(i)));
        }
        let whole = disk.read("log/entries").unwrap().unwrap();
        let bundles = [(0, 256), (1, 256), (2, 188)].map(|(n, w)| reader.bundle(n, w).unwrap());
        assert_eq!(bundles.concat(), whole);
        assert!(reader.bundle(2, 100).unwrap().len() < bundles[2].len());
        let leaves = disk.read("log/hashes.0").unwrap().unwrap();
        assert_eq!(reader.tile(0, 2, 188).unwrap(), leaves[2 * 8192..]);
        let first: Vec<_> = entries(0..256).iter().map(|e| leaf_hash(e)).collect();
        assert_eq!(reader.tile(1, 0, 2).unwrap()[..32], *naive_root(&first).as_bytes());
        for (level, n, width) in
            [(0, 2, 189), (0, 3, 1), (1, 0, 3), (0, 0, 0), (0, 0, 257), (2, 0, 1), (9, 0, 1)]
        {
            assert!(reader.tile(level, n, width).is_err(), "{level} {n} {width}");
        }
        for i in [700, u64::MAX] {
            assert!(matches!(reader.entry(i), Err(LogError::Beyond { .. })));
            assert!(matches!(reader.leaf_hash(i), Err(LogError::Beyond { .. })));
        }
        assert!(reader.bundle(u64::MAX, 256).is_err());
        assert!(reader.tree_hash(701).is_err());
    }
}

#[test]
fn a_log_in_a_directory_has_one_writer() {
    let home = tempfile::tempdir().unwrap();
    let (log, _) = Log::open(home.path()).unwrap();
    assert!(matches!(Log::open(home.path()), Err(LogError::Disk { .. })));
    drop(log);
    Log::open(home.path()).unwrap();
}

#[test]
fn readers_see_committed_entries_only() {
    let (_, mut log) = log_of(3);
    let reader = log.reader();
    assert_eq!(log.append(&entries(3..5)).unwrap(), 3..5);
    assert_eq!((reader.size(), log.next_index()), (3, 5));
    log.discard();
    assert_eq!(log.append(&["other"]).unwrap(), 3..4);
    log.commit().unwrap();
    assert_eq!(reader.entry(3).unwrap(), b"other");
    assert_eq!(log.append(&[""; 0]).unwrap(), 4..4);
}

#[test]
fn an_entry_has_at_most_65535_bytes() {
    let (_, mut log) = log_of(0);
    let longest = vec![7; ENTRY_BYTES_MAX];
    assert!(matches!(
        log.append(&[&longest[..], &[7; ENTRY_BYTES_MAX + 1]]),
        Err(LogError::TooLong { bytes: 65_536 })
    ));
    assert_eq!(log.append(&[&longest[..], &[]]).unwrap(), 0..2, "all or none");
    log.commit().unwrap();
    assert_eq!(log.reader().entry(0).unwrap(), longest);
    assert_eq!(log.reader().entry(1).unwrap(), b"");
}

#[test]
fn a_failed_commit_stops_the_log() {
    let (disk, mut log) = log_of(3);
    disk.fail(0, crate::disk::Fault::LostBeforeWrite);
    log.append(&["x"]).unwrap();
    assert!(matches!(log.commit(), Err(LogError::Disk { .. })));
    assert!(matches!(log.append(&["x"]), Err(LogError::Failed { .. })));
    assert!(matches!(log.commit(), Err(LogError::Failed { .. })));
    assert_eq!(log.reader().size(), 3);
}

#[test]
fn a_torn_tail_is_cut_and_kept() {
    let (disk, log) = log_of(20);
    let head = log.head();
    let end = disk.read("log/entries").unwrap().unwrap().len() as u64;
    disk.tamper("log/entries", |bytes| bytes.extend_from_slice(&[0, 50, 1, 2, 3]));
    disk.tamper("log/hashes.0", |bytes| bytes.extend_from_slice(&[0; 40]));
    let (log, recovery) = reopen(&disk);
    assert_eq!(log.head(), head);
    assert_eq!(recovery.cut[0].kept_as, format!("log/entries.torn-{end}"));
    assert_eq!(recovery.cut[1].bytes, 40);
    assert_eq!(disk.read(&recovery.cut[0].kept_as).unwrap().unwrap(), [0, 50, 1, 2, 3]);
    assert!(reopen(&disk).1.is_clean());

    disk.tamper("log/entries", |bytes| bytes.push(9));
    let second = reopen(&disk).1.cut.remove(0);
    assert_eq!(second.kept_as, format!("log/entries.torn-{end}.2"), "evidence is not overwritten");
}

#[test]
fn entries_and_hashes_are_cut_to_where_they_agree() {
    let (disk, _) = log_of(20);
    disk.tamper("log/entries", |bytes| bytes.truncate(bytes.len() - 1));
    let (log, recovery) = reopen(&disk);
    assert_eq!(log.head().size, 19);
    assert_eq!(recovery.cut.len(), 2);
}

#[test]
fn what_was_sealed_must_be_there() {
    let (disk, log) = log_of(20);
    let sealed = log.reader().head_at(18).unwrap();
    let clean = disk.restart(Survive::PageCache);

    disk.tamper("log/entries", |bytes| bytes[3] ^= 1);
    let (file, offset, found) = refusal(&disk, Some(&sealed));
    assert_eq!((file.as_str(), offset), ("log/entries", 0));
    assert!(found.starts_with("entry 0 hashes to "), "{found}");

    let disk = clean.restart(Survive::PageCache);
    disk.tamper("log/hashes.0", |bytes| bytes.truncate(17 * 32));
    assert_eq!(
        refusal(&disk, Some(&sealed)),
        ("log/hashes.0".into(), 17 * 32, "it ends before entry 17".into())
    );

    let disk = clean.restart(Survive::PageCache);
    let other = TreeHead { root: log.head().root, ..sealed };
    assert_eq!(refusal(&disk, Some(&other)).1, 18 * 32);
    disk.tamper("log/hashes.0", |bytes| bytes.truncate(18 * 32));
    assert!(Log::open_on(Arc::new(disk), "log", Some(&sealed)).is_ok());
}

#[test]
fn a_tile_with_a_root_was_acknowledged() {
    let (disk, _) = log_of(300);
    disk.tamper("log/entries", |bytes| bytes[3] ^= 1);
    assert_eq!(refusal(&disk, None).1, 0);
}

#[test]
fn derived_hashes_are_completed_and_corrected() {
    let (disk, log) = log_of(66_000);
    for damage in [
        |bytes: &mut Vec<u8>| bytes.truncate(33),
        |bytes: &mut Vec<u8>| bytes.clear(),
        |bytes: &mut Vec<u8>| bytes[5] ^= 1,
        |bytes: &mut Vec<u8>| bytes.extend([0; 64]),
    ] {
        for file in ["log/hashes.1", "log/hashes.2"] {
            let damaged = disk.restart(Survive::PageCache);
            damaged.tamper(file, damage);
            let (again, recovery) = reopen(&damaged);
            if damaged.read(file).unwrap() != disk.read(file).unwrap() {
                panic!("{file} was not restored");
            }
            assert!(recovery.rebuilt.len() <= 1);
            assert_eq!(again.head(), log.head());
        }
    }
    let reader = log.reader();
    assert_eq!(reader.tile(2, 0, 1).unwrap(), disk.read("log/hashes.2").unwrap().unwrap());
    let proof = reader.prove_inclusion(65_999, 66_000).unwrap();
    verify_inclusion(&proof, 65_999, &leaf_hash(&entry(65_999)), &log.head()).unwrap();
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn proofs_from_the_files_are_true(
        cuts in prop::collection::vec(1u64..400, 1..6), a in any::<u64>(), b in any::<u64>(),
    ) {
        let (_, mut log) = log_of(0);
        let mut heads = vec![log.head()];
        for width in cuts {
            let next = log.next_index();
            log.append(&entries(next..next + width)).unwrap();
            heads.push(log.commit().unwrap());
        }
        let (size, reader) = (log.head().size, log.reader());
        let leaves: Vec<_> = entries(0..size).iter().map(|e| leaf_hash(e)).collect();
        prop_assert_eq!(log.head().root, naive_root(&leaves));
        for head in &heads {
            prop_assert_eq!(reader.head_at(head.size).unwrap(), *head);
            let proof = reader.prove_consistency(head.size, size).unwrap();
            verify_consistency(&proof, head, &log.head()).unwrap();
        }
        let (index, tree) = (a % size, a % size + 1 + b % (size - a % size));
        let proof = reader.prove_inclusion(index, tree).unwrap();
        let head = reader.head_at(tree).unwrap();
        verify_inclusion(&proof, index, &reader.leaf_hash(index).unwrap(), &head).unwrap();
    }

    #[test]
    fn whatever_the_tail_becomes_the_log_opens(
        size in 1u64..40, keep in any::<prop::sample::Index>(), junk in prop::collection::vec(any::<u8>(), 0..90),
        file in prop::sample::select(vec!["log/entries", "log/hashes.0"]),
    ) {
        let (disk, log) = log_of(size);
        disk.tamper(file, |bytes| {
            bytes.truncate(keep.index(bytes.len() + 1));
            bytes.extend_from_slice(&junk);
        });
        let (after, _) = reopen(&disk);
        let kept = after.head().size;
        prop_assert!(kept <= size);
        prop_assert_eq!(after.head(), log.reader().head_at(kept).unwrap());
        prop_assert!(reopen(&disk).1.is_clean());
    }
}
