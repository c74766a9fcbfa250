//! The one shape of message: `session || step || payload`.
//!
//! Step 2^32 - 1 is nobody's: such a message says that its sender gave up, and its payload is
//! `step || blamed party || blamed party …`.

use zeroize::Zeroizing;

use crate::party::Party;

/// Bytes before the payload.
pub(super) const START: usize = 36;

/// A message of a step.
pub(super) fn encode(session: &[u8; 32], step: usize, payload: &[u8]) -> Zeroizing<Vec<u8>> {
    let mut bytes = Zeroizing::new(Vec::with_capacity(START + payload.len()));
    bytes.extend(session);
    bytes.extend((step as u32).to_be_bytes());
    bytes.extend(payload);
    bytes
}

/// The step of a message, if it is one of this session.
pub(super) fn step(session: &[u8; 32], bytes: &[u8]) -> Option<usize> {
    let rest = bytes.strip_prefix(session)?;
    Some(u32::from_be_bytes(*rest.first_chunk()?) as usize)
}

/// The step of a message that gives up.
pub(super) const ABORT: usize = u32::MAX as usize;

/// What to say when giving up.
pub(super) fn encode_abort(
    session: &[u8; 32],
    step: usize,
    blames: &[Party],
) -> Zeroizing<Vec<u8>> {
    let mut payload = (step as u32).to_be_bytes().to_vec();
    payload.extend(blames.iter().flat_map(|party| party.number().to_be_bytes()));
    encode(session, ABORT, &payload)
}

/// Where somebody gave up, and whom it blames.
pub(super) fn decode_abort(bytes: &[u8], parties: usize) -> Option<(usize, Vec<Party>)> {
    let (step, blamed) = bytes.get(START..)?.split_first_chunk()?;
    let (numbers, rest) = blamed.as_chunks();
    if !rest.is_empty() || numbers.len() > parties {
        return None;
    }
    let blamed = numbers.iter().map(|number| Party::new(u16::from_be_bytes(*number)));
    Some((u32::from_be_bytes(*step) as usize, blamed.collect::<Option<_>>()?))
}
