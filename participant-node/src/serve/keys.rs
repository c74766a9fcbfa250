//! The platform's word on buyers' keys, kept as long as it is good.

use std::{
    collections::HashMap,
    sync::{Mutex, PoisonError},
};

use encrytrust_protocol::{KeyState, PublicKey, UnixSeconds};

use crate::{client::Platform, files::now};

/// Words kept at once; when there are more, those that are no longer good go first.
const KEPT: usize = 10_000;

/// The longest a word is relied on, in seconds, however long the platform would have it: a
/// suspension is felt at every node within this time.
const RELIED_ON: u64 = 60;

/// What the platform says of a key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Word {
    /// It is in a pool.
    Key(KeyState),
    /// It is in none.
    Unknown,
    /// Nothing that can be believed.
    Silence(String),
}

/// Words by key, each until its time.
#[derive(Debug, Default)]
pub(super) struct KeyWords(Mutex<HashMap<PublicKey, (KeyState, UnixSeconds)>>);

impl KeyWords {
    pub(super) async fn state(&self, platform: &Platform, key: &PublicKey) -> Word {
        if let Some(state) = self.kept(key) {
            return Word::Key(state);
        }
        match platform.key(key).await {
            Ok((status, _)) => {
                let until = status.message().until.min(now() + RELIED_ON);
                self.keep(*key, status.message().state, until);
                Word::Key(status.message().state)
            }
            Err(error) if error.status() == Some(404) => Word::Unknown,
            Err(error) => Word::Silence(error.to_string()),
        }
    }

    fn kept(&self, key: &PublicKey) -> Option<KeyState> {
        let words = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        words.get(key).filter(|(_, until)| now() < *until).map(|(state, _)| *state)
    }

    fn keep(&self, key: PublicKey, state: KeyState, until: UnixSeconds) {
        let mut words = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if words.len() >= KEPT {
            let now = now();
            words.retain(|_, (_, until)| now < *until);
        }
        if words.len() < KEPT {
            words.insert(key, (state, until));
        }
    }
}
