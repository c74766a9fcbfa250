//! What an operator decides: `platform.toml`, and what a start overrides.

use std::{
    fs, io,
    net::{IpAddr, Ipv4Addr, SocketAddr},
    num::NonZeroU32,
    path::{Path, PathBuf},
    time::Duration,
};

use encrytrust_keys::files::Passphrase;
use encrytrust_protocol::{Market, PublicKey};
use serde::{Deserialize, Serialize};

use crate::witness::Witness;

/// The name of the configuration file in a platform's directory.
pub(crate) const FILE: &str = "platform.toml";

/// A configuration that cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ConfigError {
    /// The file could not be read or written.
    #[error("{}: {source}", path.display())]
    Io {
        /// Which file.
        path: PathBuf,
        /// What the operating system said.
        source: io::Error,
    },
    /// The file is not what it should be.
    #[error("{}: {source}", path.display())]
    Parse {
        /// Which file.
        path: PathBuf,
        /// Where, and what was expected.
        source: Box<toml::de::Error>,
    },
}

/// `platform.toml`.
///
/// ```
/// use encrytrust_platform::Config;
///
/// let config: Config = toml::from_str(r#"
///     market = "market.example"
///     block_interval_ms = 500
///     [limits]
///     requests_per_second = 100
/// "#)?;
/// assert_eq!(config.listen, "127.0.0.1:7700".parse()?);
/// assert_eq!(config.limits.requests_per_second.get(), 100);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// The market's name, for ever: every signed message and both logs' origins carry it.
    pub market: Market,
    /// Where to listen.
    #[serde(default = "default_listen")]
    pub listen: SocketAddr,
    /// Who may administer: Ed25519 public keys in hex. `init` puts `keys/admin.key`'s here.
    #[serde(default)]
    pub admins: Vec<PublicKey>,
    /// Milliseconds between blocks, when there is something to put in one.
    #[serde(default = "default_block_interval")]
    pub block_interval_ms: u64,
    /// For how many seconds a signed key status may be relied on: how late a suspension may bite.
    #[serde(default = "default_key_status_seconds")]
    pub key_status_seconds: u64,
    /// Bytes of memory for the derived state's cache.
    #[serde(default = "default_cache_bytes")]
    pub cache_bytes: u64,
    /// Whose certificates are taken.
    #[serde(default)]
    pub identity: IdentityPolicy,
    /// How much anyone may ask for.
    #[serde(default)]
    pub limits: Limits,
    /// Serve HTTPS.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tls: Option<Tls>,
    /// Who cosigns checkpoints.
    #[serde(default, rename = "witness", skip_serializing_if = "Vec::is_empty")]
    pub witnesses: Vec<Witness>,
}

/// Whose certificates are taken as identities.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct IdentityPolicy {
    /// Take self-signed certificates; the administrator then decides on each by its name and key.
    pub self_signed: bool,
    /// A PEM file of CA certificates whose chains are taken; relative to the directory.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ca_file: Option<PathBuf>,
}

impl Default for IdentityPolicy {
    fn default() -> Self {
        Self { self_signed: true, ca_file: None }
    }
}

/// A certificate and its key, PEM files; relative to the directory.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Tls {
    /// The certificate chain, leaf first.
    pub cert: PathBuf,
    /// The leaf's private key.
    pub key: PathBuf,
}

/// How much anyone may ask for.
///
/// Rates are token buckets: `burst` at once, refilled evenly.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Limits {
    /// Requests per second from one address (IPv6: one /64).
    pub requests_per_second: NonZeroU32,
    /// Requests at once from one address.
    pub requests_burst: NonZeroU32,
    /// Signed requests per second by the keys of one participant together.
    pub participant_requests_per_second: NonZeroU32,
    /// Signed requests at once by the keys of one participant together.
    pub participant_requests_burst: NonZeroU32,
    /// Subject IDs per hour that one participant's keys together have evaluated: what stands
    /// between a participant and trying every ID there is.
    pub tags_per_hour: NonZeroU32,
    /// Subject IDs at once for one participant.
    pub tags_burst: NonZeroU32,
    /// Bytes of one `POST /v1/offers`.
    pub offers_bytes: usize,
    /// Bytes of submissions held in memory at one time; later ones wait for their turn.
    pub in_flight_bytes: usize,
    /// Connections at one time.
    pub connections: usize,
    /// Sealed requests that wait for one provider's node.
    pub relay_waiting_per_key: usize,
    /// Bytes of sealed requests and replies at the relay, all together.
    pub relay_bytes: usize,
    /// Seconds a buyer waits at the relay for a node's answer.
    pub relay_seconds: u64,
}

impl Default for Limits {
    fn default() -> Self {
        let n = |n: u32| NonZeroU32::new(n).expect("the defaults below are not zero");
        Self {
            requests_per_second: n(2_000),
            requests_burst: n(4_000),
            participant_requests_per_second: n(200),
            participant_requests_burst: n(1_000),
            tags_per_hour: n(100_000),
            tags_burst: n(100_000),
            offers_bytes: 16 << 20,
            in_flight_bytes: 64 << 20,
            connections: 10_000,
            relay_waiting_per_key: 64,
            relay_bytes: 64 << 20,
            relay_seconds: 30,
        }
    }
}

/// What one start decides otherwise than `platform.toml`.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// Where to listen; port 0 takes a free one, see [`Server::address`](crate::Server::address).
    pub listen: Option<SocketAddr>,
    /// Serve HTTPS with these files.
    pub tls: Option<Tls>,
    /// How often to build a block when there is something to put in one.
    pub block_interval: Option<Duration>,
    /// Further witnesses.
    pub witnesses: Vec<Witness>,
    /// Other limits.
    pub limits: Option<Limits>,
    /// Threads that speak HTTP; as many as cores when not said.
    pub workers: Option<usize>,
    /// Opens encrypted key files.
    pub passphrase: Option<Passphrase>,
    /// Stop gracefully on SIGTERM and Ctrl-C. Leave it out when the caller handles signals.
    pub stop_on_signals: bool,
}

impl Config {
    /// A configuration with the defaults for a market.
    pub fn new(market: Market) -> Self {
        Self {
            market,
            listen: default_listen(),
            admins: Vec::new(),
            block_interval_ms: default_block_interval(),
            key_status_seconds: default_key_status_seconds(),
            cache_bytes: default_cache_bytes(),
            identity: IdentityPolicy::default(),
            limits: Limits::default(),
            tls: None,
            witnesses: Vec::new(),
        }
    }

    /// Reads `platform.toml` from a platform's directory; files it names become absolute.
    pub fn load(dir: &Path) -> Result<Self, ConfigError> {
        let path = dir.join(FILE);
        let text = fs::read_to_string(&path)
            .map_err(|source| ConfigError::Io { path: path.clone(), source })?;
        let mut config: Self = toml::from_str(&text)
            .map_err(|source| ConfigError::Parse { path, source: Box::new(source) })?;
        if let Some(tls) = &mut config.tls {
            tls.cert = dir.join(&tls.cert);
            tls.key = dir.join(&tls.key);
        }
        if let Some(ca) = &mut config.identity.ca_file {
            *ca = dir.join(&*ca);
        }
        Ok(config)
    }

    /// Writes `platform.toml` into a platform's directory.
    pub fn store(&self, dir: &Path) -> Result<(), ConfigError> {
        let path = dir.join(FILE);
        let text = toml::to_string_pretty(self).expect("every field has a TOML form");
        fs::write(&path, text).map_err(|source| ConfigError::Io { path, source })
    }

    /// This configuration as one start overrides it.
    #[must_use]
    pub(crate) fn overridden(mut self, options: &Options) -> Self {
        if let Some(listen) = options.listen {
            self.listen = listen;
        }
        if let Some(interval) = options.block_interval {
            self.block_interval_ms = u64::try_from(interval.as_millis()).unwrap_or(u64::MAX);
        }
        if let Some(limits) = &options.limits {
            self.limits = limits.clone();
        }
        if let Some(tls) = &options.tls {
            self.tls = Some(tls.clone());
        }
        self.witnesses.extend(options.witnesses.iter().cloned());
        self
    }
}

fn default_listen() -> SocketAddr {
    SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 7700)
}

fn default_block_interval() -> u64 {
    1000
}

fn default_key_status_seconds() -> u64 {
    60
}

fn default_cache_bytes() -> u64 {
    64 << 20
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read() {
        let dir = tempfile::tempdir().unwrap();
        let mut config = Config::new(Market::new("market.example").unwrap());
        config.admins.push(PublicKey::from([7; 32]));
        config.tls = Some(Tls { cert: "c.pem".into(), key: "k.pem".into() });
        config.store(dir.path()).unwrap();
        let read = Config::load(dir.path()).unwrap();
        assert_eq!(read.admins, config.admins);
        assert_eq!(read.limits.offers_bytes, 16 << 20);
        assert_eq!(read.tls.unwrap().cert, dir.path().join("c.pem"));
    }

    #[test]
    fn a_misspelt_key_is_an_error() {
        let text = "market = \"market.example\"\nlistn = \"127.0.0.1:1\"";
        assert!(toml::from_str::<Config>(text).unwrap_err().to_string().contains("listn"));
    }
}
