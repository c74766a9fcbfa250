//! Real `ets` processes, and how they die.

use std::{
    io::{BufRead, BufReader, Read},
    path::{Path, PathBuf},
    process::{Child, ChildStdout, Command, Stdio},
};

use anyhow::{Context, Result, ensure};
use serde_json::Value;

/// The binary that `cargo build` leaves beside the tests.
fn binary() -> Result<PathBuf> {
    let test = std::env::current_exe()?;
    let debug = test.parent().and_then(Path::parent).context("tests run from target/*/deps")?;
    let ets = debug.join("ets");
    ensure!(
        ets.is_file(),
        "{} is missing. These tests kill the real program; build it first:\n\n    \
         cargo build -p encrytrust-cli\n",
        ets.display()
    );
    Ok(ets)
}

/// A process. Dropping it kills it.
#[derive(Debug)]
pub(crate) struct Ets {
    child: Child,
    stdout: Option<BufReader<ChildStdout>>,
}

impl Ets {
    /// Starts `ets` with some words, and `--json`.
    pub(crate) fn start(words: &[&str]) -> Result<Self> {
        let mut child = Command::new(binary()?)
            .args(words)
            .arg("--json")
            .env_remove("ETS_DIR")
            .env_remove("ETS_LOG")
            .env_remove("ETS_PASSPHRASE_FILE")
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()?;
        let stdout = child.stdout.take().map(BufReader::new);
        Ok(Self { child, stdout })
    }

    /// Waits until a server says that it serves; what it said.
    pub(crate) fn ready(&mut self) -> Result<Value> {
        let stdout = self.stdout.as_mut().context("stdout is piped")?;
        let mut said = String::new();
        loop {
            if stdout.read_line(&mut said)? == 0 {
                let mut stderr = String::new();
                if let Some(mut pipe) = self.child.stderr.take() {
                    pipe.read_to_string(&mut stderr)?;
                }
                anyhow::bail!("ets ended before it served: {said}{stderr}");
            }
            if let Ok(document) = serde_json::from_str(&said) {
                return Ok(document);
            }
        }
    }

    /// Kill -9, now.
    pub(crate) fn kill(mut self) -> Result<()> {
        self.child.kill()?;
        self.child.wait()?;
        Ok(())
    }

    /// Whether it has not ended yet.
    pub(crate) fn is_running(&mut self) -> Result<bool> {
        Ok(self.child.try_wait()?.is_none())
    }

    /// Asks it to stop, as an operator would, and waits until it has.
    pub(crate) fn stop(mut self) -> Result<()> {
        let pid = self.child.id().to_string();
        ensure!(Command::new("kill").args(["-TERM", &pid]).status()?.success());
        let status = self.child.wait()?;
        ensure!(status.success(), "it stopped with {status}");
        Ok(())
    }

    /// Waits until it ends by itself, well; its answer.
    pub(crate) fn finish(mut self) -> Result<Value> {
        let mut said = String::new();
        self.stdout.take().context("stdout is piped")?.read_to_string(&mut said)?;
        let mut stderr = String::new();
        self.child.stderr.take().context("piped")?.read_to_string(&mut stderr)?;
        let status = self.child.wait()?;
        ensure!(status.success(), "{status}: {said}{stderr}");
        serde_json::from_str(&said).with_context(|| said.clone())
    }
}

impl Drop for Ets {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
