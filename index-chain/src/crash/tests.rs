use std::{
    collections::{BTreeMap, HashSet},
    sync::Arc,
};

use encrytrust_protocol::{PublicKey, Sha256Hash, TreeHead};

use super::*;
use crate::{
    chain::{Chain, ChainError},
    checkpoint::{
        LogName, SignedCheckpoint,
        tests::{key, market},
    },
    disk::{Disk, Fault, FaultyDisk, Survive},
    tree::verify_consistency,
};

const FAULTS: [Fault; 4] =
    [Fault::LostBeforeWrite, Fault::WrittenThenFailed, Fault::Torn, Fault::TornWithZeros];

fn platform() -> PublicKey {
    key(1).public()
}

fn open(disk: &FaultyDisk) -> Chain {
    Chain::open_on(Arc::new(disk.clone()), &market(), platform()).unwrap().0
}

/// Entries of a named round: enough for `index` to complete a tile.
fn entries(round: &str, log: LogName) -> Vec<String> {
    let count = if log == LogName::Index { 129 } else { 3 };
    (0..count).map(|i| format!("{round} {log} {i}")).collect()
}

/// A round as the platform works: what came back without an error is acknowledged.
fn round(
    chain: &mut Chain,
    name: &str,
    acknowledged: &mut Vec<(LogName, u64, String)>,
) -> Result<(), ChainError> {
    let mut waiting = Vec::new();
    for log in LogName::ALL {
        let entries = entries(name, log);
        let range = chain.append(log, &entries)?;
        waiting.extend(range.zip(entries).map(|(index, entry)| (log, index, entry)));
    }
    chain.commit()?;
    acknowledged.extend(waiting);
    chain.seal(1_000, Sha256Hash::from([7; 32]), &key(1))?;
    Ok(())
}

/// Everything anyone could have seen signed: the checkpoint files at some moment.
fn published(disk: &FaultyDisk, log: LogName) -> Option<SignedCheckpoint> {
    let note = disk.read(&format!("checkpoint.{log}")).unwrap()?;
    Some(SignedCheckpoint::open(&note, &log.vkey(&market(), platform())).unwrap())
}

#[test]
fn the_table_is_the_write_path() {
    let disk = FaultyDisk::new();
    let mut chain = open(&disk);
    round(&mut chain, "first", &mut Vec::new()).unwrap();
    let before = disk.performed().len();
    round(&mut chain, "second", &mut Vec::new()).unwrap();
    let performed = disk.performed().split_off(before);
    let listed: Vec<_> = CRASH_POINTS.iter().map(|p| (p.file.to_owned(), p.operation)).collect();
    assert_eq!(performed, listed);
    assert_eq!(CRASH_POINTS[DECISION].file, "blocks");
}

#[test]
fn every_crash_point_is_survived_in_every_way() {
    let mut seen = HashSet::new();
    for (number, point) in CRASH_POINTS.iter().enumerate() {
        for fault in FAULTS {
            for survive in [Survive::PageCache, Survive::SyncedOnly] {
                let case = format!("{point:?} {fault:?} {survive:?}");
                println!("{case}");
                crash(number, fault, survive, &mut seen);
            }
        }
    }
}

fn crash(number: usize, fault: Fault, survive: Survive, seen: &mut HashSet<Vec<Option<Vec<u8>>>>) {
    let disk = FaultyDisk::new();
    let mut acknowledged = Vec::new();
    let mut signed: BTreeMap<(LogName, u64), TreeHead> = BTreeMap::new();
    let mut chain = open(&disk);
    round(&mut chain, "first", &mut acknowledged).unwrap();
    let first = LogName::ALL.map(|log| published(&disk, log).unwrap());
    for (log, checkpoint) in LogName::ALL.into_iter().zip(&first) {
        signed.insert((log, checkpoint.head().size), checkpoint.head());
    }

    disk.fail(number, fault);
    round(&mut chain, "second", &mut acknowledged).unwrap_err();
    assert!(chain.append(LogName::Index, &["x"]).and_then(|_| chain.commit()).is_err());

    // Many a crash leaves the same files as another, and as much of them synced.
    let left = disk.restart(survive);
    let synced = left.restart(Survive::SyncedOnly);
    let read = |disk: &FaultyDisk| disk.paths().iter().map(|p| disk.read(p).unwrap()).collect();
    let files: Vec<_> = [&left, &synced].map(read).into_iter().flat_map(|f: Vec<_>| f).collect();
    if seen.insert(files) {
        recovery_can_be_interrupted(&disk, survive, &acknowledged);
    }
    what_is_published_after_recovery_stays(&disk.restart(survive), &acknowledged);

    // The machine comes back.
    let disk = disk.restart(survive);
    let in_between = LogName::ALL.map(|log| published(&disk, log).unwrap());
    let mut chain = open(&disk);
    check(&chain, &acknowledged);
    let height = chain.last_block().unwrap().message().height;
    if number > DECISION {
        assert_eq!(height, 1, "the block was decided");
    }
    if number + 1 < DECISION {
        assert_eq!(height, 0, "nothing to decide on yet");
    }
    if !chain.is_published() {
        chain.publish(&key(1)).unwrap();
    }
    for log in LogName::ALL {
        let now = published(&disk, log).unwrap();
        assert_eq!(now.checkpoint().block.height, height);
        for earlier in [&first[log as usize], &in_between[log as usize]] {
            assert!(earlier.head().size <= now.head().size, "a checkpoint went back");
            if earlier.head().size == now.head().size {
                assert_eq!(earlier.head(), now.head());
            }
        }
        let known = signed.entry((log, now.head().size)).or_insert(now.head());
        assert_eq!(*known, now.head(), "two trees of one size were signed");
    }

    // Work goes on, with other entries than those that may have been lost.
    round(&mut chain, "third", &mut acknowledged).unwrap();
    check(&chain, &acknowledged);
    for log in LogName::ALL {
        let last = published(&disk, log).unwrap().head();
        let reader = chain.reader().log(log).clone();
        for ((_, size), head) in signed.iter().filter(|((of, _), _)| *of == log) {
            let proof = reader.prove_consistency(*size, last.size).unwrap();
            verify_consistency(&proof, head, &last).unwrap();
        }
    }
    assert!(Chain::open_on(Arc::new(disk), &market(), platform()).unwrap().1.is_clean());
}

/// Opening writes too: it is stopped at each operation in each way, and opened again.
fn recovery_can_be_interrupted(
    crashed: &FaultyDisk,
    survive: Survive,
    acknowledged: &[(LogName, u64, String)],
) {
    let disk = crashed.restart(survive);
    open(&disk);
    for (number, fault) in
        (0..disk.performed().len()).flat_map(|number| FAULTS.map(|fault| (number, fault)))
    {
        for second in [Survive::PageCache, Survive::SyncedOnly] {
            let disk = crashed.restart(survive);
            disk.fail(number, fault);
            assert!(Chain::open_on(Arc::new(disk.clone()), &market(), platform()).is_err());
            check(&open(&disk.restart(second)), acknowledged);
        }
    }
}

/// A block over nothing but recovered entries is sealed, and the power fails.
fn what_is_published_after_recovery_stays(
    disk: &FaultyDisk,
    acknowledged: &[(LogName, u64, String)],
) {
    let mut chain = open(disk);
    chain.publish(&key(1)).unwrap();
    check(&open(&disk.restart(Survive::SyncedOnly)), acknowledged);
    let sealed = chain.seal(2_000, Sha256Hash::from([8; 32]), &key(1)).unwrap();
    let chain = open(&disk.restart(Survive::SyncedOnly));
    check(&chain, acknowledged);
    assert_eq!(chain.last_block().unwrap().hash(), sealed.reference().hash);
    assert!(chain.is_published());
}

/// Acknowledged entries are there, at their index, and nothing is there twice or in part.
fn check(chain: &Chain, acknowledged: &[(LogName, u64, String)]) {
    let reader = chain.reader();
    for (log, index, entry) in acknowledged {
        assert_eq!(reader.log(*log).entry(*index).unwrap(), entry.as_bytes());
    }
    for log in LogName::ALL {
        let reader = reader.log(log);
        let all: Vec<_> = (0..reader.size()).map(|i| reader.entry(i).unwrap()).collect();
        let unique: std::collections::BTreeSet<_> = all.iter().collect();
        assert_eq!(unique.len(), all.len(), "an entry is there twice");
        for entry in &all {
            let text = str::from_utf8(entry).unwrap();
            let round = text.split(' ').next().unwrap();
            assert!(entries(round, log).iter().any(|known| known == text), "{text:?}");
        }
    }
}
