//! Clocks and replays: a signed request is answered once, and only around the time it was signed.

use std::{
    collections::HashSet,
    sync::{Mutex, PoisonError},
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

use encrytrust_protocol::{
    AdminQuery, CLOCK_SKEW_MAX, Message, Nonce, PublicKey, RelayPoll, TagRequest, UnixMillis,
    UnixSeconds, Verified,
};

use crate::problem::{CLOCK_SKEW, REPLAYED, Refused};

/// The platform's clock, Unix milliseconds.
pub(crate) fn now_millis() -> UnixMillis {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}

/// The platform's clock, Unix seconds.
pub(crate) fn now() -> UnixSeconds {
    now_millis() / 1000
}

/// Refuses a message whose time is not around now.
pub(crate) fn check_clock(at: UnixSeconds) -> Result<(), Refused> {
    let now = now();
    if at.abs_diff(now) > CLOCK_SKEW_MAX {
        return CLOCK_SKEW.refuse(format!(
            "signed at {at}, and it is {now} here (Unix seconds); at most {CLOCK_SKEW_MAX} apart"
        ));
    }
    Ok(())
}

/// A request that is to be answered once.
pub(crate) trait Once: Message<Signer = PublicKey> {
    fn nonce(&self) -> Nonce;
    fn at(&self) -> UnixSeconds;
}

macro_rules! once {
    ($($message:ty),*) => {
        $(impl Once for $message {
            fn nonce(&self) -> Nonce {
                self.nonce
            }
            fn at(&self) -> UnixSeconds {
                self.at
            }
        })*
    };
}

once!(AdminQuery, RelayPoll, TagRequest);

/// Remembers requests for as long as their time would let them pass.
///
/// A message passes while its time is within [`CLOCK_SKEW_MAX`] of the clock, so at most for twice
/// that long. Two generations of that length are kept: whatever is forgotten is too old to pass.
/// Memory does not outlive the process, so messages from before its start are refused.
pub(crate) struct Replays {
    started: UnixSeconds,
    generations: Mutex<Generations>,
}

struct Generations {
    turned: Instant,
    young: HashSet<(PublicKey, Nonce)>,
    old: HashSet<(PublicKey, Nonce)>,
}

const GENERATION: Duration = Duration::from_secs(2 * CLOCK_SKEW_MAX);

impl Replays {
    pub(crate) fn new() -> Self {
        let generations =
            Generations { turned: Instant::now(), young: HashSet::new(), old: HashSet::new() };
        Self { started: now(), generations: Mutex::new(generations) }
    }

    /// Lets a request pass the first time it is seen, if it was signed around now.
    pub(crate) fn admit<M: Once>(&self, request: &Verified<M>) -> Result<(), Refused> {
        let message = request.message();
        check_clock(message.at())?;
        if message.at() < self.started {
            return CLOCK_SKEW.refuse(format!(
                "signed at {}, before this platform started at {}: sign it again",
                message.at(),
                self.started
            ));
        }
        let mut seen = self.generations.lock().unwrap_or_else(PoisonError::into_inner);
        seen.turn();
        let name = (request.signer(), message.nonce());
        if seen.old.contains(&name) || !seen.young.insert(name) {
            return REPLAYED.refuse(format!("this {} was answered already", M::NAME));
        }
        Ok(())
    }
}

impl Generations {
    fn turn(&mut self) {
        if self.turned.elapsed() >= GENERATION {
            self.old = std::mem::take(&mut self.young);
            self.turned = Instant::now();
        }
    }
}
