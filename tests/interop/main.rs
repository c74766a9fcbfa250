//! Other people's code reads what ours wrote.
//!
//! The verifiers come from PyPI and npm and know only the published formats: `make interop` (part
//! of `make test`) puts them into `target/interop`. Each test also hands them something broken,
//! because a verifier that accepts everything would pass too.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on stops here")]

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Command, Output},
};

use serde_json::Value as Json;

mod cose;
mod hpke;
mod tlog;

/// Where the verifiers are.
fn environment() -> PathBuf {
    let folder = std::env::var_os("ENCRYTRUST_INTEROP").map_or_else(
        || Path::new(env!("CARGO_MANIFEST_DIR")).join("../target/interop"),
        PathBuf::from,
    );
    let installed = folder.join("installed").exists();
    assert!(installed, "no verifiers in {}: run `make interop` once", folder.display());
    folder
}

/// Runs a script of `tests/interop` with the interpreter its name asks for.
fn run<S: AsRef<std::ffi::OsStr>>(script: &str, args: &[S]) -> Output {
    let folder = environment();
    let interpreter = match Path::new(script).extension().and_then(|e| e.to_str()) {
        Some("py") => folder.join("venv/bin/python"),
        _ => PathBuf::from("node"),
    };
    let output = Command::new(interpreter).arg(folder.join(script)).args(args).output();
    output.unwrap_or_else(|e| panic!("{script} did not start: {e}"))
}

/// What a script says that has to accept.
fn accepted(output: &Output) -> String {
    let (out, err) = (&output.stdout, String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "refused: {err}");
    String::from_utf8(out.clone()).unwrap().trim().to_owned()
}

/// Why a script says that it refuses.
fn refused(output: &Output) -> String {
    assert_eq!(output.status.code(), Some(1), "{}", String::from_utf8_lossy(&output.stdout));
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// The bytes of a vector in this house.
fn vector(name: &str) -> Vec<u8> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../vectors").join(name);
    let json: Json = serde_json::from_slice(&fs::read(path).unwrap()).unwrap();
    hex::decode(json["bytes"].as_str().unwrap()).unwrap()
}
