//! `ets platform`: run a market.

use std::{
    fmt, fs,
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
    path::{Path, PathBuf},
    time::Duration,
};

use clap::{Args, Subcommand};
use encrytrust_index_chain::note::Vkey;
use encrytrust_keys::{
    files::{self, FileError, Passphrase, Stored},
    platform::PlatformKey,
};
use encrytrust_platform::{
    Config, ConfigError, Initialized, OpenError, Options, ServeError, Server, Tls, Witness,
};
use encrytrust_protocol::{BlockHash, Market, PublicKey};
use serde::Serialize;

use crate::{
    exit::{Exit, Failure},
    output::{Output, counted},
    passphrase::PassphraseFile,
};

#[derive(Debug, Subcommand)]
pub(crate) enum Verb {
    Init(Init),
    Serve(Serve),
    Rebuild(Rebuild),
}

/// Make a new market: its keys, its configuration, its first block.
#[derive(Debug, Args)]
#[command(after_long_help = "\
Example:
  ets platform init --dir market --origin market.example

Leaves in the directory: platform.toml (edit it), keys/ (back it up, show it to nobody), \
the two logs index/ and trades/, and their blocks. Prints the market's verifier key: \
participants pin it.")]
pub(crate) struct Init {
    /// Where the market's state will be; made if it is not there.
    #[arg(long)]
    dir: PathBuf,

    /// Where `serve` will listen.
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:7700")]
    listen: SocketAddr,

    /// The market's name, for ever: a domain you own, perhaps with a path.
    ///
    /// Every message on the market carries it, and it is the origin of both logs. Without it the
    /// market is named after the address it listens on, which is good for trying things out.
    #[arg(long, value_name = "NAME")]
    origin: Option<Market>,

    /// Ask for a passphrase and keep the market's private keys under it.
    #[arg(long)]
    passphrase: bool,

    #[command(flatten)]
    passphrase_file: PassphraseFile,
}

/// Serve a market until SIGTERM or Ctrl-C.
///
/// Stops gracefully: what was acknowledged is on disk in any case, requests under way are answered.
#[derive(Debug, Args)]
#[command(after_long_help = "\
Example:
  ets platform serve --dir market --listen 0.0.0.0:443 \\
      --tls-cert chain.pem --tls-key key.pem

ETS_LOG=info shows each request on stderr; --log json for machines.")]
pub(crate) struct Serve {
    /// The market's state, made by `ets platform init`.
    #[arg(long)]
    dir: PathBuf,

    /// Listen here instead of where platform.toml says; port 0 takes a free one.
    #[arg(long, value_name = "ADDRESS")]
    listen: Option<SocketAddr>,

    /// Serve HTTPS: the certificate chain, PEM, leaf first.
    #[arg(long, value_name = "PEM", requires = "tls_key")]
    tls_cert: Option<PathBuf>,

    /// Serve HTTPS: the leaf's private key, PEM.
    #[arg(long, value_name = "PEM", requires = "tls_cert")]
    tls_key: Option<PathBuf>,

    /// Time between blocks when there is something to put in one: 500ms, 2s.
    #[arg(long, value_name = "TIME", value_parser = interval)]
    block_interval: Option<Duration>,

    /// Have checkpoints cosigned by this witness (C2SP tlog-witness); can be given several times.
    #[arg(long, value_name = "VKEY=URL")]
    witness: Vec<Witness>,

    #[command(flatten)]
    passphrase: PassphraseFile,
}

/// Make the derived state anew from the logs.
///
/// The logs are the truth; D/sled only makes it quick to find things in them. Run this when the
/// directory came from a backup of the logs, or to be sure.
#[derive(Debug, Args)]
#[command(after_long_help = "\
Example:
  ets platform rebuild --dir market

Stop `ets platform serve` first: one process at a time uses the directory.")]
pub(crate) struct Rebuild {
    /// The market's state.
    #[arg(long)]
    dir: PathBuf,

    #[command(flatten)]
    passphrase: PassphraseFile,
}

fn interval(text: &str) -> Result<Duration, String> {
    let hint = || format!("{text:?} is no time; write 500ms or 2s");
    let (number, unit): (&str, fn(u64) -> Duration) = match text.strip_suffix("ms") {
        Some(number) => (number, Duration::from_millis),
        None => (text.strip_suffix('s').ok_or_else(hint)?, Duration::from_secs),
    };
    let number = number.trim().parse().map_err(|_| hint())?;
    match unit(number) {
        time if time < Duration::from_millis(10) => Err("at least 10ms".to_owned()),
        time if time > Duration::from_secs(3600) => Err("at most 3600s".to_owned()),
        time => Ok(time),
    }
}

pub(crate) async fn run(verb: Verb, output: &Output) -> Result<Exit, Failure> {
    match verb {
        Verb::Init(args) => init(args, output),
        Verb::Serve(args) => serve(args, output).await,
        Verb::Rebuild(Rebuild { dir, passphrase }) => {
            configuration(&dir)?;
            let (_, passphrase) = secret::<PlatformKey>(&dir, "platform.key", &passphrase)?;
            let rebuild = || encrytrust_platform::rebuild(&dir, passphrase.as_ref());
            let rebuilt = tokio::task::block_in_place(rebuild)?;
            output.answer(&Rebuilt { entries: rebuilt.entries })
        }
    }
}

fn init(args: Init, output: &Output) -> Result<Exit, Failure> {
    let Init { dir, listen, origin, passphrase, passphrase_file } = args;
    let market = match origin {
        Some(market) => market,
        None => Market::new(listen.to_string()).map_err(|e| {
            Failure::usage("usage", format!("{listen} makes no {e}")).or_try("--origin NAME")
        })?,
    };
    let passphrase = match passphrase_file.read()? {
        Some(passphrase) => Some(passphrase),
        None if passphrase => Some(passphrase_file.choose(market.as_str())?),
        None => None,
    };
    let config = Config { listen, ..Config::new(market.clone()) };
    let Initialized { vkey, admin, genesis } =
        encrytrust_platform::init(&dir, config, passphrase.as_ref())?;
    output.answer(&Made { dir, market, vkey: vkey.to_string(), admin, genesis, listen })
}

async fn serve(args: Serve, output: &Output) -> Result<Exit, Failure> {
    let Serve { dir, listen, tls_cert, tls_key, block_interval, witness, passphrase } = args;
    let config = configuration(&dir)?;
    let (key, passphrase) = secret::<PlatformKey>(&dir, "platform.key", &passphrase)?;
    let vkey = Vkey::log(config.market.as_str(), key.public())
        .map_err(|e| Failure::refused("failed", e))?;
    let certificate = tls_cert.clone();
    let options = Options {
        listen,
        tls: tls_cert.zip(tls_key).map(|(cert, key)| Tls { cert, key }),
        block_interval,
        witnesses: witness,
        passphrase,
        stop_on_signals: true,
        ..Options::default()
    };
    let server = encrytrust_platform::serve(&dir, options).await?;
    let certificate = certificate.or(config.tls.map(|tls| tls.cert));
    let listening = Listening::write(&dir, &server, certificate.as_deref())?;
    output.answer(&Serving {
        market: config.market,
        vkey: vkey.to_string(),
        address: server.address(),
        url: server.url(),
    })?;
    server.ended().await?;
    drop(listening);
    output.remark("stopped");
    Ok(Exit::Done)
}

/// The configuration of the market in a directory.
pub(crate) fn configuration(dir: &Path) -> Result<Config, Failure> {
    Config::load(dir).map_err(|error| match &error {
        ConfigError::Io { source, .. } if source.kind() == std::io::ErrorKind::NotFound => {
            Failure::usage("no-platform", format!("there is no platform in {}", dir.display()))
                .or_try(format!("ets platform init --dir {}", dir.display()))
        }
        _ => Failure::refused("configuration", error),
    })
}

/// One of the market's secrets, and the passphrase it is kept under, which is asked for only if
/// there is one.
pub(crate) fn secret<S: Stored>(
    dir: &Path,
    name: &str,
    passphrase: &PassphraseFile,
) -> Result<(S, Option<Passphrase>), Failure> {
    let path = dir.join("keys").join(name);
    let passphrase = match files::load(&path, None) {
        Ok(secret) => return Ok((secret, None)),
        Err(FileError::NeedsPassphrase { .. }) => passphrase.ask(&path.display().to_string())?,
        Err(error) => return Err(Failure::refused("file", error)),
    };
    let secret = files::load(&path, Some(&passphrase)).map_err(|e| Failure::refused("file", e))?;
    Ok((secret, Some(passphrase)))
}

/// Where a market is served, and the certificate it shows there.
pub(crate) struct Whereabouts {
    pub(crate) url: String,
    pub(crate) certificate: Option<PathBuf>,
}

impl Whereabouts {
    /// Of the market in a directory: while it is served the file `listening` says so, for
    /// `ets admin` on the same machine; otherwise where its configuration says it will be.
    pub(crate) fn of(dir: &Path, config: &Config) -> Self {
        if let Ok(text) = fs::read_to_string(dir.join(LISTENING)) {
            let mut lines = text.lines();
            let url = lines.next().unwrap_or_default().to_owned();
            return Self { url, certificate: lines.next().map(PathBuf::from) };
        }
        let scheme = if config.tls.is_some() { "https" } else { "http" };
        Self {
            url: format!("{scheme}://{}", reachable(config.listen)),
            certificate: config.tls.as_ref().map(|tls| tls.cert.clone()),
        }
    }
}

const LISTENING: &str = "listening";

/// The file that says where a market is served, there for as long as it is.
struct Listening(PathBuf);

impl Listening {
    fn write(dir: &Path, server: &Server, certificate: Option<&Path>) -> Result<Self, Failure> {
        let address = server.address();
        let url = server.url().replace(&address.to_string(), &reachable(address).to_string());
        let certificate = certificate.and_then(|path| std::path::absolute(path).ok());
        let certificate = certificate.map(|path| format!("{}\n", path.display()));
        let path = dir.join(LISTENING);
        fs::write(&path, format!("{url}\n{}", certificate.unwrap_or_default()))
            .map_err(|e| Failure::file(&path, &e))?;
        Ok(Self(path))
    }
}

impl Drop for Listening {
    fn drop(&mut self) {
        // Without it `ets admin` looks into platform.toml, which is right as a rule.
        let _ = fs::remove_file(&self.0);
    }
}

/// An address to connect to, for one that may say "any".
fn reachable(mut address: SocketAddr) -> SocketAddr {
    if address.ip().is_unspecified() {
        address.set_ip(match address.ip() {
            IpAddr::V4(_) => Ipv4Addr::LOCALHOST.into(),
            IpAddr::V6(_) => Ipv6Addr::LOCALHOST.into(),
        });
    }
    address
}

impl From<OpenError> for Failure {
    fn from(error: OpenError) -> Self {
        match &error {
            OpenError::Exists { path } => Self::refused("platform-exists", &error)
                .or_try(format!("ets platform serve --dir {}", path.display())),
            _ => Self::refused("platform", error),
        }
    }
}

impl From<ServeError> for Failure {
    fn from(error: ServeError) -> Self {
        match error {
            ServeError::Open(error) => error.into(),
            ServeError::Listen { .. } => Self::refused("address", error)
                .or_try("--listen ADDRESS with another port, or stop what listens there"),
            _ => Self::refused("platform", error),
        }
    }
}

/// A market that was made, as people read it.
#[derive(Serialize)]
struct Made {
    dir: PathBuf,
    market: Market,
    vkey: String,
    admin: PublicKey,
    genesis: BlockHash,
    listen: SocketAddr,
}

impl fmt::Display for Made {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { dir, market, vkey, listen, .. } = self;
        let dir = dir.display();
        writeln!(f, "market {market} in {dir}, to listen on {listen}")?;
        writeln!(f, "its verifier key, for participants to pin:")?;
        writeln!(f, "  {vkey}")?;
        write!(f, "next: ets platform serve --dir {dir}")
    }
}

/// A market that is served, as people read it.
#[derive(Serialize)]
struct Serving {
    market: Market,
    vkey: String,
    address: SocketAddr,
    url: String,
}

impl fmt::Display for Serving {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { market, vkey, url, .. } = self;
        writeln!(f, "serving {market} at {url}")?;
        writeln!(f, "verifier key {vkey}")?;
        write!(f, "API at {url}/docs; Ctrl-C stops it")
    }
}

/// What rebuilding did, as people read it.
#[derive(Serialize)]
struct Rebuilt {
    entries: u64,
}

impl fmt::Display for Rebuilt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "derived state made anew from {} of the logs", counted(self.entries, "entry"))
    }
}
