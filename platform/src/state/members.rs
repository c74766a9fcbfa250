//! What entries of the members log do to the derived state.
//!
//! Each entry is one signed message: a Join; a Pool, followed by those of its KeyBindings that were
//! new; an AdminCommand. They are applied in their order, without a clock and without looking at
//! signatures again: whatever stands in the log was admitted.

use std::collections::{HashMap, HashSet};

use encrytrust_protocol::{
    AdminAction, AdminCommand, DecodeError, ENTRY_BYTES_MAX, EntryId, Join, KeyBinding, Message,
    ParticipantId, Pool, PublicKey, Signed, leaf_hash, peek_typ,
};

use super::{
    Applied, KeyRecord, ParticipantRecord, State, StateError, Truth, key, prefix, records::Decision,
};
use crate::identity::Leaf;

/// An entry of the members log that cannot have been admitted.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum MemberError {
    /// It is not one of the messages that belong there.
    #[error("members log, entry {index}: {source}")]
    Decode {
        /// Which entry.
        index: u64,
        /// What it is not.
        source: DecodeError,
    },
    /// It does not follow from the entries before it.
    #[error("members log, entry {index}: {why}")]
    OutOfPlace {
        /// Which entry.
        index: u64,
        /// What is missing.
        why: &'static str,
    },
    /// The derived state failed.
    #[error(transparent)]
    State(#[from] StateError),
}

/// Applies entries one after the other and writes them in one batch.
struct Members<'a> {
    state: &'a State,
    participants: HashMap<ParticipantId, ParticipantRecord>,
    keys: HashMap<PublicKey, KeyRecord>,
    commands: Vec<(EntryId, u64)>,
    /// The pool whose bindings come next.
    pool: Option<(ParticipantId, HashSet<EntryId>)>,
}

impl State {
    /// Applies a run of the members log, the first of which is at index `first`, in one batch. A
    /// run begins with a Join, a Pool or a command.
    pub(crate) fn apply_members(
        &self,
        first: u64,
        entries: &[impl AsRef<[u8]>],
    ) -> Result<(), MemberError> {
        let Some(last) = entries.last() else { return Ok(()) };
        let mut members = Members {
            state: self,
            participants: HashMap::new(),
            keys: HashMap::new(),
            commands: Vec::new(),
            pool: None,
        };
        let mut index = first;
        for entry in entries {
            members.apply(index, entry.as_ref())?;
            index += 1;
        }
        let mut batch = sled::Batch::default();
        for (id, record) in &members.participants {
            batch.insert(key(prefix::PARTICIPANT, id.as_bytes()), record.write());
        }
        for (public, record) in &members.keys {
            batch.insert(key(prefix::KEY, public.as_bytes()), record.write());
        }
        for (id, index) in &members.commands {
            batch.insert(key(prefix::COMMAND, id.as_bytes()), &index.to_be_bytes());
        }
        let last = leaf_hash(last.as_ref());
        batch.insert(&[prefix::APPLIED, Truth::Members.letter()], Applied::write(index, &last));
        self.db.apply_batch(batch).map_err(StateError::from)?;
        Ok(())
    }
}

impl Members<'_> {
    fn apply(&mut self, index: u64, bytes: &[u8]) -> Result<(), MemberError> {
        let decode = |source| MemberError::Decode { index, source };
        let typ = peek_typ(bytes, ENTRY_BYTES_MAX).map_err(decode)?;
        match typ.as_str() {
            Join::TYP => self.join(index, &Signed::decode(bytes).map_err(decode)?),
            Pool::TYP => {
                let pool = Signed::<Pool>::decode(bytes).map_err(decode)?;
                let pool = pool.unverified();
                self.pool = Some((pool.participant, pool.bindings.iter().copied().collect()));
                Ok(())
            }
            KeyBinding::TYP => self.binding(index, &Signed::decode(bytes).map_err(decode)?),
            _ => self.command(index, &Signed::decode(bytes).map_err(decode)?),
        }
    }

    fn join(&mut self, index: u64, join: &Signed<Join>) -> Result<(), MemberError> {
        let message = join.unverified();
        let leaf = message.chain.first().and_then(|der| Leaf::read(der));
        let leaf = leaf.ok_or(MemberError::OutOfPlace { index, why: "no certificate in it" })?;
        let known = self.participant(&leaf.participant)?;
        let first_join = known.as_ref().map_or(index, |known| known.first_join);
        let record = ParticipantRecord {
            name: message.name.clone(),
            first_join,
            join: index,
            since: known.as_ref().map_or(message.at, |known| known.since),
            joined_at: message.at,
            certificate: leaf.certificate,
            not_before: leaf.not_before,
            not_after: leaf.not_after,
            keys: known.as_ref().map_or(0, |known| known.keys),
            decisions: known.map(|known| known.decisions).unwrap_or_default(),
        };
        self.participants.insert(leaf.participant, record);
        Ok(())
    }

    fn binding(&mut self, index: u64, binding: &Signed<KeyBinding>) -> Result<(), MemberError> {
        let public = binding.claimed_signer();
        let owner = self.pool.as_ref().filter(|(_, listed)| listed.contains(&binding.id()));
        let Some(&(participant, _)) = owner else {
            let why = "a key binding that the pool before it does not list";
            return Err(MemberError::OutOfPlace { index, why });
        };
        if self.key(&public)?.is_some() {
            return Ok(());
        }
        self.change(index, participant, |record| record.keys += 1)?;
        self.keys.insert(public, KeyRecord { participant, binding: index });
        Ok(())
    }

    fn command(&mut self, index: u64, command: &Signed<AdminCommand>) -> Result<(), MemberError> {
        let message = command.unverified();
        let approved = message.action == AdminAction::Approve;
        let decision = Decision { at: message.at, approved };
        self.commands.push((command.id(), index));
        self.change(index, message.participant, |record| record.decisions.push(decision))
    }

    fn change(
        &mut self,
        index: u64,
        id: ParticipantId,
        change: impl FnOnce(&mut ParticipantRecord),
    ) -> Result<(), MemberError> {
        let why = "it is about a participant that has not joined";
        let mut record = self.participant(&id)?.ok_or(MemberError::OutOfPlace { index, why })?;
        change(&mut record);
        self.participants.insert(id, record);
        Ok(())
    }

    fn participant(&self, id: &ParticipantId) -> Result<Option<ParticipantRecord>, StateError> {
        match self.participants.get(id) {
            Some(record) => Ok(Some(record.clone())),
            None => self.state.participant(id),
        }
    }

    fn key(&self, public: &PublicKey) -> Result<Option<KeyRecord>, StateError> {
        match self.keys.get(public) {
            Some(record) => Ok(Some(*record)),
            None => self.state.key(public),
        }
    }
}
