//! Computing on shares.
pub mod field;
pub mod prg;
