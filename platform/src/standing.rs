//! Whether a key may be used: the one question behind every signed request.

use encrytrust_index_chain::admit::KeyStanding;
use encrytrust_protocol::{
    KeyState, ParticipantId, ParticipantState, Problem, PublicKey, UnixSeconds,
};

use crate::{
    problem::{IDENTITY_EXPIRED, SUSPENDED, UNKNOWN_KEY},
    state::{KeyRecord, ParticipantRecord, State, StateError},
};

/// What is known of a key.
pub(crate) struct Owned {
    key: PublicKey,
    at: UnixSeconds,
    owner: Option<(KeyRecord, ParticipantRecord)>,
}

/// What is known of a key at a time.
pub(crate) fn of(state: &State, key: &PublicKey, at: UnixSeconds) -> Result<Owned, StateError> {
    let mut owner = None;
    if let Some(record) = state.key(key)?
        && let Some(participant) = state.participant(&record.participant)?
    {
        owner = Some((record, participant));
    }
    Ok(Owned { key: *key, at, owner })
}

impl Owned {
    /// The participant, if the key may be used; else why not. The problem names the key alone:
    /// whose it is, the platform keeps to itself.
    pub(crate) fn active(&self) -> Result<ParticipantId, Problem> {
        self.judge(ParticipantRecord::state)
    }

    /// [`active`](Self::active), by what the administrator had decided at the time in question.
    pub(crate) fn active_then(&self) -> Result<ParticipantId, Problem> {
        self.judge(|owner| owner.state_at(self.at))
    }

    fn judge(
        &self,
        state: impl Fn(&ParticipantRecord) -> ParticipantState,
    ) -> Result<ParticipantId, Problem> {
        let key = &self.key;
        let Some((record, owner)) = &self.owner else {
            return Err(UNKNOWN_KEY.because(format!("key {key} is in no participant's pool")));
        };
        match state(owner) {
            ParticipantState::Approved => {}
            ParticipantState::Pending => {
                let detail = format!("the participant of key {key} is not approved yet");
                return Err(UNKNOWN_KEY.because(detail));
            }
            ParticipantState::Suspended => {
                let detail = format!("the participant of key {key} is suspended");
                return Err(SUSPENDED.because(detail));
            }
        }
        if !owner.certificate_valid_at(self.at) {
            let detail = format!("the certificate behind key {key} is not valid at {}", self.at);
            return Err(IDENTITY_EXPIRED.because(detail));
        }
        Ok(record.participant)
    }

    /// [`active`](Self::active) in the words of the rules.
    pub(crate) fn admitted(&self) -> KeyStanding {
        let pending = |owner: &ParticipantRecord| owner.state() == ParticipantState::Pending;
        match &self.owner {
            _ if self.active().is_ok() => KeyStanding::Admitted,
            Some((_, owner)) if !pending(owner) => KeyStanding::Suspended,
            _ => KeyStanding::Unknown,
        }
    }

    /// For others to rely on, with the place of its binding; `None` if the key is in no pool.
    pub(crate) fn stated(&self) -> Option<(KeyState, u64)> {
        let (record, _) = self.owner.as_ref()?;
        let state = if self.active().is_ok() { KeyState::Active } else { KeyState::Suspended };
        Some((state, record.binding))
    }
}
