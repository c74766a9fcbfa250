//! The table: what was measured, beside what it cannot beat, as a ratio; and the same as JSON.

use std::{fs, path::Path, time::Duration};

use anyhow::Result;
use serde::Serialize;

/// One line of the table.
#[derive(Debug, Clone, Serialize)]
pub struct Row {
    /// What was measured.
    pub name: String,
    /// The figure.
    pub value: f64,
    /// Its unit.
    pub unit: &'static str,
    /// What it stands beside.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub beside: Vec<Beside>,
    /// What the design asks for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub aim: Option<Aim>,
}

/// A peer or a limit, measured in the same run.
#[derive(Debug, Clone, Serialize)]
pub struct Beside {
    /// What it is.
    pub what: String,
    /// Its figure, in the row's unit.
    pub value: f64,
    /// The row's figure by this one.
    pub ratio: f64,
}

/// What the design asks for.
#[derive(Debug, Clone, Copy, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Aim {
    /// Not less than this.
    AtLeast(f64),
    /// Less than this.
    Below(f64),
}

impl Row {
    /// A figure.
    pub fn new(name: impl Into<String>, value: f64, unit: &'static str) -> Self {
        Self { name: name.into(), value, unit, beside: Vec::new(), aim: None }
    }

    /// A time, in milliseconds.
    pub fn time(name: impl Into<String>, time: Duration) -> Self {
        Self::new(name, time.as_secs_f64() * 1e3, "ms")
    }

    /// An amount of memory, in megabytes (10^6).
    pub fn memory(name: impl Into<String>, bytes: u64) -> Self {
        Self::new(name, bytes as f64 / 1e6, "MB")
    }

    /// Beside a peer or a limit, in the same unit.
    #[must_use]
    pub fn beside(mut self, what: impl Into<String>, value: f64) -> Self {
        self.beside.push(Beside { what: what.into(), value, ratio: self.value / value });
        self
    }

    /// With an aim.
    #[must_use]
    pub fn aim(mut self, aim: Aim) -> Self {
        self.aim = Some(aim);
        self
    }

    fn print(&self) {
        let mut line = format!("{:<52} {:>10} {:<13}", self.name, figure(self.value), self.unit);
        if let Some(aim) = self.aim {
            let (reached, sign, aim) = match aim {
                Aim::AtLeast(aim) => (self.value >= aim, ">=", aim),
                Aim::Below(aim) => (self.value < aim, "<", aim),
            };
            let verdict = if reached { "reached" } else { "MISSED" };
            line += &format!(" aim {sign} {}: {verdict}", figure(aim));
        }
        println!("{}", line.trim_end());
        for Beside { what, value, ratio } in &self.beside {
            println!("{:>63} x  {what}: {}", figure(*ratio), figure(*value));
        }
    }
}

/// Three digits that count.
pub fn figure(value: f64) -> String {
    let digits = match value.abs() {
        v if v >= 100.0 => 0,
        v if v >= 10.0 => 1,
        v if v >= 1.0 => 2,
        _ => 3,
    };
    let text = format!("{value:.digits$}");
    let (whole, rest) = text.split_once('.').map_or((text.as_str(), None), |(w, r)| (w, Some(r)));
    let mut grouped = String::new();
    for (i, digit) in whole.chars().enumerate() {
        if i > 0 && (whole.len() - i).is_multiple_of(3) && digit.is_ascii_digit() {
            grouped.push(',');
        }
        grouped.push(digit);
    }
    rest.map_or(grouped.clone(), |rest| format!("{grouped}.{rest}"))
}

/// Lines are shown as they are known, and kept.
#[derive(Debug, Default, Serialize)]
pub struct Report {
    notes: Vec<String>,
    rows: Vec<Row>,
}

impl Report {
    /// Something to know about the machine or the method.
    pub fn note(&mut self, note: impl Into<String>) {
        let note = note.into();
        println!("# {note}");
        self.notes.push(note);
    }

    /// A figure.
    pub fn row(&mut self, row: Row) {
        row.print();
        self.rows.push(row);
    }

    /// Writes everything as JSON.
    pub fn store(&self, path: &Path) -> Result<()> {
        fs::write(path, serde_json::to_string_pretty(self)? + "\n")?;
        Ok(())
    }
}

/// Cores and processor, as Linux names them.
pub fn machine() -> String {
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let info = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = info.lines().find_map(|line| line.strip_prefix("model name")?.split_once(": "));
    let model = model.map_or("a processor", |(_, model)| model);
    format!("{cores} cores of {model}")
}
