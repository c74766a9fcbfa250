//! The marketplace server.
//!
//! A platform keeps a market's two public logs, lets participants in, and connects those who ask
//! with those who offer. It holds pseudonyms, commitments, signatures and sealed packets; it never
//! holds data, and nothing in it can name a decryption key.
//!
//! ```text
//!  HTTP ── http ──▶ decode and verify, all cores ──▶ sequencer ──▶ logs on disk   (the truth)
//!            │                                           │
//!            ◀────────────── state (sled, derived) ◀─────┘
//! ```
//!
//! - [`Config`] is `platform.toml`; [`init`] makes a platform's directory; [`serve`] runs it;
//!   [`rebuild`] makes its derived state anew.
//! - `sequencer` is the one writer; `catch_up` brings the derived `state` to where the logs are.
//! - `http` has one file for each noun of the API; `problem` every way of saying no.
//! - `relay`, `witness`, `limits` and `freshness` live in memory and may forget.
//!
//! # Directory
//!
//! ```text
//! platform.toml            what the operator decides
//! keys/platform.key        signs blocks, checkpoints, statements: its thief can tell two stories
//! keys/oprf.key            makes subject tags: its thief can guess IDs
//! keys/admin.key           approves and suspends: may be moved elsewhere
//! index/ trades/ blocks checkpoint.*    the chain: public
//! members/                 who takes part with which keys: private, never served
//! sled/                    derived; may be deleted while the platform is stopped
//! ```
//!
//! # Example
//!
//! ```
//! use encrytrust_platform::{Config, Options, init, serve};
//! use encrytrust_protocol::Market;
//!
//! # tokio::runtime::Runtime::new()?.block_on(async {
//! let dir = tempfile::tempdir()?;
//! init(dir.path(), Config::new(Market::new("market.example")?), None)?;
//!
//! let options = Options { listen: Some("127.0.0.1:0".parse()?), ..Options::default() };
//! let server = serve(dir.path(), options).await?;
//! assert!(server.url().starts_with("http://127.0.0.1:"));
//! server.stop().await?;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! # })?;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod catch_up;
mod config;
mod freshness;
mod heads;
mod home;
mod http;
mod identity;
mod limits;
mod problem;
mod relay;
mod sequencer;
mod server;
mod service;
mod standing;
mod state;
mod tls;
mod witness;

pub use catch_up::CatchUpError;
pub use config::{Config, ConfigError, IdentityPolicy, Limits, Options, Tls};
pub use home::{Initialized, OpenError, Rebuilt, init, rebuild};
pub use identity::TrustError;
pub use sequencer::SequencerError;
pub use server::{ServeError, Server, serve};
pub use state::{MemberError, StateError};
pub use tls::TlsError;
pub use witness::Witness;
