//! A platform's directory: made once, opened at every start.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use encrytrust_index_chain::{
    chain::{Chain, ChainError},
    checkpoint::LogName,
    log::{Log, LogError},
    note::Vkey,
};
use encrytrust_keys::{
    files::{self, FileError, Passphrase},
    platform::{AdminKey, PlatformKey},
    tags::TagKey,
};
use encrytrust_protocol::{BlockHash, PublicKey};

use crate::{
    catch_up::{self, CatchUpError, Truths},
    config::{self, Config, ConfigError},
    heads::Heads,
    sequencer::{self, SequencerError},
    state::State,
};

/// A platform's directory could not be made or opened.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum OpenError {
    /// There is a platform already.
    #[error("{} holds a platform already; choose another directory", path.display())]
    Exists {
        /// The directory.
        path: PathBuf,
    },
    /// The directory could not be made.
    #[error("{}: {source}", path.display())]
    Io {
        /// The directory.
        path: PathBuf,
        /// What the operating system said.
        source: io::Error,
    },
    /// The configuration.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// A key file.
    #[error(transparent)]
    Key(#[from] FileError),
    /// The logs or the blocks.
    #[error(transparent)]
    Chain(#[from] ChainError),
    /// The members log.
    #[error("members log: {0}")]
    Members(#[from] LogError),
    /// The derived state.
    #[error(transparent)]
    CatchUp(#[from] CatchUpError),
    /// The first block.
    #[error(transparent)]
    Seal(#[from] SequencerError),
}

/// What [`init`] made.
#[derive(Debug, Clone)]
pub struct Initialized {
    /// What participants pin: the platform's key under the market's name.
    pub vkey: Vkey,
    /// The administrator's key, from `keys/admin.key`.
    pub admin: PublicKey,
    /// The first block.
    pub genesis: BlockHash,
}

/// What [`rebuild`] did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rebuilt {
    /// Entries of the index, of the trades log and of the members log that were applied.
    pub entries: u64,
    /// In how many keys the state that was there differed from the new one; `None` if there was
    /// none, or one that could not be read.
    pub differences: Option<u64>,
}

/// Makes a platform's directory: keys, configuration, empty logs, the first block.
///
/// Key files are encrypted if a passphrase is given. A directory that holds a platform is left
/// as it is.
pub fn init(
    dir: &Path,
    mut config: Config,
    passphrase: Option<&Passphrase>,
) -> Result<Initialized, OpenError> {
    if dir.join(config::FILE).exists() {
        return Err(OpenError::Exists { path: dir.to_owned() });
    }
    let keys = dir.join("keys");
    fs::create_dir_all(&keys).map_err(|source| OpenError::Io { path: keys.clone(), source })?;
    let (platform, admin) = (PlatformKey::generate(), AdminKey::generate());
    files::create(&keys.join("platform.key"), &platform, passphrase)?;
    files::create(&keys.join("oprf.key"), &TagKey::generate(), passphrase)?;
    files::create(&keys.join("admin.key"), &admin, passphrase)?;
    config.admins.push(admin.public());

    let (mut chain, _) = Chain::open(dir, &config.market, platform.public())?;
    let genesis = sequencer::seal(&mut chain, &platform)?;
    // Last: a directory with a configuration is complete.
    config.store(dir)?;
    Ok(Initialized {
        vkey: vkey(&config, platform.public()),
        admin: admin.public(),
        genesis: genesis.of(LogName::Index).checkpoint.checkpoint().block.hash,
    })
}

/// Makes the derived state anew from the logs, and compares it with the one that was there. The
/// platform must be stopped.
pub fn rebuild(dir: &Path, passphrase: Option<&Passphrase>) -> Result<Rebuilt, OpenError> {
    let config = Config::load(dir)?;
    let key: PlatformKey = files::load(&dir.join("keys/platform.key"), passphrase)?;
    let logs = Logs::open(dir, &config, &key)?;
    let truths = logs.truths();
    let (path, new_path) = (sled_path(dir), dir.join("sled.new"));
    let new = catch_up::make_anew(&new_path, config.cache_bytes)?;
    let entries = catch_up::catch_up(&new, &truths)?;
    let differences = match catch_up::existing(&path, config.cache_bytes, &truths)? {
        Some(old) => Some(new.differences(&old).map_err(CatchUpError::from)?),
        None => None,
    };
    drop(new);
    let moved = fs::remove_dir_all(&path)
        .or_else(|e| if e.kind() == io::ErrorKind::NotFound { Ok(()) } else { Err(e) })
        .and_then(|()| fs::rename(&new_path, &path));
    moved.map_err(|source| OpenError::Io { path, source })?;
    Ok(Rebuilt { entries, differences })
}

/// The key that people pin, under the market's name.
pub(crate) fn vkey(config: &Config, platform: PublicKey) -> Vkey {
    Vkey::log(config.market.as_str(), platform).expect("a market's name is fit for a note")
}

/// Everything a directory holds, open and consistent.
pub(crate) struct Home {
    pub(crate) key: PlatformKey,
    pub(crate) tag_key: TagKey,
    pub(crate) chain: Chain,
    pub(crate) members: Log,
    pub(crate) state: State,
    pub(crate) heads: Heads,
}

impl Home {
    /// Opens it: torn tails are cut, lost checkpoints signed again, the derived state brought to
    /// where the logs are.
    pub(crate) fn open(
        dir: &Path,
        config: &Config,
        passphrase: Option<&Passphrase>,
    ) -> Result<Self, OpenError> {
        let key: PlatformKey = files::load(&dir.join("keys/platform.key"), passphrase)?;
        let tag_key: TagKey = files::load(&dir.join("keys/oprf.key"), passphrase)?;
        let mut logs = Logs::open(dir, config, &key)?;
        if !logs.chain.is_published() && logs.chain.publish(&key)?.is_none() {
            sequencer::seal(&mut logs.chain, &key)?;
        }
        let sealed = logs.chain.reader().sealed();
        let sealed = sealed.expect("the chain was published just above");
        let (state, applied) =
            catch_up::open_state(&sled_path(dir), config.cache_bytes, &logs.truths())?;
        if applied > 0 {
            tracing::info!(applied, "the derived state has caught up");
        }
        let Logs { chain, members, .. } = logs;
        Ok(Self { key, tag_key, chain, members, state, heads: Heads::of_block(&sealed) })
    }
}

/// The three logs.
struct Logs {
    chain: Chain,
    members: Log,
    readers: [encrytrust_index_chain::log::LogReader; 3],
}

impl Logs {
    fn open(dir: &Path, config: &Config, key: &PlatformKey) -> Result<Self, OpenError> {
        let (chain, recovery) = Chain::open(dir, &config.market, key.public())?;
        let (members, of_members) = Log::open(dir.join("members"))?;
        for cut in recovery.cut.iter().chain(&of_members.cut) {
            tracing::warn!(
                file = cut.file,
                at = cut.offset,
                bytes = cut.bytes,
                kept = cut.kept_as,
                "a torn tail, never acknowledged, was cut off"
            );
        }
        let reader = chain.reader();
        let readers = [
            reader.log(LogName::Index).clone(),
            reader.log(LogName::Trades).clone(),
            members.reader(),
        ];
        Ok(Self { chain, members, readers })
    }

    fn truths(&self) -> Truths<'_> {
        let [index, trades, members] = &self.readers;
        Truths { index, trades, members }
    }
}

fn sled_path(dir: &Path) -> PathBuf {
    dir.join("sled")
}
