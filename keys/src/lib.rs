//! Every secret of the market, and what may be done with it.
//!
//! | module | holds | does |
//! |---|---|---|
//! | [`identity`] | a participant's certificate and its key | claims pool keys, asks to join |
//! | [`pool`] | the many keys a participant trades under | signs offers, requests, deliveries, receipts |
//! | [`platform`] | the platform's and the administrator's keys | sign blocks, checkpoints, decisions |
//! | [`seal`] | HPKE keys | open what was sealed to them, for one purpose |
//! | [`tags`] | the platform's OPRF key | turns blinded subject IDs into pseudonyms |
//! | [`subject`] | nothing | gives a subject's ID its one spelling |
//! | [`membership`] | nothing | lets a market believe what an identity sends |
//! | [`files`] | nothing | keeps all of these on disk |
//!
//! A key has one verb per purpose ([`pool::PoolKey::sign_offer`],
//! [`platform::PlatformKey::sign_block`], …) and none that signs any bytes it is given. Secrets come
//! from the operating system's randomness, are lent and not handed out, are wiped when dropped, and
//! show as `<redacted>`. Time is an input.
//!
//! # What stealing it buys
//!
//! | secret | buys |
//! |---|---|
//! | identity key | adding keys to this participant's pool, until the administrator suspends it |
//! | pool key | offers and purchases in its name; reading requests sent to it, no past delivery |
//! | reply key | the one delivery it was made for |
//! | subject-tag key | finding subjects by trying IDs, as the platform could |
//! | platform key | showing two histories, which witnesses and kept heads reveal |
//! | administrator's key | letting participants in and keeping them out |
//!
//! # Example: a buyer asks, a provider answers
//!
//! ```
//! use encrytrust_keys::{
//!     pool::PoolKey,
//!     seal::{SealContext, SealKey, seal},
//! };
//! use encrytrust_protocol::{BlockHash, EntryId, Market, Nonce, Request, Signed, Suite};
//!
//! let market = Market::new("market.example")?;
//! let (buyer, provider) = (PoolKey::generate(Suite::XWing), PoolKey::generate(Suite::XWing));
//!
//! // The buyer makes a key for this one reply, and seals its signed request to the provider.
//! let reply_key = SealKey::generate(Suite::XWing);
//! let request = buyer.sign_request(Request {
//!     market: market.clone(),
//!     offer: EntryId::from([1; 32]),
//!     block: BlockHash::from([2; 32]),
//!     provider: provider.public(),
//!     reply_key: reply_key.public().clone(),
//!     price: 5,
//!     nonce: Nonce::from([3; 16]),
//!     at: 1_700_000_000,
//! })?;
//! let context = SealContext::Request { market: &market, provider: provider.public() };
//! let packet = seal(provider.hpke(), &context, b"", request.bytes())?;
//!
//! // The provider opens it, learns who asks, and seals the record to the key in the request.
//! let opened = provider.seal_key().open(&context, b"", &packet)?;
//! let asked = Signed::<Request>::decode(&opened)?.verify()?;
//! assert_eq!(asked.signer(), buyer.public());
//! let context = SealContext::Reply {
//!     trade: asked.id(),
//!     offer: asked.message().offer,
//!     block: asked.message().block,
//! };
//! let reply = seal(&asked.message().reply_key, &context, b"", b"the record")?;
//! assert_eq!(*reply_key.open(&context, b"", &reply)?, b"the record");
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

pub mod files;
pub mod identity;
pub mod membership;
pub mod platform;
pub mod pool;
mod random;
pub mod seal;
mod signing;
pub mod subject;
pub mod tags;

pub use signing::SignError;
