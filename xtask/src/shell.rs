//! Running commands in the open: each is shown before it runs, and a failure names it.

use std::ffi::OsStr;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Instant;

use anyhow::{Context as _, Result, bail};

/// The folder that holds the workspace.
pub(crate) fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("xtask is a folder of the workspace")
}

/// Where cargo puts what it builds.
pub(crate) fn target() -> PathBuf {
    std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| root().join("target"), PathBuf::from)
}

/// The command line program, as a user would call it.
pub(crate) fn ets() -> Result<PathBuf> {
    let ets = target().join("debug").join("ets");
    if !ets.is_file() {
        bail!("{} is not there; `make build` first", shown(&ets));
    }
    Ok(ets)
}

/// A path as a person standing in the workspace would type it.
pub(crate) fn shown(path: &Path) -> String {
    path.strip_prefix(root()).unwrap_or(path).display().to_string()
}

/// One command, run from the workspace root with its output on the terminal.
pub(crate) struct Tool(Command);

/// Any program.
pub(crate) fn tool(program: impl AsRef<OsStr>) -> Tool {
    let mut command = Command::new(program);
    command.current_dir(root());
    Tool(command)
}

/// Cargo, without the variables that cargo set for *this* process: build scripts watch some of
/// them, and would run again each time the caller changes.
pub(crate) fn cargo<'a>(args: impl IntoIterator<Item = &'a str>) -> Tool {
    let mut command = Command::new("cargo");
    command.current_dir(root()).args(args);
    for (name, _) in std::env::vars_os() {
        let own = name.to_str().is_some_and(|name| {
            name.starts_with("CARGO_PKG_")
                || name.starts_with("CARGO_MANIFEST_")
                || matches!(name, "CARGO" | "CARGO_BIN_NAME" | "CARGO_CRATE_NAME")
                || matches!(name, "RUSTUP_TOOLCHAIN" | "LD_LIBRARY_PATH")
        });
        if own {
            command.env_remove(name);
        }
    }
    Tool(command)
}

impl Tool {
    pub(crate) fn args(mut self, args: impl IntoIterator<Item = impl AsRef<OsStr>>) -> Self {
        self.0.args(args);
        self
    }

    pub(crate) fn env(mut self, name: &str, value: impl AsRef<OsStr>) -> Self {
        self.0.env(name, value);
        self
    }

    pub(crate) fn dir(mut self, dir: &Path) -> Self {
        self.0.current_dir(dir);
        self
    }

    /// Show the command, run it, and fail if it did.
    pub(crate) fn run(mut self) -> Result<()> {
        let line = self.line();
        println!("+ {line}");
        let status = self.0.status().with_context(|| format!("could not start `{line}`"))?;
        if !status.success() {
            bail!("`{line}` failed: {status}");
        }
        Ok(())
    }

    fn line(&self) -> String {
        let program = shown(Path::new(self.0.get_program()));
        let words = self.0.get_args().map(|a| shown(Path::new(a)));
        std::iter::once(program).chain(words).collect::<Vec<_>>().join(" ")
    }
}

/// What a command prints, or nothing if it cannot run: for asking whether a tool is there.
pub(crate) fn ask(mut tool: Tool) -> Option<String> {
    let out = tool.0.stdin(Stdio::null()).stderr(Stdio::null()).output().ok()?;
    out.status.success().then(|| String::from_utf8_lossy(&out.stdout).trim().to_owned())
}

/// One line to the person watching.
pub(crate) fn note(text: &str) {
    println!("==> {text}");
}

/// A named stretch of work: says when it starts, and how long it took when dropped.
pub(crate) struct Step {
    name: String,
    started: Instant,
}

impl Step {
    pub(crate) fn start(name: &str) -> Self {
        note(name);
        // A pipe buffers; whoever watches CI wants to know what is running now.
        let _ = std::io::stdout().flush();
        Self { name: name.to_owned(), started: Instant::now() }
    }
}

impl Drop for Step {
    fn drop(&mut self) {
        println!("    {}: {:.1} s", self.name, self.started.elapsed().as_secs_f32());
    }
}
