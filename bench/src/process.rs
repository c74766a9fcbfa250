//! Processes: what they used, and a platform in one of its own.

use std::{
    env, fs,
    io::{BufRead as _, BufReader},
    net::SocketAddr,
    path::{Path, PathBuf},
    process::{Child, ChildStdin, Command, Stdio},
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, ensure};

/// Clock ticks in which Linux counts processor time: its user interface fixes them at 100.
const TICKS: f64 = 100.0;

/// Processor time and wall-clock time of a process up to now.
#[derive(Debug, Clone, Copy)]
pub struct Usage {
    processor: Duration,
    at: Instant,
}

impl Usage {
    /// Of a process; 0 is this one.
    pub fn of(process: u32) -> Result<Self> {
        let stat = fs::read_to_string(proc(process, "stat"))?;
        // The name, in parentheses, may hold anything; fields 14 and 15 are user and system time.
        let fields = stat.rsplit_once(") ").context("/proc/…/stat")?.1;
        let mut fields = fields.split(' ').skip(11);
        let mut ticks = || fields.next()?.parse::<f64>().ok();
        let ticks = ticks().zip(ticks()).context("/proc/…/stat")?;
        Ok(Self {
            processor: Duration::from_secs_f64((ticks.0 + ticks.1) / TICKS),
            at: Instant::now(),
        })
    }

    /// Cores kept busy since then, on average.
    pub fn cores_since(self, then: Self) -> f64 {
        (self.processor - then.processor).as_secs_f64() / (self.at - then.at).as_secs_f64()
    }
}

/// The most memory a process (0: this one) ever had resident, in bytes.
pub fn peak_memory(process: u32) -> Result<u64> {
    let status = fs::read_to_string(proc(process, "status"))?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).context("VmHWM")?;
    let kib: u64 = line.trim().trim_end_matches(" kB").parse()?;
    Ok(kib << 10)
}

fn proc(process: u32, file: &str) -> PathBuf {
    let process = if process == 0 { "self".to_owned() } else { process.to_string() };
    Path::new("/proc").join(process).join(file)
}

/// This program again, to do one thing in a process of its own; answers what it printed.
pub fn apart(args: &[&str]) -> Result<String> {
    let done = Command::new(env::current_exe()?)
        .args(args)
        .stdin(Stdio::null())
        .stderr(Stdio::inherit())
        .output()?;
    ensure!(done.status.success(), "{} failed", args.join(" "));
    Ok(String::from_utf8(done.stdout)?)
}

/// A platform in a process of its own, which ends when this is dropped.
#[derive(Debug)]
pub struct Platform {
    child: Child,
    stdin: Option<ChildStdin>,
    address: SocketAddr,
    /// From the start of the process until it answered.
    pub opening: Duration,
}

impl Platform {
    /// Starts this program as `serve DIR`, which prints where it listens and ends when its
    /// standard input does.
    pub fn start(dir: &Path) -> Result<Self> {
        let began = Instant::now();
        let mut child = Command::new(env::current_exe()?)
            .arg("serve")
            .arg(dir)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()?;
        let (stdin, stdout) = (child.stdin.take(), child.stdout.take());
        let mut line = String::new();
        BufReader::new(stdout.context("its output")?).read_line(&mut line)?;
        let address = line.trim().parse().context("the platform did not start; see above")?;
        Ok(Self { child, stdin, address, opening: began.elapsed() })
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// What it has used.
    pub fn usage(&self) -> Result<Usage> {
        Usage::of(self.child.id())
    }

    /// The most memory it ever had resident, in bytes.
    pub fn peak_memory(&self) -> Result<u64> {
        peak_memory(self.child.id())
    }

    /// Its process id, for a profiler.
    pub fn id(&self) -> u32 {
        self.child.id()
    }
}

impl Drop for Platform {
    fn drop(&mut self) {
        drop(self.stdin.take());
        if let Err(error) = self.child.wait() {
            eprintln!("the platform did not end: {error}");
        }
    }
}
