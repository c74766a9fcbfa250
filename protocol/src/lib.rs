//! What others read: every message of the market, to the byte.
//!
//! A message is a small struct ([`Offer`], [`Request`], [`Receipt`], …). On the wire it is a
//! `COSE_Sign1` (RFC 9052) over deterministic CBOR (RFC 8949, section 4.2) whose protected
//! `typ` header (RFC 9596) says what it was signed *for*; the same label is the external AAD, so
//! an offer's signature can never serve as a receipt's. There is one way to write each message,
//! and a reader refuses every other.
//!
//! Reading goes through three types, and a function that takes the last of them has nothing
//! left to forget:
//!
//! ```text
//! bytes ──Signed::decode──▶ Signed<M> ──verify──▶ Verified<M>
//!         size, shape,                  signature
//!         canonical form, limits
//! ```
//!
//! Whether a verified message is *admissible* (a key in a valid pool, an offer still current)
//! depends on the state of a market and is decided in `index-chain` and `platform`.
//!
//! # Example: sign an offer, read it back
//!
//! ```
//! use encrytrust_protocol::*;
//! use ed25519_dalek::{Signer, SigningKey};
//!
//! let key = SigningKey::from_bytes(&[7; 32]);
//! let offer = Offer {
//!     market: Market::new("market.example")?,
//!     subject: Subject { scheme: TagScheme::Voprf, tag: SubjectTag::from([1; 32]) },
//!     description: Description {
//!         title: "Credit history".into(),
//!         columns: vec![Column { name: "amount".into(), kind: ColumnKind::Integer }],
//!         text: String::new(),
//!     },
//!     commitment: Commitment::from([2; 32]),
//!     price: 5,
//!     endpoint: None,
//!     valid: Validity { from: 1_700_000_000, until: 1_800_000_000 },
//!     supersedes: None,
//! };
//!
//! let signed = Signed::seal(offer, PublicKey::from(&key), |tbs| key.sign(tbs).to_vec())?;
//! let wire = signed.bytes().to_vec();
//!
//! let verified = Signed::<Offer>::decode(&wire)?.verify()?;
//! assert_eq!(verified.message().price, 5);
//! assert_eq!(verified.signer().as_bytes(), key.verifying_key().as_bytes());
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

pub mod api;
mod cbor;
mod chain;
pub mod domain;
mod envelope;
mod ids;
mod membership;
mod offer;
mod platform;
mod problem;
mod record;
mod trade;

pub use cbor::{DecodeError, decode, encode, split_sequence};
pub use chain::{Block, TreeHead};
pub use envelope::{
    Algorithm, BadSignature, EncodeError, Message, Signed, SignerId, Verified, leaf_hash, peek_typ,
    verify_batch,
};
pub use ids::{
    BlockHash, CertificateId, Commitment, EntryId, Market, Nonce, OfferId, ParseIdError,
    ParticipantId, PublicKey, Sha256Hash, SubjectTag, TradeId, UnixMillis, UnixSeconds,
};
pub use membership::{
    AdminAction, AdminCommand, AdminQuery, HpkeKey, Join, KeyBinding, KeyState, KeyStatus,
    ParticipantState, Pool, Suite,
};
pub use offer::{
    Column, ColumnKind, Description, IndexEntry, IndexEntryError, Offer, Subject, TagScheme,
    Validity, Withdrawal,
};
pub use platform::{PlatformInfo, RelayPacket, RelayPackets, RelayPoll, TagAnswer, TagRequest};
pub use problem::Problem;
pub use record::{Record, Value};
pub use trade::{
    Delivery, Outcome, Receipt, ReceiptError, Reply, Request, SealedPacket, reply_info,
    request_info,
};

/// The largest entry a log holds, in bytes: C2SP tlog-tiles prefixes each with 16 bits of length.
pub const ENTRY_BYTES_MAX: usize = 65_535;

/// How far a message's own time may be from the reader's clock, in seconds, either way.
pub const CLOCK_SKEW_MAX: u64 = 300;
