//! What can go wrong, whose fault it is, and what to do next.

use encrytrust_index_chain::copy::CopyError;
use encrytrust_keys::files::FileError;
use encrytrust_protocol::{DecodeError, OfferId, Problem};

use crate::{client::ClientError, source::SourceError, vault::VaultError};

/// Why a node could not do what it was asked.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum NodeError {
    /// The node's own files.
    #[error("{path}: {why}")]
    State {
        /// The file.
        path: String,
        /// What is wrong with it.
        why: String,
    },
    /// A secret file cannot be read or written.
    #[error(transparent)]
    Secret(FileError),
    /// A wish that makes no sense.
    #[error("{0}")]
    Usage(String),
    /// Things are not so that it could be done.
    #[error("{0}")]
    Refused(String),
    /// The platform refused, is away, or lied.
    #[error(transparent)]
    Platform(#[from] ClientError),
    /// The data source cannot be read.
    #[error(transparent)]
    Source(#[from] SourceError),
    /// What the node remembers cannot be read or written.
    #[error(transparent)]
    Vault(#[from] VaultError),
    /// The copy of the chain cannot be read or written.
    #[error("copy: {0}")]
    Copy(#[from] CopyError),
    /// The offer cannot be taken any more.
    #[error("offer {offer} {state}")]
    Gone {
        /// The offer.
        offer: OfferId,
        /// What became of it.
        state: &'static str,
    },
    /// The record was delivered and verified, and its receipt is not on the log of trades yet.
    #[error("the record is in {out}, but its receipt is not on the log of trades: {source}")]
    Unsettled {
        /// Where the record is.
        out: String,
        /// Why.
        source: Box<NodeError>,
    },
    /// The provider's node refused.
    #[error("the provider {provider} refused: {problem}")]
    Provider {
        /// The offer's key.
        provider: String,
        /// Why.
        problem: Box<Problem>,
    },
    /// The provider delivered something else than it offered. The evidence is kept.
    #[error(
        "the provider {provider} delivered what it did not offer: {why}; evidence in {evidence}"
    )]
    Mismatch {
        /// The offer's key.
        provider: String,
        /// What contradicts what.
        why: String,
        /// The folder that holds the proof.
        evidence: String,
    },
    /// Somebody's word does not hold.
    #[error("{party}: {why}")]
    Untrue {
        /// Who is at fault, such as `the platform`.
        party: String,
        /// What contradicts what.
        why: String,
    },
}

/// What an error means for whoever called.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ErrorKind {
    /// Somebody said no, or is away. `ets` exits with 1.
    Refused,
    /// The wish itself is wrong. `ets` exits with 2.
    Usage,
    /// Something that was received does not verify. `ets` exits with 3.
    Verification,
}

impl NodeError {
    #[expect(clippy::needless_pass_by_value, reason = "it stands in map_err")]
    pub(crate) fn state(path: impl AsRef<std::path::Path>, why: impl ToString) -> Self {
        Self::State { path: path.as_ref().display().to_string(), why: why.to_string() }
    }

    #[expect(clippy::needless_pass_by_value, reason = "it stands in map_err")]
    pub(crate) fn untrue(party: impl Into<String>, why: impl ToString) -> Self {
        Self::Untrue { party: party.into(), why: why.to_string() }
    }

    /// What kind of failure this is.
    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::Usage(_) => ErrorKind::Usage,
            Self::Source(error) => match error {
                SourceError::File { .. }
                | SourceError::Csv { .. }
                | SourceError::Database { .. } => ErrorKind::Refused,
                _ => ErrorKind::Usage,
            },
            Self::Platform(error) if error.is_untrue() => ErrorKind::Verification,
            Self::Mismatch { .. } | Self::Untrue { .. } => ErrorKind::Verification,
            Self::Unsettled { source, .. } => source.kind(),
            Self::State { .. }
            | Self::Refused(_)
            | Self::Gone { .. }
            | Self::Copy(_)
            | Self::Secret(_)
            | Self::Platform(_)
            | Self::Vault(_)
            | Self::Provider { .. } => ErrorKind::Refused,
        }
    }

    /// What to do next, where there is something to do.
    pub fn next(&self) -> Option<&str> {
        match self {
            Self::Platform(error) => error.next(),
            Self::Provider { problem, .. } => problem.next.as_deref(),
            Self::Mismatch { .. } => Some(
                "the receipt that says so is on the log of trades; show the evidence to the market's operator",
            ),
            Self::Gone { .. } => Some("look the subject up again: ets find"),
            Self::Unsettled { .. } => {
                Some("nothing is lost: the receipt is sent with the next purchase")
            }
            Self::Untrue { .. } => Some("trust nothing this party says until it is explained"),
            _ => None,
        }
    }
}

impl From<DecodeError> for NodeError {
    fn from(error: DecodeError) -> Self {
        Self::Platform(ClientError::from(error))
    }
}

/// An error and what led to it, in one line.
pub(crate) fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        let cause_text = cause.to_string();
        if !text.contains(&cause_text) {
            text = format!("{text}: {cause_text}");
        }
        source = cause.source();
    }
    text
}
