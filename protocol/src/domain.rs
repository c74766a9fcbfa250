//! Where every label is born.
//!
//! A label says what bytes were signed, sealed or hashed *for*. Signature labels are media types,
//! because they stand in the `typ` header (RFC 9596); they are also the external AAD. Sealing
//! labels open the HPKE `info`. No label is used for two purposes.

/// An offer of one record about one subject.
pub const OFFER: &str = "application/vnd.encrytrust.offer.v1+cose";
/// The end of an offer.
pub const WITHDRAWAL: &str = "application/vnd.encrytrust.withdrawal.v1+cose";
/// A buyer asks a provider's node for the record behind an offer.
pub const REQUEST: &str = "application/vnd.encrytrust.request.v1+cose";
/// A provider states what it sent in answer to a request.
pub const DELIVERY: &str = "application/vnd.encrytrust.delivery.v1+cose";
/// A buyer countersigns a delivery.
pub const RECEIPT: &str = "application/vnd.encrytrust.receipt.v1+cose";
/// A pool key claims its HPKE key.
pub const KEY_BINDING: &str = "application/vnd.encrytrust.key-binding.v1+cose";
/// An identity claims a list of pool keys.
pub const POOL: &str = "application/vnd.encrytrust.pool.v1+cose";
/// An identity asks to take part.
pub const JOIN: &str = "application/vnd.encrytrust.join.v1+cose";
/// The platform says whether a key is in a valid pool.
pub const KEY_STATUS: &str = "application/vnd.encrytrust.key-status.v1+cose";
/// An administrator decides on a participant.
pub const ADMIN_COMMAND: &str = "application/vnd.encrytrust.admin-command.v1+cose";
/// An administrator asks who takes part.
pub const ADMIN_QUERY: &str = "application/vnd.encrytrust.admin-query.v1+cose";
/// The platform describes itself.
pub const PLATFORM_INFO: &str = "application/vnd.encrytrust.platform-info.v1+cose";
/// A block: both tree heads and the link to the block before.
pub const BLOCK: &str = "application/vnd.encrytrust.block.v1+cose";
/// A participant asks for blinded subject IDs to be evaluated.
pub const TAG_REQUEST: &str = "application/vnd.encrytrust.tag-request.v1+cose";
/// A node fetches the requests that wait for it at the relay.
pub const RELAY_POLL: &str = "application/vnd.encrytrust.relay-poll.v1+cose";

/// HPKE `info` of a request sealed to a provider.
pub const SEAL_REQUEST: &str = "encrytrust/seal/request/v1";
/// HPKE `info` of a record sealed to a buyer's reply key.
pub const SEAL_REPLY: &str = "encrytrust/seal/reply/v1";
