//! Who offers something about a subject, with proofs.

use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use encrytrust_bench::{
    corpus::{self, Corpus, PROVIDERS},
    market,
    pace::{self, Pace, Work},
    process::Platform,
    report::{Aim, Row},
    wire::{self, Answer, Connection},
};
use encrytrust_index_chain::{
    checkpoint::{LogName, SignedCheckpoint},
    note::Vkey,
    tree,
};
use encrytrust_protocol::{
    EntryId, Offer, Sha256Hash, Signed,
    api::{PlatformView, SubjectView},
    leaf_hash,
};

use super::{
    Bench,
    publish::{latencies, measured},
};

const CONNECTIONS: usize = 32;
const LASTING: Duration = Duration::from_secs(8);

/// The open loops' rates, as shares of what the closed loop reached: an ordinary and a busy day.
const SHARES: [f64; 2] = [0.3, 0.7];

/// Different subjects asked for, each again and again.
const SUBJECTS: u64 = 50_000;

/// Answers checked to the last hash before anything is timed.
const CHECKED: u64 = 200;

pub(crate) fn run(bench: &mut Bench) -> Result<()> {
    let offers = bench.offers;
    let dir = filled(offers)?;
    let platform = Platform::start(&dir)?;
    let name = format!("lookup/offers={offers}");
    bench.report.note(market::filling(&dir)?);
    bench.report.row(Row::time(format!("{name} opening"), platform.opening));

    let subjects = offers / PROVIDERS;
    let tag = |n: u64| Corpus::tag_of(PROVIDERS * (spread(n) % subjects));
    check(&platform, (0..CHECKED).map(tag))?;
    bench.report.note(format!("{name}: {CHECKED} answers verified to the checkpoint's signature"));
    let requests: Vec<_> =
        (0..SUBJECTS).map(|n| wire::get(&format!("/v1/subjects/{}", tag(n)))).collect();
    let again = |n: usize| (n < pace::NEVER).then(|| &*requests[n % requests.len()]);
    let closed = Pace::Closed { lasting: LASTING };
    let outcome =
        measured(bench, &platform, &format!("{name}/closed"), &asking(&platform, &again), closed)?;
    let (reached, most) = (outcome.rate(), healthz(bench, &platform)?);
    bench.report.row(
        Row::new(format!("{name}/closed connections={CONNECTIONS}"), reached, "lookups/s")
            .beside("the same server saying only that it is well", most),
    );

    for share in SHARES {
        let rate = reached * share;
        let count = (rate * LASTING.as_secs_f64()) as usize;
        let some = |n: usize| (n < count).then(|| &*requests[n % requests.len()]);
        let (name, open) = (format!("{name}/open lookups={rate:.0}/s"), Pace::Open { rate });
        let outcome = measured(bench, &platform, &name, &asking(&platform, &some), open)?;
        latencies(bench, &name, &outcome, Some(Aim::Below(5.0)));
    }
    let memory = Row::memory(format!("{name} memory"), platform.peak_memory()?);
    bench.report.row(memory.aim(Aim::Below(500.0)));
    Ok(())
}

/// Lookups over all connections.
fn asking<'a>(
    platform: &Platform,
    request: &'a (dyn Fn(usize) -> Option<&'a [u8]> + Sync),
) -> Work<'a> {
    Work { address: platform.address(), connections: CONNECTIONS, request, check: &found }
}

/// Refuses an answer without an offer of every provider.
fn found(answer: &Answer<'_>) -> Result<()> {
    let offers = memchr::memmem::find_iter(answer.ok()?, br#""proof":["#).count();
    ensure!(offers as u64 == PROVIDERS, "{offers} offers about a subject");
    Ok(())
}

/// Answers per second without anything to look up.
fn healthz(bench: &mut Bench, platform: &Platform) -> Result<f64> {
    let request = wire::get("/healthz");
    let work = Work {
        address: platform.address(),
        connections: CONNECTIONS,
        request: &|n| (n < pace::NEVER).then_some(&request[..]),
        check: &|answer| answer.ok().map(drop),
    };
    let closed = Pace::Closed { lasting: Duration::from_secs(3) };
    Ok(measured(bench, platform, "healthz/closed", &work, closed)?.rate())
}

/// The large market.
pub(crate) fn filled(offers: u64) -> Result<std::path::PathBuf> {
    market::filled(offers, &|sent| eprint!("\rfilling a market, once: {sent} of {offers} offers"))
        .inspect(|_| eprintln!())
}

/// Asks and checks everything a buyer would.
fn check(
    platform: &Platform,
    tags: impl Iterator<Item = encrytrust_protocol::SubjectTag>,
) -> Result<()> {
    let mut connection = Connection::open(platform.address())?;
    let view: PlatformView =
        serde_json::from_slice(connection.exchange(&wire::get("/v1/platform"))?.ok()?)?;
    let vkey: Vkey = view.vkey.parse()?;
    let vkey = LogName::Index.vkey(&corpus::market(), vkey.key());
    for tag in tags {
        let answer = connection.exchange(&wire::get(&format!("/v1/subjects/{tag}")))?;
        let view: SubjectView = serde_json::from_slice(answer.ok()?)?;
        let head = SignedCheckpoint::open(view.checkpoint.as_bytes(), &vkey)?.head();
        ensure!(view.offers.len() as u64 == PROVIDERS, "{} offers", view.offers.len());
        for offer in &view.offers {
            let read = Signed::<Offer>::decode(&offer.entry.0)?.verify()?;
            ensure!(read.message().subject.tag == tag, "an offer about somebody else");
            let hash = |bytes: &[u8]| Sha256Hash::try_from(bytes).context("a hash");
            let proof = offer.proof.iter().map(|h| hash(&h.0)).collect::<Result<Vec<_>>>()?;
            let leaf: EntryId = leaf_hash(&offer.entry.0);
            tree::verify_inclusion(&proof, offer.index, &leaf, &head)?;
        }
    }
    Ok(())
}

/// Numbers that visit everything in no order (the finaliser of MurmurHash3).
fn spread(n: u64) -> u64 {
    let mut x = n.wrapping_add(1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    x = (x ^ x >> 33).wrapping_mul(0xff51_afd7_ed55_8ccd);
    x = (x ^ x >> 33).wrapping_mul(0xc4ce_b9fe_1a85_ec53);
    x ^ x >> 33
}
