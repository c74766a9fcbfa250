//! Which node a command means: its directory, how it opens, and what the command line keeps there.

use std::{
    fs,
    path::{Path, PathBuf},
};

use clap::Args;
use encrytrust_index_chain::note::Vkey;
use encrytrust_keys::files::FileError;
use encrytrust_participant_node::{Node, NodeError};
use encrytrust_protocol::OfferId;
use reqwest::Url;

use crate::{exit::Failure, passphrase::PassphraseFile};

/// Which node.
#[derive(Debug, Args)]
pub(crate) struct NodeDir {
    /// The node's state, made by `ets node init`.
    #[arg(long, env = "ETS_DIR", hide_env_values = true, default_value = ".")]
    pub(crate) dir: PathBuf,

    #[command(flatten)]
    pub(crate) passphrase: PassphraseFile,
}

/// In a node's directory: the URL that its offers name, if they name one.
const ENDPOINT: &str = "endpoint";

/// In a node's directory: ids of offers that were shown, one a line.
const SHOWN: &str = "offers-shown";

/// How many of them are kept.
const SHOWN_MAX: usize = 10_000;

impl NodeDir {
    /// Opens the node, asking for its passphrase only if it has one.
    pub(crate) fn open(&self) -> Result<Node, Failure> {
        let dir = self.dir.display();
        if !self.dir.join("node.toml").exists() {
            let next = format!("ets node init --dir {dir} --platform URL, or --dir with another");
            return Err(
                Failure::usage("no-node", format!("there is no node in {dir}")).or_try(next)
            );
        }
        match Node::open(&self.dir, self.passphrase.read()?) {
            Err(NodeError::Secret(FileError::NeedsPassphrase { .. })) => {
                let passphrase = self.passphrase.ask(&dir.to_string())?;
                Ok(Node::open(&self.dir, Some(passphrase))?)
            }
            opened => Ok(opened?),
        }
    }

    /// Opens the node of somebody who takes part, or tells what is missing.
    pub(crate) fn member(&self) -> Result<Node, Failure> {
        let node = self.open()?;
        if node.pool_size() > 0 {
            return Ok(node);
        }
        let dir = self.dir.display();
        Err(if self.dir.join("keys/identity.key").exists() {
            Failure::usage("no-keys", format!("the node in {dir} has no keys to sign with"))
                .or_try(format!("ets node keys add --dir {dir}"))
        } else {
            Failure::usage("not-joined", format!("the node in {dir} has not joined its market"))
                .or_try(format!("ets node join --dir {dir}"))
        })
    }

    /// Gives the node another name to join with.
    pub(crate) fn rename(&self, name: &str) -> Result<(), Failure> {
        let path = self.dir.join("node.toml");
        if !path.exists() {
            // Opening the node says so, and what to do.
            return Ok(());
        }
        let mut config = config(&self.dir)?;
        config.insert("name".to_owned(), name.into());
        let renamed = self.dir.join(".node.toml.new");
        fs::write(&renamed, config.to_string())
            .and_then(|()| fs::rename(&renamed, &path))
            .map_err(|e| Failure::file(&path, &e))
    }

    /// Where `ets node serve` last said that buyers reach it.
    pub(crate) fn endpoint(&self) -> Option<String> {
        let endpoint = fs::read_to_string(self.dir.join(ENDPOINT)).ok()?;
        Some(endpoint.trim().to_owned())
    }

    /// Keeps where buyers reach it, for `ets publish` to write into offers.
    pub(crate) fn remember_endpoint(&self, endpoint: Option<&str>) -> Result<(), Failure> {
        let path = self.dir.join(ENDPOINT);
        let written = match endpoint {
            Some(endpoint) => fs::write(&path, format!("{endpoint}\n")),
            None if path.exists() => fs::remove_file(&path),
            None => Ok(()),
        };
        written.map_err(|e| Failure::file(&path, &e))
    }

    fn shown(&self) -> Vec<String> {
        let shown = fs::read_to_string(self.dir.join(SHOWN)).unwrap_or_default();
        shown.lines().map(str::to_owned).collect()
    }

    /// Keeps the ids of offers that were shown, so that their beginnings will do.
    pub(crate) fn remember(&self, ids: impl Iterator<Item = OfferId>) -> Result<(), Failure> {
        let mut shown = self.shown();
        for id in ids.map(|id| id.to_string()) {
            if !shown.contains(&id) {
                shown.push(id);
            }
        }
        let first = shown.len().saturating_sub(SHOWN_MAX);
        let text: String = shown[first..].iter().map(|id| format!("{id}\n")).collect();
        let path = self.dir.join(SHOWN);
        fs::write(&path, text).map_err(|e| Failure::file(&path, &e))
    }

    /// The offer that somebody means by its id, or by the beginning of one that was shown here or
    /// published from here.
    pub(crate) fn recall(&self, wanted: &str, node: &Node) -> Result<OfferId, Failure> {
        let wanted = wanted.to_ascii_lowercase();
        if let Ok(id) = wanted.parse() {
            return Ok(id);
        }
        let find = || format!("ets find --dir {} --id …", self.dir.display());
        if wanted.len() < 4 || !wanted.bytes().all(|b| b.is_ascii_hexdigit()) {
            let detail =
                format!("{wanted:?} is no offer's id: 64 hex digits, or at least the first 4");
            return Err(Failure::usage("usage", detail).or_try(find()));
        }
        let own = node.own_offers()?.into_iter().map(|id| id.to_string());
        let mut meant: Vec<String> =
            self.shown().into_iter().chain(own).filter(|id| id.starts_with(&wanted)).collect();
        meant.sort_unstable();
        meant.dedup();
        match &meant[..] {
            [one] => one.parse().map_err(|e| Failure::refused("file", format!("{SHOWN}: {e}"))),
            [] => {
                let detail = format!("no offer that was shown here begins with {wanted}");
                Err(Failure::refused("unknown-offer", detail).or_try(find()))
            }
            _ => {
                let detail = format!("several offers that were shown begin with {wanted}");
                Err(Failure::refused("ambiguous-offer", detail).or_try("say more of its id"))
            }
        }
    }
}

/// What a node's directory says of it.
fn config(dir: &Path) -> Result<toml::Table, Failure> {
    let path = dir.join("node.toml");
    let text = fs::read_to_string(&path).map_err(|e| Failure::file(&path, &e))?;
    text.parse().map_err(|e| Failure::refused("file", format!("{}: {e}", path.display())))
}

/// The platform's key that a node has pinned.
pub(crate) fn pinned_key(dir: &Path) -> Result<Vkey, Failure> {
    let config = config(dir)?;
    let key = config.get("vkey").and_then(toml::Value::as_str).unwrap_or_default();
    key.parse().map_err(|e| Failure::refused("file", format!("{}/node.toml: {e}", dir.display())))
}

/// A URL of a server, checked as far as it can be without asking.
pub(crate) fn url(text: &str) -> Result<String, String> {
    let hint = "write http://HOST:PORT or https://HOST";
    let url = Url::parse(text).map_err(|e| format!("{e}; {hint}"))?;
    let complete = matches!(url.scheme(), "http" | "https") && url.has_host();
    if complete { Ok(text.to_owned()) } else { Err(hint.to_owned()) }
}
