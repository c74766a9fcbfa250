//! Time and chance, as messages want them.

use std::time::{SystemTime, UNIX_EPOCH};

use encrytrust_protocol::{Nonce, UnixSeconds};

/// Now.
pub fn now() -> UnixSeconds {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs())
}

/// 32 bytes that were never there before.
pub fn fresh() -> [u8; 32] {
    let mut bytes = [0; 32];
    getrandom::fill(&mut bytes).expect("the system has randomness");
    bytes
}

/// A nonce that was never there before.
pub fn nonce() -> Nonce {
    Nonce::try_from(&fresh()[..16]).expect("sixteen bytes are a nonce")
}
