//! Computing on shares.
pub mod feldman;
pub mod field;
mod party;
pub mod prg;
pub mod sharing;
pub use party::{Committee, CommitteeError, Party};
