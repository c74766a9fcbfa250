use super::*;
use crate::{
    audit::Auditor,
    chain::ChainReader,
    checkpoint::tests::{key, market},
    disk::{FaultyDisk, Survive},
    sample::{Bench, NOW, Sample, platform},
};

fn open(disk: &FaultyDisk) -> Copy {
    Copy::open_on(Arc::new(disk.clone()), &market(), platform()).unwrap().0
}

fn note(from: &ChainReader, log: LogName) -> Vec<u8> {
    from.sealed().unwrap().checkpoint(log).to_bytes()
}

fn blocks(from: &ChainReader, first: u64) -> Vec<Vec<u8>> {
    let blocks = from.blocks();
    (first..blocks.count()).map(|height| blocks.bytes(height).unwrap().unwrap()).collect()
}

fn fetch(from: &ChainReader, log: LogName, resource: Resource) -> Vec<u8> {
    match resource {
        Resource::Tile { level, n, width } => from.log(log).tile(level, n, width).unwrap(),
        Resource::Bundle { n, width } => from.log(log).bundle(n, width).unwrap(),
    }
}

fn plan(copy: &Copy, from: &ChainReader, log: LogName) -> Result<Plan, CopyError> {
    match copy.consider(log, &note(from, log))? {
        Considered::Grow(plan) => Ok(plan),
        other => panic!("{other:?}"),
    }
}

fn begin<'c>(
    copy: &'c mut Copy,
    from: &ChainReader,
    log: LogName,
) -> Result<Growth<'c>, CopyError> {
    let plan = plan(copy, from, log)?;
    let tiles = plan.tiles.iter().map(|tile| fetch(from, log, *tile)).collect();
    copy.grow(plan, tiles)
}

/// Brings a copy up to date; answers how many bundles that took.
fn sync(copy: &mut Copy, from: &ChainReader) -> Result<usize, CopyError> {
    copy.add_blocks(&blocks(from, copy.blocks_from()))?;
    let mut fetched = 0;
    for log in LogName::ALL {
        let mut growth = begin(copy, from, log)?;
        for bundle in growth.bundles() {
            growth.push(&fetch(from, log, bundle))?;
            fetched += 1;
        }
        growth.finish()?;
    }
    Ok(fetched)
}

/// Offers beyond those of the bench.
fn grow(bench: &mut Bench, subjects: std::ops::Range<u64>) {
    let bank = Sample::provider(1);
    let offers: Vec<_> = subjects.map(|i| bank.offer(i, NOW, None)).collect();
    bench.index(&offers);
    bench.seal(NOW + 10);
}

fn evidence<T: std::fmt::Debug>(result: Result<T, CopyError>) -> Evidence {
    match result {
        Err(CopyError::SplitView(evidence)) => {
            assert_eq!(evidence.check(&market(), platform()), Ok(()));
            assert!(evidence.check(&market(), key(2).public()).is_err());
            assert!(evidence.files().len() >= 2);
            *evidence
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_copy_is_the_same_files_and_passes_the_audit() {
    let mut bench = Bench::new();
    let disk = FaultyDisk::new();
    let mut copy = open(&disk);
    assert_eq!(sync(&mut copy, &bench.chain.reader()).unwrap(), 3);
    for log in LogName::ALL {
        let again = copy.consider(log, &note(&bench.chain.reader(), log)).unwrap();
        assert!(matches!(again, Considered::UpToDate));
    }
    grow(&mut bench, 400..1_400);
    let old = note(&bench.chain.reader(), LogName::Index);
    bench.seal(NOW + 11);
    assert_eq!(sync(&mut copy, &bench.chain.reader()).unwrap(), 5, "one begun, four new");
    assert!(matches!(copy.consider(LogName::Index, &old).unwrap(), Considered::Behind));
    for file in bench.disk.paths() {
        assert_eq!(disk.read(&file).unwrap(), bench.disk.read(&file).unwrap(), "{file}");
    }
    let auditor = Auditor::new(market(), platform());
    assert_eq!(auditor.audit_on(&disk).unwrap().index_entries, 1_302);
    assert_eq!(open(&disk).log(LogName::Index).size(), 1_302);
}

#[test]
fn an_interrupted_download_goes_on_where_it_stopped() {
    let mut bench = Bench::new();
    grow(&mut bench, 400..20_000);
    let reader = bench.chain.reader();
    let disk = FaultyDisk::new();
    let mut copy = open(&disk);
    copy.add_blocks(&blocks(&reader, 0)).unwrap();
    let mut growth = begin(&mut copy, &reader, LogName::Index).unwrap();
    for bundle in growth.bundles().take(70) {
        growth.push(&fetch(&reader, LogName::Index, bundle)).unwrap();
    }
    assert_eq!(growth.progress(), (70 * 256, 19_902));
    drop(growth);

    let disk = disk.restart(Survive::SyncedOnly);
    let mut copy = open(&disk);
    assert!(copy.checkpoint(LogName::Index).is_none());
    assert_eq!(copy.log(LogName::Index).size(), 64 * 256, "synced every 64 bundles");
    grow(&mut bench, 20_000..20_010);
    assert_eq!(sync(&mut copy, &bench.chain.reader()).unwrap(), 78 - 64 + 1);
}

#[test]
fn what_does_not_make_the_signed_tree_is_not_kept() {
    let bench = Bench::new();
    let reader = bench.chain.reader();
    let disk = FaultyDisk::new();
    let mut copy = open(&disk);
    copy.add_blocks(&blocks(&reader, 0)).unwrap();

    let planned = plan(&copy, &reader, LogName::Index).unwrap();
    let mut tiles: Vec<_> =
        planned.tiles.iter().map(|tile| fetch(&reader, LogName::Index, *tile)).collect();
    tiles[0][0] ^= 1;
    assert!(matches!(copy.grow(planned.clone(), tiles), Err(CopyError::Tiles(_))));
    assert!(matches!(copy.grow(planned, Vec::new()), Err(CopyError::Tiles(_))));

    let mut growth = begin(&mut copy, &reader, LogName::Index).unwrap();
    let [full, partial] = growth.bundles().collect::<Vec<_>>()[..] else { panic!() };
    let full = fetch(&reader, LogName::Index, full);
    let partial = fetch(&reader, LogName::Index, partial);
    let refused = |growth: &mut Growth<'_>, bundle: &[u8]| {
        assert!(matches!(growth.push(bundle), Err(CopyError::Bundle { .. })));
    };
    for good in [&full, &partial] {
        let mut changed = good.clone();
        changed[9] ^= 1;
        refused(&mut growth, &changed);
        refused(&mut growth, &good[..good.len() - 1]);
        refused(&mut growth, &[&good[..], &[0]].concat());
        refused(&mut growth, &[]);
        growth.push(good).unwrap();
    }
    refused(&mut growth, &partial);
    assert_eq!(growth.bundles().count(), 0);
    growth.finish().unwrap();

    let unfinished = begin(&mut copy, &reader, LogName::Trades).unwrap();
    assert_eq!(unfinished.bundles().count(), 1);
    assert!(matches!(unfinished.finish(), Err(CopyError::Bundle { .. })));
}

#[test]
fn a_checkpoint_needs_its_block() {
    let bench = Bench::new();
    let reader = bench.chain.reader();
    let mut copy = open(&FaultyDisk::new());
    let mut growth = begin(&mut copy, &reader, LogName::Trades).unwrap();
    let bundle = growth.bundles().next().unwrap();
    growth.push(&fetch(&reader, LogName::Trades, bundle)).unwrap();
    assert!(matches!(growth.finish(), Err(CopyError::UnknownBlock { .. })));
    copy.add_blocks(&blocks(&reader, 0)).unwrap();
    begin(&mut copy, &reader, LogName::Trades).unwrap().finish().unwrap();
}

#[test]
fn two_histories_are_proven_whichever_way_they_differ() {
    let honest = Bench::new();
    let mut copy = open(&FaultyDisk::new());
    sync(&mut copy, &honest.chain.reader()).unwrap();

    // The same platform, the same sizes at first, one other offer.
    let mut other = Bench::new_with_first_subject(7_777);
    let shown = |copy: &mut Copy, other: &Bench| {
        evidence(begin(copy, &other.chain.reader(), LogName::Index))
    };
    let Evidence::Heads { tiles, .. } = shown(&mut copy, &other) else { panic!() };
    assert!(!tiles.is_empty(), "of one size");
    let blocks_differ = copy.add_blocks(&blocks(&other.chain.reader(), copy.blocks_from()));
    assert!(matches!(evidence(blocks_differ), Evidence::Blocks { .. }));

    grow(&mut other, 400..1_000);
    shown(&mut copy, &other);

    let mut larger = open(&FaultyDisk::new());
    sync(&mut larger, &other.chain.reader()).unwrap();
    let smaller = larger.consider(LogName::Index, &note(&honest.chain.reader(), LogName::Index));
    evidence(smaller);
}

#[test]
fn an_honest_platform_cannot_be_accused() {
    let mut bench = Bench::new();
    let first = bench.chain.reader().sealed().unwrap();
    grow(&mut bench, 400..900);
    let reader = bench.chain.reader();
    let (log, second) = (LogName::Index, reader.sealed().unwrap());
    let (small, large) = (first.checkpoint(log), second.checkpoint(log));
    let tiles = wanted(&large.head(), &peaks(small.head().size));
    let tiles: Vec<_> = tiles.into_iter().map(|tile| (tile, fetch(&reader, log, tile))).collect();
    let accuse = |tiles| Evidence::heads(log, small, large, tiles).check(&market(), platform());
    assert!(accuse(tiles.clone()).unwrap_err().to_string().contains("is the beginning"));
    let mut lies = tiles;
    lies[0].1[3] ^= 1;
    assert!(accuse(lies).unwrap_err().to_string().contains("tiles"));
    let block = |height| reader.blocks().bytes(height).unwrap().unwrap();
    let accuse = |a, b| Evidence::blocks(a, b).check(&market(), platform());
    assert!(accuse(block(0), block(1)).is_err() && accuse(block(0), block(0)).is_err());
}

#[test]
fn an_unfinished_end_of_another_tree_is_dropped() {
    let mut bench = Bench::new();
    let disk = FaultyDisk::new();
    let mut copy = open(&disk);
    sync(&mut copy, &bench.chain.reader()).unwrap();
    copy.logs[0].append(&["of an abandoned history"]).unwrap();
    copy.logs[0].commit().unwrap();
    grow(&mut bench, 400..1_000);
    let refused = begin(&mut copy, &bench.chain.reader(), LogName::Index);
    assert!(matches!(refused, Err(CopyError::Dropped { .. })));
    sync(&mut copy, &bench.chain.reader()).unwrap();
    assert_eq!(disk.read("index/entries").unwrap(), bench.disk.read("index/entries").unwrap());
}
