//! The values of the derived state, to the byte.

use encrytrust_protocol::{
    CertificateId, EntryId, ParticipantId, ParticipantState, UnixSeconds, encode,
};
use minicbor::{Decode, Encode};

/// The three logs that are the truth.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Truth {
    /// Offers and withdrawals; public.
    Index,
    /// Receipts; public.
    Trades,
    /// Join, Pool, KeyBinding, AdminCommand; never served.
    Members,
}

impl Truth {
    /// All of them.
    pub(crate) const ALL: [Self; 3] = [Self::Index, Self::Trades, Self::Members];

    /// Its name in paths and origins.
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Index => "index",
            Self::Trades => "trades",
            Self::Members => "members",
        }
    }

    pub(super) const fn letter(self) -> u8 {
        match self {
            Self::Index => b'i',
            Self::Trades => b't',
            Self::Members => b'm',
        }
    }
}

/// How far a log has been applied, and the name of the last entry applied: a state that belongs
/// to other logs is recognised by it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Applied {
    pub(crate) size: u64,
    pub(crate) last: Option<EntryId>,
}

impl Applied {
    pub(super) fn read(bytes: &[u8]) -> Option<Self> {
        let (size, last) = bytes.split_at_checked(8)?;
        Some(Self { size: read_u64(size)?, last: Some(EntryId::try_from(last).ok()?) })
    }

    pub(super) fn write(size: u64, last: &EntryId) -> Vec<u8> {
        [&size.to_be_bytes()[..], last.as_ref()].concat()
    }
}

/// What has become of an entry of the index.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Standing {
    /// An offer nobody ended.
    Current,
    /// An offer that a newer version replaced.
    Superseded,
    /// An offer that its signer ended.
    Withdrawn,
    /// Not an offer: the end of one.
    Withdrawal,
}

/// Where an entry of the index stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Slot {
    pub(crate) index: u64,
    pub(crate) standing: Standing,
}

impl Slot {
    pub(super) fn read(bytes: &[u8]) -> Option<Self> {
        let (index, standing) = bytes.split_at_checked(8)?;
        let standing = match standing {
            [0] => Standing::Current,
            [1] => Standing::Superseded,
            [2] => Standing::Withdrawn,
            [3] => Standing::Withdrawal,
            _ => return None,
        };
        Some(Self { index: read_u64(index)?, standing })
    }

    pub(super) fn write(self) -> [u8; 9] {
        let standing = match self.standing {
            Standing::Current => 0,
            Standing::Superseded => 1,
            Standing::Withdrawn => 2,
            Standing::Withdrawal => 3,
        };
        let mut bytes = [standing; 9];
        bytes[..8].copy_from_slice(&self.index.to_be_bytes());
        bytes
    }
}

pub(super) fn read_u64(bytes: &[u8]) -> Option<u64> {
    bytes.try_into().ok().map(u64::from_be_bytes)
}

/// Whose a pool key is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct KeyRecord {
    /// The participant; known to the platform alone.
    pub(crate) participant: ParticipantId,
    /// Where its [`KeyBinding`](encrytrust_protocol::KeyBinding) is in the members log.
    pub(crate) binding: u64,
}

impl KeyRecord {
    pub(super) fn read(bytes: &[u8]) -> Option<Self> {
        let (participant, binding) = bytes.split_at_checked(32)?;
        let participant = ParticipantId::try_from(participant).ok()?;
        Some(Self { participant, binding: read_u64(binding)? })
    }

    pub(super) fn write(&self) -> Vec<u8> {
        [self.participant.as_ref(), &self.binding.to_be_bytes()].concat()
    }
}

/// A participant, and everything that decides whether its keys may be used.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub(crate) struct ParticipantRecord {
    #[n(0)]
    pub(crate) name: String,
    /// Where its first [`Join`](encrytrust_protocol::Join) is in the members log.
    #[n(1)]
    pub(crate) first_join: u64,
    /// Where the one in force is.
    #[n(2)]
    pub(crate) join: u64,
    /// When the first was signed.
    #[n(3)]
    pub(crate) since: UnixSeconds,
    /// When the one in force was signed.
    #[n(4)]
    pub(crate) joined_at: UnixSeconds,
    /// The certificate in force.
    #[n(5)]
    pub(crate) certificate: CertificateId,
    /// When the certificate begins and ceases to be valid: first and last second.
    #[n(6)]
    pub(crate) not_before: UnixSeconds,
    /// See [`not_before`](Self::not_before).
    #[n(7)]
    pub(crate) not_after: UnixSeconds,
    /// How many keys its pool has.
    #[n(8)]
    pub(crate) keys: u64,
    /// What an administrator decided when, oldest first.
    #[n(9)]
    pub(crate) decisions: Vec<Decision>,
}

/// An administrator's decision.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode)]
pub(crate) struct Decision {
    #[n(0)]
    pub(crate) at: UnixSeconds,
    #[n(1)]
    pub(crate) approved: bool,
}

impl ParticipantRecord {
    /// Where it stands.
    pub(crate) fn state(&self) -> ParticipantState {
        Self::meaning(self.decisions.last())
    }

    /// Where it stood at a time, by the times in the administrator's commands.
    pub(crate) fn state_at(&self, at: UnixSeconds) -> ParticipantState {
        Self::meaning(self.decisions.iter().rfind(|decision| decision.at <= at))
    }

    fn meaning(decision: Option<&Decision>) -> ParticipantState {
        match decision {
            None => ParticipantState::Pending,
            Some(Decision { approved: true, .. }) => ParticipantState::Approved,
            Some(Decision { approved: false, .. }) => ParticipantState::Suspended,
        }
    }

    /// Whether the certificate in force is valid at a time.
    pub(crate) fn certificate_valid_at(&self, at: UnixSeconds) -> bool {
        (self.not_before..=self.not_after).contains(&at)
    }

    pub(super) fn read(bytes: &[u8]) -> Option<Self> {
        minicbor::decode(bytes).ok()
    }

    pub(super) fn write(&self) -> Vec<u8> {
        encode(self)
    }
}
