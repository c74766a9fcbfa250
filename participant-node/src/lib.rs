//! Provider and buyer: what a participant runs (white paper, sections 6.2 to 6.6).
//!
//! Everything starts from a [`Node`], which lives in a directory of its own:
//!
//! ```text
//! Node::init(dir, options)                 meet a platform, under its pinned key
//! Node::open(dir, passphrase)
//!   .join(identity)  .status()             take part
//!   .keys_add(count)                       more keys to trade under
//!   .publish(&spec, progress)              provider: rows become offers; data never leaves
//!   .serve(&options, started, stop)        provider: answer requests, directly or by relay
//!   .own_offers()                          provider: what an audit must find
//!   .find(&id, local, progress)            buyer: look a subject up; nobody learns whom
//!   .get(offer, out)                       buyer: request, open, verify, receipt
//!   .sync(progress)  .prove(offer)         download the chain; a proof for others
//! sync_copy(dir, url, vkey, progress)      the same download, without a node
//! ```
//!
//! Two rules hold throughout. Whatever is received is verified before it is believed, and an
//! [error](NodeError) says which party's word did not hold. Whatever the node promises is on disk
//! before it leaves, so that a process killed at any instant can be started again and goes on.
//!
//! # What a thief of the directory gets
//!
//! With `keys/`, everything: the node's voice and its vault. Without, which subjects are known by
//! tag (not by ID) and how many offers there are; every entry of the vault is sealed.
//!
//! # Example: meet a market, ask to take part
//!
//! ```
//! use encrytrust_participant_node::{Identity, InitOptions, Node};
//! # use encrytrust_platform::{Config, Options, init, serve};
//! # tokio::runtime::Runtime::new()?.block_on(async {
//! # let home = tempfile::tempdir()?;
//! # let market = home.path().join("market");
//! # let made = init(&market, Config::new("market.example".parse()?), None)?;
//! # let options = Options { listen: Some("127.0.0.1:0".parse()?), ..Options::default() };
//! # let platform = serve(&market, options).await?;
//! # let (url, vkey, dir) = (platform.url(), made.vkey.to_string(), home.path().join("bank"));
//!
//! // The platform's address, and its key from somebody trusted.
//! let options = InitOptions {
//!     platform: url,
//!     vkey: Some(vkey),
//!     name: "Muster Bank".into(),
//!     passphrase: None,
//! };
//! let started = Node::init(&dir, options).await?;
//! assert!(started.pinned);
//!
//! let bank = Node::open(&dir, None)?;
//! let membership = bank.join(&Identity::SelfSigned).await?;
//! println!("{} waits for the administrator of {}", membership.id, bank.market());
//! # platform.stop().await?;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! # })?;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod buy;
mod client;
mod copy;

mod error;
mod files;
mod membership;
mod node;
mod publish;
mod report;
mod serve;
pub mod source;
mod vault;

pub use client::ClientError;
pub use copy::sync_copy;
pub use encrytrust_keys::files::Passphrase;
pub use error::{ErrorKind, NodeError};
pub use node::Node;
pub use report::*;
pub use vault::VaultError;

/// Runs work that blocks, on a thread where that does no harm.
pub(crate) async fn blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> T {
    match tokio::task::spawn_blocking(work).await {
        Ok(done) => done,
        Err(error) => match error.try_into_panic() {
            Ok(panic) => std::panic::resume_unwind(panic),
            Err(_) => panic!("the runtime was shut down while it was needed"),
        },
    }
}
