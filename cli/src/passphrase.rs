//! Where a passphrase may come from: a file, or a person at a terminal. Never an argument: those
//! are in the shell's history and in every process listing.

use std::{
    fs,
    io::{IsTerminal, stdin},
    path::PathBuf,
};

use clap::Args;
use encrytrust_keys::files::Passphrase;
use zeroize::Zeroizing;

use crate::exit::Failure;

/// Opens private keys that are kept under a passphrase.
#[derive(Debug, Args)]
pub(crate) struct PassphraseFile {
    /// Read the keys' passphrase from the first line of FILE instead of asking at the terminal.
    #[arg(long, value_name = "FILE", env = "ETS_PASSPHRASE_FILE", hide_env_values = true)]
    passphrase_file: Option<PathBuf>,
}

impl PassphraseFile {
    /// What the file says, if one was named.
    pub(crate) fn read(&self) -> Result<Option<Passphrase>, Failure> {
        let Some(path) = &self.passphrase_file else { return Ok(None) };
        let text = fs::read_to_string(path).map(Zeroizing::new);
        let text = text.map_err(|e| Failure::file(path, &e))?;
        let passphrase = Passphrase::new(text.lines().next().unwrap_or_default());
        let empty = || {
            let detail = format!("the first line of {} is empty", path.display());
            Failure::refused("passphrase", detail)
        };
        passphrase.ok_or_else(empty).map(Some)
    }

    /// The passphrase of keys that have one: from the file, or else from the terminal.
    pub(crate) fn ask(&self, whose: &str) -> Result<Passphrase, Failure> {
        match self.read()? {
            Some(passphrase) => Ok(passphrase),
            None => nonempty(&prompt(&format!("Passphrase of {whose}: "))?),
        }
    }

    /// A passphrase for keys that are being made: from the file, or else twice from the terminal.
    pub(crate) fn choose(&self, whose: &str) -> Result<Passphrase, Failure> {
        if let Some(passphrase) = self.read()? {
            return Ok(passphrase);
        }
        let first = prompt(&format!("New passphrase for {whose}: "))?;
        if prompt("Once more: ")? != first {
            return Err(Failure::refused("passphrase", "the two passphrases differ"));
        }
        nonempty(&first)
    }
}

fn nonempty(text: &str) -> Result<Passphrase, Failure> {
    let empty = || Failure::refused("passphrase", "an empty passphrase protects nothing");
    Passphrase::new(text).ok_or_else(empty)
}

fn prompt(question: &str) -> Result<Zeroizing<String>, Failure> {
    if !stdin().is_terminal() {
        let detail = "the keys are under a passphrase, and there is no terminal to ask at";
        return Err(Failure::refused("passphrase", detail)
            .or_try("--passphrase-file FILE, or ETS_PASSPHRASE_FILE=FILE"));
    }
    rpassword::prompt_password(question)
        .map(Zeroizing::new)
        .map_err(|e| Failure::refused("passphrase", format!("the terminal: {e}")))
}
