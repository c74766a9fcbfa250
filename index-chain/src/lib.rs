//! The append-only index: two verifiable logs, the blocks over them, and everything that checks
//! them.
//!
//! The truth of a market is a pair of C2SP transparency logs in flat files (`index` for offers,
//! `trades` for receipts) and a chain of signed blocks that name both. This crate writes them so
//! that no crash loses what was acknowledged, proves what is in them, and checks every proof, link
//! and signature. It is pure: time and randomness are inputs, the disk is a [trait](disk::Disk),
//! and there is no clock, no socket and no async runtime.
//!
//! | to | read |
//! |---|---|
//! | decide what may be appended | [`admit`] |
//! | append, seal, publish | [`chain`], [`log`], [`block`], [`checkpoint`], [`note`] |
//! | know what a crash leaves | [`crash`], [`disk`] |
//! | prove and check | [`proof`], [`tree`], [`tiles`] |
//! | be watched | [`witness`] |
//! | keep a copy, catch a second history | [`copy`] |
//! | check everything from the first block | [`audit`] |
//!
//! The formats are other people's, so other people's tools read them: tiles
//! (<https://c2sp.org/tlog-tiles>), checkpoints, cosignatures and `.tlog-proof` files of C2SP, the
//! Merkle tree of RFC 6962, blocks and entries as COSE.
//!
//! # Example: append, seal, prove, audit
//!
//! ```
//! # let home = tempfile::tempdir()?;
//! # let dir = home.path();
//! use encrytrust_index_chain::{
//!     audit::Auditor, chain::Chain, checkpoint::LogName, proof::TlogProof,
//! };
//! use encrytrust_keys::platform::PlatformKey;
//! use encrytrust_protocol::{Market, Sha256Hash};
//!
//! let (market, key) = (Market::new("market.example")?, PlatformKey::generate());
//! let (mut chain, _recovery) = Chain::open(dir, &market, key.public())?;
//! # let entry: &[u8] = b"the bytes of a signed offer";
//! let range = chain.append(LogName::Index, &[entry])?;
//! chain.commit()?; // on disk: now it may be acknowledged
//!
//! let (now, randomness) = (1_800_000_000_000, Sha256Hash::from([7; 32]));
//! let sealed = chain.seal(now, randomness, &key)?;
//!
//! // Whoever has the entry, this file, and the log's public key needs nothing else.
//! let reader = chain.reader();
//! let checkpoint = sealed.checkpoint(LogName::Index);
//! let file = TlogProof::new(reader.log(LogName::Index), range.start, checkpoint)?.encode();
//!
//! let vkey = LogName::Index.vkey(&market, key.public());
//! TlogProof::parse(file.as_bytes())?.verify(entry, &vkey, &[], 0)?;
//!
//! // An auditor reads every entry; the one above is no offer, and it says so.
//! let fault = Auditor::new(market, key.public()).audit(dir).unwrap_err();
//! assert!(fault.to_string().starts_with("entry 0 of index, block 0, index/entries at byte 0: "));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

pub mod admit;
pub mod audit;
pub mod block;
pub mod chain;
pub mod checkpoint;
pub mod copy;
pub mod crash;
pub mod disk;
pub mod log;
pub mod note;
pub mod proof;
#[cfg(test)]
mod sample;
pub mod tiles;
pub mod tree;
pub mod witness;
