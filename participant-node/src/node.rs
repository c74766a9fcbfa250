//! A participant's node: its directory, its keys, its platform.
//!
//! ```text
//! node.toml                    which platform, under which key
//! keys/identity.pem, .key      who this is
//! keys/pool.keys               the keys it trades under
//! keys/vault.key               what the vault is sealed with
//! vault/                       what was published, delivered, bought
//! copy/                        the market's chain, once downloaded
//! seen/                        the newest checkpoint of each log
//! evidence/                    whatever convicts somebody
//! ```

use std::{
    fs,
    io::ErrorKind,
    path::{Path, PathBuf},
    sync::{Arc, PoisonError, RwLock},
    time::SystemTime,
};

use encrytrust_index_chain::note::Vkey;
use encrytrust_keys::{
    files::{self as secrets, FileError, Passphrase},
    pool::{KeyRing, PoolKey},
    tags::TagPublicKey,
};
use encrytrust_protocol::{BlockHash, Market, Sha256Hash};
use serde::{Deserialize, Serialize};

use crate::{
    client::{ClientError, Platform, introduce},
    error::NodeError,
    files,
    report::{InitOptions, Initialised},
    vault::VaultKey,
};

/// `node.toml`.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Config {
    /// The name to join with.
    name: String,
    /// The platform's base URL.
    platform: String,
    /// The platform's key.
    vkey: String,
    /// Whether somebody trusted gave that key, or it was believed on first use.
    pinned: bool,
    /// The public key of the platform's subject-tag function, hex.
    tag_key: Sha256Hash,
    /// The first block of its chain.
    genesis: BlockHash,
}

/// A node that is open. Cheap to clone.
#[derive(Clone)]
pub struct Node(Arc<Inner>);

struct Inner {
    dir: PathBuf,
    name: String,
    platform_url: String,
    platform: Platform,
    tag_key: TagPublicKey,
    genesis: BlockHash,
    vault_key: VaultKey,
    passphrase: Option<Passphrase>,
    /// The pool, and when its file was written.
    ring: RwLock<(Arc<KeyRing>, Option<SystemTime>)>,
}

impl Node {
    /// Starts a node in a directory: asks the platform who it is, checks that against the key that
    /// was given, and makes the vault's secret. Refuses a directory that has a node already.
    pub async fn init(
        dir: impl AsRef<Path>,
        options: InitOptions,
    ) -> Result<Initialised, NodeError> {
        let dir = dir.as_ref();
        let config_path = dir.join("node.toml");
        if config_path.exists() {
            return Err(NodeError::Usage(format!("there is a node in {} already", dir.display())));
        }
        if !(1..=100).contains(&options.name.len()) {
            return Err(NodeError::Usage("a name of 1 to 100 bytes is needed".into()));
        }
        let given: Option<Vkey> = match &options.vkey {
            None => None,
            Some(text) => Some(text.parse().map_err(|e| NodeError::Usage(format!("{e}")))?),
        };
        let (vkey, info) = introduce(&options.platform).await?;
        if let Some(given) = given.filter(|given| *given != vkey) {
            let why = format!("it signs as {vkey}; the key you gave is {given}");
            return Err(ClientError::untrue(why).into());
        }
        let info = info.into_message();
        let config = Config {
            name: options.name,
            platform: options.platform,
            vkey: vkey.to_string(),
            pinned: options.vkey.is_some(),
            tag_key: Sha256Hash::from(*info.tag_key),
            genesis: info.genesis,
        };
        let text = toml::to_string(&config).map_err(|e| NodeError::state(&config_path, e))?;
        files::folder(&dir.join("keys")).map_err(|e| NodeError::state(dir, e))?;
        let vault_key = VaultKey::generate().map_err(|e| NodeError::state("keys/vault.key", e))?;
        secrets::replace(&dir.join("keys/vault.key"), &vault_key, options.passphrase.as_ref())?;
        // Last: a directory without it has no node yet.
        files::replace(&config_path, text.as_bytes(), 0o644)
            .map_err(|e| NodeError::state(&config_path, e))?;
        let (dir, pinned) = (dir.to_owned(), config.pinned);
        Ok(Initialised { dir, market: info.market, vkey: config.vkey, pinned })
    }

    /// Opens the node in a directory.
    pub fn open(dir: impl AsRef<Path>, passphrase: Option<Passphrase>) -> Result<Self, NodeError> {
        let dir = dir.as_ref().to_owned();
        let path = dir.join("node.toml");
        let text = fs::read_to_string(&path).map_err(|e| match e.kind() {
            ErrorKind::NotFound => NodeError::Usage(format!(
                "there is no node in {}; start one with: ets node init --dir {}",
                dir.display(),
                dir.display()
            )),
            _ => NodeError::state(&path, e),
        })?;
        let config: Config = toml::from_str(&text).map_err(|e| NodeError::state(&path, e))?;
        let vkey: Vkey = config.vkey.parse().map_err(|e| NodeError::state(&path, e))?;
        let tag_key = TagPublicKey::from_bytes(config.tag_key.as_ref());
        let tag_key = tag_key.map_err(|e| NodeError::state(&path, e))?;
        let platform = Platform::new(&config.platform, &vkey, &dir)?;
        let vault_key = secrets::load(&dir.join("keys/vault.key"), passphrase.as_ref())?;
        let pool = dir.join("keys/pool.keys");
        let (written, ring) = (written(&pool), load_ring(&pool, passphrase.as_ref())?);
        Ok(Self(Arc::new(Inner {
            name: config.name,
            platform_url: config.platform,
            platform,
            tag_key,
            genesis: config.genesis,
            vault_key,
            passphrase,
            ring: RwLock::new((Arc::new(ring), written)),
            dir,
        })))
    }

    /// Its directory.
    pub fn dir(&self) -> &Path {
        &self.0.dir
    }

    /// The name it was started with.
    pub fn name(&self) -> &str {
        &self.0.name
    }

    /// The market it is on.
    pub fn market(&self) -> &Market {
        &self.0.platform.market
    }

    /// The platform's base URL.
    pub fn platform_url(&self) -> &str {
        &self.0.platform_url
    }

    /// The keys in its pool.
    pub fn pool_size(&self) -> usize {
        self.ring().keys().len()
    }

    pub(crate) fn platform(&self) -> &Platform {
        &self.0.platform
    }

    pub(crate) fn tag_key(&self) -> &TagPublicKey {
        &self.0.tag_key
    }

    pub(crate) fn genesis(&self) -> &BlockHash {
        &self.0.genesis
    }

    pub(crate) fn vault_key(&self) -> &VaultKey {
        &self.0.vault_key
    }

    pub(crate) fn vault(&self) -> PathBuf {
        self.0.dir.join("vault")
    }

    pub(crate) fn passphrase(&self) -> Option<&Passphrase> {
        self.0.passphrase.as_ref()
    }

    pub(crate) fn key_path(&self, name: &str) -> PathBuf {
        self.0.dir.join("keys").join(name)
    }

    pub(crate) fn ring(&self) -> Arc<KeyRing> {
        Arc::clone(&self.0.ring.read().unwrap_or_else(PoisonError::into_inner).0)
    }

    /// Reads the pool again.
    pub(crate) fn reload_ring(&self) -> Result<Arc<KeyRing>, NodeError> {
        let path = self.key_path("pool.keys");
        let (written, ring) = (written(&path), Arc::new(load_ring(&path, self.passphrase())?));
        let mut kept = self.0.ring.write().unwrap_or_else(PoisonError::into_inner);
        *kept = (Arc::clone(&ring), written);
        Ok(ring)
    }

    /// The pool, if another process wrote it since it was read.
    pub(crate) fn newer_ring(&self) -> Result<Option<Arc<KeyRing>>, NodeError> {
        let known = self.0.ring.read().unwrap_or_else(PoisonError::into_inner).1;
        if written(&self.key_path("pool.keys")) == known {
            return Ok(None);
        }
        self.reload_ring().map(Some)
    }

    /// Any key of the pool, a different one each time: nobody can tell that two questions come
    /// from one node by their signatures.
    pub(crate) fn some_key(&self) -> Result<PoolKey, NodeError> {
        let ring = self.ring();
        let mut random = [0; 8];
        getrandom::fill(&mut random).map_err(ClientError::local)?;
        let place = u64::from_be_bytes(random) % ring.keys().len().max(1) as u64;
        let key = usize::try_from(place).ok().and_then(|place| ring.keys().get(place));
        key.cloned().ok_or_else(|| {
            NodeError::Usage(format!(
                "this node's pool has no keys; make some with: ets node keys add --dir {}",
                self.dir().display()
            ))
        })
    }
}

fn written(path: &Path) -> Option<SystemTime> {
    fs::metadata(path).and_then(|meta| meta.modified()).ok()
}

fn load_ring(path: &Path, passphrase: Option<&Passphrase>) -> Result<KeyRing, NodeError> {
    match secrets::load(path, passphrase) {
        Err(FileError::Io { source, .. }) if source.kind() == ErrorKind::NotFound => {
            Ok(KeyRing::default())
        }
        loaded => Ok(loaded?),
    }
}

impl From<FileError> for NodeError {
    fn from(error: FileError) -> Self {
        Self::Secret(error)
    }
}

impl std::fmt::Debug for Node {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Node({} on {})", self.0.dir.display(), self.market())
    }
}
