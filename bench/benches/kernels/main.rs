//! One operation at a time, beside the least it can cost.
//!
//! Criterion prints each; the table at the end sets those measured in this run beside their limits.

mod ratios;

use std::{hint::black_box, path::Path, sync::Arc, time::Duration};

use criterion::{BenchmarkId, Criterion, SamplingMode, Throughput};
use ed25519_dalek::{Signer as _, SigningKey};
use encrytrust_bench::{corpus::Corpus, disk::Floor, limit::Bare, market};
use encrytrust_index_chain::{
    log::{Log, LogReader},
    tree,
};
use encrytrust_keys::{
    seal::{SealContext, SealKey, seal},
    subject::SubjectId,
    tags::{BlindedIds, TagKey},
};
use encrytrust_protocol::{
    BlockHash, EntryId, Offer, Signed, Suite, TreeHead, leaf_hash, verify_batch,
};
use ratios::{ALONE, Pair};

/// Offers in one batch, as the platform reads them.
const BATCH: usize = 64;

/// Entries of the large log.
const LARGE: u64 = 1_000_000;

/// Bytes sealed and opened.
const PAYLOAD: usize = 4096;

fn main() {
    let target = market::shelf().expect("cargo runs this from its target directory");
    let results = target.with_file_name("criterion");
    let mut criterion = Criterion::default()
        .without_plots()
        .warm_up_time(Duration::from_millis(300))
        .measurement_time(Duration::from_secs(1))
        .sample_size(20)
        .output_directory(&results)
        .configure_from_args();
    let began = std::time::SystemTime::now();
    let scratch = tempfile::tempdir_in(made(&target)).expect("target is writable");
    offers(&mut criterion);
    sealing(&mut criterion);
    tags(&mut criterion);
    commits(&mut criterion, scratch.path());
    proofs(&mut criterion, scratch.path());
    criterion.final_summary();
    ratios::print(&results, began, &PAIRS);
}

/// What stands beside what.
const PAIRS: [Pair; 18] = [
    Pair("offer::read", "one", "ed25519::verify_strict", "one"),
    Pair("offer::read", "one", "sha256::digest", "one"),
    Pair("offer::read", "batch=64", "ed25519::verify_batch", "batch=64"),
    Pair("offer::read", "batch=64", "ed25519::verify_strict", "batch=64"),
    Pair("offer::write", ALONE, "ed25519::sign", ALONE),
    Pair("seal::seal", "suite=X25519", "chacha20poly1305::encrypt", ALONE),
    Pair("seal::open", "suite=X25519", "chacha20poly1305::encrypt", ALONE),
    Pair("seal::seal", "suite=XWing", "seal::seal", "suite=X25519"),
    Pair("seal::open", "suite=XWing", "seal::open", "suite=X25519"),
    Pair("tags::blind", "ids=100", "tags::evaluate", "ids=100"),
    Pair("tags::finalize", "ids=100", "tags::evaluate", "ids=100"),
    Pair("log::append", "commit=1", "disk::append+fdatasync", "offers=1"),
    Pair("log::append", "commit=64", "disk::append+fdatasync", "offers=64"),
    Pair("log::append", "commit=1000", "disk::append+fdatasync", "offers=1000"),
    Pair("log::append", "commit=1000", "redb::commit", "offers=1000"),
    Pair("log::prove_inclusion", "size=1000000", "tree::verify_inclusion", "size=1000000"),
    Pair("log::entry", "size=1000000", "disk::pread", "bytes=8192"),
    Pair("log::tile", "size=1000000", "disk::pread", "bytes=8192"),
];

fn made(dir: &Path) -> &Path {
    std::fs::create_dir_all(dir).expect("target is writable");
    dir
}

/// Reading and writing offers, beside the signatures and the hash alone.
fn offers(criterion: &mut Criterion) {
    let corpus = Corpus::now();
    let wire: Vec<Vec<u8>> = (0..BATCH as u64).map(|n| corpus.sign(n).bytes().to_vec()).collect();
    let bare: Vec<Bare> =
        wire.iter().map(|bytes| Bare::cut(bytes).expect("it was just signed")).collect();
    let each = Throughput::Elements(BATCH as u64);

    let mut group = criterion.benchmark_group("offer::read");
    group.bench_function("one", |b| {
        b.iter(|| Signed::<Offer>::decode(black_box(&wire[0])).map(Signed::verify));
    });
    group.throughput(each.clone()).bench_function(format!("batch={BATCH}"), |b| {
        b.iter(|| {
            let signed = wire.iter().map(|bytes| Signed::<Offer>::decode(black_box(bytes)));
            verify_batch(signed.collect::<Result<Vec<_>, _>>().expect("well-formed"))
        });
    });
    group.finish();

    let mut group = criterion.benchmark_group("ed25519::verify_strict");
    group.bench_function("one", |b| b.iter(|| black_box(&bare[0]).verify()));
    group.throughput(each.clone());
    group.bench_function(format!("batch={BATCH}"), |b| {
        b.iter(|| bare.iter().all(|bare| black_box(bare).verify()));
    });
    group.finish();
    let mut group = criterion.benchmark_group("ed25519::verify_batch");
    group.throughput(each);
    group.bench_function(format!("batch={BATCH}"), |b| {
        b.iter(|| Bare::verify_batch(black_box(&bare)));
    });
    group.finish();
    let mut group = criterion.benchmark_group("sha256::digest");
    group.throughput(Throughput::Bytes(wire[0].len() as u64));
    group.bench_function("one", |b| b.iter(|| leaf_hash(black_box(&wire[0]))));
    group.finish();

    criterion.bench_function("offer::write", |b| {
        b.iter_batched(
            || corpus.offer(0),
            |offer| corpus.key(0).sign_offer(offer),
            criterion::BatchSize::SmallInput,
        );
    });
    let key = SigningKey::from_bytes(&[7; 32]);
    criterion.bench_function("ed25519::sign", |b| b.iter(|| key.sign(black_box(&bare[0].text))));
}

/// A record of four kilobytes, beside the cipher alone.
fn sealing(criterion: &mut Criterion) {
    use chacha20poly1305::{ChaCha20Poly1305, KeyInit as _, aead::Aead as _};

    let payload = vec![7; PAYLOAD];
    let hash = [1; 32];
    let context = SealContext::Reply {
        trade: EntryId::from(hash),
        offer: EntryId::from(hash),
        block: BlockHash::from(hash),
    };
    for suite in [Suite::X25519, Suite::XWing] {
        let key = SealKey::generate(suite);
        let packet = seal(key.public(), &context, b"", &payload).expect("a key of its suite");
        let name = format!("suite={suite:?}");
        let mut group = criterion.benchmark_group("seal::seal");
        group.throughput(Throughput::Bytes(PAYLOAD as u64)).bench_function(&name, |b| {
            b.iter(|| seal(key.public(), &context, b"", black_box(&payload)));
        });
        group.finish();
        let mut group = criterion.benchmark_group("seal::open");
        group.throughput(Throughput::Bytes(PAYLOAD as u64)).bench_function(&name, |b| {
            b.iter(|| key.open(&context, b"", black_box(&packet)));
        });
        group.finish();
    }
    let cipher = ChaCha20Poly1305::new(&[7; 32].into());
    criterion.bench_function("chacha20poly1305::encrypt", |b| {
        b.iter(|| cipher.encrypt(&[0; 12].into(), black_box(&payload[..])));
    });
}

/// Subject tags, a hundred at once, on one core.
fn tags(criterion: &mut Criterion) {
    const IDS: usize = 100;
    let ids = || -> Vec<SubjectId> {
        (0..IDS).map(|n| SubjectId::new(&format!("ZZ-{n}")).expect("a valid ID")).collect()
    };
    let (key, each) = (TagKey::generate(), Throughput::Elements(IDS as u64));
    let elements = BlindedIds::blind(ids()).expect("a batch").elements().to_vec();
    let name = BenchmarkId::from_parameter(format!("ids={IDS}"));

    let mut group = criterion.benchmark_group("tags::blind");
    group.throughput(each.clone()).bench_function(name.clone(), |b| {
        b.iter_batched(ids, BlindedIds::blind, criterion::BatchSize::SmallInput);
    });
    group.finish();
    let mut group = criterion.benchmark_group("tags::evaluate");
    group.throughput(each.clone()).bench_function(name.clone(), |b| {
        b.iter(|| key.evaluate(black_box(&elements)));
    });
    group.finish();
    let mut group = criterion.benchmark_group("tags::finalize");
    group.throughput(each).bench_function(name, |b| {
        b.iter_batched(
            || {
                let blinded = BlindedIds::blind(ids()).expect("a batch");
                let answer = key.evaluate(blinded.elements()).expect("valid elements");
                (blinded, answer)
            },
            |(blinded, answer)| blinded.finalize(&key.public(), &answer.evaluated, &answer.proof),
            criterion::BatchSize::SmallInput,
        );
    });
    group.finish();
}

/// Durable appends, beside the disk alone and beside a database that syncs.
fn commits(criterion: &mut Criterion, scratch: &Path) {
    let corpus = Corpus::now();
    let entries: Vec<Vec<u8>> = (0..1_000).map(|n| corpus.sign(n).bytes().to_vec()).collect();
    let (mut log, _) = Log::open(scratch.join("log")).expect("a new directory");
    let mut floor = Floor::new(&scratch.join("floor")).expect("a new file");
    for count in [1, 64, 1_000] {
        let bytes = entries[..count].concat();
        let mut group = criterion.benchmark_group("log::append");
        group.sampling_mode(SamplingMode::Flat).throughput(Throughput::Elements(count as u64));
        group.bench_function(format!("commit={count}"), |b| {
            b.iter(|| {
                log.append(&entries[..count]).expect("they fit");
                log.commit().expect("the disk takes them")
            });
        });
        group.finish();
        let mut group = criterion.benchmark_group("disk::append+fdatasync");
        group.sampling_mode(SamplingMode::Flat).throughput(Throughput::Elements(count as u64));
        group.bench_function(format!("offers={count}"), |b| {
            b.iter(|| floor.append(&bytes).expect("the disk takes them"));
        });
        group.finish();
    }

    const TABLE: redb::TableDefinition<'_, u64, &[u8]> = redb::TableDefinition::new("entries");
    let database = redb::Database::create(scratch.join("redb")).expect("a new file");
    let mut next = 0;
    let mut commit = || -> Result<(), redb::Error> {
        let write = database.begin_write()?;
        let mut table = write.open_table(TABLE)?;
        for entry in &entries {
            table.insert(next, &entry[..])?;
            next += 1;
        }
        drop(table);
        Ok(write.commit()?)
    };
    let mut group = criterion.benchmark_group("redb::commit");
    group.sampling_mode(SamplingMode::Flat).throughput(Throughput::Elements(1_000));
    group.bench_function("offers=1000", |b| b.iter(|| commit().expect("the disk takes them")));
    group.finish();
}

/// Proofs and tiles of a large log.
fn proofs(criterion: &mut Criterion, scratch: &Path) {
    let size = format!("size={LARGE}");
    let log = std::cell::LazyCell::new(|| large(&scratch.join("large")));
    let mut next = 0;
    let mut somewhere = || {
        next = (next + 618_033) % LARGE; // the golden section: far from the one before
        next
    };
    let mut group = criterion.benchmark_group("log::prove_inclusion");
    group.bench_function(&size, |b| b.iter(|| log.prove_inclusion(somewhere(), LARGE)));
    group.finish();
    let mut group = criterion.benchmark_group("tree::verify_inclusion");
    group.bench_function(&size, |b| {
        let head: TreeHead = log.head_at(LARGE).expect("it has so many");
        let proof = log.prove_inclusion(7, LARGE).expect("it has so many");
        let leaf = log.leaf_hash(7).expect("it has so many");
        b.iter(|| tree::verify_inclusion(black_box(&proof), 7, &leaf, &head));
    });
    group.finish();
    let mut group = criterion.benchmark_group("log::entry");
    group.bench_function(&size, |b| b.iter(|| log.entry(somewhere())));
    group.finish();
    let mut group = criterion.benchmark_group("log::tile");
    group.throughput(Throughput::Bytes(8192));
    group.bench_function(&size, |b| b.iter(|| log.tile(0, somewhere() / 256 % 3906, 256)));
    group.finish();
    let mut group = criterion.benchmark_group("disk::pread");
    group.throughput(Throughput::Bytes(8192));
    group.bench_function("bytes=8192", |b| {
        use std::os::unix::fs::FileExt as _;
        let _made = log.size();
        let file = std::fs::File::open(scratch.join("large/hashes.0")).expect("the log's file");
        let mut tile = vec![0; 8192];
        b.iter(|| file.read_exact_at(&mut tile, somewhere() / 256 % 3906 * 8192));
    });
    group.finish();
}

/// A log of offers' size: what is in its entries does not matter to its tree.
fn large(dir: &Path) -> Arc<LogReader> {
    let (mut log, _) = Log::open(dir).expect("a new directory");
    let mut entry = vec![0x5a; 500];
    for n in 0..LARGE {
        entry[..8].copy_from_slice(&n.to_be_bytes());
        log.append(&[&entry]).expect("it fits");
        if n % 50_000 == 49_999 {
            log.commit().expect("the disk takes them");
        }
    }
    log.commit().expect("the disk takes them");
    Arc::new(log.reader())
}
