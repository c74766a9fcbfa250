//! The environment in which other people's verifiers run: a Python venv and a node_modules, pinned
//! by the files in `tests/interop/`, kept under `target/interop/`.
//!
//! The tests in `tests/` write what our code made to files and call the scripts there; a script
//! knows only the published formats and the library it is named after.

use std::fs;
use std::path::PathBuf;

use anyhow::{Context as _, Result};

use crate::shell::{Step, note, root, target, tool};

/// Tells the tests where the environment is.
pub(crate) const ENVIRONMENT: &str = "ENCRYTRUST_INTEROP";

/// Make the environment unless it is there as the pins say. Returns its folder.
pub(crate) fn prepare() -> Result<PathBuf> {
    let sources = root().join("tests/interop");
    let folder = target().join("interop");
    fs::create_dir_all(&folder).with_context(|| format!("cannot make {}", folder.display()))?;

    // Node resolves packages from where a script lies, so the scripts live beside node_modules.
    let mut names: Vec<_> = fs::read_dir(&sources)?
        .map(|entry| entry.map(|e| e.path()))
        .collect::<Result<_, _>>()
        .context("cannot list tests/interop")?;
    names.retain(|path| path.is_file());
    for path in &names {
        let name = path.file_name().expect("a file in a listing has a name");
        fs::copy(path, folder.join(name)).with_context(|| format!("copy {}", path.display()))?;
    }

    let mut pins = String::new();
    for name in ["requirements.txt", "package.json", "package-lock.json"] {
        pins += &fs::read_to_string(sources.join(name)).with_context(|| format!("read {name}"))?;
    }
    let stamp = folder.join("installed");
    if fs::read_to_string(&stamp).is_ok_and(|installed| installed == pins) {
        note("other people's verifiers: as pinned, in target/interop");
        return Ok(folder);
    }

    let _step = Step::start("other people's verifiers, from PyPI and npm, into target/interop");
    let python = folder.join("venv/bin/python");
    tool("python3").args(["-m", "venv", "--clear"]).args([folder.join("venv")]).run()?;
    tool(&python)
        .args(["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-deps"])
        .args(["--only-binary=:all:", "--ignore-requires-python", "--requirement"])
        .args([sources.join("requirements.txt")])
        .run()?;
    tool("npm")
        .args(["ci", "--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error"])
        .dir(&folder)
        .run()?;
    fs::write(&stamp, pins).context("cannot write the stamp of what was installed")?;
    Ok(folder)
}
