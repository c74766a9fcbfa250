//! The append-only index: log files, Merkle proofs, blocks, checkpoints.
//!
//! The truth of a market is a pair of C2SP transparency logs in flat files and a chain of signed
//! blocks over them. This crate writes them so that no crash loses what was acknowledged, proves
//! what is in them, and checks every proof, link and signature. It is pure: time and randomness
//! are inputs, there is no clock, no socket and no async runtime.

pub mod admit;
pub mod audit;
pub mod block;
pub mod chain;
pub mod checkpoint;
pub mod crash;
pub mod disk;
pub mod log;
pub mod note;
pub mod proof;
#[cfg(test)]
mod sample;
pub mod tree;
pub mod witness;
