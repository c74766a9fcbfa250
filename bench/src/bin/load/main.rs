//! The service under load: `load [CASE] [--json FILE] [--offers N]`.
//!
//! Each case starts a platform in a process of its own, over loopback, on the same cores: the
//! generator's part of the processor is printed beside the platform's. Requests are written and
//! signed before anything is timed.

mod audit;
mod lookup;
mod publish;
mod tags;

use std::{
    env, io,
    path::{Path, PathBuf},
    time::Duration,
};

use anyhow::{Context as _, Result, bail};
use encrytrust_bench::{
    disk::Floor,
    market,
    report::{self, Report, Row},
};
use encrytrust_platform::{Options, serve};

const USAGE: &str = "\
load [CASE] [--json FILE] [--offers N]

  publish-1      durable offers, one in each request
  publish-1000   durable offers, a thousand in each request
  tags           subject tags for 10,000 IDs
  lookup         offers about a subject, with proofs, among N offers (1,000,000)
  audit          the whole chain of N offers, offline

  CASE may be a part of a name; without one, all run
";

/// What a case works with.
struct Bench {
    report: Report,
    /// Offers in the large market.
    offers: u64,
}

type Case = fn(&mut Bench) -> Result<()>;

const CASES: [(&str, Case); 5] = [
    ("publish-1", |bench| publish::run(bench, 1)),
    ("publish-1000", |bench| publish::run(bench, 1_000)),
    ("tags", tags::run),
    ("lookup", lookup::run),
    ("audit", audit::run),
];

fn main() -> Result<()> {
    let args: Vec<String> = env::args().skip(1).collect();
    let args: Vec<&str> = args.iter().map(String::as_str).collect();
    match *args.as_slice() {
        // What this program starts itself as: see `process`.
        ["serve", dir] => platform(Path::new(dir)),
        ["audit-apart", dir] => audit::audit_apart(Path::new(dir)),
        ["limit-apart", dir] => audit::limit_apart(Path::new(dir)),
        _ => measure(&args),
    }
}

fn measure(args: &[&str]) -> Result<()> {
    let (mut case, mut json, mut offers) = (None, None, 1_000_000);
    let mut args = args.iter().copied();
    while let Some(arg) = args.next() {
        let mut value = || args.next().with_context(|| format!("{arg} takes a value\n\n{USAGE}"));
        match arg {
            "--json" => json = Some(PathBuf::from(value()?)),
            "--offers" => offers = value()?.parse().context("--offers takes a whole number")?,
            "--help" | "help" => {
                print!("{USAGE}");
                return Ok(());
            }
            _ if arg.starts_with('-') || case.is_some() => bail!("what is {arg:?}?\n\n{USAGE}"),
            _ => case = Some(arg),
        }
    }
    let chosen = chosen(case);
    if chosen.is_empty() {
        println!("no case has {:?} in its name", case.unwrap_or_default());
        return Ok(());
    }
    let mut bench = Bench { report: Report::default(), offers };
    bench.introduce()?;
    for (name, run) in chosen {
        println!();
        run(&mut bench).with_context(|| name)?;
    }
    if let Some(path) = json {
        bench.report.store(&path)?;
    }
    Ok(())
}

/// The case of this name, or those that have it in theirs.
fn chosen(name: Option<&str>) -> Vec<(&'static str, Case)> {
    let Some(name) = name else { return CASES.to_vec() };
    match CASES.iter().find(|(case, _)| *case == name) {
        Some(case) => vec![*case],
        None => CASES.into_iter().filter(|(case, _)| case.contains(name)).collect(),
    }
}

impl Bench {
    /// What holds for every figure.
    fn introduce(&mut self) -> Result<()> {
        self.report.note(report::machine());
        self.report.note("platform and load generator share these cores, over loopback");
        self.report.note("limits on requests per address and participant are lifted, no others");
        self.report.note(
            "quoted, not measured here: Tessera 1.0.4 (POSIX, no antispam, entries of 500 bytes \
             or more, generator on the same machine) about 5,800 durable entries/s",
        );
        let dir = market::shelf()?;
        for bytes in [500, 500_000] {
            let rate = Floor::rate(&dir, bytes, Duration::from_secs(1))?;
            self.report.row(Row::new(format!("disk::append+fdatasync/bytes={bytes}"), rate, "/s"));
        }
        Ok(())
    }
}

/// A platform, until standard input ends. It logs what `ets platform serve` logs.
fn platform(dir: &Path) -> Result<()> {
    tracing_subscriber::fmt().with_max_level(tracing::Level::WARN).with_writer(io::stderr).init();
    tokio::runtime::Runtime::new()?.block_on(async {
        let options = Options { listen: Some(([127, 0, 0, 1], 0).into()), ..Options::default() };
        let server = serve(dir, options).await?;
        println!("{}", server.address());
        tokio::task::spawn_blocking(|| io::copy(&mut io::stdin(), &mut io::sink())).await??;
        Ok(server.stop().await?)
    })
}
