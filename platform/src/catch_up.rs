//! The derived state follows the logs, at every start.
//!
//! | found | done |
//! |---|---|
//! | no derived state, or one that does not open | made from the first entry on |
//! | it is where the logs are | nothing |
//! | it is behind (a crash, or sled lost its newest writes) | the gap is applied |
//! | it is ahead, or its last entry is not the log's | deleted and made anew: it is of other logs |

use std::{fs, io, path::Path};

use encrytrust_index_chain::log::{LogError, LogReader, TILE_WIDTH};
use encrytrust_protocol::{DecodeError, EntryId, KeyBinding, Message, leaf_hash, peek_typ};
use rayon::prelude::*;

use crate::state::{Fact, IndexFact, MemberError, State, StateError, TradeFact, Truth};

/// Entries read and decoded at once.
const STRETCH: u64 = 64 * TILE_WIDTH;

/// The derived state could not be brought to where the logs are.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CatchUpError {
    /// The derived state failed.
    #[error(transparent)]
    State(#[from] StateError),
    /// A log could not be read.
    #[error(transparent)]
    Log(#[from] LogError),
    /// The members log holds what cannot have been admitted.
    #[error(transparent)]
    Member(#[from] MemberError),
    /// A public log holds what cannot have been admitted.
    #[error("{log} log, entry {index}: {source}")]
    Entry {
        /// Which log.
        log: &'static str,
        /// Which entry.
        index: u64,
        /// What it is not.
        source: DecodeError,
    },
    /// The directory of the derived state could not be deleted.
    #[error("deleting the derived state: {0}")]
    Delete(#[from] io::Error),
}

/// The three logs that are the truth.
pub(crate) struct Truths<'a> {
    pub(crate) index: &'a LogReader,
    pub(crate) trades: &'a LogReader,
    pub(crate) members: &'a LogReader,
}

impl Truths<'_> {
    fn log(&self, truth: Truth) -> &LogReader {
        match truth {
            Truth::Index => self.index,
            Truth::Trades => self.trades,
            Truth::Members => self.members,
        }
    }

    /// Whether a state was made from these logs, up to some entry.
    fn made(&self, state: &State) -> Result<bool, CatchUpError> {
        for truth in Truth::ALL {
            let (applied, log) = (state.applied(truth)?, self.log(truth));
            if applied.size > log.size() {
                return Ok(false);
            }
            if applied.size > 0 && applied.last != Some(log.leaf_hash(applied.size - 1)?) {
                return Ok(false);
            }
        }
        Ok(true)
    }
}

/// Opens the derived state and brings it to where the logs are; says how many entries it took.
pub(crate) fn open_state(
    path: &Path,
    cache_bytes: u64,
    truths: &Truths<'_>,
) -> Result<(State, u64), CatchUpError> {
    let state = match existing(path, cache_bytes, truths)? {
        Some(state) => state,
        None => make_anew(path, cache_bytes)?,
    };
    let applied = catch_up(&state, truths)?;
    Ok((state, applied))
}

/// The derived state that is there, if it was made from these logs.
pub(crate) fn existing(
    path: &Path,
    cache_bytes: u64,
    truths: &Truths<'_>,
) -> Result<Option<State>, CatchUpError> {
    if !path.exists() {
        return Ok(None);
    }
    let state = match State::open(path, cache_bytes) {
        Ok(state) => state,
        Err(error) => {
            tracing::warn!(%error, "the derived state does not open");
            return Ok(None);
        }
    };
    let made = match truths.made(&state) {
        Err(CatchUpError::State(StateError::Unreadable { .. })) => false,
        made => made?,
    };
    if !made {
        tracing::warn!("the derived state is not of these logs");
    }
    Ok(made.then_some(state))
}

/// An empty derived state in place of whatever is there.
pub(crate) fn make_anew(path: &Path, cache_bytes: u64) -> Result<State, CatchUpError> {
    match fs::remove_dir_all(path) {
        Err(e) if e.kind() != io::ErrorKind::NotFound => return Err(e.into()),
        _ => {}
    }
    Ok(State::open(path, cache_bytes)?)
}

/// Applies what the logs have and the state has not.
pub(crate) fn catch_up(state: &State, truths: &Truths<'_>) -> Result<u64, CatchUpError> {
    let members = replay_members(state, truths.members)?;
    let index = replay(state, truths.index, IndexFact::read)?;
    let trades = replay(state, truths.trades, TradeFact::read)?;
    state.flush()?;
    Ok(members + index + trades)
}

fn replay<F: Fact + Send>(
    state: &State,
    log: &LogReader,
    read: impl Fn(EntryId, &[u8]) -> Result<F, DecodeError> + Sync,
) -> Result<u64, CatchUpError> {
    let start = state.applied(F::LOG)?.size;
    let mut next = start;
    while next < log.size() {
        let end = log.size().min((next / STRETCH + 1) * STRETCH);
        let entries = entries(log, next, end)?;
        let facts = entries.par_iter().enumerate().map(|(offset, bytes)| {
            read(leaf_hash(bytes), bytes).map_err(|source| CatchUpError::Entry {
                log: F::LOG.as_str(),
                index: next + offset as u64,
                source,
            })
        });
        state.apply(next, &facts.collect::<Result<Vec<_>, _>>()?)?;
        next = end;
    }
    Ok(next - start)
}

/// Like the others, from the Pool on that the first KeyBinding belongs to.
fn replay_members(state: &State, log: &LogReader) -> Result<u64, CatchUpError> {
    let (applied, size) = (state.applied(Truth::Members)?.size, log.size());
    let mut next = applied;
    while next < size {
        while next > 0 && is_binding(&log.entry(next)?) {
            next -= 1;
        }
        let mut end = size.min(next + STRETCH);
        while end < size && is_binding(&log.entry(end)?) {
            end += 1;
        }
        state.apply_members(next, &entries(log, next, end)?)?;
        next = end;
    }
    Ok(size - applied)
}

fn is_binding(entry: &[u8]) -> bool {
    peek_typ(entry, entry.len()).is_ok_and(|typ| typ == KeyBinding::TYP)
}

/// The entries `from..to`, read by the bundle.
fn entries(log: &LogReader, from: u64, to: u64) -> Result<Vec<Vec<u8>>, LogError> {
    let mut entries = Vec::new();
    for n in from / TILE_WIDTH..to.div_ceil(TILE_WIDTH) {
        let first = n * TILE_WIDTH;
        let bundle = log.bundle(n, TILE_WIDTH.min(to - first))?;
        let mut rest = &bundle[..];
        let mut index = first;
        while let Some((length, more)) = rest.split_first_chunk() {
            let (entry, more) = more.split_at(usize::from(u16::from_be_bytes(*length)));
            if index >= from {
                entries.push(entry.to_vec());
            }
            (rest, index) = (more, index + 1);
        }
    }
    Ok(entries)
}
