//! The platform, as a participant sees it: asked over HTTP, believed only as far as it proves.
//!
//! [`http`](self) bounds every answer in size and time and repeats calls that can be repeated;
//! [`trust`] remembers the newest checkpoint of each log and refuses any that contradicts it;
//! [`api`] has one function for each thing a participant asks, and returns checked types only.

mod api;
mod http;
mod trust;

use std::path::Path;

use encrytrust_index_chain::{checkpoint::LogName, note::Vkey};
use encrytrust_protocol::{DecodeError, Market, Problem, PublicKey};

pub(crate) use self::{
    api::{CheckedOffer, Submitted, introduce, nonce, short},
    http::{Http, Media},
    trust::Floor,
};
use trust::Trust;

/// A platform that refused, is away, or lied; or a node that did.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ClientError {
    /// Nothing came back, or not in time.
    #[error("{party} cannot be reached: {why}")]
    Unreachable {
        /// Who, with the address.
        party: String,
        /// What the network said.
        why: String,
    },
    /// It answered no.
    #[error("{party} refused: {problem}")]
    Refused {
        /// Who, with the address.
        party: String,
        /// Why.
        problem: Box<Problem>,
    },
    /// It answered something that is not what was asked for.
    #[error("{party} answered with something else than a {what}: {why}")]
    Malformed {
        /// Who.
        party: String,
        /// What was expected.
        what: &'static str,
        /// What is wrong with it.
        why: String,
    },
    /// Something it said does not hold.
    #[error("{party} said something untrue: {why}")]
    Untrue {
        /// Who.
        party: String,
        /// What contradicts what.
        why: String,
    },
    /// It showed two histories. Both are kept, signed by it.
    #[error("the platform shows two histories: {why}; both notes are in {evidence}")]
    SplitView {
        /// What contradicts what.
        why: String,
        /// The folder with both notes.
        evidence: String,
    },
    /// The node's own files.
    #[error("{path}: {source}")]
    File {
        /// Which file.
        path: String,
        /// What the file system said.
        source: std::io::Error,
    },
    /// This machine's clock, or its randomness, or a limit of the protocol.
    #[error("{0}")]
    Local(String),
}

/// The party an error names when it is the platform.
pub(crate) const PLATFORM: &str = "the platform";

impl ClientError {
    /// Whether somebody's word did not hold, as opposed to a refusal or a broken line.
    pub fn is_untrue(&self) -> bool {
        matches!(self, Self::Untrue { .. } | Self::SplitView { .. } | Self::Malformed { .. })
    }

    /// What to do next, where there is something to do.
    pub fn next(&self) -> Option<&str> {
        match self {
            Self::Refused { problem, .. } => problem.next.as_deref(),
            Self::Unreachable { .. } => {
                Some("check the address and the network, then run it again")
            }
            Self::SplitView { .. } => {
                Some("stop trading here and show both notes to other participants")
            }
            Self::Untrue { .. } => Some("compare the platform's key with what its operator says"),
            _ => None,
        }
    }

    /// The slug of a refusal.
    pub fn slug(&self) -> Option<&str> {
        match self {
            Self::Refused { problem, .. } => Some(problem.slug()),
            _ => None,
        }
    }

    /// The HTTP status of a refusal.
    pub fn status(&self) -> Option<u16> {
        match self {
            Self::Refused { problem, .. } => Some(problem.status),
            _ => None,
        }
    }

    #[expect(clippy::needless_pass_by_value, reason = "it stands in map_err")]
    pub(crate) fn untrue(why: impl ToString) -> Self {
        Self::Untrue { party: PLATFORM.into(), why: why.to_string() }
    }

    #[expect(clippy::needless_pass_by_value, reason = "it stands in map_err")]
    pub(crate) fn malformed(what: &'static str, why: impl ToString) -> Self {
        Self::Malformed { party: PLATFORM.into(), what, why: why.to_string() }
    }

    #[expect(clippy::needless_pass_by_value, reason = "it stands in map_err")]
    pub(crate) fn local(why: impl ToString) -> Self {
        Self::Local(why.to_string())
    }
}

impl From<DecodeError> for ClientError {
    fn from(error: DecodeError) -> Self {
        Self::malformed("signed message", error)
    }
}

/// A platform whose key is known.
#[derive(Debug)]
pub(crate) struct Platform {
    pub(crate) http: Http,
    pub(crate) market: Market,
    /// Its Ed25519 key.
    pub(crate) key: PublicKey,
    trust: Trust,
}

impl Platform {
    /// The platform at a URL under a pinned key. `home` has the checkpoints seen so far and
    /// receives evidence.
    pub(crate) fn new(url: &str, vkey: &Vkey, home: &Path) -> Result<Self, ClientError> {
        let market = Market::new(vkey.name()).map_err(ClientError::local)?;
        let key = vkey.key();
        let vkeys = LogName::ALL.map(|log| log.vkey(&market, key));
        let trust = Trust::load(home, vkeys)?;
        Ok(Self { http: Http::new(url, PLATFORM)?, market, key, trust })
    }
}
