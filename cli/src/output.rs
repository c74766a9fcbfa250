//! One answer, two ways to show it: text for people, one JSON document for programs.

use std::{fmt, io::Write, time::Duration};

use encrytrust_index_chain::audit::{Progress as AuditProgress, Stage};
use encrytrust_participant_node::Step;
use indicatif::{ProgressBar, ProgressState, ProgressStyle};
use serde::Serialize;

use crate::exit::{Exit, Failure};

/// Where answers go.
#[derive(Debug)]
pub(crate) struct Output {
    json: bool,
}

impl Output {
    pub(crate) fn new(json: bool) -> Self {
        Self { json }
    }

    /// The command's answer: its `Display` for people, its `Serialize` for programs.
    pub(crate) fn answer<A: Serialize + fmt::Display>(&self, answer: &A) -> Result<Exit, Failure> {
        let text = if self.json {
            serde_json::to_string_pretty(answer)
                .map_err(|e| Failure::refused("output", format!("the answer as JSON: {e}")))?
        } else {
            answer.to_string()
        };
        print(&text);
        Ok(Exit::Done)
    }

    /// A remark on the way, for people only.
    pub(crate) fn remark(&self, text: impl fmt::Display) {
        if !self.json {
            eprintln!("{text}");
        }
    }

    /// Reports a failure and yields the exit code it deserves.
    pub(crate) fn fail(&self, failure: &Failure) -> Exit {
        if self.json {
            print(&format!("{:#}", failure.json()));
        } else {
            eprintln!("{failure}");
        }
        failure.exit()
    }

    /// Shows a person at a terminal what is being waited for.
    pub(crate) fn waiting(&self, what: &'static str) -> Progress {
        let progress = self.progress();
        progress.0.set_message(what);
        progress
    }

    /// Progress on stderr, shown only to a person at a terminal.
    pub(crate) fn progress(&self) -> Progress {
        if self.json {
            return Progress(ProgressBar::hidden());
        }
        let bar = ProgressBar::new_spinner();
        bar.enable_steady_tick(Duration::from_millis(100));
        Progress(bar)
    }
}

/// How far a long task is, on stderr.
pub(crate) struct Progress(ProgressBar);

impl Progress {
    /// Shows a step.
    pub(crate) fn show(&self, step: Step) {
        let (doing, done, total) = match step {
            Step::Reading { rows } => ("reading rows", rows, 0),
            Step::Tagging { done, total } => ("making pseudonyms", done, total),
            Step::Sending { done } => ("publishing", done, 0),
            Step::Blocks { done, total } => ("blocks", done, total),
            Step::Entries { log: "index", done, total } => ("offers", done, total),
            Step::Entries { done, total, .. } => ("trades", done, total),
        };
        self.set(doing, done, total);
    }

    /// Shows how far an audit is.
    pub(crate) fn audit(&self, at: AuditProgress) {
        let doing = match at.stage {
            Stage::Checkpoints => "checking checkpoints",
            Stage::Blocks => "checking blocks",
            Stage::Index => "checking offers",
            Stage::Trades => "checking receipts",
            Stage::OwnOffers => "checking own offers",
        };
        self.set(doing, at.done, at.total);
    }

    fn set(&self, doing: &'static str, done: u64, total: u64) {
        let bar = &self.0;
        if bar.message() != doing {
            bar.reset();
            bar.set_style(style(total > 0));
            bar.set_message(doing);
        }
        bar.set_length(total);
        bar.set_position(done);
    }
}

/// A bar that is over leaves nothing behind, however the task ended.
impl Drop for Progress {
    fn drop(&mut self) {
        self.0.finish_and_clear();
    }
}

fn style(bounded: bool) -> ProgressStyle {
    let template = if bounded {
        "{msg} {wide_bar} {human_pos}/{human_len} ({rate}, {eta} left)"
    } else {
        "{spinner} {msg} {human_pos} ({rate})"
    };
    // Not negative, and rounding is what a reader wants.
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
    let rate = |state: &ProgressState, out: &mut dyn fmt::Write| {
        // A failing write has nobody to be told.
        let _ = write!(out, "{} per second", grouped(state.per_sec() as u64));
    };
    let style = ProgressStyle::with_template(template).expect("both templates above are valid");
    style.with_key("rate", rate)
}

/// Prints to stdout; a reader that went away (`| head`) has what it wanted.
fn print(text: &str) {
    let mut stdout = std::io::stdout().lock();
    let _ = stdout.write_all(text.as_bytes());
    if !text.ends_with('\n') {
        let _ = stdout.write_all(b"\n");
    }
    let _ = stdout.flush();
}

/// A duration as people read it.
pub(crate) fn took(seconds: f64) -> String {
    if seconds < 1.0 { format!("{:.0} ms", seconds * 1000.0) } else { format!("{seconds:.1} s") }
}

/// A rate in parentheses, `(12,345 per second)`; nothing where it took too little time to tell.
pub(crate) fn rate(count: u64, seconds: f64) -> String {
    if count < 100 || seconds < 0.01 {
        return String::new();
    }
    // A count over seconds: positive, and rounding is what a reader wants.
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
    let per_second = (count as f64 / seconds).round() as u64;
    format!(" ({} per second)", grouped(per_second))
}

/// `1234567` as `1,234,567`.
pub(crate) fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut out = String::new();
    for (i, digit) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

/// `1 offer`, `2 offers`, `1,000 offers`.
pub(crate) fn counted(number: u64, noun: &str) -> String {
    let plural = match (number, noun.strip_suffix('y')) {
        (1, _) => noun.to_owned(),
        (_, Some(stem)) if !noun.ends_with("key") => format!("{stem}ies"),
        _ => format!("{noun}s"),
    };
    format!("{} {plural}", grouped(number))
}

/// A number of bytes as people read it.
pub(crate) fn size(bytes: u64) -> String {
    match bytes {
        0..10_000 => format!("{} bytes", grouped(bytes)),
        10_000..10_000_000 => format!("{} kB", grouped(bytes / 1000)),
        _ => format!("{} MB", grouped(bytes / 1_000_000)),
    }
}

/// Unix seconds as `2026-11-20 08:35:24 UTC`.
pub(crate) fn date(seconds: u64) -> String {
    let (days, rest) = (seconds / 86_400, seconds % 86_400);
    // Civil date from days since 1970: Howard Hinnant, "chrono-compatible low-level date algorithms".
    let z = days + 719_468;
    let (era, day_of_era) = (z / 146_097, z % 146_097);
    let year_of_era =
        (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_from_march = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month_from_march + 2) / 5 + 1;
    let month = if month_from_march < 10 { month_from_march + 3 } else { month_from_march - 9 };
    let year = year_of_era + era * 400 + u64::from(month <= 2);
    let (hour, minute, second) = (rest / 3600, rest / 60 % 60, rest % 60);
    format!("{year:04}-{month:02}-{day:02} {hour:02}:{minute:02}:{second:02} UTC")
}

/// Unix seconds as `2026-11-20`.
pub(crate) fn day(seconds: u64) -> String {
    date(seconds).chars().take(10).collect()
}

/// Rows under a header, columns as wide as they need to be.
pub(crate) fn table<const N: usize>(
    f: &mut fmt::Formatter<'_>,
    header: [&str; N],
    rows: &[[String; N]],
) -> fmt::Result {
    let width = |column: usize| {
        let cells = rows.iter().map(|row| row[column].chars().count());
        cells.chain([header[column].chars().count()]).max().unwrap_or(0)
    };
    let widths: [usize; N] = std::array::from_fn(width);
    let header = header.map(str::to_owned);
    for row in std::iter::once(&header).chain(rows) {
        let cells = row.iter().zip(widths).map(|(cell, width)| format!("{cell:width$}"));
        writeln!(f, "{}", cells.collect::<Vec<_>>().join("  ").trim_end())?;
    }
    Ok(())
}

/// Words in lines of at most 78 characters, each behind `indent` spaces.
pub(crate) fn wrapped(text: &str, indent: usize) -> String {
    let mut lines = vec![String::new()];
    for word in text.split_whitespace() {
        let line = lines.last_mut().expect("it starts with one line and only grows");
        if line.is_empty() {
            line.push_str(word);
        } else if indent + line.chars().count() + 1 + word.chars().count() <= 78 {
            line.push(' ');
            line.push_str(word);
        } else {
            lines.push(word.to_owned());
        }
    }
    let indented = lines.iter().map(|line| format!("{:indent$}{line}", ""));
    indented.collect::<Vec<_>>().join("\n")
}

/// As much of an id as a person compares at a glance; any longer prefix works too.
pub(crate) fn short(id: impl fmt::Display) -> String {
    id.to_string().chars().take(12).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_grouped_and_nouns_counted() {
        assert_eq!(grouped(0), "0");
        assert_eq!(grouped(999), "999");
        assert_eq!(grouped(1_234_567), "1,234,567");
        assert_eq!(counted(1, "offer"), "1 offer");
        assert_eq!(counted(2000, "entry"), "2,000 entries");
        assert_eq!(counted(16, "key"), "16 keys");
    }

    #[test]
    fn long_lines_are_wrapped_between_words() {
        let text = format!("{0}, {0}, {0}, b", "a".repeat(30));
        let a = "a".repeat(30);
        assert_eq!(wrapped(&text, 2), format!("  {a}, {a},\n  {a}, b"));
        assert_eq!(wrapped("", 2), "  ");
    }

    #[test]
    fn dates_are_civil() {
        assert_eq!(date(0), "1970-01-01 00:00:00 UTC");
        assert_eq!(date(951_782_400), "2000-02-29 00:00:00 UTC");
        assert_eq!(date(1_795_163_724), "2026-11-20 08:35:24 UTC");
    }
}
