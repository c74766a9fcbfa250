//! Durable offers: answered when they are on disk.

use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use encrytrust_bench::{
    corpus::Corpus,
    disk::Floor,
    limit::Bare,
    market,
    pace::{self, Outcome, Pace, Work},
    process::{Platform, Usage},
    report::{Aim, Row},
    wire,
};
use rayon::prelude::*;

use super::Bench;

/// How long each of the two loops lasts.
const LASTING: Duration = Duration::from_secs(8);

/// The open loop's rate, as a share of what the closed loop reached.
const SHARE: f64 = 0.7;

/// Publishes `each` offers per request.
pub(crate) fn run(bench: &mut Bench, each: u64) -> Result<()> {
    let name = format!("publish-{each}");
    // One by one it takes many waiting callers to fill a commit.
    let (connections, aim, prepared) =
        if each == 1 { (128, 6_000.0, 160_000) } else { (4, 20_000.0, 400) };
    let home = tempfile::tempdir_in(market::shelf()?)?;
    market::make(home.path())?;
    let (platform, corpus) = (Platform::start(home.path())?, Corpus::now());
    market::admit(home.path(), &platform, &corpus)?;
    let bytes = corpus.sign(0).bytes().len();

    let bodies = corpus.bodies(0, prepared, each);
    let load = Load { name: &name, platform: &platform, connections, each };
    let outcome = load.run(bench, "closed", &bodies, Pace::Closed { lasting: LASTING })?;
    drop(bodies);
    let reached = outcome.rate();
    let floor = Floor::rate(home.path(), bytes * each as usize, Duration::from_secs(1))?;
    bench.report.row(
        Row::new(
            format!("{name}/closed connections={connections} bytes={bytes}"),
            reached * each as f64,
            "offers/s",
        )
        .beside("one fdatasync for each request, on this disk", floor * each as f64)
        .beside("Ed25519 alone, verified strictly, all cores", signatures(&corpus, 20_000)?)
        .aim(Aim::AtLeast(aim)),
    );

    let rate = reached * SHARE;
    let count = (rate * LASTING.as_secs_f64()).ceil() as u64;
    let bodies = corpus.bodies(prepared * each, count, each);
    let outcome = load.run(bench, "open", &bodies, Pace::Open { rate })?;
    latencies(bench, &format!("{name}/open offers={:.0}/s", rate * each as f64), &outcome, None);
    bench.report.row(Row::memory(format!("{name}/memory"), platform.peak_memory()?));
    Ok(())
}

struct Load<'a> {
    name: &'a str,
    platform: &'a Platform,
    connections: usize,
    each: u64,
}

impl Load<'_> {
    fn run(&self, bench: &mut Bench, how: &str, bodies: &[Vec<u8>], pace: Pace) -> Result<Outcome> {
        let requests: Vec<_> = bodies.iter().map(|b| wire::post("/v1/offers", b)).collect();
        let work = Work {
            address: self.platform.address(),
            connections: self.connections,
            request: &|n| requests.get(n).map(Vec::as_slice),
            check: &|answer| market::accepted(answer, self.each as usize),
        };
        measured(bench, self.platform, &format!("{}/{how}", self.name), &work, pace)
    }
}

/// Runs, and says who kept the cores busy.
pub(crate) fn measured(
    bench: &mut Bench,
    platform: &Platform,
    name: &str,
    work: &Work<'_>,
    pace: Pace,
) -> Result<Outcome> {
    let before = (platform.usage()?, Usage::of(0)?);
    let outcome = pace::run(work, pace)?;
    let after = (platform.usage()?, Usage::of(0)?);
    bench.report.note(format!(
        "{name}: {} requests in {:.1} s; busy cores: platform {:.2}, generator {:.2}",
        outcome.requests,
        outcome.elapsed.as_secs_f64(),
        after.0.cores_since(before.0),
        after.1.cores_since(before.1),
    ));
    Ok(outcome)
}

/// The rows of a distribution; the aim, if there is one, is for the 99th percentile.
pub(crate) fn latencies(bench: &mut Bench, name: &str, outcome: &Outcome, p99: Option<Aim>) {
    let quantiles = [("p50", 0.5, None), ("p99", 0.99, p99), ("p99.9", 0.999, None)];
    for (label, share, aim) in quantiles {
        // With less than one request beyond it, a quantile is the maximum by another name.
        if outcome.requests as f64 * (1.0 - share) >= 1.0 {
            let row = Row::time(format!("{name} {label}"), outcome.quantile(share));
            bench.report.row(Row { aim, ..row });
        }
    }
}

/// Signatures per second that all cores verify, one by one, as whoever lets entries in must.
fn signatures(corpus: &Corpus, count: u64) -> Result<f64> {
    let cut = |n| Bare::cut(corpus.sign(n).bytes());
    let bare = (0..count).into_par_iter().map(cut).collect::<Result<Vec<_>>>()?;
    let began = Instant::now();
    ensure!(bare.par_iter().all(Bare::verify), "a signature does not hold");
    Ok(count as f64 / began.elapsed().as_secs_f64())
}
