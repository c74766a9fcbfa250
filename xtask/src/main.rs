//! What the Makefile calls.
//!
//! Each verb is one function that runs ordinary commands and shows them, so that what a verb does
//! can be read off the terminal and typed by hand. Nothing here is a build system: `make` sees to
//! what the machine lacks (`scripts/setup.sh`), cargo builds.

mod args;
mod demo;
mod interop;
mod links;
mod shell;

use std::fs;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Instant;

use anyhow::{Context as _, Result, bail};

use args::Args;
use shell::{Step, ask, cargo, note, shown, tool};

const USAGE: &str = "\
xtask VERB

  demo                               three enterprises, one buyer, one auditor; state in ./demo
  test                               everything that has to pass
  interop                            only fetch the verifiers that the interop tests call
  lint                               formatting, clippy, rustdoc, licences and advisories
  serve  [--dir D] [--listen A:P]    a platform to try things on
  bench  [--filter NAME]             kernels, then the load generator, in release
  vectors                            write vectors/ again and show what changed
  fuzz   [--target T] [--seconds N]  run one fuzz target, or replay the vectors against all
  doc                                the API documentation
";

fn main() -> ExitCode {
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run() -> Result<()> {
    let mut args = Args::from_env();
    match args.verb().as_deref() {
        Some("demo") => args.finish().and_then(|()| demo::run()),
        Some("test") => args.finish().and_then(|()| test()),
        Some("interop") => args.finish().and_then(|()| interop::prepare().map(drop)),
        Some("lint") => args.finish().and_then(|()| lint()),
        Some("doc") => args.finish().and_then(|()| doc()),
        Some("vectors") => args.finish().and_then(|()| vectors()),
        Some("serve") => serve(args),
        Some("bench") => bench(args),
        Some("fuzz") => fuzz(args),
        Some("help") | None => {
            print!("{USAGE}");
            Ok(())
        }
        Some(other) => bail!("no verb {other:?}\n\n{USAGE}"),
    }
}

/// Everything that has to pass, in the order in which a failure is cheapest to find.
fn test() -> Result<()> {
    let started = Instant::now();
    let environment = interop::prepare()?;
    {
        let _step = Step::start("build, so that the journeys find the ets binary");
        cargo(["build", "--workspace"]).run()?;
    }
    {
        let _step = Step::start("unit tests, journeys, adversaries, crashes, interop");
        cargo(["test", "--workspace", "--no-fail-fast"])
            .env(interop::ENVIRONMENT, &environment)
            .run()?;
    }
    doc()?;
    note(&format!("all passed in {} s", started.elapsed().as_secs()));
    Ok(())
}

/// What a reviewer should not have to say.
fn lint() -> Result<()> {
    {
        let _step = Step::start("formatting");
        cargo(["fmt", "--all", "--check"]).run()?;
    }
    {
        let _step = Step::start("clippy");
        cargo(["clippy", "--workspace", "--all-targets", "--", "-D", "warnings"]).run()?;
    }
    doc()?;
    {
        let _step = Step::start("links in the documents");
        links::check()?;
    }
    if ask(cargo(["deny", "--version"])).is_none() {
        note("skipped: licences and advisories. `cargo install cargo-deny` adds the check.");
        return Ok(());
    }
    let _step = Step::start("licences, sources, bans");
    cargo(["deny", "check", "licenses", "bans", "sources"]).run()?;
    // Advisories live in a repository of their own, which not every machine can reach.
    if cargo(["deny", "check", "advisories"]).run().is_err() {
        if std::env::var_os("CI").is_some() {
            note("advisories: not checked or not clean, see above");
        } else {
            bail!("an advisory applies, or the advisory database could not be fetched; see above");
        }
    }
    Ok(())
}

fn doc() -> Result<()> {
    let _step = Step::start("documentation");
    cargo(["doc", "--workspace", "--no-deps"]).env("RUSTDOCFLAGS", "-D warnings").run()
}

/// A platform to try things on: made on the first call, found again on the next.
fn serve(mut args: Args) -> Result<()> {
    let dir = args.value("--dir")?.unwrap_or_else(|| "demo/platform".into());
    let listen = args.value("--listen")?.unwrap_or_else(|| "127.0.0.1:7700".into());
    args.finish()?;
    let ets = shell::ets()?;
    if !shell::root().join(&dir).join("platform.toml").exists() {
        tool(&ets).args(["platform", "init", "--dir", &dir, "--listen", &listen]).run()?;
    }
    tool(&ets).args(["platform", "serve", "--dir", &dir, "--listen", &listen]).run()
}

/// Kernels first (criterion keeps the last run and compares), then the service under load.
fn bench(mut args: Args) -> Result<()> {
    let filter = args.value("--filter")?;
    args.finish()?;
    {
        let _step = Step::start("kernels");
        let mut kernels = cargo(["bench", "--package", "encrytrust-bench", "--benches"]);
        if let Some(filter) = &filter {
            kernels = kernels.args(["--", filter]);
        }
        kernels.run()?;
    }
    let _step = Step::start("the service under load");
    let load = cargo(["run", "--release", "--package", "encrytrust-bench", "--bin", "load", "--"]);
    load.args(filter.as_slice()).run()
}

/// The generator is part of the tests: what it writes is what they read.
fn vectors() -> Result<()> {
    let _step = Step::start("vectors");
    cargo(["test", "--workspace", "--test", "vectors"]).env("UPDATE_VECTORS", "1").run()?;
    tool("git").args(["status", "--short", "--", "vectors", "docs/spec"]).run()
}

/// libFuzzer needs a nightly compiler. Without one, every vector and thousands of mutations still
/// go through every decoder, which is also what `make test` does.
fn fuzz(mut args: Args) -> Result<()> {
    let target = args.value("--target")?;
    let seconds = args.value("--seconds")?.unwrap_or_else(|| "60".into());
    args.finish()?;
    let seconds: u32 = seconds.parse().context("--seconds takes a whole number")?;
    let Some(target) = target else {
        note("no TARGET given (encrytrust_fuzz::TARGETS has the names)");
        return replay();
    };
    if ask(cargo(["+nightly", "fuzz", "--version"])).is_none() {
        note("no cargo-fuzz on a nightly compiler here. To have it:");
        note("  rustup toolchain install nightly && cargo install cargo-fuzz");
        return replay();
    }
    let corpus = seeds(&target)?;
    let _step = Step::start(&format!("{target} for {seconds} s, corpus in {}", shown(&corpus)));
    cargo(["+nightly", "fuzz", "run", "--features", "libfuzzer", "decode"])
        .args([corpus])
        .args(["--".to_owned(), format!("-max_total_time={seconds}")])
        .env("FUZZ_TARGET", &target)
        .run()
}

fn replay() -> Result<()> {
    let _step = Step::start("every vector, and mutations of each, against every decoder");
    cargo(["test", "--package", "encrytrust-fuzz"]).run()
}

/// A folder with the bytes of a target's vectors, one file each: where a fuzzer starts.
fn seeds(target: &str) -> Result<PathBuf> {
    let corpus = shell::target().join("fuzz-corpus").join(target);
    fs::create_dir_all(&corpus).with_context(|| format!("make {}", corpus.display()))?;
    let Ok(vectors) = fs::read_dir(shell::root().join("vectors").join(target)) else {
        return Ok(corpus); // a target without vectors starts from nothing
    };
    for vector in vectors {
        let path = vector?.path();
        let json: serde_json::Value = serde_json::from_str(&fs::read_to_string(&path)?)
            .with_context(|| format!("read {}", path.display()))?;
        let hex = json["bytes"].as_str().unwrap_or_default().as_bytes();
        let digit = |d: u8| char::from(d).to_digit(16).and_then(|d| u8::try_from(d).ok());
        let bytes: Option<Vec<u8>> =
            hex.chunks(2).map(|pair| Some(digit(pair[0])? << 4 | digit(*pair.get(1)?)?)).collect();
        let bytes = bytes.with_context(|| format!("no hex in {}", path.display()))?;
        fs::write(corpus.join(path.file_stem().unwrap_or_default()), bytes)?;
    }
    Ok(corpus)
}
