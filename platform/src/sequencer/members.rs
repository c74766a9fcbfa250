//! What the members log takes: joins, key pools, and what administrators decide.
//!
//! Such messages are rare; each is committed by itself, so that the next one sees what it did.

use encrytrust_protocol::{
    AdminCommand, Join, KeyBinding, ParticipantId, ParticipantState, Pool, Problem, Verified,
};

use super::{Desk, SequencerError};
use crate::{
    identity::Leaf,
    problem::{BAD_IDENTITY, BUSY, CONFLICT, SUSPENDED, UNKNOWN_PARTICIPANT},
    state::ParticipantRecord,
};

/// A message whose signature and certificate were checked.
pub(crate) enum MemberOrder {
    Join { join: Verified<Join>, leaf: Leaf },
    Pool { pool: Verified<Pool>, bindings: Vec<Verified<KeyBinding>> },
    Command(Verified<AdminCommand>),
}

/// What became of it.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Membership {
    /// Where the participant stands now.
    Stands(ParticipantId, ParticipantState),
    /// Keys that were new, and keys that were there.
    Keys { added: u64, present: u64 },
}

/// The most keys a participant has while no administrator has let it in.
const KEYS_WHILE_PENDING: u64 = Pool::KEYS_MAX as u64;
/// The most keys a participant has.
const KEYS_MAX: u64 = 1_000_000;

type Taken = Result<Result<Membership, Problem>, SequencerError>;

/// Takes a message, durably, or says why not.
pub(super) fn take(desk: &mut Desk, order: MemberOrder) -> Taken {
    match order {
        MemberOrder::Join { join, leaf } => take_join(desk, &join, leaf),
        MemberOrder::Pool { pool, bindings } => take_pool(desk, &pool, &bindings),
        MemberOrder::Command(command) => take_command(desk, &command),
    }
}

fn take_join(desk: &mut Desk, join: &Verified<Join>, leaf: Leaf) -> Taken {
    let id = leaf.participant;
    if let Some(known) = desk.state.participant(&id)? {
        let in_force = desk.members.reader().leaf_hash(known.join)?;
        if in_force == join.id() {
            return Ok(Ok(Membership::Stands(id, known.state())));
        }
        let message = join.message();
        if known.name != message.name {
            let detail = format!("participant {id} joined as {:?}", known.name);
            return Ok(Err(CONFLICT.because(detail)));
        }
        if message.at < known.joined_at {
            let detail = "a later request to join, with another certificate, is in force";
            return Ok(Err(CONFLICT.because(detail)));
        }
    } else {
        let pending = desk.state.participants()?;
        let pending =
            pending.iter().filter(|(_, p)| p.state() == ParticipantState::Pending).count();
        if pending >= desk.pending_max {
            let detail = format!("{pending} participants wait for an administrator");
            return Ok(Err(BUSY.because(detail)));
        }
    }
    write(desk, &[join.bytes()])?;
    stands(desk, id)
}

fn take_pool(desk: &mut Desk, pool: &Verified<Pool>, bindings: &[Verified<KeyBinding>]) -> Taken {
    let id = pool.message().participant;
    let owner = match participant(desk, id)? {
        Ok(owner) => owner,
        Err(problem) => return Ok(Err(problem)),
    };
    if owner.certificate != pool.signer() {
        let detail = "the pool is signed with a certificate that is not the one in force";
        return Ok(Err(BAD_IDENTITY.because(detail)));
    }
    let room = match owner.state() {
        ParticipantState::Pending => KEYS_WHILE_PENDING,
        ParticipantState::Approved => KEYS_MAX,
        ParticipantState::Suspended => {
            return Ok(Err(SUSPENDED.because("a suspended participant adds no keys")));
        }
    };
    let mut entries = vec![pool.bytes()];
    for binding in bindings {
        let key = binding.signer();
        match desk.state.key(&key)? {
            None => entries.push(binding.bytes()),
            // The same words whether it is another's key or this one's under other terms.
            Some(there) => {
                let same = desk.members.reader().leaf_hash(there.binding)? == binding.id();
                if there.participant != id || !same {
                    let detail = format!("key {key} was bound before; make a new key");
                    return Ok(Err(CONFLICT.because(detail)));
                }
            }
        }
    }
    let added = entries.len() as u64 - 1;
    if owner.keys + added > room {
        let detail = format!("{} keys are there; at most {room} are allowed", owner.keys);
        return Ok(Err(CONFLICT.because(detail)));
    }
    if added > 0 {
        write(desk, &entries)?;
    }
    Ok(Ok(Membership::Keys { added, present: bindings.len() as u64 - added }))
}

fn take_command(desk: &mut Desk, command: &Verified<AdminCommand>) -> Taken {
    let message = command.message();
    let id = message.participant;
    let owner = match participant(desk, id)? {
        Ok(owner) => owner,
        Err(problem) => return Ok(Err(problem)),
    };
    if desk.state.command(&command.id())?.is_none() {
        if owner.decisions.last().is_some_and(|last| last.at > message.at) {
            let detail = format!("a later decision on {id} is in force");
            return Ok(Err(CONFLICT.because(detail)));
        }
        write(desk, &[command.bytes()])?;
    }
    stands(desk, id)
}

/// Appends, commits, applies.
fn write(desk: &mut Desk, entries: &[&[u8]]) -> Result<(), SequencerError> {
    let first = desk.members.append(entries)?.start;
    desk.members.commit()?;
    desk.state.apply_members(first, entries)?;
    Ok(())
}

fn participant(
    desk: &Desk,
    id: ParticipantId,
) -> Result<Result<ParticipantRecord, Problem>, SequencerError> {
    let unknown = || UNKNOWN_PARTICIPANT.because(format!("participant {id} has not joined"));
    Ok(desk.state.participant(&id)?.ok_or_else(unknown))
}

fn stands(desk: &Desk, id: ParticipantId) -> Taken {
    let owner = participant(desk, id)?;
    Ok(owner.map(|owner| Membership::Stands(id, owner.state())))
}
