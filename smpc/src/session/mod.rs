//! One party's side of a computation, as a state machine: inputs in, effects out.
//!
//! A [`Session`] holds one party's shares and runs a [`Plan`](crate::protocols::Plan). It opens no socket, reads no clock
//! and starts no thread: whoever drives it carries the messages of [`Effect::Send`] to the other
//! parties over authenticated, encrypted channels, feeds it what arrives, and tells it with
//! [`Event::Deadline`] when it has waited long enough. The same inputs and the same seed give the
//! same effects, byte by byte.
//!
//! # Flow
//!
//! 1. Each pair of parties agrees on a seed (one message, from the lower number to the higher).
//! 2. Steps run in order. A step without messages is done at once; the others end when what they
//!    wait for has arrived. Messages that come early are kept: the plan says how long each may
//!    be, and nothing else is kept.
//! 3. A party that fails tells the others whom it blames, so that they end too, and do not blame
//!    it for its silence. Whoever drives sessions starts a deadline when a step begins: then the
//!    party that waits at the earliest step, which waits for the one at fault, speaks first.
//! 4. After the last step there is [`Effect::Done`] with a hash of all that was sent and received.
//!
//! # What it promises, and what not
//!
//! The level is *semi-honest*: up to d parties that follow the protocol learn nothing from what
//! they see together beyond the values opened to them. A party that is silent, sends garbage, or
//! sends something twice ends the session with an error that names it. Openings carry a share of
//! every party, so that a wrong share in an opening is found while n > d + 1, and its sender named
//! while n allows the correction. A party that follows the form of the protocol and lies about
//! its inputs' shares or its products is *not* found at this level.

mod message;
mod run;

use std::fmt;

use zeroize::Zeroizing;

pub use self::run::Session;
use crate::{
    field::DecodeError,
    party::Party,
    protocols::{Column, PlanError},
    sharing::ReconstructError,
};

/// What a session is told.
pub enum Event {
    /// A message, from the party that the channel authenticates.
    Message {
        /// Who sent it.
        from: Party,
        /// The message.
        bytes: Zeroizing<Vec<u8>>,
    },
    /// The time for what is waited for is over.
    Deadline,
}

impl fmt::Debug for Event {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Message { from, bytes } => write!(f, "Message(from {from}, {} B)", bytes.len()),
            Self::Deadline => f.write_str("Deadline"),
        }
    }
}

/// What a session wants done.
#[derive(Clone, PartialEq, Eq)]
pub enum Effect<F> {
    /// Carry a message.
    Send {
        /// To whom.
        to: Party,
        /// The message, secret to everybody else.
        bytes: Zeroizing<Vec<u8>>,
    },
    /// A column was opened to this party.
    Opened {
        /// Which opening of the plan this is.
        opening: Column,
        /// The values.
        values: Vec<F>,
    },
    /// The plan is done.
    Done {
        /// SHA-256 of everything sent and received, in the order of steps and parties.
        transcript: [u8; 32],
    },
    /// The session ended without a result.
    Failed(SessionError),
}

impl<F> fmt::Debug for Effect<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Send { to, bytes } => write!(f, "Send({} B to {to})", bytes.len()),
            Self::Opened { opening, values } => {
                write!(f, "Opened({opening:?}, {} values)", values.len())
            }
            Self::Done { .. } => f.write_str("Done"),
            Self::Failed(error) => write!(f, "Failed({error})"),
        }
    }
}

/// A session that cannot be started.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum StartError {
    /// This party is not in the plan's committee.
    #[error(transparent)]
    Stranger(PlanError),
    /// The private columns are not those that the plan asks of this party.
    #[error("{party} brings {have} private columns of the lengths {lengths:?}, the plan asks for {asked:?}", have = lengths.len())]
    Inputs {
        /// This party.
        party: Party,
        /// Lengths of the columns brought.
        lengths: Vec<usize>,
        /// Lengths asked for.
        asked: Vec<usize>,
    },
}

/// Why a session ended without a result. `step` counts from 0, the agreement on seeds.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SessionError {
    /// Nothing came from these parties in time.
    #[error("no message for step {step} in time from {}", list(.parties))]
    Silent {
        /// Who is silent.
        parties: Vec<Party>,
        /// What they did not send.
        step: usize,
    },
    /// A message of another session, or none at all.
    #[error("{party} sent something that is no message of this session")]
    Foreign {
        /// Who sent it.
        party: Party,
    },
    /// A message that the plan does not foresee: not at this step, not from this party, or not
    /// any more.
    #[error("{party} sent a message for step {step}, where none is expected from it")]
    Unexpected {
        /// Who sent it.
        party: Party,
        /// The step it names.
        step: usize,
    },
    /// A second message for one step.
    #[error("{party} sent a second message for step {step}")]
    Repeated {
        /// Who sent it.
        party: Party,
        /// The step.
        step: usize,
    },
    /// A message of the wrong length.
    #[error("{party} sent {have} bytes for step {step}, {want} were expected")]
    Length {
        /// Who sent it.
        party: Party,
        /// The step.
        step: usize,
        /// Its length.
        have: usize,
        /// The expected length.
        want: usize,
    },
    /// A message whose elements are not canonical.
    #[error("{party} sent garbage for step {step}: {why}")]
    Garbage {
        /// Who sent it.
        party: Party,
        /// The step.
        step: usize,
        /// What is wrong.
        why: DecodeError,
    },
    /// Wrong shares in an opening.
    #[error("wrong shares in the opening at step {step} from {}", list(.parties))]
    Lied {
        /// Who sent them.
        parties: Vec<Party>,
        /// The opening.
        step: usize,
    },
    /// Another party gave up first and said why. Its word alone: it may lie.
    #[error("{by} gave up at step {step}, blaming {}", list(.blames))]
    Aborted {
        /// Who gave up.
        by: Party,
        /// Where.
        step: usize,
        /// Whom it blames.
        blames: Vec<Party>,
    },
    /// An opening whose shares contradict each other beyond correction.
    #[error("the opening at step {step} failed: {why}")]
    Opening {
        /// The opening.
        step: usize,
        /// How.
        why: ReconstructError,
    },
}

impl SessionError {
    /// The parties at fault, where they can be named; after [`SessionError::Aborted`], those that
    /// the other party blames.
    #[must_use]
    pub fn culprits(&self) -> Vec<Party> {
        match self {
            Self::Silent { parties, .. }
            | Self::Lied { parties, .. }
            | Self::Aborted { blames: parties, .. } => parties.clone(),
            Self::Foreign { party }
            | Self::Unexpected { party, .. }
            | Self::Repeated { party, .. }
            | Self::Length { party, .. }
            | Self::Garbage { party, .. } => vec![*party],
            Self::Opening { why, .. } => why.culprit().into_iter().collect(),
        }
    }
}

fn list(parties: &[Party]) -> String {
    let names: Vec<_> = parties.iter().map(Party::to_string).collect();
    names.join(", ")
}
