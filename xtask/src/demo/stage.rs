//! The stage: says what happens, runs `ets` in the open, keeps the servers, sweeps up after.

use std::fs::{self, File};
use std::io::IsTerminal as _;
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::{Mutex, PoisonError};
use std::thread::sleep;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};
use rustix::process::{Pid, Signal, kill_process};

/// Columns of text: narrower than any terminal in use.
const WIDTH: usize = 88;

/// Lines of a file that are enough to see what it is.
const LINES: usize = 24;

/// A server that has not answered by then will not.
const START_MAX: Duration = Duration::from_secs(20);

/// A server without a port that is there after this long has started.
const SETTLE: Duration = Duration::from_millis(300);

/// The servers in the wings. Static, because a signal may end the show at any moment.
static SERVERS: Mutex<Vec<Child>> = Mutex::new(Vec::new());

pub(crate) struct Stage {
    ets: PathBuf,
    folder: PathBuf,
    scenes: u32,
    scene_started: Option<Instant>,
    bold: bool,
}

impl Stage {
    /// An empty folder to play in; whatever ends the show, the servers stop.
    pub(crate) fn open(ets: PathBuf, folder: PathBuf) -> Result<Self> {
        fs::create_dir_all(folder.join("logs"))
            .with_context(|| format!("cannot make {}", folder.display()))?;
        ctrlc::set_handler(|| {
            stop_servers();
            std::process::exit(130);
        })?;
        let bold = std::io::stdout().is_terminal() && std::env::var_os("NO_COLOR").is_none();
        Ok(Self { ets, folder, scenes: 0, scene_started: None, bold })
    }

    /// A new scene; the one before gets its time.
    pub(crate) fn scene(&mut self, title: &str) {
        self.close_scene();
        self.scenes += 1;
        let title = format!("{}. {title}", self.scenes);
        if self.bold {
            println!("\n\x1b[1m{title}\x1b[0m\n");
        } else {
            println!("\n{title}\n{}\n", "-".repeat(title.chars().count()));
        }
        self.scene_started = Some(Instant::now());
    }

    fn close_scene(&mut self) {
        if let Some(started) = self.scene_started.take() {
            println!("  ({:.1} s)", started.elapsed().as_secs_f32());
        }
    }

    /// A paragraph to the audience.
    pub(crate) fn say(&self, text: &str) {
        println!("{}\n", wrapped(text, WIDTH));
    }

    /// Run `ets` as a user would, in the demo's folder: the command and its output are shown.
    /// Returns what it printed.
    pub(crate) fn ets(&self, args: &[&str]) -> Result<String> {
        self.ets_exits(0, args)
    }

    /// The same, where the story wants another exit code.
    pub(crate) fn ets_exits(&self, code: i32, args: &[&str]) -> Result<String> {
        let started = Instant::now();
        let line = shell_line(args);
        self.show_command(&line);
        let output = self.output(args)?;
        for stream in [&output.stdout, &output.stderr] {
            for line in String::from_utf8_lossy(stream).lines() {
                println!("    {line}");
            }
        }
        if code != 0 {
            println!("    (exit code {})", exit_code(&output));
        }
        println!("    [{} ms]\n", started.elapsed().as_millis());
        if output.status.code() != Some(code) {
            bail!("`{line}` ended with exit code {}, not {code}", exit_code(&output));
        }
        Ok(String::from_utf8_lossy(&output.stdout).into_owned())
    }

    /// Run `ets … --json` behind the curtain, for what the next command needs to name.
    pub(crate) fn ask(&self, args: &[&str]) -> Result<serde_json::Value> {
        let args: Vec<&str> = args.iter().copied().chain(["--json"]).collect();
        let line = shell_line(&args);
        let output = self.output(&args)?;
        if !output.status.success() {
            bail!("`{line}` failed: {}", String::from_utf8_lossy(&output.stderr).trim());
        }
        serde_json::from_slice(&output.stdout)
            .with_context(|| format!("`{line}` did not print one JSON document"))
    }

    fn output(&self, args: &[&str]) -> Result<Output> {
        Command::new(&self.ets)
            .args(args)
            .current_dir(&self.folder)
            .stdin(Stdio::null())
            .output()
            .with_context(|| format!("cannot run {}", self.ets.display()))
    }

    fn show_command(&self, line: &str) {
        if self.bold {
            println!("  \x1b[36m$ {line}\x1b[0m");
        } else {
            println!("  $ {line}");
        }
    }

    /// Start a server and wait until it answers, if it has an address, else until it is plainly up;
    /// what it logs goes to `logs/NAME.log`.
    pub(crate) fn serve(&self, name: &str, address: Option<&str>, args: &[&str]) -> Result<()> {
        let started = Instant::now();
        let line = shell_line(args);
        self.show_command(&format!("{line} &"));
        let log_path = self.folder.join("logs").join(format!("{name}.log"));
        let log = File::create(&log_path)?;
        let child = Command::new(&self.ets)
            .args(args)
            .current_dir(&self.folder)
            .stdin(Stdio::null())
            .stdout(log.try_clone()?)
            .stderr(log)
            .spawn()
            .with_context(|| format!("cannot run {}", self.ets.display()))?;
        servers().push(child);
        let up = || match address {
            Some(address) => TcpStream::connect(address).is_ok(),
            None => started.elapsed() > SETTLE,
        };
        while !up() {
            let ended = servers().last_mut().map(Child::try_wait).transpose()?.flatten();
            if ended.is_some() || started.elapsed() > START_MAX {
                let log = fs::read_to_string(&log_path).unwrap_or_default();
                bail!("`{line}` did not start; its log says:\n{log}");
            }
            sleep(Duration::from_millis(20));
        }
        let where_to = address.map_or("opens no port".to_owned(), |a| format!("answers on {a}"));
        println!("    {where_to}; logs to logs/{name}.log");
        println!("    [{} ms]\n", started.elapsed().as_millis());
        Ok(())
    }

    /// A file's text, long lines and long files cut.
    pub(crate) fn show_file(&self, name: &str) -> Result<()> {
        let text = fs::read_to_string(self.folder.join(name))
            .with_context(|| format!("read demo/{name}"))?;
        self.show_command(&format!("cat {name}"));
        let lines = text.lines().count();
        for line in text.lines().take(LINES) {
            println!("    {}", cut(line));
        }
        if lines > LINES {
            println!("    … {} lines more", lines - LINES);
        }
        println!();
        Ok(())
    }

    /// The header and one row (from 1) of a CSV file.
    pub(crate) fn show_row(&self, name: &str, row: usize) -> Result<()> {
        let text = fs::read_to_string(self.folder.join(name))
            .with_context(|| format!("read demo/{name}"))?;
        for line in text.lines().take(1).chain(text.lines().skip(row).take(1)) {
            println!("      {}", cut(line));
        }
        println!();
        Ok(())
    }

    /// Something done to the files with other means than `ets`, shown like a command.
    pub(crate) fn by_hand(&self, what: &str) {
        self.show_command(what);
        println!();
    }

    pub(crate) fn path(&self, name: impl AsRef<Path>) -> PathBuf {
        self.folder.join(name)
    }
}

impl Drop for Stage {
    fn drop(&mut self) {
        self.close_scene();
        stop_servers();
    }
}

fn servers() -> std::sync::MutexGuard<'static, Vec<Child>> {
    SERVERS.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Ask every server to stop, and insist where asking does not help.
fn stop_servers() {
    let mut servers = servers();
    for child in servers.iter() {
        // An error means that it is gone already.
        let _ = kill_process(Pid::from_child(child), Signal::TERM);
    }
    let asked = Instant::now();
    for child in servers.iter_mut() {
        while asked.elapsed() < Duration::from_secs(5) && matches!(child.try_wait(), Ok(None)) {
            sleep(Duration::from_millis(10));
        }
        let _ = child.kill();
        let _ = child.wait();
    }
    servers.clear();
}

/// A loopback address nobody listens on: the usual port if it is free, else any.
pub(crate) fn free_address(usual: u16) -> Result<String> {
    let listener = TcpListener::bind(("127.0.0.1", usual))
        .or_else(|_| TcpListener::bind(("127.0.0.1", 0)))
        .context("no free port on 127.0.0.1")?;
    Ok(listener.local_addr()?.to_string())
}

fn exit_code(output: &Output) -> String {
    output.status.code().map_or_else(|| output.status.to_string(), |code| code.to_string())
}

/// The command as it would be typed.
fn shell_line(args: &[&str]) -> String {
    let quoted = args.iter().map(|arg| {
        let plain = |c: char| c.is_ascii_alphanumeric() || "-_./:=,+".contains(c);
        if !arg.is_empty() && arg.chars().all(plain) {
            (*arg).to_owned()
        } else {
            format!("'{}'", arg.replace('\'', r"'\''"))
        }
    });
    std::iter::once("ets".to_owned()).chain(quoted).collect::<Vec<_>>().join(" ")
}

fn cut(line: &str) -> String {
    if line.chars().count() <= WIDTH {
        return line.to_owned();
    }
    line.chars().take(WIDTH - 1).chain(['…']).collect()
}

fn wrapped(text: &str, width: usize) -> String {
    let mut lines = vec![String::new()];
    for word in text.split_whitespace() {
        let line = lines.last_mut().expect("there is always a last line");
        if line.is_empty() {
            line.push_str(word);
        } else if line.chars().count() + 1 + word.chars().count() <= width {
            line.push(' ');
            line.push_str(word);
        } else {
            lines.push(word.to_owned());
        }
    }
    lines.join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_shown_command_can_be_pasted() {
        assert_eq!(shell_line(&["find", "--id", "a b"]), "ets find --id 'a b'");
        assert_eq!(shell_line(&["find", "--id", "o'x"]), r"ets find --id 'o'\''x'");
        assert_eq!(shell_line(&["audit", "--dir", "./a_b/c"]), "ets audit --dir ./a_b/c");
    }

    #[test]
    fn text_is_wrapped_between_words() {
        assert_eq!(wrapped("one  two\n three", 7), "one two\nthree");
    }
}
