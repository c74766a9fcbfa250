//! `ets node`: take part in a market.

use std::{
    fmt, fs,
    net::SocketAddr,
    path::{Path, PathBuf},
};

use clap::{Args, Subcommand};
use encrytrust_keys::files::read_private;
use encrytrust_participant_node::{
    Identity, InitOptions, Initialised, KeysAdded, Membership, Node, ServeOptions,
};
use encrytrust_protocol::{Market, ParticipantState};
use serde::Serialize;
use zeroize::Zeroizing;

use crate::{
    admin::state,
    exit::{Exit, Failure},
    home::{NodeDir, url},
    output::{Output, counted, short},
    passphrase::PassphraseFile,
};

#[derive(Debug, Subcommand)]
pub(crate) enum Verb {
    Init(Init),
    Join(Join),
    /// The keys that sign for you, as many as you like; nothing public links them.
    #[command(subcommand)]
    Keys(Keys),
    Serve(Serve),
    Status(Status),
}

#[derive(Debug, Subcommand)]
pub(crate) enum Keys {
    Add(AddKeys),
}

/// Make a node and tie it to one market.
///
/// Asks the platform for its description and remembers its key. From then on an answer that this
/// key did not sign is refused.
#[derive(Debug, Args)]
#[command(after_long_help = "\
Examples:
  ets node init --dir bank --platform http://127.0.0.1:7700
  ets node init --dir bank --platform https://market.example \\
      --platform-key 'market.example+1f2e3d4c+ARxV…' --name \"Kontor Bank\"

With --platform-key the platform must prove that it holds that key: get it from the operator \
by another way than the network. Without it the key that the platform shows now is believed.

The certificate of an https platform must be one that this system trusts; SSL_CERT_FILE=PEM \
adds others, here and on every later command.")]
pub(crate) struct Init {
    /// Where the node's state will be; made if it is not there.
    #[arg(long, env = "ETS_DIR", hide_env_values = true)]
    dir: PathBuf,

    /// The market's URL.
    #[arg(long, value_name = "URL", value_parser = url)]
    platform: String,

    /// The market's verifier key (C2SP signed-note), as its operator told you.
    #[arg(long, value_name = "VKEY")]
    platform_key: Option<String>,

    /// Your name, as the administrator will see it; the directory's name if not given.
    #[arg(long)]
    name: Option<String>,

    /// Ask for a passphrase and keep the node's private keys under it.
    #[arg(long)]
    passphrase: bool,

    #[command(flatten)]
    passphrase_file: PassphraseFile,
}

/// Ask the market to let you in.
///
/// Sends your certificate, and a first list of keys. The market's administrator then decides.
#[derive(Debug, Args)]
#[command(after_long_help = "\
Examples:
  ets node join --dir bank
  ets node join --dir bank --cert kontor.pem --key kontor.key

Without --cert a self-signed certificate is made. The operator will want to compare the id \
that this prints with the one in `ets admin list`.")]
pub(crate) struct Join {
    #[command(flatten)]
    node: NodeDir,

    /// Your name, as the administrator will see it, if not the one given to `ets node init`.
    #[arg(long)]
    name: Option<String>,

    /// Your certificate, PEM, followed by what leads from it to its CA.
    #[arg(long, value_name = "PEM", requires = "key")]
    cert: Option<PathBuf>,

    /// Your certificate's private key, PEM (PKCS #8): Ed25519 or ECDSA P-256.
    #[arg(long, value_name = "PEM", requires = "cert")]
    key: Option<PathBuf>,
}

/// Make more keys and have the market take them into your pool.
#[derive(Debug, Args)]
#[command(after_long_help = "\
Example:
  ets node keys add --dir bank --count 16

Each offer and each request is signed by one key of the pool. More keys mean less that an \
outsider can link.")]
pub(crate) struct AddKeys {
    #[command(flatten)]
    node: NodeDir,

    /// How many.
    #[arg(long, value_name = "N", default_value_t = 16)]
    #[arg(value_parser = clap::value_parser!(u16).range(1..=1000))]
    count: u16,
}

/// Answer buyers until SIGTERM or Ctrl-C.
///
/// Each request is decrypted, checked, and answered with one record from your source, encrypted to
/// that buyer alone. The source is read row by row as it is asked for, never copied.
#[derive(Debug, Args)]
#[command(after_long_help = "\
Examples:
  ets node serve --dir bank
  ets node serve --dir bank --listen 0.0.0.0:7711 \\
      --endpoint https://data.kontor.example

Without --listen the node opens no port: it fetches its requests from the platform's relay, \
which cannot read them.")]
pub(crate) struct Serve {
    #[command(flatten)]
    node: NodeDir,

    /// Listen here; port 0 takes a free one.
    #[arg(long, value_name = "ADDRESS")]
    listen: Option<SocketAddr>,

    /// The URL under which buyers reach --listen; `ets publish` writes it into offers. Remembered
    /// for the next time.
    #[arg(long, value_name = "URL", value_parser = url, requires = "listen")]
    endpoint: Option<String>,
}

/// Show what this node is, what it holds, and where it stands with its market.
#[derive(Debug, Args)]
#[command(after_long_help = "\
Example:
  ets node status --dir bank")]
pub(crate) struct Status {
    #[command(flatten)]
    node: NodeDir,
}

pub(crate) async fn run(verb: Verb, output: &Output) -> Result<Exit, Failure> {
    match verb {
        Verb::Init(args) => init(args, output).await,
        Verb::Join(args) => join(args, output).await,
        Verb::Keys(Keys::Add(AddKeys { node: dir, count })) => {
            let node = dir.open()?;
            let added = node.keys_add(count.into()).await?;
            output.answer(&Pool(added))
        }
        Verb::Serve(args) => serve(args, output).await,
        Verb::Status(Status { node: dir }) => {
            let node = dir.open()?;
            let member = node.status().await?;
            let published = Some(node.own_offers()?.len() as u64);
            output.answer(&Member { member, published })
        }
    }
}

async fn init(args: Init, output: &Output) -> Result<Exit, Failure> {
    let Init { dir, platform, platform_key, name, passphrase, passphrase_file } = args;
    let name = match name {
        Some(name) => name,
        None => directory_name(&dir)?,
    };
    let passphrase = match passphrase_file.read()? {
        Some(passphrase) => Some(passphrase),
        None if passphrase => Some(passphrase_file.choose(&name)?),
        None => None,
    };
    let options = InitOptions { platform, vkey: platform_key, name, passphrase };
    output.answer(&Started(Node::init(&dir, options).await?))
}

fn directory_name(dir: &Path) -> Result<String, Failure> {
    let absolute = std::path::absolute(dir).map_err(|e| Failure::file(dir, &e))?;
    let name = absolute.file_name().map(|name| name.to_string_lossy().into_owned());
    name.ok_or_else(|| {
        Failure::usage("usage", format!("{} has no name to call the node by", dir.display()))
            .or_try("--name NAME")
    })
}

async fn join(args: Join, output: &Output) -> Result<Exit, Failure> {
    let identity = match (&args.cert, &args.key) {
        (Some(cert), Some(key)) => {
            let certificates = fs::read_to_string(cert).map_err(|e| Failure::file(cert, &e))?;
            let bytes = read_private(key).map_err(|e| Failure::refused("file", e))?;
            let text = str::from_utf8(&bytes)
                .map_err(|_| Failure::refused("file", format!("{} is not PEM", key.display())))?;
            Identity::Issued { certificates, key: Zeroizing::new(text.to_owned()) }
        }
        _ => Identity::SelfSigned,
    };
    if let Some(name) = &args.name {
        args.node.rename(name)?;
    }
    let node = args.node.open()?;
    let mut member = node.join(&identity).await?;
    if node.pool_size() == 0 {
        let pool = node.keys_add(FIRST_KEYS).await?.pool;
        member.keys = pool;
    }
    output.answer(&Member { member, published: None })
}

/// How many keys a node has that never asked for any.
const FIRST_KEYS: usize = 16;

/// A node that was made, as people read it.
#[derive(Serialize)]
#[serde(transparent)]
struct Started(Initialised);

impl fmt::Display for Started {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Initialised { dir, market, vkey, pinned } = &self.0;
        let dir = dir.display();
        writeln!(f, "node for {market} in {dir}")?;
        if *pinned {
            writeln!(f, "the platform proved that it holds {vkey}")?;
        } else {
            writeln!(f, "the platform's key, believed because it says so: {vkey}")?;
            writeln!(f, "compare it with what the market's operator tells you")?;
        }
        write!(f, "next: ets node join --dir {dir}")
    }
}

/// Where a node stands, as people read it.
#[derive(Serialize)]
struct Member {
    #[serde(flatten)]
    member: Membership,
    /// Offers in the index, ended ones too.
    #[serde(skip_serializing_if = "Option::is_none")]
    published: Option<u64>,
}

impl fmt::Display for Member {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Membership { id, name, state: now, keys, .. } = &self.member;
        writeln!(f, "{name} is {} with {}", state(*now), counted(*keys, "key"))?;
        write!(f, "id {id}")?;
        if let Some(published) = self.published.filter(|published| *published > 0) {
            write!(f, "\n{} published so far", counted(published, "offer"))?;
        }
        if *now == ParticipantState::Pending {
            write!(f, "\nthe administrator decides: ets admin approve --dir MARKET {}", short(id))?;
        }
        Ok(())
    }
}

/// Keys that were made, as people read it.
#[derive(Serialize)]
#[serde(transparent)]
struct Pool(KeysAdded);

impl fmt::Display for Pool {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let KeysAdded { added, present, pool } = self.0;
        write!(f, "{} added, {} in the pool", counted(added, "key"), counted(pool, "key"))?;
        if present > 0 {
            write!(f, "; {} of an earlier attempt were there already", counted(present, "key"))?;
        }
        Ok(())
    }
}

async fn serve(args: Serve, output: &Output) -> Result<Exit, Failure> {
    let Serve { node: dir, listen, endpoint } = args;
    let node = dir.member()?;
    let before = dir.endpoint();
    let endpoint = match listen {
        Some(_) => endpoint.or(before),
        None => {
            if let Some(before) = before {
                output.remark(format_args!(
                    "offers published until now name {before}, where nobody listens; publish again"
                ));
            }
            None
        }
    };
    dir.remember_endpoint(endpoint.as_deref())?;
    let options = ServeOptions { listen: listen.map(|a| a.to_string()), endpoint };
    let mut shown = Ok(Exit::Done);
    let started = |listening: Option<SocketAddr>| {
        let endpoint = options.endpoint.clone();
        let relay = endpoint.is_none();
        shown =
            output.answer(&Serving { market: node.market().clone(), listening, endpoint, relay });
    };
    node.serve(&options, started, stop_signal()).await?;
    output.remark("stopped");
    shown
}

/// Completes on SIGTERM or Ctrl-C.
async fn stop_signal() {
    use tokio::signal::unix::{SignalKind, signal};
    match signal(SignalKind::terminate()) {
        Ok(mut terminate) => {
            tokio::select! {
                _ = terminate.recv() => (),
                _ = tokio::signal::ctrl_c() => (),
            }
        }
        Err(_) => {
            let _ = tokio::signal::ctrl_c().await;
        }
    }
}

/// A node that answers, as people read it.
#[derive(Serialize)]
struct Serving {
    market: Market,
    listening: Option<SocketAddr>,
    endpoint: Option<String>,
    relay: bool,
}

impl fmt::Display for Serving {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { market, listening, endpoint, relay } = self;
        write!(f, "answering buyers on {market}")?;
        if let Some(address) = listening {
            write!(f, "\n  at {address}")?;
        }
        if let Some(endpoint) = endpoint {
            write!(f, ", which buyers reach as {endpoint}")?;
        }
        if *relay {
            write!(f, "\n  through the platform's relay, which cannot read what it passes on")?;
        }
        write!(f, "\nCtrl-C stops it")
    }
}
