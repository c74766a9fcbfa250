//! The whole chain, offline, in a process of its own so that its memory is its own.

use std::{
    path::Path,
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result};
use encrytrust_bench::{
    corpus, limit,
    process::{Usage, apart, peak_memory},
    report::{Aim, Row},
};
use encrytrust_index_chain::audit::Auditor;
use encrytrust_keys::{files, platform::PlatformKey};
use serde::{Deserialize, Serialize};

use super::{Bench, lookup::filled};

/// What a process answers.
#[derive(Debug, Serialize, Deserialize)]
struct Told {
    entries: u64,
    bytes: u64,
    seconds: f64,
    busy_cores: f64,
    memory: u64,
}

pub(crate) fn run(bench: &mut Bench) -> Result<()> {
    let dir = filled(bench.offers)?;
    let dir = dir.to_str().context("a path in UTF-8")?;
    let audit: Told = serde_json::from_str(&apart(&["audit-apart", dir])?)?;
    let least: Told = serde_json::from_str(&apart(&["limit-apart", dir])?)?;
    let name = format!("audit/entries={}", audit.entries);
    bench.report.note(format!(
        "{name}: {} MB of entries; busy cores: audit {:.2}, its limit {:.2}",
        audit.bytes / 1_000_000,
        audit.busy_cores,
        least.busy_cores
    ));
    let rate = |told: &Told| told.entries as f64 / told.seconds;
    bench.report.row(
        Row::new(&name, rate(&audit), "entries/s")
            .beside("SHA-256 and batched Ed25519 of the same, all cores", rate(&least)),
    );
    let time = Row::new(format!("{name} time"), audit.seconds, "s");
    bench.report.row(time.aim(Aim::Below(60.0)));
    let memory = Row::memory(format!("{name} memory"), audit.memory);
    bench.report.row(memory.aim(Aim::Below(500.0)));
    Ok(())
}

/// In a process of its own: the audit.
pub(crate) fn audit_apart(dir: &Path) -> Result<()> {
    let key: PlatformKey = files::load(&dir.join("keys/platform.key"), None)?;
    let (began, before) = (Instant::now(), Usage::of(0)?);
    let report =
        Auditor::new(corpus::market(), key.public()).timed_by(|| began.elapsed()).audit(dir)?;
    tell(report.index_entries, report.bytes, began.elapsed(), before)
}

/// In a process of its own: the least an audit can be.
pub(crate) fn limit_apart(dir: &Path) -> Result<()> {
    let entries = dir.join("index/entries");
    let bytes = std::fs::metadata(&entries)?.len();
    let before = Usage::of(0)?;
    let (entries, time) = limit::of_log(&entries)?;
    tell(entries, bytes, time, before)
}

fn tell(entries: u64, bytes: u64, time: Duration, before: Usage) -> Result<()> {
    let (seconds, memory) = (time.as_secs_f64(), peak_memory(0)?);
    let busy_cores = Usage::of(0)?.cores_since(before);
    let told = Told { entries, bytes, seconds, busy_cores, memory };
    println!("{}", serde_json::to_string(&told)?);
    Ok(())
}
