//! What the market costs, each figure beside what it cannot beat.
//!
//! A figure alone says little: it depends on the machine, and on what else the machine does. So
//! everything here is measured beside a peer or a physical limit in the same run, on the same
//! bytes, and printed as a ratio: a commit beside the disk's own `fdatasync`, an audit beside bare
//! SHA-256 and Ed25519, a sealed record beside the cipher alone.
//!
//! - `benches/kernels.rs` (criterion): one operation at a time, in one process.
//! - `src/bin/load`: the service under load. The platform is a process of its own, so that its
//!   memory and its processor time are its own; the load generator shares the machine with it.
//!
//! # How latency is measured
//!
//! First a closed loop (each connection sends its next request when the last was answered) finds
//! what the service can take. Then an open loop sends at a fixed rate below that, whether or not
//! answers come: requests have their times beforehand, and a request that leaves late because the
//! service held its predecessors up is counted from when it should have left. Otherwise the worst
//! moments would be sampled least ("coordinated omission").
//!
//! # Example
//!
//! ```
//! use encrytrust_bench::corpus::Corpus;
//! use encrytrust_protocol::{Offer, Signed};
//!
//! let corpus = Corpus::now();
//! let offer = corpus.sign(7);
//! let verified = Signed::<Offer>::decode(offer.bytes())?.verify()?;
//! assert_eq!(verified.message().subject.tag, Corpus::tag_of(7));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

pub mod corpus;
pub mod disk;
pub mod limit;
pub mod market;
pub mod pace;
pub mod process;
pub mod report;
pub mod wire;
