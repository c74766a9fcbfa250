//! Keys.
mod random;
pub mod seal;
pub mod subject;
pub mod tags;
