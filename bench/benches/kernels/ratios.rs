//! The table at the end: what criterion measured, beside what it cannot beat.

use std::{fs, path::Path, time::SystemTime};

use encrytrust_bench::report::figure;

/// A benchmark that stands alone in its group.
pub(crate) const ALONE: &str = "";

/// Group and name of a benchmark, and of the one it stands beside.
pub(crate) struct Pair(
    pub(crate) &'static str,
    pub(crate) &'static str,
    pub(crate) &'static str,
    pub(crate) &'static str,
);

/// Prints the pairs of which both were measured since `began`.
pub(crate) fn print(results: &Path, began: SystemTime, pairs: &[Pair]) {
    let mut printed = false;
    for Pair(group, name, other_group, other_name) in pairs {
        let mean = |group, name| mean(results, began, group, name);
        let (Some(mine), Some(other)) = (mean(group, name), mean(other_group, other_name)) else {
            continue;
        };
        if !printed {
            println!("{:<36} {:>12} {:>9}   beside", "kernel", "microseconds", "ratio");
            printed = true;
        }
        println!(
            "{:<36} {:>12} {:>7} x   {} {}",
            full(group, name),
            figure(mine / 1e3),
            figure(mine / other),
            full(other_group, other_name),
            figure(other / 1e3),
        );
    }
}

fn full(group: &str, name: &str) -> String {
    if name == ALONE { group.to_owned() } else { format!("{group}/{name}") }
}

/// Criterion's mean, in nanoseconds, if it is of this run.
fn mean(results: &Path, began: SystemTime, group: &str, name: &str) -> Option<f64> {
    // Criterion replaces what some file systems do not take in a name.
    let path = results.join(group.replace(':', "_")).join(name).join("new/estimates.json");
    if fs::metadata(&path).ok()?.modified().ok()? < began {
        return None;
    }
    let estimates: serde_json::Value = serde_json::from_slice(&fs::read(path).ok()?).ok()?;
    estimates["mean"]["point_estimate"].as_f64()
}
